"""Batteries against the start of generators: seconds by hand, what is dark, what it costs, what the rules say."""

from dataclasses import replace

import numpy as np
import pytest

from facility.models import PowerFeed, Rack
from power_cooling.site_arrays import SiteFeeds
from tests.small_site import new_rack, product, small_layout
from tests.unit.twin.test_ride_through import BOARD, BUSWAY, UPSES, UTILITY, chain, feed
from twin.core.failures.carry_over import SLUG, carry_over_losses, carry_overs
from twin.core.failures.kinds import FEED_RELIABILITY
from twin.core.inputs.layout import layout_inputs
from twin.core.results.findings import RISK
from twin.core.rules.standby import carried_for
from twin.core.solve.simulate import described
from twin.runs.findings import layout_findings

pytestmark = pytest.mark.django_db


def with_generators(start_s: float, accepted_s: float):
    generators = feed(9, "Generators", "generator", None, product_id=7, n_units=3)
    inputs, feeds = chain(UTILITY, BOARD, UPSES, BUSWAY, generators, racks_on="Busway")
    facts = {"start_time_s": start_s, "load_acceptance_s": accepted_s}
    by_id = {**inputs.products.by_id, 7: replace(inputs.products.by_id[5], kind="generators", facts=facts)}
    return replace(inputs, products=replace(inputs.products, by_id=by_id)), feeds


def loads(feeds: SiteFeeds, **power_w: float) -> np.ndarray:
    return np.array([power_w.get(name, 0.0) for name in feeds.tree.names])


def test_generators_take_sixty_percent_at_once_and_the_rest_when_they_accept_it():
    inputs, feeds = with_generators(10.0, 15.0)
    (carried,) = carry_overs(inputs, feeds.tree, loads(feeds, Utility=1.5e6, UPS=1.5e6))
    assert (carried.utility, carried.generator, carried.picked_up_s) == ("Utility", "Generators", 10.0)
    (carried,) = carry_overs(inputs, feeds.tree, loads(feeds, Utility=2.5e6, UPS=2e6))
    assert carried.picked_up_s == 15.0
    # Two UPS of 1 MW hold 300 s at rating.
    assert carried.battery_s[feeds.tree.index("Busway")] == pytest.approx(300.0)
    assert not carried.dark[feeds.tree.index("Busway")]


def test_slow_generators_leave_dark_what_batteries_do_not_carry():
    inputs, feeds = with_generators(120.0, 400.0)
    (carried,) = carry_overs(inputs, feeds.tree, loads(feeds, Utility=2.5e6, UPS=2e6))
    dark = {name for name, is_dark in zip(feeds.tree.names, carried.dark, strict=True) if is_dark}
    assert dark == {"Utility", "Board", "UPS", "Busway"}
    (carried,) = carry_overs(inputs, feeds.tree, loads(feeds, Utility=2.5e6, UPS=1e6))  # lasts 600 s
    assert not carried.dark[feeds.tree.index("Busway")]


def test_a_year_pays_for_each_loss_of_a_utility_that_batteries_do_not_bridge(sample_inputs):
    stored = sample_inputs("sterling/gb200-nvl72")
    year = described(layout_inputs(stored))
    load_w = np.full(year.feeds.tree.n_nodes, 4e6)
    assert carry_over_losses(year.inputs, year.site, year.feeds, load_w) == []
    for entry in stored["products"]["by_id"].values():
        if entry["kind"] == "ups":
            entry["facts"]["battery_autonomy_s"] = 2.0
    short = layout_inputs(stored)
    (loss,) = carry_over_losses(short, year.site, year.feeds, load_w)
    outages = short.products.reliability[FEED_RELIABILITY["utility"]].facts["failures_per_unit_year"]
    assert (loss.slug, loss.faults_per_year) == (SLUG, outages)
    # A restart of 300 s and what the batteries leave of the start, for all accelerators.
    assert 300 < loss.lost_h_per_fault * 3600 < 315
    assert loss.low_frac < loss.lost_frac < loss.high_frac


def test_findings_name_feeds_that_are_dark_until_generators_have_the_load():
    layout = small_layout()
    new_rack(layout).save()
    generators = PowerFeed.objects.create(
        layout=layout,
        name="Generators",
        kind="generator",
        product=product("generators", "genset-diesel-3mw"),
        n_units=2,
    )
    assert not [f for f in layout_findings(layout) if f.rule == "carry-over"]
    generators.product = product("generators", "gas-turbine-aero-30mw")
    generators.save()
    Rack.objects.update(other_power_w=5e6)  # 2.5 MW a side, on a UPS of 1.7 MW that lasts 300 s at rating
    found = [f for f in layout_findings(layout) if f.rule == "carry-over"]
    assert {f.object_name for f in found} == {"Busway-A", "Busway-B"}
    assert {f.severity for f in found} == {RISK}
    assert found[0].value < found[0].limit == 300
    PowerFeed.objects.filter(kind="busway").update(parent=layout.power_feeds.get(name="T-A"))
    message = next(f.message for f in layout_findings(layout) if f.rule == "carry-over")
    assert "it has no battery above it, so its racks stop and restart" in message


def test_protection_carries_an_overload_by_its_curve():
    feeds = chain(UTILITY, BOARD, UPSES, BUSWAY, racks_on="Busway")[0].feeds
    transformer, ups, busway = (replace(feeds[0], kind=kind) for kind in ("transformer", "ups", "busway"))
    assert carried_for(ups, 1.0, 1.0) == ""
    assert carried_for(ups, 1.1, 1.0) == "; its inverter carries that for 60 min, then it goes to bypass"
    assert carried_for(ups, 1.4, 1.0) == "; its inverter carries that for 60 s, then it goes to bypass"
    # 12 s at six times the setting, with the inverse square: 12 · 36 / 4 at twice
    assert carried_for(busway, 2.0, 1.0) == "; its breaker opens after 2 min"
    assert carried_for(busway, 1.04, 1.0) == ""
    assert carried_for(transformer, 2.0, 1.0) == ""
