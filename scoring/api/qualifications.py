"""Why accounts qualify, for programs: episodes with their explanations, of one account, of a definition, or of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Account
from accounts.rest.endpoint import Endpoint
from accounts.rest.shapes import Listed, Moment, answers
from accounts.workspace import day_of
from plgops.lib.paging import Page
from scoring import reasons
from scoring.api.shapes import Explanation
from scoring.models import Definition, Qualification
from scoring.serializers import as_json

TAG = ["qualifications"]
STATES = ("open", "closed", "all")


class Today(serializers.Serializer[Any]):
    """Whether to measure today too."""

    today = serializers.ChoiceField(
        choices=["0", "1"], required=False, help_text="1: every condition measured by the end of today as well."
    )


class AskedEpisodes(Today, Listed):
    """Which episodes of something."""

    state = serializers.ChoiceField(choices=STATES, required=False, help_text="Left out: open.")


class AskedQualifications(AskedEpisodes):
    """Which episodes of all."""

    account = serializers.CharField(required=False, max_length=200, help_text="An account's external id.")
    definition = serializers.CharField(required=False, max_length=80, help_text="A definition's slug.")
    updated_since = Moment(required=False, help_text="Opened or closed then or later.")


class AskedQualifiers(Today, Listed):
    """Which page of those who qualify."""


class QualificationPage(serializers.Serializer[Any]):
    """A page of episodes."""

    qualifications = Explanation(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the page after; null: this is the last.")


class AccountAbout(serializers.Serializer[Any]):
    """Whose episodes they are."""

    external_id = serializers.CharField()
    name = serializers.CharField()
    merged_into = serializers.CharField(allow_null=True)


class AccountQualificationPage(QualificationPage):
    """A page of an account's episodes."""

    account = AccountAbout()


class DefinitionAbout(serializers.Serializer[Any]):
    """Under what they qualify."""

    slug = serializers.CharField()
    name = serializers.CharField()
    live_version = serializers.IntegerField(allow_null=True)


class QualifierPage(QualificationPage):
    """A page of those who qualify under a definition."""

    definition = DefinitionAbout()


class Explaining(Endpoint):
    """What they share: episodes explained, and measured today where that is asked."""

    scopes = {"GET": "qualifications:read"}

    def told_page(self, page: Page[Qualification], asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"qualifications": self.explained(page.items, asked), "next": page.next_cursor or None}

    def explained(self, found: list[Qualification], asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        today = day_of(timezone.now()) if asked.get("today") == "1" else None
        return [as_json(one) for one in reasons.explained(found, today=today)]


class Qualifications(Explaining):
    """GET /api/v1/qualifications/"""

    @extend_schema(
        operation_id="qualifications_list",
        tags=TAG,
        parameters=[AskedQualifications],
        responses=answers(200, QualificationPage, "A page of episodes, the newest first."),
    )
    def get(self, request: Request) -> Response:
        """List qualifications, each with its explanation."""
        asked = self.asked(AskedQualifications)
        rows = _in_state(reasons.rows(), asked)
        if "account" in asked:
            rows = rows.filter(account__external_id=asked["account"])
        if "definition" in asked:
            rows = rows.filter(definition__slug=asked["definition"])
        if "updated_since" in asked:
            since = asked["updated_since"]
            rows = rows.filter(Q(opened_at__gte=since) | Q(closed_at__gte=since))
        return Response(self.told_page(self.page(rows, tie="-id", asked=asked), asked))


class OneQualification(Explaining):
    """GET /api/v1/qualifications/<id>/"""

    @extend_schema(
        operation_id="qualifications_get",
        tags=TAG,
        parameters=[Today],
        responses=answers(200, Explanation, "The episode, explained.", 404),
    )
    def get(self, request: Request, qualification_id: int) -> Response:
        """Get one qualification's explanation."""
        asked = self.asked(Today)
        found = list(reasons.rows().filter(pk=qualification_id))
        if not found:
            raise Http404(f"There is no qualification {qualification_id}.")
        return Response(self.explained(found, asked)[0])


class AccountQualifications(Explaining):
    """GET /api/v1/accounts/<external id>/qualifications/"""

    @extend_schema(
        operation_id="accounts_qualifications",
        tags=TAG,
        parameters=[AskedEpisodes],
        responses=answers(200, AccountQualificationPage, "A page of the account's episodes, the newest first.", 404),
    )
    def get(self, request: Request, external_id: str) -> Response:
        """Why an account qualifies, or did."""
        asked = self.asked(AskedEpisodes)
        account = Account.objects.select_related("merged_into").filter(external_id=external_id).first()
        if account is None:
            raise Http404(f"There is no account with the id “{external_id[:200]}”.")
        rows = _in_state(reasons.rows().filter(account=account), asked)
        merged = account.merged_into
        about = {
            "external_id": account.external_id,
            "name": account.name,
            "merged_into": merged.external_id if merged else None,
        }
        return Response({"account": about, **self.told_page(self.page(rows, by="-opened_at", asked=asked), asked)})


class DefinitionQualifiers(Explaining):
    """GET /api/v1/definitions/<slug>/qualifiers/"""

    scopes = {"GET": "definitions:read"}

    @extend_schema(
        operation_id="definitions_qualifiers",
        tags=["definitions"],
        parameters=[AskedQualifiers],
        responses=answers(200, QualifierPage, "A page of who qualifies now, the newest evidence first.", 404),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Who qualifies now under a definition, and why."""
        asked = self.asked(AskedQualifiers)
        definition = Definition.objects.select_related("live_version").filter(slug=slug).first()
        if definition is None:
            raise Http404(f"There is no definition “{slug[:80]}”.")
        rows = reasons.rows().filter(definition=definition, closed_at=None)
        live = definition.live_version
        about = {
            "slug": definition.slug,
            "name": definition.name,
            "live_version": live.number if live and definition.archived_at is None else None,
        }
        return Response({"definition": about, **self.told_page(self.page(rows, by="-since_at", asked=asked), asked)})


def _in_state(rows: QuerySet[Qualification], asked: Mapping[str, Any]) -> QuerySet[Qualification]:
    state = asked.get("state", "open")
    return rows if state == "all" else rows.filter(closed_at__isnull=state == "open")
