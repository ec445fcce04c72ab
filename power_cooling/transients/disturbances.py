"""What still runs: pumps, plant, fans, load and weather as series that `transients` follows.

A disturbance lowers one channel for some units from a time on, at once or by coasting down, and may end with a ramp.
Losses of equipment are disturbances: a lost pump, CDU, chiller, tower, feed, UPS or the grid differ in the channels
they touch and in what brings them back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Channel = Literal["load", "rack_flow", "facility_flow", "plant", "air_flow"]
OF_UNITS = ("load", "rack_flow")

ASSUMED_PUMP_COAST_S = 1.0  # a CDU pump with its small rotor: half flow after about this time
ASSUMED_STOPPED_FRAC = 0.05  # flow below which friction and the check valve stop a coasting pump
ASSUMED_FACILITY_COAST_S = 6.0  # large pumps and long pipes hold their flow longer
ASSUMED_CHILLER_RESTART_S = 180.0  # fast-restart chillers: 2-4 minutes to full load after power returns
ASSUMED_CHILLER_RAMP_S = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Forcing:
    """Series over equal steps. Unit channels have shape (n_steps, n_units) or (n_steps, 1), the others (n_steps,)."""

    step_s: float
    load_frac: FloatArray
    rack_flow_frac: FloatArray
    facility_flow_frac: FloatArray
    plant_frac: FloatArray
    air_flow_frac: FloatArray
    sink_degc: FloatArray

    def __post_init__(self) -> None:
        if not self.step_s > 0:
            raise ValueError(f"Forcing.step_s is {self.step_s:g} s; must be greater than 0")
        n = self.load_frac.shape[0]
        for name in ("load_frac", "rack_flow_frac", "facility_flow_frac", "plant_frac", "air_flow_frac", "sink_degc"):
            array = getattr(self, name)
            wanted = 2 if name in ("load_frac", "rack_flow_frac") else 1
            if array.ndim != wanted or array.shape[0] != n:
                raise ValueError(f"Forcing.{name} has shape {array.shape}; must have {wanted} axes and {n} steps")
            if name != "sink_degc" and not np.all(array >= 0):
                step = int(np.argwhere(~(array >= 0))[0][0])
                raise ValueError(f"Forcing.{name}[{step}] is {array[step].min():g}; must be at least 0")
            if name == "sink_degc" and not np.all(np.isfinite(array)):
                raise ValueError("Forcing.sink_degc must be finite")

    @classmethod
    def steady(
        cls, duration_s: float, *, step_s: float = 1.0, load_frac: ArrayLike = 1.0, sink_degc: float = 20.0
    ) -> Forcing:
        """Return everything running for a duration, loads per unit or one for all."""
        if not step_s > 0:
            raise ValueError(f"step_s is {step_s:g} s; must be greater than 0")
        n = max(math.ceil(duration_s / step_s - 1e-9), 1)
        loads = np.broadcast_to(np.atleast_1d(np.asarray(load_frac, dtype=float)), (n, np.size(load_frac))).copy()
        one = np.ones(n)
        return cls(step_s, loads, np.ones((n, 1)), one, one, one, np.full(n, float(sink_degc)))

    def check_units(self, n_units: int) -> None:
        """Raise ValueError if a unit channel fits neither one series for all nor one for each of `n_units`."""
        for name in ("load_frac", "rack_flow_frac"):
            width = getattr(self, name).shape[1]
            if width not in (1, n_units):
                raise ValueError(f"Forcing.{name} has {width} series; there are {n_units} units")

    def with_disturbances(self, *disturbances: Disturbance, n_units: int = 1) -> Forcing:
        """Return this forcing with disturbances multiplied in; `n_units` is needed where they name units."""
        times = self.step_s * np.arange(1, self.load_frac.shape[0] + 1)
        changed: dict[str, Any] = {}  # series by the name of a field
        for disturbance in disturbances:
            name = f"{disturbance.channel}_frac"
            series = changed.get(name, getattr(self, name))
            share = disturbance.shares(times)
            if disturbance.channel in OF_UNITS:
                factor = np.ones((times.size, n_units if disturbance.units is not None else 1))
                factor[:, disturbance.units if disturbance.units is not None else 0] = (
                    share[:, None] if disturbance.units is not None else share
                )
                changed[name] = series * factor
            else:
                changed[name] = series * share
        return replace(self, **changed)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A channel that falls to a share and may come back."""

    channel: Channel
    at_s: float
    remaining_frac: float = 0.0
    coast_s: float = 0.0  # half-way time of a pump running down; 0 falls at once
    restored_at_s: float = math.inf
    ramp_s: float = 0.0  # from the remaining share back to all
    units: tuple[int, ...] | None = None  # None is all of them

    def __post_init__(self) -> None:
        if not self.remaining_frac >= 0:
            raise ValueError(f"Disturbance.remaining_frac is {self.remaining_frac:g}; must be at least 0")
        if self.restored_at_s < self.at_s:
            raise ValueError(
                f"Disturbance of {self.channel} is restored at {self.restored_at_s:g} s, before it begins "
                f"at {self.at_s:g} s"
            )
        if self.units is not None and self.channel not in OF_UNITS:
            raise ValueError(f"a disturbance of {self.channel} is shared and names no units")

    def shares(self, times_s: FloatArray) -> FloatArray:
        """Return what is left of the channel at the end of each step [-].

        A pump that loses its torque to a square-law system slows as 1 / (1 + t / tau), until its bearings and the
        check valve stop it.
        """
        since = np.maximum(times_s - self.at_s, 0.0)
        if self.coast_s > 0:
            slowing = 1 / (1 + since / self.coast_s)
            slowing = np.where(slowing < ASSUMED_STOPPED_FRAC, 0.0, slowing)
            falling = self.remaining_frac + (1 - self.remaining_frac) * slowing
        else:
            falling = np.where(times_s > self.at_s, self.remaining_frac, 1.0)
        if not math.isfinite(self.restored_at_s):
            return falling
        rising = (times_s - self.restored_at_s) / self.ramp_s if self.ramp_s > 0 else np.inf
        back = np.where(times_s > self.restored_at_s, np.clip(rising, 0.0, 1.0), 0.0)
        return falling + (1 - falling) * back


def pump_loss(
    at_s: float,
    *,
    units: tuple[int, ...] | None = None,
    remaining_frac: float = 0.0,
    restored_at_s: float = math.inf,
    coast_s: float = ASSUMED_PUMP_COAST_S,
) -> tuple[Disturbance, ...]:
    """Return the loss of rack-coolant pumps.

    Parameters
    ----------
    at_s : float
        When they are lost [s].
    units : tuple of int, optional
        CDUs that lose their pumps; all by default.
    remaining_frac : float
        Share of the flow that redundant pumps keep [-].
    restored_at_s : float
        When they run again [s]; never by default.
    coast_s : float
        Time constant of the flow as they slow down [s].
    """
    return (Disturbance("rack_flow", at_s, remaining_frac, coast_s, restored_at_s, coast_s, units),)


def cdu_loss(
    at_s: float, unit: int, *, group: tuple[int, ...] = (), group_flow_frac: float = 1.0
) -> tuple[Disturbance, ...]:
    """Return the loss of one CDU whose racks stay on the pipes of its group.

    Without a group its racks lose all flow. With one, every CDU of the group keeps `group_flow_frac` of the flow per
    rack: (n - 1) / n without spare flow, 1 with N+1.
    """
    if not group:
        return (Disturbance("rack_flow", at_s, 0.0, ASSUMED_PUMP_COAST_S, units=(unit,)),)
    if unit not in group:
        raise ValueError(f"unit {unit} is not in its group {group}")
    return (Disturbance("rack_flow", at_s, group_flow_frac, ASSUMED_PUMP_COAST_S, units=tuple(group)),)


def facility_pump_loss(
    at_s: float, *, remaining_frac: float = 0.0, restored_at_s: float = math.inf
) -> tuple[Disturbance, ...]:
    """Return the loss of facility-water pumps.

    Parameters
    ----------
    at_s, restored_at_s : float
        When they are lost, and run again [s].
    remaining_frac : float
        Share of the flow that redundant pumps keep [-].
    """
    coast = ASSUMED_FACILITY_COAST_S
    return (Disturbance("facility_flow", at_s, remaining_frac, coast, restored_at_s, coast),)


def plant_loss(
    at_s: float,
    *,
    remaining_frac: float = 0.0,
    restored_at_s: float = math.inf,
    ramp_s: float = ASSUMED_CHILLER_RAMP_S,
) -> tuple[Disturbance, ...]:
    """Return the loss of chillers or towers.

    Parameters
    ----------
    at_s, restored_at_s : float
        When they are lost, and start again [s].
    remaining_frac : float
        Share of the plant's cooling that is left [-].
    ramp_s : float
        From the restart to full cooling [s].
    """
    return (Disturbance("plant", at_s, remaining_frac, 0.0, restored_at_s, ramp_s),)


def grid_loss(
    at_s: float,
    *,
    generator_start_s: float = 10.0,
    generators_carry: bool = True,
    pumps_on_ups: bool = True,
    fans_on_ups: bool = False,
    ups_lasts_s: float = math.inf,
    chiller_restart_s: float = ASSUMED_CHILLER_RESTART_S,
    chiller_ramp_s: float = ASSUMED_CHILLER_RAMP_S,
) -> tuple[Disturbance, ...]:
    """Return the loss of the grid until generators carry the site.

    Parameters
    ----------
    at_s : float
        When the grid is lost [s].
    generator_start_s : float
        From then until generators carry the switchboards [s].
    generators_carry : bool
        False if they fail to start.
    pumps_on_ups, fans_on_ups : bool
        Whether coolant pumps, and air units, ride on the UPS; otherwise they coast down until generators carry.
    ups_lasts_s : float
        How long the UPS carries its load from its stored energy [s].
    chiller_restart_s, chiller_ramp_s : float
        From power to the first cooling, and from there to full cooling [s].

    Returns
    -------
    tuple of Disturbance
        For `Forcing.with_disturbances`. IT stops when the UPS is empty before generators carry.
    """
    back = at_s + generator_start_s if generators_carry else math.inf
    empty = at_s + ups_lasts_s
    plant_back = back + chiller_restart_s
    parts = [Disturbance("plant", at_s, 0.0, 0.0, plant_back, chiller_ramp_s)]
    bridged = ups_lasts_s >= generator_start_s and generators_carry
    if not pumps_on_ups:
        parts.append(Disturbance("rack_flow", at_s, 0.0, ASSUMED_PUMP_COAST_S, back, ASSUMED_PUMP_COAST_S))
        parts.append(Disturbance("facility_flow", at_s, 0.0, ASSUMED_FACILITY_COAST_S, back, ASSUMED_FACILITY_COAST_S))
    elif not bridged and math.isfinite(empty):
        parts.append(Disturbance("rack_flow", empty, 0.0, ASSUMED_PUMP_COAST_S))
        parts.append(Disturbance("facility_flow", empty, 0.0, ASSUMED_FACILITY_COAST_S))
    if not fans_on_ups:
        parts.append(Disturbance("air_flow", at_s, 0.0, ASSUMED_PUMP_COAST_S, back, ASSUMED_PUMP_COAST_S))
    if not bridged and math.isfinite(empty):
        parts.append(Disturbance("load", empty))
    return tuple(parts)


def feed_loss(at_s: float, *, units: tuple[int, ...], carried_frac: float = 0.0) -> tuple[Disturbance, ...]:
    """Return the loss of a power feed: racks of some units keep the share of load that the other feed carries."""
    return (Disturbance("load", at_s, carried_frac, units=units),)


def load_burst(at_s: float) -> tuple[Disturbance, ...]:
    """Return racks that idle from the start and are loaded at once."""
    return (Disturbance("load", 0.0, 0.0, restored_at_s=at_s),)


def load_step(at_s: float, remaining_frac: float, *, units: tuple[int, ...] | None = None) -> tuple[Disturbance, ...]:
    """Return a step of load to a multiple of what it was; above 1 it is a burst."""
    return (Disturbance("load", at_s, remaining_frac, units=units),)
