"""The door to the solver processes, before a small server that stands for them."""

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, reverse
from drf_spectacular.generators import SchemaGenerator

from twin import solver_door, urls
from twin.api.solved import SolvedView
from twin.management.commands import serve
from twin.solvers.urls import SOLVED
from twin.views.urls import solved

ANSWER = "/api/layouts/7/answer/?scenario=year"


class Answering(BaseHTTPRequestHandler):
    """Says what it was asked, but waits for the test where the address says so, and ends where it says that."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.is_asked.set()
        if "hang-up" in self.path:
            self.server.go.wait(20)
            return
        if "wait" in self.path and len(self.server.asked) == 1:
            self.server.go.wait(20)
        size = int(self.headers.get("Content-Length") or 0)
        body = {"method": self.command, "path": self.path, "headers": dict(self.headers.items())}
        body["body"] = self.rfile.read(size).decode()
        content = json.dumps(body).encode()
        self.send_response(418)
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("X-Of", "the solver"),
            ("Set-Cookie", "csrftoken=abc; Path=/; SameSite=Lax"),
            ("Set-Cookie", "other=1; HttpOnly"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Solvers(socketserver.ThreadingUnixStreamServer):
    """Solver processes of a test."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, Answering)
        self.asked: list[str] = []
        self.is_asked, self.go = threading.Event(), threading.Event()

    def get_request(self):
        request, _ = super().get_request()
        return request, ("solver", 0)


@pytest.fixture
def home(tmp_path, settings):
    settings.TWIN_HOME, settings.ROOT_URLCONF, settings.TWIN_SOLVERS = tmp_path, "twin.urls", 0
    return tmp_path


@pytest.fixture
def solvers(home) -> Iterator[Solvers]:
    path = solver_door.socket_path()
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with Solvers(str(path)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.go.set()
        server.shutdown()
        thread.join()


def asked(address: str = ANSWER, name: str = "api-layout-answer", **headers: str):
    return passed(RequestFactory().get(address, **headers), name)


def passed(request, name: str):
    request.user, request.resolver_match = SimpleNamespace(is_authenticated=True, pk=1), SimpleNamespace(url_name=name)
    return solver_door.solved(request)


def test_whatever_solves_is_behind_the_door_and_nothing_else():
    def by_name(patterns) -> dict:
        found = {}
        for entry in patterns:
            if isinstance(entry, URLResolver):
                found |= {} if entry.namespace else by_name(entry.url_patterns)
            elif isinstance(entry, URLPattern) and entry.name:
                found[entry.name] = entry.callback
        return found

    behind = set()
    for name, callback in by_name(urls.urlpatterns).items():
        kind = getattr(callback, "cls", None)
        if callback is solved or (kind and issubclass(kind, SolvedView) and not hasattr(callback, "actions")):
            behind.add(name)
    actions = {"api-run-launch", "api-comparison-verdict"}  # of resources whose other answers are stored
    assert behind | actions == set(SOLVED)
    assert set(SOLVED) > solver_door.SLOW


@pytest.mark.slow
def test_both_kinds_of_processes_describe_the_same_api():
    documents = [
        SchemaGenerator(urlconf=urlconf).get_schema(public=True) for urlconf in ("twin.urls", "twin.solvers.urls")
    ]
    assert documents[0] == documents[1]


def test_a_question_and_its_answer_are_handed_on_word_for_word(solvers):
    request = RequestFactory().post(
        "/serving/traces/?engine=vllm", {"file": "lengths"}, HTTP_COOKIE="sessionid=s; csrftoken=t", HTTP_HOST="twin"
    )
    request.user, request.resolver_match = (
        SimpleNamespace(is_authenticated=True, pk=1),
        SimpleNamespace(url_name="trace"),
    )
    answer = solver_door.solved(request)
    assert (answer.status_code, answer["X-Of"], "Connection" in answer) == (418, "the solver", False)
    assert answer.cookies["csrftoken"].value == "abc"
    assert answer.cookies["other"]["httponly"]
    body = json.loads(answer.content)
    assert (body["method"], body["path"]) == ("POST", "/serving/traces/?engine=vllm")
    assert (body["headers"]["Cookie"], body["headers"]["Host"]) == ("sessionid=s; csrftoken=t", "twin")
    assert "lengths" in body["body"]


def test_a_newer_question_of_the_same_user_and_address_stops_the_older(solvers):
    answers = []
    older = threading.Thread(target=lambda: answers.append(asked(ANSWER + "&wait")))
    older.start()
    assert solvers.is_asked.wait(20)
    assert asked(ANSWER + "&wait").status_code == 418
    older.join(20)
    [stopped] = answers
    assert stopped.status_code == 409
    assert "You asked the same again" in json.loads(stopped.content)["message"]


def test_questions_of_programs_and_of_other_addresses_stop_nothing(solvers):
    answers = []
    older = threading.Thread(target=lambda: answers.append(asked(ANSWER + "&wait")))
    older.start()
    assert solvers.is_asked.wait(20)
    assert asked(ANSWER).status_code == 418
    assert asked(ANSWER + "&wait", HTTP_AUTHORIZATION="Token t").status_code == 418
    solvers.go.set()
    older.join(20)
    assert answers[0].status_code == 418


def test_what_takes_too_long_is_stopped_and_says_so(solvers, monkeypatch):
    monkeypatch.setattr(solver_door, "ANSWER_LIMIT_S", 0.1)
    answer = asked(ANSWER + "&wait")
    assert (answer.status_code, "was stopped" in json.loads(answer.content)["message"]) == (504, True)


def test_a_solver_that_ends_over_a_question_is_said(solvers):
    solvers.go.set()
    answer = asked(ANSWER + "&hang-up")
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert "ended before it had an answer" in json.loads(answer.content)["message"]


def test_more_questions_than_there_are_places_for_are_refused(solvers, monkeypatch):
    monkeypatch.setattr(solver_door, "_places", threading.BoundedSemaphore(1))
    older = threading.Thread(target=asked, args=(ANSWER + "&wait",))
    older.start()
    assert solvers.is_asked.wait(20)
    answer = asked(ANSWER)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    solvers.go.set()
    older.join(20)
    assert asked(ANSWER).status_code == 418


def test_slow_questions_leave_a_solver_to_the_others(solvers, monkeypatch):
    monkeypatch.setattr(solver_door, "_slow_places", threading.BoundedSemaphore(1))
    older = threading.Thread(target=asked, args=("/api/layouts/7/repairs/?wait", "api-layout-repairs"))
    older.start()
    assert solvers.is_asked.wait(20)
    monkeypatch.setattr(solver_door, "ANSWER_LIMIT_S", 0.1)
    refused = asked("/api/layouts/7/rankings/", "api-layout-rankings")
    assert (refused.status_code, "other long questions" in json.loads(refused.content)["message"]) == (503, True)
    assert asked(ANSWER).status_code == 418
    solvers.go.set()
    older.join(20)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("n_solvers", "words", "again"), [(0, "No solver process runs", False), (2, "are being loaded", True)]
)
def test_where_no_solver_listens_page_and_api_say_so(
    home, settings, viewer, layout, monkeypatch, n_solvers, words, again
):
    settings.TWIN_SOLVERS = n_solvers
    monkeypatch.setattr(solver_door, "LOADING_S", 0.0)
    page = viewer.get(reverse("layout-detail", args=[layout.site.slug, layout.slug]))
    assert (page.status_code, words in page.content.decode()) == (503, True)
    assert ("Refresh" in page, "asks again by itself" in page.content.decode()) == (again, again)
    sent = viewer.post(reverse("layout-drill", args=[layout.site.slug, layout.slug]))
    assert (sent.status_code, "Refresh" in sent) == (503, False)  # what was sent is not sent twice
    answer = viewer.get(reverse("api-layout-answer", args=[layout.pk]))
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert words in answer.json()["message"]
    assert ("Retry-After" in answer, "Refresh" in answer) == (again, False)


@pytest.mark.django_db
def test_who_is_not_signed_in_does_not_reach_the_solvers(solvers, layout):
    page = Client().get(reverse("layout-detail", args=[layout.site.slug, layout.slug]))
    assert (page.status_code, page["Location"].startswith("/login/")) == (302, True)
    assert Client().get(reverse("api-layout-answer", args=[layout.pk])).status_code == 401
    assert solvers.asked == []


def test_a_long_home_has_its_socket_elsewhere_and_no_two_the_same(settings, tmp_path):
    settings.TWIN_HOME = tmp_path / ("long" * 30)
    path = solver_door.socket_path()
    assert len(str(path)) < solver_door.MOST_PATH_BYTES
    settings.TWIN_HOME = tmp_path / ("long" * 31)
    assert solver_door.socket_path() != path


def test_serve_gives_the_web_process_a_thread_for_every_question_that_waits(settings):
    settings.TWIN_SOLVES_HERE = False
    command = serve._web_command("127.0.0.1", 8000, 8)
    assert command[command.index("--threads") + 1] == str(8 + solver_door.MOST_OPEN)
    settings.TWIN_SOLVES_HERE = True
    command = serve._web_command("127.0.0.1", 8000, 8)
    assert command[command.index("--threads") + 1] == "8"
