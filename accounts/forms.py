"""Forms of this floor."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError

from accounts import throttle, tokens
from accounts.models import EventType
from plgops.lib.proxies import client_address


class LoginForm(AuthenticationForm):
    """Name and password, with the refusal after too many failures."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "That name and password do not go together. Check both; capitals count in the password.",
        "refused": "Too many failed attempts. Wait a quarter of an hour, and ask an admin if the password is lost.",
    }

    def __init__(self, *args: Any, now: dt.datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.now = now

    def clean(self) -> dict[str, Any]:
        who = {
            "username": self.cleaned_data.get("username") or "",
            "address": client_address(self.request.META, trusted=settings.TRUSTED_PROXIES) if self.request else "",
        }
        if not throttle.attempt(**who, now=self.now):
            raise ValidationError(self.error_messages["refused"], code="refused")
        cleaned = super().clean()
        throttle.succeeded(**who)
        return cleaned


class PasswordForm(PasswordChangeForm):
    """The same form; its words."""

    error_messages = {
        **PasswordChangeForm.error_messages,
        "password_incorrect": "That is not your current password.",
    }


class SourceForm(forms.Form):
    """A new source."""

    name = forms.CharField(max_length=100, label="New source", help_text="What sends, e.g. production backend.")


class TokenForm(forms.Form):
    """A new API token of one's own; `scopes` are those that its owner may give it."""

    name = forms.CharField(max_length=100, label="What it is for", help_text="E.g. nightly export to the warehouse.")
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one thing that it may do."},
    )
    days = forms.TypedChoiceField(
        label="Good for", coerce=int, choices=[(30, "30 days"), (90, "90 days"), (365, "365 days")], initial=90
    )

    def __init__(self, *args: Any, scopes: Mapping[str, tokens.Scope], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.fields["scopes"]
        assert isinstance(chosen, forms.MultipleChoiceField)
        chosen.choices = [(name, scope.words) for name, scope in scopes.items()]


class EventTypeForm(forms.ModelForm):
    """What an event type means."""

    class Meta:
        model = EventType
        fields = ("meaning", "description", "is_activity", "metered_property", "distinct_property")
        labels = {
            "is_activity": "Counts as activity",
            "metered_property": "Measured property",
            "distinct_property": "Property whose different values count",
        }
        help_texts = {
            "description": "For people: one sentence.",
            "is_activity": "Part of “any event” in a rule, and of when somebody was last seen.",
            "metered_property": "A number in its properties that is summed, e.g. rows.",
            "distinct_property": "Counted once per different value, e.g. invitee_email.",
        }
