"""The stage ledger's entries of sign-ups."""

import datetime as dt

import pytest

from accounts import lifecycle
from accounts.models import Account, StageEntry
from tests.conftest import NOW

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


def entries() -> dict[str, tuple[dt.datetime, int, dt.datetime]]:
    rows = StageEntry.objects.filter(stage="signed_up", cause="signup").select_related("origin")
    return {row.origin.external_id: (row.at, row.day, row.recorded_at) for row in rows}


def test_a_sign_up_stands_once_where_it_moved_last_and_a_tombstone_has_none():
    acme, globex = (
        Account.objects.create(external_id=name, signed_up_at=NOW, signup_day=20619, recorded_at=NOW)
        for name in ("acme", "globex")
    )
    lifecycle.sign_up({acme.pk: NOW, globex.pk: NOW}, tombs=[], now=NOW)
    assert entries() == {"acme": (NOW, 20619, NOW), "globex": (NOW, 20619, NOW)}
    lifecycle.sign_up({acme.pk: NOW - 2 * DAY}, tombs=[globex.pk], now=NOW + DAY)
    assert entries() == {"acme": (NOW - 2 * DAY, 20617, NOW)}
    lifecycle.reach(account_id=globex.pk, stage="activated", at=NOW, now=NOW, cause="event")
    lifecycle.sign_up({}, tombs=[globex.pk], now=NOW)
    assert StageEntry.objects.filter(account=globex).get().stage == "activated"  # what else it reached stays
