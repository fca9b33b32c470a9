"""Handoffs for programs: the queue, one in full, and what can be done with it: the verbs of the inbox, nothing else."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import AuditEntry, StaffUser
from accounts.rest.answering import Bad, Conflict
from accounts.rest.endpoint import Endpoint
from accounts.rest.shapes import IDEMPOTENCY_KEY, AccountName, Listed, Moment, Person, answers, moment, person
from scoring import handoffs, reasons, snooze
from scoring.api.shapes import Explanation
from scoring.models import Handoff, HandoffActivity, Qualification
from scoring.serializers import as_json

TAG = ["handoffs"]
ACTIVITIES = 50  # touches and notes of one handoff, the newest
ID = OpenApiParameter("handoff_id", {"type": "integer", "minimum": 1}, OpenApiParameter.PATH)
OUTCOMES = ("won", "lost", "disqualified", "returned")


class HandoffShape(serializers.Serializer[Any]):
    """A company in sales' hands."""

    id = serializers.IntegerField()
    company = AccountName()
    status = serializers.ChoiceField(choices=Handoff.Status.choices)
    owner = Person(allow_null=True)
    definitions = serializers.ListField(child=serializers.CharField(), help_text="Slugs of the reasons that stand.")
    opened_at = serializers.DateTimeField()
    newest_evidence_at = serializers.DateTimeField()
    claimed_at = serializers.DateTimeField(allow_null=True)
    assigned = serializers.BooleanField(help_text="It was given to its owner; nobody clicked Claim.")
    first_touch_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(
        allow_null=True, help_text="To be claimed, or first touched, by then; null: nothing is promised now."
    )
    snoozed_until = serializers.DateTimeField(allow_null=True, help_text="Asleep until then.")
    rule_lapsed_at = serializers.DateTimeField(allow_null=True, help_text="Since when no reason holds any more.")
    paid_at = serializers.DateTimeField(allow_null=True, help_text="The account paid while it was open.")
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = Person(allow_null=True)
    outcome_reason = serializers.CharField(allow_null=True)
    outcome_note = serializers.CharField(allow_null=True)
    cooldown_until = serializers.DateTimeField(allow_null=True, help_text="No new one for the company before.")


class ActivityShape(serializers.Serializer[Any]):
    """A touch or a note."""

    kind = serializers.ChoiceField(choices=HandoffActivity.Kind.choices)
    at = serializers.DateTimeField()
    by = Person()
    text = serializers.CharField(help_text="May be empty.")


class HandoffDetail(HandoffShape):
    """A handoff with why it is, what was done, and what the token's owner may do with it now."""

    reasons = Explanation(many=True)
    activities = ActivityShape(many=True, help_text=f"The newest {ACTIVITIES}, the newest first.")
    may = serializers.ListField(child=serializers.CharField(), help_text="Verbs.")


class HandoffPage(serializers.Serializer[Any]):
    """A page of handoffs."""

    handoffs = HandoffShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the page after; null: this is the last.")


class AskedHandoffs(Listed):
    """Which handoffs."""

    state = serializers.ChoiceField(
        choices=["open", "closed", "all", *Handoff.Status.values], required=False, help_text="Left out: open."
    )
    owner = serializers.CharField(required=False, max_length=150, help_text="A username; `none`: nobody's.")
    definition = serializers.CharField(required=False, max_length=80, help_text="A definition's slug.")
    account = serializers.CharField(required=False, max_length=200, help_text="The company's external id.")
    updated_since = Moment(required=False, help_text="To which something happened then or later.")


class Handoffs(Endpoint):
    """GET /api/v1/handoffs/"""

    scopes = {"GET": "handoffs:read"}

    @extend_schema(
        operation_id="handoffs_list",
        tags=TAG,
        parameters=[AskedHandoffs],
        responses=answers(200, HandoffPage, "A page of handoffs, the newest first."),
    )
    def get(self, request: Request) -> Response:
        """List handoffs."""
        asked = self.asked(AskedHandoffs)
        rows = _in_state(_rows(), asked.get("state", "open"))
        if asked.get("owner") == "none":
            rows = rows.filter(owner=None)
        elif "owner" in asked:
            rows = rows.filter(owner__username=asked["owner"])
        if "definition" in asked:
            of = Qualification.objects.filter(definition__slug=asked["definition"], handoff__isnull=False)
            rows = rows.filter(pk__in=of.values("handoff_id"))
        if "account" in asked:
            rows = rows.filter(company__external_id=asked["account"])
        if "updated_since" in asked:
            rows = rows.filter(_updated_since(asked["updated_since"]))
        page = self.page(rows, tie="-id", asked=asked)
        return Response({"handoffs": told(page.items), "next": page.next_cursor or None})


class OneHandoff(Endpoint):
    """GET /api/v1/handoffs/<id>/"""

    scopes = {"GET": "handoffs:read"}

    @extend_schema(
        operation_id="handoffs_get",
        tags=TAG,
        parameters=[ID],
        responses=answers(200, HandoffDetail, "The handoff with its explanations.", 404),
    )
    def get(self, request: Request, handoff_id: str) -> Response:
        """Get one handoff: why it is, what was done about it, and what you may do with it."""
        handoff = _rows().filter(pk=int(handoff_id)).first()
        if handoff is None:
            raise _missing()
        done = HandoffActivity.objects.filter(handoff=handoff).select_related("by").order_by("-at", "-pk")
        found = reasons.of_handoff(handoff)
        more = {
            "reasons": [as_json(one) for one in reasons.explained(found)],
            "activities": [
                {"kind": one.kind, "at": moment(one.at), "by": person(one.by), "text": one.text}
                for one in done[:ACTIVITIES]
            ],
            "may": sorted(handoffs.allowed(handoff, self.user)),
        }
        return Response(told([handoff])[0] | more)


# --- verbs ------------------------------------------------------------------------------------------------------


class Nothing(serializers.Serializer[Any]):
    """No body is needed."""


class ToWhom(serializers.Serializer[Any]):
    """Who gets it."""

    owner = serializers.CharField(max_length=150, help_text="The username of somebody who works handoffs.")


class Touch(serializers.Serializer[Any]):
    """That the account was written to, called or met."""

    kind = serializers.ChoiceField(choices=[str(kind) for kind in handoffs.TOUCHES])
    text = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class Note(serializers.Serializer[Any]):
    """What to remember."""

    text = serializers.CharField(max_length=5000)


class Outcome(serializers.Serializer[Any]):
    """How it ended."""

    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField(
        required=False, allow_blank=True, max_length=40, help_text="A code of the outcome's reasons (docs/api.md)."
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class Sleep(serializers.Serializer[Any]):
    """How long it sleeps."""

    until = Moment(help_text="At most a year from now.")
    or_evidence = serializers.BooleanField(
        required=False, help_text="Stronger evidence wakes it before (left out: yes)."
    )


def _described(verb: str, body: type[serializers.Serializer[Any]], what: str) -> Callable[[Any], Any]:
    return extend_schema(
        operation_id=f"handoffs_{verb}",
        tags=TAG,
        parameters=[ID, IDEMPOTENCY_KEY],
        request=None if body is Nothing else body,
        responses=answers(200, HandoffShape, what, 404, write=True),
    )


class Working(Endpoint):
    """A verb on one handoff; its refusals as the API tells them."""

    scopes = {"POST": "handoffs:write"}

    def acted(self, handoff_id: str, act: Callable[[int, dt.datetime], Any]) -> Response:
        """Do it, then tell the handoff as it is after."""
        pk = int(handoff_id)

        def done(now: dt.datetime) -> tuple[int, Any]:
            try:
                act(pk, now)
            except Handoff.DoesNotExist as error:
                raise _missing() from error
            except handoffs.HandoffError as error:
                raise _refusal(error, pk) from error
            return 200, told(list(_rows().filter(pk=pk)))[0]

        return self.write(done)


class Claim(Working):
    """POST /api/v1/handoffs/<id>/claim/"""

    @_described("claim", Nothing, "It is yours.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Claim a handoff. 409 `already_claimed` with its owner if somebody was faster; again by its owner: nothing."""
        return self.acted(handoff_id, lambda pk, now: handoffs.claim(handoff_id=pk, by=self.user, now=now))


class Unclaim(Working):
    """POST /api/v1/handoffs/<id>/unclaim/"""

    @_described("unclaim", Nothing, "It is back in the queue.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Take one's claim back, as long as nothing else was done."""
        return self.acted(handoff_id, lambda pk, now: handoffs.unclaim(handoff_id=pk, by=self.user, now=now))


class Assign(Working):
    """POST /api/v1/handoffs/<id>/assign/"""

    @_described("assign", ToWhom, "It is theirs.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Give it to somebody, whoever has it now. Managers and admins."""
        name = self.told(ToWhom)["owner"]

        def act(pk: int, now: dt.datetime) -> None:
            handoffs.assign(handoff_id=pk, owner=_somebody(name), by=self.user, now=now)

        return self.acted(handoff_id, act)


class Touched(Working):
    """POST /api/v1/handoffs/<id>/touch/"""

    @_described("touch", Touch, "The touch is recorded.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Record that the account was e-mailed, called or met."""
        asked = self.told(Touch)
        return self.acted(handoff_id, lambda pk, now: handoffs.touch(handoff_id=pk, by=self.user, now=now, **asked))


class Noted(Working):
    """POST /api/v1/handoffs/<id>/note/"""

    @_described("note", Note, "The note is written.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Write a note."""
        asked = self.told(Note)
        return self.acted(handoff_id, lambda pk, now: handoffs.note(handoff_id=pk, by=self.user, now=now, **asked))


class Closed(Working):
    """POST /api/v1/handoffs/<id>/close/"""

    @_described("close", Outcome, "It is closed.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Close it: won, lost, disqualified, or returned to self-serve."""
        asked = self.told(Outcome)
        return self.acted(handoff_id, lambda pk, now: handoffs.close(handoff_id=pk, by=self.user, now=now, **asked))


class Snoozed(Working):
    """POST /api/v1/handoffs/<id>/snooze/"""

    @_described("snooze", Sleep, "It sleeps.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Let it sleep until a moment, or until stronger evidence comes."""
        asked = self.told(Sleep)
        return self.acted(handoff_id, lambda pk, now: snooze.snooze(handoff_id=pk, by=self.user, now=now, **asked))


class Woken(Working):
    """POST /api/v1/handoffs/<id>/wake/"""

    @_described("wake", Nothing, "It is awake.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Wake it before its time."""
        return self.acted(handoff_id, lambda pk, now: snooze.wake(handoff_id=pk, by=self.user, now=now))


class Reopened(Working):
    """POST /api/v1/handoffs/<id>/reopen/"""

    @_described("reopen", Nothing, "It is open again.")
    def post(self, request: Request, handoff_id: str) -> Response:
        """Take back an outcome that was recorded by mistake."""
        return self.acted(handoff_id, lambda pk, now: handoffs.reopen(handoff_id=pk, by=self.user, now=now))


def _refusal(error: handoffs.HandoffError, pk: int) -> Exception:
    """What a verb refused, as the API tells it: 409 a lost race, 403 not yours, 422 something is missing."""
    if isinstance(error, handoffs.AlreadyClaimed):
        return Conflict(error.message, code="already_claimed", more={"owner": person(error.owner)})
    if isinstance(error, handoffs.NotOpen):
        return Conflict(error.message, code="not_open", more={"status": error.handoff.status})
    if isinstance(error, handoffs.NotAllowed):
        return exceptions.PermissionDenied(error.message)
    return Bad(error.message, code="refused")


def _somebody(username: str) -> StaffUser:
    found = StaffUser.objects.filter(username=username, is_active=True).first()
    if found is None:
        words = "There is nobody of this name."
        raise Bad(f"owner: {words}", fields={"owner": [words]})
    return found


def _missing() -> Http404:
    return Http404("There is no such handoff.")


# --- reading ----------------------------------------------------------------------------------------------------


def told(found: Sequence[Handoff]) -> list[dict[str, Any]]:
    """Handoffs (from `_rows`) as the API tells them; one query for the definitions that stand behind them."""
    slugs: dict[int, list[str]] = defaultdict(list)
    standing = Qualification.objects.filter(handoff_id__in=[one.pk for one in found], closed_at=None)
    for handoff_id, slug in standing.order_by("definition__slug").values_list("handoff_id", "definition__slug"):
        if handoff_id is not None and slug not in slugs[handoff_id]:
            slugs[handoff_id].append(slug)
    return [_told(one, slugs[one.pk]) for one in found]


def _told(handoff: Handoff, slugs: list[str]) -> dict[str, Any]:
    return {
        "id": handoff.pk,
        "company": {"external_id": handoff.company.external_id, "name": handoff.company.name},
        "status": handoff.status,
        "owner": person(handoff.owner),
        "definitions": slugs,
        "opened_at": moment(handoff.opened_at),
        "newest_evidence_at": moment(handoff.newest_evidence_at),
        "claimed_at": moment(handoff.claimed_at),
        "assigned": handoff.assigned,
        "first_touch_at": moment(handoff.first_touch_at),
        "due_at": moment(handoff.due_at),
        "snoozed_until": moment(handoff.snoozed_until) if handoff.status == Handoff.Status.SNOOZED else None,
        "rule_lapsed_at": moment(handoff.rule_lapsed_at),
        "paid_at": moment(handoff.paid_at),
        "closed_at": moment(handoff.closed_at),
        "closed_by": person(handoff.closed_by),
        "outcome_reason": handoff.outcome_reason or None,
        "outcome_note": handoff.outcome_note or None,
        "cooldown_until": moment(handoff.cooldown_until),
    }


def _rows() -> Any:
    rows = Handoff.objects.select_related("company", "owner", "closed_by")
    return rows.defer("company__traits", "owner__password", "closed_by__password")


def _in_state(rows: Any, state: str) -> Any:
    if state == "all":
        return rows
    if state in ("open", "closed"):
        return rows.filter(closed_at__isnull=state == "open")
    return rows.filter(status=state)


_MOMENTS = ("opened_at", "newest_evidence_at", "claimed_at", "first_touch_at", "rule_lapsed_at", "paid_at", "closed_at")


def _updated_since(since: dt.datetime) -> Q:
    """What has a moment of its own then or later, or an audit row: everything that people and plgops do leaves one."""
    moments: Mapping[str, dt.datetime] = {f"{name}__gte": since for name in _MOMENTS}
    trail = AuditEntry.objects.filter(object_type="handoff", object_id=OuterRef("pk"), at__gte=since)
    return Q(*moments.items(), _connector=Q.OR) | Q(Exists(trail))
