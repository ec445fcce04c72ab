"""Solving ends when whoever asked has hung up, and never otherwise."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from twin.solvers import interrupt
from twin.solvers.interrupt import Interruptible

PATIENCE_S = 20.0  # only how long a broken machine is waited for


@pytest.fixture
def ends(monkeypatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    monkeypatch.setattr(interrupt.connections, "close_all", lambda: None)  # the test's own
    before = signal.getsignal(interrupt.SIGNAL)
    asker, solver = socket.socketpair()
    yield asker, solver
    signal.signal(interrupt.SIGNAL, before)
    asker.close()
    solver.close()


def answered(application, solver: socket.socket) -> tuple[list[str], list[bytes]]:
    """Return the statuses that were said, and the answer."""
    said: list[str] = []
    application.listen()
    return said, list(application({"gunicorn.socket": solver}, lambda status, headers: said.append(status)))


def test_a_question_whose_asker_hangs_up_is_left(ends):
    asker, solver = ends
    solving = threading.Event()

    def solve(environ, start_response):
        solving.set()
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            sum(range(100))
        return [b"too late"]

    threading.Thread(target=lambda: (solving.wait(PATIENCE_S), asker.shutdown(socket.SHUT_RDWR))).start()
    assert answered(Interruptible(solve), solver) == (["499 Nobody waits"], [])


def test_a_question_whose_asker_waits_is_answered(ends):
    def solve(environ, start_response):
        start_response("200 OK", [])
        return [b"answer"]

    application = Interruptible(solve)
    assert answered(application, ends[1]) == (["200 OK"], [b"answer"])
    os.kill(os.getpid(), interrupt.SIGNAL)  # one that comes late finds nothing to interrupt
    assert answered(application, ends[1]) == (["200 OK"], [b"answer"])


def test_nothing_is_solved_for_whoever_has_hung_up_before(ends):
    ends[0].close()
    solved = []
    assert answered(Interruptible(lambda *_: solved.append(True)), ends[1]) == (["499 Nobody waits"], [])
    assert solved == []
