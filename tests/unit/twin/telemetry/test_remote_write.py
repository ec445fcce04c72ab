"""Remote write: the message read within bounds, kept once however often it comes, and read at steps."""

import struct
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from facility.models import Rack
from tests.api.conftest import caller
from tests.small_run import small_scenario
from twin.core.telemetry import remote_write
from twin.core.telemetry.remote_write import MOST_BYTES, at_steps, unpacked, written
from twin.models import SourceState, TelemetryPushed, TelemetrySource
from twin.telemetry import source_points, sources, store
from twin.telemetry.ingest import pushed
from twin.telemetry.ingest.polling import Reader
from twin.telemetry.source_lease import claim

NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]  # how Prometheus says that a series has ended


def varint(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def part(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def series(samples: list[tuple[int, float]], histogram: bytes = b"", **labels: str) -> bytes:
    said = b"".join(part(1, part(1, name.encode()) + part(2, value.encode())) for name, value in labels.items())
    for time_ms, value in samples:
        said += part(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time_ms % 2**64))
    return part(1, said + (part(4, histogram) if histogram else b""))


def packed(message: bytes) -> bytes:
    """Return a snappy block of literals only."""
    found = varint(len(message))
    for start in range(0, len(message), 60):
        piece = message[start : start + 60]
        found += bytes([len(piece) - 1 << 2]) + piece
    return found


def test_copies_of_a_snappy_block_repeat_what_was_written():
    assert unpacked(b"\x0c" + b"\x08abc" + b"\x15\x03") == b"abcabcabcabc"  # nine bytes from three back
    assert unpacked(b"\x07" + b"\x08abc" + b"\x0e\x03\x00") == b"abcabca"
    assert unpacked(b"\x04" + b"\xf0\x02abc" + b"\x03\x01\x00\x00\x00") == b"abcc"
    assert unpacked(packed(b"x" * 1000)) == b"x" * 1000


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (b"", "middle of a number"),
        (b"\xff" * 11, "more than ten bytes"),
        (varint(MOST_BYTES + 1), "at most 16,777,216"),
        (b"\x05\x08ab", "middle of a literal"),
        (b"\x05\x08abc\x15\x09", "before its beginning"),
        (b"\x05\x08abc\x15\x00", "before its beginning"),
        (b"\x02\x08abc", "longer than it says"),
        (b"\x09\x08abc", "shorter than it says"),
    ],
)
def test_what_is_no_snappy_block_is_refused(block, says):
    with pytest.raises(ValueError, match=says):
        unpacked(block)


def test_a_message_is_read_series_by_series():
    message = series([(1000, 1.5), (-5, 2.5)], histogram=b"\x08\x01", __name__="a", z="1", b="2") + part(3, b"\x08\x01")
    found = written(message + series([(3000, 4.0)], b="2", z="1", __name__="a"))
    ((labels, (times, values)),) = found.series.items()
    assert dict(labels) == {"__name__": "a", "b": "2", "z": "1"}
    assert (times.tolist(), values.tolist()) == ([1000, -5, 3000], [1.5, 2.5, 4.0])
    assert (found.n_samples, found.n_histograms) == (3, 1)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"\x0b", "wire type 3"),
        (b"\x0a\x05\x00", "middle of a field"),
        (b"\x0a", "middle of a number"),
        (series([(1, 1.0)], job="x"), "lack __name__"),
        (part(1, part(1, part(1, b"\xff"))), "no UTF-8"),
        (part(1, b"\x0a\x00" * 10), "label has no name"),
        (part(1, part(1, part(1, b"a")) * 2), "label a more than once"),
        (series([(1, 1.0)], __name__="x", **{f"l{i}": "" for i in range(64)}), "a series has more than 64 labels"),
        (series([(1, 1.0)], **{"__name__": "x", "n" * 1025: ""}), "label's name has more than 1,024 bytes"),
        (series([(1, 1.0)], __name__="v" * 4097), "label's value has more than 4,096 bytes"),
    ],
)
def test_what_is_no_message_is_refused(message, says):
    with pytest.raises(ValueError, match=says):
        written(message)


@pytest.mark.parametrize(
    ("bound", "most", "says"),
    [
        ("MOST_SERIES", 2, "the message has more than 2 series"),
        ("MOST_LABELS_IN_ALL", 5, "the message has more than 5 labels"),
        ("MOST_SAMPLES", 2, "the message has more than 2 samples"),
        ("MOST_FIELDS", 20, "the message has more than 20 fields"),
    ],
)
def test_all_that_a_message_has_is_bounded(monkeypatch, bound, most, says):
    message = series([(1, 1.0)], __name__="x", job="y") * 3
    assert written(message).n_samples == 3
    monkeypatch.setattr(remote_write, bound, most)
    with pytest.raises(ValueError, match=says):
        written(message)


@pytest.mark.parametrize(
    "message",
    [
        part(1, b"\x0a\x00" * (15 * 2**19)),
        b"".join(part(1, part(1, part(1, b"__name__") + part(2, b"%x" % i))) for i in range(60_000)),
    ],
    ids=["labels", "series"],
)
def test_what_says_nothing_is_refused_in_little_memory(message):
    assert len(message) < MOST_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than|no name"):
            written(message)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


def test_a_body_is_bounded_before_it_is_unpacked():
    with pytest.raises(ValueError, match="at most 8,388,608"):
        unpacked(bytes(8 * 2**20 + 1))


def test_a_step_has_the_newest_sample_before_it_unless_it_is_old_or_the_series_ended():
    samples = np.array([0, 70_000, 60_000, 70_000, 200_000]), np.array([1.0, 3.0, 2.0, 99.0, NAN])
    times, values = at_steps(samples, np.array([-1, 0, 60_000, 80_000, 200_000, 260_000]))
    assert (times.tolist(), values.tolist()) == ([0, 60_000, 80_000], [1.0, 2.0, 3.0])
    assert at_steps((np.array([0]), np.array([1.0])), np.array([300_000, 300_001]))[0].tolist() == [300_000]


@pytest.fixture
def source(db) -> TelemetrySource:
    layout, _ = small_scenario("pushed")
    options = {"step_s": 60}
    return sources.source_save(
        user=None, source=TelemetrySource(site=layout.site, name="P", kind="remote-write", options=options)
    )


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    found = SimpleNamespace(now_s=float(int(time.time()) // 60 * 60))
    monkeypatch.setattr(pushed, "time", SimpleNamespace(time=lambda: found.now_s))
    return found


def read(source: TelemetrySource) -> SourceState:
    class Once(type(Reader(source, "me")._held.stop)):
        def wait(self, timeout=None):
            self.set()
            return True

    assert claim(source.pk, "me")
    source.refresh_from_db()
    Reader(source, "me").run(Once())
    return SourceState.objects.get(source=source)


def test_series_of_a_host_that_come_apart_are_added_up_and_what_comes_twice_is_kept_once(source, clock):
    rack = Rack.objects.select_related("hall").first()
    accelerators = f"rack/{rack.hall.name}/{rack.name}/accelerators"
    name = f"{rack.name} accelerator_power_w"
    source_points.accept(
        user=None, source=source, entries=[{"point": name, "object": accelerators, "quantity": "accelerator_power_w"}]
    )
    start_ms = round(1e3 * clock.now_s) - 600_000

    def message(gpu: int, first: int, last: int) -> bytes:
        samples = [(start_ms + 15_000 * i, 100.0 * (gpu + 1)) for i in range(first, last)]
        labels = {"__name__": "DCGM_FI_DEV_POWER_USAGE", "Hostname": rack.name, "gpu": str(gpu)}
        return packed(series(samples, **labels))

    for gpu in range(2):
        assert pushed.push(source, message(gpu, 0, 22)) == 22
    assert pushed.push(source, message(1, 0, 22)) == 0  # sent again: nobody heard the answer
    assert TelemetryPushed.objects.count() == 2
    state = read(source)
    assert state.read_to.timestamp() * 1e3 == start_ms + 300_000  # a step is over when newer samples are here
    assert (state.accepted, state.duplicate, state.refused, state.noticed) == (6, 0, {}, {})
    for gpu in (1, 0):
        pushed.push(source, message(gpu, 22, 42))
    state = read(source)
    assert (state.accepted, state.duplicate) == (10, 0)  # our clock is ten minutes in: no step after it is over
    assert set(store.read(source.site, 0, 2**42)[accelerators, "accelerator_power_w"][1].tolist()) == {300.0}
    pushed.push(source, packed(series([(start_ms + 1, 1.0), (2**62, 1.0), (5, 1.0)], __name__="late")))
    state = read(source)
    assert state.refused == {pushed.TOO_LATE: 1, "time outside 1990 to 2100": 2}
    assert state.received == state.accepted + sum(state.refused.values())


def test_a_message_that_is_refused_is_counted_once_however_often_it_comes(source, clock):
    now_ms = round(1e3 * clock.now_s)
    outside = packed(series([(2**62, 1.0), (5, 1.0)], __name__="x"))
    histogram = packed(series([], histogram=b"\x08\x01", __name__="x"))
    assert [pushed.push(source, body) for body in (outside, histogram) * 2] == [0] * 4
    state = SourceState.objects.get(source=source)
    assert (state.refused, state.received) == ({"time outside 1990 to 2100": 2, pushed.HISTOGRAM: 1}, 3)
    assert [len(row.message) for row in TelemetryPushed.objects.all()] == [0, 0]
    assert read(source).problem == ""  # nothing to read in them
    late = packed(series([(now_ms - 7_200_000, 1.0)], __name__="x"))
    pushed.push(source, packed(series([(now_ms - 600_000, 1.0), (now_ms, 1.0)], __name__="x")))
    assert read(source).read_to
    for _ in range(3):
        assert pushed.push(source, late) == pushed.push(source, outside) == 0
        state = read(source)
    assert state.refused.pop("x is no metric that is read") == 6
    assert state.refused == {"time outside 1990 to 2100": 2, pushed.HISTOGRAM: 1, pushed.TOO_LATE: 1}
    TelemetryPushed.objects.filter(n_samples=0).update(last_ms=now_ms - 2 * pushed.KEPT_MS)
    pushed.push(source, packed(series([(6, 1.0)], __name__="x")))
    assert TelemetryPushed.objects.filter(n_samples=0).count() == 1  # digests are forgotten too


def test_bytes_that_wait_and_that_are_read_at_once_are_bounded(source, clock, monkeypatch):
    now_ms = round(1e3 * clock.now_s)

    def message(before_ms: int) -> bytes:
        return packed(series([(now_ms - before_ms, 1.0)], __name__="x"))

    pushed.push(source, message(120_000))
    monkeypatch.setattr(pushed, "MOST_WAITING_BYTES", len(bytes(TelemetryPushed.objects.get().message)) + 5)
    with pytest.raises(pushed.NobodyReads, match=r"1 samples of P wait to be read \(\d+ bytes\)"):
        pushed.push(source, message(0))
    monkeypatch.setattr(pushed, "MOST_WAITING_BYTES", 1000)
    pushed.push(source, message(0))
    monkeypatch.setattr(pushed, "MOST_MESSAGES_BYTES", 0)
    assert "or 0 bytes of messages" in read(source).problem


def test_what_is_read_is_forgotten_after_a_while_and_more_than_is_read_is_put_off(source, clock, monkeypatch):
    now_ms = round(1e3 * clock.now_s)
    pushed.push(source, packed(series([(now_ms - 3_600_000, 1.0)], __name__="DCGM_FI_DEV_GPU_TEMP", hostname="h")))
    pushed.push(source, packed(series([(now_ms, 1.0)], __name__="DCGM_FI_DEV_GPU_TEMP", hostname="h")))
    monkeypatch.setattr(pushed, "MOST_WAITING", 2)
    with pytest.raises(pushed.NobodyReads, match="2 samples of P wait"):
        pushed.push(source, packed(series([(now_ms, 1.0)], __name__="x")))
    state = read(source)
    assert state.refused == {"point not mapped: accelerator_temperature_degc, but no rack is called h": 6}
    assert TelemetryPushed.objects.count() == 1
    monkeypatch.setattr(pushed, "MOST_AT_ONCE", 0)
    clock.now_s += 60
    pushed.MOST_WAITING = 10
    pushed.push(source, packed(series([(now_ms + 60_000, 1.0)], __name__="x")))
    assert "more than 0 samples" in read(source).problem


def test_only_who_may_change_the_site_writes_to_an_enabled_source_of_this_kind(source):
    user = get_user_model().objects.create_superuser("admin")
    program, there = caller(user), reverse("api-telemetry-source-remote-write", args=[source.pk])
    now_ms = round(1e3 * time.time())
    body = packed(series([(now_ms, 1.0)], __name__="x"))

    def sent(by=program, content: bytes = body, kind: str = "application/x-protobuf", encoding: str = "snappy"):
        return by.generic("POST", there, content, content_type=kind, HTTP_CONTENT_ENCODING=encoding)

    assert sent().status_code == sent().status_code == 204
    assert TelemetryPushed.objects.count() == 1
    assert sent(caller()).status_code == 401
    assert sent(caller(get_user_model().objects.create_user("guest"))).status_code == 404
    assert sent(caller(user, read_only=True)).status_code == 403
    assert sent(encoding="gzip").status_code == 415
    assert sent(kind="application/x-protobuf;proto=io.prometheus.write.v2.Request").status_code == 415
    assert sent(kind="text/plain").status_code == 415
    odd = sent(content=b"\x05\x08ab")
    assert (odd.status_code, "middle of a literal" in odd.json()["message"]) == (400, True)
    assert sent(content=b"").status_code == 400
    TelemetrySource.objects.update(enabled=False)
    assert sent().status_code == 409
    TelemetrySource.objects.update(enabled=True, kind="prometheus")
    assert "kind prometheus" in sent().json()["message"]


def test_pages_take_the_source_and_say_what_the_server_needs(source):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    page = client.get(reverse("telemetry-source", args=[source.site.slug, source.pk])).content.decode()
    assert reverse("api-telemetry-source-remote-write", args=[source.pk]) in page
    assert "credentials_file" in page
    new = reverse("telemetry-source-new", args=[source.site.slug]) + "?kind=remote-write"
    form = client.get(new).content.decode()
    assert 'name="address"' not in form
    assert 'name="by_name"' in form
    assert client.post(new, {"name": "Q", "step_s": "30", "by_name": "on", "enabled": "on"}).status_code == 302
    assert TelemetrySource.objects.get(name="Q").options == {"step_s": 30, "by_name": True}
    program = caller(get_user_model().objects.get())
    body = {"site": source.site.slug, "name": "R", "kind": "remote-write"}
    refused = program.post("/api/telemetry/sources/", body | {"address": "https://x.example.org"})
    assert "must be empty" in refused.json()["message"]
    assert (
        "true or false" in program.post("/api/telemetry/sources/", body | {"options": {"by_name": 3}}).json()["message"]
    )
    assert program.post("/api/telemetry/sources/", body).status_code == 201
    assert (
        "must begin with"
        in program.post("/api/telemetry/sources/", body | {"name": "S", "kind": "mqtt"}).json()["message"]
    )
