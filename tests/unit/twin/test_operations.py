"""For operators: probes, metrics, ids in logs, the doctor, the status page."""

import io
import ipaddress
import json
import logging
import os
import re
import subprocess
import sys
from datetime import timedelta
from html import unescape
from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from prometheus_client.parser import text_string_to_metric_families

from facility.models import ApiToken
from tests.small_run import done_run, small_result, small_scenario, use_solver
from twin import log_ids
from twin.models import Run, Worker
from twin.operations import doctor, health, status
from twin.operations import metrics as metrics_of_processes
from twin.runs import execution, services
from twin.telemetry import store

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss():
    return get_user_model().objects.create_superuser("boss")


@pytest.fixture
def worker():
    return Worker.objects.create(name="embedded@here", n_slots=2, seen_at=timezone.now() + timedelta(minutes=5))


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Let each test look at the migrations, and keep its broker where processes of other tests have theirs."""
    monkeypatch.setattr(health, "_applied", [])


def metrics(client, **headers) -> dict[tuple[str, ...], float]:
    """Return samples by their name and the values of their labels."""
    answer = client.get("/metrics", **headers)
    assert answer.status_code == 200, answer.content
    found = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            found[sample.name, *(sample.labels[name] for name in sorted(sample.labels))] = sample.value
    return found


def test_a_process_is_alive_without_asking_anybody(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/health/live/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert client.post("/health/live/").status_code == 405


def test_a_missing_worker_fails_the_whole_and_leaves_pages_ready(client):
    assert client.get("/health/ready/").json() == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "disk": "ok"},
    }
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()["checks"]["worker"]) == (503, "failed")
    Worker.objects.create(name="w", n_slots=1, seen_at=timezone.now())
    assert client.get("/health/").json()["checks"]["worker"] == "ok"


def test_a_database_that_is_away_is_said_and_nothing_else_is_asked_of_it(client, monkeypatch):
    def refuse(*_, **__):
        raise OperationalError('connection to "db.internal" refused')

    monkeypatch.setattr(health.connection, "cursor", refuse)
    monkeypatch.setattr(health.connection, "ensure_connection", refuse)
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "failed")
    assert "db.internal" not in answer.content.decode()


def test_a_disk_that_is_nearly_full_is_not_ready(client, settings):
    settings.TWIN_MIN_FREE_BYTES = 10**18
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()["checks"]["disk"]) == (503, "failed")


def test_unapplied_migrations_are_named_to_administrators_only(client, boss, monkeypatch):
    class Behind:
        def __init__(self, _):
            self.loader = self.graph = self
            self.app_label, self.name = "twin", "9999_next"

        def leaf_nodes(self):
            return []

        def migration_plan(self, _):
            return [(self, False)]

    monkeypatch.setattr(health, "MigrationExecutor", Behind)
    client.force_login(boss)
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()["checks"]["migrations"]) == (503, "failed")
    assert health.migrations().detail == "not applied: twin.9999_next"


def test_details_are_for_administrators(client, boss, worker):
    assert "details" not in client.get("/health/").json()
    client.force_login(boss)
    told = client.get("/health/").json()
    assert told["details"]["worker"] == "1 with 2 slots"
    assert set(told["details"]) == set(told["checks"])


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("nobody", 403),
        ("user", 403),
        ("boss", 200),
        ("token", 200),
        ("token of one site", 403),
        ("wrong token", 401),
        ("listed", 200),
        ("listed proxy", 403),
    ],
)
def test_metrics_are_for_administrators_their_tokens_and_listed_machines(client, boss, settings, who, status):
    headers = {}
    if who == "user":
        client.force_login(get_user_model().objects.create_user("user"))
    elif who == "boss":
        client.force_login(boss)
    elif "token" in who:
        token, secret = ApiToken.issue(user=boss, name="prometheus")
        if "site" in who:
            token.sites.add(small_scenario()[0].site)
        headers["HTTP_AUTHORIZATION"] = f"Token {'x' * 40 if 'wrong' in who else secret}"
    elif who.startswith("listed"):
        settings.TWIN_MONITORING_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
        if "proxy" in who:
            headers["HTTP_X_FORWARDED_FOR"] = "203.0.113.9"
    assert client.get("/metrics", **headers).status_code == status


def test_metrics_count_requests_runs_readings_and_what_waits(client, boss, worker, monkeypatch):
    layout, scenario = small_scenario()
    client.force_login(boss)
    before = metrics(client)
    assert client.get(reverse("run-list")).status_code == 200
    assert client.get("/no/such/address/").status_code == 404
    use_solver(monkeypatch, lambda inputs, progress: small_result())
    execution.run_now(layout=layout, scenario=scenario)
    use_solver(monkeypatch, lambda inputs, progress: (_ for _ in ()).throw(ValueError("no flow")))
    with pytest.MonkeyPatch.context() as now:
        now.setattr("twin.runs.jobs.transaction.on_commit", lambda call: call())
        execution.run_now(layout=layout, scenario=scenario)
    services.run_new(layout, scenario, None)
    Run.objects.create(layout=layout, scenario=scenario, status="running", stage="solving cooling")
    store._count({"accepted": 7})
    after = metrics(client)

    def more(*key: str) -> float:
        return after.get(key, 0.0) - before.get(key, 0.0)

    assert more("twin_requests_total", "GET", "web", "run-list", "200") == 1
    assert more("twin_requests_total", "GET", "web", "none", "404") == 1
    assert more("twin_request_seconds_count", "web", "run-list") == 1
    assert (more("twin_jobs_ended_total", "run", "done"), more("twin_jobs_ended_total", "run", "failed")) == (1, 1)
    assert more("twin_job_seconds_count", "run") == 1
    assert more("twin_readings_total", "accepted") == 7
    assert (after["twin_jobs", "run", "queued"], after["twin_jobs", "run", "done"]) == (1, 1)
    assert after["twin_jobs_running", "run", "solving cooling"] == 1
    assert after["twin_worker_slots", "embedded@here"] == 2
    assert after["twin_check", "database"] == 1
    assert sum(value for (name, *_), value in after.items() if name == "twin_build_info") == 1
    assert after["twin_database_bytes",] > 0


def test_a_request_keeps_the_id_it_brings_and_gets_one_where_it_brings_none_or_a_forged_one(client):
    assert client.get("/health/live/", HTTP_X_REQUEST_ID="from-proxy.1")["X-Request-ID"] == "from-proxy.1"
    made = client.get("/health/live/")["X-Request-ID"]
    assert len(made) == 32
    forged = client.get("/health/live/", HTTP_X_REQUEST_ID="a\nERROR all is lost")["X-Request-ID"]
    assert "\n" not in forged
    assert len(forged) == 32


def test_a_log_line_names_its_request_and_its_job():
    from pythonjsonlogger.json import JsonFormatter

    record = logging.makeLogRecord({"name": "twin", "levelname": "INFO", "msg": "solved"})
    with log_ids.belonging(request_id="r1", job_id="j1"):
        assert log_ids.Ids().filter(record)
    assert log_ids.Line().format(record).endswith("INFO twin request_id=r1 job_id=j1 solved")
    told = json.loads(
        JsonFormatter("{message}", style="{", reserved_attrs=[*vars(logging.makeLogRecord({}))]).format(record)
    )
    assert (told["request_id"], told["job_id"]) == ("r1", "j1")
    assert log_ids.request_id() == ""


def test_a_line_of_django_about_a_request_names_it_too(rf):
    record = logging.makeLogRecord({"msg": "Service Unavailable", "request": rf.get("/", HTTP_X_REQUEST_ID="r2")})
    log_ids.Ids().filter(record)
    assert record.request_id == "r2"


def test_a_run_logs_under_its_own_id(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "twin.runs.jobs")
    seen = []
    use_solver(monkeypatch, lambda inputs, progress: seen.append(log_ids._ids["job_id"].get()) or small_result())
    run = execution.run_now(
        layout=small_scenario()[0], scenario=Run._meta.get_field("scenario").related_model.objects.get()
    )
    assert seen == [str(run.id)]
    assert [record.seconds > 0 for record in caplog.records if record.getMessage().endswith("done")] == [True]


def test_the_status_page_shows_administrators_what_is_wrong_and_nobody_else_anything(client, boss, worker, monkeypatch):
    layout, scenario = small_scenario()
    failed = done_run(layout, scenario)
    Run.objects.filter(id=failed.id).update(status="failed", message="No flow in loop 3.")
    Run.objects.create(layout=layout, scenario=scenario)
    client.force_login(get_user_model().objects.create_user("user"))
    assert client.get("/status/").status_code == 403
    client.force_login(boss)
    client.get(reverse("run-list"))
    monkeypatch.setattr(status, "MOST_ROUTES", 1000)  # of all that this process of the suite has asked
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=80_900_000_000))
    page = client.get("/status/")
    text = page.content.decode()
    assert page.status_code == 200
    sizes = set(re.findall(r"([0-9.]+)\W+GB", unescape(strip_tags(text))))
    assert sizes == {"80.9"}  # what is free is said twice, in gigabytes of the same size
    assert "No flow in loop 3." in text
    assert reverse("run-detail", args=[failed.id]) in text
    assert "embedded@here" in text
    assert "run-list" in text
    assert page.context["queues"][0].n_queued == 1
    [row] = [route for route in page.context["routes"] if route.name == "run-list"]
    assert row.n >= 1
    assert 0 < row.mean_s < 60


@pytest.fixture
def installed(monkeypatch, worker, catalogue):
    """Leave out what the tests' own settings and their database in /tmp are at fault for."""
    monkeypatch.setattr(doctor, "_configuration", lambda: health.Check("configuration", True, "of the tests"))
    monkeypatch.setattr(doctor, "_rights", lambda: health.Check("rights", True, "of the tests"))
    return worker


def test_the_doctor_names_each_fault_and_its_remedy_and_ends_with_one(settings, installed):
    out = io.StringIO()
    call_command("doctor", "--deep", stdout=out)  # all is well
    assert "FAULT" not in out.getvalue()
    settings.TWIN_MIN_FREE_BYTES = 10**18
    installed.delete()
    out = io.StringIO()
    with pytest.raises(CommandError, match="2 faults: disk, worker"):
        call_command("doctor", "--json", stdout=out)
    told = {row["name"]: row for row in json.loads(out.getvalue())}
    assert "TWIN_MIN_FREE_BYTES" in told["disk"]["remedy"]
    assert "celery -A twin.celery worker" in told["worker"]["remedy"] or "serve" in told["worker"]["remedy"]


def test_the_doctor_goes_on_where_the_database_is_away(monkeypatch, installed):
    monkeypatch.setattr(doctor.health, "database", lambda: health.Check("database", False, "away", "Start it."))
    with pytest.raises(CommandError, match="1 fault: database"):
        call_command("doctor", stdout=io.StringIO())


def test_the_doctor_names_queued_work_without_a_message(installed):
    layout, scenario = small_scenario()
    Run.objects.create(layout=layout, scenario=scenario, created_at=timezone.now() - timedelta(minutes=2))
    with pytest.raises(CommandError, match="1 fault: queue"):
        call_command("doctor", stdout=io.StringIO())


def test_the_doctor_finds_a_key_that_others_may_read_and_settings_that_show_code(settings, tmp_path):
    settings.TWIN_HOME, settings.EMBEDDED_DATABASE = tmp_path, False
    tmp_path.chmod(0o700)
    key = tmp_path / "secret_key"
    key.write_text("x")
    key.chmod(0o600)
    assert doctor._rights().ok
    key.chmod(0o644)
    assert doctor._rights() == health.Check(
        "rights", False, f"others on this machine may read {key}", f"Run: chmod go= {key}"
    )
    settings.DEBUG = True
    assert not doctor._configuration().ok


def test_counts_of_ended_processes_are_dropped_and_those_of_living_ones_kept(settings, tmp_path):
    settings.TWIN_METRICS_DIR = tmp_path
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    living = tmp_path / f"histogram_{os.getpid()}.db"
    for file in (tmp_path / f"counter_{ended.stdout.strip()}.db", living, tmp_path / "odd_name.db"):
        file.touch()
    metrics_of_processes.counts_drop()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([living.name, "odd_name.db"])
