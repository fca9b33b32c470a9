"""Quarantine: messages that were refused, why, and trying them again."""

from __future__ import annotations

import json

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts import replay
from accounts.models import QuarantinedMessage, Source
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset

TABS = (("waiting", "Waiting"), ("replayed", "Accepted on replay"))
SHOWN_CHARACTERS = 40_000  # of a message; a larger one is cut on its page, not in the database


@login_required
@require_GET
def message_list(request: StaffRequest) -> HttpResponse:
    access.require(request.user, "quarantine.replay")
    tab = "replayed" if request.GET.get("tab") == "replayed" else "waiting"
    code, source_id = request.GET.get("code", "").strip(), _number(request.GET.get("source", ""))
    rows = QuarantinedMessage.objects.filter(replayed_at__isnull=tab == "waiting").defer("payload")
    if code:
        rows = rows.filter(code=code)
    if source_id is not None:
        rows = rows.filter(source_id=source_id)
    context = {
        "page": keyset(rows.select_related("source"), by="-received_at", cursor=request.GET.get("cursor", "")),
        "tabs": TABS,
        "tab": tab,
        "code": code,
        "source_id": source_id,
        "sources": Source.objects.order_by("name").only("name"),
        "at_once": replay.REPLAYED_AT_ONCE,
    }
    return page(request, "quarantine/list.html", context, fragments=("messages",))


@login_required
@require_GET
def message_page(request: StaffRequest, message_id: int) -> HttpResponse:
    access.require(request.user, "quarantine.replay")
    message = get_object_or_404(QuarantinedMessage.objects.select_related("source"), pk=message_id)
    text = json.dumps(message.payload, indent=2, ensure_ascii=False)
    context = {"message": message, "text": text[:SHOWN_CHARACTERS], "cut": len(text) > SHOWN_CHARACTERS}
    return page(request, "quarantine/page.html", context)


@login_required
@require_POST
def message_replay(request: StaffRequest, message_id: int) -> HttpResponse:
    access.require(request.user, "quarantine.replay")
    try:
        outcome = replay.replay(quarantined_id=message_id, by=request.user, now=timezone.now())
    except QuarantinedMessage.DoesNotExist as error:
        raise Http404("There is no such message.") from error
    except replay.AlreadyReplayed as error:
        messages.info(request, str(error))
    else:
        if outcome.accepted:
            messages.success(request, "Accepted: it is in the log now")
        else:
            messages.warning(request, f"Still refused: {outcome.reason}")
    return redirect("quarantined-message", message_id=message_id)


@login_required
@require_POST
def replay_all(request: StaffRequest) -> HttpResponse:
    access.require(request.user, "quarantine.replay")
    accepted, wrong = replay.replay_waiting(
        code=request.POST.get("code", "").replace("\x00", "").strip(),
        source_id=_number(request.POST.get("source", "")),
        by=request.user,
        now=timezone.now(),
    )
    tell = messages.warning if wrong else messages.success
    tell(request, f"Tried {accepted + wrong} again: {accepted} accepted, {wrong} still refused")
    return redirect("quarantine")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
