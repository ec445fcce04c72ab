"""What faults of the compute side cost: whole serving units on what is left, spares, re-formation, published spread."""

from dataclasses import replace

import pytest
from scipy.stats import binom

from twin.core.failures.serving_losses import (
    Cause,
    Fleet,
    domains_whole,
    fleets_of,
    losses_of,
    serving_losses,
    tray_unavailability_frac,
)
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described

pytestmark = pytest.mark.django_db

NVL72 = Fleet("gb300", n_domains=10, domain=72, tray=4, sizes=(64,), ratio=(1,), switch_trays=9, share=1.0)
HGX = Fleet("h200", n_domains=90, domain=8, tray=8, sizes=(8,), ratio=(1,), switch_trays=0, share=1.0)
SWAP = Cause("swap", "Swap", "accelerator", "tray", False, 0.08, 72.0, (0.02, 0.14), (24.0, 120.0))
RESTART_H = 0.1


def test_a_domain_holds_whole_instances_of_what_is_left():
    # 64 of 72 are used, so that two trays of four are to spare; with the third, 60 are left: half the instance, 32.
    assert [NVL72.capacity_frac(k) for k in range(4)] == [1, 1, 1, 0.5]
    # 72, 68, 64, 60 accelerators hold 9, 8, 8, 7 instances of eight, and one of four.
    eights = replace(NVL72, sizes=(8,))
    assert [eights.capacity_frac(k) * 9 for k in range(4)] == pytest.approx([9, 8.5, 8, 7.5])
    assert [HGX.capacity_frac(k) for k in range(2)] == [1, 0]
    # One of 72 forms anew on 64.
    assert replace(NVL72, sizes=(72,)).capacity_frac(1) == pytest.approx(64 / 72)


def test_prefill_and_decode_form_anew_in_the_proportion_that_serves_most():
    # Four prefill instances of eight serve one decode of 40; 68 accelerators hold the decode and three of them.
    apart = replace(NVL72, sizes=(40, 8), ratio=(1, 4))
    assert [apart.capacity_frac(k) for k in range(4)] == [1, 0.75, 0.75, 0.5]
    # 2 x (16 + 5 x 4) = 72: without a tray one prefill instance of ten is missing.
    small = replace(NVL72, sizes=(16, 4), ratio=(1, 5))
    assert small.capacity_frac(1) == pytest.approx(9 / 10)


def test_spare_trays_absorb_what_a_host_of_eight_loses_whole():
    hours = 0.08 * 4 * 72
    out = hours / (8760 + hours)
    lost = losses_of([SWAP], [NVL72], restart_h=0.0)[0]
    third = float(binom.sf(2, 18, out))  # half an instance is left, or less
    assert third / 2 * (1 - 1e-9) <= lost <= third < 2e-5
    whole = 0.08 * 8 * 72
    assert losses_of([SWAP], [HGX], restart_h=0.0)[0] == pytest.approx(whole / (8760 + whole), rel=1e-12)


def test_a_lost_tray_costs_its_instance_the_time_to_form_anew():
    quick = replace(SWAP, outage_h=0.0)
    faults = 0.08 * 72  # of one rack, of which 64 of 72 hit the instance
    assert losses_of([quick], [NVL72], RESTART_H)[0] == pytest.approx(faults * 64 / 72 * RESTART_H / 8760)
    eights = replace(NVL72, sizes=(8,))  # one instance of nine
    assert losses_of([quick], [eights], RESTART_H)[0] == pytest.approx(faults * RESTART_H / 9 / 8760)


def test_what_takes_a_domain_a_unit_or_the_site_costs_that():
    switch = replace(SWAP, counted_per="switch tray", takes="domain", failures_per_year=0.05, outage_h=8.0)
    crash = replace(SWAP, takes="serving unit", failures_per_year=0.026, outage_h=0.0)
    people = replace(SWAP, counted_per="site", takes="site", failures_per_year=0.165, outage_h=4.0)
    found = losses_of([switch, crash, people], [NVL72], RESTART_H)
    assert found[0] == pytest.approx(9 * 0.05 * 8.1 / 8760)
    assert found[1] == pytest.approx(64 * 0.026 * RESTART_H / 8760)  # of the 64 that serve
    assert found[2] == pytest.approx(0.165 * 4.1 / 8760)
    halves = [replace(NVL72, share=0.5), replace(HGX, share=0.5)]
    assert losses_of([people], halves, RESTART_H)[0] == pytest.approx(0.165 * 4.1 / 8760)


def test_a_planned_roll_out_costs_nothing_where_trays_are_spare():
    roll_out = replace(SWAP, counted_per="tray", is_planned=True, failures_per_year=4.0, outage_h=1.0)
    assert losses_of([roll_out], [NVL72], 0.0)[0] == 0.0
    assert losses_of([roll_out], [HGX], 0.0)[0] == pytest.approx(4 / 8760)
    eights = replace(NVL72, sizes=(8,))
    assert losses_of([roll_out], [eights], 0.0)[0] == pytest.approx(18 * 4 / 8760 / 18)  # half an instance of nine


def test_an_instance_over_two_hosts_needs_both():
    class Wide:
        accelerator, n_accelerators = "h200", 64.0
        domain_accelerators, tray_accelerators, switch_trays = 8, 8, 0.0
        instance_sizes, instance_ratio = (16,), (1,)

    fleet = fleets_of([Wide()])[0]
    assert (fleet.n_domains, fleet.trays, fleet.capacity_frac(0), fleet.capacity_frac(2)) == (4.0, 2, 1, 0)
    assert fleet.capacity_frac(1) == 0.5  # the copy forms anew on the host that is left


def test_a_layout_names_each_cause_with_its_published_spread(sample_inputs):
    year = described(layout_inputs(sample_inputs("sterling/gb200-nvl72")))
    losses = serving_losses(year.inputs, year.pools)
    assert [loss.slug for loss in losses] == sorted(year.inputs.products.compute_failures)
    assert all(0 <= loss.low_frac <= loss.lost_frac <= loss.high_frac < 0.2 for loss in losses)
    swaps = next(loss for loss in losses if loss.slug == "accelerator-replacement")
    n = sum(pool.n_accelerators for pool in year.pools)
    assert swaps.faults_per_year == pytest.approx(0.081 * n)
    assert swaps.lost_h_per_fault * swaps.faults_per_year / 8760 == pytest.approx(swaps.lost_frac)


def test_a_run_from_before_these_faults_were_described_is_told_to_run_again(sample_inputs):
    stored = sample_inputs("sterling/gb200-nvl72")
    del stored["products"]["compute_failures"]
    year = described(layout_inputs(stored))
    with pytest.raises(ValueError, match="run its layout again"):
        serving_losses(year.inputs, year.pools)


def test_whole_domains_of_a_fleet_are_counted_with_a_confidence():
    # 16 trays at 1 % out: 85.1 % whole; the 5 % quantile of 144 such is 115 (normal: 122.6 - 1.645 * 4.27 = 115.6)
    assert domains_whole(0.01, 16, 144, 0.95) == 115
    assert tray_unavailability_frac([SWAP], 4) == pytest.approx(0.08 * 4 * 72 / (8760 + 0.08 * 4 * 72))
