"""Forms of plays: what may change, a new one, a task's outcome, and how often people meet prompts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator

from scoring import audience, nudge_mail, playbook
from scoring.models import CsTask, Definition, Play, PromptRules, Purpose

CONTENT = ("headline", "body", "button", "url", "style", "due_days", "people")
# what a new prompt says at each moment before somebody writes better words
MOMENTS: dict[str, dict[str, Any]] = {
    "limit_reached": {
        "name": "Limit reached",
        "promotional": False,
        "headline": "You have reached your plan’s limit",
        "body": "What is there stays as it is. A larger plan lets your team go on.",
        "button": "See plans",
        "style": "modal",
    },
    "teammate_wall": {
        "name": "One more teammate",
        "promotional": True,
        "headline": "Your team is growing",
        "body": "The next plan has seats for everybody you want to invite.",
        "button": "Add seats",
        "style": "modal",
    },
    "trial_ending": {
        "name": "Trial is ending",
        "promotional": True,
        "headline": "Your trial ends soon",
        "body": "Choose a plan now and nothing that your team has built is interrupted.",
        "button": "Choose a plan",
        "style": "banner",
    },
    "feature_gate": {
        "name": "Feature of a higher plan",
        "promotional": True,
        "headline": "This is part of a higher plan",
        "body": "Your team uses what leads up to it every day. See what else it opens.",
        "button": "Compare plans",
        "style": "modal",
    },
}


class PlayForm(forms.Form):
    """What may change about a play after it was made."""

    name = forms.CharField(max_length=120)
    audience = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One condition a line, all must hold; empty: everybody. For example “plan is free, trial” or "
        "“seats at least 5”. Names: plan, seats, employees, mrr, or any trait.",
    )
    holdout_percent = forms.IntegerField(
        label="Hold out, %",
        min_value=0,
        max_value=90,
        initial=0,
        help_text="So many companies are left alone, for good.",
    )
    cooldown_days = forms.IntegerField(
        label="Rest, days", min_value=0, max_value=3650, initial=0, help_text="Not again for a company before."
    )
    priority = forms.IntegerField(
        min_value=0,
        max_value=1000,
        initial=50,
        help_text="The highest meets a company first, and the others give way. Handing to sales has 100: above that, "
        "a prompt or a task goes out instead of a handoff.",
    )
    convert_days = forms.IntegerField(
        label="Converts within, days", min_value=1, max_value=365, initial=30, help_text="Paid by then: credited."
    )
    starts_on = forms.DateField(label="First day", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    ends_on = forms.DateField(label="Last day", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    promotional = forms.BooleanField(
        label="Promotional",
        required=False,
        initial=True,
        help_text="Waits while a rep works the account or an urgent ticket is open, and counts for the cap. "
        "Turn it off for a notice that people must see.",
    )
    moment = forms.ChoiceField(label="Where it may show", choices=Play.Moment.choices, required=False)
    headline = forms.CharField(max_length=80, required=False)
    body = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3}))
    button = forms.CharField(label="Button", max_length=40, required=False)
    url = forms.CharField(
        label="Button leads to", max_length=500, required=False, help_text="A path of your product or an https address."
    )
    style = forms.ChoiceField(
        label="Shown as", choices=[("banner", "A banner"), ("modal", "A dialog")], required=False, initial="banner"
    )
    due_days = forms.IntegerField(label="Due within, days", min_value=0, max_value=90, required=False, initial=3)
    people = forms.IntegerField(
        label="To how many people",
        min_value=1,
        max_value=nudge_mail.MOST_PEOPLE,
        required=False,
        initial=nudge_mail.PEOPLE,
        help_text="Of the account, those who were seen last. Of a near miss about people, the one who is closest.",
    )

    def __init__(self, *args: Any, action: str, trigger: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.action, self.trigger = action, trigger
        in_product, task = action in Play.IN_PRODUCT, action == Play.Action.CS_TASK
        mail = action == Play.Action.EMAIL_NUDGE
        unused = set()
        if not in_product:
            unused |= {"moment", "style", "promotional"}
        if not (in_product or mail):
            unused |= {"button", "url"}
        if not mail:
            unused |= {"people"}
        if not task:
            unused |= {"due_days"}
        if not (in_product or task or mail):
            unused |= {"headline", "body"}
        for name in unused:
            del self.fields[name]
        if in_product:
            self.fields["headline"].required = self.fields["button"].required = True
            self.fields["body"].validators.append(MaxLengthValidator(300))
        if trigger == Play.Trigger.NEAR_MISS and "body" in self.fields:
            self.fields["body"].help_text = "{needs} stands for what a near miss lacks: “1 more time, 4 days left”."
        if mail:
            self.fields["headline"].label = "Subject"
            self.fields["body"].label, self.fields["url"].help_text = "Text", "An https address."
            for name in ("headline", "body", "button", "url"):
                self.fields[name].required = True
        if task:
            self.fields["headline"].label = "What is to be done"
            self.fields["headline"].required = True
            self.fields["body"].label = "How"

    def clean_audience(self) -> str:
        text: str = self.cleaned_data["audience"]
        try:
            return "\n".join(map(str, audience.parse(text)))
        except audience.BadAudience as error:
            raise forms.ValidationError(str(error)) from error

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        if not playbook.good_url(url):
            raise forms.ValidationError(playbook.BAD_URL)
        if self.action == Play.Action.EMAIL_NUDGE and url.startswith("/"):
            raise forms.ValidationError("An e-mail needs a whole address, which begins with “https://”.")
        return url

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in CONTENT:
            if not playbook.good_words(cleaned.get(name), self.trigger):
                self.add_error(name, playbook.NOTHING_MISSING)
        starts, ends = cleaned.get("starts_on"), cleaned.get("ends_on")
        if starts and ends and ends < starts:
            self.add_error("ends_on", "It ends before it starts.")
        return cleaned

    def values(self) -> dict[str, Any]:
        """What the verbs take."""
        found = {name: value for name, value in self.cleaned_data.items() if name not in CONTENT}
        found["content"] = {
            name: self.cleaned_data[name] for name in CONTENT if self.cleaned_data.get(name) not in ("", None)
        }
        return found


def initial_of(play: Play) -> dict[str, Any]:
    """A play as its form shows it."""
    names = [name for name in PlayForm.base_fields if name not in CONTENT]
    return {name: getattr(play, name) for name in names} | play.content


class DefinitionField(forms.ModelChoiceField):
    """A definition, by its name."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


class KindForm(forms.Form):
    """What a new play is about; the rest is asked for next."""

    definition = DefinitionField(queryset=Definition.objects.none(), to_field_name="slug", empty_label=None)
    trigger = forms.ChoiceField(label="When", choices=Play.Trigger.choices)
    action = forms.ChoiceField(label="Then", choices=Play.Action.choices)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["definition"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Definition.objects.filter(archived_at=None, live_version__isnull=False).order_by("name")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        action, definition = cleaned.get("action"), cleaned.get("definition")
        if cleaned.get("trigger") == Play.Trigger.NEAR_MISS and action in (
            Play.Action.SALES_HANDOFF,
            Play.Action.PROMPT,
        ):
            self.add_error("action", "A near miss can nudge, give a task or call a webhook.")
        elif action == Play.Action.SALES_HANDOFF and definition and definition.purpose != Purpose.PQL:
            self.add_error("action", "Only definitions of product-qualified leads hand companies to sales.")
        return cleaned


class TaskForm(forms.Form):
    """What came of a task."""

    outcome = forms.ChoiceField(label="What came of it", choices=CsTask.Outcome.choices)
    note = forms.CharField(required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))


class PromptRulesForm(forms.ModelForm):
    """How often one person meets a promotional prompt."""

    class Meta:
        model = PromptRules
        fields = ("enabled", "cap", "cap_days")
        labels = {
            "enabled": "Cap how often one person meets a promotional prompt",
            "cap": "At most",
            "cap_days": "In days",
        }
        help_texts = {"cap": "Prompts, over all plays.", "cap_days": ""}
