"""The request of a signed-in member of staff, as views behind `login_required` get it."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import StaffUser


class StaffRequest(HttpRequest):
    """For annotations only: Django makes the request, `login_required` and the htmx middleware make this true."""

    user: StaffUser
    htmx: HtmxDetails
