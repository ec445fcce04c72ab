"""Which balances close: rows of one balance, against sums worked by hand."""

import numpy as np
import pytest

from twin.core.telemetry.coverage import CANNOT, CLOSES, OPEN, Balance, Stream, judged

METER = ("site", "power_w")
RACKS = (("rack/H/A", "power_w"), ("rack/H/B", "power_w"))
BALANCE = Balance("power_w of 2 racks", RACKS, "site|power_w", METER)
PREDICTED = {RACKS[0]: np.array([40.0, 50.0]), RACKS[1]: np.array([40.0, 40.0]), METER: np.array([100.0, 110.0])}


def test_a_balance_closes_within_two_sigmas_of_its_sensors():
    row = judged(BALANCE, PREDICTED, PREDICTED)
    assert row["state"] == CLOSES
    assert row["ratio"] == pytest.approx(170 / 210)
    assert row["tolerance_frac"] == pytest.approx(2 * np.hypot(0.005, 0.005))
    off = {**PREDICTED, METER: PREDICTED[METER] * 1.02}
    assert judged(BALANCE, off, PREDICTED)["state"] == OPEN


def test_a_missing_point_is_named_and_the_others_stand_beside_the_same_of_the_prediction():
    part = {key: values for key, values in PREDICTED.items() if key != RACKS[1]}
    row = judged(BALANCE, part, PREDICTED)
    assert (row["state"], row["missing"], row["n_missing"]) == (CANNOT, ["rack/H/B|power_w"], 1)
    assert row["sum_of"] == "power_w of 1 of 2 racks"
    assert row["ratio"] == row["predicted_ratio"] == pytest.approx(90 / 210)
    without_meter = judged(BALANCE, {RACKS[0]: PREDICTED[RACKS[0]]}, PREDICTED)
    assert (without_meter["state"], without_meter["ratio"], without_meter["n_missing"]) == (CANNOT, None, 2)
    assert judged(BALANCE, {}, PREDICTED) is None


def test_heats_are_flow_times_difference_and_allow_for_their_thermometers():
    sides = [
        Stream(*(("cdu/C", f"{side}_{what}") for what in ("flow_kg_s", "supply_degc", "return_degc")))
        for side in ("secondary", "primary")
    ]
    flows, temperatures = (20.0, 10.0), ((30.0, 40.0), (20.0, 40.0))
    points = {
        key: np.array([value])
        for side, flow, pair in zip(sides, flows, temperatures, strict=True)
        for key, value in zip(side.keys(), (flow, *pair), strict=True)
    }
    balance = Balance("heat of the secondary side", (sides[0],), "cdu/C heat of the primary side", sides[1])
    row = judged(balance, points, points)
    assert row["ratio"] == pytest.approx(1.0)
    sigmas = [0.005, 0.15 * 2**0.5 / 10, 0.005, 0.15 * 2**0.5 / 20]
    assert row["tolerance_frac"] == pytest.approx(2 * np.linalg.norm(sigmas))
