"""The Celery application; `TwinConfig.ready` imports it so that tasks find their broker."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twin.settings")
app = Celery("twin")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["twin.runs"])
app.steps["worker"].add("twin.runs.worker_steps:RingStep")
