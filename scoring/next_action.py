"""Who of sales talks to a company now, and what would help most next, with its reason."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Max

from accounts import about
from accounts.models import Account, Deal, Hold, ProductUser
from accounts.workspace import day_of
from plgops.templatetags.ui import day_month, since
from scoring import nearest, openings
from scoring.models import CrmActivity, Handoff, HandoffActivity

MOST_DEALS = 3
QUIET_DAYS = 7  # since the last touch: then it is time to follow up
Status = Handoff.Status


@dataclass(frozen=True, slots=True)
class Action:
    """What to do, and why."""

    what: str
    why: str
    icon: str


@dataclass(frozen=True, slots=True)
class Talking:
    """A company's open handoff, when it was last touched, the next action, and its open deals in the CRM."""

    handoff: Handoff | None
    touched_at: dt.datetime | None
    action: Action
    deals: tuple[Deal, ...] = ()


def of_account(account: Account, *, now: dt.datetime) -> Talking:
    """How things stand with an account's company. At most seven queries where sales has it, seventeen where not."""
    company_id = account.company_id
    handoff = Handoff.objects.select_related("owner").filter(company_id=company_id, closed_at=None).first()
    touched_at = None
    if handoff is not None:
        touches = HandoffActivity.objects.filter(handoff=handoff).exclude(kind=HandoffActivity.Kind.NOTE)
        touched_at = touches.aggregate(newest=Max("at"))["newest"]
    else:
        there = CrmActivity.objects.filter(company=company_id, at__lte=now).order_by("-at")
        touched_at = there.values_list("at", flat=True).first()
    deals = Deal.objects.filter(account=company_id, status=Deal.Status.OPEN).order_by("-opened_at", "-pk")[:MOST_DEALS]
    family = about.company_ids(company_id)
    if Hold.objects.filter(account_id__in=family, until=None).exists():
        action = Action("Leave selling for now", "An urgent ticket of theirs is open.", "life-buoy")
    elif handoff is not None:
        action = _in_hand(handoff, touched_at, family, now=now)
    else:
        action = _self_serve(account, now=now)
    return Talking(handoff, touched_at, action, tuple(deals))


def _in_hand(handoff: Handoff, touched_at: dt.datetime | None, family: list[int], *, now: dt.datetime) -> Action:
    if handoff.status == Status.SNOOZED:
        return Action("Nothing now", f"It sleeps until {day_month(handoff.snoozed_until)}.", "moon")
    if handoff.paid_at is not None:
        return Action("Record the outcome", f"They have paid since it was opened ({since(handoff.paid_at)}).", "flag")
    if handoff.status == Status.NEW:
        return Action("Claim it", f"It has been waiting since {day_month(handoff.opened_at)}.", "hand")
    whom = _whom(family, now=now)
    if touched_at is None:
        return Action(
            f"Write to {whom or 'them'}", f"Claimed {since(handoff.claimed_at or now)}, no touch yet.", "mail"
        )
    if now - touched_at >= dt.timedelta(days=QUIET_DAYS):
        return Action(f"Follow up with {whom or 'them'}", f"The last touch was {since(touched_at)}.", "mail")
    if handoff.rule_lapsed_at is not None:
        return Action("Decide whether it goes on", "None of its reasons holds any more.", "circle-dashed")
    return Action("Wait for an answer", f"The last touch was {since(touched_at)}.", "clock")


def _whom(family: list[int], *, now: dt.datetime) -> str:
    """The name of the company's champion; "" where there is none."""
    champion = about.champion(family, today=day_of(now))
    if champion is None:
        return ""
    person = ProductUser.objects.get(pk=champion.user_id)
    return person.name or person.email or person.external_id


def _self_serve(account: Account, *, now: dt.datetime) -> Action:
    last = openings.last_closed([account.company_id]).get(account.company_id)
    if last is not None and last.cooldown_until and last.cooldown_until > now:
        outcome, closed = last.get_status_display().lower(), since(last.closed_at or now)
        why = f"Sales closed it as {outcome} {closed}; quiet until {day_month(last.cooldown_until)}."
        return Action("Leave them to the product", why, "leaf")
    for short in nearest.of_account(account.pk, now=now):
        days = short.missing.days_left
        left = "" if days is None else ", today is the last day" if days == 0 else f", {days:,} days left"
        why = f"One condition short of {short.name}: {short.missing.needs}{left}."
        return Action("Nudge them", why, "target")
    return Action("Leave them to the product", "They are not one condition short of anything.", "leaf")
