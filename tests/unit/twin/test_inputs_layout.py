"""A snapshot read as typed rows: what older versions stored opens, and what cannot be read says why."""

import pytest

from tests.small_inputs import sheet, small_inputs, stored_inputs
from tests.small_run import small_scenario
from twin.core.inputs.layout import TABLES, column_names, layout_inputs
from twin.runs import snapshot


@pytest.mark.django_db
def test_every_field_that_is_stored_is_read_and_every_row_comes_back():
    stored = snapshot.snapshot(*small_scenario())
    inputs = layout_inputs(stored)
    for name, row in TABLES.items():
        assert [{key: getattr(one, key) for key in column_names(row)} for one in getattr(inputs, name)] == stored.get(
            name, []
        )
    assert {name: list(getattr(inputs.racks, name)) for name in stored["racks"]} == stored["racks"]
    assert len(inputs.racks) == len(stored["racks"]["id"])
    assert {str(key) for key in inputs.products.by_id} == set(stored["products"]["by_id"])
    assert inputs.site.region.facts == stored["site"]["region"]["facts"]


@pytest.mark.django_db
def test_a_snapshot_of_format_1_is_read_without_what_it_did_not_have():
    stored = snapshot.snapshot(*small_scenario()) | {"format": 1}
    for part, names in {
        "site": ("repair_crews", "assumed"),
        "scenario": ("cache_tier_bytes",),
    }.items():
        stored[part] = {name: value for name, value in stored[part].items() if name not in names}
    stored["cdus"] = [
        {k: v for k, v in cdu.items() if k not in ("x_m", "y_m", "orientation_deg")} for cdu in stored["cdus"]
    ]
    for name in ("air_units", "features", "units"):
        del stored[name]
    inputs = layout_inputs(stored)
    assert (inputs.site.repair_crews, inputs.site.assumed, inputs.scenario.cache_tier_bytes) == (None, (), None)
    assert (inputs.air_units, inputs.features, inputs.units) == ((), (), {})
    assert {cdu.x_m for cdu in inputs.cdus} == {None}


def test_a_snapshot_of_a_later_format_is_refused_with_those_that_are_read():
    with pytest.raises(ValueError, match="has format 99; this version reads 1 and 2"):
        layout_inputs(stored_inputs() | {"format": 99})


def test_a_snapshot_without_a_field_is_refused_by_its_place():
    stored = stored_inputs(feeds=[{"kind": "utility"}, {"kind": "ups"}])
    del stored["feeds"][1]["n_units"]
    with pytest.raises(ValueError, match=r"snapshot's feeds\[1\] has no n_units"):
        layout_inputs(stored)
    stored = stored_inputs()
    del stored["site"]["region"]
    with pytest.raises(ValueError, match="snapshot has no region"):
        layout_inputs(stored)


def test_products_are_found_by_the_reference_of_a_row():
    inputs = small_inputs(products={"by_id": {"7": sheet("ups", name="UPS", facts={"rating_va": 1.0})}})
    assert (inputs.product_name(7), inputs.facts(7), inputs.product(7).kind) == ("UPS", {"rating_va": 1.0}, "ups")
    assert (inputs.product_name(None), inputs.facts(None), inputs.product(None)) == ("", {}, None)


@pytest.mark.django_db
def test_a_snapshot_of_before_ratings_were_kept_opens_with_them():
    stored = snapshot.snapshot(*small_scenario())
    wanted = layout_inputs(stored).products.by_id
    assert any(product.rating_w for product in wanted.values())
    for kept in stored["products"]["by_id"].values():
        del kept["rating_w"]
    read = snapshot.inputs_stored(snapshot.packed(snapshot.canonical(stored)))
    assert {key: product.rating_w for key, product in read.products.by_id.items()} == {
        key: product.rating_w for key, product in wanted.items()
    }


def test_a_racks_nameplate_is_that_of_its_systems_and_what_else_is_in_it():
    inputs = small_inputs(products={"by_id": {"7": sheet(facts={"max_power_w": 10e3})}})
    assert inputs.nameplate_w(7, 4, 500.0) == 40.5e3
    assert inputs.nameplate_w(None, 1, 500.0) == 500.0
