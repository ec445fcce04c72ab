"""How gunicorn runs the pages under `manage.py serve`: its configuration, read by name.

Loading the solvers takes seconds: a thread does it after the worker is up, so that the page is there at once and the
first answer on a drawing does not wait. Only the web server pays for it, no other command.
"""

import threading

FIRST_PAGE_S = 3.0  # the first page goes first: loading machine code lets no other thread of the process work


def post_worker_init(worker) -> None:
    """Load the solvers a moment after the worker answers."""
    timer = threading.Timer(FIRST_PAGE_S, _load)
    timer.daemon = True
    timer.start()


def _load() -> None:
    from twin.warm_up import warm_up

    warm_up()
