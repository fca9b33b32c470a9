"""A stored answer as the page shows it: charts with their words, and rows with their numbers. Pure."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import Stage
from plgops.templatetags.charts import nice_top
from plgops.templatetags.discovered import percent
from plgops.templatetags.estimates import Curve, Dose, Estimate, Scale, Square
from scoring.discovery import told

SHOWN, SHOWN_DOSES = 10, 6
_REACH = (1, 1.5, 2, 3, 4, 6, 10, 20, 40)
_KINDS = {
    "rises": "The more, the likelier.",
    "falls": "The more, the less likely.",
    "level": "No difference that could not be chance.",
    "uneven": "Up and down, but that may be chance.",
    "dips": "More is not better: least likely in the middle.",
}
_MEASURES = {"count": "times", "days": "days", "users": "people"}


@dataclass(frozen=True, slots=True)
class Row:
    """A finding beside its chart; `index` is its place in the answer."""

    index: int
    one: Mapping[str, Any]
    estimates: Sequence[Estimate]
    tone: str
    icon: str
    state: str
    draft: str  # a definition of it as JSON, for its backtest; empty where it may not become one


@dataclass(frozen=True, slots=True)
class Card:
    """A behaviour's doses: a chart, what the curve does in words, and the numbers."""

    name: str
    measure: str
    chart: Dose
    words: str
    warns: bool
    bins: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]  # dose, earlier half, later half


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the page of an answer shows."""

    asked: str
    scale: Scale
    rows: Sequence[Row]
    more: Sequence[Row]
    cards: Sequence[Card]
    models: Sequence[tuple[Mapping[str, Any], float | None]]  # with the precision at the readable rule's volume
    roc: Square | None
    calibration: Square | None
    verdict: str
    best: Row | None
    dates: Mapping[str, dt.date | None]


def asked(question: Mapping[str, Any]) -> str:
    """The outcome and its days in words: `Paid within 60 days after the first 14`."""
    outcome, first = question["outcome"], question["first_days"]
    name = str(Stage(outcome).label) if outcome in Stage.values else f"“{outcome}”"
    within = f"{question['within']} day{'' if question['within'] == 1 else 's'}"
    return f"{name} within {within} after the first {first if first > 1 else 'day'}"


def drawn(answer: Mapping[str, Any]) -> Drawn:
    """The charts and rows of an answer that was found."""
    scale = _scale(answer["findings"])
    rows = [_row(index, one, answer["asked"]) for index, one in enumerate(answer["findings"])]
    yardstick = answer["yardstick"]
    best = rows[answer["best"]] if answer["best"] is not None else None
    people = answer["population"]
    return Drawn(
        asked=asked(answer["asked"]),
        scale=scale,
        rows=rows[:SHOWN],
        more=rows[SHOWN:],
        cards=[_card(one) for one in answer["doses"][:SHOWN_DOSES]],
        models=_models(yardstick) if yardstick else (),
        roc=_roc(yardstick, best) if yardstick else None,
        calibration=_calibration(yardstick) if yardstick else None,
        verdict=_verdict(yardstick, best),
        best=best,
        dates={
            "known_from": _date(people["known_from"]),
            "known_until": _date(people["known_until"]),
            **{f"{half}_{end}": _date(people[half][end]) for half in ("search", "later") for end in ("from", "to")},
        },
    )


def _date(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def _row(index: int, one: Mapping[str, Any], question: Mapping[str, Any]) -> Row:
    if one["confirmed"]:
        tone, icon, state = (
            ("ok", "check", "Confirmed") if one["towards"] else ("warn", "arrow-down", "Confirmed, less")
        )
    elif one["held"]:
        tone, icon, state = "line", "rotate-ccw", "Not again"
    else:
        tone, icon, state = "line", "circle-dashed", "May be chance"
    estimates = [
        _lift(one["search"]["lift"], "first", "Earlier half"),
        _lift(one["later"]["lift"], "second" if one["towards"] else "second low", "Later half"),
    ]
    draft = json.dumps(told.document(one, question), ensure_ascii=False) if told.may_be_drafted(one) else ""
    return Row(index, one, estimates, tone, icon, state, draft)


def _lift(of: Mapping[str, float | None], css: str, half: str) -> Estimate:
    value, low, high = of["value"], of["low"], of["high"]
    if value is None:
        said = f"{half}: nobody did it"
    elif low is None or high is None:
        said = f"{half}: lift {value:.2f}"
    else:
        said = f"{half}: lift {value:.2f} ({low:.2f} to {high:.2f})"
    return Estimate(value, low, high, css, said)


def _scale(findings: Sequence[Mapping[str, Any]]) -> Scale:
    """Far enough for every value and for most intervals; very wide ones end at the edge, or they would drown all."""
    shown = [
        one[half]["lift"] for one in findings[:SHOWN] for half in ("search", "later") if one[half]["lift"]["value"]
    ]
    values = [of["value"] for of in shown]
    highest, lowest = max(values, default=2.0), min(values, default=1.0)
    highest = max([highest, *(of["high"] for of in shown if of["high"] and of["high"] <= 2 * highest)])
    lowest = min([lowest, *(of["low"] for of in shown if of["low"] and of["low"] >= lowest / 2)])
    high = next((step for step in _REACH[2:] if highest <= step), _REACH[-1])
    low = next((1 / step for step in _REACH if lowest >= 1 / step), 1 / _REACH[-1])
    ticks = {low, 1.0, float(high)} | {float(step) for step in (2, 4, 10) if 1 < step < high / 1.4}
    return Scale(min(low, 0.8), high, sorted(ticks))


def _card(one: Mapping[str, Any]) -> Card:
    labels = [_dose(part["low"], part["high"]) for part in one["bins"]]
    series = [
        [_share(part[half], css, label, name) for part, label in zip(one["bins"], labels, strict=True)]
        for half, css, name in (("search", "first", "earlier half"), ("later", "second", "later half"))
    ]
    highest = max((e.high for part in series for e in part if e.high is not None and e.value is not None), default=1.0)
    top, ticks = nice_top(min(highest, 100.0))
    words, band = _KINDS.get(one["kind"], ""), None
    if one["kind"] == "peaks":
        low, high = one["peak"]
        starts, ends = [part["low"] for part in one["bins"]], [part["high"] for part in one["bins"]]
        band = (starts.index(low), ends.index(high))
        again = {True: "so it is in the later half", False: "but not in the later half", None: ""}[one["falls_later"]]
        words = f"More is not better: most likely at {_dose(low, high)}" + (f", and {again}." if again else ".")
        words = words.replace(", and but", ", but")
    return Card(
        name=one["name"],
        measure=_MEASURES[one["measure"]],
        chart=Dose(
            f"{one['name']}: who has the outcome, by {_MEASURES[one['measure']]}", labels, series, top, ticks, band
        ),
        words=words,
        warns=one["kind"] in ("peaks", "dips"),
        bins=[(label, part["search"], part["later"]) for label, part in zip(labels, one["bins"], strict=True)],
    )


def _dose(low: int, high: int | None) -> str:
    if high is None:
        return f"{low:,}+"
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _share(of: Mapping[str, Any], css: str, label: str, half: str) -> Estimate:
    if of["value"] is None:
        return Estimate(None, None, None, css, f"{label}, {half}: nobody")
    said = f"{label}, {half}: {percent(of['value'])} of {of['of']:,} ({percent(of['low'])} to {percent(of['high'])})"
    return Estimate(100 * of["value"], 100 * of["low"], 100 * of["high"], css, said)


def _models(of: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], float | None]]:
    precisions = of["rule"]["model_precision"] if of["rule"] else [None] * len(of["models"])
    return list(zip(of["models"], precisions, strict=True))


def _roc(of: Mapping[str, Any], best: Row | None) -> Square:
    curves = [Curve(model["name"], model["roc"], css) for model, css in zip(of["models"], ("c1", "c2"), strict=False)]
    said = [f"{model['name']}: area {model['auc']['value']:.2f}" for model in of["models"]]
    points = []
    rule = of["rule"]
    if rule and best:
        words = (
            f"{best.one['text']}: finds {percent(rule['sensitivity'])} of those with the outcome and flags"
            f" {percent(rule['false_positive'])} of the others"
        )
        points = [(rule["false_positive"], Estimate(rule["sensitivity"], None, None, "rule", words))]
        said.append(words)
    return Square(
        "ROC curves on the later half",
        "; ".join(said),
        "Flagged of those without",
        "Found of those with",
        curves,
        points,
    )


def _calibration(of: Mapping[str, Any]) -> Square:
    points, said = [], []
    for model, css in zip(of["models"], ("m1", "m2"), strict=False):
        for part in model["calibration"]:
            words = f"predicted {percent(part['predicted'])}, came {percent(part['value'])} of {part['of']:,}"
            words = f"{model['name']}: {words}"
            points.append((part["predicted"], Estimate(part["value"], part["low"], part["high"], css, words)))
            said.append(words)
    highest = max([x for x, _ in points] + [e.value or 0 for _, e in points], default=1.0)
    top = next((step for step in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8) if highest <= step), 1.0)
    points = [(min(x, top), e) for x, e in points]
    return Square("Calibration on the later half", "; ".join(said), "Predicted", "Came true", (), points, top)


def _verdict(of: Mapping[str, Any] | None, best: Row | None) -> str:
    """How close the readable rule comes, in a sentence."""
    if of is None:
        return "No model was made: no behaviour is common enough, or the outcome too rare in the sample."
    strongest = max(of["models"], key=lambda model: model["auc"]["value"] or 0)
    auc = strongest["auc"]
    if auc["low"] is not None and auc["low"] <= 0.5:
        return (
            f"The models cannot tell either: the best one's area is {auc['value']:.2f} ({auc['low']:.2f} to"
            f" {auc['high']:.2f}), and 0.50 is chance. Early behaviour says little about this outcome."
        )
    rule = of["rule"]
    if not rule or best is None:
        return f"No readable rule goes with the outcome; the best model's area is {auc['value']:.2f}."
    model = max(part or 0 for part in rule["model_precision"])
    said = "" if best.one["confirmed"] else "The best that was tried, and it may be chance: "
    said += (
        f"“{best.one['text']}” flags {percent(rule['volume'])} of the later half, and"
        f" {percent(rule['precision']['value'])} of them have the outcome; the {percent(rule['volume'])} that the best"
        f" model ranks highest: {percent(model)}. Of all: {percent(of['rate'])}."
    )
    if rule["reach"] is not None:
        said += f" The readable rule reaches {percent(rule['reach'])} of the model's precision."
    return said
