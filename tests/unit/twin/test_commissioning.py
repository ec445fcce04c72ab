"""The commissioning report: which points keep which limits, and what changed since an earlier comparison."""

import pytest

from twin.core.report.commissioning import (
    GUIDELINE_14,
    KEPT,
    MISSED,
    OWN,
    UNJUDGED,
    changes,
    commissioning_report,
    judged,
)
from twin.core.report.pdf import pdf
from twin.core.report.xlsx import xlsx


def watts(name="site", nmbe=0.01, cv=0.04, **more) -> dict:
    return {
        "object": name,
        "quantity": "power_w",
        "n": 24,
        "input": False,
        "nmbe_frac": nmbe,
        "cv_rmse_frac": cv,
        "covered_frac": 0.9,
    } | more


def kelvin(name="cdu/A", mean=0.1, rmse=0.2) -> dict:
    row = {"object": name, "quantity": "secondary_return_degc", "n": 24, "input": False, "covered_frac": 0.9}
    return row | {"rmse_k": rmse, "mean_error_k": mean}


def comparison(*points) -> dict:
    figure = {"measured": 1e6, "predicted": 1.1e6, "low": None, "high": None}
    balance = {"sum_of": "racks", "meter": "site|power_w", "ratio": None, "predicted_ratio": None, "state": "cannot"}
    return {
        "points": list(points),
        "figures": {"meter_power_w": figure},
        "coverage": [balance | {"missing": ["rack/H/A|power_w"], "tolerance_frac": None}],
        "load_from": "output tokens",
        "weather_from": "measured dry bulb",
        "step_s": 3600.0,
    }


@pytest.mark.parametrize(
    ("row", "guideline", "own"),
    [
        (watts(), KEPT, KEPT),
        (watts(nmbe=-0.09, cv=0.29), KEPT, MISSED),
        (watts(nmbe=0.11), MISSED, MISSED),
        (watts(cv=0.31), MISSED, MISSED),
        (watts(cv=None), UNJUDGED, UNJUDGED),
        (watts(input=True), UNJUDGED, UNJUDGED),
        (kelvin(), UNJUDGED, KEPT),
        (kelvin(mean=-0.31), UNJUDGED, MISSED),
        (kelvin(rmse=0.61), UNJUDGED, MISSED),
    ],
)
def test_a_point_keeps_limits_in_bias_and_in_scatter_or_cannot_be_judged(row, guideline, own):
    assert (judged(row, GUIDELINE_14), judged(row, OWN)) == (guideline, own)


def test_what_moved_most_over_its_limit_stands_first():
    then = [watts(), watts("feed/UPS A", nmbe=0.0), kelvin()]
    now = [watts(nmbe=0.03), watts("feed/UPS A", nmbe=-0.06), kelvin(mean=0.5), watts("feed/new")]
    found = changes(now, then)
    assert [row["object"] for row in found] == ["feed/UPS A", "cdu/A", "site"]
    assert [round(row["size"], 2) for row in found] == [3.0, 1.33, 1.0]
    assert (found[1]["moved"], found[1]["unit"]) == (pytest.approx(0.4), "K")


def test_the_report_says_the_verdict_first_and_becomes_a_pdf_and_a_spreadsheet():
    now, earlier = comparison(watts(), watts("feed/A", cv=0.4), kelvin(mean=0.8)), comparison(watts(), kelvin())
    made = {"earlier_name": "June", "made": "now"}
    report = commissioning_report(now, [("Layout", "Hall")], "Hall", earlier=earlier, **made)
    verdict = "Guideline 14 limits: 1 of 2 points keep them; Own limits: 1 of 3 points keep them."
    assert report.facts[0] == ("Verdict", verdict)
    limits, points, figures, coverage, moved = report.sections
    assert limits.tables[0].rows[0][:4] == ["power_w", 2, "1 of 2", "1 of 2"]
    assert [row[3] for row in points.tables[0].rows] == [MISSED, MISSED, KEPT]
    assert figures.tables[0].rows[0][1:3] == [1e6, 1.1e6]
    assert coverage.tables[0].rows[0][2] == "cannot be judged"
    assert "the bias of 1 moved by more" in moved.texts[0]
    assert "cdu/A secondary_return_degc" in moved.texts[0]
    assert moved.texts[1].startswith("1 points are new, 0 are")
    assert pdf(report).startswith(b"%PDF")
    assert xlsx(report).startswith(b"PK")
    alone = commissioning_report(comparison(watts(input=True)), [], "Hall", earlier=None, **made)
    assert "no point can be judged" in alone.facts[0][1]
    assert "none is left to judge it by" in alone.warnings[0]
    assert "no earlier comparison" in alone.sections[-1].texts[0]
