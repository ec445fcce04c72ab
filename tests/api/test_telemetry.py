"""/api/telemetry/: batches of readings in, points and series out, and every refusal; the site's Telemetry page."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from twin.api import telemetry
from twin.core.telemetry import parquet
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.models import TelemetryBatch, TelemetryHot, TelemetryPoint
from twin.telemetry import compaction, store

BATCHES, POINTS, SERIES = (f"/api/telemetry/{name}/" for name in ("batches", "points", "series"))
ROWS = [
    {"time": "2026-07-01T00:00:00Z", "point": "site|power_w", "value": 2.0, "unit": "kW"},
    {"time": "2026-07-01T00:30:00Z", "point": "site|power_w", "value": 4.0, "unit": "kW", "quality": 1},
    {"time": "2026-07-01T00:45:00Z", "point": "site|power_w", "value": 99.0, "unit": "kW", "quality": 0},
    {"time": "2026-07-01T02:00:00+00:00", "point": "site|power_w", "value": "5000", "unit": "W"},
    {"time": 1782864000, "point": "rack/HALL/A-00|power_w", "value": 1e5, "unit": "W"},
]
CSV = "time,point,value,unit,quality\n2026-07-01T00:00:00Z,site|power_w,2,kW,1\n"


@pytest.fixture
def rows(asked) -> list[dict]:
    hall = asked.layout.halls.first().name
    return [row | {"point": row["point"].replace("HALL", hall)} for row in ROWS]


def send(client, site, rows, **headers):
    return client.post(f"{BATCHES}?site={site.slug}", rows, format="json", **headers)


def send_raw(client, site, raw: bytes, kind: str = "text/csv", more: str = "", **headers):
    return client.post(f"{BATCHES}?site={site.slug}{more}", raw, content_type=kind, **headers)


def test_readings_are_stored_once_and_read_back_by_interval(asked, planner, viewer, rows):
    told = send(planner, asked.site, rows)
    assert told.status_code == 200
    assert told.json() == {"accepted": 5, "duplicate": 0, "refused": {}, "first_refused": []}
    assert send(planner, asked.site, rows).json()["duplicate"] == 5
    points = viewer.get(POINTS, {"site": asked.site.slug}).json()
    assert points["count"] == 2
    meter = points["results"][1]
    assert (meter["object"], meter["quantity"], meter["unit"], meter["count"]) == ("site", "power_w", "W", 4)
    assert (meter["last_time"], meter["last_value"]) == ("2026-07-01T02:00:00Z", 5000.0)
    asks = {"site": asked.site.slug, "point": "site|power_w", "start": "2026-07-01T00:00:00Z"}
    series = viewer.get(SERIES, asks | {"end": "2026-06-30T22:00:00-05:00"}).json()
    assert series["time"][1] == "2026-07-01T01:00:00.000Z"
    assert series["min"] == [2000.0, None, 5000.0]
    assert series["mean"] == [3000.0, None, 5000.0]
    assert series["max"] == [4000.0, None, 5000.0]
    assert series["count"] == [2, 0, 1]
    assert series["not_good"] == [1, 0, 0]
    short = viewer.get(SERIES, asks | {"end": "2026-07-01T00:30:00Z"}).json()  # the last interval ends with the span
    assert (short["count"], short["not_good"]) == ([1], [0])


def test_what_can_be_read_is_stored_and_the_rest_told_row_by_row(asked, planner, rows):
    good = rows[0]
    bad = {
        "point not mapped": good | {"point": "chiller 7"},
        "unit furlong is unknown": good | {"unit": "furlong"},
        "degC is no unit of power_w": good | {"unit": "degC"},
        "outside the range of power_w": good | {"value": 1e12},
        "value is no number": good | {"value": [1]},
        "no value": good | {"value": None},
        "time unreadable": good | {"time": {"a": 1}},
        "time without a zone: say --time-zone, or time_zone in the mapping": good | {"time": "2026-07-01T00:00:00"},
        "date reads two ways: say --dates day-first or month-first": good | {"time": "03/07/2026 00:00"},
        "quality is no whole number 0 to 255": good | {"quality": "²"},
        "row is no object with time, point, value, unit, quality": 7,
        "row has colour; there are time, point, value, unit, quality": good | {"colour": "red"},
        "no unit: give it in the mapping": {key: good[key] for key in ("time", "point", "value")},
    }
    told = send(planner, asked.site, [*bad.values(), good]).json()
    assert told["accepted"] == 1
    assert told["refused"] == dict.fromkeys(bad, 1)
    assert [row["reason"] for row in told["first_refused"]] == list(bad)
    assert [row["row"] for row in told["first_refused"]] == list(range(1, len(bad) + 1))
    assert told["first_refused"][0]["point"] == "chiller 7"
    many = send(planner, asked.site, [good | {"unit": f"u{i}"} for i in range(60)]).json()
    assert len(many["first_refused"]) == 20
    assert sum(many["refused"].values()) == 60
    assert many["refused"]["other reasons"] == 10
    hostile = send(planner, asked.site, [good | {"point": "workload/\x00|power_w"}, good | {"point": "é" * 300}])
    assert hostile.json()["refused"] == {"point not mapped": 2}


def test_csv_and_packed_bodies_say_how_they_are_read(asked, planner):
    assert send_raw(planner, asked.site, CSV.encode()).json()["accepted"] == 1
    packed = gzip.compress(CSV.encode())
    assert send_raw(planner, asked.site, packed, HTTP_CONTENT_ENCODING="gzip").json()["duplicate"] == 1
    local = CSV.replace("2026-07-01T00:00:00Z", "01/07/2026 00:00").replace(",2,", ',"2,5",')
    options = "&dates=day-first&decimal=comma&time_zone=America/Chicago"
    assert send_raw(planner, asked.site, local.encode(), more=options).json()["accepted"] == 1
    ((times, values, _),) = store.read(asked.site, 0, 2_000_000_000_000).values()
    assert values.tolist() == [2000.0, 2500.0]
    assert times[1] - times[0] == 5 * 3_600_000


def test_a_source_name_means_what_a_mapping_file_said(asked, planner, rows):
    mapped = MappedPoint("MTR-1", "site", "power_w", "kW", scale=10.0)
    empty = (np.array([], np.int64), np.array([]), np.array([], np.uint8))
    store.append(asked.site, Readings({mapped: empty}))
    assert send(planner, asked.site, rows[:1]).json()["accepted"] == 1
    row = {"time": "2026-07-02T00:00:00Z", "point": "MTR-1", "value": 1}
    assert send(planner, asked.site, [row]).json()["accepted"] == 1
    ((_, values, _),) = store.read(asked.site, 0, 2_000_000_000_000).values()
    assert values.tolist() == [2000.0, 10000.0]


def test_a_key_gives_the_first_answer_again_and_never_takes_another_batch(asked, planner, rows):
    first = send(planner, asked.site, rows, HTTP_IDEMPOTENCY_KEY="a")
    again = send(planner, asked.site, rows, HTTP_IDEMPOTENCY_KEY="a")
    assert first.json() == again.json()
    assert again.json()["accepted"] == 5
    other = send(planner, asked.site, rows[:1], HTTP_IDEMPOTENCY_KEY="a")
    assert other.status_code == 409
    assert "another batch" in other.json()["message"]
    assert other["Content-Type"] == "application/problem+json"
    assert send(planner, asked.site, rows[:1], HTTP_IDEMPOTENCY_KEY="b").json()["duplicate"] == 1
    assert TelemetryBatch.objects.count() == 2
    assert send(planner, asked.site, rows, HTTP_IDEMPOTENCY_KEY="k" * 129).status_code == 400


def test_who_may_not_change_the_site_stores_nothing(asked, planner, viewer, reading_token, stranger, nobody, rows):
    refused = {viewer: 403, reading_token: 403, stranger: 404, nobody: 401}
    for client, status in refused.items():
        answer = send(client, asked.site, rows)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert not TelemetryPoint.objects.exists()
    send(planner, asked.site, rows)
    asks = {"site": asked.site.slug, "point": "site|power_w", "start": "2026-07-01T00:00Z", "end": "2026-07-02T00:00Z"}
    for client, status in {viewer: 200, reading_token: 200, stranger: 404, nobody: 401}.items():
        assert client.get(POINTS, {"site": asked.site.slug}).status_code == status
        assert client.get(SERIES, asks).status_code == status


def test_a_body_that_cannot_be_read_stores_nothing(asked, planner, monkeypatch):
    packed = gzip.compress(CSV.encode())
    cases = [
        (b"", "text/csv", {}, 400, "is empty"),
        (b"{", "application/json", {}, 400, "is no JSON"),
        (b'{"time": 1}', "application/json", {}, 400, "is no list of rows"),
        (b"a,b\n1,2\n", "text/csv", {}, 400, "has no time, point and value"),
        (b"time,point,value\n", "text/csv", {}, 400, "no rows"),
        (b"time,point,value\n1,\xff,2\n", "text/csv", {}, 400, "no UTF-8"),
        (b"time,point,value\n1,\0,2\n", "text/csv", {}, 400, "not a text table"),
        (CSV.encode(), "text/csv", {"HTTP_CONTENT_ENCODING": "gzip"}, 400, "no gzip file"),
        (packed[:-4], "text/csv", {"HTTP_CONTENT_ENCODING": "gzip"}, 400, "not one whole gzip"),
        (packed, "text/csv", {"HTTP_CONTENT_ENCODING": "br"}, 415, "gzip is read"),
        (b"a: 1", "application/yaml", {}, 415, "Unsupported media type"),
    ]
    for raw, kind, headers, status, words in cases:
        answer = send_raw(planner, asked.site, raw, kind, **headers)
        assert (answer.status_code, words in answer.json()["message"]) == (status, True), (raw, answer.json())
    for more, words in (("&dates=never", "dates"), ("&decimal=x", "decimal"), ("&time_zone=Mars/A", "is unknown")):
        answer = send_raw(planner, asked.site, CSV.encode(), more=more)
        assert answer.status_code == 400
        assert words in answer.json()["message"]
    assert planner.post(BATCHES, [], format="json").json()["message"].startswith("site must be given")
    assert planner.post(f"{BATCHES}?site=nowhere", [], format="json").status_code == 404
    bomb = gzip.compress(b"\n" * (telemetry.MAX_BYTES + 2))
    assert len(bomb) < 50_000
    answer = send_raw(planner, asked.site, bomb, HTTP_CONTENT_ENCODING="gzip")
    assert (answer.status_code, "unpacked" in answer.json()["message"]) == (413, True)
    monkeypatch.setattr(telemetry, "MAX_ROWS", 1)
    assert send_raw(planner, asked.site, CSV.encode()).status_code == 200
    TelemetryHot.objects.all().delete()
    assert send_raw(planner, asked.site, CSV.encode() + b"\n\n").status_code == 413
    assert send(planner, asked.site, [1, 2]).status_code == 413
    assert not TelemetryHot.objects.exists()


def test_a_question_that_cannot_be_answered_says_why(asked, planner, viewer, rows, monkeypatch):
    send(planner, asked.site, rows)
    good = {
        "site": asked.site.slug,
        "point": "site|power_w",
        "start": "2026-07-01T00:00:00Z",
        "end": "2026-07-02T00:00:00Z",
        "step": "3600",
    }
    cases = {
        "site must be given": {"site": ""},
        "must be object|quantity": {"point": "power"},
        "must be a time": {"start": "yesterday"},
        "without a zone": {"end": "2026-07-02T00:00:00"},
        "1990 to 2100": {"start": "1890-01-01T00:00Z"},
        "must come after": {"end": good["start"]},
        "at most 10,000": {"step": "1"},
        "step": {"step": "0"},
    }
    for words, change in cases.items():
        answer = viewer.get(SERIES, good | change)
        assert (answer.status_code, words in answer.json()["message"]) == (400, True), (words, answer.json())
    assert viewer.get(SERIES, good | {"point": "site|pue"}).status_code == 404
    assert viewer.get(SERIES, good | {"site": "nowhere"}).status_code == 404
    assert viewer.get(POINTS).status_code == 400
    compaction.compact(asked.site)
    monkeypatch.setattr(store, "MOST_READ", 3)
    assert viewer.get(SERIES, good).json()["rollup_s"] == 900
    answer = viewer.get(SERIES, good | {"step": "77"})
    assert (answer.status_code, "at most 3" in answer.json()["message"]) == (400, True)


def test_the_page_shows_each_point_with_its_newest_reading_and_zone(asked, planner, rows, client):
    user = asked.site.memberships.get(role="planner").user
    client.force_login(user)
    page = reverse("site-telemetry", args=[asked.site.slug])
    assert "No reading" in client.get(page).content.decode()
    send(planner, asked.site, json.loads(json.dumps(rows)))
    text = client.get(page).content.decode()
    assert "site|power_w" in text
    assert "2026-07-01 02:00:00 UTC" in text
    assert page in client.get(reverse("site-detail", args=[asked.site.slug])).content.decode()


def test_a_parquet_body_is_read_as_csv_is_and_a_broken_one_refused(asked, planner, monkeypatch):
    out = io.BytesIO()
    times = pa.array(["2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z"])
    pq.write_table(pa.table({"time": times, "site|power_w": [1.0, 2.0]}), out)
    kind = telemetry.RawParquet.media_type
    told = send_raw(planner, asked.site, out.getvalue(), kind).json()
    assert told.get("accepted") == 2, told
    packed = gzip.compress(out.getvalue())
    assert send_raw(planner, asked.site, packed, kind, HTTP_CONTENT_ENCODING="gzip").json()["duplicate"] == 2
    for raw, words in ((b"time,point", "no Parquet file"), (out.getvalue()[:60], "no whole Parquet file")):
        answer = send_raw(planner, asked.site, raw, kind)
        assert (answer.status_code, words in answer.json()["message"]) == (400, True), answer.json()
    monkeypatch.setattr(telemetry, "MAX_ROWS", 1)
    assert send_raw(planner, asked.site, out.getvalue(), kind).status_code == 413


def test_a_parquet_file_is_read_on_the_page_and_a_missing_extra_named(asked, planner, client, monkeypatch):
    client.force_login(asked.site.memberships.get(role="planner").user)
    out = io.BytesIO()
    pq.write_table(pa.table({"time": ["2026-07-01T00:00:00Z"], "site|power_w": [1.0]}), out)
    address = reverse("telemetry-upload", args=[asked.site.slug])

    def sent():
        file = SimpleUploadedFile("points.parquet", out.getvalue())
        return client.post(address, {"file": file, "dates": "iso", "decimal": "point"})

    kept = sent()
    assert kept.status_code == 302
    assert client.post(kept["Location"], {}).status_code == 302
    assert TelemetryPoint.objects.get().object == "site"
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    assert "pip install &quot;pyarrow" in sent().content.decode()
