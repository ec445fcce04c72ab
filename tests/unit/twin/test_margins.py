"""The run page shows what is lost in a year, how soon after a loss racks throttle, and what margin is left."""

import pytest
from django.urls import reverse

from tests.small_run import done_run

AVAILABILITY = {
    "groups": [],
    "weather": "each state in hot weather",
    "lost_tokens_per_year": 2.5e9,
    "lost_tokens_p95_per_year": 4.5e9,
    "standard_error_frac": 2.8e-6,
    "n_years_drawn": 1000,
    "interruptions_per_year": 0.0144,
    "mean_interruption_h": 3.73,
    "capacity_distribution": [
        {"capacity_frac": 1.0, "probability": 0.999, "h_per_year": 8751.24},
        {"capacity_frac": 0.5, "probability": 0.001, "h_per_year": 8.76},
    ],
}
DRILL = {
    "plant": "Facility water",
    "loss": "all rack-coolant pumps",
    "seconds_to_throttle": 23.7,
    "seconds_to_trip": 28.3,
    "recovers_s": None,
    "hottest_degc": 95.8,
    "followed_s": 3600.0,
}


@pytest.fixture
def page(viewer, run):
    return lambda **details: _page(viewer, run, details)


@pytest.fixture
def run(layout):
    run = done_run(layout, layout.site.scenarios.get())
    run.details |= {"mean_power_by_part_w": {"Accelerators": 2e5}, "costs": [], "assumptions": []}
    return run


def _page(client, run, details) -> str:
    run.details |= details
    run.save()
    html = client.get(reverse("run-detail", args=[run.id])).content.decode()
    return " ".join(html.split())  # however its template is laid out


def test_what_a_year_of_twenty_loses_stands_beside_the_expected_loss(page):
    html = page(availability=AVAILABILITY)
    assert 'value="2500000000.0"' in html
    assert 'value="4500000000.0"' in html
    assert "1,000 simulated years" in html
    assert html.index("Distribution of capacity") < html.index('value="8.76"')


def test_what_counts_as_an_interruption_is_said_beside_their_number(page):
    counted = page(availability=AVAILABILITY | {"interruption_frac": 0.02})
    assert "Interruptions: losses of" in counted
    assert 'title="2 %"' in counted
    assert (
        "smaller losses and faults of the compute side (trays, fast links, software, roll-outs) count as lost tokens"
        in counted
    )
    assert "Interruptions of full capacity" in page(availability=AVAILABILITY)  # a run from before


def test_a_loss_that_never_trips_says_so(page):
    harmless = DRILL | {"loss": "one CDU of every group", "seconds_to_throttle": None, "seconds_to_trip": None}
    html = page(drills=[DRILL, harmless])
    assert "All rack-coolant pumps" in html
    assert "23.7 s" in html
    after = html[html.index("One CDU of every group") :]
    for column in ("Throttles after", "Trips after"):
        assert f'data-label="{column}"> never </td>' in after


def test_margins_beyond_the_tenth_are_folded(page):
    rows = [{"object": f"Feed {i}", "kind": "feed rating", "value": i / 100, "unit": "%"} for i in range(12)]
    html = page(margins=rows)
    assert "2 more" in html
    assert all(f"Feed {i}<" in html for i in range(12))


def test_runs_from_before_these_answers_still_show(page):
    html = page(availability={"groups": []})
    assert "Margins are not stored for this run; re-run it." in html
    assert "Seconds after a loss" in html
