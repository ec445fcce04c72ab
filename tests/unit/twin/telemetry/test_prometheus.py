"""Answers of Prometheus' range queries: what each exporter's series mean, how they are added up, what is refused."""

import gzip
import json

import numpy as np
import pytest
import yaml
from django.core.management import CommandError, call_command

from facility.models import Rack
from tests.small_run import small_scenario
from twin.core.telemetry.prometheus import (
    METRICS,
    file_points,
    metadata_of,
    points_of,
    propose,
    read_readings,
    series_name,
)
from twin.core.telemetry.quantities import QUANTITIES
from twin.core.telemetry.readings import MappedPoint
from twin.models import TelemetryPoint

START = 1_782_864_000  # 2026-07-01T00:00:00Z


def series(name: str, values, **labels: str) -> dict:
    return {
        "metric": {"__name__": name, **labels},
        "values": [[START + 60 * i, str(value)] for i, value in enumerate(values) if value is not None],
    }


def written(path, *found: dict, packed: bool = False):
    text = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": list(found)}}).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


def test_every_metric_means_a_quantity_that_is_kept():
    for name, meaning in METRICS.items():
        of = (
            [f"{meaning.quantity}_{part}_s" for part in ("p50", "p95")]
            if name.endswith("_bucket")
            else [meaning.quantity]
        )
        assert all(quantity in QUANTITIES for quantity in of), name


def test_accelerators_of_a_host_are_added_up_with_older_and_newer_labels(tmp_path):
    file = written(
        tmp_path / "a.json.gz",
        series("DCGM_FI_DEV_POWER_USAGE", [700, 710, 720], gpu="0", Hostname="b07", modelName="NVIDIA B200"),
        series("DCGM_FI_DEV_POWER_USAGE", [300, None, 280], gpu="1", Hostname="b07"),
        series("DCGM_FI_DEV_GPU_TEMP", [50, 52], gpu="0", hostname="b07"),
        series("DCGM_FI_DEV_GPU_TEMP", [60, 58], gpu="1", hostname="b07"),
        series("DCGM_FI_DEV_GPU_UTIL", [80], gpu="0", hostname="other", rack="b07"),
        series("DCGM_FI_DEV_SM_CLOCK", [1965], gpu="0", instance="b07:9400"),
        packed=True,
    )
    points = file_points(file).points
    times, watts, quality = points["b07 accelerator_power_w"]
    assert watts.tolist() == [1000, 710, 1000]
    assert quality.tolist() == [1, 0, 1]  # a sum that lacks an accelerator is no good reading
    assert times.tolist() == [1000 * (START + 60 * i) for i in range(3)]
    assert points["b07 accelerator_temperature_degc"][1].tolist() == [55, 55]
    assert points["b07 utilisation_frac"][1].tolist() == [0.8]
    assert points["b07 accelerator_clock_hz"][1].tolist() == [1.965e9]


def test_the_energy_counter_is_taken_before_the_watts_and_a_reset_is_no_loss(tmp_path):
    file = written(
        tmp_path / "a.json",
        series("DCGM_FI_DEV_POWER_USAGE", [1, 1, 1], hostname="h"),
        series("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", [1e9, 1e9 + 42e6, 30e6], hostname="h"),
    )
    found = file_points(file)
    assert found.points["h accelerator_power_w"][1].tolist() == pytest.approx([700, 500])
    assert found.left_out == [("DCGM_FI_DEV_POWER_USAGE", "tells the same as another metric of h", 3)]


def test_histograms_become_percentiles_of_each_step(tmp_path):
    buckets = {"0.1": [0, 50, 50], "0.2": [0, 90, 90], "0.4": [0, 100, 100], "+Inf": [0, 100, 100]}
    name = "vllm:time_to_first_token_seconds_bucket"
    halves = [
        series(name, [count / 2 for count in counts], le=le, model_name="m", engine=engine)
        for le, counts in buckets.items()
        for engine in ("0", "1")
    ]
    points = file_points(written(tmp_path / "a.json", *halves)).points
    assert points["m ttft_p50_s"][1].tolist() == pytest.approx([0.1])  # nothing came in the second step: no reading
    assert points["m ttft_p95_s"][1].tolist() == pytest.approx([0.3])
    above = [series(name, [0, n], le=le, model_name="m") for le, n in (("0.1", 1), ("+Inf", 100))]
    points = file_points(written(tmp_path / "b.json", *above)).points
    assert points["m ttft_p95_s"][1].tolist() == [0.1]  # beyond the last bound nothing is known
    no_end = [series(name, [0, n], le=le, model_name="m") for le, n in (("0.1", 1), ("0.2", 100))]
    assert file_points(written(tmp_path / "c.json", *no_end)).points == {}


@pytest.mark.parametrize(
    ("metric", "label"),
    [("vllm:generation_tokens_total", "model_name"), ("dynamo_frontend_output_tokens_total", "model")],
)
def test_tokens_of_a_model_are_a_rate_over_its_engines(tmp_path, metric, label):
    file = written(
        tmp_path / "a.json", *(series(metric, [0, 6000, 12000], engine=e, **{label: "org/m"}) for e in ("0", "1"))
    )
    assert file_points(file).points["org/m output_tokens_per_s"][1].tolist() == [200, 200]


def test_tensorrt_llm_is_read_under_both_of_its_prefixes(tmp_path):
    for prefix in ("trtllm_", "trtllm:"):
        name = f"{prefix}time_per_output_token_seconds_bucket"
        buckets = [
            series(name, [0, n], le=le, model_name="m") for le, n in (("0.01", 50), ("0.02", 100), ("+Inf", 100))
        ]
        points = file_points(written(tmp_path / "a.json", *buckets)).points
        assert points["m itl_p50_s"][1].tolist() == pytest.approx([0.01])


def test_series_of_no_known_exporter_are_points_under_their_own_name_where_that_is_wanted():
    labels = {"__name__": "pdu_watts", "job": "snmp", "instance": "10.0.0.1:161", "feed": 'A "left"'}
    times = 1000 * (START + 60 * np.arange(3))
    found = points_of([(labels, times, np.array([1.0, np.nan, 3.0]))], "there", by_name=True, after_ms=times[0])
    ((name, (at_ms, values, _)),) = found.points.items()
    assert name == 'pdu_watts{feed="A \\"left\\"",instance="10.0.0.1:161",job="snmp"}'
    assert (at_ms.tolist(), values.tolist(), found.quantity[name]) == ([times[2]], [3.0], "")
    assert found.left_out == [(name, "has no value", 1)]
    long = [series_name({"__name__": "x", "a": "b" * 300, "z": z}) for z in "12"]
    assert [len(text) for text in long] == [200, 200]
    assert long[0] != long[1]
    by_words = {entry.point: entry for entry in propose({"CDU-1 sec supply temp [C]": {"quantity": ""}}, ["cdu/CDU-1"])}
    assert by_words["CDU-1 sec supply temp [C]"].mapped is not None


def test_what_is_not_read_is_counted_under_its_reason(tmp_path):
    file = written(
        tmp_path / "a.json",
        series("go_goroutines", [1, 2], instance="h:9090"),
        series("DCGM_FI_DEV_GPU_TEMP", [50, 900, "NaN"], hostname="h"),
        series("DCGM_FI_DEV_GPU_TEMP", [50]),
    )
    point = MappedPoint("h accelerator_temperature_degc", "rack/H/h/accelerators", "accelerator_temperature_degc")
    readings = read_readings(file, {point.point: point}, ())
    assert readings.points[point][1].tolist() == [50]
    assert readings.refused["go_goroutines is no metric that is read"] == 2
    assert readings.refused["outside the range of accelerator_temperature_degc"] == 1
    assert sum(n for reason, n in readings.refused.items() if "needs one of the labels" in reason) == 1
    assert read_readings(file, {}, ()).refused["point not mapped"] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"status":"error","errorType":"bad_data","error":"parse error"}', "the query failed there: parse error"),
        ('{"status":"success","data":{"resultType":"matrix","result":[]}}', "the query found nothing"),
        ('{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}', "resultType must be matrix"),
        ('{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}}]}}', r"result\[0\] has no metric"),
        ("[1, 2]", "is no answer"),
        ("up 1", "is no JSON of /api/v1/query_range"),
        ("[" * 100_000, "is no JSON of /api/v1/query_range"),
    ],
)
def test_an_odd_answer_is_refused_with_a_sentence(tmp_path, text, said):
    file = tmp_path / "odd.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        file_points(file)


def test_the_commands_propose_and_store(db, tmp_path, capsys):
    layout, _ = small_scenario()
    rack = Rack.objects.filter(hall__layout=layout).select_related("hall").first()
    host = rack.name.lower().replace("-", "")
    answers = [
        series("DCGM_FI_DEV_POWER_USAGE", [700, 710], hostname=host),
        series("vllm:num_requests_running", [7, 8], model_name="m"),
    ]
    file, mapping = written(tmp_path / "a.json", *answers), tmp_path / "map.yaml"
    call_command("map_telemetry", layout.path, file, format="prometheus", out=mapping)
    assert "1 of 2 points have a meaning" in capsys.readouterr().out
    document = yaml.safe_load(mapping.read_text())
    assert [entry["object"] for entry in document["points"]] == [f"rack/{rack.hall.name}/{rack.name}/accelerators"]
    document["points"].append({"point": "m requests_running", "object": "workload/m", "quantity": "requests_running"})
    mapping.write_text(yaml.safe_dump(document))
    call_command("ingest_telemetry", layout.path, file, format="prometheus", mapping=mapping, json=True)
    assert json.loads(capsys.readouterr().out) == {"accepted": 4, "duplicate": 0, "refused": {}}
    assert set(TelemetryPoint.objects.values_list("quantity", flat=True)) == {"accelerator_power_w", "requests_running"}
    (tmp_path / "odd.json").write_text("up 1")
    with pytest.raises(CommandError, match="is no JSON"):
        call_command("map_telemetry", layout.path, tmp_path / "odd.json", format="prometheus")


def test_a_host_without_a_rack_of_its_name_is_left_to_the_reader(tmp_path):
    found = file_points(written(tmp_path / "a.json", series("DCGM_FI_DEV_GPU_TEMP", [50], hostname="gpu-12")))
    (entry,) = propose(metadata_of(found), ["rack/Hall/A-01", "rack/Hall/A-01/accelerators"])
    assert (entry.mapped, entry.reason) == (None, "accelerator_temperature_degc, but no rack is called gpu-12")
