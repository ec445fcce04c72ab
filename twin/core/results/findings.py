"""What the last run found that no rule of the description can: limits passed, thin margins, failures, quick trips.

Read from what a run stored. The rules (`twin.core.rules`) judge the description; these judge its solved year.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from twin.core.results.details import MarginRow, RunDetails
from twin.core.results.object_quantities import OVER
from twin.core.text.numbers import quantity_text

BLOCKING, RISK, HINT = "blocking", "risk", "hint"
TURNED_AWAY_FRAC = 1e-3  # of the requests: less is rounding
#: Margin below which a planner should look, by unit: a tenth of a rating, 3 K above dew point or below throttling.
THIN = {"%": 0.1, "K": 3.0}
QUICK_TRIP_S = 60.0  # quicker than standby pumps, a switch-over or generators come

COOLANT_LEFT = "rack coolant below its limit"
#: Which kind of object a margin or a limit is about, by words in its name.
KINDS = (
    ("grid", "site"),
    ("feed", "power_feed"),
    ("air-unit", "hall"),
    ("chiller", "cooling_plant"),
    ("CDU", "cdu"),
    ("coolant", "cdu"),
    ("dew point", "cdu"),
    ("junction", "rack"),
    ("facility", "cooling_plant"),
    ("coolers or towers", "cooling_plant"),
    ("coolers' or", "cooling_plant"),
    ("curves", "cooling_plant"),
)


@dataclass(frozen=True, slots=True)
class RunFinding:
    """One finding of a run, in the shape of the rules' findings; `section` is the part of the run page that has it."""

    object_kind: str
    object_name: str
    rule: str
    severity: str
    message: str
    section: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    object_id: int | None = None  # a run names objects; those of today may be others
    against: str = ""  # words between value and limit, e.g. "of" or "left, thin below"; empty: the value says it all


def run_findings(details: RunDetails) -> list[RunFinding]:
    """Return what a run's details say should be looked at, most severe first."""
    over = list(_over(details))
    named = {(finding.object_kind, finding.object_name) for finding in over}
    thin = [f for f in _thin(details) if (f.object_kind, f.object_name) not in named]
    found = [
        *_unsolved(details),
        *_unserved(details),
        *over,
        *_unplaced(details),
        *_cpu_servers(details),
        *_throttled(details),
        *_failures(details),
        *_hot_aisles(details),
        *_drills(details),
        *thin,
    ]
    return sorted(found, key=lambda finding: (BLOCKING, RISK, HINT).index(finding.severity))


def tightest_margins(details: RunDetails, n: int = 3) -> list[MarginRow]:
    """Return the margins with least left relative to what is thin for their unit, scarcest first, each kind once."""
    least: dict[str, MarginRow] = {}
    for row in details.margins:
        if row.unit in THIN and (row.kind not in least or row.value < least[row.kind].value):
            least[row.kind] = row
    return sorted(least.values(), key=lambda row: row.value / THIN[row.unit])[:n]


def kind_of(quantity: str) -> str:
    """Return the kind of object that a quantity belongs to; "run" where no word tells."""
    return next((kind for word, kind in KINDS if word in quantity), "run")


def _unsolved(details: RunDetails) -> Iterator[RunFinding]:
    solver = details.solver
    if not solver.converged:
        message = f"The run did not converge: {solver.message or 'no reason was kept'}."
        yield RunFinding("run", "Solver", "run-not-converged", BLOCKING, message, "solver")


def _unserved(details: RunDetails) -> Iterator[RunFinding]:
    for row in details.per_workload:
        if not row.feasible:
            yield RunFinding(
                "run",
                row.name,
                "run-does-not-fit",
                BLOCKING,
                f"It does not fit: {row.reason}",
                "workloads",
                0.0,
                row.offered_requests_per_s,
                "req/s",
                against="served of",
            )
        elif row.offered_requests_per_s - row.served_requests_per_s > (TURNED_AWAY_FRAC * row.offered_requests_per_s):
            away = 1 - row.served_requests_per_s / row.offered_requests_per_s
            message = f"{quantity_text(away, '%')} of its requests are turned away over the year."
            yield RunFinding(
                "run",
                row.name,
                "run-turned-away",
                RISK,
                message,
                "workloads",
                row.served_requests_per_s,
                row.offered_requests_per_s,
                "req/s",
                against="served of",
            )


def _over(details: RunDetails) -> Iterator[RunFinding]:
    for row in details.limits:
        if row.value > row.limit * OVER:
            when = "" if row.hour is None else f" in hour {row.hour} of the year"
            if not row.limit:  # of nothing: something was too small, or outside what its formula knows
                message = f"{row.kind.capitalize()}; worst{when}."
                small = row.unit == "%"
                rule, severity = ("run-too-small", BLOCKING) if small else ("run-out-of-range", HINT)
                yield RunFinding(
                    kind_of(row.kind), row.object, rule, severity, message, "limits", row.value, 0.0, row.unit
                )
                continue
            message = f"Its {row.kind} passes its limit{when}."
            yield RunFinding(
                kind_of(row.kind),
                row.object,
                "run-limit",
                BLOCKING,
                message,
                "limits",
                row.value,
                row.limit,
                row.unit,
                against="of",
            )


def _unplaced(details: RunDetails) -> Iterator[RunFinding]:
    for rows, kind, rule, where, what, racks in (
        (details.network, "fabric", "run-network-unplaced", "network", "switches and optics", "network"),
        (details.storage, "storage", "run-storage-unplaced", "storage", "units", "storage"),
        (details.cpu_servers, "cpu_server", "run-cpu-unplaced", "cpu-servers", "servers", "support"),
    ):
        message = f"Its {what} stand in no rack: place {racks} racks without a product or a power."
        for row in rows:
            if row.unplaced_w > 0:
                yield RunFinding(kind, row.name, rule, RISK, message, where, row.unplaced_w, 0.0, "W")


def _cpu_servers(details: RunDetails) -> Iterator[RunFinding]:
    units, needed = sum(row.n_units for row in details.cpu_servers), details.cpu_servers_needed
    if needed is not None and needed > units:
        short_h, longest_s = details.cpu_short_hours or 0.0, details.cpu_longest_wait_s or 0.0
        costs = (
            f"in {short_h:,.0f} hours they hold requests back"
            if short_h
            else f"a request waits for them up to {quantity_text(longest_s, 's')}, mean of an hour"
        )
        message = (
            f"Tool calls and requests want {details.cpu_busiest_cores or 0.0:,.0f} cores in the busiest hour: "
            f"{needed:,} servers of this kind hold them at 70 %, {units:,} stand; {costs}."
        )
        name = details.cpu_servers[0].name
        yield RunFinding("cpu_server", name, "run-cpu-short", RISK, message, "cpu-servers", needed, units, "servers")


def _thin(details: RunDetails) -> Iterator[RunFinding]:
    for row in [*_coolant_margins(details), *details.margins]:
        least = THIN.get(row.unit)
        if least is not None and row.value < least:
            severity = RISK if row.value < 0 or (row.value == 0 and row.unit == "%") else HINT
            message = f"Little is left in its worst hour: {row.kind}."
            yield RunFinding(
                kind_of(row.kind),
                row.object,
                "run-margin",
                severity,
                message,
                "margins",
                row.value,
                least,
                row.unit,
                against="left, thin below",
            )


def _coolant_margins(details: RunDetails) -> list[MarginRow]:
    """Return how far rack coolant stays below what the racks accept: it is kept among the limits, in degrees."""
    return [
        MarginRow(row.object, COOLANT_LEFT, row.limit - row.value, "K")
        for row in details.limits
        if row.kind == "rack coolant supply"
    ]


def _throttled(details: RunDetails) -> Iterator[RunFinding]:
    hours = details.throttled_hours or 0.0
    if hours:
        message = "Accelerators throttle: heat, not demand, limits their clocks."
        yield RunFinding("rack", "Accelerators", "run-throttled", RISK, message, "limits", hours, 0.0, "h")


def _failures(details: RunDetails) -> Iterator[RunFinding]:
    rows = [row for row in details.failures if row.lost_tokens_per_s > 0]
    if rows:
        worst = max(rows, key=lambda row: row.lost_tokens_per_s)
        others = f" {len(rows) - 1} other single failures cost tokens too." if len(rows) > 1 else ""
        yield RunFinding(
            "run",
            worst.object,
            "run-worst-failure",
            RISK,
            f"The worst single failure. {worst.message}{others}",
            "availability",
            worst.lost_tokens_per_s,
            0.0,
            "tok/s",
        )


def _hot_aisles(details: RunDetails) -> Iterator[RunFinding]:
    for row in details.hall_air:
        if row.wbgt_degc > row.exposure_limit_degc:
            minutes = row.allowed_minutes
            stay = "" if minutes is None else f" ISO {row.edition} allows {minutes:.0f} min of a shift of 480."
            hot = quantity_text(row.hot_aisle_degc, "°C")
            message = f"Its hot aisle, {hot}, is too hot to work a shift in.{stay}"
            yield RunFinding(
                "hall",
                row.hall,
                "run-hot-aisle",
                RISK,
                message,
                "hall-air",
                row.wbgt_degc,
                row.exposure_limit_degc,
                "°C",
                against="wet-bulb globe, limit",
            )


def _drills(details: RunDetails) -> Iterator[RunFinding]:
    """Yield every loss that throttles or trips racks; a trip sooner than standby comes is a risk."""
    for row in details.drills:
        throttle, trip = row.seconds_to_throttle, row.seconds_to_trip
        if throttle is None and trip is None:
            continue
        happens = [
            f"{word} after {quantity_text(at, 's')}"
            for word, at in (("throttle", throttle), ("trip", trip))
            if at is not None
        ]
        ends = "" if row.recovers_s is None else f" and recover after {quantity_text(row.recovers_s, 's')}"
        quick = trip is not None and trip < QUICK_TRIP_S
        event = f"Loss of {row.loss}" if row.is_loss else row.loss.capitalize()
        message = f"{event}: racks {', '.join(happens)}{ends}."
        yield RunFinding(
            "cooling_plant",
            row.plant,
            "run-drill",
            RISK if quick else HINT,
            message,
            "drills",
            trip if trip is not None else throttle,
            QUICK_TRIP_S if quick else row.followed_s,
            "s",
            against="to the trip, standby takes" if quick else "within",
        )
