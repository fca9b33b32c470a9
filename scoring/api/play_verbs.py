"""Plays made, changed, started and stopped by programs: the pages' own forms and verbs, nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest.answering import Bad
from accounts.rest.endpoint import Endpoint
from accounts.rest.shapes import IDEMPOTENCY_KEY, answers
from scoring import playbook
from scoring.api.plays import TAG, PlayContent, PlayShape, found, told
from scoring.api.plays import Plays as Reading
from scoring.models import Definition, Play
from scoring.play_forms import CONTENT, KindForm, PlayForm, initial_of

DEFAULTS = {name: field.initial for name, field in PlayForm.base_fields.items() if field.initial is not None}


class PlayChange(serializers.Serializer[Any]):
    """What may change about a play; what is left out stays as it is."""

    name = serializers.CharField(required=False, max_length=120)
    audience = serializers.CharField(
        required=False, allow_blank=True, max_length=5000, help_text="One condition about the account a line."
    )
    holdout_percent = serializers.IntegerField(required=False, min_value=0, max_value=90)
    cooldown_days = serializers.IntegerField(required=False, min_value=0, max_value=3650)
    priority = serializers.IntegerField(required=False, min_value=0, max_value=1000)
    convert_days = serializers.IntegerField(required=False, min_value=1, max_value=365)
    starts_on = serializers.DateField(required=False, allow_null=True, help_text="Null: no first day.")
    ends_on = serializers.DateField(required=False, allow_null=True, help_text="The last day; null: none.")
    promotional = serializers.BooleanField(required=False, help_text="Of what stands in the product.")
    moment = serializers.ChoiceField(
        choices=Play.Moment.choices, required=False, allow_blank=True, help_text="Of what stands in the product."
    )
    content = PlayContent(required=False, help_text="What is said; its parts that are left out stay as they are.")


class NewPlay(PlayChange):
    """A new play; what is left out begins as on the page."""

    name = serializers.CharField(max_length=120)
    definition = serializers.CharField(max_length=80, help_text="The slug of a live definition.")
    action = serializers.ChoiceField(choices=Play.Action.choices)
    trigger = serializers.ChoiceField(choices=Play.Trigger.choices, required=False, help_text="Left out: qualifies.")


class Plays(Reading):
    """GET and POST /api/v1/plays/"""

    scopes = {"GET": "plays:read", "POST": "plays:write"}

    @extend_schema(
        operation_id="plays_create",
        tags=TAG,
        parameters=[IDEMPOTENCY_KEY],
        request=NewPlay,
        responses=answers(201, PlayShape, "The play, as a draft.", write=True),
    )
    def post(self, request: Request) -> Response:
        """Make a play. It is a draft and does nothing before it is started."""
        asked = self.told(NewPlay)
        kind = KindForm({name: asked.get(name, "") for name in ("definition", "action")} | {"trigger": _trigger(asked)})
        if not kind.is_valid():
            raise _wrong(kind.errors)
        definition: Definition = kind.cleaned_data["definition"]
        values = _values(asked, asked["action"], _trigger(asked), DEFAULTS)
        name = values.pop("name")
        wanted = playbook.Wanted(name, definition, asked["action"], _trigger(asked), values)

        def act(now: dt.datetime) -> tuple[int, Any]:
            return 201, told(_done(lambda: playbook.create(wanted, by=self.user, now=now)))

        return self.write(act)


class Changed(Endpoint):
    """POST /api/v1/plays/<slug>/change/"""

    scopes = {"POST": "plays:write"}

    @extend_schema(
        operation_id="plays_change",
        tags=TAG,
        parameters=[IDEMPOTENCY_KEY],
        request=PlayChange,
        responses=answers(200, PlayShape, "The play as it is after.", 404, write=True),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Change a play. It acts so on what opens from now on, and on what has not been decided yet."""
        asked = self.told(PlayChange)
        play = found(slug)

        def act(now: dt.datetime) -> tuple[int, Any]:
            values = _values(asked, play.action, play.trigger, initial_of(found(slug)))
            values = {name: value for name, value in values.items() if name in asked}  # others may change the rest
            return 200, told(_done(lambda: playbook.edit(play_id=play.pk, values=values, by=self.user, now=now)))

        return self.write(act)


class Moved(Endpoint):
    """POST /api/v1/plays/<slug>/<verb>/"""

    scopes = {"POST": "plays:write"}
    verb = ""

    def moved(self, slug: str) -> Response:
        """Do it, then tell the play as it is after."""
        play = found(slug)

        def act(now: dt.datetime) -> tuple[int, Any]:
            return 200, told(_done(lambda: playbook.move(play_id=play.pk, verb=self.verb, by=self.user, now=now)))

        return self.write(act)


def _described(verb: str, what: str) -> Callable[[Any], Any]:
    return extend_schema(
        operation_id=f"plays_{verb}",
        tags=TAG,
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses=answers(200, PlayShape, what, 404, write=True),
    )


class Started(Moved):
    """POST /api/v1/plays/<slug>/start/"""

    verb = "start"

    @_described("start", "It is live.")
    def post(self, request: Request, slug: str) -> Response:
        """Start a draft or a paused play. It acts on what opens from now on."""
        return self.moved(slug)


class Paused(Moved):
    """POST /api/v1/plays/<slug>/pause/"""

    verb = "pause"

    @_described("pause", "It rests.")
    def post(self, request: Request, slug: str) -> Response:
        """Pause a live play. What waited to be decided is passed over."""
        return self.moved(slug)


class Archived(Moved):
    """POST /api/v1/plays/<slug>/archive/"""

    verb = "archive"

    @_described("archive", "It is out of use.")
    def post(self, request: Request, slug: str) -> Response:
        """Take a play out of use."""
        return self.moved(slug)


class Restored(Moved):
    """POST /api/v1/plays/<slug>/restore/"""

    verb = "restore"

    @_described("restore", "It is back, and paused.")
    def post(self, request: Request, slug: str) -> Response:
        """Bring an archived play back, paused."""
        return self.moved(slug)


def _trigger(asked: Mapping[str, Any]) -> str:
    return str(asked.get("trigger", Play.Trigger.QUALIFIES))


def _values(asked: Mapping[str, Any], action: str, trigger: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """What the verbs take: what was asked over what was there, as the page's form reads it."""
    given = {name: value for name, value in asked.items() if name in PlayForm.base_fields} | asked.get("content", {})
    form = PlayForm({**before, **given}, action=action, trigger=trigger)
    for name in given:
        if name not in form.fields:
            words = f"A play that does this has none: {Play.Action(action).label.lower()}."
            raise _wrong({name: [words]})
    if not form.is_valid():
        raise _wrong(form.errors)
    return form.values()


def _wrong(errors: Mapping[str, Any]) -> Bad:
    """What a form refused, as the API tells it."""
    fields = {
        "non_field_errors" if name == "__all__" else f"content.{name}" if name in CONTENT else name: [
            str(words) for words in found
        ]
        for name, found in errors.items()
    }
    name, words = next(iter(fields.items()))
    return Bad(words[0] if name == "non_field_errors" else f"{name}: {words[0]}", fields=fields)


def _done(act: Callable[[], Play]) -> Play:
    try:
        return act()
    except playbook.Refused as error:
        raise Bad(str(error), code="refused") from error
