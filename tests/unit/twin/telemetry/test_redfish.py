"""Redfish services: what resources say, what they mean, and a service that is walked, read, refused and restarted."""

import base64
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from facility.models import Rack
from tests.small_run import small_scenario
from twin.core.telemetry import redfish
from twin.models import DeadLetter, SourceState, TelemetrySource
from twin.telemetry import source_points, sources, store
from twin.telemetry.ingest import redfish as ingest
from twin.telemetry.ingest import redfish_snapshot
from twin.telemetry.ingest.polling import Reader
from twin.telemetry.source_lease import claim

ROOT = "/redfish/v1"
OWNER = redfish.Owner("CDUs/1", "CDU-1", "", "cdu")


def refers(*path: str) -> dict[str, str]:
    return {"@odata.id": "/".join([ROOT, *path])}


def tree(cdu: str, rack: str) -> dict[str, Any]:
    """Return the resources of a CDU, a rack PDU, a power shelf and a chassis, as the schemas have them."""
    thermal, power = ("ThermalEquipment", "CDUs", "1"), ("PowerEquipment", "RackPDUs", "A")
    shelf = ("PowerEquipment", "PowerShelves", "1")
    lists = {
        thermal[:2]: ["1", "2"],
        (*thermal, "PrimaryCoolantConnectors"): ["1"],
        (*thermal, "SecondaryCoolantConnectors"): ["1"],
        (*thermal, "Pumps"): ["1", "2"],
        power[:2]: ["A"],
        (*power, "Branches"): ["L1"],
        shelf[:2]: ["1"],
        (*shelf, "PowerSupplies"): ["0"],
        ("Chassis",): ["Rack"],
        ("Chassis", "Rack", "Sensors"): ["air", "fan", "old", "off"],
    }
    found = {path: {"Members": [refers(*path, name) for name in names]} for path, names in lists.items()}
    found |= {
        (): {name: refers(name) for name in ("ThermalEquipment", "PowerEquipment", "Chassis")},
        ("ThermalEquipment",): {"CDUs": refers("ThermalEquipment", "CDUs")},
        ("PowerEquipment",): {name: refers("PowerEquipment", name) for name in ("RackPDUs", "PowerShelves")},
        thermal: {
            "Id": "1",
            "Name": cdu,
            "Status": {"State": "Enabled"},
            "Coolant": {"CoolantType": "GlycolWater", "DensityKgPerCubicMeter": 1026.0},
            **{
                name: refers(*thermal, name)
                for name in ("PrimaryCoolantConnectors", "SecondaryCoolantConnectors", "Pumps", "EnvironmentMetrics")
            },
        },
        (*thermal[:2], "2"): {"Id": "2", "Name": "spare", "Status": {"State": "Absent"}},
        (*thermal, "PrimaryCoolantConnectors", "1"): {
            "Id": "1",
            "SupplyTemperatureCelsius": {"Reading": 24.5, "DataSourceUri": f"{ROOT}/Chassis/Rack/Sensors/x"},
            "FlowLitersPerMinute": {"Reading": None},
            "ValvePositionPercent": {"Reading": 40},
        },
        (*thermal, "SecondaryCoolantConnectors", "1"): {
            "Id": "1",
            "SupplyTemperatureCelsius": {"Reading": 32.1},
            "ReturnTemperatureCelsius": {"Reading": 42.0},
            "FlowLitersPerMinute": {"Reading": 610.0},
            "DeltaPressurekPa": {"Reading": 180.0},
            "HeatRemovedkW": {"Reading": 402.0},
        },
        (*thermal, "Pumps", "1"): {"Id": "1", "PumpSpeedPercent": {"Reading": 71.5}},
        (*thermal, "Pumps", "2"): {"Id": "2", "PumpSpeedPercent": {"Reading": "fast"}},
        (*thermal, "EnvironmentMetrics"): {"PowerWatts": {"Reading": 0.0}},
        power: {"Id": "A", "Name": "RPDU", "Metrics": refers(*power, "M"), "Branches": refers(*power, "Branches")},
        (*power, "M"): {"PowerWatts": {"Reading": 50_500.0}},
        (*power, "Branches", "L1"): {"Id": "L1", "PowerWatts": {"Reading": 17_000.0}},
        shelf: {
            "Id": "1",
            "Name": "Shelf",
            "Location": {"Placement": {"Rack": rack}},
            "Metrics": refers(*shelf, "M"),
            "PowerSupplies": refers(*shelf, "PowerSupplies"),
        },
        (*shelf, "M"): {"PowerWatts": {"Reading": 98_000.0}},
        (*shelf, "PowerSupplies", "0"): {"Id": "0", "Metrics": refers(*shelf, "PowerSupplies", "0", "M")},
        (*shelf, "PowerSupplies", "0", "M"): {"Id": "M", "InputPowerWatts": {"Reading": 3_300.0}},
        ("Chassis", "Rack"): {"Id": "Rack", "Name": "Rack", "Sensors": refers("Chassis", "Rack", "Sensors")},
        ("Chassis", "Rack", "Sensors", "air"): {
            "Id": "air",
            "Name": "Outdoor air",
            "Reading": 17.25,
            "ReadingUnits": "Cel",
            "ReadingTime": "2026-11-30T10:00:00Z",
        },
        ("Chassis", "Rack", "Sensors", "fan"): {"Id": "fan", "Reading": 4000, "ReadingUnits": "{rev}/min"},
        ("Chassis", "Rack", "Sensors", "old"): {"Id": "old", "ReadingUnits": "W"},
        ("Chassis", "Rack", "Sensors", "off"): {
            "Id": "off",
            "Reading": 1,
            "ReadingUnits": "W",
            "Status": {"State": "Absent"},
        },
    }
    return {"/".join([ROOT, *path]) + ("" if path else "/"): body for path, body in found.items()}


def saved(folder: Path, resources: dict[str, Any], below: str = "") -> Path:
    """Write resources as DMTF's mock-ups have them: a folder and an index.json each."""
    for path, body in resources.items():
        here = folder / below / path.strip("/") if below else folder / path.removeprefix(ROOT).strip("/")
        here.mkdir(parents=True, exist_ok=True)
        (here / "index.json").write_text(json.dumps(body))
    return folder


def zipped(folder: Path, top: str = "") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as file:
        for one in folder.rglob("index.json"):
            file.write(one, PurePosixPath(top) / one.relative_to(folder))
    return path


SAVED_AT = "2026-11-30T09:00:00Z"


@pytest.fixture
def small(db):
    layout, _ = small_scenario()
    cdu, rack = layout.cdus.first().name, Rack.objects.filter(hall__layout=layout).first().name
    return layout, tree(cdu, rack)


@pytest.mark.parametrize("shape", ["short", "tall", "above", "zip", "zip in a folder"])
def test_a_saved_service_is_mapped_and_stored_whatever_its_shape(small, tmp_path, capsys, shape):
    layout, resources = small
    folder = saved(tmp_path / "mockup", resources, {"tall": ".", "above": "public-rackmount"}.get(shape, ""))
    path = zipped(folder, "DSP2043" if shape.endswith("folder") else "") if shape.startswith("zip") else folder
    mapping = tmp_path / "map.yaml"
    call_command("map_telemetry", layout.path, path, format="redfish", out=mapping)
    assert f"cdu/{layout.cdus.first().name}|secondary_supply_degc" in capsys.readouterr().out
    # Connectors of the CDU 2 and 4, its pump and power, the shelf's power in its rack, and the outdoor air.
    for expected in ((10, 0), (0, 10)):
        call_command("ingest_telemetry", layout.path, path, format="redfish", mapping=mapping, time=SAVED_AT, json=True)
        told = json.loads(capsys.readouterr().out)
        assert (told["accepted"], told["duplicate"]) == expected
    assert told["refused"]["no value"] == 1
    assert any("must be a number or null" in reason for reason in told["refused"])
    there = store.read(layout.site, 0, 4_000_000_000_000)
    times, values, _ = there[f"cdu/{layout.cdus.first().name}", "secondary_supply_degc"]
    assert (times.tolist(), values.tolist()) == ([1_796_029_200_000], [pytest.approx(32.1)])
    assert there["weather", "dry_bulb_degc"][0].tolist() == [1_796_032_800_000]  # a sensor's own time counts


def test_a_saved_service_leads_nowhere_else(small, tmp_path):
    layout, resources = small
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "index.json").write_text(json.dumps({"Name": "secret", "Id": "s"}))
    resources[f"{ROOT}/ThermalEquipment/CDUs"] = {"Members": [{"@odata.id": f"{ROOT}/../../../secret"}, refers("link")]}
    folder = saved(tmp_path / "mockup", resources)
    (folder / "link").symlink_to(tmp_path / "secret")
    points = redfish_snapshot.snapshot_points(folder)
    assert not [name for name in points if name.startswith("CDUs")]
    assert points


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_broken_part_of_a_saved_service_costs_its_own_readings_only(small, tmp_path, packing):
    _, resources = small
    folder = saved(tmp_path / "mockup", resources)
    path = tmp_path / "saved.zip"
    broken = "ThermalEquipment/CDUs/1/index.json"
    with zipfile.ZipFile(path, "w", packing) as file:
        for one in folder.rglob("index.json"):
            file.write(one, one.relative_to(folder))
        at = file.getinfo(broken).header_offset + 30 + len(broken)
    content = bytearray(path.read_bytes())
    content[at : at + 12] = bytes(255 - byte for byte in content[at : at + 12])
    path.write_bytes(content)
    points = redfish_snapshot.snapshot_points(path)
    assert points
    assert not [name for name in points if name.startswith("CDUs/1")]


def test_a_name_that_no_file_can_have_is_not_saved(small, tmp_path):
    _, resources = small
    resources[f"{ROOT}/ThermalEquipment/CDUs"] = {"Members": [refers("a" * 400)]}
    assert redfish_snapshot.snapshot_points(saved(tmp_path / "mockup", resources))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "none", "No such file"),
        (lambda folder: folder, "has no redfish/v1/index.json"),
        (lambda folder: written(folder / "a.csv", "time,point\n"), "neither a folder nor a ZIP file"),
        (lambda folder: saved(folder / "empty", {f"{ROOT}/": {}}), "no cooling unit, power distribution or chassis"),
        (lambda folder: written(folder / "odd" / "index.json", "no JSON").parent, "is no JSON"),
    ],
)
def test_what_is_no_saved_service_is_refused(layout, tmp_path, make, said):
    with pytest.raises(CommandError, match=said):
        call_command("ingest_telemetry", layout.path, make(tmp_path), format="redfish", time=SAVED_AT)
    with pytest.raises(CommandError, match=said):
        call_command("map_telemetry", layout.path, make(tmp_path), format="redfish")


def test_when_it_was_saved_is_asked_and_never_guessed(small, tmp_path):
    layout, resources = small
    folder = saved(tmp_path / "mockup", resources)
    with pytest.raises(CommandError, match="say --time TIME"):
        call_command("ingest_telemetry", layout.path, folder, format="redfish")
    with pytest.raises(CommandError, match="has no zone"):
        call_command("ingest_telemetry", layout.path, folder, format="redfish", time="2026-11-30T09:00:00")


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


class Mock(BaseHTTPRequestHandler):
    """A service with sessions and basic authentication."""

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(self.path)
        is_known = (
            self.headers.get("X-Auth-Token") in server.sessions or self.headers.get("Authorization") == server.basic
        )
        if self.path != f"{ROOT}/" and not is_known:
            return self._answer(401, {})
        if self.path not in server.tree:
            return self._answer(404, {"error": {"code": "Base.1.0.ResourceMissingAtURI"}})
        return self._answer(200, server.tree[self.path])

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if said != {"UserName": "twin", "Password": "secret"}:
            return self._answer(401, {})
        token = f"token-{len(self.server.begun)}"
        self.server.begun.append(token)
        self.server.sessions.add(token)
        return self._answer(201, {}, {"X-Auth-Token": token, "Location": f"{ingest.SESSIONS}/{token}"})

    def do_DELETE(self) -> None:
        self.server.sessions.discard(self.path.rpartition("/")[2])
        return self._answer(204, {})

    def _answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode() if status != 204 else b""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service(settings) -> Iterator[ThreadingHTTPServer]:
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    found = ThreadingHTTPServer(("127.0.0.1", 0), Mock)
    found.asked, found.begun, found.sessions = [], [], set()
    found.basic = "Basic " + base64.b64encode(b"twin:secret").decode()
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


class Rounds(threading.Event):
    """Told to stop at the rest after so many rounds."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.left, self.between = n, lambda: None

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        if self.left <= 0:
            self.set()
            return True
        self.between()
        return False


def made(service: ThreadingHTTPServer, **more) -> TelemetrySource:
    layout, _ = small_scenario("served")
    values = {"username": "twin", "options": {"step_s": 10}} | more
    password = values.pop("password", "secret")
    source = TelemetrySource(
        site=layout.site, name="CDU", kind="redfish", address=f"http://127.0.0.1:{service.server_port}", **values
    )
    service.tree = tree(layout.cdus.first().name, Rack.objects.filter(hall__layout=layout).first().name)
    return sources.source_save(user=None, source=source, password=password)


def read(source: TelemetrySource, n: int = 1, between=lambda: None) -> SourceState:
    assert claim(source.pk, "me")
    source.refresh_from_db()
    stop = Rounds(n)
    stop.between = between
    reader = Reader(source, "me")
    reader._every_s = 0
    reader.run(stop)
    return SourceState.objects.get(source=source)


@pytest.mark.django_db
def test_a_service_is_walked_its_points_agreed_with_and_its_readings_stored(service):
    source = made(service)
    first = read(source)
    assert (first.problem, first.connected) == ("", True)
    assert service.begun == ["token-0"]
    assert not service.sessions  # given back
    source.refresh_from_db()
    known, asked = source_points.proposals(source)
    assert not known
    meant = {entry.point: entry for entry in asked}
    cdu, rack = (
        next(name for name in service.tree.values() if name.get("Id") == "1" and "Coolant" in name)["Name"],
        None,
    )
    rack = Rack.objects.select_related("hall").first()
    told = {point: (entry.mapped.object, entry.mapped.quantity) for point, entry in meant.items() if entry.mapped}
    assert told == {
        "CDUs/1 PrimaryCoolantConnectors/1 primary_supply_degc": (f"cdu/{cdu}", "primary_supply_degc"),
        "CDUs/1 PrimaryCoolantConnectors/1 primary_flow_kg_s": (f"cdu/{cdu}", "primary_flow_kg_s"),
        "CDUs/1 PrimaryCoolantConnectors/1 valve_frac": (f"cdu/{cdu}", "valve_frac"),
        "CDUs/1 SecondaryCoolantConnectors/1 secondary_supply_degc": (f"cdu/{cdu}", "secondary_supply_degc"),
        "CDUs/1 SecondaryCoolantConnectors/1 secondary_return_degc": (f"cdu/{cdu}", "secondary_return_degc"),
        "CDUs/1 SecondaryCoolantConnectors/1 secondary_flow_kg_s": (f"cdu/{cdu}", "secondary_flow_kg_s"),
        "CDUs/1 SecondaryCoolantConnectors/1 secondary_differential_pressure_pa": (
            f"cdu/{cdu}",
            "secondary_differential_pressure_pa",
        ),
        "CDUs/1 Pumps/1 speed_frac": (f"cdu/{cdu}", "speed_frac"),
        "CDUs/1 power_w": (f"cdu/{cdu}", "power_w"),
        "PowerShelves/1 power_w": (f"rack/{rack.hall.name}/{rack.name}", "power_w"),
        "Chassis/Rack Sensors/air": ("weather", "dry_bulb_degc"),
    }
    assert "map it where it is wanted" in meant["RackPDUs/A Branches/L1 power_w"].reason
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    page = client.get(reverse("telemetry-source-mapping", args=[source.site.slug, source.pk])).content.decode()
    assert "the rack that it stands in" in page
    source_points.accept(user=None, source=source, entries=[e.mapped.as_json() for e in asked if e.mapped])
    state = read(source)
    held = {key: columns[1].tolist() for key, columns in store.read(source.site, 0, 2**42).items()}
    assert held[f"cdu/{cdu}", "secondary_flow_kg_s"] == pytest.approx([610 / 60e3 * 1026])  # its own coolant's density
    assert held[f"cdu/{cdu}", "secondary_differential_pressure_pa"] == pytest.approx([180e3])
    assert held[f"cdu/{cdu}", "valve_frac"] == pytest.approx([0.4])
    assert held[f"cdu/{cdu}", "power_w"] == [0.0]  # zero is a reading
    assert (f"cdu/{cdu}", "primary_flow_kg_s") not in held  # null is none
    assert store.read(source.site, 0, 2**42)["weather", "dry_bulb_degc"][0].tolist() == [1_796_032_800_000]
    assert state.accepted == len(held) == 10
    assert state.refused["no value"] == 2
    assert (
        DeadLetter.objects.filter(place__endswith="Pumps/2", reason__contains="must be a number or null").count() == 2
    )
    assert not any("/CDUs/2/" in path for path in service.asked)  # what is absent is not asked


@pytest.mark.django_db
def test_what_is_read_is_looked_for_once_and_a_session_that_ended_is_begun_again(service):
    source = made(service)
    state = read(source, n=3, between=service.sessions.clear)
    assert state.problem == ""
    assert service.begun == ["token-0", "token-1", "token-2"]
    assert service.asked.count(f"{ROOT}/ThermalEquipment") == 1
    assert service.asked.count(f"{ROOT}/ThermalEquipment/CDUs/1/Pumps/1") == 3


@pytest.mark.django_db
def test_basic_authentication_needs_no_session(service):
    state = read(made(service, options={"login": "basic", "step_s": 60}))
    assert (state.problem, service.begun) == ("", [])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("more", "change", "says"),
    [
        ({"password": "wrong"}, {}, "begins no session"),
        ({"password": "wrong", "options": {"login": "basic"}}, {}, "refuses the credential"),
        ({}, {f"{ROOT}/": {}}, "no cooling unit, power distribution or chassis"),
        ({}, {f"{ROOT}/": []}, "is no object"),
        ({}, {f"{ROOT}/Chassis": {"Members": [refers("Chassis", "Rack")] * 1001}}, "more than 1,000 members"),
    ],
)
def test_what_cannot_be_read_at_all_is_said(service, more, change, says):
    source = made(service, **more)
    service.tree |= change
    state = read(source)
    assert says in state.problem
    assert (state.connected, state.accepted) == (False, 0)


@pytest.mark.django_db
def test_what_one_resource_does_wrong_costs_its_own_readings_only(service):
    source = made(service)
    away = f"{ROOT}/ThermalEquipment/CDUs/1/EnvironmentMetrics"
    service.tree.pop(away)
    service.tree[f"{ROOT}/PowerEquipment"]["PowerShelves"] = {"@odata.id": "http://169.254.169.254/redfish/v1/x"}
    service.tree[f"{ROOT}/Chassis"]["Members"] = ["x", {"@odata.id": f"{ROOT}/../admin"}, {"@odata.id": 3}]
    state = read(source)
    assert state.problem == ""
    assert state.refused[f"cannot be read: {away} answers 404"] == 1
    assert state.received == sum(state.refused.values())
    assert all(path.startswith(f"{ROOT}/") for path in service.asked)


def test_absent_null_and_zero_are_three_things():
    resource = {"Id": "1", "SupplyTemperatureCelsius": {"Reading": 0}, "ReturnTemperatureCelsius": None}
    found = {
        entry.point: entry.value
        for entry in redfish.found_in(OWNER, "secondary", "SecondaryCoolantConnectors", resource)
    }
    assert found == {
        "CDUs/1 SecondaryCoolantConnectors/1 secondary_supply_degc": 0.0,
        "CDUs/1 SecondaryCoolantConnectors/1 secondary_return_degc": None,
    }
    with pytest.raises(ValueError, match="Reading is 'True'; must be a number or null"):
        redfish.found_in(OWNER, "power", "Metrics", {"PowerWatts": {"Reading": True}})


def test_a_sensor_that_is_not_enabled_is_no_good_reading():
    sensor = {"Id": "t", "Reading": 20.0, "ReadingUnits": "Cel", "Status": {"State": "Starting"}}
    (found,) = redfish.found_in(OWNER, "sensor", "Sensors", sensor)
    assert (found.quality, found.unit, found.time_ms) == (0, "degC", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("following", ["CDUs", "CDUs?page=2"])
def test_pages_of_a_collection_that_go_round_are_refused_by_the_link(service, following):
    source = made(service)
    path = f"{ROOT}/ThermalEquipment/CDUs"
    service.tree[path] = {"Members": [1], "Members@odata.nextLink": f"{ROOT}/ThermalEquipment/{following}"}
    service.tree[f"{path}?page=2"] = {"Members": [1], "Members@odata.nextLink": path}
    problem = read(source).problem
    assert f"{path}: Members@odata.nextLink is {path}, a page that was read before" in problem
    assert service.asked.count(path) == 1


@pytest.mark.django_db
def test_pages_without_members_and_calls_in_all_are_bounded(service, monkeypatch):
    source = made(service)
    path = f"{ROOT}/ThermalEquipment/CDUs"
    monkeypatch.setattr(ingest, "MOST_PAGES", 5)
    for page in range(9):
        following = {"Members": [1], "Members@odata.nextLink": f"{path}?page={page + 1}"}
        service.tree[f"{path}?page={page}" if page else path] = following
    assert f"nextLink is {path}?page=5 after 5 pages" in read(source).problem
    monkeypatch.setattr(ingest, "MOST_CALLS", 3)
    assert "refers to more than 3 resources" in read(source).problem
