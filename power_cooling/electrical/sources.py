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
