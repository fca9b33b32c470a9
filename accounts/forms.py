"""Forms of this floor."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError

from accounts import throttle


class LoginForm(AuthenticationForm):
    """Name and password, with the refusal after too many failures."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "That name and password do not go together. Check both; capitals count in the password.",
        "refused": "Too many failed attempts. Wait a quarter of an hour, or ask an admin for a new password.",
    }

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username") or ""
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        if throttle.refused(username=username, address=address):
            raise ValidationError(self.error_messages["refused"], code="refused")
        try:
            cleaned = super().clean()
        except ValidationError:
            throttle.failed(username=username, address=address)
            raise
        throttle.succeeded(username=username, address=address)
        return cleaned


class PasswordForm(PasswordChangeForm):
    """The same form; its words."""

    error_messages = {
        **PasswordChangeForm.error_messages,
        "password_incorrect": "That is not your present password.",
    }
