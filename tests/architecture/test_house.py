"""The house rules that a machine can check."""

from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_there_are_no_signals_and_no_drawers():
    forbidden = {"signals.py", "services.py", "utils.py", "helpers.py"}
    found = [
        str(p.relative_to(ROOT))
        for a in ("plgops", "accounts", "scoring", "support")
        for p in (ROOT / a).rglob("*.py")
        if p.name in forbidden
    ]
    assert found == []
