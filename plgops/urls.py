"""Every URL. An app's own are in its urls.py; pages of two apps meet here and nowhere else."""

from django.contrib import admin
from django.urls import include, path

from plgops import views

urlpatterns = [
    path("", views.home, name="home"),
    path("admin/", admin.site.urls),
    path("", include("accounts.urls")),
    path("", include("scoring.urls")),
    path("", include("support.urls")),
]
