"""What a run says about power, cooling and failures, as rows that can be read alone or compared.

Each answer has a value and the object that it is about: the failure that costs most, the feed with the least margin,
the loss after which racks throttle first. Where nothing happens there is no value and the text says so.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from twin.core.results.details import MarginRow, RunDetails

Figures = Mapping[str, float | None]

L_PER_M3 = 1000.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `rank` orders runs where the value is missing because the thing never happens (infinite)."""

    name: str
    label: str
    unit: str
    better: str  # "higher" or "lower"
    value: float | None
    about: str

    @property
    def rank(self) -> float | None:
        """The value, or infinity for "never"; None where the run does not know."""
        if self.value is None and self.about.startswith(NEVER):
            return math.inf
        return self.value


NEVER = "never"


def answers(details: RunDetails, figures: Figures) -> list[Answer]:
    """Return the answers that a run kept; old runs kept fewer."""
    return [
        *_failures(details),
        *_margins(details),
        *_supply(details),
        *_seconds(details),
        *_hall_air(details),
        *_year(details, figures),
    ]


def _failures(details: RunDetails) -> Iterator[Answer]:
    rows = details.failures
    if rows:
        worst = max(rows, key=lambda row: row.lost_tokens_per_s)
        costs = worst.lost_tokens_per_s > 0
        yield Answer(
            "worst_failure_tokens_per_s",
            "Worst single failure",
            "tok/s",
            "lower",
            worst.lost_tokens_per_s,
            worst.object if costs else "no single failure costs tokens",
        )
    groups = details.availability.groups
    if groups:
        costliest = max(groups, key=lambda group: group.lost_tokens_per_year)
        yield Answer(
            "costliest_group_tokens_per_year",
            "Failures that cost most in a year",
            "tok",
            "lower",
            costliest.lost_tokens_per_year,
            costliest.name,
        )


def _margins(details: RunDetails) -> Iterator[Answer]:
    """Yield the least margin of every kind, scarcest object named."""
    least: dict[str, MarginRow] = {}
    for row in details.margins:
        if row.kind not in least or row.value < least[row.kind].value:
            least[row.kind] = row
    for kind, row in least.items():
        label = f"Least margin: {kind}"
        yield Answer(
            f"margin_{kind.replace(' ', '_').replace('-', '_').lower()}",
            label,
            row.unit,
            "higher",
            row.value,
            row.object,
        )


def _supply(details: RunDetails) -> Iterator[Answer]:
    """Yield how far the warmest rack coolant stays below what the racks accept."""
    rows = [row for row in details.limits if row.kind == "rack coolant supply"]
    if rows:
        worst = min(rows, key=lambda row: row.limit - row.value)
        yield Answer(
            "margin_rack_coolant_supply_k",
            "Least margin: rack coolant below its limit",
            "K",
            "higher",
            worst.limit - worst.value,
            worst.object,
        )


def _seconds(details: RunDetails) -> Iterator[Answer]:
    """Yield the seconds until the first rack throttles and trips, over all losses that were followed."""
    rows = [row for row in details.drills if row.is_loss]
    for name, label in (
        ("seconds_to_throttle", "First throttling after a loss"),
        ("seconds_to_trip", "First trip after a loss"),
    ):
        if not rows:
            continue
        found = [(seconds, row) for row in rows if (seconds := getattr(row, name)) is not None]
        if found:
            seconds, soonest = min(found, key=lambda one: one[0])
            yield Answer(name, label, "s", "higher", seconds, f"{soonest.loss}, {soonest.plant}")
        else:
            yield Answer(name, label, "s", "higher", None, f"{NEVER} within {rows[0].followed_s:,.0f} s")


def _hall_air(details: RunDetails) -> Iterator[Answer]:
    rows = details.hall_air
    if rows:
        worst = max(rows, key=lambda row: row.wbgt_degc)
        yield Answer(
            "hot_aisle_wbgt_degc",
            "Hottest work place, wet-bulb globe",
            "°C",
            "lower",
            worst.wbgt_degc,
            f"hot aisle of {worst.hall}",
        )
        worst = max(rows, key=lambda row: row.shi_frac)
        yield Answer("recirculated_frac", "Hot air recirculated into inlets", "%", "lower", worst.shi_frac, worst.hall)


def _year(details: RunDetails, figures: Figures) -> Iterator[Answer]:
    hours = details.economiser_hours
    if hours:
        plant = min(hours, key=lambda name: hours[name])
        yield Answer("economiser_hours", "Hours a year without chillers", "h", "higher", hours[plant], plant)
    power, pue, wue = (figures.get(name) for name in ("mean_power_w", "pue", "wue_l_per_kwh"))
    if power and pue and wue is not None:
        it_kwh = power / pue / 1e3 * HOURS_PER_YEAR
        yield Answer("water_m3_per_year", "Water a year", "m³", "lower", wue * it_kwh / L_PER_M3, "whole site")
    if details.throttled_hours is not None:
        yield Answer(
            "throttled_hours", "Hours with a throttled accelerator", "h", "lower", details.throttled_hours, "any rack"
        )
