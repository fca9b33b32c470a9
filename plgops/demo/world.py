"""Fieldnote's customers, simulated week by week. Pure: a seed and a day in, messages and revenue out.

Every account has a hidden quality. It shows only in what people do (invites, workflows, days of use), and
paying follows from what they did: the chance to buy in a week depends on invited teammates, completed workflows,
active people and limits reached, not on the quality itself. So the behaviour that precedes buying can be found in
the data, and so can the decline that precedes leaving.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from plgops.demo.names import Company, Names

DAY = 86_400
WEEK = 7 * DAY
DAYS = 548  # eighteen months
WEEKDAY = (1.0, 1.08, 1.1, 1.04, 0.86, 0.14, 0.11)  # Monday first
MONTH = (0.97, 1.02, 1.05, 1.02, 1.0, 0.98, 0.88, 0.8, 1.04, 1.08, 1.06, 0.72)
PRICE = {"team": 12, "business": 25}  # a seat and month
FREE_ROWS, TEAM_ROWS = 5_000, 100_000

# what people do on a day of use, with its weight: everybody, and who leads the team
DOES = (
    ("Note Created", 24),
    ("Note Edited", 30),
    ("Comment Added", 13),
    ("Rows Synced", 8),
    ("Template Used", 5),
    ("Report Exported", 4),
    ("Project Created", 3),
)
LEADS = (*DOES, ("Automation Created", 1.5), ("Integration Connected", 2))


@dataclass(slots=True)
class Person:
    """Somebody who uses Fieldnote."""

    id: str
    name: str
    email: str
    title: str
    joined: int  # seconds since 1970
    rate: float  # chance of a day of use on an ordinary day
    lead: bool = False
    invited_by: str = ""
    last: int = 0


@dataclass(slots=True)
class Story:
    """One account's whole history: messages in order of time, and what it paid from when."""

    group_id: str
    company: Company
    employees: int
    quality: float
    messages: list[dict[str, Any]] = field(default_factory=list)
    states: list[tuple[int, str, int, str]] = field(default_factory=list)  # at, plan, MRR, motion
    parent: str = ""
    internal: bool = False


@dataclass(slots=True)
class _Life:
    """The account's present, while it is simulated."""

    momentum: float
    plan: str = "free"
    seats: int = 0
    rows_month: int = -1
    rows: int = 0
    limit_hits: int = 0
    priced: int = 0
    invited: int = 0
    workflows: list[int] = field(default_factory=list)  # per week
    active: list[int] = field(default_factory=list)  # people per week
    declining: bool = False
    trial_ends: int = 0


def simulate(*, seed: int, until: dt.datetime, accounts: int) -> Iterator[Story]:
    """The companies, oldest sign-up first; nothing happens after `until`. Same seed and day, same world."""
    rng = random.Random(seed)  # noqa: S311  a play, not a secret
    names = Names(rng)
    last = int(until.timestamp())
    end = (last // DAY + 1) * DAY  # the day is lived to its end, so that its hour changes nothing before it
    first_day = last // DAY - DAYS
    signups = sorted(_signup_day(rng) for _ in range(accounts))
    stories: list[Story] = []
    for number, offset in enumerate(signups):
        story = _Account(rng, names, first_day + offset, end).run(last)
        if number == 0:
            story.internal = True
            next(m for m in story.messages if m["type"] == "group")["traits"]["is_internal"] = True
        # a few companies open a second workspace for another department
        elif number % 60 == 59 and stories[-1].employees > 40:
            story.parent = stories[-1].parent or stories[-1].group_id
            story.company = Company(
                f"{stories[-1].company.name} · {rng.choice(('Design', 'Europe', 'Marketing', 'Research'))}",
                stories[-1].company.domain,
                stories[-1].company.industry,
                stories[-1].company.country,
                story.company.utc_hours,
            )
            _rename(story)
        stories.append(story)
        yield story


def _signup_day(rng: random.Random) -> int:
    """More every month, fewer at weekends and in August and December."""
    while True:
        day = int(DAYS * rng.random() ** 0.72)
        if rng.random() < 0.25 + 0.75 * WEEKDAY[(day + 3) % 7] / 1.1:
            return min(day, DAYS - 1)


def _rename(story: Story) -> None:
    for message in story.messages:
        if message["type"] == "group" and "name" in message["traits"]:
            message["traits"]["name"] = story.company.name


def _hex(rng: random.Random, prefix: str) -> str:
    return f"{prefix}_{rng.getrandbits(40):010x}"


def _iso(at: int) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat()


class _Account:
    """One account while its story is being told."""

    def __init__(self, rng: random.Random, names: Names, day: int, end: int) -> None:
        self.rng, self.names, self.end = rng, names, end
        company = names.company()
        self.hours = company.utc_hours
        self.start = self._moment(day)
        # most who sign up only look around; a few are just right
        quality = rng.betavariate(1.15, 2.6)
        employees = int(min(9_000, max(2, rng.lognormvariate(3.6 + 1.1 * quality, 1.15))))
        self.story = Story(_hex(rng, "ws"), company, employees, quality)
        self.addresses: set[str] = set()
        self.people: list[Person] = []
        self.invitations: list[tuple[int, str, Person]] = []  # accepted ones: when, address, by whom
        self.life = _Life(momentum=0.5 + 0.5 * quality)
        self.out: list[tuple[int, dict[str, Any]]] = []
        self.context = {"groupId": self.story.group_id}

    def run(self, last: int) -> Story:
        """Its story up to the moment `last`."""
        if self.start < self.end:
            self._open()
            week = 0
            while (begin := self.start + week * WEEK) < self.end:
                self._week(week, begin)
                week += 1
                if week > 6 and self._gone():
                    break
        self.out.sort(key=lambda said: said[0])
        self.story.messages = [message for at, message in self.out if at <= last]
        self.story.states = [state for state in self.story.states if state[0] <= last]
        return self.story

    def _gone(self) -> bool:
        return self.life.momentum < 0.02 and self.life.plan == "free" and sum(self.life.active[-4:]) == 0

    # --- what is said -----------------------------------------------------------------------------------

    def _say(self, at: int, message: dict[str, Any]) -> None:
        message["timestamp"] = _iso(at)
        message["messageId"] = f"demo-{self.story.group_id[3:]}-{len(self.out)}"
        self.out.append((at, message))

    def _track(self, at: int, person: Person, event: str, **properties: Any) -> None:
        self._say(
            at,
            {
                "type": "track",
                "event": event,
                "userId": person.id,
                "context": self.context,
                "properties": properties,
            },
        )

    def _group(self, at: int, person: Person, **traits: Any) -> None:
        message = {"type": "group", "groupId": self.story.group_id, "userId": person.id, "traits": traits}
        self._say(at, message)

    # --- how it begins ------------------------------------------------------------------------------------

    def _open(self) -> None:
        company, rng = self.story.company, self.rng
        founder = self._join(self.start, "", None)
        self._track(self.start, founder, "Signed Up", type="organic" if rng.random() < 0.7 else "campaign")
        self._group(
            self.start,
            founder,
            name=company.name,
            industry=company.industry,
            country=company.country,
            employees=self.story.employees,
            website=company.domain,
            plan="free",
            createdAt=_iso(self.start),
        )
        self._track(self.start + 240, founder, "Project Created", template="blank")
        if rng.random() < 0.35:
            self._trial(self.start + DAY * rng.randrange(0, 6) + 600, founder)

    def _join(self, at: int, address: str, inviter: Person | None) -> Person:
        rng = self.rng
        name, email = self._person(address)
        lead = inviter is None
        person = Person(
            id=_hex(rng, "usr"),
            name=name,
            email=email,
            title=self.names.title("lead" if lead else "member"),
            joined=at,
            rate=min(0.85, rng.betavariate(2.2, 3.6) * (1.15 if lead else 0.95)),
            lead=lead or rng.random() < 0.12,
            invited_by=inviter.id if inviter else "",
        )
        traits: dict[str, Any] = {
            "name": name,
            "email": email,
            "title": person.title,
            "createdAt": _iso(at),
        }
        if inviter:
            traits["invited_by"] = inviter.id
        self._say(
            at,
            {
                "type": "identify",
                "userId": person.id,
                "traits": traits,
                "context": self.context,
            },
        )
        self.people.append(person)
        return person

    def _person(self, address: str) -> tuple[str, str]:
        if address:
            return " ".join(part.rstrip("0123456789").title() for part in address.split("@")[0].split(".")), address
        return self.names.person(self.story.company.domain, self.addresses)

    def _trial(self, at: int, person: Person) -> None:
        if self.life.plan != "free":
            return
        self.life.trial_ends = at + 14 * DAY
        self.life.plan = "trial"
        self._track(at, person, "Trial Started", trial_plan_name="team")
        self._group(at, person, plan="trial")

    # --- a week -------------------------------------------------------------------------------------------

    def _week(self, week: int, begin: int) -> None:
        life = self.life
        for at, address, inviter in [i for i in self.invitations if i[0] < begin + WEEK]:
            newcomer = self._join(at, address, inviter)
            self._track(at, newcomer, "Signed Up", type="invited")
        self.invitations = [i for i in self.invitations if i[0] >= begin + WEEK]
        if life.trial_ends and life.trial_ends < begin:
            self._end_trial()
        life.workflows.append(0)
        active = sum(self._person_week(person, begin) for person in self.people)
        life.active.append(active)
        self._invite(week, begin)
        if life.plan in PRICE:
            self._subscription_week(begin)
        else:
            self._maybe_buy(begin)
        self._drift(active)

    def _drift(self, active: int) -> None:
        """Use feeds on itself: teams keep each other at it, and whoever pays stays longer."""
        life, quality = self.life, self.story.quality
        keep = 0.5 + 0.46 * quality + 0.045 * min(active, 4)
        if life.plan in PRICE:
            keep = max(keep, 0.965) + 0.03
            if not life.declining and self.rng.random() < 0.006:
                life.declining = True
        if life.declining:
            keep = 0.8
        life.momentum = min(1.0, life.momentum * min(keep, 1.04))

    def _person_week(self, person: Person, begin: int) -> int:
        """The person's days of use in this week; whether there was one."""
        chance = person.rate * self.life.momentum
        if chance < 0.004:
            return 0
        random_number = self.rng.random
        days = 0
        for offset in range(7):
            day = (begin // DAY) + offset
            if random_number() < chance * WEEKDAY[(day + 3) % 7] * MONTH[(day // 30) % 12]:
                at = self._moment(day)
                if person.joined <= at < self.end:
                    self._day(person, at)
                    days += 1
        if begin <= person.joined < begin + WEEK and not days:
            self._day(person, person.joined + 300)
            days = 1
        return int(days > 0)

    def _day(self, person: Person, at: int) -> None:
        rng, life = self.rng, self.life
        person.last = at
        events, weights = _LEADS if person.lead else _DOES
        how_many = 1 + min(9, int(rng.expovariate(1.4)))
        for event in rng.choices(events, cum_weights=weights, k=how_many):
            at += 30 + int(rng.random() * 1_500)
            if event == "Rows Synced":
                self._sync(person, at)
            elif event == "Note Created":
                self._track(at, person, event, words=20 + int(rng.expovariate(1 / 180)))
            elif event == "Report Exported":
                self._track(at, person, event, format=rng.choice(("pdf", "csv", "slides")))
            elif event == "Integration Connected":
                self._track(at, person, event, name=rng.choice(("Slack", "Drive", "Jira", "Salesforce")))
            else:
                self._track(at, person, event)
        if rng.random() < 0.05 + 0.3 * self.story.quality:
            life.workflows[-1] += 1
            self._track(at + 200, person, "Workflow Completed", steps=rng.randrange(2, 9))
        if life.plan not in PRICE and person.lead and rng.random() < 0.02 + 0.05 * min(life.limit_hits, 3):
            life.priced += 1
            self._track(at + 260, person, "Pricing Viewed", plan=rng.choice(("team", "team", "business")))

    def _sync(self, person: Person, at: int) -> None:
        life = self.life
        rows = 50 + int(self.rng.lognormvariate(5.2 + 1.6 * self.story.quality, 0.9))
        month = at // (30 * DAY)
        if month != life.rows_month:
            life.rows_month, life.rows = month, 0
        before, life.rows = life.rows, life.rows + rows
        self._track(at, person, "Rows Synced", rows=rows)
        limit = FREE_ROWS if life.plan not in PRICE else TEAM_ROWS
        if before < limit <= life.rows and life.plan != "business":
            life.limit_hits += 1
            self._track(at + 1, person, "Limit Reached", limit="rows", plan=life.plan)

    def _invite(self, week: int, begin: int) -> None:
        """Leads bring in colleagues: most in the first two weeks, later as the team grows."""
        rng, life = self.rng, self.life
        room = self.story.employees * 0.6 - len(self.people) - len(self.invitations)
        if week < 2:
            mean = 0.6 + 7.8 * self.story.quality**1.2
        else:
            mean = 1.2 * life.momentum * self.story.quality * (1.4 if life.plan in PRICE else 0.7)
        many = min(int(room), _poisson(rng, mean))
        inviters = [p for p in self.people if p.lead and begin <= p.last] or [p for p in self.people if begin <= p.last]
        for _ in range(many if inviters else 0):
            inviter = rng.choice(inviters)
            at = min(inviter.last + 60 + int(rng.random() * 900), begin + WEEK)
            _, address = self.names.person(self.story.company.domain, self.addresses)
            life.invited += 1
            self._track(at, inviter, "Invite Sent", invitee_email=address, role=rng.choice(("editor", "viewer")))
            if rng.random() < 0.72:
                self.invitations.append((at + 300 + int(rng.expovariate(1 / (1.4 * DAY))), address, inviter))

    # --- money ----------------------------------------------------------------------------------------------

    def _end_trial(self) -> None:
        life = self.life
        at, life.trial_ends = life.trial_ends, 0
        if life.plan == "trial":
            life.plan = "free"
            self._track(at, self.people[0], "Trial Ended", trial_plan_name="team")
            self._group(at, self.people[0], plan="free")

    def _maybe_buy(self, begin: int) -> None:
        """The chance to buy this week comes from behaviour, and from nothing else."""
        life, rng = self.life, self.rng
        active = life.active[-1]
        if not active:
            return
        pull = (
            0.75 * min(life.invited, 4)
            + 0.8 * math.log1p(sum(life.workflows[-3:]))
            + 0.35 * min(active, 6)
            + 0.6 * min(life.limit_hits, 2)
            + 0.5 * min(life.priced, 2)
            + (0.7 if life.plan == "trial" else 0)
        )
        if rng.random() >= min(0.3, 0.00034 * math.exp(pull * 0.78)):
            return
        who = max(self.people, key=lambda p: p.last)
        at = max(who.last + 900, begin + DAY)
        plan = "business" if self.story.employees > 400 and rng.random() < 0.5 else "team"
        by_sales = self.story.employees >= 150 and rng.random() < 0.55
        life.plan, life.seats, life.trial_ends = plan, max(3, len(self.people) + rng.randrange(0, 4)), 0
        self._track(at, who, "Plan Upgraded", plan=plan, seats=life.seats)
        self._group(at, who, plan=plan, seats=life.seats)
        self._state(at, "sales" if by_sales else "self_serve")
        if plan == "business" or rng.random() < 0.08:
            self._track(at + 2 * DAY, who, "SSO Enabled", provider=rng.choice(("Okta", "Entra ID", "Google")))

    def _state(self, at: int, motion: str) -> None:
        life = self.life
        self.story.states.append((at, life.plan, PRICE.get(life.plan, 0) * life.seats, motion))

    def _subscription_week(self, begin: int) -> None:
        life, rng = self.life, self.rng
        lately = life.active[-4:]
        people = max(lately)
        leaving = 0.0015 if sum(lately[-2:]) else 0.3
        if len(life.active) > 8 and sum(lately) < 0.5 * sum(life.active[-8:-4]):
            leaving += 0.09
        at = begin + 5 * DAY + int(rng.random() * DAY)
        lead = self.people[0]
        if rng.random() < leaving:
            life.plan, life.seats = "free", 0
            self._track(at, lead, "Plan Cancelled")
            self._group(at, lead, plan="free", seats=None)
            self._state(at, "")
        elif people > life.seats * 0.85 and rng.random() < 0.5:
            life.seats += max(2, people // 4)
            if life.plan == "team" and life.seats >= 25 and rng.random() < 0.5:
                life.plan = "business"
            self._grew(at, lead)
        elif people < life.seats * 0.4 and rng.random() < 0.03:
            life.seats = max(3, people + 1)
            self._grew(at, lead)

    def _grew(self, at: int, lead: Person) -> None:
        self._track(at, lead, "Seats Changed", seats=self.life.seats)
        self._group(at, lead, plan=self.life.plan, seats=self.life.seats)
        self._state(at, "sales_touched" if self.life.plan == "business" else "self_serve")

    def _moment(self, day: int) -> int:
        """A moment of a working day, at the company's own hours."""
        hour = min(22.0, max(6.5, self.rng.gauss(12.8, 2.9))) - self.hours
        return day * DAY + int(hour * 3600)


def _cumulative(table: tuple[tuple[str, float], ...]) -> tuple[list[str], list[float]]:
    total, weights = 0.0, []
    for _, weight in table:
        total += weight
        weights.append(total)
    return [name for name, _ in table], weights


_DOES, _LEADS = _cumulative(DOES), _cumulative(LEADS)


def _poisson(rng: random.Random, mean: float) -> int:
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
