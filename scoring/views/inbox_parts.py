"""What the inbox's templates are given: the queue, what stands around it, and one handoff."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any, cast

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from accounts import listing, workspace
from accounts.models import BusinessCalendar, StaffUser
from accounts.team.calendars import calendar_of
from plgops.lib import access
from scoring import company, detail, handoffs, next_tasks, outcome_reasons, snooze, why
from scoring import queue as queues
from scoring.models import Definition, Handoff, OutcomeReason

OPEN_TABS = ("new", "mine", "due", "snoozed", "team")
HIDDEN_TRAITS = {"name", "plan", "seats", "mrr", "employees", "domain", "website", "avatar", "createdAt", "created_at"}


@dataclass(frozen=True, slots=True)
class Button:
    """A verb of the action bar with the key that presses it."""

    key: str
    label: str
    icon: str
    press: str
    title: str = ""
    reasons: tuple[OutcomeReason, ...] = ()

    @property
    def caps(self) -> str:
        return self.press.upper()

    @property
    def needs_note(self) -> str:
        """The reasons that need a note."""
        return ", ".join(f"“{reason.label}”" for reason in self.reasons if reason.needs_note)


TOUCHES = (
    Button("emailed", "E-mailed", "mail", "e"),
    Button("called", "Called", "phone", "p"),
    Button("met", "Met", "handshake", "m"),
)
OUTCOMES = {
    b.key: b
    for b in (
        Button("lost", "Lost", "circle-x", "l", "Why was it lost?"),
        Button("disqualified", "Disqualify", "ban", "d", "Why is this not worth working?"),
        Button("returned", "Return", "undo-2", "r", "Return to self-serve because"),
    )
}


def outcomes() -> dict[str, Button]:
    """The buttons of the outcomes with the reasons that can be chosen. One query."""
    offered = outcome_reasons.offered()
    return {key: replace(button, reasons=tuple(offered[key])) for key, button in OUTCOMES.items()}


def reader(request: HttpRequest) -> StaffUser:
    """Who is asking; PermissionDenied unless they may see handoffs."""
    access.require(request.user, "handoffs.view")
    return cast(StaffUser, request.user)


def found(handoff_id: int) -> Handoff:
    """The handoff with the people and the company that its page names; Http404 if there is none."""
    rows = Handoff.objects.select_related("company", "owner", "closed_by", "last_owner")
    return get_object_or_404(
        rows.defer("owner__password", "closed_by__password", "last_owner__password"), pk=handoff_id
    )


# --- the queue ---------------------------------------------------------------------------------------------


def tabs(user: StaffUser, filters: queues.Filters) -> list[dict[str, str]]:
    """The tabs that this user has, with their counts. One query."""
    works, manages = access.may(user, "handoffs.work"), access.may(user, "handoffs.manage")
    shown = ["new", *(["mine", "due"] if works else []), *(["snoozed"] if works or manages else [])]
    shown += [*(["team"] if manages or not works else []), "done"]
    if filters.tab not in shown:
        shown.insert(-1, filters.tab)
    counts = queues.counts(user=user, tabs=shown)
    return [{"key": tab, "label": queues.TABS[tab], "count": counts[tab], "url": filters.url(tab=tab)} for tab in shown]


def queue(user: StaffUser, filters: queues.Filters, items: list[Handoff], cursor: str) -> dict[str, Any]:
    """A page of the queue, its filters and its orders."""
    definitions = list(
        Definition.objects.filter(archived_at=None, purpose__in=("pql", "expansion"))
        .order_by("name", "id")
        .values_list("slug", "name")
    )
    named = dict(definitions)
    chips: list[tuple[str, Any, dict[str, Any]]] = [
        ("Search", filters.q, {"q": ""}),
        ("Definition is", named.get(filters.definition, filters.definition), {"definition": ""}),
        ("Version is", filters.version, {"version": None}),
        ("Outcome is", filters.outcome.capitalize(), {"outcome": "", "reason": ""}),
        ("Reason is", _reason_named(filters), {"reason": ""}),
        ("Plan is", filters.plan, {"plan": ""}),
        ("Seats from", filters.seats, {"seats": None}),
        ("Owner is", _name_of(filters.owner), {"owner": None}),
    ]
    manages = access.may(user, "handoffs.manage")
    sellers = _sellers() if filters.tab in ("team", "done") or manages else []
    order = _ORDERS.get(filters.tab, "") if filters.sort == "newest" else ""
    return {
        **rows(user, filters, items, cursor),
        "chips": [{"label": label, "value": v, "url": filters.url(**off)} for label, v, off in chips if v],
        "sorts": [{"key": k, "label": label, "url": filters.url(sort=k)} for k, label in queues.SORTS.items()],
        "sort_label": order or queues.SORTS[filters.sort],
        "tab_label": queues.TABS[filters.tab],
        "cleared": filters.url(
            definition="", version=None, outcome="", reason="", plan="", seats=None, owner=None, q=""
        ),
        "definitions": definitions,
        "owners": sellers if filters.tab in ("team", "done") else (),
        **bulk(user, filters, sellers=sellers),
        "plans": [(code, code[:1].upper() + code[1:]) for code in listing.plans()],
        "kept": filters.kept,
        "news": f"{filters.here}&after={queues.newest_id(filters, user=user)}",
    }


_ORDERS = {"done": "Closed last", "snoozed": "Waking first"}  # of tabs that have no newest evidence to go by


def _reason_named(filters: queues.Filters) -> str:
    if not filters.reason:
        return ""
    pair = (filters.outcome, filters.reason)
    return outcome_reasons.labels([pair])[pair]


def _name_of(owner_id: int | None) -> str:
    if owner_id is None:
        return ""
    owner = StaffUser.objects.filter(pk=owner_id).first()
    return owner.label if owner else "nobody"


def rows(user: StaffUser, filters: queues.Filters, items: list[Handoff], cursor: str) -> dict[str, Any]:
    """The lines of a page of the queue, and where the next page is."""
    return {
        "f": filters,
        "inbox": reverse("inbox"),
        "selects": _selects(user, filters),
        "rows": queues.rows_of(items, now=timezone.now(), filters=filters),
        "next": f"{reverse('inbox')}{filters.here}&cursor={cursor}" if cursor else "",
    }


def frame(user: StaffUser, filters: queues.Filters) -> dict[str, Any]:
    """What stands around the queue."""
    return {"tabs": tabs(user, filters), "may_claim": access.may(user, "handoffs.claim")}


# --- one handoff -------------------------------------------------------------------------------------------


def home_tab(handoff: Handoff, user: StaffUser) -> str:
    """The tab that a handoff stands on for this user, when the URL does not say."""
    if handoff.closed_at:
        return "done"
    if handoff.status == Handoff.Status.NEW:
        return "new"
    if handoff.status == Handoff.Status.SNOOZED:
        return "snoozed" if handoff.owner_id == user.pk or access.may(user, "handoffs.manage") else "team"
    return "mine" if handoff.owner_id == user.pk else "team"


def work(handoff: Handoff, user: StaffUser, filters: queues.Filters) -> dict[str, Any]:
    """What changes with an action: the bar, the activity, the owner, the audit trail."""
    allowed = handoffs.allowed(handoff, user)
    told = detail.detail(handoff)
    return {
        "f": filters,
        "inbox": reverse("inbox"),
        "d": told,
        "audit": told.audit,
        "allowed": allowed,
        "touches": TOUCHES,
        "outcomes": outcomes() if allowed - {"reopen"} else OUTCOMES,
        "outcome_tone": detail.OUTCOME_TONES.get(handoff.status, "line"),
        "reason_label": outcome_reasons.label_of(handoff),
        "sellers": _sellers() if "assign" in allowed else (),
        "presets": presets() if "snooze" in allowed else (),
        "tomorrow": tomorrow(),
        "task": told.task,
        "task_days": next_tasks.days_left(told.task, now=timezone.now()) if told.task else 0,
        "may_plan": bool(allowed & {"note", "reopen"}) or (told.task is not None and told.task.owner_id == user.pk),
        "today": tomorrow() - dt.timedelta(days=1),
    }


def presets() -> list[snooze.Preset]:
    """The moments that the snooze menu offers, by the workspace's calendar where there is one."""
    calendar = BusinessCalendar.objects.order_by("pk").first()
    return snooze.presets(now=timezone.now(), zone=workspace.zone(), calendar=calendar_of(calendar))


def tomorrow() -> dt.date:
    """The first day that a date may name."""
    return timezone.now().astimezone(workspace.zone()).date() + dt.timedelta(days=1)


def when(at: dt.datetime) -> str:
    """A moment to come in words: `Mon 23 Nov, 09:00` in the workspace's zone, with the year when it is another."""
    local = at.astimezone(workspace.zone())
    year = f" {local.year}" if local.year != timezone.now().astimezone(workspace.zone()).year else ""
    return f"{local:%a} {local.day} {local:%b}{year}, {local:%H:%M}"


# --- what can be done with several at once ------------------------------------------------------------------


def bulk(user: StaffUser, filters: queues.Filters, *, sellers: list[StaffUser]) -> dict[str, Any]:
    """What this user can do with the selected rows of this tab."""
    if not _selects(user, filters):
        return {}
    worked = filters.tab != "new"
    return {
        "bulk_claims": not worked,
        "bulk_snoozes": worked,
        "bulk_presets": presets() if worked else (),
        "bulk_reasons": outcomes()["disqualified"],
        "bulk_sellers": sellers if access.may(user, "handoffs.manage") else (),
        "tomorrow": tomorrow(),
    }


def _selects(user: StaffUser, filters: queues.Filters) -> bool:
    """Whether rows of this tab can be selected: there is something that this user could do with them."""
    if filters.tab not in OPEN_TABS or not access.may(user, "handoffs.work"):
        return False
    return filters.tab != "team" or access.may(user, "handoffs.manage")


def pane(handoff: Handoff, user: StaffUser, filters: queues.Filters) -> dict[str, Any]:
    """Everything of the detail pane but the chart of use, which comes by itself."""
    context = work(handoff, user, filters)
    told: detail.Detail = context["d"]
    whole = company.company(handoff.company_id)
    lately = company.recent(whole)
    evidences = [r.qualification.evidence for r in told.reasons]
    since = [r.qualification.since_day for r in told.reasons if r.qualification.since_day is not None]
    return context | {
        "accounts": whole.ids,
        "timeline": company.timeline(
            whole,
            lately=lately,
            signal_types=why.event_types_of(evidences, narrow=True),
            since_day=min(since, default=None),
        ),
        "contacts": company.contacts(whole, lately=lately, evidence=told.evidence_users),
        "facts": _facts(handoff.company.traits),
        "currency": workspace.currency(),
    }


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
