"""Availability as a run keeps it: groups of parts that back each other up, levels of capacity, single failures."""

import numpy as np

from power_cooling.availability.solve import ASSUMED_INTERRUPTION_FRAC
from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from twin.core.failures.components import Component
from twin.core.failures.uptime import Uptime, group_text
from twin.core.results.details import AvailabilityNote, CapacityLevel, FailureRow, GroupRow
from twin.core.text.numbers import quantity_text

N_SHOWN_LEVELS = 12  # of capacity, in the distribution that a run keeps


def availability(uptime: Uptime, output_tokens_per_year: float, judged_in: str) -> AvailabilityNote:
    """Return what a run keeps of its uptime, groups that cost most first."""
    groups = [
        *_groups(uptime, output_tokens_per_year),
        *(
            GroupRow(
                name=loss.name,
                availability_frac=1 - loss.lost_frac,
                planned_h_per_year=loss.lost_frac * HOURS_PER_YEAR if loss.is_planned else None,
                lost_tokens_per_year=float(loss.lost_frac * output_tokens_per_year),
            )
            for loss in uptime.serving_losses
        ),
    ]
    return AvailabilityNote(
        groups=tuple(sorted(groups, key=lambda row: -row.lost_tokens_per_year)),
        lost_tokens_per_year=float((1 - uptime.availability_frac) * output_tokens_per_year),
        lost_tokens_p95_per_year=float(uptime.years.lost_h_p95 / HOURS_PER_YEAR * output_tokens_per_year),
        planned_lost_tokens_per_year=float(
            uptime.long_run.planned_lost_h_per_year / HOURS_PER_YEAR * output_tokens_per_year
        ),
        repair_crews=uptime.repair_crews or None,
        standard_error_frac=float(uptime.years.standard_error_frac),
        drawn_availability_frac=float(uptime.years.availability_frac),
        n_years_drawn=int(uptime.years.lost_h.size),
        interruptions_per_year=float(uptime.long_run.interruptions_per_year),
        mean_interruption_h=float(uptime.long_run.mean_interruption_h),
        interruption_frac=ASSUMED_INTERRUPTION_FRAC,
        unexplored_frac=float(uptime.long_run.unexplored_frac),
        minor_lost_frac=uptime.minor_lost_frac,
        capacity_distribution=capacity_distribution(uptime),
        n_states=len(uptime.states),
        weather=f"each state at the busiest hour's load in the {judged_in}",
    )


def _groups(uptime: Uptime, output_tokens_per_year: float) -> list[GroupRow]:
    """Return the groups of components, in the order of their first component."""
    members: dict[tuple[str, str], list[int]] = {}
    for i, component in enumerate(uptime.components):
        members.setdefault((component.kind, component.group), []).append(i)
    left = np.ones(len(uptime.components))  # after the worst single failure of each component
    for state, capacity in zip(uptime.states, uptime.capacity_frac, strict=True):
        if state.kind == "single":
            which = state.out[0][0]
            left[which] = min(left[which], float(capacity))
    rows = []
    for own in members.values():
        parts = [uptime.components[i] for i in own]
        lost, gain = float(sum(uptime.lost_by_component_frac[own])), float(sum(uptime.one_more_gain_frac[own]))
        rows.append(
            GroupRow(
                name=group_text(parts[0]),
                n=sum(part.n for part in parts),
                capacity_after_one_failure_frac=float(left[own].min()),
                availability_frac=1 - lost,
                planned_h_per_year=sum(HOURS_PER_YEAR * part.planned_frac for part in parts),
                ride_through_s=float(uptime.covered_s[own].min()),
                lost_tokens_per_year=float(lost * output_tokens_per_year),
                one_more_gain_tokens_per_year=float(gain * output_tokens_per_year),
            )
        )
    return rows


def capacity_distribution(uptime: Uptime) -> tuple[CapacityLevel, ...]:
    """Return the likeliest levels of capacity and their probability, highest first; the rest in the level below.

    Accelerators are not in it: some tray is always out, and a swap is not an interruption of the layout.
    """
    levels, probability = uptime.long_run.capacity_frac[::-1], uptime.long_run.probability[::-1]
    shown = np.sort(np.argsort(-probability, kind="stable")[:N_SHOWN_LEVELS])
    # A level that is not shown counts with the next lower one that is, or with the lowest.
    to = np.minimum(np.searchsorted(shown, np.arange(levels.size)), shown.size - 1)
    summed = np.bincount(to, probability, minlength=shown.size)
    return tuple(
        CapacityLevel(float(level), float(chance), float(chance * HOURS_PER_YEAR))
        for level, chance in zip(levels[shown], summed, strict=True)
    )


def single_failures(uptime: Uptime, output_tokens_per_s: float) -> tuple[FailureRow, ...]:
    """Return every single failure with what is left, worst first."""
    rows = []
    for state, left in zip(uptime.states, uptime.capacity_frac, strict=True):
        if state.kind == "single":
            component = uptime.components[state.out[0][0]]
            lost = float((1 - left) * output_tokens_per_s)
            rows.append(FailureRow(component.name, float(left), lost, _failure_text(component, float(left))))
    return tuple(sorted(rows, key=lambda row: row.capacity_frac))


def _failure_text(component: Component, left: float) -> str:
    unit = f"one of {component.n} units of {component.name}" if component.n > 1 else component.name
    if left == 1.0:
        return f"Losing {unit} costs no tokens."
    repair = quantity_text(component.repair_h, "h")
    return f"Losing {unit} leaves {quantity_text(left, '%')} of the token capacity for about {repair}."
