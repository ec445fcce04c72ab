"""A CDU loop that makes its own readings: exchanger, pump, meter, tower and sensors, with faults of any size."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from power_cooling.cooling.cdus import solve_cdu
from power_cooling.fluids.coolants import WATER

DESIGN = {
    "plant": "made",
    "design_it_load_w": "900000",
    "hx_ua_maker_w_k": "310000",
    "design_primary_flow_kg_s": "24",
    "design_secondary_flow_kg_s": "24",
    "flow_control": "both constant",
    "primary_supply_set_point_degc": "24",
    "rejection_kind": "wet cooling tower, single-speed fan, cycling",
    "rejection_fan_rated_w": "15000",
    "secondary_pump_rated_w": "9000",
    "pump_power_to_coolant_fraction": "0.9",
}
UA_W_PER_K = 300_000.0
STEP_S, DAYS = 1_200, 36
START_DAY = 20.3


@dataclass(frozen=True)
class Fault:
    kind: str = "none"
    size: float = 0.0
    sensor: str = ""


def made_loop(fault: Fault, seed: int) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """Return seconds and readings of 36 days at 20 min; the fault acts from day 20.3."""
    rng = np.random.default_rng(seed)
    n = DAYS * 86_400 // STEP_S
    seconds = np.arange(n) * float(STEP_S)
    hours = seconds / 3600
    acts = (seconds >= START_DAY * 86_400).astype(float)

    def share(kind: str) -> np.ndarray:
        return fault.size * acts if fault.kind == kind else np.zeros(n)

    heat = 9e5 * (0.75 + 0.12 * np.sin(2 * np.pi * hours / 24) + 0.05 * np.repeat(rng.normal(size=n // 36 + 1), 36)[:n])
    wet = 15 + 4 * np.sin(2 * np.pi * (hours - 9) / 24) + np.repeat(rng.normal(0, 1.5, n // 72 + 1), 72)[:n]
    primary = 24.0 * (1 - share("facility_flow_low"))
    secondary = 24.0 * (1 - share("pump_wear"))
    pump = 9_000.0 * (1 - 0.5 * share("pump_wear"))
    ua = UA_W_PER_K * (1 - share("fouling")) / (0.5 * (primary / 24) ** -0.7 + 0.5 * (secondary / 24) ** -0.7)
    duty = heat + 0.9 * pump
    cp = WATER.heat_capacity(np.full(n, 28.0))
    # The tower sheds in proportion to its fan's running time, a tenth of it without; at its end the water warms.
    reach_w = 7.5e4 * (1 - share("rejection_degraded"))
    supply = np.maximum(24.0, wet + duty / reach_w - duty / (primary * cp))
    full = reach_w * (supply + duty / (primary * cp) - wet)
    runs = np.clip((duty / full - 0.1) / 0.9, 0, 1)
    state = solve_cdu(duty, secondary * cp, primary * cp, supply, ua)
    readings = {
        "primary_supply_degc": supply,
        "primary_return_degc": supply + duty / (primary * cp),
        "primary_flow_kg_s": primary,
        "secondary_supply_degc": state.supply_degc,
        "secondary_return_degc": state.return_degc,
        "secondary_flow_kg_s": secondary,
        "heat_w": heat,
        "pump_power_w": pump,
        "rejection_fan_power_w": 15_000.0 * (1 - share("rejection_degraded")) * runs,
        "wet_bulb_degc": wet,
    }
    noisy = {}
    for name, values in readings.items():
        values = np.broadcast_to(values, (n,)).astype(float)
        noise = rng.normal(0, 0.1, n) if name.endswith("_degc") else values * rng.normal(0, 0.01, n)
        noisy[name] = np.where(rng.random(n) < 0.01, np.nan, values + noise)
    if fault.kind == "sensor_bias":
        noisy[fault.sensor] = noisy[fault.sensor] + fault.size * acts
    if fault.kind == "sensor_gain":
        noisy[fault.sensor] = noisy[fault.sensor] * (1 - fault.size * acts)
    return seconds, noisy
