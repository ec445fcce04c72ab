"""What must hold for the band of any site: it holds its figure and nothing that cannot be."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.shipped import CATALOGUE, load_shipped
from tests.small_run import small_scenario
from twin.core.figures_of_merit import BY_NAME
from twin.core.inputs.layout import LayoutInputs, layout_inputs
from twin.core.results.figures import bands, figures_of_merit, served_in
from twin.core.solve.estimate import estimated_year
from twin.core.solve.simulate import described
from twin.runs import snapshot

pytestmark = [pytest.mark.compiled, pytest.mark.slow, pytest.mark.django_db]


class Description(dict):
    """A snapshot that a failing example does not print."""

    def __repr__(self) -> str:
        return "the small site's snapshot"


@pytest.fixture
def description(db) -> Description:
    load_shipped(CATALOGUE)
    return Description(snapshot.snapshot(*small_scenario()))


def site(description: dict, admission: str, demand: dict, cap_w: float | None, n_racks: int) -> LayoutInputs:
    """Return the small site with other demand, admission, power cap and racks."""
    scenario = description["scenario"]
    shares = [scenario["workloads"][0] | demand]
    changed = scenario | {"admission": admission, "accelerator_power_limit_w": cap_w, "workloads": shares}
    racks = {name: [values[0]] * n_racks for name, values in description["racks"].items()}
    racks["id"] = list(range(1, n_racks + 1))
    return layout_inputs(description | {"scenario": changed, "racks": racks})


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    admission=st.sampled_from(["queue", "refuse", "degrade"]),
    demand=st.one_of(
        st.floats(0.05, 5.0).map(lambda load: {"peak_load_frac": load, "requests_per_s": None}),
        st.floats(0.01, 500.0).map(lambda rate: {"requests_per_s": rate}),
    ),
    cap_w=st.sampled_from([None, 900.0, 600.0]),
    n_racks=st.integers(1, 6),
)
@example(admission="queue", demand={"requests_per_s": 87.0}, cap_w=600.0, n_racks=1)  # hours above capacity wait
@example(admission="queue", demand={"peak_load_frac": 5.0, "requests_per_s": None}, cap_w=None, n_racks=1)  # all do
def test_no_band_holds_what_cannot_be(description, admission, demand, cap_w, n_racks):
    year, _ = estimated_year(described(site(description, admission, demand, cap_w, n_racks)))
    served = served_in(year)
    figures = figures_of_merit(year, served)
    found = bands(year, served, figures)
    for name, (low, high) in found.items():
        value = figures[name]
        assert low <= value * (1 + 1e-9), name
        assert value <= high * (1 + 1e-9), name
        assert low >= 0, name
        if BY_NAME[name].unit == "%":
            assert high <= 1, name
    assert found["pue"][0] >= 1
    for name in ("good_tokens_per_s", "goodput_tokens_per_s"):
        assert found[name][1] <= max(found["output_tokens_per_s"][1], figures[name]) * (1 + 1e-9)
    if served.waits:  # nobody does at the door for more than a day
        assert found["ttft_p95_s"][1] <= 86400 + 3600
        for name, quantile in (("ttft_p50_s", 0.5), ("ttft_p95_s", 0.95)):
            assert served.ttft_at(np.ones(len(year.pools)), 1.0, quantile) == pytest.approx(figures[name], rel=1e-9)
        if demand.get("requests_per_s") is None:  # demand moves with capacity, and so does who waits
            low, high = found["ttft_p50_s"]
            assert high - low <= 60 + 1e-6 * high
    bank = year.table.bank
    most_w = year.table.nameplate_w.sum()
    if cap_w is not None:
        most_w -= float((bank["n_accelerators"] * np.maximum(bank["tdp_w"] - cap_w, 0.0)).sum())
    assert found["peak_power_w"][1] <= max(most_w * found["pue"][1], figures["peak_power_w"]) * (1 + 1e-9)
    asked = sum(float(pool.demand_per_s.mean()) * pool.output_tokens for pool in year.pools)
    if demand.get("requests_per_s") is not None:
        assert found["output_tokens_per_s"][1] <= max(asked, figures["output_tokens_per_s"]) * (1 + 1e-6)
