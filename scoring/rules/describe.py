"""Rules in English: one sentence for a definition, one phrase for a condition, one for what was measured.

Nested groups stand in parentheses, so that "and" and "or" between conditions cannot be confused. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from plgops.lib import days
from scoring.rules import stored, tree, windows
from scoring.rules.windows import Subject

STAGE_WORDS = {
    "signed_up": "signup",
    "activated": "activation",
    "pql": "qualifying as a PQL",
    "claimed": "being claimed by sales",
    "contacted": "being contacted",
    "paid": "paying",
    "expanded": "expanding",
    "churned": "churning",
    "returned": "returning to self-serve",
}
STAGE_REACHED = {
    "signed_up": "signed up",
    "activated": "been activated",
    "pql": "become a PQL",
    "claimed": "been claimed by sales",
    "contacted": "been contacted",
    "paid": "paid",
    "expanded": "expanded",
    "churned": "churned",
    "returned": "returned to self-serve",
}


def describe(doc: tree.DefinitionDoc) -> str:
    """The whole definition in plain English: who qualifies when, and who is handed to sales."""
    rule = describe_rule(doc.rule, subject=doc.level)
    if doc.level == "account":
        text = f"An account qualifies when {rule}."
    else:
        people = "at least 1 such person" if doc.users_at_least == 1 else f"at least {doc.users_at_least} such people"
        text = f"A person qualifies when {rule}. An account qualifies with {people}."
    if doc.motion is not None:
        text += f" It goes to sales only when {describe_rule(doc.motion, subject='account')}."
    return text


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
    match node:
        case tree.Count(events, compare, window):
            return f"{_events(events)} {_times(compare)}{_window(window, subject)}"
        case tree.Distinct(events, of, compare, window):
            number = f"{_compare(compare)} different {'value' if _is_one(compare) else 'values'}"
            return f"{_events(events)} with {number} of {of}{_window(window, subject)}"
        case tree.Users(events, compare, window):
            doing = "active" if events == tree.ANY_EVENT else f"with {_events(events)}"
            return f"{_compare(compare)} {'person' if _is_one(compare) else 'people'} {doing}{_window(window, subject)}"
        case tree.Days(events, compare, window):
            doing = "active" if events == tree.ANY_EVENT else _events(events)
            unit = "day" if _is_one(compare) else "different days"
            return f"{doing} on {_compare(compare)} {unit}{_window(window, subject)}"
        case tree.Recency(events, within_days, not_for_days):
            everything = events == tree.ANY_EVENT
            if within_days is not None:
                return f"{'seen' if everything else _events(events)} {_last(within_days)}"
            return f"{'not seen' if everything else 'no ' + _events(events)} for {_days(not_for_days or 0)}"
        case tree.Trait():
            return _trait(node, subject, negated=False)
        case tree.StageReached():
            return _stage_reached(node, subject, negated=False)
        case tree.StageSince(stage, low, high):
            if low is not None and high is not None:
                length = f"{low} to {_days(high)}" if low != high else f"exactly {_days(low)}"
            else:
                length = f"at least {_days(low)}" if low is not None else f"at most {_days(high or 0)}"
            whose = "the account's " if subject == "user" else ""
            return f"{length} since {whose}{STAGE_WORDS[stage]}"
        case tree.UsersWho(compare, rule):
            people = "person" if _is_one(compare) else "people"
            inner = describe_rule(rule, subject="user")
            there = "there is" if _is_one(compare) else "there are"
            return f"{there} {_compare(compare)} {people} for whom ({inner})"


def describe_measure(node: tree.Condition | tree.UsersWho, measured: int | float | str | None) -> str:
    """What was measured against what was asked, e.g. “5 times, asked for at least 3”.

    `measured` as evidence holds it: a number in the condition's own unit, for recency and stages the days
    since then, for a trait its value; None: nothing was there.
    """
    match node:
        case tree.Recency() | tree.StageReached() | tree.StageSince():
            if not isinstance(measured, int):
                return "never"
            return "today" if measured == 0 else f"{_days(measured)} ago"
        case tree.Trait():
            return "not set" if measured is None else str(measured)
    number = measured if isinstance(measured, int) else 0
    word = unit(node)
    named = {"people": "person", "values": "different value", "events": "time", "days": "day"}[word]
    several = {"people": "people", "values": "different values", "events": "times", "days": "days"}[word]
    return f"{number} {named if number == 1 else several}, asked for {_compare(node.compare)}"


def unit(node: tree.Condition | tree.UsersWho) -> str:
    """The unit of what a condition measures: events, values, people, days, or value (a trait)."""
    match node:
        case tree.Count():
            return "events"
        case tree.Distinct():
            return "values"
        case tree.Users() | tree.UsersWho():
            return "people"
        case tree.Trait():
            return "value"
    return "days"


def listed(parts: Sequence[str], word: str) -> str:
    """“a, b and c”."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def _negation(part: tree.Node, subject: Subject) -> str:
    match part:
        case tree.Trait():
            return _trait(part, subject, negated=True)
        case tree.StageReached():
            return _stage_reached(part, subject, negated=True)
        case tree.Not(of=inner):
            return describe_rule(inner, subject=subject, nested=True)
        case tree.Any_(of) if len(of) > 1:
            return f"none of these: ({'; '.join(describe_rule(item, subject=subject, nested=True) for item in of)})"
    text = describe_rule(part, subject=subject, nested=True)
    return f"not {text}" if text.startswith("(") and isinstance(part, tree.All) else f"not ({text})"


def _events(events: Sequence[str]) -> str:
    if tuple(events) == tree.ANY_EVENT:
        return "any activity"
    names = [f"“{name}”" for name in events]
    return listed(names, "or")


def _compare(compare: tree.Compare) -> str:
    match compare.op:
        case "at_least":
            return f"at least {compare.low}"
        case "at_most":
            return f"at most {compare.high}"
        case "exactly":
            return f"exactly {compare.low}"
        case "between":
            return f"{compare.low} to {compare.high}"
    return listed([str(value) for value in compare.values], "or")


def _is_one(compare: tree.Compare) -> bool:
    """Whether the last number named is 1, so that the noun after it is singular."""
    return (compare.low if compare.op in ("at_least", "exactly") else compare.high) == 1


def _times(compare: tree.Compare) -> str:
    if compare.op in ("exactly", "at_most") and compare.high == 0:
        return "never"
    if compare.op in ("exactly", "at_most", "at_least") and _is_one(compare):
        return f"{compare.op.replace('_', ' ')} once"
    return f"{_compare(compare)} {'time' if _is_one(compare) else 'times'}"


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _last(number: int) -> str:
    return "today" if number == 1 else f"in the last {number} days"


def _window(window: windows.Window, subject: Subject) -> str:
    match window:
        case windows.LastDays(length):
            return f" {_last(length)}"
        case windows.FirstDays(length, of):
            if subject == "account":
                return f" within {_days(length)} of signup"
            whose = "their own" if of == "user" else "the account's"
            return f" within {_days(length)} of {whose} signup"
        case windows.AnyDays(length):
            return f" within any {_days(length)}"
        case windows.Dates(start, end):
            if start is None:
                return f" up to {_date(end or 0)}"
            return f" since {_date(start)}" if end is None else f" from {_date(start)} to {_date(end)}"
    return ""


def _date(day: int) -> str:
    try:
        return days.date_of(day).isoformat()
    except OverflowError:
        return f"day {day}"


def _trait(node: tree.Trait, subject: Subject, *, negated: bool) -> str:
    name = f"the account's {node.name}" if subject == "user" and node.of == "account" else node.name
    verb = "is not" if negated else "is"
    match node.op:
        case "is_set":
            return f"{name} is set" if node.is_set != negated else f"{name} is not set"
        case "at_least" | "at_most":
            bound = node.low if node.op == "at_least" else node.high
            return f"{name} {verb} {node.op.replace('_', ' ')} {_number(bound)}"
        case "between":
            return f"{name} {verb} from {_number(node.low)} to {_number(node.high)}"
    values = [*node.texts, *(_number(number) for number in node.numbers)]
    if negated and len(values) > 1:
        return f"{name} is none of {', '.join(values)}"
    return f"{name} {verb} {listed(values, 'or')}"


def _number(micro: int | None) -> str:
    value = stored.number_json(micro or 0)
    return f"{value:,}"


def _stage_reached(node: tree.StageReached, subject: Subject, *, negated: bool) -> str:
    whose = "the account has " if subject == "user" else "has "
    window = _window(node.window, "account")
    return f"{whose}{'not ' if negated else ''}{STAGE_REACHED[node.stage]}{window}"
