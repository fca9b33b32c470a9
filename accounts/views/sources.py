"""Sources: who sends facts, a new write key (shown once), and the end of one."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import sources
from accounts.forms import SourceForm
from accounts.models import Source
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def source_list(request: StaffRequest) -> HttpResponse:
    """The sources; a POST makes one and answers with its key, which no other page can show."""
    access.require(request.user, "sources.manage")
    form = SourceForm(request.POST or None)
    status, new_source, new_key = 200, None, ""
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                new_source, new_key = sources.create_source(
                    name=form.cleaned_data["name"], by=request.user, now=timezone.now()
                )
                status, form = 200, SourceForm()
            except (sources.NameTaken, sources.NameMissing) as error:
                form.add_error("name", str(error))
    rows = Source.objects.select_related("created_by")
    context = {
        "page": keyset(rows, by="name", cursor=request.GET.get("cursor", "")),
        "form": form,
        "new_source": new_source,
        "new_key": new_key,
        "endpoint": f"{settings.SITE_URL}/v1/batch",
        "site_url": settings.SITE_URL,
    }
    return page(request, "sources/list.html", context, status=status)


@login_required
@require_POST
def source_revoke(request: StaffRequest, source_id: int) -> HttpResponse:
    access.require(request.user, "sources.manage")
    try:
        source = sources.revoke(source_id=source_id, by=request.user, now=timezone.now())
    except Source.DoesNotExist as error:
        raise Http404("There is no such source.") from error
    except (sources.AlreadyRevoked, sources.HasNoKey) as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, f"The key of {source.name} is revoked")
    return redirect("sources")
