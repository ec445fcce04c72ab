"""A layout of any size: rows of twenty racks, each row with its CDUs and busways, five rows to a hall."""

from dataclasses import dataclass

import numpy as np

from facility.models import Cdu, CoolingPlant, Hall, Layout, PowerFeed, Product, Rack, Site, Weather
from twin.models import Scenario, ScenarioWorkload

ROW_RACKS = 20
HALL_ROWS = 5
ROW_PITCH_M = 3.6
SYSTEMS = ("dgx-gb200-nvl72", "dgx-gb300-nvl72", "hpe-gb300-nvl72")


@dataclass(frozen=True, slots=True)
class Row:
    """What a row of racks hangs on."""

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
        Kinds of racks that are alike in every field the solvers read. None: no two racks are alike in load and flow,
        and no two rows in coolant temperature, so nothing can be grouped.
    """
    if n_racks % (ROW_RACKS * HALL_ROWS):
        raise ValueError(f"n_racks is {n_racks}; must be a multiple of {ROW_RACKS * HALL_ROWS}")
    site = Site.objects.create(
        slug=slug, name=slug.title(), latitude_deg=39.0, longitude_deg=-77.5, grid_limit_w=250e3 * n_racks,
        weather=Weather.objects.get(slug="sterling-va"), region=_product("regions", "us-virginia-pjm"),
    )  # fmt: skip
    layout = Layout.objects.create(site=site, slug="main", name="Main")
    utility = PowerFeed.objects.create(layout=layout, name="Utility", kind="utility", rating_w=250e3 * n_racks)
    halls = n_racks // (ROW_RACKS * HALL_ROWS)
    rows = [row for i in range(halls) for row in _hall_rows(layout, utility, i, alike=n_classes is not None)]
    Rack.objects.bulk_create(_racks(rows, n_classes), batch_size=500)
    scenario = Scenario.objects.create(site=site, slug="year", name="Year")
    for slug, share in (("enterprise_assistants", 0.6), ("agentic_workflows", 0.4)):
        ScenarioWorkload.objects.create(
            scenario=scenario, workload=_product("workloads", slug), accelerator_share_frac=share
        )
    return layout, scenario


def _product(kind: str, slug: str) -> Product:
    return Product.objects.get(kind=kind, slug=slug)


def _hall_rows(layout: Layout, utility: PowerFeed, index: int, *, alike: bool) -> list[Row]:
    """Return the rows of a new hall with its own plant and power."""
    plant = CoolingPlant.objects.create(
        layout=layout, name=f"P{index}", supply_degc=34, economiser="only", n_heat_rejection=20,
        n_heat_rejection_spare=2, heat_rejection=_product("dry_coolers", "dry-cooler-1mw"), n_pumps=8, n_pumps_spare=1,
        pump=_product("pumps", "fws-pump-110kw"),
    )  # fmt: skip
    hall = Hall.objects.create(
        layout=layout, name=f"H{index}", width_m=20, depth_m=4 + HALL_ROWS * ROW_PITCH_M, plant=plant,
        air_unit=_product("air_units", "crah-cw375"), n_air_units=10, n_air_units_spare=2,
    )  # fmt: skip
    sides = [_side(layout, utility, f"{index}{side}", hall) for side in "AB"]
    rows = []
    for i in range(HALL_ROWS):
        name = f"{index}-{i}"
        supply_degc = 40.0 if alike else 38.0 + (HALL_ROWS * index + i) * 0.01
        cdus = [
            Cdu.objects.create(
                layout=layout, hall=hall, name=f"C{name}-{unit}", product=_product("cdus", "vertiv-coolchip-2300"),
                plant=plant, group=f"G{name}", redundant_units=1, x_m=15 + unit, y_m=2 + i * ROW_PITCH_M,
                supply_degc=supply_degc,
            )
            for unit in range(3)
        ]  # fmt: skip
        busways = [
            PowerFeed.objects.create(
                layout=layout, name=f"B{name}{side}", kind="busway", parent=ups, n_units=4, length_m=30, hall=hall,
                product=_product("busways", "busway-1250a-415"), redundancy_group=f"B{name}", redundancy="2N",
            )
            for side, ups in zip("AB", sides, strict=True)
        ]  # fmt: skip
        rows.append(Row(hall, cdus[0], *busways))
    return rows


def _side(layout: Layout, utility: PowerFeed, name: str, hall: Hall) -> PowerFeed:
    """Return the UPS at the end of one side of a hall's supply."""
    transformer = PowerFeed.objects.create(
        layout=layout, name=f"T{name}", kind="transformer", parent=utility, n_units=6,
        product=_product("transformers", "xfmr-3000-dry"), redundancy_group=f"T{hall.name}", redundancy="2N",
    )  # fmt: skip
    return PowerFeed.objects.create(
        layout=layout, name=f"U{name}", kind="ups", parent=transformer, n_units=10,
        product=_product("ups", "eaton-9395x-1700"), redundancy_group=f"U{hall.name}", redundancy="2N",
    )  # fmt: skip


def _racks(rows: list[Row], n_classes: int | None) -> list[Rack]:
    n_racks = len(rows) * ROW_RACKS
    systems = [_product("systems", slug) for slug in SYSTEMS]
    kind = np.arange(n_racks) % (n_classes or n_racks)
    load_share = 0.7 + 0.5 * kind / kind.max()
    flow_m3_per_s = 0.0015 + 0.0008 * ((kind * 7919) % (kind.max() + 1)) / kind.max()
    racks = []
    for i in range(n_racks):
        row, place = divmod(i, ROW_RACKS)
        at = rows[row]
        racks.append(
            Rack(
                hall=at.hall, name=f"R{i:05}", row=f"{row:03}", x_m=1 + 0.6 * place,
                y_m=2 + (row % HALL_ROWS) * ROW_PITCH_M, product=systems[int(kind[i]) % len(systems)], cdu=at.cdu,
                feed_a=at.busway_a, feed_b=at.busway_b, load_share=float(load_share[i]),
                coolant_flow_m3_per_s=float(flow_m3_per_s[i]),
            )
        )  # fmt: skip
    return racks
