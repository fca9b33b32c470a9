"""Evidence put into the shape of its rule: the tree of an explanation. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from plgops.lib import days
from scoring import why
from scoring.explanation import Part, Person, Reading
from scoring.rules import describe, tree
from scoring.rules.windows import Subject

LIFTED = "/account_when"  # the place of the part that lifts a rule about people to the account


@dataclass(frozen=True)
class Known:
    """The names that ids in evidence stand for."""

    people: Mapping[int, Person] = field(default_factory=dict)
    event_types: Mapping[int, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[int, str]:
        """What to call each person."""
        return {pk: person.name for pk, person in self.people.items()}


def of_rule(
    doc: tree.DefinitionDoc | None, frozen: Mapping[str, Any], today: Mapping[str, Any] | None = None, *, known: Known
) -> Part:
    """The rule with what was measured, in its own shape.

    `doc` is resolved (`nesting.resolve`); the rule of one about people stands under how many of them it asks for.
    None, or evidence that does not fit it: the frozen conditions one by one.
    Evidence of an older form may name the place a level higher (`/rule/all/0` for `/rule/all/0/count`).
    """
    told = _Told(frozen, today or {}, known)
    if doc is not None:
        found = told.part(doc.rule, "/rule", doc.level, negated=False)
        if not told.conditions or told.used:
            return found if doc.level == "account" else told.lifted(doc, found, frozen, today or {})
    flat = tuple(told.stored(c, c, {}, place) for place, c in enumerate(told.conditions))
    return Part("all", "/rule", "All of these", parts=flat, held=_all([part.held for part in flat]))


def lifts(doc: tree.DefinitionDoc) -> str:
    """How many people a definition of level user asks for, in words."""
    people = "person" if doc.users_at_least == 1 else "people"
    return f"At least {doc.users_at_least:,} {people} for whom all of this holds"


class _Told:
    """Evidence by its places, frozen and of today."""

    def __init__(self, frozen: Mapping[str, Any], today: Mapping[str, Any], known: Known) -> None:
        self.conditions: Sequence[Mapping[str, Any]] = frozen.get("conditions") or ()
        self.known = known
        self.used: set[int] = set()
        self._places = {str(c.get("path", "")): place for place, c in enumerate(self.conditions)}
        self._today = {str(c.get("path", "")): c for c in today.get("conditions") or ()}

    def part(self, node: tree.Node, path: str, subject: Subject, *, negated: bool) -> Part:
        """The node at this place with all that is under it."""
        match node:
            case tree.All(of) | tree.Any_(of) | tree.AtLeast(of=of):
                kind, key, words = _group(node)
                parts = tuple(
                    self.part(one, f"{path}/{key}/{number}", subject, negated=negated) for number, one in enumerate(of)
                )
                k = node.k if isinstance(node, tree.AtLeast) else None
                return Part(
                    kind,
                    path,
                    words,
                    negated,
                    at_least=k,
                    parts=parts,
                    held=_combined(kind, k, [part.held for part in parts]),
                    holds_now=_combined(kind, k, [part.holds_now for part in parts]),
                )
            case tree.Not(of=inner):
                part = self.part(inner, f"{path}/not", subject, negated=not negated)
                return Part(
                    "not", path, "Not", negated, parts=(part,), held=_not(part.held), holds_now=_not(part.holds_now)
                )
        return self._condition(node, f"{path}/{tree.kind_of(node)}", subject, negated=negated)

    def lifted(self, doc: tree.DefinitionDoc, rule: Part, frozen: Mapping[str, Any], today: Mapping[str, Any]) -> Part:
        """The rule of a definition about people, under how many it holds for: that alone is the account's verdict.

        The conditions below tell the best person, for whom they may hold where there are too few.
        """
        same = {"kind": "users_who", "path": LIFTED, "english": lifts(doc)}
        then, now = (_people(doc, evidence) for evidence in (frozen, today))
        return replace(self.stored({**same, **(then or now)}, then, now, None), parts=(rule,))

    def _condition(self, node: tree.Condition | tree.UsersWho, path: str, subject: Subject, *, negated: bool) -> Part:
        place, today = self._find(path, tree.kind_of(node)), self._today.get(path, {})
        frozen = {} if place is None else self.conditions[place]
        same = frozen or today or {"kind": tree.kind_of(node)}
        part = self.stored({**same, "path": path, "negated": negated}, frozen, today, place)
        words = describe.describe_condition(node, subject=subject)
        if isinstance(node, tree.UsersWho):
            words = words.partition(" for whom (")[0].removeprefix("there is ").removeprefix("there are ")
            inner = (self.part(node.rule, f"{path}/rule", "user", negated=negated),)
            return replace(part, english=f"{why.capital(words)} for whom", parts=inner)
        if isinstance(node, tree.Score):
            words = words.partition(" (")[0]
            signals = (
                self._signal(node.signals[number], number, path, subject, frozen, today, negated=negated)
                for number in range(len(node.signals))
            )
            return replace(part, english=why.capital(words), parts=tuple(signals))
        if isinstance(node, tree.Nested) and node.rule is not None:
            inner = (self.part(node.rule, f"{path}/rule", subject, negated=negated),)
            return replace(part, english=why.capital(words), parts=inner)
        return part if part.english else replace(part, english=why.capital(words))

    def _signal(
        self,
        signal: tree.Signal,
        number: int,
        score: str,
        subject: Subject,
        frozen: Mapping[str, Any],
        today: Mapping[str, Any],
        *,
        negated: bool,
    ) -> Part:
        """A signal: the points that it gave, and the condition or rule that they come from."""
        path, against = f"{score}/signals/{number}", negated != (signal.points < 0)
        if signal.when is not None:
            inner = self.part(signal.when, f"{path}/when", subject, negated=against)
        else:
            shown = signal.shown()
            assert shown is not None  # it has either
            # its comparison decides nothing: what counts is how often
            inner = self._condition(shown, f"{path}/per/{tree.kind_of(shown)}", subject, negated=against)
            inner = replace(
                inner, threshold=None, comparison="", frozen=_plain(inner.frozen), today=_plain(inner.today)
            )
        gave, gives = _points(frozen, number), _points(today, number)
        return Part(
            "signal",
            path,
            describe.describe_signal(signal, subject),
            negated,
            unit="points",
            of=signal.part,
            frozen=gave,
            today=gives,
            held=gave.holds if gave else None,
            holds_now=gives.holds if gives else None,
            parts=(inner,),
        )

    def stored(
        self, same: Mapping[str, Any], frozen: Mapping[str, Any], today: Mapping[str, Any], place: int | None
    ) -> Part:
        """A condition as evidence tells it."""
        reading, now = self._reading(frozen), self._reading(today)
        types = self.known.event_types
        return Part(
            kind=str(same.get("kind", "")),
            path=str(same.get("path", "")),
            english=why.capital(str(same.get("english", ""))),
            negated=bool(same.get("negated")),
            comparison=str(same.get("comparison") or ""),
            threshold=same.get("threshold"),
            unit=str(same.get("unit") or ""),
            events=tuple(types[i] for i in same.get("event_type_ids") or () if i in types),
            place=place,
            frozen=reading,
            today=now,
            held=reading.holds if reading else None,
            holds_now=now.holds if now else None,
        )

    def _reading(self, condition: Mapping[str, Any]) -> Reading | None:
        if not condition:
            return None
        window, newest = condition.get("window"), condition.get("newest_us")
        people = self.known.people
        return Reading(
            holds=bool(condition.get("holds")),
            measured=condition.get("measured"),
            text=why.measured(condition),
            needed=why.needed(condition),
            distance=why.distance(condition),
            missing=why.missing(condition),
            window=(_date(window.get("from_day")), _date(window.get("to_day"))) if window else None,
            people=tuple(people[i] for i in condition.get("people") or () if i in people),
            people_total=int(condition.get("people_total") or 0),
            days=tuple(days.date_of(day) for day in condition.get("days") or ()),
            days_total=int(condition.get("days_total") or 0),
            newest_at=days.from_micros(newest) if newest else None,
            limit=condition.get("limit"),
            base=condition.get("base"),
            parts=condition.get("parts") or {},
            band=str(condition.get("band") or ""),
        )

    def _find(self, path: str, kind: str) -> int | None:
        """Where the frozen condition of this place is; of an older form, the one that names a place above it."""
        above = path
        while above:
            place = self._places.get(above)
            if place is not None and self.conditions[place].get("kind") == kind and place not in self.used:
                self.used.add(place)
                return place
            above = above.rpartition("/")[0]
        return None


def _people(doc: tree.DefinitionDoc, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence about people as the condition that lifts it to the account; empty where nothing was measured."""
    total = evidence.get("users_total")
    if total is None or not evidence.get("conditions"):
        return {}
    return {
        "kind": "users_who",
        "holds": total >= doc.users_at_least,
        "measured": total,
        "comparison": "at_least",
        "threshold": doc.users_at_least,
        "unit": "people",
        "people": evidence.get("users") or (),
        "people_total": total,
        "newest_us": evidence.get("newest_us"),
    }


def _group(node: tree.All | tree.Any_ | tree.AtLeast) -> tuple[str, str, str]:
    """Kind, key in the stored form, and words."""
    if isinstance(node, tree.All):
        return "all", "all", "All of these"
    if isinstance(node, tree.Any_):
        return "any", "any", "At least one of these"
    return "at_least", "of", f"At least {node.k} of these"


def _combined(kind: str, k: int | None, parts: Sequence[bool | None]) -> bool | None:
    """Whether a group holds; None where that depends on a part of which nothing is known."""
    if kind == "all":
        return _all(parts)
    wanted = 1 if k is None else k
    if sum(part is True for part in parts) >= wanted:
        return True
    return False if sum(part is not False for part in parts) < wanted else None


def _all(parts: Sequence[bool | None]) -> bool | None:
    return False if False in parts else None if None in parts else True


def _not(holds: bool | None) -> bool | None:
    return None if holds is None else not holds


def _points(score: Mapping[str, Any], number: int) -> Reading | None:
    """What a signal gave; None in evidence of a form that did not tell it."""
    points = score.get("points") or ()
    if number >= len(points):
        return None
    gave = points[number]
    return Reading(holds=gave != 0, measured=gave, text=f"{gave:+,}" if gave else "0")


def _plain(reading: Reading | None) -> Reading | None:
    """A reading that is held against nothing."""
    return None if reading is None else replace(reading, needed="", distance=None, missing="")


def _date(day: int | None) -> dt.date | None:
    return None if day is None else days.date_of(day)
