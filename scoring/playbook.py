"""Making and changing plays. Every change is one transaction with its audit row, by who may edit plays.

A definition that hands accounts over has a play for that from its first publication on (`for_published`). What a play
was decided about stays decided: a change, a pause or a new start acts on what opens from then on.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.text import slugify

from accounts.models import StaffUser
from accounts.team import audit
from plgops.lib import access
from scoring import audience, prompts
from scoring.models import Definition, Play, PlayRun, Purpose

SALES_PRIORITY = 100
NEAR_EVERY = dt.timedelta(days=1)
# what may change after a play was made
EDITABLE = (
    "name",
    "audience",
    "holdout_percent",
    "cooldown_days",
    "priority",
    "convert_days",
    "starts_on",
    "ends_on",
    "promotional",
    "moment",
    "content",
)
RANGES = {"holdout_percent": (0, 90), "priority": (0, 1000), "convert_days": (1, 365), "cooldown_days": (0, 3650)}
BAD_URL = "Give a path that begins with “/”, or an address that begins with “https://”."
NOTHING_MISSING = (
    f"“{prompts.NEEDS}” stands for what a near miss lacks. This play acts on what qualifies, where nothing is missing: "
    "say it without."
)
TRANSITIONS: dict[tuple[str, str], str] = {
    ("draft", "start"): "live",
    ("paused", "start"): "live",
    ("live", "pause"): "paused",
    ("draft", "archive"): "archived",
    ("live", "archive"): "archived",
    ("paused", "archive"): "archived",
    ("archived", "restore"): "paused",
}


class Refused(Exception):
    """What was asked for cannot be; the message is for people."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a new play is to be."""

    name: str
    definition: Definition
    action: str
    trigger: str = Play.Trigger.QUALIFIES
    values: dict[str, Any] = field(default_factory=dict)  # of EDITABLE, without the name


def create(wanted: Wanted, *, by: StaffUser | None, now: dt.datetime) -> Play:
    """A new play, as a draft: it does nothing before it is started. Refused where it makes no sense."""
    _require(by)
    values = _checked({**wanted.values, "name": wanted.name})
    _can_be_said(values, wanted.trigger)
    if wanted.trigger == Play.Trigger.NEAR_MISS and wanted.action in (Play.Action.SALES_HANDOFF, Play.Action.PROMPT):
        raise Refused("A near miss can nudge, give a task or call a webhook; it hands nothing over.")
    if wanted.action == Play.Action.SALES_HANDOFF and wanted.definition.purpose != Purpose.PQL:
        raise Refused("Only definitions of product-qualified leads hand companies to sales.")
    with transaction.atomic():
        play = Play.objects.create(
            slug=_free_slug(values["name"]),
            definition=wanted.definition,
            trigger=wanted.trigger,
            action=wanted.action,
            salt=secrets.token_hex(16),
            created_at=now,
            created_by=by,
            **values,
        )
        audit.record(action="play.created", obj=play, by=by, now=now, detail=_told(play))
    return play


def for_published(definition: Definition, *, by: StaffUser | None, now: dt.datetime) -> Play | None:
    """The play that hands over what the definition finds, live from now on; None if it has one, or never hands over.

    To be called in the transaction of the publication.
    """
    if definition.purpose != Purpose.PQL:
        return None
    if Play.objects.filter(definition=definition, action=Play.Action.SALES_HANDOFF).exists():
        return None
    name = f"{definition.name}: to sales"[:120]
    play = Play.objects.create(
        name=name,
        slug=_free_slug(f"{definition.slug}-to-sales"),
        definition=definition,
        action=Play.Action.SALES_HANDOFF,
        priority=SALES_PRIORITY,
        status=Play.Status.LIVE,
        live_since=now,
        salt=secrets.token_hex(16),
        created_at=now,
        created_by=by,
    )
    audit.record(action="play.created", obj=play, by=by, now=now, detail=_told(play) | {"with": "its definition"})
    return play


def edit(*, play_id: int, values: dict[str, Any], by: StaffUser, now: dt.datetime) -> Play:
    """Change what EDITABLE names; the audit row says what was and what is. Nothing changed: no row.

    Acts on what opens from now on, and on what has not been decided yet.
    """
    _require(by)
    checked = _checked(values)
    with transaction.atomic():
        play = Play.objects.select_for_update(no_key=True).get(pk=play_id)
        _in_order(checked.get("starts_on", play.starts_on), checked.get("ends_on", play.ends_on))
        _can_be_said(checked, play.trigger)
        before = _told(play)
        for name, value in checked.items():
            setattr(play, name, value)
        after = _told(play)
        changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        if changed:
            play.save(update_fields=sorted(checked))
            audit.record(action="play.changed", obj=play, by=by, now=now, detail={"changed": changed})
    return play


def move(*, play_id: int, verb: str, by: StaffUser, now: dt.datetime) -> Play:
    """Start, pause, archive or restore a play; what waits to be decided when it stops is not fired any more.

    A start makes it act on what opens from now on. Refused where the state does not allow it.
    """
    _require(by)
    with transaction.atomic():
        play = Play.objects.select_for_update(no_key=True).get(pk=play_id)
        try:
            status = TRANSITIONS[play.status, verb]
        except KeyError:
            raise Refused(f"“{play.name}” is {play.get_status_display().lower()}.") from None
        play.status = status
        if status == Play.Status.LIVE:
            play.live_since = now
            play.near_due_at = now if play.trigger == Play.Trigger.NEAR_MISS else None
        else:
            play.near_due_at = None
            PlayRun.objects.filter(play=play, due_at__isnull=False).update(
                status=PlayRun.Status.PASSED, reason="The play was stopped.", due_at=None, decided_at=now
            )
        play.save(update_fields=["status", "live_since", "near_due_at"])
        audit.record(action=f"play.{_PAST[verb]}", obj=play, by=by, now=now)
    return play


_PAST = {"start": "started", "pause": "paused", "archive": "archived", "restore": "restored"}


def allowed(play: Play) -> list[str]:
    """The verbs that its state allows."""
    return [verb for (status, verb) in TRANSITIONS if status == play.status]


def _require(by: StaffUser | None) -> None:
    if by is not None:
        access.require(by, "plays.edit")


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    unknown = set(values) - set(EDITABLE)
    if unknown:
        raise Refused(f"A play has no {sorted(unknown)[0]} that can change.")
    if "name" in values and not values["name"].strip():
        raise Refused("A play needs a name.")
    if "audience" in values:
        try:
            audience.parse(values["audience"])
        except audience.BadAudience as error:
            raise Refused(str(error)) from error
    for name, (low, high) in RANGES.items():
        if name in values and not low <= values[name] <= high:
            raise Refused(f"{name.replace('_', ' ').capitalize()} is from {low} to {high}.")
    if "content" in values and not good_url(str(values["content"].get("url", ""))):
        raise Refused(BAD_URL)
    _in_order(values.get("starts_on"), values.get("ends_on"))
    return values


def _in_order(starts: dt.date | None, ends: dt.date | None) -> None:
    if starts and ends and ends < starts:
        raise Refused("It ends before it starts.")


def _can_be_said(values: dict[str, Any], trigger: str) -> None:
    if any(not good_words(words, trigger) for words in values.get("content", {}).values()):
        raise Refused(NOTHING_MISSING)


def good_words(words: object, trigger: str) -> bool:
    """Whether a play with this trigger can say so: only a near miss lacks something that can be named."""
    return trigger == Play.Trigger.NEAR_MISS or not isinstance(words, str) or prompts.NEEDS not in words


def good_url(url: str) -> bool:
    """Whether a button may lead there: nowhere, a path of the product, or an https address; not what a browser would
    read as something else (`//host`, `/\\host`, a tab in between)."""
    if not url:
        return True
    if any(letter in "\\\x7f" or letter <= " " for letter in url):
        return False
    parts = urlsplit(url)
    return (url[0] == "/" and url[:2] != "//") or (parts.scheme == "https" and bool(parts.hostname))


def _told(play: Play) -> dict[str, Any]:
    """The play's text for the audit: plain JSON."""
    told = {name: getattr(play, name) for name in EDITABLE}
    for name in ("starts_on", "ends_on"):
        told[name] = told[name].isoformat() if told[name] else None
    return told


def _free_slug(wanted: str) -> str:
    stem = slugify(wanted)[:80].strip("-") or "play"
    taken = set(Play.objects.filter(slug__startswith=stem).values_list("slug", flat=True)) | {"new", "prompts"}
    number, slug = 1, stem
    while slug in taken:
        number += 1
        slug = f"{stem}-{number}"
    return slug
