"""`manage.py discover`: which early behaviours go with an outcome later, from all of history, at once."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import lake
from accounts.workspace import day_of
from scoring import discover
from scoring.discovery.answer import answer_to
from scoring.discovery.extract import UnknownOutcome

SHOWN = 15


class Command(BaseCommand):
    help = "Which behaviours of the first days after sign-up go with an outcome later, checked on those who came later."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--outcome", default="paid", help="a stage, or the name of an event (paid)")
        parser.add_argument("--first-days", type=int, default=14, help="behaviour of so many first days (14)")
        parser.add_argument("--within", type=int, default=60, help="the outcome so many days after those (60)")
        parser.add_argument("--level", choices=["account", "user"], default="account", help="whose behaviour (account)")
        parser.add_argument("--json", action="store_true", help="print the whole answer as an object")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            asked = discover.checked(
                outcome=options["outcome"],
                first_days=options["first_days"],
                within=options["within"],
                level=options["level"],
            )
        except (UnknownOutcome, discover.OutOfRange) as error:
            raise CommandError(str(error)) from error
        lake.refresh(now=now)
        answer = answer_to(asked, until_day=day_of(now) - 1)
        if options["json"]:
            self.stdout.write(json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False))
        if answer["missing"]:
            lacking = "; ".join(f"{one['what']}: {one['have']:,} of {one['need']:,}" for one in answer["missing"])
            raise CommandError(f"Too little data. {lacking}.")
        if not options["json"]:
            self.stdout.write("\n".join(_lines(answer)))


def _lines(answer: dict[str, Any]) -> list[str]:
    people, tried = answer["population"], answer["tried"]
    halves = [people["search"], people["later"]]
    lines = [
        f"{people['at_risk']:,} at risk, data {people['known_from']} to {people['known_until']}; left out:"
        f" {people['converted_before']:,} converted before, {people['too_young']:,} too young,"
        f" {people['before_data']:,} from before the data",
        *(
            f"  {name} half: signed up {half['from']} to {half['to']}, {half['hits']:,} of {half['of']:,}"
            f" ({_percent(half['value'])})"
            for name, half in zip(("earlier", "later"), halves, strict=True)
        ),
        f"Tried {tried['singles']:,} conditions and {tried['pairs']:,} pairs: {tried['held']:,} hold after correction,"
        f" {tried['confirmed']:,} of them on the later half",
        "",
        f"{'':12}{'do it':>8}{'with':>8}{'without':>9}{'lift':>7}{'later':>7}   behaviour",
    ]
    for one in answer["findings"][:SHOWN]:
        state = "confirmed" if one["confirmed"] else "not again" if one["held"] else "chance"
        search, later = one["search"], one["later"]
        lines.append(
            f"{state:12}{search['doing']:>8,}{_percent(search['with']['value']):>8}"
            f"{_percent(search['without']['value']):>9}{_number(search['lift']['value']):>7}"
            f"{_number(later['lift']['value']):>7}   {one['text']}"
        )
    return lines + _yardstick(answer)


def _yardstick(answer: dict[str, Any]) -> list[str]:
    told = answer["yardstick"]
    if told is None:
        return ["", "No model was made: no behaviour is common enough, or the outcome too rare in the sample."]
    lines = [""]
    for model in told["models"]:
        auc = model["auc"]
        lines.append(
            f"{model['name']}: AUC {_number(auc['value'])} ({_number(auc['low'])} to {_number(auc['high'])}),"
            f" average precision {_number(model['average_precision'])}"
        )
    if told["rule"]:
        rule, best = told["rule"], answer["findings"][answer["best"]]
        lines.append(
            f"Best readable rule: {best['text']}: area {_number(rule['area'])}, precision"
            f" {_percent(rule['precision']['value'])} of {rule['precision']['of']:,}; the models at the same volume"
            f" {' and '.join(_percent(p) for p in rule['model_precision'])}"
        )
    return lines


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
