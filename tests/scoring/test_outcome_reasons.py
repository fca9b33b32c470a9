"""The reasons of outcomes: kept by admins, chosen by people, counted by definition version."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction

from accounts.models import AuditEntry
from scoring import handoffs, outcome_reasons
from scoring.models import Definition, DefinitionVersion, Handoff, OutcomeReason
from tests.conftest import NOW
from tests.factories import desk
from tests.factories.scoring import make_account

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


def offered(outcome: str) -> list[str]:
    return [reason.code for reason in outcome_reasons.offered()[outcome]]


def get(outcome: str, code: str) -> OutcomeReason:
    return OutcomeReason.objects.get(outcome=outcome, code=code)


def new(name: str = "Acme") -> Handoff:
    return Handoff.objects.create(company=make_account(name), opened_at=NOW, newest_evidence_at=NOW)


# --- the list ------------------------------------------------------------------------------------------------


def test_it_begins_with_what_could_be_chosen_before():
    assert offered("disqualified")[:2] == ["bad_fit", "student"] and offered("disqualified")[-1] == "other"
    assert offered("lost")[0] == "no_budget" and offered("returned")[0] == "too_early" and offered("won") == []


def test_one_that_is_added_can_be_chosen_at_once(admin, rep):
    reason = outcome_reasons.add(outcome="disqualified", label=" On a  sabbatical! ", by=admin, now=NOW)
    assert (reason.code, offered("disqualified")[-1]) == ("on_a_sabbatical", "on_a_sabbatical")
    handoff = handoffs.close(handoff_id=new().pk, outcome="disqualified", reason=reason.code, by=rep, now=NOW)
    assert outcome_reasons.label_of(handoff) == "On a  sabbatical!"
    assert AuditEntry.objects.get(action="outcome_reason.added").actor_id == admin.pk


def test_an_archived_one_is_offered_no_more_and_stays_readable(admin, rep):
    handoff = handoffs.close(handoff_id=new().pk, outcome="disqualified", reason="student", by=rep, now=NOW)
    outcome_reasons.archive(reason_id=get("disqualified", "student").pk, by=admin, now=NOW)
    assert "student" not in offered("disqualified")
    with pytest.raises(handoffs.Refused, match="Choose one"):
        handoffs.close(handoff_id=new("Other").pk, outcome="disqualified", reason="student", by=rep, now=NOW)
    assert outcome_reasons.label_of(handoff) == "Student or hobby"
    again = outcome_reasons.add(outcome="disqualified", label="Student", by=admin, now=NOW)
    assert (again.pk, offered("disqualified")[-1]) == (get("disqualified", "student").pk, "student")


def test_a_new_name_is_that_of_old_handoffs_too(admin, rep):
    handoff = handoffs.close(handoff_id=new().pk, outcome="disqualified", reason="student", by=rep, now=NOW)
    reason = get("disqualified", "student")
    outcome_reasons.change(reason_id=reason.pk, label="In education", needs_note=True, by=admin, now=NOW)
    assert outcome_reasons.label_of(handoff) == "In education"
    other = new("Other")
    with pytest.raises(handoffs.Refused, match="In education"):
        handoffs.close(handoff_id=other.pk, outcome="disqualified", reason="student", by=rep, now=NOW)
    handoffs.close(handoff_id=other.pk, outcome="disqualified", reason="student", note="Thesis.", by=rep, now=NOW)


def test_moving_up_and_the_first_one_stays(admin):
    outcome_reasons.move_up(reason_id=get("lost", "timing").pk, by=admin, now=NOW)
    assert offered("lost")[:2] == ["timing", "no_budget"]
    outcome_reasons.move_up(reason_id=get("lost", "timing").pk, by=admin, now=NOW)
    assert offered("lost")[:2] == ["timing", "no_budget"]


@pytest.mark.parametrize(
    ("outcome", "label"), [("lost", "  "), ("lost", "…"), ("asleep", "Late"), ("lost", "x" * 81), ("lost", "Other")]
)
def test_what_makes_no_reason_is_refused(admin, outcome, label):
    with pytest.raises(handoffs.Refused):
        outcome_reasons.add(outcome=outcome, label=label, by=admin, now=NOW)


def test_the_menu_ends_at_nine_and_its_last_one_stays(admin):
    for number in range(outcome_reasons.MOST - len(offered("lost"))):
        outcome_reasons.add(outcome="lost", label=f"Reason {number}", by=admin, now=NOW)
    with pytest.raises(handoffs.Refused, match="archive one first"):
        outcome_reasons.add(outcome="lost", label="One more", by=admin, now=NOW)
    *others, last = OutcomeReason.objects.filter(outcome="lost")
    for reason in others:
        outcome_reasons.archive(reason_id=reason.pk, by=admin, now=NOW)
    with pytest.raises(handoffs.Refused, match="last one"):
        outcome_reasons.archive(reason_id=last.pk, by=admin, now=NOW)


def test_only_admins_keep_it(rep, manager):
    for user in (rep, manager):
        with pytest.raises(handoffs.NotAllowed):
            outcome_reasons.add(outcome="lost", label="Late", by=user, now=NOW)
        with pytest.raises(handoffs.NotAllowed):
            outcome_reasons.archive(reason_id=get("lost", "timing").pk, by=user, now=NOW)
    assert "timing" in offered("lost")


@pytest.mark.parametrize(
    "values",
    [
        {"outcome": "lost", "code": "timing", "label": "Twice"},
        {"outcome": "asleep", "code": "late", "label": "Late"},
        {"outcome": "lost", "code": "", "label": "Late"},
        {"outcome": "lost", "code": "late", "label": ""},
    ],
)
def test_the_database_refuses_reasons_that_cannot_be(values):
    with pytest.raises(IntegrityError), transaction.atomic():
        OutcomeReason.objects.create(**values)


# --- counted -------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(rep):
    """Four handoffs of two versions: three disqualified (two as student) and one won; one is open."""
    team, _ = desk.staff_definitions(NOW - dt.timedelta(days=30))
    first = team.live_version
    later = DefinitionVersion.objects.create(
        definition=team, number=2, document=first.document, published_at=NOW, english=first.english
    )
    for number, (version, outcome, reason) in enumerate(
        [
            (first, "disqualified", "student"),
            (later, "disqualified", "student"),
            (later, "disqualified", "bad_fit"),
            (later, "won", ""),
            (later, "", ""),
        ]
    ):
        handoff = desk.handoff(desk.company(number, now=NOW), now=NOW)
        desk.qualify(handoff.company, team, now=NOW, handoff=handoff, version=version)
        if outcome == "won":
            handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
        if outcome:
            handoffs.close(handoff_id=handoff.pk, outcome=outcome, reason=reason, by=rep, now=NOW)
    return team


def test_reasons_are_counted_by_version(closed, django_assert_num_queries):
    with django_assert_num_queries(2):
        newest, oldest = outcome_reasons.by_version(closed)
    assert (newest.version, newest.closed, oldest.version, oldest.closed) == (2, 3, 1, 1)
    assert {(row.outcome, row.label): (row.number, round(row.share, 2)) for row in newest.rows} == {
        ("disqualified", "Student or hobby"): (1, 0.33),
        ("disqualified", "Not a fit"): (1, 0.33),
        ("won", ""): (1, 0.33),
    }
    assert [row.share for row in oldest.rows] == [1.0]


def test_the_panel_of_a_definition_opens_the_handoffs_behind_a_share(client_of, rep, closed):
    client = client_of(rep)
    page = client.get(f"/definitions/{closed.slug}/outcomes/").content.decode()
    assert "Disqualified: Student or hobby" in page and "33%" in page and "100%" in page
    url = f"/inbox/?tab=done&definition={closed.slug}&version=2&outcome=disqualified&reason=student"
    assert url.replace("&", "&amp;") in page
    response = client.get(url)
    assert len(response.context["rows"]) == 1
    chips = {chip["label"]: chip["value"] for chip in response.context["chips"]}
    assert (chips["Version is"], chips["Reason is"]) == (2, "Student or hobby")
    assert f"/definitions/{closed.slug}/outcomes/" in client.get(f"/definitions/{closed.slug}/").content.decode()


def test_a_definition_without_closed_handoffs_has_no_panel(client_of, rep):
    team, _ = desk.staff_definitions(NOW)
    assert client_of(rep).get(f"/definitions/{team.slug}/outcomes/").status_code == 204
    assert Definition.objects.filter(slug=team.slug).exists()


# --- the page ------------------------------------------------------------------------------------------------


def test_an_admin_keeps_the_list_on_its_page(client_of, admin):
    client = client_of(admin)
    assert "Another reason for lost" in client.get("/inbox/reasons/").content.decode()
    for verb, data in (
        ("add", {"outcome": "lost", "label": "Merged away"}),
        ("up", {"reason": get("lost", "timing").pk}),
        ("archive", {"reason": get("lost", "no_need").pk}),
        ("change", {"reason": get("lost", "other").pk, "label": "Something else"}),
        ("add", {"outcome": "lost", "label": "Merged away"}),
    ):
        page = client.post(f"/inbox/reasons/{verb}/", data, follow=True)
    assert "“Merged away” is there already." in [str(m) for m in page.context["messages"]]
    assert offered("lost") == ["timing", "no_budget", "competitor", "no_response", "other", "merged_away"]
    assert (get("lost", "other").label, get("lost", "other").needs_note) == ("Something else", False)


def test_others_read_it_and_change_nothing(client_of, rep, stranger):
    page = client_of(rep).get("/inbox/reasons/").content.decode()
    assert "Bad timing" in page and "/inbox/reasons/add/" not in page
    assert client_of(rep).post("/inbox/reasons/add/", {"outcome": "lost", "label": "Late"}).status_code == 403
    assert client_of(stranger).get("/inbox/reasons/").status_code == 403
    assert client_of(rep).get("/inbox/reasons/add/").status_code == 405


def test_a_reason_that_never_was_is_not_found(client_of, admin):
    assert client_of(admin).post("/inbox/reasons/archive/", {"reason": "999999"}).status_code == 404
    assert client_of(admin).post("/inbox/reasons/archive/", {"reason": "all"}).status_code == 404


@pytest.mark.parametrize(
    "query", ["version=1&outcome=asleep&reason=x", "definition=team-expansion&version=x", "reason=student"]
)
def test_filters_that_make_no_sense_are_left_out(client_of, rep, query):
    assert client_of(rep).get(f"/inbox/?tab=done&{query}").status_code == 200
