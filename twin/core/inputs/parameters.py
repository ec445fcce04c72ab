"""Parameters of equipment and sensors that differ from the description: which there are, of what, and in which range.

Names and ranges only, so that a file can be checked without a solver; `twin.core.solve.as_operated` applies them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twin.core.inputs.layout import CduRow, FeedRow, HallRow, LayoutInputs, PlantRow

# Parameters that are applied, with the kinds of object (of feeds: of feed) that have them; those of sensors by point.
APPLIED: Mapping[str, tuple[str, ...]] = {
    "sensor_bias": (),
    "sensor_gain": (),
    "ua_frac": ("cdu",),
    "pump_efficiency_frac": ("cdu",),
    "fan_power_frac": ("hall", "plant"),
    "containment_leakage_frac": ("hall",),
    "ups_loss_frac": ("ups",),
    "transformer_loss_frac": ("transformer",),
}
LEAST_RATIO, MOST_RATIO = 0.01, 100.0  # of a described value; a fit finds 0.3 to 2, and fits are put on top of fits
_KINDS = {"cdu": ("cdu", "cdu-group"), "ups": ("feed",), "transformer": ("feed",)}  # as names of objects begin


@dataclass(frozen=True, slots=True)
class Truth:
    """A parameter of an object that differs from the description; `object` as on the wire, of a sensor its point."""

    object: str
    parameter: str
    value: float

    @property
    def name(self) -> str:
        """Object and parameter, as `cdu/CDU-1 ua_frac`."""
        return f"{self.object} {self.parameter}"


def truth_named(name: str, value: float) -> Truth:
    """Return what a name with object and parameter, and a value, say."""
    where, _, parameter = name.rpartition(" ")
    return Truth(where, parameter, value)


def refusal(truth: Truth) -> str | None:
    """Return what is wrong with a parameter that a file names, whatever the layout; None where it can be applied."""
    if truth.parameter not in APPLIED:
        return f"names the parameter {truth.parameter!r}; must be one of {', '.join(APPLIED)}, after its object"
    kinds = [begin for kind in APPLIED[truth.parameter] for begin in _KINDS.get(kind, (kind,))]
    if kinds and truth.object.partition("/")[0] not in kinds:
        return f"names {truth.object!r}; {truth.parameter} is of {' or '.join(f'{kind}/NAME' for kind in kinds)}"
    if truth.parameter != "sensor_bias" and not LEAST_RATIO <= truth.value <= MOST_RATIO:
        return f"has the value {truth.value:g}; must be {LEAST_RATIO:g} to {MOST_RATIO:g} times the described one"
    return None


def calibrated(inputs: LayoutInputs) -> list[Truth]:
    """Return the parameters that were accepted for a layout."""
    return [truth_named(row.name, row.value) for row in inputs.calibrated]


def without_object(inputs: LayoutInputs) -> list[Truth]:
    """Return the accepted parameters whose object the layout no longer has: they are not applied."""
    there = calibrated_objects(inputs)
    return [truth for truth in calibrated(inputs) if truth.object.partition("|")[0] not in there]


def composed(before: float, parameter: str, fitted: float) -> float:
    """Return the value of a parameter after a second fit, made on top of an accepted one, is accepted too.

    Parameters
    ----------
    before : float
        Accepted before.
    parameter : str
        Its name, which says whether fits multiply or add.
    fitted : float
        What the second fit found.
    """
    return before + fitted if parameter == "sensor_bias" else before * fitted


def calibrated_objects(inputs: LayoutInputs) -> set[str]:
    """Return the objects of a layout that parameters are applied to, as on the wire."""
    parts: dict[str, Sequence[HallRow | PlantRow | CduRow | FeedRow]] = {
        "hall": inputs.halls,
        "plant": inputs.plants,
        "cdu": inputs.cdus,
        "feed": inputs.feeds,
    }
    groups = {f"cdu-group/{cdu.group}" for cdu in inputs.cdus}
    return groups | {f"{kind}/{row.name}" for kind, rows in parts.items() for row in rows}
