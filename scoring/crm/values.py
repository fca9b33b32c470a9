"""What plgops has to say of companies, by field of the mapping: the same for the CRM, the dry run and the file."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping
from decimal import Decimal

from django.conf import settings
from django.db.models import Max, Q

from accounts.models import Account, Stage, StageEntry
from scoring import reasons, serializers
from scoring.crm import mapping
from scoring.models import CrmOwner, Handoff, Purpose, Qualification

CENT = Decimal("0.01")
Values = dict[str, str | None]


def of(companies: Collection[Account]) -> dict[int, Values]:
    """The values of these companies (root accounts, with their owners read): a fixed number of queries.

    A field is "" where there is nothing to say (any more), and None where it cannot be said: an owner of ours whom the
    CRM does not know.
    """
    ids = [company.pk for company in companies]
    family = Q(account_id__in=ids) | Q(account__parent_id__in=ids)
    why, names, scores = _reasons(family)
    stages = _stages(family)
    mrr: dict[int, Decimal] = defaultdict(Decimal)
    group = Account.objects.filter(Q(pk__in=ids) | Q(parent_id__in=ids), merged_into=None)
    for pk, parent_id, amount in group.values_list("pk", "parent_id", "mrr"):
        mrr[parent_id or pk] += amount
    handoffs = _handoffs(ids)
    owners = owner_ids({company.owner.email for company in companies if company.owner})
    return {
        company.pk: {
            "name": company.name,
            "domain": company.domain.lower(),
            "score": _number(scores.get(company.pk)),
            "why": "\n".join(why.get(company.pk, ()))[: mapping.LONGEST],
            "definitions": ", ".join(names.get(company.pk, ())),
            mapping.OWNER: owners.get(company.owner.email.strip().lower()) if company.owner else "",
            "stage": stages.get(company.pk, ""),
            "handoff": handoffs.get(company.pk, ""),
            "plan": company.plan,
            "mrr": _number(mrr.get(company.pk)),
            "page": f"{settings.SITE_URL}/accounts/{company.pk}/",
        }
        for company in companies
    }


def owner_ids(emails: Collection[str]) -> dict[str, str]:
    """Who these people are in the CRM, by e-mail address in small letters; those whom it knows."""
    wanted = {email.strip().lower() for email in emails} - {""}
    return dict(CrmOwner.objects.filter(email__in=wanted).values_list("email", "crm_id"))


def _reasons(family: Q) -> tuple[Mapping[int, list[str]], Mapping[int, list[str]], Mapping[int, float]]:
    """By company: the explanations, the definitions' names, and the most points that a score among them has."""
    shown = reasons.rows().filter(family, closed_at=None).exclude(definition__purpose=Purpose.ACTIVATION)
    found = list(shown.exclude(release=Qualification.Release.WAITING).order_by("-since_at", "-id"))
    why: dict[int, list[str]] = defaultdict(list)
    names: dict[int, list[str]] = defaultdict(list)
    scores: dict[int, float] = {}
    for episode, explanation in zip(found, reasons.explained(found), strict=True):
        company_id = episode.account.company_id
        why[company_id].append(serializers.as_text(explanation))
        if episode.definition.name not in names[company_id]:
            names[company_id].append(episode.definition.name)
        for part in explanation.conditions():
            measured = part.frozen.measured if part.kind == "score" and part.frozen else None
            if measured is not None:
                scores[company_id] = max(scores.get(company_id, measured), measured)
    return why, names, scores


def _stages(family: Q) -> dict[int, str]:
    """By company: the stage that it reached last."""
    order = {stage: place for place, stage in enumerate(Stage.values)}  # of those reached at one moment, the furthest
    newest: dict[int, tuple[dt.datetime, int, str]] = {}
    rows = StageEntry.objects.filter(family).order_by()
    for account_id, parent_id, stage, at in rows.values_list("account_id", "account__parent_id", "stage").annotate(
        at=Max("at")
    ):
        company_id = parent_id or account_id
        reached = (at, order[stage], stage)
        newest[company_id] = max(newest.get(company_id, reached), reached)
    return {company_id: str(Stage(stage).label) for company_id, (_, _, stage) in newest.items()}


def _handoffs(ids: Collection[int]) -> dict[int, str]:
    """By company: the state of its open handoff, else of the one that was closed last."""
    found: dict[int, str] = {}
    rows = Handoff.objects.filter(company_id__in=ids).order_by("opened_at", "pk")
    for company_id, status in rows.values_list("company_id", "status"):
        found[company_id] = str(Handoff.Status(status).label)
    return found


def _number(value: float | Decimal | None) -> str:
    """A number to two decimals, as money has and people read points: a change beyond them is none."""
    return "" if value is None else f"{Decimal(str(value)).quantize(CENT).normalize():f}"
