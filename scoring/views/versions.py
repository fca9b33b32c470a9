"""Versions of a definition: the list, two of them side by side, and back to an older one."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.models import StaffUser
from plgops.lib import access, htmx
from plgops.lib.paging import keyset
from scoring import catalogue, definitions, drafts, versions
from scoring.forms import BackForm
from scoring.json_lines import pretty
from scoring.models import Definition, DefinitionVersion
from scoring.rules.drafts import in_order
from scoring.rules.problems import RuleError

LIST = "definitions/versions.html"
DIFFERENCE = "definitions/difference.html"


@login_required
@require_GET
def version_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every version with who, when and why; two of them can be chosen to be compared."""
    access.require(request.user, "definitions.view")
    found = _found(slug)
    page = keyset(catalogue.versions(found), by="-number", cursor=request.GET.get("cursor", ""))
    context = {"definition": found, "page": page, "live": found.live_version, "first": "cursor" not in request.GET}
    if htmx.wants(request, "more-versions"):
        return render(request, f"{LIST}#more_versions", context)
    return render(request, LIST, context)


@login_required
@require_GET
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """The comparison that the list's form asks for, at an address of its own: the older version first."""
    access.require(request.user, "definitions.view")
    numbers = sorted({int(n) for n in (request.GET.get("a", ""), request.GET.get("b", "")) if _is_number(n)})
    if len(numbers) != 2:
        messages.error(request, "Choose two different versions to compare.")
        return redirect("definition_versions", slug=slug)
    return redirect("definition_difference", slug=slug, old=numbers[0], new=numbers[1])


@login_required
@require_GET
def difference(request: HttpRequest, slug: str, old: int, new: int) -> HttpResponse:
    """What changed from one version to another, in English and line by line; an admin can go back to the older one."""
    user = request.user
    access.require(user, "definitions.view")
    found = _found(slug)
    before, after = _version(found, old), _version(found, new)
    live = found.live_version
    may_back = access.may(user, "definitions.edit") and live is not None and before.pk != live.pk
    context = {
        "definition": found,
        "old": before,
        "new": after,
        "two": (before, after),
        "live": live,
        "told": versions.compare(before.document, after.document),
        "may_back": may_back,
        "dependents": drafts.dependents(slug) if may_back else [],
        "back_text": pretty(in_order(before.document)) if may_back else "",
    }
    return render(request, DIFFERENCE, context)


@login_required
@require_POST
def back(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Publish an old version's text again, as a new version."""
    access.require(request.user, "definitions.edit")
    found = _found(slug)
    version = _version(found, number)
    form = BackForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say why you go back, in at most 250 characters. Nothing was published.")
        return redirect("definition_versions", slug=slug)
    try:
        made = versions.back_to(
            version,
            by=cast(StaffUser, request.user),
            now=timezone.now(),
            reason=form.cleaned_data["reason"],
            replaces=form.cleaned_data["replaces"],
        )
    except definitions.Stale as stale:
        who = stale.version.published_by.label if stale.version.published_by else "Somebody"
        messages.error(request, f"{who} published version {stale.version.number} meanwhile. Nothing was published.")
        return redirect("definition_difference", slug=slug, old=number, new=stale.version.number)
    except RuleError as error:
        messages.error(request, f"Version {number} cannot be published any more: {error}. Nothing was published.")
        return redirect("definition_versions", slug=slug)
    if found.live_version is not None and made.pk == found.live_version.pk:
        messages.success(request, f"Nothing changed: version {made.number} says this already.")
    else:
        messages.success(
            request, f"Published version {made.number}: what version {number} said. Accounts are evaluated now."
        )
    return redirect("definition", slug=slug)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _found(slug: str) -> Definition:
    return get_object_or_404(Definition.objects.select_related("live_version__published_by"), slug=slug)


def _version(definition: Definition, number: int) -> DefinitionVersion:
    version = versions.of(definition, number)
    if version is None:
        raise Http404("There is no such version.")
    return version
