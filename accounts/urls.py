"""URLs of this floor."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path

from accounts.views import auth, event_types, sources

urlpatterns: list[URLPattern] = [
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(http_method_names=["post", "options"]), name="logout"),
    path("password/", auth.PasswordView.as_view(), name="password"),
    path("profile/", auth.profile, name="profile"),
    path("profile/preferences/", auth.preferences, name="preferences"),
    path("sources/", sources.source_list, name="sources"),
    path("sources/<int:source_id>/revoke/", sources.source_revoke, name="source-revoke"),
    path("event-types/", event_types.event_type_list, name="event-types"),
    path("event-types/<int:event_type_id>/", event_types.event_type_edit, name="event-type"),
]
