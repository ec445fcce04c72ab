"""Networks sized from the racks: ports, switches, cables, optics, watts and dollars, and what they do to a run."""

from dataclasses import replace

import numpy as np
import pytest
from django.core.exceptions import ValidationError

from facility.bill_of_materials import bill_of_materials
from facility.catalogue import entries
from facility.models import Fabric, Rack
from facility.services import layout_clone, part_save
from power_cooling.site_facts.networks import size_fabric
from tests.small_run import small_scenario
from tests.small_site import new_rack, product
from twin.core.inputs.equipment import rack_table
from twin.core.inputs.layout import layout_inputs
from twin.core.inputs.network import FabricRow
from twin.core.results import capital, economics
from twin.core.results.details import RunDetails, run_details
from twin.core.results.figures import network_rows
from twin.core.results.findings import run_findings
from twin.core.text.json_rows import as_json
from twin.interchange.site_file import site_export, site_import
from twin.runs.snapshot import description, snapshot

SWITCHES = entries("network_switches")
QM9700, Q3400, DR4 = SWITCHES["nvidia-qm9700"], SWITCHES["nvidia-q3400-ra"], SWITCHES["optics-800g-dr4"]


def row(**changes) -> FabricRow:
    fields = {
        "id": 1,
        "name": "Scale-out",
        "purpose": "scale_out",
        "leaf_id": 1,
        "spine_id": 1,
        "optics_id": 1,
        "ports_per_accelerator": 1.0,
        "port_bits_per_s": 4e11,
        "rails": 8,
        "oversubscription": 1.0,
    }
    return FabricRow(**fields | changes)


def test_a_superpod_of_1016_accelerators_has_the_published_switches():
    # NVIDIA DGX SuperPOD H100 reference architecture, 4 scalable units, 127 nodes: 32 leaves, 16 spines of QM9700.
    sized = size_fabric(row(), 127 * 8, QM9700, QM9700, {}, {})
    assert (sized.n_host_ports, sized.n_leaves, sized.n_spines, sized.n_tiers) == (1016, 32, 16, 2)
    assert sized.n_cables == 1016 + 1016
    assert sized.max_power_w == 48 * 1720
    assert sized.price_usd == 48 * 35_000
    assert sized.bytes_per_s_per_accelerator == 5e10


def test_fast_ports_are_split_and_both_ends_of_a_cable_have_optics():
    sized = size_fabric(row(rails=4), 1152, Q3400, Q3400, DR4, {})
    # 72 of 144 ports down, two hosts on each: 144 on a leaf; 288 a rail are two leaves.
    assert (sized.n_leaves, sized.n_spines) == (8, 4)
    assert sized.n_optics == 2 * (1152 + 576)


def test_transceivers_in_a_switch_are_in_its_highest_watts_once():
    # 747 W with passive cables and 64 transceivers of 15 W are nearly its stated 1,720 W with active ones.
    bare, full = (size_fabric(row(), 127 * 8, QM9700, QM9700, optics, {}) for optics in ({}, DR4))
    assert full.max_power_w == 48 * 1720 + 1016 * 17  # beside those at the hosts' ends
    assert bare.typical_power_w == 48 * 747
    assert full.typical_power_w == 48 * 747 + full.n_optics * 15
    assert full.typical_power_w < full.max_power_w
    # A sheet whose typical watts with transceivers are above its highest ones: no network draws more than it is rated.
    crowded = size_fabric(row(rails=4), 1152, Q3400, Q3400, DR4, {})
    assert crowded.typical_power_w == crowded.max_power_w == 12 * 4500 + 1152 * 17


def test_oversubscription_saves_spines_and_bandwidth():
    lean = size_fabric(row(rails=1, oversubscription=3.0), 1024, QM9700, QM9700, {}, {})
    full = size_fabric(row(rails=1), 1024, QM9700, QM9700, {}, {})
    assert (full.n_leaves, full.n_spines) == (32, 16)
    assert (lean.n_leaves, lean.n_spines) == (22, 6)
    assert lean.bytes_per_s_per_accelerator == pytest.approx(full.bytes_per_s_per_accelerator / 3)


def test_more_leaves_than_a_spine_has_ports_take_a_third_tier():
    # 4,096 ports: 128 leaves of 32 down; a folded Clos of 64 ports has as many spines and half as many cores.
    sized = size_fabric(row(), 4096, QM9700, QM9700, {}, {})
    assert (sized.n_leaves, sized.n_tiers, sized.n_spines) == (128, 3, 128 + 64)
    assert sized.n_cables == 3 * 4096


def test_one_leaf_needs_no_spine_and_no_accelerator_no_leaf():
    assert size_fabric(row(rails=1), 16, QM9700, QM9700, {}, {}).n_spines == 0
    assert size_fabric(row(), 0, QM9700, QM9700, {}, {}).n_leaves == 0


@pytest.fixture
def fabric(db):
    layout, scenario = small_scenario()
    made = Fabric(
        layout=layout,
        name="Scale-out",
        leaf=product("network_switches", "nvidia-qm9700"),
        spine=product("network_switches", "nvidia-qm9700"),
        optics=product("network_switches", "optics-800g-dr4"),
        rails=4,
    )
    return part_save(part=made), scenario


def test_empty_network_racks_draw_what_the_networks_draw(fabric, catalogue):
    made, scenario = fabric
    layout = made.layout
    before = layout_inputs(snapshot(layout, scenario))
    [sized] = before.networks()
    assert sized.n_host_ports == 144  # two racks of 72
    assert [found.unplaced_w for found in network_rows(before)] == [sized.max_power_w]
    details = RunDetails(network=tuple(network_rows(before)))
    assert run_details(as_json(details)).network == details.network
    [finding] = [f for f in run_findings(details) if f.object_kind == "fabric"]
    assert (finding.object_name, finding.value) == ("Scale-out", sized.max_power_w)
    for i in range(2):
        part_save(part=new_rack(layout, name=f"N-{i}", row="N", x_m=8 + i, role="network", product=None, cdu=None))
    for inputs in (layout_inputs(snapshot(layout, scenario)), description(layout)):
        drawn = dict(zip(inputs.racks.name, inputs.racks.other_power_w, strict=True))
        assert drawn["N-0"] == drawn["N-1"] == pytest.approx(sized.max_power_w / 2)
        assert drawn["A-00"] == 0
    assert network_rows(inputs)[0].unplaced_w == 0
    table = rack_table(layout_inputs(snapshot(layout, scenario)))
    in_row = np.array(inputs.racks.row) == "N"
    assert table.nameplate_w[in_row].sum() == pytest.approx(sized.max_power_w)  # rated for that, but typically
    assert table.bank["fixed_w"][in_row].sum() == pytest.approx(sized.typical_power_w)
    assert 0.5 * sized.max_power_w < sized.typical_power_w < 0.8 * sized.max_power_w
    Rack.objects.filter(name="N-0").update(other_power_w=5000.0)  # one that has its own power keeps it
    drawn = description(layout).racks
    assert drawn.other_power_w[drawn.name.index("N-0")] == 5000.0
    assert drawn.other_power_w[drawn.name.index("N-1")] == pytest.approx(sized.max_power_w)


def test_a_described_network_is_bought_piece_by_piece_in_place_of_a_share(fabric, catalogue):
    made, scenario = fabric
    inputs = layout_inputs(snapshot(made.layout, scenario))
    [sized] = inputs.networks()
    items = {item.product: item for item in capital.capital_items(inputs) if item.group == capital.NETWORK}
    assert items[made.leaf.name].quantity == sized.n_leaves + sized.n_spines
    assert items[made.optics.name].quantity == sized.n_optics
    network_usd = sum(item.usd for item in items.values())
    assert network_usd == pytest.approx(sized.price_usd)
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
        rent_usd_per_h=None,
    )
    built = economics.capital_usd(used, prices)[economics.SYSTEMS_AND_NETWORK]
    described = economics.capital_usd(replace(used, network_capital_usd=network_usd), prices)
    assert built - described[economics.SYSTEMS_AND_NETWORK] == pytest.approx(
        prices.systems_price_frac * (100e6 * prices.network_frac - network_usd)
    )


def test_the_bill_of_the_description_buys_what_a_run_counts(fabric, catalogue):
    made, scenario = fabric
    layout = made.layout
    made.cable = product("network_cables", "fibre-mpo-os2-20m")
    part_save(part=made)
    inputs = layout_inputs(snapshot(layout, scenario))
    [sized] = inputs.networks()
    bought = {item.product.name: item for item in bill_of_materials(layout).items}
    counted = {item.product: item for item in capital.capital_items(inputs)}
    assert bought.keys() == counted.keys()
    for name, item in counted.items():
        assert (bought[name].quantity, bought[name].total_usd) == (item.quantity, item.usd), name
    assert bought[made.cable.name].quantity == sized.n_cables
    assert sized.without_price == ()
    assert sized.price_usd == sum(bought[part.name].total_usd for part in (made.leaf, made.optics, made.cable))


def test_switches_in_racks_are_bought_once_where_networks_count_them(fabric, catalogue):
    made, _ = fabric
    [before] = [item for item in bill_of_materials(made.layout).items if item.product == made.leaf]
    part_save(part=new_rack(made.layout, name="N-0", row="N", x_m=8, role="network", product=made.leaf, cdu=None))
    [after] = [item for item in bill_of_materials(made.layout).items if item.product == made.leaf]
    assert after.quantity == before.quantity
    made.delete()
    [alone] = [item for item in bill_of_materials(made.layout).items if item.product == made.leaf]
    assert alone.quantity == 1


def test_fibre_needs_transceivers_and_copper_none(fabric):
    made, _ = fabric
    made.cable = product("network_cables", "dac-800g-2m")
    with pytest.raises(ValidationError, match="is copper; what joins transceivers is fibre"):
        part_save(part=made)
    made.optics, made.cable = None, product("network_cables", "fibre-mpo-os2-20m")
    with pytest.raises(ValidationError, match="is fibre; what joins ports without optics is copper"):
        part_save(part=made)


def test_a_network_is_cloned_and_moves_in_the_site_file(fabric):
    made, _ = fabric
    copy = layout_clone(layout=made.layout, name="Copy")
    assert copy.fabrics.get().leaf == made.leaf
    site = made.layout.site
    content = site_export(site=site)
    assert "fabrics:" in content
    site.delete()
    again = site_import(content=content)
    assert again.layouts.get(slug="first").fabrics.get().rails == 4
    assert site_export(site=again) == content


def test_a_transceiver_is_no_leaf(fabric):
    made, _ = fabric
    made.leaf = made.optics
    with pytest.raises(Exception, match="leaf is a switch, with several ports"):
        part_save(part=made)
