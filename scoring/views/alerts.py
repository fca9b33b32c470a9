"""Alerts: where to, of what and when; a person's own and the teams'; and what became of every message.

The pages of one destination are the same for both. Who may change it is decided by `destinations.for_change`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Destination, OutgoingMessage, StaffUser
from accounts.team import deliveries, destinations, forgetting
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset
from scoring import alert_forecast, alert_rules
from scoring.alert_forms import AddressForm, NewDestinationForm, RuleForm
from scoring.models import AlertRule

Status = OutgoingMessage.Status
TABS = (("failed", "Given up"), ("waiting", "Waiting"), ("sent", "Sent"))
LATEST = 5
MOST_REPLAYED = 200
SOON = dt.timedelta(minutes=1)  # how long a page asks again for what has just been made


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def own(request: StaffRequest) -> HttpResponse:
    """The person's own destinations; a POST adds one."""
    access.require(request.user, "alerts.own")
    return _list(request, owner=request.user)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def teams(request: StaffRequest) -> HttpResponse:
    """The teams' destinations; a POST adds one."""
    access.require(request.user, "alerts.team")
    return _list(request, owner=None)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def destination(request: StaffRequest, destination_id: int) -> HttpResponse:
    """What one destination hears of; a POST saves it."""
    found = _found(request, destination_id)
    rule = AlertRule.objects.filter(destination=found).first() or alert_rules.new_rule(found)
    form = RuleForm(request.POST if request.method == "POST" else None, destination=found, rule=rule)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            alert_rules.save(destination_id=found.pk, wanted=form.wanted, by=request.user, now=timezone.now())
            messages.success(request, f"Saved. {found.name} is {'on' if form.wanted.is_on else 'off'}")
            return redirect("alerts_destination", found.pk)
        status = 422
    return _one(request, found, form, AddressForm({"name": found.name}, destination=found), status=status)


@login_required
@require_GET
def forecast(request: StaffRequest, destination_id: int) -> HttpResponse:
    """What the form as it stands would have sent of late."""
    found = _found(request, destination_id)
    rule = AlertRule.objects.filter(destination=found).first() or alert_rules.new_rule(found)
    form = RuleForm(request.GET, destination=found, rule=rule)
    context: dict[str, Any] = {"form": form, "destination": found, "days": alert_forecast.DAYS}
    if form.is_valid():
        context["forecast"] = alert_forecast.forecast(found, form.wanted, now=timezone.now())
        context["is_known"] = True
    return render(request, "alerts/forecast.html", context)


@login_required
@require_POST
def address(request: StaffRequest, destination_id: int) -> HttpResponse:
    """Change its name, address or secret. A new secret is shown once, in the answer."""
    found = _found(request, destination_id)
    form = AddressForm(request.POST, destination=found)
    if form.is_valid():
        try:
            changed, secret = destinations.change(
                destination_id=found.pk,
                name=form.cleaned_data["name"],
                address=form.cleaned_data.get("address", ""),
                new_secret=form.cleaned_data.get("new_secret", False),
                by=request.user,
                now=timezone.now(),
            )
        except destinations.Refused as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            if not secret:
                messages.success(request, f"Saved {changed.name}")
                return redirect("alerts_destination", found.pk)
            return _one(request, changed, None, AddressForm({"name": changed.name}, destination=changed), secret=secret)
    return _one(request, Destination.objects.get(pk=found.pk), None, form, status=422)


@login_required
@require_POST
def try_it(request: StaffRequest, destination_id: int) -> HttpResponse:
    """Send a test there."""
    found = _found(request, destination_id)
    try:
        destinations.try_it(destination_id=found.pk, by=request.user, now=timezone.now())
    except destinations.Refused as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, f"A test is on its way to {found.name}")
    return redirect("alerts_destination", found.pk)


@login_required
@require_POST
def enable(request: StaffRequest, destination_id: int) -> HttpResponse:
    """Switch one on again whose receiver was gone, or that is paused."""
    found = _found(request, destination_id)
    destinations.enable(destination_id=found.pk, by=request.user, now=timezone.now())
    messages.success(request, f"{found.name} takes messages again")
    return redirect("alerts_destination", found.pk)


@login_required
@require_POST
def remove(request: StaffRequest, destination_id: int) -> HttpResponse:
    """Forget it."""
    found = _found(request, destination_id)
    destinations.remove(destination_id=found.pk, by=request.user, now=timezone.now())
    messages.success(request, f"{found.name} is removed")
    return redirect("alerts" if found.owner_id else "alerts_teams")


@login_required
@require_GET
def latest(request: StaffRequest, destination_id: int) -> HttpResponse:
    """What was sent there last; asked again while something is on its way."""
    found = _found(request, destination_id)
    return render(request, "alerts/latest.html", _latest(found))


# --- deliveries ---------------------------------------------------------------------------------------------------


@login_required
@require_GET
def message_list(request: StaffRequest) -> HttpResponse:
    """Messages by what became of them: dead letters first."""
    access.require(request.user, "alerts.team")
    tab = request.GET.get("tab", "")
    tab = tab if tab in dict(TABS) else TABS[0][0]
    rows = OutgoingMessage.objects.filter(status=tab, looked_at=None).select_related("destination__owner")
    order = {"sent": "-sent_at", "waiting": "next_at"}.get(tab, "")
    found = keyset(rows, by=order, tie="-id", cursor=request.GET.get("cursor", ""))
    context = {
        "page": found,
        "tab": tab,
        "tabs": TABS,
        "may_replay": access.may(request.user, "alerts.replay"),
        **_frame(request.user, "messages"),
    }
    return page(request, "alerts/messages.html", context)


@login_required
@require_POST
def replay(request: StaffRequest) -> HttpResponse:
    """Send dead letters again: those that were ticked."""
    access.require(request.user, "alerts.replay")
    done = deliveries.replay(message_ids=_ticked(request), by=request.user, now=timezone.now())
    if done:
        messages.success(request, f"{done:,} {'message waits' if done == 1 else 'messages wait'} to be sent again")
    else:
        messages.warning(request, "Nothing was sent again: tick messages whose destination is switched on")
    return redirect("alerts_messages")


@login_required
@require_POST
def put_away(request: StaffRequest) -> HttpResponse:
    """Take dead letters off the list, those that were ticked: somebody has looked at them."""
    access.require(request.user, "alerts.replay")
    done = forgetting.put_away(message_ids=_ticked(request), by=request.user, now=timezone.now())
    if done:
        messages.success(request, f"{done:,} {'message is' if done == 1 else 'messages are'} put away")
    else:
        messages.warning(request, "Nothing was put away: tick the messages that need nothing more")
    return redirect("alerts_messages")


def _ticked(request: StaffRequest) -> list[int]:
    ids = [pk for pk in request.POST.getlist("message")[:MOST_REPLAYED] if pk.isascii() and pk.isdigit()]
    return [int(pk) for pk in ids if len(pk) < 19]


# --- what the pages share -----------------------------------------------------------------------------------------


def _list(request: StaffRequest, *, owner: StaffUser | None) -> HttpResponse:
    form = NewDestinationForm(request.POST if request.method == "POST" else None, personal=owner is not None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            said = form.cleaned_data
            try:
                made, secret = destinations.add(
                    owner=owner,
                    channel=said["channel"],
                    name=said["name"],
                    address=said["address"],
                    by=request.user,
                    now=timezone.now(),
                )
            except destinations.Refused as error:
                form.add_error(error.field if error.field in form.fields else None, str(error))
            else:
                if not secret:
                    messages.success(request, f"{made.name} is added. Choose what it hears of, and switch it on")
                    return redirect("alerts_destination", made.pk)
                return _one(request, made, None, AddressForm({"name": made.name}, destination=made), secret=secret)
    rows = destinations.of_person(owner) if owner else destinations.of_teams()
    context = {
        "destinations": rows.select_related("alert_rule"),
        "form": form,
        "is_team": owner is None,
        **_frame(request.user, "own" if owner else "teams"),
    }
    return page(request, "alerts/list.html", context, status=status)


def _found(request: StaffRequest, destination_id: int) -> Destination:
    """The destination if this person may change it; somebody else's is not there."""
    try:
        return destinations.for_change(destination_id, request.user)
    except Destination.DoesNotExist as error:
        raise Http404("There is no such destination.") from error


def _one(
    request: StaffRequest,
    found: Destination,
    form: RuleForm | None,
    address_form: AddressForm,
    *,
    status: int = 200,
    secret: str = "",
) -> HttpResponse:
    if form is None:
        rule = AlertRule.objects.filter(destination=found).first() or alert_rules.new_rule(found)
        form = RuleForm(None, destination=found, rule=rule)
    context = {
        "destination": found,
        "form": form,
        "address_form": address_form,
        "secret": secret,
        "zones": sorted(available_timezones()),
        **_latest(found),
        **_frame(request.user, "own" if found.owner_id else "teams"),
    }
    return page(request, "alerts/destination.html", context, status=status)


def _latest(found: Destination) -> dict[str, Any]:
    sent = list(found.messages.order_by("-id")[:LATEST])
    now = timezone.now()
    on_its_way = any(m.status == Status.WAITING and m.attempts <= 1 and now - m.created_at < SOON for m in sent)
    return {"destination": found, "latest": sent, "on_its_way": on_its_way}


def _frame(user: StaffUser, active: str) -> dict[str, Any]:
    """The tabs that this person sees, and where mail goes."""
    tabs = [("own", "Yours", "alerts")]
    if access.may(user, "alerts.team"):
        tabs += [("teams", "Teams", "alerts_teams"), ("messages", "Messages", "alerts_messages")]
    to_files = settings.EMAIL_BACKEND.endswith("filebased.EmailBackend")
    return {"places": tabs, "active": active, "mail_folder": settings.EMAIL_FILE_PATH if to_files else ""}
