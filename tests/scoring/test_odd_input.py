"""What nobody types and somebody sends: endless numbers, names of pages, formulas, days of no calendar."""

import csv
import io
import json
import re
import time

import pytest
from django.urls import URLPattern, reverse

from scoring import definitions, urls, versions
from scoring.rules.problems import RuleError
from tests.conftest import NOW
from tests.factories.scoring import TEAM, document, publish
from tests.scoring.test_backtest_pages import LIVE, PERIOD, world

pytestmark = pytest.mark.django_db
__all__ = ["world"]
EDITORS = ("definition_describe", "definition_review", "definition_preview", "definition_new", "backtest_draft")


@pytest.mark.parametrize("name", EDITORS)
def test_a_number_of_thousands_of_digits_is_refused(client_of, admin, name):
    text = '{"slug": "a", "grace_days": ' + "9" * 5000 + "}"
    answer = client_of(admin).post(reverse(name), {"text": text, "reason": "x", "replaces": "0", "slug": ""})
    assert answer.status_code in (200, 422)
    assert not definitions.live_rules()


@pytest.mark.parametrize("name", EDITORS[:3])
def test_a_slug_with_a_nul_is_nobodys(client_of, admin, name):
    answer = client_of(admin).post(reverse(name), {"text": json.dumps(TEAM), "slug": "a\x00b"})
    assert answer.status_code in (200, 404, 422)


def test_no_definition_can_have_the_name_of_a_page():
    patterns = (p.pattern for p in urls.urlpatterns if isinstance(p, URLPattern))
    first = {found[1] for p in patterns if (found := re.match(r"definitions/([a-z-]+)/", str(p)))}
    assert first == set(definitions.TAKEN)
    for slug in definitions.TAKEN:
        with pytest.raises(RuleError) as refused:
            publish(NOW, slug=slug)
        assert [problem.path for problem in refused.value.problems] == ["/slug"]


def test_what_the_missed_lacked_is_no_formula(world, client_of, viewer):
    rule = {"all": [LIVE["rule"]["all"][0], {"trait": {"name": "=HYPERLINK(1)", "exactly": "x"}}]}
    definitions.publish(document={**LIVE, "rule": rule}, by=None, now=NOW, reason="t")
    address = reverse("backtest_accounts", args=[LIVE["slug"]])
    answer = client_of(viewer).get(address, PERIOD | {"of": "missed", "side": "0", "format": "csv"})
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert any("=HYPERLINK" in cell for row in rows for cell in row)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_a_week_outside_of_the_period_is_not_found(world, client_of, viewer):
    address = reverse("backtest_accounts", args=[LIVE["slug"]])
    for week in ("99999999999", "0"):
        answer = client_of(viewer).get(address, PERIOD | {"of": "flagged", "side": "0", "week": week})
        assert answer.status_code == 404


def test_texts_with_hundreds_of_long_names_are_compared_at_once():
    def named(start: int) -> dict:
        names = [f"{'A long common beginning of the name of an event, number '}{start + n}" for n in range(200)]
        return document(rule={"count": {"event": names, "at_least": 1}})

    began = time.process_time()
    compared = versions.compare(named(0), named(1000))
    assert time.process_time() - began < 5
    assert {line.kind for line in compared.lines} == {"kept", "removed", "added"}
