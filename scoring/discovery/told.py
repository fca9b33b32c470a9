"""A discovery's result as plain data, and its findings as words and as definitions. Pure.

The result is stored as JSON: it holds no NaN and no number that a browser would round.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from plgops.lib import days
from scoring import stats
from scoring.discovery.asked import ANY, RATE, Asked, Condition, Found, Half, Population
from scoring.discovery.shape import Bin, Shape
from scoring.discovery.yardstick import Measured

ANY_NAME = "Any activity"
LONGEST_TITLE = 60
NEVER_AGAIN = ("paid", "activated")  # stages after which the question is answered: a draft leaves out who is there


def text(parts: Sequence[Condition], names: Mapping[int, str]) -> str:
    """Behaviours in a few words: `Invite Sent 3+ times, first 14 days`; the days once where all have the same."""
    said = [_much(part, names) for part in parts]
    if len({part.window for part in parts}) == 1:
        return f"{' and '.join(said)}, {_days(parts[0])}"
    return " and ".join(f"{words}, {_days(part)}" for words, part in zip(said, parts, strict=True))


def _much(part: Condition, names: Mapping[int, str]) -> str:
    name = ANY_NAME if part.event == ANY else names[part.event]
    much = f"{part.low:,}+" if part.high is None else f"{part.low:,}"
    if part.high is not None and part.high != part.low:
        much = f"{part.low:,} to {part.high:,}"
    if part.measure == "days":
        return f"{name} on {much} {'day' if much == '1' else 'days'}"
    if part.measure == "users":
        return f"{name} by {much} {'person' if much == '1' else 'people'}"
    return name if much == "1+" else f"{name} {much} {'time' if much == '1' else 'times'}"


def _days(part: Condition) -> str:
    return f"first {'day' if part.window == 1 else f'{part.window} days'}"


def condition(part: Condition, *, level: str, events: str | Sequence[str]) -> dict[str, Any]:
    """A behaviour as a condition of the rule language. `events` is the event's name, or what ANY stands for."""
    asked: dict[str, Any] = {"event": events if isinstance(events, str) else list(events)}
    if part.high is None:
        asked["at_least"] = part.low
    elif part.high == part.low:
        asked["exactly"] = part.low
    else:
        asked["between"] = [part.low, part.high]
    asked["window"] = {"first_days": part.window, "of": level}
    return {part.measure: asked}


def document(finding: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """A finding (as stored) as the draft of a definition; who has the outcome already is left out of it."""
    rules = [part["rule"] for part in finding["parts"]]
    if asked["outcome"] in NEVER_AGAIN:
        rules.append({"not": {"stage": {"reached": asked["outcome"]}}})
    name = title(finding["parts"])
    purpose = "expansion" if asked["outcome"] == "expanded" else "pql"
    return {
        "slug": slug(name),
        "name": name,
        "purpose": purpose,
        "level": asked["level"],
        "rule": rules[0] if len(rules) == 1 else {"all": rules},
    }


def title(parts: Sequence[Mapping[str, Any]]) -> str:
    """What somebody would call the definition made of a finding's parts (as stored): at most LONGEST_TITLE letters.

    The rule says the rest: amounts are left out where there is no room for them, then all but the first behaviour.
    """
    full = [_called(part, amount=True) for part in parts]
    bare = list(dict.fromkeys(_called(part, amount=False) for part in parts))
    tries = [full, bare, [bare[0], "more"][: len(bare)]]
    for words in tries:
        if len(name := f"Early {' and '.join(words)}") <= LONGEST_TITLE:
            return name
    return f"{name[: LONGEST_TITLE - 1].rstrip()}…"


def _called(part: Mapping[str, Any], *, amount: bool) -> str:
    if part["event"] == ANY:
        name = "activity"
    else:
        event = part["rule"][part["measure"]]["event"]
        name = event if isinstance(event, str) else event[0]
    low, high = part["low"], part["high"]
    much = f"{low:,}" if high in (None, low) else f"{low:,} to {high:,}"
    if not amount or (much == "1" and high is None):
        return name
    if part["measure"] == "days":
        return f"{name} on {much} {'day' if much == '1' else 'days'}"
    if part["measure"] == "users":
        return f"{name} by {much} {'person' if much == '1' else 'people'}"
    return f"{name} ×{much}"


def may_be_drafted(finding: Mapping[str, Any]) -> bool:
    """Whether a finding may become a definition: it holds, and a rule of it flags those who are likelier."""
    return bool(finding["towards"] and finding["held"])


def slug(name: str) -> str:
    """A name for files and commands out of words: lower-case letters, digits and single hyphens."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return words[:80].strip("-") or "discovered"


def finding(
    one: Found, asked: Asked, population: Population, *, names: Mapping[int, str], anything: Any
) -> dict[str, Any]:
    """Something that was tried, with its numbers in both halves. `anything` is what ANY stands for in a rule."""
    parts = [
        {
            "event": part.event,
            "measure": part.measure,
            "window": part.window,
            "low": part.low,
            "high": part.high,
            "text": text([part], names),
            "rule": condition(part, level=asked.level, events=anything if part.event == ANY else names[part.event]),
        }
        for part in one.parts
    ]
    return {
        "parts": parts,
        "text": text(one.parts, names),
        "towards": one.search.goes_with,
        "p": one.p,
        "q": one.q,
        "held": one.held,
        "later_p": one.later_p,
        "later_q": one.later_q,
        "confirmed": one.confirmed,
        "search": numbers(one.search, population.search),
        "later": numbers(one.later, population.later),
    }


def numbers(table: stats.Table, half: Half) -> dict[str, Any]:
    """What is known of a thing in one half: shares with and without it, and how far it goes with the outcome."""
    design = half.design
    return {
        "doing": table.doing,
        "with": share(stats.share(table.with_hits, table.doing, design=design)),  # the positive predictive value
        "without": share(stats.share(table.without_hits, table.of - table.doing, design=design)),
        "sensitivity": share(stats.share(table.with_hits, table.hits, design=design)),
        "lift": ratio(stats.lift(table, design=design)),
        "odds_ratio": ratio(stats.odds_ratio(table, design=design)),
        "bits": stats.mutual_information(table),
    }


def share(of: stats.Share) -> dict[str, Any]:
    return {"hits": of.hits, "of": of.of, "value": of.value, "low": of.low, "high": of.high}


def ratio(of: stats.Ratio) -> dict[str, Any]:
    return {"value": of.value, "low": of.low, "high": of.high}


def population(of: Population) -> dict[str, Any]:
    """Who was looked at; days as dates."""
    return {
        "known_from": days.date_of(of.known_from).isoformat(),
        "known_until": days.date_of(of.known_until).isoformat(),
        "signed_up": of.signed_up,
        "before_data": of.before_data,
        "too_young": of.too_young,
        "converted_before": of.converted_before,
        "at_risk": of.search.of + of.later.of,
        "search": _half(of.search),
        "later": _half(of.later),
    }


def _half(half: Half) -> dict[str, Any]:
    return {
        "from": None if half.first_day is None else days.date_of(half.first_day).isoformat(),
        "to": None if half.last_day is None else days.date_of(half.last_day).isoformat(),
        "design": half.design,
        **share(stats.share(half.hits, half.of, design=half.design)),
    }


def dose(
    part: Condition, bins: Sequence[Bin], shape: Shape, q: float, names: Mapping[int, str], halves: Population
) -> dict[str, Any]:
    """The bins of the behaviour that a finding is about, in both halves, and what their curve does; `uneven` where a
    peak or dip may be chance. The peak of a finding that is a band is that band."""
    first, last = shape.peak
    if part.high is not None:
        first, last = ([b.low for b in bins].index(part.low), [b.high for b in bins].index(part.high))
    return {
        "name": ANY_NAME if part.event == ANY else names[part.event],
        "measure": part.measure,
        "bins": [
            {
                "low": b.low,
                "high": b.high,
                "search": share(stats.share(b.hits, b.of, design=halves.search.design)),
                "later": share(stats.share(b.later_hits, b.later_of, design=halves.later.design)),
            }
            for b in bins
        ],
        "kind": shape.kind if q <= RATE or shape.kind not in ("peaks", "dips") else "uneven",
        "p": shape.p,
        "q": q,
        "peak": [bins[first].low, bins[last].high],
        "falls_later": _falls(bins, first, last),
    }


def _falls(bins: Sequence[Bin], first: int, last: int) -> bool | None:
    """Whether the outcome is rarer above the peak in the later half too; None without anybody there."""
    top, above = bins[first : last + 1], bins[last + 1 :]
    (of, hits), (more, more_hits) = (
        (sum(b.later_of for b in part), sum(b.later_hits for b in part)) for part in (top, above)
    )
    return more_hits * of < hits * more if of and more else None


def model(of: Measured) -> dict[str, Any]:
    """A model on the later half."""
    return {
        "name": of.name,
        "auc": ratio(of.auc),
        "average_precision": of.average_precision,
        "brier": of.brier,
        "brier_skill": of.brier_skill,
        "calibration": [{"predicted": predicted, **share(came)} for predicted, came in of.calibration],
        "roc": [[round(x, 4), round(y, 4)] for x, y in of.roc],
    }
