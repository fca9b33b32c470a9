"""Discovery over a whole world: what is planted is found, what is not there is not, and nothing leaks."""

import random

import pytest

from accounts import lake
from accounts.models import ProductUser, UsageDay
from scoring.discovery import extract, told
from scoring.discovery.answer import answer_to
from scoring.discovery.asked import Asked
from scoring.rules.parse import parse_definition
from tests.conftest import NOW
from tests.scoring.discovery_world import DATA_UNTIL, FIRST, World, people, planted, spread

pytestmark = pytest.mark.django_db
UNTIL = DATA_UNTIL + 1000  # "yesterday": long after the data ends
ASKED = Asked("paid", 14, 60)


def answered(asked=ASKED, until=UNTIL):
    lake.refresh(now=NOW, whole=True)
    return answer_to(asked, until_day=until)


def extracted(asked=ASKED, until=UNTIL):
    """The population and the histograms of a world."""
    lake.refresh(now=NOW, whole=True)
    with lake.connection() as db:
        early = extract.Extract(db, asked, extract.types_for(asked.outcome), until_day=until)
        early.measure()
        return early, early.histograms()


def found(answer, *events):
    """The findings about exactly these events."""
    names = sorted(events)  # their first words
    return [
        one
        for one in answer["findings"]
        if sorted(part["text"].replace(",", " ").split()[0] for part in one["parts"]) == names
    ]


def test_a_planted_threshold_is_found_and_confirmed():
    planted(chance=lambda invites, runs, exports, views: 0.35 if invites >= 3 else 0.08)
    answer = answered()
    first = answer["findings"][0]
    (part,) = first["parts"]
    assert (part["text"], part["low"], part["high"]) == ("Invite Sent 3+ times, first 14 days", 3, None)
    assert first["held"] and first["confirmed"] and first["towards"]
    for half in ("search", "later"):
        told = first[half]
        assert told["lift"]["low"] < 0.35 / (0.35 * 3 / 8 + 0.08 * 5 / 8) < told["lift"]["high"]
        assert told["with"]["low"] < 0.35 < told["with"]["high"]
        assert told["without"]["low"] < 0.08 < told["without"]["high"]
    assert [one for one in answer["findings"] if one["confirmed"] and one is not first and len(one["parts"]) > 1] == []
    assert not found(answer, "Viewed")[0]["confirmed"] and not found(answer, "Exported")[0]["confirmed"]
    assert answer["best"] == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_nothing_is_there_nothing_holds(seed):
    planted(900, chance=lambda *did: 0.15, seed=seed)
    answer = answered()
    tried = answer["tried"]
    assert tried["singles"] > 100 and tried["pairs"] > 100
    assert (tried["held"], tried["confirmed"]) == (0, 0)
    for model in answer["yardstick"]["models"]:
        assert model["auc"]["low"] < 0.52 and model["auc"]["high"] > 0.48


def test_a_pair_of_which_each_part_adds_is_found():
    planted(3000, chance=lambda invites, runs, exports, views: 0.45 if invites >= 3 and runs >= 2 else 0.05, seed=11)
    answer = answered()
    (pair,) = found(answer, "Invite", "Workflow")
    assert sorted((part["text"].split(",")[0]) for part in pair["parts"]) == [
        "Invite Sent 3+ times",
        "Workflow Run 2+ times",
    ]
    assert pair["confirmed"] and pair["search"]["lift"]["low"] > 2
    assert answer["findings"][answer["best"]] == pair
    assert found(answer, "Invite", "Viewed") == []  # viewing adds nothing to inviting


def test_more_is_not_better_is_shown_as_a_peak():
    planted(3000, chance=lambda invites, runs, exports, views: 0.45 if 2 <= exports <= 6 else 0.06, seed=5)
    answer = answered()
    (one,) = found(answer, "Exported")
    (part,) = one["parts"]
    assert (part["low"], part["high"]) == (2, 9)  # a bin ends at 9, and nobody did 7 to 9
    assert one["confirmed"]
    dose = next(dose for dose in answer["doses"] if dose["name"] == "Exported")
    assert (dose["kind"], dose["peak"], dose["falls_later"]) == ("peaks", [2, 9], True)
    assert part["rule"]["count"]["between"] == [2, 9]


def test_what_goes_with_not_paying_is_told_as_such_and_makes_no_draft():
    planted(2000, chance=lambda invites, runs, exports, views: 0.05 if runs >= 5 else 0.4, seed=9)
    answer = answered()
    (one,) = found(answer, "Workflow")
    assert one["confirmed"] and not one["towards"] and one["later"]["lift"]["high"] < 1


# --- guards: each of these fails without its guard ------------------------------------------------------------


def small(of=300):
    """A world with accounts and outcomes enough, and nothing that goes with them."""
    world, luck = World(), random.Random(3)
    accounts = world.accounts(spread(of))
    for i, one in enumerate(accounts):
        world.did(one, "Viewed", luck.randrange(14))
        if i % 4 == 0:
            world.reached(one, 20)
    return world, accounts


def test_who_paid_before_the_first_days_were_over_is_left_out():
    world, accounts = small()
    for one in world.accounts(spread(100)):  # they pay on day 3, and use more because of it
        world.reached(one, 3)
        for day in range(4, 14):
            world.did(one, "Viewed", day)
    world.save()
    early, histograms = extracted()
    population = early.population
    assert (population.converted_before, population.search.of + population.later.of) == (100, 300)
    viewed = next(number for number, name in early.types.names.items() if name == "Viewed")
    assert set(histograms[viewed, "days", 14]) == {1}
    assert (population.search.hits, population.later.hits) == (38, 37)


def test_the_day_on_which_the_first_days_end_divides_before_from_after():
    world, accounts = small()
    last_of_first, first_after, last_in_time, too_late = world.accounts([FIRST] * 4)
    for one, day in ((last_of_first, 13), (first_after, 14), (last_in_time, 73), (too_late, 74)):
        world.reached(one, day)
    world.save()
    population = extracted()[0].population
    assert population.converted_before == 1
    assert population.search.hits + population.later.hits == 75 + 2


def test_behaviour_after_the_first_days_does_not_count():
    world, accounts = small()
    for one in accounts:
        world.did(one, "Later", 14)
        world.did(one, "Just", 13)
    world.save()
    early, histograms = extracted()
    names = {early.types.names[kind] for kind, _, _ in histograms if kind}
    assert names == {"Viewed", "Just"}


def test_whose_days_are_not_over_is_too_young():
    world, accounts = small()
    last = FIRST + 300
    world.accounts([last - 73, last - 72])  # 14 + 60 days: the first of them has its 74 days, the other has 73
    world.save(last=last)
    assert extracted()[0].population.too_young == 1
    # the data ends when the last event came, however late it is now
    assert extracted(until=last - 1)[0].population.too_young == 2


def test_who_signed_up_before_the_data_begins_is_left_out():
    world, accounts = small()
    world.accounts([FIRST - 500] * 40)  # their first days are not in the data: they did nothing in it
    world.save(first=FIRST - 1)
    population = extracted()[0].population
    assert (population.before_data, population.search.of + population.later.of) == (40, 300)


def test_billing_events_and_what_derives_from_them_are_no_behaviour():
    world, accounts = small()
    bill = world.type("Checkout Started", meaning="billing")
    world.type("Yearly Checkout", base=bill, is_activity=False, property_filter={"name": "plan", "in": ["year"]})
    for one in accounts[::3]:
        world.did(one, "Edited", 1)
    for one in accounts[::4]:  # those who pay
        world.did(one, "Checkout Started", 2)
        world.did(one, "Yearly Checkout", 2)
    world.save()
    answer = answered()
    assert sorted(one["text"].split(",")[0].split(" 2+")[0].split(" on ")[0] for one in answer["findings"]) == [
        "Any activity",
        "Edited",
        "Viewed",
    ]
    assert answer["types"]["billing"] == ["Checkout Started", "Yearly Checkout"]
    # what is left of “any activity” can be written as a rule
    (anything,) = (one["parts"][0] for one in answer["findings"] if one["text"].startswith("Any activity"))
    assert anything["rule"][anything["measure"]]["event"] == ["Viewed", "Edited", "Marker"]


def test_the_outcome_is_no_behaviour_of_its_own():
    world, accounts = small()
    bought = world.type("Bought")
    world.type("Bought Twice", base=bought, is_activity=False, property_filter={"name": "n", "in": [2]})
    for one in accounts[::4]:
        world.did(one, "Bought", 20)
        world.did(one, "Bought Twice", 2)
    world.save()
    answer = answered(Asked("Bought", 14, 60))
    assert answer["population"]["search"]["hits"] == 38
    assert answer["types"]["itself"] == ["Bought", "Bought Twice"]
    assert not found(answer, "Bought")


def test_internal_and_merged_accounts_are_nobody():
    world, accounts = small()
    world.accounts([FIRST] * 20, is_internal=True)
    world.accounts([FIRST] * 20, merged_into=accounts[0])
    world.save()
    population = extracted()[0].population
    assert population.search.of + population.later.of == 300


def test_the_later_half_signed_up_later_and_the_search_never_saw_it():
    world = World()
    luck = random.Random(5)
    for i, one in enumerate(world.accounts(spread(2000))):
        invites = luck.choice([0, 1, 3])
        if invites:
            world.did(one, "Invite Sent", 1, invites)
        # inviting goes with paying among the earlier ones only
        if luck.random() < (0.4 if invites == 3 and i < 1000 else 0.1):
            world.reached(one, 30)
    world.save()
    answer = answered()
    search, later = answer["population"]["search"], answer["population"]["later"]
    assert search["to"] < later["from"] and (search["of"], later["of"]) == (1000, 1000)
    (one,) = found(answer, "Invite")
    assert one["held"] and not one["confirmed"]
    assert one["search"]["lift"]["low"] > 1.5 and one["later"]["lift"]["low"] < 1 < one["later"]["lift"]["high"]


@pytest.mark.parametrize(
    ("of", "every", "missing"),
    [
        (99, 2, {"at risk"}),
        (300, 20, {"outcomes in the earlier half", "outcomes in the later half"}),
        (300, 10, {"outcomes in the earlier half"}),
    ],
)
def test_too_little_data_is_refused_with_what_is_missing(of, every, missing):
    world = World()
    for i, one in enumerate(world.accounts(spread(of))):
        world.did(one, "Viewed", 1)
        if i % every == 0:
            world.reached(one, 20)
    world.save()
    answer = answered()
    assert {one["what"] for one in answer["missing"]} == missing
    assert all(one["have"] < one["need"] for one in answer["missing"])
    assert "findings" not in answer


def test_an_empty_workspace_is_refused():
    assert len(answered()["missing"]) == 3


def test_an_unknown_outcome_is_refused():
    lake.refresh(now=NOW, whole=True)
    with pytest.raises(extract.UnknownOutcome, match="neither a stage"):
        answer_to(Asked("Payed", 14, 60), until_day=UNTIL)


# --- people ---------------------------------------------------------------------------------------------------


def test_people_of_one_account_share_its_outcome_and_the_intervals_know():
    world, luck = World(), random.Random(4)
    accounts = world.accounts(spread(400))
    members = people(accounts, 5)
    for one in accounts:
        for person in members[one.pk]:
            if luck.random() < 0.5:
                world.did(one, "Viewed", 1, user=person.pk)
        if luck.random() < 0.2:
            world.reached(one, 30)
    world.save()
    answer = answered(Asked("paid", 14, 60, "user"))
    half = answer["population"]["search"]
    assert half["of"] == 1000 and 4 < half["design"] < 6  # five people of whom all or none pay: one answer, not five
    assert answer["tried"]["held"] == 0
    assert [part["rule"] for one in found(answer, "Viewed") for part in one["parts"]] == [
        {"count": {"event": "Viewed", "at_least": 1, "window": {"first_days": 14, "of": "user"}}}
    ]


def test_a_persons_first_days_are_their_own():
    world = World()
    accounts = world.accounts([FIRST, FIRST + 100])
    members = people(accounts, 50)
    for one in accounts:
        late_ones = members[one.pk][25:]
        ProductUser.objects.filter(pk__in=[p.pk for p in late_ones]).update(signup_day=one.signup_day + 30)
        for person in members[one.pk]:
            world.did(one, "Viewed", 31, user=person.pk)  # the 32nd day of the first, the second day of the others
    world.save()
    early, histograms = extracted(Asked("paid", 14, 60, "user"))
    assert (early.population.search.of, early.population.later.of) == (50, 50)
    viewed = next(number for number, name in early.types.names.items() if name == "Viewed")
    assert histograms[viewed, "count", 14] == {1: (25, 0, 25, 0)}
    assert (viewed, "count", 1) not in histograms


def test_what_one_does_in_another_account_is_not_done_in_this_one():
    world = World()
    accounts = world.accounts([FIRST, FIRST + 100])
    members = people(accounts, 50)
    for person in members[accounts[0].pk]:
        world.did(accounts[0], "Viewed", 1, user=person.pk)
        world.did(accounts[1], "Edited", -99, user=person.pk)
    world.save()
    early, histograms = extracted(Asked("paid", 14, 60, "user"))
    assert {early.types.names[kind] for kind, _, _ in histograms if kind} == {"Viewed"}


# --- drafts ---------------------------------------------------------------------------------------------------


def test_every_finding_that_goes_with_the_outcome_is_a_sound_definition():
    planted(1200, chance=lambda invites, runs, exports, views: 0.5 if invites >= 3 and runs >= 2 else 0.08)
    answer = answered()
    towards = [one for one in answer["findings"] if told.may_be_drafted(one)]
    assert len(towards) >= 4 and all(one["held"] for one in towards)
    for one in towards:
        doc = parse_definition(told.document(one, answer["asked"]))
        assert doc.level == "account"


def test_one_event_with_a_wrong_date_is_not_where_the_data_begins():
    world = World()
    old = world.accounts([FIRST - 400] * 5)
    new = world.accounts([FIRST + n for n in range(150)])
    for account in new:
        world.did(account, "Did", 2)
        world.did(account, "Did", 5)
    world.save(first=FIRST - 10)
    before, _ = extracted()
    world.rows, world.stages = [], []
    world.did(new[0], "Did", -8_000)
    UsageDay.objects.bulk_create(world.rows)
    after, _ = extracted()
    assert (before.population.known_from, after.population.known_from) == (FIRST - 10, FIRST - 10)
    assert before.population.before_data == after.population.before_data == len(old)
