"""Telemetry sources: who may say which machines are called, what they are told, and that passwords stay inside."""

import io
import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.core import serializers
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from tests.api.conftest import caller
from twin import credentials
from twin.core.telemetry import dsx_bms
from twin.models import TelemetrySource

SOURCES = "/api/telemetry/sources/"
SECRET = "hunter2-of-the-broker"


@pytest.fixture
def admin(asked, tmp_path, settings):
    settings.TWIN_HOME = tmp_path
    return caller(get_user_model().objects.create_superuser("admin"))


@pytest.fixture
def body(asked) -> dict:
    return {
        "site": asked.site.slug,
        "name": "Building",
        "kind": "mqtt",
        "address": "mqtts://broker.example.org:8883",
        "username": "twin",
        "password": SECRET,
    }


def test_a_source_is_made_read_changed_and_dropped(admin, viewer, body, asked):
    made = admin.post(SOURCES, body)
    assert made.status_code == 201, made.content
    row = TelemetrySource.objects.get()
    assert credentials.opened(row.secret) == SECRET
    assert made.json()["options"] == {"topics": ["BMS/v1/PUB/Value/#", "BMS/v1/PUB/Metadata/#"]}
    assert made.json()["state"]["received"] == 0
    address = f"{SOURCES}{row.pk}/"
    seen = viewer.get(address)
    assert (seen.status_code, seen.json()["has_password"]) == (200, True)
    changed = admin.patch(address, {"name": "Plant", "enabled": False}, headers={"If-Match": seen["ETag"]})
    assert changed.status_code == 200, changed.content
    assert admin.patch(address, {"name": "Other"}, headers={"If-Match": seen["ETag"]}).status_code == 412
    row.refresh_from_db()
    assert (row.name, credentials.opened(row.secret)) == ("Plant", SECRET)
    assert admin.delete(address).status_code == 204
    assert not TelemetrySource.objects.exists()


def test_a_password_is_in_no_answer_export_page_or_log(admin, body, asked, caplog):
    made = admin.post(SOURCES, body)
    pk = made.json()["id"]
    client = Client()
    client.force_login(get_user_model().objects.get(username="admin"))
    told = [
        made.content,
        admin.get(SOURCES).content,
        admin.get(f"{SOURCES}{pk}/").content,
        admin.get(f"/api/sites/{asked.site.slug}/export/").content,
        client.get(reverse("telemetry-source", args=[asked.site.slug, pk])).content,
        client.get(reverse("telemetry-source-edit", args=[asked.site.slug, pk])).content,
        client.get(reverse("admin:twin_telemetrysource_change", args=[pk])).content,
        serializers.serialize("json", TelemetrySource.objects.all()).encode(),
        caplog.text.encode(),
        repr(vars(TelemetrySource.objects.get())).encode(),
    ]
    assert not [i for i, text in enumerate(told) if SECRET.encode() in text]


def test_what_is_called_is_an_administrators_to_say_and_its_mapping_a_planners(admin, planner, body, asked, settings):
    refused = planner.post(SOURCES, body)
    assert (refused.status_code, "administrator" in refused.json()["message"]) == (403, True)
    pk = admin.post(SOURCES, body).json()["id"]
    for change in ({"address": "mqtts://elsewhere.example.org"}, {"password": "x"}, {"options": {"topics": ["#"]}}):
        assert planner.patch(f"{SOURCES}{pk}/", change).status_code == 403, change
    assert planner.delete(f"{SOURCES}{pk}/").status_code == 403
    entry = {
        "point": "CDU-1 out",
        "object": "cdu/" + asked.layout.cdus.first().name,
        "quantity": "power_w",
        "unit": "kW",
    }
    mapped = planner.patch(f"{SOURCES}{pk}/", {"mapping": [entry], "enabled": False})
    assert (mapped.status_code, mapped.json()["mapping"][0]["unit"]) == (200, "kW"), mapped.content
    assert planner.patch(f"{SOURCES}{pk}/", {"enabled": True}).status_code == 403
    settings.TWIN_PLANNERS_CALL = True
    assert planner.post(SOURCES, body | {"name": "Theirs"}).status_code == 201


def test_a_kept_password_does_not_follow_to_another_address(admin, body):
    pk = admin.post(SOURCES, body).json()["id"]
    elsewhere = {"address": "mqtts://elsewhere.example.org"}
    refused = admin.patch(f"{SOURCES}{pk}/", elsewhere)
    assert (refused.status_code, list(refused.json()["extra"]["fields"])) == (400, ["password"])
    assert admin.patch(f"{SOURCES}{pk}/", elsewhere | {"password": ""}).json()["has_password"] is False


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("address", "mqtt://127.0.0.1", "TWIN_ALLOWED_NETWORKS"),
        ("address", "mqtt://169.254.169.254", "never called"),
        ("address", "mqtts://[::1]:8883", "TWIN_ALLOWED_NETWORKS"),
        ("address", "https://broker.example.org", "mqtts:// or mqtt://"),
        ("address", "mqtts://me:secret@broker.example.org", "fields of their own"),
        ("address", "mqtts://broker.example.org:22", "port 22"),
        ("address", "mqtts://broker.example.org/topic", "after host and port"),
        ("options", {"topic": "#"}, "topic is no field here|has topic"),
        ("options", {"topics": ["a/#/b"]}, "# for all that follow"),
        ("options", {"topics": [3]}, "printable"),
        ("options", [], "must be an object"),
        ("mapping", [{"point": "x", "object": "cdu/none", "quantity": "power_w"}], "no object of the layout"),
        ("name", "A\u202eB", "U\\+202E"),
        ("kind", "telnet", "telnet"),
    ],
)
def test_bad_input_is_refused_by_field(admin, body, field, value, says):
    answer = admin.post(SOURCES, body | {field: value})
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["extra"]["fields"], answer.json()
    assert re.search(says, answer.json()["message"]), answer.json()
    assert not TelemetrySource.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("address", "mqtts://broker.example.org", "https:// or http://"),
        ("address", "https://10.0.0.1/prometheus", "TWIN_ALLOWED_NETWORKS"),
        ("address", "https://prometheus.example.org/?query=up", "after host and port"),
        ("options", {"topics": ["#"]}, "topics is no field here|has topics"),
        ("options", {"step_s": 5}, "10 to 3,600"),
        ("options", {"step_s": 1.5}, "whole number"),
        ("options", {"back_s": 10**9}, "0 to 2,592,000"),
        ("options", {"queries": "up"}, "a list of at most 20"),
        ("options", {"queries": ["up\nrate"]}, "printable"),
        ("options", {"queries": ["x" * 2001]}, "2,000"),
    ],
)
def test_bad_input_of_a_prometheus_server_is_refused_by_field(admin, body, field, value, says):
    metrics = body | {"kind": "prometheus", "address": "https://prometheus.example.org/prefix"}
    answer = admin.post(SOURCES, metrics | {field: value})
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["extra"]["fields"], answer.json()
    assert re.search(says, answer.json()["message"]), answer.json()
    assert admin.post(SOURCES, metrics).json()["options"] == {"queries": [], "step_s": 60, "back_s": 3600}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("address", "https://cdu.example.org/redfish/v1", "after host and port"),
        ("address", "http://192.168.0.9", "TWIN_ALLOWED_NETWORKS"),
        ("options", {"login": "kerberos"}, "session or basic"),
        ("options", {"step_s": "60"}, "whole number"),
        ("options", {"back_s": 60}, "back_s is no field here|has back_s"),
    ],
)
def test_bad_input_of_a_redfish_service_is_refused_by_field(admin, body, field, value, says):
    service = body | {"kind": "redfish", "address": "https://cdu.example.org"}
    answer = admin.post(SOURCES, service | {field: value})
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["extra"]["fields"], answer.json()
    assert re.search(says, answer.json()["message"]), answer.json()
    assert admin.post(SOURCES, service).json()["options"] == {"step_s": 60, "login": "session"}


def test_a_page_takes_a_redfish_service(admin, asked):
    client = Client()
    client.force_login(get_user_model().objects.get(username="admin"))
    new = reverse("telemetry-source-new", args=[asked.site.slug]) + "?kind=redfish"
    form = {"name": "CDU 1", "address": "https://cdu.example.org", "step_s": "30", "login": "basic"}
    assert b"Select a valid choice" in client.post(new, form | {"login": "x"}).content
    assert client.post(new, form | {"username": "twin", "password": SECRET}).status_code == 302
    row = TelemetrySource.objects.get()
    assert (row.kind, row.options) == ("redfish", {"step_s": 30, "login": "basic"})


def test_a_page_takes_a_prometheus_server(admin, asked):
    client = Client()
    client.force_login(get_user_model().objects.get(username="admin"))
    new = reverse("telemetry-source-new", args=[asked.site.slug]) + "?kind=prometheus"
    assert b"PromQL" in client.get(new).content
    assert client.get(new.replace("prometheus", "telnet")).status_code == 404
    form = {"name": "Metrics", "address": "https://prometheus.example.org", "step_s": "60", "back_s": "600"}
    bad = client.post(new, form | {"step_s": "5", "address": "mqtt://x.example.org"})
    assert b"greater than or equal to 10" in bad.content
    assert b"https:// or http://" in client.post(new, form | {"address": "mqtt://x.example.org"}).content
    assert b"2,000 printable" in client.post(new, form | {"queries": "up\n" + "x" * 2001}).content
    assert client.post(new, form | {"queries": "up\n\n rate(x[5m]) ", "enabled": "on"}).status_code == 302
    row = TelemetrySource.objects.get()
    assert row.kind == "prometheus"
    assert row.options == {"queries": ["up", "rate(x[5m])"], "step_s": 60, "back_s": 600}
    edit = client.get(reverse("telemetry-source-edit", args=[asked.site.slug, row.pk])).content
    assert b"rate(x[5m])" in edit


def test_pages_show_and_take_a_source(admin, asked, body):
    client = Client()
    client.force_login(get_user_model().objects.get(username="admin"))
    home, new = (reverse(name, args=[asked.site.slug]) for name in ("site-telemetry", "telemetry-source-new"))
    assert b"No machine sends readings" in client.get(home).content
    form = {"name": "Building", "address": "mqtt://broker.example.org", "topics": "BMS/v1/PUB/#", "enabled": "on"}
    bad = client.post(new, form | {"address": "mqtt://10.1.2.3", "topics": "a#"})
    assert b"TWIN_ALLOWED_NETWORKS" in bad.content
    assert b"# for all that follow" in bad.content
    taken = client.post(new, form | {"username": "twin", "password": SECRET})
    row = TelemetrySource.objects.get()
    assert (taken.status_code, row.options["topics"], row.enabled) == (302, ["BMS/v1/PUB/#"], True)
    page = client.get(taken["Location"])
    assert b"nothing reads it" in page.content
    assert b"crosses the network unencrypted" in page.content
    assert b"<html" not in client.get(taken["Location"], headers={"HX-Request": "true"}).content
    edit = reverse("telemetry-source-edit", args=[asked.site.slug, row.pk])
    client.post(edit, form | {"username": "twin", "name": "Renamed"})
    row.refresh_from_db()
    assert (row.name, row.enabled, credentials.opened(row.secret)) == ("Renamed", True, SECRET)
    client.post(edit, form | {"forget": "on"})
    assert bytes(TelemetrySource.objects.get().secret) == b""
    letters = client.get(reverse("telemetry-dead-letters", args=[asked.site.slug, row.pk]))
    assert letters.content.startswith(b"arrived_at,place,content,reason")
    assert client.post(reverse("telemetry-source-delete", args=[asked.site.slug, row.pk])).status_code == 302
    assert b"No machine sends readings" in client.get(home).content


def test_points_are_agreed_with_on_a_page_and_readings_in_a_file_follow(admin, asked, body, tmp_path):
    cdu = asked.layout.cdus.first().name
    said = {"objectType": "CDU", "pointType": "LiquidTemperature", "engUnit": "C", "objectName": cdu}
    supply = said | {"processArea": ["TCS supply"], "servesId": ["b07"]}
    pk = admin.post(SOURCES, body).json()["id"]
    TelemetrySource.objects.update(metadata={"CDU/LiquidTemperature/a": supply, "CDU/LiquidTemperature/b": said})
    client = Client()
    client.force_login(get_user_model().objects.get(username="admin"))
    address = reverse("telemetry-source-mapping", args=[asked.site.slug, pk])
    page = client.get(address).content.decode()
    assert "which side of the CDU" in page.replace("end of the CDU", "")
    assert f"{cdu}: b07" in page
    form = {"taken-0": "on", "object-0": f"cdu/{cdu}", "quantity-0": "secondary_supply_degc", "unit-0": "kW"}
    assert b"kW is no unit of secondary_supply_degc" in client.post(address, form).content
    assert client.post(address, form | {"unit-0": "C"}).status_code == 302
    entry = TelemetrySource.objects.get().mapping[0]
    assert (entry["point"], entry["quantity"]) == ("CDU/LiquidTemperature/a", "secondary_supply_degc")
    heads = {name: dsx_bms.ROOT + f"/PUB/{name}/CDU/LiquidTemperature/" for name in ("Value", "Metadata")}
    lines = [
        f"{heads['Metadata']}a {json.dumps(supply)}",
        heads["Value"] + 'a {"value": 21.5, "timestamp": 1796050800000, "quality": 1}',
        heads["Value"] + 'b {"value": 21.5, "timestamp": 1796050800000, "quality": 1}',
    ]
    file, mapping = tmp_path / "points.txt", tmp_path / "map.yaml"
    file.write_text("\n".join(lines) + "\n")
    out = io.StringIO()
    call_command("map_telemetry", asked.layout.path, str(file), format="dsx-bms", out=mapping, stdout=out)
    assert "1 of 2 points have a meaning" in out.getvalue()
    out = io.StringIO()
    call_command(
        "ingest_telemetry", asked.layout.path, str(file), format="dsx-bms", mapping=mapping, json=True, stdout=out
    )
    found = json.loads(out.getvalue())
    assert (found["accepted"], sum(found["refused"].values())) == (1, 1)


def test_a_broker_that_may_not_be_called_or_is_not_there_is_said(asked, settings):
    day = {"start": "2026-07-01T00:00:00Z", "hours": 1, "step": 3600}
    for address, says in (
        ("mqtt://127.0.0.1:1", "TWIN_ALLOWED_NETWORKS|port 1"),
        ("http://broker.example.org", "mqtts:// or mqtt://"),
    ):
        with pytest.raises(CommandError, match=says):
            call_command("publish_telemetry", asked.layout.path, mqtt=address, **day)
    settings.TWIN_ALLOWED_NETWORKS = []
    with pytest.raises(CommandError, match=r"TWIN_ALLOWED_NETWORKS=127\.0\.0\.0/8|Mosquitto, the broker, is missing"):
        call_command("demo_telemetry")
    with pytest.raises(CommandError, match="--seconds must be 1 to 3600"):
        call_command("demo_telemetry", seconds=0)
    with pytest.raises(CommandError, match="there is no source nowhere/BMS"):
        call_command("read_sources", source=["nowhere/BMS"])
