"""One CDU loop from its building-system export: conductance of the healthy days, and what went wrong since.

Four temperatures and two flows give the heat on both sides, the heat meter gives it a third time; the log-mean
temperature difference gives the conductance, which films that follow the flows bring to design flows. A sensor that
errs breaks a balance, a machine that fails does not: that tells the two apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.cooling.cdus import conductance_scalar
from power_cooling.fluids.coolants import Coolant, coolant_by_name
from twin.core.telemetry import scores
from twin.core.telemetry.calibrate import Z_OF_INTERVAL, Estimate, Fit, Parameter, fit_map
from twin.core.telemetry.component import COLUMN_NAMES, Answer, Rows, component_rows, parameter_row, training_rows
from twin.core.telemetry.diagnose import Acting, Baseline, Found, Hypothesis, baseline_of, find_faults
from twin.core.telemetry.tables import Table

FloatArray = NDArray[np.float64]

QUANTITIES = (
    "primary_supply_degc",
    "primary_return_degc",
    "primary_flow_kg_s",
    "secondary_supply_degc",
    "secondary_return_degc",
    "secondary_flow_kg_s",
    "heat_w",
    "pump_power_w",
    "rejection_fan_power_w",
    "dry_bulb_degc",
    "wet_bulb_degc",
)
NEEDED = QUANTITIES[:6]
TEMPERATURES = ("primary_supply_degc", "primary_return_degc", "secondary_supply_degc", "secondary_return_degc")
SENSE = {
    **{name: (-30.0, 120.0, "degC") for name in QUANTITIES if name.endswith("_degc")},
    "primary_flow_kg_s": (0.0, 1e4, "kg/s"),
    "secondary_flow_kg_s": (0.0, 1e4, "kg/s"),
    "heat_w": (0.0, 1e9, "W"),
    "pump_power_w": (0.0, 1e7, "W"),
    "rejection_fan_power_w": (0.0, 1e7, "W"),
}
TRAIN_FRAC = 1 / 3  # of the record that is taken for healthy where the user says nothing
BIN_S = 7_200.0
# Both films of a plate exchanger share its resistance about equally and go with the flow to some 0.7
# (power_cooling.fluids.heat_exchangers.two_sided_ua_w_per_k); the data move the exponent where the flows vary.
ASSUMED_FILM_EXPONENT, ASSUMED_FILM_EXPONENT_SIGMA = 0.7, 0.1
ASSUMED_PUMP_HEAT_FRAC = 0.9  # of a wet-rotor pump's electric power, that ends in the coolant
# What sensors of a commissioned loop still differ by: no waiting makes a conductance surer than that.
ASSUMED_PAIR_SIGMA_K, ASSUMED_GAIN_SIGMA = 0.015, 0.004
SETTLED_K = 0.4  # supply above its set point by this much: the rejection runs at its end
# Heat that a tower sheds with its fan off, over its full capacity (EnergyPlus' default for free convection).
ASSUMED_FREE_CONVECTION_FRAC = 0.1
FEATURES = (
    "primary flow",
    "secondary flow",
    "pump power over flow cubed",
    "primary heat balance",
    "secondary heat balance",
    "conductance",
    "supply over set point",
    "fan power at its end",
    "fan power over need",
)
# What the model itself is good for, per feature: relative, kelvins for the set point.
LEAST_SIGMA = np.array([0.002, 0.002, 0.004, 0.003, 0.003, 0.006, 0.03, 0.01, 0.03])
FAN_LAW_PER_INDEPENDENT = 12.0  # bins: the fan law errs with the weather, so a day of it counts once
MIN_UNITS_OF_FLOW = 1e-3


@dataclass(frozen=True, slots=True)
class Design:
    """What the operator knows of a loop; None where nothing is stated."""

    ua_w_per_k: float | None = None
    primary_flow_kg_s: float | None = None
    secondary_flow_kg_s: float | None = None
    low_stage_frac: float | None = None
    set_point_degc: float | None = None
    fan_rated_w: float | None = None
    pump_rated_w: float | None = None
    pump_heat_frac: float = ASSUMED_PUMP_HEAT_FRAC
    coolant_primary: str = "water"
    coolant_secondary: str = "water"
    rejection_kind: str = ""
    flow_control: str = ""


DESIGN_COLUMNS = {
    "hx_ua_maker_w_k": "ua_w_per_k",
    "ua_w_per_k": "ua_w_per_k",
    "design_primary_flow_kg_s": "primary_flow_kg_s",
    "design_secondary_flow_kg_s": "secondary_flow_kg_s",
    "low_stage_flow_fraction": "low_stage_frac",
    "primary_supply_set_point_degc": "set_point_degc",
    "rejection_fan_rated_w": "fan_rated_w",
    "secondary_pump_rated_w": "pump_rated_w",
    "pump_power_to_coolant_fraction": "pump_heat_frac",
    "coolant_primary": "coolant_primary",
    "coolant_secondary": "coolant_secondary",
    "rejection_kind": "rejection_kind",
    "flow_control": "flow_control",
}
_TEXTS = ("coolant_primary", "coolant_secondary", "rejection_kind", "flow_control")


def design_of(row: Mapping[str, str]) -> Design:
    """Read the design of a loop from a row of the operator's table; unknown columns are left alone.

    Raises
    ------
    ValueError
        If a number is none, or not above 0.
    """
    known: dict[str, Any] = {}
    for column, name in DESIGN_COLUMNS.items():
        text = row.get(column, "")
        if text == "":
            continue
        if name in _TEXTS:
            known[name] = text
            continue
        try:
            value = float(text)
        except ValueError as error:
            raise ValueError(f"design: column {column}: {text!r} is not a number") from error
        if not value > 0:
            raise ValueError(f"design: column {column} is {value:g}; must be above 0")
        known[name] = value
    return Design(**known)


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Bin means of a loop's record. `raw` by quantity, each of shape (n,), NaN where nothing is known."""

    seconds: FloatArray
    raw: Mapping[str, FloatArray]
    train: NDArray[np.bool_]
    design: Design
    primary: Coolant
    secondary: Coolant
    primary_level: FloatArray  # which stage a flow runs at, as a share of its full flow
    secondary_level: FloatArray
    full_primary_kg_s: float
    full_secondary_kg_s: float
    full_pump_w: float
    film_exponent: float
    fan_law: FloatArray | None  # of `_fan_terms`, learned from the healthy part
    fan_range: FloatArray | None
    fan_law_w: FloatArray | None  # the law at the readings
    end_fan_w: FloatArray  # fan power of those rows of a bin in which the rejection runs at its end
    heat_capacity: tuple[FloatArray, FloatArray]  # primary, secondary [J/(kg K)]
    steady: tuple[bool, bool]  # primary, secondary flow: constant but for its stages
    binned: float  # seconds per bin


def hypotheses_of(loop: Loop) -> list[Hypothesis]:
    """Return what may be wrong with a loop, as far as its sensors can tell."""
    there = {name for name, values in loop.raw.items() if np.isfinite(values).any()}
    made = [
        Hypothesis("fouling", "hx", "frac", 0.0, 0.8, 0.03, gradual=True),
        Hypothesis("pump_wear", "secondary_pump", "frac", 0.0, 0.6, 0.015),
        Hypothesis("facility_flow_low", "primary_pump", "frac", 0.0, 0.7, 0.015),
    ]
    if "rejection_fan_power_w" in there:
        made.append(Hypothesis("rejection_degraded", "rejection", "frac", 0.0, 0.7, 0.04))
        # A tired tower that still holds its set point looks much like a meter that reads high, and is far commoner.
        made.append(Hypothesis("sensor_gain", "sensor:rejection_fan_power_w", "frac", -0.5, 0.5, 0.02, rarity=10.0))
    for name in TEMPERATURES:
        made.append(Hypothesis("sensor_bias", f"sensor:{name}", "K", -5.0, 5.0, 0.08))
    for name in ("primary_flow_kg_s", "secondary_flow_kg_s", "heat_w", "pump_power_w"):
        if name in there:
            made.append(Hypothesis("sensor_gain", f"sensor:{name}", "frac", -0.5, 0.5, 0.015))
    return made


def _corrected(loop: Loop, acting: Sequence[Acting]) -> tuple[dict[str, FloatArray], FloatArray]:
    """Return readings with sensor faults undone, and the shifts that undo machine faults, shape (features, n)."""
    raw = dict(loop.raw)
    shift = np.zeros((len(FEATURES), len(loop.seconds)))
    for act in acting:
        kind, size, weight = act.hypothesis.kind, act.size, act.weight
        sensor = act.hypothesis.object.removeprefix("sensor:")
        if kind == "sensor_bias":
            raw[sensor] = raw[sensor] - size * weight
        elif kind == "sensor_gain":
            # The size is the share that the reading is low.
            raw[sensor] = raw[sensor] / (1 - size * weight)
        elif kind == "fouling":
            shift[5] -= np.log1p(-size * weight)
        elif kind == "facility_flow_low":
            shift[0] -= np.log1p(-size * weight)
        elif kind == "pump_wear":
            # Flow and head fall along the system's curve, the motor draws half of what the flow lost less.
            shift[1] -= np.log1p(-size * weight)
            shift[2] -= np.log1p(-0.5 * size * weight) - 3 * np.log1p(-size * weight)
        elif kind == "rejection_degraded":
            shift[7] -= np.log1p(-size * weight)
            shift[8] -= _more_fan(loop, size * weight)
    return raw, shift


def _more_fan(loop: Loop, size: FloatArray) -> FloatArray:
    """Return the logarithm by which fans draw more while they still hold the set point with less air and surface."""
    if loop.fan_law_w is None:
        return np.zeros(len(loop.seconds))
    if "variable" in loop.design.rejection_kind.lower():
        # Less air at each speed: faster by 1/(1-s), power with its cube, from a fan that is smaller by (1-s).
        return -2 * np.log1p(-size)
    # A fan that cycles runs longer by as much as it is smaller; only what the tower sheds without it is lost on top.
    free = ASSUMED_FREE_CONVECTION_FRAC if "tower" in loop.design.rejection_kind.lower() else 0.0
    rated = loop.design.fan_rated_w or float(np.nanmax(loop.raw["rejection_fan_power_w"]))
    return np.log1p(rated * free / (1 - free) * size / loop.fan_law_w)


def _heat(loop: Loop, raw: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the heat of the primary side, of the secondary side and by the meter (with the pump's) [W]."""
    cp_p, cp_s = loop.heat_capacity
    primary = raw["primary_flow_kg_s"] * cp_p * (raw["primary_return_degc"] - raw["primary_supply_degc"])
    secondary = raw["secondary_flow_kg_s"] * cp_s * (raw["secondary_return_degc"] - raw["secondary_supply_degc"])
    if "heat_w" not in raw:
        return primary, secondary, np.full(len(primary), np.nan)
    pump = raw.get("pump_power_w", 0.0)
    return primary, secondary, raw["heat_w"] + loop.design.pump_heat_frac * pump


def _log(values: FloatArray) -> FloatArray:
    return np.log(np.where(values > 0, values, np.nan))


def conductance_w_per_k(raw: Mapping[str, FloatArray], heat_w: FloatArray) -> FloatArray:
    """Return heat over the log-mean temperature difference of a counterflow exchanger [W/K], NaN where none is left."""
    warm = raw["secondary_return_degc"] - raw["primary_return_degc"]
    cold = raw["secondary_supply_degc"] - raw["primary_supply_degc"]
    good = (warm > 0) & (cold > 0) & (heat_w > 0)
    warm, cold = np.where(good, warm, 1.0), np.where(good, cold, 1.0)
    ratio = warm / cold
    near = np.abs(ratio - 1) < 1e-3
    mean = np.where(near, 0.5 * (warm + cold), (warm - cold) / np.where(near, 1.0, np.log(ratio)))
    return np.where(good, heat_w / mean, np.nan)


def film_factor(primary_frac: FloatArray, secondary_frac: FloatArray, exponent: float) -> FloatArray:
    """Return the conductance at part flow over that at full flows: two equal films in series."""
    flowing = (primary_frac > MIN_UNITS_OF_FLOW) & (secondary_frac > MIN_UNITS_OF_FLOW)
    p, s = np.where(flowing, primary_frac, 1.0), np.where(flowing, secondary_frac, 1.0)
    return np.where(flowing, 1 / (0.5 * p**-exponent + 0.5 * s**-exponent), np.nan)


def _fan_terms(loop: Loop, raw: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return what fan power depends on (effectiveness asked, outdoor temperature, heat), and its logarithm's duty."""
    outdoor = raw.get("wet_bulb_degc") if "tower" in loop.design.rejection_kind.lower() else raw.get("dry_bulb_degc")
    if outdoor is None:
        outdoor = raw.get("wet_bulb_degc", raw.get("dry_bulb_degc"))
    n = len(loop.seconds)
    if outdoor is None or "rejection_fan_power_w" not in raw:
        return np.full((4, n), np.nan), np.full(n, np.nan)
    span = raw["primary_return_degc"] - outdoor
    asked = (raw["primary_return_degc"] - raw["primary_supply_degc"]) / np.where(span > 0.5, span, np.nan)
    return np.array([np.ones(n), asked, asked**2, outdoor]), _log(raw["rejection_fan_power_w"])


def _at_its_end(loop: Loop, raw: Mapping[str, FloatArray]) -> NDArray[np.bool_]:
    """Whether the rejection runs at its end: the supply stands above its set point and the fan is on."""
    if loop.design.set_point_degc is None or "rejection_fan_power_w" not in raw:
        return np.zeros(len(loop.seconds), dtype=bool)
    over = raw["primary_supply_degc"] - loop.design.set_point_degc
    rated = loop.design.fan_rated_w or float(np.nanmax(loop.raw["rejection_fan_power_w"]))
    with np.errstate(invalid="ignore"):
        return (over > SETTLED_K) & (raw["rejection_fan_power_w"] > 0.3 * rated)


def loop_features(loop: Loop, acting: Sequence[Acting] = ()) -> FloatArray:
    """Return the features of a loop with faults undone, shape (len(FEATURES), n)."""
    raw, shift = _corrected(loop, acting)
    n = len(loop.seconds)
    primary, secondary, metered = _heat(loop, raw)
    base = metered if np.isfinite(metered).any() else secondary
    features = np.full((len(FEATURES), n), np.nan)
    if loop.steady[0]:
        features[0] = _log(raw["primary_flow_kg_s"] / (loop.full_primary_kg_s * loop.primary_level))
    if loop.steady[1]:
        features[1] = _log(raw["secondary_flow_kg_s"] / (loop.full_secondary_kg_s * loop.secondary_level))
    if "pump_power_w" in raw:
        features[2] = _log(raw["pump_power_w"] / loop.full_pump_w) - 3 * _log(
            raw["secondary_flow_kg_s"] / loop.full_secondary_kg_s
        )
    if np.isfinite(metered).any():
        features[3], features[4] = _log(primary / metered), _log(secondary / metered)
    else:
        features[3] = _log(primary / secondary)
    factor = film_factor(
        raw["primary_flow_kg_s"] / loop.full_primary_kg_s,
        raw["secondary_flow_kg_s"] / loop.full_secondary_kg_s,
        loop.film_exponent,
    )
    features[5] = _log(conductance_w_per_k(raw, base) / factor)
    ended = _at_its_end(loop, raw)
    if loop.design.set_point_degc is not None:
        over = raw["primary_supply_degc"] - loop.design.set_point_degc
        # At its end the rejection lets go of the set point: that says nothing of the sensor.
        busy = ended
        if "rejection_fan_power_w" in raw:
            rated = loop.design.fan_rated_w or float(np.nanmax(loop.raw["rejection_fan_power_w"]))
            with np.errstate(invalid="ignore"):
                busy = ended & (raw["rejection_fan_power_w"] > 0.6 * rated)
                busy |= raw["rejection_fan_power_w"] > 0.93 * rated
        features[6] = np.where(busy, np.nan, over)
    if "rejection_fan_power_w" in raw and loop.design.fan_rated_w:
        corrected = raw["rejection_fan_power_w"] / loop.raw["rejection_fan_power_w"]
        features[7] = np.where(ended, _log(loop.end_fan_w * corrected / loop.design.fan_rated_w), np.nan)
    if loop.fan_law is not None and loop.fan_range is not None:
        terms, power = _fan_terms(loop, raw)
        inside = np.all((terms[1:] >= loop.fan_range[:, :1]) & (terms[1:] <= loop.fan_range[:, 1:]), axis=0)
        features[8] = np.where(inside, power - loop.fan_law @ terms, np.nan)
    return _as_learned(features + shift, acting)


def _as_learned(features: FloatArray, acting: Sequence[Acting]) -> FloatArray:
    """Leave the fan law out where the primary flow is not the one that it was learned at."""
    for act in acting:
        if act.hypothesis.kind == "facility_flow_low":
            features[8, act.weight > 0] = np.nan
    return features


def feature_function(loop: Loop) -> Callable[[Sequence[Acting]], FloatArray]:
    """Return `loop_features` of a loop, quick where only machine faults act: those shift what was computed once."""
    plain = loop_features(loop)

    def features(acting: Sequence[Acting]) -> FloatArray:
        if any(act.hypothesis.object.startswith("sensor:") for act in acting):
            return loop_features(loop, acting)
        return _as_learned(plain + _corrected(loop, acting)[1], acting)

    return features


def loop_of(rows: Rows, design: Design, train: NDArray[np.bool_]) -> Loop:
    """Average a record into bins, and learn its stages, film exponent and fan law from the healthy part."""
    step = float(np.median(np.diff(rows.seconds)))
    bin_s = max(BIN_S, 6 * step)
    seconds, raw, trained = _binned(rows, train, bin_s)
    if trained.sum() < 24:
        raise ValueError(
            f"{rows.name}: {int(trained.sum())} bins of {bin_s / 3600:g} h are healthy training; 24 or more are needed"
        )
    flows = raw["primary_flow_kg_s"], raw["secondary_flow_kg_s"]
    low = design.low_stage_frac or 1.0
    levels, full, steady = [], [], []
    pump_w = design.pump_rated_w or (
        float(np.nanpercentile(raw["pump_power_w"][trained], 90)) if "pump_power_w" in raw else 1.0
    )
    for flow, stated, side in zip(
        flows, (design.primary_flow_kg_s, design.secondary_flow_kg_s), ("primary", "secondary"), strict=True
    ):
        own = flow[trained]
        top = float(np.nanpercentile(own, 90))
        reference = stated or top
        staged = low if _is_staged(design.flow_control, side) else 1.0
        share = np.nan_to_num(flow / reference, nan=1.0)
        level = np.where(_off(share, staged) < _off(share, 1.0), staged, 1.0)
        if side == "secondary" and "pump_power_w" in raw and staged < 1.0:
            # The pump's power tells a low stage from a full one that lost flow.
            drawn = np.nan_to_num(raw["pump_power_w"] / pump_w, nan=1.0)
            at_low = _off(share, staged) + _off(drawn, staged**3)
            level = np.where(at_low < _off(share, 1.0) + _off(drawn, 1.0), staged, 1.0)
        spread = np.nanstd(np.log(np.maximum(own / (reference * level[trained]), 1e-6)))
        levels.append(level)
        full.append(reference)
        steady.append(bool(spread < 0.03))
    coolants = coolant_by_name(design.coolant_primary), coolant_by_name(design.coolant_secondary)
    capacities = [
        coolant.heat_capacity(np.nan_to_num(0.5 * (raw[f"{side}_supply_degc"] + raw[f"{side}_return_degc"]), nan=usual))
        for side, coolant, usual in zip(("primary", "secondary"), coolants, (25.0, 30.0), strict=True)
    ]
    loop = Loop(
        seconds,
        raw,
        trained,
        design,
        coolants[0],
        coolants[1],
        levels[0],
        levels[1],
        full[0],
        full[1],
        pump_w,
        ASSUMED_FILM_EXPONENT,
        None,
        None,
        None,
        _end_fan_w(rows, design, bin_s),
        (capacities[0], capacities[1]),
        (steady[0], steady[1]),
        bin_s,
    )
    return _with_fan_law(loop)


def _off(share: FloatArray, level: float) -> FloatArray:
    """Return how far a share is from a level, as a ratio."""
    return np.abs(np.log(np.maximum(share, 1e-3) / level))


def _is_staged(flow_control: str, side: str) -> bool:
    """Whether a side's flow has two levels, as the design's text says ("secondary two-level …, primary constant")."""
    for part in flow_control.lower().replace(";", ",").split(","):
        if side in part or "both" in part:
            return "two" in part or "stage" in part or "level" in part
    return False


def _with_fan_law(loop: Loop) -> Loop:
    kind = loop.design.rejection_kind.lower()
    if "two-speed" in kind and "tower" not in kind:
        return loop  # fans that jump between two speeds follow no smooth law of the need
    terms, power = _fan_terms(loop, loop.raw)
    usable = loop.train & np.isfinite(terms).all(axis=0) & np.isfinite(power)
    if usable.sum() < 60:
        return loop
    law = np.asarray(np.linalg.lstsq(terms[:, usable].T, power[usable], rcond=None)[0], dtype=np.float64)
    ends = np.percentile(terms[1:, usable], [2, 98], axis=1).T
    return replace(loop, fan_law=law, fan_range=ends, fan_law_w=np.exp(np.nan_to_num(law @ terms, nan=np.inf)))


def _binned(
    rows: Rows, train: NDArray[np.bool_], bin_s: float
) -> tuple[FloatArray, dict[str, FloatArray], NDArray[np.bool_]]:
    """Average rows into bins; a bin with less than half its rows is left out."""
    index = np.floor((rows.seconds - rows.seconds[0]) / bin_s).astype(np.intp)
    n = int(index[-1]) + 1
    step = float(np.median(np.diff(rows.seconds)))
    least = 0.5 * bin_s / step
    raw = {}
    for name, values in rows.values.items():
        good = np.isfinite(values)
        count = np.bincount(index[good], minlength=n)
        total = np.bincount(index[good], values[good], minlength=n)
        raw[name] = np.where(count >= least, total / np.maximum(count, 1), np.nan)
    held = np.bincount(index[~train], minlength=n) > 0
    present = np.bincount(index, minlength=n) > 0
    seconds = rows.seconds[0] + (np.arange(n) + 0.5) * bin_s
    return seconds[present], {name: values[present] for name, values in raw.items()}, ~held[present]


def _end_fan_w(rows: Rows, design: Design, bin_s: float) -> FloatArray:
    """Return the mean fan power of a bin's rows at the rejection's end, NaN where fewer than two are.

    A row counts where its neighbours stand above the set point as well: a fan that came on within a row, or a bin, has
    not run at its end all of it.
    """
    index = np.floor((rows.seconds - rows.seconds[0]) / bin_s).astype(np.intp)
    n = int(index[-1]) + 1
    present = np.bincount(index, minlength=n) > 0
    fan = rows.values.get("rejection_fan_power_w")
    if fan is None or design.set_point_degc is None:
        return np.full(int(present.sum()), np.nan)
    with np.errstate(invalid="ignore"):
        over = rows.values["primary_supply_degc"] - design.set_point_degc > SETTLED_K
    whole = over & np.r_[False, over[:-1]] & np.r_[over[1:], False] & np.isfinite(fan)
    count = np.bincount(index[whole], minlength=n)
    total = np.bincount(index[whole], fan[whole], minlength=n)
    return np.where(count >= 2, total / np.maximum(count, 1), np.nan)[present]


def fit_conductance(loop: Loop, healthy: NDArray[np.bool_]) -> Fit:
    """Fit conductance at full flows and film exponent to the healthy bins."""
    raw = loop.raw
    primary, secondary, metered = _heat(loop, raw)
    heat = metered if np.isfinite(metered).any() else secondary
    measured = _log(conductance_w_per_k(raw, heat))[healthy]
    p = (raw["primary_flow_kg_s"] / loop.full_primary_kg_s)[healthy]
    s = (raw["secondary_flow_kg_s"] / loop.full_secondary_kg_s)[healthy]
    typical = float(np.nanmedian(np.exp(measured - np.log(film_factor(p, s, ASSUMED_FILM_EXPONENT)))))
    if not np.isfinite(typical):
        raise ValueError("the healthy rows hold no bin with heat and a temperature difference on both ends")
    noise = max(float(np.nanstd(np.diff(measured)) / np.sqrt(2)), 1e-4)
    stated = loop.design.ua_w_per_k
    # A maker's sheet is good to some 15 %; without one the data stand alone.
    ua = Parameter(
        "ua_w_per_k", "W/K", stated or typical, 0.15 if stated else 2.0, typical / 20, typical * 20, logarithmic=True
    )
    exponent = Parameter("film_exponent", "-", ASSUMED_FILM_EXPONENT, ASSUMED_FILM_EXPONENT_SIGMA, 0.3, 1.0)

    def residuals(values: Mapping[str, float]) -> FloatArray:
        law = np.log(values["ua_w_per_k"]) + np.log(film_factor(p, s, values["film_exponent"]))
        return (measured - law) / noise

    at_start = residuals({"ua_w_per_k": typical, "film_exponent": ASSUMED_FILM_EXPONENT})
    wander = at_start[np.isfinite(at_start)]
    r = float(np.clip(np.corrcoef(wander[:-1], wander[1:])[0, 1], 0, 0.95)) if wander.size > 10 else 0.0
    return fit_map([ua, exponent], residuals, samples_per_independent=(1 + r) / (1 - r), profile=["ua_w_per_k"])


def with_discrepancy(estimate: Estimate, loop: Loop, healthy: NDArray[np.bool_]) -> Estimate:
    """Widen a conductance's interval by what pairs of sensors and meters still differ by after commissioning."""
    raw = {name: values[healthy] for name, values in loop.raw.items()}
    capacity = loop.heat_capacity[0][healthy], loop.heat_capacity[1][healthy]
    heat = _heat(replace(loop, raw=raw, seconds=loop.seconds[healthy], heat_capacity=capacity), raw)
    base = heat[2] if np.isfinite(heat[2]).any() else heat[1]
    at = _log(conductance_w_per_k(raw, base))
    variance = ASSUMED_GAIN_SIGMA**2
    for name in ("secondary_supply_degc", "secondary_return_degc"):
        moved = _log(conductance_w_per_k({**raw, name: raw[name] + ASSUMED_PAIR_SIGMA_K}, base))
        variance += float(np.nanmedian(moved - at)) ** 2
    half = np.sqrt((0.5 * np.log(estimate.high / estimate.low)) ** 2 + Z_OF_INTERVAL**2 * variance)
    low, high = estimate.value * np.exp(-half), estimate.value * np.exp(half)
    return Estimate(
        estimate.name, estimate.unit, estimate.before, estimate.value, low, high, estimate.identifiable, estimate.reason
    )


def predicted_temperatures(
    loop: Loop, ua_w_per_k: float, exponent: float, raw: Mapping[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Predict the supply to the racks and the water going back [degC] from what enters the exchanger."""
    n = len(loop.seconds)
    cold_in, hot_in = raw["primary_supply_degc"], raw["secondary_return_degc"]
    cold = raw["primary_flow_kg_s"] * loop.primary.heat_capacity(np.nan_to_num(cold_in, nan=25.0))
    hot = raw["secondary_flow_kg_s"] * loop.secondary.heat_capacity(np.nan_to_num(hot_in, nan=30.0))
    factor = film_factor(
        raw["primary_flow_kg_s"] / loop.full_primary_kg_s,
        raw["secondary_flow_kg_s"] / loop.full_secondary_kg_s,
        exponent,
    )
    supply, back = np.full(n, np.nan), np.full(n, np.nan)
    for i in np.flatnonzero(np.isfinite(cold * hot * factor * (hot_in - cold_in))):
        heat = conductance_scalar(ua_w_per_k * factor[i], hot[i], cold[i]) * (hot_in[i] - cold_in[i])
        supply[i], back[i] = hot_in[i] - heat / hot[i], cold_in[i] + heat / cold[i]
    return supply, back


def calibrate_cdu(
    table: Table,
    named: Mapping[str, str],
    design_row: Mapping[str, str] | None,
    *,
    train_until: float | None = None,
    train_frac: float | None = None,
) -> Answer:
    """Calibrate a CDU loop on its healthy days and name what went wrong since.

    Parameters
    ----------
    table : Table
        Readings, one row per interval; see `QUANTITIES`.
    named : mapping
        Columns by quantity, where they are called otherwise.
    design_row : mapping, optional
        What the operator knows, see `DESIGN_COLUMNS`.
    train_until, train_frac : float, optional
        End of the part that is taken for healthy: a time, or a share of the rows (a third where neither is given).

    Returns
    -------
    Answer
        `ua_w_per_k` is that of all days before the first fault.
    """
    rows = component_rows(table, named, QUANTITIES, NEEDED, SENSE, COLUMN_NAMES)
    design = design_of(design_row or {})
    train = training_rows(rows, train_until, train_frac if train_frac or train_until else TRAIN_FRAC)
    loop = loop_of(rows, design, train)
    # The exponent first: stages of the flow must not look like fouling.
    first = fit_conductance(loop, loop.train)
    loop = replace(loop, film_exponent=first.values["film_exponent"])
    baseline = _baseline(loop)
    found = find_faults(
        loop.seconds,
        feature_function(loop),
        hypotheses_of(loop),
        baseline,
        earliest_s=float(loop.seconds[loop.train].max()),
    )
    since = min((fault.since_s for fault in found), default=np.inf)
    healthy = loop.seconds < since - loop.binned
    fit = fit_conductance(loop, healthy)
    estimates = [
        with_discrepancy(fit["ua_w_per_k"], loop, healthy) if estimate.name == "ua_w_per_k" else estimate
        for estimate in fit.estimates
    ]
    parameters = [parameter_row("cdu", estimate) for estimate in estimates]
    if design.ua_w_per_k:
        ua = estimates[0]
        parameters.append(
            parameter_row(
                "cdu",
                Estimate(
                    "ua_frac",
                    "frac",
                    1.0,
                    ua.value / design.ua_w_per_k,
                    ua.low / design.ua_w_per_k,
                    ua.high / design.ua_w_per_k,
                    ua.identifiable,
                    ua.reason or "over what the maker states",
                ),
            )
        )
    # Held out: after the training part and before the first fault; the calibration of those rows is their own.
    trained = fit_conductance(loop, loop.train)
    supply, back = predicted_temperatures(loop, trained.values["ua_w_per_k"], trained.values["film_exponent"], loop.raw)
    counted = {
        "secondary_supply_degc": scores.scored(
            "secondary_supply_degc", np.where(healthy, loop.raw["secondary_supply_degc"], np.nan), supply, loop.train
        ),
        "primary_return_degc": scores.scored(
            "primary_return_degc", np.where(healthy, loop.raw["primary_return_degc"], np.nan), back, loop.train
        ),
    }
    return Answer(
        counted,
        parameters,
        [fault_row(rows, fault) for fault in found],
        [_drift(loop, healthy)],
        _coverage(loop, healthy),
        list(rows.times.findings),
        rows.columns,
    )


def _baseline(loop: Loop) -> Baseline:
    features = loop_features(loop)
    baseline = baseline_of(features, loop.train, LEAST_SIGMA)
    # What the design states, not the record, is where a fan's end and a held set point stand.
    mean = baseline.mean.copy()
    for i in (6, 7):
        if np.isfinite(features[i, loop.train]).sum() < 12:
            mean[i] = 0.0
    per = baseline.per_independent.copy()
    per[8] = max(per[8], FAN_LAW_PER_INDEPENDENT)
    return Baseline(mean, baseline.sigma, per)


def fault_row(rows: Rows, one: Found) -> dict[str, Any]:
    """Return a fault as the answer lists it."""
    kind, size = one.hypothesis.kind, one.size
    detail = _SENTENCES[kind](one)
    low, high = one.low, one.high
    direction = ""
    if kind == "sensor_gain":
        direction = "reads low" if size > 0 else "reads high"
        if size < 0:
            size, low, high = -size, -high, -low
    return {
        "kind": kind,
        "object": one.hypothesis.object,
        "since": rows.times.iso(one.since_s),
        "size": size,
        "low": low,
        "high": high,
        "score": one.score,
        "unit": one.hypothesis.unit,
        "form": one.form,
        "full_since": rows.times.iso(one.full_since_s),
        "direction": direction,
        "margin": one.margin,
        "evidence": detail,
    }


_SENTENCES = {
    "fouling": lambda one: f"conductance fell by {one.size:.1%} at equal flows; all heat balances still close",
    "pump_wear": lambda one: (
        f"secondary flow fell by {one.size:.1%} and the balances still close: the flow is gone, not its meter;"
        " the pump draws more than the cube of its flow"
    ),
    "facility_flow_low": lambda one: (
        f"primary flow fell by {one.size:.1%} and the primary balance still closes: the flow is gone, not its meter"
    ),
    "rejection_degraded": lambda one: f"fans at their end draw {one.size:.1%} less than rated and lose the set point",
    "sensor_bias": lambda one: f"{_sensor(one)} reads {one.size:+.2f} K off: only the balances that it is in broke",
    "sensor_gain": lambda one: (
        f"{_sensor(one)} reads {abs(one.size):.1%} {'low' if one.size > 0 else 'high'}:"
        " only the balances that it is in broke"
    ),
}


def _sensor(one: Found) -> str:
    return one.hypothesis.object.removeprefix("sensor:")


def _drift(loop: Loop, healthy: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the yearly drift of the conductance over the healthy bins, relative."""
    years = (loop.seconds[healthy] - loop.seconds[0]) / (365.25 * 86_400)
    values = loop_features(loop)[5][healthy]
    return {"parameter": "ua_w_per_k"} | relative_slope(years, values)


def relative_slope(years: FloatArray, values: FloatArray) -> dict[str, Any]:
    """Return the slope per year of values with its 90 % interval, widened by what neighbours repeat."""
    good = np.isfinite(values)
    if good.sum() < 24:
        return {"per_year": None, "low": None, "high": None}
    x, y = years[good] - years[good].mean(), values[good]
    slope = float(np.sum(x * y) / np.sum(x * x))
    left = y - y.mean() - slope * x
    r = float(np.clip(np.corrcoef(left[:-1], left[1:])[0, 1], 0, 0.98))
    sigma = float(np.sqrt(np.sum(left**2) / max(left.size - 2, 1) / np.sum(x * x) * (1 + r) / (1 - r)))
    return {"per_year": slope, "low": slope - Z_OF_INTERVAL * sigma, "high": slope + Z_OF_INTERVAL * sigma}


def _coverage(loop: Loop, healthy: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return how the heat of both sides stands to the meter, over the healthy bins."""
    primary, secondary, metered = _heat(loop, loop.raw)
    sections = []
    against = ("heat_w + pump heat", metered) if np.isfinite(metered).any() else ("secondary heat", secondary)
    for name, values in (
        ("primary flow x temperature difference", primary),
        ("secondary flow x temperature difference", secondary),
    ):
        both = healthy & np.isfinite(values) & np.isfinite(against[1])
        if both.any() and values is not against[1]:
            sections.append(
                {"sum_of": name, "meter": against[0], "ratio": float(values[both].sum() / against[1][both].sum())}
            )
    return sections
