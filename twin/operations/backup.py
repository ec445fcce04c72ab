"""A backup is one file: the database as it was at one moment, uploaded files, and what both are.

The database goes in as its own tools write it: SQLite's online copy, PostgreSQL's `pg_dump`. A backup is checked whole
before anything is replaced, and replaces all or nothing.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from twin import __version__, credentials
from twin.core.provenance import MODEL_VERSION

FORMAT = "ai-factory-twin-backup/1"
MANIFEST, KEYS, UPLOADS = "manifest.json", "keys", "uploads"
DATABASES = {"sqlite": "database.sqlite3", "postgresql": "database.pgdump"}
MOST_MANIFEST_BYTES = 1_000_000
MAKE_EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"


class BackupError(Exception):
    """Why a backup cannot be made, read or restored; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    format: str
    version: str
    model_version: str
    database: str  # sqlite or postgresql
    made_at: str
    migrations: list[str]
    rows: dict[str, int]  # by table
    sha256: dict[str, str]  # by name in the archive
    keys: str  # that sign sessions and seal credentials: included, or excluded


def write(path: Path, *, with_keys: bool = False) -> Manifest:
    """Write a backup of the running installation to `path`, which must not exist.

    Raises
    ------
    BackupError
        If the file is there already, cannot be written, or the database's tool fails.
    """
    if path.exists():
        raise BackupError(f"{path} is there already; name another file")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".backup-") as folder:
            copy = Path(folder) / DATABASES[connection.vendor]
            rows = _copied(copy)
            parts = {copy.name: copy} | {f"{UPLOADS}/{name}": file for name, file in _uploads()}
            if with_keys:
                parts |= {f"{KEYS}/{file.name}": file for file in _keys() if file.exists()}
            manifest = Manifest(
                format=FORMAT,
                version=__version__,
                model_version=MODEL_VERSION,
                database=connection.vendor,
                made_at=timezone.now().isoformat(timespec="seconds"),
                migrations=sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()),
                rows=rows,
                sha256={name: _sha256_of(file) for name, file in parts.items()},
                keys="included" if with_keys else "excluded",
            )
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
                spelled = json.dumps(asdict(manifest), indent=1).encode()
                header = tarfile.TarInfo(MANIFEST)
                header.size = len(spelled)
                archive.addfile(header, io.BytesIO(spelled))
                for name, part in parts.items():
                    archive.add(part, name, recursive=False)
                file.flush()
                os.fsync(file.fileno())
            os.link(unfinished, path)  # never over a file that came meanwhile
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Return what a backup holds, once every part of it has been read and is what it was.

    Raises
    ------
    BackupError
        If it is no backup, of another format, or damaged.
    """
    try:
        with tarfile.open(path) as archive:
            first = archive.next()
            if first is None or first.name != MANIFEST or first.size > MOST_MANIFEST_BYTES:
                raise BackupError(f"{path} is no backup of this program: it does not begin with {MANIFEST}")
            manifest = _manifest(archive.extractfile(first), path)
            found = {part.name: _sha256(_opened(archive, part, path)) for part in archive if part.name != MANIFEST}
    except (OSError, tarfile.TarError, EOFError) as error:
        raise BackupError(f"{path} cannot be read as a backup: {error}") from error
    wrong = sorted(
        name for name in found.keys() | manifest.sha256.keys() if found.get(name) != manifest.sha256.get(name)
    )
    if wrong:
        raise BackupError(f"{path} is damaged: {', '.join(wrong[:5])} is not what was written")
    return manifest


def restore(path: Path) -> Manifest:
    """Put a backup in the place of this installation's data, bring its tables up to date, and return what it held.

    Raises
    ------
    BackupError
        If it is of another kind of database or a newer version, is damaged, or does not come out as it went in.
    """
    manifest = read_manifest(path)
    if manifest.database != connection.vendor:
        raise BackupError(
            f"it is a backup of {manifest.database}, and DATABASE_URL names {connection.vendor}; restore it where that "
            "is, then use `manage.py move_data`"
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}
    if newer := sorted(set(manifest.migrations) - known):
        raise BackupError(f"it is of a newer version ({manifest.version}): this one does not know {newer[0]}")
    with tempfile.TemporaryDirectory(dir=settings.TWIN_HOME, prefix=".restore-") as folder:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(folder, members=[archive.getmember(name) for name in manifest.sha256], filter="data")
        except (OSError, tarfile.TarError) as error:
            raise BackupError(f"it cannot be unpacked at {settings.TWIN_HOME}: {error}") from error
        _put_back(Path(folder) / DATABASES[manifest.database], manifest)
        for place in _keys():
            if (key := Path(folder) / KEYS / place.name).exists():
                key.chmod(0o600)
                key.replace(place)
        uploads = Path(folder) / UPLOADS
        if Path(settings.MEDIA_ROOT).exists():
            shutil.rmtree(settings.MEDIA_ROOT)
        if uploads.exists():
            shutil.move(uploads, settings.MEDIA_ROOT)
    call_command("migrate", interactive=False, verbosity=0)
    return manifest


def row_counts() -> dict[str, int]:
    """Return the number of rows of each of the program's tables that there is."""
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        return _counted(cursor, tables)


def _counted(cursor, tables: set[str]) -> dict[str, int]:
    counts = {}
    for model in apps.get_models(include_auto_created=True):
        if (table := model._meta.db_table) in tables:
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
            counts[table] = cursor.fetchone()[0]
    return counts


def _copied(copy: Path) -> dict[str, int]:
    """Write the database to a file and return the rows in it."""
    if connection.vendor == "sqlite":
        # By a connection of its own: one in a transaction of writes would wait for itself. In one step: one state.
        source = Path(connection.settings_dict["NAME"]).resolve().as_uri()
        with closing(sqlite3.connect(f"{source}?mode=ro", uri=True)) as here, closing(sqlite3.connect(copy)) as target:
            here.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file
            tables = {row[0] for row in target.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return _counted(target.cursor(), tables)
    # Counted and dumped from one snapshot, which the dump takes over.
    with _snapshot() as name:
        rows = row_counts()
        _postgresql("pg_dump", "--format=custom", "--no-owner", f"--snapshot={name}", "--file", str(copy))
    return rows


@contextmanager
def _snapshot() -> Iterator[str]:
    """Hold one state of a PostgreSQL database open, and return the name by which another session reads the same."""
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        try:
            cursor.execute("SELECT pg_export_snapshot()")
            yield cursor.fetchone()[0]
        finally:
            cursor.execute("ROLLBACK")


def _put_back(copy: Path, manifest: Manifest) -> None:
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise BackupError("its database is damaged")
            rows = _counted(database.cursor(), tables)
        if unlike := _unlike(rows, manifest):
            raise BackupError(f"its database does not hold what its list says: {unlike}")
        place = Path(connection.settings_dict["NAME"])
        connection.close()
        copy.chmod(0o600)
        for journal in ("-wal", "-shm"):  # of the old file: they must not be read as if they were of the new one
            place.with_name(place.name + journal).unlink(missing_ok=True)
        os.replace(copy, place)
        return
    script = copy.with_suffix(".sql")
    _postgresql("pg_restore", "--no-owner", "--no-privileges", "--file", str(script), str(copy), connects=False)
    with script.open() as dumped, copy.with_suffix(".whole.sql").open("w") as whole:
        # Without the dump's own schema: it is made here, so that all of it is one transaction.
        whole.write(MAKE_EMPTY + "\n")
        shutil.copyfileobj(dumped, whole)
    connection.close()
    _postgresql("psql", "--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file", whole.name)
    if unlike := _unlike(row_counts(), manifest):
        raise BackupError(f"the restored database does not hold what the backup's list says: {unlike}")


def _unlike(rows: Mapping[str, int], manifest: Manifest) -> str:
    """Return a table, of those that this version still has, with another number of rows than was written down."""
    unlike = [table for table, n in manifest.rows.items() if rows.get(table, n) != n]
    return f"{unlike[0]} has {rows[unlike[0]]} rows of {manifest.rows[unlike[0]]}" if unlike else ""


def _postgresql(tool: str, *arguments: str, connects: bool = True) -> None:
    """Run one of PostgreSQL's own programs on this database."""
    program = shutil.which(tool)
    if program is None:
        raise BackupError(f"{tool} is not installed (Debian: apt-get install postgresql-client)")
    database = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    # By the environment: arguments can be read by everybody on the machine.
    environment = os.environ | {
        name: str(database[key]) for name, key in names.items() if connects and database.get(key)
    }
    ended = subprocess.run(
        [program, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if ended.returncode:
        messages = [line for line in ended.stderr.splitlines() if line.strip()] or [f"it ended with {ended.returncode}"]
        raise BackupError(f"{tool}: {messages[0][:300]}")


def _manifest(file: IO[bytes] | None, path: Path) -> Manifest:
    try:
        fields: Mapping = json.loads(file.read() if file else b"")
        if fields["format"] != FORMAT:
            raise BackupError(f"{path} has the format {fields['format']}; this version reads {FORMAT}")
        return Manifest(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{path} is no backup of this program: {MANIFEST} cannot be read") from error


def _opened(archive: tarfile.TarFile, part: tarfile.TarInfo, path: Path) -> IO[bytes]:
    file = archive.extractfile(part) if part.isfile() else None
    if file is None:
        raise BackupError(f"{path} is damaged: {part.name} is no plain file")
    return file


def _sha256(file: IO[bytes]) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return _sha256(file)


def _keys() -> list[Path]:
    """Return where keys are kept that do not come from the environment."""
    return [settings.TWIN_HOME / "secret_key", credentials.key_file()]


def _uploads() -> Iterator[tuple[str, Path]]:
    root = Path(settings.MEDIA_ROOT)
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(root)), path
