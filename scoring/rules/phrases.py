"""Conditions in English, each as a phrase, and the words that they share. Pure."""

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


def phrase(
    node: tree.UsageCondition | tree.Trait | tree.TraitChanged | tree.StageReached | tree.StageSince,
    *,
    subject: Subject,
) -> str:
    """A condition that holds no other one, as a phrase; `subject`: is it asked of an account or of a person."""
    match node:
        case tree.Count(events, compare, window):
            return f"{_events(events)} {_times(compare)}{_window(window, subject)}"
        case tree.Distinct(events, of, compare, window):
            number = f"{compared(compare)} different {'value' if is_one(compare) else 'values'}"
            return f"{_events(events)} with {number} of {of}{_window(window, subject)}"
        case tree.Users(events, compare, window):
            doing = "active" if events == tree.ANY_EVENT else f"with {_events(events)}"
            return f"{compared(compare)} {'person' if is_one(compare) else 'people'} {doing}{_window(window, subject)}"
        case tree.Days(events, compare, window):
            doing = "active" if events == tree.ANY_EVENT else _events(events)
            unit = "day" if is_one(compare) else "different days"
            return f"{doing} on {compared(compare)} {unit}{_window(window, subject)}"
        case tree.Recency(events, within_days, not_for_days):
            everything = events == tree.ANY_EVENT
            if within_days is not None:
                return f"{'seen' if everything else _events(events)} {_last(within_days)}"
            return f"{'not seen' if everything else 'no ' + _events(events)} for {day_count(not_for_days or 0)}"
        case tree.First(events, window):
            doing = "active" if events == tree.ANY_EVENT else _events(events)
            return f"{doing} for the first time{_window(window, subject)}"
        case tree.Change():
            return _change(node)
        case tree.Sequence(steps, span, window):
            order = ", then ".join("activity" if step == tree.ANY_EVENT else _events(step) for step in steps)
            within = "on one day" if span == 1 else f"within {day_count(span)}"
            return f"{order}, {within}{_window(window, subject)}"
        case tree.Value():
            return _value(node, subject)
        case tree.Trait():
            return trait(node, subject, negated=False)
        case tree.TraitChanged(name, of, changed):
            whose = "the account's " if subject == "user" and of == "account" else ""
            return f"{whose}{name.replace('_', ' ')} changed {_last(changed)}"
        case tree.StageReached():
            return stage_reached(node, subject, negated=False)
        case tree.StageSince(stage, low, high):
            if low is not None and high is not None:
                length = f"{low} to {day_count(high)}" if low != high else f"exactly {day_count(low)}"
            else:
                length = f"at least {day_count(low)}" if low is not None else f"at most {day_count(high or 0)}"
            whose = "the account's " if subject == "user" else ""
            return f"{length} since {whose}{STAGE_WORDS[stage]}"


def each(node: tree.Count | tree.Distinct | tree.Users | tree.Days, subject: Subject) -> str:
    """What a score counts, one by one: “for each “Invite Sent” in the last 7 days”."""
    what = "activity" if node.events == tree.ANY_EVENT else _events(node.events)
    match node:
        case tree.Distinct():
            what = f"different {node.of} of {what}"
        case tree.Users():
            what = f"person with {what}"
        case tree.Days():
            what = f"day with {what}"
    return f"for each {what}{_window(node.window, subject)}"


def listed(parts: Sequence[str], word: str) -> str:
    """“a, b and c”."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def _events(events: Sequence[str]) -> str:
    if tuple(events) == tree.ANY_EVENT:
        return "any activity"
    names = [f"“{name}”" for name in events]
    return listed(names, "or")


def compared(compare: tree.Compare) -> str:
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


def is_one(compare: tree.Compare) -> bool:
    """Whether the last number named is 1, so that the noun after it is singular."""
    return (compare.low if compare.op in ("at_least", "exactly") else compare.high) == 1


def _times(compare: tree.Compare) -> str:
    if compare.op in ("exactly", "at_most") and compare.high == 0:
        return "never"
    if compare.op in ("exactly", "at_most", "at_least") and is_one(compare):
        return f"{compare.op.replace('_', ' ')} once"
    return f"{compared(compare)} {'time' if is_one(compare) else 'times'}"


def day_count(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _last(number: int) -> str:
    return "today" if number == 1 else f"in the last {number} days"


def _window(window: windows.Window, subject: Subject) -> str:
    match window:
        case windows.LastDays(length):
            return f" {_last(length)}"
        case windows.FirstDays(length, of):
            if subject == "account":
                return f" within {day_count(length)} of signup"
            whose = "their own" if of == "user" else "the account's"
            return f" within {day_count(length)} of {whose} signup"
        case windows.AnyDays(length):
            return f" within any {day_count(length)}"
        case windows.BillingMonth():
            return " this billing month"
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


def amount(compare: tree.Compare) -> str:
    """A comparison of micro-units."""
    match compare.op:
        case "at_least" | "exactly":
            return f"{compare.op.replace('_', ' ')} {_number(compare.low)}"
        case "at_most":
            return f"at most {_number(compare.high)}"
    return f"{_number(compare.low)} to {_number(compare.high)}"


def _change(node: tree.Change) -> str:
    before = "the day before" if node.days == 1 else f"in the {node.days} days before"
    text = f"{_events(node.events)} {node.op.replace('_', ' ')} {_number(node.thousandths * 1000)} times as often"
    text += f" {_last(node.days)} as {before}"
    if node.base_at_least > 1:
        text += f" (at least {node.base_at_least} then)"
    return text + (f", and at least {node.at_least} times" if node.at_least else "")


def _value(node: tree.Value, subject: Subject) -> str:
    """“Rows Synced” adding up to at least 80% of the plan's limit."""
    doing = {"sum": "adding up to", "max": "with a greatest value of", "last": "with a last value of"}[node.measure]
    if isinstance(node.against, tree.Share):
        metric = "" if node.events == (node.against.metric,) else f" for {node.against.metric}"
        percent = _number(node.against.thousandths * 100_000)
        whose = "account's " if subject == "user" else ""
        asked = f"at least {percent}% of the {whose}plan's limit{metric}"
    else:
        asked = amount(node.against)
    return f"{_events(node.events)} {doing} {asked}{_window(node.window, subject)}"


def trait(node: tree.Trait, subject: Subject, *, negated: bool) -> str:
    """“plan is free or trial”; of what is counted, “has at least 20 employees”."""
    whose = subject == "user" and node.of == "account"
    name = node.name.replace("_", " ")
    plural = name.endswith("s") and not name.endswith(("ss", "us", "is"))
    if plural and not node.texts and node.op != "is_set":
        having = f"{'does not have' if negated else 'has'} {_how_many(node)}"
        one = (node.high if node.op == "at_most" else node.low) == days.MICRO or node.numbers[-1:] == (days.MICRO,)
        return f"{'the account ' if whose else ''}{having} {name.removesuffix('s') if one else name}"
    name = f"the account's {name}" if whose else name
    verb = "are" if plural else "is"
    if node.op == "is_set":
        return f"{name} {verb} set" if node.is_set != negated else f"{name} {verb} not set"
    if negated and len(node.texts) + len(node.numbers) > 1:
        return f"{name} {verb} none of {', '.join([*node.texts, *map(_number, node.numbers)])}"
    between = "from " if node.op == "between" else ""
    return f"{name} {verb} {'not ' if negated else ''}{between}{_how_many(node)}"


def _how_many(node: tree.Trait) -> str:
    match node.op:
        case "at_least" | "at_most":
            return f"{node.op.replace('_', ' ')} {_number(node.low if node.op == 'at_least' else node.high)}"
        case "between":
            return f"{_number(node.low)} to {_number(node.high)}"
    return listed([*node.texts, *map(_number, node.numbers)], "or")


def _number(micro: int | None) -> str:
    value = stored.number_json(micro or 0)
    return f"{value:,}"


def stage_reached(node: tree.StageReached, subject: Subject, *, negated: bool) -> str:
    whose = "the account has " if subject == "user" else "has "
    window = _window(node.window, "account")
    return f"{whose}{'not ' if negated else ''}{STAGE_REACHED[node.stage]}{window}"
