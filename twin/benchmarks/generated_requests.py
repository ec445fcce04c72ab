"""What the API answers, held to its own OpenAPI document: generated requests, alone and in sequences.

Three kinds of request, in turn: drawn from the document; drawn so that they break it; and rows that are there with one
field drawn, which get past the first refusal. Names in addresses and questions are those of what is there as often as
drawn ones. Each request alone is taken back, so that all find the same; a sequence creates, reads, changes and deletes
one object and then asks for it again.

An answer must have a documented status and content type, fit its schema, and never be a server error; a parameter that
the document forbids must be refused; what was deleted must be gone. `manage.py benchmark schema` sends
them in a database of its own. Needs the tools of `make test`.
"""

import datetime as dt
import io
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import schemathesis
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.checks import negative_data_rejection

from facility.models import (
    AirUnit,
    ApiToken,
    CpuServer,
    Fabric,
    FloorFeature,
    Layout,
    Membership,
    Organisation,
    Product,
    Storage,
)
from twin.benchmarks.big_layout import big_layout
from twin.benchmarks.measure import peak_bytes
from twin.comparisons import sharing
from twin.core.inputs.parameters import Truth
from twin.core.telemetry import publish
from twin.core.telemetry.quantities import point_name
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.models import Scenario, Study, TelemetrySource
from twin.runs import execution, snapshot
from twin.sweeps.asked import sweep_ask
from twin.sweeps.solving import point_solve
from twin.telemetry import making, store, studies
from twin.telemetry.sources import source_save

schemathesis.serializer.alias("application/x-protobuf", "application/octet-stream")  # sent as it is drawn
SEQUENCES_FRAC = 0.25  # of the cases, at most
#: What takes seconds where the layout is there: asked a few times only, else the solvers are measured.
SLOW = ("/rankings/", "/repairs/", "/sensitivity/", "/drill/", "/sites/import/", "/verdict/")
SLOW_CASES = 4
YEARS = "/sensitivity/"  # solves years: asked of layouts that are not there
REAL = 0.7  # how often a name in an address is one that is there


@dataclass(frozen=True, slots=True)
class Miss:
    """An answer that the document does not describe."""

    operation: str
    status: int
    problem: str
    request: str
    answer: str

    def __str__(self) -> str:
        return f"{self.operation} -> {self.status}: {self.problem}\n    {self.request}\n    {self.answer}"


@dataclass(slots=True)
class Exercised:
    """What was asked and what came of it."""

    cases: int = 0
    in_sequences: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    by_operation: dict[str, Counter[int]] = field(default_factory=dict)
    misses: dict[tuple[str, int, str], Miss] = field(default_factory=dict)  # the first of each kind


def exercise(secret: str, n_cases: int, *, seed: int = 0) -> Exercised:
    """Send generated requests to the API as the owner of a token.

    Parameters
    ----------
    secret : str
        Of a token that may read and change what is there.
    n_cases : int
        Requests, about.
    seed : int
        The same seed gives the same requests.

    Returns
    -------
    Exercised
        Counts, and the first miss of each kind.
    """
    return _Exerciser(secret, random.Random(seed)).run(n_cases)


class _Exerciser:
    """The requests of one run, and what came of them."""

    def __init__(self, secret: str, rng: random.Random) -> None:
        self.headers = {"Authorization": f"Token {secret}", "Accept-Encoding": "identity", "Host": "127.0.0.1"}
        self.checks = [
            not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_headers_conformance,
            checks.response_schema_conformance,
        ]
        self.rng = rng
        self.found = Exercised()
        with _connection_kept():
            document = schemathesis.openapi.from_wsgi("/api/schema/", get_wsgi_application(), headers=self.headers)
        self.operations = {result.ok().label: result.ok() for result in document.get_all_operations()}
        self.rows: dict[str, list[dict[str, Any]]] = {}  # what is there, by the address of its list

    def run(self, n_cases: int) -> Exercised:
        """Send all requests and return what came of them."""
        with _connection_kept():
            self._read_what_is_there()
            creatable = [path for path, rows in self.rows.items() if rows and f"POST {path}" in self.operations]
            each = max(3, round(n_cases * (1 - SEQUENCES_FRAC) / len(self.operations)))
            for label in self.operations:
                self._alone(label, min(each, SLOW_CASES) if label.endswith(SLOW) else each)
            while self.found.cases < n_cases and creatable:
                before = self.found.cases
                for path in creatable:
                    self._sequence(path)
                if self.found.cases == before:
                    break
        return self.found

    def _read_what_is_there(self) -> None:
        for label, operation in self.operations.items():
            method, _, path = label.partition(" ")
            listed = f"GET {path}{{id}}/" in self.operations or f"GET {path}{{slug}}/" in self.operations
            if method == "GET" and (listed or path == "/api/catalogue/"):
                answer = self._send(operation.Case(), keep=False)
                self.rows[path] = answer.json()["results"]

    def _alone(self, label: str, n: int) -> None:
        """Send an operation's requests, each taken back."""
        operation = self.operations[label]
        takes_input = label.startswith(("POST", "PUT", "PATCH")) or any(operation.iter_parameters())
        shares = {GenerationMode.POSITIVE: n - n // 3, GenerationMode.NEGATIVE: n // 3 if takes_input else 0}
        for mode, count in shares.items():
            if not count:
                continue
            limits = settings(
                max_examples=count,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            asked = self._asker(refuse=mode is GenerationMode.NEGATIVE and label.startswith("GET"))
            with suppress(Unsatisfiable):  # whatever is drawn for some operations, the document allows it
                limits(given(case=operation.as_strategy(generation_mode=mode))(asked))()

    def _asker(self, *, refuse: bool) -> Callable[..., None]:
        """Return what sends a drawn request; one that must be refused goes as drawn, unless something is empty."""

        def asked(case: Any) -> None:
            refused = refuse and all(case.query.values())
            self._send(case if refused else self._placed(case), refuse=refused)

        return asked

    def _placed(self, case: Any) -> Any:
        """Return a case about something that is there, as often as not with a body that is nearly right."""
        path = case.operation.path
        rows = self.rows.get(re.sub(r"\{\w+\}.*", "", path), [])
        there = rows and not path.endswith(YEARS) and self.rng.random() < REAL
        row = self.rng.choice(rows) if there else None
        if row:
            for name in case.path_parameters or {}:
                if name in row:
                    case.path_parameters[name] = row[name]
        for name in case.query or {}:
            if self.rng.random() < REAL and (real := self._real(name)) is not None:
                case.query[name] = real
        listed = self.rows.get(path, [])
        model = row or (self.rng.choice(listed) if listed else None)
        if model and isinstance(case.body, dict) and self.rng.random() < REAL:
            drawn = list(case.body.items())
            case.body = self._unnamed(model) | dict(self.rng.sample(drawn, min(1, len(drawn))))
        elif isinstance(case.body, dict):
            case.body |= {name: real for name in case.body if (real := self._real(name)) and self.rng.random() < REAL}
        return case

    def _real(self, name: str) -> Any:
        """Return a value that a field or query parameter of this name may have here; None where none is known."""
        by_slug = {"site": "sites", "weather": "weather"}
        by_id = {
            "layout": "layouts",
            "hall": "halls",
            "cdu": "cdus",
            "plant": "cooling-plants",
            "parent": "power-feeds",
            "feed_a": "power-feeds",
            "feed_b": "power-feeds",
        }
        for names, key in ((by_slug, "slug"), (by_id, "id")):
            if rows := self.rows.get(f"/api/{names.get(name)}/"):
                return self.rng.choice(rows)[key]
        if name == "scenario":
            return self.rng.choice(self.rows["/api/scenarios/"])["slug"]
        if name == "hours":
            return self.rng.choice(["design", "0", "4711,12", "design,8759"])
        return [row["id"] for row in self.rows["/api/runs/"]][:2] if name == "runs" else None

    def _unnamed(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row as the body of another one: without what the server gives, under a name of its own."""
        own = {name: value for name, value in row.items() if name not in ("id", "updated_at", "created_at")}
        for name in ("name", "slug"):
            if own.get(name):
                own[name] = f"x{self.rng.randrange(10**6)}"
        return own

    def _sequence(self, path: str) -> None:
        """Create one object from a row that is there, read, change and delete it, and ask for it again."""
        key = "id" if f"GET {path}{{id}}/" in self.operations else "slug"
        item_path = f"{path}{{{key}}}/"
        with transaction.atomic():
            before = self.found.cases
            created = self._in_sequence(f"POST {path}", body=self._unnamed(self.rng.choice(self.rows[path])))
            if created.status_code in (200, 201, 202):
                name = created.json()[key]
                place = {"path_parameters": {key: name}}
                read = self._in_sequence(f"GET {item_path}", **place)
                if read.status_code != 200:
                    self._miss(f"GET {item_path}", read.status_code, "it was created and is not there", "", "")
                for method in ("PATCH", "PUT", "PATCH"):
                    if f"{method} {item_path}" in self.operations and read.status_code == 200:
                        row = read.json()
                        changed = self.rng.sample(sorted(row), min(3, len(row))) if method == "PATCH" else list(row)
                        body = {field: self._near(row[field]) for field in changed if field != key}
                        self._in_sequence(f"{method} {item_path}", body=body, **place)
                        read = self._in_sequence(f"GET {item_path}", **place)
                self._in_sequence(f"GET {path}")
                if f"DELETE {item_path}" in self.operations:
                    gone = self._in_sequence(f"DELETE {item_path}", **place)
                    again = self._in_sequence(f"GET {item_path}", **place)
                    if gone.status_code == 204 and again.status_code != 404:
                        self._miss(f"GET {item_path}", again.status_code, "it was deleted and is still there", "", "")
                    self._in_sequence(f"DELETE {item_path}", **place)
            self.found.in_sequences += self.found.cases - before
            transaction.set_rollback(True)

    def _near(self, value: Any) -> Any:
        """Return a value as it is, or another that has its type or not quite."""
        if self.rng.random() < 0.6:
            return value
        others = {bool: [True, False, "yes"], int: [0, 1, -1, 2**63, 1.5], float: [0.0, -1.0, 1e308, "1"]}
        return self.rng.choice([*others.get(type(value), ["", "x" * 300, "é\u202e", "a/b"]), None, [], {}])

    def _in_sequence(self, label: str, **parts: Any) -> Any:
        if "body" in parts:
            parts["media_type"] = "application/json"
        return self._send(self.operations[label].Case(**parts), keep=True)

    def _send(self, case: Any, *, keep: bool = False, refuse: bool = False) -> Any:
        """Send a request and note what the document does not describe; taken back unless it is kept."""
        label = case.operation.label
        with transaction.atomic():
            answer = case.call(headers=self.headers)
            if not keep:
                transaction.set_rollback(True)
        status = answer.status_code
        self.found.cases += 1
        self.found.statuses[status] += 1
        self.found.by_operation.setdefault(label, Counter())[status] += 1
        try:
            case.validate_response(answer, checks=[*self.checks, *([negative_data_rejection] if refuse else [])])
        except BaseExceptionGroup as failures:
            for failure in failures.exceptions:
                self._miss(label, status, str(failure), case.as_curl_command(), answer.text)
        return answer

    def _miss(self, label: str, status: int, problem: str, request: str, answer: str) -> None:
        kind = problem.partition("\n")[0]
        summary = re.sub(r"\s+", " ", problem)[:300]
        self.found.misses.setdefault((label, status, kind), Miss(label, status, summary, request[:500], answer[:300]))


@contextmanager
def _connection_kept() -> Iterator[None]:
    """Keep the database's connection over requests of this thread, as Django's own test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


def make_site() -> str:
    """Make a hall with all that the API knows, two finished runs and a comparison; return a token of its owner."""
    layout, scenario = big_layout(100, n_classes=2, slug="generated")
    hall = layout.halls.first()
    AirUnit.objects.create(layout=layout, hall=hall, name="A1", x_m=18, y_m=1)
    FloorFeature.objects.create(layout=layout, hall=hall, name="W1", type="wall", x_m=0, y_m=0, width_m=1, depth_m=0.2)
    leaf = Product.objects.filter(kind="network_switches").first()
    Fabric.objects.create(layout=layout, name="F1", leaf=leaf)
    Storage.objects.create(layout=layout, name="S1", product=Product.objects.filter(kind="storage").first())
    CpuServer.objects.create(layout=layout, name="C1", product=Product.objects.filter(kind="cpu_servers").first())
    owner = get_user_model().objects.create_user("owner")
    layout.site.organisation = Organisation.objects.create(slug="owners", name="Owners")
    layout.site.save()
    Membership.objects.create(organisation=layout.site.organisation, user=owner, role=Membership.Role.OWNER)
    reader = get_user_model().objects.create_user("reader")
    Membership.objects.create(site=layout.site, user=reader, role=Membership.Role.VIEWER)
    runs = [execution.run_now(layout=layout, scenario=scenario) for _ in range(2)]
    sharing.comparison_create(runs=runs, user=owner, name="Two runs")
    broker = TelemetrySource(site=layout.site, name="Building", address="mqtts://broker.example.org")
    source_save(user=None, source=broker)
    price = {"object": "scenario", "field": "electricity_usd_per_kwh", "values": [0.05, 0.06]}
    sweep = sweep_ask(layout=layout, scenario=scenario, axes=[price], user=owner)
    for point_id in sweep.points.values_list("id", flat=True):
        point_solve(point_id)
    _answer_readings(layout, scenario)
    _, secret = ApiToken.issue(user=owner, name="schema", read_only=False)
    return secret


def _answer_readings(layout: Layout, scenario: Scenario) -> None:
    """Store a day of a layout's own points, and answer each kind of question about them."""
    start_s = 1_782_864_000.0  # 2026-07-01T00:00:00Z
    published = publish.publish(
        snapshot.inputs_now(layout, scenario),
        start_s=start_s,
        offset_s=0.0,
        hours=24,
        step_s=3600.0,
        noise=publish.usual_noise(1.0),
        truths=[Truth("site|power_w", "sensor_gain", 1.05)],
    )
    times = np.round(published.times * 1e3).astype(np.int64)
    good = np.ones(times.size, np.uint8)
    readings = {MappedPoint(point_name(*key), *key): (times, values, good) for key, values in published.points.items()}
    store.append(layout.site, Readings(readings))
    start = dt.datetime.fromtimestamp(start_s, dt.UTC)
    made = [studies.advice_ask(layout=layout, scenario=scenario)]
    for kind in Study.OF_READINGS:
        study = studies.study_ask(
            kind=kind, layout=layout, scenario=scenario, start_at=start, end_at=start + dt.timedelta(days=1)
        )
        made.append(study)
    for study in made:
        making.study_make(study.id)


def measure(n_cases: int, say: Callable[[str], object]) -> dict[str, Any]:
    """Send requests in a database of this process's own, and return what came of them."""
    call_command("migrate", verbosity=0)
    call_command("load_catalogue", stdout=io.StringIO())
    secret = make_site()
    logging.disable(logging.CRITICAL)  # every refusal would be a line
    started_s = time.process_time()
    found = exercise(secret, n_cases)
    for miss in found.misses.values():
        say(f"{miss}\n")
    return {
        "cases": found.cases,
        "in_sequences": found.in_sequences,
        "misses": [f"{miss.operation} {miss.status}: {miss.problem[:80]}" for miss in found.misses.values()],
        "cpu_s": time.process_time() - started_s,
        "peak_bytes": peak_bytes(),
    }
