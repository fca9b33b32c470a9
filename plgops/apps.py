from django.apps import AppConfig

from plgops import checks  # noqa: F401  registers the system checks


class PlgopsConfig(AppConfig):
    name = "plgops"
