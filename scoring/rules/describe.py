"""Rules in English: one sentence for a definition, one phrase for a condition, one for what was measured.

Nested groups stand in parentheses, so that "and" and "or" between conditions cannot be confused. Pure.
"""

from __future__ import annotations

from scoring.rules import tree
from scoring.rules.phrases import amount, compared, day_count, each, is_one, listed, phrase, stage_reached, trait
from scoring.rules.windows import Subject


def describe(doc: tree.DefinitionDoc) -> str:
    """The whole definition in plain English: who qualifies when, and who is handed to sales."""
    rule = describe_rule(doc.rule, subject=doc.level)
    if doc.level == "account":
        text = f"An account qualifies when {_it(rule)}."
    else:
        people = "at least 1 such person" if doc.users_at_least == 1 else f"at least {doc.users_at_least} such people"
        text = f"A person qualifies when {rule}. An account qualifies with {people}."
    if doc.motion is not None:
        text += f" It goes to sales only when {_it(describe_rule(doc.motion, subject='account'))}."
    return text


def _it(clause: str) -> str:
    """A clause about an account with its subject, where it begins with a verb."""
    return f"it {clause}" if clause.startswith(("has ", "qualifies ")) else clause


def describe_rule(rule: tree.Node, *, subject: Subject = "account", nested: bool = False) -> str:
    """A rule as a clause; `nested` puts a group of several into parentheses."""
    match rule:
        case tree.All(of) | tree.Any_(of):
            if len(of) == 1:
                return describe_rule(of[0], subject=subject, nested=nested)
            parts = [describe_rule(part, subject=subject, nested=True) for part in of]
            text = listed(parts, "and" if isinstance(rule, tree.All) else "or")
            return f"({text})" if nested else text
        case tree.AtLeast(k, of):
            parts = [describe_rule(part, subject=subject, nested=True) for part in of]
            return f"at least {k} of these: ({'; '.join(parts)})"
        case tree.Not(of=part):
            return _negation(part, subject)
    return describe_condition(rule, subject=subject)


def describe_condition(node: tree.Condition | tree.UsersWho, *, subject: Subject = "account") -> str:
    """One condition as a phrase; `subject` says whether it is asked of an account or of a person."""
    if isinstance(node, tree.UsersWho):
        people = "person" if is_one(node.compare) else "people"
        there = "there is" if is_one(node.compare) else "there are"
        return f"{there} {compared(node.compare)} {people} for whom ({describe_rule(node.rule, subject='user')})"
    if isinstance(node, tree.Score):
        return _score(node, subject)
    if isinstance(node, tree.Nested):
        return f"qualifies for “{node.name or node.slug}”"
    return phrase(node, subject=subject)


def _score(node: tree.Score, subject: Subject) -> str:
    parts = []
    for part in tree.PARTS:
        signals = [describe_signal(signal, subject) for signal in node.signals if signal.part == part]
        parts += [f"for {part} {', '.join(signals)}"] if signals else []
    unit = "point" if is_one(node.compare) else "points"
    return f"a score of {compared(node.compare)} {unit} ({'; '.join(parts)})"


def describe_signal(signal: tree.Signal, subject: Subject) -> str:
    """What one signal adds to a score, or takes: “10 for each “Invite Sent” up to 30”."""
    if signal.when is not None:
        return f"{signal.points} if {describe_rule(signal.when, subject=subject, nested=True)}"
    text = f"{signal.points} {each(signal.per, subject)}" if signal.per is not None else ""
    if signal.half_life_days is not None:
        text += f" (halving every {day_count(signal.half_life_days)})"
    return text + (f" up to {signal.cap if signal.points > 0 else -signal.cap}" if signal.cap is not None else "")


def describe_measure(node: tree.Condition | tree.UsersWho, measured: int | float | str | None) -> str:
    """What was measured against what was asked, e.g. “5 times, asked for at least 3”.

    `measured` as evidence holds it: a number in the condition's own unit, for recency and stages the days
    since then, for a trait its value; None: nothing was there.
    """
    match node:
        case tree.Recency() | tree.First() | tree.TraitChanged() | tree.StageReached() | tree.StageSince():
            if not isinstance(measured, int):
                return "never"
            return "today" if measured == 0 else f"{day_count(measured)} ago"
        case tree.Trait():
            return "not set" if measured is None else str(measured)
        case tree.Nested():
            return "qualifies" if measured else "does not qualify"
        case tree.Score(compare=compare):
            return f"{measured or 0:g} points, asked for {compared(compare)}"
        case tree.Sequence(steps):
            return f"{measured or 0} of {len(steps)} steps"
        case tree.Change(op=op, thousandths=factor):
            times = f"{measured} time{'' if measured == 1 else 's'}"
            return f"{times}, asked for {op.replace('_', ' ')} {factor / 1000:g} times as many as before"
        case tree.Value(against=against):
            asked = (
                amount(against) if isinstance(against, tree.Compare) else f"{against.thousandths / 10:g}% of the limit"
            )
            found = f"{measured:,}" if isinstance(measured, int | float) else "no value"
            return f"{found}, asked for {asked}"
    number = measured if isinstance(measured, int) else 0
    word = unit(node)
    named = {"people": "person", "values": "different value", "events": "time", "days": "day"}[word]
    several = {"people": "people", "values": "different values", "events": "times", "days": "days"}[word]
    return f"{number} {named if number == 1 else several}, asked for {compared(node.compare)}"


def unit(node: tree.Condition | tree.UsersWho) -> str:
    """The unit of what a condition measures: events, values, people, days, or value (a trait)."""
    match node:
        case tree.Count() | tree.Change():
            return "events"
        case tree.Distinct():
            return "values"
        case tree.Users() | tree.UsersWho():
            return "people"
        case tree.Nested():
            return "definition"
        case tree.Sequence():
            return "steps"
        case tree.Score():
            return "points"
        case tree.Trait() | tree.Value():
            return "value"
    return "days"


def _negation(part: tree.Node, subject: Subject) -> str:
    match part:
        case tree.Nested(slug, name=name):
            return f"does not qualify for “{name or slug}”"
        case tree.Trait():
            return trait(part, subject, negated=True)
        case tree.StageReached():
            return stage_reached(part, subject, negated=True)
        case tree.Not(of=inner):
            return describe_rule(inner, subject=subject, nested=True)
        case tree.Any_(of) if len(of) > 1:
            return f"none of these: ({'; '.join(describe_rule(item, subject=subject, nested=True) for item in of)})"
    text = describe_rule(part, subject=subject, nested=True)
    return f"not {text}" if text.startswith("(") and isinstance(part, tree.All) else f"not ({text})"
