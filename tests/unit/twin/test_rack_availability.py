"""What serves a rack, in series and parallel, against values worked by hand."""

import pytest

from tests.small_inputs import sheet, small_inputs
from twin.core.failures.components import ASSUMED_COMMON_CAUSE_FRAC as BETA
from twin.core.failures.rack_availability import rack_availability_frac

HOURS = 8760.0
RELIABILITY = {
    slug: {"failures_per_unit_year": rate, "mttr_h": repair}
    for slug, rate, repair in (
        ("utility-single-feed", 2.0, 4.0),
        ("ups-module", 0.1, 10.0),
        ("busway-ft", 0.01, 5.0),
        ("cdu", 0.2, 8.0),
        ("crah", 0.05, 20.0),
        ("pump-centrifugal", 0.02, 30.0),
        ("dry-cooler", 0.03, 40.0),
        ("chiller-screw-air", 0.5, 50.0),
    )
}
RELIABILITY["genset-standby-1500kw"] = {
    "failures_per_unit_year": 0.1,
    "mttr_h": 18.0,
    "start_failure_probability": 0.01,
}


def lost(slug: str) -> float:
    """Return the unavailability of one unit."""
    sheet = RELIABILITY[slug]
    busy = sheet["failures_per_unit_year"] * sheet["mttr_h"]
    return busy / (HOURS + busy) + sheet.get("start_failure_probability", 0.0)


def feed(key: int, kind: str, parent: int | None = None, **changes) -> dict:
    return {"id": key, "name": f"{kind}-{key}", "kind": kind, "parent_id": parent} | changes


PRODUCTS = {"3": sheet("dry_coolers"), "5": sheet("warm_water_chillers", facts={"type": "air_cooled"})}


def served(feeds: list[dict], a: int | None, b: int | None = None, **more) -> float:
    """Return the availability of one rack."""
    rack = (1, more.pop("cdu_id", None), a, b)
    inputs = small_inputs(feeds=feeds, products={"by_id": PRODUCTS}, **({"halls": [{}]} | more))
    rows = {name: getattr(inputs, name) for name in ("feeds", "cdus", "halls", "plants")}
    (share,) = rack_availability_frac([rack], **rows, products=inputs.products.by_id, reliability=RELIABILITY)
    return float(share)


def test_a_single_path_is_a_series():
    feeds = [feed(1, "utility"), feed(2, "ups", 1), feed(3, "busway", 2)]
    wanted = (1 - lost("utility-single-feed")) * (1 - lost("ups-module")) * (1 - lost("busway-ft"))
    assert served(feeds, 3) == pytest.approx(wanted, rel=1e-12)


def test_two_sides_stand_in_for_each_other_but_not_for_what_they_share():
    feeds = [feed(1, "utility"), feed(2, "ups", 1), feed(3, "busway", 2), feed(4, "ups", 1), feed(5, "busway", 4)]
    side = 1 - (1 - lost("ups-module")) * (1 - lost("busway-ft"))
    assert 1 - served(feeds, 3, 5) == pytest.approx(1 - (1 - lost("utility-single-feed")) * (1 - side**2), rel=1e-9)


def test_a_common_cause_takes_both_sides_of_a_redundancy_group():
    feeds = [feed(1, "utility"), feed(2, "ups", 1, redundancy_group="U"), feed(3, "ups", 1, redundancy_group="U")]
    both = lost("ups-module") ** 2 + BETA * lost("ups-module")
    assert 1 - served(feeds, 2, 3) == pytest.approx(1 - (1 - lost("utility-single-feed")) * (1 - both), rel=1e-9)


def test_a_generator_stands_behind_its_utility_if_it_starts():
    feeds = [feed(1, "utility"), feed(2, "generator"), feed(3, "busway", 1)]
    source = lost("utility-single-feed") * lost("genset-standby-1500kw")
    assert 1 - served(feeds, 3) == pytest.approx(1 - (1 - source) * (1 - lost("busway-ft")), rel=1e-9)


def test_a_rack_on_no_feed_is_never_served():
    assert served([feed(1, "utility")], None) == 0.0


def test_one_spare_unit_of_a_node_covers_one_failure():
    single = [feed(1, "utility"), feed(2, "ups", 1)]
    spare = [feed(1, "utility"), feed(2, "ups", 1, n_units=3, redundancy="N+1")]
    bare = [feed(1, "utility"), feed(2, "ups", 1, n_units=3)]
    assert served(bare, 2) < served(single, 2) < served(spare, 2)


def test_coolant_needs_its_group_and_its_plant():
    feeds = [feed(1, "utility")]
    cdus = [{"id": key} for key in (1, 2)]
    power = 1 - lost("utility-single-feed")
    plant = (1 - lost("pump-centrifugal")) * (1 - lost("dry-cooler"))
    one = served(feeds, 1, cdu_id=1, cdus=cdus[:1], plants=[{}])
    assert one == pytest.approx(power * plant * (1 - lost("cdu")), rel=1e-9)
    spare = [cdu | {"redundant_units": 1} for cdu in cdus]
    with_spare = served(feeds, 1, cdu_id=1, cdus=spare, plants=[{}])
    assert one < with_spare < power * plant
    assert served(feeds, 1, cdus=cdus, plants=[{}]) == pytest.approx(power, rel=1e-12)  # air-cooled, no air units


def test_chillers_count_where_outside_air_alone_does_not_do():
    feeds, hall = [feed(1, "utility")], {"plant_id": 1}
    mixed = {"economiser": "integrated", "chiller_id": 5, "n_chillers": 1}
    free, chilled = (served(feeds, 1, halls=[hall], plants=[plant]) for plant in ({}, mixed))
    assert chilled == pytest.approx(free * (1 - lost("chiller-screw-air")), rel=1e-9)


def test_a_catalogue_without_the_figures_is_named():
    with pytest.raises(ValueError, match="no reliability figures for pdu"):
        served([feed(1, "utility"), feed(2, "pdu", 1)], 2)
