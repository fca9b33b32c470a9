"""The rule language: typed nodes, and the reading of the stored JSON form into them.

`parse_definition` checks everything and collects every problem with the place in the document (a JSON
pointer) and what was expected there; whatever JSON it is given, it raises nothing but `RuleError`. The
nodes are frozen and compare by value, so that two definitions that ask the same share one measurement.
Pure: no Django, no clock. docs/rules.md says what each condition means at its edges.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from plgops.lib import days

MAX_CONDITIONS = 64  # in the whole document, the conditions inside users_who and motion included
MAX_LEVELS = 8  # groups, users_who and the condition itself each count as one
MAX_DAYS = 3650
MAX_THRESHOLD = 1_000_000_000
MAX_LIST = 200  # events or values in one condition
DEFAULT_GRACE_DAYS = 7
PURPOSES = ("activation", "pql", "expansion", "risk")
LEVELS = ("account", "user")
STAGES = ("signed_up", "activated", "pql", "claimed", "contacted", "paid", "expanded", "churned", "returned")
# The stage that an account reaches by qualifying: a definition may not read what it writes.
STAGE_WRITTEN = {"activation": "activated", "pql": "pql"}
ANY_EVENT = ("*",)

Subject = Literal["account", "user"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a document: where (JSON pointer; "" is the whole) and what was expected."""

    path: str
    message: str


class RuleError(ValueError):
    """The document is not a definition. `problems` lists everything that is wrong, in reading order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.path or '/'}: {problem.message}" for problem in problems))
        self.problems = problems


# --- windows --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ever:
    """Everything up to the day asked about."""


@dataclass(frozen=True, slots=True)
class LastDays:
    """The day asked about and the `days - 1` before it."""

    days: int


@dataclass(frozen=True, slots=True)
class FirstDays:
    """The sign-up day of the person or the account (day 0) to day `days - 1`."""

    days: int
    of: Subject


@dataclass(frozen=True, slots=True)
class AnyDays:
    """The best of all stretches of `days` calendar days: last minus first at most `days - 1`."""

    days: int


@dataclass(frozen=True, slots=True)
class Dates:
    """From the first day to the last one, both included; None: open."""

    from_day: int | None
    to_day: int | None


Window = Ever | LastDays | FirstDays | AnyDays | Dates


# --- conditions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare:
    """How a measured number is judged: between `low` and `high`, both included (None: open), or one of `values`."""

    op: Literal["at_least", "at_most", "exactly", "between", "in"]
    low: int | None = None
    high: int | None = None
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many events."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different values of a property (`of`) that the event type collects."""

    events: tuple[str, ...]
    of: str
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Users:
    """How many different people were active in the account."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Days:
    """On how many different days there was activity."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Recency:
    """Seen within the last `within_days`, or not seen for `not_for_days`: exactly one of them is set."""

    events: tuple[str, ...]
    within_days: int | None = None
    not_for_days: int | None = None


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait as it stands at the end of the day.

    Texts are compared exactly (`texts`; a boolean is the text true or false), numbers in micro-units:
    `numbers` for equality, `low` and `high` for ranges, both included. `is_set` asks whether there is a value.
    """

    name: str
    of: Subject
    op: Literal["in", "exactly", "at_least", "at_most", "between", "is_set"]
    texts: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    low: int | None = None
    high: int | None = None
    is_set: bool = True


@dataclass(frozen=True, slots=True)
class StageReached:
    """The account reached the stage, at least once, on a day of the window."""

    stage: str
    window: Window


@dataclass(frozen=True, slots=True)
class StageSince:
    """So many days since the account last reached the stage (0 on the day itself); never reached: false."""

    stage: str
    at_least_days: int | None
    at_most_days: int | None


@dataclass(frozen=True, slots=True)
class UsersWho:
    """How many people of the account the nested rule, asked of each person, holds for."""

    compare: Compare
    rule: Node


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Node


@dataclass(frozen=True, slots=True)
class AtLeast:
    k: int
    of: tuple[Node, ...]


UsageCondition = Count | Distinct | Users | Days | Recency
Condition = Count | Distinct | Users | Days | Recency | Trait | StageReached | StageSince
Node = All | Any_ | Not | AtLeast | Condition | UsersWho


@dataclass(frozen=True, slots=True)
class DefinitionDoc:
    """A definition as a person wrote it, checked.

    `users_at_least` counts at level user only: so many qualifying people make the account qualify.
    `motion` says which accounts are worth a person (None: all); same language, level account.
    """

    slug: str
    name: str
    purpose: str
    level: Subject
    rule: Node
    users_at_least: int = 1
    grace_days: int = DEFAULT_GRACE_DAYS
    motion: Node | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition where it stands: JSON pointer, whose it is, and whether an odd number of `not` is above it."""

    path: str
    node: Condition | UsersWho
    subject: Subject
    negated: bool


# --- reading --------------------------------------------------------------------------------------------


def parse_definition(document: object) -> DefinitionDoc:
    """The checked definition; RuleError with every problem found if the document is not one."""
    reader = _Reader()
    doc = reader.definition(document)
    if reader.problems or doc is None:
        raise RuleError(reader.problems)
    return doc


def parse_rule(document: object, *, level: Subject = "account") -> Node:
    """A rule alone (a part of a definition), checked in the same way."""
    reader = _Reader()
    rule = reader.rule(document, "", subject=level, level=1)
    if reader.problems or rule is None:
        raise RuleError(reader.problems)
    return rule


_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COMPARISONS = ("at_least", "at_most", "exactly", "between", "in")
_GROUPS = ("all", "any", "not", "at_least")


def _kind(value: object) -> str:
    """What a JSON value is, in words for a message."""
    if value is None:
        return "null"
    for kinds, word in (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a text"),
        (list, "a list"),
        (dict, "an object"),
    ):
        if isinstance(value, kinds):
            return word
    return "something that is not JSON"


def _at(path: str, key: str | int) -> str:
    """The JSON pointer one step further down."""
    text = str(key).replace("~", "~0").replace("/", "~1")
    return f"{path}/{text}"


def _quoted(words: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"“{word}”" for word in words)


class _Reader:
    """Walks a document once, noting problems instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.conditions = 0

    def wrong(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    # the plain values

    def table(self, value: object, path: str, *, needs: tuple[str, ...], may: tuple[str, ...]) -> dict[str, Any] | None:
        """An object with these keys and no others."""
        if not isinstance(value, dict):
            self.wrong(path, f"expected an object, not {_kind(value)}")
            return None
        known = needs + may
        for key in value:
            if key not in known:
                self.wrong(_at(path, key), f"unknown key; expected one of {_quoted(known)}")
        for key in needs:
            if key not in value:
                self.wrong(path, f"“{key}” is missing")
        return value

    def whole(self, value: object, path: str, *, low: int, high: int) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(path, f"expected a whole number from {low} to {high}, not {_kind(value)}")
            return None
        if not low <= value <= high:
            self.wrong(path, f"expected a whole number from {low} to {high}")
            return None
        return value

    def micro(self, value: object, path: str) -> int | None:
        """A number in micro-units: exact, so at most six decimals."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.wrong(path, f"expected a number, not {_kind(value)}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.wrong(path, "expected a finite number")
            return None
        if abs(value) > MAX_THRESHOLD * 1000:
            self.wrong(path, f"expected a number between -{MAX_THRESHOLD * 1000} and {MAX_THRESHOLD * 1000}")
            return None
        scaled = Decimal(str(value)) * days.MICRO
        if scaled != int(scaled):
            self.wrong(path, "expected at most six decimals")
            return None
        return int(scaled)

    def text(self, value: object, path: str, *, longest: int) -> str | None:
        if not isinstance(value, str):
            self.wrong(path, f"expected a text, not {_kind(value)}")
            return None
        if not value.strip() or len(value) > longest:
            self.wrong(path, f"expected a text of 1 to {longest} characters")
            return None
        if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            self.wrong(path, "expected a text without null characters and broken surrogates")
            return None
        return value

    def choice(self, value: object, path: str, words: tuple[str, ...]) -> str | None:
        if not isinstance(value, str) or value not in words:
            self.wrong(path, f"expected one of {_quoted(words)}")
            return None
        return value

    def items(self, value: object, path: str, *, longest: int = MAX_LIST) -> list[Any] | None:
        if not isinstance(value, list):
            self.wrong(path, f"expected a list, not {_kind(value)}")
            return None
        if not 1 <= len(value) <= longest:
            self.wrong(path, f"expected a list of 1 to {longest}")
            return None
        return value

    # the document

    def definition(self, document: object) -> DefinitionDoc | None:
        table = self.table(
            document,
            "",
            needs=("slug", "name", "purpose", "rule"),
            may=("level", "account_when", "grace_days", "motion"),
        )
        if table is None:
            return None
        slug = name = purpose = rule = motion = None
        if "slug" in table:
            slug = self.text(table["slug"], "/slug", longest=80)
            if slug is not None and not _SLUG.fullmatch(slug):
                self.wrong("/slug", "expected lower-case letters, digits and single hyphens, such as team-expansion")
        if "name" in table:
            name = self.text(table["name"], "/name", longest=120)
        if "purpose" in table:
            purpose = self.choice(table["purpose"], "/purpose", PURPOSES)
        level = self.choice(table.get("level", "account"), "/level", LEVELS)
        subject: Subject = "user" if level == "user" else "account"
        if "rule" in table:
            rule = self.rule(table["rule"], "/rule", subject=subject, level=1)
        users_at_least = self._account_when(table, level)
        grace = self.whole(table.get("grace_days", DEFAULT_GRACE_DAYS), "/grace_days", low=0, high=365)
        if "motion" in table:
            inner = self.table(table["motion"], "/motion", needs=("rule",), may=())
            if inner is not None and "rule" in inner:
                motion = self.rule(inner["rule"], "/motion/rule", subject="account", level=1)
        if self.conditions > MAX_CONDITIONS:
            self.wrong("/rule", f"expected at most {MAX_CONDITIONS} conditions, found {self.conditions}")
        if self.problems or slug is None or name is None or purpose is None or rule is None or grace is None:
            return None
        written = STAGE_WRITTEN.get(purpose)
        for leaf in leaves(rule, subject=subject):
            if isinstance(leaf.node, (StageReached, StageSince)) and leaf.node.stage == written:
                self.wrong(
                    leaf.path, f"a definition of purpose {purpose} writes the stage {written}: it cannot read it"
                )
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

    def _account_when(self, table: dict[str, Any], level: str | None) -> int:
        if "account_when" not in table:
            return 1
        if level == "account":
            self.wrong("/account_when", "only a definition of level user lifts to the account")
        inner = self.table(table["account_when"], "/account_when", needs=("users_at_least",), may=())
        if inner is None or "users_at_least" not in inner:
            return 1
        found = self.whole(inner["users_at_least"], "/account_when/users_at_least", low=1, high=MAX_THRESHOLD)
        return 1 if found is None else found

    # rules

    def rule(self, value: object, path: str, *, subject: Subject, level: int) -> Node | None:
        if not isinstance(value, dict):
            self.wrong(path, f"expected a group or a condition (an object), not {_kind(value)}")
            return None
        if level > MAX_LEVELS:
            self.wrong(path, f"expected at most {MAX_LEVELS} levels")
            return None
        if "at_least" in value:
            return self._at_least_of(value, path, subject=subject, level=level)
        if len(value) != 1:
            self.wrong(path, f"expected exactly one of {_quoted((*_GROUPS, *_CONDITIONS))}")
            return None
        ((key, inner),) = value.items()
        here = _at(path, key)
        if key in ("all", "any"):
            parts = self._parts(inner, here, subject=subject, level=level)
            if parts is None:
                return None
            return All(parts) if key == "all" else Any_(parts)
        if key == "not":
            part = self.rule(inner, here, subject=subject, level=level + 1)
            return None if part is None else Not(part)
        if key not in _CONDITIONS:
            self.wrong(here, f"unknown condition; expected one of {_quoted((*_GROUPS, *_CONDITIONS))}")
            return None
        self.conditions += 1
        if key == "users_who":
            return self._users_who(inner, here, subject=subject, level=level)
        return _CONDITIONS[key](self, inner, here, subject)

    def _parts(self, value: object, path: str, *, subject: Subject, level: int) -> tuple[Node, ...] | None:
        found = self.items(value, path, longest=MAX_CONDITIONS)
        if found is None:
            return None
        parts = [
            self.rule(item, _at(path, number), subject=subject, level=level + 1) for number, item in enumerate(found)
        ]
        return None if any(part is None for part in parts) else tuple(part for part in parts if part is not None)

    def _at_least_of(self, value: dict[str, Any], path: str, *, subject: Subject, level: int) -> Node | None:
        self.table(value, path, needs=("at_least", "of"), may=())
        parts = self._parts(value["of"], _at(path, "of"), subject=subject, level=level) if "of" in value else None
        size = len(value["of"]) if isinstance(value.get("of"), list) else MAX_CONDITIONS
        k = self.whole(value["at_least"], _at(path, "at_least"), low=1, high=max(size, 1))
        return None if parts is None or k is None else AtLeast(k, parts)

    # the parts of conditions

    def events(self, table: dict[str, Any], path: str) -> tuple[str, ...]:
        value, here = table.get("event"), _at(path, "event")
        if "event" not in table:
            return ()  # the missing key is noted already
        if isinstance(value, str):
            name = self.text(value, here, longest=200)
            return () if name is None else (name,)
        if not isinstance(value, list):
            self.wrong(here, f"expected an event name, a list of names, or “*”, not {_kind(value)}")
            return ()
        names: set[str] = set()
        for number, item in enumerate(self.items(value, here) or []):
            name = self.text(item, _at(here, number), longest=200)
            if name == "*":
                self.wrong(_at(here, number), "“*” stands alone, not in a list")
            elif name is not None:
                names.add(name)
        return tuple(sorted(names))

    def compare(self, table: dict[str, Any], path: str, *, lowest: int = 0) -> Compare | None:
        """Exactly one comparison among the keys of a condition."""
        given = [op for op in _COMPARISONS if op in table]
        if len(given) != 1:
            self.wrong(path, f"expected exactly one comparison: {_quoted(_COMPARISONS)}")
            return None
        op = given[0]
        here, value = _at(path, op), table[op]
        if op == "at_least":
            low = self.whole(value, here, low=max(lowest, 1), high=MAX_THRESHOLD)
            return None if low is None else Compare("at_least", low=low)
        if op == "at_most":
            high = self.whole(value, here, low=lowest, high=MAX_THRESHOLD)
            return None if high is None else Compare("at_most", high=high)
        if op == "exactly":
            same = self.whole(value, here, low=lowest, high=MAX_THRESHOLD)
            return None if same is None else Compare("exactly", low=same, high=same)
        found = self.items(value, here)
        if found is None:
            return None
        numbers = [self.whole(item, _at(here, i), low=lowest, high=MAX_THRESHOLD) for i, item in enumerate(found)]
        whole = [number for number in numbers if number is not None]
        if len(whole) != len(found):
            return None
        if op == "in":
            return Compare("in", low=min(whole), high=max(whole), values=tuple(sorted(set(whole))))
        if len(whole) != 2 or whole[0] > whole[1]:
            self.wrong(here, "expected two numbers, the smaller first")
            return None
        return Compare("between", low=whole[0], high=whole[1])

    def window(self, table: dict[str, Any], path: str, subject: Subject, *, kinds: tuple[str, ...]) -> Window | None:
        """The window, ever if there is none. `kinds` are those that make sense for the condition."""
        value, here = table.get("window", "ever"), _at(path, "window")
        if value == "ever":
            return Ever()
        expected = f"expected {_quoted(('ever', *kinds))} as in docs/rules.md"
        if not isinstance(value, dict):
            self.wrong(here, expected)
            return None
        if "from" in value or "to" in value:
            return self._dates(value, here)
        found = [kind for kind in kinds if kind in value]
        if len(found) != 1:
            self.wrong(here, expected)
            return None
        kind = found[0]
        length = self.whole(value[kind], _at(here, kind), low=1, high=MAX_DAYS)
        if kind == "first_days":
            self.table(value, here, needs=("first_days", "of"), may=())
            of = self.choice(value["of"], _at(here, "of"), LEVELS) if "of" in value else None
            if of == "user" and subject == "account":
                self.wrong(
                    _at(here, "of"), "expected “account”: a person's sign-up has a meaning only in a rule about people"
                )
                return None
            if length is None or of is None:
                return None
            return FirstDays(length, "user" if of == "user" else "account")
        self.table(value, here, needs=(kind,), may=())
        if length is None:
            return None
        return LastDays(length) if kind == "last_days" else AnyDays(length)

    def _dates(self, value: dict[str, Any], path: str) -> Window | None:
        self.table(value, path, needs=(), may=("from", "to"))
        bounds: dict[str, int | None] = {}
        for key in ("from", "to"):
            if key in value:
                bounds[key] = self._day(value[key], _at(path, key))
                if bounds[key] is None:
                    return None
        start, end = bounds.get("from"), bounds.get("to")
        if start is not None and end is not None and start > end:
            self.wrong(path, "expected “from” not after “to”")
            return None
        return Dates(start, end)

    def _day(self, value: object, path: str) -> int | None:
        if isinstance(value, str) and _DATE.fullmatch(value):
            try:
                return days.day_number(dt.date.fromisoformat(value))
            except ValueError:
                self.wrong(path, "expected a date of the calendar as YYYY-MM-DD")
                return None
        if isinstance(value, int) and not isinstance(value, bool):
            return self.whole(value, path, low=-days.FOREVER, high=days.FOREVER)
        self.wrong(path, "expected a date as YYYY-MM-DD or a day number (days since 1970-01-01)")
        return None

    # conditions

    def _measured(
        self,
        value: object,
        path: str,
        subject: Subject,
        make: Callable[[tuple[str, ...], Compare, Window], Condition],
    ) -> Condition | None:
        """The shape that count, users and days share."""
        table = self.table(value, path, needs=("event",), may=(*_COMPARISONS, "window"))
        if table is None:
            return None
        events = self.events(table, path)
        compare = self.compare(table, path)
        window = self.window(table, path, subject, kinds=_WINDOWS)
        return make(events, compare, window) if events and compare and window else None

    def count(self, value: object, path: str, subject: Subject) -> Condition | None:
        return self._measured(value, path, subject, Count)

    def days(self, value: object, path: str, subject: Subject) -> Condition | None:
        return self._measured(value, path, subject, Days)

    def users(self, value: object, path: str, subject: Subject) -> Condition | None:
        if subject == "user":
            self.wrong(path, "“users” counts the people of an account: it has no meaning in a rule about one person")
        return self._measured(value, path, subject, Users)

    def distinct(self, value: object, path: str, subject: Subject) -> Condition | None:
        table = self.table(value, path, needs=("event", "of"), may=(*_COMPARISONS, "window"))
        if table is None:
            return None
        events = self.events(table, path)
        of = self.text(table["of"], _at(path, "of"), longest=100) if "of" in table else None
        compare = self.compare(table, path)
        window = self.window(table, path, subject, kinds=_WINDOWS)
        return Distinct(events, of, compare, window) if events and of and compare and window else None

    def recency(self, value: object, path: str, subject: Subject) -> Condition | None:
        keys = ("within_days", "not_for_days")
        table = self.table(value, path, needs=("event",), may=keys)
        if table is None:
            return None
        events = self.events(table, path)
        given = [key for key in keys if key in table]
        if len(given) != 1:
            self.wrong(path, f"expected exactly one of {_quoted(keys)}")
            return None
        length = self.whole(table[given[0]], _at(path, given[0]), low=1, high=MAX_DAYS)
        if not events or length is None:
            return None
        if given[0] == "within_days":
            return Recency(events, within_days=length)
        return Recency(events, not_for_days=length)

    def trait(self, value: object, path: str, subject: Subject) -> Condition | None:
        ops = (*_COMPARISONS, "is_set")
        table = self.table(value, path, needs=("name",), may=("of", *ops))
        if table is None:
            return None
        name = self.text(table["name"], _at(path, "name"), longest=100) if "name" in table else None
        of = self.choice(table.get("of", subject), _at(path, "of"), LEVELS)
        if of == "user" and subject == "account":
            self.wrong(_at(path, "of"), "expected “account”: people's traits are asked for inside “users_who”")
            of = None
        given = [op for op in ops if op in table]
        if len(given) != 1:
            self.wrong(path, f"expected exactly one comparison: {_quoted(ops)}")
            return None
        test = self._trait_test(given[0], table[given[0]], _at(path, given[0]))
        if name is None or of is None or test is None:
            return None
        return Trait(name=name, of="user" if of == "user" else "account", **test)

    def _trait_test(self, op: str, value: object, path: str) -> dict[str, Any] | None:
        if op == "is_set":
            if not isinstance(value, bool):
                self.wrong(path, f"expected true or false, not {_kind(value)}")
                return None
            return {"op": op, "is_set": value}
        if op in ("at_least", "at_most"):
            bound = self.micro(value, path)
            if bound is None:
                return None
            return {"op": op, "low" if op == "at_least" else "high": bound}
        if op == "between":
            found = self.items(value, path, longest=2)
            bounds = [self.micro(item, _at(path, number)) for number, item in enumerate(found or [])]
            low, high = bounds if len(bounds) == 2 else (None, None)
            if found is not None and len(found) == 1:
                self.wrong(path, "expected two numbers, the smaller first")
            if low is None or high is None:
                return None
            if low > high:
                self.wrong(path, "expected two numbers, the smaller first")
                return None
            return {"op": op, "low": low, "high": high}
        found = [value] if op == "exactly" else self.items(value, path)
        if found is None:
            return None
        texts: set[str] = set()
        numbers: set[int] = set()
        for number, item in enumerate(found):
            here = path if op == "exactly" else _at(path, number)
            if isinstance(item, bool):
                texts.add("true" if item else "false")
            elif isinstance(item, (int, float)):
                micro = self.micro(item, here)
                if micro is None:
                    return None
                numbers.add(micro)
            else:
                text = self.text(item, here, longest=500)
                if text is None:
                    return None
                texts.add(text)
        return {"op": op, "texts": tuple(sorted(texts)), "numbers": tuple(sorted(numbers))}

    def stage(self, value: object, path: str, subject: Subject) -> Condition | None:
        table = self.table(value, path, needs=(), may=("reached", "window", "since", "at_least_days", "at_most_days"))
        if table is None:
            return None
        if ("reached" in table) == ("since" in table):
            self.wrong(path, "expected exactly one of “reached”, “since”")
            return None
        if "reached" in table:
            for key in ("at_least_days", "at_most_days"):
                if key in table:
                    self.wrong(_at(path, key), "goes with “since”, not with “reached”")
            stage = self.choice(table["reached"], _at(path, "reached"), STAGES)
            window = self.window(table, path, "account", kinds=("last_days", "first_days"))
            return StageReached(stage, window) if stage and window else None
        if "window" in table:
            self.wrong(_at(path, "window"), "goes with “reached”, not with “since”")
        stage = self.choice(table["since"], _at(path, "since"), STAGES)
        bounds: dict[str, int | None] = {}
        for key in ("at_least_days", "at_most_days"):
            bounds[key] = None
            if key in table:
                bounds[key] = self.whole(table[key], _at(path, key), low=0, high=MAX_DAYS)
        low, high = bounds["at_least_days"], bounds["at_most_days"]
        if "at_least_days" not in table and "at_most_days" not in table:
            self.wrong(path, "expected “at_least_days”, “at_most_days” or both")
            return None
        if low is not None and high is not None and low > high:
            self.wrong(path, "expected “at_least_days” not above “at_most_days”")
            return None
        return StageSince(stage, low, high) if stage else None

    def _users_who(self, value: object, path: str, *, subject: Subject, level: int) -> Node | None:
        if subject == "user":
            self.wrong(path, "“users_who” asks about the people of an account: it cannot stand in a rule about people")
            return None
        table = self.table(value, path, needs=("rule",), may=_COMPARISONS)
        if table is None:
            return None
        compare = self.compare(table, path)
        rule = None
        if "rule" in table:
            rule = self.rule(table["rule"], _at(path, "rule"), subject="user", level=level + 1)
        return UsersWho(compare, rule) if compare and rule else None


_WINDOWS = ("last_days", "first_days", "any_days")
_CONDITIONS: dict[str, Callable[[_Reader, object, str, Subject], Condition | None]] = {
    "count": _Reader.count,
    "distinct": _Reader.distinct,
    "users": _Reader.users,
    "days": _Reader.days,
    "recency": _Reader.recency,
    "trait": _Reader.trait,
    "stage": _Reader.stage,
    "users_who": lambda *_: None,  # read by `rule`, which knows the level
}


# --- walking --------------------------------------------------------------------------------------------


def leaves(rule: Node, path: str = "/rule", *, subject: Subject, negated: bool = False) -> Iterator[Leaf]:
    """Every condition in reading order, `users_who` before the conditions that it holds."""
    match rule:
        case All(of) | Any_(of):
            key = "all" if isinstance(rule, All) else "any"
            for number, part in enumerate(of):
                yield from leaves(part, f"{path}/{key}/{number}", subject=subject, negated=negated)
        case AtLeast(_, of):
            for number, part in enumerate(of):
                yield from leaves(part, f"{path}/of/{number}", subject=subject, negated=negated)
        case Not(of=part):
            yield from leaves(part, f"{path}/not", subject=subject, negated=not negated)
        case UsersWho(rule=inner):
            yield Leaf(f"{path}/users_who", rule, subject, negated)
            yield from leaves(inner, f"{path}/users_who/rule", subject="user", negated=negated)
        case _:
            yield Leaf(f"{path}/{kind_of(rule)}", rule, subject, negated)


def all_leaves(doc: DefinitionDoc) -> list[Leaf]:
    """Every condition of the rule and of the motion rule."""
    found = list(leaves(doc.rule, "/rule", subject=doc.level))
    if doc.motion is not None:
        found += leaves(doc.motion, "/motion/rule", subject="account")
    return found


def event_names(doc: DefinitionDoc) -> frozenset[str]:
    """The event names that the definition reads; “*” as itself."""
    return frozenset(
        name for leaf in all_leaves(doc) if isinstance(leaf.node, UsageCondition) for name in leaf.node.events
    )


def stages_read(doc: DefinitionDoc) -> frozenset[str]:
    """The stages whose ledger entries the rule itself reads (the motion rule decides nothing about stages)."""
    return frozenset(
        leaf.node.stage
        for leaf in leaves(doc.rule, subject=doc.level)
        if isinstance(leaf.node, (StageReached, StageSince))
    )


def stage_written(doc: DefinitionDoc) -> str | None:
    """The stage that an account reaches when it qualifies."""
    return STAGE_WRITTEN.get(doc.purpose)


# --- writing --------------------------------------------------------------------------------------------

_KINDS: dict[type, str] = {
    Count: "count",
    Distinct: "distinct",
    Users: "users",
    Days: "days",
    Recency: "recency",
    Trait: "trait",
    StageReached: "stage",
    StageSince: "stage",
    UsersWho: "users_who",
}


def kind_of(node: Condition | UsersWho) -> str:
    """The key under which a condition is stored."""
    return _KINDS[type(node)]


def to_json(doc: DefinitionDoc) -> dict[str, Any]:
    """The canonical stored form: defaults left out where the language has one, names in order."""
    document: dict[str, Any] = {
        "slug": doc.slug,
        "name": doc.name,
        "purpose": doc.purpose,
        "level": doc.level,
        "rule": rule_json(doc.rule, subject=doc.level),
        "grace_days": doc.grace_days,
    }
    if doc.level == "user":
        document["account_when"] = {"users_at_least": doc.users_at_least}
    if doc.motion is not None:
        document["motion"] = {"rule": rule_json(doc.motion, subject="account")}
    return document


def digest(doc: DefinitionDoc) -> str:
    """The same for two documents that mean the same text by text; 32 hex digits."""
    text = json.dumps(to_json(doc), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def rule_json(rule: Node, *, subject: Subject) -> dict[str, Any]:
    """The stored form of a rule."""
    match rule:
        case All(of):
            return {"all": [rule_json(part, subject=subject) for part in of]}
        case Any_(of):
            return {"any": [rule_json(part, subject=subject) for part in of]}
        case Not(of=part):
            return {"not": rule_json(part, subject=subject)}
        case AtLeast(k, of):
            return {"at_least": k, "of": [rule_json(part, subject=subject) for part in of]}
        case UsersWho(compare, inner):
            return {"users_who": compare_json(compare) | {"rule": rule_json(inner, subject="user")}}
        case Count() | Users() | Days():
            inside = {"event": _event_json(rule.events)} | compare_json(rule.compare) | _window_json(rule.window)
            return {kind_of(rule): inside}
        case Distinct(events, of, compare, window):
            inside = {"event": _event_json(events), "of": of} | compare_json(compare) | _window_json(window)
            return {"distinct": inside}
        case Recency(events, within_days, not_for_days):
            length = {"within_days": within_days} if within_days is not None else {"not_for_days": not_for_days}
            return {"recency": {"event": _event_json(events)} | length}
        case Trait():
            return {"trait": _trait_json(rule, subject)}
        case StageReached(stage, window):
            return {"stage": {"reached": stage} | _window_json(window)}
        case StageSince(stage, low, high):
            bounds = {"at_least_days": low, "at_most_days": high}
            return {"stage": {"since": stage} | {key: value for key, value in bounds.items() if value is not None}}


def _event_json(events: tuple[str, ...]) -> str | list[str]:
    return events[0] if len(events) == 1 else list(events)


def compare_json(compare: Compare) -> dict[str, Any]:
    """The comparison as its one key and value."""
    values: Mapping[str, Any] = {
        "at_least": compare.low,
        "at_most": compare.high,
        "exactly": compare.low,
        "between": [compare.low, compare.high],
        "in": list(compare.values),
    }
    return {compare.op: values[compare.op]}


def _window_json(window: Window) -> dict[str, Any]:
    match window:
        case Ever():
            return {}
        case LastDays(length):
            return {"window": {"last_days": length}}
        case FirstDays(length, of):
            return {"window": {"first_days": length, "of": of}}
        case AnyDays(length):
            return {"window": {"any_days": length}}
        case Dates(start, end):
            bounds = {"from": start, "to": end}
            return {"window": {key: _day_json(day) for key, day in bounds.items() if day is not None}}


def _day_json(day: int) -> str | int:
    try:
        return days.date_of(day).isoformat()
    except OverflowError:
        return day


def number_json(micro: int) -> int | float:
    """A micro-unit number as JSON: whole where it is whole."""
    return micro // days.MICRO if micro % days.MICRO == 0 else float(Decimal(micro) / days.MICRO)


def _trait_json(trait: Trait, subject: Subject) -> dict[str, Any]:
    found: dict[str, Any] = {"name": trait.name}
    if trait.of != subject:
        found["of"] = trait.of
    equal = [*trait.texts, *(number_json(number) for number in trait.numbers)]
    values: Mapping[str, Callable[[], Any]] = {
        "in": lambda: equal,
        "exactly": lambda: equal[0],
        "at_least": lambda: number_json(trait.low or 0),
        "at_most": lambda: number_json(trait.high or 0),
        "between": lambda: [number_json(trait.low or 0), number_json(trait.high or 0)],
        "is_set": lambda: trait.is_set,
    }
    return found | {trait.op: values[trait.op]()}
