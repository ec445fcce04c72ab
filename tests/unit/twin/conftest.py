"""What several tests start from: the shipped samples as the solvers read them, and a small site with a reader."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from facility.models import Layout, Membership
from tests.processes import Home, descendants, is_alive
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from tests.small_run import small_scenario
from twin.models import Scenario
from twin.runs import snapshot


@pytest.fixture(scope="session")
def sample_inputs(django_db_setup, django_db_blocker) -> Callable[..., dict]:
    """Return a function that gives the snapshot of a sample layout under a scenario, to be changed by a test."""
    with django_db_blocker.unblock(), transaction.atomic():
        load_shipped(CATALOGUE, SAMPLES)
        taken = {}
        for layout in Layout.objects.select_related("site"):
            for scenario in Scenario.objects.filter(site=layout.site):
                taken[layout.path, scenario.slug] = snapshot.canonical(snapshot.snapshot(layout, scenario))
        transaction.set_rollback(True)
    return lambda path, scenario="assistants": json.loads(taken[path, scenario])


@pytest.fixture
def catalogue(db) -> None:
    """Load the whole catalogue, for pages that solve."""
    load_shipped(CATALOGUE)


@pytest.fixture
def layout(db) -> Layout:
    """Return the layout of `small_scenario`."""
    return small_scenario()[0]


@pytest.fixture
def viewer(client, layout) -> Client:
    """Return the browser of somebody who may read the layout's site and change nothing."""
    user = get_user_model().objects.create_user("viewer")
    Membership.objects.create(site=layout.site, user=user, role=Membership.Role.VIEWER)
    client.force_login(user)
    return client


@pytest.fixture
def services(monkeypatch) -> Iterator[dict[str, str]]:
    """Return addresses of a PostgreSQL database of the test's own and of Redis."""
    psycopg = pytest.importorskip("psycopg")
    redis = pytest.importorskip("redis")
    server = os.environ.get("TWIN_TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    broker = os.environ.get("TWIN_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    keys = redis.Redis.from_url(broker)
    try:
        admin = psycopg.connect(server, autocommit=True, connect_timeout=5)
        keys.ping()
    except (psycopg.OperationalError, redis.exceptions.ConnectionError) as error:
        pytest.skip(f"no PostgreSQL at {urlsplit(server).hostname} or no Redis at {urlsplit(broker).hostname}: {error}")
    name = prefix = f"twin_test_{os.getpid()}"
    admin.execute(f"drop database if exists {name} with (force)")
    admin.execute(f"create database {name}")
    yield {
        "DATABASE_URL": urlsplit(server)._replace(path=f"/{name}").geturl(),
        "CELERY_BROKER_URL": broker,
        "TWIN_TEST_KEY_PREFIX": prefix,
    }
    admin.execute(f"drop database {name} with (force)")
    admin.close()
    if left := list(keys.scan_iter(f"{prefix}*")):
        keys.delete(*left)
    keys.close()


@pytest.fixture
def new_home(tmp_path) -> Iterator[Callable[..., Home]]:
    homes = []

    def make(n_runs: int, **environment: str) -> Home:
        homes.append(Home(tmp_path, n_runs, **environment))
        return homes[-1]

    yield make
    for home in homes:
        left = [process.pid for process in home.processes if process.poll() is None]
        for pid in {child for parent in left for child in descendants(parent)} | set(left):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        for process in home.processes:
            process.wait()
