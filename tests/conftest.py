"""Fixtures of the whole suite."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import django
import pytest
from django.conf import settings as settings_of_django
from django.db import connection
from hypothesis import settings

# A busy machine is not a failure, and a proof of a commit must not depend on chance; at a desk chance finds more.
settings.register_profile("twin", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("twin")
# Playwright's sync API keeps an event loop running in this thread; Django's ORM refuses to work beside one otherwise.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
REPOSITORY = Path(__file__).resolve().parent.parent
#: What takes tens of seconds to compile where it has not run yet, as the modules that call it name it.
COMPILED = (
    "compute.replay.run.run_until",
    "power_cooling.coupled.solve.solve_elements",
    "power_cooling.electrical.redundancy.solve_states",
    "power_cooling.transients.solve._run",
)
LONGEST_FIRST = ("slow", "browser", "compiled")  # markers of the files that processes begin with
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.hookimpl(optionalhook=True)  # a bare pytest does without pytest-xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes test: one more than cores, for many wait for browsers, brokers and databases.

    Without those tests as many as cores, because each process takes seconds to start.
    """
    waits_for_nobody = "browser" in config.option.markexpr
    return (os.cpu_count() or 1) + (0 if waits_for_nobody else 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files of slow tests, so that none is left to one process at the end; skip what cannot run, visibly."""
    ranks: dict[Path, int] = {}
    for item in items:
        rank = next((i for i, name in enumerate(LONGEST_FIRST) if item.get_closest_marker(name)), len(LONGEST_FIRST))
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])
    if find_spec("pytest_playwright") is None:
        reason = "pytest-playwright is not installed"
    elif CHROMIUM is None:
        reason = "no Chromium on this machine (apt-get install chromium)"
    else:
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep `make test-fast` fast: a test that reaches a compiled solver without the marker `compiled` is skipped."""
    if "compiled" not in request.config.option.markexpr:
        yield
        return

    def refuse(*_, **__) -> None:
        pytest.skip("it runs a compiled solver; mark it `compiled`")

    with pytest.MonkeyPatch.context() as patched:
        for name in COMPILED:
            patched.setattr(name, refuse)
        yield


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """Keep the copy that `django_db_modify_db_settings` puts there: `migrate` then finds nothing to do."""
    return django_db_keepdb or settings_of_django.EMBEDDED_DATABASE


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_use_migrations: bool, django_db_blocker) -> None:
    """Leave a migrated database for later sessions, which saves each of their processes seconds of migrations.

    Its name holds the migrations, so that other ones are never taken for these. Tests may empty their database, the
    audit log among the rest; `tests/unit/facility/test_audit.py` protects it again where it asks of that.
    """
    with django_db_blocker.unblock():
        migrated = settings_of_django.EMBEDDED_DATABASE and django_db_use_migrations
        if migrated and not (template := _template()).exists():
            fresh = template.with_suffix(f".{os.getpid()}")
            with contextlib.closing(sqlite3.connect(fresh)) as copy:
                connection.ensure_connection()
                connection.connection.backup(copy)
            fresh.replace(template)  # atomic: another process never reads half a copy
        import_module("facility.migrations.0022_audit_log").unprotect(None, SimpleNamespace(connection=connection))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> Iterator[None]:
    """Put the migrated copy where this process makes its database, and remove that in the end."""
    if not settings_of_django.EMBEDDED_DATABASE:
        yield
        return
    database = Path(connection.settings_dict["TEST"]["NAME"])
    with contextlib.suppress(FileNotFoundError):  # the first session on a machine migrates
        shutil.copyfile(_template(), database)
    yield
    connection.close()
    for path in database.parent.glob(f"{database.name}*"):  # with its journals
        path.unlink(missing_ok=True)


def _template() -> Path:
    digest = hashlib.sha256(django.__version__.encode())
    for path in sorted(REPOSITORY.glob("*/migrations/*.py")):
        digest.update(path.read_bytes())
    return Path(tempfile.gettempdir()) / f"twin-migrated-{os.getuid()}-{digest.hexdigest()[:16]}.sqlite3"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of published and measured figures, or skip where it is absent."""
    folder = Path(os.environ.get("TWIN_DATA_DIR") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no published figures at {folder}; set TWIN_DATA_DIR")
    return folder


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """Start the system's Chromium, which needs no download, without its own network traffic."""
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
    return {
        **browser_type_launch_args,
        "executable_path": CHROMIUM,
        "args": ["--no-sandbox", "--no-first-run", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader", *quiet],
    }


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict) -> dict:
    return {**browser_context_args, "viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"}


@pytest.fixture
def page(page) -> Iterator:
    """Fail on script errors and refuse every request that leaves this machine."""
    errors, outside = [], []

    def refuse(route) -> None:
        outside.append(route.request.url)
        route.abort()

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.route(lambda url: not url.startswith(("http://localhost", "http://127.0.0.1", "data:", "blob:")), refuse)
    yield page
    assert not errors, f"the page reported {errors}"
    assert not outside, f"the page asked for {outside}, which is not on this machine"


@pytest.fixture(scope="session")
def celery_worker_thread() -> Iterator:
    """Run a real worker in a thread over the memory broker: no eager mode, no other process."""
    from celery.contrib.testing.worker import start_worker

    from twin.celery import app

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=10) as worker:
        yield worker
