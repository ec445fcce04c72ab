"""Pressure and flow: pipe friction, parallel rack branches on headers, pumps and their control laws.

Flows are mass flows [kg/s]; pressures [Pa]; a pipe run is round, with one roughness and the sum of its minor losses.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import broadcast, compiled
from power_cooling.false_position import NEITHER, between, narrowed

FloatArray = NDArray[np.float64]

GRAVITY_M_PER_S2 = 9.80665
LAMINAR_BELOW = 2300.0  # laminar up to here, turbulent from TURBULENT_ABOVE, a cubic blend between
TURBULENT_ABOVE = 4000.0


@dataclass(frozen=True, slots=True, eq=False)
class PipeRuns:
    """Round pipes with minor losses. Arrays broadcast against one another."""

    length_m: FloatArray
    diameter_m: FloatArray
    roughness_m: FloatArray
    minor_loss: FloatArray  # sum of K on the velocity head

    def __post_init__(self) -> None:
        for field in fields(self):
            array = np.asarray(getattr(self, field.name), dtype=float)
            bad = ~(array > 0) if field.name == "diameter_m" else ~(array >= 0)
            if np.any(bad):
                i = int(np.flatnonzero(bad)[0])
                allowed = "greater than 0" if field.name == "diameter_m" else "at least 0"
                raise ValueError(f"PipeRuns.{field.name}[{i}] is {np.ravel(array)[i]:g}; must be {allowed}")


@dataclass(frozen=True, slots=True)
class SolveReport:
    """How an iteration ended."""

    converged: bool
    iterations: int
    residual: float  # worst imbalance of the last pass, in the unit of tolerance
    tolerance: float
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class ManifoldFlow:
    """Flow of parallel branches between a supply and a return header."""

    branch_kg_s: FloatArray  # (..., n_branches)
    supply_pa: FloatArray  # (..., n_branches + 1): at the inlet and at each take-off, below the inlet
    return_pa: FloatArray  # (..., n_branches + 1): at the outlet's end node and at each return, below the inlet
    pressure_drop_pa: FloatArray  # (...) from inlet to outlet
    report: SolveReport


@dataclass(frozen=True, slots=True)
class PumpCurve:
    """Head H = s² · shut-off head - curvature · flow², s the speed over rated speed."""

    shutoff_head_m: float
    curvature_m_per_m6_s2: float

    def __post_init__(self) -> None:
        if not self.shutoff_head_m > 0:
            raise ValueError(f"PumpCurve.shutoff_head_m is {self.shutoff_head_m:g} m; must be greater than 0")
        if not self.curvature_m_per_m6_s2 > 0:
            raise ValueError(
                f"PumpCurve.curvature_m_per_m6_s2 is {self.curvature_m_per_m6_s2:g}; must be greater than 0"
            )

    @classmethod
    def through(cls, flow_m3_per_s: float, head_m: float) -> "PumpCurve":
        """Return the one-point curve: shut-off at 4/3 of the rated head, no head at twice the rated flow."""
        return cls(4 / 3 * head_m, head_m / 3 / flow_m3_per_s**2)

    def head_m(self, flow_m3_per_s: ArrayLike, speed_frac: ArrayLike = 1.0) -> FloatArray:
        """Return the head [m] at a flow [m³/s] and speed [-]."""
        return (
            np.asarray(speed_frac) ** 2 * self.shutoff_head_m
            - self.curvature_m_per_m6_s2 * np.asarray(flow_m3_per_s, dtype=float) ** 2
        )


@compiled
def colebrook_scalar(reynolds: float, roughness_ratio: float) -> float:
    """Darcy friction factor of rough turbulent flow: Colebrook's equation by Newton from Haaland's start."""
    a = roughness_ratio / 3.7
    b = 2.51 / reynolds
    x = -1.8 * math.log10(6.9 / reynolds + a**1.11)
    for _ in range(20):
        inner = a + b * x
        step = (x + 2.0 * math.log10(inner)) / (1.0 + 2.0 * b / (inner * 2.302585092994046))
        x -= step
        if abs(step) < 1e-15 * x:
            break
    return 1.0 / (x * x)


@compiled
def friction_scalar(reynolds: float, roughness_ratio: float) -> float:
    """Darcy friction factor over all regimes, with a smooth join between 2300 and 4000."""
    if reynolds <= 2300.0:
        return 64.0 / max(reynolds, 1e-12)
    if reynolds >= 4000.0:
        return colebrook_scalar(reynolds, roughness_ratio)
    share = (reynolds - 2300.0) / 1700.0
    weight = share * share * (3.0 - 2.0 * share)
    return (1.0 - weight) * 64.0 / reynolds + weight * colebrook_scalar(reynolds, roughness_ratio)


@compiled
def pressure_drop_scalar(
    flow_kg_s: float,
    length_m: float,
    diameter_m: float,
    roughness_m: float,
    minor_loss: float,
    density_kg_m3: float,
    viscosity_pa_s: float,
) -> float:
    """Pressure drop [Pa] of a pipe run, with the sign of the flow."""
    speed = abs(flow_kg_s) / (density_kg_m3 * 0.25 * math.pi * diameter_m * diameter_m)
    if speed == 0.0:
        return 0.0
    reynolds = density_kg_m3 * speed * diameter_m / viscosity_pa_s
    factor = friction_scalar(reynolds, roughness_m / diameter_m) * length_m / diameter_m + minor_loss
    return math.copysign(factor * 0.5 * density_kg_m3 * speed * speed, flow_kg_s)


@compiled
def _colebrook_factors(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = colebrook_scalar(c[0, i], c[1, i])


@compiled
def _friction_factors(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = friction_scalar(c[0, i], c[1, i])


@compiled
def _pressure_drops(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = pressure_drop_scalar(c[0, i], c[1, i], c[2, i], c[3, i], c[4, i], c[5, i], c[6, i])


def colebrook_friction(reynolds: ArrayLike, roughness_ratio: ArrayLike = 0.0) -> FloatArray:
    """Return the Darcy friction factor of turbulent flow in a rough pipe.

    Parameters
    ----------
    reynolds : array_like
        Reynolds number [-], above 0.
    roughness_ratio : array_like
        Roughness over diameter [-], at least 0.

    Returns
    -------
    ndarray
        Darcy friction factor [-]; Colebrook's equation solved to rounding [1]_.

    References
    ----------
    .. [1] C. F. Colebrook, J. Inst. Civil Eng. 11 (1939) 133, with 3.7 and 2.51.
    """
    return broadcast(_colebrook_factors, np.asarray(reynolds, dtype=float), np.asarray(roughness_ratio, dtype=float))


def haaland_friction(reynolds: ArrayLike, roughness_ratio: ArrayLike = 0.0) -> FloatArray:
    """Return the Darcy friction factor by Haaland, J. Fluids Eng. 105 (1983) 89; within 1.5 % of Colebrook."""
    re = np.asarray(reynolds, dtype=float)
    ratio = np.asarray(roughness_ratio, dtype=float)
    return (-1.8 * np.log10((ratio / 3.7) ** 1.11 + 6.9 / re)) ** -2.0


def friction_factor(reynolds: ArrayLike, roughness_ratio: ArrayLike = 0.0) -> FloatArray:
    """Return the Darcy friction factor over all regimes.

    64 / Re up to 2300, Colebrook from 4000 and a smooth cubic blend between, because the transition is not a jump
    that a solver should meet.
    """
    return broadcast(_friction_factors, np.asarray(reynolds, dtype=float), np.asarray(roughness_ratio, dtype=float))


def pressure_drop_pa(
    pipes: PipeRuns, flow_kg_s: ArrayLike, density_kg_m3: ArrayLike, viscosity_pa_s: ArrayLike
) -> FloatArray:
    """Return the pressure drop of pipe runs [Pa], (f L / D + ΣK) ρ v² / 2 with the sign of the flow.

    Parameters
    ----------
    pipes : PipeRuns
        Pipes; the other arguments broadcast against their fields.
    flow_kg_s : array_like
        Mass flow [kg/s].
    density_kg_m3, viscosity_pa_s : array_like
        Of the fluid [kg/m³], [Pa s].

    Raises
    ------
    ValueError
        If density or viscosity is not positive.
    """
    density, viscosity = np.asarray(density_kg_m3, dtype=float), np.asarray(viscosity_pa_s, dtype=float)
    if not (np.all(density > 0) and np.all(viscosity > 0)):
        raise ValueError("density_kg_m3 and viscosity_pa_s must be greater than 0")
    return broadcast(
        _pressure_drops,
        np.asarray(flow_kg_s, dtype=float),
        *(np.asarray(getattr(pipes, field.name), dtype=float) for field in fields(pipes)),
        density,
        viscosity,
    )


def parallel_resistance(resistance_pa_s2_per_kg2: ArrayLike, axis: int = -1) -> FloatArray:
    """Return the resistance of parallel branches that obey Δp = k m²: (Σ k^-1/2)^-2."""
    return np.sum(np.asarray(resistance_pa_s2_per_kg2, dtype=float) ** -0.5, axis=axis) ** -2.0


def solve_manifold(
    branches: tuple[PipeRuns, ...],
    headers: PipeRuns,
    total_kg_s: ArrayLike,
    *,
    density_kg_m3: ArrayLike,
    viscosity_pa_s: ArrayLike,
    returning: Literal["direct", "reverse"] = "direct",
    tolerance_pa: float = 1e-6,
    max_iterations: int = 60,
) -> ManifoldFlow:
    """Return how parallel branches between two headers share a flow.

    Parameters
    ----------
    branches : tuple of PipeRuns
        Pipes in series along each branch; the fields of each broadcast to (..., n_branches).
    headers : PipeRuns
        One supply-header segment and, equal to it, one return-header segment per branch; broadcast to
        (..., n_branches). Segment i leads to take-off i.
    total_kg_s : array_like, shape (...)
        Flow entering the supply header [kg/s], above 0.
    density_kg_m3, viscosity_pa_s : array_like, shape (...)
        Of the coolant.
    returning : {"direct", "reverse"}
        Whether the return header ends beside the inlet, or beyond the last branch.
    tolerance_pa : float
        On the imbalance of neighbouring loops [Pa].
    max_iterations : int
        Of the damped Newton iteration.

    Returns
    -------
    ManifoldFlow
        With its report; not converging is an answer, not an exception.

    Raises
    ------
    ValueError
        If the total flow is not positive or `returning` is unknown.
    """
    if returning not in ("direct", "reverse"):
        raise ValueError(f"returning is {returning!r}; must be 'direct' or 'reverse'")
    total = np.asarray(total_kg_s, dtype=float)
    if not np.all(total > 0):
        raise ValueError(f"total_kg_s is {total[~(total > 0)].flat[0]:g} kg/s; must be greater than 0")
    density = np.asarray(density_kg_m3, dtype=float)[..., None]
    viscosity = np.asarray(viscosity_pa_s, dtype=float)[..., None]
    n = max(
        np.shape(getattr(run, f.name))[-1] for run in branches for f in fields(run) if np.ndim(getattr(run, f.name))
    )

    def branch_drop(flow: FloatArray) -> FloatArray:
        drops = [pressure_drop_pa(run, flow, density, viscosity) for run in branches]
        return sum(drops[1:], drops[0])

    def header_drops(flow: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Drops of the supply and return segments; return ones positive towards the outlet."""
        beyond = np.flip(np.cumsum(np.flip(flow, -1), -1), -1)  # through supply segment i
        supply = pressure_drop_pa(headers, beyond, density, viscosity)
        if returning == "direct":
            return supply, supply
        before = np.concatenate([np.zeros_like(flow[..., :1]), np.cumsum(flow, -1)[..., :-1]], -1)
        return supply, pressure_drop_pa(headers, before, density, viscosity)

    def imbalance(flow: FloatArray) -> FloatArray:
        drop = branch_drop(flow)
        supply, back = header_drops(flow)
        sign = 1.0 if returning == "direct" else -1.0
        loops = drop[..., :-1] - drop[..., 1:] - supply[..., 1:] - sign * back[..., 1:]
        return np.concatenate([loops, flow.sum(-1, keepdims=True) - total[..., None]], -1)

    def slopes(runs: tuple[PipeRuns, ...], through: FloatArray) -> FloatArray:
        # A step large against rounding, small against the curvature of a near-quadratic law.
        step = 1e-6 * total[..., None] / n
        drops = [
            pressure_drop_pa(run, through + step, density, viscosity)
            - pressure_drop_pa(run, through, density, viscosity)
            for run in runs
        ]
        return np.broadcast_to(sum(drops[1:], drops[0]) / step, through.shape)

    def imbalance_slopes(flow: FloatArray) -> FloatArray:
        """How each loop's imbalance, and last the total, changes with each branch's flow, (..., n_loops + 1, n)."""
        of_branch = slopes(branches, flow)
        beyond = np.flip(np.cumsum(np.flip(flow, -1), -1), -1)
        supply = slopes((headers,), beyond)[..., 1:, None] * at_or_beyond[1:]  # segment i carries branches i and beyond
        if returning == "direct":
            through_headers = -2.0 * supply
        else:
            before = np.cumsum(flow, -1) - flow
            through_headers = slopes((headers,), before)[..., 1:, None] * ~at_or_beyond[1:] - supply
        matrix = np.ones((*flow.shape, n))
        matrix[..., :-1, :] = through_headers
        loops = np.arange(n - 1)
        matrix[..., loops, loops] += of_branch[..., :-1]
        matrix[..., loops, loops + 1] -= of_branch[..., 1:]
        return matrix

    at_or_beyond = np.arange(n) >= np.arange(n)[:, None]
    flow = np.broadcast_to(total[..., None] / n, (*total.shape, n)).copy()
    residual = imbalance(flow)
    iterations = 0
    while iterations < max_iterations:
        iterations += 1
        jacobian = imbalance_slopes(flow)
        change = np.linalg.solve(jacobian, -residual[..., None])[..., 0]
        damping = np.ones(total.shape)
        before = np.abs(residual[..., :-1]).max(-1) if n > 1 else np.zeros(total.shape)
        for _ in range(6):
            trial = flow + damping[..., None] * change
            after = np.abs(imbalance(trial)[..., :-1]).max(-1) if n > 1 else np.zeros(total.shape)
            worse = after > before + tolerance_pa
            if not np.any(worse):
                break
            damping = np.where(worse, 0.5 * damping, damping)
        flow = flow + damping[..., None] * change
        residual = imbalance(flow)
        if np.abs(residual[..., :-1]).max(initial=0.0) < tolerance_pa:
            break
    worst = float(np.abs(residual[..., :-1]).max(initial=0.0))
    converged = worst < tolerance_pa
    supply, back = header_drops(flow)
    supply_pa = np.concatenate([np.zeros_like(flow[..., :1]), -np.cumsum(supply, -1)], -1)
    at_branch = supply_pa[..., 1:] - branch_drop(flow)
    if returning == "direct":
        outlet = at_branch[..., :1] - back[..., :1]
        return_pa = np.concatenate([outlet, at_branch], -1)
        leaving = outlet[..., 0]
    else:
        return_pa = np.concatenate([at_branch[..., :1], at_branch], -1)
        leaving = at_branch[..., -1]
    message = "converged" if converged else f"loops still out of balance by {worst:.3g} Pa after {iterations} passes"
    return ManifoldFlow(
        flow, supply_pa, return_pa, -leaving, SolveReport(converged, iterations, worst, tolerance_pa, message)
    )


def solve_pump_and_manifold(
    pump: PumpCurve,
    branches: tuple[PipeRuns, ...],
    headers: PipeRuns,
    mains: PipeRuns,
    *,
    density_kg_m3: float,
    viscosity_pa_s: float,
    returning: Literal["direct", "reverse"] = "direct",
    speed_frac: float = 1.0,
    tolerance_frac: float = 1e-10,
) -> tuple[float, float, ManifoldFlow]:
    """Return where a pump curve meets a manifold with its mains.

    Parameters
    ----------
    pump : PumpCurve
        Of the pump, or of the parallel set as one curve.
    branches, headers : tuple of PipeRuns, PipeRuns
        As for `solve_manifold`.
    mains : PipeRuns
        Pipes in series with the headers that carry the whole flow; their drops add.
    density_kg_m3, viscosity_pa_s : float
        Of the coolant.
    returning : {"direct", "reverse"}
        As for `solve_manifold`.
    speed_frac : float
        Pump speed over rated speed [-], above 0.
    tolerance_frac : float
        On the flow, relative.

    Returns
    -------
    tuple of float, float and ManifoldFlow
        Flow [m³/s], pump head [m] and the shares of the branches.
    """
    if not speed_frac > 0:
        raise ValueError(f"speed_frac is {speed_frac:g}; must be greater than 0")

    def solved(flow_m3_per_s: float) -> tuple[float, ManifoldFlow]:
        total = flow_m3_per_s * density_kg_m3
        manifold = solve_manifold(
            branches,
            headers,
            total,
            density_kg_m3=density_kg_m3,
            viscosity_pa_s=viscosity_pa_s,
            returning=returning,
            tolerance_pa=1e-4,
        )
        drop = float(manifold.pressure_drop_pa) + float(
            pressure_drop_pa(mains, total, density_kg_m3, viscosity_pa_s).sum()
        )
        return drop / (density_kg_m3 * GRAVITY_M_PER_S2) - float(pump.head_m(flow_m3_per_s, speed_frac)), manifold

    high = speed_frac * math.sqrt(pump.shutoff_head_m / pump.curvature_m_per_m6_s2)
    low = 1e-6 * high
    f_low, f_high = solved(low)[0], solved(high)[0]
    flow, manifold = high, solved(high)[1]
    bracket = (low, f_low, high, f_high, NEITHER)
    for _ in range(100):
        flow = between(bracket)
        f, manifold = solved(flow)
        if abs(f) < tolerance_frac * pump.shutoff_head_m or bracket[2] - bracket[0] < tolerance_frac * bracket[2]:
            break
        bracket = narrowed(bracket, flow, f)
    return flow, float(pump.head_m(flow, speed_frac)), manifold


def pump_power_w(
    flow_m3_per_s: ArrayLike,
    pressure_pa: ArrayLike,
    *,
    pump_efficiency: ArrayLike,
    motor_efficiency: ArrayLike = 1.0,
    drive_efficiency: ArrayLike = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """Return the electrical power of a pump and the part of it that warms the fluid.

    Parameters
    ----------
    flow_m3_per_s, pressure_pa : array_like
        Flow [m³/s] and pressure rise [Pa].
    pump_efficiency, motor_efficiency, drive_efficiency : array_like
        Of the hydraulics, motor and frequency converter [-], in (0, 1].

    Returns
    -------
    tuple of ndarray
        Electrical power [W] and shaft power [W]. All shaft power ends as heat in the fluid; the losses of a dry motor
        and its drive go to the room.
    """
    for name, value in (
        ("pump_efficiency", pump_efficiency),
        ("motor_efficiency", motor_efficiency),
        ("drive_efficiency", drive_efficiency),
    ):
        array = np.asarray(value, dtype=float)
        if not np.all((array > 0) & (array <= 1)):
            raise ValueError(f"{name} must be in (0, 1]")
    shaft = np.asarray(flow_m3_per_s, dtype=float) * np.asarray(pressure_pa, dtype=float) / np.asarray(pump_efficiency)
    return shaft / (np.asarray(motor_efficiency) * np.asarray(drive_efficiency)), shaft


def controlled_pressure_pa(
    flow_frac: ArrayLike, design_pressure_pa: ArrayLike, least_pressure_pa: ArrayLike = 0.0
) -> FloatArray:
    """Return the differential pressure that a pump holds at part flow: least + (design - least) · flow²."""
    least = np.asarray(least_pressure_pa, dtype=float)
    return least + (np.asarray(design_pressure_pa, dtype=float) - least) * np.asarray(flow_frac, dtype=float) ** 2


def mixed_temperature_degc(flow_w_per_k: ArrayLike, temperature_degc: ArrayLike, axis: int = -1) -> FloatArray:
    """Return the temperature of mixed streams of one fluid, conserving enthalpy: Σ(m·cp·T) / Σ(m·cp)."""
    flow = np.asarray(flow_w_per_k, dtype=float)
    total = flow.sum(axis=axis)
    if not np.all(total > 0):
        raise ValueError("streams that mix must have a flow")
    return (flow * np.asarray(temperature_degc, dtype=float)).sum(axis=axis) / total
