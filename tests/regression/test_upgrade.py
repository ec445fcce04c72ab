"""The database of the release before is brought up to this one: nothing lost, figures as they were, pages answer.

`database-0.1.0.sqlite3.gz` was made by the code of release 0.1.0 (2026-11-28): catalogue, a small site, a user with a
token, one run that its solver solved. Each release adds its own beside it and never changes an older one.
"""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
UPGRADE = """
import hashlib, io, json
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

settings.ALLOWED_HOSTS = ["testserver"]
TABLES = ("auth_user", "facility_site", "facility_layout", "facility_rack", "facility_apitoken", "twin_run")
def counts():
    with connection.cursor() as cursor:
        return {t: cursor.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES}
def kept():
    with connection.cursor() as cursor:
        row = cursor.execute("SELECT figures, inputs, series FROM twin_run").fetchone()
    return json.loads(row[0]), [hashlib.sha256(part).hexdigest() for part in row[1:]]
before, was = counts(), kept()
n_before = len(MigrationRecorder(connection).applied_migrations())
call_command("migrate", verbosity=0)
n_after = len(MigrationRecorder(connection).applied_migrations())
from django.contrib.auth import get_user_model
from twin.models import Run
from twin.runs import services, snapshot
run = Run.objects.select_related("layout__site").get()
client = Client()
client.force_login(get_user_model().objects.get())
site, layout = run.layout.site.slug, run.layout.slug
pages = ["/", f"/sites/{site}/", f"/sites/{site}/{layout}/", f"/sites/{site}/{layout}/findings/", f"/runs/{run.id}/",
         f"/sites/{site}/{layout}/parts/racks/", f"/runs/{run.id}/report/", f"/api/runs/{run.id}/", "/api/layouts/"]
from django.db import DatabaseError
from facility.models import AuditEvent, Layout
Layout.objects.update(name="Renamed")
try:
    AuditEvent.objects.all().delete()
except DatabaseError as refused:
    audit = str(refused)
out = io.StringIO()
call_command("export_site", site, stdout=out)
print(json.dumps({
    "rows": [before, counts()], "kept": was == kept(), "migrations": [n_before, n_after], "figures": run.figures,
    "pages": {page: client.get(page).status_code for page in pages}, "hours": len(services.run_series(run)["pue"]),
    "racks": len(snapshot.inputs_stored(run.inputs).racks), "export": out.getvalue()[:60],
    "audit": [audit, AuditEvent.objects.count()],
    "password": get_user_model().objects.get().check_password("pw-boss-1"),
}))
"""


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("release", sorted(path.name for path in HERE.glob("database-*.sqlite3.gz")))
def test_a_database_of_an_older_release_is_brought_up_to_date_with_all_that_is_in_it(release, tmp_path):
    (tmp_path / "twin.sqlite3").write_bytes(gzip.decompress((HERE / release).read_bytes()))
    kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "CELERY_BROKER_URL")}
    own = {"TWIN_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "twin.settings", "TWIN_SOLVES_HERE": "1"}
    ended = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", UPGRADE],
        cwd=REPOSITORY,
        env=kept | own,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    before, after = told["rows"]
    assert before == after
    assert (before["facility_rack"], before["twin_run"]) == (2, 1)
    assert told["kept"]
    assert told["figures"]["tokens_per_joule"] == pytest.approx(0.3138776268229378, rel=1e-12)
    assert told["migrations"][0] < told["migrations"][1]
    assert set(told["pages"].values()) == {200}, told["pages"]
    assert (told["hours"], told["racks"], told["password"]) == (8760, 2, True)
    assert told["audit"] == ["the audit log is only added to", 1]
    assert told["export"].startswith("format: ai-factory-site/")
