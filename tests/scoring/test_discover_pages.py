"""Discovery's pages: who may ask, what is shown of an answer, and what a request costs."""

import csv
import io
import json

import pytest
from django.utils.html import escape

from accounts import lake
from accounts.models import EventType
from scoring import discover
from scoring.discovery import everything
from scoring.discovery.answer import answer_to
from scoring.discovery.asked import Asked
from scoring.models import Discovery
from tests.conftest import NOW
from tests.scoring.discovery_world import DATA_UNTIL, World, planted, spread

pytestmark = pytest.mark.django_db


def row(**changes) -> Discovery:
    values = {"outcome": "paid", "first_days": 14, "within": 60, "level": "account", "asked_at": NOW} | changes
    return Discovery.objects.create(**values)


def finished(status="done", **changes) -> Discovery:
    return row(status=status, finished_at=NOW, seconds=1.5, **changes)


def answer(chance=lambda invites, runs, exports, views: 0.5 if invites >= 3 else 0.08, of=800, **asked):
    planted(of, chance=chance)
    lake.refresh(now=NOW, whole=True)
    question = Asked(**{"outcome": "paid", "first_days": 14, "within": 60} | asked)
    return answer_to(question, until_day=DATA_UNTIL + 10)


FORM = {"outcome": "paid", "first_days": 14, "within": 60, "level": "account"}


def test_an_admin_asks_and_comes_to_the_answer(client_of, admin):
    client = client_of(admin)
    response = client.post("/discover/", FORM)
    asked = Discovery.objects.get()
    assert (response.status_code, response.headers["Location"]) == (302, f"/discover/{asked.pk}/")
    assert (asked.status, asked.asked_by) == ("waiting", admin)
    page = client.get(response.headers["Location"]).content.decode()
    assert "A worker takes the question within seconds." in page
    assert 'hx-trigger="every 1s"' in page
    assert client.post("/discover/", FORM).headers["Location"] == f"/discover/{asked.pk}/"  # the same question


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"first_days": 0}, "first_days"), ({"within": 366}, "within"), ({"outcome": "payed"}, "outcome"),
     ({"outcome": "signed_up"}, "outcome"), ({"level": "team"}, "level"), ({"first_days": "x"}, "first_days")],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_at_its_field(client_of, admin, changes, field):
    response = client_of(admin).post("/discover/", FORM | changes)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert Discovery.objects.count() == 0


def test_too_many_questions_are_refused_in_words(client_of, admin):
    for days in range(1, discover.MOST_WAITING + 1):
        row(first_days=days)
    response = client_of(admin).post("/discover/", FORM)
    assert response.status_code == 422
    assert "5 questions wait already" in response.content.decode()


def test_an_event_may_be_the_outcome(client_of, admin):
    EventType.objects.create(name="Report Exported")
    client_of(admin).post("/discover/", FORM | {"outcome": "Report Exported"})
    assert Discovery.objects.get().outcome == "Report Exported"


def test_everybody_with_a_role_reads_and_only_admins_ask(client_of, rep, viewer, stranger):
    done = finished(result=answer())
    for reader in (rep, viewer):
        client = client_of(reader)
        listed = client.get("/discover/").content.decode()
        assert "Paid within 60 days after the first 14" in listed and "Ask history" not in listed
        page = client.get(f"/discover/{done.pk}/").content.decode()
        assert "Invite Sent 3+ times, first 14 days" in page
        assert "Make it a definition" not in page and "?from=discovery" not in page
        assert client.post("/discover/", FORM).status_code == 403
    client = client_of(stranger)
    for path in ("/discover/", f"/discover/{done.pk}/", f"/discover/{done.pk}/answer.json"):
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("size", [1, 3])
def test_the_list_costs_the_same_at_any_length(client_of, admin, size, django_assert_num_queries):
    for number in range(size):
        finished(first_days=number + 1, asked_by=admin, result={"large": "x" * 1000})
    client = client_of(admin)
    with django_assert_num_queries(5) as queries:  # session, user, roles, event types of the form, questions
        assert len(client.get("/discover/").context["page"].items) == size
    assert not any('"result"' in query["sql"] for query in queries)  # answers are large


def test_the_list_has_pages(client_of, rep):
    for number in range(26):
        finished(first_days=number + 1)
    client = client_of(rep)
    first = client.get("/discover/").context["page"]
    assert len(first.items) == 25
    assert len(client.get("/discover/", {"cursor": first.next_cursor}).context["page"].items) == 1


def test_the_list_is_polled_while_somebody_waits(client_of, rep):
    finished()
    client = client_of(rep)
    assert "every 2s" not in client.get("/discover/").content.decode()
    row()
    fragment = client.get("/discover/", headers={"HX-Request": "true", "HX-Target": "questions"}).content.decode()
    assert "every 2s" in fragment and "<html" not in fragment


def test_a_running_question_says_what_the_worker_is_at(client_of, rep):
    one = row(status="running", lease_until=NOW, step="Trying pairs")
    client = client_of(rep)
    fragment = client.get(f"/discover/{one.pk}/", headers={"HX-Request": "true", "HX-Target": "answer"})
    assert "Trying pairs…" in fragment.content.decode() and "<html" not in fragment.content.decode()


def test_an_answer_shows_charts_and_numbers(client_of, admin, django_assert_num_queries):
    one = finished(result=answer(), asked_by=admin)
    client = client_of(admin)
    with django_assert_num_queries(4):  # session, user, roles, the question
        page = client.get(f"/discover/{one.pk}/").content.decode()
    first = one.result["findings"][0]
    assert f"Earlier half: lift {first['search']['lift']['value']:.2f}" in page
    assert page.count('class="forest"') == len(one.result["findings"])
    assert page.count('class="chart"') == len(one.result["doses"])
    assert page.count('class="sq"') == 2
    assert "Logistic regression" in page and "Gradient-boosted trees" in page
    assert f'href="/definitions/new/?from=discovery:{one.pk}:0"' in page
    assert "Backtest it" in page
    assert "style=" not in page


def test_an_answer_in_which_nothing_holds_says_so(client_of, admin):
    one = finished(result=answer(chance=lambda *did: 0.15))
    page = client_of(admin).get(f"/discover/{one.pk}/").content.decode()
    assert "Nothing that was tried holds on both halves." in page
    assert "?from=discovery" not in page and "Backtest it" not in page


def test_where_nobody_does_anything_there_is_nothing_to_find(client_of, admin):
    world = World()
    for i, one in enumerate(world.accounts(spread(300))):
        if i % 4 == 0:
            world.reached(one, 20)
    world.save()
    lake.refresh(now=NOW, whole=True)
    one = finished(result=answer_to(Asked("paid", 14, 60), until_day=DATA_UNTIL + 10))
    page = client_of(admin).get(f"/discover/{one.pk}/").content.decode()
    assert "No behaviour is common enough to be tried" in page and "No model was made" in page


def test_a_peak_is_pointed_at(client_of, rep):
    one = finished(
        result=answer(chance=lambda invites, runs, exports, views: 0.5 if 2 <= exports <= 6 else 0.06, of=2500)
    )
    page = client_of(rep).get(f"/discover/{one.pk}/").content.decode()
    assert "More is not better: most likely at 2–9, and so it is in the later half." in page
    assert 'class="dose-band"' in page


def test_what_goes_with_not_paying_has_no_draft(client_of, admin):
    one = finished(result=answer(chance=lambda invites, runs, exports, views: 0.05 if runs >= 5 else 0.4, of=1500))
    index = next(i for i, f in enumerate(one.result["findings"]) if f["text"].startswith("Workflow Run"))
    page = client_of(admin).get(f"/discover/{one.pk}/").content.decode()
    assert "Confirmed, less" in page
    assert f"discovery:{one.pk}:{index}" not in page
    with pytest.raises(LookupError):
        discover.draft_of(one.pk, index)


def test_little_data_and_failures_are_told(client_of, rep):
    missing = [{"what": "at risk", "have": 40, "need": 100}]
    people = {"signed_up": 50, "converted_before": 4, "too_young": 6, "before_data": 0}
    little = finished("refused", result={"missing": missing, "population": people})
    failed = finished("failed", first_days=7, error="3 workers stopped in the middle of it.")
    client = client_of(rep)
    page = client.get(f"/discover/{little.pk}/").content.decode()
    assert "Too little data for an answer" in page and "At risk" in page
    assert "3 workers stopped" in client.get(f"/discover/{failed.pk}/").content.decode()
    assert client.get(f"/discover/{failed.pk}/answer.json").status_code == 404
    assert client.get("/discover/999/").status_code == 404


def test_the_answer_as_json_is_the_one_of_the_command(client_of, rep):
    one = finished(result=answer())
    response = client_of(rep).get(f"/discover/{one.pk}/answer.json")
    assert json.loads(response.content) == one.result
    assert "attachment" in response.headers["Content-Disposition"]


def test_everything_tried_is_a_file(client_of, rep, stranger):
    told = answer()
    one = finished(result=told)
    response = client_of(rep).get(f"/discover/{one.pk}/tried.csv")
    lines = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert len(lines) == 2 * told["tried"]["singles"]
    first = told["findings"][0]
    asked = {"event": "Invite Sent", "measure": "count", "first_days": "14", "at_least": "3", "at_most": ""}
    earlier, later = (line for line in lines if asked.items() <= line.items())
    assert (earlier["half"], later["half"], later["confirmed"]) == ("earlier", "later", "yes")
    for line, half in ((earlier, first["search"]), (later, first["later"])):
        assert int(line["do_it"]) == half["doing"]
        assert float(line["outcome_with"]) == pytest.approx(half["with"]["value"], rel=1e-5)
        assert float(line["outcome_without"]) == pytest.approx(half["without"]["value"], rel=1e-5)
        assert float(line["lift_low"]) == pytest.approx(half["lift"]["low"], rel=1e-5)
        assert float(line["bits"]) == pytest.approx(half["bits"], rel=1e-4)
    assert client_of(rep).get(f"/discover/{finished('failed', first_days=3).pk}/tried.csv").status_code == 404
    assert client_of(stranger).get(f"/discover/{one.pk}/tried.csv").status_code == 403


def test_a_name_in_the_file_is_never_a_formula():
    told = answer()
    told["grid"]["names"] = dict.fromkeys(told["grid"]["names"], "=HYPERLINK(1)")
    lines = list(everything.csv_lines(told))
    assert all(line.startswith("'=HYPERLINK") for line in lines[1:])


def test_names_of_events_are_escaped_everywhere(client_of, rep):
    told = answer()
    name = '<img src=x onerror="alert(1)">'
    text = json.dumps(told).replace("Invite Sent", name.replace('"', '\\"'))
    one = finished(result=json.loads(text), outcome=name)
    page = client_of(rep).get(f"/discover/{one.pk}/").content.decode()
    assert "<img" not in page and escape(name) in page


# --- into the editor ------------------------------------------------------------------------------------------


def test_a_finding_starts_a_new_definition(client_of, admin):
    one = finished(result=answer())
    response = client_of(admin).get(f"/definitions/new/?from=discovery:{one.pk}:0")
    document = json.loads(response.context["form"]["text"].value())
    assert document["rule"]["all"][0] == {
        "count": {"event": "Invite Sent", "at_least": 3, "window": {"first_days": 14, "of": "account"}}
    }
    page = response.content.decode()
    assert f'<a class="link" href="/discover/{one.pk}/">Paid within 60 days after the first 14</a>' in page
    assert 'hx-post="/definitions/backtest/result/?part=said"' in page


def test_a_finding_keeps_its_backtest_when_its_draft_is_refused(client_of, admin):
    one = finished(result=answer())
    client = client_of(admin)
    place = f"/definitions/new/?from=discovery:{one.pk}:0"
    response = client.post(place, {"text": "{", "reason": "", "replaces": 0})
    assert response.status_code == 422
    assert '<input type="hidden" name="within" value="60">' in response.content.decode()
    assert "?part=said" not in client.get("/definitions/new/").content.decode()


@pytest.mark.parametrize("place", ["discovery:1:0", "discovery:x:0", "discovery:1", "discovery:9999999999999999999:0"])
def test_a_finding_that_is_not_there_is_not_found(client_of, admin, place):
    assert client_of(admin).get("/definitions/new/", {"from": place}).status_code == 404


def test_a_draft_goes_to_its_backtest(client_of, admin):
    one = finished(result=answer())
    client = client_of(admin)
    best = client.get(f"/discover/{one.pk}/").context["drawn"].best
    asks = {"text": best.draft, "outcome": "paid", "within": 60}
    response = client.post("/definitions/backtest/", asks)
    assert response.status_code == 200
    assert "Early Invite Sent ×3" in response.content.decode()
