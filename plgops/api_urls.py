"""The addresses of the API for programs, below /api/. Each has both spellings, with and without a slash at its end."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, re_path

from accounts.rest import accounts, people
from plgops import api_docs
from scoring.api import definitions, handoffs, play_verbs, plays, qualifications

SLUG = r"(?P<slug>[-a-zA-Z0-9_]{1,100})"
HANDOFF = r"v1/handoffs/(?P<handoff_id>[0-9]{1,18})"


def _at(route: str, view: Any, name: str) -> URLPattern:
    return re_path(rf"^{route}/?$", view.as_view(), name=f"api_{name}")


urlpatterns = [
    re_path(r"^docs/?$", api_docs.page, name="api_docs"),
    _at("v1/schema", api_docs.Schema, "schema"),
    _at("v1/accounts", accounts.Accounts, "accounts"),
    _at("v1/accounts/(?P<external_id>.+?)/qualifications", qualifications.AccountQualifications, "account_reasons"),
    _at("v1/accounts/(?P<external_id>.+?)", accounts.OneAccount, "account"),
    _at("v1/people/(?P<external_id>.+?)/contact", people.PersonContact, "person_contact"),
    _at("v1/people/(?P<external_id>.+?)", people.OnePerson, "person"),
    _at("v1/qualifications", qualifications.Qualifications, "qualifications"),
    _at("v1/qualifications/(?P<qualification_id>[0-9]{1,18})", qualifications.OneQualification, "qualification"),
    _at("v1/definitions", definitions.Definitions, "definitions"),
    _at("v1/definitions/validate", definitions.Validate, "definitions_validate"),
    _at(f"v1/definitions/{SLUG}", definitions.OneDefinition, "definition"),
    _at(f"v1/definitions/{SLUG}/archive", definitions.Archived, "definition_archive"),
    _at(f"v1/definitions/{SLUG}/qualifiers", qualifications.DefinitionQualifiers, "definition_qualifiers"),
    _at(f"v1/definitions/{SLUG}/versions", definitions.Versions, "definition_versions"),
    _at(f"v1/definitions/{SLUG}/versions/(?P<number>[0-9]{{1,9}})", definitions.OneVersion, "definition_version"),
    _at("v1/handoffs", handoffs.Handoffs, "handoffs"),
    _at(HANDOFF, handoffs.OneHandoff, "handoff"),
    _at(f"{HANDOFF}/claim", handoffs.Claim, "handoff_claim"),
    _at(f"{HANDOFF}/unclaim", handoffs.Unclaim, "handoff_unclaim"),
    _at(f"{HANDOFF}/assign", handoffs.Assign, "handoff_assign"),
    _at(f"{HANDOFF}/touch", handoffs.Touched, "handoff_touch"),
    _at(f"{HANDOFF}/note", handoffs.Noted, "handoff_note"),
    _at(f"{HANDOFF}/close", handoffs.Closed, "handoff_close"),
    _at(f"{HANDOFF}/snooze", handoffs.Snoozed, "handoff_snooze"),
    _at(f"{HANDOFF}/wake", handoffs.Woken, "handoff_wake"),
    _at(f"{HANDOFF}/reopen", handoffs.Reopened, "handoff_reopen"),
    _at("v1/plays", play_verbs.Plays, "plays"),
    _at(f"v1/plays/{SLUG}", plays.OnePlay, "play"),
    _at(f"v1/plays/{SLUG}/change", play_verbs.Changed, "play_change"),
    _at(f"v1/plays/{SLUG}/start", play_verbs.Started, "play_start"),
    _at(f"v1/plays/{SLUG}/pause", play_verbs.Paused, "play_pause"),
    _at(f"v1/plays/{SLUG}/archive", play_verbs.Archived, "play_archive"),
    _at(f"v1/plays/{SLUG}/restore", play_verbs.Restored, "play_restore"),
    re_path(r"^(?P<rest>(?s:.*))\Z", api_docs.Unknown.as_view(), name="api_unknown"),
]
