"""Rows to inputs: the only place that reads the description for the solvers.

A snapshot is plain JSON: what a run stores, what its hash is taken over, and all that the simulation ever sees. Which
fields it has the classes of `twin.core.inputs.layout` say, which it is read back into.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

from django.db.models import Model, Q

from facility.catalogue import assumed
from facility.catalogue.schema import unit_of
from facility.kinds import BY_TABLE
from facility.models import Layout, Product, Rack, Site
from power_cooling.site_facts.networks import PARTS
from power_cooling.site_facts.ratings import continuous_rating_w
from twin.core.inputs.layout import (
    FORMATS,
    TABLES,
    YOUNGER_TABLES,
    LayoutInputs,
    LayoutVersion,
    Products,
    ProductSheet,
    RackColumns,
    ScenarioInputs,
    SiteInputs,
    WeatherInputs,
    WorkloadShare,
    column_names,
    layout_inputs,
    with_rack_power,
)
from twin.exceptions import CannotSimulate
from twin.models import Scenario

# Kinds that every run reads whole: they are short and belong to no single row of the layout.
WHOLE_KINDS = tuple(name for name in column_names(Products) if name != "by_id")
PRODUCT_REFERENCES = frozenset(
    {"product_id", "air_unit_id", "heat_rejection_id", "chiller_id", "pump_id", *(f"{part}_id" for part in PARTS)}
)

# What the database calls a table of the inputs.
RELATED = {name: kind.plural for name, kind in BY_TABLE.items()} | {"calibrated": "calibrated_parameters"}

#: Stands in a description that no scenario asks anything of.
NO_SCENARIO = ScenarioInputs(
    slug="",
    name="",
    engine="",
    weight_precision="",
    accelerator_power_limit_w=None,
    electricity_usd_per_kwh=None,
    workloads=(),
)


def snapshot(layout: Layout, scenario: Scenario) -> dict[str, Any]:
    """Return everything a simulation of `layout` under `scenario` depends on, as JSON.

    Takes a fixed number of queries, whatever the number of racks.

    Raises
    ------
    CannotSimulate
        If there is nothing to solve: no racks, no halls, no workloads, or a scenario of another site.
    """
    site = layout.site
    if scenario.site_id != site.id:
        raise CannotSimulate(f"Scenario {scenario.name} belongs to {scenario.site.name}; {layout} is on {site.name}.")
    racks = _columns(Rack.objects.filter(hall__layout=layout))
    if not racks["id"]:
        raise CannotSimulate(f"{layout} has no racks; add a row of racks before running it.")
    workloads = list(scenario.workloads.select_related("workload", "model").order_by("id"))
    if not workloads:
        raise CannotSimulate(f"Scenario {scenario.name} serves no workload; add at least one use case.")
    weather = scenario.weather or site.weather
    tables = {name: _table(layout, name) for name in TABLES}
    tables = {name: rows for name, rows in tables.items() if rows or name not in YOUNGER_TABLES}
    inputs = {
        "format": FORMATS[-1],
        "site": _fields(
            site,
            SiteInputs,
            region=_product(site.region),
            assumed=["repair_crews"] if site.repair_crews == assumed.REPAIR_CREWS else [],
        ),
        "layout": _fields(layout, LayoutVersion),
        "scenario": _fields(
            scenario,
            ScenarioInputs,
            workloads=[
                _fields(
                    share,
                    WorkloadShare,
                    workload=_product(share.workload),
                    model=share.model.slug if share.model else None,
                )
                for share in workloads
            ],
        ),
        "weather": _fields(weather, WeatherInputs, rows=base64.b64encode(bytes(weather.rows)).decode()),
        "racks": racks,
        **tables,
        "products": _products(racks, tables),
    }
    return inputs | {"units": _units(inputs)}


def with_products(inputs: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return a snapshot whose products are those that its rows name, out of its own and of `more`, by row id."""
    there = {**more, **inputs["products"]["by_id"]}
    tables = {name: inputs[name] for name in TABLES if name in inputs}
    by_id = {str(key): there[str(key)] for key in sorted(_wanted(inputs["racks"], tables))}
    changed = inputs | {"products": inputs["products"] | {"by_id": by_id}}
    return changed | {"units": _units(changed)}


def product_sheet(product: Product) -> dict[str, Any]:
    """Return a catalogue entry as a snapshot holds it."""
    return _product(product)


def canonical(inputs: dict[str, Any]) -> bytes:
    """Return the one spelling of a snapshot that its hash is taken over."""
    return json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(spelled: bytes) -> str:
    """Return the hash that names a snapshot."""
    return hashlib.sha256(spelled).hexdigest()


def packed(spelled: bytes) -> bytes:
    """Return a canonical snapshot as a run stores it."""
    return zlib.compress(spelled, level=3)


def unpacked(stored: bytes) -> dict[str, Any]:
    """Return the snapshot that a run stored."""
    return json.loads(zlib.decompress(bytes(stored)))


def inputs_stored(stored: bytes) -> LayoutInputs:
    """Return a run's stored inputs as everything but the API reads them; raises as `layout_inputs`."""
    return layout_inputs(with_ratings(unpacked(stored)))


def with_ratings(stored: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot with the products' ratings, which those of before they were kept lack."""
    for sheet in stored.get("products", {}).get("by_id", {}).values():
        sheet.setdefault("rating_w", continuous_rating_w(sheet.get("facts", {})))
    return stored


def inputs_now(layout: Layout, scenario: Scenario) -> LayoutInputs:
    """Return the description as it is now; raises as `snapshot`."""
    return layout_inputs(snapshot(layout, scenario))


def description(layout: Layout) -> LayoutInputs:
    """Return a layout without a scenario, in the weather of its site: what the rules judge.

    Takes a fixed number of queries, whatever the number of racks.
    """
    site = Site.objects.select_related("weather", "region").get(pk=layout.site_id)
    racks = _columns(Rack.objects.filter(hall__layout=layout))
    judged = ("halls", "cdus", "feeds", "plants", "fabrics", "storages", "cpu_servers", "calibrated")
    tables = {name: table_rows(layout, name) for name in judged}
    wanted = {*racks["product_id"]} | {
        getattr(row, name, None) for rows in tables.values() for row in rows for name in PRODUCT_REFERENCES
    }
    found = Product.objects.filter(Q(id__in=wanted - {None}) | Q(kind="accelerators"))
    sheets = {product.id: ProductSheet(**_product(product)) for product in found}
    chips = {sheet.slug: sheet for sheet in sheets.values() if sheet.kind == "accelerators"}
    rows = base64.b64encode(bytes(site.weather.rows)).decode()
    inputs = LayoutInputs(
        site=SiteInputs(**_fields(site, SiteInputs, region=ProductSheet(**_product(site.region)), assumed=())),
        layout=LayoutVersion(**_fields(layout, LayoutVersion)),
        scenario=NO_SCENARIO,
        weather=WeatherInputs(**_fields(site.weather, WeatherInputs, rows=rows)),
        racks=RackColumns(**{name: tuple(values) for name, values in racks.items()}),
        products=Products(**{kind: {} for kind in WHOLE_KINDS} | {"accelerators": chips, "by_id": sheets}),
        **tables,
    )
    return with_rack_power(inputs)


def table_rows(layout: Layout, name: str) -> tuple[Any, ...]:
    """Return one table of the description as it is now, by one query; `name` as in `TABLES`."""
    return tuple(TABLES[name](**values) for values in _table(layout, name))


def product_sheets(ids: set[int | None]) -> dict[int, ProductSheet]:
    """Return products by id, by one query."""
    found = Product.objects.filter(id__in=ids - {None})
    return {product.id: ProductSheet(**_product(product)) for product in found}


def _table(layout: Layout, name: str) -> list[dict[str, Any]]:
    return list(getattr(layout, RELATED[name]).order_by("id").values(*column_names(TABLES[name])))


def _fields(row: Model, kind: type, **made: Any) -> dict[str, Any]:
    """Return what the inputs keep of a row: its columns as they stand, and what was `made` of others."""
    return {name: getattr(row, name) for name in column_names(kind) if name not in made} | made


def _columns(queryset) -> dict[str, list]:
    names = column_names(RackColumns)
    table = list(queryset.order_by("hall_id", "row", "name", "id").values_list(*names))
    return {name: [row[i] for row in table] for i, name in enumerate(names)}


def _product(product: Product) -> dict[str, Any]:
    return _fields(product, ProductSheet)


def _products(racks: dict[str, list], tables: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the products that rows name, by row id under "by_id", and the whole kinds by slug under their name."""
    wanted = _wanted(racks, tables)
    found: dict[str, Any] = {kind: {} for kind in WHOLE_KINDS} | {"by_id": {}}
    for product in Product.objects.filter(kind__in=WHOLE_KINDS).order_by("kind", "slug"):
        found[product.kind][product.slug] = _product(product)
    for product in Product.objects.filter(id__in=wanted).order_by("id"):
        found["by_id"][str(product.id)] = _product(product)
    return found


def _wanted(racks: Mapping[str, Any], tables: Mapping[str, Any]) -> set[int]:
    """Return the ids of the products that rows name."""
    rows = [row for table in tables.values() for row in table]
    named = {row[name] for row in rows for name in PRODUCT_REFERENCES & row.keys()} | set(racks["product_id"])
    return named - {None}


def _units(inputs: dict[str, Any]) -> dict[str, str]:
    """Return the unit of each fact that the products of a snapshot have."""
    entries = [entry for of_kind in inputs["products"].values() for entry in of_kind.values()]
    entries += [inputs["site"]["region"], *(share["workload"] for share in inputs["scenario"]["workloads"])]
    return {field: unit_of(field)[0] for field in sorted({field for entry in entries for field in entry["facts"]})}
