"""Planners who draw at once, each on a layout of their own, through the product's own web server.

A planner saves an edit and asks for the instant answer, as the drawing board does; now and then the next edit follows
before the answer is there. A reader opens pages that solve nothing meanwhile. What happens when follows from a seed;
how long it takes does not.
"""

import http.client
import json
import random
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import import_module

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.db.models import F
from django.urls import reverse

from facility.models import Rack
from twin.benchmarks.big_layout import big_layout

SEED = 11
HASTY_SHARE = 0.25  # of edits, that the next one follows before they are answered
HASTE_S = 0.1
READ_EVERY_S = 0.5
PATIENCE_S = 300.0  # with one question or page; what takes longer is lost
START_S = 300.0  # until a server that compiles its solvers must be there
CSRF_TOKEN = "b" * 32


@dataclass(frozen=True, slots=True)
class Planner:
    """A signed-in user with a layout: its addresses, version and racks."""

    session: str
    edits: str
    answer: str
    pages: list[str]
    version: int
    racks: list[int]


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: how long the planner looks before it, and whether it follows the last one's answer or does not wait."""

    pause_s: float
    hasty: bool
    rack: int  # counted among the planner's
    flow_m3_per_s: float


@dataclass(slots=True)
class Log:
    """What came of all questions. `ends` counts answered, superseded, refused and lost ones."""

    ends: Counter = field(default_factory=Counter)
    answer_s: list[float] = field(default_factory=list)  # from the edit to its answer
    page_s: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)  # the bodies of refusals, shortened
    lock: threading.Lock = field(default_factory=threading.Lock)

    def end(self, end: str, text: str = "") -> None:
        """Count the end of a question."""
        with self.lock:
            self.ends[end] += 1
            if text:
                self.refusals.append(text)


def planners_create(n: int, n_racks: int) -> list[Planner]:
    """Make planners with a layout each, no two of whose racks are alike for the solver."""
    return [_planner(i, n_racks) for i in range(n)]


def _planner(i: int, n_racks: int) -> Planner:
    layout, _ = big_layout(n_racks, n_classes=12 if n_racks >= 1000 else 2, slug=f"big-{i}")
    racks = Rack.objects.filter(hall__layout=layout)
    racks.update(coolant_flow_m3_per_s=F("coolant_flow_m3_per_s") * (1 + 0.001 * i))  # or one planner's answer is all's
    user = get_user_model().objects.create_superuser(f"planner-{i}", password=None)
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    here = [layout.site.slug, layout.slug]
    pages = [
        reverse("site-list"),
        reverse("site-detail", args=here[:1]),
        reverse("part-list", args=[*here, "cdus"]),
        reverse("run-list"),
        reverse("glossary"),
    ]
    return Planner(
        session.session_key,
        reverse("api-layout-edits", args=[layout.pk]),
        reverse("api-layout-answer", args=[layout.pk]),
        pages,
        layout.version,
        list(racks.order_by("name").values_list("id", flat=True)),
    )


def edits_of(planner: int, n: int, pause_s: tuple[float, float], n_racks: int) -> list[Edit]:
    """Return the edits of one planner, the same in every run; the first is never hasty."""
    chance = random.Random(f"{SEED}-{planner}-{n}")
    return [
        Edit(
            chance.uniform(*pause_s),
            i > 0 and chance.random() < HASTY_SHARE,
            chance.randrange(n_racks),
            round(chance.uniform(0.0015, 0.0020), 7),
        )
        for i in range(n)
    ]


def await_pages(port: int, planner: Planner, addresses: Iterable[str], serve: subprocess.Popen) -> None:
    """Ask each address until it is there: what a start costs is not what is measured.

    Raises
    ------
    RuntimeError
        If it is not there within `START_S`, or the server has ended.
    """
    deadline_s = time.monotonic() + START_S
    for address in addresses:
        status = 0
        while status != HTTPStatus.OK:
            if time.monotonic() > deadline_s or serve.poll() is not None:
                raise RuntimeError(f"{address} answers {status} after {START_S:.0f} s")
            try:
                status, _ = ask(port, planner, "GET", address)
            except OSError:
                time.sleep(0.5)


def ask(port: int, planner: Planner, method: str, address: str, body: object = None) -> tuple[int, bytes]:
    """Return status and body of a request of a planner."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={planner.session}; csrftoken={CSRF_TOKEN}"}
    if method == "POST":
        headers |= {"Content-Type": "application/json", "X-CSRFToken": CSRF_TOKEN}
    try:
        connection.request(method, address, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def draw(port: int, planner: Planner, edits: list[Edit], log: Log) -> None:
    """Make edits and ask for the answer after each, as the drawing board does."""
    version, asking = planner.version, []
    for edit in edits:
        if edit.hasty:
            time.sleep(HASTE_S)
        else:
            for question in asking:
                question.join()
            time.sleep(edit.pause_s)
        edited_s = time.perf_counter()
        operation = {
            "op": "update",
            "kind": "rack",
            "id": planner.racks[edit.rack],
            "coolant_flow_m3_per_s": edit.flow_m3_per_s,
        }
        status, body = ask(port, planner, "POST", planner.edits, {"version": version, "operations": [operation]})
        if status != HTTPStatus.OK:
            log.end("not saved", f"{status}: {body[:200]!r}")
            continue
        version = json.loads(body)["version"]
        asking.append(threading.Thread(target=_question, args=(port, planner, edited_s, version, log)))
        asking[-1].start()
    for question in asking:
        question.join()


def _question(port: int, planner: Planner, edited_s: float, version: int, log: Log) -> None:
    try:
        status, body = ask(port, planner, "GET", planner.answer)
    except (OSError, http.client.HTTPException) as error:
        log.end("lost", repr(error))
        return
    took_s = time.perf_counter() - edited_s
    if status == HTTPStatus.CONFLICT:
        log.end("superseded", json.loads(body)["message"])
    elif status != HTTPStatus.OK:
        log.end("refused", f"{status}: {body[:200]!r}")
    elif json.loads(body)["layout_version"] < version:
        log.end("lost", f"the answer is of version {json.loads(body)['layout_version']}, the edit made {version}")
    else:
        log.answer_s.append(took_s)
        log.end("answered")


def read_pages(port: int, planner: Planner, log: Log, until: threading.Event) -> None:
    """Open one page after the other, at a steady pace."""
    turn = 0
    while not until.is_set():
        started_s = time.perf_counter()
        status, _ = ask(port, planner, "GET", planner.pages[turn % len(planner.pages)])
        log.page_s.append(time.perf_counter() - started_s)
        if status != HTTPStatus.OK:
            raise RuntimeError(f"{planner.pages[turn % len(planner.pages)]} answered {status}")
        turn += 1
        until.wait(READ_EVERY_S)


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
