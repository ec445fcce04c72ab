"""A small described site for tests: one hall with walls and air units, one plant, two CDUs, feeds A and B, no racks."""

from functools import cache, lru_cache

from facility.catalogue import entries, schema
from facility.models import (
    AirUnit,
    Cdu,
    CoolingPlant,
    FloorFeature,
    Hall,
    Layout,
    PowerFeed,
    Product,
    Rack,
    Site,
    Weather,
)
from facility.weather import CLIMATES, read_climate, weather_fields
from tests.stored_rows import Tables, can_be_put_in, put_in, rows_made


def product(kind: str, slug: str) -> Product:
    """Return one shipped catalogue entry as a row."""
    entry = entries(kind)[slug]
    found, _ = Product.objects.get_or_create(
        kind=kind,
        slug=slug,
        defaults={
            "name": entry.get("name", slug),
            "vendor": entry.get("vendor", ""),
            "facts": {name: value for name, value in entry.items() if name not in schema.META},
            "source": entry["source"],
            "confidence": entry["confidence"],
            "field_confidence": entry.get("field_confidence", {}),
        },
    )
    return found


def climate(slug: str = "sterling-va") -> Weather:
    """Return one shipped climate as a row."""
    return Weather.objects.get_or_create(slug=slug, defaults=_climate_fields(slug))[0]


@lru_cache
def _climate_fields(slug: str) -> dict:
    return weather_fields(read_climate(CLIMATES / f"{slug}.csv.gz"))


def small_layout(slug: str = "small") -> Layout:
    """Return a layout that the tests fill."""
    if not can_be_put_in():
        return described_layout(slug)
    put_in(_small_rows(slug))
    return Layout.objects.select_related("site__weather", "site__region").get()


@cache
def _small_rows(slug: str) -> Tables:
    return rows_made(lambda: described_layout(slug))


def described_layout(slug: str) -> Layout:
    """Describe what `small_layout` returns, row by row."""
    site, _ = Site.objects.get_or_create(
        slug=slug,
        defaults={
            "name": slug.title(),
            "latitude_deg": 39.0,
            "longitude_deg": -77.5,
            "weather": climate(),
            "region": product("regions", "us-virginia-pjm"),
            "grid_limit_w": 10e6,
        },
    )
    layout = Layout.objects.create(site=site, slug="first", name="First")
    plant = CoolingPlant.objects.create(
        layout=layout,
        name="Plant",
        supply_degc=36,
        design_rise_k=10,
        economiser="only",
        heat_rejection=product("dry_coolers", "dry-cooler-1mw"),
        n_heat_rejection=4,
        n_heat_rejection_spare=1,
        pump=product("pumps", "fws-pump-110kw"),
        n_pumps=2,
        n_pumps_spare=1,
    )
    hall = Hall.objects.create(
        layout=layout,
        name="Hall",
        width_m=20,
        depth_m=12,
        floor_load_limit_kg_per_m2=2500,
        air_unit=product("air_units", "crah-cw375"),
        n_air_units=3,
        n_air_units_spare=1,
        plant=plant,
    )
    for i in (1, 2):
        Cdu.objects.create(
            layout=layout,
            hall=hall,
            name=f"CDU-{i}",
            product=product("cdus", "vertiv-xdu1350"),
            plant=plant,
            group="A",
            redundant_units=1,
            x_m=18,
            y_m=2 + 2 * i,
            supply_degc=41,
        )
    for i in range(3):
        AirUnit.objects.create(layout=layout, hall=hall, name=f"CRAH-{i + 1}", x_m=3 + 4 * i, y_m=11, orientation_deg=0)
    FloorFeature.objects.create(layout=layout, hall=hall, name="W-1", type="wall", x_m=0, y_m=0, width_m=0.2, depth_m=2)
    FloorFeature.objects.create(
        layout=layout, hall=hall, name="Cold", type="cold_aisle", x_m=1.8, y_m=2.4, width_m=12, depth_m=1.5
    )
    utility = PowerFeed.objects.create(layout=layout, name="Utility", kind="utility", rating_w=10e6)
    for side in "AB":
        transformer = PowerFeed.objects.create(
            layout=layout,
            name=f"T-{side}",
            kind="transformer",
            parent=utility,
            product=product("transformers", "xfmr-3000-dry-415"),
            redundancy_group="T",
            redundancy="2N",
        )
        ups = PowerFeed.objects.create(
            layout=layout,
            name=f"UPS-{side}",
            kind="ups",
            parent=transformer,
            product=product("ups", "eaton-9395x-1700"),
            redundancy_group="UPS",
            redundancy="2N",
        )
        PowerFeed.objects.create(
            layout=layout,
            name=f"Busway-{side}",
            kind="busway",
            parent=ups,
            length_m=20,
            product=product("busways", "busway-1250a-415"),
            redundancy_group="Busway",
            redundancy="2N",
        )
    return layout


def new_rack(layout: Layout, **changes) -> Rack:
    """Return an unsaved GB200 rack on CDU-1 and both busways."""
    fields = {
        "hall": layout.halls.get(name="Hall"),
        "name": "A-01",
        "row": "A",
        "x_m": 2.0,
        "y_m": 4.0,
        "product": product("systems", "dgx-gb200-nvl72"),
        "cdu": layout.cdus.get(name="CDU-1"),
        "feed_a": layout.power_feeds.get(name="Busway-A"),
        "feed_b": layout.power_feeds.get(name="Busway-B"),
    }
    return Rack(**fields | changes)


def sound_layout() -> Layout:
    """Return a layout that breaks no rule but hints: one rack, water above the hottest air, colder for the air units.

    The air units are far larger than one rack, so their water warms little.
    """
    layout = small_layout()
    CoolingPlant.objects.update(supply_degc=39)
    Cdu.objects.update(supply_degc=44)
    cold = CoolingPlant.objects.create(
        layout=layout,
        name="Cold",
        supply_degc=20,
        design_rise_k=2,
        economiser="integrated",
        heat_rejection=product("dry_coolers", "dry-cooler-1mw"),
        n_heat_rejection=2,
        n_heat_rejection_spare=1,
        chiller=product("warm_water_chillers", "ac-screw-vsd-freecool-1500"),
        n_chillers=2,
        n_chillers_spare=1,
        pump=product("pumps", "tcs-pump-15kw"),
        n_pumps=2,
        n_pumps_spare=1,
    )
    Hall.objects.update(plant=cold)
    Cdu.objects.filter(name="CDU-2").update(x_m=15)
    PowerFeed.objects.create(
        layout=layout,
        name="Generators",
        kind="generator",
        product=product("generators", "genset-diesel-3mw"),
        n_units=2,
        redundancy="N+1",
        redundancy_group="Standby",
    )
    new_rack(layout).save()
    return layout


def new_row(layout: Layout, n: int, **changes) -> list[Rack]:
    """Place n racks beside each other without any check."""
    racks = [new_rack(layout, name=f"B-{i:02}", row="B", x_m=2 + 0.6 * i, y_m=8, **changes) for i in range(n)]
    return Rack.objects.bulk_create(racks)
