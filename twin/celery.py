"""The Celery application; `TwinConfig.ready` imports it so that tasks find their broker."""

import os

from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES

from facility import acting

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twin.settings")
TRANSPORT_ALIASES["filesystem"] = "twin.runs.embedded_broker:Transport"  # whole messages only
app = Celery("twin")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["twin.runs", "twin.telemetry", "twin.sweeps"])
app.steps["worker"].add("twin.runs.worker_steps:RingStep")


@signals.task_prerun.connect
def _begin(task, **_) -> None:
    task.request.acted_before = acting.act(acting.Acting("worker", task.name))


@signals.task_postrun.connect
def _end(task, **_) -> None:
    """Restore who acted before on this thread: a task may run within a request or a command."""
    acting.act(task.request.acted_before)


signals.setup_logging.connect(lambda **_: None, weak=False)  # workers log as `settings.LOGGING` says, with their ids
