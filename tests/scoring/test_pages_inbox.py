"""The inbox's pages: what each role sees and may do, how the queue is cut, and what it costs."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.factories import desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return timezone.now()


def test_the_queue_opens_with_its_first_account(client_of, rep, now):
    desk.desk(3, now=now)
    page = client_of(rep).get("/inbox/").content.decode()
    assert "Lumen Analytics" in page and "Kestrel Robotics" in page
    assert "Why now" in page
