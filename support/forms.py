"""What people may type in on the support pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.models import Account
from support.models import Article, Ticket, Tier


class TicketForm(forms.Form):
    """A ticket that an agent writes down for a customer."""

    account = forms.CharField(
        max_length=200, required=False, label="Account", help_text="Its name, domain or id. Empty: nobody we know."
    )
    requester_email = forms.EmailField(required=False, label="From")
    subject = forms.CharField(max_length=200)
    body = forms.CharField(widget=forms.Textarea(attrs={"rows": 8}), max_length=50_000, label="What they wrote")
    priority = forms.ChoiceField(choices=Ticket.Priority.choices, initial=Ticket.Priority.NORMAL)

    def clean_account(self) -> Account | None:
        typed = self.cleaned_data["account"].strip()
        if not typed:
            return None
        alive = Account.objects.filter(merged_into=None)
        for field in ("external_id", "domain", "name"):
            found = list(alive.filter(**{field: typed}).order_by("pk")[:2])
            if len(found) == 1:
                return found[0]
            if found:
                raise ValidationError(f"Two accounts have this {field}. Use the account's id, which is unique.")
        raise ValidationError("No account has this id, domain or name, written exactly so.")


class MessageForm(forms.Form):
    body = forms.CharField(widget=forms.Textarea(attrs={"rows": 5}), max_length=50_000, label="Message")


class TierForm(forms.ModelForm):
    """A tier. Plans are typed as a comma-separated list."""

    plans = forms.CharField(required=False, max_length=1000, help_text="Comma-separated. Empty: any plan.")

    class Meta:
        model = Tier
        fields = (
            "name",
            "position",
            "plans",
            "min_mrr",
            "route",
            "first_response_minutes",
            "resolution_minutes",
            "calendar",
        )
        labels = {
            "min_mrr": "MRR at least",
            "first_response_minutes": "First response, minutes",
            "resolution_minutes": "Resolution, minutes",
        }
        help_texts = {
            "position": "The first tier that fits wins; 1 is looked at first.",
            "first_response_minutes": "Empty: no promise.",
            "resolution_minutes": "Empty: no promise.",
            "calendar": "Empty: around the clock.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["plans"] = ", ".join(self.instance.plans)

    def clean_plans(self) -> list[str]:
        return [plan.strip() for plan in self.cleaned_data["plans"].split(",") if plan.strip()]


class ArticleForm(forms.Form):
    title = forms.CharField(max_length=Article._meta.get_field("title").max_length)
    body = forms.CharField(widget=forms.Textarea(attrs={"rows": 20}), max_length=100_000, help_text="Markdown.")
