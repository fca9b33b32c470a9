"""What a backtest is asked for, as a form: versions, period, outcome."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from accounts.models import Stage
from plgops.lib import days
from scoring.backtest import run
from scoring.models import Purpose

LONGEST = 3650
DRAFT = "draft"
# What a definition of that purpose is written for; of the others it is a payment.
HOPED_FOR = {Purpose.EXPANSION: Stage.EXPANDED, Purpose.RISK: Stage.CHURNED}


class BacktestForm(forms.Form):
    """`version` is a number of the definition, or DRAFT; `against` a second one, or empty.

    Always bound: what is not given is the live version (beside a draft), the year up to the end of the data, and what
    the purpose hopes for within 60 days. So a bare address is a whole question, and one with a mistake says where.
    """

    version = forms.ChoiceField(label="Version")
    against = forms.ChoiceField(label="Beside it", required=False)
    outcome = forms.CharField(label="Outcome", max_length=200)
    within = forms.IntegerField(label="Within days", min_value=1, max_value=LONGEST)

    def __init__(
        self,
        given: Mapping[str, Any],
        *,
        versions: Sequence[int],
        live: int,
        until: int,
        purpose: str,
        draft: bool = False,
    ) -> None:
        """`versions` are the definition's numbers, newest first (a draft: those of what is published under its slug);
        `live` the number that is live (0: none); `until` the last day of the data."""
        said = {key: given[key] for key in given if given[key] or key == "against"}
        if draft:
            said["version"] = DRAFT
        hoped_for = HOPED_FOR.get(Purpose(purpose), Stage.PAID)
        super().__init__({**self._defaults(live, until, draft), "outcome": hoped_for.value, **said})
        self.until = until
        named = [(str(number), f"v{number}, live" if number == live else f"v{number}") for number in versions]
        own = [(DRAFT, "The draft")] if draft else named
        self._choices("version", own)
        self._choices("against", [("", "Nothing"), *named])
        last = days.date_of(until).isoformat()
        for name, label in (("from", "From"), ("to", "To")):
            widget = forms.DateInput(attrs={"type": "date", "max": last}, format="%Y-%m-%d")
            self.fields[name] = forms.DateField(label=label, widget=widget, input_formats=["%Y-%m-%d"])
        self.fields["outcome"].widget.attrs |= {"list": "outcomes", "autocomplete": "off", "spellcheck": "false"}
        self.fields["within"].widget.attrs |= {"inputmode": "numeric"}
        self.order_fields(["version", "against", "from", "to", "outcome", "within"])

    @staticmethod
    def _defaults(live: int, until: int, draft: bool) -> dict[str, str]:
        return {
            "version": DRAFT if draft else str(live),
            "against": str(live) if draft and live else "",
            "from": days.date_of(until - 365).isoformat(),
            "to": days.date_of(until).isoformat(),
            "within": "60",
        }

    def _choices(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean_outcome(self) -> str:
        outcome: str = self.cleaned_data["outcome"]
        try:
            run.check_outcome(outcome)
        except run.UnknownOutcome as error:
            raise forms.ValidationError("No stage and no event has this name. Pick one of the list.") from error
        return outcome

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        first: dt.date | None = cleaned.get("from")
        last: dt.date | None = cleaned.get("to")
        if first and last and last < first:
            self.add_error("to", "The period ends before it begins.")
        elif last and days.day_number(last) > self.until:
            self.add_error("to", f"The data ends on {days.date_of(self.until):%Y-%m-%d}.")
        elif first and last and (last - first).days > LONGEST:
            self.add_error("from", f"At most {LONGEST:,} days at once.")
        if cleaned.get("against") and cleaned.get("against") == cleaned.get("version"):
            self.add_error("against", "Choose another version than the first.")
        return cleaned

    @property
    def period(self) -> tuple[int, int]:
        """The first and last day; only of a valid form."""
        return days.day_number(self.cleaned_data["from"]), days.day_number(self.cleaned_data["to"])
