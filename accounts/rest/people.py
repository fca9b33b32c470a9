"""People who use the product, for programs: one by the id that its sender gave, and whether outreach may reach them."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import stewardship
from accounts.models import Membership, ProductUser, UserKey
from accounts.rest.endpoint import Endpoint
from accounts.rest.shapes import IDEMPOTENCY_KEY, AccountName, answers, moment

TAG = ["people"]
ACCOUNTS = 50


class PersonShape(serializers.Serializer[Any]):
    """A person who uses the product."""

    external_id = serializers.CharField(help_text="Of the person that the id asked for leads to today.")
    name = serializers.CharField(help_text="May be empty.")
    accounts = AccountName(many=True, help_text=f"Where they are today; at most {ACCOUNTS}.")
    do_not_contact = serializers.BooleanField(help_text="No outreach goes to them: for either of the two below.")
    trait = serializers.BooleanField(help_text="Their trait do_not_contact says so.")
    refused_at = serializers.DateTimeField(allow_null=True, help_text="Since when it was said by hand or by a program.")


class Contact(serializers.Serializer[Any]):
    """Whether outreach may reach them."""

    refused = serializers.BooleanField(help_text="False takes back what was said so; the trait stays as it is.")


class OnePerson(Endpoint):
    """GET /api/v1/people/<external id>/"""

    scopes = {"GET": "accounts:read"}

    @extend_schema(operation_id="people_get", tags=TAG, responses=answers(200, PersonShape, "The person.", 404))
    def get(self, request: Request, external_id: str) -> Response:
        """Get one person: where they are, and whether they are not to be contacted."""
        return Response(told(_found(external_id)))


class PersonContact(Endpoint):
    """POST /api/v1/people/<external id>/contact/"""

    scopes = {"POST": "people:write"}

    @extend_schema(
        operation_id="people_contact",
        tags=TAG,
        parameters=[IDEMPOTENCY_KEY],
        request=Contact,
        responses=answers(200, PersonShape, "The person as it is after.", 404, write=True),
    )
    def post(self, request: Request, external_id: str) -> Response:
        """Leave a person out of all outreach, or take that back. Said again: nothing changes."""
        refused = self.told(Contact)["refused"]
        person = _found(external_id)

        def act(now: Any) -> tuple[int, Any]:
            stewardship.set_contact_refused(user_id=person.pk, refused=refused, by=self.user, now=now)
            person.refresh_from_db()
            return 200, told(person)

        return self.write(act)


def told(person: ProductUser) -> dict[str, Any]:
    """A person as the API tells them; one query for their accounts."""
    here = Membership.objects.filter(user=person, valid_to=None, account__merged_into=None).order_by("account_id")
    names = here.values_list("account__external_id", "account__name").distinct()[:ACCOUNTS]
    return {
        "external_id": person.external_id,
        "name": person.name,
        "accounts": [{"external_id": external_id, "name": name} for external_id, name in names],
        "do_not_contact": person.is_left_alone,
        "trait": person.do_not_contact,
        "refused_at": moment(person.contact_refused_at),
    }


def _found(external_id: str) -> ProductUser:
    """Whom the id leads to today: ids of people who turned out to be one lead to that one."""
    key = UserKey.objects.select_related("user").filter(key=f"u:{external_id}").first()
    person = key.user if key else ProductUser.objects.filter(external_id=external_id).first()
    if person is None:
        raise Http404(f"There is nobody with the id “{external_id[:200]}”.")
    while person.merged_into is not None:  # an anonymous id has no key of this kind
        person = person.merged_into
    return person
