"""What changed from one definition to another, in English. Pure.

Two trees are laid side by side: parts that say the same are taken for the same, then parts of the same kind that say
nearly the same for one that was changed; what is left was added or removed, or moved when it stands elsewhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scoring.rules import describe, tree
from scoring.rules.phrases import compared, is_one
from scoring.rules.stored import rule_json
from scoring.rules.windows import Subject

Kind = Literal["added", "removed", "changed", "moved"]
_ALIKE = 0.35  # of their words, for two conditions of a kind to be the same one, changed
_TOKENS = re.compile(
    r"“[^”]*”|(?:at least|at most|exactly) [\d.,]+%?"
    r"|in the last \d+ days|within (?:any )?\d+ days|\d{4}-\d\d-\d\d|[\w.'-]+|[^\w\s]"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `where`: the group it is in, in words; `before` and `after` whole phrases (empty: was not, is not
    there); `swaps`: for a changed one the words that gave way and those that came."""

    kind: Kind
    where: str
    before: str = ""
    after: str = ""
    swaps: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        place = f" in {self.where}" if self.where else ""
        if self.kind == "changed":
            swapped = ", ".join(f"{old or 'nothing'} → {new or 'nothing'}" for old, new in self.swaps)
            return (
                f"Changed{place}: {self.before} ({swapped})"
                if swapped
                else f"Changed{place}: {self.before} → {self.after}"
            )
        return f"{self.kind.capitalize()}{place}: {self.after or self.before}"


def between(old: tree.DefinitionDoc, new: tree.DefinitionDoc) -> list[Change]:
    """The differences of two definitions, in reading order; empty if they say the same."""
    found = [*_heads(old, new), *_rules(old.rule, new.rule, "", old.level, new.level)]
    if old.motion is not None and new.motion is not None:
        found += _rules(old.motion, new.motion, "“worth a person”", "account", "account")
    elif old.motion is not None or new.motion is not None:
        rule = new.motion or old.motion
        assert rule is not None
        said = f"goes to sales only when {_said(rule, 'account')}"
        found.append(Change("added", "", after=said) if new.motion else Change("removed", "", before=said))
    return _moves(found)


def _heads(old: tree.DefinitionDoc, new: tree.DefinitionDoc) -> Iterator[Change]:
    pairs = [
        ("name", old.name, new.name),
        ("purpose", old.purpose, new.purpose),
        ("level", old.level, new.level),
        ("people who make the account qualify: at least", str(old.users_at_least), str(new.users_at_least)),
        ("grace days", str(old.grace_days), str(new.grace_days)),
    ]
    for word, before, after in pairs:
        if before != after:
            yield Change("changed", "", f"{word} {before}", f"{word} {after}", ((before, after),))


def _rules(old: tree.Node, new: tree.Node, where: str, was: Subject, now: Subject) -> Iterator[Change]:
    """`was` and `now`: whom the old and the new one ask."""
    if was == now and _same(old, new, was):
        return
    old_word, old_parts = _group(old, was)
    new_word, new_parts = _group(new, now)
    if old_parts is None or new_parts is None:
        if old_parts is None and new_parts is None:
            yield from _leaf(old, new, where, was, now)
        elif new_parts is not None:  # a condition became a group
            yield from _lists([(old, was)], new_parts, new_word)
        elif old_parts is not None:
            yield from _lists(old_parts, [(new, now)], where)
        return
    if old_word != new_word:
        yield Change("changed", where, _short(old, was), _short(new, now), ((old_word, new_word),))
    yield from _lists(old_parts, new_parts, new_word if not where else f"{new_word}, in {where}")


Part = tuple[tree.Node, Subject]


def _group(rule: tree.Node, subject: Subject) -> tuple[str, list[Part] | None]:
    """A group's word and its parts; None: a condition. People for whom something holds and scores have parts too."""
    match rule:
        case tree.All(of):
            return "“all of”", [(part, subject) for part in of]
        case tree.Any_(of):
            return "“any of”", [(part, subject) for part in of]
        case tree.AtLeast(k, of):
            return f"“at least {k} of”", [(part, subject) for part in of]
        case tree.Not(of=part):
            word, parts = _group(part, subject)
            return (f"not {word}", parts) if parts is not None else ("", None)
        case tree.UsersWho(compare, inner):
            _, parts = _group(inner, "user")
            word = f"“{compared(compare)} {'person' if is_one(compare) else 'people'} for whom”"
            return word, parts if isinstance(inner, tree.All) and parts is not None else [(inner, "user")]
    return "", None


def _lists(old: Sequence[Part], new: Sequence[Part], where: str) -> Iterator[Change]:
    left, right = list(old), list(new)
    pairs: list[tuple[int, Part | None, Part]] = []
    for number, part in enumerate(right):
        same = next((other for other in left if other[1] == part[1] and _same(other[0], part[0], part[1])), None)
        if same is not None:
            left.remove(same)
        pairs.append((number, same, part))
    for number, same, part in pairs:
        if same is None:
            best = max(left, key=lambda other: _alike(other, part), default=None)
            if best is not None and _alike(best, part) >= _ALIKE:
                left.remove(best)
                pairs[number] = (number, best, part)
    for _, before, after in pairs:
        if before is None:
            yield Change("added", where, after=_said(*after))
        else:
            yield from _rules(before[0], after[0], where, before[1], after[1])
    for part in left:
        yield Change("removed", where, before=_said(*part))


def _leaf(old: tree.Node, new: tree.Node, where: str, was: Subject, now: Subject) -> Iterator[Change]:
    before, after = _bare(old), _bare(new)
    if isinstance(before, tree.Score) and isinstance(after, tree.Score) and type(old) is type(new):
        yield from _scores(before, after, where, was, now)
        return
    repinned = isinstance(before, tree.Nested) and isinstance(after, tree.Nested) and before.slug == after.slug
    if repinned and type(old) is type(new):
        versions = [f"version {node.version or 'live'}" for node in (before, after) if isinstance(node, tree.Nested)]
        yield Change("changed", where, _said(old, was), _said(new, now), ((versions[0], versions[1]),))
        return
    first, second = _said(old, was), _said(new, now)
    yield Change("changed", where, first, second, swapped(first, second))


def _scores(old: tree.Score, new: tree.Score, where: str, was: Subject, now: Subject) -> Iterator[Change]:
    if old.compare != new.compare:
        first, second = f"{compared(old.compare)} points", f"{compared(new.compare)} points"
        yield Change("changed", where, first, second, (((compared(old.compare), compared(new.compare))),))
    if old.bands != new.bands:
        first, second = (", ".join(f"{name} from {least}" for name, least in s.bands) or "none" for s in (old, new))
        yield Change("changed", where, f"bands {first}", f"bands {second}", ((first, second),))
    left = [_signal(signal, was) for signal in old.signals]
    right = [_signal(signal, now) for signal in new.signals]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for op, i1, i2, j1, j2 in matcher.get_opcodes():
        if op == "equal":
            continue
        for number in range(max(i2 - i1, j2 - j1)):
            before = left[i1 + number] if i1 + number < i2 else ""
            after = right[j1 + number] if j1 + number < j2 else ""
            place = "the score" if not where else f"the score, in {where}"
            if before and after:
                yield Change("changed", place, before, after, swapped(before, after))
            elif after:
                yield Change("added", place, after=after)
            else:
                yield Change("removed", place, before=before)


def _signal(signal: tree.Signal, subject: Subject) -> str:
    """One signal as a score says it: “for usage 5 for each …”."""
    alone = tree.Score((signal,), tree.Compare("at_least", low=1), ())
    said = describe.describe_rule(alone, subject=subject)
    return said.partition("(")[2].removesuffix(")")


def swapped(before: str, after: str) -> tuple[tuple[str, str], ...]:
    """The words of two phrases that differ, as (those that gave way, those that came)."""
    old, new = _TOKENS.findall(before), _TOKENS.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return tuple(
        (" ".join(old[i1:i2]), " ".join(new[j1:j2])) for op, i1, i2, j1, j2 in matcher.get_opcodes() if op != "equal"
    )


def _moves(found: Sequence[Change]) -> list[Change]:
    """What was removed here and added there is one that moved."""
    kept = list(found)
    for added in [change for change in kept if change.kind == "added"]:
        removed = next((c for c in kept if c.kind == "removed" and c.before == added.after), None)
        if removed is not None and added in kept:
            kept.remove(removed)
            kept[kept.index(added)] = replace(added, kind="moved", before=added.after)
    return kept


def _same(old: tree.Node, new: tree.Node, subject: Subject) -> bool:
    return rule_json(old, subject=subject) == rule_json(new, subject=subject)


def _alike(old: Part, new: Part) -> float:
    """How much of their words two parts share; 0 for those of another kind."""
    before, after = _bare(old[0]), _bare(new[0])
    first, second = _group(*old)[1], _group(*new)[1]
    if (first is None) != (second is None) or (first is None and type(before) is not type(after)):
        return 0.0
    return difflib.SequenceMatcher(
        None, _TOKENS.findall(_said(*old)), _TOKENS.findall(_said(*new)), autojunk=False
    ).ratio()


def _bare(rule: tree.Node) -> tree.Node:
    return _bare(rule.of) if isinstance(rule, tree.Not) else rule


def _said(rule: tree.Node, subject: Subject) -> str:
    return describe.describe_rule(rule, subject=subject)


def _short(rule: tree.Node, subject: Subject) -> str:
    said = _said(rule, subject)
    return said if len(said) <= 80 else f"{said[:79]}…"
