"""The one door to the solver processes: whatever solves is asked of them word for word, and their answer handed on.

The web process loads no solver. `manage.py serve` starts a few solver processes (`twin.solvers`) that listen on a
socket in TWIN_HOME; a free one takes the next question. A question that takes too long is stopped, and one that the
same user asks again by the same address stops the older: what it was asked about has changed. To stop is to hang up:
the solver process notices (`twin.solvers.interrupt`).
"""

import hashlib
import http.client
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from twin.middleware import refusal

ANSWER_LIMIT_S = 120.0  # of one question with its wait for a free solver; the longest known, repairs, takes a third
LOADING_S = 20.0  # that a question waits for solvers that are being loaded, before it says so
MOST_OPEN = 32  # questions at once, waiting or being solved; each holds a thread of the web process
MOST_PATH_BYTES = 100  # of a socket's address; systems end at 104 or 108
RETRY_S = 0.1
NOT_HANDED_ON = {"connection", "keep-alive", "content-length", "transfer-encoding", "upgrade", "te", "trailer"}
#: Addresses whose answers take seconds: they leave one solver to everybody else.
SLOW = frozenset(
    {
        "api-layout-rankings",
        "api-layout-repairs",
        "api-comparison-verdict",
        "api-serving",
        "api-serving-predict",
        "api-serving-measured",
        "layout-drill-list",
        "serving",
        "serving-claims",
        "trace",
        "measured-run",
        "compare",
        "comparison-shared",
        "compare-report",
        "compare-report-pdf",
        "compare-report-xlsx",
        "run-report",
        "run-report-pdf",
        "run-report-xlsx",
    }
)


class NotAnswered(Exception):
    """Why a question has no answer, as a status and a sentence."""

    def __init__(self, status: int, sentence: str, retry_s: int = 0) -> None:
        super().__init__(sentence)
        self.status, self.retry_s = status, retry_s


class Question(http.client.HTTPConnection):
    """One request on its way through the door. `drop` ends it from another thread."""

    def __init__(self) -> None:
        super().__init__("localhost", timeout=ANSWER_LIMIT_S)
        self.dropped = False
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Connect to the solvers, or wait a while for them to be loaded."""
        deadline_s = time.monotonic() + (LOADING_S if settings.TWIN_SOLVERS else 0.0)
        while True:
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(self.timeout)
            try:
                link.connect(str(socket_path()))
            except OSError as error:  # not there yet, left behind by a process that ended, or its queue is full
                link.close()
                if self.dropped or time.monotonic() >= deadline_s:
                    raise _no_solver() from error
                time.sleep(RETRY_S)
                continue
            with self._lock:
                self.sock = link
            if self.dropped:
                self.drop()
            return

    def drop(self) -> None:
        """Hang up, so that the waiting request and the solve end at once."""
        with self._lock:
            self.dropped = True
            if self.sock is not None:
                try:
                    self.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # it has ended by itself


def _no_solver() -> NotAnswered:
    if settings.TWIN_SOLVERS:
        sentence = (
            "The solvers are being loaded; the first start on a machine compiles them, about a minute. Ask again in a "
            "few seconds."
        )
        return NotAnswered(503, sentence, 5)
    return NotAnswered(
        503,
        "No solver process runs beside this web server, so nothing can be solved here. `manage.py serve` starts both; "
        "with TWIN_SOLVES_HERE=1 a web server solves by itself.",
    )


def socket_path() -> Path:
    """Return where the solver processes listen: in TWIN_HOME, or by a digest of it where that path is too long."""
    path = settings.TWIN_HOME / "solvers.sock"
    if len(os.fsencode(path)) <= MOST_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"twin-{os.getuid()}-{digest}" / "solvers.sock"


def is_open() -> bool:
    """Return whether solver processes are loaded and take questions."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(socket_path())) == 0


_under_way: dict[tuple[int, str], Question] = {}  # by user and address
_lock = threading.Lock()
_places = threading.BoundedSemaphore(MOST_OPEN)
#: Of this process; all web processes together leave one solver free where there are more solvers than processes.
_slow_places = threading.BoundedSemaphore(max(1, (settings.TWIN_SOLVERS - 1) // settings.TWIN_WEB_PROCESSES))


@csrf_exempt  # the solver process checks it: reading a form here would leave nothing to hand on
def solved(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    """Return what the solver processes answer to a request, or why there is no answer."""
    question, key = Question(), _key(request)
    body = request.body
    if not connection.in_atomic_block:  # a transaction of whoever called goes on
        connection.close()  # whoever waits holds none
    try:
        with _place(request.resolver_match.url_name), _newest(key, question):
            return _handed_on(request, body, question)
    except NotAnswered as why:
        headers = {"Retry-After": str(why.retry_s)} if why.retry_s else {}
        return refusal(request, why.status, str(why), **headers)


def _key(request: HttpRequest) -> tuple[int, str] | None:
    """Return what makes a question the same as an older one; programs may ask several at once, so theirs never are."""
    if request.method != "GET" or "Authorization" in request.headers or not request.user.is_authenticated:
        return None
    return request.user.pk, request.get_full_path()


@contextmanager
def _place(name: str | None) -> Iterator[None]:
    """Hold one of the places at the door, and for slow questions one of the solvers that may be busy with them."""
    if not _places.acquire(blocking=False):
        raise NotAnswered(503, f"{MOST_OPEN} questions are being solved or wait already; ask again in a moment.", 5)
    try:
        if name not in SLOW:
            yield
        elif _slow_places.acquire(timeout=ANSWER_LIMIT_S):
            try:
                yield
            finally:
                _slow_places.release()
        else:
            raise NotAnswered(503, "The solvers are busy with other long questions; ask again in a moment.", 30)
    finally:
        _places.release()


@contextmanager
def _newest(key: tuple[int, str] | None, question: Question) -> Iterator[None]:
    """Drop the same user's older question of the same address while this one is under way."""
    if key is None:
        yield
        return
    with _lock:
        older, _under_way[key] = _under_way.get(key), question
    if older:
        older.drop()
    try:
        yield
    finally:
        with _lock:
            if _under_way.get(key) is question:
                del _under_way[key]


def _handed_on(request: HttpRequest, body: bytes, question: Question) -> HttpResponse:
    headers = {name: value for name, value in request.headers.items() if name.lower() not in NOT_HANDED_ON}
    try:
        question.request(request.method, request.get_full_path(), body, headers)
        answer = question.getresponse()
        content = answer.read()
    except TimeoutError as error:
        raise NotAnswered(504, f"This took longer than {ANSWER_LIMIT_S:.0f} s and was stopped.") from error
    except (OSError, http.client.HTTPException, NotAnswered) as error:
        if question.dropped:
            raise NotAnswered(409, "You asked the same again meanwhile; this older question was stopped.") from error
        if isinstance(error, NotAnswered):
            raise
        raise NotAnswered(503, "The solver process ended before it had an answer; ask again.", 2) from error
    finally:
        question.close()
    kept = {name: value for name, value in answer.getheaders() if name.lower() not in NOT_HANDED_ON | {"set-cookie"}}
    handed_on = HttpResponse(content, status=answer.status, reason=answer.reason, headers=kept)
    for cookie in answer.headers.get_all("Set-Cookie", ()):
        handed_on.cookies.update(SimpleCookie(cookie))
    return handed_on
