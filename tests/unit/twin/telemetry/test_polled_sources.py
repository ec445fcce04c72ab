"""Sources that are asked: every step stored once, the next question from where the last ended, odd answers said."""

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from facility.models import ApiToken, Rack
from tests.small_run import small_scenario
from twin.benchmarks.services import PROMETHEUS, PrometheusServer, free_port
from twin.models import DeadLetter, SourceState, TelemetrySource
from twin.telemetry import source_points, sources, store
from twin.telemetry.ingest import prometheus, pushed
from twin.telemetry.ingest.polling import Reader
from twin.telemetry.intake import NOT_GOOD
from twin.telemetry.source_lease import claim
from twin.telemetry.source_points import NOT_YET

START_S = 1_796_050_800
BUCKETS = {"0.1": 0.5, "0.2": 0.9, "0.4": 1.0, "+Inf": 1.0}
Value = Callable[[float], float | None]


class Answers(BaseHTTPRequestHandler):
    """A server that answers range queries from functions of time."""

    def do_GET(self) -> None:
        server, asked = self.server, {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        server.asked.append((asked, self.headers.get("Authorization")))
        status, body = server.says or (200, None)
        if body is None:
            body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": self._matrix(asked)}})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def _matrix(self, asked: dict[str, str]) -> list[dict]:
        start, end, step = (int(asked[name]) for name in ("start", "end", "step"))
        found = []
        for labels, value in self.server.series:
            pairs = [(at, value(at)) for at in range(start, end + 1, step)]
            if pairs := [[at, str(number)] for at, number in pairs if number is not None]:
                found.append({"metric": labels, "values": pairs})
        return found

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(settings) -> Iterator[ThreadingHTTPServer]:
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    found = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found.asked, found.says, found.series = [], None, []
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """What the time is for whoever asks; a quarter of a minute after it is whole."""
    found = SimpleNamespace(now_s=START_S + 600.0 + prometheus.SETTLED_S, time=lambda: found.now_s)
    monkeypatch.setattr(prometheus, "time", found)
    return found


class Once(threading.Event):
    """Told to stop as soon as there is a rest."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def asked_once(source: TelemetrySource) -> SourceState:
    """Ask a source one time, with a new reader as after a start."""
    assert claim(source.pk, "me")
    source.refresh_from_db()
    Reader(source, "me").run(Once())
    return SourceState.objects.get(source=source)


def made(address: str, slug: str = "asked", **more) -> TelemetrySource:
    layout, _ = small_scenario(slug)
    options = {"step_s": 60, "back_s": 600, "queries": []} | more.pop("options", {})
    kind = more.pop("kind", "prometheus")
    options = options if kind == "prometheus" else {"step_s": options["step_s"]}
    source = TelemetrySource(site=layout.site, name="Metrics", kind=kind, address=address, options=options)
    return sources.source_save(user=None, source=source, **more)


def rack_of(source: TelemetrySource) -> Rack:
    return Rack.objects.filter(hall__layout__site=source.site).select_related("hall").first()


def exporters(host: str) -> list[tuple[dict[str, str], Value]]:
    """Two accelerators of a host with an energy counter, and a served model's tokens and first-token times."""
    energy = {"__name__": "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "hostname": host}
    model = {"model_name": "org/m", "engine": "0"}
    return [
        *(({**energy, "gpu": str(gpu)}, lambda at, gpu=gpu: 1e6 * (gpu + 1) * (at - START_S)) for gpu in range(2)),
        ({"__name__": "vllm:generation_tokens_total", **model}, lambda at: 50.0 * (at - START_S)),
        *(
            ({"__name__": "vllm:time_to_first_token_seconds_bucket", "le": le, **model}, lambda at, s=share: s * at)
            for le, share in BUCKETS.items()
        ),
    ]


def mapped(source: TelemetrySource) -> str:
    """Agree with what is proposed, and say which workload the model is; return the name of the host's rack."""
    rack = rack_of(source)
    accelerators = f"rack/{rack.hall.name}/{rack.name}/accelerators"
    entries = [
        {"point": f"{rack.name} accelerator_power_w", "object": accelerators, "quantity": "accelerator_power_w"},
        {"point": "org/m output_tokens_per_s", "object": "workload/m", "quantity": "output_tokens_per_s"},
        {"point": "org/m ttft_p50_s", "object": "workload/m", "quantity": "ttft_p50_s"},
        {"point": "org/m ttft_p95_s", "object": "workload/m", "quantity": "ttft_p95_s"},
    ]
    source_points.accept(user=None, source=source, entries=entries)
    return accelerators


@pytest.mark.django_db
def test_every_step_is_stored_once_and_the_next_question_begins_where_the_last_ended(server, clock):
    source = made(f"http://127.0.0.1:{server.server_port}/prometheus", password="token")
    server.series, accelerators = exporters(rack_of(source).name), mapped(source)
    state = asked_once(source)
    assert (state.problem, state.connected) == ("", True)
    assert state.read_to.timestamp() == START_S + 600
    first, token = server.asked[0]
    assert token == "Bearer token"
    assert (int(first["start"]), int(first["end"]), first["step"]) == (START_S - 60, START_S + 600, "60")
    assert "DCGM_FI_DEV_GPU_TEMP" in first["query"]
    assert (state.accepted, state.duplicate, state.refused) == (4 * 11, 0, {})
    clock.now_s += 125
    state = asked_once(source)
    assert int(server.asked[1][0]["start"]) == START_S + 600
    assert (state.accepted, state.duplicate, state.received) == (4 * 13, 0, 4 * 13)
    assert state.noticed == {}
    clock.now_s += 10
    asked_once(source)
    assert len(server.asked) == 2  # no step has passed
    held = store.read(source.site, 1000 * (START_S - 60), 1000 * (START_S + 3600))
    times, watts, quality = held[accelerators, "accelerator_power_w"]
    assert (times // 1000).tolist() == [START_S + 60 * i for i in range(13)]
    assert watts.tolist() == pytest.approx([3000.0] * 13)  # 1 and 2 kJ a second; no gap where one answer ends
    assert set(quality.tolist()) == {1}
    assert held["workload/m", "output_tokens_per_s"][1].tolist() == pytest.approx([50.0] * 13)
    assert held["workload/m", "ttft_p50_s"][1].tolist() == pytest.approx([0.1] * 13)
    assert held["workload/m", "ttft_p95_s"][1].tolist() == pytest.approx([0.3] * 13)


@pytest.mark.django_db
def test_an_accelerator_that_is_missing_from_a_whole_answer_makes_its_sum_not_good(server, clock):
    source = made(f"http://127.0.0.1:{server.server_port}")
    accelerators = mapped(source)
    power = {"__name__": "DCGM_FI_DEV_POWER_USAGE", "Hostname": rack_of(source).name}
    server.series = [({**power, "gpu": str(gpu)}, lambda at: 700.0) for gpu in range(2)]
    source.refresh_from_db()
    reader = Reader(source, "me")
    for passed_s in (0, 120):
        clock.now_s += passed_s
        assert claim(source.pk, "me")
        reader.run(Once())
        server.series = server.series[:1]
    state = SourceState.objects.get(source=source)
    assert state.noticed == {NOT_GOOD: 2}
    _, watts, quality = store.read(source.site, 0, 2 * 10**12)[accelerators, "accelerator_power_w"]
    assert (watts[-3:].tolist(), quality[-3:].tolist()) == ([1400.0, 700.0, 700.0], [1, 0, 0])


@pytest.mark.django_db
def test_what_has_no_meaning_is_refused_kept_and_proposed_on_the_page(server, clock):
    source = made(f"http://127.0.0.1:{server.server_port}")
    rack = rack_of(source)
    server.series = [
        ({"__name__": "ipmi_dcmi_power_consumption_watts", "instance": f"{rack.name.lower()}:9290"}, lambda at: 9e4),
        ({"__name__": "node_hwmon_power_average_watt", "node": "other", "chip": "0000:c1:00_0"}, lambda at: 1.0),
        ({"__name__": "DCGM_FI_DEV_GPU_TEMP", "hostname": "nowhere"}, lambda at: 50.0),
    ]
    state = asked_once(source)
    assert state.received == sum(state.refused.values()) == 33
    assert state.refused[NOT_YET] == 11
    assert state.refused["node_hwmon_power_average_watt is read where its chip is acpi000d"] == 11
    letter = DeadLetter.objects.get(reason=NOT_YET)
    assert letter.place == f"{rack.name.lower()} power_w"
    assert letter.content.startswith(f"{START_S}.000 90000; ")
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    address = reverse("telemetry-source-mapping", args=[source.site.slug, source.pk])
    page = client.get(address).content.decode()
    assert f'value="rack/{rack.hall.name}/{rack.name}"' in page
    assert "no rack is called nowhere" in page
    form = {"taken-0": "on", "object-0": f"rack/{rack.hall.name}/{rack.name}", "quantity-0": "power_w", "unit-0": "W"}
    assert client.post(address, form).status_code == 302
    clock.now_s += 60
    state = asked_once(source)
    assert state.accepted == 1
    page = client.get(reverse("telemetry-source", args=[source.site.slug, source.pk])).content.decode()
    assert "Asked up to" in page
    assert "point not mapped yet" in page


@pytest.mark.django_db
def test_queries_of_ones_own_are_points_under_their_own_name(server, clock):
    source = made(f"http://127.0.0.1:{server.server_port}", options={"queries": ["pdu_watts", "pdu_watts * 1"]})
    server.series = [({"__name__": "pdu_watts", "job": "snmp", "feed": "A"}, lambda at: math.nan if at % 120 else 5.5)]
    point = 'pdu_watts{feed="A",job="snmp"}'
    source_points.accept(
        user=None,
        source=source,
        entries=[{"point": point, "object": "site", "quantity": "power_w", "unit": "kW", "scale": 10.0}],
    )
    state = asked_once(source)
    assert [asked["query"] for asked, _ in server.asked] == ["pdu_watts", "pdu_watts * 1"]
    assert state.accepted == 6
    assert state.refused == {f"{point} has no value": 10, f"{point} is in the answer of another query too": 6}
    assert set(store.read(source.site, 0, 2 * 10**12)["site", "power_w"][1].tolist()) == {55_000.0}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, "no", "refuses the credential"),
        (400, '{"status":"error","errorType":"bad_data","error":"parse error"}', "the query failed there: parse error"),
        (200, "<html>", "with no JSON"),
        (200, "[" * 10_000, "with no JSON"),
        (502, "{}", "answers 502"),
        (200, '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}}]}}', r"result\[0\]"),
    ],
)
def test_an_odd_answer_is_said_and_nothing_of_the_span_is_lost(server, clock, status, body, says):
    source = made(f"http://127.0.0.1:{server.server_port}")
    server.series, _ = exporters(rack_of(source).name), mapped(source)
    server.says = (status, body)
    state = asked_once(source)
    assert re.search(says, state.problem), state.problem
    assert (state.connected, state.read_to) == (False, None)
    server.says = None
    state = asked_once(source)
    assert (state.connected, state.problem, state.accepted) == (True, "", 44)


@pytest.mark.django_db
def test_answers_that_are_too_long_are_asked_for_in_shorter_spans(server, clock, monkeypatch):
    source = made(f"http://127.0.0.1:{server.server_port}")
    server.series, _ = exporters(rack_of(source).name), mapped(source)
    monkeypatch.setattr(prometheus, "MOST_BYTES", 2000)
    state = asked_once(source)
    assert (state.problem, state.accepted, state.duplicate) == ("", 44, 0)
    assert len(server.asked) > 4
    monkeypatch.setattr(prometheus, "MOST_BYTES", 50)
    clock.now_s += 60
    assert "narrower queries" in asked_once(source).problem


@pytest.mark.django_db
def test_a_server_that_is_away_is_said_and_a_machine_of_ones_own_is_asked_only_where_it_is_listed(settings, clock):
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    source = made(f"http://localhost:{free_port()}")
    assert "cannot be called" in asked_once(source).problem
    settings.TWIN_ALLOWED_NETWORKS = []
    assert "TWIN_ALLOWED_NETWORKS" in asked_once(source).problem


class Exporter(BaseHTTPRequestHandler):
    """A DCGM exporter of a host that draws a kilowatt."""

    def do_GET(self) -> None:
        energy_mj = 1e6 * time.time()
        lines = [f'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="0",Hostname="{self.server.host}"}} {energy_mj:.3f}\n']
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("".join(lines).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None, reason="no Prometheus on this machine (apt-get install prometheus)"
)


@pytest.fixture
def exporter() -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@needs_prometheus
@pytest.mark.services
@pytest.mark.django_db
def test_a_real_prometheus_server_is_read(tmp_path, settings, monkeypatch, exporter):
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    server = PrometheusServer(tmp_path, [f"127.0.0.1:{exporter.server_port}"]).start()
    try:
        source = made(server.address)
        exporter.host, accelerators = rack_of(source).name, mapped(source)
        TelemetrySource.objects.update(options={"queries": [], "step_s": 2, "back_s": 0})
        monkeypatch.setattr(prometheus, "SETTLED_S", 1.0)
        until_s = time.monotonic() + 60
        while SourceState.objects.get(source=source).accepted < 4:
            assert time.monotonic() < until_s, SourceState.objects.get(source=source).problem
            time.sleep(2)
            asked_once(source)
        state = SourceState.objects.get(source=source)
        assert (state.problem, state.duplicate, state.refused) == ("", 0, {})
        times, watts, _ = store.read(source.site, 0, 2**42)[accelerators, "accelerator_power_w"]
        assert len(set(times.tolist())) == len(times) == state.accepted
        assert watts[1:].mean() == pytest.approx(1000, rel=0.6)  # scrapes and steps are not in time with each other
        TelemetrySource.objects.update(options={"queries": ["up{"], "step_s": 2, "back_s": 0})
        time.sleep(2)
        assert "the query failed there" in asked_once(source).problem
    finally:
        server.kill()


@needs_prometheus
@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_real_prometheus_server_writes_what_it_scrapes(tmp_path, live_server, monkeypatch, exporter):
    source = made("", kind="remote-write", options={"step_s": 10})
    exporter.host, accelerators = rack_of(source).name, mapped(source)
    TelemetrySource.objects.update(options={"step_s": 2, "by_name": False})
    user = get_user_model().objects.create_superuser("admin")
    _, secret = ApiToken.issue(user=user, name="prometheus", read_only=False)
    there = f"{live_server.url}{reverse('api-telemetry-source-remote-write', args=[source.pk])}"
    monkeypatch.setattr(pushed, "SETTLED_MS", 1000)
    sends = {
        "url": there,
        "authorization": {"type": "Token", "credentials": secret},
        "queue_config": {"batch_send_deadline": "1s"},
        "write_relabel_configs": [{"source_labels": ["__name__"], "regex": "DCGM_.*", "action": "keep"}],
    }
    server = PrometheusServer(tmp_path, [f"127.0.0.1:{exporter.server_port}"], sends).start()
    try:
        until_s = time.monotonic() + 90
        while SourceState.objects.get(source=source).accepted < 4:
            assert time.monotonic() < until_s, SourceState.objects.get(source=source).problem
            time.sleep(2)
            asked_once(source)
    finally:
        server.kill()
    state = SourceState.objects.get(source=source)
    assert (state.problem, state.duplicate, state.refused) == ("", 0, {})
    times, watts, _ = store.read(source.site, 0, 2**42)[accelerators, "accelerator_power_w"]
    assert len(set(times.tolist())) == len(times) == state.accepted
    assert watts[1:].mean() == pytest.approx(1000, rel=0.6)  # scrapes and steps are not in time with each other
