"""Whole databases: backed up, restored and moved, with equal figures in the end."""

import fcntl
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, connections, models
from django.utils import timezone

from facility.models import Weather
from twin.models import Worker
from twin.operations import backup, move

REPOSITORY = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.compiled]


class Installation:
    """A TWIN_HOME, and what commands in it say."""

    def __init__(self, home: Path, **environment: str) -> None:
        kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "CELERY_BROKER_URL")}
        self.home = home
        self.environment = kept | {"TWIN_HOME": str(home), "DJANGO_SETTINGS_MODULE": "twin.settings", **environment}

    def _run(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *command], cwd=REPOSITORY, env=self.environment, capture_output=True, text=True
        )

    def asked(self, what: str) -> dict:
        ended = self._run("-m", "tests.operated", what)
        assert ended.returncode == 0, ended.stderr[-2000:]
        return json.loads(ended.stdout.splitlines()[-1])

    def done(self, *command: str) -> str:
        ended = self._run("manage.py", *command)
        assert ended.returncode == 0, ended.stderr[-2000:]
        return ended.stdout

    def refused(self, *command: str) -> str:
        ended = self._run("manage.py", *command)
        assert ended.returncode == 1, ended.stdout
        return ended.stderr


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Installation:
    home = Installation(tmp_path_factory.mktemp("old"))
    home.facts = home.asked("made")
    return home


@pytest.fixture(scope="module")
def kept(old, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("backups") / "twin.tar"
    assert "credentials are excluded" in old.done("backup", str(path))
    return path


def test_a_restored_installation_has_the_same_rows_and_solves_to_the_same_figures(old, kept, tmp_path):
    assert old.facts["figures"] == old.facts["again"]
    assert old.facts["rows"]["twin_run"] == 2
    home = Installation(tmp_path / "new")
    assert "restored" in home.done("restore", str(kept))
    assert home.asked("told") == old.facts
    assert (home.home / "twin.sqlite3").stat().st_mode & 0o077 == 0
    assert "say --replace" in home.refused("restore", str(kept))


def test_a_backup_is_its_owners_and_holds_the_key_only_where_that_was_asked(db, kept, tmp_path, settings):
    assert kept.stat().st_mode & 0o077 == 0
    with tarfile.open(kept) as archive:
        assert archive.getnames() == ["manifest.json", "database.sqlite3"]
    with_key = tmp_path / "with-key.tar"
    settings.TWIN_HOME = tmp_path
    (tmp_path / "secret_key").write_text("of the test")
    call_command("backup", str(with_key), "--with-keys", stdout=io.StringIO())
    with tarfile.open(with_key) as archive:
        assert archive.extractfile("keys/secret_key").read() == b"of the test"
    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(with_key))


@pytest.fixture
def target_forgotten(django_db_blocker) -> Iterator[None]:
    """Let a test connect to other databases, and forget them."""
    with django_db_blocker.unblock():
        yield
    if move.TARGET in connections.settings:
        connections[move.TARGET].close()
        del connections[move.TARGET], connections.settings[move.TARGET]


def rewritten(kept: Path, out: Path, name: str, change) -> Path:
    """Return a copy of a backup in which one part is changed."""
    with tarfile.open(kept) as archive, tarfile.open(out, "w") as changed:
        for part in archive:
            content = archive.extractfile(part).read()
            if part.name == name:
                content = change(content)
            part.size = len(content)
            changed.addfile(part, io.BytesIO(content))
    return out


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("database.sqlite3", lambda content: content[:-4096] + b"x" * 4096, "is damaged: database.sqlite3"),
        ("manifest.json", lambda content: b"[]", "manifest.json cannot be read"),
        ("manifest.json", lambda content: content.replace(b"backup/1", b"backup/9"), "this version reads"),
        ("manifest.json", lambda content: content.replace(b"twin.0001", b"twin.9001"), "does not know twin.9001"),
        ("manifest.json", lambda content: content.replace(b'"sqlite"', b'"postgresql"'), "use `manage.py move_data`"),
    ],
)
def test_what_is_no_sound_backup_of_this_kind_changes_nothing(db, kept, tmp_path, name, change, reason, monkeypatch):
    made = rewritten(kept, tmp_path / "changed.tar", name, change)
    monkeypatch.setattr(backup, "_put_back", lambda *_: pytest.fail("it went on"))
    with pytest.raises(backup.BackupError) as refusal:
        backup.restore(made)
    assert reason in str(refusal.value)


def test_a_file_that_is_no_archive_and_a_cut_one_are_refused(kept, tmp_path):
    for content in (b"", b"hello" * 1000, kept.read_bytes()[:100_000]):
        path = tmp_path / "cut.tar"
        path.write_bytes(content)
        with pytest.raises(backup.BackupError):
            backup.read_manifest(path)


def test_a_running_twin_is_not_restored_over(db, kept, tmp_path, settings):
    settings.TWIN_HOME = tmp_path
    Worker.objects.create(name="w@there", n_slots=1, seen_at=timezone.now() + timedelta(minutes=5))
    with (tmp_path / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="stop first: manage.py serve, worker w@there"):
            call_command("restore", str(kept))
        with pytest.raises(CommandError, match="stop first"):
            call_command("move_data", "--to", "postgres://127.0.0.1/none")


def test_data_move_with_equal_rows_and_go_on_after_an_interruption(old, tmp_path, target_forgotten):
    target = tmp_path / "moved.sqlite3"
    interrupted = (
        "import django; django.setup(); from twin.operations import move; "
        f"move.open_target('sqlite:///{target}'); move._continued = lambda kind: 1 / 0; move.move(print)"
    )
    assert "ZeroDivisionError" in old._run("-c", interrupted).stderr
    with sqlite3.connect(target) as half:
        assert half.execute("SELECT count(*) FROM twin_run").fetchone() == (0,)
        assert half.execute("SELECT count(*) FROM twin_move").fetchone() == (1,)
    said = old.done("move_data", "--to", f"sqlite:///{target}")
    assert "equal in both" in said
    with sqlite3.connect(target) as moved, sqlite3.connect(old.home / "twin.sqlite3") as here:
        figures = [
            database.execute("SELECT figures FROM twin_run ORDER BY id").fetchall() for database in (moved, here)
        ]
        assert figures[0] == figures[1]
        assert not moved.execute("SELECT name FROM sqlite_master WHERE name = 'twin_move'").fetchall()
    move.open_target(f"sqlite:///{target}")
    with pytest.raises(move.MoveError, match="already; name an empty database"):
        move._claimed([get_user_model()])


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("mysql://x/y", "must begin with postgres://"),
        ("postgres://nobody@127.0.0.1:1/none", "cannot be reached"),
    ],
)
def test_data_do_not_move_to_what_is_no_database(address, reason, target_forgotten):
    with pytest.raises(move.MoveError, match=reason):
        move.open_target(address)


def test_data_do_not_move_onto_themselves(db):
    if connection.vendor != "sqlite":
        pytest.skip("asked of the embedded database")
    with pytest.raises(move.MoveError, match="is the database that holds the data now"):
        move.open_target(f"sqlite:///{connection.settings_dict['NAME']}")


def test_a_target_of_another_program_is_left_alone(tmp_path, target_forgotten):
    with sqlite3.connect(tmp_path / "foreign.sqlite3") as foreign:
        foreign.execute("CREATE TABLE accounts (id integer)")
    move.open_target(f"sqlite:///{tmp_path}/foreign.sqlite3")
    with pytest.raises(move.MoveError, match="tables of another program, such as accounts"):
        move._claimed([get_user_model()])


def test_numbers_are_compared_as_numbers_whatever_a_database_makes_of_their_digits():
    assert move._spelled({"a": [1e20, -0.0, 1]}) == move._spelled({"a": [10**20, 0.0, 1.0]})
    assert move._spelled(True) != move._spelled(1)
    assert move._spelled(b"x") == move._spelled(memoryview(b"x"))


def test_whatever_holds_packed_columns_moves_in_steps_behind_what_it_points_to():
    fields = {kind: kind._meta.concrete_fields for kind in apps.get_models()}
    packed = {kind for kind, own in fields.items() if any(type(field) is models.BinaryField for field in own)}
    assert packed - set(move.LONG) == {Weather}  # short tables point to it
    for i, kind in enumerate(move.LONG):
        later = [field.name for field in fields[kind] if field.related_model in move.LONG[i + 1 :]]
        assert not later, f"{kind.__name__} comes before what its {later} point to"


@pytest.mark.services
def test_data_move_to_postgresql_and_are_backed_up_and_restored_there(old, services, tmp_path):
    if not shutil.which("pg_dump"):
        pytest.skip("no pg_dump on this machine (apt-get install postgresql-client)")
    old.done("move_data", "--to", services["DATABASE_URL"])
    there = Installation(tmp_path / "there", DATABASE_URL=services["DATABASE_URL"])
    there.home.mkdir()
    facts = there.asked("told")
    assert facts == old.facts
    made = tmp_path / "postgresql.tar"
    assert "postgresql" in there.done("backup", str(made))
    there.asked("spoiled")
    there.done("restore", str(made), "--replace")
    assert there.asked("told") == facts
