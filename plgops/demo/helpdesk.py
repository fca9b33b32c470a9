"""Fieldnote's support: its tiers, its knowledge base and the tickets of the last two weeks."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from importlib.resources import files

from accounts.models import Account, BusinessCalendar, ProductUser, StaffUser
from support import kb, tickets, tiers
from support.models import Article, Route, Ticket, Tier

QUESTIONS = (
    ("Rows are not syncing since this morning", "Our survey import stopped at 4,812 rows. Is there a limit?", "normal"),
    ("Add 12 seats before Monday", "A second team joins next week. How do we add them without new cards?", "normal"),
    ("SSO with Entra ID fails", "After the redirect people see error 4012 and cannot log in at all.", "urgent"),
    ("Export to slides cuts off long notes", "Everything after the second page is missing in the deck.", "normal"),
    ("Who can see a private project?", "Can workspace admins read private projects? Legal asks.", "low"),
    ("Invoice with our VAT number", "Please put our VAT number on the invoice of last month.", "low"),
    ("Workflow stuck in review", "The reviewer left the company; nobody can finish the step.", "high"),
    ("Merge two workspaces", "Marketing made their own workspace. Can you join them into ours?", "normal"),
    ("Deleted a project by mistake", "Project “Onboarding interviews” is gone. Can you restore it?", "high"),
    ("Slack messages come twice", "Since we connected the second channel every comment is posted twice.", "normal"),
)
ANSWERS = (
    "Thank you for the details. I can see it in your workspace and have asked engineering to look at the job.",
    "That is possible: I have changed it for you. Please log out and in once.",
    "The article below describes it step by step; write back if a step looks different on your side.",
)
HOURS = {day: [["08:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def set_up(staff: dict[str, StaffUser], *, now: dt.datetime) -> None:
    """Tiers and articles, made where they are missing."""
    calendar, _ = BusinessCalendar.objects.get_or_create(
        name="Office hours", defaults={"time_zone": "Europe/Berlin", "hours": HOURS}
    )
    if not Tier.objects.exists():
        for tier in (
            Tier(
                name="Business",
                position=1,
                plans=["business"],
                route=Route.PEOPLE,
                first_response_minutes=120,
                resolution_minutes=960,
                calendar=calendar,
            ),
            Tier(
                name="Team",
                position=2,
                plans=["team"],
                min_mrr=Decimal(1),
                route=Route.PEOPLE,
                first_response_minutes=480,
                resolution_minutes=2400,
                calendar=calendar,
            ),
            Tier(name="Free", position=3, route=Route.BOT),
        ):
            tiers.save_tier(tier=tier, by=staff["omar"], now=now)
    for entry in sorted((files("plgops.demo") / "articles").iterdir(), key=lambda entry: entry.name):
        title, _, body = entry.read_text().partition("\n")
        title = title.removeprefix("# ").strip()
        if not Article.objects.filter(title=title).exists():
            article = kb.save_article(article=Article(), title=title, body=body.strip(), by=staff["cleo"], now=now)
            kb.set_published(article_id=article.pk, published=True, by=staff["cleo"], now=now)


def assign(*, now: dt.datetime) -> None:
    """Tiers of all accounts whose facts changed."""
    while tiers.assign_due(now=now, limit=1_000):
        pass


def play(staff: dict[str, StaffUser], rng: random.Random, *, now: dt.datetime, many: int) -> None:
    """Customers have asked, and somebody has answered most of them."""
    if Ticket.objects.exists():
        return
    agents = [staff["ines"], staff["ines"], staff["omar"]]
    paying = list(Account.objects.filter(mrr__gt=0, is_internal=False).order_by("-mrr", "pk")[: many * 2])
    free = list(Account.objects.filter(mrr=0, is_internal=False).order_by("-last_seen_at", "pk")[:many])
    for number in range(many):
        account = rng.choice(paying if paying and number % 4 else free)
        person = ProductUser.objects.filter(memberships__account=account).order_by("signed_up_at", "pk").first()
        subject, body, priority = QUESTIONS[number % len(QUESTIONS)]
        opened = now - dt.timedelta(hours=rng.uniform(0.4, 24 * 11 * rng.random() + 1))
        ticket = tickets.open_ticket(
            subject=subject, body=body, by=None, now=opened, account=account, user=person, priority=priority
        )
        left = now - opened
        if rng.random() < 0.25:
            continue
        agent = rng.choice(agents)
        at = opened + left * rng.uniform(0.05, 0.3)
        tickets.take(ticket_id=ticket.pk, by=agent, now=at)
        if rng.random() < 0.85:
            at += left * 0.1
            tickets.reply(ticket_id=ticket.pk, body=rng.choice(ANSWERS), by=agent, now=at)
            if rng.random() < 0.4:
                at += left * 0.1
                tickets.customer_wrote(ticket_id=ticket.pk, body="Thank you, I will try that.", now=at)
            if rng.random() < 0.55:
                tickets.solve(ticket_id=ticket.pk, by=agent, now=at + left * 0.1)
