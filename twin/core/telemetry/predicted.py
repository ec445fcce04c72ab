"""The points that a layout's solved hours predict, by the names that they have on the wire."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from power_cooling.fluids.psychrometrics import wet_bulb_degc
from power_cooling.site_arrays import Weather
from twin.core.inputs.equipment import cdu_groups
from twin.core.inputs.layout import AirUnitRow, CduRow, FeedRow, HallRow, LayoutInputs, PlantRow
from twin.core.inputs.parameters import calibrated
from twin.core.solve.as_operated import sensor_reads
from twin.core.solve.object_states import object_tables
from twin.core.solve.steady import Steady, at_hours
from twin.core.solved import Described
from twin.core.telemetry.quantities import objects_of, split_point

FloatArray = NDArray[np.float64]
Points = dict[tuple[str, str], FloatArray]  # by object and quantity, shape (n_hours,)

RACKS = {
    "power_w": "power_w",
    "supply_degc": "liquid_supply_degc",
    "return_degc": "liquid_return_degc",
    "flow_kg_s": "liquid_flow_kg_s",
}
CDUS = {
    "supply_degc": "secondary_supply_degc",
    "return_degc": "secondary_return_degc",
    "flow_kg_s": "secondary_flow_kg_s",
    "facility_supply_degc": "primary_supply_degc",
    "facility_return_degc": "primary_return_degc",
    "facility_flow_kg_s": "primary_flow_kg_s",
    "valve_frac": "valve_frac",
    "pump_power_w": "power_w",
    "pump_speed_frac": "speed_frac",
}
ACCELERATORS = {"junction_degc": "accelerator_temperature_degc", "tokens_per_s": "output_tokens_per_s"}
PLANTS = {"supply_degc": "liquid_supply_degc", "return_degc": "liquid_return_degc", "flow_kg_s": "liquid_flow_kg_s"}
HALLS = {"supply_degc": "air_supply_degc", "return_degc": "air_return_degc", "air_flow_kg_s": "air_flow_kg_s"}


def rack_objects(inputs: LayoutInputs) -> tuple[str, ...]:
    """Return the names of the racks on the wire, in their order."""
    hall = {row.id: row.name for row in inputs.halls}
    return tuple(
        f"rack/{hall[hall_id]}/{name}" for hall_id, name in zip(inputs.racks.hall_id, inputs.racks.name, strict=True)
    )


def layout_objects(inputs: LayoutInputs) -> tuple[str, ...]:
    """Return every object of a layout that points may belong to."""
    parts: dict[str, Sequence[CduRow | FeedRow | PlantRow | AirUnitRow | HallRow]] = {
        "cdu": inputs.cdus,
        "feed": inputs.feeds,
        "plant": inputs.plants,
        "air-unit": inputs.air_units,
        "hall": inputs.halls,
    }
    return objects_of(rack_objects(inputs), {kind: [row.name for row in rows] for kind, rows in parts.items()})


def predicted_points(steady: Steady) -> Points:
    """Return every predicted point as its sensor reads it, arrays of shape (n_hours,); NaN where an hour has no value.

    A sensor reads what is so, but for the biases and gains that were accepted for the layout. A point without any
    value, such as the coolant of a rack cooled by air, is left out.
    """
    inputs, tables, meter_w = steady.inputs, object_tables(steady), steady.coupled.meter_power_w
    points: Points = {}

    def read(objects: Sequence[str], values: Mapping[str, FloatArray], names: Mapping[str, str]) -> None:
        for column, quantity in names.items():
            for i, name in enumerate(objects):
                points[name, quantity] = np.asarray(values[column][:, i], dtype=float)

    racks, halls, plants = rack_objects(inputs), tables["halls"], tables["plants"].values
    read(racks, tables["racks"].values, RACKS)
    read([f"{name}/accelerators" for name in racks], tables["racks"].values, ACCELERATORS)
    cdus = {**tables["cdus"].values, "pump_speed_frac": pump_speed_frac(steady, tables["cdus"].values["flow_kg_s"])}
    read([f"cdu/{name}" for name in tables["cdus"].names], cdus, CDUS)
    read([f"feed/{name}" for name in tables["feeds"].names], tables["feeds"].values, {"power_w": "power_w"})
    drawn = {"power": plants["chiller_power_w"] + plants["fan_power_w"] + plants["pump_power_w"]}
    plant_objects = [f"plant/{name}" for name in tables["plants"].names]
    read(plant_objects, plants, PLANTS)
    read(plant_objects, drawn, {"power": "power_w"})
    read([f"hall/{name}" for name in halls.names], halls.values, HALLS)
    column = {hall_id: i for i, hall_id in enumerate(halls.ids)}
    for unit in inputs.air_units:
        i = column[unit.hall_id]
        units = max(float(steady.site.halls.n_units[i]), 1.0)  # alike units share their hall's load
        points[f"air-unit/{unit.name}", "power_w"] = halls.values["fan_power_w"][:, i] / units
        points[f"air-unit/{unit.name}", "air_supply_degc"] = halls.values["supply_degc"][:, i]
        points[f"air-unit/{unit.name}", "air_return_degc"] = halls.values["return_degc"][:, i]
    weather = steady.weather
    points["weather", "dry_bulb_degc"] = weather.dry_bulb_degc
    points["weather", "wet_bulb_degc"] = wet_bulb_degc(
        weather.dry_bulb_degc, weather.humidity_ratio, weather.pressure_pa
    )
    solved = np.where(np.isnan(meter_w), np.nan, 1.0)
    points["site", "power_w"] = meter_w
    points["site", "output_tokens_per_s"] = steady.served.output_tokens_per_s * solved
    for slug, tokens in workload_tokens_per_s(steady).items():
        points[f"workload/{slug}", "output_tokens_per_s"] = tokens * solved
    for truth in calibrated(inputs):
        if (key := split_point(truth.object)) in points:
            points[key] = sensor_reads(points[key], [truth])
    dry = {name for name in racks if not np.any(points[name, "liquid_flow_kg_s"] > 0)}
    return {
        (name, quantity): values
        for (name, quantity), values in points.items()
        if np.isfinite(values).any() and not (name in dry and quantity.startswith("liquid_"))
    }


def pump_speed_frac(steady: Steady, flow_kg_s: FloatArray) -> FloatArray:
    """Return each CDU's pump speed over that at its rated flow, by the affinity law of the head it gives: n² = H."""
    cdus = steady.site.cdus
    if cdus is None:
        return flow_kg_s
    place = {name: i for i, name in enumerate(cdu_groups(steady.inputs))}
    group = np.array([place[cdu.group] for cdu in steady.inputs.cdus], dtype=np.int64)
    flow_frac, static = flow_kg_s / cdus.secondary_flow_kg_s[group], cdus.pump_static_frac[group]
    return np.where(flow_frac > 0, np.sqrt(static + (1.0 - static) * flow_frac**2), 0.0)


def workload_tokens_per_s(steady: Steady) -> dict[str, FloatArray]:
    """Return output tokens per second of each served workload, shape (n_hours,)."""
    made = np.nan_to_num(steady.served.requests_per_s) * steady.served.output_per_request
    tokens: dict[str, FloatArray] = {}
    for i, pool in enumerate(steady.pools):
        tokens[pool.workload] = tokens.get(pool.workload, 0.0) + made[:, i]
    return tokens


def at_times(year: Described, hours: FloatArray) -> Described:
    """Return the layout at hours of the year with a fraction: weather and demand on the line between whole hours."""
    n, part = year.weather.n_elements, hours % 1.0
    first, then = (at_hours(year, (np.floor(hours + more) % n).astype(int).tolist()) for more in (0, 1))

    def between(a: FloatArray, b: FloatArray) -> FloatArray:
        return a * (1 - part) + b * part

    columns = ("dry_bulb_degc", "humidity_ratio", "pressure_pa")
    return replace(
        first,
        weather=Weather(*(between(getattr(first.weather, name), getattr(then.weather, name)) for name in columns)),
        pools=[
            replace(
                pool,
                demand_per_s=between(pool.demand_per_s, after.demand_per_s),
                work_per_s=between(pool.work_per_s, after.work_per_s),
            )
            for pool, after in zip(first.pools, then.pools, strict=True)
        ],
    )


def hour_of_year(seconds: FloatArray, offset_s: float, n_hours: int) -> FloatArray:
    """Return the hour of a typical year, with its fraction, of times on a site's clock.

    Parameters
    ----------
    seconds : ndarray
        Since 1970, UTC [s].
    offset_s : float
        The clock's distance from UTC [s].
    n_hours : int
        8760, or 8784 for a year with 29 February; without one, 29 February is read as the 28th.
    """
    hours = np.empty(len(seconds))
    for i, second in enumerate(seconds):
        when = dt.datetime.fromtimestamp(float(second) + offset_s, dt.UTC)
        day = 28 if n_hours == 8760 and (when.month, when.day) == (2, 29) else when.day
        start = when.replace(year=2024 if n_hours > 8760 else 2025, day=day)
        hours[i] = (start - start.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    return hours / 3600.0


def matches(wanted: str, name: str, quantity: str) -> bool:
    """Whether a truth or fault's object, with or without `|quantity`, means a point."""
    split = split_point(wanted)
    return (name, quantity) == split if split else name == wanted
