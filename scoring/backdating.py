"""Dating episodes back: those that were opened before plgops could tell since when a rule has held.

What is asked is the history of the version that the episode was opened under, with what is known today; an episode that
this history does not have, because facts were corrected since, keeps its date.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from accounts import due, lake, lifecycle
from accounts.workspace import day_of
from scoring import definitions, since
from scoring.definitions import CONSUMER, LiveRule
from scoring.engines import columnar
from scoring.models import DefinitionVersion, Qualification
from scoring.rules import tree

TOGETHER = 500  # episodes in a transaction
RENEWED = Qualification.CloseCause.RENEWED
Dated = tuple[Qualification, int]  # an episode, and the day on which it began


def fill(*, now: dt.datetime) -> int:
    """Give every episode, and the stage that it wrote, the day and moment since when its rule had held; how many were
    dated otherwise before. A second run changes nothing.

    One pass over the usage lake for each version that episodes were opened under. Episodes that went on from a renewed
    one begin with their newest evidence, and are left alone.
    """
    lake.refresh(now=now)
    versions = DefinitionVersion.objects.filter(pk__in=Qualification.objects.values("version_id").distinct())
    return sum(_of_version(rule, now=now) for rule in definitions.read(list(versions.select_related("definition"))))


def _of_version(rule: LiveRule, *, now: dt.datetime) -> int:
    spans: dict[int, list[tuple[int, int]]] = {}
    for account_id, first, end in columnar.history({0: rule.doc}, until_day=day_of(now))[0]:
        spans.setdefault(account_id, []).append((first, end))
    renewed = Qualification.objects.filter(version_id=rule.version_id, close_cause=RENEWED)
    went_on = set(renewed.values_list("account_id", "closed_at"))
    episodes = Qualification.objects.filter(version_id=rule.version_id).defer("evidence").order_by("pk")
    filled = 0
    part: list[Dated] = []
    for episode in episodes.iterator(chunk_size=2000):
        day = day_of(episode.opened_at)
        began = next((first for first, end in spans.get(episode.account_id, ()) if first <= day < end), None)
        if began is None or began == episode.since_day or (episode.account_id, episode.opened_at) in went_on:
            continue
        part.append((episode, began))
        if len(part) == TOGETHER:
            filled += _write(rule, part, now=now)
            part = []
    return filled + _write(rule, part, now=now)


@transaction.atomic
def _write(rule: LiveRule, part: Sequence[Dated], *, now: dt.datetime) -> int:
    moments = since.moments(rule.doc, [(episode.account_id, began) for episode, began in part], now=now)
    stages: dict[str, dt.datetime] = {}
    for episode, began in part:
        episode.since_day = began
        episode.since_at = stages[f"qualification:{episode.pk}"] = min(
            moments[episode.account_id, began], episode.opened_at
        )
    written, account_ids = tree.stage_written(rule.doc), {episode.account_id for episode, _ in part}
    if written:
        lifecycle.redate(stages, account_ids=account_ids, stage=written)
        due.mark_changed(account_ids, now=now, importing=True, consumers=[CONSUMER])
    Qualification.objects.bulk_update([episode for episode, _ in part], ["since_day", "since_at"])
    return len(part)
