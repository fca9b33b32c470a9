"""One explanation: the rule's own shape, what each condition measured, then and today."""

import datetime as dt
import json
import random

import pytest

from accounts.models import Account
from accounts.workspace import day_of
from scoring import definitions, reasons, told, why
from scoring.engines import appdb
from scoring.explanation import Person, walk
from scoring.models import Qualification
from scoring.rules.parse import parse_definition
from scoring.serializers import as_json, as_text
from tests.factories import scoring as world
from tests.factories.scoring import make_account, make_user, publish, sweep, use

pytestmark = pytest.mark.django_db
UTC = dt.UTC
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=UTC)


def at(days_ago: float) -> dt.datetime:
    return NOW - dt.timedelta(days=days_ago)


def explain(account, *, today=None, slug="team-expansion"):
    found = reasons.rows().filter(account=account, definition__slug=slug).order_by("-id")[:1]
    (one,) = reasons.explained(list(found), today=today)
    return one


GROUPS = {
    "all": [
        {"count": {"event": "Invite Sent", "at_least": 3, "window": {"last_days": 7}}},
        {
            "any": [
                {"trait": {"name": "plan", "exactly": "free"}},
                {"count": {"event": "Report Exported", "at_least": 5}},
            ]
        },
        {
            "at_least": 2,
            "of": [
                {"days": {"event": "*", "at_least": 1, "window": {"last_days": 7}}},
                {"users": {"event": "*", "at_least": 1, "window": {"last_days": 7}}},
                {"recency": {"event": "*", "within_days": 1}},
            ],
        },
        {"not": {"stage": {"reached": "paid"}}},
    ]
}


def test_it_has_the_shape_of_the_rule_with_what_each_condition_measured():
    publish(at(40), rule=GROUPS)
    account = make_account("Acme")
    ann = make_user(account, "ann")
    world.make_trait(account, "plan", "free", at=at(30))
    use(account, "Invite Sent", at=at(2), count=4, user=ann)
    sweep(NOW)
    one = explain(account)
    assert (one.definition, one.version, one.live_version, one.as_of) == ("team-expansion", 1, 1, dt.date(2026, 6, 15))
    kinds = [(part.kind, part.path, part.held) for part in walk(one.rule)]
    assert kinds == [
        ("all", "/rule", True),
        ("count", "/rule/all/0/count", True),
        ("any", "/rule/all/1", True),
        ("trait", "/rule/all/1/any/0/trait", True),
        ("count", "/rule/all/1/any/1/count", False),
        ("at_least", "/rule/all/2", True),
        ("days", "/rule/all/2/of/0/days", True),
        ("users", "/rule/all/2/of/1/users", True),
        ("recency", "/rule/all/2/of/2/recency", False),
        ("not", "/rule/all/3", True),
        ("stage", "/rule/all/3/not/stage", False),
    ]
    invites = one.rule.parts[0]
    assert (invites.threshold, invites.frozen.measured, invites.frozen.distance) == (3, 4, 1)
    assert invites.frozen.people == (Person(ann.pk, "acme-ann", "ann"),)
    assert (invites.frozen.people_total, invites.frozen.days) == (1, (dt.date(2026, 6, 13),))
    assert invites.frozen.window == (dt.date(2026, 6, 9), dt.date(2026, 6, 15))
    assert (one.rule.parts[2].at_least, one.rule.parts[2].english) == (2, "At least 2 of these")
    reports, recent = one.rule.parts[1].parts[1].frozen, one.rule.parts[2].parts[2].frozen
    assert (reports.distance, reports.missing) == (-5, "5 more")
    assert (recent.distance, recent.missing) == (-2, "2 days too long ago")
    assert all(part.today is None and part.holds_now is None for part in walk(one.rule))


def test_todays_measure_stands_beside_the_frozen_one():
    publish(at(40), rule=GROUPS)
    account = make_account("Acme")
    ann = make_user(account, "ann")
    world.make_trait(account, "plan", "free", at=at(30))
    use(account, "Invite Sent", at=at(2), count=4, user=ann)
    sweep(NOW)
    use(account, "Invite Sent", at=at(0), count=3, user=ann)
    assert explain(account, today=day_of(NOW)).rule.parts[0].today.measured == 7
    later = explain(account, today=day_of(NOW) + 20)
    assert (later.rule.parts[0].frozen.measured, later.rule.parts[0].today.measured) == (4, 0)
    assert (later.rule.held, later.rule.holds_now, later.today) == (True, False, dt.date(2026, 7, 5))


def test_an_account_that_is_out_of_every_figure_has_nothing_of_today():
    publish(at(40))
    account = make_account("Acme")
    use(account, "Invite Sent", at=at(2), count=4)
    sweep(NOW)
    Account.objects.filter(pk=account.pk).update(is_internal=True)
    one = explain(account, today=day_of(NOW))
    assert (one.rule.held, one.rule.holds_now, one.rule.today) == (True, None, None)


def test_it_survives_a_later_version():
    """The explanation of an episode is that of the version that it entered by."""
    publish(at(40), rule={"count": {"event": "Invite Sent", "at_least": 2}})
    account = make_account("Acme")
    use(account, "Invite Sent", at=at(2), count=4)
    sweep(NOW)
    publish(NOW, rule={"count": {"event": "Invite Sent", "at_least": 4}})
    one = explain(account)
    assert (one.version, one.live_version, one.rule.threshold, one.rule.frozen.needed) == (1, 2, 2, "at least 2")


# --- scores ---------------------------------------------------------------------------------------------------

SCORE = {
    "score": {
        "signals": [
            {"part": "fit", "points": 20, "when": {"trait": {"name": "plan", "exactly": "free"}}},
            {"part": "usage", "points": 7, "cap": 31, "half_life_days": 7, "per": {"count": {"event": "Invite Sent"}}},
            {"part": "usage", "points": 3, "per": {"days": {"event": "*", "window": {"last_days": 28}}}},
            {"part": "intent", "points": 13, "half_life_days": 3, "per": {"users": {"event": "Report Exported"}}},
            {"part": "intent", "points": -11, "when": {"recency": {"event": "*", "not_for_days": 10}}},
        ],
        "at_least": 1,
        "bands": {"hot": 60, "warm": 30},
    }
}


def test_every_signal_of_a_score_adds_up_to_its_total_for_every_account():
    draw = random.Random(7)
    publish(at(60), rule=SCORE)
    for number in range(40):
        account = make_account(f"Account {number}")
        people = [make_user(account, name) for name in ("ann", "bo")]
        if number % 3:
            world.make_trait(account, "plan", draw.choice(["free", "team"]), at=at(30))
        for _ in range(draw.randrange(8)):
            event = draw.choice(["Invite Sent", "Report Exported", "Signed In"])
            use(account, event, at=at(draw.randrange(40)), count=draw.randrange(1, 4), user=draw.choice(people))
    sweep(NOW)
    found = list(reasons.rows())
    assert len(found) > 20
    fractions = 0
    for one in reasons.explained(found, today=day_of(NOW) + 5):
        for reading in ("frozen", "today"):
            score = getattr(one.rule, reading)
            gave = [getattr(signal, reading) for signal in one.rule.parts]
            assert [signal.kind for signal in one.rule.parts] == ["signal"] * 5
            assert sum(signal.measured for signal in gave) == score.measured  # exactly: points are 32nds
            of = dict.fromkeys(score.parts, 0)
            for signal, points in zip(one.rule.parts, gave, strict=True):
                of[signal.of] += points.measured
            assert of == dict(score.parts) and sum(score.parts.values()) == score.measured
            bands = [name for name, least in (("hot", 60), ("warm", 30)) if score.measured >= least]
            assert score.band == (bands[0] if bands else "")
            fractions += score.measured != int(score.measured)
    assert fractions > 0


def test_a_score_is_shown_with_the_points_of_each_signal():
    publish(at(60), rule=SCORE)
    account = make_account("Acme")
    ann = make_user(account, "ann")
    world.make_trait(account, "plan", "free", at=at(30))
    use(account, "Invite Sent", at=at(2), count=2, user=ann)
    sweep(NOW)
    (reason,) = reasons.told_of(list(reasons.rows().filter(account=account)))
    assert reason.rows[0].note == "fit 20, usage 17, intent 0"
    assert all(r.line is None or r.line.threshold is None for r in reason.rows)
    rows = [(r.depth, r.english, r.measured, r.needed, r.part.of) for r in reason.rows]
    assert rows == [
        (0, "A score of at least 1 point", "37 points", "at least 1, warm", ""),
        (1, "20 if plan is free", "+20", "free", "fit"),
        (1, "7 for each “Invite Sent” (halving every 7 days) up to 31", "+14", "2 times", "usage"),
        (1, "3 for each day with activity in the last 28 days", "+3", "1 day", "usage"),
        (1, "13 for each person with “Report Exported” (halving every 3 days)", "0", "0 people", "intent"),
        (1, "-11 if not seen for 10 days", "0", "2 days ago", "intent"),
    ]


# --- people, definitions in definitions, older evidence ---------------------------------------------------------


def test_conditions_about_people_stand_under_who_they_are_about():
    rule = {"users_who": {"at_least": 1, "rule": {"all": [{"count": {"event": "Invite Sent", "at_least": 2}}]}}}
    publish(at(40), rule=rule)
    account = make_account("Acme")
    use(account, "Invite Sent", at=at(2), count=4, user=make_user(account, "ann"))
    sweep(NOW)
    one = explain(account)
    assert [(part.kind, part.english) for part in walk(one.rule)] == [
        ("users_who", "At least 1 person for whom"),
        ("all", "All of these"),
        ("count", "“Invite Sent” at least 2 times"),
    ]
    assert one.rule.parts[0].parts[0].frozen.measured == 4


PEOPLE = {"level": "user", "account_when": {"users_at_least": 3}}
INVITED = {"all": [{"count": {"event": "Invite Sent", "at_least": 2, "window": {"last_days": 7}}}]}


def crowd(account, *days_ago, names=("ann", "bo", "cy")):
    people = [make_user(account, name) for name in names]
    for person, days in zip(people, days_ago, strict=True):
        use(account, "Invite Sent", at=at(days), count=2, user=person)
    return people


def test_a_rule_about_people_stands_under_how_many_it_asks_for():
    publish(at(40), rule=INVITED, **PEOPLE)
    account = make_account("Acme")
    people = crowd(account, 5, 4, 0)
    sweep(NOW)
    one = explain(account, today=day_of(NOW) + 3)  # two of the three are out of the window by then
    assert [(part.kind, part.path, part.held, part.holds_now) for part in walk(one.rule)] == [
        ("users_who", told.LIFTED, True, False),
        ("all", "/rule", True, True),  # of the best person, for whom it still holds
        ("count", "/rule/all/0/count", True, True),
    ]
    lifted = one.rule
    assert (lifted.english, lifted.threshold, lifted.unit) == (
        "At least 3 people for whom all of this holds",
        3,
        "people",
    )
    assert (lifted.frozen.measured, lifted.frozen.distance, lifted.frozen.text) == (3, 0, "3 people")
    assert {person.id for person in lifted.frozen.people} == {person.pk for person in people}
    assert (lifted.today.measured, lifted.today.distance, lifted.today.missing) == (1, -2, "2 more")
    assert [person.name for person in lifted.today.people] == ["cy"]
    rule = as_json(one)["rule"]
    assert (rule["kind"], rule["held"], rule["holds_now"]) == ("users_who", True, False)
    assert (rule["frozen"]["measured"], rule["today"]["measured"], rule["today"]["distance"]) == (3, 1, -2)
    assert rule["parts"][0]["parts"][0]["holds_now"] is True
    assert "- At least 3 people for whom all of this holds: 3 people, needed at least 3" in as_text(one).splitlines()
    assert explain(account, today=day_of(NOW)).rule.holds_now is True
    Account.objects.filter(pk=account.pk).update(is_internal=True)
    assert explain(account, today=day_of(NOW)).rule.holds_now is None


def test_todays_verdict_on_people_is_the_engines():
    publish(at(40), rule=INVITED, **PEOPLE)
    account = make_account("Acme")
    crowd(account, 5, 4, 0)
    sweep(NOW)
    doc = parse_definition(world.document(rule=INVITED, **PEOPLE))
    said = set()
    for later in range(10):
        day = day_of(NOW) + later
        holds = any(one.holds for one in appdb.verdicts({1: doc}, account_ids=[account.pk], as_of_day=day)[1])
        assert explain(account, today=day).rule.holds_now is holds
        said.add(holds)
    assert said == {True, False}


def test_the_panel_says_how_many_people_there_are(client_of, rep):
    publish(at(40), rule=INVITED, **PEOPLE)
    account = make_account("Acme")
    crowd(account, 5, 4, 0)
    sweep(NOW)
    (reason,) = reasons.told_of(list(reasons.rows()), today=day_of(NOW) + 3)
    row = reason.rows[0]
    assert (row.depth, row.measured, row.needed, row.now, row.now_tone) == (
        0,
        "3 people",
        "at least 3",
        "now 1 person",
        "warn",
    )
    assert [r.depth for r in reason.rows] == [0, 1]
    fragment = client_of(rep).get(f"/qualifications/{Qualification.objects.get().pk}/today/").content.decode()
    assert "No longer holds today" in fragment and "now 0 people" in fragment  # the window is long over


def test_older_evidence_about_people_still_reads():
    doc = parse_definition(world.document(rule=INVITED, **PEOPLE))
    frozen = {"users": [4], "users_total": 7, "conditions": [condition("/rule/all/0")]}
    rule = told.of_rule(doc, frozen, known=told.Known())
    assert (rule.path, rule.held, rule.frozen.measured, rule.parts[0].parts[0].held) == (told.LIFTED, True, 7, True)
    without = told.of_rule(doc, {}, known=told.Known())
    assert (without.path, without.held, without.frozen) == (told.LIFTED, None, None)


def test_a_nested_definition_stands_with_what_it_asks():
    world_rule = {"at_least": 1, "of": [{"count": {"event": "Invite Sent", "at_least": 2}}]}
    publish(at(50), slug="inner", name="Inner", purpose="expansion", rule=world_rule)
    publish(at(40), rule={"definition": "inner"})
    account = make_account("Acme")
    use(account, "Invite Sent", at=at(2), count=4)
    sweep(NOW)
    one = explain(account)
    assert [(part.kind, part.english, part.held) for part in walk(one.rule)] == [
        ("definition", "Qualifies for “Inner”", True),
        ("at_least", "At least 1 of these", True),
        ("count", "“Invite Sent” at least 2 times", True),
    ]


def condition(path, kind="count", **over):
    return {
        "path": path,
        "kind": kind,
        "english": "it",
        "holds": True,
        "measured": 4,
        "threshold": 3,
        "comparison": "at_least",
    } | over


def document(rule):
    return parse_definition(world.document(rule=rule))


def test_older_evidence_that_names_the_place_above_still_reads():
    doc = document({"all": [{"count": {"event": "A", "at_least": 3}}, {"not": {"stage": {"reached": "paid"}}}]})
    frozen = {"conditions": [condition("/rule/all/0"), condition("/rule/all/1", "stage", holds=False, measured=None)]}
    rule = told.of_rule(doc, frozen, known=told.Known())
    assert [(part.path, part.held) for part in walk(rule)] == [
        ("/rule", True),
        ("/rule/all/0/count", True),
        ("/rule/all/1", True),
        ("/rule/all/1/not/stage", False),
    ]


def test_evidence_that_does_not_fit_its_rule_is_told_one_by_one():
    frozen = {"conditions": [condition("/when/0"), condition("/when/1", measured=1, holds=False)]}
    for doc in (None, document({"recency": {"event": "A", "within_days": 3}})):
        rule = told.of_rule(doc, frozen, known=told.Known())
        assert [(part.kind, part.held) for part in rule.parts] == [("count", True), ("count", False)]


def test_an_episode_without_evidence_is_the_rule_alone():
    rule = told.of_rule(document({"recency": {"event": "A", "within_days": 3}}), {}, known=told.Known())
    assert (rule.kind, rule.held, rule.frozen) == ("recency", None, None)
    assert rule.english == "“A” in the last 3 days"


# --- distances --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comparison", "threshold", "measured", "more", "distance", "missing"),
    [
        ("at_least", 3, 5, {}, 2, ""),
        ("at_least", 3, 1, {}, -2, "2 more"),
        ("at_least", 0.3, 0.1, {}, -0.2, "0.2 more"),
        ("at_most", 3, 5, {}, -2, "2 too many"),
        ("exactly", 3, 5, {}, -2, "2 off"),
        ("exactly", 3, 3, {}, 0, ""),
        ("between", [2, 4], 3, {}, 1, ""),
        ("between", [2, 4], 9, {}, -5, "5 off"),
        ("in", [1, 5], 4, {}, -1, "1 off"),
        ("in", ["free", "trial"], "team", {}, None, ""),
        ("within_days", 3, 2, {}, 0, ""),
        ("within_days", 3, 3, {}, -1, "1 day too long ago"),
        ("not_for_days", 14, 4, {}, -10, "10 days to go"),
        ("steps", 3, 1, {}, -2, "2 more"),
        ("share_of_limit", 0.8, 7, {"limit": 10}, -1, "1 more"),
        ("share_of_limit", 0.8, 7, {"limit": None}, None, ""),
        ("factor_at_least", 1.5, 50, {"base": 40}, -10, "10 more"),
        ("factor_at_least", 1.5, 50, {"base": 0}, None, ""),
        ("reached", None, 3, {}, None, ""),
        ("at_least", 3, None, {}, None, ""),
    ],
)
def test_the_distance_to_what_was_asked_for(comparison, threshold, measured, more, distance, missing):
    told_condition = {"comparison": comparison, "threshold": threshold, "measured": measured} | more
    assert (why.distance(told_condition), why.missing(told_condition)) == (distance, missing)


def test_a_distance_says_the_same_as_the_verdict():
    """0 or more exactly where the condition holds, over every comparison that the engine knows."""
    conditions = [
        {kind: {"event": "Invite Sent", comparison: number}}
        for kind in ("count", "users", "days")
        for comparison, number in (("at_least", 2), ("at_most", 1), ("exactly", 2), ("between", [1, 2]), ("in", [0, 3]))
    ]
    conditions += [{"recency": {"event": "Invite Sent", name: 9}} for name in ("within_days", "not_for_days")]
    doc = document({"any": conditions})
    accounts = []
    for number in range(12):
        account = make_account(f"Account {number}")
        people = [make_user(account, name) for name in ("ann", "bo", "cy")]
        for day in range(number % 4):
            use(account, "Invite Sent", at=at(day * 6 + number % 3 + 20 * (number > 7)), user=people[day])
        accounts.append(account.pk)
    seen = set()
    for evidence in appdb.evidence_many(doc, account_ids=accounts, as_of_day=day_of(NOW)).values():
        for one in evidence["conditions"]:
            if one["measured"] is not None:
                assert (why.distance(one) >= 0) == one["holds"], one
                seen.add((one["comparison"], one["holds"]))
    assert len(seen) == 14  # both answers of each of the seven


# --- told elsewhere ---------------------------------------------------------------------------------------------


def test_json_and_text_say_the_same():
    publish(at(40), rule=GROUPS)
    account = make_account("Acme")
    world.make_trait(account, "plan", "free", at=at(30))
    use(account, "Invite Sent", at=at(2), count=4, user=make_user(account, "ann"))
    sweep(NOW)
    one = explain(account, today=day_of(NOW))
    found = json.loads(json.dumps(as_json(one)))
    assert found["account"] == {"external_id": "acme", "name": "Acme"}
    assert (found["since_at"], found["opened_at"]) == ("2026-06-13T09:00:00Z", "2026-06-15T09:00:00Z")
    invites = found["rule"]["parts"][0]
    assert (invites["english"], invites["threshold"]) == ("“Invite Sent” at least 3 times in the last 7 days", 3)
    assert invites["frozen"]["people"] == [{"external_id": "acme-ann", "name": "ann"}]
    assert (invites["frozen"]["window"], invites["frozen"]["days"]) == (["2026-06-09", "2026-06-15"], ["2026-06-13"])
    assert (invites["today"]["measured"], invites["holds_now"]) == (4, True)
    assert "today" not in as_json(explain(account))["rule"]["parts"][0]
    text = as_text(one).splitlines()
    assert text[0] == f"Team expansion v1: {one.sentence}"
    assert "- “Invite Sent” at least 3 times in the last 7 days: 4 times, needed at least 3" in text
    assert not any("paid" in line or "Report" in line for line in text)


# --- the panel --------------------------------------------------------------------------------------------------


def test_todays_numbers_come_by_themselves(client_of, rep, stranger, settings):
    publish(at(40))
    account = make_account("Acme")
    use(account, "Invite Sent", at=at(2), count=4)
    sweep(NOW)
    q = Qualification.objects.get()
    panel = client_of(rep).get(f"/accounts/{account.pk}/panels/qualification/").content.decode()
    assert f'hx-get="/qualifications/{q.pk}/today/"' in panel and "now" not in panel.split('class="sigs"')[1]
    fragment = client_of(rep).get(f"/qualifications/{q.pk}/today/").content.decode()
    assert "hx-get" not in fragment and "No longer holds today" in fragment  # the window is long over
    assert "now 0 times" in fragment
    Qualification.objects.update(closed_at=NOW, close_cause="lapsed")
    assert client_of(rep).get("/qualifications/999999/today/").status_code == 404
    assert client_of(stranger).get(f"/qualifications/{q.pk}/today/").status_code == 403


@pytest.mark.parametrize("size", [1, 3])
def test_what_it_costs(size, django_assert_num_queries):
    for number in range(size):
        account = make_account(f"Account {number}")
        use(account, "Invite Sent", at=at(2), count=4, user=make_user(account, "ann"))
    publish(at(40))
    sweep(NOW)
    found = list(reasons.rows())
    assert len(found) == size
    with django_assert_num_queries(2):  # people, event types
        reasons.explained(found)
    # a snapshot's two; accounts, catalogue, measures, people and days behind them; names: people, types
    with django_assert_num_queries(8):
        reasons.explained(found, today=day_of(NOW))


def test_the_live_rules_are_the_same_documents():
    """What an explanation reads is what evaluation judged by."""
    publish(at(50), slug="inner", name="Inner", purpose="expansion")
    version = publish(at(40), rule={"definition": "inner"})
    (live,) = (rule for rule in definitions.live_rules() if rule.version_id == version.pk)
    assert reasons.docs({version.pk: version})[version.pk] == live.doc
