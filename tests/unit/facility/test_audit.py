"""Whatever changes is written down: by whom, through which door, from what to what; and stays written down."""

import json
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.urls import reverse
from django.utils import timezone

from facility import acting, members, services
from facility.models import ApiToken, AuditEvent, Layout, Rack, Site
from facility.models.audited import Audited, audited_fields
from facility.tokens import token_issue
from tests.api.conftest import caller
from tests.small_run import done_run, small_scenario
from twin.models import Run, Study, TelemetrySource
from twin.operations.audit import searched
from twin.runs import tasks
from twin.telemetry.sources import source_save

pytestmark = pytest.mark.django_db
#: Models that are not written down, and why.
WITHOUT = {
    "auditevent": "the log",
    "editrecord": "the history of a layout, written beside it",
    "refusedsignin": "counts of the throttle; refusals stand in the log of the program",
    "guidedstart": "which site a user practises on",
    "idempotencykey": "memory of repeated requests",
    "sweeppoint": "what workers solve; its sweep is written down",
    "studypoint": "what workers compare; its study is written down",
    "telemetrypoint": "what readings bring with them",
    "telemetryhot": "readings",
    "telemetryday": "readings",
    "telemetrybatch": "readings; counted in its own row, with who sent it",
    "telemetryupload": "a file on its way to be readings",
    "telemetryarrival": "readings",
    "telemetrypushed": "readings",
    "deadletter": "readings that were refused",
    "sourcestate": "what the reading process counts",
    "preferences": "units and messages that a user chose for their own pages",
    "worker": "signs of life",
}


@pytest.fixture
def layout() -> Layout:
    layout = small_scenario()[0]
    forget()
    return layout


def forget() -> None:
    AuditEvent.objects.all().delete()


def told() -> list[tuple]:
    return [(e.action, e.kind, e.name, e.before, e.after) for e in AuditEvent.objects.order_by("id")]


def test_every_model_is_written_down_or_says_why_not():
    ours = [m for label in ("facility", "twin") for m in apps.get_app_config(label).get_models()]
    left = {m._meta.model_name for m in ours if not issubclass(m, Audited)}
    assert left == set(WITHOUT)


def test_no_secret_is_told():
    secret = ("digest", "secret", "password", "token")
    for model in apps.get_models():
        if issubclass(model, Audited) or model is get_user_model():
            assert not [name for name in audited_fields(model) if name.endswith(secret)]
            assert not [f for f in audited_fields(model) if isinstance(model._meta.get_field(f), models.BinaryField)]
            assert not set(audited_fields(model)) & set(model.AUDIT_SECRET)


def test_a_change_by_the_api_names_who_by_which_token_from_what_to_what(layout):
    user = get_user_model().objects.create_user("olga")
    members.member_add(place=layout.site, username="olga", role="owner")
    program = caller(user)
    rack = Rack.objects.filter(hall__layout=layout).first()
    forget()
    assert program.patch(f"/api/racks/{rack.pk}/", {"row": "Z"}, headers={"X-Request-ID": "abc123"}).status_code == 200
    event = AuditEvent.objects.get(kind="rack")
    assert (event.before, event.after, event.action) == ({"row": rack.row}, {"row": "Z"}, "changed")
    assert (event.username, event.user_number, event.door) == ("olga", user.pk, "API")
    assert (event.token, event.request_id) == (user.api_tokens.get().prefix, "abc123")
    assert (event.detail, event.site_number) == (f"PATCH /api/racks/{rack.pk}/", layout.site_id)


def test_pages_console_commands_and_workers_are_told_apart(layout, client, admin_client, admin_user):
    rack = Rack.objects.filter(hall__layout=layout).first()
    forget()
    admin_client.post(reverse("site-new"), {})  # nothing is saved
    page = reverse("part-delete", args=[layout.site.slug, layout.slug, "racks", rack.pk])
    admin_client.post(page, {"version": layout.version})
    admin_client.post(reverse("admin:facility_organisation_add"), organisation_form())
    with acting.acting(acting.of_command(["import_site", "--user", "3", "secret.yaml"])):
        Site.objects.filter(pk=layout.site_id).update(place="Elsewhere")
    with acting.acting(acting.Acting("worker", "twin.tasks.simulate_run")):
        layout.name = "By a worker"
        layout.save()
    rows = AuditEvent.objects.order_by("id").values_list("action", "kind", "door", "username", "detail")
    name = acting.of_command([""]).username
    assert list(rows) == [
        ("deleted", "rack", "page", "admin", f"POST {page}"),
        ("created", "organisation", "admin", "admin", "POST /admin/facility/organisation/add/"),
        ("changed", "site", "command", name, "import_site"),
        ("changed", "layout", "worker", "", "twin.tasks.simulate_run"),
    ]


@pytest.mark.parametrize("id_of_run", ["00000000-0000-0000-0000-000000000000", "no id"])
def test_a_task_within_a_command_gives_it_back_who_acts(layout, id_of_run):
    forget()
    with acting.acting(acting.of_command(["simulate"])):
        tasks.simulate_run.apply(args=[id_of_run])
        layout.save()  # nothing differs
        Site.objects.filter(pk=layout.site_id).update(place="Elsewhere")
    assert list(AuditEvent.objects.values_list("door", "detail")) == [("command", "simulate")]
    assert acting.door() == "program"


def organisation_form() -> dict:
    sets = {"TOTAL": "0", "INITIAL": "0", "MIN_NUM": "0", "MAX_NUM": "0"}
    return {"name": "N", "slug": "n"} | {f"memberships-{k}_FORMS": v for k, v in sets.items()}


def test_many_rows_at_once_are_written_down_one_by_one(layout):
    racks = list(Rack.objects.filter(hall__layout=layout).order_by("pk"))
    hall = racks[0].hall
    made = services.racks_create_row(hall=hall, row="Q", n_racks=2, x_m=1, y_m=9, pitch_m=0.7)
    Rack.objects.filter(pk__in=[rack.pk for rack in made]).update(row="R", other_power_w=5)
    for rack in made:
        rack.refresh_from_db()
        rack.row = "S"
    Rack.objects.bulk_update(made, ["row"])
    Rack.objects.filter(pk__in=[rack.pk for rack in made]).delete()
    found = [row for row in told() if row[1] == "rack"]
    assert [row[0] for row in found] == ["created"] * 2 + ["changed"] * 4 + ["deleted"] * 2
    assert found[2][3:] == ({"row": "Q", "other_power_w": 0.0}, {"row": "R", "other_power_w": 5.0})
    assert found[4][3:] == ({"row": "R"}, {"row": "S"})
    assert found[0][4]["n_systems"] == 1


def test_a_deleted_layout_tells_all_that_went_with_it(layout):
    n_racks = Rack.objects.filter(hall__layout=layout).count()
    services.layout_delete(layout=layout)
    kinds = [(row[0], row[1]) for row in told()]
    assert kinds.count(("deleted", "rack")) == n_racks
    assert ("deleted", "layout") in kinds
    assert set(AuditEvent.objects.values_list("site_number", flat=True)) == {layout.site_id}


def test_what_is_refused_or_does_not_differ_leaves_nothing(layout):
    layout.save()
    Layout.objects.filter(pk=layout.pk).update(name=layout.name)
    with transaction.atomic():
        Layout.objects.filter(pk=layout.pk).update(name="Lost")
        transaction.set_rollback(True)
    assert told() == []


def test_secrets_are_not_in_it_and_that_they_changed_is(layout, settings):
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    admin = get_user_model().objects.create_superuser("boss", password="first-word-1")
    admin.set_password("second-word-2")
    admin.save()
    token, secret = token_issue(user=admin, name="t", sites=[layout.site])
    source = TelemetrySource(site=layout.site, name="Building", address="mqtts://broker.example.org")
    source_save(user=admin, source=source, password="sealed-word-3")
    source_save(user=admin, source=source, password="sealed-word-4")
    get_user_model().objects.filter(pk=admin.pk).update(password="hash-5")
    written = json.dumps([row[2:] for row in told()])
    for word in ("first-word", "second-word", "sealed-word", secret, token.digest, admin.password):
        assert word not in written
    assert told().count(("changed", "user", "boss", {"password": "set"}, {"password": "set anew"})) == 2
    assert ("changed", "telemetry source", "Building", {"secret": "set"}, {"secret": "set anew"}) in told()
    assert [row[4] for row in told() if row[1] == "API token"][-1] == {"sites": [layout.site_id]}


def test_rights_of_users_are_told_whichever_way_they_are_given_or_taken():
    user = get_user_model().objects.create_user("olga")
    group, right = Group.objects.create(name="planners"), Permission.objects.order_by("pk").first()
    had, none = {"groups": [group.pk]}, {"groups": []}
    forget()
    user.groups.add(group)
    user.groups.clear()
    group.user_set.add(user)
    user.user_permissions.set([right])
    group.permissions.add(right)
    get_user_model().objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    user.refresh_from_db()
    user.is_active = False
    user.save()
    group.delete()
    assert told() == [
        ("changed", "user", "olga", none, had),
        ("changed", "user", "olga", had, none),
        ("changed", "user", "olga", none, had),
        ("changed", "user", "olga", {"user_permissions": []}, {"user_permissions": [right.pk]}),
        ("changed", "group", "planners", {"permissions": []}, {"permissions": [right.pk]}),
        (
            "changed",
            "user",
            "olga",
            {"is_superuser": False, "is_staff": False},
            {"is_superuser": True, "is_staff": True},
        ),
        ("changed", "user", "olga", {"is_active": True}, {"is_active": False}),
        ("deleted", "group", "planners", {"name": "planners", "permissions": [right.pk]}, {}),
        ("changed", "user", "olga", had, none),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_user_is_not_changed_where_it_cannot_be_written_down(monkeypatch):
    user = get_user_model().objects.create_user("olga")
    group = Group.objects.create(name="planners")

    def full(*_) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr("facility.models.audited._insert", full)
    user.is_superuser = True
    for act in (
        user.save,
        lambda: get_user_model().objects.filter(pk=user.pk).update(is_superuser=True),
        lambda: get_user_model().objects.create_user("eve"),
        user.delete,
        lambda: user.groups.add(group),
    ):
        with pytest.raises(DatabaseError, match="disk is full"):
            act()
    assert list(get_user_model().objects.values_list("username", "is_superuser")) == [("olga", False)]
    assert not user.groups.exists()


def test_signing_in_is_no_change(client, admin_user):
    forget()
    client.force_login(admin_user)
    assert told() == []


def test_runs_studies_and_sweeps_that_go_with_their_layout_are_told_once(layout):
    scenario = layout.site.scenarios.get()
    run = done_run(layout, scenario)
    study = Study.objects.create(layout=layout, scenario=scenario, kind="advice")
    forget()
    layout.site.delete()  # with layout and scenario, each of which takes them along
    gone = {(row[1], row[2]): row[3] for row in told() if row[0] == "deleted"}
    assert len(gone) == sum(row[0] == "deleted" for row in told())
    assert gone["run", str(run)]["status"] == "done"
    assert ("study", str(study)) in gone


def test_a_run_deleted_by_itself_is_told_once(layout):
    run, other = (Run.objects.create(layout=layout, scenario=layout.site.scenarios.get()) for _ in range(2))
    forget()
    Run.objects.filter(pk=run.pk).delete()
    other.delete()
    assert [(row[0], row[1]) for row in told()] == [("deleted", "run")] * 2


def test_a_token_whose_last_site_goes_is_revoked_instead_of_counting_for_all(layout):
    other = small_scenario("elsewhere")[0]
    user = get_user_model().objects.create_superuser("boss")
    for name, sites in (("one", [layout.site]), ("two", [layout.site, other.site]), ("all", [])):
        ApiToken.issue(user=user, name=name)[0].sites.set(sites)
    forget()
    layout.site.delete()
    assert set(ApiToken.objects.values_list("name", flat=True)) == {"two", "all"}
    assert [row[0] for row in told() if row[1] == "API token"] == ["changed", "changed", "deleted"]
    Site.objects.all().delete()
    assert set(ApiToken.objects.values_list("name", flat=True)) == {"all"}


def test_a_run_is_asked_and_cancelled_by_people_and_its_progress_is_not_told(layout):
    scenario = layout.site.scenarios.get()
    run = Run.objects.create(layout=layout, scenario=scenario)
    with acting.acting(acting.Acting("worker", "twin.tasks.simulate_run")):
        Run.objects.filter(pk=run.pk).update(status="running", progress_frac=0.5)
    Run.objects.filter(pk=run.pk).update(cancel_requested=True)
    assert [(row[0], row[1], row[4].get("cancel_requested")) for row in told()] == [
        ("created", "run", False),
        ("changed", "run", True),
    ]


def test_the_database_refuses_to_change_or_drop_what_was_written_down(layout):
    layout.name = "Other"
    layout.save()
    guard = import_module("facility.migrations.0022_audit_log")
    of_inserts = import_module("facility.migrations.0024_audit_log_is_not_replaced")
    columns = [field.column for field in AuditEvent._meta.concrete_fields]
    values = ", ".join("'nobody'" if name == "username" else f'"{name}"' for name in columns)
    named = ", ".join(f'"{name}"' for name in columns)
    replace, unless = (
        ("INSERT OR REPLACE INTO", "")
        if connection.vendor == "sqlite"
        else ("INSERT INTO", " ON CONFLICT (id) DO UPDATE SET username = 'nobody'")
    )
    replaced = f"{replace} facility_auditevent ({named}) SELECT {values} FROM facility_auditevent{unless}"
    with transaction.atomic():
        guard.protect(None, SimpleNamespace(connection=connection))
        of_inserts.protect(None, SimpleNamespace(connection=connection, execute=connection.cursor().execute))
        for act in (
            lambda: AuditEvent.objects.update(username="nobody"),
            AuditEvent.objects.all().delete,
            lambda: connection.cursor().execute(replaced),
        ):
            with pytest.raises(DatabaseError, match="only added to"), transaction.atomic():
                act()
        assert AuditEvent.objects.count() == 1
        layout.name = "Another"
        layout.save()
        assert AuditEvent.objects.count() == 2
        assert not AuditEvent.objects.filter(username="nobody").exists()
        guard.unprotect(None, SimpleNamespace(connection=connection))


def test_the_shipped_catalogue_fills_no_log():
    call_command("load_catalogue", verbosity=0)
    assert not AuditEvent.objects.filter(kind="product").exists()


def test_owners_read_of_their_places_and_administrators_all(layout, client, admin_client):
    other = small_scenario("elsewhere")[0]
    for name, role in (("olga", "owner"), ("paul", "planner")):
        get_user_model().objects.create_user(name)
        members.member_add(place=layout.site, username=name, role=role)
    done_run(other, other.site.scenarios.get())
    token_issue(user=get_user_model().objects.get(username="paul"), name="t")
    page, api = reverse("audit"), reverse("api-audit")
    client.force_login(get_user_model().objects.get(username="paul"))
    assert (client.get(page).status_code, client.get(api).status_code) == (403, 403)
    client.force_login(get_user_model().objects.get(username="olga"))
    seen = client.get(api).json()["results"]
    assert seen
    assert {row["site"] for row in seen} == {layout.site.slug}
    assert "elsewhere" not in client.get(page).content.decode()
    kinds = {row["kind"] for row in admin_client.get(api, {"limit": 1000}).json()["results"]}
    assert {"user", "API token", "run", "membership"} <= kinds
    assert {row["kind"] for row in admin_client.get(api, {"kind": "run"}).json()["results"]} == {"run"}
    assert admin_client.get(api, {"since": "yesterday"}).status_code == 400
    today = timezone.now().date().isoformat()
    assert (
        "membership" in admin_client.get(page, {"since": today, "until": today, "kind": "membership"}).content.decode()
    )
    assert "Nothing was changed" in admin_client.get(page, {"until": "2020-01-01"}).content.decode()


@pytest.mark.parametrize("form", ["csv", "json"])
def test_the_log_is_exported_whole(layout, admin_client, form):
    layout.name = "=1+1"
    layout.save()
    answer = admin_client.get(reverse("api-audit-export"), {"form": form, "kind": "layout"})
    content = b"".join(answer.streaming_content).decode()
    if form == "json":
        (row,) = json.loads(content)
        assert (row["before"], row["after"]) == ({"name": "First"}, {"name": "=1+1"})
    else:
        assert content.splitlines()[0].startswith("at,username,")
        assert len(content.splitlines()) == 2
        assert '"{""name"": ""=1+1""}"' in content
        assert ",=1" not in content
    assert "attachment" in answer["Content-Disposition"]


def test_tokens_read_the_log_in_their_sites_only(layout):
    user = get_user_model().objects.create_superuser("boss")
    other = small_scenario("elsewhere")[0]
    token, secret = ApiToken.issue(user=user, name="t")
    token.sites.set([layout.site])
    layout.name = "Mine"
    layout.save()
    other.name = "Hidden"
    other.save()
    from rest_framework.test import APIClient

    program = APIClient()
    program.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    rows = program.get(reverse("api-audit")).json()["results"]
    assert {row["site"] for row in rows} == {layout.site.slug}


@pytest.mark.parametrize("asked", [{"username": "nobody"}, {"kind": "rack"}, {"username": "nobody", "kind": "rack"}])
def test_a_search_that_finds_little_does_not_read_the_whole_log(asked):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL reads a small table whole, whatever its indexes")
    plan = searched(AuditEvent.objects.all(), **asked).explain()
    assert "SEARCH" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan  # newest first, without sorting what it finds
