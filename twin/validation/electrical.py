"""Load flow against pandapower, OpenDSS and a published feeder; the conversion chain of Frontier; failures of feeds."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from power_cooling.electrical.feed_tree import feed_losses, feed_tree, rack_loads
from power_cooling.electrical.load_flow import (
    Branch,
    LoadFlowResult,
    RadialNetwork,
    double_conversion_ups,
    line,
    radial_network,
    solve_load_flow,
    transformer,
)
from power_cooling.electrical.loss_curves import LossCurve, line_curve, transformer_curve
from power_cooling.electrical.power_electronics import ConverterStage, converter_chain
from power_cooling.electrical.redundancy import failure_capacity, failure_states
from twin.validation.check import Check, at_most, of_file, skipped, within
from twin.validation.synthetic_sites import block_site
from twin.validation.unbalanced_load_flow import four_wire_network, solve_four_wire

GROUP = "electrical"


def checks(data: Path) -> Iterator[Check]:
    """Yield one check per oracle and kind of figure under `data`, and those on figures published as a few numbers."""
    oracles = data / "oracles"
    for name, pattern, run in (
        ("hall load flow vs pandapower", "electrical_hall_pandapower*.json", _hall),
        ("busway vs OpenDSS", "electrical_opendss*.json", _opendss),
        ("Baran & Wu 33-bus feeder", "electrical_case*.json", _feeder),
    ):
        paths = sorted(oracles.glob(pattern))
        for path in paths:
            yield from of_file(name, GROUP, path, lambda path, run=run: run(json.loads(path.read_text())))
        if not paths:
            yield skipped(name, GROUP, [pattern])
    yield from _frontier()
    yield from _failures()


def hall_branches(parameters: dict, side: str, model: str) -> list[Branch]:
    """Return one side of the oracle's hall from its utility to its last rack."""
    given = parameters
    medium_v, low_v, rack_v = (
        1e3 * value for value in (given["utility_kv"], given["mv_lv_trafo"]["lv_kv"], given["pdu_trafo"]["lv_kv"])
    )
    ups = given["ups"]
    return [
        _section(f"{side} mv", "utility", medium_v, given["mv_cable"], given["mv_cable"]["length_km"], given["f_hz"]),
        _winding(f"{side} lv", f"{side} mv", given["mv_lv_trafo"], model),
        _section(
            f"{side} ups in", f"{side} lv", low_v, given["lv_feeder"], given["lv_feeder"]["length_km"], given["f_hz"]
        ),
        double_conversion_ups(
            f"{side} ups out",
            f"{side} ups in",
            1e3 * given["pdu_trafo"]["hv_kv"],
            rating_w=1e3 * ups["rated_kw"],
            loss_frac=(ups["a"], ups["b"], ups["c"]),
            input_power_factor=ups["input_pf"],
            output_pu=ups["output_vm_pu"],
        ),
        *pdu_branches(given, side, f"{side} ups out", model, rack_v),
    ]


def pdu_branches(given: dict, side: str, fed_by: str, model: str, rack_v: float) -> list[Branch]:
    """Return the PDU's transformer and the busway sections to each rack."""
    busway = given["busway"]
    branches = [_winding(f"{side} pdu", fed_by, given["pdu_trafo"], model)]
    for rack in range(busway["n_racks"]):
        length_km = (busway["segment_m"] if rack else busway["first_m"]) / 1e3
        above = f"{side} rack {rack - 1}" if rack else f"{side} pdu"
        branches.append(_section(f"{side} rack {rack}", above, rack_v, busway, length_km, given["f_hz"]))
    return branches


def _section(bus: str, fed_by: str, nominal_v: float, given: dict, length_km: float, frequency_hz: float) -> Branch:
    capacitance = given.get("c_nf_per_km", 0.0) * 1e-9 * length_km
    return line(
        bus,
        fed_by,
        nominal_v,
        given["r_ohm_per_km"] * length_km,
        given["x_ohm_per_km"] * length_km,
        susceptance_s=2 * np.pi * frequency_hz * capacitance,
    )


def _winding(bus: str, fed_by: str, given: dict, model: str) -> Branch:
    return transformer(
        bus,
        fed_by,
        1e3 * given["lv_kv"],
        rating_va=1e6 * given["sn_mva"],
        short_circuit_frac=given["vk_percent"] / 100,
        short_circuit_resistive_frac=given["vkr_percent"] / 100,
        no_load_loss_w=1e3 * given["pfe_kw"],
        no_load_current_frac=given["i0_percent"] / 100,
        model=model,
    )


def _reactive(power: np.ndarray, power_factor: float) -> np.ndarray:
    return power * np.sqrt(1 - power_factor**2) / power_factor


class _Errors:
    """Worst errors of one quantity kind over all cases."""

    def __init__(self) -> None:
        self.worst: dict[str, float] = {}
        self.count: dict[str, int] = {}

    def add(self, kind: str, ours: object, theirs: object, *, relative: bool) -> None:
        ours, theirs = np.atleast_1d(np.asarray(ours, float)), np.atleast_1d(np.asarray(theirs, float))
        error = np.abs(ours - theirs)
        if relative:
            error /= np.maximum(np.abs(theirs), 1e-12)
        # A NaN stays and misses: np.fmax would hide it.
        self.worst[kind] = float(np.maximum(self.worst.get(kind, 0.0), error.max()))
        self.count[kind] = self.count.get(kind, 0) + error.size


def _hall(oracle: dict) -> Iterator[Check]:
    given, tolerance = oracle["parameters"], oracle.get("tolerance", {})
    for model in ("pi", "t"):
        cases = oracle.get(f"cases_{model}", [])
        errors = _Errors()
        for case in cases:
            sides = [side for side in ("A", "B") if side in case["up"]]
            network = radial_network(
                "utility",
                1e3 * given["utility_kv"],
                [branch for side in sides for branch in hall_branches(given, side, model)],
                source_pu=given["utility_vm_pu"],
            )
            p, q = np.zeros((1, len(network.buses))), np.zeros((1, len(network.buses)))
            for side in sides:
                racks = 1e3 * np.array(case[f"rack_kw_{side}"])
                at = [network.index(f"{side} rack {i}") for i in range(racks.size)]
                p[0, at] += racks
                q[0, at] += _reactive(racks, given["rack_pf"])
                mechanical = 1e3 * case["mech_kw_per_side"]
                p[0, network.index(f"{side} lv")] += mechanical
                q[0, network.index(f"{side} lv")] += _reactive(mechanical, given["mech_pf"])
            result = solve_load_flow(network, p, q)
            for side in sides:
                _compare_side(errors, network, result, side, case[f"down_{side}"], case["up"][side])
            source = result.power_in_va[0, 0] / 1e3
            errors.add("power", source.real, case["up"]["utility_p_kw"], relative=True)
            errors.add("power", source.imag, case["up"]["utility_q_kvar"], relative=True)
            errors.add("closure", result.closure_rel[0], 0.0, relative=False)
            errors.add(
                "feed tree", _feed_tree_meter_w(given, case, sides) / 1e3, case["up"]["utility_p_kw"], relative=True
            )
        if not errors.worst:
            continue
        name = f"hall load flow vs pandapower ({model} transformer)"
        for kind, reach, unit in (
            ("voltage", tolerance.get("vm_pu", 1e-8), "pu"),
            ("angle", 1e-6, "degree"),
            ("losses", tolerance.get("loss_rel", 1e-7), "relative"),
            ("currents and loading", 1e-7, "relative"),
            ("power", max(tolerance.get("p_rel", 1e-9), 1e-9), "relative"),
            ("closure", 1e-9, "relative"),
            # The year's model: losses at nominal voltage and the load's power factor. Hold it to a thousandth.
            ("feed tree", 1e-3, "relative to meter power"),
        ):
            if kind in errors.worst:
                yield at_most(f"{name}: {kind}", GROUP, errors.count[kind], errors.worst[kind], reach, unit)


def _feed_tree_meter_w(given: dict, case: dict, sides: list[str]) -> float:
    """Return the hall's meter power by the quadratic losses that a year is solved with."""
    ups, rack_pf, busway = given["ups"], given["rack_pf"], given["busway"]
    medium_v, low_v = 1e3 * given["utility_kv"], 1e3 * given["mv_lv_trafo"]["lv_kv"]
    # Racks alike: the first section carries all, the next one rack less, and so on.
    n = busway["n_racks"]
    section_m = sum((busway["segment_m"] if k else busway["first_m"]) * (1 - k / n) ** 2 for k in range(n))

    def cable(key: str, volts: float, power_factor: float) -> tuple[str, LossCurve, float]:
        ohms = given[key]["r_ohm_per_km"] * given[key]["length_km"]
        return "cable", line_curve(1e6, ohms, volts, power_factor), 1e6

    def winding(key: str) -> tuple[str, LossCurve, float]:
        rated_w = 1e6 * given[key]["sn_mva"] * rack_pf
        load_loss_w = given[key]["vkr_percent"] / 100 * 1e6 * given[key]["sn_mva"]
        return "transformer", transformer_curve(rated_w, 1e3 * given[key]["pfe_kw"], load_loss_w), rated_w

    bars = line_curve(1e6, busway["r_ohm_per_km"] * section_m / 1e3, 1e3 * given["pdu_trafo"]["lv_kv"], rack_pf)
    chain = {
        "mv": cable("mv_cable", medium_v, rack_pf),
        "lv": winding("mv_lv_trafo"),
        "ups in": cable("lv_feeder", low_v, ups["input_pf"]),
        "ups out": ("ups", LossCurve(ups["a"], ups["b"], ups["c"]), 1e3 * ups["rated_kw"]),
        "pdu": winding("pdu_trafo"),
        "racks": ("busway", bars, 1e6),
    }
    names, kinds, parents = ["utility"], ["utility"], [None]
    curves, ratings = [LossCurve(0.0, 0.0, 0.0)], [1e9]
    for side in sides:
        above = "utility"
        for name, (kind, curve, rating) in chain.items():
            names.append(f"{side} {name}")
            kinds.append(kind)
            parents.append(above)
            curves.append(curve)
            ratings.append(rating)
            above = names[-1]
    tree = feed_tree(
        names=names,
        kinds=kinds,
        parents=parents,
        rating_w=ratings,
        no_load_loss_frac=[curve.no_load_frac for curve in curves],
        proportional_loss_frac=[curve.proportional_frac for curve in curves],
        square_loss_frac=[curve.square_frac for curve in curves],
    )
    load = np.zeros((1, tree.n_nodes))
    for side in sides:
        load[0, tree.index(f"{side} racks")] = 1e3 * sum(case[f"rack_kw_{side}"])
        load[0, tree.index(f"{side} lv")] = 1e3 * case["mech_kw_per_side"]
    return float(feed_losses(tree, load).meter_w[0])


def _compare_side(
    errors: _Errors, network: RadialNetwork, result: LoadFlowResult, side: str, down: dict, up: dict
) -> None:
    at = {name: network.index(f"{side} {name}") for name in ("mv", "lv", "ups in", "ups out", "pdu")}
    racks = [network.index(f"{side} rack {i}") for i in range(len(down["rack_vm_pu"]))]
    volts, amps = np.abs(result.voltage_pu[0]), result.current_a[0]
    loss, loading = result.loss_w[0] / 1e3, 100 * result.loading_frac[0]
    ups_out = result.power_out_va[0, at["ups out"]] / 1e3
    for kind, ours, theirs in (
        ("voltage", volts[racks], down["rack_vm_pu"]),
        ("voltage", volts[at["pdu"]], down["pdu_lv_vm_pu"]),
        ("voltage", volts[[at["mv"], at["lv"], at["ups in"]]], [up["mv_vm_pu"], up["lv_vm_pu"], up["ups_in_vm_pu"]]),
        ("losses", loss[at["pdu"]], down["pdu_trafo_loss_kw"]),
        ("losses", loss[racks].sum(), down["busway_loss_kw"]),
        ("losses", loss[at["ups out"]], down["ups_loss_kw"]),
        ("losses", loss[at["mv"]], up["mv_cable_loss_kw"]),
        ("losses", loss[at["lv"]], up["trafo_loss_kw"]),
        ("losses", loss[at["ups in"]], up["lv_feeder_loss_kw"]),
        ("currents and loading", amps[racks], down["busway_current_a"]),
        ("currents and loading", amps[at["ups in"]], up["lv_feeder_current_a"]),
        ("currents and loading", loading[at["pdu"]], down["pdu_trafo_loading_percent"]),
        ("currents and loading", loading[at["lv"]], up["trafo_loading_percent"]),
        ("power", ups_out.real, down["ups_out_p_kw"]),
        ("power", ups_out.imag, down["ups_out_q_kvar"]),
        ("power", result.power_in_va[0, at["ups out"]].real / 1e3, down["ups_in_p_kw"]),
    ):
        errors.add(kind, ours, theirs, relative=kind != "voltage")
    angle = np.degrees(np.angle(result.voltage_pu[0, racks]))
    errors.add("angle", angle, down["rack_va_degree"], relative=False)


def _opendss(oracle: dict) -> Iterator[Check]:
    tolerance = oracle.get("tolerance", {})
    # OpenDSS has the magnetising branch at the last winding.
    yield from _opendss_balanced(
        oracle,
        "balanced_no_shunt",
        "busway vs OpenDSS without magnetising branch",
        shunt=False,
        volt_reach=tolerance.get("balanced_no_shunt_vm_pu", 1e-7),
        loss_reach=tolerance.get("balanced_no_shunt_loss_rel", 1e-6),
    )
    yield from _opendss_balanced(
        oracle,
        "balanced",
        "busway vs OpenDSS with magnetising branch at the secondary",
        shunt=True,
        volt_reach=1e-7,
        loss_reach=1e-6,
    )
    yield from _opendss_unbalanced(oracle, tolerance)


def _opendss_balanced(
    oracle: dict, key: str, name: str, *, shunt: bool, volt_reach: float, loss_reach: float
) -> Iterator[Check]:
    given = oracle["parameters"]
    if not shunt:
        given = given | {"pdu_trafo": given["pdu_trafo"] | {"pfe_kw": 0.0, "i0_percent": 0.0}}
    errors = _Errors()
    for case in oracle.get(key, []):
        rack_v = 1e3 * given["pdu_trafo"]["lv_kv"]
        source_pu = given["ups"]["output_vm_pu"]
        branches = pdu_branches(given, "", "source", "secondary", rack_v)
        network = radial_network("source", 1e3 * given["pdu_trafo"]["hv_kv"], branches, source_pu=source_pu)
        p = np.zeros((1, len(network.buses)))
        power = 1e3 * np.array(case["rack_kw"])
        racks = [network.index(f" rack {i}") for i in range(power.size)]
        p[0, racks] = power
        result = solve_load_flow(network, p, _reactive(p, given["rack_pf"]))
        theirs = case["opendss"]
        errors.add("voltage", np.abs(result.voltage_pu[0, racks]), theirs["rack_vm_pu"], relative=False)
        errors.add("losses", result.loss_w[0, network.index(" pdu")] / 1e3, theirs["pdu_trafo_loss_kw"], relative=True)
        errors.add("losses", result.loss_w[0, racks].sum() / 1e3, theirs["line_loss_kw"], relative=True)
    for kind, reach, unit in (("voltage", volt_reach, "pu"), ("losses", loss_reach, "relative")):
        if kind in errors.worst:
            yield at_most(f"{name}: {kind}", GROUP, errors.count[kind], errors.worst[kind], reach, unit)


def _opendss_unbalanced(oracle: dict, tolerance: dict) -> Iterator[Check]:
    given, errors = oracle["parameters"], _Errors()
    busway = given["busway"]
    per_km = complex(busway["r_ohm_per_km"], busway["x_ohm_per_km"])
    for case in oracle.get("unbalanced", []):
        power = 1e3 * np.array(case["rack_kw_by_phase"])
        sections = [
            (
                f"rack {i}",
                f"rack {i - 1}" if i else "source",
                per_km * (busway["segment_m"] if i else busway["first_m"]) / 1e3,
            )
            for i in range(len(power))
        ]
        network = four_wire_network("source", 1e3 * given["pdu_trafo"]["lv_kv"], sections)
        load = np.zeros((1, len(network.buses), 3), dtype=complex)
        racks = [network.index(f"rack {i}") for i in range(len(power))]
        load[0, racks] = power + 1j * _reactive(power, given["rack_pf"])
        result = solve_four_wire(network, load)
        theirs = np.array([[complex(*node[f"n{k}"]) for k in range(1, 5)] for node in case["nodes"]])
        errors.add("voltage", np.abs(result.voltage_v[0, racks] - theirs), np.zeros(theirs.shape), relative=False)
        amps = np.abs(result.current_a[0, racks[0]])
        expected = np.array(case["first_segment_current_abs_a"])
        largest = expected.max()  # a neutral without current has no relative error
        errors.add("current", amps / largest, expected / largest, relative=False)
        errors.add("losses", result.loss_w[0].sum() / 1e3, case["line_loss_kw"], relative=True)
    name = "unbalanced four-wire busway vs OpenDSS"
    for kind, reach, unit in (
        ("voltage", tolerance.get("unbalanced_volt", 1e-4), "V"),
        ("current", tolerance.get("unbalanced_current_rel", 1e-6), "relative"),
        ("losses", 1e-6, "relative"),
    ):
        if kind in errors.worst:
            yield at_most(f"{name}: {kind}", GROUP, errors.count[kind], errors.worst[kind], reach, unit)


def _feeder(oracle: dict) -> Iterator[Check]:
    nominal_v = 1e3 * oracle["base_kv"]
    branches = [line(str(b["t"]), str(b["f"]), nominal_v, b["r_ohm"], b["x_ohm"]) for b in oracle["branches"]]
    fed = {branch.bus for branch in branches}
    source = next((branch.fed_by for branch in branches if branch.fed_by not in fed), "")
    if not source:
        raise ValueError("branches form a loop or are missing: no bus feeds the others")
    numbers = sorted({end for b in oracle["branches"] for end in (b["f"], b["t"])})
    network = radial_network(source, nominal_v, branches, source_pu=oracle["vm_pu"][numbers.index(int(source))])
    p, q = np.zeros((1, len(network.buses))), np.zeros((1, len(network.buses)))
    for load in oracle["loads"]:
        p[0, network.index(str(load["bus"]))] += 1e3 * load["p_kw"]
        q[0, network.index(str(load["bus"]))] += 1e3 * load["q_kvar"]
    result = solve_load_flow(network, p, q)
    order = [network.index(str(number)) for number in numbers]
    volts, tolerance = np.abs(result.voltage_pu[0, order]), oracle.get("tolerance", {})
    is_published = volts.size == 33 and abs(oracle["loss_kw"] - 202.68) < 0.01
    name = "Baran & Wu 33-bus feeder" if is_published else f"{volts.size}-bus feeder"
    loss_kw = result.loss_w.sum() / 1e3
    worst = np.abs(volts - oracle["vm_pu"]).max()
    yield at_most(f"{name}: voltage", GROUP, volts.size, worst, tolerance.get("vm_pu", 1e-8), "pu")
    error = abs(loss_kw - oracle["loss_kw"])
    note = f"loss {loss_kw:.4f} kW, least voltage {volts.min():.4f} pu"
    note += "; published 202.68 kW and 0.9131 pu" if is_published else ""
    yield at_most(f"{name}: loss", GROUP, 1, error, tolerance.get("loss_kw", 1e-4), "kW", note)


def frontier_power_w(cpu_w: float, gpu_w: float) -> tuple[float, float]:
    """Return meter power and conversion loss of Frontier with every node alike [W].

    9,472 nodes of one CPU and four GPUs, 74.26 W memory, 80 W network and 30 W storage each; a bus converter per
    node, (P + 13)/0.98; 16 nodes and four 250 W switches on four rectifiers, (P + 17)/0.96 each; 25 CDUs of 8.473 kW.
    Source: W. Brewer et al., A digital twin framework for liquid-cooled supercomputers as demonstrated at exascale,
    SC24, and the configuration of its program; the mean of 16.9 MW is recalled from that paper, not read again.
    """
    node_w = cpu_w + 4 * gpu_w + 74.26 + 80.0 + 30.0
    stages = (ConverterStage(13.0, 0.98), ConverterStage(17.0, 0.96, units=4, children=16, beside_w=4 * 250.0))
    chassis = converter_chain(node_w, stages)
    n_chassis = 9472 / 16
    meter = n_chassis * float(chassis.input_w) + 25 * 8473.0
    return meter, n_chassis * float(chassis.input_w - chassis.load_w)


def _frontier() -> Iterator[Check]:
    idle_w, idle_loss_w = frontier_power_w(90.0, 88.0)
    peak_w, peak_loss_w = frontier_power_w(280.0, 560.0)
    for name, power, published in (("idle", idle_w, 7.307e6), ("peak", peak_w, 28.228e6)):
        note = f"{power / 1e6:.4f} MW (published {published / 1e6:g})"
        yield at_most(f"Frontier chain: {name}", GROUP, 1, abs(power / published - 1), 1e-3, "relative", note)
    # The published loss is the mean of 183 days at a mean of 16.9 MW; the chain is affine in the load.
    mean_loss_w = idle_loss_w + (16.9e6 - idle_w) / (peak_w - idle_w) * (peak_loss_w - idle_loss_w)
    note = f"at 16.9 MW, the published mean; {idle_loss_w / idle_w:.2%} idle, {peak_loss_w / peak_w:.2%} peak"
    yield within("Frontier chain: loss", GROUP, 1, 100 * mean_loss_w / 16.9e6, (6.65, 6.75), "%", note)


def _failures() -> Iterator[Check]:
    tree, links, power_w = block_site(240)
    states = failure_states(tree)
    answer = failure_capacity(tree, links, power_w, states)
    single = np.zeros(tree.n_nodes, dtype=np.int64)
    alone = np.flatnonzero((states.first >= 0) & (states.second < 0))
    single[states.first[alone]] = alone
    double = np.flatnonzero(states.second >= 0)
    rises = [
        answer.capacity_frac[alone] - answer.capacity_frac[0],
        answer.capacity_frac[double] - answer.capacity_frac[single[states.first[double]]],
        answer.capacity_frac[double] - answer.capacity_frac[single[states.second[double]]],
    ]
    size = f"240 racks on 4N3 blocks, {tree.n_nodes} feeds"
    name = "one more failure never raises capacity"
    # Served shares are stored in single precision.
    yield at_most(name, GROUP, states.first.size, max(rise.max() for rise in rises), 1e-6, "of capacity", size)
    failed = states.units_failed(tree)
    served = answer.class_served_frac[:, answer.rack_class].astype(np.float64)
    result = feed_losses(tree, rack_loads(tree, links, served * power_w, failed).load_w, failed)
    name = "power balance after every single and double failure"
    yield at_most(name, GROUP, states.first.size, result.closure_rel.max(), 1e-9, "relative", size)
    name = "no feed over its rating once racks are capped"
    yield at_most(name, GROUP, states.first.size, result.load_frac.max(), 1 + 1e-5, "of rating", size)
