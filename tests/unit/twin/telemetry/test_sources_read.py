"""What a source sends: written once, counted exactly, odd ones named, read by one process; from a real broker too."""

import datetime as dt
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests.own_authority import certificate_files
from tests.small_run import small_scenario
from twin.benchmarks import telemetry_soak
from twin.benchmarks.services import MOSQUITTO, POSTGRES, Broker
from twin.core.telemetry import dsx_bms
from twin.core.telemetry.readings import MappedPoint
from twin.models import (
    DeadLetter,
    SourceState,
    TelemetryArrival,
    TelemetryDay,
    TelemetryPoint,
    TelemetryRetention,
    TelemetrySource,
)
from twin.telemetry import compaction, intake, reasons, sources, store
from twin.telemetry.intake import Intake
from twin.telemetry.publish_mqtt import Publisher
from twin.telemetry.reading_sources import read_sources
from twin.telemetry.source_lease import SourceLost, claim, let_go, new_holder

NOW_MS = 1_796_050_800_000
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="no Mosquitto on this machine (apt-get install mosquitto)")


def made(address: str = "mqtt://broker.example.org", slug: str = "sourced", **more) -> TelemetrySource:
    layout, _ = small_scenario(slug)
    source = TelemetrySource(site=layout.site, name="BMS", address=address, **more)
    return sources.source_save(user=None, source=source)


@pytest.fixture
def source(db) -> TelemetrySource:
    return made()


def state(source: TelemetrySource) -> SourceState:
    return SourceState.objects.get(source=source)


def point(source: TelemetrySource, quantity: str = "power_w") -> MappedPoint:
    return MappedPoint(f"site|{quantity}", "site", quantity, "W")


def held(source: TelemetrySource, holder: str = "me") -> Intake:
    assert claim(source.pk, holder)
    return Intake(source, holder)


def test_what_arrives_is_sorted_into_days_once(source):
    taken = held(source)
    for i in range(10):
        assert taken.take(point(source), "kW", NOW_MS + i * 1000, 1.0 + i, 1) == ""
    assert taken.write() == 10
    assert (state(source).received, state(source).accepted) == (10, 0)
    for i in range(5, 15):  # half of it again, as after a lost acknowledgement, one another day
        taken.take(point(source), "kW", NOW_MS + i * 1000, 99.0, 1)
    taken.take(point(source), "kW", NOW_MS + 86_400_000, 5.0, 1)
    taken.write()
    assert store.settle(source) == (16, 5)
    assert store.settle(source) == (0, 0)
    found = state(source)
    assert (found.received, found.accepted, found.duplicate) == (21, 16, 5)
    assert not TelemetryArrival.objects.exists()
    day = store.read(source.site, NOW_MS, NOW_MS + 60_000)["site", "power_w"]
    assert day[1].tolist() == pytest.approx(
        [1e3 * (1 + i) for i in range(10)] + [99e3] * 5
    )  # the first of a time stays


def test_many_points_of_many_days_are_joined_as_one_by_one(source, monkeypatch):
    monkeypatch.setattr(compaction, "_ROWS", 3)
    rng = np.random.default_rng(0)
    keys = [
        TelemetryPoint.objects.create(site=source.site, object=f"feed/F{i}", quantity="power_w", name=f"{i}").pk
        for i in range(8)
    ]
    wanted: dict[int, dict[int, float]] = {key: {} for key in keys}
    total = 0
    for _ in range(4):
        batch = {}
        for key in keys:
            times = NOW_MS + rng.integers(0, 300, 40) * 3_600_000
            values = rng.random(40).astype(np.float32).astype(float)
            batch[key] = (times, values, np.ones(40, np.uint8), np.zeros(40, np.uint8))
            for time_ms, value in zip(times.tolist(), values.tolist(), strict=True):
                wanted[key].setdefault(time_ms, value)
            total += 40
        store.arrive(source, batch)
    n = sum(map(len, wanted.values()))
    assert store.settle(source) == (n, total - n)
    for row in TelemetryPoint.objects.all():
        times, values, _ = store.read(source.site, NOW_MS, NOW_MS + 300 * 3_600_000)[row.object, row.quantity]
        assert dict(zip(times.tolist(), values.tolist(), strict=True)) == wanted[row.pk]
    assert compaction.compact(source.site) == n
    assert TelemetryDay.objects.count() >= 8 * 12
    for row in TelemetryPoint.objects.all():
        times, values, _ = store.read(source.site, NOW_MS, NOW_MS + 300 * 3_600_000)[row.object, row.quantity]
        assert dict(zip(times.tolist(), values.tolist(), strict=True)) == wanted[row.pk]


def test_what_is_odd_is_stored_counted_and_named(source):
    now_ms, taken = round(timezone.now().timestamp() * 1e3), held(source)
    sent = [
        *((now_ms - 20_000 + i, 1.0 + i, 1) for i in range(3)),
        (now_ms - 400_000, 7.0, 1),  # late, and before the ones above
        (now_ms + 120_000, 8.0, 1),
        (now_ms - 10_000, 9.0, 3),
    ]
    for time_ms, value, quality in sent:
        taken.take(point(source), "W", time_ms, value, quality)
    long = now_ms - 290_000 - intake.STUCK_TIMES * 125_000
    for i in range(intake.STUCK_TIMES + 1):
        taken.take(
            MappedPoint("weather|dry_bulb_degc", "weather", "dry_bulb_degc", "C"), "", long + i * 125_000, 21.5, 1
        )
    taken.write()
    assert state(source).noticed == {}  # until it is known what is new
    store.settle(source)
    noticed = state(source).noticed
    assert noticed[intake.OUT_OF_ORDER] == 2
    assert noticed[intake.AHEAD] == 1
    assert noticed[intake.NOT_GOOD] == 1
    assert noticed[intake.STUCK] == 1
    assert noticed[intake.LATE] > 1
    assert state(source).lag_s == pytest.approx(-120, abs=10)
    assert state(source).received == len(sent) + intake.STUCK_TIMES + 1


def test_what_comes_twice_is_a_duplicate_however_late_and_what_is_too_old_is_refused(source):
    now_ms, taken = round(timezone.now().timestamp() * 1e3), held(source)
    TelemetryRetention.objects.create(site=source.site, readings_days=2, rollups_days=2)
    for time_ms in (now_ms - 500_000, now_ms - 400_000, now_ms - 500_000, now_ms - 400_000, now_ms - 450_000):
        taken.take(point(source), "W", time_ms, 7.0, 1)
    taken.take(point(source), "W", now_ms - 5 * 86_400_000, 7.0, 1)
    taken.take(point(source, "dry_bulb_degc"), "C", now_ms, 7.0, 1)
    taken.write()
    TelemetryPoint.objects.filter(quantity="dry_bulb_degc").delete()
    assert store.settle(source) == (3, 2)
    found = state(source)
    assert (found.received, found.accepted, found.duplicate) == (7, 3, 2)
    assert found.refused == {reasons.TOO_OLD: 1, reasons.DROPPED: 1}
    assert found.noticed == {reasons.LATE: 3, reasons.OUT_OF_ORDER: 1}
    for time_ms in (now_ms - 500_000, now_ms - 450_000):  # as after a lost acknowledgement
        taken.take(point(source), "W", time_ms, 7.0, 1)
    taken.write()
    assert store.settle(source) == (0, 2)
    assert state(source).noticed == found.noticed
    assert state(source).duplicate == 4


def test_what_is_refused_is_counted_and_kept_as_it_came(source, monkeypatch):
    monkeypatch.setattr(DeadLetter, "KEPT", 5)
    taken = held(source)
    for unit, value, time_ms, reason in (
        ("degC", 1.0, NOW_MS, "degC is no unit of power_w"),
        ("hp", 1.0, NOW_MS, "unit hp is unknown"),
        ("W", 1e300, NOW_MS, "outside the range of power_w"),
        ("W", 1.0, 5, "time outside 1990 to 2100"),
    ):
        assert taken.take(point(source), unit, time_ms, value, 1) == reason
        taken.refuse(reason, "topic\0x", "{}")
    for i in range(60):
        taken.refuse(f"reason {i}", "topic", "x" * 5000)
    taken.write()
    found = state(source)
    assert (found.received, sum(found.refused.values()), found.accepted) == (64, 64, 0)
    assert len(found.refused) == 51
    assert found.refused["other reasons"] == 14
    intake.trim_dead_letters(source)
    kept = list(DeadLetter.objects.values_list("reason", "content"))
    assert [reason for reason, _ in kept] == [f"reason {i}" for i in range(59, 54, -1)]
    assert len(kept[0][1]) == 2000


def test_one_process_reads_a_source_and_another_takes_over_what_is_silent(source):
    mine = held(source, "me")
    assert not claim(source.pk, "you")
    SourceState.objects.update(held_until=timezone.now() - dt.timedelta(seconds=1))
    assert claim(source.pk, "you")
    mine.take(point(source), "W", NOW_MS, 1.0, 1)
    with pytest.raises(SourceLost, match="another process"):
        mine.write()
    assert not TelemetryArrival.objects.exists()
    SourceState.objects.update(held_until=timezone.now() + dt.timedelta(hours=1))
    let_go(source.pk, "me")  # it is not mine to give back
    assert not claim(source.pk, "me")
    TelemetrySource.objects.update(enabled=False)
    assert not claim(source.pk, "you")


def test_a_reader_of_this_machine_that_was_killed_is_followed_at_once(source):
    alive = new_holder()
    assert claim(source.pk, alive)
    assert not claim(source.pk, new_holder())
    ended = subprocess.Popen(["true"])
    ended.wait()
    host, here, _, token = alive.rsplit(":", 3)
    SourceState.objects.update(holder=f"{host}:{here}:{ended.pid}:{token}")
    assert claim(source.pk, new_holder())
    SourceState.objects.update(holder=f"{host}:another:{ended.pid}:{token}")  # a number of another machine says nothing
    assert not claim(source.pk, new_holder())


# From here on a broker is read for real.


@pytest.fixture
def broker(tmp_path, settings) -> Iterator[Broker]:
    settings.TWIN_ALLOWED_NETWORKS, settings.TWIN_HOME = ["127.0.0.0/8"], tmp_path
    found = Broker(tmp_path).start()
    yield found
    found.kill()


@pytest.fixture
def reading(transactional_db) -> Iterator[Callable[[], None]]:
    """Start reading in a thread; it ends with the test."""
    stops = []

    def start() -> Callable[[], None]:
        stop = threading.Event()
        thread = threading.Thread(target=read_sources, args=(stop,), daemon=True)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()

        stops.append(end)
        return end

    yield start
    for end in stops:
        end()


def waited(is_so: Callable[[], bool], what: str, most_s: float = 60.0) -> None:
    until_s = time.monotonic() + most_s
    while not is_so():
        assert time.monotonic() < until_s, what
        time.sleep(0.1)


def values(n: int, first: int = 0) -> list[tuple[str, str]]:
    topic = dsx_bms.topic_text("site", "power_w")
    return [(topic, dsx_bms.value_text("site", "power_w", NOW_MS / 1e3 + first + i, 5e5 + i)) for i in range(n)]


SAID = json.dumps(dsx_bms.metadata_of("site", "power_w"))
METADATA = dsx_bms.topic_text("site", "power_w", dsx_bms.METADATA)


@needs_broker
@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_broker_is_read_exactly_once_through_its_end_and_the_databases(broker, reading, monkeypatch):
    source = made(broker.address)
    end = reading()
    waited(lambda: state(source).connected, "the broker is not reached")
    with Publisher(broker.address, repeat_s=60) as sender:
        sender.send(METADATA, SAID, retain=True)
        waited(lambda: bool(TelemetrySource.objects.get().metadata), "what is retained does not come")
        for message in values(200):
            sender.send(*message)
        sender.send("BMS/v1/PUB/Value/CDU/LiquidFlow/what/is/this", values(1)[0][1])
        sender.send(values(1)[0][0], '{"value": NaN, "timestamp": 1, "quality": 1}')
        waited(lambda: state(source).accepted == 200, "values are not stored")
        broker.kill()  # with what it holds
        waited(lambda: not state(source).connected, "nobody notices that the broker is gone")
        assert "broker" in state(source).problem
        broker.start()
        waited(lambda: state(source).connected, "it is not connected again")
        waited(lambda: sender._again.is_set(), "the publisher is not connected again")
        real, failures = Intake.write, iter([OperationalError("the database is away")] * 2)

        def fails(self: Intake) -> int:
            for error in failures:
                raise error
            return real(self)

        monkeypatch.setattr(Intake, "write", fails)
        for message in values(100, first=200):
            sender.send(*message)
    waited(lambda: state(source).accepted == 300, "values are lost")
    end()
    with Publisher(broker.address) as sender:  # while nobody reads
        for message in values(50, first=300):
            sender.send(*message)
    assert state(source).accepted == 300
    end = reading()
    waited(lambda: state(source).accepted == 350, "the broker did not keep what nobody read")
    end()
    found = state(source)
    assert set(found.refused) == {"point not mapped: no metadata says what it is", "no value"}
    assert found.received == found.accepted + found.duplicate + sum(found.refused.values())
    times, numbers, _ = store.read(source.site, NOW_MS, NOW_MS + 10**6)["site", "power_w"]
    assert numbers.tolist() == pytest.approx([5e5 + i for n in (200, 100, 50) for i in range(n)])
    assert times.size == 350
    connection.close()


@needs_broker
@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_broker_is_called_with_its_password_over_a_trusted_connection(tmp_path, settings, reading):
    settings.TWIN_ALLOWED_NETWORKS, settings.TWIN_HOME = ["127.0.0.0/8"], tmp_path
    authority, own, key = certificate_files(tmp_path)
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "twin", "hunter2"], check=True, capture_output=True)
    settled = f"cafile {authority}\ncertfile {own}\nkeyfile {key}\nallow_anonymous false\npassword_file {passwords}"
    broker = Broker(tmp_path, settled).start()
    try:
        source = made(broker.address.replace("mqtt:", "mqtts:"), username="twin")
        reading()
        waited(lambda: "certificate" in state(source).problem, "an authority that is not known is trusted")
        settings.TWIN_CA_FILE = str(authority)
        waited(lambda: "refuses the connection: Not authorized" in state(source).problem, "no password was asked for")
        sources.source_save(user=None, source=source, password="hunter2")
        waited(lambda: state(source).connected, "the password is not sent")
        assert state(source).problem == ""
    finally:
        broker.kill()


@needs_broker
@pytest.mark.services
@pytest.mark.slow
@pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL on this machine (apt-get install postgresql)")
def test_readings_outlive_the_end_of_broker_reader_and_database_as_real_processes():
    size = telemetry_soak.Size(n_points=40, step_s=0.5, seconds=6.0, n_segments=1)
    found = telemetry_soak.segment(size, 0)
    assert found["kills"] == {"broker": 1, "reader": 1, "database": 1}
    assert (found["published"], found["stored"], found["wrong"], found["off"]) == (480, 480, 0, 0)
