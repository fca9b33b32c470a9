"""The preview of a draft: counts against brute force, samples, handoffs, alerts a week, and the fragment itself."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accounts import lake
from accounts.models import Stage
from accounts.workspace import day_of
from plgops.lib.db import is_postgres
from scoring import capacity, definitions, preview
from scoring.engines import asked, columnar
from scoring.engines.asked import sampled
from scoring.follow import follow
from scoring.models import Handoff, Qualification
from scoring.rules import tree
from scoring.rules.parse import parse_definition
from scoring.rules.stored import to_json
from scoring.views import preview as views
from tests.conftest import NOW, make_staff
from tests.factories import desk
from tests.factories.scoring import document, make_account, publish, sweep, use

from .rules import reference, strategies, world
from .rules.test_agreement import FIRST, quick, stored

pytestmark = pytest.mark.django_db
TODAY = 40


# --- the numbers, against the reference ----------------------------------------------------------------------


def nodes(part, subject, path="/rule", so_far=None):
    """(path, rule, whose, so far) of every node of a document."""
    yield path, part, subject, so_far
    if "of" in part and "at_least" in part:
        for number, item in enumerate(part["of"]):
            yield from nodes(item, subject, f"{path}/of/{number}")
        return
    ((kind, body),) = part.items()
    if kind in ("all", "any"):
        for number, item in enumerate(body):
            before = {"all": body[: number + 1]} if kind == "all" else None
            yield from nodes(item, subject, f"{path}/{kind}/{number}", before)
    elif kind == "not":
        yield from nodes(body, subject, f"{path}/not")
    elif kind == "users_who":
        yield from nodes(body["rule"], "user", f"{path}/users_who/rule")
    elif kind == "score":
        for number, signal in enumerate(body["signals"]):
            here = f"{path}/score/signals/{number}"
            if "when" in signal:
                yield from nodes(signal["when"], subject, f"{here}/when")
            else:
                ((counted, inner),) = signal["per"].items()
                decays = {"window": {"last_days": 6 * signal["half_life_days"]}} if "half_life_days" in signal else {}
                yield f"{here}/per", {counted: inner | {"at_least": 1} | decays}, subject, None


def number_of(facts, rule, subject, day):
    """For how many accounts it holds, or for one of their people."""

    def there(account):
        who = reference.people(facts, account, day) if subject == "user" else [None]
        return any(reference.holds(facts, rule, day, account, user) for user in who)

    return sum(there(account) for account in reference.population(facts, day))


@settings(quick, max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(
    facts=strategies.histories(),
    document=strategies.documents(),
    other=strategies.documents(),
    motion=st.none() | strategies.rules("account"),
    day=st.sampled_from([29, 32, 35, 37, 38]),
)
def test_counts_are_those_of_the_reference(facts, document, other, motion, day):
    document |= {"motion": {"rule": motion}} if motion else {}
    doc, live = parse_definition(document), parse_definition(other)
    if tree.reads_log(doc) or tree.reads_log(live):
        return
    draft = preview.Draft(doc, definitions.LiveRule(1, 1, "a", "risk", NOW, 3, live))
    everybody = sorted(reference.population(facts, day))
    now, then = (
        {account for account in everybody if reference.verdict(facts, asked, account, day)[0]}
        for asked in (document, other)
    )
    asked = list(nodes(document["rule"], document["level"]))
    asked += list(nodes(motion, "account", "/motion/rule")) if motion else []
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        base = preview.basis(day=day, exact=True)
        found = preview.who(draft, base, day=day)
        assert (base.every, base.asked, base.accounts) == (1, len(everybody), len(everybody))
        assert [found.matching.value, found.live.value] == [len(now), len(then)]
        assert [found.enters.value, found.leaves.value] == [len(now - then), len(then - now)]
        assert {account.pk for account in found.entering} == {FIRST + account for account in now - then}
        assert {account.pk for account in found.leaving} == {FIRST + account for account in then - now}
        assert [(part.path, part.alone, part.left) for part in found.parts] == [
            (
                path,
                number_of(facts, rule, subject, day),
                None if so_far is None else number_of(facts, so_far, subject, day),
            )
            for path, rule, subject, so_far in asked
        ]
        if motion:
            worth = {account for account in now if reference.holds(facts, motion, day, account)}
            assert found.worth.value == len(worth)
        else:
            assert found.worth is None


@st.composite
def turned(draw):
    """A definition with a threshold that may be turned."""
    count = {"event": draw(strategies.events), "at_least": draw(st.integers(1, 4))}
    kind = draw(st.sampled_from(["count", "users", "days"]))
    score = draw(strategies.scores("account"))
    score["score"] = {"signals": score["score"]["signals"], "at_least": draw(st.integers(1, 12))}
    rule = draw(st.sampled_from([score, {kind: count | draw(strategies.windows("account"))}]))
    beside = draw(st.lists(strategies.conditions("account"), max_size=2))
    return world.document({"all": [rule, *beside]} if beside else rule)


@settings(quick, max_examples=30, phases=[Phase.explicit, Phase.generate])
@given(facts=strategies.histories(), document=st.one_of(strategies.documents(), turned()))
def test_alerts_are_the_first_days_on_which_the_rule_held(facts, document):
    doc = parse_definition(document)
    if tree.reads_log(doc):
        return
    first = {}
    for account in facts.accounts:
        held = [day for day in range(TODAY + 1) if reference.verdict(facts, document, account, day)[0]]
        if held:
            first[account] = held[0]
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        base = preview.basis(day=TODAY, exact=True)
        found = capacity.rate(preview.Draft(doc, None), base, day=TODAY, given=capacity.Room(0, None))
        handed = preview.Draft(replace(doc, purpose="pql"), None)
        sales = capacity.rate(handed, base, day=TODAY, given=capacity.Room(0, None)).weeks
    weeks = {week: sum(1 for day in first.values() if week <= day < week + 7) for week, _ in found.weeks}
    assert {week: estimate.value for week, estimate in found.weeks} == weeks
    assert found.total.value == sum(weeks.values())
    assert [week for week, _ in found.weeks] == [TODAY - 6 - 7 * ago for ago in range(7, -1, -1)]
    assert found.steps == () and found.per_rep is None  # a rule about risk hands nothing over
    assert sales == found.weeks  # with thresholds the same statement tells both


@settings(quick, max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(facts=strategies.histories(), data=st.data())
def test_all_thresholds_at_once_are_those_of_each_by_itself(facts, data):
    score = data.draw(strategies.scores("account"))
    score["score"] = {"signals": score["score"]["signals"], "at_least": data.draw(st.integers(1, 12))}
    kind = data.draw(st.sampled_from(["count", "users", "days"]))
    count = {kind: {"event": "*", "at_least": data.draw(st.integers(1, 4))} | data.draw(strategies.windows("account"))}
    beside = data.draw(st.lists(strategies.conditions("account"), max_size=2))
    rule = data.draw(st.sampled_from([score, count, {"all": [score, *beside]}, {"all": [*beside, count]}]))
    document = data.draw(strategies.documents(lambda level: strategies.rules("user"), level="user"))
    document = data.draw(st.sampled_from([document, world.document(rule)]))
    doc = parse_definition(document | {"purpose": "pql", "slug": "a-draft"})
    if tree.reads_log(doc):
        return
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        base = preview.basis(day=TODAY, exact=True)
        for lever in capacity.levers(doc):
            given = capacity.Room(1, 1)
            found = capacity.rate(preview.Draft(doc, None), base, day=TODAY, given=given, path=lever.path)
            for step in found.steps:
                turned = json.loads(json.dumps(to_json(doc)))
                *way, last = lever.path.split("/")[1:]
                part = turned
                for key in way:
                    part = part[int(key)] if isinstance(part, list) else part[key]
                part[last] = step.value
                draft = preview.Draft(parse_definition(turned), None)
                alone = capacity.rate(draft, base, day=TODAY, given=given)
                assert alone.per_week == step.per_week, (lever.path, step)


def test_steps_in_between_are_told_by_the_first_and_last_time_of_the_day():
    kinds = [world.event_type(name) for name in ("Tried", "Liked", "Bought")]
    sure, missed = world.account(10), world.account(10)
    for account, times in ((sure, ((1,), (2,), (3,))), (missed, ((5,), (1, 6, 9), (7,)))):
        user = world.person(10, account)
        for kind, at in zip(kinds, times, strict=True):
            world.happened(account, user, kind, 36, *at)
    lake.refresh(now=NOW, whole=True)
    draft = a_draft({"sequence": {"steps": ["Tried", "Liked", "Bought"], "within_days": 2}}, purpose="pql")
    base = preview.basis(day=TODAY, exact=True)
    found = preview.who(draft, base, day=TODAY)
    assert draft.reads_log and [account.pk for account in found.entering] == [sure.pk]
    assert capacity.rate(draft, base, day=TODAY, given=capacity.Room(1, 1)).total.value == 1
    # who qualifies by the log, which the lake has not, is no near miss
    assert preview.near(draft, base, day=TODAY, limit=5)[0].nearest == ()
    rule = {"count": {"event": "Tried", "at_least": 1}}
    motion = {"rule": {"sequence": {"steps": ["Tried", "Liked", "Bought"], "within_days": 2}}}
    assert a_draft(rule, purpose="pql", motion=motion).reads_log and not a_draft(rule).reads_log


# --- a sample first ------------------------------------------------------------------------------------------


@pytest.fixture
def many():
    """400 accounts, every fourth of which sent an invite today."""
    kind = world.event_type("Invite Sent")
    accounts = [world.account(10) for _ in range(400)]
    for number, account in enumerate(accounts):
        if number % 4 == 0:
            world.used(account, None, kind, TODAY)
    lake.refresh(now=NOW, whole=True)
    return accounts


INVITED = {"count": {"event": "Invite Sent", "at_least": 1, "window": {"last_days": 7}}}


def a_draft(rule, **more):
    return preview.Draft(parse_definition(world.document(rule, **more)), None)


def test_where_there_are_many_a_sample_is_asked_first(many, monkeypatch):
    monkeypatch.setattr(preview, "SMALL", 400)
    monkeypatch.setattr(preview, "SAMPLE", 100)
    base = preview.basis(day=TODAY, exact=False)
    assert (base.every, base.accounts, base.exact) == (4, 400, False)
    with lake.connection() as db:
        mine = {pk for (pk,) in db.execute(f"SELECT id FROM accounts_account WHERE {sampled('id', 4)}").fetchall()}
    assert 60 <= base.asked <= 140 and base.asked == len(mine)
    assert base == preview.basis(day=TODAY, exact=False)  # the same ones each time
    found = preview.who(a_draft(INVITED), base, day=TODAY)
    assert found.matching.low < found.matching.value < found.matching.high
    assert found.matching.low <= 100 <= found.matching.high
    assert {account.pk for account in found.entering} <= mine
    exact = preview.who(a_draft(INVITED), preview.basis(day=TODAY, exact=True), day=TODAY)
    assert exact.matching == exact.enters == preview.Estimate(100, 100, 100)
    assert len(exact.entering) == preview.NAMED


def test_each_part_of_a_sample_is_what_everybodys_answer_says_of_it(many, monkeypatch):
    draft = a_draft({"count": {"event": "Invite Sent", "at_least": 1}}, purpose="pql")
    short = a_draft({"count": {"event": "Invite Sent", "at_least": 2}})
    monkeypatch.setattr(preview, "SMALL", 1)
    monkeypatch.setattr(preview, "SAMPLE", 100)
    base, given = preview.basis(day=TODAY, exact=False), capacity.Room(1, 1)
    with asked.connection(every=base.every) as db:
        mine = db.execute("SELECT COUNT(*) FROM accounts_account").fetchall()
        invited = db.execute("SELECT account_id FROM accounts_usageday ORDER BY 1").fetchall()
    with lake.connection() as db:  # what the other connection put before the tables is gone with it
        everybody = db.execute("SELECT account_id FROM accounts_usageday ORDER BY 1").fetchall()
        assert invited == [
            row for row in everybody if db.execute(f"SELECT {sampled(row[0], base.every)}").fetchall()[0][0]
        ]
    assert mine == [(base.asked,)] and 0 < len(invited) < len(everybody) == 100
    found = capacity.rate(draft, base, day=TODAY, given=given)
    assert found.total == base.estimate(len(invited)) == found.weeks[-1][1]
    assert [step.per_week * 8 for step in found.steps][:1] == [base.estimate(len(invited)).value]
    near, accounts = preview.near(short, base, day=TODAY, limit=500)
    assert near.accounts == base.asked and accounts.keys() >= {pk for (pk,) in invited}


def test_a_sample_is_smaller_where_there_is_much_usage(many, monkeypatch):
    monkeypatch.setattr(preview, "LEAST", 50)
    monkeypatch.setattr(preview, "SMALL_USAGE", 100)
    assert preview.basis(day=TODAY, exact=False).every == 1  # 100 rows are not too much for a sample
    monkeypatch.setattr(preview, "SAMPLE_USAGE", 20)
    assert preview.basis(day=TODAY, exact=False).every == 5
    monkeypatch.setattr(preview, "SAMPLE_USAGE", 1)
    assert preview.basis(day=TODAY, exact=False).every == 8  # not fewer than 50 accounts


def test_few_are_counted_at_once(many):
    assert preview.basis(day=TODAY, exact=False).exact
    assert preview.basis(day=9, exact=False).accounts == 0  # before anybody signed up


def test_an_estimate_of_nobody_still_has_an_interval(many, monkeypatch):
    monkeypatch.setattr(preview, "SMALL", 1)
    monkeypatch.setattr(preview, "SAMPLE", 100)
    base = preview.basis(day=TODAY, exact=False)
    none = base.estimate(0)
    assert none.value == none.low == 0 and 0 < none.high < 30
    monkeypatch.setattr(preview, "SAMPLE", 1)
    nobody = preview.Basis(400, 0, 400, NOW)
    assert nobody.estimate(0) == preview.Estimate(0, 0, 400)


# --- handoffs ------------------------------------------------------------------------------------------------


def test_handoffs_that_would_lose_their_last_reason(rep, admin):
    now = timezone.now()
    team, steady = desk.staff_definitions(now - dt.timedelta(days=30))
    companies = [desk.company(number, now=now) for number in range(4)]
    alone, claimed, both, other = companies
    closing = desk.handoff(alone, steady, now=now)
    marked = desk.handoff(claimed, steady, now=now, owner=rep)
    desk.handoff(both, steady, team, now=now)
    desk.handoff(other, team, now=now)
    lake.refresh(now=now, whole=True)
    never = {**desk.STEADY_USE, "rule": {"days": {"event": "*", "at_least": 14, "window": {"last_days": 1}}}}
    base = preview.basis(day=day_of(now), exact=True)
    found = preview.who(preview.read(never, slug="steady-use"), base, day=day_of(now))
    assert (found.handoffs.closing, found.handoffs.marked) == ((closing,), (marked,))
    assert found.leaves.value == 4 and {account.pk for account in found.leaving} == {c.pk for c in companies}
    same = preview.who(preview.read(desk.STEADY_USE, slug="steady-use"), base, day=day_of(now))
    assert (same.handoffs.closing, same.handoffs.marked, same.enters.value, same.leaves.value) == ((), (), 0, 0)
    # a new one touches nothing, and one that is not for sales says nothing of handoffs
    assert preview.who(preview.read(never, slug=""), base, day=day_of(now)).handoffs.closing == ()
    risk = preview.read({**never, "purpose": "risk"}, slug="steady-use")
    assert preview.who(risk, base, day=day_of(now)).handoffs is None


def test_handoffs_outside_the_sample_are_looked_at_too(rep, monkeypatch):
    now = timezone.now()
    _, steady = desk.staff_definitions(now - dt.timedelta(days=30))
    made = [desk.handoff(desk.company(number, now=now), steady, now=now) for number in range(6)]
    lake.refresh(now=now, whole=True)
    monkeypatch.setattr(preview, "SMALL", 1)
    monkeypatch.setattr(preview, "SAMPLE", 2)
    base = preview.basis(day=day_of(now), exact=False)
    assert base.asked < 6
    never = {**desk.STEADY_USE, "rule": {"days": {"event": "*", "at_least": 14, "window": {"last_days": 1}}}}
    found = preview.who(preview.read(never, slug="steady-use"), base, day=day_of(now))
    assert set(found.handoffs.closing) == set(made)
    assert found.leaves.value == (6 if base.asked else 0)
    monkeypatch.setattr(preview, "HANDOFFS", 4)
    some = preview.who(preview.read(never, slug="steady-use"), base, day=day_of(now))
    assert len(some.handoffs.closing) == some.handoffs.looked_at == 4


# --- grace days ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", [None, 4])
def test_episodes_in_their_grace_days_end_with_the_publication(sample, monkeypatch):
    day = dt.timedelta(days=1)
    publish(NOW - 10 * day)
    steady = [make_account(f"Steady {n}") for n in range(5)]
    fading = [make_account(f"Fading {n}") for n in range(4)]
    for n, account in enumerate(fading):
        use(account, "Invite Sent", at=NOW - 7 * day, count=12 if n == 0 else 4)
    sweep(NOW - 6 * day)
    for account in steady:
        use(account, "Invite Sent", at=NOW - day, count=4)
    sweep(NOW - day)
    sweep(NOW)
    lake.refresh(now=NOW)
    if sample:
        monkeypatch.setattr(preview, "SMALL", 1)
        monkeypatch.setattr(preview, "SAMPLE", sample)
    base = preview.basis(day=day_of(NOW), exact=False)
    assert base.exact == (sample is None)
    new = document(rule={"count": {"event": "Invite Sent", "at_least": 10, "window": {"last_days": 30}}})
    found = preview.who(preview.read(new, slug="team-expansion"), base, day=day_of(NOW))
    assert found.grace.ends == 3 and set(found.grace.named) == set(fading[1:])  # the first one has sent enough for it
    same = preview.who(preview.read(document(), slug="team-expansion"), base, day=day_of(NOW))
    assert (same.grace.ends, same.grace.named) == (0, ())
    monkeypatch.setattr(preview, "LAPSING", 2)
    some = preview.who(preview.read(new, slug="team-expansion"), base, day=day_of(NOW)).grace
    assert (some.ends, some.looked_at) == (1, 2)

    definitions.publish(document=new, by=None, now=NOW)
    follow(now=NOW)
    sweep(NOW)
    ended = Qualification.objects.filter(close_cause="redefined").values_list("account_id", flat=True)
    assert set(ended) == {account.pk for account in [*steady, *fading[1:]]}
    if sample is None:
        assert len(ended) == found.leaves.value + found.grace.ends


def test_the_fragment_tells_what_ends_in_its_grace_days(client_of, admin):
    now = timezone.now()
    _, steady = desk.staff_definitions(now - dt.timedelta(days=30))
    for number in range(3):
        desk.handoff(desk.company(number, now=now), steady, now=now)
    Qualification.objects.update(lapsing_since_day=day_of(now))
    rule = {"days": {"event": "Nobody does this", "at_least": 1}}
    live = {**desk.STEADY_USE, "rule": rule}
    definitions.publish(document=live, by=None, now=now)  # nobody has been judged by it yet
    lake.refresh(now=now, whole=True)
    response = post(client_of(admin), {**live, "rule": {"not": {"not": rule}}}, slug="steady-use")
    words = " ".join(re.sub(r"<[^>]*>", "", response.content.decode()).split())
    assert "0 leave" in words and "And 3 in their grace days end at once" in words


# --- what sales has room for ---------------------------------------------------------------------------------


@pytest.fixture
def growing():
    """In each of the last eight weeks some accounts sent their first invites: as many as the account's number."""
    kind = world.event_type("Invite Sent")
    for number in range(1, 17):
        account = world.account(0)
        world.used(account, None, kind, 100 - 3 * number, count=number)
        world.trait(account, "seats", number)
    lake.refresh(now=NOW, whole=True)
    return preview.basis(day=100, exact=True)


SCORE = {
    "score": {
        "signals": [{"part": "usage", "points": 10, "per": {"count": {"event": "Invite Sent"}}}],
        "at_least": 40,
    }
}


@pytest.mark.parametrize(
    ("rule", "path", "values"),
    [
        (SCORE, "/rule/score/at_least", [10, 20, 30, 40, 50, 60, 70, 80]),
        ({"all": [INVITED, SCORE]}, "/rule/all/1/score/at_least", [10, 20, 30, 40, 50, 60, 70, 80]),
        (
            {"any": [INVITED]},
            None,
            [],
        ),
        (
            {"count": {"event": "Invite Sent", "at_least": 1}},
            "/rule/count/at_least",
            [1, 2, 3, 4, 5, 6, 7, 8],
        ),
        (
            {"value": {"event": "Invite Sent", "measure": "sum", "at_least": 0.5}},
            "/rule/value/at_least",
            [0.2, 0.3, 0.4, 0.5],  # nobody reaches any
        ),
    ],
)
def test_the_thresholds_that_are_tried(growing, rule, path, values):
    found = capacity.rate(a_draft(rule, purpose="pql"), growing, day=100, given=capacity.Room(2, 1))
    assert (found.lever and found.lever.path) == path
    assert [step.value for step in found.steps] == values


def test_the_threshold_is_the_lowest_that_sales_has_room_for(growing):
    draft = a_draft({"count": {"event": "Invite Sent", "at_least": 5}}, purpose="pql")
    found = capacity.rate(draft, growing, day=100, given=capacity.Room(1, 1))
    assert found.per_week == 12 / 8  # the accounts 5 to 16 first had so many within the 56 days
    assert found.per_rep == 12 / 8
    assert [(step.value, step.per_week * 8) for step in found.steps] == [(n, 17 - n) for n in range(2, 10)]
    assert found.pick.value == 9 and [step.value for step in found.steps if step.is_now] == [5]
    assert capacity.rate(draft, growing, day=100, given=capacity.Room(2, 1)).pick.value == 2
    low = a_draft({"count": {"event": "Invite Sent", "at_least": 1}}, purpose="pql")
    far = capacity.rate(low, growing, day=100, given=capacity.Room(1, 1))
    assert [step.value for step in far.steps] == [*range(1, 9), 9] and far.pick == far.steps[-1]
    assert capacity.rate(draft, growing, day=100, given=capacity.Room(2, None)).pick is None
    crowded = capacity.rate(draft, growing, day=100, given=capacity.Room(0, None))
    assert crowded.pick is None and crowded.per_rep is None


def test_everybody_of_many_is_asked_in_parts(growing, monkeypatch):
    draft = a_draft({"all": [{"count": {"event": "Invite Sent", "at_least": 5}}, INVITED]}, purpose="pql")
    whole = capacity.rate(draft, growing, day=100, given=capacity.Room(1, 1))
    now = preview.who(draft, growing, day=100)
    monkeypatch.setattr(columnar, "_AT_ONCE", 5)
    with lake.connection() as db:
        assert len(columnar.parts(db)) == 4
    assert capacity.rate(draft, growing, day=100, given=capacity.Room(1, 1)) == whole
    any_days = a_draft({"days": {"event": "Invite Sent", "at_least": 1, "window": {"any_days": 3}}})
    assert preview.who(any_days, growing, day=100).matching.value == 16  # laid out along time, so in parts as well
    assert preview.who(draft, growing, day=100) == now


def test_only_what_is_worth_a_person_is_an_alert(growing):
    rule = {"count": {"event": "Invite Sent", "at_least": 5}}
    motion = {"rule": {"trait": {"name": "seats", "at_least": 10}}}
    found = capacity.rate(a_draft(rule, purpose="pql", motion=motion), growing, day=100, given=capacity.Room(1, 1))
    assert found.total.value == 7
    people = a_draft({"count": {"event": "Invite Sent", "at_least": 5}}, purpose="pql", motion=motion, level="user")
    found = capacity.rate(people, growing, day=100, given=capacity.Room(1, 1))
    assert found.total.value == 0  # nobody in particular did it
    assert found.lever.path == "/account_when/users_at_least"


def test_another_threshold_can_be_turned(growing):
    rule = {"all": [{"count": {"event": "Invite Sent", "at_least": 3}}, SCORE, {"not": SCORE}]}
    draft = a_draft(rule, purpose="pql")
    assert [lever.path for lever in capacity.levers(draft.doc)] == [
        "/rule/all/1/score/at_least",
        "/rule/all/0/count/at_least",
    ]
    given = capacity.Room(1, 1)
    found = capacity.rate(draft, growing, day=100, given=given, path="/rule/all/0/count/at_least")
    assert found.lever.value == 3
    assert capacity.rate(draft, growing, day=100, given=given, path="/nowhere").lever.unit == "points"


def test_the_room_is_what_the_reps_claimed(rep, other_rep, manager):
    make_staff("gone", "sales rep", is_active=False)
    assert capacity.room(day=100) == capacity.Room(2, None)
    account = world.account(0)
    for day in (44, 45, 60, 90, 100, 101):  # the first is too long ago, the last has not come
        world.stage(account, Stage.CLAIMED, day)
    assert capacity.room(day=100) == capacity.Room(2, None)  # 4 in 8 weeks is too little to go by
    for _ in range(4):
        world.stage(world.account(0), Stage.CLAIMED, 100)
    assert capacity.room(day=100, reps=1) == capacity.Room(1, 1)
    assert capacity.room(day=100, reps=3, each=7).per_week == 21


def test_the_picked_threshold_is_told_in_the_form_that_goes_with_it(growing):
    rule = {"count": {"event": "Invite Sent", "at_least": 2}}
    draft = a_draft(rule, purpose="pql")
    units = {each: capacity.rate(draft, growing, day=100, given=capacity.Room(1, each)) for each in (1, 2)}
    assert {each: (rate.pick.value, rate.pick_unit) for each, rate in units.items()} == {
        1: (9, "events"),
        2: (1, "event"),
    }
    amounts = a_draft({"value": {"event": "Invite Sent", "measure": "sum", "at_least": 1}}, purpose="pql")
    assert capacity.rate(amounts, growing, day=100, given=capacity.Room(1, 1)).pick_unit == ""


# --- the fragment --------------------------------------------------------------------------------------------


@pytest.fixture
def desk_of_three(admin):
    now = timezone.now()
    for number in range(3):
        desk.company(number, now=now)
    lake.refresh(now=now, whole=True)
    return now


def post(client, document, **more):
    text = document if isinstance(document, str) else json.dumps(document)
    return client.post(reverse("definition_preview"), {"text": text, "slug": "", "exact": ""} | more)


NEW = {**desk.STEADY_USE, "slug": "new-one"}


def test_the_fragment_has_a_number_for_each_part(client_of, admin, desk_of_three):
    document = {**NEW, "rule": {"all": [NEW["rule"], {"not": {"stage": {"reached": "paid"}}}]}}
    response = post(client_of(admin), document)
    page = response.content.decode()
    data = re.findall(r'<data class="cond-n" data-path="([^"]*)" value="(\d+)"(?: data-left="(\d+)")?>', page)
    assert data == [
        ("/rule", "3", ""),
        ("/rule/all/0", "3", "3"),
        ("/rule/all/1", "3", "3"),
        ("/rule/all/1/not", "0", ""),
    ]
    assert response.status_code == 200
    assert "Counted: all 3 accounts" in page and "Lumen Analytics" in page
    assert "Of steps in between" not in page
    assert page.count('hx-trigger="load"') == 2  # the rate and the near misses; who qualifies is exact already


def test_who_is_estimated_is_counted_next(client_of, admin, desk_of_three, monkeypatch):
    monkeypatch.setattr(preview, "SMALL", 1)
    client = client_of(admin)
    page = post(client, NEW).content.decode()
    assert "Estimated from 1 in 1 accounts" not in page
    monkeypatch.setattr(preview, "SAMPLE", 1)
    page = post(client, NEW).content.decode()
    assert "Estimated from 1 in 3 accounts" in page and "data-estimated" in page
    assert page.count('hx-trigger="load"') == 3
    exact = post(client, NEW, part="who", exact="1").content.decode()
    assert "Counted: all 3 accounts" in exact and 'hx-trigger="load"' not in exact and 'id="pv-rate"' not in exact


def test_everybodys_rate_follows_where_it_takes_seconds_and_else_is_asked_for(
    client_of, admin, desk_of_three, monkeypatch
):
    monkeypatch.setattr(preview, "SMALL", 1)
    monkeypatch.setattr(preview, "SAMPLE", 1)
    client, asks = client_of(admin), '"part": "rate", "exact": "1"'
    monkeypatch.setattr(views, "FOLLOWS", 1000)
    page = post(client, NEW, part="rate").content.decode()
    assert "1 in 3 accounts" in page and "Counting everybody" in page and "Count all" not in page
    assert page.count('hx-trigger="load"') == page.count(asks) == 1
    exact = post(client, NEW, part="rate", exact="1").content.decode()
    assert "Counted: all 3 accounts" in exact and 'hx-trigger="load"' not in exact
    monkeypatch.setattr(views, "FOLLOWS", 0)
    page = post(client, NEW, part="rate").content.decode()
    assert "1 in 3 accounts" in page and "Counting everybody" not in page and "Count all" in page
    assert 'hx-trigger="load"' not in page and page.count(asks) == 1


def test_each_part_by_itself(client_of, admin, rep, desk_of_three):
    client = client_of(admin)
    rate = post(client, NEW, part="rate", reps="2", each="3")
    assert 'data-apply-path="/rule/days/at_least" data-value="6"' in rate.content.decode()
    assert 'name="reps"' in rate.content.decode() and "for each of 2 reps" in rate.content.decode()
    assert "Live preview" not in rate.content.decode()
    near = {**NEW, "rule": {"days": {"event": "*", "at_least": 14, "window": {"last_days": 14}}}}
    page = post(client, near, part="near").content.decode()
    assert 'id="pv-near"' in page and "more day" in page
    about = post(client, {**NEW, "purpose": "risk"}, part="rate").content.decode()
    assert "New accounts a week" in about and "rep" not in re.sub(r"<[^>]*>", "", about)


def test_each_part_says_what_the_lake_does_not_know(client_of, admin, viewer, desk_of_three):
    client = client_of(admin)
    steps = ["Invite Sent", "Workflow Completed", "Report Exported"]
    document = {**NEW, "rule": {"sequence": {"steps": steps, "within_days": 2}}}
    for part in ("who", "rate", "near"):
        assert "Of steps in between" in post(client, document, part=part).content.decode()
        assert "Of steps in between" not in post(client, NEW, part=part).content.decode()


def test_near_misses_whose_time_is_over_are_told_apart(client_of, admin, viewer, desk_of_three):
    window = {"first_days": 14, "of": "account"}  # which have passed for all three
    never = {"days": {"event": "Nobody does this", "at_least": 1}}
    late = {**NEW, "rule": {"days": {"event": "Nobody does this", "at_least": 1, "window": window}}}
    either = {**late, "slug": "either", "rule": {"any": [late["rule"], never]}}
    words = " ".join(re.sub(r"<[^>]*>", "", post(client_of(admin), late, part="near").content.decode()).split())
    assert "0 accounts are one condition short, and 3 whose time is over." in words and "What they lack" not in words
    words = re.sub(r"<[^>]*>", "", post(client_of(admin), either, part="near").content.decode())
    assert "3 accounts are one condition short." in words
    definitions.publish(document=late, by=None, now=timezone.now())
    page = client_of(viewer).get(reverse("definition_near_misses", args=["new-one"])).content.decode()
    assert "0 accounts one condition short, and 3 whose time is over" in page and "(and 3 too late)" in page


def test_the_nearest_misses_are_listed_and_more_of_them_on_request(
    client_of, admin, viewer, desk_of_three, monkeypatch
):
    monkeypatch.setattr(views, "LISTED", 1)
    monkeypatch.setattr(views, "MOST", 2)
    never = {**NEW, "rule": {"days": {"event": "Nobody does this", "at_least": 1}}}
    definitions.publish(document=never, by=None, now=timezone.now())
    address, client = reverse("definition_near_misses", args=["new-one"]), client_of(viewer)
    first = client.get(address)
    assert len(first.context["rows"]) == 1 and "The nearest 1 of 3." in first.content.decode()
    assert f'hx-get="{address}?shown=2"' in first.content.decode()
    second = client.get(f"{address}?shown=2")
    assert len(second.context["rows"]) == 2 and "The nearest 2 of 3." in second.content.decode()
    assert "?shown=" not in second.content.decode()  # not more than MOST
    for nonsense in ("0", "x", "501"):
        assert len(client.get(f"{address}?shown={nonsense}").context["rows"]) == 1
    monkeypatch.setattr(views, "LISTED", 3)
    whole = client.get(address).content.decode()
    assert "The nearest" not in whole and "?shown=" not in whole


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "required"),
        ("{", "Expected a key in double quotes here."),
        ("[1]", "Correct it as JSON"),
        (json.dumps({**NEW, "rule": {"all": []}}), "Nothing is in this group yet"),
        (json.dumps({**NEW, "rule": {"definition": "not-there"}}), "not-there"),
        (json.dumps({**NEW, "rule": {"definition": "new-one"}}), "A definition cannot ask for itself."),
    ],
)
def test_what_is_no_definition_says_what_is_missing(client_of, admin, text, says):
    response = post(client_of(admin), text)
    assert response.status_code == 422
    assert says in response.content.decode().replace("&#x27;", "'")
    assert "as soon as the definition is complete" in response.content.decode()


@pytest.mark.parametrize(
    "wrong", [{"part": "all"}, {"reps": "0"}, {"each": "many"}, {"slug": "no slug"}, {"exact": "x"}]
)
def test_bad_questions_are_refused(client_of, admin, desk_of_three, wrong):
    assert post(client_of(admin), NEW, **wrong).status_code == 422


def test_before_the_first_generation_it_says_so(client_of, admin):
    client = client_of(admin)
    for part in ("", "who", "rate", "near"):
        response = post(client, NEW, part=part)
        assert response.status_code == 200
        assert "is being prepared" in response.content.decode() and "Try again" in response.content.decode()


def test_what_was_not_ready_is_asked_again_by_itself(client_of, admin, monkeypatch):
    client = client_of(admin)
    whole = post(client, NEW).content.decode()
    assert whole.count('hx-trigger="load delay:5s"') == 1 and whole.count('hx-target="#pv"') == 2
    for part in ("who", "rate", "near"):
        again = post(client, NEW, part=part, exact="1").content.decode()
        assert again.count('hx-trigger="load delay:5s"') == 1
        assert again.count(f'hx-target="#pv-{part}"') == again.count(f'{{"part": "{part}", "exact": "1"}}') == 2
    definitions.publish(document=NEW, by=None, now=timezone.now())
    near = reverse("definition_near_misses", args=["new-one"])
    assert "load delay:5s" in client.get(near).content.decode()
    lake.refresh(now=timezone.now())
    for part in ("", "who", "rate", "near"):
        assert "delay:5s" not in post(client, NEW, part=part).content.decode()
    assert "delay:5s" not in client.get(near).content.decode()

    def too_long(*args, **more):
        raise lake.TooLong("It took too long.")

    monkeypatch.setattr(preview, "who", too_long)
    slow = post(client, NEW).content.decode()
    assert "took too long" in slow and "Try again" in slow and "delay:5s" not in slow


def test_what_sales_has_room_for_is_asked_for_where_nothing_was_claimed(client_of, admin, rep, desk_of_three):
    client = client_of(admin)
    page = post(client, NEW, part="rate").content.decode()
    assert re.search(r'name="each"[^>]*value=""[^>]*placeholder="Enter"', page) and "Enter how many PQLs" in page
    both = {"all": [NEW["rule"], {"users": {"event": "*", "at_least": 2}}]}
    lever = "/rule/all/1/users/at_least"
    page = post(client, {**NEW, "rule": both}, part="rate", reps="7", each="9", lever=lever).content.decode()
    assert re.search(r'name="reps"[^>]*value="7"', page) and re.search(r'name="each"[^>]*value="9"', page)
    assert f'<option value="{lever}" selected>' in page
    words = " ".join(re.sub(r"<[^>]*>", "", page).split())
    assert re.search(r"At 1 person \(“[^”]*at least 2[^”]*”\), ", words)


def test_a_week_in_which_nobody_comes_is_said_in_words(client_of, admin, rep, desk_of_three):
    never = {**NEW, "rule": {"days": {"event": "Nobody does this", "at_least": 1}}}
    words = " ".join(
        re.sub(r"<[^>]*>", "", post(client_of(admin), never, part="rate", each="1").content.decode()).split()
    )
    assert "Nobody in the last 8 weeks" in words and "nobody in 8 weeks for 1 rep who works 1" in words
    assert "0.0 a week" not in words


def test_it_is_for_those_who_edit(client_of, rep, desk_of_three):
    assert post(client_of(rep), NEW).status_code == 403


def _time_limit():
    """The statements that keep a question within its time: savepoint, limit, release; SQLite has none."""
    return 3 if is_postgres() else 0


@pytest.mark.parametrize("size", [1, 3])
def test_its_cost_does_not_grow(client_of, admin, rep, size, django_assert_num_queries):
    now = timezone.now()
    _, steady = desk.staff_definitions(now - dt.timedelta(days=30))
    for number in range(size):
        desk.handoff(desk.company(number, now=now), steady, now=now)
    lake.refresh(now=now, whole=True)
    client = client_of(admin)
    draft = {**desk.STEADY_USE, "rule": {"days": {"event": "*", "at_least": 14, "window": {"last_days": 1}}}}
    limit = _time_limit()
    # session, user, roles, live versions; open reasons, grace days, event types, names, touched handoffs, reasons,
    # handoffs
    with django_assert_num_queries(11 + limit):
        response = post(client, draft, slug="steady-use")
    assert len(response.context["who"].handoffs.closing) == Handoff.objects.count() == size
    with django_assert_num_queries(7 + limit):  # session, user, roles, live versions; reps, claims, event types
        assert post(client, draft, slug="steady-use", part="rate").status_code == 200
    with django_assert_num_queries(6 + limit):  # session, user, roles, live versions; event types, names
        assert post(client, draft, slug="steady-use", part="near").status_code == 200


# --- near misses on the definition's page --------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3])
def test_near_misses_of_what_is_live(client_of, viewer, size, django_assert_num_queries):
    now = timezone.now()
    rule = {"days": {"event": "*", "at_least": 14, "window": {"last_days": 14}}}
    definitions.publish(document={**NEW, "rule": rule}, by=None, now=now)
    for number in range(size):
        desk.company(number, now=now)
    lake.refresh(now=now, whole=True)
    client = client_of(viewer)
    # session, user, roles, definition, live versions; event types, names
    with django_assert_num_queries(7 + _time_limit()):
        response = client.get(reverse("definition_near_misses", args=["new-one"]))
    assert len(response.context["rows"]) == size
    assert "more day" in response.content.decode()


def test_near_misses_wait_for_the_lake(client_of, viewer, stranger):
    definitions.publish(document=NEW, by=None, now=timezone.now())
    page = client_of(viewer).get(reverse("definition_near_misses", args=["new-one"]))
    assert page.status_code == 200 and "is being prepared" in page.content.decode()
    assert client_of(viewer).get(reverse("definition_near_misses", args=["none"])).status_code == 404
    assert client_of(stranger).get(reverse("definition_near_misses", args=["new-one"])).status_code == 403


def test_a_threshold_that_everybody_passed_long_ago_is_not_picked():
    """It brings nobody any more in a week, and all of them on the day on which it is published."""
    accounts = [make_account(f"Old {n}", signed_up_at=NOW - dt.timedelta(days=300)) for n in range(30)]
    for n, account in enumerate(accounts):
        use(account, "Invite Sent", at=NOW - dt.timedelta(days=299), count=12)
        if n < 20:
            use(account, "Invite Sent", at=NOW - dt.timedelta(days=7 * (n % 6)), count=40)
    lake.refresh(now=NOW)
    day = day_of(NOW)
    draft = preview.read(document(rule={"count": {"event": "Invite Sent", "at_least": 40}}), slug="")
    rate = capacity.rate(draft, preview.basis(day=day, exact=True), day=day, given=capacity.Room(1, 1))
    assert rate.steps[0].fits and rate.steps[0].per_week == 0
    assert rate.pick is not None and rate.pick.value > 40
