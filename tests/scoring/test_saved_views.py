"""Saved views of the inbox: kept under a name, shared by managers, updated where they were changed on top."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scoring import saved_views
from scoring.handoff_states import NotAllowed, Refused
from scoring.models import SavedView
from scoring.queue import Filters

pytestmark = pytest.mark.django_db
BIG = "tab=new&seats=50&sort=waiting"


def filters(query: str) -> Filters:
    return Filters.read(dict(part.split("=") for part in query.split("&")))


def saved(by, name="Big ones", query=BIG, shared=False) -> SavedView:
    return saved_views.save(name=name, filters=filters(query), shared=shared, by=by, now=timezone.now())


def test_a_view_is_its_filters_and_leads_back_to_them(rep, client_of):
    client = client_of(rep)
    response = client.post(f"/inbox/views/save/?{BIG}", {"name": "  Big ones "})
    view = SavedView.objects.get()
    assert (view.name, view.query, view.owner, view.is_shared) == ("Big ones", "seats=50&sort=waiting", rep, False)
    assert response["Location"] == f"/inbox/?seats=50&sort=waiting&view={view.pk}"
    menu = client.get(f"/inbox/views/?seats=50&sort=waiting&view={view.pk}").content.decode()
    assert f'href="/inbox/?seats=50&amp;sort=waiting&amp;view={view.pk}" aria-current="true"' in menu
    assert "changed" not in menu and "Update" not in menu and "Remove" in menu
    page = client.get(response["Location"]).content.decode()
    assert f'hx-get="/inbox/views/?seats=50&amp;sort=waiting&amp;view={view.pk}"' in page
    # the same filters without its number are the view too
    assert 'aria-current="true"' in client.get("/inbox/views/?sort=waiting&seats=50").content.decode()


def test_what_is_changed_on_top_is_marked_and_updates_the_view(rep, client_of):
    view, client = saved(rep), client_of(rep)
    menu = client.get(f"/inbox/views/?seats=90&view={view.pk}").content.decode()
    assert "changed" in menu and "Update Big ones" in menu
    response = client.post(f"/inbox/views/update/?seats=90&view={view.pk}")
    view.refresh_from_db()
    assert (view.query, response["Location"]) == ("seats=90", f"/inbox/?seats=90&view={view.pk}")
    client.post(f"/inbox/views/remove/?seats=90&view={view.pk}")
    assert not SavedView.objects.exists()


def test_only_managers_share_and_change_what_is_shared(rep, other_rep, manager, client_of):
    with pytest.raises(NotAllowed):
        saved(rep, shared=True)
    mine, shared = saved(rep, name="Mine"), saved(manager, name="For all", shared=True)
    assert [view.name for view in saved_views.of(other_rep)] == ["For all"]
    assert [view.name for view in saved_views.of(rep)] == ["For all", "Mine"]
    now = timezone.now()
    with pytest.raises(NotAllowed):
        saved_views.update(view_id=shared.pk, filters=filters("tab=mine"), by=rep, now=now)
    with pytest.raises(SavedView.DoesNotExist):
        saved_views.remove(view_id=mine.pk, by=manager, now=now)
    menu = client_of(rep).get(f"/inbox/views/?seats=1&view={shared.pk}").content.decode()
    assert "For everybody" not in menu and "Update" not in menu and manager.label in menu
    assert "For everybody" in client_of(manager).get("/inbox/views/").content.decode()


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_name_is_needed(rep, name, client_of):
    with pytest.raises(Refused):
        saved(rep, name=name)
    response = client_of(rep).post("/inbox/views/save/?seats=5", {"name": name}, follow=True)
    assert 'data-tone="bad"' in response.content.decode()
    assert not SavedView.objects.exists()


def test_a_name_is_used_once_by_a_person(rep, other_rep):
    saved(rep)
    saved(other_rep)
    with pytest.raises(Refused, match="called Big ones already"):
        saved(rep)


def test_no_more_than_the_most(rep, monkeypatch):
    monkeypatch.setattr(saved_views, "MOST", 1)
    saved(rep)
    with pytest.raises(Refused, match="remove one first"):
        saved(rep, name="Another")


@pytest.mark.parametrize("path", ["update/?view=1", "remove/", "nonsense/", "update/?view=x"])
def test_what_is_not_there_is_a_404(rep, client_of, path):
    assert client_of(rep).post(f"/inbox/views/{path}").status_code == 404


def test_who_sees_no_inbox_sees_no_views(stranger, client_of):
    assert client_of(stranger).get("/inbox/views/").status_code == 403
    assert client_of(stranger).post("/inbox/views/save/", {"name": "x"}).status_code == 403


@pytest.mark.parametrize(
    "broken", [{"name": ""}, {"name": "Twice"}], ids=["saved_view_has_a_name", "saved_view_name_once"]
)
def test_constraints(rep, broken):
    saved(rep, name="Twice")
    with pytest.raises(IntegrityError), transaction.atomic():
        SavedView.objects.create(owner=rep, query="tab=new", created_at=timezone.now(), **broken)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_menu_costs_the_same_for_any_number(rep, manager, client_of, rows):
    for number in range(rows):
        saved(manager, name=f"View {number}", shared=True)
    client = client_of(rep)
    with CaptureQueriesContext(connection) as made:
        client.get("/inbox/views/")
    assert len(made) == 4  # session, user, roles, views
