"""Storage: what units are together, the cache tier that accelerators get, watts, dollars and the site file."""

from dataclasses import replace

import pytest

from facility.bill_of_materials import bill_of_materials
from facility.catalogue import entries
from facility.models import Storage
from facility.services import layout_clone, part_save
from tests.small_run import small_scenario
from tests.small_site import new_rack, product
from twin.core.inputs.layout import layout_inputs
from twin.core.inputs.storage import StorageRow, cache_tier, sized_storage
from twin.core.results import capital, economics
from twin.core.results.details import RunDetails, run_details
from twin.core.results.figures import storage_rows
from twin.core.results.findings import run_findings
from twin.core.solve.simulate import described
from twin.core.text.json_rows import as_json
from twin.interchange.site_file import site_export, site_import
from twin.runs.snapshot import description, snapshot

FLASH = entries("storage")["flash-enclosure-24"]


def test_units_add_up():
    sized = sized_storage(StorageRow(1, "Cache", "cache", 1, 4), FLASH)
    assert (sized.usable_bytes, sized.read_bytes_per_s) == (4 * 700e12, 4 * 100e9)
    assert (sized.max_power_w, sized.price_usd) == (4 * 1100, 4 * 265_000)
    assert sized_storage(StorageRow(1, "C", "cache", 1, 4), FLASH | {"price_estimate_usd": None}).price_usd is None


def test_accelerators_share_the_tier_that_stands():
    tier = sized_storage(StorageRow(1, "Cache", "cache", 1, 2), FLASH)
    shared = replace(tier, purpose="shared")
    assert cache_tier([tier], 1000, None) == (1.4e12, 2e8)
    assert cache_tier([tier, shared], 1000, 1e12) == (1e12, 2e8)
    assert cache_tier([tier], 1000, 5e12) == (1.4e12, 2e8)  # no more than stands
    assert cache_tier([shared], 1000, 1e12) == (1e12, None)  # taken at its word
    assert cache_tier([], 1000, None) == (0.0, None)
    assert cache_tier([tier], 0, None) == (0.0, None)


@pytest.fixture
def storage(db):
    layout, scenario = small_scenario()
    made = Storage(layout=layout, name="Cache", purpose="cache", n_units=2)
    made.product = product("storage", "flash-enclosure-24")
    return part_save(part=made), scenario


def test_empty_storage_racks_draw_what_the_storage_draws(storage):
    made, scenario = storage
    before = layout_inputs(snapshot(made.layout, scenario))
    [row] = storage_rows(before)
    assert (row.unplaced_w, row.bytes_per_accelerator) == (2 * 1100, 2 * 700e12 / 144)
    details = RunDetails(storage=(row,))
    assert run_details(as_json(details)).storage == details.storage
    [finding] = [f for f in run_findings(details) if f.object_kind == "storage"]
    assert (finding.object_name, finding.value) == ("Cache", 2200)
    part_save(part=new_rack(made.layout, name="S-0", row="S", x_m=8, role="storage", product=None, cdu=None))
    for inputs in (layout_inputs(snapshot(made.layout, scenario)), description(made.layout)):
        drawn = dict(zip(inputs.racks.name, inputs.racks.other_power_w, strict=True))
        assert (drawn["S-0"], drawn["A-00"]) == (2200, 0)
    assert storage_rows(inputs)[0].unplaced_w == 0


def test_a_snapshot_without_storage_keeps_its_hash(db):
    layout, scenario = small_scenario()
    assert "storages" not in snapshot(layout, scenario)


def test_described_storage_takes_the_place_of_a_share_and_a_cache_tier_stands_beside_it(storage, catalogue):
    made, scenario = storage
    inputs = layout_inputs(snapshot(made.layout, scenario))
    [item] = [item for item in capital.capital_items(inputs) if item.group == capital.STORAGE]
    assert (item.product, item.quantity, item.usd) == (made.product.name, 2, 530_000)
    [bought] = [item for item in bill_of_materials(made.layout).items if item.product == made.product]
    assert (bought.quantity, bought.total_usd, bought.used_for) == (2, 530_000, "Cache")
    prices, _ = economics.prices_of(inputs)
    used = economics.Quantities(
        output_tokens=1e12,
        input_tokens=1e12,
        good_tokens=1e12,
        prompt_frac=0.5,
        it_capital_usd=100e6,
        plant_usd=0.0,
        nameplate_power_w=1e6,
        energy_j=1e13,
        peak_power_w=1e6,
        water_m3=0.0,
        carbon_kg=0.0,
        liquid_frac=1.0,
        n_accelerators=1000.0,
        rent_usd_per_h=2000.0,
    )
    assert economics.storage_usd(used, prices) == pytest.approx(100e6 * prices.storage_frac)
    tiered = replace(used, cache_capital_usd=2e6)
    assert economics.storage_usd(tiered, prices) == pytest.approx(100e6 * prices.storage_frac + 2e6)
    described = replace(tiered, storage_capital_usd=1e6)
    assert economics.storage_usd(described, prices) == pytest.approx(3e6)
    # Who rents has the same storage beside the accelerators.
    lines = {item.item: item.usd_per_year for item in economics.rented_costs(described, prices)}
    before = {item.item: item.usd_per_year for item in economics.rented_costs(used, prices)}
    assert lines["Storage"] == pytest.approx(before["Storage"] * 3e6 / (100e6 * prices.storage_frac))


@pytest.mark.slow
def test_agents_keep_contexts_in_the_tier_at_its_pace(sample_inputs):
    def pool(**changes):
        stored = sample_inputs("sterling/gb200-nvl72", "agents")
        if changes:
            sheet = {"kind": "storage", "slug": "s", "name": "S", "vendor": "", "source": "", "confidence": "estimated"}
            sheet |= {"facts": FLASH | changes, "field_confidence": {}, "rating_w": None}
            stored["products"]["by_id"]["999999"] = sheet
            stored["storages"] = [{"id": 1, "name": "Cache", "purpose": "cache", "product_id": 999999, "n_units": 10}]
        return described(layout_inputs(stored)).pools[0]

    bare, fast, slow = pool(), pool(read_bytes_per_s=100e12), pool(read_bytes_per_s=1e9)
    assert fast.capacity_per_s > bare.capacity_per_s
    assert slow.capacity_per_s <= fast.capacity_per_s


def test_storage_is_cloned_and_moves_in_the_site_file(storage):
    made, _ = storage
    copy = layout_clone(layout=made.layout, name="Copy")
    assert copy.storages.get().product == made.product
    site = made.layout.site
    content = site_export(site=site)
    assert "storages:" in content
    site.delete()
    again = site_import(content=content)
    assert again.layouts.get(slug="first").storages.get().n_units == 2
    assert site_export(site=again) == content
