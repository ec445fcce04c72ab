"""A layout of any size: rows of twenty racks in halls; each zone of rows has its CDUs and busways."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from facility.models import Cdu, CoolingPlant, Hall, Layout, PowerFeed, Product, Rack, Site, Weather
from twin.models import Scenario, ScenarioWorkload

ROW_RACKS = 20
HALL_ROWS = 5
ROW_PITCH_M = 3.6
RACKS_PER_CDU = 14  # of up to 140 kW, 87 % of it into 2.3 MW of coolant heat
SYSTEMS = ("dgx-gb200-nvl72", "dgx-gb300-nvl72", "hpe-gb300-nvl72")


@dataclass(frozen=True, slots=True)
class Zone:
    """What the rows of a zone hang on."""

    hall: Hall
    cdu: Cdu
    busway_a: PowerFeed
    busway_b: PowerFeed


def big_layout(n_racks: int, *, n_classes: int | None, slug: str = "big") -> tuple[Layout, Scenario]:
    """Make a site with one layout and one scenario.

    Parameters
    ----------
    n_racks : int
        Racks, a multiple of 100.
    n_classes : int or None
        Kinds of racks that are alike in every field the solvers read, an even number: two halls, each with a zone per
        kind. None: five rows to a hall, a zone per row, and no two racks alike in load and flow, so that nothing can be
        grouped.
    """
    if n_racks % (ROW_RACKS * HALL_ROWS):
        raise ValueError(f"n_racks is {n_racks}; must be a multiple of {ROW_RACKS * HALL_ROWS}")
    n_rows = n_racks // ROW_RACKS
    n_halls = 2 if n_classes else n_rows // HALL_ROWS
    n_zones = n_classes // 2 if n_classes else HALL_ROWS
    site = Site.objects.create(
        slug=slug,
        name=slug.title(),
        latitude_deg=39.0,
        longitude_deg=-77.5,
        grid_limit_w=250e3 * n_racks,
        weather=Weather.objects.get(slug="sterling-va"),
        region=_product("regions", "us-virginia-pjm"),
    )
    layout = Layout.objects.create(site=site, slug="main", name="Main")
    utility = PowerFeed.objects.create(layout=layout, name="Utility", kind="utility", rating_w=250e3 * n_racks)
    zones = [
        zone
        for i, rows in enumerate(np.array_split(np.arange(n_rows), n_halls))
        for zone in _hall_rows(layout, utility, i, np.array_split(rows, n_zones), alike=n_classes is not None)
    ]
    Rack.objects.bulk_create(_racks(zones, n_classes), batch_size=500)
    scenario = Scenario.objects.create(site=site, slug="year", name="Year")
    for slug, share in (("enterprise_assistants", 0.6), ("agentic_workflows", 0.4)):
        ScenarioWorkload.objects.create(
            scenario=scenario, workload=_product("workloads", slug), accelerator_share_frac=share
        )
    return layout, scenario


def _product(kind: str, slug: str) -> Product:
    return Product.objects.get(kind=kind, slug=slug)


def _hall_rows(layout: Layout, utility: PowerFeed, index: int, zones: list[np.ndarray], *, alike: bool) -> list[Zone]:
    """Return the zone of every row of a new hall with its own plant and power; `zones` holds the rows of each."""
    n_rows = sum(len(rows) for rows in zones)
    plant = CoolingPlant.objects.create(
        layout=layout,
        name=f"P{index}",
        supply_degc=34,
        economiser="only",
        n_heat_rejection=4 * n_rows,
        n_heat_rejection_spare=2,
        heat_rejection=_product("dry_coolers", "dry-cooler-1mw"),
        n_pumps=2 * n_rows,
        n_pumps_spare=1,
        pump=_product("pumps", "fws-pump-110kw"),
    )
    hall = Hall.objects.create(
        layout=layout,
        name=f"H{index}",
        width_m=20,
        depth_m=4 + n_rows * ROW_PITCH_M,
        plant=plant,
        air_unit=_product("air_units", "crah-cw375"),
        n_air_units=2 * n_rows,
        n_air_units_spare=2,
    )
    sides = [_side(layout, utility, f"{index}{side}", hall, n_rows) for side in "AB"]
    of_rows = []
    for i, rows in enumerate(zones):
        name = f"{index}-{i}"
        supply_degc = 40.0 if alike else 38.0 + (HALL_ROWS * index + i) * 0.01
        cdus = [
            Cdu.objects.create(
                layout=layout,
                hall=hall,
                name=f"C{name}-{unit}",
                product=_product("cdus", "vertiv-coolchip-2300"),
                plant=plant,
                group=f"G{name}",
                redundant_units=1,
                x_m=15,
                y_m=2 + i * ROW_PITCH_M + 0.1 * unit,
                supply_degc=supply_degc,
            )
            for unit in range(2 * len(rows) + 1)
        ]
        busways = [
            PowerFeed.objects.create(
                layout=layout,
                name=f"B{name}{side}",
                kind="busway",
                parent=ups,
                n_units=4 * len(rows),
                length_m=30,
                product=_product("busways", "busway-1250a-415"),
                redundancy_group=f"B{name}",
                redundancy="2N",
                hall=hall,
            )
            for side, ups in zip("AB", sides, strict=True)
        ]
        of_rows += [Zone(hall, cdus[0], *busways)] * len(rows)
    return of_rows


def _side(layout: Layout, utility: PowerFeed, name: str, hall: Hall, n_rows: int) -> PowerFeed:
    """Return the UPS at the end of one side of a hall's supply."""
    transformer = PowerFeed.objects.create(
        layout=layout,
        name=f"T{name}",
        kind="transformer",
        parent=utility,
        n_units=n_rows + 1,
        product=_product("transformers", "xfmr-3000-dry-415"),
        redundancy_group=f"T{hall.name}",
        redundancy="2N",
    )
    return PowerFeed.objects.create(
        layout=layout,
        name=f"U{name}",
        kind="ups",
        parent=transformer,
        n_units=2 * n_rows,
        product=_product("ups", "eaton-9395x-1700"),
        redundancy_group=f"U{hall.name}",
        redundancy="2N",
    )


def _racks(zones: list[Zone], n_classes: int | None) -> list[Rack]:
    """Return the racks of all rows; `zones` has one entry per row."""
    n_racks = len(zones) * ROW_RACKS
    systems = [_product("systems", slug) for slug in SYSTEMS]
    zone_of_row = np.cumsum([i > 0 and zones[i] is not zones[i - 1] for i in range(len(zones))])
    kind = np.repeat(zone_of_row, ROW_RACKS) if n_classes else np.arange(n_racks)
    share = kind / kind.max()
    load_share = 0.7 + 0.5 * share
    flow_m3_per_s = 0.0015 + 0.0008 * ((share * 7.919) % 1.0)
    row_in_hall = np.concatenate([np.arange(n) for n in _runs(zone.hall.id for zone in zones)])
    return [
        Rack(
            hall=zones[row].hall,
            name=f"R{row * ROW_RACKS + place:05}",
            row=f"{row:03}",
            x_m=1 + 0.6 * place,
            y_m=2 + float(row_in_hall[row]) * ROW_PITCH_M,
            product=systems[int(kind[i]) % len(systems)],
            cdu=zones[row].cdu,
            feed_a=zones[row].busway_a,
            feed_b=zones[row].busway_b,
            load_share=float(load_share[i]),
            coolant_flow_m3_per_s=float(flow_m3_per_s[i]),
        )
        for i, (row, place) in enumerate(divmod(i, ROW_RACKS) for i in range(n_racks))
    ]


def _runs(values: Iterable[int]) -> list[int]:
    """Return the lengths of the stretches of equal values."""
    return [len(list(group)) for _, group in groupby(values)]
