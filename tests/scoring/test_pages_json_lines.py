"""A problem's path leads to the line it is on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.json_lines import Place, escape, locate, place_of

TEXT = """{
  "slug": "team",
  "rule": {"all": [
    {"count": {"event": "Invite \\"Sent\\"", "at_least": 3}},
      {"not": {"stage": {"reached": "paid"}}}
  ]},
  "a/b": [], "~": {}
}
"""


def test_locate_finds_keys_and_items():
    places = locate(TEXT)
    assert places[""] == Place(1, 1)
    assert places["/slug"] == Place(2, 3)
    assert places["/rule/all/0/count/at_least"] == Place(4, 44)
    assert places["/rule/all/1"] == Place(5, 7)
    assert places["/rule/all/1/not/stage/reached"] == Place(5, 26)


def test_locate_escapes_slashes_and_tildes_in_keys():
    places = locate(TEXT)
    assert places["/a~1b"] == Place(7, 3)
    assert places["/~0"] == Place(7, 14)


def test_place_of_a_missing_key_is_its_object():
    places = locate(TEXT)
    assert place_of(places, "/rule/all/0/count/window") == places["/rule/all/0/count"]
    assert place_of(places, "/nothing") == Place(1, 1)


def test_a_scalar_text_is_one_place():
    assert locate("  12 ") == {"": Place(1, 3)}


def test_a_text_that_is_no_json_says_where():
    with pytest.raises(json.JSONDecodeError) as caught:
        locate('{"a": 1,\n "b" 2}')
    assert (caught.value.lineno, caught.value.colno) == (2, 6)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def pointers(value, at=""):
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from pointers(inner, f"{at}/{escape(key)}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from pointers(inner, f"{at}/{number}")


@given(json_values, st.sampled_from([None, 1, 2]), st.booleans())
def test_every_value_has_a_place(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert set(locate(text)) == set(pointers(value))
