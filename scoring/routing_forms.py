"""Forms of the routing pages: a step of the ladder, what a person takes, leave, a speed policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from accounts.models import BusinessCalendar, StaffUser
from accounts.team import calendars
from scoring import ladder
from scoring.models import Play, RoutingPool

DATE = {"type": "date"}


class StepForm(forms.Form):
    """One rung, as it is typed. `stored` is what the ladder keeps; the fields that show depend on the kind."""

    kind = forms.ChoiceField(choices=list(ladder.KINDS.items()), widget=forms.HiddenInput)
    name = forms.CharField(label="Name", max_length=80, required=False)
    last_owner_days = forms.IntegerField(
        label="Also who had it last, for so many days after they let go",
        min_value=0,
        max_value=3650,
        required=False,
        help_text="0: only who owns the account now.",
    )
    accounts = forms.CharField(
        label="Accounts and their people",
        required=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="One a line: a domain or account id, “=”, and the log-in of the person: acme.com = dana",
    )
    plans = forms.CharField(label="Plans", max_length=1000, required=False, help_text="Comma-separated; empty: any.")
    countries = forms.CharField(
        label="Countries", max_length=2000, required=False, help_text="As the trait “country” says it; empty: any."
    )
    employees_from = forms.IntegerField(label="Employees from", min_value=0, required=False)
    employees_to = forms.IntegerField(label="Employees to", min_value=0, required=False)
    mrr_from = forms.DecimalField(label="MRR from", min_value=0, max_digits=14, decimal_places=2, required=False)
    mrr_to = forms.DecimalField(label="MRR to", min_value=0, max_digits=14, decimal_places=2, required=False)
    to = forms.ChoiceField(label="Give it to", required=False)

    SHOWN = {
        "owner": ("last_owner_days",),
        "named": ("name", "accounts"),
        "rule": ("name", "plans", "countries", "employees_from", "employees_to", "mrr_from", "mrr_to", "to"),
        "pool": ("name", "to"),
    }

    def __init__(
        self,
        *args: Any,
        people: Sequence[StaffUser] = (),
        pools: Sequence[RoutingPool] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        kind = self.data.get(self.add_prefix("kind")) if self.is_bound else self.initial.get("kind")
        self.step_kind = kind if kind in ladder.KINDS else "pool"
        self._people = {p.username.casefold(): p.pk for p in people}
        groups: list[tuple[str, Any]] = [("", "Choose…"), ("Pools", [(f"pool:{p.pk}", p.name) for p in pools])]
        if self.step_kind == "rule":
            groups.append(("People", [(f"person:{p.pk}", p.label) for p in people]))
        self.fields["to"].choices = groups  # type: ignore[attr-defined]

    @property
    def shown(self) -> list[forms.BoundField]:
        """The fields that this kind of step has."""
        return [self[name] for name in self.SHOWN[self.step_kind]]

    @property
    def label(self) -> str:
        return ladder.KINDS[self.step_kind]

    def clean_accounts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for number, line in enumerate(self.cleaned_data["accounts"].splitlines(), start=1):
            if not line.strip():
                continue
            key, _, person = (part.strip().casefold() for part in line.rpartition("="))
            if not key or person not in self._people:
                raise forms.ValidationError(f"Line {number}: expected “acme.com = log-in of somebody who sells”.")
            found[key] = self._people[person]
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                ladder.read([self.stored()])
            except ladder.BadLadder as error:
                self.add_error(None, str(error))
        return cleaned

    def stored(self) -> dict[str, Any]:
        """The step as the ladder keeps it."""
        data, kind = self.cleaned_data, self.step_kind
        step: dict[str, Any] = {"kind": kind}
        if kind == "owner":
            return step | {"last_owner_days": data["last_owner_days"] or 0}
        step["name"] = data["name"].strip()
        if kind == "named":
            return step | {"accounts": data["accounts"]}
        what, _, pk = data["to"].partition(":")
        if pk:
            step[what] = int(pk)
        if kind == "pool":
            return step
        mrr = [None if value is None else str(value) for value in (data["mrr_from"], data["mrr_to"])]
        return step | {
            "plans": _words(data["plans"]),
            "countries": _words(data["countries"]),
            "employees": [data["employees_from"], data["employees_to"]],
            "mrr": mrr,
        }


def typed(step: Mapping[str, Any], people: Sequence[StaffUser]) -> dict[str, Any]:
    """A stored step as StepForm's initial values."""
    logins = {p.pk: p.username for p in people}
    low, high = (step.get("employees") or [None, None])[:2]
    least, most = (step.get("mrr") or [None, None])[:2]
    to = f"pool:{step['pool']}" if step.get("pool") else f"person:{step['person']}" if step.get("person") else ""
    return {
        "kind": step["kind"],
        "name": step.get("name", ""),
        "last_owner_days": step.get("last_owner_days", 0),
        "accounts": "\n".join(f"{k} = {logins.get(v, '')}" for k, v in sorted((step.get("accounts") or {}).items())),
        "plans": ", ".join(step.get("plans", ())),
        "countries": ", ".join(step.get("countries", ())),
        "employees_from": low,
        "employees_to": high,
        "mrr_from": least,
        "mrr_to": most,
        "to": to,
    }


class LadderForm(forms.Form):
    """What a publication of the ladder needs beside its steps."""

    reason = forms.CharField(label="Why this change", max_length=300, help_text="Stands in the history.")
    replaces = forms.IntegerField(min_value=1, widget=forms.HiddenInput)


class PoolForm(forms.Form):
    """A pool's name, and a weight for each person; 0 or empty: not in it."""

    name = forms.CharField(label="Name", max_length=80)
    edition = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, *args: Any, people: Sequence[StaffUser], weights: Mapping[int, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = people
        for person in people:
            self.fields[f"w{person.pk}"] = forms.IntegerField(
                label=person.label, min_value=0, max_value=100, required=False, initial=weights.get(person.pk)
            )

    @property
    def rows(self) -> list[forms.BoundField]:
        return [self[f"w{person.pk}"] for person in self.people]

    @property
    def weights(self) -> dict[int, int]:
        return {p.pk: w for p in self.people if (w := self.cleaned_data.get(f"w{p.pk}"))}


class SellerForm(forms.Form):
    """What somebody takes."""

    calendar = forms.ModelChoiceField(
        label="Working hours",
        queryset=BusinessCalendar.objects.order_by("name"),
        required=False,
        empty_label="Around the clock",
        help_text="Pools give them nothing outside these hours.",
    )
    daily_cap = forms.IntegerField(
        label="At most so many a day", min_value=0, max_value=1000, required=False, help_text="Empty: no limit."
    )
    open_cap = forms.IntegerField(
        label="At most so many open",
        min_value=0,
        max_value=10_000,
        required=False,
        help_text="Snoozed ones are not counted. Empty: no limit.",
    )
    ramp_from = forms.DateField(
        label="First day", required=False, widget=forms.DateInput(attrs=DATE), help_text="Nothing before it."
    )
    ramp = forms.CharField(
        label="Ramp",
        required=False,
        max_length=200,
        help_text="Percent of the weight, week by week from the first day: 25, 50, 75. Afterwards all of it.",
    )
    edition = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def clean_ramp(self) -> list[int]:
        try:
            return [int(part) for part in _words(self.cleaned_data["ramp"].replace("%", ""))]
        except ValueError:
            raise forms.ValidationError("Expected whole numbers, like 25, 50, 75.") from None


class LeaveForm(forms.Form):
    """Days on which somebody is away."""

    first_day = forms.DateField(label="From", widget=forms.DateInput(attrs=DATE))
    last_day = forms.DateField(label="To, included", widget=forms.DateInput(attrs=DATE))
    note = forms.CharField(label="Note", max_length=100, required=False)


class PolicyForm(forms.Form):
    """A speed policy."""

    play = forms.ModelChoiceField(
        label="For what this play hands over",
        queryset=Play.objects.filter(action=Play.Action.SALES_HANDOFF)
        .exclude(status=Play.Status.ARCHIVED)
        .order_by("name"),
        required=False,
        empty_label="Everything that has no policy of its own",
    )
    is_on = forms.BooleanField(label="In force", required=False)
    claim_minutes = forms.IntegerField(
        label="Claimed within, minutes", min_value=1, max_value=100_000, required=False, help_text="Empty: no target."
    )
    touch_minutes = forms.IntegerField(
        label="First touch within, minutes",
        min_value=1,
        max_value=100_000,
        required=False,
        help_text="From the moment somebody has it. Empty: no target.",
    )
    warn_percent = forms.IntegerField(
        label="Warn at percent of the target", min_value=1, max_value=99, required=False, help_text="Empty: never."
    )
    reroute_after = forms.IntegerField(
        label="Give it to somebody else, minutes after",
        min_value=0,
        max_value=100_000,
        required=False,
        help_text="After the target was missed. Empty: never.",
    )
    escalate_after = forms.IntegerField(
        label="Tell the managers, minutes after",
        min_value=0,
        max_value=100_000,
        required=False,
        help_text="After the target was missed. Empty: never.",
    )
    calendar = forms.ModelChoiceField(
        label="Business hours",
        queryset=BusinessCalendar.objects.order_by("name"),
        required=False,
        empty_label="Around the clock",
        help_text="All minutes here count in them.",
    )
    edition = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


def _day(words: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(label=words, required=False, max_length=200, help_text=help_text)


class CalendarForm(forms.Form):
    """Open hours of a week, closed dates, and dates with hours of their own, as people type them."""

    name = forms.CharField(label="Name", max_length=100)
    time_zone = forms.CharField(label="Time zone", max_length=64, help_text="Like Europe/Berlin.")
    mon = _day("Monday", "Like 09:00-12:30, 13:30-17:00. Empty: closed. 24:00 ends a day.")
    tue, wed, thu = _day("Tuesday"), _day("Wednesday"), _day("Thursday")
    fri, sat, sun = _day("Friday"), _day("Saturday"), _day("Sunday")
    holidays = forms.CharField(
        label="Closed dates",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One a line, like 2026-12-25.",
    )
    overrides = forms.CharField(
        label="Dates with hours of their own",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line, like 2026-12-24 09:00-12:00. They beat the week and the closed dates.",
    )
    was = forms.CharField(required=False, max_length=16, widget=forms.HiddenInput)

    @classmethod
    def of(cls, row: BusinessCalendar) -> dict[str, str]:
        """What the form begins with for a stored calendar."""
        dated = [f"{day} {_spans_text(spans)}".strip() for day, spans in sorted(row.overrides.items())]
        return {
            "name": row.name,
            "time_zone": row.time_zone,
            **{day: _spans_text(row.hours.get(day, ())) for day in WEEK},
            "holidays": "\n".join(row.holidays),
            "overrides": "\n".join(dated),
            "was": calendars.mark_of(row),
        }

    def told(self) -> dict[str, Any]:
        """What was typed, as `calendars.save` takes it. Times and dates are judged there."""
        data = self.cleaned_data
        lines = [line.split(None, 1) for line in data["overrides"].splitlines() if line.strip()]
        return {
            "name": data["name"],
            "time_zone": data["time_zone"].strip(),
            "hours": {day: spans for day in WEEK if (spans := _spans(data[day]))},
            "holidays": data["holidays"].split(),
            "overrides": {day: _spans(rest[0] if rest else "") for day, *rest in lines},
            "was": data["was"],
        }


WEEK = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}


def _spans(text: str) -> list[list[str]]:
    return [[part.strip() for part in span.replace("–", "-").split("-")] for span in _words(text)]


def _spans_text(spans: Sequence[Sequence[str]]) -> str:
    return ", ".join("-".join(span) for span in spans)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
