"""A slow evaluator of the stored form, in plain Python over lists of facts: the judge of the compiler.

It reads the JSON itself and shares nothing with scoring.rules, so that both would have to be wrong in the
same way. Loops over everything for every question.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass
class Facts:
    """Everything as tuples; days are integers, the end of an interval is outside it."""

    accounts: dict[int, tuple[int, bool, bool]] = field(default_factory=dict)  # signup day, internal, merged
    users: dict[int, tuple[int, bool]] = field(default_factory=dict)  # signup day, merged
    members: list[tuple[int, int, int, int]] = field(default_factory=list)  # account, user, from, to
    types: dict[str, tuple[int, bool, bool, str]] = field(default_factory=dict)  # id, activity, derived, collects
    usage: list[tuple[int, int, int, int, int]] = field(default_factory=list)  # account, user, type, day, count
    metered: dict[tuple[int, int, int, int], tuple[int, int, int, int]] = field(
        default_factory=dict
    )  # account, user, type, day: sum, greatest and last value in millionths, when the last one was
    definitions: dict[str, dict] = field(default_factory=dict)  # documents by slug, for those that others nest
    times: dict[tuple[int, int, int, int], list[int]] = field(default_factory=dict)  # of each event: the log
    limits: list[tuple[str, str, int, int]] = field(default_factory=list)  # plan, metric, from day, millionths
    values: list[tuple[int, int, int, int, str]] = field(default_factory=list)  # account, user, type, day, value
    traits: list[tuple[str, int, str, object, int, int]] = field(
        default_factory=list
    )  # whose, id, name, value, from, to
    stages: list[tuple[int, str, int]] = field(default_factory=list)  # account, stage, day


def verdict(facts: Facts, document: dict, account: int, day: int) -> tuple[bool, tuple[int, ...]]:
    """Whether the account qualifies at the end of the day, and (level user) who in it."""
    if account not in population(facts, day):
        return False, ()
    if document.get("level", "account") == "account":
        return holds(facts, document["rule"], day, account), ()
    who = tuple(
        sorted(user for user in people(facts, account, day) if holds(facts, document["rule"], day, account, user))
    )
    return len(who) >= document.get("account_when", {}).get("users_at_least", 1), who


def population(facts: Facts, day: int) -> set[int]:
    return {
        number
        for number, (signup, internal, merged) in facts.accounts.items()
        if signup <= day and not internal and not merged
    }


def people(facts: Facts, account: int, day: int) -> set[int]:
    found = set()
    for where, user, start, end in facts.members:
        signup, merged = facts.users[user]
        if where == account and start <= day < end and signup <= day and not merged:
            found.add(user)
    return found


def without_account(facts: Facts, day: int) -> set[int]:
    """People who are nobody's member on the day."""
    return {
        user
        for user, (signup, merged) in facts.users.items()
        if signup <= day
        and not merged
        and not any(who == user and start <= day < end for _, who, start, end in facts.members)
    }


def holds(facts: Facts, rule: dict, day: int, account: int, user: int | None = None) -> bool:
    if "of" in rule:
        return sum(holds(facts, part, day, account, user) for part in rule["of"]) >= rule["at_least"]
    ((kind, body),) = rule.items()
    if kind == "all":
        return all(holds(facts, part, day, account, user) for part in body)
    if kind == "any":
        return any(holds(facts, part, day, account, user) for part in body)
    if kind == "not":
        return not holds(facts, body, day, account, user)
    found = measure(facts, kind, body, day, account, user)
    if kind == "recency":
        if "within_days" in body:
            return found is not None and day - found < body["within_days"]
        return found is None or day - found >= body["not_for_days"]
    if kind == "stage":
        if found is None:
            return False
        if "reached" in body:
            return True
        return body.get("at_least_days", 0) <= day - found <= body.get("at_most_days", day - found)
    if kind == "first":
        return found is not None and _inside(facts, body, found, day, account, user)
    if kind == "score":
        return _judge(found, {key: _times(body[key], 32) for key in COMPARISONS & body.keys()})
    if kind == "sequence":
        return found == len(body["steps"])
    if kind == "change":
        (base,) = extras(facts, kind, body, day, account, user)
        if base < body.get("base_at_least", 1) or found < body.get("at_least", 0):
            return False
        if "factor_at_least" in body:
            return found >= base * Decimal(str(body["factor_at_least"]))
        return found <= base * Decimal(str(body["factor_at_most"]))
    if kind == "value":
        if found is None or "share_of_limit" not in body:
            return found is not None and _judge(found, {key: _millionths(body[key]) for key in AMOUNTS & body.keys()})
        limit = extras(facts, kind, body, day, account, user)[0]
        return limit is not None and found >= limit * Decimal(str(body["share_of_limit"]))
    if kind == "definition":
        return found == 1
    if kind == "trait" and "changed_within_days" in body:
        return found is not None and day - found < body["changed_within_days"]
    if kind == "trait":
        return _trait_holds(facts, body, day, account, user)
    return _judge(found, body)


def _judge(found, body: dict) -> bool:
    if "at_least" in body:
        return found >= body["at_least"]
    if "at_most" in body:
        return found <= body["at_most"]
    if "exactly" in body:
        return found == body["exactly"]
    if "between" in body:
        return body["between"][0] <= found <= body["between"][1]
    return found in body["in"]


def measure(facts: Facts, kind: str, body: dict, day: int, account: int, user: int | None = None):
    """What a condition measures: a number, for recency and stage a day, for a trait its number in millionths or 1."""
    if kind == "definition":
        inner = facts.definitions[body if isinstance(body, str) else body["slug"]]
        if inner.get("level", "account") == "account" or user is not None:
            return int(holds(facts, inner["rule"], day, account, user))
        least = inner.get("account_when", {}).get("users_at_least", 1)
        return int(sum(holds(facts, inner["rule"], day, account, who) for who in people(facts, account, day)) >= least)
    if kind == "users_who":
        return sum(holds(facts, body["rule"], day, account, who) for who in people(facts, account, day))
    if kind == "stage":
        stage = body.get("reached") or body["since"]
        entered = [when for where, name, when in facts.stages if where == account and name == stage]
        if stage == "signed_up":
            entered = [facts.accounts[account][0]] if account else []
        inside = [when for when in entered if when <= day and _inside(facts, body, when, day, account, user)]
        return max(inside) if inside else None
    if kind == "trait" and "changed_within_days" in body:
        of = body.get("of", "account" if user is None else "user")
        began = [
            start
            for whose, who, name, _, start, end in facts.traits
            if (whose, who, name) == (of, account if of == "account" else user, body["name"]) and start < end
        ]
        return max((start for start in began if min(began) < start <= day), default=None)
    if kind == "trait":
        stand = _standing(facts, body, day, account, user)
        if not {"at_least", "at_most", "between"} & body.keys():
            return 1 if stand else None
        numbers = [round(value * 1_000_000) for value in stand if _is_number(value)]
        return max(numbers) if numbers else None
    if kind == "score":
        return sum(_points(facts, signal, day, account, user) for signal in body["signals"])
    if kind == "sequence":
        return max((len(chain) for chain in _chains(facts, body, day, account, user)), default=0)
    ids = _ids(facts, body)
    if kind == "distinct":
        collecting = {number for number, _, _, collects in facts.types.values() if collects == body["of"]}
        rows = [
            (when, value)
            for where, who, number, when, value in facts.values
            if where == account and user in (None, who) and number in ids & collecting and when <= day
        ]
        return _most(facts, body, day, account, user, rows, lambda found: len({value for _, value in found}))
    rows = [
        (when, (who, count))
        for where, who, number, when, count in facts.usage
        if where == account and user in (None, who) and number in ids and when <= day
    ]
    if kind == "recency":
        return max((when for when, _ in rows), default=None)
    if kind == "first":
        return min((when for when, _ in rows), default=None)
    if kind == "change":
        return sum(count for when, (_, count) in rows if day - when < body["days"])
    if kind == "value":
        return _metered(facts, body, day, account, user, ids)
    size = {
        "count": lambda found: sum(count for _, (_, count) in found),
        "days": lambda found: len({when for when, _ in found}),
        "users": lambda found: len({who for _, (who, _) in found if who}),
    }[kind]
    return _most(facts, body, day, account, user, rows, size)


AMOUNTS = {"at_least", "at_most", "exactly", "between"}


def _millionths(value):
    return [_millionths(item) for item in value] if isinstance(value, list) else int(Decimal(str(value)) * 1_000_000)


def _metered(facts, body, day, account, user, ids):
    found = [
        (when, (values, account, who, number))
        for (where, who, number, when), values in facts.metered.items()
        if where == account and user in (None, who) and number in ids and when <= day
    ]
    measure, window = body.get("measure", "sum"), body.get("window", "ever")
    if measure == "sum" and isinstance(window, dict) and "any_days" in window:
        ends = {when for where, who, number, when, _ in facts.usage if (where, number) in {(account, i) for i in ids}
                and user in (None, who) and when <= day}  # fmt: skip
        return max(
            (sum(v[0] for when, (v, *_) in found if 0 <= end - when < window["any_days"]) for end in ends), default=0
        )
    inside = [values for when, (values, *_) in found if _inside(facts, body, when, day, account, user)]
    if measure == "sum":
        return sum(values[0] for values in inside)
    if measure == "max":
        return max((values[1] for values in inside), default=None)
    return max(((values[3], values[2]) for values in inside), default=(None, None))[1]


def extras(facts: Facts, kind: str, body: dict, day: int, account: int, user: int | None = None) -> list:
    """What is told beside the measure."""
    if kind == "sequence":
        whole = [one for one in _chains(facts, body, day, account, user) if len(one) == len(body["steps"])]
        return [max((chain[0][1] for chain in whole), default=None)]
    if kind == "score":
        points = [_points(facts, signal, day, account, user) for signal in body["signals"]]
        parts = [
            sum(found for found, signal in zip(points, body["signals"], strict=True) if signal["part"] == part)
            for part in ("fit", "usage", "intent")
        ]
        return parts + points
    if kind == "change":
        return [measure(facts, kind, body, day - body["days"], account, user)]
    if kind == "value" and "share_of_limit" in body:
        metric = body.get("limit", body["event"])
        plans = {_text(value) for value in _standing(facts, {"name": "plan", "of": "account"}, day, account, user)}
        dated = [(start, limit) for plan, name, start, limit in facts.limits if plan in plans and name == metric]
        return [max((row for row in dated if row[0] <= day), default=(0, None))[1]]
    return []


COMPARISONS = {"at_least", "at_most", "exactly", "between", "in"}


def _times(value, factor):
    return [item * factor for item in value] if isinstance(value, list) else value * factor


def _points(facts: Facts, signal: dict, day: int, account: int, user: int | None) -> int:
    """32nds of a point."""
    if "when" in signal:
        return 32 * signal["points"] * holds(facts, signal["when"], day, account, user)
    ((kind, body),) = signal["per"].items()
    if "half_life_days" not in signal:
        weighed = 32 * measure(facts, kind, body, day, account, user)
    else:
        weighed = sum(
            times * (32 >> steps)
            for when, times in _things(facts, kind, body, day, account, user)
            if (steps := (day - when) // signal["half_life_days"]) < 6
        )
    points, cap = signal["points"] * weighed, 32 * signal.get("cap", 10**9)
    return max(-cap, min(cap, points))


def _things(facts: Facts, kind: str, body: dict, day: int, account: int, user: int | None):
    """The day of each thing that is counted, and how often it counts: a person or a value by its newest day."""
    ids = _ids(facts, body)
    if kind == "distinct":
        collecting = {number for number, _, _, collects in facts.types.values() if collects == body["of"]}
        rows = [(where, who, number, when, value, 1) for where, who, number, when, value in facts.values]
        ids = ids & collecting
    else:
        rows = [(where, who, number, when, who or None, count) for where, who, number, when, count in facts.usage]
    rows = [row for row in rows if row[0] == account and user in (None, row[1]) and row[2] in ids and row[3] <= day]
    if kind == "count":
        return [(when, count) for _, _, _, when, _, count in rows]
    if kind == "days":
        return [(when, 1) for when in {row[3] for row in rows}]
    newest: dict = {}
    for _, _, _, when, thing, _ in rows:
        if thing is not None:
            newest[thing] = max(when, newest.get(thing, when))
    return [(when, 1) for when in newest.values()]


def _chains(facts: Facts, body: dict, day: int, account: int, user: int | None) -> list[list[tuple[int, int]]]:
    """Every way to take the steps in order, as far as it goes: (time, day) of each."""
    rows = {
        key: times
        for key, times in facts.times.items()
        if key[0] == account and user in (None, key[1]) and key[3] <= day
        and _inside(facts, body, key[3], day, account, user)
    }  # fmt: skip
    chains: list[list[tuple[int, int]]] = []
    derived = {number for number, _, is_derived, _ in facts.types.values() if is_derived}
    for step, event in enumerate(body["steps"]):
        ids = _ids(facts, {"event": event})
        here = set()
        for (_, _, kind, when), times in rows.items():
            # of a derived event the log has no times, only the roll-up the first and the last
            here |= {(time, when) for time in (times[0], times[-1]) if kind in ids and kind in derived}
            here |= {(time, when) for time in times if kind in ids and kind not in derived}
        if step == 0:
            chains = [[one] for one in here]
        chains += [
            [*chain, one]
            for chain in chains
            for one in here
            if len(chain) == step and step and one[0] >= chain[-1][0] and one[1] - chain[0][1] < body["within_days"]
        ]
    return chains


def _most(facts, body, day, account, user, rows, size):
    window = body.get("window", "ever")
    if isinstance(window, dict) and "any_days" in window:
        length = window["any_days"]
        return max((size([row for row in rows if 0 <= row[0] - start < length]) for start, _ in rows), default=0)
    return size([row for row in rows if _inside(facts, body, row[0], day, account, user)])


def _inside(facts: Facts, body: dict, when: int, day: int, account: int, user: int | None) -> bool:
    window = body.get("window", "ever")
    if window == "ever":
        return True
    if window == "billing_month":
        first, last = (dt.date(1970, 1, 1) + dt.timedelta(days=number) for number in (when, day))
        return (first.year, first.month) == (last.year, last.month)
    if "last_days" in window:
        return 0 <= day - when < window["last_days"]
    if "first_days" in window:
        if window["of"] == "user":
            start = facts.users[user][0]
        elif account == 0:
            return False
        else:
            start = facts.accounts[account][0]
        return 0 <= when - start < window["first_days"]
    return _day(window.get("from", when)) <= when <= _day(window.get("to", when))


def _day(value) -> int:
    if isinstance(value, int):
        return value
    return (dt.date.fromisoformat(value) - dt.date(1970, 1, 1)).days


def _ids(facts: Facts, body: dict) -> set[int]:
    if body["event"] == "*":
        return {number for number, activity, derived, _ in facts.types.values() if activity and not derived}
    names = [body["event"]] if isinstance(body["event"], str) else body["event"]
    return {facts.types[name][0] for name in names if name in facts.types}


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _standing(facts: Facts, body: dict, day: int, account: int, user: int | None) -> list:
    of = body.get("of", "account" if user is None else "user")
    number = account if of == "account" else user
    return [
        value
        for whose, who, name, value, start, end in facts.traits
        if whose == of
        and who == number
        and name == body["name"]
        and start <= day < end
        and value is not None
        and value != ""
    ]


def _trait_holds(facts: Facts, body: dict, day: int, account: int, user: int | None) -> bool:
    stand = _standing(facts, body, day, account, user)
    if "is_set" in body:
        return bool(stand) == body["is_set"]
    if "exactly" in body or "in" in body:
        wanted = [body["exactly"]] if "exactly" in body else body["in"]
        return any(_same(value, other) for value in stand for other in wanted)
    return any(_judge(value, body) for value in stand if _is_number(value))


def _same(value, other) -> bool:
    """Numbers equal numbers; everything else by its text, where a boolean is the text true or false."""
    if _is_number(value) or _is_number(other):
        return _is_number(value) and _is_number(other) and value == other
    return _text(value) == _text(other)


def _text(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
