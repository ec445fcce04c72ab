"""Settings of the test suite: the product's own, with a memory broker and quick password hashes."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from twin.settings import *  # noqa: F403
from twin.settings import CACHES, DATABASES, EMBEDDED_DATABASE, REST_FRAMEWORK  # noqa: F401

# Its own counts, which no other process of the suite adds to; before the library of metrics is loaded.
TWIN_METRICS_DIR = Path(tempfile.mkdtemp(prefix="twin-test-metrics-"))
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(TWIN_METRICS_DIR)
atexit.register(shutil.rmtree, TWIN_METRICS_DIR, ignore_errors=True)
CELERY_BROKER_URL = "memory://"  # before the first publish: Celery keeps its producer pool
CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.02}
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
TWIN_SOLVES_HERE, ROOT_URLCONF = True, "twin.solvers.urls"  # the door has tests of its own
TWIN_RING_EVERY_S = 0  # a worker in a thread of a test must not write beside it
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
if EMBEDDED_DATABASE:  # a file, so that the live server and the worker thread have connections of their own
    DATABASES["default"]["TEST"] = {"NAME": str(Path(tempfile.gettempdir()) / f"twin-test-{os.getpid()}.sqlite3")}
# What pages keep is tested where it is asked for; elsewhere tests change rows without counting a version.
CACHES = CACHES | {
    name: {"BACKEND": "django.core.cache.backends.dummy.DummyCache"} for name in ("pages", "descriptions")
}
