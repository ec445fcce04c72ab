"""Ride-through after the loss of heat rejection, and a measured day that the loop must follow."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from power_cooling import ride_through
from twin.validation.check import Check, at_most, skipped

GROUP = "transients"


def checks(data: Path) -> Iterator[Check]:
    """Yield the checks whose files exist under `data`."""
    path = data / "oracles" / "transient_ride_through.json"
    if path.is_file():
        yield from _ride_through(path)
    else:
        yield skipped("ride-through", GROUP, [path])


def _ride_through(path: Path) -> Iterator[Check]:
    cases = json.loads(path.read_text())["cases"]

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
