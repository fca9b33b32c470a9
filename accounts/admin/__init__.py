"""The operations desk for this floor's tables. Rows are shown; actions call the verbs that the pages call."""

from django.contrib import admin
from django.contrib.auth.models import Group

from accounts.admin import (  # noqa: F401  registers the tables
    deliveries,
    events,
    lifecycle,
    people,
    revenue,
    sources,
    team,
    tokens,
)
from accounts.admin.typed import account_ids as account_ids

admin.site.unregister(Group)  # roles come with the migrations; what they may do is in plgops.lib.access
