"""What is wrong in a draft, in the words of the builder's forms instead of those of the stored JSON. Pure.

`parse` tells somebody who writes JSON what it expected, at a JSON pointer. Who fills in a form sees neither keys nor
lists: they are told which field to fill in, beside the condition that it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from scoring.rules.problems import Problem

FIELDS = {
    "account_when": "People who make the account qualify",
    "any_days": "Days",
    "at_least": "At least",
    "at_least_days": "At least days ago",
    "at_most": "At most",
    "at_most_days": "At most days ago",
    "bands": "Bands",
    "base_at_least": "And at least so many before",
    "between": "From and to",
    "cap": "At most points",
    "changed_within_days": "Changed in the last days",
    "days": "Days",
    "definition": "Definition",
    "event": "Event",
    "exactly": "Number",
    "factor_at_least": "How many times as many",
    "factor_at_most": "How many times as many",
    "first_days": "Days",
    "from": "From",
    "grace_days": "Grace days",
    "half_life_days": "Halves every … days",
    "in": "Values",
    "is_set": "Value",
    "last_days": "Days",
    "level": "Asked of",
    "limit": "Limit of the plan",
    "measure": "Measure",
    "motion": "Which accounts are worth a person",
    "name": "Name",
    "not_for_days": "Not seen for days",
    "of": "Property",
    "part": "For",
    "points": "Points",
    "purpose": "Purpose",
    "reached": "Stage",
    "share_of_limit": "Percent",
    "since": "Stage",
    "slug": "Slug",
    "steps": "Steps",
    "to": "To",
    "users_at_least": "People who make the account qualify",
    "window": "Window",
    "within_days": "Days",
}
_CHOOSE = {
    "definition": "Choose a definition.",
    "event": "Choose an event.",
    "in": "Add at least one value.",
    "of": "Choose a property.",
    "signals": "Add a signal.",
    "steps": "Choose an event for each step.",
}
_LISTS = ("all", "any", "of")


def spoken(problem: Problem, document: object) -> str:
    """The problem as a sentence for who edits the document by forms; it ends with a full stop."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in problem.path.split("/")[1:]]
    value = _value(document, steps)
    key = next((step for step in reversed(steps) if not step.isdecimal()), "")
    if value == "" or value == []:
        return _unfilled(steps, key, value, document)
    for pattern, say in _SAID:
        if found := pattern.fullmatch(problem.message):
            return say(found, _label(steps, key))
    return _sentence(problem.message)


def _unfilled(steps: list[str], key: str, value: object, document: object) -> str:
    if value == [] and key in _LISTS:
        return "Nothing is in this group yet: add a condition, or remove the group."
    if key == "name":
        return "Choose a trait." if len(steps) > 1 else "Give it a name."
    if key == "exactly" and "trait" in steps:
        return "Fill in the value."
    return _CHOOSE.get(key) or f"Fill in: {_label(steps, key)}."


def _label(steps: list[str], key: str) -> str:
    if key == "name" and len(steps) > 1:
        return "Trait"
    if key == "of" and ("window" in steps or "trait" in steps):
        return "After signup of" if "window" in steps else "Of"
    return FIELDS.get(key, key.replace("_", " ").capitalize() or "It")


def _value(document: object, steps: list[str]) -> Any:
    value: Any = document
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _sentence(text: str) -> str:
    words = text[:1].upper() + text[1:]
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _n(digits: str) -> str:
    return f"{int(digits):,}".replace("-", "−")


Say = Callable[[re.Match[str], str], str]


def _missing(found: re.Match[str], label: str) -> str:
    key = found[1]
    return _CHOOSE.get(key) or f"Fill in: {FIELDS.get(key, key.replace('_', ' '))}."


# the first that the whole message fits
_SAID: tuple[tuple[re.Pattern[str], Say], ...] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        (
            r"expected a whole number from (-?\d+) to (-?\d+)(?:, not .+)?",
            lambda found, label: f"{label}: a whole number from {_n(found[1])} to {_n(found[2])}.",
        ),
        (
            r"expected a number from (\S+) to 1000 with .+",
            lambda found, label: (
                f"{label}: more than 0, at most 100,000, with at most one decimal."
                if label == "Percent"
                else f"{label}: a number from {found[1]} to 1,000 with at most three decimals."
            ),
        ),
        (
            r"expected a number between (-?\d+) and (-?\d+)",
            lambda found, label: f"{label}: a number from {_n(found[1])} to {_n(found[2])}.",
        ),
        (r"expected a (?:finite )?number(?:, not .+)?", lambda found, label: f"{label}: a number."),
        (r"expected at most six decimals", lambda found, label: f"{label}: at most six decimals."),
        (
            r"expected two numbers, the smaller first",
            lambda found, label: "From and to: two numbers, the smaller first.",
        ),
        (
            r"expected a text of 1 to (\d+) characters",
            lambda found, label: f"{label}: at most {_n(found[1])} characters.",
        ),
        (r"expected a text(?:,.*)?", lambda found, label: f"{label}: letters and digits only."),
        (
            r"expected a list of 1 to (\d+)",
            lambda found, label: (
                f"A group holds at most {found[1]} conditions."
                if label in ("All", "Any", "Property")
                else f"{label}: at most {found[1]} of them."
            ),
        ),
        (
            r"expected at most (\d+) levels",
            lambda found, label: (
                f"Groups stand at most {found[1]} deep: move this out of its group, or take a group away."
            ),
        ),
        (
            r"expected at most (\d+) conditions, found (\d+)",
            lambda found, label: f"These are {found[2]} conditions; a definition has at most {found[1]}.",
        ),
        (r"expected 2 to (\d+) steps", lambda found, label: f"A sequence has 2 to {found[1]} steps."),
        (r"expected exactly one comparison: .+", lambda found, label: "Choose how it is compared."),
        (r"expected “at_least_days”, “at_most_days” or both", lambda found, label: "Fill in how many days ago."),
        (
            r"expected “at_least_days” not above “at_most_days”",
            lambda found, label: "At least days ago: not more than at most days ago.",
        ),
        (r"expected “from” not after “to”", lambda found, label: "From: not after the last day."),
        (r"expected a date .+", lambda found, label: f"{label}: a day of the calendar."),
        (r"expected true or false, .+", lambda found, label: f"{label}: there is one, or there is none."),
        (r"expected points to give or, below 0, to take", lambda found, label: "Points: any number but 0."),
        (
            r"expected a name of 1 to 40 characters",
            lambda found, label: "Each band has a name of at most 40 characters.",
        ),
        (
            r"expected “account”: people's traits are asked for inside “users_who”",
            lambda found, label: "A person’s traits are asked for inside “People for whom …”.",
        ),
        (
            r"expected “account”: a person's sign-up .+",
            lambda found, label: "After signup of: the account; a person’s own signup is for rules about people.",
        ),
        (
            r"expected days that do not take in everything: .+",
            lambda found, label: "Window: some days, not ever; whoever did it began once.",
        ),
        (
            r"expected other events than in the step before: .+",
            lambda found, label: "Another event than the step before.",
        ),
        (r"expected a definition that is live; “(.+)” is not", lambda found, label: f"“{found[1]}” is not live."),
        (
            r"expected a (definition|stage) that does not follow from this definition; (.+) does, through (.+)",
            lambda found, label: (
                f"This would go round in a circle: {found[2]} follows from this definition, by {found[3]}."
            ),
        ),
        (
            r"expected lower-case letters, .+",
            lambda found, label: f"{label}: small letters, digits and single hyphens, such as team-expansion.",
        ),
        (
            r"“limit” is missing: .+",
            lambda found, label: "Limit of the plan: choose which, as there are several events.",
        ),
        (r"“(\w+)” is missing", _missing),
        (
            r"“\*” stands alone, not in a list",
            lambda found, label: "“Any activity” stands alone: remove the other events.",
        ),
        (
            r"(?:unknown key;|unknown condition;|expected exactly one of|expected an object|expected a list,"
            r"|expected a group or|expected an event name|goes with|each one counts|what decays has"
            r"|expected .* as in docs).*",
            lambda found, label: "This is written in a way that the builder does not know. Correct it as JSON.",
        ),
        (r"expected one of .+", lambda found, label: f"{label}: choose one."),
        (r"expected (.+)", lambda found, label: f"{label}: {found[1]}."),
    )
)
