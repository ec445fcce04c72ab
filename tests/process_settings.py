"""Settings of processes that tests start and kill: the product's own, with a solver that waits to be told."""

import os

from twin.settings import *  # noqa: F403
from twin.settings import CELERY_BROKER_URL, EMBEDDED_BROKER, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.waiting_solver.WaitingSolverConfig"]
if not EMBEDDED_BROKER:  # keep out of the way of whatever else uses the same broker
    CELERY_TASK_DEFAULT_QUEUE = os.environ["TWIN_TEST_KEY_PREFIX"]
    CELERY_TASK_QUEUES, CELERY_TASK_ROUTES = None, {}
if CELERY_BROKER_URL.startswith("redis"):
    from twin.settings import CELERY_BROKER_TRANSPORT_OPTIONS

    CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = os.environ["TWIN_TEST_KEY_PREFIX"]
