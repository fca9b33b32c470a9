"""Forms of the scoring pages: the JSON of a definition, and how many episodes to release."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django import forms

from scoring import json_lines
from scoring.models import DefinitionVersion
from scoring.rules.problems import Problem, RuleError
from scoring.rules.spoken import spoken


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong with a document, at its line and column (from 1)."""

    line: int
    column: int
    message: str
    path: str = ""
    words: str = ""  # the same for who fills in forms; empty: as the message


class DocumentForm(forms.Form):
    """The text of a definition with the reason for publishing it; `document` is what the text says.

    `replaces` is the number of the version that was edited (0: none), so that publishing can see that somebody
    else published meanwhile.
    """

    text = forms.CharField(
        label="Definition",
        max_length=200_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false"}),
    )
    reason = forms.CharField(
        label="Why this change",
        max_length=300,
        required=False,
        help_text="Stands in the version history.",
    )
    replaces = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput)

    problems: list[LineProblem]

    def __init__(self, *args: Any, slug: str = "", live: DefinitionVersion | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slug = slug  # of the definition that is edited; empty: a new one
        self.live = live  # whoever publishes over it says why
        self.problems = []
        self.document: object = None

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        try:
            self.document = json.loads(text)
        except json.JSONDecodeError as error:
            self.problems.append(LineProblem(error.lineno, error.colno, _plain(error)))
            raise forms.ValidationError("This is not JSON yet.", code="json") from error
        except ValueError as error:  # a number of thousands of digits
            self.problems.append(LineProblem(1, 1, "There is a number in it that is far too long."))
            raise forms.ValidationError("This has a number that nobody can read.", code="json") from error
        except RecursionError as error:
            self.problems.append(LineProblem(1, 1, "The JSON is nested too deeply."))
            raise forms.ValidationError("This is nested too deeply.", code="json") from error
        if self.slug and isinstance(self.document, dict) and self.document.get("slug") != self.slug:
            place = json_lines.place_of(json_lines.locate(text), "/slug")
            self.problems.append(LineProblem(place.line, place.column, f"Expected “{self.slug}”.", "/slug"))
            raise forms.ValidationError("The slug of a definition never changes; make a new one instead.", code="slug")
        return text

    def clean(self) -> dict[str, Any]:
        """The reason is needed from the second version on, unless the text says what is live already."""
        cleaned = super().clean() or {}
        live = self.live
        if live is not None and not cleaned.get("replaces"):
            self.add_error("replaces", "Which version was edited is not known: open the definition again.")
        if live is None or "text" not in cleaned or cleaned.get("reason"):
            return cleaned
        if self.document != live.document or live.definition.archived_at is not None:
            self.add_error("reason", forms.ValidationError("Say why: it stands in the history.", code="reason"))
        return cleaned

    @property
    def is_no_json(self) -> bool:
        """Whether the text cannot be shown as a tree."""
        return any(error.code == "json" for error in self.errors.get("text", forms.utils.ErrorList()).as_data())

    def places(self, problems: list[Problem]) -> list[json_lines.Place]:
        """At which line and column of the text each problem is."""
        found = json_lines.locate(self.cleaned_data["text"])
        return [json_lines.place_of(found, problem.path) for problem in problems]

    def refuse(self, error: RuleError) -> None:
        """Show what the rule language says is wrong, each problem at the line its path leads to."""
        for problem, place in zip(error.problems, self.places(error.problems), strict=True):
            self.problems.append(
                LineProblem(place.line, place.column, problem.message, problem.path, spoken(problem, self.document))
            )
        self.problems.sort(key=lambda p: (p.line, p.column))
        count = len(self.problems)
        self.add_error("text", f"{count} thing{'' if count == 1 else 's'} to correct.")

    @property
    def problem_lines(self) -> set[int]:
        return {problem.line for problem in self.problems}


class BackForm(forms.Form):
    """Why to go back to an old version, and over which one."""

    reason = forms.CharField(label="Why", max_length=250)
    replaces = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class ReleaseForm(forms.Form):
    """All that wait, or the largest so many."""

    largest = forms.IntegerField(label="The largest", min_value=1, max_value=100_000, required=False)


def _plain(error: json.JSONDecodeError) -> str:
    """What the JSON reader says, in words for somebody who edits it."""
    told = {
        "Expecting ',' delimiter": "Expected a comma or the end of the list or object here.",
        "Expecting ':' delimiter": "Expected a colon after the key.",
        "Expecting value": "Expected a value here.",
        "Expecting property name enclosed in double quotes": "Expected a key in double quotes here.",
        "Illegal trailing comma before end of object": "There is a comma too many before the end of the object.",
        "Illegal trailing comma before end of array": "There is a comma too many before the end of the list.",
        "Extra data": "There is more text after the end of the definition.",
        "Unterminated string starting at": "This string does not end.",
    }
    return told.get(error.msg, f"{error.msg}.")
