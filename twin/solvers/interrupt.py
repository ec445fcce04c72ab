"""Stop solving a question whose asker has hung up: it was asked again, took too long, or the web process has ended.

A thread looks at the connection while the main thread solves; when the other side hangs up it sends the main thread a
signal, whose handler raises `HungUp` there. What is compiled runs to its end first, a fraction of a second.
"""

import select
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from django.db import connections

SIGNAL = signal.SIGUSR2
LOOK_S = 0.2  # also how long an answered question's thread stays


class HungUp(BaseException):
    """The caller no longer waits for the answer. Not an `Exception`: what catches those must not swallow it."""


class Interruptible:
    """A WSGI application whose work ends when its asker hangs up."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application
        self._asking: threading.Event | None = None  # of the question that may be interrupted; set when it is to be

    def listen(self) -> None:
        """Take the signal; asked once in each process, by its main thread."""
        signal.signal(SIGNAL, self._interrupted)

    def _interrupted(self, _: int, __: FrameType | None) -> None:
        asking = self._asking
        if asking is not None and asking.is_set():
            self._asking = None
            raise HungUp

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a question, or with an empty 499 where the caller no longer waits."""
        asker, asking, answered = environ["gunicorn.socket"], threading.Event(), threading.Event()
        try:
            if _is_gone(asker):
                raise HungUp
            self._asking = asking
            threading.Thread(target=_watch, args=(asker, asking, answered), daemon=True).start()
            answer = self.application(environ, start_response)
            self._asking = None
            return answer
        except HungUp:
            connections.close_all()  # in whatever state the interruption left them
            start_response("499 Nobody waits", [("Content-Length", "0")])
            return []
        finally:
            self._asking = None
            answered.set()


def _is_gone(asker: socket.socket) -> bool:
    """Return whether the other side has hung up; a question has been read to its end by now."""
    try:
        return not asker.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _watch(asker: socket.socket, asking: threading.Event, answered: threading.Event) -> None:
    while not answered.is_set():
        try:
            ready, _, _ = select.select([asker], [], [], LOOK_S)
        except (OSError, ValueError):  # closed: it was answered, or has gone, since the last look
            return
        if ready and not answered.is_set():
            if _is_gone(asker):
                asking.set()
                signal.pthread_kill(threading.main_thread().ident, SIGNAL)
            return
