"""Who may do what: the one place that decides.

Roles are Django groups (created by migration); a capability is a word that a view, an API or an admin
action asks for. State ("is this handoff still open?") is never decided here: the verb that changes the
object decides that under its lock. Pure apart from reading the user's groups once per request.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied

SALES_REP = "sales rep"
SALES_MANAGER = "sales manager"
SUPPORT_AGENT = "support agent"
SUPPORT_OPS = "support ops"
CS = "CS"
ADMIN = "admin"
VIEWER = "viewer"

ROLES = (SALES_REP, SALES_MANAGER, SUPPORT_AGENT, SUPPORT_OPS, CS, ADMIN, VIEWER)

_EVERYBODY = frozenset(ROLES)
_SALES = frozenset({SALES_REP, SALES_MANAGER, ADMIN})
_SUPPORT = frozenset({SUPPORT_AGENT, SUPPORT_OPS, ADMIN})

CAPABILITIES: dict[str, frozenset[str]] = {
    # reading: everybody with a role sees accounts, definitions and numbers
    "accounts.view": _EVERYBODY,
    "definitions.view": _EVERYBODY,
    "handoffs.view": _EVERYBODY,
    "tickets.view": _EVERYBODY,
    # sales work
    "handoffs.claim": _SALES,
    "handoffs.work": _SALES,  # own ones; others' need handoffs.manage
    "handoffs.manage": frozenset({SALES_MANAGER, ADMIN}),  # work or reassign what somebody else owns
    # alerts
    "alerts.own": _EVERYBODY,
    "alerts.team": frozenset({SALES_MANAGER, ADMIN}),
    "alerts.replay": frozenset({ADMIN}),
    # routing: the ladder, its pools and speed; what people can take and when they are away
    "routing.edit": frozenset({ADMIN}),
    "routing.people": frozenset({SALES_MANAGER, ADMIN}),
    "handoffs.reasons": frozenset({ADMIN}),
    "crm.manage": frozenset({ADMIN}),
    # definitions
    "definitions.edit": frozenset({ADMIN}),
    "definitions.release": frozenset({ADMIN, SALES_MANAGER}),
    # plays
    "plays.edit": frozenset({ADMIN}),
    "plays.tasks": frozenset({CS, SUPPORT_OPS, SALES_MANAGER, ADMIN}),
    # data
    "sources.manage": frozenset({ADMIN}),
    "data.import": frozenset({ADMIN}),
    "accounts.merge": frozenset({ADMIN}),
    "people.contact": frozenset({ADMIN}),
    "quarantine.replay": frozenset({ADMIN}),
    "event_types.edit": frozenset({ADMIN}),
    "data.quality": frozenset({ADMIN}),
    # support
    "tickets.work": _SUPPORT | {CS},
    "tickets.assign": frozenset({SUPPORT_OPS, ADMIN}),
    "tiers.edit": frozenset({SUPPORT_OPS, ADMIN}),
    "articles.edit": _SUPPORT | {CS},
    # programs: one's own tokens are everybody's who may see accounts; these are others'
    "tokens.manage": frozenset({ADMIN}),
    # the workspace itself: Django's admin, staff, settings
    "workspace.admin": frozenset({ADMIN}),
}

# What a person reads for a capability; kept complete by a test.
ABILITIES = {
    "accounts.view": "See accounts, their people and what they did",
    "definitions.view": "See PQL definitions and who qualifies",
    "handoffs.view": "See the PQL inbox",
    "tickets.view": "See tickets, articles and support tiers",
    "handoffs.claim": "Claim accounts from the inbox",
    "handoffs.work": "Work what you claimed: touches, notes, outcomes",
    "handoffs.manage": "Work or reassign what others own",
    "alerts.own": "Choose what you are alerted of",
    "alerts.team": "Set up alerts for teams and see deliveries",
    "alerts.replay": "Send failed messages again",
    "routing.edit": "Decide who is given which account, and how soon",
    "routing.people": "Say what sellers can take and when they are away",
    "handoffs.reasons": "Keep the list of reasons for outcomes",
    "crm.manage": "Connect the CRM, map fields and resolve conflicts",
    "definitions.edit": "Publish PQL definitions",
    "definitions.release": "Release waiting accounts to the inbox",
    "plays.edit": "Make and change plays: what a qualification does",
    "plays.tasks": "Work the tasks of customer success",
    "sources.manage": "Create sources and revoke write keys",
    "data.import": "Import CSV files",
    "accounts.merge": "Merge accounts and take merges back",
    "people.contact": "Say who is not to be contacted",
    "quarantine.replay": "Replay quarantined messages",
    "event_types.edit": "Describe event types",
    "data.quality": "See data quality: silent, doubled and new events, errors",
    "tickets.work": "Answer tickets",
    "tickets.assign": "Assign tickets",
    "tiers.edit": "Change support tiers",
    "articles.edit": "Write articles",
    "tokens.manage": "See and revoke everybody's API tokens",
    "workspace.admin": "Administer the workspace",
}


def roles_of(user: Any) -> frozenset[str]:
    """The names of the user's roles; read once per user object (one query), then kept on it."""
    if not getattr(user, "is_authenticated", False) or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return _EVERYBODY
    kept: frozenset[str] | None = getattr(user, "_plgops_roles", None)
    if kept is None:
        kept = frozenset(user.groups.values_list("name", flat=True)) & _EVERYBODY
        user._plgops_roles = kept
    return kept


def may(user: Any, capability: str) -> bool:
    """Whether `user` may do `capability`; an unknown capability is a programming error (KeyError)."""
    return bool(CAPABILITIES[capability] & roles_of(user))


def require(user: Any, capability: str) -> None:
    """Raise PermissionDenied (a 403 page) unless `user` may do `capability`."""
    if not may(user, capability):
        raise PermissionDenied(refusal(capability))


def refusal(capability: str) -> str:
    """What a person is told who may not do `capability`."""
    words = ABILITIES[capability]
    return f"Your role does not include this: {words[:1].lower()}{words[1:]}."
