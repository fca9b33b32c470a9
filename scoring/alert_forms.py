"""Forms of the alert pages: a new destination, its name and address, and what it hears of."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms

from accounts import workspace
from accounts.models import Destination
from accounts.team.destinations import PERSONAL
from scoring.alert_rules import MACHINES, Wanted, kinds_for
from scoring.models import AlertFact, AlertRule, Definition

Channel = Destination.Channel
MINUTES = [(5, "5 minutes"), (15, "15 minutes"), (30, "30 minutes"), (60, "an hour"), (120, "2 hours")]
HOURS = [(hour, f"{hour:02}:00") for hour in range(24)]
CAPS = [(0, "As many as there are"), *((number, str(number)) for number in (1, 2, 3, 5, 10))]


class NewDestinationForm(forms.Form):
    """Where to; a person's e-mail needs no address."""

    channel = forms.ChoiceField(label="Channel")
    name = forms.CharField(label="Name", max_length=100, required=False, help_text="As people call it: #sales-pql.")
    address = forms.CharField(
        label="Address",
        max_length=2_000,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, personal: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channels = PERSONAL if personal else tuple(Channel)
        self.fields["channel"].choices = [(c.value, c.label) for c in channels]  # type: ignore[attr-defined]
        self.fields["address"].help_text = (
            "Of a Slack or Teams webhook. E-mail goes to the address of your log-in."
            if personal
            else "The address of a webhook, or an e-mail address. It is encrypted and not shown again."
        )


class AddressForm(forms.Form):
    """Another name, another address, another secret."""

    name = forms.CharField(label="Name", max_length=100)
    address = forms.CharField(
        label="New address",
        max_length=2_000,
        required=False,
        help_text="Leave it empty to keep the one it has; that one is not shown.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    new_secret = forms.BooleanField(label="Make a new secret; the old one signs beside it for 24 hours", required=False)

    def __init__(self, *args: Any, destination: Destination, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if destination.channel != Channel.SIGNED_WEBHOOK:
            del self.fields["new_secret"]
        if destination.owner_id and destination.channel == Channel.EMAIL:
            del self.fields["address"]


class DefinitionsField(forms.ModelMultipleChoiceField):
    """Definitions by the names that people know them by."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


class RuleForm(forms.Form):
    """What a destination hears of, and when."""

    is_on = forms.BooleanField(
        label="Send alerts here", required=False, widget=forms.CheckboxInput(attrs={"class": "check"})
    )
    kinds = forms.MultipleChoiceField(
        label="What", widget=forms.CheckboxSelectMultiple(attrs={"class": "check"}), required=False
    )
    scope = forms.ChoiceField(label="Whose accounts", widget=forms.RadioSelect, choices=AlertRule.Scope.choices)
    definitions = DefinitionsField(
        label="Definitions",
        queryset=Definition.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "check"}),
    )
    pace = forms.ChoiceField(label="How", widget=forms.RadioSelect, choices=AlertRule.Pace.choices)
    bundle_minutes = forms.TypedChoiceField(label="Bundled for", choices=MINUTES, coerce=int)
    digest_hour = forms.TypedChoiceField(label="Once a day at", choices=HOURS, coerce=int)
    has_quiet = forms.BooleanField(label="Quiet hours", required=False)
    quiet_from = forms.TypedChoiceField(label="From", choices=HOURS, coerce=int)
    quiet_until = forms.TypedChoiceField(label="Until", choices=HOURS, coerce=int)
    time_zone = forms.CharField(label="Time zone", max_length=64, widget=forms.TextInput(attrs={"list": "zones"}))
    per_account = forms.TypedChoiceField(label="At most, about one account in 24 hours", choices=CAPS, coerce=int)

    def __init__(self, *args: Any, destination: Destination, rule: AlertRule, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "initial": _initial(rule)})
        self.destination = destination
        self.is_machine = destination.channel in MACHINES
        labels = dict(AlertFact.Kind.choices)
        self.fields["kinds"].choices = [  # type: ignore[attr-defined]
            (kind, labels[AlertFact.Kind(kind)]) for kind in kinds_for(destination.channel)
        ]
        self.fields["definitions"].queryset = Definition.objects.filter(  # type: ignore[attr-defined]
            archived_at=None, live_version__isnull=False
        ).order_by("name", "pk")
        minutes = rule.bundle_minutes
        if minutes not in dict(MINUTES):
            self.fields["bundle_minutes"].choices = sorted([*MINUTES, (minutes, f"{minutes} minutes")])  # type: ignore[attr-defined]
        if rule.per_account not in dict(CAPS):
            self.fields["per_account"].choices = [*CAPS, (rule.per_account, str(rule.per_account))]  # type: ignore[attr-defined]
        if destination.owner_id is None:
            del self.fields["scope"]
        if self.is_machine:
            for name in (
                "pace",
                "bundle_minutes",
                "digest_hour",
                "has_quiet",
                "quiet_from",
                "quiet_until",
                "time_zone",
            ):
                del self.fields[name]

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"].strip()
        if name not in available_timezones():
            raise forms.ValidationError("Choose a time zone such as Europe/Berlin.")
        return name

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("has_quiet") and found.get("quiet_from") == found.get("quiet_until"):
            self.add_error("quiet_until", "Quiet hours end at another hour than they begin.")
        if found.get("is_on") and not found.get("kinds") and "kinds" not in self.errors:
            self.add_error("kinds", "Choose what to hear of, or switch it off.")
        return found

    @property
    def wanted(self) -> Wanted:
        """What the form says; only of a valid one."""
        said = self.cleaned_data
        quiet = (said["quiet_from"], said["quiet_until"]) if said.get("has_quiet") else None
        return Wanted(
            kinds=said["kinds"],
            scope=said.get("scope", AlertRule.Scope.ALL),
            definition_ids=[definition.pk for definition in said["definitions"]],
            pace=said.get("pace", AlertRule.Pace.IMMEDIATE),
            bundle_minutes=said.get("bundle_minutes", 15),
            digest_hour=said.get("digest_hour", 8),
            quiet=quiet,
            time_zone=said.get("time_zone", workspace.zone().key),
            per_account=said["per_account"],
            is_on=said["is_on"],
        )


def _initial(rule: AlertRule) -> dict[str, Any]:
    return {
        "is_on": rule.on_since is not None,
        "kinds": rule.kinds,
        "scope": rule.scope,
        "definitions": [definition.pk for definition in rule.definitions.all()] if rule.pk else [],
        "pace": rule.pace,
        "bundle_minutes": rule.bundle_minutes,
        "digest_hour": rule.digest_hour,
        "has_quiet": rule.quiet_from is not None,
        "quiet_from": 19 if rule.quiet_from is None else rule.quiet_from,
        "quiet_until": 7 if rule.quiet_until is None else rule.quiet_until,
        "time_zone": rule.time_zone,
        "per_account": rule.per_account,
    }
