"""Prompts in the customer's product: how they are put in, how often anybody meets one, and a sample page of each."""

from __future__ import annotations

from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import letters, sources, workspace
from accounts.models import Source
from accounts.team.requests import StaffRequest
from plgops.lib import access
from scoring import nudge_mail, prompts
from scoring.models import Play, PromptRules
from scoring.play_forms import PromptRulesForm

PAGE = "plays/prompts.html"
NO_LINK = "https://example.com/unsubscribe"


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def setup(request: StaffRequest) -> HttpResponse:
    """The cap, the script to put in, the sources that vouch for users; a POST changes the cap."""
    access.require(request.user, "definitions.view")
    form, status = PromptRulesForm(instance=PromptRules.objects.get(pk=1)), 200
    if request.method == "POST":
        access.require(request.user, "plays.edit")
        form, status = PromptRulesForm(request.POST, instance=PromptRules(pk=1)), 422
        if form.is_valid():
            prompts.set_rules(**form.cleaned_data, by=request.user, now=timezone.now())
            messages.success(request, "Saved.")
            return redirect("prompts")
    return render(request, PAGE, _context(request) | {"form": form}, status=status)


@login_required
@never_cache
@require_POST
def secret(request: StaffRequest, source_id: int) -> HttpResponse:
    """A new signing secret of a source; answered with it, which no other page can show."""
    access.require(request.user, "sources.manage")
    try:
        source, made = sources.new_signing_secret(source_id=source_id, by=request.user, now=timezone.now())
    except (Source.DoesNotExist, sources.HasNoKey, sources.AlreadyRevoked) as error:
        raise Http404("There is no such source with a key.") from error
    context = _context(request) | {"form": PromptRulesForm(instance=PromptRules.objects.get(pk=1))}
    return render(request, PAGE, context | {"new_source": source, "new_secret": made})


@login_required
@require_GET
def sample(request: HttpRequest, slug: str) -> HttpResponse:
    """A play's prompt on a page of a made-up product, by the script that customers use; or its e-mail."""
    access.require(request.user, "definitions.view")
    play = get_object_or_404(Play, slug=slug, action__in=Play.OUTREACH)
    if play.action == Play.Action.EMAIL_NUDGE:
        said = nudge_mail.of_play(play, _lacking(play))
        text = letters.text_of(said, leave=NO_LINK, sender=workspace.name())
        context = {"play": play, "words": said, "text": text, "sender": settings.DEFAULT_FROM_EMAIL}
        return render(request, "plays/sample_mail.html", context)
    prompt = prompts.as_json(prompts.of_play(play, detail=_lacking(play)))
    return render(request, "plays/sample.html", {"play": play, "prompt": prompt})


@login_required
@require_GET
@xframe_options_sameorigin
@csp_replace({"default-src": [NONE], "style-src": ["'unsafe-inline'"], "frame-ancestors": [SELF], "sandbox": [""]})  # type: ignore[arg-type]
def sample_mail(request: HttpRequest, slug: str) -> HttpResponse:
    """A play's e-mail as HTML, to be shown in a frame: its styles are in its lines, as mail programs want them."""
    access.require(request.user, "definitions.view")
    play = get_object_or_404(Play, slug=slug, action=Play.Action.EMAIL_NUDGE)
    said = nudge_mail.of_play(play, _lacking(play))
    return HttpResponse(letters.html_of(said, leave=NO_LINK, sender=workspace.name()))


def _lacking(play: Play) -> dict[str, Any]:
    """What a made-up near miss lacks."""
    return {"needs": "1 more time", "days_left": 4} if play.trigger == Play.Trigger.NEAR_MISS else {}


def _context(request: StaffRequest) -> dict[str, object]:
    may_sources = access.may(request.user, "sources.manage")
    rows = Source.objects.filter(kind=Source.Kind.HTTP, revoked_at=None).order_by("name")
    return {
        "may_edit": access.may(request.user, "plays.edit"),
        "may_sources": may_sources,
        "sources": list(rows[:100]) if may_sources else [],
        "plays": list(
            Play.objects.filter(action__in=Play.IN_PRODUCT, status=Play.Status.LIVE).order_by("-priority")[:50]
        ),
        "site_url": settings.SITE_URL,
        "moments": [(value, label) for value, label in Play.Moment.choices if value],
    }
