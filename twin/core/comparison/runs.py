"""A finished run as comparisons read it."""

from collections.abc import Mapping
from dataclasses import dataclass

from twin.core.inputs.layout import LayoutInputs
from twin.core.results.details import RunDetails


@dataclass(frozen=True, slots=True, eq=False)
class ComparedRun:
    """A finished run; `bands` are [low, high] of the figures that have one."""

    id: str
    name: str
    figures: Mapping[str, float | None]
    bands: Mapping[str, list[float]]
    details: RunDetails
    inputs: LayoutInputs
