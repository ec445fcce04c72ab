"""Ride-through after the loss of heat rejection, and a measured day that the loop must follow."""

import csv
import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from power_cooling.transients import ride_through
from power_cooling.transients import solve as transients
from power_cooling.transients.disturbances import Forcing
from twin.validation.check import Check, at_most, of_file, skipped, within

GROUP = "transients"
FRONTIER_DAY = Path("telemetry") / "frontier_cdu_power_20240407" / "input_04-07-24.csv.gz"


def checks(data: Path) -> Iterator[Check]:
    """Yield the checks whose files exist under `data`."""
    path = data / "oracles" / "transient_ride_through.json"
    if path.is_file():
        yield from of_file("ride-through", GROUP, path, _ride_through)
    else:
        yield skipped("ride-through", GROUP, [path])
    path = data / FRONTIER_DAY
    if path.is_file():
        yield from of_file("Frontier day", GROUP, path, _frontier_day)
    else:
        yield skipped("Frontier day", GROUP, [path])


def _ride_through(path: Path) -> Iterator[Check]:
    cases = json.loads(path.read_text())["cases"]
    if not cases:
        yield skipped("ride-through", GROUP, ["any case"])
        return

    def column(key: str) -> np.ndarray:
        return np.array([case[key] for case in cases], dtype=float)

    expected = column("t_trip_s")
    coolant = column("coolant_kg") * column("cp")
    state = (column("T_solid0"), column("T_coolant0"), column("T_trip"))
    closed = ride_through.two_mass_ride_through_s(column("P_w"), column("solid_j_k"), coolant, column("UA_w_k"), *state)
    error = float(np.max(np.abs(closed / expected - 1)))
    yield at_most("ride-through, closed form", GROUP, len(cases), error, 1e-6, "relative")
    network = [
        ride_through.network_time_to_reach_s(
            ride_through.network_matrix([case["solid_j_k"], heat], [[0.0, case["UA_w_k"]], [case["UA_w_k"], 0.0]]),
            [case["P_w"] / case["solid_j_k"], 0.0],
            [case["T_solid0"], case["T_coolant0"]],
            0,
            case["T_trip"],
        )
        for case, heat in zip(cases, coolant, strict=True)
    ]
    error = float(np.max(np.abs(np.array(network) / expected - 1)))
    yield at_most("ride-through, matrix exponential", GROUP, len(cases), error, 1e-6, "relative")


def read_frontier_day(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times [s], heat into each CDU (n_steps, n_cdus) [W] and outdoor wet bulb [°C] of the measured day."""
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.reader(file))
    heading = rows[0]
    values = np.array(rows[1:], dtype=float)
    powers = [i for i, name in enumerate(heading) if name.startswith("power[")]
    return values[:, 0], values[:, powers], values[:, heading.index("OA Wetbulb Temp")]


def frontier_units(n_units: int, heat_w: float = 1.3e6) -> transients.TransientUnits:
    """Return CDUs of Frontier's kind: three cabinets of 0.4 MW each, all heat in the coolant, heat imposed.

    Ratings are assumed from published round figures (25 CDUs for 30 MW, 32 °C supply, some 10 K rise); the day's file
    has no coolant temperatures to check them on.
    """
    ones = np.ones(n_units)
    flow = heat_w / 10.0
    return transients.TransientUnits(
        chip_j_per_k=3.5e5 * ones,
        rack_coolant_j_per_k=200 * 3925.0 * ones,
        loop_j_per_k=700 * 3925.0 * ones,
        plate_w_per_k=heat_w / 25.0 * ones,
        plate_exponent=0.5 * ones,
        still_w_per_k=heat_w / 25.0 * 0.05 * ones,
        coolant_w_per_k=flow * ones,
        exchanger_w_per_k=4.0 * flow * ones,
        facility_w_per_k=1.3 * flow * ones,
        supply_setpoint_degc=32.0 * ones,
        static_w=0.0 * ones,
        dynamic_w=heat_w * ones,
        leakage_w=0.0 * ones,
        leakage_per_k=0.01 * ones,
        reference_degc=60.0 * ones,
        linear_frac=0.25 * ones,
        throttle_degc=95.0 * ones,
        throttle_per_k=0.05 * ones,
        least_clock_frac=0.3 * ones,
        trip_degc=110.0 * ones,
        liquid_frac=ones,
    )


def frontier_loop(n_units: int, heat_w: float = 1.3e6) -> transients.FacilityLoop:
    """Return a facility loop with cooling towers for those units: water 6 K above the wet bulb at full heat."""
    total = n_units * heat_w
    flow = 1.2 * total / 10.0
    return transients.FacilityLoop(
        return_j_per_k=150e3 * 4185.0,
        tank_j_per_k=150e3 * 4185.0,
        tank_layers=5,
        flow_w_per_k=flow,
        setpoint_degc=21.0,
        plant_capacity_w=math.inf,
        plant_w_per_k=total / (10.0 / 1.2 + 6.0),
        air_j_per_k=1e7,
        air_w_per_k=total * 0.01,
        air_limit_degc=45.0,
    )


def run_day(
    heat_w: np.ndarray, wet_bulb_degc: np.ndarray, step_s: float, *, longest_step_s: float = 1.0
) -> transients.TransientResult:
    """Return the loop's answer to heat (n_steps, n_units) [W] and wet bulb (n_steps,) [°C]."""
    n = heat_w.shape[1]
    rated = max(1.3e6, float(heat_w.max()))
    ones = np.ones(heat_w.shape[0])
    forcing = Forcing(step_s, heat_w / rated, np.ones((ones.size, 1)), ones, ones, ones, wet_bulb_degc)
    return transients.simulate_transient(
        frontier_units(n, rated), frontier_loop(n, rated), forcing, longest_step_s=longest_step_s
    )


def _frontier_day(path: Path) -> Iterator[Check]:
    times, heat, wet_bulb = read_frontier_day(path)
    step = float(times[1] - times[0])
    done = run_day(heat, wet_bulb, step)
    n = heat.size
    note = f"{done.report.newton_passes} Newton passes at most; {done.report.message}"
    yield at_most("Frontier day: heat balance", GROUP, n, done.report.heat_balance_frac, 1e-9, "relative", note)
    # The whole day's heat must leave through the plant, but for what the loop's own warmth holds back.
    followed = float(np.sum(done.rejected_w) / np.sum(heat))
    yield within("Frontier day: heat rejected over heat in", GROUP, n, followed, (0.99, 1.01), "ratio")
    missed = float(np.max(np.abs(done.power_w / heat - 1)))
    yield at_most("Frontier day: heat followed", GROUP, n, missed, 1e-9, "relative", "imposed on every CDU each 15 s")
    # Half the step must not change the answer: the integration, not the step, sets it.
    refined = run_day(heat, wet_bulb, step, longest_step_s=0.5)
    moved = float(np.max(np.abs(refined.chip_degc - done.chip_degc)))
    yield at_most("Frontier day: chip temperature at half the step", GROUP, n, moved, 0.05, "K")
