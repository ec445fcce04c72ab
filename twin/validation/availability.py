"""Uptime against exact Markov chains and block diagrams; Monte Carlo against the exact results."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from power_cooling.availability.capacity_functions import capacity_by_failed, needed_units_capacity
from power_cooling.availability.reliability import (
    HOURS_PER_YEAR,
    failed_units_after,
    failed_units_pmf,
    k_of_n,
    parallel_frac,
    series_frac,
    series_rate_and_repair,
    unit_availability_frac,
    unit_reliability_frac,
)
from power_cooling.availability.solve import RepairableGroups, Subsystem, simulate_availability, solve_availability
from twin.validation.check import Check, at_most, of_file, skipped

GROUP = "availability"
_EXPECTED_OUTAGES = 300  # in all drawn years: enough for the mean of their number to be near normal
_DRAWN_YEARS = 4000


def checks(data: Path) -> Iterator[Check]:
    """Yield one check per kind of case in the reliability oracle under `data`."""
    paths = sorted((data / "oracles").glob("reliability*.json"))
    for path in paths:
        yield from of_file(
            "Markov chains and block diagrams", GROUP, path, lambda p: _oracle(json.loads(p.read_text()))
        )
    if not paths:
        yield skipped("Markov chains and block diagrams", GROUP, ["reliability_markov_rbd.json"])


def _oracle(oracle: dict) -> Iterator[Check]:
    reach = oracle.get("tolerance", {}).get("analytic_rel", 1e-10)
    if oracle.get("k_of_n"):
        yield from _k_of_n(oracle["k_of_n"], reach)
        yield _monte_carlo(oracle["k_of_n"])
    if oracle.get("common_cause_1of2"):
        yield _common_cause(oracle["common_cause_1of2"], reach)
    if "transient_2of3_one_crew" in oracle:
        yield _transient(oracle["transient_2of3_one_crew"], reach)
    if "rbd_closed_form" in oracle:
        yield _block_diagram(oracle["rbd_closed_form"], reach)
    if "ieee_style_series" in oracle:
        yield _series(oracle["ieee_style_series"]["series"], reach)


def _worst(errors: list[float]) -> float:
    """Return the largest error; NaN stays NaN and misses."""
    return float(np.max(np.abs(errors), initial=0.0))


def _k_of_n(cases: list[dict], reach: float) -> Iterator[Check]:
    availability, capacity, states, frequency, solved = [], [], [], [], []
    for case in cases:
        rates = case["lam_per_h"], case["mu_per_h"], case["crews"]
        ours = k_of_n(case["n"], case["k"], *rates)
        availability.append(ours.availability_frac / case["availability"] - 1)
        capacity.append(ours.expected_capacity_frac / case["expected_capacity_fraction"] - 1)
        states.append(_worst(failed_units_pmf(case["n"], *rates) - np.array(case["p_failed"])))
        # The oracle's own linear solve leaves 1e-16 in each state, so a rare outage's frequency is exact in the sum of
        # the units' failure rates, not in itself.
        frequency.append((ours.failures_per_h - case["failure_freq_per_h"]) / (case["n"] * case["lam_per_h"]))
        solved.append(solve_availability((_subsystem(case, 1.0),)).availability_frac - ours.expected_capacity_frac)
    n = len(cases)
    yield at_most("k of n: availability", GROUP, n, _worst(availability), reach, "relative")
    yield at_most("k of n: expected capacity", GROUP, n, _worst(capacity), reach, "relative")
    yield at_most("k of n: state probabilities", GROUP, n, _worst(states), reach, "absolute")
    yield at_most("k of n: failure frequency", GROUP, n, _worst(frequency), reach, "of the units' failure rate")
    yield at_most("k of n: capacity by the site's solver", GROUP, n, _worst(solved), reach, "absolute")


def _subsystem(case: dict, raised: float) -> Subsystem:
    groups = RepairableGroups(
        names=("unit",),
        units=case["n"],
        failures_per_year=raised * case["lam_per_h"] * HOURS_PER_YEAR,
        repair_h=1 / case["mu_per_h"],
        crews=case["crews"],
    )
    return Subsystem("group", groups, capacity_by_failed(needed_units_capacity(case["n"], case["k"])))


def _monte_carlo(cases: list[dict]) -> Check:
    worst, raised_cases, undrawn = 0.0, 0, 0
    for seed, case in enumerate(cases):
        # Outages too rare to be drawn: raise the failure rate until there are some, and compare at that rate.
        for power in range(40):
            raised = 2.0**power
            exact = k_of_n(case["n"], case["k"], raised * case["lam_per_h"], case["mu_per_h"], case["crews"])
            if exact.failures_per_h * HOURS_PER_YEAR * _DRAWN_YEARS >= _EXPECTED_OUTAGES:
                break
        else:
            undrawn += 1  # never fails, or is never repaired
            continue
        raised_cases += raised > 1
        draw = simulate_availability((_subsystem(case, raised),), n_years=_DRAWN_YEARS, rng=np.random.default_rng(seed))
        error = abs(draw.availability_frac - exact.expected_capacity_frac)
        worst = max(worst, error / draw.standard_error_frac if draw.standard_error_frac > 0 else np.inf)
    note = f"{_DRAWN_YEARS} years each; failure rate raised in {raised_cases} of {len(cases)} cases with rarer outages"
    note += f"; {undrawn} without outages left out" if undrawn else ""
    return at_most("k of n: Monte Carlo", GROUP, len(cases) - undrawn, worst, 3.3, "standard errors", note)


def _common_cause(cases: list[dict], reach: float) -> Check:
    ours = [k_of_n(2, 1, case["lam"], case["mu"], 2, case["beta"]).unavailability_frac for case in cases]
    errors = [value / case["unavailability"] - 1 for value, case in zip(ours, cases, strict=True)]
    return at_most("common cause, 1 of 2: unavailability", GROUP, len(cases), _worst(errors), reach, "relative")


def _transient(case: dict, reach: float) -> Check:
    errors = [
        _worst(failed_units_after(point["t_h"], len(point["p"]) - 1, case["lam"], case["mu"], 1) - np.array(point["p"]))
        for point in case["points"]
    ]
    return at_most("2 of 3, one crew, in time", GROUP, len(errors), _worst(errors), reach, "absolute")


def _block_diagram(case: dict, reach: float) -> Check:
    # Rates stand in the topology's text: "(A1 parallel A2) series A3, lambda 1e-4/h, mu 0.05/h, …".
    failure, repair = (
        float(re.search(rf"{name}\s*=?\s*([0-9.eE+-]+)", case["topology"])[1]) for name in ("lambda", "mu")
    )
    errors = []
    for key, unit in (
        ("availability_t", lambda hours: unit_availability_frac(failure, repair, hours)),
        ("reliability_t", lambda hours: unit_reliability_frac(failure, hours)),
    ):
        for hours, expected in case.get(key, {}).items():
            single = unit(float(hours))
            errors.append(float(series_frac(parallel_frac(single, single), single)) / expected - 1)
    return at_most("series-parallel blocks in time", GROUP, len(errors), _worst(errors), reach, "relative")


def _series(case: dict, reach: float) -> Check:
    rate, repair_h = series_rate_and_repair(*np.array(case["components"], dtype=float).T)
    errors = [rate / case["lam_per_yr"] - 1, rate * repair_h / case["hours_per_yr"] - 1]
    return at_most("series by IEEE 493", GROUP, len(errors), _worst(errors), reach, "relative")
