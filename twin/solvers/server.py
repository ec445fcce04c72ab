"""How gunicorn runs the solver processes under `manage.py serve`: its configuration, read by name.

One process loads and warms the solvers, then forks: its children share the loaded code and are replaced at once.
"""

import gc
import os

from twin.solvers.interrupt import Interruptible

worker_class = "sync"  # one question at a time in each
preload_app = True
umask = 0o077  # the socket is this user's
timeout = 150  # of one that does not hear the interruption; longer than `twin.solver_door` waits
graceful_timeout = 2
NICE = 5  # pages and the web process go first


def when_ready(server) -> None:
    """Leave what is loaded out of garbage collection, so that the children go on sharing its memory."""
    gc.collect()
    gc.freeze()


def post_fork(server, worker) -> None:
    """Let pages go first."""
    os.nice(NICE)


def post_worker_init(worker) -> None:
    """Hear interruptions."""
    application = worker.wsgi
    if isinstance(application, Interruptible):
        application.listen()
