"""Standby sources: what storage must carry until generators have the load, and what fuel they burn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Generators:
    """Generators that start together. Scalars, or arrays over elements."""

    rating_w: ArrayLike  # of one
    running: ArrayLike  # that started and share the load
    start_s: ArrayLike = 10.0  # until they accept load
    block_frac: ArrayLike = 0.6  # of their rating taken in one step, assumed (ISO 8528-5 leaves it to the maker)
    block_interval_s: ArrayLike = 5.0  # between steps, assumed
    walk_in_s: ArrayLike = 0.0  # ramp of the UPS within a step, at most the interval

    def __post_init__(self) -> None:
        for name, low in (
            ("rating_w", 0),
            ("running", -1),
            ("start_s", -1),
            ("block_interval_s", -1),
            ("walk_in_s", -1),
        ):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if not np.all(np.isfinite(values)) or np.any(values <= low if low == 0 else values < 0):
                raise ValueError(f"Generators.{name} is {values}; must be {'above' if low == 0 else 'at least'} 0")
        share = np.asarray(self.block_frac, dtype=np.float64)
        if np.any((share <= 0.01) | (share > 1)):
            raise ValueError(f"Generators.block_frac is {share}; must be in (0.01, 1]")
        if np.any(np.asarray(self.walk_in_s) > np.asarray(self.block_interval_s)):
            raise ValueError("Generators.walk_in_s must not exceed block_interval_s")


@dataclass(frozen=True, slots=True, eq=False)
class OutageResult:
    """What happens after the utility is lost. Arrays have the shape of the load."""

    carried: BoolArray  # storage holds until the generators have all the load
    storage_needed_j: FloatArray  # infinite where the generators never take the whole load
    storage_margin_s: FloatArray  # how much later the generators could accept load
    picked_up_s: FloatArray  # when the generators have all the load
    storage_alone_s: FloatArray  # until empty, were there no generator
    power_short_w: FloatArray  # load above what storage can give at once


def carry_outage(
    load_w: ArrayLike, generators: Generators, *, storage_power_w: ArrayLike, storage_energy_j: ArrayLike
) -> OutageResult:
    """Return whether storage carries a load until generators have it.

    Storage gives all until `start_s`; from then the generators take a block of their rating at each interval, each
    ramped over the walk-in, until the load is theirs.

    Parameters
    ----------
    load_w : array_like
        Load after the loss of the utility [W].
    generators : Generators
    storage_power_w, storage_energy_j : array_like
        What UPS batteries or a BESS can give [W] and hold [J].
    """
    load = np.asarray(load_w, dtype=np.float64)
    power, energy = np.asarray(storage_power_w, dtype=np.float64), np.asarray(storage_energy_j, dtype=np.float64)
    for name, values in (("load_w", load), ("storage_power_w", power), ("storage_energy_j", energy)):
        if np.any(~np.isfinite(values) | (values < 0)):
            raise ValueError(f"{name} is {values.min():g}; must be at least 0")
    capacity = np.asarray(generators.rating_w, dtype=np.float64) * np.asarray(generators.running, dtype=np.float64)
    block = capacity * np.asarray(generators.block_frac, dtype=np.float64)
    load, power, energy, capacity, block = np.broadcast_arrays(load, power, energy, capacity, block)
    start = np.asarray(generators.start_s, dtype=np.float64)
    interval = np.asarray(generators.block_interval_s, dtype=np.float64)
    walk_in = np.asarray(generators.walk_in_s, dtype=np.float64)
    blocks = np.ceil(np.divide(load, block, out=np.full(load.shape, np.inf), where=block > 0) - 1e-12)
    enough = (load <= capacity) & np.isfinite(blocks)
    blocks = np.where(enough, blocks, 0.0)
    # Before block k the storage gives load - k blocks for one interval; each block ramps over the walk-in.
    waiting = blocks * load - block * blocks * (blocks - 1) / 2 - load  # Σ over k = 1 … blocks - 1
    needed = load * start + np.maximum(waiting, 0.0) * interval + load * walk_in / 2
    picked_up = start + np.maximum(blocks - 1, 0) * interval + np.where(load > 0, walk_in, 0.0)
    needed = np.where(enough, needed, np.inf)
    picked_up = np.where(enough, picked_up, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = np.where(load > 0, energy / load, np.inf)
        margin = np.where(load > 0, (energy - needed) / load, np.inf)
    short = np.maximum(0.0, load - power)
    return OutageResult(
        carried=(short == 0) & (needed <= energy),
        storage_needed_j=needed,
        storage_margin_s=margin,
        picked_up_s=picked_up,
        storage_alone_s=np.where(short > 0, 0.0, alone),
        power_short_w=short,
    )


def generator_fuel_w(
    load_w: ArrayLike, rating_w: ArrayLike, full_efficiency_frac: float, idle_fuel_frac: float
) -> FloatArray:
    """Return the fuel power of a running generator: a + b·P through its idle use and its efficiency at rating.

    `idle_fuel_frac` is the fuel at no load over that at rating.
    """
    if not 0 < full_efficiency_frac < 1 or not 0 <= idle_fuel_frac < 1:
        raise ValueError(f"efficiency {full_efficiency_frac:g} and idle share {idle_fuel_frac:g} must be in (0, 1)")
    rating = np.asarray(rating_w, dtype=np.float64)
    full = rating / full_efficiency_frac
    return full * (idle_fuel_frac + (1 - idle_fuel_frac) * np.asarray(load_w, dtype=np.float64) / rating)


@dataclass(frozen=True, slots=True, eq=False)
class PrimeSource:
    """Alike units that generate all year, beside the utility or as an island."""

    rating_w: float  # of one unit, continuous
    units: int
    full_efficiency_frac: float  # electricity over fuel at rating, lower heating value
    idle_fuel_frac: float = 0.0  # fuel at no load over that at rating
    min_load_frac: float = 0.0  # of a unit's rating, below which it does not run beside the utility
    is_island: bool = False
    spinning_spare: int = 0  # units that run beyond what the load needs, so that the loss of one is carried

    def __post_init__(self) -> None:
        if not (np.isfinite(self.rating_w) and self.rating_w > 0) or self.units < 1 or self.spinning_spare < 0:
            raise ValueError(
                f"PrimeSource has {self.units} units of {self.rating_w:g} W and {self.spinning_spare} spare; "
                "rating and units must be above 0, spares at least 0"
            )
        if not 0 < self.full_efficiency_frac < 1 or not 0 <= self.idle_fuel_frac < 1:
            raise ValueError(
                f"PrimeSource.full_efficiency_frac is {self.full_efficiency_frac:g} and idle_fuel_frac "
                f"{self.idle_fuel_frac:g}; both must be below 1 and the efficiency above 0"
            )
        if not 0 <= self.min_load_frac <= 1:
            raise ValueError(f"PrimeSource.min_load_frac is {self.min_load_frac:g}; must be in [0, 1]")


def idle_fuel_frac(full_efficiency_frac: float, half_efficiency_frac: float) -> float:
    """Return the fuel at no load over that at rating, from the efficiencies at full and half load.

    A straight fuel line through both: half the load takes (1 + idle) / 2 of the fuel, so that idle is the ratio of the
    efficiencies less one. Units whose efficiency rises towards part load have none.

    Raises
    ------
    ValueError
        If an efficiency is not in (0, 1), or the half-load one is no more than half the other.
    """
    if not 0 < full_efficiency_frac < 1 or not full_efficiency_frac / 2 < half_efficiency_frac < 1:
        raise ValueError(
            f"efficiencies {full_efficiency_frac:g} at full and {half_efficiency_frac:g} at half load; both must be in "
            "(0, 1), and that at half load above half the other"
        )
    return max(full_efficiency_frac / half_efficiency_frac - 1.0, 0.0)


def prime_power_w(load_w: ArrayLike, source: PrimeSource, units_out: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return what a source generates and the fuel it burns, both of the shape of the load [W].

    Beside the utility it gives what its units can, at most the load: nothing is exported, and nothing below the least
    load of one unit. As few units run as the load needs, at equal shares; an island runs its spare too, and gives the
    whole load whatever its units' rating, which the solver holds it to.

    Parameters
    ----------
    load_w : array_like
        What the source could give [W].
    source : PrimeSource
    units_out : int
        Of its units, out of service.
    """
    load = np.asarray(load_w, dtype=np.float64)
    left = source.units - units_out
    if left <= 0:
        return np.zeros_like(load), np.zeros_like(load)
    given = load if source.is_island else np.minimum(load, left * source.rating_w)
    given = np.where(given < source.min_load_frac * source.rating_w, load * source.is_island, given)
    running = np.minimum(np.ceil(given / source.rating_w - 1e-9) + source.spinning_spare, left) * (given > 0)
    share = np.divide(given, running, out=np.zeros_like(load), where=running > 0)
    each = generator_fuel_w(share, source.rating_w, source.full_efficiency_frac, source.idle_fuel_frac)
    return given, running * each
