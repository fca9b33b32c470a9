"""Pages that belong to no app: the frame around every page, home, the style guide, errors."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.utils import timezone
from django.utils.text import capfirst

from accounts import workspace
from accounts.models import StaffUser
from plgops import today
from plgops.lib import access
from plgops.templatetags import charts
from scoring.models import Handoff
from support.models import Ticket

SERVER_ERROR = settings.BASE_DIR / "templates" / "500.html"

# --- the frame --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page in the navigation, for those who may see it."""

    name: str
    label: str
    short: str
    href: str
    icon: str
    keys: str
    capability: str
    count: str = ""  # which of /nav/counts/ stands beside it

    @property
    def caps(self) -> str:
        return self.keys.upper()


@dataclass(frozen=True, slots=True)
class NavGroup:
    name: str
    items: tuple[NavItem, ...]


NAV = (
    NavGroup(
        "Work",
        (
            NavItem("inbox", "PQL inbox", "Inbox", "/inbox/", "inbox", "g i", "handoffs.view", "inbox"),
            NavItem("team", "Sales team", "Team", "/team/", "users", "g w", "handoffs.manage"),
            NavItem("accounts", "Accounts", "Accounts", "/accounts/", "building-2", "g a", "accounts.view"),
            NavItem("tickets", "Tickets", "Tickets", "/tickets/", "life-buoy", "g t", "tickets.view", "tickets"),
            NavItem("alerts", "Alerts", "Alerts", "/alerts/", "bell", "g n", "alerts.own"),
            NavItem("cs-tasks", "CS tasks", "Tasks", "/cs-tasks/", "list-checks", "g j", "plays.tasks"),
        ),
    ),
    NavGroup(
        "Grow",
        (
            NavItem("definitions", "PQL definitions", "PQLs", "/definitions/", "git-branch", "g p", "definitions.view"),
            NavItem("plays", "Plays", "Plays", "/plays/", "workflow", "g l", "definitions.view"),
            NavItem("routing", "Routing", "Routing", "/routing/", "route", "g o", "handoffs.view"),
            NavItem("crm", "CRM", "CRM", "/crm/", "handshake", "g c", "crm.manage"),
            NavItem("discover", "Discovery", "Discovery", "/discover/", "telescope", "g d", "definitions.view"),
            NavItem("event-types", "Event types", "Events", "/event-types/", "radio", "g e", "event_types.edit"),
        ),
    ),
    NavGroup(
        "Help",
        (
            NavItem("kb", "Knowledge base", "Help", "/kb/", "book-open", "g k", "tickets.view"),
            NavItem("tiers", "Support tiers", "Tiers", "/tiers/", "timer", "g r", "tickets.view"),
        ),
    ),
    NavGroup(
        "Data",
        (
            NavItem("data-quality", "Data quality", "Quality", "/data-quality/", "radar", "g y", "data.quality"),
            NavItem("sources", "Sources", "Sources", "/sources/", "plug", "g s", "sources.manage"),
            NavItem("imports", "Imports", "Imports", "/imports/", "file-up", "g u", "data.import"),
            NavItem(
                "quarantine", "Quarantine", "Quarantine", "/quarantine/", "shield-alert", "g q", "quarantine.replay"
            ),
        ),
    ),
)
TABBAR = ("inbox", "accounts", "tickets", "definitions")  # what a phone shows; the rest is under More


@cache
def _nav_of(roles: frozenset[str]) -> tuple[NavGroup, ...]:
    groups = (
        NavGroup(group.name, tuple(item for item in group.items if access.CAPABILITIES[item.capability] & roles))
        for group in NAV
    )
    return tuple(group for group in groups if group.items)


def shell(request: HttpRequest) -> dict[str, Any]:
    """What every page's frame needs: preferences, navigation, the workspace's name. No query but the roles'."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"shell": {"workspace": workspace.name(), "keys": "on"}}  # a dict's own `keys` would be shown else
    roles = access.roles_of(user)
    nav = _nav_of(roles)
    items = [item for group in nav for item in group.items]
    first = request.path.split("/")[1]
    return {
        "shell": {
            "workspace": workspace.name(),
            "currency": workspace.currency(),
            "theme": user.theme,
            "density": user.density,
            "keys": "on" if user.single_key_shortcuts else "off",
            "nav": nav,
            "tabbar": [item for item in items if item.name in TABBAR],
            "active": f"/{first}/" if first else "/",
            "roles": "Superuser" if user.is_superuser else capfirst(", ".join(sorted(roles))) or "No role yet",
            "is_staff": access.may(user, "workspace.admin"),
            "finds_accounts": access.may(user, "accounts.view"),
        }
    }


COUNT_CAP = 99


@login_required
def nav_counts(request: HttpRequest) -> HttpResponse:
    """The numbers beside the navigation, swapped in out of band. Counted to the cap only, through an index."""
    counts: dict[str, int] = {}
    if access.may(request.user, "handoffs.view"):
        unclaimed = Handoff.objects.filter(status=Handoff.Status.NEW)
        counts["inbox"] = unclaimed.order_by()[: COUNT_CAP + 1].count()
    if access.may(request.user, "tickets.view"):
        open_tickets = Ticket.objects.filter(status=Ticket.Status.OPEN)
        counts["tickets"] = open_tickets.order_by()[: COUNT_CAP + 1].count()
    return render(request, "_nav_counts.html", {"counts": counts})


# --- errors -----------------------------------------------------------------------------------------------


def _told(request: HttpRequest, status: int, title: str, words: str) -> HttpResponse:
    """An error for a person: a page in the frame, or plain words for a script (they become a toast)."""
    if getattr(request, "htmx", False) or request.headers.get("accept", "").startswith("application/json"):
        return HttpResponse(words, status=status, content_type="text/plain; charset=utf-8")
    return render(request, f"{status}.html", {"status": status, "title": title, "words": words}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _told(request, 400, "That request is damaged", str(exception) or "The address or the form was not complete.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    words = str(exception) or "Your role does not include this."
    return _told(request, 403, "You may not do that", words)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _told(request, 404, "Nothing is here", "The link may be old, or what it led to was removed or merged.")


def server_error(request: HttpRequest) -> HttpResponse:
    """The last resort: a file that needs no context, no session and no database."""
    if getattr(request, "htmx", False):
        words = "Something broke on our side. Nothing was half saved."
        return HttpResponseServerError(words, content_type="text/plain; charset=utf-8")
    return HttpResponseServerError(SERVER_ERROR.read_bytes())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token did not fit: most often a page that stood open while the session ended."""
    words = "The page was open for too long, or cookies are blocked. Go back, reload the page and send it again."
    if getattr(request, "htmx", False):
        return HttpResponse(words, status=403, content_type="text/plain; charset=utf-8")
    return render(
        request, "403_csrf.html", {"status": 403, "title": "Please send that again", "words": words}, status=403
    )


# --- pages ------------------------------------------------------------------------------------------------


class KitForm(forms.Form):
    """The style guide's form, with one field in error."""

    name = forms.CharField(label="Definition name", initial="Team expansion")
    plan = forms.ChoiceField(choices=[("free", "Free"), ("team", "Team")])
    threshold = forms.IntegerField(max_value=100, help_text="A share of the seats, in percent.")
    notify = forms.BooleanField(label="Tell the owner", required=False, initial=True)
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)


KIT_WAVE = [3, 4, 4, 6, 5, 7, 6, 8, 9, 7, 10, 12, 11, 14]


@login_required
def kit(request: HttpRequest) -> HttpResponse:
    """The living style guide: every component in every state."""
    top, ticks = charts.nice_top(max(KIT_WAVE))
    days = [(0.0, "1 Jun"), (50.0, "8 Jun"), (100.0, "Today")]
    chart = charts.AreaChart(
        title="Active people a day",
        description="14 days, from 3 to 14",
        series=[
            charts.Series("People", KIT_WAVE),
            charts.Series("Before", [value * 0.7 for value in KIT_WAVE], css="c5", filled=False),
        ],
        labels=days,
        top=top,
        ticks=ticks,
        marks=[charts.Mark(x=1000 / 13, y=10, label="11 Jun: became a PQL")],
    )
    bars = charts.ColumnChart(
        title="Events a day",
        description="14 days, two kinds",
        bars=[charts.Bar([(v * 0.6, "f1"), (v * 0.4, "f2")], f"Day {i + 1}: {v}") for i, v in enumerate(KIT_WAVE)],
        labels=days,
        top=top,
        ticks=ticks,
    )
    form = KitForm({"name": "Team expansion", "plan": "free", "threshold": 185, "notify": "on"})
    form.is_valid()
    context = {
        "form": form,
        "chart": chart,
        "bars": bars,
        "wave": KIT_WAVE,
        "parts": [(32.0, "f7", "Fit 32 of 35"), (38.0, "f1", "Usage 38 of 40"), (22.0, "f2", "Intent 22 of 25")],
        "moment": timezone.now() - dt.timedelta(minutes=12),
    }
    return render(request, "kit/page.html", context)


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """First steps while any is open, the week, and what waits for this person."""
    user = cast(StaffUser, request.user)
    now = timezone.now()
    steps = today.first_steps(user) if access.roles_of(user) else []
    still_open = [step for step in steps if not step.done]
    done = len(steps) - len(still_open)
    context = {
        "today": timezone.localtime(now),
        "steps": steps,
        "open_steps": still_open,
        "next_step": next((step for step in still_open if step.may), None),
        "done_steps": done,
        "done_percent": 100 * done / len(steps) if steps else 0,
        "figures": today.this_week(now=now) if access.may(user, "accounts.view") else [],
        "cards": today.cards(user, now=now),
        "sees_quality": access.may(user, "data.quality"),
    }
    return render(request, "home.html", context)
