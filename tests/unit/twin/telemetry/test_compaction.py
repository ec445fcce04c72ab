"""The store: appended, compacted, rolled up, kept by rule; nothing that was accepted is lost or counted twice."""

import datetime as dt

import numpy as np
import pytest

from facility.models import Site
from tests.small_site import small_layout
from twin.core.telemetry.day_columns import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS, packed
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.models import TelemetryDay, TelemetryHot, TelemetryPoint, TelemetryRetention
from twin.telemetry import compaction, hot, store

pytestmark = pytest.mark.django_db
DAY = 20_635  # 2026-07-01
START = DAY * DAY_MS
TODAY = dt.date(2026, 7, 10)
METER = MappedPoint("site|power_w", "site", "power_w")


@pytest.fixture
def site() -> Site:
    return small_layout().site


def send(site, times, values=None, quality=None, point=METER) -> tuple[int, int]:
    times = np.asarray(times, np.int64)
    values = np.arange(times.size, dtype=float) if values is None else np.asarray(values, float)
    quality = np.ones(times.size) if quality is None else quality
    return store.append(site, Readings({point: (times, values, np.asarray(quality, np.uint8))}))


def everything(site) -> dict:
    return store.read(site, START - 400 * DAY_MS, START + 400 * DAY_MS)


def test_a_batch_is_one_row_until_it_is_compacted_and_reads_the_same_before_and_after(site):
    times = START + MINUTE_MS * np.arange(3 * 1440)
    assert send(site, times) == (times.size, 0)
    assert (TelemetryHot.objects.count(), TelemetryDay.objects.count()) == (1, 0)
    point = TelemetryPoint.objects.get()
    asked = (point, START, HOUR_MS, 72, START + 3 * DAY_MS)
    before, read_before, held = store.series(*asked), everything(site), store.held(site, [point])
    assert compaction.compact(site) == times.size
    assert (TelemetryHot.objects.count(), TelemetryDay.objects.count()) == (0, 3)
    after, read_after = store.series(*asked), everything(site)
    for name in ("low", "mean", "high", "count", "not_good"):
        np.testing.assert_allclose(getattr(before, name), getattr(after, name), rtol=1e-6)
    assert (before.rollup_s, after.rollup_s) == (0, 900)
    np.testing.assert_array_equal(read_before["site", "power_w"], read_after["site", "power_w"])
    assert store.held(site, [point]) == held
    assert (held[point.pk].n_readings, held[point.pk].n_days, held[point.pk].last_value) == (times.size, 3, 4319.0)
    assert store.span(site) == store.span(site, point) == (START, START + 3 * DAY_MS)
    assert compaction.compact(site) == 0


def test_a_time_is_taken_once_whether_it_is_hot_or_compacted_late_or_doubled(site):
    assert send(site, [START + 5, START + 9, START + 9]) == (2, 1)
    assert send(site, [START + 9, START + 7]) == (1, 1)
    compaction.compact(site)
    assert send(site, [START + 7, START + 8], [70, 80]) == (1, 1)
    assert send(site, [START + 8, START + 20]) == (1, 1)
    compaction.compact(site)
    ((times, values, _),) = everything(site).values()
    assert (times - START).tolist() == [5, 7, 8, 9, 20]
    assert values.tolist() == [0, 1, 80, 1, 1]
    assert TelemetryDay.objects.get().n_readings == 5


def test_a_day_of_an_earlier_version_is_read_joined_and_rolled_up(site):
    import zlib  # noqa: PLC0415  as it was packed then

    point = TelemetryPoint.objects.create(site=site, object="site", quantity="power_w", name="site|power_w")
    times = START + QUARTER_MS * np.arange(4)
    steps, values = np.diff(times, prepend=START).astype("<u4"), np.arange(4, dtype="<f4")
    old = b"".join(c.view(np.uint8).reshape(-1, 4).T.tobytes() for c in (steps, values)) + bytes([1] * 4)
    TelemetryDay.objects.create(point=point, day=compaction.date_of(DAY), n_readings=4, columns=zlib.compress(old))
    assert store.series(point, START, HOUR_MS, 1, START + HOUR_MS).mean.tolist() == [1.5]
    assert send(site, [START, START + 4 * QUARTER_MS], [9, 4]) == (1, 1)
    compaction.compact(site)
    assert everything(site)["site", "power_w"][1].tolist() == [0, 1, 2, 3, 4]
    assert store.series(point, START, DAY_MS, 1, START + DAY_MS).mean.tolist() == [2.0]


def test_intervals_of_quarters_and_minutes_come_from_rollups_and_odd_ones_from_readings(site):
    times = START + 1000 * np.arange(86_400)
    quality = np.ones(times.size)
    quality[::7] = 0
    send(site, times, times % 1009, quality)
    compaction.compact(site)
    point = TelemetryPoint.objects.get()
    row = TelemetryDay.objects.get()
    assert row.minutes is not None
    good = quality == 1
    for step_ms, rollup_s in ((QUARTER_MS, 900), (HOUR_MS, 900), (DAY_MS, 900), (MINUTE_MS, 60), (7000, 0)):
        n = -(-DAY_MS // step_ms)
        found = store.series(point, START, step_ms, n, START + DAY_MS)
        at = (times - START) // step_ms
        assert found.rollup_s == rollup_s
        assert found.count.tolist() == np.bincount(at[good], minlength=n).tolist()
        assert found.not_good.tolist() == np.bincount(at[~good], minlength=n).tolist()
        first = (times % 1009)[good & (at == 3)] if n > 3 else (times % 1009)[good]
        which = 3 if n > 3 else 0
        assert (found.low[which], found.high[which]) == (first.min(), first.max())
        assert found.mean[which] == pytest.approx(first.mean(), rel=1e-6)
    cut = store.series(point, START, HOUR_MS, 1, START + 90_000)  # ends within a quarter
    assert cut.count.sum() + cut.not_good.sum() == 90


def test_points_are_told_apart_and_a_deleted_point_takes_its_hot_readings_with_it(site):
    other = MappedPoint("weather|dry_bulb_degc", "weather", "dry_bulb_degc")
    send(site, [START, START + 1], [1, 2])
    send(site, [START, START + 2], [3, 4], point=other)
    TelemetryPoint.objects.get(object="weather").delete()
    assert list(everything(site)) == [("site", "power_w")]
    compaction.compact(site)
    assert everything(site)["site", "power_w"][1].tolist() == [1, 2]
    assert not TelemetryHot.objects.exists()


def test_many_hot_readings_are_compacted_once_they_are_committed(site, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(compaction, "DUE_READINGS", 3)
    with django_capture_on_commit_callbacks(execute=True):
        send(site, START + np.arange(3))
    assert TelemetryHot.objects.count() == 1
    with django_capture_on_commit_callbacks(execute=True):
        send(site, START + 10 + np.arange(2))
    assert not TelemetryHot.objects.exists()
    assert TelemetryDay.objects.get().n_readings == 5


def test_long_batches_are_split_and_compacted_in_parts(site, monkeypatch):
    monkeypatch.setattr(hot, "MOST_IN_A_ROW", 100)
    monkeypatch.setattr(compaction, "AT_ONCE", 150)
    times = START + HOUR_MS * np.arange(450)
    send(site, times)
    assert TelemetryHot.objects.count() == 5
    assert compaction.compact(site) == 450
    assert everything(site)["site", "power_w"][0].tolist() == times.tolist()


def test_a_rule_keeps_quarters_when_readings_go_and_lets_both_go_in_time(site):
    times = START + MINUTE_MS * np.arange(2 * 1440)
    send(site, times)
    compaction.compact(site)
    point = TelemetryPoint.objects.get()
    before = store.series(point, START, QUARTER_MS, 192, START + 2 * DAY_MS)
    assert compaction.retain(site, TODAY) == {"readings_dropped": 0, "days_dropped": 0}
    rule = TelemetryRetention.objects.create(site=site, readings_days=8)
    assert compaction.retain(site, TODAY) == {"readings_dropped": 1, "days_dropped": 0}
    assert compaction.retain(site, TODAY) == {"readings_dropped": 0, "days_dropped": 0}
    after = store.series(point, START, QUARTER_MS, 192, START + 2 * DAY_MS)
    np.testing.assert_array_equal(before.mean, after.mean)
    with pytest.raises(ValueError, match="by the quarter of an hour only"):
        store.series(point, START, MINUTE_MS, 1440, START + DAY_MS)
    ((read, values, _),) = everything(site).values()
    assert (read.size, values[0]) == (96 + 1440, 7.0)  # means of quarters, then readings
    rule.rollups_days = 8
    rule.save()
    assert compaction.retain(site, TODAY)["days_dropped"] == 1
    assert store.span(site) == (START + DAY_MS, START + 2 * DAY_MS)


def test_what_comes_too_late_for_the_rule_is_refused_and_counted(site, monkeypatch):
    TelemetryRetention.objects.create(site=site, readings_days=8)
    monkeypatch.setattr(compaction.timezone, "now", lambda: dt.datetime(2026, 7, 10, 12, tzinfo=dt.UTC))
    readings = Readings({METER: (START + DAY_MS * np.arange(3), np.zeros(3), np.ones(3, np.uint8))})
    assert store.append(site, readings) == (2, 0)
    assert readings.refused == {store.TOO_OLD: 1}


def test_late_readings_of_a_day_without_readings_join_its_rollup(site):
    send(site, [START, START + 1000], [2, 4])
    compaction.compact(site)
    TelemetryRetention.objects.create(site=site, readings_days=1)
    compaction.retain(site, TODAY)
    TelemetryRetention.objects.all().delete()
    assert send(site, [START + 2000], [9]) == (1, 0)
    compaction.compact(site)
    point = TelemetryPoint.objects.get()
    found = store.series(point, START, QUARTER_MS, 1, START + QUARTER_MS)
    assert (found.count[0], found.low[0], found.mean[0], found.high[0]) == (3, 2.0, 5.0, 9.0)


def test_a_day_of_the_fleet_lies_side_by_side(site):
    for i in range(3):
        point = MappedPoint(f"cdu/C{i}|power_w", f"cdu/C{i}", "power_w")
        send(site, START + HOUR_MS * np.arange(24), np.full(24, float(i)), point=point)
        if i < 2:
            compaction.compact(site)
    found = store.day_map(site, "power_w", compaction.date_of(DAY))
    assert found.objects == ("cdu/C0", "cdu/C1", "cdu/C2")
    assert found.means[:, 0].tolist() == [0, 1, 2]
    assert np.isnan(found.means[:, 1]).all()


def test_old_packing_and_new_are_told_apart():
    assert packed(START, (np.array([START]), np.array([1.0]), np.array([1], np.uint8)))[:1] == b"\x02"
