"""People, and whether they may be contacted, by programs."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry, ProductUser, UserKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def robot(program, admin, world):
    return program(admin, "accounts:read", "people:write")


def test_a_person_and_where_they_are(robot):
    person = ProductUser.objects.get(external_id__endswith="ann", memberships__account__name="Acme")
    status, told = robot.get(f"people/{person.external_id}/")
    assert status == 200
    assert told == {
        "external_id": person.external_id,
        "name": person.name,
        "accounts": [{"external_id": "acme", "name": "Acme"}],
        "do_not_contact": False,
        "trait": False,
        "refused_at": None,
    }
    assert robot.get("people/nobody/")[0] == 404


def test_who_is_not_to_be_contacted(robot, admin):
    person = ProductUser.objects.filter(external_id__endswith="ann").first()
    path = f"people/{person.external_id}/contact/"
    status, told = robot.post(path, {"refused": True}, key="one")
    assert (status, told["do_not_contact"], told["trait"]) == (200, True, False)
    assert robot.post(path, {"refused": True})[1] == told  # again: since when stays
    assert robot.post(path, {"refused": True}, key="one")[1] == told
    person.refresh_from_db()
    assert person.is_left_alone
    entry = AuditEntry.objects.get(action="person.contact_refused")
    assert (entry.actor_id, entry.object_id) == (admin.pk, person.pk)
    ProductUser.objects.filter(pk=person.pk).update(do_not_contact=True)
    status, told = robot.post(path, {"refused": False})
    assert (told["do_not_contact"], told["trait"], told["refused_at"]) == (True, True, None)
    assert robot.post(path, {})[0] == robot.post(path, {"refused": "perhaps"})[0] == 422
    assert robot.post("people/nobody/contact/", {"refused": True})[0] == 404


def test_an_id_leads_to_who_it_is_today(robot):
    first, second = ProductUser.objects.filter(external_id__endswith="ann").order_by("pk")[:2]
    UserKey.objects.update_or_create(key=f"u:{second.external_id}", defaults={"user": first})
    ProductUser.objects.filter(pk=second.pk).update(merged_into=first)
    assert robot.get(f"people/{second.external_id}/")[1]["external_id"] == first.external_id
    robot.post(f"people/{second.external_id}/contact/", {"refused": True})
    assert list(ProductUser.objects.exclude(contact_refused_at=None)) == [first]


def test_ids_with_odd_characters(robot):
    person = ProductUser.objects.filter(external_id__endswith="ann").first()
    ProductUser.objects.filter(pk=person.pk).update(external_id="a/b c@d.test")
    UserKey.objects.filter(user=person).delete()
    assert robot.get("people/a/b c@d.test/")[1]["external_id"] == "a/b c@d.test"
    assert robot.post("people/a/b%20c@d.test/contact", {"refused": True})[0] == 200


def test_an_anonymous_id_leads_to_who_it_turned_out_to_be(robot):
    first, second = ProductUser.objects.order_by("pk")[:2]
    ProductUser.objects.filter(pk=first.pk).update(merged_into=second, external_id="anon:x1")
    assert robot.get("people/anon:x1/")[1]["external_id"] == second.external_id
    status, told = robot.post("people/anon:x1/contact/", {"refused": True})
    assert (status, told["external_id"], told["do_not_contact"]) == (200, second.external_id, True)
    second.refresh_from_db()
    assert second.is_left_alone
