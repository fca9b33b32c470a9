from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps

from plgops import checks  # noqa: F401  registers the system checks


class PlgopsConfig(AppConfig):
    name = "plgops"
    default = True


class DeskConfig(admin_apps.AdminConfig):
    """Django's admin, with our own site: see plgops.lib.desk."""

    default_site = "plgops.lib.desk.Desk"
    default = False
