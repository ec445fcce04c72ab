import io
import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from twin.core.telemetry import server
from twin.core.telemetry.tables import read_table

N = 900


def made(rng, *, shift=0):
    """Hours of a 300 W accelerator: idle 30 W, jobs of ten hours with an intensity of their own."""
    utilisation = np.repeat(rng.choice([0.0, 0.3, 0.6, 1.0], N // 10), 10)
    intensity = np.repeat(rng.uniform(0.8, 1.1, N // 10), 10)
    power = np.minimum(30 + intensity * 260 * utilisation**0.8, 300) + rng.normal(0, 2, N)
    temperature = 27 + 0.14 * power + rng.normal(0, 0.4, N) + shift
    return utilisation, power, temperature


def written(tmp_path, header, rows, name="s.csv"):
    path = tmp_path / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def export(tmp_path):
    utilisation, power, temperature = made(np.random.default_rng(0))
    rows = [
        f"2024/{1 + i // 600:02d}/{1 + i // 24 % 25:02d} {i % 24:02d}:00:00.000, {p:.2f} W, {t:.0f}, {u * 100:.0f} %"
        for i, (u, p, t) in enumerate(zip(utilisation, power, temperature, strict=True))
    ]
    return written(tmp_path, "timestamp, power.draw [W], temperature.gpu, utilization.gpu [%]", rows)


@pytest.mark.slow
def test_watts_and_temperature_are_learned_from_an_nvidia_smi_export(export):
    out = io.StringIO()
    call_command("calibrate_server", str(export), "--json", stdout=out)
    answer = json.loads(out.getvalue())
    assert answer["n_train"] == 600
    assert answer["n_held_out"] == 300
    assert answer["power_cv_rmse_frac"] < 0.09
    assert answer["scores"]["power_w"]["utilisation_alone"]["busy"] < 0.15
    assert answer["temperature_rmse_k"] < 0.7
    found = {p["parameter"]: p for p in answer["parameters"]}
    assert found["accelerator_idle_w"]["value"] == pytest.approx(30, abs=1.5)


@pytest.mark.slow
def test_held_out_watts_never_reach_their_own_prediction(export):
    table = read_table(export)
    rows = server.server_rows(table, {})
    work = 200 * rows.utilisation[0]
    busy = (rows.utilisation[0] > 0).astype(float)
    looks = np.vstack((rows.utilisation, rows.memory))
    first = server.follow(rows.power_w, work, busy, 30.0, signature=looks)
    changed = rows.power_w.copy()
    changed[500:] += 100
    second = server.follow(changed, work, busy, 30.0, signature=looks)
    np.testing.assert_array_equal(first[:501], second[:501])
    assert np.abs(first[501:] - second[501:]).max() > 20


def test_rows_of_several_devices_are_averaged_by_time(tmp_path):
    rows = [f"{1_700_000_000 + 60 * i},{gpu},{100 + 50 * gpu},{40},{20 * gpu}" for i in range(80) for gpu in (0, 1)]
    header = "time,gpu,DCGM_FI_DEV_POWER_USAGE,DCGM_FI_DEV_GPU_TEMP,DCGM_FI_DEV_GPU_UTIL"
    found = server.server_rows(read_table(written(tmp_path, header, rows)), {})
    assert found.power_w.tolist() == [125.0] * 80
    np.testing.assert_allclose(found.utilisation[:, 0], [0.1, 0.0, 0.2])


def test_prometheus_columns_with_labels_and_fractions_are_known(tmp_path):
    header = 'Time;DCGM_FI_DEV_POWER_USAGE{gpu="0"};DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0"}'
    rows = [f"2024-01-01T{i // 60:02d}:{i % 60:02d}:00Z;{100 + i};0.5" for i in range(70)]
    found = server.server_rows(read_table(written(tmp_path, header, rows)), {})
    assert found.utilisation[0].tolist() == [0.5] * 70
    assert np.isnan(found.temperature_degc).all()


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("timestamp,watt_hours,util", "2024-01-01,5,3", "no column found for power_w; it has timestamp, watt_hours"),
        ("timestamp,power,util", "2024-01-01T00:00:00,100,140", "column util, row 1: 140 % is outside 0 to 100"),
        ("timestamp,power,util", "2024-01-01T00:00:00,-5,40", "column power, row 1: -5 W is outside 0 to"),
        ("timestamp,power,util", "2024-01-01T00:00:00,100,40", "1 rows hold both power and utilisation"),
    ],
)
def test_a_table_that_does_not_serve_says_why(tmp_path, header, row, said):
    with pytest.raises(CommandError, match=said):
        call_command("calibrate_server", str(written(tmp_path, header, [row])))


def test_a_server_that_never_works_is_refused(tmp_path):
    rows = [f"{1_700_000_000 + 3600 * i},30,0" for i in range(200)]
    with pytest.raises(CommandError, match="0 training rows are busy"):
        call_command("calibrate_server", str(written(tmp_path, "time,power,util", rows)))


def test_missing_files_and_odd_holdouts_are_refused(export):
    with pytest.raises(CommandError, match="No such file"):
        call_command("calibrate_server", "nowhere.csv")
    with pytest.raises(CommandError, match="--holdout some: write last-third"):
        call_command("calibrate_server", str(export), "--holdout", "some")
    with pytest.raises(CommandError, match="no such name; allowed are"):
        call_command("calibrate_server", str(export), "--columns", "watts=power")


@pytest.mark.slow
def test_a_server_that_hardly_works_later_is_scored_on_all_its_rows(export, tmp_path):
    lines = export.read_text().splitlines()
    kept = [lines[0], *(line for line in lines[1:601])]
    idle = [f"2024/02/{1 + i // 24:02d} {i % 24:02d}:00:00.000, 30.1 W, 31, 0 %" for i in range(300)]
    answer = server.calibrate_server(
        read_table(written(tmp_path, kept[0], kept[1:] + idle, "late.csv")), {}, "last-third"
    )
    assert answer["basis"].startswith("power: all held-out rows")
    assert answer["power_cv_rmse_frac"] < 0.15
