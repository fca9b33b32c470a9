"""What an account's page says of the definitions that the account is one condition short of."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from accounts.workspace import day_of
from plgops.lib.db import snapshot
from scoring import definitions, near_misses, reasons
from scoring.models import Qualification
from scoring.models.definitions import Purpose

MOST = 5  # definitions told


@dataclass(frozen=True, slots=True)
class Short:
    """A definition, and the condition that is closest to being met. `who`: the person who comes closest, if it is
    about people; `others`: how many other conditions would do as well and still can."""

    slug: str
    name: str
    missing: near_misses.Missing
    who: str
    others: int


def of_account(account_id: int, *, now: dt.datetime) -> list[Short]:
    """The live definitions that the account is one condition short of today, the nearest first, at most MOST.

    Left out: what nothing brings any more, what has an open episode (its reason tells what it measures today), and
    risks, which nobody wants to come closer. Four queries in a snapshot, or five with the names of people, where no
    definition nests one that is archived and all conditions together fit into one statement.
    """
    has = set(
        Qualification.objects.filter(account_id=account_id, closed_at=None).values_list("definition_id", flat=True)
    )
    rules = [
        rule for rule in definitions.live_rules() if rule.purpose != Purpose.RISK and rule.definition_id not in has
    ]
    with snapshot():  # everything as of one moment, and planned as evaluation's reads are
        found = near_misses.of_account(account_id, rules, day_of(now))
    near = [one for one in found if not one.closest.too_late][:MOST]
    names = {rule.slug: rule.doc.name for rule in rules}
    people = reasons.people({one.closest.user_id for one in near if one.closest.user_id})
    return [
        Short(
            slug=one.slug,
            name=names[one.slug],
            missing=one.closest,
            who=people[one.closest.user_id].name if one.closest.user_id in people else "",
            others=sum(not option.too_late for option in one.options[1:]),
        )
        for one in near
    ]
