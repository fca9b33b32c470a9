"""Reading the stored JSON form of a definition: all of it checked, every problem noted with its place.

Whatever JSON it is given, it raises nothing but `RuleError`. Pure: no Django, no clock.
"""

from __future__ import annotations

from typing import Any

from scoring.rules.conditions import CONDITIONS
from scoring.rules.parts import COMPARISONS, read_compare, read_slug
from scoring.rules.problems import RuleError
from scoring.rules.scores import read_score
from scoring.rules.tree import (
    DEFAULT_GRACE_DAYS,
    LEVELS,
    PURPOSES,
    STAGE_WRITTEN,
    All,
    Any_,
    AtLeast,
    DefinitionDoc,
    Node,
    Not,
    StageReached,
    StageSince,
    UsersWho,
    leaves,
)
from scoring.rules.values import MAX_THRESHOLD, Reader, at, json_kind, quoted
from scoring.rules.windows import Subject

MAX_CONDITIONS = 64  # in the whole document, the conditions inside users_who and motion included
MAX_LEVELS = 8  # groups, users_who and the condition itself each count as one

_KEYS = ("all", "any", "not", "at_least", *CONDITIONS, "score", "users_who")


def parse_definition(document: object) -> DefinitionDoc:
    """The checked definition; RuleError with every problem found if the document is not one."""
    reader = Reader()
    doc = _definition(reader, document)
    if reader.problems or doc is None:
        raise RuleError(reader.problems)
    return doc


def parse_rule(document: object, *, level: Subject = "account") -> Node:
    """A rule alone (a part of a definition), checked in the same way."""
    reader = Reader()
    rule = _rule(reader, document, "", subject=level, level=1)
    if reader.problems or rule is None:
        raise RuleError(reader.problems)
    return rule


def _definition(reader: Reader, document: object) -> DefinitionDoc | None:
    table = reader.table(
        document,
        "",
        needs=("slug", "name", "purpose", "rule"),
        may=("level", "account_when", "grace_days", "motion"),
    )
    if table is None:
        return None
    slug = name = purpose = rule = motion = None
    if "slug" in table:
        slug = read_slug(reader, table["slug"], "/slug")
    if "name" in table:
        name = reader.text(table["name"], "/name", longest=120)
    if "purpose" in table:
        purpose = reader.choice(table["purpose"], "/purpose", PURPOSES)
    level = reader.choice(table.get("level", "account"), "/level", LEVELS)
    subject: Subject = "user" if level == "user" else "account"
    if "rule" in table:
        rule = _rule(reader, table["rule"], "/rule", subject=subject, level=1)
    users_at_least = _account_when(reader, table, level)
    grace = reader.whole(table.get("grace_days", DEFAULT_GRACE_DAYS), "/grace_days", low=0, high=365)
    if "motion" in table:
        inner = reader.table(table["motion"], "/motion", needs=("rule",), may=())
        if inner is not None and "rule" in inner:
            motion = _rule(reader, inner["rule"], "/motion/rule", subject="account", level=1)
    if reader.conditions > MAX_CONDITIONS:
        reader.wrong("/rule", f"expected at most {MAX_CONDITIONS} conditions, found {reader.conditions}")
    if reader.problems or slug is None or name is None or purpose is None or rule is None or grace is None:
        return None
    written = STAGE_WRITTEN.get(purpose)
    for leaf in leaves(rule, subject=subject):
        if isinstance(leaf.node, (StageReached, StageSince)) and leaf.node.stage == written:
            reader.wrong(leaf.path, f"a definition of purpose {purpose} writes the stage {written}: it cannot read it")
    return DefinitionDoc(
        slug=slug,
        name=name,
        purpose=purpose,
        level=subject,
        rule=rule,
        users_at_least=users_at_least,
        grace_days=grace,
        motion=motion,
    )


def _account_when(reader: Reader, table: dict[str, Any], level: str | None) -> int:
    if "account_when" not in table:
        return 1
    if level == "account":
        reader.wrong("/account_when", "only a definition of level user lifts to the account")
    inner = reader.table(table["account_when"], "/account_when", needs=("users_at_least",), may=())
    if inner is None or "users_at_least" not in inner:
        return 1
    found = reader.whole(inner["users_at_least"], "/account_when/users_at_least", low=1, high=MAX_THRESHOLD)
    return 1 if found is None else found


def _rule(reader: Reader, value: object, path: str, *, subject: Subject, level: int) -> Node | None:
    if not isinstance(value, dict):
        reader.wrong(path, f"expected a group or a condition (an object), not {json_kind(value)}")
        return None
    if level > MAX_LEVELS:
        reader.wrong(path, f"expected at most {MAX_LEVELS} levels")
        return None
    if "at_least" in value:
        return _at_least_of(reader, value, path, subject=subject, level=level)
    if len(value) != 1:
        reader.wrong(path, f"expected exactly one of {quoted(_KEYS)}")
        return None
    ((key, inner),) = value.items()
    here = at(path, key)
    if key in ("all", "any"):
        parts = _parts(reader, inner, here, subject=subject, level=level)
        if parts is None:
            return None
        return All(parts) if key == "all" else Any_(parts)
    if key == "not":
        part = _rule(reader, inner, here, subject=subject, level=level + 1)
        return None if part is None else Not(part)
    if key == "users_who":
        reader.conditions += 1
        return _users_who(reader, inner, here, subject=subject, level=level)
    if key == "score":
        reader.conditions += 1
        return read_score(
            reader,
            inner,
            here,
            subject,
            rule=lambda part, place: _rule(reader, part, place, subject=subject, level=level + 1),
        )
    if key in CONDITIONS:
        reader.conditions += 1
        return CONDITIONS[key](reader, inner, here, subject)
    reader.wrong(here, f"unknown condition; expected one of {quoted(_KEYS)}")
    return None


def _parts(reader: Reader, value: object, path: str, *, subject: Subject, level: int) -> tuple[Node, ...] | None:
    found = reader.items(value, path, longest=MAX_CONDITIONS)
    if found is None:
        return None
    parts = [
        _rule(reader, item, at(path, number), subject=subject, level=level + 1) for number, item in enumerate(found)
    ]
    return None if any(part is None for part in parts) else tuple(part for part in parts if part is not None)


def _at_least_of(reader: Reader, value: dict[str, Any], path: str, *, subject: Subject, level: int) -> Node | None:
    reader.table(value, path, needs=("at_least", "of"), may=())
    parts = _parts(reader, value["of"], at(path, "of"), subject=subject, level=level) if "of" in value else None
    size = len(value["of"]) if isinstance(value.get("of"), list) else MAX_CONDITIONS
    k = reader.whole(value["at_least"], at(path, "at_least"), low=1, high=max(size, 1))
    return None if parts is None or k is None else AtLeast(k, parts)


def _users_who(reader: Reader, value: object, path: str, *, subject: Subject, level: int) -> Node | None:
    if subject == "user":
        reader.wrong(path, "“users_who” asks about the people of an account: it cannot stand in a rule about people")
        return None
    table = reader.table(value, path, needs=("rule",), may=COMPARISONS)
    if table is None:
        return None
    compare = read_compare(reader, table, path)
    rule = None
    if "rule" in table:
        rule = _rule(reader, table["rule"], at(path, "rule"), subject="user", level=level + 1)
    return UsersWho(compare, rule) if compare and rule else None
