"""The ladder: which step gives an account to whom, and who is passed over for what."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from plgops.lib.business_time import Calendar
from scoring.availability import Load, Person
from scoring.ladder import BadLadder, Company, Pool, Skip, candidates, decide, read, write
from scoring.pools import Seat

DANA, THEO, MARA = 1, 2, 3
MONDAY = dt.datetime(2026, 6, 15, 10, tzinfo=dt.UTC)
OFFICE = Calendar("Europe/Berlin", {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")})
ALL = Pool((Seat(DANA, 1), Seat(THEO, 1), Seat(MARA, 1)))
STEPS = [
    {"kind": "owner", "last_owner_days": 90},
    {"kind": "named", "name": "Strategic", "accounts": {"acme.com": MARA}},
    {"kind": "rule", "name": "Germany", "countries": ["germany"], "employees": [50, None], "person": THEO},
    {"kind": "pool", "name": "Everybody", "pool": 7},
]


def going(company=None, *, steps=STEPS, at=MONDAY, people=(), loads=None, pool=ALL, without=()):
    known = {pk: Person(pk) for pk in (DANA, THEO, MARA)} | {person.id: person for person in people}
    return decide(
        read(steps),
        company or Company(),
        people=known,
        loads=loads or {},
        pools={7: pool},
        at=at,
        without=without,
    )


def to(*args, **kwargs):
    found = going(*args, **kwargs)
    return found.person, found.step


def test_the_first_step_that_finds_somebody_gives_it_to_them():
    assert to(Company(owner=DANA, domain="acme.com", country="Germany", employees=80)) == (DANA, 0)
    assert to(Company(domain="ACME.com", country="Germany", employees=80)) == (MARA, 1)
    assert to(Company(external_id="acme.com")) == (MARA, 1)
    assert to(Company(country="Germany", employees=50)) == (THEO, 2)
    assert to(Company(country="Germany", employees=49)) == (DANA, 3)
    assert to(Company(country="Germany")) == (DANA, 3)  # unknown size: no condition over it holds


def test_who_had_it_last_counts_for_so_many_days():
    had = Company(last_owner=THEO, last_owned_at=MONDAY - dt.timedelta(days=89))
    assert to(had) == (THEO, 0)
    assert to(had, at=MONDAY + dt.timedelta(days=2)) == (DANA, 3)


def test_mrr_and_plan():
    steps = [
        {"kind": "rule", "plans": ["Team", "trial"], "mrr": ["100", "499.99"], "pool": 7},
    ]
    assert to(Company(plan="team", mrr=Decimal("499.99")), steps=steps) == (DANA, 0)
    assert to(Company(plan="team", mrr=Decimal("500")), steps=steps) == (None, None)
    assert to(Company(plan="business", mrr=Decimal("200")), steps=steps) == (None, None)


@pytest.mark.parametrize(
    ("person", "why"),
    [
        (Person(DANA, is_active=False), "gone"),
        (Person(DANA, works=False), "no_role"),
        (Person(DANA, leaves=((dt.date(2026, 6, 15), dt.date(2026, 6, 15)),)), "on_leave"),
        (Person(DANA, ramp_from=dt.date(2026, 6, 16)), "not_started"),
        (Person(DANA, daily_cap=2), "daily_cap"),
        (Person(DANA, open_cap=9), "open_cap"),
    ],
)
def test_nobody_is_given_what_they_cannot_take(person, why):
    """Whether the account has its person already or comes through a pool."""
    loads = {DANA: Load(today=2, open=9)}
    owned = going(Company(owner=DANA), people=[person], loads=loads)
    assert owned.skipped == (Skip(DANA, why, 0), Skip(DANA, why, 3))
    assert owned.person == THEO


def test_hours_count_in_a_pool_and_not_for_ones_own_accounts():
    dana = Person(DANA, calendar=OFFICE)
    night = MONDAY.replace(hour=20)
    assert to(at=night, people=[dana]) == (THEO, 3)
    assert to(Company(owner=DANA), at=night, people=[dana]) == (DANA, 0)


def test_a_holiday_is_out_of_hours():
    closed = Calendar("Europe/Berlin", {"mon": [["09:00", "17:00"]]}, ["2026-06-15"])
    assert going(people=[Person(DANA, calendar=closed)]).skipped == (Skip(DANA, "out_of_hours", 3),)


def test_leave_and_ramp_are_days_where_the_person_is():
    """22:30 UTC on Sunday is Monday in Berlin."""
    dana = Person(DANA, zone=ZoneInfo("Europe/Berlin"), leaves=((dt.date(2026, 6, 15), dt.date(2026, 6, 15)),))
    assert to(people=[dana], at=dt.datetime(2026, 6, 14, 22, 30, tzinfo=dt.UTC)) == (THEO, 3)


def test_where_only_hours_were_in_the_way_it_is_tried_again_when_the_first_begins():
    late = Calendar("Europe/Berlin", {day: [["11:00", "19:00"]] for day in ("mon", "tue", "wed", "thu", "fri")})
    found = going(
        at=MONDAY.replace(hour=20),
        people=[Person(DANA, calendar=OFFICE), Person(THEO, calendar=late), Person(MARA, is_active=False)],
    )
    assert (found.person, found.retry_at) == (None, dt.datetime(2026, 6, 16, 7, tzinfo=dt.UTC))
    assert going(people=[Person(pk, works=False) for pk in (DANA, THEO, MARA)]).retry_at is None


def test_a_ramp_is_a_part_of_the_turns():
    """A new colleague with a quarter of the weight in the first week and half in the second."""
    person = Person(MARA, ramp_from=dt.date(2026, 6, 8), ramp=(25, 50))
    assert going(people=[person]).turn.order == (DANA, THEO, MARA)
    only = going(people=[person, Person(DANA, works=False), Person(THEO, works=False)])
    assert (only.person, only.turn.seat.share) == (MARA, 50)


def test_whoever_had_it_is_passed_over_when_it_goes_on():
    assert to(Company(owner=DANA), without={DANA}) == (THEO, 3)


def test_an_account_for_which_nobody_is_found_stays_in_the_queue():
    found = going(steps=STEPS[:1])
    assert (found.person, found.step, found.skipped) == (None, None, ())


def test_somebody_unknown_is_passed_over_as_gone():
    assert going(Company(owner=99)).skipped == (Skip(99, "gone", 0),)


def test_what_is_stored_is_read_back():
    steps = read([*STEPS, {"kind": "rule", "mrr": ["10.50", None], "plans": ["team"], "pool": 7}])
    assert read(write(steps)) == steps


def test_only_those_are_looked_up_to_whom_a_step_leads():
    assert candidates(read(STEPS), Company(domain="acme.com"), at=MONDAY) == {MARA}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"kind": "tea"}, "one of"),
        ({"kind": "pool"}, "one person or"),
        ({"kind": "rule", "plans": ["team"], "pool": 1, "person": 2}, "one person or"),
        ({"kind": "rule", "pool": 1}, "at least one condition"),
        ({"kind": "rule", "employees": [9, 3], "pool": 1}, "ends before"),
        ({"kind": "owner", "last_owner_days": "x"}, "whole number"),
    ],
)
def test_a_step_that_cannot_work_is_refused(step, message):
    with pytest.raises(BadLadder, match=message):
        read([step])
