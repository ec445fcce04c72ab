"""CPU time of tool calls: cores, servers, watts by the load, dollars, findings and the site file."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from facility.bill_of_materials import bill_of_materials
from facility.catalogue import entries
from facility.models import CpuServer
from facility.services import layout_clone, part_save
from tests.small_run import small_scenario
from tests.small_site import new_rack, product
from twin.core.inputs.admission import RULES
from twin.core.inputs.cpu_servers import CpuServerRow, sized_cpu_servers
from twin.core.inputs.cpu_time import (
    ASSUMED_MOST_CPU_FRAC,
    ASSUMED_REQUEST_CORE_S,
    CpuTime,
    let_through_per_s,
    request_core_s,
    wait_s,
)
from twin.core.inputs.layout import layout_inputs
from twin.core.inputs.tool_calls import busy_cores, servers_needed
from twin.core.results import capital, economics
from twin.core.results.details import CpuServersResult, RunDetails, run_details
from twin.core.results.figures import cpu_details, figures_of_merit, money, served_in
from twin.core.results.findings import run_findings
from twin.core.solve.estimate import estimated_year
from twin.core.solve.simulate import described
from twin.core.text.json_rows import as_json
from twin.interchange.site_file import site_export, site_import
from twin.models import ScenarioWorkload
from twin.runs.snapshot import description, snapshot

EPYC = entries("cpu_servers")["epyc-9965-2s"]
AGENTS = "sterling/gb200-nvl72", "agents"

pytestmark = pytest.mark.django_db


def test_a_request_takes_its_part_of_the_turns_tool_calls(sample_inputs):
    [share] = layout_inputs(sample_inputs(*AGENTS)).scenario.workloads
    # 10.8 calls of 5 core s in a turn of 8.8 requests
    assert request_core_s(share) == pytest.approx(10.8 / 8.8 * 5.0 + ASSUMED_REQUEST_CORE_S)
    assert request_core_s(replace(share, tool_core_s=1.0)) == pytest.approx(10.8 / 8.8 + ASSUMED_REQUEST_CORE_S)
    assert request_core_s(replace(share, tool_core_s=0.0)) == ASSUMED_REQUEST_CORE_S


def test_servers_add_up_and_keep_a_reserve():
    sized = sized_cpu_servers(CpuServerRow(1, "Tools", 1, 4), EPYC)
    assert (sized.cores, sized.max_power_w, sized.idle_power_w) == (1536, 5400, 1080)
    assert sized.price_usd == 220_000
    assert servers_needed(1536 * 0.7, [sized]) == 4
    assert servers_needed(1536 * 0.7 + 1, [sized]) == 5
    assert servers_needed(100.0, []) is None


def erlang_wait(cores: int, busy_frac: float) -> float:
    """Return the mean wait over the mean visit of M/M/c, by Erlang's recursion."""
    offered, blocked = cores * busy_frac, 1.0
    for k in range(1, cores + 1):
        blocked = offered * blocked / (k + offered * blocked)
    return blocked / (1 - busy_frac * (1 - blocked)) / (cores * (1 - busy_frac))


@pytest.mark.parametrize("cores", [1, 2, 8, 64, 768])
@pytest.mark.parametrize("busy_frac", [0.5, 0.8, 0.9, 0.94])
def test_visits_wait_for_cores_as_erlang_says(cores, busy_frac):
    cpus = [CpuTime(core_s=2.0, visits=1.0, cores=float(cores))]
    waited = wait_s(cpus, np.array([[cores * busy_frac / 2.0]]))[0, 0] / 2.0
    exact = erlang_wait(cores, busy_frac)
    assert abs(waited - exact) <= max(0.1 * exact, 0.02)  # of a visit: the approximation's own error


def test_nobody_waits_for_servers_that_are_not_described():
    assert wait_s([CpuTime(2.0, 3.0, np.inf)], np.array([[5.0]])) == 0
    assert let_through_per_s([CpuTime(2.0, 3.0, np.inf)], np.array([[5.0]])) == np.inf


def test_cores_go_to_use_cases_by_the_cpu_time_that_they_want():
    cpus = [CpuTime(core_s=3.0, visits=2.0, cores=100.0), CpuTime(core_s=1.0, visits=1.0, cores=100.0)]
    wanted = np.array([[40.0, 80.0], [10.0, 20.0], [0.0, 0.0]])
    through = let_through_per_s(cpus, wanted)
    assert through[0] @ [3.0, 1.0] == pytest.approx(100 * ASSUMED_MOST_CPU_FRAC)
    assert through[0] == pytest.approx(wanted[0] * 95 / 200)
    assert np.all(through[1:] > wanted[1:])


def with_servers(stored, n_units):
    """Return a sample whose first support rack holds CPU servers."""
    sheet = {"kind": "cpu_servers", "slug": "s", "name": "S", "vendor": "", "source": "", "confidence": "estimated"}
    stored["products"]["by_id"]["999999"] = sheet | {"facts": EPYC, "field_confidence": {}, "rating_w": None}
    stored["cpu_servers"] = [{"id": 1, "name": "Tools", "product_id": 999999, "n_units": n_units}]
    stored["scenario"]["workloads"][0]["tool_core_s"] = 1.0
    racks = stored["racks"]
    [first, *_] = [i for i, accelerator in enumerate(racks["role"]) if accelerator != "compute"]
    racks["role"][first], racks["product_id"][first], racks["other_power_w"][first] = "support", None, 0.0
    return layout_inputs(stored)


@pytest.fixture(scope="module")
def years(sample_inputs):
    """Return agents on a sample with an empty rack, and with 60 and with a few CPU servers in it."""
    empty = with_servers(sample_inputs(*AGENTS), 1)
    empty = replace(empty, cpu_servers=(), cpu_racks=(), racks=_emptied(empty))
    inputs = {
        "none": empty,
        "many": with_servers(sample_inputs(*AGENTS), 60),
        "few": with_servers(sample_inputs(*AGENTS), 2),
    }
    return {name: estimated_year(described(each))[0] for name, each in inputs.items()}


def _emptied(inputs):
    powers = [0.0 if i in inputs.cpu_racks else w for i, w in enumerate(inputs.racks.other_power_w)]
    return replace(inputs.racks, other_power_w=tuple(powers))


@pytest.mark.compiled
@pytest.mark.slow
def test_servers_draw_by_the_demand_and_cost_their_price(years):
    none, many = years["none"], years["many"]
    more_w = many.power.it_power_w - none.power.it_power_w
    details = cpu_details(many, served_in(many))
    assert more_w.mean() == pytest.approx(details["cpu_mean_power_w"], rel=0.01)
    assert 60 * 270 <= more_w.min() < more_w.max() <= 60 * 1350
    busy = busy_cores(many.pools, served_in(many).requests_per_s)
    assert np.corrcoef(more_w, busy)[0, 1] > 0.99
    assert more_w.mean() == pytest.approx(60 * 270 + 60 * 1080 * busy.mean() / (60 * 384), rel=0.01)
    before, prices, _ = money(none, served_in(none))
    used, _, _ = money(many, served_in(many))
    built, built_before = economics.capital_usd(used, prices), economics.capital_usd(before, prices)
    systems = economics.SYSTEMS_AND_NETWORK
    assert built[systems] - built_before[systems] == pytest.approx(60 * 55_000)
    rented = {item.item: item.usd_per_year for item in economics.rented_costs(used, prices)}
    assert rented["CPU servers"] > 0
    [item] = [item for item in capital.capital_items(many.inputs) if item.group == capital.CPU]
    assert (item.quantity, item.usd) == (60, 60 * 55_000)


@pytest.mark.compiled
@pytest.mark.slow
def test_too_few_servers_are_all_busy_and_found(years):
    few = years["few"]
    found = cpu_details(few, served_in(few))
    assert found["cpu_servers_needed"] > 2
    [row] = found["tool_calls"]
    assert row.busiest_cores == pytest.approx(found["cpu_busiest_cores"])
    details = RunDetails(**found)
    assert run_details(as_json(details)).tool_calls == details.tool_calls
    rules = {finding.rule: finding for finding in run_findings(details)}
    assert (rules["run-cpu-short"].value, rules["run-cpu-short"].limit) == (found["cpu_servers_needed"], 2)
    row = CpuServersResult("Tools", 2, 768, 2700, 540, None, 2700.0)
    assert "run-cpu-unplaced" in {finding.rule for finding in run_findings(RunDetails(cpu_servers=(row,)))}
    assert not [f for f in run_findings(RunDetails()) if f.object_kind == "cpu_server"]


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("admission", RULES)
def test_fewer_servers_never_serve_users_better(sample_inputs, admission):
    rows = []
    for n_units in (60, 20, 12, 10, 8, 5, 3, 2):
        stored = sample_inputs(*AGENTS)
        stored["scenario"]["admission"] = admission
        year = estimated_year(described(with_servers(stored, n_units)))[0]
        served = served_in(year)
        rows.append(figures_of_merit(year, served) | cpu_details(year, served))
    fewer, more = (
        ["slo_attainment_frac", "good_tokens_per_s", "output_tokens_per_s", "served_frac"],
        ["cpu_short_hours"],
    )
    if admission == "queue":  # the same requests later: a flatter load draws more, and who waits waits at the door
        more += ["ttft_p95_s", "cpu_longest_wait_s"]
    else:  # who is let in meets idler accelerators
        fewer.append("mean_power_w")
    for before, after in pairwise(rows):
        for name in fewer:
            assert after[name] <= before[name] * (1 + 1e-9), name
        for name in more:
            assert after[name] >= before[name] * (1 - 1e-9), name
    assert rows[0]["cpu_short_hours"] == 0 < rows[-1]["cpu_short_hours"]
    assert rows[-1]["good_tokens_per_s"] < 0.5 * rows[0]["good_tokens_per_s"]
    assert rows[-1]["cpu_servers_needed"] == rows[0]["cpu_servers_needed"]  # a shortage does not hide how many would do


@pytest.mark.compiled
@pytest.mark.slow
def test_enough_servers_change_no_latency(years):
    none, many = (served_in(years[name]) for name in ("none", "many"))
    assert many.quantile("ttft", 0.95, slice(None)) == pytest.approx(none.quantile("ttft", 0.95, slice(None)), rel=1e-3)
    assert many.attainment(slice(None)) == pytest.approx(none.attainment(slice(None)), rel=1e-3)


@pytest.fixture
def servers(db):
    layout, scenario = small_scenario()
    made = CpuServer(layout=layout, name="Tools", n_units=2, product=product("cpu_servers", "epyc-9965-2s"))
    return part_save(part=made), scenario


def test_empty_support_racks_hold_the_servers_and_those_of_their_own_power_do_not(servers):
    made, scenario = servers
    assert layout_inputs(snapshot(made.layout, scenario)).cpu_racks == ()
    own = new_rack(made.layout, name="S-0", row="S", x_m=8, role="support", product=None, cdu=None)
    own.other_power_w = 500
    part_save(part=own)
    part_save(part=new_rack(made.layout, name="S-1", row="S", x_m=9, role="support", product=None, cdu=None))
    for inputs in (layout_inputs(snapshot(made.layout, scenario)), description(made.layout)):
        drawn = dict(zip(inputs.racks.name, inputs.racks.other_power_w, strict=True))
        assert (drawn["S-0"], drawn["S-1"], drawn["A-00"]) == (500, 2700, 0)
        assert [inputs.racks.name[i] for i in inputs.cpu_racks] == ["S-1"]


def test_servers_are_bought_cloned_and_moved_in_the_site_file(servers):
    made, scenario = servers
    [bought] = [item for item in bill_of_materials(made.layout).items if item.product == made.product]
    assert (bought.quantity, bought.total_usd, bought.used_for) == (2, 110_000, "Tools")
    assert layout_clone(layout=made.layout, name="Copy").cpu_servers.get().product == made.product
    ScenarioWorkload.objects.filter(scenario=scenario).update(tool_core_s=2.5)
    site = made.layout.site
    content = site_export(site=site)
    site.delete()
    again = site_import(content=content)
    assert again.layouts.get(slug="first").cpu_servers.get().n_units == 2
    assert again.scenarios.get().workloads.get().tool_core_s == 2.5
    assert site_export(site=again) == content


def test_a_layout_without_servers_keeps_its_tables(db):
    layout, scenario = small_scenario()
    assert "cpu_servers" not in snapshot(layout, scenario)
