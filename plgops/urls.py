"""Every URL. An app's own are in its urls.py; pages of two apps meet here and nowhere else."""

from django.contrib import admin
from django.urls import include, path

from accounts.views.accounts import account_page
from plgops import views
from plgops.health import health
from scoring import moments

urlpatterns = [
    path("", views.home, name="home"),
    path("nav/counts/", views.nav_counts, name="nav-counts"),
    path("kit/", views.kit, name="kit"),
    path("health/", health, name="health"),
    path("accounts/<int:account_id>/", account_page, {"strands": moments.STRANDS}, name="account"),
    path("admin/", admin.site.urls),
    path("api/", include("plgops.api_urls")),
    path("", include("scoring.prompt_urls")),  # before the door for facts, which answers all of /v1/
    path("", include("accounts.urls")),
    path("", include("scoring.urls")),
    path("", include("support.urls")),
]

handler400 = "plgops.views.bad_request"
handler403 = "plgops.views.forbidden"
handler404 = "plgops.views.not_found"
handler500 = "plgops.views.server_error"
