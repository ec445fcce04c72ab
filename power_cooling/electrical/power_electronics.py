"""Converters in a row, power shelves of several supplies, and direct-current lines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ConverterStage:
    """One stage of conversion: `units` converters share the load, each taking in ``(P + constant_w) / efficiency``.

    `children` is how many groups of the stage below one group of `units` carries, and `beside_w` what else hangs on its
    output (switches beside nodes).
    """

    constant_w: float
    efficiency_frac: float
    units: int = 1
    children: int = 1
    beside_w: float = 0.0

    def __post_init__(self) -> None:
        if self.constant_w < 0 or self.beside_w < 0:
            raise ValueError(f"ConverterStage has {self.constant_w:g} W and {self.beside_w:g} W; must be at least 0")
        if not 0 < self.efficiency_frac <= 1:
            raise ValueError(f"ConverterStage.efficiency_frac is {self.efficiency_frac:g}; must be in (0, 1]")
        if self.units < 1 or self.children < 1:
            raise ValueError(f"ConverterStage has {self.units} units, {self.children} children; must be at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class ChainResult:
    """A conversion chain, per group of its last stage. Arrays have the shape of the load given."""

    input_w: FloatArray
    load_w: FloatArray  # all that is not loss: the load given and what is beside the stages
    stage_loss_w: tuple[FloatArray, ...]


def converter_chain(load_w: ArrayLike, stages: tuple[ConverterStage, ...]) -> ChainResult:
    """Return what a chain of converters takes in for equal loads at its end.

    Parameters
    ----------
    load_w : array_like
        Load of one output of the first stage [W]. The groups that a stage carries are alike.
    stages : tuple of ConverterStage
        From the load to the grid.
    """
    power = np.asarray(load_w, dtype=np.float64)
    if np.any(power < 0):
        raise ValueError(f"load_w is {power.min():g} W; must be at least 0")
    useful = power
    losses: list[FloatArray] = []
    for stage in stages:
        output = power * stage.children + stage.beside_w
        useful = useful * stage.children + stage.beside_w
        power = (output + stage.units * stage.constant_w) / stage.efficiency_frac
        losses = [loss * stage.children for loss in losses]
        losses.append(power - output)
    return ChainResult(power, useful, tuple(losses))


def shelf_input_w(
    load_w: ArrayLike,
    unit_rating_w: ArrayLike,
    units: ArrayLike,
    no_load_frac: ArrayLike,
    proportional_frac: ArrayLike,
    square_frac: ArrayLike,
    *,
    least_load_frac: float = 0.0,
) -> FloatArray:
    """Return what a shelf of equal supplies takes in.

    The running supplies share the load. With `least_load_frac` above 0 the shelf switches supplies off at low load, so
    that those that run carry at least that share of their rating, if one or more can.

    Parameters
    ----------
    load_w : array_like
        Output [W].
    unit_rating_w, units : array_like
        Rating of one supply [W] and how many there are in service.
    no_load_frac, proportional_frac, square_frac : array_like
        Loss of one supply as shares of its rating (`loss_curves.curve_from_efficiency`).
    """
    load = np.asarray(load_w, dtype=np.float64)
    rating = np.asarray(unit_rating_w, dtype=np.float64)
    running = np.asarray(units, dtype=np.float64)
    if np.any(load < 0) or np.any(rating <= 0) or np.any(running < 1):
        raise ValueError("a shelf needs load_w of at least 0, unit_rating_w greater than 0 and at least one unit")
    if least_load_frac > 0:
        enough = np.floor(load / (rating * least_load_frac))
        running = np.clip(enough, np.ceil(np.maximum(load / rating, 1.0)), running)
    total = rating * running
    square = np.asarray(square_frac) * load * load / total
    return load + np.asarray(no_load_frac) * total + np.asarray(proportional_frac) * load + square


@dataclass(frozen=True, slots=True, eq=False)
class DirectCurrentLine:
    """A direct-current line with a constant-power load. Where `feasible` is False the other fields are NaN."""

    voltage_v: FloatArray  # at the load
    current_a: FloatArray
    loss_w: FloatArray
    feasible: NDArray[np.bool_]


def direct_current_line(source_v: ArrayLike, resistance_ohm: ArrayLike, load_w: ArrayLike) -> DirectCurrentLine:
    """Return voltage and loss of a DC line, from the root of V² - V0·V + R·P = 0 that continues no load.

    Parameters
    ----------
    source_v : array_like
        Voltage at the source between poles [V].
    resistance_ohm : array_like
        Of both conductors together [ohm].
    load_w : array_like
        Constant-power load [W]; negative where the load feeds back.

    Notes
    -----
    No voltage carries more than V0²/(4R): beyond it the line is infeasible, which is an answer, not an error.
    """
    volts, ohms, watts = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (source_v, resistance_ohm, load_w))
    )
    if np.any(volts <= 0) or np.any(ohms < 0):
        raise ValueError("source_v must be greater than 0 V and resistance_ohm at least 0")
    discriminant = volts * volts - 4 * ohms * watts
    feasible = discriminant >= 0
    root = np.sqrt(np.where(feasible, discriminant, np.nan))
    voltage = (volts + root) / 2
    current = watts / voltage
    return DirectCurrentLine(voltage, current, current * current * ohms, feasible)
