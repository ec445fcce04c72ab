"""SQLite deletes what INSERT OR REPLACE replaces without asking triggers of deletion; PostgreSQL knows no such insert."""

from django.db import migrations

TABLE = "facility_auditevent"
REFUSE = (
    f"CREATE TRIGGER IF NOT EXISTS audit_keeps_insert BEFORE INSERT ON {TABLE} "
    f"WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id) "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END"
)


def protect(apps, schema_editor) -> None:
    """Let SQLite refuse a row whose id is taken."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(REFUSE)


def unprotect(apps, schema_editor) -> None:
    """Take the refusal back."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER IF EXISTS audit_keeps_insert")


class Migration(migrations.Migration):
    dependencies = [("facility", "0023_design_hour")]

    operations = [migrations.RunPython(protect, unprotect)]
