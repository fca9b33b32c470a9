"""Five accounts with a known fate under one rule, for backtests: everything happens between 1 May and 14 June 2026."""

from __future__ import annotations

import datetime as dt

from accounts import lake, lifecycle
from accounts.models import Account
from scoring import definitions
from tests.conftest import NOW
from tests.factories.scoring import SIGNED_UP, TEAM, make_account, make_trait, use

DAY = dt.timedelta(days=1)
LIVE = {**TEAM, "rule": {"all": [TEAM["rule"], {"trait": {"name": "plan", "in": ["free"]}}]}}
LAXER = {**LIVE, "rule": {"all": [{"count": {**TEAM["rule"]["count"], "at_least": 1}}, LIVE["rule"]["all"][1]]}}
PERIOD = {"from": "2026-05-01", "to": "2026-06-14", "outcome": "paid", "within": "14"}


def reach(account: Account, stage: str, at: dt.datetime) -> None:
    """The account reached a stage; known by NOW."""
    lifecycle.reach(account_id=account.pk, stage=stage, at=at, now=NOW, cause="test", reference=f"{stage}{at}")


def world() -> dict:
    """The accounts by name, since 1 May, and the version: three invites in a week flag those on the free plan."""
    found = {}
    for name in ("Right", "Wrong", "Early", "Plan", "Short"):
        account = found[name] = make_account(name)
        make_trait(account, "plan", "team" if name == "Plan" else "free", at=SIGNED_UP)
    use(found["Right"], "Invite Sent", at=SIGNED_UP + 9 * DAY, count=3)  # 10 May
    reach(found["Right"], "claimed", SIGNED_UP + 10 * DAY)
    reach(found["Right"], "paid", SIGNED_UP + 19 * DAY)  # 20 May
    use(found["Wrong"], "Invite Sent", at=SIGNED_UP + 12 * DAY, count=4)  # 13 May
    use(found["Early"], "Invite Sent", at=SIGNED_UP + DAY, count=3)  # 2 May
    reach(found["Early"], "paid", SIGNED_UP + 29 * DAY)  # 30 May
    use(found["Plan"], "Invite Sent", at=SIGNED_UP + 14 * DAY, count=3)
    reach(found["Plan"], "paid", SIGNED_UP + 18 * DAY)
    use(found["Short"], "Invite Sent", at=SIGNED_UP + 14 * DAY, count=1)
    reach(found["Short"], "paid", SIGNED_UP + 18 * DAY)
    version = definitions.publish(document=LIVE, by=None, now=NOW, reason="First")
    lake.refresh(now=NOW)
    return found | {"version": version}
