"""The worker process: `celery -A plgops worker -B`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plgops.settings")
app = Celery("plgops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
