"""Runs side by side."""

import pytest

from twin.comparison import compare
from twin.merit import FIGURES


def run(name: str, *, tokens: float, parts_w: dict[str, float], usd: dict[str, float], scenario: str = "Assistants"):
    figures = dict.fromkeys(figure.name for figure in FIGURES)
    figures |= {
        "output_tokens_per_s": tokens,
        "tokens_per_joule": tokens / sum(parts_w.values()),
        "mean_power_w": sum(parts_w.values()),
        "cost_per_million_output_tokens_usd": sum(usd.values()) / (tokens * 31.536),
    }
    region = {"name": "Virginia", "facts": {"electricity_usd_per_kwh": 0.1}}
    return {
        "id": name,
        "name": name,
        "figures": figures,
        "bands": {},
        "details": {
            "mean_power_by_part_w": parts_w,
            "costs": [{"item": item, "usd_per_year": value} for item, value in usd.items()],
            "solver": {"version": "1"},
            "per_workload": [],
        },
        "inputs": {
            "site": {"name": "Sterling", "grid_limit_w": 1e7, "region": region},
            "layout": {"name": name, "version": 1},
            "weather": {"name": "Sterling TMY3"},
            "scenario": {
                "name": scenario,
                "engine": "vllm",
                "weight_precision": "auto",
                "accelerator_power_limit_w": None,
                "electricity_usd_per_kwh": None,
            },
        },
    }


A = run("A", tokens=1000.0, parts_w={"Accelerators": 800.0, "Chillers": 200.0}, usd={"Energy": 600.0, "Staff": 400.0})
B = run("B", tokens=1500.0, parts_w={"Accelerators": 850.0, "Chillers": 50.0}, usd={"Energy": 500.0, "Staff": 400.0})


def test_the_waterfall_leads_from_one_run_to_the_other():
    fall = compare([A, B]).waterfall_w[0]
    assert fall.start == pytest.approx(1000.0)
    assert fall.end == pytest.approx(900.0)
    assert [(step.name, step.change) for step in fall.steps] == [("Chillers", -150.0), ("Accelerators", 50.0)]
    assert fall.steps[-1].total_after == pytest.approx(fall.end)


def test_the_better_run_wins_its_row_and_the_reason_names_the_largest_part():
    rows = {row.name: row for row in compare([A, B]).rows}
    assert rows["tokens_per_joule"].winner == 1
    assert rows["tokens_per_joule"].why == "Accelerators 0.233 J/tok less than the next, 0.4 in all"  # 0.8 - 0.5667
    assert rows["mean_power_w"].winner == 1
    assert rows["mean_power_w"].deltas == [0.0, pytest.approx(-100.0)]
    assert rows["nameplate_power_w"].winner is None


def test_a_winner_whose_band_holds_the_next_is_not_certain():
    a, b = {**A, "bands": {}}, {**B, "bands": {"tokens_per_joule": [1.2, 2.0]}}
    rows = {row.name: row for row in compare([a, b]).rows}
    assert "not certain" not in rows["tokens_per_joule"].why  # 1.0 lies below the band
    b["bands"] = {"tokens_per_joule": [0.9, 2.2]}
    rows = {row.name: row for row in compare([a, b]).rows}
    assert rows["tokens_per_joule"].winner == 1
    assert rows["tokens_per_joule"].why.endswith("not certain: the next is inside its 80 % band")


def test_equal_runs_have_no_winner():
    assert all(row.winner is None for row in compare([A, A]).rows)


def test_only_differing_assumptions_are_told():
    names = {row.name for row in compare([A, B]).assumptions}
    assert names == {"Layout"}
    other = run("B", tokens=1.0, parts_w={"Accelerators": 1.0}, usd={"Energy": 1.0}, scenario="Agents")
    assert {row.name for row in compare([A, other]).assumptions} == {"Layout", "Scenario"}


def test_one_run_is_no_comparison():
    with pytest.raises(ValueError, match="at least 2"):
        compare([A])
