"""Seconds to throttle and to trip of a described site, for each kind of loss.

Turns the coupled solver's description into the lumped plant that `transients` follows, at one load and weather, and
runs the losses. What no data sheet gives (coolant held in racks and pipes, metal that warms with it) is in `Volumes`,
assumed unless the site says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from power_cooling.cooling.heat_rejection import air_w_per_k
from power_cooling.cooling.room_air import AIR_CP_J_PER_KG_K
from power_cooling.cooling.towers import merkel_outlet_degc
from power_cooling.fluids.heat_exchangers import counterflow_effectiveness, effectiveness
from power_cooling.fluids.psychrometrics import (
    humidity_ratio_from_wet_bulb,
    specific_volume_m3_per_kg,
)
from power_cooling.site_arrays import SiteArrays
from power_cooling.transients import disturbances
from power_cooling.transients.disturbances import Disturbance, Forcing
from power_cooling.transients.solve import FacilityLoop, TransientReport, TransientUnits, simulate_transient

FloatArray = NDArray[np.float64]

COOLANT_J_PER_M3_K = 4.0e6  # PG25 near 40 °C
BURST = "burst of load, from idle to busiest"


@dataclass(frozen=True, slots=True)
class Volumes:
    """What stores heat. The defaults are assumed from typical designs."""

    chip_j_per_k_per_w: float = 0.35  # chip, lid and copper cold plate: some 0.9 kg of copper per kilowatt
    rack_coolant_m3_per_w: float = 1.0e-6  # plates, hoses and manifolds: about 1 L per kW
    loop_coolant_m3_per_w: float = 5.0e-6  # row pipes and CDU: 5-8 L per kW with the racks
    facility_return_m3_per_w: float = 5.0e-6
    facility_supply_m3_per_w: float = 5.0e-6
    tank_layers: int = 10
    rack_metal_j_per_k: float = 150e3  # sheet metal and boards that follow the air, per rack
    air_limit_degc: float = 45.0  # of common servers' inlets (ASHRAE class A4)

    def __post_init__(self) -> None:
        for name in ("chip_j_per_k_per_w", "rack_coolant_m3_per_w", "loop_coolant_m3_per_w", "rack_metal_j_per_k"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Volumes.{name} is {getattr(self, name):g}; must be greater than 0")


@dataclass(frozen=True, slots=True, eq=False)
class LossDrill:
    """One kind of loss, or a burst of load. Arrays have shape (n_groups,): one value per CDU group of the plant."""

    name: str
    is_loss: bool
    throttle_s: FloatArray  # after the loss; infinite if never
    trip_s: FloatArray
    recovered_s: FloatArray
    hottest_degc: FloatArray
    air_limit_s: float
    report: TransientReport

    @property
    def first_throttle_s(self) -> float:
        """Return when the first group throttles [s]: the ride-through that pumps, UPS or storage must bridge."""
        return float(np.min(self.throttle_s))

    @property
    def first_trip_s(self) -> float:
        """Return when the first group trips [s]."""
        return float(np.min(self.trip_s))


def transient_plant(
    site: SiteArrays,
    plant: int,
    rack_load_frac: FloatArray,
    *,
    dry_bulb_degc: float,
    wet_bulb_degc: float,
    volumes: Volumes | None = None,
) -> tuple[TransientUnits, FacilityLoop, NDArray[np.intp], float]:
    """Return the lumped units and loop of one plant of a site.

    Parameters
    ----------
    site : SiteArrays
        The description.
    plant : int
        Row of the PlantBank.
    rack_load_frac : ndarray, shape (n_racks,)
        Load of each row of the RackBank [-].
    dry_bulb_degc, wet_bulb_degc : float
        Outdoor air [°C].
    volumes : Volumes, optional
        What stores heat.

    Returns
    -------
    tuple
        Units (one per CDU group that carries racks), the facility loop, the groups' rows in the CduBank, and the sink
        temperature [°C] that the plant rejects to.

    Raises
    ------
    ValueError
        If no CDU group of that plant carries racks.
    """
    volumes = volumes or Volumes()
    racks, cdus, plants = site.racks, site.cdus, site.plants
    n_groups = 0 if cdus is None else cdus.n_groups
    if not 0 <= plant < plants.n_plants:
        raise ValueError(f"plant is {plant}; there are {plants.n_plants}")
    load = np.broadcast_to(np.asarray(rack_load_frac, dtype=float), (racks.n_racks,))
    watts = _rack_watts(site, load)
    on_liquid = (racks.cdu_index >= 0) & (racks.count > 0)
    here = [
        group
        for group in range(n_groups)
        if cdus is not None and cdus.plant_index[group] == plant and np.any(on_liquid & (racks.cdu_index == group))
    ]
    if not here:
        raise ValueError(f"no CDU group of plant {plant} carries racks")
    cp = plants.cp_j_per_kg_k[plant]
    columns: dict[str, list[float]] = {}
    for group in here:
        members = np.flatnonzero(on_liquid & (racks.cdu_index == group))
        for key, value in _group(site, group, members, watts, load, cp, volumes).items():
            columns.setdefault(key, []).append(value)
    units = TransientUnits(**{key: np.array(values, dtype=float) for key, values in columns.items()})
    loop, sink = _facility(site, plant, units, watts, dry_bulb_degc, wet_bulb_degc, volumes)
    return units, loop, np.array(here), sink


def loss_drills(
    site: SiteArrays,
    plant: int,
    rack_load_frac: FloatArray,
    *,
    dry_bulb_degc: float,
    wet_bulb_degc: float,
    volumes: Volumes | None = None,
    duration_s: float = 1800.0,
    generator_start_s: float = 10.0,
    pumps_on_ups: bool = True,
    fans_on_ups: bool = False,
) -> tuple[LossDrill, ...]:
    """Return what each kind of loss does to the liquid-cooled racks of a plant, and how soon.

    Parameters
    ----------
    site, plant, rack_load_frac, dry_bulb_degc, wet_bulb_degc, volumes
        As for `transient_plant`.
    duration_s : float
        How long each run lasts after the loss [s].
    generator_start_s : float
        From the loss of the grid until generators carry the site [s].
    pumps_on_ups, fans_on_ups : bool
        What rides on the UPS when the grid is lost.

    Returns
    -------
    tuple of LossDrill
        One CDU of every group, all rack-coolant pumps, the facility pumps, all chillers and coolers, half of them, the
        grid, the grid with generators that fail, and a burst of load, which is no loss.
    """
    units, loop, groups, sink = transient_plant(
        site, plant, rack_load_frac, dry_bulb_degc=dry_bulb_degc, wet_bulb_degc=wet_bulb_degc, volumes=volumes
    )
    n = groups.size
    running = np.maximum(site.cdu_groups.n_units[groups], 1.0)
    carried = np.minimum((running - 1) / running * site.cdu_groups.max_flow_frac[groups], 1.0)
    at = 10.0  # a few steps of calm before
    one_cdu = tuple(
        event for i in range(n) for event in disturbances.pump_loss(at, units=(i,), remaining_frac=float(carried[i]))
    )
    calm = Forcing.steady(duration_s + at, sink_degc=sink)
    cases: dict[str, tuple[Disturbance, ...]] = {
        "one CDU of every group": one_cdu,
        "all rack-coolant pumps": disturbances.pump_loss(at),
        "facility-water pumps": disturbances.facility_pump_loss(at),
        "all chillers and coolers": disturbances.plant_loss(at),
        "half of the chillers and coolers": disturbances.plant_loss(at, remaining_frac=0.5),
        "grid, generators start": disturbances.grid_loss(
            at, generator_start_s=generator_start_s, pumps_on_ups=pumps_on_ups, fans_on_ups=fans_on_ups
        ),
        "grid, generators fail": disturbances.grid_loss(
            at, generators_carry=False, pumps_on_ups=pumps_on_ups, fans_on_ups=fans_on_ups
        ),
        BURST: disturbances.load_burst(at),
    }
    drills = []
    for name, events in cases.items():
        done = simulate_transient(units, loop, calm.with_disturbances(*events, n_units=n))
        drills.append(
            LossDrill(
                name=name,
                is_loss=name != BURST,
                throttle_s=np.maximum(done.throttle_s - at, 0.0),
                trip_s=np.maximum(done.trip_s - at, 0.0),
                recovered_s=np.maximum(done.recovered_s - at, 0.0),
                hottest_degc=done.hottest_degc,
                air_limit_s=max(done.air_limit_s - at, 0.0),
                report=done.report,
            )
        )
    return tuple(drills)


@dataclass(frozen=True, slots=True, eq=False)
class _Watts:
    """Per row of the RackBank, all racks of the row together [W]."""

    static: FloatArray
    dynamic: FloatArray
    liquid: FloatArray
    leakage: FloatArray

    @property
    def total(self) -> FloatArray:
        return self.static + self.dynamic


def _rack_watts(site: SiteArrays, load: FloatArray) -> _Watts:
    racks, pools = site.racks, site.pools
    grid = np.linspace(0, 1, pools.static_power_w.shape[1])
    static, dynamic = np.zeros(racks.n_racks), np.zeros(racks.n_racks)
    for pool in range(pools.static_power_w.shape[0]):
        in_pool = racks.pool_index == pool
        static[in_pool] = np.interp(load[in_pool], grid, pools.static_power_w[pool])
        dynamic[in_pool] = np.interp(load[in_pool], grid, pools.dynamic_power_w[pool])
    leakage = np.minimum(racks.leakage_frac * racks.tdp_w, static) * racks.n_accelerators * racks.count
    accelerators = (static + dynamic) * racks.n_accelerators
    other = racks.fixed_w + racks.per_load_w * load
    fans = racks.fan_power_w * np.minimum(racks.fan_base_frac + racks.fan_load_frac * load, 1.0) ** 3
    liquid = accelerators * racks.accelerator_liquid_frac + other * racks.other_liquid_frac
    return _Watts(
        static=(static * racks.n_accelerators + other + fans) * racks.count,
        dynamic=dynamic * racks.n_accelerators * racks.count,
        liquid=liquid * racks.count,
        leakage=leakage,
    )


def _group(
    site: SiteArrays,
    group: int,
    members: NDArray[np.intp],
    watts: _Watts,
    load: FloatArray,
    facility_cp: float,
    volumes: Volumes,
) -> dict[str, float]:
    racks, cdus = site.racks, site.cdu_groups
    power, liquid = float(watts.total[members].sum()), float(watts.liquid[members].sum())
    units, to_air = max(float(cdus.n_units[group]), 1.0), bool(cdus.to_air[group])
    stream = float((racks.coolant_flow_kg_s * racks.count)[members].sum()) * cdus.secondary_cp_j_per_kg_k[group]
    stream = min(
        stream,
        units * cdus.secondary_flow_kg_s[group] * cdus.max_flow_frac[group] * cdus.secondary_cp_j_per_kg_k[group],
    )
    rise = liquid / stream
    # A group's hottest class sets its lumped chip: junction above the inlet at this load.
    cooled = [i for i in members if racks.n_accelerators[i] > 0 and racks.accelerator_liquid_frac[i] > 0]
    hottest, margin = None, math.inf
    above = rise + 1.0
    for i in cooled:
        chip_w = (watts.total[i] / racks.count[i] - racks.fixed_w[i] - racks.per_load_w[i] * load[i]) / (
            racks.n_accelerators[i]
        )
        resistance = racks.r_th_fixed_k_per_w[i] + racks.r_th_flow_k_per_w[i] + racks.r_th_rise_k_per_w[i]
        room = racks.throttle_degc[i] - resistance * chip_w
        if room < margin:
            margin, hottest, above = room, i, resistance * chip_w
    exponent = 0.5
    throttle, trip, per_k, least, linear, alpha, reference = 200.0, 250.0, 0.05, 0.3, 0.25, 0.0, 65.0
    if hottest is not None:
        i = hottest
        fixed, by_flow = racks.r_th_fixed_k_per_w[i], racks.r_th_flow_k_per_w[i]
        # The whole resistance falls with flow only by its film's share.
        exponent = float(racks.r_th_flow_exponent[i] * by_flow / max(fixed + by_flow, 1e-12))
        throttle, trip = float(racks.throttle_degc[i]), float(racks.trip_degc[i])
        per_k, least = float(racks.throttle_frac_per_k[i]), float(racks.min_clock_frac[i])
        linear, alpha = float(racks.clock_linear_frac[i]), float(racks.leakage_per_k[i])
        reference = float(racks.reference_degc[i])
    # The lumped chip sits above the leaving coolant; the sheets' resistance counts from the entering one.
    plate = liquid / max(above - rise, 1.0)
    return {
        "chip_j_per_k": volumes.chip_j_per_k_per_w * max(power, 1.0),
        "rack_coolant_j_per_k": volumes.rack_coolant_m3_per_w * COOLANT_J_PER_M3_K * max(power, 1.0),
        "loop_j_per_k": volumes.loop_coolant_m3_per_w * COOLANT_J_PER_M3_K * max(power, 1.0),
        "plate_w_per_k": plate,
        "plate_exponent": exponent,
        "still_w_per_k": 0.05 * plate,
        "coolant_w_per_k": stream,
        "exchanger_w_per_k": units * float(cdus.ua_w_per_k[group]),
        "facility_w_per_k": units
        * float(cdus.primary_flow_kg_s[group])
        * (AIR_CP_J_PER_KG_K if to_air else facility_cp),
        "to_air": float(to_air),
        "supply_setpoint_degc": float(cdus.supply_set_degc[group]),
        "static_w": float(watts.static[members].sum()),
        "dynamic_w": float(watts.dynamic[members].sum()),
        "leakage_w": float(watts.leakage[members].sum()),
        "leakage_per_k": alpha,
        "reference_degc": reference,
        "linear_frac": linear,
        "throttle_degc": throttle,
        "throttle_per_k": per_k,
        "least_clock_frac": least,
        "trip_degc": trip,
        "liquid_frac": min(liquid / power, 1.0),  # sums of the same watts in another order may differ in the last digit
    }


def _facility(
    site: SiteArrays,
    plant: int,
    units: TransientUnits,
    watts: _Watts,
    dry_degc: float,
    wet_degc: float,
    volumes: Volumes,
) -> tuple[FacilityLoop, float]:
    plants, halls, racks = site.plants, site.halls, site.racks
    cp = plants.cp_j_per_kg_k[plant]
    flow = float(plants.design_flow_kg_s[plant]) * cp
    on_plant = np.flatnonzero(halls.plant_index == plant)
    in_halls = np.isin(racks.hall_index, on_plant)
    all_power = float(watts.total[in_halls].sum())
    on_units = float((units.static_w + units.dynamic_w).sum())
    air_rate = halls.n_units * halls.unit_air_kg_s * AIR_CP_J_PER_KG_K
    water = halls.n_units * halls.coil_water_kg_s * cp
    coil = np.minimum(air_rate, water)
    ratio = coil / np.maximum(np.maximum(air_rate, water), 1e-9)
    ntu = halls.n_units * halls.coil_ua_w_per_k / np.maximum(coil, 1e-9)
    air_units = float((coil * counterflow_effectiveness(ntu, ratio))[on_plant].sum())
    capacity, per_kelvin, sink = _rejection(site, plant, flow, dry_degc, wet_degc)
    n_racks = float(racks.count[in_halls].sum())
    # Racks may stand in halls whose air units another plant serves: this one's water is sized by their liquid heat.
    carried = max(all_power, on_units)
    blown = float(air_rate[on_plant].sum())
    supply_m3 = volumes.facility_supply_m3_per_w * carried + float(plants.tank_m3[plant])
    return (
        FacilityLoop(
            return_j_per_k=max(volumes.facility_return_m3_per_w * carried, 1e-3) * 4.18e6,
            tank_j_per_k=max(supply_m3, 1e-3) * 4.18e6,
            tank_layers=volumes.tank_layers,
            flow_w_per_k=flow,
            setpoint_degc=float(plants.supply_set_degc[plant]),
            plant_capacity_w=capacity,
            plant_w_per_k=per_kelvin,
            air_j_per_k=max(n_racks, 1.0) * volumes.rack_metal_j_per_k,
            air_w_per_k=air_units,
            air_cooled_frac=min(air_units / blown, 1.0) if blown > 0 else 1.0,
            air_limit_degc=volumes.air_limit_degc if on_plant.size else math.inf,  # the air is another plant's
            # Racks without liquid and the halls' own heat warm the same air.
            fixed_air_heat_w=max(all_power - on_units, 0.0)
            + float((halls.lighting_w + halls.extra_heat_w + halls.n_units * halls.unit_fan_w)[on_plant].sum()),
        ),
        sink,
    )


def _rejection(
    site: SiteArrays, plant: int, flow_w_per_k: float, dry_degc: float, wet_degc: float
) -> tuple[float, float, float]:
    """Capacity [W], rejection per kelvin between return and sink [W/K], and the sink [°C]."""
    plants = site.plants
    chillers = float(plants.n_chillers[plant] * plants.chiller_capacity_w[plant])
    if chillers > 0:
        return chillers, math.inf, dry_degc
    ratio = float(humidity_ratio_from_wet_bulb(dry_degc, min(wet_degc, dry_degc)))
    if plants.n_coolers[plant] > 0:
        n = float(plants.n_coolers[plant])
        entering = dry_degc
        if plants.pad_efficiency[plant] > 0 and dry_degc > plants.pad_above_degc[plant]:
            entering = dry_degc - float(plants.pad_efficiency[plant]) * (dry_degc - wet_degc)
        air = float(air_w_per_k(plants.cooler_air_m3_per_s[plant] * n, dry_degc, ratio))
        least, most = min(air, flow_w_per_k), max(air, flow_w_per_k)
        ntu = float(plants.cooler_ua_w_per_k[plant]) * n / least
        return math.inf, least * float(effectiveness(ntu, least / most, "crossflow approximate")), entering
    n = float(plants.n_towers[plant])
    air = n * float(plants.tower_air_m3_per_s[plant]) / float(specific_volume_m3_per_kg(dry_degc, ratio))
    # A tower's heat grows nearly straight with return above wet bulb; its slope is taken 10 K above.
    arriving = wet_degc + 10.0
    ua = n * float(plants.tower_ua_w_per_k[plant])
    outlet = float(merkel_outlet_degc(arriving, flow_w_per_k, wet_degc, air, ua, humidity_ratio=ratio))
    return math.inf, flow_w_per_k * (arriving - outlet) / 10.0, wet_degc
