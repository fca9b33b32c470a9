"""Plays for programs: what a qualification does. Read here; made and changed in play_verbs.py."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest.endpoint import Endpoint
from accounts.rest.shapes import Listed, answers, moment
from scoring.models import Play
from scoring.play_forms import CONTENT

TAG = ["plays"]


class PlayContent(serializers.Serializer[Any]):
    """What a play says: in the product all but `due_days` and `people`; by e-mail all but `due_days` and `style`; a
    task `headline`, `body` and `due_days`."""

    headline = serializers.CharField(required=False, allow_blank=True, max_length=80)
    body = serializers.CharField(
        required=False, allow_blank=True, max_length=2000, help_text="In the product at most 300 characters."
    )
    button = serializers.CharField(required=False, allow_blank=True, max_length=40)
    url = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=500,
        help_text="A path of the product, or an https address; in an e-mail the latter.",
    )
    style = serializers.ChoiceField(  # type: ignore[assignment]  # of fields, `style` is how HTML shows them
        choices=["banner", "modal"], required=False, allow_blank=True
    )
    due_days = serializers.IntegerField(required=False, min_value=0, max_value=90)
    people = serializers.IntegerField(
        required=False, min_value=1, max_value=20, help_text="Of an account: those who were seen last."
    )


class PlayShape(serializers.Serializer[Any]):
    """A play."""

    slug = serializers.CharField()
    name = serializers.CharField()
    definition = serializers.CharField(help_text="The slug of the definition whose qualifications it acts on.")
    trigger = serializers.ChoiceField(choices=Play.Trigger.choices)
    action = serializers.ChoiceField(choices=Play.Action.choices)
    status = serializers.ChoiceField(choices=Play.Status.choices)
    live_since = serializers.DateTimeField(allow_null=True)
    priority = serializers.IntegerField(help_text="The highest wins where several apply at once.")
    holdout_percent = serializers.IntegerField()
    cooldown_days = serializers.IntegerField()
    convert_days = serializers.IntegerField(help_text="Paid within so many days: a conversion.")
    starts_on = serializers.DateField(allow_null=True)
    ends_on = serializers.DateField(allow_null=True, help_text="The last day.")
    promotional = serializers.BooleanField(help_text="Muted while a rep works the account or a ticket burns.")
    audience = serializers.CharField(help_text="One condition about the account a line; empty: everybody.")
    moment = serializers.ChoiceField(choices=Play.Moment.choices, allow_blank=True, help_text="Empty: any page.")
    content = PlayContent()
    created_at = serializers.DateTimeField()


class PlayPage(serializers.Serializer[Any]):
    """A page of plays."""

    plays = PlayShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the page after; null: this is the last.")


class AskedPlays(Listed):
    """Which plays."""

    state = serializers.ChoiceField(
        choices=["all", *Play.Status.values], required=False, help_text="Left out: all but archived ones."
    )
    definition = serializers.CharField(required=False, max_length=80, help_text="A definition's slug.")
    action = serializers.ChoiceField(choices=Play.Action.choices, required=False)


class Plays(Endpoint):
    """GET /api/v1/plays/"""

    scopes = {"GET": "plays:read"}

    @extend_schema(
        operation_id="plays_list",
        tags=TAG,
        parameters=[AskedPlays],
        responses=answers(200, PlayPage, "A page of plays, in the order in which they were made."),
    )
    def get(self, request: Request) -> Response:
        """List plays."""
        asked = self.asked(AskedPlays)
        rows = Play.objects.select_related("definition")
        state = asked.get("state", "")
        if not state:
            rows = rows.exclude(status=Play.Status.ARCHIVED)
        elif state != "all":
            rows = rows.filter(status=state)
        if "definition" in asked:
            rows = rows.filter(definition__slug=asked["definition"])
        if "action" in asked:
            rows = rows.filter(action=asked["action"])
        page = self.page(rows, asked=asked)
        return Response({"plays": [told(one) for one in page.items], "next": page.next_cursor or None})


class OnePlay(Endpoint):
    """GET /api/v1/plays/<slug>/"""

    scopes = {"GET": "plays:read"}

    @extend_schema(operation_id="plays_get", tags=TAG, responses=answers(200, PlayShape, "The play.", 404))
    def get(self, request: Request, slug: str) -> Response:
        """Get one play."""
        return Response(told(found(slug)))


def found(slug: str) -> Play:
    """The play of this slug. Raises Http404."""
    play = Play.objects.select_related("definition").filter(slug=slug).first()
    if play is None:
        raise Http404(f"There is no play “{slug}”.")
    return play


def told(play: Play) -> dict[str, Any]:
    """A play as the API tells it; its definition should be at hand."""
    return {
        "slug": play.slug,
        "name": play.name,
        "definition": play.definition.slug,
        "trigger": play.trigger,
        "action": play.action,
        "status": play.status,
        "live_since": moment(play.live_since),
        "priority": play.priority,
        "holdout_percent": play.holdout_percent,
        "cooldown_days": play.cooldown_days,
        "convert_days": play.convert_days,
        "starts_on": play.starts_on.isoformat() if play.starts_on else None,
        "ends_on": play.ends_on.isoformat() if play.ends_on else None,
        "promotional": play.promotional,
        "audience": play.audience,
        "moment": play.moment,
        "content": {name: play.content[name] for name in CONTENT if name in play.content},
        "created_at": moment(play.created_at),
    }
