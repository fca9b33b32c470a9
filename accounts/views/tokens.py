"""API tokens: one's own (an admin: everybody's), a new one (shown once), and the end of one."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import tokens
from accounts.forms import TokenForm
from accounts.models import ApiToken
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def token_list(request: StaffRequest) -> HttpResponse:
    """The tokens, the newest first; a POST makes one of one's own and answers with it, which no other page can show."""
    access.require(request.user, "accounts.view")
    now, manages = timezone.now(), access.may(request.user, "tokens.manage")
    everybody = manages and request.GET.get("of") == "all"
    scopes = tokens.offered(request.user)
    form = TokenForm(request.POST or None, scopes=scopes)
    status, made, key = 200, None, ""
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                made, key = tokens.create(user=request.user, by=request.user, now=now, **form.cleaned_data)
                status, form = 200, TokenForm(scopes=scopes)
            except tokens.BadToken as error:
                form.add_error(error.field, str(error))
    rows = tokens.listed(request.user, everybody=everybody)
    context = {
        "page": keyset(rows, tie="-id", cursor=request.GET.get("cursor", "")),
        "form": form,
        "made": made,
        "key": key,
        "now": now,
        "everybody": everybody,
        "manages": manages,
        "example": f"{settings.SITE_URL}/api/v1/accounts/",
    }
    return page(request, "tokens/list.html", context, status=status)


@login_required
@require_POST
def token_revoke(request: StaffRequest, token_id: int) -> HttpResponse:
    """End a token at once."""
    access.require(request.user, "accounts.view")
    try:
        token = tokens.revoke(token_id=token_id, by=request.user, now=timezone.now())
    except ApiToken.DoesNotExist as error:
        raise Http404("There is no such token.") from error
    except tokens.AlreadyRevoked as error:
        messages.warning(request, str(error))
        return redirect("tokens")
    messages.success(request, f"The token “{token.name}” is revoked")
    return redirect("tokens" if token.user_id == request.user.pk else "/tokens/?of=all")
