"""A believable desk: companies with people and use, definitions, and handoffs with frozen evidence."""

from __future__ import annotations

import datetime as dt
import random

from accounts.models import (
    Account,
    EventType,
    Membership,
    Plan,
    ProductUser,
    StaffUser,
    StageEntry,
    UsageDay,
    UsageValue,
)
from accounts.workspace import day_of
from plgops.lib import days
from scoring import definitions
from scoring.models import Definition, DefinitionVersion, Handoff, Qualification

COMPANIES = (
    ("Lumen Analytics", "lumenanalytics.io", "team", 25, 1175, 180, "Data tooling"),
    ("Kestrel Robotics", "kestrelrobotics.com", "trial", 20, 0, 640, "Industrial automation"),
    ("Harbor & Pine", "harborandpine.co", "team", 10, 470, 45, "Interior design"),
    ("Solace Health", "solacehealth.org", "business", 120, 3920, 1200, "Healthcare"),
    ("Brightwater Energy", "brightwater.energy", "free", 10, 0, 870, "Energy"),
    ("Tandem Payroll", "tandempayroll.com", "team", 20, 705, 210, "Fintech"),
    ("Meridian Freight", "meridianfreight.com", "trial", 20, 0, 530, "Logistics"),
    ("Quill & Co", "quillandco.com", "team", 10, 376, 30, "Publishing"),
    ("Vela Biotech", "velabio.com", "free", 10, 0, 310, "Life sciences"),
    ("Northgate Schools", "northgate.edu", "team", 40, 1410, 900, "Education"),
    ("Copperfield Legal", "copperfield.law", "trial", 20, 0, 95, "Legal"),
    ("Oakline Dental", "oaklinedental.com", "free", 10, 0, 60, "Healthcare"),
)
PEOPLE = (
    ("Priya Raman", "Head of Data"),
    ("Jonas Weber", "Engineering manager"),
    ("Mina Okafor", "Analyst"),
    ("Tor Lindqvist", "Operations lead"),
    ("Elif Demir", "Product manager"),
)
EVENTS = (("Invite Sent", "invite"), ("Workflow Completed", "core"), ("Report Exported", "premium"), ("Signed In", ""))

TEAM_EXPANSION = {
    "slug": "team-expansion",
    "name": "Team expansion",
    "purpose": "pql",
    "level": "account",
    "rule": {
        "all": [
            {"trait": {"name": "plan", "in": ["free", "trial", "team"]}},
            {"distinct": {"event": "Invite Sent", "of": "invitee_email", "at_least": 3, "window": {"last_days": 14}}},
            {"count": {"event": "Workflow Completed", "at_least": 5, "window": {"last_days": 14}}},
            {"users": {"event": "*", "at_least": 3, "window": {"last_days": 28}}},
            {"not": {"stage": {"reached": "paid"}}},
        ]
    },
    "motion": {"rule": {"trait": {"name": "employees", "at_least": 20}}},
}
STEADY_USE = {
    "slug": "steady-use",
    "name": "Steady use",
    "purpose": "pql",
    "level": "account",
    "rule": {"days": {"event": "*", "at_least": 5, "window": {"last_days": 14}}},
}


def staff_definitions(now: dt.datetime) -> tuple[Definition, Definition]:
    """Team expansion and Steady use, published."""
    return tuple(  # type: ignore[return-value]
        definitions.publish(document=d, by=None, now=now, reason="First version").definition
        for d in (TEAM_EXPANSION, STEADY_USE)
    )


def event_types() -> dict[str, EventType]:
    """The four event types of the desk's product."""
    return {
        name: EventType.objects.get_or_create(
            name=name,
            defaults={
                "meaning": meaning,
                "is_activity": True,
                "distinct_property": "invitee_email" if name == "Invite Sent" else "",
            },
        )[0]
        for name, meaning in EVENTS
    }


def plans() -> None:
    for rank, (code, name) in enumerate(
        (("free", "Free"), ("trial", "Trial"), ("team", "Team"), ("business", "Business"))
    ):
        Plan.objects.get_or_create(code=code, defaults={"name": name, "rank": rank, "is_paid": rank > 1})


def company(number: int, *, now: dt.datetime, parent: Account | None = None) -> Account:
    """The company of this number, with five people and sixty days of use; numbers past the list repeat its names."""
    name, domain, plan, seats, mrr, employees, industry = COMPANIES[number % len(COMPANIES)]
    suffix = f" {number // len(COMPANIES) + 1}" if number >= len(COMPANIES) else ""
    signed_up = now - dt.timedelta(days=70 + number)
    account = Account.objects.create(
        external_id=f"acct-{number}" + ("-child" if parent else ""),
        name=name + suffix,
        domain=domain,
        parent=parent,
        signed_up_at=signed_up,
        signup_day=day_of(signed_up),
        recorded_at=signed_up,
        last_seen_at=now - dt.timedelta(minutes=12 + 29 * number),
        plan=plan,
        seats=seats,
        mrr=mrr,
        employees=employees,
        traits={"industry": industry, "country": ("Germany", "United States", "Ireland", "Canada")[number % 4]},
    )
    _people(account, number, now=now)
    return account


def _people(account: Account, number: int, *, now: dt.datetime) -> None:
    draw = random.Random(number)
    types = event_types()
    today = day_of(now)
    usage: dict[tuple[int, int, int], UsageDay] = {}
    values = []
    for i, (name, title) in enumerate(PEOPLE):
        joined = account.signed_up_at + dt.timedelta(days=8 * i)
        user = ProductUser.objects.create(
            external_id=f"{account.external_id}-u{i}",
            is_known=True,
            name=name,
            title=title,
            email=f"{name.split()[0].lower()}@{account.domain}",
            signed_up_at=joined,
            signup_day=day_of(joined),
            recorded_at=joined,
            last_seen_at=now - dt.timedelta(hours=5 * i + 1),
        )
        Membership.objects.create(
            account=account,
            user=user,
            account_key=f"g:{account.external_id}",
            user_key=f"u:{user.external_id}",
            origin="group",
            role="admin" if i == 0 else "member",
            valid_from=joined,
            from_day=day_of(joined),
        )
        for day in range(max(day_of(joined), today - 59), today + 1):
            rising = (day - today + 90) / 90
            weekend = (day + 4) % 7 in (0, 6)
            if draw.random() > rising * (0.25 if weekend else 0.9):
                continue
            for event, chance in (
                ("Signed In", 1.0),
                ("Workflow Completed", 0.6 * rising),
                ("Report Exported", 0.25),
                ("Invite Sent", 0.3 if today - day < 10 else 0.05),
            ):
                if draw.random() > chance:
                    continue
                at = days.micros(
                    dt.datetime.combine(days.date_of(day), dt.time(8 + draw.randrange(9), draw.randrange(60)), dt.UTC)
                )
                at = min(at, days.micros(now - dt.timedelta(minutes=12)))
                key = (user.pk, types[event].pk, day)
                usage[key] = UsageDay(
                    account_id=account.pk,
                    user_id=user.pk,
                    event_type_id=types[event].pk,
                    day=day,
                    count=1 + draw.randrange(3 if event != "Signed In" else 1),
                    first_us=at,
                    last_us=at,
                )
                if event == "Invite Sent":
                    values.append(
                        UsageValue(
                            account_id=account.pk,
                            user_id=user.pk,
                            event_type_id=types[event].pk,
                            day=day,
                            value=f"guest{draw.randrange(40)}@{account.domain}",
                            count=1,
                        )
                    )
    UsageDay.objects.bulk_create(usage.values())
    UsageValue.objects.bulk_create(values, ignore_conflicts=True)
    StageEntry.objects.create(
        account=account,
        origin=account,
        stage="signed_up",
        at=account.signed_up_at,
        day=account.signup_day,
        recorded_at=account.signed_up_at,
        cause="signup",
    )


def evidence(account: Account, definition: Definition, *, now: dt.datetime) -> dict:
    """Evidence in its stored form, measured from the account's use."""
    types = event_types()
    today = day_of(now)
    people = list(Membership.objects.filter(account=account).order_by("id").values_list("user_id", flat=True))
    newest = days.micros(account.last_seen_at or now)

    def condition(path, kind, english, measured, threshold, unit, ids, length, **more):
        return {
            "path": path,
            "kind": kind,
            "english": english,
            "holds": True,
            "measured": measured,
            "threshold": threshold,
            "comparison": "at_least",
            "unit": unit,
            "event_type_ids": ids,
            "window": {"from_day": today - length + 1, "to_day": today},
            "people": people[:3],
            "people_total": len(people),
            "days": [today - 1, today],
            "days_total": 2,
            "newest_us": newest,
            **more,
        }

    invites = UsageValue.objects.filter(account_id=account.pk, day__gt=today - 14)
    flows = UsageDay.objects.filter(
        account_id=account.pk, day__gt=today - 14, event_type_id=types["Workflow Completed"].pk
    )
    everything = [t.pk for t in types.values()]
    if definition.slug == "steady-use":
        found = UsageDay.objects.filter(account_id=account.pk, day__gt=today - 14).values("day").distinct().count()
        conditions = [
            condition(
                "/rule",
                "days",
                "active on at least 5 different days in the last 14 days",
                found,
                5,
                "days",
                everything,
                14,
            )
        ]
    else:
        conditions = [
            {
                **condition("/rule/all/0", "trait", "plan is any of free, trial, team", account.plan, None, "", [], 1),
                "window": None,
                "people": [],
                "people_total": 0,
                "newest_us": None,
                "comparison": "in",
            },
            condition(
                "/rule/all/1",
                "distinct",
                "Invite Sent with at least 3 different values of invitee_email in the last 14 days",
                invites.values("value").distinct().count(),
                3,
                "values",
                [types["Invite Sent"].pk],
                14,
            ),
            condition(
                "/rule/all/2",
                "count",
                "Workflow Completed at least 5 times in the last 14 days",
                sum(f.count for f in flows),
                5,
                "events",
                [types["Workflow Completed"].pk],
                14,
            ),
            condition(
                "/rule/all/3",
                "users",
                "at least 3 people active in the last 28 days",
                len(people),
                3,
                "people",
                everything,
                28,
            ),
            {
                **condition("/rule/all/4", "stage", "paid", None, None, "", [], 1),
                "negated": True,
                "holds": False,
                "english": "has paid",
                "window": None,
                "people": [],
                "people_total": 0,
                "newest_us": None,
            },
        ]
    return {
        "as_of_day": today,
        "newest_us": newest,
        "users": people[:3],
        "users_total": len(people),
        "conditions": conditions,
    }


def qualify(account: Account, definition: Definition, *, now: dt.datetime, **extra) -> Qualification:
    """An open episode with evidence; `extra` overrides fields."""
    version = definition.live_version or DefinitionVersion.objects.get(definition=definition)
    since = account.last_seen_at or now
    fields = {
        "version": version,
        "opened_at": since,
        "since_at": since,
        "since_day": day_of(since),
        "cause": "event",
        "evidence": evidence(account, definition, now=now),
    }
    return Qualification.objects.create(account=account, definition=definition, **(fields | extra))


def handoff(
    account: Account, *reasons: Definition, now: dt.datetime, owner: StaffUser | None = None, **extra
) -> Handoff:
    """A handoff of the company with these definitions as its reasons; with `owner` it is claimed."""
    fields = {
        "opened_at": account.last_seen_at or now,
        "newest_evidence_at": account.last_seen_at or now,
        "status": "claimed" if owner else "new",
        "owner": owner,
        "claimed_at": now - dt.timedelta(hours=2) if owner else None,
    }
    made = Handoff.objects.create(company=account, **(fields | extra))
    for definition in reasons:
        qualify(account, definition, now=now, handoff=made)
    return made


def desk(size: int, *, now: dt.datetime) -> list[Handoff]:
    """An inbox of so many unclaimed handoffs; every third has two reasons."""
    team, steady = staff_definitions(now - dt.timedelta(days=30))
    plans()
    return [handoff(company(i, now=now), *([team, steady] if i % 3 == 0 else [team]), now=now) for i in range(size)]
