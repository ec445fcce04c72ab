"""Radial AC load flow by backward and forward sweeps, over any number of scenarios and hours at once (balanced).

Describe the network by `line`, `transformer` and `double_conversion_ups` branches, each named by the bus it feeds, and
join them with `radial_network`; a bus fed twice, a loop or a bus without supply is refused by name. Then
`solve_load_flow(network, p_w, q_var)` returns voltages, currents and losses. Quantities inside are in per unit of
each bus's nominal voltage and one MVA; a transformer is at its nominal ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_BASE_VA = 1e6
_COLLAPSED_PU = 0.1  # below this voltage no constant-power load has an operable solution on a real feeder


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch, by the bus it feeds. Impedances in per unit of 1 MVA and the nominal voltages of its ends."""

    bus: str
    fed_by: str
    nominal_v: float  # of `bus`, between phases
    series_pu: complex = 0j
    shunt_from_pu: complex = 0j  # admittance at the feeding end
    shunt_to_pu: complex = 0j
    rating_va: float = np.inf
    ups_loss_frac: tuple[float, float, float] | None = None  # a, b, c of the rating: the branch is a UPS
    ups_input_power_factor: float = 1.0
    ups_output_pu: float = 1.0
    keeps_voltage: bool = False  # a line: both ends have the same nominal voltage


def line(
    bus: str,
    fed_by: str,
    nominal_v: float,
    resistance_ohm: float,
    reactance_ohm: float,
    *,
    susceptance_s: float = 0.0,
    rated_a: float = np.inf,
) -> Branch:
    """Return a cable or busway section.

    Parameters
    ----------
    bus, fed_by : str
        The bus that it feeds, and the one that it starts from.
    nominal_v : float
        Between phases [V].
    resistance_ohm, reactance_ohm : float
        Of one phase over the whole length [ohm].
    susceptance_s : float
        Capacitive, of one phase over the whole length [S].
    rated_a : float
        Rated current [A].
    """
    if nominal_v <= 0 or resistance_ohm < 0 or susceptance_s < 0 or rated_a <= 0:
        raise ValueError(
            f"line to {bus!r}: nominal_v {nominal_v:g}, resistance_ohm {resistance_ohm:g}, rated_a {rated_a:g}"
        )
    base_ohm = nominal_v**2 / _BASE_VA
    half = 0.5j * susceptance_s * base_ohm
    return Branch(
        bus,
        fed_by,
        nominal_v,
        complex(resistance_ohm, reactance_ohm) / base_ohm,
        shunt_from_pu=half,
        shunt_to_pu=half,
        rating_va=np.sqrt(3) * nominal_v * rated_a,
        keeps_voltage=True,
    )


def transformer(
    bus: str,
    fed_by: str,
    nominal_v: float,
    *,
    rating_va: float,
    short_circuit_frac: float,
    short_circuit_resistive_frac: float,
    no_load_loss_w: float = 0.0,
    no_load_current_frac: float = 0.0,
    model: Literal["t", "pi", "secondary"] = "t",
) -> Branch:
    """Return a two-winding transformer at nominal ratio.

    Parameters
    ----------
    short_circuit_frac, short_circuit_resistive_frac : float
        Impedance voltage and its resistive part (load loss at rating over rating) [-].
    no_load_loss_w, no_load_current_frac : float
        Iron loss [W] and no-load current over rated current [-].
    model : {"t", "pi", "secondary"}
        Where the magnetising branch sits: in the middle, half at each end, or at the secondary. The first two are
        pandapower's [1]_, the last OpenDSS's. They differ by about 1e-4 pu.

    References
    ----------
    .. [1] L. Thurner et al., pandapower, IEEE Trans. Power Systems 33(6), 2018, and its documentation, "Transformer".
    """
    if rating_va <= 0 or nominal_v <= 0:
        raise ValueError(
            f"transformer to {bus!r}: rating_va {rating_va:g} and nominal_v {nominal_v:g} must be positive"
        )
    if not 0 <= short_circuit_resistive_frac <= short_circuit_frac:
        raise ValueError(
            f"transformer to {bus!r}: short_circuit_resistive_frac is {short_circuit_resistive_frac:g}; must be "
            f"between 0 and short_circuit_frac {short_circuit_frac:g}"
        )
    if no_load_loss_w < 0 or no_load_current_frac < 0:
        raise ValueError(f"transformer to {bus!r}: no-load loss and current must be at least 0")
    scale = _BASE_VA / rating_va
    reactive = np.sqrt(short_circuit_frac**2 - short_circuit_resistive_frac**2)
    series = complex(short_circuit_resistive_frac, reactive) * scale
    conductance = no_load_loss_w / _BASE_VA
    admittance = no_load_current_frac / scale
    shunt = complex(conductance, -np.sqrt(max(0.0, admittance**2 - conductance**2)))
    at_from, at_to = (0j, shunt) if model == "secondary" else (shunt / 2, shunt / 2)
    if model == "t" and shunt != 0:
        # Star to delta: both halves of the series impedance and the shunt in the middle.
        half, middle = series / 2, 1 / shunt
        product = half * half + 2 * half * middle
        series = product / middle
        at_from = at_to = half / product
    elif model not in ("t", "pi", "secondary"):
        raise ValueError(f"transformer model is {model!r}; must be 't', 'pi' or 'secondary'")
    return Branch(bus, fed_by, nominal_v, series, at_from, at_to, rating_va=rating_va)


def double_conversion_ups(
    bus: str,
    fed_by: str,
    nominal_v: float,
    *,
    rating_w: float,
    loss_frac: tuple[float, float, float],
    input_power_factor: float = 0.99,
    output_pu: float = 1.0,
) -> Branch:
    """Return a UPS that holds its output voltage and draws its input at its own power factor.

    Parameters
    ----------
    bus, fed_by : str
        The bus that it feeds, and the one that feeds it.
    nominal_v : float
        Between phases [V].
    rating_w : float
        Rated output [W].
    loss_frac : tuple of float
        a, b, c of ``rating·(a + b·x + c·x²)``, x the output over the rating.
    input_power_factor : float
        Of what it draws [-].
    output_pu : float
        Voltage that it holds, over nominal [-].
    """
    if rating_w <= 0 or nominal_v <= 0 or output_pu <= 0 or min(loss_frac) < 0:
        raise ValueError(f"UPS to {bus!r}: rating, voltages must be greater than 0 and loss terms at least 0")
    if not 0 < input_power_factor <= 1:
        raise ValueError(f"UPS to {bus!r}: input_power_factor is {input_power_factor:g}; must be in (0, 1]")
    return Branch(
        bus,
        fed_by,
        nominal_v,
        rating_va=rating_w,
        ups_loss_frac=loss_frac,
        ups_input_power_factor=input_power_factor,
        ups_output_pu=output_pu,
    )


@dataclass(frozen=True, slots=True, eq=False)
class RadialNetwork:
    """Buses sorted by depth, each with the branch that feeds it; bus 0 is the source. Arrays of shape (n_buses,)."""

    buses: tuple[str, ...]
    parent: IntArray
    depth: IntArray
    nominal_v: FloatArray
    series_pu: ComplexArray
    shunt_from_pu: ComplexArray
    shunt_to_pu: ComplexArray
    rating_va: FloatArray
    is_ups: BoolArray
    ups_loss_frac: FloatArray  # (n_buses, 3)
    ups_input_tangent: FloatArray  # Q/P of the input
    ups_output_pu: FloatArray
    source_pu: complex

    def index(self, bus: str) -> int:
        """Return the position of a bus; KeyError names the buses there are."""
        try:
            return self.buses.index(bus)
        except ValueError:
            raise KeyError(f"no bus {bus!r}; there are {', '.join(self.buses)}") from None


def radial_order(source: str, ends: Sequence[tuple[str, str]]) -> list[int]:
    """Return the order of branches from the source outwards, for (bus, fed_by) pairs.

    Raises
    ------
    ValueError
        If a bus is fed by two branches (meshed), lies on a loop, or has no way to the source; names the buses.
    """
    fed: dict[str, int] = {}
    for i, (bus, fed_by) in enumerate(ends):
        if bus == source:
            raise ValueError(f"{fed_by!r} feeds the source {source!r}; a radial network has no way back")
        if bus in fed:
            first = ends[fed[bus]][1]
            raise ValueError(f"bus {bus!r} is fed by {first!r} and by {fed_by!r}; a meshed network is not radial")
        fed[bus] = i
    depth: dict[str, int] = {source: 0}
    for start in fed:
        path: list[str] = []
        at = start
        while at not in depth:
            if at in path:
                raise ValueError(f"buses form a loop: {' <- '.join([*path[path.index(at) :], at])}")
            path.append(at)
            if at not in fed:
                raise ValueError(f"bus {at!r}, which feeds {path[-2]!r}, is not connected to the source {source!r}")
            at = ends[fed[at]][1]
        for name in reversed(path):
            depth[name] = depth[ends[fed[name]][1]] + 1
    parent_order: dict[str, int] = {source: 0}
    order: list[int] = []
    for level in range(1, max(depth.values()) + 1):
        here = [i for i, (bus, _) in enumerate(ends) if depth[bus] == level]
        here.sort(key=lambda i: parent_order[ends[i][1]])
        for i in here:
            parent_order[ends[i][0]] = len(order) + 1
            order.append(i)
    return order


def radial_network(
    source: str, nominal_v: float, branches: Sequence[Branch], *, source_pu: complex = 1.0
) -> RadialNetwork:
    """Return the network fed from one source bus.

    Parameters
    ----------
    source : str
        Name of the source bus.
    nominal_v : float
        Of the source bus, between phases [V].
    branches : sequence of Branch
        In any order.
    source_pu : complex
        Voltage of the source over nominal [-].

    Raises
    ------
    ValueError
        For a meshed, looped or disconnected network, or a line between buses of different nominal voltage; names them.
    """
    order = radial_order(source, [(branch.bus, branch.fed_by) for branch in branches])
    rows = [Branch(source, "", nominal_v), *(branches[i] for i in order)]
    position = {branch.bus: i for i, branch in enumerate(rows)}
    parent = np.array([-1, *(position[branch.fed_by] for branch in rows[1:])], dtype=np.int64)
    depth = np.zeros(len(rows), dtype=np.int64)
    for i in range(1, len(rows)):
        depth[i] = depth[parent[i]] + 1
        ends = rows[parent[i]], rows[i]
        if ends[1].keeps_voltage and abs(ends[0].nominal_v - ends[1].nominal_v) > 1e-9 * ends[0].nominal_v:
            raise ValueError(
                f"line from {ends[0].bus!r} ({ends[0].nominal_v:g} V) to {ends[1].bus!r} ({ends[1].nominal_v:g} V) "
                "changes the nominal voltage; put a transformer between them"
            )
    power_factor = np.array([branch.ups_input_power_factor for branch in rows])
    return RadialNetwork(
        buses=tuple(branch.bus for branch in rows),
        parent=parent,
        depth=depth,
        nominal_v=np.array([branch.nominal_v for branch in rows]),
        series_pu=np.array([branch.series_pu for branch in rows], dtype=np.complex128),
        shunt_from_pu=np.array([branch.shunt_from_pu for branch in rows], dtype=np.complex128),
        shunt_to_pu=np.array([branch.shunt_to_pu for branch in rows], dtype=np.complex128),
        rating_va=np.array([branch.rating_va for branch in rows]),
        is_ups=np.array([branch.ups_loss_frac is not None for branch in rows]),
        ups_loss_frac=np.array([branch.ups_loss_frac or (0.0, 0.0, 0.0) for branch in rows]),
        ups_input_tangent=np.sqrt(1 - power_factor**2) / power_factor,
        ups_output_pu=np.array([branch.ups_output_pu for branch in rows]),
        source_pu=complex(source_pu),
    )


@dataclass(frozen=True, slots=True, eq=False)
class LoadFlowReport:
    """How the sweeps went."""

    converged: bool  # all elements
    n_collapsed: int
    iterations: int
    residual_pu: float  # last change of any voltage among converged elements
    tolerance_pu: float
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class LoadFlowResult:
    """Solved network. Arrays have shape (n, n_buses), a branch standing at the bus it feeds; NaN where collapsed."""

    voltage_pu: ComplexArray
    current_a: FloatArray  # of the branch, at the end it feeds
    loss_w: FloatArray  # of the branch, with its iron loss
    loss_var: FloatArray
    power_in_va: ComplexArray  # into the branch where it is fed; at bus 0, what the source gives
    power_out_va: ComplexArray
    loading_frac: FloatArray  # greater end current over rated current (UPS: output power over rating)
    collapsed: BoolArray  # (n,), no voltage solves these loads
    closure_rel: FloatArray  # (n,), |source - loads - losses| / source
    report: LoadFlowReport


def solve_load_flow(
    network: RadialNetwork,
    p_w: ArrayLike,
    q_var: ArrayLike,
    *,
    tolerance_pu: float = 1e-13,
    max_iterations: int = 300,
) -> LoadFlowResult:
    """Solve constant-power loads by backward and forward sweeps.

    Parameters
    ----------
    network : RadialNetwork
    p_w, q_var : array_like, shape (n, n_buses)
        Loads at each bus of `network.buses` [W, var]; negative for sources.
    tolerance_pu : float
        Greatest change of any voltage in the last sweep [pu].

    Returns
    -------
    LoadFlowResult
        Elements whose voltages collapse are flagged, not raised: too much load is an answer.

    Raises
    ------
    ValueError
        If a shape does not fit or a load is not finite.

    References
    ----------
    .. [1] D. Shirmohammadi et al., A compensation-based power flow method for weakly meshed distribution networks,
       IEEE Trans. Power Systems 3(2), 1988.
    """
    n_buses = len(network.buses)
    active_power = np.atleast_2d(np.asarray(p_w, dtype=np.float64))
    reactive_power = np.atleast_2d(np.asarray(q_var, dtype=np.float64))
    for name, value in (("p_w", active_power), ("q_var", reactive_power)):
        if value.ndim != 2 or value.shape[1] != n_buses:
            raise ValueError(f"{name} has shape {value.shape}; (n, {n_buses}) is needed")
        if not np.all(np.isfinite(value)):
            row, bus = np.argwhere(~np.isfinite(value))[0]
            raise ValueError(f"{name}[{row}] at bus {network.buses[bus]} is {value[row, bus]}; must be finite")
    load = np.asarray(active_power + 1j * reactive_power, dtype=np.complex128).T / _BASE_VA
    n = load.shape[1]
    voltage = np.empty((n_buses, n), dtype=np.complex128)
    voltage[:] = _flat_start(network)[:, None]
    collapsed = np.zeros(n, dtype=bool)
    active = np.arange(n)
    iterations, residual = 0, 0.0
    while active.size and iterations < max_iterations:
        iterations += 1
        with np.errstate(all="ignore"):  # a collapsing element overflows before it is taken out below
            branch_current, _ = _backward(network, voltage[:, active], load[:, active])
            swept = _forward(network, voltage[:, active], branch_current)
            move = np.max(np.abs(swept - voltage[:, active]), axis=0)
        lost = ~np.isfinite(move) | (np.min(np.abs(swept), axis=0) < _COLLAPSED_PU)
        done = (move <= tolerance_pu) & ~lost
        voltage[:, active] = swept
        collapsed[active[lost]] = True
        if np.any(done):
            residual = max(residual, float(np.max(move[done])))
        active = active[~(done | lost)]
    collapsed[active] = True
    voltage[:, collapsed] = np.nan
    return _result(network, voltage, load, collapsed, iterations, residual, tolerance_pu)


def _levels(depth: IntArray) -> list[slice]:
    edges = np.searchsorted(depth, np.arange(depth[-1] + 2))
    return [slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _flat_start(network: RadialNetwork) -> ComplexArray:
    start = np.empty(len(network.buses), dtype=np.complex128)
    start[0] = network.source_pu
    for i in range(1, start.size):
        start[i] = network.ups_output_pu[i] if network.is_ups[i] else start[network.parent[i]]
    return start


def _backward(network: RadialNetwork, voltage: ComplexArray, load: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Return series currents of the branches and the currents they take where they are fed, both (n_buses, n)."""
    leaving = np.conj(load / voltage)  # grows into all that leaves each bus
    series = np.zeros_like(leaving)
    taken = np.zeros_like(leaving)
    for rows in reversed(_levels(network.depth)[1:]):
        parent = network.parent[rows]
        series[rows] = leaving[rows] + network.shunt_to_pu[rows, None] * voltage[rows]
        taken[rows] = series[rows] + network.shunt_from_pu[rows, None] * voltage[parent]
        for i in np.flatnonzero(network.is_ups[rows]) + rows.start:
            power = (voltage[i] * np.conj(leaving[i])).real
            rating = network.rating_va[i] / _BASE_VA
            a, b, c = network.ups_loss_frac[i]
            drawn = power + rating * a + b * np.abs(power) + c / rating * power**2
            taken[i] = np.conj(drawn * (1 + 1j * network.ups_input_tangent[i]) / voltage[network.parent[i]])
            series[i] = leaving[i]
        starts = np.flatnonzero(np.diff(parent, prepend=-1))
        leaving[parent[starts]] += np.add.reduceat(taken[rows], starts, axis=0)
    series[0] = taken[0] = leaving[0]
    return series, taken


def _forward(network: RadialNetwork, voltage: ComplexArray, series: ComplexArray) -> ComplexArray:
    swept = np.empty_like(voltage)
    swept[0] = network.source_pu
    for rows in _levels(network.depth)[1:]:
        swept[rows] = swept[network.parent[rows]] - network.series_pu[rows, None] * series[rows]
        held = np.flatnonzero(network.is_ups[rows]) + rows.start
        swept[held] = network.ups_output_pu[held, None]
    return swept


def _result(
    network: RadialNetwork,
    voltage: ComplexArray,
    load: ComplexArray,
    collapsed: BoolArray,
    iterations: int,
    residual: float,
    tolerance_pu: float,
) -> LoadFlowResult:
    with np.errstate(invalid="ignore"):  # collapsed elements are NaN on purpose
        series, taken = _backward(network, voltage, load)
    out = series - network.shunt_to_pu[:, None] * voltage
    fed_from = voltage[np.maximum(network.parent, 0)]
    power_in = fed_from * np.conj(taken)
    power_in[0] = voltage[0] * np.conj(taken[0])
    power_out = voltage * np.conj(out)
    power_out[0] = power_in[0]
    loss = power_in - power_out
    # Greater of both ends; the rated current of an end belongs to its nominal voltage.
    loading = np.maximum(np.abs(out), np.abs(taken)) * (_BASE_VA / network.rating_va)[:, None]
    held = network.is_ups
    loading[held] = np.abs(power_out[held].real) * (_BASE_VA / network.rating_va[held])[:, None]
    supplied = power_in[0].real
    closure = np.abs(supplied - load.real.sum(axis=0) - loss.real.sum(axis=0)) / np.maximum(np.abs(supplied), 1e-12)
    closure[collapsed] = np.nan
    base_a = _BASE_VA / (np.sqrt(3) * network.nominal_v)
    n_collapsed = int(collapsed.sum())
    message = f"{iterations} sweeps to {residual:.1e} pu"
    if n_collapsed:
        message = f"{n_collapsed} of {collapsed.size} elements have no solution: voltage collapses under their load"
    return LoadFlowResult(
        voltage_pu=voltage.T,
        current_a=(np.abs(out) * base_a[:, None]).T,
        loss_w=(loss.real * _BASE_VA).T,
        loss_var=(loss.imag * _BASE_VA).T,
        power_in_va=(power_in * _BASE_VA).T,
        power_out_va=(power_out * _BASE_VA).T,
        loading_frac=loading.T,
        collapsed=collapsed,
        closure_rel=closure,
        report=LoadFlowReport(n_collapsed == 0, n_collapsed, iterations, residual, tolerance_pu, message),
    )
