"""The builder: a definition's tree or its JSON, read in English as it changes, reviewed and published."""

from __future__ import annotations

import json
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import EventType, PlanLimit, StaffUser
from plgops.lib import access
from scoring import definitions, discover, drafts, names, rule_edits, starts, versions
from scoring.discovery import drawn
from scoring.forms import DocumentForm
from scoring.json_lines import pretty
from scoring.models import Definition, DefinitionVersion
from scoring.rules.drafts import in_order
from scoring.rules.grammar import ICONS, grammar
from scoring.rules.problems import RuleError
from scoring.rules.spoken import spoken

EDIT = "definitions/edit.html"
REVIEW = "definitions/review.html"
KINDS = ("event", "metered", "property", "trait", "value", "limit", "definition")


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Write a definition and publish its first version."""
    access.require(request.user, "definitions.edit")
    return _editor(request, None)


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a definition and publish it as the next version."""
    access.require(request.user, "definitions.edit")
    return _editor(request, _found(slug))


@login_required
@require_POST
def describe(request: HttpRequest) -> HttpResponse:
    """What a draft says, as JSON: the sentence, each part in English, problems and warnings by JSON pointer. A problem
    has a `message` for who writes JSON and `words` for who fills in forms.

    A text that is no JSON, or of another slug than the one edited, answers 200 too: with that as its problem, at its
    line. `free_slug` is one near the slug of a new definition that it could have, where it cannot have that one.
    """
    access.require(request.user, "definitions.edit")
    form = DocumentForm(request.POST, slug=request.POST.get("slug", ""))
    if not form.is_valid():
        told = [
            {"path": p.path, "message": p.message, "words": p.words or p.message, "line": p.line, "column": p.column}
            for p in form.problems
        ]
        told = told or [{"path": "", "message": "The definition is empty or longer than 200,000 characters."}]
        return JsonResponse({"english": "", "problems": told, "phrases": {}, "warnings": {}})
    draft = drafts.read(form.document, now=timezone.now(), new=not form.slug)
    problems: list[dict[str, Any]] = [
        {"path": problem.path, "message": problem.message, "words": spoken(problem, form.document)}
        for problem in draft.problems
    ]
    for problem, place in zip(problems, form.places(draft.problems), strict=True):
        problem |= {"line": place.line, "column": place.column}
    return JsonResponse(
        {
            "english": draft.english,
            "problems": problems,
            "phrases": dict(draft.phrases),
            "warnings": dict(draft.warnings),
            "free_slug": draft.free_slug,
        }
    )


@login_required
@require_GET
def name_list(request: HttpRequest) -> HttpResponse:
    """Names that a rule may use and that contain `q`, for a combobox; 404 for a kind that there is none of."""
    access.require(request.user, "definitions.edit")
    kind = request.GET.get("kind", "")
    if kind not in KINDS:
        return JsonResponse({"names": [], "error": f"Expected one of {', '.join(KINDS)}."}, status=404)
    search, of = request.GET.get("q", ""), request.GET.get("of", "")[:200]
    found = names.offered(kind, search=search, of=of, now=timezone.now())
    listed = [
        {"name": n.name, "label": n.label, "words": n.words, "warning": n.warning, "short": n.short} for n in found
    ]
    return JsonResponse({"names": listed})


@login_required
@require_POST
def review(request: HttpRequest) -> HttpResponse:
    """What publishing a draft would change against the live version, which definitions it publishes again, and the
    events in it that are silent or unknown. Whom it changes is copied from the preview by the page."""
    access.require(request.user, "definitions.edit")
    slug = request.POST.get("slug", "").replace("\x00", "")
    found = _found(slug) if slug else None
    form = DocumentForm(request.POST, slug=slug)
    live = found.live_version if found else None
    draft = drafts.read(form.document, now=timezone.now(), new=not slug) if form.is_valid() else None
    valid = draft is not None and draft.doc is not None
    context = {
        "valid": valid,
        "warnings": dict.fromkeys(words for told in draft.warnings.values() for words in told) if draft else {},
        "live": live,
        "archived": bool(found and found.archived_at),
        "changes": drafts.changes(form.document, live.document) if valid and live else None,
        "dependents": drafts.dependents(slug) if slug else [],
    }
    return render(request, REVIEW, context, status=200 if valid else 422)


def _editor(request: HttpRequest, found: Definition | None) -> HttpResponse:
    """Show, check and publish a definition (None: a new one)."""
    live = found.live_version if found else None
    discovered = _discovered(request) if found is None else None
    drafted_of: dict[str, Any] = {}
    if discovered is not None:
        drafted_of = {"discovery": discovered.asked, "asked": drawn.asked(discover.question(discovered.asked))}
    if request.method == "GET":
        offered = _starts() if found is None else []
        start = next((s for s in offered if s.key == request.GET.get("start")), offered[0] if offered else None)
        document = live.document if live else start.document if start else starts.ACTIVE_TEAM
        if discovered is not None:
            document, start = discovered.document, None
        if found is None:
            document = document | {"slug": definitions.free_slug(document["slug"])}
        elif request.GET.get("keep"):
            document = _with_condition(found, request.GET["keep"])
        form = DocumentForm(initial={"text": pretty(in_order(document)), "replaces": live.number if live else 0})
        return _page(request, form, found, starts=offered, start=start, **drafted_of)
    form = DocumentForm(request.POST, slug=found.slug if found else "", live=live)
    if not form.is_valid():
        return _page(request, form, found, status=422, **drafted_of)
    try:
        version = definitions.publish(
            document=form.document,
            by=cast(StaffUser, request.user),
            now=timezone.now(),
            reason=form.cleaned_data["reason"],
            replaces=form.cleaned_data["replaces"] if found else 0,
        )
    except RuleError as error:
        form.refuse(error)
        return _page(request, form, found, status=422, **drafted_of)
    except definitions.Stale as stale:
        return _page(request, form, found, status=409, **_meanwhile(stale.version, form))
    if live is not None and version.pk == live.pk:
        messages.success(request, f"Nothing changed: this is what version {version.number} says already.")
    else:
        messages.success(request, f"Published version {version.number}. Accounts are evaluated now.")
    return redirect("definition", slug=version.definition.slug)


def _meanwhile(live: DefinitionVersion, form: DocumentForm) -> dict[str, Any]:
    """What somebody else published against the version that was edited, and what this draft says otherwise."""
    edited = versions.of(live.definition, form.cleaned_data["replaces"] or 0)
    return {
        "stale": live,
        "edited": edited,
        "theirs": versions.compare(edited.document, live.document) if edited else None,
        "mine": versions.compare(live.document, form.document),
        "stale_text": pretty(in_order(live.document)),
    }


def _page(
    request: HttpRequest, form: DocumentForm, found: Definition | None, *, status: int = 200, **more: Any
) -> HttpResponse:
    text = form["text"].value() or ""
    lines = max(text.count("\n") + 1, 1)
    context = {
        "form": form,
        "definition": found,
        "lines": [(number, number in form.problem_lines) for number in range(1, lines + 1)],
        "grammar": grammar(),
        "icons": sorted(set(ICONS.values())),
        "definition_names": names.of_definitions(form["text"].value() or ""),
        "preview_url": _address("definition_preview"),
        "tab": "json" if request.POST.get("tab") == "json" or form.is_no_json else "tree",
        "touched": request.method == "POST",
    } | more
    return render(request, EDIT, context, status=status)


def _starts() -> list[starts.Start]:
    """Documents to begin with, from what the catalogue says that events mean: two queries."""
    described = EventType.objects.exclude(meaning="").order_by("name").values_list("meaning", "name")[:200]
    events: dict[str, list[str]] = {}
    for meaning, name in described:
        events.setdefault(meaning, []).append(name)
    limits = PlanLimit.objects.values("metric")
    metered = EventType.objects.exclude(metered_property="").filter(name__in=limits).order_by("name")
    return starts.offered(events, limited=metered.values_list("name", flat=True).first() or "")


def _discovered(request: HttpRequest) -> discover.Drafted | None:
    """The finding of a discovery that the address asks to start from (`?from=discovery:3:0`); 404 if it is gone."""
    try:
        return discover.draft_named(request.GET.get("from", ""))
    except LookupError as error:
        raise Http404(str(error)) from error


def _with_condition(found: Definition, text: str) -> dict[str, Any]:
    """The live document with a condition more that the address proposes (`?keep={…}`); 404 if that is none."""
    try:
        return rule_edits.document(found, json.loads(text))
    except (ValueError, RecursionError):  # no JSON, or no rule
        raise Http404("That is no condition.") from None


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _found(slug: str) -> Definition:
    return get_object_or_404(Definition.objects.select_related("live_version__published_by"), slug=slug)
