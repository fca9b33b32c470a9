"""The inbox: the queue beside one handoff, and what a person can do with it.

Every action is a plain form POST that redirects; sent by htmx it answers with the parts of the page that
changed (templates/inbox/oob.html). A race that was lost is 409 with the reason in words.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import conditional_page, require_GET, require_POST

from accounts import queries, workspace
from accounts.models import StaffUser
from plgops.lib import access, htmx
from scoring import company, handoffs, inbox, why
from scoring.models import Definition, Handoff

DETAIL = "inbox/detail.html"
PAGE = "inbox/page.html"
HIDDEN_TRAITS = {"name", "plan", "seats", "mrr", "employees", "domain", "website", "avatar", "createdAt", "created_at"}


@dataclass(frozen=True, slots=True)
class Button:
    """A verb of the action bar with the key that presses it."""

    key: str
    label: str
    icon: str
    press: str
    title: str = ""

    @property
    def caps(self) -> str:
        return self.press.upper()

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return list(handoffs.REASONS.get(self.key, {}).items())

    @property
    def other(self) -> str:
        return handoffs.REASONS.get(self.key, {}).get("other", "")


TOUCHES = (
    Button("emailed", "E-mailed", "mail", "e"),
    Button("called", "Called", "phone", "p"),
    Button("met", "Met", "handshake", "m"),
)
OUTCOMES = {
    b.key: b
    for b in (
        Button("lost", "Lost", "circle-x", "l", "Why was it lost?"),
        Button("dismissed", "Dismiss", "ban", "d", "Why is this not worth working?"),
        Button("returned", "Return", "undo-2", "r", "Return to self-serve because"),
    )
}


@login_required
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """The queue; the first account is open beside it."""
    user = _reader(request)
    filters = inbox.Filters.read(request.GET.dict())
    found = inbox.page(filters, user=user, cursor=request.GET.get("cursor", ""))
    context = _queue_context(user, filters, found.items, found.next_cursor)
    if htmx.wants(request, "more-rows"):
        return render(request, f"{PAGE}#more_rows", context)
    if htmx.wants(request, "queue"):
        return render(request, f"{PAGE}#queue", context)
    if found.items:
        context |= _detail_context(found.items[0], user, filters) | {"selected": found.items[0].pk}
    return render(request, PAGE, context | _frame(user, filters) | {"pane": "list"})


@login_required
@require_GET
def handoff(request: HttpRequest, handoff_id: int) -> HttpResponse:
    """One handoff: beside its queue, or alone on a phone; its detail pane when htmx asks for that."""
    user = _reader(request)
    found = _found(handoff_id)
    filters = inbox.Filters.read(request.GET.dict(), tab=_home_tab(found, user))
    context = _detail_context(found, user, filters) | {"selected": found.pk}
    if htmx.wants(request, "detail"):
        gone = filters.tab == "unclaimed" and found.status != Handoff.Status.UNCLAIMED
        extra = {"tabs": _tabs(user, filters)} if gone else {}
        response = render(request, "inbox/pane.html", context | extra | {"gone": gone})
        if gone:
            response["HX-Trigger"] = json.dumps({"row-gone": f"#row-{handoff_id}"})
        return response
    page = inbox.page(filters, user=user)
    context |= _queue_context(user, filters, page.items, page.next_cursor) | _frame(user, filters)
    return render(request, PAGE, context | {"pane": "detail"})


@login_required
@require_GET
@conditional_page
def news(request: HttpRequest) -> HttpResponse:
    """How many accounts came since the queue was drawn; 204 while none did."""
    user = _reader(request)
    filters = inbox.Filters.read(request.GET.dict())
    after = request.GET.get("after", "")
    arrived = inbox.arrived(filters, user=user, after=int(after) if after.isdecimal() and len(after) < 19 else 0)
    if not arrived:
        return HttpResponse(status=204)
    return render(request, "inbox/news.html", {"arrived": arrived, "f": filters})


@login_required
@require_POST
def claim(request: HttpRequest, handoff_id: int) -> HttpResponse:
    def act(user: StaffUser) -> str:
        done = handoffs.claim(handoff_id=handoff_id, by=user, now=timezone.now())
        return f"Claimed {done.company.name}"

    return _acted(request, handoff_id, act, undo="inbox_unclaim", left=("unclaimed",))


@login_required
@require_POST
def unclaim(request: HttpRequest, handoff_id: int) -> HttpResponse:
    def act(user: StaffUser) -> str:
        done = handoffs.unclaim(handoff_id=handoff_id, by=user, now=timezone.now())
        return f"{done.company.name} is back in the queue"

    return _acted(request, handoff_id, act, redraw=True)


@login_required
@require_POST
def assign(request: HttpRequest, handoff_id: int) -> HttpResponse:
    owner_id = request.POST.get("owner", "")

    def act(user: StaffUser) -> str:
        owner = get_object_or_404(StaffUser, pk=int(owner_id) if owner_id.isdecimal() else 0)
        done = handoffs.assign(handoff_id=handoff_id, owner=owner, by=user, now=timezone.now())
        return f"Assigned {done.company.name} to {owner.label}"

    return _acted(request, handoff_id, act, redraw=True)


@login_required
@require_POST
def touch(request: HttpRequest, handoff_id: int) -> HttpResponse:
    kind = request.POST.get("kind", "")

    def act(user: StaffUser) -> str:
        text = request.POST.get("text", "")
        done = handoffs.touch(handoff_id=handoff_id, kind=kind, text=text, by=user, now=timezone.now())
        return f"Recorded: {done.get_kind_display().lower()}"

    return _acted(request, handoff_id, act)


@login_required
@require_POST
def note(request: HttpRequest, handoff_id: int) -> HttpResponse:
    def act(user: StaffUser) -> str:
        handoffs.note(handoff_id=handoff_id, text=request.POST.get("text", ""), by=user, now=timezone.now())
        return "Note added"

    return _acted(request, handoff_id, act)


@login_required
@require_POST
def close(request: HttpRequest, handoff_id: int) -> HttpResponse:
    data = request.POST

    def act(user: StaffUser) -> str:
        done = handoffs.close(
            handoff_id=handoff_id,
            outcome=data.get("outcome", ""),
            reason=data.get("reason", ""),
            note=data.get("note", ""),
            by=user,
            now=timezone.now(),
        )
        return f"{done.company.name}: {done.get_status_display().lower()}"

    return _acted(request, handoff_id, act, left=("unclaimed", "mine", "team"))


# --- one way through every action --------------------------------------------------------------------------


def _acted(
    request: HttpRequest,
    handoff_id: int,
    act: Callable[[StaffUser], str],
    *,
    undo: str = "",
    left: tuple[str, ...] = (),
    redraw: bool = False,
) -> HttpResponse:
    """Do it once, then say so: the changed parts for htmx, a redirect with a message for a plain form.

    `left` names the tabs whose queue the account is no longer in, `undo` the URL that takes the action back,
    `redraw` asks for the whole queue.
    """
    user = _reader(request)
    filters = inbox.Filters.read(request.GET.dict())
    here = reverse("inbox_handoff", args=[handoff_id]) + filters.url()
    try:
        said = act(user)
    except Handoff.DoesNotExist as error:
        raise Http404("There is no such handoff.") from error
    except handoffs.HandoffError as error:
        return _refused(request, error, here)
    if not request.htmx:  # type: ignore[attr-defined]
        messages.success(request, said)
        return HttpResponseRedirect(here)
    found = _found(handoff_id)
    gone = filters.tab in left
    context = _action_context(found, user, filters) | {
        "tabs": _tabs(user, filters),
        "text": said,
        "undo": reverse(undo, args=[handoff_id]) + filters.url() if undo else "",
        "gone": gone,
        "unclaimed": inbox.counts(user=user, tabs=["unclaimed"])["unclaimed"],
    }
    if redraw or (gone and not inbox.queue(filters, user=user).exists()):
        page = inbox.page(filters, user=user)
        context |= _queue_context(user, filters, page.items, page.next_cursor) | {"redraw": True}
        context["selected"] = found.pk
    response = render(request, "inbox/oob.html", context)
    if gone:
        response["HX-Trigger"] = json.dumps({"row-gone": f"#row-{handoff_id}"})
    if redraw:
        response["HX-Trigger-After-Settle"] = json.dumps({"focus-on": f"#row-{handoff_id} [data-row]"})
    return response


def _refused(request: HttpRequest, error: handoffs.HandoffError, here: str) -> HttpResponse:
    """What could not be done, in words: 409 a lost race, 403 not yours, 422 something is missing."""
    if not request.htmx:  # type: ignore[attr-defined]
        if isinstance(error, PermissionDenied):
            raise error
        messages.error(request, error.message)
        return HttpResponseRedirect(here)
    lost = isinstance(error, handoffs.AlreadyClaimed | handoffs.NotOpen)
    status = 409 if lost else 403 if isinstance(error, PermissionDenied) else 422
    if status == 422:
        return render(request, "_toast.html", {"text": error.message, "tone": "bad", "oob": "true"}, status=422)
    response = HttpResponse(error.message, status=status, content_type="text/plain; charset=utf-8")
    if lost:
        response["HX-Trigger"] = "handoff-changed"  # the detail pane fetches itself again
    return response


def _reader(request: HttpRequest) -> StaffUser:
    access.require(request.user, "handoffs.view")
    return cast(StaffUser, request.user)


def _found(handoff_id: int) -> Handoff:
    return get_object_or_404(
        Handoff.objects.select_related("company", "company__owner", "owner", "closed_by"), pk=handoff_id
    )


# --- what the templates are given ----------------------------------------------------------------------------


def _home_tab(found: Handoff, user: StaffUser) -> str:
    """The tab that a handoff stands on for this user, when the URL does not say."""
    if found.closed_at:
        return "done"
    if found.status == Handoff.Status.UNCLAIMED:
        return "unclaimed"
    return "mine" if found.owner_id == user.pk else "team"


def _tabs(user: StaffUser, filters: inbox.Filters) -> list[dict[str, str]]:
    works, manages = access.may(user, "handoffs.work"), access.may(user, "handoffs.manage")
    shown = ["unclaimed", *(["mine"] if works else []), *(["team"] if manages or not works else []), "done"]
    if filters.tab not in shown:
        shown.insert(-1, filters.tab)
    counts = inbox.counts(user=user, tabs=shown)
    return [{"key": tab, "label": inbox.TABS[tab], "count": counts[tab], "url": filters.url(tab=tab)} for tab in shown]


def _queue_context(user: StaffUser, filters: inbox.Filters, found: list[Handoff], cursor: str) -> dict[str, Any]:
    definitions = list(
        Definition.objects.filter(archived_at=None, purpose__in=("pql", "expansion"))
        .order_by("name", "id")
        .values_list("slug", "name")
    )
    named = dict(definitions)
    chips: list[tuple[str, Any, dict[str, Any]]] = [
        ("Search", filters.q, {"q": ""}),
        ("Definition is", named.get(filters.definition, filters.definition), {"definition": ""}),
        ("Plan is", filters.plan, {"plan": ""}),
        ("Seats from", filters.seats, {"seats": None}),
    ]
    return {
        "f": filters,
        "rows": inbox.rows_of(found, now=timezone.now(), filters=filters),
        "next": f"{reverse('inbox')}{filters.url()}&cursor={cursor}" if cursor else "",
        "chips": [{"label": label, "value": v, "url": filters.url(**off)} for label, v, off in chips if v],
        "sorts": [{"key": k, "label": label, "url": filters.url(sort=k)} for k, label in inbox.SORTS.items()],
        "sort_label": "Closed last" if (filters.tab, filters.sort) == ("done", "newest") else inbox.SORTS[filters.sort],
        "tab_label": inbox.TABS[filters.tab],
        "cleared": filters.url(definition="", plan="", seats=None, q=""),
        "definitions": definitions,
        "plans": [(code, code[:1].upper() + code[1:]) for code in queries.plans()],
        "news": f"{filters.url()}&after={inbox.newest_id(filters, user=user)}",
    }


def _frame(user: StaffUser, filters: inbox.Filters) -> dict[str, Any]:
    """What stands around the queue."""
    kept = [("tab", filters.tab), ("sort", filters.sort), ("definition", filters.definition), ("plan", filters.plan)]
    return {
        "tabs": _tabs(user, filters),
        "kept": [*kept, ("seats", filters.seats or "")],
        "may_claim": access.may(user, "handoffs.claim"),
    }


def _action_context(found: Handoff, user: StaffUser, filters: inbox.Filters) -> dict[str, Any]:
    """What changes with an action: the bar, the activity, the owner, the audit trail."""
    allowed = handoffs.allowed(found, user)
    reasons = handoffs.REASONS.get(found.status, {})
    detail = inbox.detail(found)
    return {
        "f": filters,
        "d": detail,
        "audit": detail.audit,
        "allowed": allowed,
        "touches": TOUCHES,
        "outcomes": OUTCOMES,
        "outcome_tone": inbox.OUTCOME_TONES.get(found.status, "line"),
        "reason_label": reasons.get(found.outcome_reason, found.outcome_reason.replace("_", " ")),
        "sellers": _sellers() if "assign" in allowed else (),
    }


def _detail_context(found: Handoff, user: StaffUser, filters: inbox.Filters) -> dict[str, Any]:
    """Everything of the detail pane."""
    context = _action_context(found, user, filters)
    detail: inbox.Detail = context["d"]
    accounts = company.company_accounts(found.company_id)
    evidences = [r.qualification.evidence for r in detail.reasons]
    newest = [r.qualification.since_day for r in detail.reasons if r.qualification.since_day is not None]
    context |= {
        "accounts": accounts,
        "chart": company.use_chart(
            accounts, now=timezone.now(), signals=[s for r in detail.reasons for s in r.signals]
        ),
        "timeline": company.timeline(
            accounts, signal_types=why.event_types_of(evidences, narrow=True), since_day=min(newest) if newest else None
        ),
        "contacts": company.contacts(accounts, evidence=detail.evidence_users),
        "facts": _facts(found.company.traits),
        "currency": workspace.currency(),
    }
    return context


def _facts(traits: dict[str, Any]) -> list[tuple[str, str]]:
    """The company's other plain traits, at most six."""
    plain = [(k, v) for k, v in sorted(traits.items()) if k not in HIDDEN_TRAITS and isinstance(v, str | int | float)]
    told = [(k, "yes" if v is True else "no" if v is False else f"{v}") for k, v in plain if v != ""]
    return [(k.replace("_", " ").capitalize(), v) for k, v in told[:6]]


def _sellers() -> list[StaffUser]:
    """Who can be given a handoff."""
    roles = sorted(access.CAPABILITIES["handoffs.work"])
    people = StaffUser.objects.filter(is_active=True, groups__name__in=roles).distinct()
    return list(people.order_by("first_name", "username"))
