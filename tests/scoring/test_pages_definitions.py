"""Definition pages: the list and its counts, one in English, releasing, and the editor with its problems."""

import datetime as dt
import json

import pytest
from django.urls import reverse
from django.utils import timezone

from scoring import catalogue, definitions
from scoring.json_lines import pretty
from scoring.models import Definition, DefinitionVersion, Qualification
from scoring.rules.parse import parse_rule
from scoring.starts import ACTIVE_TEAM as EXAMPLE
from tests.factories import desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def two(now):
    """Team expansion and Steady use."""
    return desk.staff_definitions(now - dt.timedelta(days=30))


# --- the list ------------------------------------------------------------------------------------------------


def test_the_list_counts_episodes(client_of, rep, two, now):
    team, steady = two
    desk.qualify(desk.company(0, now=now), steady, now=now)
    desk.qualify(desk.company(1, now=now), steady, now=now, release="waiting", opened_at=now - dt.timedelta(days=8))
    desk.qualify(desk.company(2, now=now), steady, now=now, release="waiting", closed_at=now, close_cause="lapsed")
    response = client_of(rep).get("/definitions/")
    rows = {row.definition.slug: row.counts for row in response.context["page"].items}
    assert rows == {
        "steady-use": catalogue.Counts(open=2, waiting=1, recent=2),
        "team-expansion": catalogue.Counts(open=0, waiting=0, recent=0),
    }
    assert "New definition" not in response.content.decode()


def test_counts_stop_at_their_cap(two, now, monkeypatch):
    monkeypatch.setattr(catalogue, "CAP", 2)
    for number in range(3):
        desk.qualify(desk.company(number, now=now), two[1], now=now, release="waiting")
    assert catalogue.counts([two[1].pk], now=now) == {two[1].pk: catalogue.Counts(open=2, waiting=2, recent=2)}


@pytest.mark.parametrize("size", [1, 3])
def test_the_list_costs_the_same_at_any_length(client_of, rep, now, size, django_assert_num_queries):
    for number in range(size):
        definitions.publish(document={**EXAMPLE, "slug": f"d{number}", "name": f"D{number}"}, by=None, now=now)
    client = client_of(rep)
    with django_assert_num_queries(6):  # session, user, roles, definitions with versions, counts, freshness
        assert len(client.get("/definitions/").context["page"].items) == size


def test_archived_ones_stand_apart(client_of, rep, two, admin, now):
    definitions.archive(definition_id=two[0].pk, by=admin, now=now)
    client = client_of(rep)
    assert [r.definition.slug for r in client.get("/definitions/").context["page"].items] == ["steady-use"]
    assert [r.definition.slug for r in client.get("/definitions/?archived=1").context["page"].items] == [
        "team-expansion"
    ]


def test_an_empty_list_invites_those_who_may(client_of, rep, admin):
    assert "Write the first definition" not in client_of(rep).get("/definitions/").content.decode()
    assert "Write the first definition" in client_of(admin).get("/definitions/").content.decode()


# --- one definition --------------------------------------------------------------------------------------------


def test_a_definition_reads_as_a_sentence_and_as_a_tree(client_of, rep, two):
    response = client_of(rep).get("/definitions/team-expansion/")
    rule = response.context["rule"]
    assert (rule.text, [child.text for child in rule.children]) == (
        "All of",
        [
            "Plan is free, team or trial",
            "“Invite Sent” with at least 3 different values of invitee_email in the last 14 days",
            "“Workflow Completed” at least 5 times in the last 14 days",
            "At least 3 people active in the last 28 days",
            "Has not paid",
        ],
    )
    assert response.context["motion"].text == "Has at least 20 employees"
    assert two[0].live_version.english in response.content.decode()


def test_nested_groups_and_people_are_branches():
    rule = parse_rule(
        {
            "at_least": 2,
            "of": [
                {"not": {"any": [{"stage": {"reached": "paid"}}, {"stage": {"reached": "churned"}}]}},
                {"users_who": {"at_least": 2, "rule": {"recency": {"event": "*", "within_days": 3}}}},
                {"recency": {"event": "*", "not_for_days": 14}},
            ],
        }
    )
    found = catalogue.branches(rule, subject="account")
    assert (found.text, len(found.children)) == ("At least 2 of", 3)
    denied, people, alone = found.children
    assert (denied.text, denied.children[0].text, len(denied.children[0].children)) == ("Not", "Any of", 2)
    assert (people.text, people.people, people.children[0].text) == (
        "There are at least 2 people for whom",
        True,
        "Seen in the last 3 days",
    )
    assert (alone.text, alone.children) == ("Not seen for 14 days", ())


def test_who_qualifies_newest_first_with_the_strongest_evidence(client_of, rep, two, now):
    handed = desk.handoff(desk.company(0, now=now), now=now, owner=rep)
    desk.qualify(handed.company, two[1], now=now, handoff=handed)
    desk.qualify(desk.company(1, now=now), two[1], now=now, release="waiting")
    desk.qualify(desk.company(2, now=now), two[1], now=now, release="self_serve")
    desk.qualify(desk.company(3, now=now), two[1], now=now, closed_at=now, close_cause="lapsed")
    response = client_of(rep).get("/definitions/steady-use/")
    rows = response.context["page"].items
    assert [r.qualification.account.name for r in rows] == ["Lumen Analytics", "Kestrel Robotics", "Harbor & Pine"]
    assert all(r.text.startswith("Active on ") for r in rows)
    page = response.content.decode()
    assert "Dana Whitfield" in page and "Waiting" in page and "Self-serve" in page


def test_qualifiers_are_paged(client_of, rep, two, now):
    for number in range(3):
        desk.qualify(desk.company(number, now=now), two[1], now=now)
    first = catalogue.qualifiers(two[1], size=2)
    rest = client_of(rep).get(
        f"/definitions/steady-use/?cursor={first.next_cursor}", HTTP_HX_REQUEST="true", HTTP_HX_TARGET="more-rows"
    )
    assert rest.content.decode().count("<tr>") == 1 and "Harbor &amp; Pine" in rest.content.decode()


@pytest.mark.parametrize("size", [1, 3])
def test_a_definition_costs_the_same_with_any_number(client_of, rep, two, now, size, django_assert_num_queries):
    for number in range(size):
        account = desk.company(number, now=now)
        desk.qualify(account, two[1], now=now, handoff=desk.handoff(account, now=now, owner=rep))
        definitions.publish(
            document={**desk.STEADY_USE, "grace_days": 10 + number}, by=rep, now=now + dt.timedelta(seconds=number)
        )
    client = client_of(rep)
    # session, user, roles, definition with version, qualifiers (twice: those without a time come last), their
    # event types, counts, behind, versions, history, plays
    with django_assert_num_queries(12):
        client.get("/definitions/steady-use/")


def test_freshness_says_how_many_are_behind(client_of, rep, two, now):
    account = desk.company(0, now=now)
    account.due.create(consumer="evaluation")
    response = client_of(rep).get("/definitions/steady-use/")
    assert response.context["behind"] == 1
    assert "account still to follow version 1" in response.content.decode()
    account.due.update(followed_version=DefinitionVersion.objects.order_by("-pk").first().pk)
    page = client_of(rep).get("/definitions/steady-use/").content.decode()
    assert "still to follow" not in page and "<dt>Evaluated</dt>" in page


# --- releasing ---------------------------------------------------------------------------------------------------


def test_release_the_largest(client_of, manager, two, now):
    for number in range(4):
        desk.qualify(desk.company(number, now=now), two[1], now=now, release="waiting")
    response = client_of(manager).post("/definitions/steady-use/release/", {"largest": "2"}, follow=True)
    assert [str(m) for m in response.context["messages"]] == [
        "Released 2. Their accounts reach the inbox within seconds."
    ]
    released = Qualification.objects.filter(release="released").order_by("-account__seats")
    assert [q.account.name for q in released] == ["Solace Health", "Lumen Analytics"]  # the most seats
    assert response.context["counts"].waiting == 2


def test_release_all(client_of, admin, two, now):
    for number in range(3):
        desk.qualify(desk.company(number, now=now), two[1], now=now, release="waiting")
    client_of(admin).post("/definitions/steady-use/release/")
    assert Qualification.objects.filter(release="waiting").count() == 0


def test_release_of_a_number_that_is_none(client_of, admin, two, now):
    desk.qualify(desk.company(0, now=now), two[1], now=now, release="waiting")
    response = client_of(admin).post("/definitions/steady-use/release/", {"largest": "many"}, follow=True)
    assert [str(m) for m in response.context["messages"]] == ["How many of the largest? Give a whole number from 1."]
    assert Qualification.objects.filter(release="waiting").count() == 1


# --- the editor ----------------------------------------------------------------------------------------------------


def edit(client, text, *, slug="steady-use", replaces=1, reason="Stricter"):
    return client.post(f"/definitions/{slug}/edit/", {"text": text, "reason": reason, "replaces": replaces})


def test_the_editor_shows_what_is_live(client_of, admin, two):
    response = client_of(admin).get("/definitions/steady-use/edit/")
    assert json.loads(response.context["form"]["text"].value()) == two[1].live_version.document
    assert response.context["form"]["replaces"].value() == 1


def test_publishing_makes_the_next_version(client_of, admin, two):
    text = json.dumps({**desk.STEADY_USE, "grace_days": 3})
    response = edit(client_of(admin), text)
    assert response.headers["Location"] == "/definitions/steady-use/"
    version = Definition.objects.get(slug="steady-use").live_version
    assert (version.number, version.reason, version.published_by) == (2, "Stricter", admin)
    page = client_of(admin).get("/definitions/steady-use/").content.decode()
    assert "Stricter" in page and "Ada Okoye" in page


def test_the_same_text_publishes_nothing(client_of, admin, two):
    response = client_of(admin).post(
        "/definitions/steady-use/edit/",
        {"text": json.dumps(two[1].live_version.document), "replaces": 1},
        follow=True,
    )
    assert [str(m) for m in response.context["messages"]] == ["Nothing changed: this is what version 1 says already."]
    assert two[1].versions.count() == 1


def test_a_text_that_is_no_json_is_shown_at_its_line(client_of, admin, two):
    response = edit(client_of(admin), '{\n  "slug": "steady-use"\n  "name": "x"\n}')
    assert response.status_code == 422
    (problem,) = response.context["form"].problems
    assert (problem.line, problem.column) == (3, 3)
    assert problem.message == "Expected a comma or the end of the list or object here."
    assert '<li id="line-3" data-wrong>3</li>' in response.content.decode()


def test_what_the_language_refuses_is_shown_at_its_lines(client_of, admin, two):
    text = (
        '{\n  "slug": "steady-use",\n  "name": "Steady use",\n  "purpose": "pqlx",\n  "level": "account",\n'
        '  "rule": {"all": [\n    {"count": {"event": "A", "at_least": "x", "window": "ever"}}\n  ]}\n}'
    )
    response = edit(client_of(admin), text)
    assert response.status_code == 422
    found = [(p.line, p.path) for p in response.context["form"].problems]
    assert found == [(4, "/purpose"), (7, "/rule/all/0/count/at_least")]
    assert response.context["form"]["text"].value() == text  # nothing typed is lost
    assert two[1].versions.count() == 1


def test_the_slug_of_a_definition_never_changes(client_of, admin, two):
    response = edit(client_of(admin), pretty({**desk.STEADY_USE, "slug": "other"}))
    assert response.status_code == 422
    (problem,) = response.context["form"].problems
    assert (problem.path, problem.message) == ("/slug", "Expected “steady-use”.")
    assert not Definition.objects.filter(slug="other").exists()


def test_who_published_meanwhile_is_named(client_of, admin, manager, two, now):
    definitions.publish(document={**desk.STEADY_USE, "grace_days": 1}, by=manager, now=now, reason="Faster")
    mine = json.dumps({**desk.STEADY_USE, "grace_days": 30})
    response = edit(client_of(admin), mine)
    assert response.status_code == 409
    page = response.content.decode()
    assert "Mara Lind" in page and "Faster" in page and "Publish mine over version 2" in page
    assert response.context["form"]["text"].value() == mine
    assert two[1].versions.count() == 2
    assert edit(client_of(admin), mine, replaces=2).status_code == 302  # knowing what it replaces
    assert two[1].versions.count() == 3


def test_a_new_definition(client_of, admin):
    client = client_of(admin)
    text = client.get("/definitions/new/").context["form"]["text"].value()
    response = client.post("/definitions/new/", {"text": text, "replaces": "0"})
    assert response.headers["Location"] == "/definitions/active-team/"
    assert Definition.objects.get(slug="active-team").live_version.number == 1


def test_a_new_definition_never_takes_the_place_of_another(client_of, admin, two):
    response = client_of(admin).post(
        "/definitions/new/", {"text": json.dumps({**EXAMPLE, "slug": "steady-use"}), "replaces": "0"}
    )
    assert response.status_code == 422
    (problem,) = response.context["form"].problems
    assert (problem.path, problem.message) == ("/slug", "this slug is taken by Steady use; choose another")
    assert two[1].versions.count() == 1


def test_archive(client_of, admin, two):
    client = client_of(admin)
    response = client.post("/definitions/steady-use/archive/", follow=True)
    assert [str(m) for m in response.context["messages"]] == [
        "Archived Steady use. Nobody qualifies under it any more."
    ]
    assert "Publish again" in response.content.decode()


def test_pretty_keeps_short_parts_on_one_line():
    assert pretty({"a": {"b": [1, 2]}, "c": []}) == '{\n  "a": {"b": [1, 2]},\n  "c": []\n}'
    assert json.loads(pretty(desk.TEAM_EXPANSION)) == desk.TEAM_EXPANSION
    assert max(len(line) for line in pretty(desk.TEAM_EXPANSION).split("\n")) <= 110


# --- who may -----------------------------------------------------------------------------------------------------

READS = ("definitions", "definition")
EDITS = ("definition_new", "definition_edit", "definition_archive", "definition_release")


def address(name):
    return reverse(name) if name in ("definitions", "definition_new") else reverse(name, args=["steady-use"])


@pytest.mark.parametrize(
    ("who", "reads", "edits", "releases"),
    [
        ("stranger", 403, 403, 403),
        ("viewer", 200, 403, 403),
        ("rep", 200, 403, 403),
        ("agent", 200, 403, 403),
        ("manager", 200, 403, 302),
        ("admin", 200, 422, 302),
    ],
)
def test_roles(client_of, request, two, who, reads, edits, releases):
    client = client_of(request.getfixturevalue(who))
    assert [client.get(address(name)).status_code for name in READS] == [reads, reads]
    assert client.post(address("definition_edit"), {"text": "{"}).status_code == edits
    assert client.post(address("definition_new"), {"text": "{"}).status_code == edits
    assert client.post(address("definition_release")).status_code == releases
    assert client.post(address("definition_archive")).status_code == (302 if who == "admin" else 403)
    assert Definition.objects.filter(archived_at=None).count() == (1 if who == "admin" else 2)


def test_buttons_are_for_those_who_may(client_of, rep, manager, admin, two, now):
    desk.qualify(desk.company(0, now=now), two[1], now=now, release="waiting")
    pages = [client_of(user).get("/definitions/steady-use/").content.decode() for user in (rep, manager, admin)]
    assert ["Release all" in page for page in pages] == [False, True, True]
    assert ["Archive" in page for page in pages] == [False, False, True]


def test_an_unknown_definition_is_404(client_of, admin):
    assert client_of(admin).get("/definitions/nothing/").status_code == 404


# --- the account page's panel ------------------------------------------------------------------------------------


def test_the_panel_says_why_what_was_and_whose(client_of, rep, two, now):
    account = desk.company(0, now=now)
    handed = desk.handoff(account, two[0], now=now, owner=rep)
    desk.qualify(account, two[1], now=now, closed_at=now, close_cause="lapsed")
    response = client_of(rep).get(f"/accounts/{account.pk}/panels/qualification/")
    assert [r.qualification.definition.slug for r in response.context["reasons"]] == ["team-expansion"]
    assert [q.definition.slug for q in response.context["past"]] == ["steady-use"]
    assert response.context["handoff"] == handed
    assert f'href="/inbox/{handed.pk}/"' in response.content.decode()


def test_the_panel_of_a_child_shows_its_companys_handoff(client_of, rep, two, now):
    root = desk.company(0, now=now)
    child = desk.company(1, now=now, parent=root)
    handed = desk.handoff(root, now=now)
    response = client_of(rep).get(f"/accounts/{child.pk}/panels/qualification/")
    assert response.context["handoff"] == handed
    assert "Has not qualified under any definition yet." in response.content.decode()


@pytest.mark.parametrize("size", [1, 3])
def test_the_panel_costs_the_same_with_any_number(client_of, rep, two, now, size, django_assert_num_queries):
    account = desk.company(0, now=now)
    for number in range(size):
        over = {"closed_at": now, "close_cause": "lapsed"} if number == 2 else {}
        desk.qualify(account, two[number % 2], now=now, **over)
    client = client_of(rep)
    # session, user, roles, account, episodes, people, event types, lines of the conditions, handoff
    with django_assert_num_queries(9):
        client.get(f"/accounts/{account.pk}/panels/qualification/")


def test_the_panel_is_for_readers_of_accounts(client_of, stranger, rep, now):
    account = desk.company(0, now=now)
    assert client_of(stranger).get(f"/accounts/{account.pk}/panels/qualification/").status_code == 403
    assert client_of(rep).get("/accounts/999999/panels/qualification/").status_code == 404
