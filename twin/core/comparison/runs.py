"""A finished run as comparisons read it."""

from collections.abc import Mapping
from dataclasses import dataclass

from twin.core.comparison.standing import blocking_reasons, missed_targets, served_pairs
from twin.core.inputs.layout import LayoutInputs
from twin.core.results.details import RunDetails
from twin.core.results.findings import run_findings


@dataclass(frozen=True, slots=True, eq=False)
class ComparedRun:
    """A finished run; `bands` are [low, high] of the figures that have one."""

    id: str
    name: str
    figures: Mapping[str, float | None]
    bands: Mapping[str, list[float]]
    details: RunDetails
    inputs: LayoutInputs

    @property
    def blocked(self) -> tuple[str, ...]:
        """Why it cannot be built as drawn."""
        return blocking_reasons((*self.details.findings, *run_findings(self.details)))

    @property
    def misses(self) -> tuple[str, ...]:
        """Latency targets that it misses."""
        return missed_targets(self.details.per_workload)

    @property
    def served(self) -> frozenset[tuple[str, str]]:
        """Accelerators and models."""
        return served_pairs(self.details.per_workload)
