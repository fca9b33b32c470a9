"""What a request for a backtest asks, and where its numbers lead: shared by the result and the lists behind it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse

from accounts import lake
from plgops.lib import access
from scoring.backtest import run
from scoring.backtest.documents import of_draft, of_version
from scoring.backtest.drawn import Leads
from scoring.backtest.form import DRAFT, BacktestForm
from scoring.models import Definition, DefinitionVersion
from scoring.rules.problems import Problem, RuleError
from scoring.rules.spoken import spoken
from scoring.rules.tree import DefinitionDoc

VERSIONS = 50  # to choose from, the newest
LONGEST_TEXT = 200_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a backtest: of a definition's versions, or of a draft (`text`), which may have no definition yet.

    Without a usage lake there is no form: nobody knows up to which day to ask.
    """

    definition: Definition | None
    form: BacktestForm | None
    text: str = ""
    draft: DefinitionDoc | None = None

    @property
    def names(self) -> list[str]:
        """What the versions are called."""
        said = self._said()
        return ["The draft" if said[0] == DRAFT else f"v{said[0]}", *(f"v{number}" for number in said[1:])]

    def _said(self) -> list[str]:
        assert self.form is not None
        cleaned = self.form.cleaned_data
        return [cleaned["version"], *([cleaned["against"]] if cleaned["against"] else [])]

    def question(self) -> run.Question:
        """What a valid form asks. RuleError for a version that this program cannot read."""
        assert self.form is not None
        numbers = [int(said) for said in self._said() if said != DRAFT]
        rows = DefinitionVersion.objects.filter(definition=self.definition, number__in=numbers) if numbers else ()
        read = {version.number: of_version(version) for version in rows}
        docs = [self.draft] if self.draft else []
        docs += [read[number] for number in numbers]
        first, last = self.form.period
        cleaned = self.form.cleaned_data
        return run.Question(tuple(docs), first, last, cleaned["outcome"], cleaned["within"])


# --- reading a request ----------------------------------------------------------------------------------------


def of_versions(request: HttpRequest, slug: str) -> Asked:
    """What an address asks of a definition's versions; who may not see definitions is refused."""
    access.require(request.user, "definitions.view")
    definition = get_object_or_404(Definition.objects.select_related("live_version"), slug=slug)
    return Asked(definition, _form(request.GET, definition, definition.purpose))


def of_draft_text(request: HttpRequest) -> Asked:
    """What a posted text asks; for who edits definitions. RuleError if it is not a definition."""
    access.require(request.user, "definitions.edit")
    text = request.POST.get("text", "")
    try:
        if len(text) > LONGEST_TEXT:
            raise ValueError("too long")
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RuleError([Problem("", "This is not JSON yet.")]) from error
    try:
        doc = of_draft(document)
    except RuleError as error:
        raise RuleError([Problem("", spoken(problem, document)) for problem in error.problems]) from error
    definition = Definition.objects.select_related("live_version").filter(slug=doc.slug).first()
    return Asked(definition, _form(request.POST, definition, doc.purpose, draft=True), text, doc)


def _form(given: QueryDict, definition: Definition | None, purpose: str, *, draft: bool = False) -> BacktestForm | None:
    try:
        until = run.known_until()
    except lake.CannotAnswer:
        return None
    versions: list[int] = []
    live = 0
    if definition is not None:
        versions = list(definition.versions.order_by("-number").values_list("number", flat=True)[:VERSIONS])
        live = definition.live_version.number if definition.live_version else 0
    return BacktestForm(given.dict(), versions=versions, live=live, until=until, purpose=purpose, draft=draft)


def place(asked: Asked, name: str) -> str:
    """The address of one of a backtest's views."""
    if asked.text:
        return reverse(f"backtest_draft{name}")
    assert asked.definition is not None
    return reverse(f"backtest{name}", args=[asked.definition.slug])


def query(asked: Asked) -> str:
    """What a valid form asks, for an address; a draft's is in its form."""
    if asked.text or asked.form is None:
        return ""
    return urlencode({name: asked.form.data[name] for name in asked.form.fields if asked.form.data.get(name)})


def number(request: HttpRequest, name: str) -> int | None:
    """A whole number of the address; 404 for anything else."""
    text = request.GET.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise Http404(f"“{name}” is not a number.")
    return int(text)


# --- where numbers lead ---------------------------------------------------------------------------------------


def leads_of(asked: Asked, answer: run.Answer) -> Leads:
    """A function that gives the attributes of a link to the accounts behind a number."""
    where, asks = place(asked, "_accounts"), query(asked)
    opens = {"hx-target": "#behind-b", "hx-indicator": "#behind-b", "data-open": "behind"}

    def leads(side: int, of: str, **narrowed: object) -> dict[str, str]:
        listed = urlencode({"of": of, "side": side, **narrowed, "generation": answer.generation})
        url = f"{where}?{asks}&{listed}" if asks else f"{where}?{listed}"
        if asked.text:
            return {"form": "draft", "formaction": url, "hx-post": url, "hx-include": "#draft", **opens}
        return {"href": url, "hx-get": url, **opens}

    return leads
