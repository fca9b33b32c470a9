"""The builder's endpoints: what a draft says, the names that complete it, what publishing it would change."""

import datetime as dt
import json

import pytest
from django.utils import timezone

from accounts import lake
from accounts.models import EventType, Plan, PlanLimit, TraitValue, UsageDay
from accounts.workspace import day_of
from scoring import definitions, drafts, names, starts
from scoring.models import Definition
from scoring.rules.drafts import in_order
from scoring.rules.drafts import read as read_text
from scoring.rules.parse import parse_definition
from tests.factories import desk

pytestmark = pytest.mark.django_db
NESTING = {
    "slug": "outer",
    "name": "Outer",
    "purpose": "pql",
    "rule": {"all": [{"definition": "steady-use"}, {"trait": {"name": "plan", "exactly": "free"}}]},
}


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def two(now):
    """Team expansion and Steady use."""
    return desk.staff_definitions(now - dt.timedelta(days=30))


def describe(client, document, slug=""):
    text = document if isinstance(document, str) else json.dumps(document, indent=1)
    return client.post("/definitions/describe/", {"text": text, "slug": slug})


# --- what a draft says -----------------------------------------------------------------------------------------


def test_a_whole_definition_reads_as_publishing_would_write_it(client_of, admin, two):
    told = describe(client_of(admin), desk.TEAM_EXPANSION, "team-expansion").json()
    assert told["english"] == two[0].live_version.english
    assert told["problems"] == []
    assert told["phrases"]["/rule/all/2"] == "“Workflow Completed” at least 5 times in the last 14 days"
    assert told["phrases"]["/rule/all/4"] == "Has not paid"
    assert told["phrases"]["/motion/rule"] == "Has at least 20 employees"


def test_what_is_sound_is_read_though_something_is_missing(client_of, admin):
    rule = {"all": [{"count": {"event": "", "at_least": 3}}, {"any": []}, {"days": {"event": "*", "at_least": 2}}]}
    told = describe(client_of(admin), {"slug": "x", "name": "X", "purpose": "pql", "rule": rule}).json()
    assert told["english"] == ""
    assert [problem["path"] for problem in told["problems"]] == ["/rule/all/0/count/event", "/rule/all/1/any"]
    assert [problem["line"] for problem in told["problems"]] == [9, 14]
    assert told["phrases"] == {"/rule/all/2": "Active on at least 2 different days"}


def test_a_text_that_is_no_json_says_where(client_of, admin):
    (problem,) = describe(client_of(admin), '{\n "slug" 1}').json()["problems"]
    assert (problem["line"], problem["column"], problem["message"]) == (2, 9, "Expected a colon after the key.")


@pytest.mark.parametrize("text", ["", "[" * 5_000, "null", "[]", '"x"', "1e999", "x" * 200_001])
def test_any_text_gets_an_answer(client_of, admin, text):
    response = describe(client_of(admin), text)
    assert response.status_code == 200
    assert response.json()["english"] == "" and response.json()["problems"]


def test_the_slug_that_is_edited_stays(client_of, admin, two):
    (problem,) = describe(client_of(admin), desk.TEAM_EXPANSION, "steady-use").json()["problems"]
    assert (problem["path"], problem["message"]) == ("/slug", "Expected “steady-use”.")


def test_what_a_nested_definition_forbids_stands_at_its_place(client_of, admin, two, now):
    told = describe(client_of(admin), NESTING).json()
    assert told["english"].startswith("An account qualifies when it qualifies for “Steady use” and")
    assert told["phrases"]["/rule/all/0"] == "Qualifies for “Steady use”"
    unknown = describe(client_of(admin), NESTING | {"rule": {"definition": "nothing"}}).json()
    assert [problem["path"] for problem in unknown["problems"]] == ["/rule/definition"]
    definitions.publish(document=NESTING, by=None, now=now)
    cycle = desk.STEADY_USE | {"rule": {"definition": "outer"}}
    refused = describe(client_of(admin), cycle, "steady-use").json()
    assert [problem["path"] for problem in refused["problems"]] == ["/rule/definition"]


def test_signals_are_read_one_by_one():
    score = {"at_least": 10, "signals": [
        {"part": "usage", "points": 5, "per": {"count": {"event": "A", "window": {"last_days": 7}}}},
        {"part": "fit", "points": 5, "when": {"trait": {"name": "seats", "at_least": 5}}},
        {"part": "fit", "points": 0, "when": {"trait": {}}},
    ]}  # fmt: skip
    told = read_text({"rule": {"score": score}})
    assert told.phrases == {
        "/rule/score/signals/0/per": "For each “A” in the last 7 days",
        "/rule/score/signals/1/when": "Has at least 5 seats",
    }
    assert told.events == {"/rule/score/signals/0/per": ("A",)}


def test_a_tower_of_brackets_does_not_exhaust_the_stack():
    rule = {"count": {"event": "A", "at_least": 1}}
    for _ in range(300):
        rule = {"not": rule}
    assert read_text({"rule": rule}).doc is None


def test_keys_come_in_the_order_of_the_language():
    """PostgreSQL keeps the keys of a document in an order of its own."""
    stored = {"name": "X", "rule": {"count": {"event": "A", "at_least": 2}}, "slug": "x", "purpose": "pql",
              "level": "account", "grace_days": 7}  # fmt: skip
    assert list(in_order(stored)) == ["slug", "name", "purpose", "level", "rule", "grace_days"]
    assert in_order(stored) == stored
    for other in (stored | {"new_key": 1}, {"rule": 1}, stored | {"level": "user"}):
        assert in_order(other) is other


@pytest.mark.parametrize("size", [1, 3])
def test_reading_a_draft_costs_the_same_with_any_number(client_of, admin, now, size, django_assert_num_queries):
    desk.event_types()
    counts = [{"count": {"event": name, "at_least": 1}} for name, _ in desk.EVENTS[:size]]
    for number in range(size):
        definitions.publish(document=desk.STEADY_USE | {"slug": f"d{number}"}, by=None, now=now)
    client = client_of(admin)
    with django_assert_num_queries(6):  # session, user, roles, live definitions, event types, the slug
        told = describe(client, desk.STEADY_USE | {"slug": "new-one", "rule": {"all": counts}}).json()
    assert told["problems"] == []


# --- names -------------------------------------------------------------------------------------------------------


def use(name, *days_ago, now, count=1, account=None):
    """A type seen on these days, by its id."""
    kind, _ = EventType.objects.get_or_create(name=name)
    kind.last_seen_at = now - dt.timedelta(days=min(days_ago))
    kind.save()
    for ago in days_ago:
        UsageDay.objects.create(
            account_id=account.pk,
            user_id=0,
            event_type_id=kind.pk,
            day=day_of(now) - ago,
            count=count,
            first_us=0,
            last_us=0,
        )
    return kind


@pytest.fixture
def world(now):
    """One company; Login comes daily, Export came on each of 28 days and stopped 20 days ago, Audit is rare."""
    account = desk.company(0, now=now)
    UsageDay.objects.all().delete()
    use("Login", *range(30), now=now, count=2, account=account)
    use("Export", *range(20, 48), now=now, account=account)
    use("Audit", 25, now=now, account=account)
    EventType.objects.create(name="Never Sent")
    return account


def listed(client, **query):
    return client.get("/definitions/names/", query).json()["names"]


def test_events_with_how_often_and_how_lately(client_of, admin, world, now):
    lake.refresh(now=now)
    found = {item["name"]: (item["words"], item["warning"]) for item in listed(client_of(admin), kind="event")}
    assert found["Login"] == ("56 in 28 days, last today", "")
    stopped = now.astimezone(dt.UTC).date() - dt.timedelta(days=20)
    assert found["Export"][0] == "8 in 28 days, last 20 days ago"
    assert found["Export"][1].startswith(f"Stopped coming: none for 20 days, since {stopped.day} {stopped:%B %Y}.")
    assert found["Export"][1].endswith("Before that it came on 28 of 28 days.")
    assert found["Audit"] == ("1 in 28 days, last 25 days ago", "")  # it is rare: such a gap says nothing
    assert found["Never Sent"] == ("0 in 28 days", names.NEVER)


def test_the_most_frequent_come_first_and_the_search_is_anywhere(client_of, admin, world, now):
    lake.refresh(now=now)
    client = client_of(admin)
    assert [item["name"] for item in listed(client, kind="event")][:2] == ["Login", "Export"]
    assert [item["name"] for item in listed(client, kind="event", q="xpo")] == ["Export", "Report Exported"]


def test_without_a_lake_the_catalogue_says_what_it_knows(client_of, admin, world):
    found = {item["name"]: (item["words"], item["warning"]) for item in listed(client_of(admin), kind="event")}
    assert found["Login"] == ("last today", "")
    assert found["Export"] == ("last 20 days ago", "None for 20 days.")
    assert found["Never Sent"] == ("", names.NEVER)


def test_a_list_is_bounded(client_of, admin):
    EventType.objects.bulk_create(EventType(name=f"Event {number:03}") for number in range(60))
    assert len(listed(client_of(admin), kind="event")) == names.MOST


def test_properties_traits_values_limits_and_definitions(client_of, admin, world, two, now):
    client = client_of(admin)
    for text, people in (("free", 0), ("free", 0), ("team", 0), ("admin", 7)):
        TraitValue.objects.create(
            account_id=0 if people else TraitValue.objects.count() + 1, user_id=people, key="k",
            name="role" if people else "plan", value=text, text=text, valid_from=now, recorded_at=now, from_day=0,
        )  # fmt: skip
    PlanLimit.objects.create(plan=Plan.objects.create(code="free", name="Free"), metric="Rows Synced", limit=1)
    assert [item["name"] for item in listed(client, kind="property")] == ["invitee_email"]
    assert listed(client, kind="property", of="Login") == []
    assert [item["name"] for item in listed(client, kind="trait", of="account")] == ["plan"]
    assert [item["name"] for item in listed(client, kind="trait", of="user")] == ["role"]
    assert [item["name"] for item in listed(client, kind="limit", q="rows")] == ["Rows Synced"]
    assert [(i["name"], i["label"], i["words"]) for i in listed(client, kind="definition", q="steady")] == [
        ("steady-use", "Steady use", "about accounts, v1")
    ]
    assert listed(client, kind="value", of="plan") == []  # nothing is counted without a lake
    lake.refresh(now=now, whole=True)
    assert [(i["name"], i["words"]) for i in listed(client, kind="trait", of="account")] == [("plan", "3 accounts")]
    assert [(i["name"], i["words"]) for i in listed(client, kind="value", of="plan")] == [
        ("free", "2 accounts"), ("team", "1 account")
    ]  # fmt: skip


def test_metered_events_only(client_of, admin, world):
    EventType.objects.create(name="Rows Synced", metered_property="rows")
    assert [item["name"] for item in listed(client_of(admin), kind="metered")] == ["Rows Synced"]


def test_a_kind_of_names_that_there_is_none_of(client_of, admin):
    assert client_of(admin).get("/definitions/names/?kind=secrets").status_code == 404
    assert client_of(admin).get("/definitions/names/?kind=event&q=%00").status_code == 400


@pytest.mark.parametrize("size", [1, 3])
def test_names_cost_one_query(client_of, admin, size, django_assert_num_queries):
    EventType.objects.bulk_create(EventType(name=f"Event {number}") for number in range(size))
    client = client_of(admin)
    with django_assert_num_queries(4):  # session, user, roles, event types
        assert len(listed(client, kind="event", q="Event")) == size


def test_a_condition_on_an_event_that_stopped_says_so(client_of, admin, world, now):
    lake.refresh(now=now)
    rule = {"all": [{"count": {"event": name, "at_least": 1}} for name in ("Login", "Export", "Nowhere")]}
    told = describe(client_of(admin), {"slug": "x", "name": "X", "purpose": "pql", "rule": rule}).json()
    assert list(told["warnings"]) == ["/rule/all/1", "/rule/all/2"]
    assert told["warnings"]["/rule/all/2"] == [f"“Nowhere”: {names.NEVER}"]


def test_the_lake_is_asked_every_few_minutes_at_most(world, now, monkeypatch):
    lake.refresh(now=now)
    asked = []
    real = names._asked
    monkeypatch.setattr(names, "_asked", lambda *given: asked.append(1) or real(*given))

    def count():
        return next(name.words for name in names.offered("event", search="Audit", now=now))

    assert [count() for _ in range(3)] == ["1 in 28 days, last 25 days ago"] * 3
    assert len(asked) == 1
    use("Audit", 20, now=now, account=world)
    lake.refresh(now=now + dt.timedelta(minutes=5), whole=True)
    assert (count(), len(asked)) == ("1 in 28 days, last 25 days ago", 1)
    lake.refresh(now=now + dt.timedelta(minutes=11), whole=True)
    assert (count(), len(asked)) == ("2 in 28 days, last 20 days ago", 2)


# --- what publishing would change --------------------------------------------------------------------------------


def review(client, document, slug):
    return client.post("/definitions/review/", {"text": json.dumps(document), "slug": slug})


def test_the_review_says_what_changes_and_what_follows(client_of, admin, two, now):
    definitions.publish(document=NESTING, by=None, now=now)
    third = NESTING | {"slug": "third", "name": "A third", "rule": {"definition": "outer"}}
    definitions.publish(document=third, by=None, now=now)
    more = desk.STEADY_USE | {"rule": {"days": {"event": "*", "at_least": 9, "window": {"last_days": 14}}}}
    response = review(client_of(admin), more, "steady-use")
    assert [str(change) for change in response.context["changes"]] == [
        "Changed: active on at least 5 different days in the last 14 days (at least 5 → at least 9)"
    ]
    assert [rule.slug for rule in response.context["dependents"]] == ["third", "outer"]
    page = response.content.decode()
    assert "A third" in page and "Outer" in page


def test_the_review_repeats_what_is_silent_or_unknown_once(client_of, admin, two):
    twice = desk.STEADY_USE | {"rule": {"any": [{"count": {"event": "Nowhere", "at_least": n}} for n in (1, 2)]}}
    response = review(client_of(admin), twice, "steady-use")
    assert list(response.context["warnings"]) == [f"“Nowhere”: {names.NEVER}"]
    assert response.content.decode().count("“Nowhere”: ") == 1


def test_the_review_of_a_draft_that_is_none(client_of, admin, two):
    response = review(client_of(admin), {"slug": "steady-use"}, "steady-use")
    assert response.status_code == 422
    assert "The draft is not complete" in response.content.decode()
    assert review(client_of(admin), desk.STEADY_USE, "nothing").status_code == 404


@pytest.mark.parametrize("size", [1, 3])
def test_a_review_costs_the_same_with_any_number(client_of, admin, two, now, size, django_assert_num_queries):
    for number in range(size):
        definitions.publish(document=NESTING | {"slug": f"n{number}"}, by=None, now=now)
    client = client_of(admin)
    # session, user, roles, definition with version, live definitions for the check and for what nests this one
    with django_assert_num_queries(6):
        assert len(review(client, desk.STEADY_USE, "steady-use").context["dependents"]) == size


# --- publishing --------------------------------------------------------------------------------------------------


def test_a_reason_is_needed_from_the_second_version_on(client_of, admin, two):
    mine = json.dumps(desk.STEADY_USE | {"grace_days": 3})
    response = client_of(admin).post("/definitions/steady-use/edit/", {"text": mine, "replaces": 1, "reason": " "})
    assert response.status_code == 422
    assert response.context["form"].errors["reason"] == ["Say why: it stands in the history."]
    assert response.context["form"]["text"].value() == mine
    assert two[1].versions.count() == 1


def test_the_first_version_needs_none(client_of, admin):
    text = json.dumps(starts.ACTIVE_TEAM)
    assert client_of(admin).post("/definitions/new/", {"text": text, "replaces": "0"}).status_code == 302


def test_one_that_is_archived_comes_back_with_a_reason(client_of, admin, two, now):
    definitions.archive(definition_id=two[1].pk, by=admin, now=now)
    given = {"text": json.dumps(two[1].live_version.document), "replaces": "1"}
    assert client_of(admin).post("/definitions/steady-use/edit/", given).status_code == 422
    assert client_of(admin).post("/definitions/steady-use/edit/", given | {"reason": "Needed"}).status_code == 302
    assert Definition.objects.get(slug="steady-use").archived_at is None


@pytest.mark.parametrize("slug", ["new", "names", "describe", "review", "preview"])
def test_a_slug_that_a_page_has_is_refused(client_of, admin, slug):
    response = client_of(admin).post(
        "/definitions/new/", {"text": json.dumps(starts.ACTIVE_TEAM | {"slug": slug}), "replaces": "0"}
    )
    assert response.status_code == 422
    assert response.context["form"].problems[0].path == "/slug"


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("replaces", ["0", "1", ""])
def test_a_new_definition_is_never_published_over_another(client_of, admin, two, now, archived, replaces):
    """Whatever the page sends. The draft is told before it is published, with a slug that it can have."""
    if archived:
        definitions.archive(definition_id=two[0].pk, by=admin, now=now)
    client = client_of(admin)
    mine = starts.ACTIVE_TEAM | {"slug": "team-expansion"}
    told = describe(client, mine).json()
    assert [(p["path"], p["message"]) for p in told["problems"]] == [
        ("/slug", "this slug is taken by Team expansion; choose another")
    ]
    assert told["free_slug"] == "team-expansion-2"
    assert review(client, mine, "").status_code == 422
    given = {"text": json.dumps(mine), "replaces": replaces, "reason": "Mine"}
    response = client.post("/definitions/new/", given)
    assert response.status_code == 422
    assert response.context["form"].problems[0].path == "/slug"
    assert "Publish mine over" not in response.content.decode()
    assert two[0].versions.count() == 1
    given["text"] = json.dumps(mine | {"slug": told["free_slug"]})
    assert client.post("/definitions/new/", given).status_code == 302
    assert Definition.objects.get(slug="team-expansion-2").live_version.number == 1


def test_the_same_text_twice_is_published_once(client_of, admin):
    given = {"text": json.dumps(starts.ACTIVE_TEAM), "replaces": "0"}
    assert [client_of(admin).post("/definitions/new/", given).status_code for _ in range(2)] == [302, 302]
    assert Definition.objects.get(slug="active-team").versions.count() == 1


def test_an_edit_that_does_not_say_what_it_replaces_publishes_nothing(client_of, admin, two):
    given = {"text": json.dumps(desk.STEADY_USE | {"grace_days": 3}), "reason": "Mine"}
    assert client_of(admin).post("/definitions/steady-use/edit/", given).status_code == 422
    assert two[1].versions.count() == 1


def test_two_editors_read_what_the_other_one_changed(client_of, admin, manager, two, now):
    theirs = desk.STEADY_USE | {"rule": {"days": {"event": "*", "at_least": 8, "window": {"last_days": 14}}}}
    definitions.publish(document=theirs, by=manager, now=now, reason="Eight say more")
    mine = json.dumps(desk.STEADY_USE | {"grace_days": 30})
    given = {"text": mine, "replaces": "1", "reason": "Longer grace", "tab": "json"}
    response = client_of(admin).post("/definitions/steady-use/edit/", given)
    assert response.status_code == 409
    assert [c.swaps for c in response.context["theirs"].changes] == [(("at least 5", "at least 8"),)]
    assert [c.swaps for c in response.context["mine"].changes] == [(("7", "30"),), (("at least 8", "at least 5"),)]
    form = response.context["form"]
    assert (form["text"].value(), form["reason"].value(), response.context["tab"]) == (mine, "Longer grace", "json")


# --- what one begins with ----------------------------------------------------------------------------------------


def test_every_start_is_a_definition_whatever_the_catalogue_says():
    described = {"core": ["Workflow Completed", "Note Created"], "invite": ["Invite Sent"], "premium": ["SSO"]}
    for events, limited in (({}, ""), (described, ""), (described, "Rows Synced")):
        offered = starts.offered(events, limited=limited)
        assert len({start.key for start in offered}) == 5
        assert offered[-1].key == "blank"
        assert [p.path for p in read_text(offered[-1].document).problems] == ["/rule/all"]
        for start in offered[:-1]:
            assert parse_definition(start.document).slug == start.document["slug"]


def test_starts_use_the_names_of_the_catalogue(client_of, admin):
    desk.event_types()
    EventType.objects.create(name="Rows Synced", metered_property="rows")
    PlanLimit.objects.create(plan=Plan.objects.create(code="free", name="Free"), metric="Rows Synced", limit=1)
    client = client_of(admin)
    text = client.get("/definitions/new/?start=early-team").context["form"]["text"].value()
    assert "Workflow Completed" in text and "Invite Sent" in text
    text = client.get("/definitions/new/?start=near-the-limit").context["form"]["text"].value()
    assert "share_of_limit" in text and "Rows Synced" in text
    assert client.get("/definitions/new/?start=nothing").context["start"].key == "active-team"


def test_a_start_has_a_slug_that_is_free(client_of, admin, now):
    client = client_of(admin)
    for slug in ("active-team", "active-team-2", "active-team-4", "active-teams"):
        definitions.publish(document=starts.ACTIVE_TEAM | {"slug": slug}, by=None, now=now)
    definitions.archive(definition_id=Definition.objects.get(slug="active-team-2").pk, by=None, now=now)
    assert '"slug": "active-team-3"' in client.get("/definitions/new/").context["form"]["text"].value()
    assert '"slug": "lead-score"' in client.get("/definitions/new/?start=lead-score").context["form"]["text"].value()


def test_a_finding_that_is_gone_is_not_found(client_of, admin):
    for asked in ("discovery:999999:0", "discovery:1"):
        assert client_of(admin).get("/definitions/new/", {"from": asked}).status_code == 404, asked


@pytest.mark.parametrize("size", [1, 3])
def test_the_page_costs_the_same_with_any_number(client_of, admin, now, size, django_assert_num_queries):
    desk.event_types()
    rule = {"all": [{"definition": "steady-use"}] * size}
    definitions.publish(document=desk.STEADY_USE, by=None, now=now)
    definitions.publish(document=NESTING | {"rule": rule}, by=None, now=now)
    client = client_of(admin)
    with django_assert_num_queries(5):  # session, user, roles, definition with version, names of those it asks for
        found = client.get("/definitions/outer/edit/").context["definition_names"]
    assert found == {"outer": "Outer", "steady-use": "Steady use"}


def test_dependents_of_one_that_nothing_nests(two):
    assert drafts.dependents("steady-use") == []


# --- who may -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "status"), [("stranger", 403), ("viewer", 403), ("manager", 403), ("admin", 200)])
def test_roles(client_of, request, two, who, status):
    client = client_of(request.getfixturevalue(who))
    assert describe(client, desk.STEADY_USE).status_code == status
    assert client.get("/definitions/names/?kind=event").status_code == status
    assert review(client, desk.STEADY_USE, "steady-use").status_code == status
