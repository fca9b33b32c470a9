"""Forms of the CRM's pages: a token, and the mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from scoring.crm.mapping import Line
from scoring.models import CrmConnection


class TokenForm(forms.Form):
    """The token of a private app."""

    token = forms.CharField(
        label="Access token",
        max_length=500,
        help_text="Of a private app in HubSpot. It is kept encrypted and not shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class LineForm(forms.Form):
    """One line of the mapping."""

    on = forms.BooleanField(required=False, widget=forms.CheckboxInput(attrs={"class": "check"}))
    into = forms.CharField(
        max_length=100, widget=forms.TextInput(attrs={"class": "input", "spellcheck": "false", "autocomplete": "off"})
    )
    wins = forms.ChoiceField(
        choices=[("ours", "plgops"), ("theirs", "The CRM"), ("ask", "Ask")],
        widget=forms.Select(attrs={"class": "select"}),
    )

    def __init__(self, data: Any = None, *, line: Line) -> None:
        super().__init__(data, prefix=line.field, initial={"on": line.on, "into": line.into, "wins": line.wins})
        self.line = line
        for name, words in (("on", "Send"), ("into", "Goes into"), ("wins", "Where both differ")):
            self.fields[name].widget.attrs["aria-label"] = f"{line.label}: {words.lower()}"

    def told(self) -> Line:
        """The line as it was typed."""
        data = self.cleaned_data
        return Line(self.line.field, data["into"].strip(), data["wins"], data["on"])


class MappingForm(forms.Form):
    """Whom the CRM is told of; and which state of the connection this was typed on."""

    audience = forms.ChoiceField(label="Of which companies", choices=CrmConnection.Audience.choices)
    edition = forms.IntegerField(widget=forms.HiddenInput)


def line_forms(lines: Sequence[Line], data: Any = None) -> list[LineForm]:
    """A form for each line."""
    return [LineForm(data, line=line) for line in lines]
