"""Among how many people what a rule flags would be shared out."""

from __future__ import annotations

from accounts.models import StaffUser
from plgops.lib import access


def count() -> int:
    """Active staff in the role of sales rep, as of now: who worked in the past is not on record."""
    return StaffUser.objects.filter(is_active=True, groups__name=access.SALES_REP).count()
