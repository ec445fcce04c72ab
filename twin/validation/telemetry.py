"""Real and independent telemetry in plain tables: servers, CDU loops, a pumped rig, a pod, chillers, air handlers."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry import air_handler, alarms, cdu, chiller, detect, pod, server
from twin.core.telemetry.component import Answer
from twin.core.telemetry.tables import Table, read_table
from twin.core.telemetry.times import parse_time, read_times
from twin.validation.check import Check, at_least, at_most, of_file, skipped
from twin.validation.transients import FRONTIER_DAY, read_frontier_day, run_day

GROUP = "telemetry tables"
DAY_S = 86_400.0
# What the five kinds of the EnergyPlus set are called here.
KINDS: Mapping[str, str] = {
    "fouling_step": "fouling",
    "fouling_ramp": "fouling",
    "return_temp_bias": "sensor_bias",
    "flow_meter_gain": "sensor_gain",
}


def checks(data: Path) -> Iterator[Check]:
    """Yield the checks of every telemetry set under `data` that is there."""
    telemetry = data / "telemetry"
    for name, pattern, run in (
        ("server watts and temperature", "cornell_biohpc/*.tsv.gz", _servers),
        ("CDU loops made with EnergyPlus", "energyplus_cdu_plants/plant_*.csv.gz", _cdu_loops),
        ("pumped loop with labelled faults", "skab_water_loop/*.csv.gz", _pumped_loop),
        ("pod of racks", "rise_ice_pod2/*.csv.gz", _pods),
        ("chillers", "monash_chillers/chiller*.csv.gz", _chillers),
        ("air handlers", "lbnl_ahu_fdd/*.csv.gz", _air_handlers),
    ):
        paths = sorted(telemetry.glob(pattern))
        if not paths:
            yield skipped(name, GROUP, [telemetry / pattern])
        for path in paths:
            yield from of_file(f"{name}: {path.name.split('.')[0]}", GROUP, path, run)
    oracle = data / "oracles" / "fault_detection_arl.json"
    if oracle.is_file():
        yield from of_file("run lengths of alarms", GROUP, oracle, _run_lengths)
    else:
        yield skipped("run lengths of alarms", GROUP, [oracle])
    day = data / FRONTIER_DAY
    if day.is_file():
        yield from of_file("Frontier day through the loop", GROUP, day, _frontier_day)
    else:
        yield skipped("Frontier day through the loop", GROUP, [day])


def _servers(path: Path) -> Iterator[Check]:
    answer = server.calibrate_server(read_table(path), {}, "last-third")
    name = path.name.split("_")[0]
    alone = answer["scores"]["power_w"]["utilisation_alone"]
    note = (
        "busy rows, one row ahead; without following idle state and work intensity"
        f" {alone['busy']:.1%} busy, {alone['all']:.1%} all rows"
    )
    n = answer["n_held_out_busy"]
    yield at_most(f"{name}: watts from utilisation", GROUP, n, answer["power_cv_rmse_frac"], 0.12, "CV", note)
    plain = answer["scores"]["temperature_degc"]["power_alone"]["all"]
    note = f"all rows, one row ahead; without following the inlet {plain:.2f} K"
    yield at_most(f"{name}: temperature", GROUP, answer["n_held_out"], answer["temperature_rmse_k"], 2.5, "K", note)


def _row_of(table: Table, stem: str) -> dict[str, str]:
    names = list(table.columns)
    at = table.cells(names[0]).index(stem)
    return {name: table.cells(name)[at] for name in names}


def _cdu_loops(path: Path) -> Iterator[Check]:
    stem = path.name.split(".")[0]
    design, truths = path.parent / "design.csv", path.parent / "truth.csv"
    missing = [file for file in (design, truths) if not file.is_file()]
    if missing:
        yield skipped(f"{stem}: conductance and faults", GROUP, missing)
        return
    truth = _row_of(read_table(truths), stem)
    answer = cdu.calibrate_cdu(read_table(path), {}, _row_of(read_table(design), stem))
    ua = next(p for p in answer.parameters if p["parameter"] == "ua_w_per_k")
    true_ua = float(truth["hx_ua_true_w_k"])
    inside = ua["low"] <= true_ua <= ua["high"]
    note = f"90 % interval {ua['low'] / true_ua - 1:+.1%} to {ua['high'] / true_ua - 1:+.1%} of the truth"
    yield at_most(
        f"{stem}: healthy conductance", GROUP, 1, abs(ua["value"] / true_ua - 1) if inside else np.inf, 0.03, "", note
    )
    yield from _fault_checks(stem, truth, answer)


def _fault_checks(stem: str, truth: Mapping[str, str], answer: Answer) -> Iterator[Check]:
    if truth["fault_kind"] in ("", "none"):
        yield at_most(f"{stem}: faults found in a healthy plant", GROUP, 1, len(answer.faults), 0, "")
        return
    kind = KINDS.get(truth["fault_kind"], truth["fault_kind"])
    first = answer.faults[0] if answer.faults else {"kind": "none", "object": "", "since": "", "size": np.nan}
    right = first["kind"] == kind and first["object"] == truth["object"]
    note = f"{first['kind']} of {first['object']}; truth {truth['fault_kind']} of {truth['object']}"
    yield at_least(f"{stem}: kind and object first", GROUP, 1, float(right), 1.0, "", note)
    off_s = parse_time(first["since"]) - parse_time(truth["start_utc"]) if first["since"] else np.nan
    yield at_most(f"{stem}: date", GROUP, 1, abs(off_s) / DAY_S, 2.0, "days")
    true_size = abs(float(truth["size"]))
    yield at_most(f"{stem}: size", GROUP, 1, abs(abs(first["size"]) / true_size - 1), 0.2, "relative")


def _pumped_loop(path: Path) -> Iterator[Check]:
    table = read_table(path)
    found = detect.detect_faults(table, group="experiment", train_rows=400)
    f1, false_alarms, missed = _detection(found, table.numbers("anomaly") > 0)
    n = int((~found.train).sum())
    note = f"{missed:.1%} missed; published best 0.78 at 13.6 % false alarms"
    yield at_least("pumped loop: F1 per second", GROUP, n, f1, 0.80, "", note)
    yield at_most("pumped loop: false alarms per second", GROUP, n, false_alarms, 0.10, "")


def _detection(found: detect.Detection, truth: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return F1, share of false alarms and share of missed rows, outside the training rows."""
    alarm, true = found.alarm[~found.train], truth[~found.train]
    hit, false, missed = (alarm & true).sum(), (alarm & ~true).sum(), (~alarm & true).sum()
    f1 = 2 * hit / max(2 * hit + false + missed, 1)
    return float(f1), float(false / max((~true).sum(), 1)), float(missed / max(true.sum(), 1))


def _pods(path: Path) -> Iterator[Check]:
    answer = pod.calibrate_pod(read_table(path), {})
    heat, aisle = answer.scores["thermal_power_w"], answer.scores["cold_aisle_degc"]
    gaps = "; ".join(f"{row['sum_of']} {row['ratio']:.2f} of {row['meter']}" for row in answer.coverage[:1])
    yield at_most("pod: thermal power", GROUP, heat["n_held_out"], heat["cv_rmse_frac"], 0.045, "CV", gaps)
    yield at_most(
        "pod: cold-aisle temperature", GROUP, aisle["n_held_out"], aisle["rmse_k"], 1.0, "K", aisle["sensors"]
    )
    gap = answer.coverage[0]["ratio"] if answer.coverage else np.nan
    yield at_most(
        "pod: racks' meters over the pod's, gap named", GROUP, 1, gap, 0.97, "ratio", answer.coverage[0]["gap"]
    )


def _chillers(path: Path) -> Iterator[Check]:
    name = path.name.split("_")[0]
    table = read_table(path)
    answer = chiller.calibrate_chiller(table, {})
    power, every = answer.scores["power_w"], answer.scores["power_all_rows_w"]
    note = f"rows that it runs through; {every['cv_rmse_frac']:.1%} on all rows with power"
    yield at_most(f"{name}: power", GROUP, power["n_held_out"], power["cv_rmse_frac"], 0.055, "CV", note)
    drift = next((d for d in answer.drifts if d["parameter"] == "condenser_approach_k"), None)
    if drift and name == "chiller2":
        note = f"{drift['low']:+.2f} to {drift['high']:+.2f} K a year"
        yield at_least(f"{name}: condenser's drift found", GROUP, 1, drift["low"], 0.0, "K/a", note)
    if table.has("time_as_exported"):
        # The export alone must give back the times that were rebuilt by hand.
        rebuilt = read_times(table.cells("time_as_exported")).seconds
        off = int(np.sum(rebuilt != read_times(table.cells("time")).seconds))
        yield at_most(f"{name}: times of the export not set right", GROUP, table.n_rows, off, 0, "rows")


def _air_handlers(path: Path) -> Iterator[Check]:
    table = read_table(path)
    name = path.name.split("_")[0]
    answer = air_handler.calibrate_air_handler(table, {})
    reported = {day for fault in answer.faults for day in fault["days"]}
    times = read_times(table.cells("datetime"))
    days = np.array([times.iso(second)[:10] for second in times.seconds])
    faulty = {day: bool((table.numbers("fault")[days == day] > 0).any()) for day in dict.fromkeys(days)}
    n_faulty = sum(faulty.values())
    hits = sum(faulty[day] and day in reported for day in faulty)
    false = sum(not faulty[day] and day in reported for day in faulty)
    stated = f"{hits} of {n_faulty} faulty days found, {false} of {len(faulty) - n_faulty} healthy days reported"
    rate = false / max(len(faulty) - n_faulty, 1)
    yield Check(f"air handler {name}: days", GROUP, len(faulty), rate, None, "false", "pass", stated)


def _run_lengths(path: Path) -> Iterator[Check]:
    oracle = json.loads(path.read_text())
    worst, n = 0.0, 0
    for h, by_shift in oracle["cusum_two_sided_k_0p5"].items():
        for shift, row in by_shift.items():
            worst = max(worst, abs(alarms.cusum_run_length(float(shift), h=float(h)) / row["published"] - 1))
            n += 1
    for chart, by_shift in oracle["ewma_L_over_lambda"].items():
        width, weight = (float(part) for part in chart.split("/"))
        for shift, row in by_shift.items():
            found = alarms.ewma_run_length(float(shift), weight=weight, width=width)
            worst = max(worst, abs(found / row["published"] - 1))
            n += 1
    yield at_most("run lengths of CUSUM and EWMA", GROUP, n, worst, 0.02, "relative")


def _frontier_day(path: Path) -> Iterator[Check]:
    times, heat, wet_bulb = read_frontier_day(path)
    done = run_day(heat, wet_bulb, float(times[1] - times[0]))
    size = heat.size
    yield at_most("Frontier day through the loop: heat", GROUP, size, done.report.heat_balance_frac, 1e-9, "relative")
