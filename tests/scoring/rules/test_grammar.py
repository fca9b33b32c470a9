"""The builder's forms against the language: nothing that it has is left out, and what a form starts with is valid."""

import pytest

from plgops.templatetags.ui import icon_names
from scoring.rules.conditions import CONDITIONS
from scoring.rules.grammar import PURPOSE_WORDS, WINDOWS, grammar
from scoring.rules.parse import parse_rule
from scoring.rules.schema import json_schema
from scoring.rules.tree import LEVELS, PURPOSES, STAGES

SCHEMA = json_schema()
KINDS = {kind["kind"]: kind for kind in grammar()["kinds"]}


def objects(schema):
    """Every object schema that a schema may be, references followed."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if schema.get("type") == "object":
        yield schema
    for key in ("oneOf", "anyOf"):
        for inner in schema.get(key, ()):
            if "required" not in inner or "type" in inner:
                yield from objects(inner)


def schema_of(kind, subject):
    """What the JSON Schema says of a kind in a rule about `subject`."""
    for form in objects({"$ref": f"#/$defs/{subject}_1"}):
        if list(form["properties"]) == [kind]:
            return form["properties"][kind]
    return None


def keys(kind):
    """The keys that a kind's form can set."""
    found = set()
    for field in kind["fields"]:
        if field["type"] == "compare":
            found |= {option["op"] for option in field["options"]}
        elif field["type"] == "stage":
            found |= set(field["keys"])
        else:
            found.add(field["key"])
    return found


def test_every_kind_of_the_language_is_offered():
    assert set(KINDS) == {*CONDITIONS, "score", "users_who"}
    assert {kind["icon"] for kind in KINDS.values()} <= icon_names()


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("subject", LEVELS)
def test_a_kind_is_offered_where_the_language_takes_it(kind, subject):
    assert (subject in KINDS[kind]["subjects"]) == (schema_of(kind, subject) is not None)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"definition"}))
def test_every_key_of_a_kind_has_a_field(kind):
    """`rule` and `signals` are drawn as parts of the tree; a definition's version is pinned by publishing."""
    known = {key for form in objects(schema_of(kind, "account")) for key in form["properties"]}
    assert known - {"rule", "signals"} == keys(KINDS[kind])


def windows(kind):
    """The windows that the schema takes for a kind, as the grammar names them."""
    found = set()
    for form in objects(schema_of(kind, "account")):
        window = form["properties"].get("window")
        if window is None:
            continue
        found |= {
            choice["const"]
            for choice in SCHEMA["$defs"][window["$ref"].removeprefix("#/$defs/")]["oneOf"]
            if "const" in choice
        }
        for choice in objects(window):
            (name, *_) = choice["properties"]
            found.add("dates" if name == "from" else name)
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_window_of_a_kind_is_offered(kind):
    offered = {name for field in KINDS[kind]["fields"] if field["type"] == "window" for name in field["kinds"]}
    if kind == "definition":
        assert offered == set()
        return
    assert offered == windows(kind)
    assert offered <= set(WINDOWS)


def choices(kind, key):
    return {value for form in objects(schema_of(kind, "account")) for value in _enum(form["properties"].get(key, {}))}


def _enum(schema):
    return [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]


def test_choices_are_those_of_the_language():
    (measure,) = [field for field in KINDS["value"]["fields"] if field.get("key") == "measure"]
    assert set(measure["choices"]) == choices("value", "measure")
    assert [stage["value"] for stage in grammar()["stages"]] == list(STAGES)
    assert {stage["value"] for stage in grammar()["stages"]} == choices("stage", "reached")
    assert list(PURPOSE_WORDS) == list(PURPOSES)


def filled(value):
    """What a form starts with, the names that a person has yet to choose chosen."""
    if isinstance(value, dict):
        return {key: filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [f"step-{i}" if inner == "" else filled(inner) for i, inner in enumerate(value)]
    return "something" if value == "" else value


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_a_form_starts_with_is_valid(kind):
    for subject in KINDS[kind]["subjects"]:
        parse_rule({kind: filled(KINDS[kind]["start"])}, level=subject)
