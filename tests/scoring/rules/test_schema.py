"""The JSON Schema says the same of a document as the reader, as far as a schema can."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.rules.parse import parse_definition
from scoring.rules.problems import RuleError
from scoring.rules.schema import json_schema
from scoring.rules.stored import to_json

from . import strategies, test_tree

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
quick = settings(deadline=None, database=None, max_examples=150)
# what only adding up, or comparing one value with another, finds out
BEYOND = (
    "the smaller first",
    "not after",
    "not above",
    "decimals",
    "at most 64 conditions",
    "in the step before",
    "writes the stage",
    "of the calendar",
    "finite",
    "1000000000, not a number",  # 1.0 is whole to a schema
    "3650, not a number",
    "1000, not a number",
    "365, not a number",
    "1000000, not a number",
    "“limit” is missing",
    "expected a whole number from 1 to",  # so many of a list as there are
)


def is_valid(document) -> bool:
    return VALIDATOR.is_valid(document)


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@quick
@given(st.one_of(strategies.documents(), strategies.nests().map(lambda found: found[0])))
def test_what_is_read_is_valid_also_as_it_is_stored(document):
    VALIDATOR.validate(document)
    VALIDATOR.validate(to_json(parse_definition(document)))


@settings(quick, max_examples=400)
@given(strategies.documents(), st.data())
def test_what_is_refused_is_not_valid(document, data):
    document = copy.deepcopy(document)
    test_tree.change_one_thing(document, data)
    try:
        parse_definition(document)
    except RuleError as error:
        if not any(words in problem.message for problem in error.problems for words in BEYOND):
            assert not is_valid(document), error
    else:
        assert is_valid(document)


@pytest.mark.parametrize(("rule", "level", "path"), test_tree.REFUSED)
def test_rules_that_are_refused_are_not_valid(rule, level, path):
    document = test_tree.definition(rule=rule, level=level)
    with pytest.raises(RuleError) as caught:
        parse_definition(document)
    beyond = any(words in problem.message for problem in caught.value.problems for words in BEYOND)
    assert beyond or not is_valid(document)


def test_eight_levels_and_no_more():
    deep = test_tree.COUNT
    for _ in range(7):
        deep = {"not": deep}
    assert is_valid(test_tree.definition(rule=deep))
    assert not is_valid(test_tree.definition(rule={"not": deep}))
