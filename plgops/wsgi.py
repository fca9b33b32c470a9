"""The web process."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections

from plgops.checks import refuse_wrong_zone
from plgops.lib import collector

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plgops.settings")
application = get_wsgi_application()
refuse_wrong_zone()
connections.close_all()
collector.settle()
