"""The web process."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.db import connections

from plgops.checks import refuse_wrong_zone
from plgops.lib import collector

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plgops.settings")
try:
    application = get_wsgi_application()
    refuse_wrong_zone()
except ImproperlyConfigured as error:
    sys.stderr.write(f"plgops: {error}\n")
    raise SystemExit(3) from error  # what gunicorn calls "failed to boot": it stops instead of trying for ever
connections.close_all()
collector.settle()
