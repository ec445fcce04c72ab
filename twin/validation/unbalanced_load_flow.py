"""Radial load flow of an unbalanced four-wire network: three phases and a neutral, over scenarios and hours at once.

Evidence only: no description says which phase a supply plugs into, so that no run, rule or page can ask it. Voltages of
feeds come from the balanced load flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.electrical.load_flow import radial_order

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_PHASE = np.exp(-2j * np.pi / 3 * np.arange(3))


@dataclass(frozen=True, slots=True, eq=False)
class FourWireNetwork:
    """Buses sorted by depth with the four-wire section that feeds each; bus 0 is the source."""

    buses: tuple[str, ...]
    parent: IntArray  # (n_buses,)
    depth: IntArray  # (n_buses,)
    impedance_ohm: ComplexArray  # (n_buses, 4, 4) with mutual terms; row and column 3 are the neutral
    source_v: ComplexArray  # (4,) to ground; the neutral is grounded at the source

    def index(self, bus: str) -> int:
        """Return the position of a bus; KeyError names the buses there are."""
        try:
            return self.buses.index(bus)
        except ValueError:
            raise KeyError(f"no bus {bus!r}; there are {', '.join(self.buses)}") from None


def four_wire_network(
    source: str, nominal_v: float, sections: Sequence[tuple[str, str, ArrayLike]], *, source_pu: float = 1.0
) -> FourWireNetwork:
    """Return the network of sections (bus, fed_by, impedance) fed by a balanced source of `nominal_v` between phases.

    An impedance is one complex number for all four conductors, four of them, or a 4 x 4 matrix [ohm].

    Raises
    ------
    ValueError
        For a meshed, looped or disconnected network (named), or an impedance of another shape.
    """
    if nominal_v <= 0:
        raise ValueError(f"nominal_v is {nominal_v:g} V; must be greater than 0")
    order = radial_order(source, [(bus, fed_by) for bus, fed_by, _ in sections])
    buses = (source, *(sections[i][0] for i in order))
    position = {bus: i for i, bus in enumerate(buses)}
    parent = np.array([-1, *(position[sections[i][1]] for i in order)], dtype=np.int64)
    depth = np.zeros(len(buses), dtype=np.int64)
    impedance = np.zeros((len(buses), 4, 4), dtype=np.complex128)
    for row, i in enumerate(order, start=1):
        depth[row] = depth[parent[row]] + 1
        given = np.asarray(sections[i][2], dtype=np.complex128)
        if given.shape not in ((), (4,), (4, 4)):
            raise ValueError(
                f"impedance of the section to {sections[i][0]!r} has shape {given.shape}; 4 or 4 x 4 needed"
            )
        impedance[row] = given if given.ndim == 2 else np.diag(np.broadcast_to(given, (4,)))
    phases = nominal_v / np.sqrt(3) * source_pu * _PHASE
    return FourWireNetwork(buses, parent, depth, impedance, np.array([*phases, 0j]))


@dataclass(frozen=True, slots=True, eq=False)
class FourWireResult:
    """Solved network, NaN where collapsed. Conductors are in the order a, b, c, neutral."""

    voltage_v: ComplexArray  # (n, n_buses, 4), to ground
    current_a: ComplexArray  # (n, n_buses, 4), of the section that feeds the bus
    loss_w: FloatArray  # (n, n_buses)
    source_va: ComplexArray  # (n,)
    voltage_unbalance_frac: FloatArray  # (n, n_buses), greatest deviation of a phase from the mean (NEMA MG 1)
    current_unbalance_frac: FloatArray  # (n, n_buses), the same of the section's phase currents; 0 without current
    collapsed: BoolArray  # (n,)
    closure_rel: FloatArray  # (n,)
    iterations: int


def solve_four_wire(
    network: FourWireNetwork,
    phase_load_va: ArrayLike,
    line_load_va: ArrayLike | None = None,
    *,
    tolerance_rel: float = 1e-13,
    max_iterations: int = 300,
) -> FourWireResult:
    """Solve constant-power loads between phase and neutral and between phases.

    Parameters
    ----------
    network : FourWireNetwork
    phase_load_va : array_like, shape (n, n_buses, 3)
        Loads a-n, b-n, c-n [W + j var].
    line_load_va : array_like, shape (n, n_buses, 3), optional
        Loads a-b, b-c, c-a, which put no current into the neutral.
    tolerance_rel : float
        Greatest change of any voltage in the last sweep over the source's phase voltage.

    Raises
    ------
    ValueError
        If a shape does not fit or a load is not finite.
    """
    n_buses = len(network.buses)
    phase_load = np.asarray(phase_load_va, dtype=np.complex128)
    line_load = np.zeros_like(phase_load) if line_load_va is None else np.asarray(line_load_va, dtype=np.complex128)
    for name, value in (("phase_load_va", phase_load), ("line_load_va", line_load)):
        if value.ndim != 3 or value.shape[1:] != (n_buses, 3) or value.shape != phase_load.shape:
            raise ValueError(f"{name} has shape {value.shape}; (n, {n_buses}, 3) is needed")
        if not np.all(np.isfinite(value)):
            row, bus, phase = np.argwhere(~np.isfinite(value))[0]
            raise ValueError(f"{name}[{row}] of phase {'abc'[phase]} at {network.buses[bus]} is not finite")
    phase_load, line_load = phase_load.transpose(1, 2, 0), line_load.transpose(1, 2, 0)
    n = phase_load.shape[2]
    voltage = np.empty((n_buses, 4, n), dtype=np.complex128)
    voltage[:] = network.source_v[None, :, None]
    scale = abs(network.source_v[0])
    collapsed = np.zeros(n, dtype=bool)
    active, iterations = np.arange(n), 0
    while active.size and iterations < max_iterations:
        iterations += 1
        here = voltage[:, :, active]
        with np.errstate(all="ignore"):  # a collapsing element overflows before it is taken out below
            current = _branch_currents(network, here, phase_load[:, :, active], line_load[:, :, active])
            swept = _sweep_voltages(network, current)
            move = np.max(np.abs(swept - here), axis=(0, 1)) / scale
            span = np.min(np.abs(swept[:, :3] - swept[:, 3:]), axis=(0, 1))
        lost = ~np.isfinite(move) | (span < 0.1 * scale)
        voltage[:, :, active] = swept
        collapsed[active[lost]] = True
        active = active[~(lost | (move <= tolerance_rel))]
    collapsed[active] = True
    voltage[:, :, collapsed] = np.nan
    with np.errstate(invalid="ignore"):  # collapsed elements are NaN on purpose
        current = _branch_currents(network, voltage, phase_load, line_load)
    drop = np.einsum("bij,bjn->bin", network.impedance_ohm, current)
    loss = np.sum(drop * np.conj(current), axis=1).real
    source = np.sum(voltage[0] * np.conj(current[0]), axis=0)
    loads = phase_load.sum(axis=(0, 1)).real + line_load.sum(axis=(0, 1)).real
    closure = np.abs(source.real - loads - loss.sum(axis=0)) / np.maximum(np.abs(source.real), 1e-9)
    return FourWireResult(
        voltage_v=voltage.transpose(2, 0, 1),
        current_a=current.transpose(2, 0, 1),
        loss_w=loss.T,
        source_va=source,
        voltage_unbalance_frac=_unbalance(np.abs(voltage[:, :3] - voltage[:, 3:])).T,
        current_unbalance_frac=_unbalance(np.abs(current[:, :3])).T,
        collapsed=collapsed,
        closure_rel=closure,
        iterations=iterations,
    )


def _levels(depth: IntArray) -> list[slice]:
    edges = np.searchsorted(depth, np.arange(depth[-1] + 2))
    return [slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _branch_currents(
    network: FourWireNetwork, voltage: ComplexArray, phase_load: ComplexArray, line_load: ComplexArray
) -> ComplexArray:
    """Return the current of each section, shape (n_buses, 4, n); row 0 is what the source gives."""
    current = np.zeros_like(voltage)
    current[:, :3] = np.conj(phase_load / (voltage[:, :3] - voltage[:, 3:]))
    current[:, 3] = -current[:, :3].sum(axis=1)
    if np.any(line_load):
        between = np.conj(line_load / (voltage[:, :3] - np.roll(voltage[:, :3], -1, axis=1)))
        current[:, :3] += between - np.roll(between, 1, axis=1)
    for rows in reversed(_levels(network.depth)[1:]):
        parent = network.parent[rows]
        starts = np.flatnonzero(np.diff(parent, prepend=-1))
        current[parent[starts]] += np.add.reduceat(current[rows], starts, axis=0)
    return current


def _sweep_voltages(network: FourWireNetwork, current: ComplexArray) -> ComplexArray:
    swept = np.empty_like(current)
    swept[0] = network.source_v[:, None]
    for rows in _levels(network.depth)[1:]:
        drop = np.einsum("bij,bjn->bin", network.impedance_ohm[rows], current[rows])
        swept[rows] = swept[network.parent[rows]] - drop
    return swept


def _unbalance(magnitude: FloatArray) -> FloatArray:
    """Return the greatest deviation from the mean of three phases over that mean; axis 1 holds the phases."""
    mean = magnitude.mean(axis=1)
    deviation = np.max(np.abs(magnitude - mean[:, None]), axis=1)
    return np.divide(deviation, mean, out=np.zeros_like(mean), where=mean != 0)
