"""A solved year as figures of merit, series, rack arrays, limits, costs, energy flow and uncertainty."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.coupled.result import CoupledResult
from power_cooling.fluids.psychrometrics import wet_bulb_degc
from power_cooling.metrics import SiteAccount, power_usage_effectiveness, site_metrics, tokens_per_joule
from power_cooling.site_arrays import FloatArray
from power_cooling.site_facts.calendar import S_PER_YEAR
from power_cooling.site_facts.confidence import weakest
from twin.core.failures.serving_losses import ServingLoss
from twin.core.figures_of_merit import SERIES
from twin.core.inputs import cpu_time, equipment, tool_calls
from twin.core.inputs.admission import DEGRADE, QUEUE, Admission, queue, refuse
from twin.core.inputs.demand import ASSUMED_PEAK_LOAD
from twin.core.inputs.design_hour import design_text
from twin.core.inputs.feeds import provisioned_w, rack_feeds
from twin.core.inputs.generation import prime_movers, shaving_battery
from twin.core.inputs.layout import LayoutInputs, WeatherInputs
from twin.core.inputs.pools import Pool
from twin.core.inputs.storage import CACHE, SHARED
from twin.core.provenance import Solver
from twin.core.results import assumptions, capital, economics, generation, limits, margins, pue
from twin.core.results.availability import availability, single_failures
from twin.core.results.details import (
    Balance,
    CpuServersResult,
    FlowRow,
    NetworkRow,
    Rent,
    RunDetails,
    SimulationResult,
    SolverNote,
    StorageResult,
    ToolCallRow,
    WorkloadRow,
)
from twin.core.results.hall_air import hall_air
from twin.core.results.latency import mixture_quantile, still_in_time_frac
from twin.core.results.throttling import throttle_margins
from twin.core.solved import HourlyPower, Solved, Year, year_of
from twin.core.text.numbers import quantity_text

Money = tuple[economics.Quantities, economics.Prices, economics.PriceBounds]

S_PER_HOUR = 3600.0
#: Half the logarithmic 80 % band that weather estimated from monthly normals adds: of everything between IT and
#: meter, and of water. The worst of ten real years and three plants, rounded up (`validation/estimated_weather.py`).
ESTIMATED_WEATHER_LOG_BANDS = {"pue_overhead": 0.02, "wue": 0.04}
ASSUMED_COOLING_BAND_FRAC = 0.2  # of everything between IT and meter: component models agree to a few percent, but
# fouling, controls and part load of real plants do not
ASSUMED_IT_POWER_BAND_FRAC = 0.06  # of host, switch and drive power, estimated in most data sheets
ASSUMED_FAILURE_RATE_FACTOR = 2.0  # published rates of one component differ by about this


def result(solved: Solved, *, solver: Solver, elapsed_s: float) -> SimulationResult:
    """Return everything a run stores of a solved year."""
    year = year_of(solved)
    served = served_in(year)
    energy, supplied = mean_power_by_part_w(year), generation.supply(year)
    spent = money(year, served, supplied)
    figures = figures_of_merit(year, served, spent, supplied)
    rows = assumptions.assumptions(
        solved.inputs,
        used_models={pool.model for pool in solved.pools if pool.feasible},
        used_accelerators={pool.accelerator for pool in solved.pools},
        used_reliability={component.source for component in solved.uptime.components},
    )
    used, prices, bounds = spent
    installed = prices.plant_price_frac * prices.installation_factor * prices.region_factor
    report = solved.coupled.report
    details = RunDetails(
        per_workload=tuple(workload_row(solved, served, i) for i in range(len(solved.pools))),
        limits=tuple(limits.limits(solved, supplied.held_w)),
        balance=Balance(
            power_rel=float(np.nanmax(solved.coupled.power_closure_rel)),
            heat_rel=float(np.nanmax(solved.coupled.heat_closure_rel)),
        ),
        solver=SolverNote(
            report.converged, int(report.iterations_max), elapsed_s, solver.version, solver.digest, report.message
        ),
        mean_power_by_part_w=energy,
        pue_lines=tuple(pue.pue_lines(energy)),
        cooling=pue.cooling_text(solved.inputs),
        published_pue=pue.PUBLISHED,
        energy_flow=tuple(energy_flow(year, supplied)),
        costs=tuple(economics.yearly_costs(used, prices)),
        capital=tuple(economics.capital_lines(used, prices, bounds)),
        rent=Rent(used.rent_usd_per_h, economics.rented_cost_usd(used, prices)),
        options=tuple(economics.options(used, prices)),
        sensitivities=tuple(economics.sensitivities(used, prices, bounds)),
        availability=availability(
            solved.uptime, served.output_tokens_per_s.mean() * S_PER_YEAR, design_text(solved.inputs.layout)
        ),
        failures=single_failures(solved.uptime, served.output_tokens_per_s.mean()),
        margins=tuple(margins.margins(solved)),
        throttle_margins=tuple(throttle_margins(solved)),
        drills=tuple(margins.drills(solved)),
        hall_air=tuple(hall_air(solved)),
        economiser_hours=economiser_hours(solved),
        storage=tuple(storage_rows(solved.inputs)),
        network=tuple(network_rows(solved.inputs)),
        **cpu_details(year, served),
        generation=tuple(
            generation.generation_rows(year, supplied.sources, installed, economics.plant_payment_frac(prices))
        ),
        grid_usd_per_kwh=prices.electricity_usd_per_kwh if supplied.sources else None,
        shaving=generation.shaving_row(supplied, prices.demand_charge_usd_per_kw_month),
        throttled_hours=float(np.count_nonzero(solved.coupled.throttled_frac > 0)),
        assumptions=tuple(rows),
        confidence=weakest(row.confidence for row in rows),
    )
    return SimulationResult(
        figures={name: _plain(value) for name, value in figures.items()},
        bands=bands(year, served, figures, spent),
        details=details,
        series={name: values.astype(np.float32) for name, values in hourly_series(solved, served).items()},
        racks=rack_arrays(solved, served),
    )


class Served:
    """Tokens and latencies per hour and pool, from load and clock. Arrays have shape (n_hours, n_pools).

    Demand repeats by the week and clocks seldom fall: the curves are read once for each kind of hour that occurs.
    """

    def __init__(self, pools: list[Pool], clock_frac: FloatArray, available_frac: FloatArray) -> None:
        shape = clock_frac.shape
        self.requests_per_s = np.zeros(shape)
        self.offered_per_s = np.zeros(shape)
        self.refused_per_s = np.zeros(shape)
        self.servable_per_s = np.zeros(shape)
        self.latency = {name: np.full(shape, np.nan) for name in LATENCIES}
        self.slo_attainment = np.zeros(shape)
        self.cached_frac = np.zeros(shape)
        self.sessions = np.zeros(shape)
        self.flop_activity = np.zeros(shape)
        self.byte_activity = np.zeros(shape)
        self._pools = pools
        self._clock, self._running = np.nan_to_num(clock_frac, nan=1.0), np.nan_to_num(available_frac)
        for i, pool in enumerate(pools):
            self.offered_per_s[:, i] = pool.demand_per_s
        at_cpus = self._at_the_cpus(self.offered_per_s)
        self.cpu_wait_s = at_cpus.wait_s
        self.waits = False  # whether requests wait from one hour to the next
        self._kind_of_hour = np.zeros(shape, dtype=np.int64)
        self._first_of_kind: list[NDArray[np.int64]] = []
        for i, pool in enumerate(pools):
            if not pool.feasible:
                self._first_of_kind.append(np.zeros(1, dtype=np.int64))
                continue
            hours = self._hours(i, self.offered_per_s, at_cpus)
            self.waits |= hours.wait(pool)
            first, kind = hours.kinds(pool)
            self._first_of_kind.append(first)
            self._kind_of_hour[:, i] = kind
            for values, of_kind in self._columns(i, pool, hours.at(first)):
                values[:, i] = of_kind[kind]
        # what the accelerators alone would serve
        self.wanted_per_s = self.requests_per_s if at_cpus.wanted_per_s is None else at_cpus.wanted_per_s
        self.output_per_request = np.array([pool.output_tokens for pool in pools])
        self.input_per_request = np.array([pool.input_tokens for pool in pools])
        self.output_tokens_per_s = self.requests_per_s @ self.output_per_request  # (n_hours,)
        self.input_tokens_per_s = self.requests_per_s @ self.input_per_request

    def _hours(self, i: int, demand_per_s: FloatArray, at_cpus: "_AtTheCpus") -> "_Hours":
        return _Hours(
            demand_per_s[:, i], self._clock[:, i], self._running[:, i], at_cpus.most_per_s[:, i], at_cpus.wait_s[:, i]
        )

    def _at_the_cpus(self, demand_per_s: FloatArray) -> "_AtTheCpus":
        """Return what the CPU servers make of a demand, shape (n_hours, n_pools)."""
        open_door = _AtTheCpus(
            np.broadcast_to(np.inf, demand_per_s.shape), np.broadcast_to(0.0, demand_per_s.shape), None
        )
        cpus = [pool.cpu for pool in self._pools]
        if not cpus or not np.isfinite(cpus[0].cores):
            return open_door
        wanted = self._served_per_s(demand_per_s, open_door)
        most = replace(open_door, most_per_s=cpu_time.let_through_per_s(cpus, wanted))
        return _AtTheCpus(most.most_per_s, cpu_time.wait_s(cpus, self._served_per_s(demand_per_s, most)), wanted)

    def _served_per_s(self, demand_per_s: FloatArray, at_cpus: "_AtTheCpus") -> FloatArray:
        """Return the requests per second that doors let in at a demand, each array of shape (n_hours, n_pools)."""
        served = np.zeros(demand_per_s.shape)
        for i, pool in enumerate(self._pools):
            if pool.feasible:
                served[:, i] = _admitted(pool, self._hours(i, demand_per_s, at_cpus))[0].served_per_s
        return served

    def _columns(self, i: int, pool: Pool, hours: "_Hours") -> list[tuple[FloatArray, FloatArray]]:
        """Return each of this object's arrays with what it holds of a pool at each kind of hour."""
        clock, running = hours.clock_frac, hours.running_frac
        door, load = _admitted(pool, hours)
        latency = {name: pool.at(name, clock, load) for name in LATENCIES}
        attainment = _attainment(pool, hours, load, door)
        latency["ttft_p50_s"] = latency["ttft_p50_s"] + door.wait_s + hours.cpu_wait_s
        latency["ttft_p95_s"] = (
            latency["ttft_p95_s"] + door.longest_wait_s + cpu_time.EXPONENTIAL_P95 * hours.cpu_wait_s
        )
        return [
            (self.servable_per_s, hours.rate_per_s(pool)),
            (self.requests_per_s, door.served_per_s),
            (self.refused_per_s, door.refused_per_s),
            *((self.latency[name], values) for name, values in latency.items()),
            (self.slo_attainment, attainment),
            (self.cached_frac, pool.at("cached_frac", clock, load)),
            (self.sessions, pool.at("sessions", clock, load) * pool.n_accelerators * running),
            (self.flop_activity, pool.at("compute_activity_frac", clock, load) * running),
            (self.byte_activity, pool.at("memory_activity_frac", clock, load) * running),
        ]

    def at_demand(self, demand_frac: FloatArray) -> tuple[float, float]:
        """Return output tokens summed over the hours, and the good ones' mean, at another demand of each pool.

        Parameters
        ----------
        demand_frac : ndarray, shape (n_pools,)
            Demand over what this object has; hours that are alike stay so.
        """
        requests, good = np.zeros_like(self.requests_per_s), np.zeros_like(self.requests_per_s)
        demand = self.offered_per_s * demand_frac
        at_cpus = self._at_the_cpus(demand)
        for i, pool in enumerate(self._pools):
            if not pool.feasible:
                continue
            hours = self._hours(i, demand, at_cpus)
            if at_cpus.wanted_per_s is None and not hours.wait(pool):
                first, kind = self._first_of_kind[i], self._kind_of_hour[:, i]
            else:
                first, kind = hours.kinds(pool)
            alike = hours.at(first)
            door, load = _admitted(pool, alike)
            requests[:, i] = door.served_per_s[kind]
            good[:, i] = _attainment(pool, alike, load, door)[kind] * demand[:, i]
        made = float((requests @ self.output_per_request).sum())
        return made, float((good @ self.output_per_request).mean())

    def ttft_at(self, demand_frac: FloatArray, service_frac: float, quantile: float) -> float | None:
        """Return a quantile of the time to a first token over the year at another demand and another service.

        Parameters
        ----------
        demand_frac : ndarray, shape (n_pools,)
            Demand over what this object has.
        service_frac : float
            Time from the door to the first token over what the pools' curves say.
        quantile : float
        """
        demand = self.offered_per_s * demand_frac
        at_cpus = self._at_the_cpus(demand)
        p50, p95, weight = [], [], []
        for i, pool in enumerate(self._pools):
            if not pool.feasible:
                continue
            hours = self._hours(i, demand, at_cpus)
            first, kind = hours.kinds(pool)
            alike = hours.at(first)
            door, load = _admitted(pool, alike)
            clock, at_cpus_s = alike.clock_frac, alike.cpu_wait_s
            p50.append(service_frac * pool.at("ttft_p50_s", clock, load) + door.wait_s + at_cpus_s)
            waits_s = door.longest_wait_s + cpu_time.EXPONENTIAL_P95 * at_cpus_s
            p95.append(service_frac * pool.at("ttft_p95_s", clock, load) + waits_s)
            weight.append(door.served_per_s * np.bincount(kind, minlength=first.size))
        if not p50:
            return None
        return mixture_quantile(np.concatenate(p50), np.concatenate(p95), np.concatenate(weight), quantile)

    def quantile(self, which: str, quantile: float, pools: slice | list[int]) -> float | None:
        """Return a latency quantile over the year and some pools; `which` is "ttft" or "itl"."""
        p50, p95, weight = [], [], []
        for i in np.arange(len(self._first_of_kind))[pools]:
            first = self._first_of_kind[i]
            hours = np.bincount(self._kind_of_hour[:, i], minlength=first.size)
            tokens = self.output_per_request[i] if which == "itl" else 1.0
            p50.append(self.latency[f"{which}_p50_s"][first, i])
            p95.append(self.latency[f"{which}_p95_s"][first, i])
            weight.append(self.requests_per_s[first, i] * hours * tokens)
        return mixture_quantile(np.concatenate(p50), np.concatenate(p95), np.concatenate(weight), quantile)

    def attainment(self, pools: slice | list[int]) -> float | None:
        """Return the share of offered requests inside their targets."""
        offered = self.offered_per_s[:, pools]
        return float((self.slo_attainment[:, pools] * offered).sum() / offered.sum()) if offered.sum() > 0 else None

    def goodput(self, pools: slice | list[int]) -> float:
        """Return output tokens per second of requests inside their targets, mean over the hours."""
        good = self.slo_attainment[:, pools] * self.offered_per_s[:, pools]
        return float((good @ self.output_per_request[pools]).mean())


def served_in(year: Year) -> Served:
    """Return tokens and latencies of a year."""
    return Served(year.pools, year.power.pool_clock_frac, year.power.pool_available_frac)


LATENCIES = ("ttft_p50_s", "ttft_p95_s", "itl_p50_s", "itl_p95_s")
MOST_KINDS = 2**60  # that numbers tell apart
MOST_COUNTED = 16  # times the hours: as many kinds are counted faster than their hours are sorted


@dataclass(frozen=True, slots=True, eq=False)
class _AtTheCpus:
    """What the CPU servers let through of each pool's requests, and how long one waits there; (n_hours, n_pools)."""

    most_per_s: FloatArray
    wait_s: FloatArray
    wanted_per_s: FloatArray | None  # what the accelerators alone would serve; None where none is described


@dataclass(frozen=True, slots=True, eq=False)
class _Hours:
    """What decides a pool's service in some hours. Arrays have shape (n_hours,)."""

    demand_per_s: FloatArray
    clock_frac: FloatArray
    running_frac: FloatArray
    most_per_s: FloatArray  # that the CPU servers let through
    cpu_wait_s: FloatArray  # of a request, for cores

    def rate_per_s(self, pool: Pool) -> FloatArray:
        """Return the requests per second that can be served within the targets."""
        return np.minimum(pool.rate_per_s(self.clock_frac, self.running_frac), self.most_per_s)

    def at(self, which: NDArray[np.int64]) -> "_Hours":
        """Return some of the hours."""
        return _Hours(*(getattr(self, entry.name)[which] for entry in fields(self)))

    def wait(self, pool: Pool) -> bool:
        """Return whether requests wait from one hour to the next."""
        return pool.admission == QUEUE and bool(np.any(self.demand_per_s > self.rate_per_s(pool)))

    def kinds(self, pool: Pool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first hour of each kind, and the kind of each hour; where requests wait none is like another."""
        if self.wait(pool):
            every = np.arange(self.demand_per_s.size)
            return every, every
        return _kinds(*(getattr(self, entry.name) for entry in fields(self)))


def _admitted(pool: Pool, hours: _Hours) -> tuple[Admission, FloatArray]:
    """Return what a pool's door lets in, and the load of what runs, each of shape (n_hours,)."""
    demand, clock = hours.demand_per_s, hours.clock_frac
    full = pool.capacity_per_s * hours.running_frac
    if pool.admission == DEGRADE:
        through = np.minimum(demand, hours.most_per_s)
        load = np.divide(through, full, out=np.ones(clock.size), where=full > 0)
        return refuse(demand, np.minimum(pool.at("served_frac", clock, load) * full, through)), load
    door = (queue if pool.admission == QUEUE else refuse)(demand, hours.rate_per_s(pool))
    return door, np.divide(door.served_per_s, full, out=np.ones(clock.size), where=full > 0)


def _attainment(pool: Pool, hours: _Hours, load: FloatArray, door: Admission) -> FloatArray:
    """Return the share of a pool's offered requests inside their targets, shape (n_hours,)."""
    demand, clock = hours.demand_per_s, hours.clock_frac
    ttft_p50_s = pool.at("ttft_p50_s", clock, load)
    if pool.admission == QUEUE:
        slack_s = pool.target_ttft_s - ttft_p50_s - hours.cpu_wait_s
        in_time = door.in_time_frac(demand, hours.rate_per_s(pool), slack_s)
    else:  # what is turned away met no target
        in_time = np.divide(door.served_per_s, demand, out=np.ones(clock.size), where=demand > 0)
    met = pool.at("slo_attainment_frac", clock, load) * in_time
    if not np.any(hours.cpu_wait_s > 0):
        return met
    ttft_p95_s = pool.at("ttft_p95_s", clock, load)
    return met * still_in_time_frac(ttft_p50_s, ttft_p95_s, pool.target_ttft_s, hours.cpu_wait_s)


def _kinds(*columns: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first hour of each kind that occurs, and the kind of each hour; hours of a kind are equal in all."""
    kind = np.zeros(columns[0].size, dtype=np.int64)
    n_kinds = 1
    for values in columns:
        if values.min() < values.max():
            alike, number = np.unique(values, return_inverse=True)
            if n_kinds * alike.size > MOST_KINDS:  # numbers run out: those that do not occur are taken out
                occur, kind = np.unique(kind, return_inverse=True)
                n_kinds = occur.size
            kind = kind.reshape(-1) * alike.size + number.reshape(-1)
            n_kinds *= alike.size
    if n_kinds > MOST_COUNTED * kind.size:
        _, first, kind = np.unique(kind, return_index=True, return_inverse=True)
        return first, kind.reshape(-1)
    # Few enough to be counted instead of sorted: of equal numbers the first hour is written last.
    first = np.full(n_kinds, -1, dtype=np.int64)
    first[kind[::-1]] = np.arange(kind.size - 1, -1, -1)
    occurs = first >= 0
    return first[occurs], (np.cumsum(occurs) - 1)[kind]


def figures_of_merit(
    year: Year, served: Served, spent: Money | None = None, supplied: generation.Supply | None = None
) -> dict[str, float | None]:
    """Return the figures of merit by name, `twin.core.figures_of_merit`.

    Parameters
    ----------
    year : Year
    served : Served
    spent, supplied : optional
        The year's `money` and `generation.supply`, where they are known.
    """
    power, inputs = year.power, year.inputs
    everything = slice(None)
    output, meter, it = served.output_tokens_per_s, power.meter_power_w, power.it_power_w
    supplied = supplied or generation.supply(year)
    used, prices, _ = spent or money(year, served, supplied)
    servable = (served.servable_per_s @ served.output_per_request).mean()
    accelerators = np.array([pool.n_accelerators for pool in year.pools], dtype=float)
    weights = accelerators / max(accelerators.sum(), 1.0)
    provisioned = provisioned_w(inputs, year.feeds.tree)
    carbon = generation.carbon_kg_per_kwh(year, supplied)
    available_frac = year.availability_frac
    offered = served.offered_per_s.sum()
    good = served.goodput(everything)
    whole = site_metrics(site_account(power, carbon))
    return {
        "output_tokens_per_s": output.mean(),
        "input_tokens_per_s": served.input_tokens_per_s.mean(),
        "tokens_per_joule": tokens_per_joule(output, meter),
        "it_tokens_per_joule": tokens_per_joule(output, it),
        "cost_per_million_output_tokens_usd": economics.owned_cost_usd(used, prices),
        "cost_per_million_good_tokens_usd": economics.good_cost_usd(used, prices),
        "cost_per_million_input_tokens_usd": economics.input_cost_usd(used, prices),
        "blended_cost_per_million_tokens_usd": economics.blended_cost_usd(used, prices),
        "rented_cost_per_million_output_tokens_usd": economics.rented_cost_usd(used, prices),
        "colocated_cost_per_million_output_tokens_usd": economics.colocated_cost_usd(used, prices),
        "utilisation_frac": output.mean() / servable if servable > 0 else None,
        "flop_utilisation_frac": float(served.flop_activity.mean(axis=0) @ weights),
        "bandwidth_utilisation_frac": float(served.byte_activity.mean(axis=0) @ weights),
        "stranded_power_w": provisioned - meter.max(),
        "availability_frac": available_frac,
        "lost_tokens_per_year": (1 - available_frac) * output.mean() * S_PER_YEAR,
        "ttft_p50_s": served.quantile("ttft", 0.5, everything),
        "ttft_p95_s": served.quantile("ttft", 0.95, everything),
        "itl_p50_s": served.quantile("itl", 0.5, everything),
        "itl_p95_s": served.quantile("itl", 0.95, everything),
        "slo_attainment_frac": served.attainment(everything),
        "goodput_tokens_per_s": good,
        "good_tokens_per_s": good,
        "good_tokens_per_joule": good / meter.mean() if meter.mean() > 0 else None,
        "served_frac": served.requests_per_s.sum() / offered if offered > 0 else None,
        "refused_frac": served.refused_per_s.sum() / offered if offered > 0 else None,
        "pue": whole.pue,
        "wue_l_per_kwh": whole.wue_l_per_kwh,
        "cue_kg_per_kwh": whole.cue_kg_per_kwh,
        "nameplate_power_w": year.table.nameplate_w.sum(),
        "provisioned_power_w": provisioned,
        "peak_power_w": meter.max(),
        "peak_grid_power_w": float(supplied.held_w.max()),
        "mean_power_w": meter.mean(),
    }


def site_account(c: HourlyPower | CoupledResult, carbon_kg_per_kwh: FloatArray) -> SiteAccount:
    """Return where the meter's power goes in each hour, as ISO/IEC 30134 counts it."""
    return SiteAccount(
        it_w=c.it_power_w,
        cooling_w=c.cooling_power_w,
        electrical_loss_w=c.feed_loss_w,
        other_w=c.lighting_power_w + c.building_power_w + c.heater_power_w + c.room_cooling_power_w,
        water_kg_s=c.water_kg_s,
        carbon_kg_per_kwh=carbon_kg_per_kwh,
        duration_s=np.array(S_PER_HOUR),
    )


def power_by_part_w(c: HourlyPower | CoupledResult) -> dict[str, FloatArray]:
    """Return the power at the meter by what draws it [W], shape (n_hours,); the parts sum to the meter."""
    return {
        "Accelerators": c.accelerator_power_w,
        "CPU, network and storage": c.other_it_power_w,
        "Server fans": c.server_fan_power_w,
        "Power shelves": c.shelf_loss_w,
        "UPS": c.ups_loss_w,
        "Transformers": c.transformer_loss_w,
        "Electrical distribution": c.feed_loss_w - c.ups_loss_w - c.transformer_loss_w,
        "CDU pumps": c.cdu_pump_power_w,
        "Plant pumps": c.plant_pump_power_w,
        "Tower pumps": c.tower_pump_power_w,
        "Heat-rejection fans": c.cooler_fan_power_w + c.tower_fan_power_w,
        "Chillers": c.chiller_power_w,
        "Air units": c.air_unit_fan_power_w,
        "Lighting": c.lighting_power_w,
        "Offices and services": c.building_power_w,
        "Engine heaters": c.heater_power_w,
        "Feed-room cooling": c.room_cooling_power_w,
    }


def mean_power_by_part_w(year: Year) -> dict[str, float]:
    """Return the mean power at the meter by what draws it [W]; the parts sum to the mean at the meter."""
    return {name: float(values.mean()) for name, values in power_by_part_w(year.power).items()}


def energy_flow(year: Year, supplied: generation.Supply) -> list[FlowRow]:
    """Return the year's energy from the grid to tokens and losses, as links of a Sankey diagram [J]."""
    seconds = year.weather.n_elements * S_PER_HOUR
    part = {name: power * seconds for name, power in mean_power_by_part_w(year).items()}
    idle = year.table.bank["idle_w"] * year.table.bank["n_accelerators"]
    idle_j = min(float(idle.sum()) * seconds, part["Accelerators"])
    groups = {"Racks": pue.RACKS, "Electrical": pue.ELECTRICAL, "Cooling": pue.COOLING, "Facility's own": pue.OWN}
    sources = supplied.sources
    own_w = {source.mover.name: float(source.power_w.mean()) for source in sources}
    meter_w = max(float(year.power.meter_power_w.mean()), 1e-12)
    feeding = {"Grid": 1 - sum(own_w.values()) / meter_w} | {name: watts / meter_w for name, watts in own_w.items()}
    links = [
        *(
            (origin, group, share * sum(part[name] for name in names))
            for origin, share in feeding.items()
            for group, names in groups.items()
        ),
        *(
            link
            for source in sources
            for link in (
                (source.mover.fuel.name, source.mover.name, float(source.fuel_w.mean()) * seconds),
                (source.mover.name, "Heat of generation", float((source.fuel_w - source.power_w).mean()) * seconds),
            )
        ),
        *((group, name, part[name]) for group, names in groups.items() for name in names),
        ("Grid", "Battery losses", supplied.battery_loss_w * seconds),
        ("Accelerators", "Idle draw", idle_j),
        ("Accelerators", "Tokens", part["Accelerators"] - idle_j),
    ]
    return [FlowRow(a, b, float(j)) for a, b, j in links if j > 0]


def _choice(pool: Pool) -> str:
    """Return how a configuration came about, and what a free search would gain over it."""
    if not pool.best_text:
        return pool.choice_text
    if pool.best_text == pool.configuration_text or pool.best_gain_frac <= 0:
        return f"{pool.choice_text}; a free search finds nothing better"
    gain = quantity_text(pool.best_gain_frac, "%")
    return f"{pool.choice_text}; a free search finds {pool.best_text}, with {gain} more output per accelerator"


def workload_row(solved: Solved, served: Served, i: int) -> WorkloadRow:
    """Return what a page shows of one workload."""
    pool = solved.pools[i]
    requests = served.requests_per_s[:, i]
    mean_per_s = float(requests.mean())

    def latency(which: str, quantile: float) -> float | None:
        return served.quantile(which, quantile, [i]) if pool.feasible else None

    return WorkloadRow(
        workload=pool.workload,
        name=pool.name,
        model=pool.model,
        model_name=pool.model_name,
        accelerator=pool.accelerator,
        n_accelerators=pool.n_accelerators,
        engine=pool.engine,
        configuration=pool.configuration_text,
        choice=_choice(pool),
        best_configuration=pool.best_text,
        best_gain_frac=pool.best_gain_frac,
        mean_tokens=pool.input_tokens + pool.output_tokens,
        longest_tokens=pool.longest_tokens,
        tensor_parallel=pool.tensor_parallel,
        weight_precision=pool.weight_precision,
        feasible=pool.feasible,
        reason=pool.reason,
        offered_requests_per_s=float(pool.demand_per_s.mean()),
        served_requests_per_s=mean_per_s,
        target_ttft_s=pool.target_ttft_s,
        target_itl_s=pool.target_itl_s,
        confidence=pool.confidence,
        source=pool.source,
        output_tokens_per_s=mean_per_s * pool.output_tokens if pool.feasible else 0.0,
        input_tokens_per_s=mean_per_s * pool.input_tokens if pool.feasible else 0.0,
        ttft_p50_s=latency("ttft", 0.5),
        ttft_p95_s=latency("ttft", 0.95),
        itl_p50_s=latency("itl", 0.5),
        itl_p95_s=latency("itl", 0.95),
        slo_attainment_frac=served.attainment([i]),
        goodput_tokens_per_s=served.goodput([i]),
        cached_prompt_frac=float(served.cached_frac[:, i] @ requests / requests.sum()) if requests.any() else None,
        sessions_peak=float(served.sessions[:, i].max()) if pool.feasible and pool.has_sessions else None,
    )


def economiser_hours(solved: Solved) -> dict[str, float]:
    """Return the hours in which each plant rejects all its heat without chillers, by plant name."""
    free = solved.coupled.economiser_mode == 0
    return {name: float(np.count_nonzero(free[:, i])) for i, name in enumerate(equipment.names(solved.inputs).plants)}


def money(year: Year, served: Served, supplied: generation.Supply | None = None) -> Money:
    """Return what the year used, at which prices, and the prices' bounds; `supplied` is its supply, where known."""
    inputs = year.inputs
    seconds_scale = S_PER_YEAR / (year.weather.n_elements * S_PER_HOUR)
    rent, known = 0.0, True
    counts = {}
    spread = np.zeros(2)  # of the rent: from what owning costs the provider to the price on demand
    for slug in np.unique(year.table.accelerator):
        counts[slug] = float(year.table.bank["n_accelerators"][year.table.accelerator == slug].sum())
        if slug:
            entry = inputs.products.gpu_rental.get(str(slug))
            known &= entry is not None
            if entry is not None:
                reserved = float(entry.facts["reserved_1y_usd_per_gpu_h"])
                ends = [
                    entry.facts.get(name) for name in ("cost_of_ownership_usd_per_gpu_h", "on_demand_usd_per_gpu_h")
                ]
                rent += counts[slug] * reserved
                spread += [counts[slug] * float(reserved if end is None else end) for end in ends]
    drawn = capital.capital_items(inputs)
    nameplate_w = year.table.nameplate_w
    supplied = supplied or generation.supply(year)
    sources = supplied.sources
    energy_j = float(supplied.grid_w.mean() * S_PER_YEAR)
    carbon = generation.carbon_kg_per_kwh(year, supplied)
    emitted_kg_per_s = float((carbon * year.power.meter_power_w).mean()) / economics.J_PER_KWH
    used = economics.Quantities(
        output_tokens=float(served.output_tokens_per_s.mean() * S_PER_YEAR * year.availability_frac),
        input_tokens=float(served.input_tokens_per_s.mean() * S_PER_YEAR * year.availability_frac),
        good_tokens=served.goodput(slice(None)) * S_PER_YEAR * year.availability_frac,
        prompt_frac=_prompt_frac(year),
        it_capital_usd=capital.group_usd(drawn, capital.SYSTEMS),
        network_capital_usd=capital.group_usd(drawn, capital.NETWORK) if inputs.fabrics else None,
        storage_capital_usd=_storage_usd(inputs, SHARED),
        cache_capital_usd=_storage_usd(inputs, CACHE) or 0.0,
        cpu_capital_usd=capital.group_usd(drawn, capital.CPU),
        plant_usd=capital.group_usd(drawn, capital.POWER, capital.COOLING),
        nameplate_power_w=float(nameplate_w.sum()),
        energy_j=energy_j,
        carbon_kg=emitted_kg_per_s * S_PER_YEAR,
        fuel_usd=generation.fuel_usd(sources),
        generation_usd=generation.maintenance_usd(sources),
        liquid_frac=float(nameplate_w[year.table.bank["cdu_index"] >= 0].sum() / max(nameplate_w.sum(), 1.0)),
        peak_power_w=float(supplied.held_w.max()),
        water_m3=float(year.power.water_kg_s.sum() * S_PER_HOUR * seconds_scale / 1e3),
        n_accelerators=sum(count for slug, count in counts.items() if slug),
        rent_usd_per_h=rent if known and rent > 0 else None,
    )
    prices, bounds = economics.prices_of(inputs)
    if used.rent_usd_per_h is not None:
        bounds["rent_frac"] = (*(spread / rent).tolist(), "of the reserved price")
    fuel = generation.fuel_price_frac(year, sources)
    if fuel is not None:
        bounds["fuel_price_frac"] = (*fuel, "of the price of fuel")
    return used, prices, bounds


def _storage_usd(inputs: LayoutInputs, purpose: str) -> float | None:
    """Return what described storage of a purpose costs, None where there is none."""
    prices = [storage.price_usd or 0.0 for storage in inputs.stored() if storage.purpose == purpose]
    return sum(prices) if prices else None


def _prompt_frac(year: Year) -> float:
    """Return the share of the accelerators' serving time that reading prompts takes, over all pools."""
    busy = np.minimum(year.load_frac, 1.0).mean(axis=0) * [pool.n_accelerators for pool in year.pools]
    prompt = np.array([pool.prompt_frac for pool in year.pools])
    return float(prompt @ busy / busy.sum()) if busy.sum() > 0 else 0.0


def storage_rows(inputs: LayoutInputs) -> list[StorageResult]:
    """Return the storage with what each accelerator has of it, and what of its power stands in no rack."""
    has_room = inputs.n_racks_for("storage") > 0
    return [
        StorageResult(
            **asdict(storage),
            bytes_per_accelerator=storage.usable_bytes / max(inputs.n_accelerators, 1.0),
            read_bytes_per_s_per_accelerator=storage.read_bytes_per_s / max(inputs.n_accelerators, 1.0),
            unplaced_w=0.0 if has_room else storage.max_power_w,
        )
        for storage in inputs.stored()
    ]


def cpu_details(year: Year, served: Served) -> dict[str, Any]:
    """Return what a run keeps of CPU servers and tool calls, by the names of `RunDetails`."""
    inputs, servers, rows = year.inputs, year.inputs.cpus(), []
    for share in inputs.scenario.workloads:
        of_share = [i for i, pool in enumerate(year.pools) if pool.workload == share.workload.slug]
        requests = served.requests_per_s[:, of_share].sum(axis=1)
        calls, whole_s = cpu_time.calls_per_request(share), cpu_time.request_core_s(share)
        rows.append(
            ToolCallRow(
                name=share.workload.name,
                tool_calls_per_request=calls,
                tool_core_s=cpu_time.tool_core_s(share),
                request_core_s=whole_s,
                tool_calls_per_s=calls * float(requests.mean()),
                mean_cores=whole_s * float(requests.mean()),
                busiest_cores=whole_s * float(served.wanted_per_s[:, of_share].sum(axis=1).max()),
            )
        )
    wanted = tool_calls.busy_cores(year.pools, served.wanted_per_s)
    idle_w, most_w = (sum(getattr(each, name) for each in servers) for name in ("idle_power_w", "max_power_w"))
    mean_w = None
    if servers:
        busiest, at_full_load_frac = tool_calls.cores_by_load(inputs, year.pools)
        used_frac = at_full_load_frac * np.minimum(year.load_frac[:, busiest], 1.0).mean()
        mean_w = float(idle_w + (most_w - idle_w) * used_frac)
    return {
        "cpu_servers": tuple(
            CpuServersResult(**asdict(each), unplaced_w=0.0 if inputs.cpu_racks else each.max_power_w)
            for each in servers
        ),
        "tool_calls": tuple(rows),
        "cpu_mean_power_w": mean_w,
        "cpu_servers_needed": tool_calls.servers_needed(float(wanted.max()), servers),
        "cpu_busiest_cores": float(wanted.max()),
        "cpu_longest_wait_s": float(served.cpu_wait_s.max()) if servers else None,
        "cpu_short_hours": float(np.count_nonzero(wanted > cpu_time.most_cores(servers))) if servers else None,
    }


def network_rows(inputs: LayoutInputs) -> list[NetworkRow]:
    """Return each network as it was sized, and what of its power stands in no rack."""
    has_room = inputs.n_racks_for("network") > 0
    return [
        NetworkRow(**asdict(network), unplaced_w=0.0 if has_room else network.max_power_w)
        for network in inputs.networks()
    ]


def weather_log_bands(weather: WeatherInputs) -> dict[str, float]:
    """Return what a year of weather adds to half the logarithmic bands: nothing, unless its hours are estimated."""
    return ESTIMATED_WEATHER_LOG_BANDS if weather.is_estimated else dict.fromkeys(ESTIMATED_WEATHER_LOG_BANDS, 0.0)


def bands(
    year: Year, served: Served, figures: dict[str, float | None], spent: Money | None = None
) -> dict[str, list[float]]:
    """Return the 80 % band of each figure that an uncertainty is known for.

    Relative uncertainties of independent origin are added in quadrature, in logarithms. Where stated demand decides,
    and not capacity, tokens are exact; no band holds a value that cannot be: power above the racks' nameplate or the
    accelerators' caps, shares outside 0 to 1, good tokens above all tokens, a wait longer than anybody waits.
    """
    output = np.array([max(float(p.demand_per_s.mean()) * p.output_tokens, 0.0) for p in year.pools])
    share = output / output.sum() if output.sum() > 0 else output
    log_band = {
        name: sum(s * p.log_band(name) for s, p in zip(share, year.pools, strict=True) if p.feasible)
        for name in ("throughput", "ttft", "itl", "power")
    }
    part = mean_power_by_part_w(year)
    total = sum(part.values())
    chips = part["Accelerators"] / total if total > 0 else 0.0  # a meter that reads nothing all year is exact
    host = sum(part[name] for name in ("CPU, network and storage", "Server fans", "Power shelves"))
    host = host / total if total > 0 else 0.0
    facility = 1 - chips - host
    weather = weather_log_bands(year.inputs.weather)
    overhead = float(np.hypot(ASSUMED_COOLING_BAND_FRAC, weather["pue_overhead"]))
    power = float(np.hypot(np.hypot(chips * log_band["power"], host * ASSUMED_IT_POWER_BAND_FRAC), facility * overhead))
    fewer, more = served_band_frac(year, served)
    tokens = (np.log(fewer), np.log(more))
    per_joule = (-np.hypot(tokens[0], power), np.hypot(tokens[1], power))
    around = {name: (-float(log_band[name]), float(log_band[name])) for name in ("ttft", "itl")}
    logs = {
        **dict.fromkeys(("output_tokens_per_s", "input_tokens_per_s"), tokens),
        **dict.fromkeys(("goodput_tokens_per_s", "good_tokens_per_s"), tokens),
        **dict.fromkeys(("tokens_per_joule", "it_tokens_per_joule", "good_tokens_per_joule"), per_joule),
        **dict.fromkeys(("mean_power_w", "peak_power_w"), (-power, power)),
        **cost_log_bands(year, served, tokens, spent or money(year, served)),
        **dict.fromkeys(("ttft_p50_s", "ttft_p95_s"), around["ttft"]),
        **dict.fromkeys(("itl_p50_s", "itl_p95_s"), around["itl"]),
    }
    numbers = {name: value for name, value in figures.items() if value is not None and np.isfinite(value)}
    if weather["wue"] and numbers.get("wue_l_per_kwh"):
        logs["wue_l_per_kwh"] = (-weather["wue"], weather["wue"])
    known = {
        name: [numbers[name] * np.exp(low), numbers[name] * np.exp(high)]
        for name, (low, high) in logs.items()
        if name in numbers
    }
    if "pue" in numbers:
        above = numbers["pue"] - 1
        known["pue"] = [1 + above * (1 - overhead), 1 + above * (1 + overhead)]
        cap_w = year.inputs.scenario.accelerator_power_limit_w
        bank = year.table.bank
        capped_w = 0.0 if cap_w is None else bank["n_accelerators"] @ np.maximum(bank["tdp_w"] - cap_w, 0.0)
        most_w = (numbers["nameplate_power_w"] - capped_w) * known["pue"][1]
        for name in ("mean_power_w", "peak_power_w"):
            known[name][1] = max(numbers[name], min(known[name][1], most_w))
    if served.waits:
        for name, (low, high) in waiting_ttft_bands(year, served, log_band["ttft"]).items():
            known[name] = [min(low, numbers[name]), max(high, numbers[name])]
    known["availability_frac"] = availability_band(numbers["availability_frac"], year.serving_losses)
    made = numbers.get("output_tokens_per_s", 0.0)
    if made > 0 and all(share.requests_per_s is not None for share in year.inputs.scenario.workloads):
        most_frac = max(float(output.sum()) / made, 1.0)  # nobody is served more than was asked for
        for name in ("output_tokens_per_s", "input_tokens_per_s"):
            known[name][1] = min(known[name][1], numbers[name] * most_frac)
    for name in ("goodput_tokens_per_s", "good_tokens_per_s"):
        known[name][1] = max(numbers[name], min(known[name][1], known["output_tokens_per_s"][1]))
    return {name: [float(low), float(high)] for name, (low, high) in known.items()}


def waiting_ttft_bands(year: Year, served: Served, log_band: float) -> dict[str, list[float]]:
    """Return the bands of times to a first token where requests wait at the door.

    The wait hangs on demand over capacity, not on how long the service takes: it is taken anew at both ends of the
    capacity's 80 % band, unless demand is a share of capacity and moves with it. `log_band` is half the logarithmic
    band of the service.
    """
    own = [pool.log_band("throughput") if pool.demand_is_stated and pool.feasible else 0.0 for pool in year.pools]
    found = {}
    for name, quantile in (("ttft_p50_s", 0.5), ("ttft_p95_s", 0.95)):
        ends = [
            served.ttft_at(np.exp(sign * np.array(own)), float(np.exp(sign * log_band)), quantile) for sign in (-1, 1)
        ]
        found[name] = [float(end) for end in ends if end is not None]
    return {name: ends for name, ends in found.items() if len(ends) == 2}


#: How each cost of tokens follows from what a year used and at which prices.
COSTS = {
    "cost_per_million_output_tokens_usd": economics.owned_cost_usd,
    "cost_per_million_good_tokens_usd": economics.good_cost_usd,
    "cost_per_million_input_tokens_usd": economics.input_cost_usd,
    "blended_cost_per_million_tokens_usd": economics.blended_cost_usd,
    "rented_cost_per_million_output_tokens_usd": economics.rented_cost_usd,
    "colocated_cost_per_million_output_tokens_usd": economics.colocated_cost_usd,
}


def cost_log_bands(
    year: Year, served: Served, tokens: tuple[float, float], spent: Money
) -> dict[str, tuple[float, float]]:
    """Return how far each cost may lie below and above, in logarithms.

    It holds the predicted tokens, prices, lives and licences between their bounds, and demand that is a share of
    capacity between a hall with reserve and a full one; independent, added in quadrature.
    """
    used, prices, bounds = spent
    price_ends = economics.price_ends(prices, bounds)
    at_demand = [_used_at_peak_load(year, served, used, end) for end in ASSUMED_PEAK_LOAD]
    found = {}
    for name, cost in COSTS.items():
        below, above = economics.price_band_log(cost, used, prices, price_ends)
        base = cost(used, prices)
        logs = [float(np.log(end / base)) for then in at_demand if base and (end := cost(then, prices))]
        below, above = float(np.hypot(below, min([0.0, *logs]))), float(np.hypot(above, max([0.0, *logs])))
        found[name] = (-float(np.hypot(below, tokens[1])), float(np.hypot(above, tokens[0])))
    return found


def _used_at_peak_load(
    year: Year, served: Served, used: economics.Quantities, peak_load_frac: float
) -> economics.Quantities:
    """Return what a year uses and makes where the busiest hour loads capacity so much; stated demand stays.

    Of the power the part that idles stays, and what serving draws follows the tokens.
    """
    loads = {share.workload.slug: share.peak_load_frac for share in year.inputs.scenario.workloads}
    before = served.output_tokens_per_s.sum()
    if not before > 0:
        return used
    at = [1.0 if pool.demand_is_stated else peak_load_frac / loads[pool.workload] for pool in year.pools]
    made, good_tokens_per_s = served.at_demand(np.array(at))
    more = float(made / before)
    good = good_tokens_per_s / max(served.goodput(slice(None)), 1e-12)
    idle_w = float((year.table.bank["idle_w"] * year.table.bank["n_accelerators"]).sum())
    parts = mean_power_by_part_w(year)
    busy = max(parts["Accelerators"] - idle_w, 0.0) / max(sum(parts.values()), 1.0)
    power = 1.0 + busy * (more - 1.0)
    return replace(
        used,
        output_tokens=used.output_tokens * more,
        input_tokens=used.input_tokens * more,
        good_tokens=used.good_tokens * good,
        energy_j=used.energy_j * power,
        carbon_kg=used.carbon_kg * power,
        water_m3=used.water_m3 * power,
        peak_power_w=used.peak_power_w * power,
        fuel_usd=used.fuel_usd * power,
        generation_usd=used.generation_usd * power,
    )


def availability_band(availability_frac: float, losses: list[ServingLoss]) -> list[float]:
    """Return low and high availability: the published spread of each cause, independent, and of power and cooling."""
    lost = 1 - availability_frac
    site = max(0.0, lost - sum(loss.lost_frac for loss in losses))  # power and cooling
    more = np.hypot.reduce([site * (ASSUMED_FAILURE_RATE_FACTOR - 1), *(x.high_frac - x.lost_frac for x in losses)])
    less = np.hypot.reduce([site * (1 - 1 / ASSUMED_FAILURE_RATE_FACTOR), *(x.lost_frac - x.low_frac for x in losses)])
    return [max(0.0, 1 - lost - more), min(1.0, 1 - max(lost - less, 0.0))]


def served_band_frac(year: Year, served: Served) -> tuple[float, float]:
    """Return the tokens served at both ends of the capacity's 80 % band, over those served.

    Demand that is a share of a pool's own capacity moves with it; demand stated in requests does not, and is all served
    as long as capacity exceeds it.
    """
    made = served.output_tokens_per_s.sum()
    if not made > 0:
        return 1.0, 1.0
    ends = []
    for sign in (-1.0, 1.0):
        tokens = 0.0
        for i, pool in enumerate(year.pools):
            factor = float(np.exp(sign * pool.log_band("throughput"))) if pool.feasible else 1.0
            requests = served.requests_per_s[:, i]
            if pool.demand_is_stated:
                asked = np.maximum(served.offered_per_s[:, i], requests)
                requests = np.minimum(asked, served.servable_per_s[:, i] * factor)
            else:
                requests = requests * factor
            tokens += float(requests.sum()) * pool.output_tokens
        ends.append(tokens / made)
    return min(ends[0], 1.0), max(ends[1], 1.0)


def hourly_series(solved: Solved, served: Served) -> dict[str, FloatArray]:
    """Return the hourly series of `twin.core.figures_of_merit.SERIES` by name, each of shape (n_hours,).

    Every hour has everything in service. Those of on-site generation and of batteries that shave peaks only where there
    are some.
    """
    c, weather = solved.coupled, solved.weather
    accelerators = np.array([pool.n_accelerators for pool in solved.pools], dtype=float)
    share = accelerators / max(accelerators.sum(), 1.0)
    on_liquid = c.cdu_supply_degc.shape[1] > 0
    heat_w, free_w = c.facility_heat_w.sum(axis=1), c.economiser_heat_w.sum(axis=1)
    series = {
        "meter_power_w": c.meter_power_w,
        "it_power_w": c.it_power_w,
        "accelerator_power_w": c.accelerator_power_w,
        "electrical_loss_w": c.feed_loss_w + c.shelf_loss_w,
        "heat_rejection_power_w": c.cooler_fan_power_w + c.tower_fan_power_w,
        "chiller_power_w": c.chiller_power_w,
        "pump_power_w": c.cdu_pump_power_w + c.plant_pump_power_w + c.tower_pump_power_w,
        "air_unit_power_w": c.air_unit_fan_power_w,
        "output_tokens_per_s": served.output_tokens_per_s,
        "load_frac": np.minimum(solved.load_frac, 1.0) @ share,
        "tokens_per_joule": np.divide(
            served.output_tokens_per_s, c.meter_power_w, out=np.zeros(weather.n_elements), where=c.meter_power_w > 0
        ),
        "pue": power_usage_effectiveness(c.meter_power_w, c.it_power_w),
        "water_kg_per_s": c.water_kg_s,
        "dry_bulb_degc": weather.dry_bulb_degc,
        "wet_bulb_degc": wet_bulb_degc(weather.dry_bulb_degc, weather.humidity_ratio, weather.pressure_pa),
        "facility_supply_degc": c.facility_supply_degc.max(axis=1),
        "rack_supply_degc": _highest(c.cdu_supply_degc) if on_liquid else np.full(weather.n_elements, np.nan),
        "rack_inlet_air_degc": _highest(c.hall_inlet_max_degc),
        "junction_degc": c.hottest_junction_degc,
        "clock_frac": c.pool_clock_frac.min(axis=1) if solved.pools else np.ones(weather.n_elements),
        "economiser_frac": np.divide(free_w, heat_w, out=np.ones(heat_w.size), where=heat_w > 0),
    }
    prime, battery = prime_movers(solved.inputs), shaving_battery(solved.inputs)
    if prime or battery:
        supplied = generation.in_service(solved, year_of(solved).power)
        series["grid_power_w"] = supplied.grid_w
    if prime:
        series["onsite_power_w"], series["fuel_power_w"] = supplied.onsite_w, supplied.fuel_w
    if battery is not None and supplied.shaved is not None:
        reserve_j = battery.energy_j - battery.battery.energy_j
        series["battery_charge_frac"] = (reserve_j + supplied.shaved.stored_j) / battery.energy_j
    return {entry.name: np.asarray(series[entry.name], dtype=float) for entry in SERIES if entry.name in series}


def rack_arrays(solved: Solved, served: Served) -> dict[str, np.ndarray]:
    """Return per-rack results, arrays of shape (n_racks,) in the snapshot's order."""
    summary, rack_class = solved.coupled.racks, solved.rack_class
    group = solved.table.bank["cdu_index"]
    mean_supply = np.full(rack_class.size, np.nan)
    if np.any(group >= 0):
        mean_supply[group >= 0] = solved.coupled.cdu_supply_degc.mean(axis=0)[group[group >= 0]]
    tokens = np.zeros(rack_class.size)
    chips = solved.table.bank["n_accelerators"] * solved.table.load_share
    for i in range(len(solved.pools)):
        of_pool = solved.rack_pool == i
        total = chips[of_pool].sum()
        if total > 0:
            made = served.requests_per_s[:, i].mean() * served.output_per_request[i]
            tokens[of_pool] = made * chips[of_pool] / total
    mean_power = summary.mean_power_w[rack_class]
    return {
        "rack_id": solved.table.rack_id,
        "mean_power_w": mean_power,
        "max_power_w": summary.max_power_w[rack_class],
        "mean_supply_degc": mean_supply,
        "max_supply_degc": summary.max_coolant_degc[rack_class],
        "max_junction_degc": np.where(
            solved.table.bank["n_accelerators"] > 0, summary.max_junction_degc[rack_class], np.nan
        ),
        "min_clock_frac": summary.min_clock_frac[rack_class],
        "throttled_hours": summary.throttled_elements[rack_class],
        "output_tokens_per_s": tokens,
        "tokens_per_joule": np.divide(tokens, mean_power, out=np.zeros(rack_class.size), where=mean_power > 0),
        "max_inlet_air_degc": summary.max_inlet_degc[rack_class],
        **rack_supply_loads(solved),
    }


def rack_supply_loads(solved: Solved) -> dict[str, FloatArray]:
    """Return highest and mean load over the year of what serves each rack [0-1 of its rating], shape (n_racks,).

    Of two feeds the one with more load counts; NaN without a CDU.
    """
    c, inputs, tree = solved.coupled, solved.inputs, solved.feeds.tree
    node_of = {feed.id: tree.index(feed.name) for feed in inputs.feeds}
    node = np.array([[node_of.get(feed, -1) for feed in pair] for pair in rack_feeds(inputs).tolist()])
    group, rating = solved.table.bank["cdu_index"], np.maximum(tree.installed_w, 1e-9)
    loads = {}
    for name, over_year in (("max", np.max), ("mean", np.mean)):
        on_feed = np.append(over_year(c.feed_load_w, axis=0) / rating, np.nan)  # the last is of no feed
        loads[f"{name}_feed_load_frac"] = np.fmax.reduce(on_feed[node], axis=1)
        loads[f"{name}_cdu_load_frac"] = np.append(over_year(c.cdu_load_frac, axis=0), np.nan)[group]
    return loads


def _highest(values: FloatArray) -> FloatArray:
    """Return the highest of each row, leaving out what does not run; NaN where nothing does."""
    highest = np.max(np.nan_to_num(values, nan=-np.inf), axis=1)
    return np.where(np.isfinite(highest), highest, np.nan)


def _plain(value: Any) -> float | None:
    """Return a figure as JSON can hold it: no NumPy scalar, no NaN."""
    return None if value is None or not np.isfinite(value) else float(value)
