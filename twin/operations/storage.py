"""How much room the data takes, and how much is left."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

MOST_TABLES = 8


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the database with its indexes."""

    name: str
    n_bytes: int


def free_bytes() -> int:
    """Return what is free on the disk of TWIN_HOME."""
    return shutil.disk_usage(settings.TWIN_HOME).free


def database_bytes() -> int:
    """Return the size of the database with its journal."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return cursor.fetchone()[0]
    path = str(connection.settings_dict["NAME"])
    return sum(part.stat().st_size for end in ("", "-wal") if (part := Path(path + end)).exists())


def largest_tables() -> list[Table]:
    """Return the largest tables, where the database says so without reading all of itself (PostgreSQL)."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_total_relation_size(oid) AS size FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'public'::regnamespace ORDER BY size DESC LIMIT %s",
            [MOST_TABLES],
        )
        return [Table(*row) for row in cursor.fetchall()]


def uploads_bytes() -> int:
    """Return the size of all uploaded files."""
    root = Path(settings.MEDIA_ROOT)
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) if root.is_dir() else 0
