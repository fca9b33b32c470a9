"""Accounts for programs: a list that can be walked to its end, and one account by the id that its sender gave it."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Account, Stage, StageEntry
from accounts.rest.endpoint import Endpoint
from accounts.rest.shapes import Listed, Moment, Person, answers, moment, person

TAG = ["accounts"]


class AccountShape(serializers.Serializer[Any]):
    """An account."""

    external_id = serializers.CharField(help_text="The id that its sender gave it.")
    name = serializers.CharField()
    domain = serializers.CharField(allow_null=True)
    parent = serializers.CharField(  # type: ignore[assignment]  # of fields, `parent` is what holds them
        allow_null=True, help_text="The company's root account, if it is not this one."
    )
    merged_into = serializers.CharField(allow_null=True, help_text="The account that it was merged into.")
    is_provisional = serializers.BooleanField(help_text="Made from an e-mail domain.")
    is_internal = serializers.BooleanField(help_text="Ours or a test: out of every figure.")
    owner = Person(allow_null=True)
    plan = serializers.CharField(allow_null=True)
    mrr = serializers.CharField(help_text="Monthly recurring revenue in the workspace's currency, as a decimal.")
    seats = serializers.IntegerField(allow_null=True)
    employees = serializers.IntegerField(allow_null=True)
    signed_up_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(allow_null=True)


class StageShape(serializers.Serializer[Any]):
    """A stage that the account reached."""

    stage = serializers.ChoiceField(choices=Stage.choices)
    at = serializers.DateTimeField()


class AccountDetail(AccountShape):
    """An account with its traits as they stand, and the stages that it reached."""

    traits = serializers.DictField(child=serializers.JSONField(allow_null=True))
    stages = StageShape(many=True, help_text="The newest 100, in order of time.")


class AccountPage(serializers.Serializer[Any]):
    """A page of accounts."""

    accounts = AccountShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the page after; null: this is the last.")


class AskedAccounts(Listed):
    """Which accounts."""

    plan = serializers.CharField(required=False, max_length=100)
    owner = serializers.CharField(required=False, max_length=150, help_text="A username; `none`: nobody's.")
    seen_since = Moment(required=False, help_text="Whose people did something then or later.")
    internal = serializers.BooleanField(required=False, help_text="Ours and tests only (left out: all but them).")


STAGES = 100


class Accounts(Endpoint):
    """GET /api/v1/accounts/"""

    scopes = {"GET": "accounts:read"}

    @extend_schema(
        operation_id="accounts_list",
        tags=TAG,
        parameters=[AskedAccounts],
        responses=answers(200, AccountPage, "A page of accounts, in the order in which they became known."),
    )
    def get(self, request: Request) -> Response:
        """List accounts. Those that were merged into others are left out."""
        asked = self.asked(AskedAccounts)
        rows = _rows().filter(merged_into__isnull=True, is_internal=asked.get("internal", False))
        if "plan" in asked:
            rows = rows.filter(plan=asked["plan"])
        if asked.get("owner") == "none":
            rows = rows.filter(owner__isnull=True)
        elif "owner" in asked:
            rows = rows.filter(owner__username=asked["owner"])
        if "seen_since" in asked:
            rows = rows.filter(last_seen_at__gte=asked["seen_since"])
        page = self.page(rows, asked=asked)
        return Response({"accounts": [told(account) for account in page.items], "next": page.next_cursor or None})


class OneAccount(Endpoint):
    """GET /api/v1/accounts/<external id>/"""

    scopes = {"GET": "accounts:read"}

    @extend_schema(operation_id="accounts_get", tags=TAG, responses=answers(200, AccountDetail, "The account.", 404))
    def get(self, request: Request, external_id: str) -> Response:
        """Get one account, also one that was merged into another."""
        account = _rows().filter(external_id=external_id).first()
        if account is None:
            raise Http404(f"There is no account with the id “{external_id[:200]}”.")
        stages = StageEntry.objects.filter(account=account).order_by("-at", "-pk").values_list("stage", "at")[:STAGES]
        more = {
            "traits": account.traits if isinstance(account.traits, dict) else {},
            "stages": [{"stage": stage, "at": moment(at)} for stage, at in reversed(stages)],
        }
        return Response(told(account) | more)


def told(account: Account) -> dict[str, Any]:
    """An account as the API tells it; its parent, owner and what it was merged into should be at hand."""
    return {
        "external_id": account.external_id,
        "name": account.name,
        "domain": account.domain or None,
        "parent": account.parent.external_id if account.parent else None,
        "merged_into": account.merged_into.external_id if account.merged_into else None,
        "is_provisional": account.is_provisional,
        "is_internal": account.is_internal,
        "owner": person(account.owner),
        "plan": account.plan or None,
        "mrr": str(account.mrr),
        "seats": account.seats,
        "employees": account.employees,
        "signed_up_at": moment(account.signed_up_at),
        "last_seen_at": moment(account.last_seen_at),
    }


def _rows() -> Any:
    return Account.objects.select_related("owner", "parent", "merged_into")
