"""The run page shows what is lost in a year, how soon after a loss racks throttle, and what margin is left."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility.models import Membership
from tests.small_run import done_run, small_scenario

AVAILABILITY = {
    "groups": [], "weather": "each state at the 99% hottest hour", "lost_tokens_per_year": 2.5e9,
    "lost_tokens_p95_per_year": 4.5e9, "standard_error_frac": 2.8e-6, "n_years_drawn": 1000,
    "interruptions_per_year": 0.0144, "mean_interruption_h": 3.73,
    "capacity_distribution": [{"capacity_frac": 1.0, "probability": 0.999, "h_per_year": 8751.24},
                              {"capacity_frac": 0.5, "probability": 0.001, "h_per_year": 8.76}],
}  # fmt: skip
DRILL = {
    "plant": "Facility water", "loss": "all rack-coolant pumps", "seconds_to_throttle": 23.7, "seconds_to_trip": 28.3,
    "recovers_s": None, "hottest_degc": 95.8, "followed_s": 3600.0,
}  # fmt: skip


@pytest.fixture
def page(client, run):
    return lambda **details: _page(client, run, details)


@pytest.fixture
def run(db, client):
    layout, scenario = small_scenario()
    user = get_user_model().objects.create_user("somebody", password="somebody")
    Membership.objects.create(site=layout.site, user=user, role=Membership.Role.VIEWER)
    client.force_login(user)
    run = done_run(layout, scenario)
    run.details |= {"mean_power_by_part_w": {"Accelerators": 2e5}, "costs": [], "assumptions": []}
    return run


def _page(client, run, details) -> str:
    run.details |= details
    run.save()
    return client.get(reverse("run-detail", args=[run.id])).content.decode()


def test_what_a_year_of_twenty_loses_stands_beside_the_expected_loss(page):
    html = page(availability=AVAILABILITY)
    assert 'value="2500000000.0"' in html
    assert 'value="4500000000.0"' in html
    assert "1,000 simulated years" in html
    assert html.index("Distribution of capacity") < html.index('value="8.76"')


def test_a_loss_that_never_trips_says_so(page):
    harmless = DRILL | {"loss": "one CDU of every group", "seconds_to_throttle": None, "seconds_to_trip": None}
    html = page(drills=[DRILL, harmless])
    assert "All rack-coolant pumps" in html
    assert "23.7 s" in html
    after = html[html.index("One CDU of every group") :]
    assert after.count("never</td>") == 2


def test_margins_beyond_the_tenth_are_folded(page):
    rows = [{"object": f"Feed {i}", "kind": "feed rating", "value": i / 100, "unit": "%"} for i in range(12)]
    html = page(margins=rows)
    assert "2 more" in html
    assert all(f"Feed {i}<" in html for i in range(12))


def test_runs_from_before_these_answers_still_show(page):
    html = page(availability={"groups": []})
    assert "This run kept no margins." in html
    assert "Seconds after a loss" in html
