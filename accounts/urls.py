"""URLs of this floor."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path

from accounts.views import auth

urlpatterns: list[URLPattern] = [
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(http_method_names=["post", "options"]), name="logout"),
    path("password/", auth.PasswordView.as_view(), name="password"),
    path("profile/", auth.profile, name="profile"),
    path("profile/preferences/", auth.preferences, name="preferences"),
]
