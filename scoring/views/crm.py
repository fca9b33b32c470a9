"""The CRM's pages, for admins: connect and switch on, map, try without sending, decide conflicts, see errors."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.paging import keyset
from scoring.crm import board, conflicts, connections, mapping
from scoring.crm.mapping import BadMapping
from scoring.crm.provider import CrmError
from scoring.crm_forms import LineForm, MappingForm, TokenForm, line_forms
from scoring.handoff_states import HandoffError
from scoring.models import CrmConflict, CrmConnection

CAPABILITY = connections.CAPABILITY
STALE = "Somebody else changed the connection since you opened this page. What you typed is still below."
MOST_RETRIED = 200


@login_required
@never_cache
@require_GET
def index(request: StaffRequest) -> HttpResponse:
    """How it stands; without a connection, what to do."""
    access.require(request.user, CAPABILITY)
    return _index(request, TokenForm())


@login_required
@never_cache
@require_POST
def connect(request: StaffRequest) -> HttpResponse:
    """Take a token, which the CRM is asked about."""
    access.require(request.user, CAPABILITY)
    form = TokenForm(request.POST)
    if form.is_valid():
        try:
            connections.connect(token=form.cleaned_data["token"], by=request.user, now=timezone.now())
        except (connections.Refused, CrmError) as error:
            form.add_error("token", str(error))
        else:
            messages.success(request, "Connected")
            return redirect("crm")
    return _index(request, form, status=422)


@login_required
@require_POST
def switch(request: StaffRequest) -> HttpResponse:
    """On or off."""
    access.require(request.user, CAPABILITY)
    try:
        if request.POST.get("to") == "on":
            made = connections.switch_on(by=request.user, now=timezone.now())
            more = f"; {len(made)} properties were made there" if made else ""
            messages.success(request, f"It is on{more}")
        else:
            connections.switch_off(by=request.user, now=timezone.now())
            messages.success(request, "It is off: nothing is sent or read")
    except (connections.Refused, CrmError) as error:
        messages.error(request, str(error))
    return redirect("crm")


@login_required
@require_POST
def disconnect(request: StaffRequest) -> HttpResponse:
    """Forget the token."""
    access.require(request.user, CAPABILITY)
    connections.disconnect(by=request.user, now=timezone.now())
    messages.success(request, "The token is forgotten")
    return redirect("crm")


def _index(request: StaffRequest, form: TokenForm, status: int = 200) -> HttpResponse:
    found = connections.current()
    context = _around("connection", found) | {"form": form, "property_key": mapping.KEY}
    if found.state != CrmConnection.State.NONE:
        context |= {"strangers": board.strangers()}
    return render(request, "crm/index.html", context, status=status)


def _around(tab: str, found: CrmConnection) -> dict[str, Any]:
    now = timezone.now()
    return {
        "tab": tab,
        "crm": found,
        "label": connections.PROVIDERS[found.provider].label,
        "standing": board.standing(),
        "paused": bool(found.paused_until and found.paused_until > now),
        "is_connected": found.state != CrmConnection.State.NONE,
    }


# --- the mapping ---------------------------------------------------------------------------------------------------


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def map_fields(request: StaffRequest) -> HttpResponse:
    """Which field goes where, and who has the say; a POST saves it."""
    access.require(request.user, CAPABILITY)
    found = connections.current()
    if request.method == "GET":
        form = MappingForm(initial={"audience": found.audience, "edition": found.edition})
        return _mapping(request, found, form, line_forms(connections.lines(found)))
    form, rows = MappingForm(request.POST), line_forms(connections.lines(found), request.POST)
    sound = not [row for row in rows if not row.is_valid()]
    if form.is_valid() and sound:
        try:
            connections.save_mapping(
                wanted=[row.told() for row in rows],
                audience=form.cleaned_data["audience"],
                edition=form.cleaned_data["edition"],
                by=request.user,
                now=timezone.now(),
            )
        except (BadMapping, CrmError) as error:
            form.add_error(None, str(error))
        except connections.Stale:
            typed = {"audience": form.cleaned_data["audience"], "edition": connections.current().edition}
            return _mapping(request, found, MappingForm(initial=typed), rows, stale=STALE, status=409)
        else:
            messages.success(request, "The mapping is saved")
            return redirect("crm_mapping")
    return _mapping(request, found, form, rows, status=422)


def _mapping(
    request: StaffRequest,
    found: CrmConnection,
    form: MappingForm,
    rows: list[LineForm],
    *,
    stale: str = "",
    status: int = 200,
) -> HttpResponse:
    context = _around("mapping", found) | {"form": form, "rows": rows, "stale": stale, "property_key": mapping.KEY}
    return render(request, "crm/mapping.html", context, status=status)


@login_required
@never_cache
@require_POST
def dry_run(request: StaffRequest) -> HttpResponse:
    """What would be sent, as the saved mapping says; nothing is."""
    access.require(request.user, CAPABILITY)
    found = connections.current()
    context: dict[str, Any] = _around("dry", found)
    try:
        context["lines"] = board.dry_run(found, clock=timezone.now)
    except CrmError as error:
        context["problem"] = str(error)
    return render(request, "crm/dry_run.html", context)


# --- conflicts and errors --------------------------------------------------------------------------------------------


@login_required
@never_cache
@require_GET
def conflict_list(request: StaffRequest) -> HttpResponse:
    """What waits for a decision, the newest first."""
    access.require(request.user, CAPABILITY)
    found = connections.current()
    rows = CrmConflict.objects.filter(resolved_at=None).select_related("company")
    page = keyset(rows, by="-found_at", cursor=request.GET.get("cursor", ""))
    owners = board.names_of(
        [text for row in page.items if row.field == mapping.OWNER for text in (row.ours, row.theirs)]
    )
    items = [
        {
            "row": row,
            "field": mapping.BY_NAME[row.field].label if row.field in mapping.BY_NAME else row.property,
            "ours": owners.get(row.ours, row.ours) if row.field == mapping.OWNER else row.ours,
            "theirs": owners.get(row.theirs, row.theirs) if row.field == mapping.OWNER else row.theirs,
        }
        for row in page.items
    ]
    return render(request, "crm/conflicts.html", _around("conflicts", found) | {"items": items, "page": page})


@login_required
@require_POST
def resolve(request: StaffRequest, conflict_id: int) -> HttpResponse:
    """Decide one."""
    access.require(request.user, CAPABILITY)
    choice, now = request.POST.get("choice", ""), timezone.now()
    try:
        if choice == "again":
            conflicts.look_again(conflict_id=conflict_id, by=request.user, now=now)
            messages.success(request, "It is looked at again with the next push")
        else:
            row = conflicts.resolve(conflict_id=conflict_id, choice=choice, by=request.user, now=now)
            messages.success(request, f"{row.company.name}: {row.resolution}")
    except CrmConflict.DoesNotExist as error:
        raise Http404("There is no such conflict.") from error
    except (conflicts.Refused, HandoffError) as error:
        messages.error(request, str(error))
    return redirect("crm_conflicts")


@login_required
@never_cache
@require_GET
def error_list(request: StaffRequest) -> HttpResponse:
    """What the CRM did not take, with its words."""
    access.require(request.user, CAPABILITY)
    found = connections.current()
    page = keyset(board.failing(), cursor=request.GET.get("cursor", ""))
    return render(request, "crm/errors.html", _around("errors", found) | {"page": page})


@login_required
@require_POST
def retry(request: StaffRequest) -> HttpResponse:
    """Try what was ticked again."""
    access.require(request.user, CAPABILITY)
    ids = [int(one) for one in request.POST.getlist("row")[:MOST_RETRIED] if one.isdecimal() and len(one) < 19]
    done = board.retry(row_ids=ids, by=request.user, now=timezone.now())
    messages.success(request, f"{done:,} tried again with the next push")
    return redirect("crm_errors")


@login_required
@require_GET
def companies_file(request: StaffRequest) -> StreamingHttpResponse:
    """The mapped values as CSV."""
    access.require(request.user, CAPABILITY)
    response = StreamingHttpResponse(board.file_lines(connections.current()), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="crm-companies.csv"'
    return response
