"""A layout's parameters fitted to readings that were looked at for faults first.

A fault that begins inside the span, or that no fitted parameter stands for, would be spread over parameters that have
nothing wrong: such a fit is shown and not accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from twin.core.solved import Described, Progress
from twin.core.telemetry.compare import Columns
from twin.core.telemetry.fitted import DEFAULT, LayoutFit
from twin.core.telemetry.layout_faults import LayoutFault, diagnose_layout
from twin.core.telemetry.layout_fit import fit_layout
from twin.core.telemetry.quantities import SENSOR_FAULTS

#: The parameter that a lasting fault of a kind is fitted by.
FITTED_BY: Mapping[str, str] = {
    "sensor_bias": "sensor_bias",
    "sensor_gain": "sensor_gain",
    "fouling": "ua_frac",
    "pump_wear": "pump_efficiency_frac",
    "ups_degraded": "ups_loss_frac",
}
#: Kinds of object whose points tell a parameter: a fault elsewhere does not touch the fit.
TOLD_BY: Mapping[str, tuple[str, ...]] = {
    "sensor_bias": ("cdu",),
    "sensor_gain": ("cdu",),
    "ua_frac": ("cdu", "cdu-group", "plant"),
    "pump_efficiency_frac": ("cdu", "cdu-group", "plant"),
    "fan_power_frac": ("hall", "air-unit", "plant"),
    "containment_leakage_frac": ("hall", "air-unit"),
    "ups_loss_frac": ("feed", "site"),
    "transformer_loss_frac": ("feed", "site"),
}


def fit_diagnosed(
    year: Described,
    measured: Mapping[tuple[str, str], Columns],
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
    parameters: Sequence[str] = DEFAULT,
    progress: Progress = lambda stage, frac: None,
) -> LayoutFit:
    """Fit a layout's parameters as `fit_layout` does, and refuse where the same readings show a fault in the way.

    Raises
    ------
    ValueError
        As `fit_layout`.
    """
    span = {"start_s": start_s, "end_s": end_s, "offset_s": offset_s}
    fit = fit_layout(year, measured, **span, parameters=parameters, progress=lambda s, f: progress(s, 0.5 * f))
    try:
        faults = diagnose_layout(year, measured, **span, progress=lambda s, f: progress(s, 0.5 + 0.5 * f))
    except ValueError:
        return fit  # too few readings to tell a fault: the times held out judge alone
    rows = tuple(fault.row for fault in faults)
    refusal = next((text for text in (in_the_way(fault, parameters) for fault in faults) if text), None)
    if refusal is None:
        return replace(fit, faults=rows)
    return replace(fit, faults=rows, accepted=False, reason=f"refused: {refusal}")


def in_the_way(fault: LayoutFault, parameters: Sequence[str]) -> str | None:
    """Return why a fit over a fault means nothing; None where it does not touch the fit, or is fitted itself."""
    kind, name = fault.row["kind"], fault.row["object"]
    begins = name.partition("/")[0].partition("|")[0]
    if all(begins not in TOLD_BY[parameter] for parameter in parameters):
        return None
    if begins == "plant" and kind in SENSOR_FAULTS:
        return None  # what a plant does reaches CDUs, what its meters say does not
    what = f"the readings show {kind} of {name}"
    if not fault.lasting:
        return f"{what} since {fault.row['since']}; calibrate on a span before it, or once it is repaired"
    parameter = FITTED_BY.get(kind)
    if kind == "sensor_gain" and name.endswith("_degc"):
        parameter = "sensor_bias"  # a steady temperature does not tell them apart
    if parameter is None:
        return f"{what}, which no fitted parameter stands for; repair it, or describe it, and calibrate then"
    if parameter not in parameters:
        return f"{what}, and {parameter} is not fitted; name it among the parameters"
    return None
