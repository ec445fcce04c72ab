"""What a layout is made of: products with counts, prices and alternatives of other vendors."""

from dataclasses import dataclass

from django.db.models import Count, F, Q, Sum

from facility.models import Cdu, CoolingPlant, CpuServer, Fabric, Hall, Layout, PowerFeed, Product, Rack, Storage
from power_cooling.site_facts.networks import PARTS, size_fabric
from power_cooling.site_facts.prices import price_field, unit_price_usd

# Another product can stand in for one whose main rating is no more than this much larger or smaller.
SIMILAR = (0.8, 1.5)
MAIN_RATING = {
    "cdus": "capacity_w",
    "air_units": "capacity_w",
    "dry_coolers": "capacity_w",
    "cooling_towers": "capacity_w",
    "warm_water_chillers": "capacity_w",
    "chillers": "reference_capacity_w",
    "pumps": "flow_m3_per_s",
    "ups": "rating_va",
    "transformers": "rating_va",
    "generators": "rating_w",
    "distribution": "rating_w",
    "busways": "continuous_power_w",
    "bess": "power_w",
    "network_switches": "switching_bits_per_s",
    "network_cables": "length_m",
    "storage": "usable_bytes",
    "cpu_servers": "cores",
}


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another product that could stand in."""

    kind: str
    slug: str
    name: str
    vendor: str
    unit_price_usd: float | None
    max_power_w: float | None
    confidence: str


@dataclass(frozen=True, slots=True)
class Item:
    """One product of a layout."""

    product: Product
    quantity: float
    unit: str  # "" for pieces, "m" for busways
    unit_price_usd: float | None  # None where the catalogue has no price
    total_usd: float | None
    price_confidence: str
    used_for: str
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class BillOfMaterials:
    """All items, most expensive first."""

    items: tuple[Item, ...]
    total_usd: float
    without_price: tuple[str, ...]  # names of products that the total leaves out


def bill_of_materials(layout: Layout) -> BillOfMaterials:
    """Return what a layout is made of; a fixed number of queries whatever its size."""
    counts: dict[int, float] = {}
    uses: dict[int, set[str]] = {}
    for product_id, quantity, use in _used(layout):
        counts[product_id] = counts.get(product_id, 0) + quantity
        uses.setdefault(product_id, set()).add(use)
    products = Product.objects.in_bulk(counts)
    kinds = {product.kind for product in products.values()}
    candidates = list(Product.objects.filter(kind__in=kinds).defer("notes", "source"))
    items = [_item(product, counts[key], ", ".join(sorted(uses[key])), candidates) for key, product in products.items()]
    items.sort(key=lambda item: (-(item.total_usd or 0), item.product.name))
    return BillOfMaterials(
        items=tuple(items),
        total_usd=sum(item.total_usd or 0 for item in items),
        without_price=tuple(item.product.name for item in items if item.total_usd is None),
    )


def _used(layout: Layout) -> list[tuple[int, float, str]]:
    """Return (product, quantity, what for) of everything in a layout, in a fixed number of queries."""
    used: list[tuple[int, float, str]] = []
    racks = Rack.objects.filter(hall__layout=layout).exclude(product=None)
    systems = Product.objects.in_bulk(racks.values_list("product", flat=True).distinct())
    n_systems = dict(racks.values_list("product").annotate(n=Sum("n_systems")))
    fabrics = list(Fabric.objects.filter(layout=layout).select_related(*PARTS))
    used += [
        (key, n, "racks")
        for key, n in n_systems.items()
        if not (fabrics and systems[key].kind == "network_switches")  # counted by the networks below
    ]
    n_accelerators = sum(n * float(systems[key].fact("accelerators_per_system") or 0) for key, n in n_systems.items())
    for fabric in fabrics:
        parts = [getattr(fabric, part) for part in PARTS]
        sized = size_fabric(fabric, n_accelerators, *(part.facts if part else {} for part in parts))
        used += [(part.pk, n, fabric.name) for part, n in zip(parts, sized.counts, strict=True) if part and n]
    used += [
        (row[0], row[1], "CDUs")
        for row in Cdu.objects.filter(layout=layout).values_list("product").annotate(n=Count("pk"))
    ]
    halls = Hall.objects.filter(layout=layout, n_air_units__gt=0)
    used += [(row[0], row[1], "air units") for row in halls.values_list("air_unit").annotate(n=Sum("n_air_units"))]
    feeds = PowerFeed.objects.filter(layout=layout).exclude(product=None)
    lengths = feeds.filter(product__kind="busways").values_list("product").annotate(n=Sum(F("length_m") * F("n_units")))
    pieces = feeds.filter(~Q(product__kind="busways")).values_list("product").annotate(n=Sum("n_units"))
    used += [(row[0], row[1], "power") for row in (*lengths, *pieces)]
    for model in (Storage, CpuServer):
        used += list(model.objects.filter(layout=layout).values_list("product", "n_units", "name"))
    for plant in CoolingPlant.objects.filter(layout=layout):
        used += [
            (plant.heat_rejection_id, plant.n_heat_rejection, plant.name),
            (plant.pump_id, plant.n_pumps, plant.name),
        ]
        if plant.chiller_id:
            used.append((plant.chiller_id, plant.n_chillers, plant.name))
    return used


def _item(product: Product, quantity: float, used_for: str, candidates: list[Product]) -> Item:
    price = unit_price_usd(product.kind, product.facts)
    return Item(
        product=product,
        quantity=quantity,
        unit="m" if product.kind == "busways" else "",
        unit_price_usd=price,
        total_usd=None if price is None else price * quantity,
        price_confidence=product.confidence_of(price_field(product.kind, product.facts)),
        used_for=used_for,
        alternatives=tuple(_alternatives(product, candidates)),
    )


def _alternatives(product: Product, candidates: list[Product]) -> list[Alternative]:
    found = [
        Alternative(
            other.kind,
            other.slug,
            other.name,
            other.vendor,
            unit_price_usd(other.kind, other.facts),
            other.fact("max_power_w"),
            other.confidence,
        )
        for other in candidates
        if other.pk != product.pk and other.kind == product.kind and _similar(product, other)
    ]
    return sorted(found, key=lambda other: (other.unit_price_usd is None, other.unit_price_usd or 0, other.name))


def _similar(product: Product, other: Product) -> bool:
    """Return whether another product of the kind does the same job at about the same size."""
    if product.kind == "systems":
        same = ("accelerator", "accelerators_per_system")
        return all(product.fact(name) == other.fact(name) for name in same)
    if product.fact("type") != other.fact("type"):
        return False
    rating = MAIN_RATING.get(product.kind, "")
    own_rating, other_rating = product.fact(rating), other.fact(rating)
    return bool(own_rating and other_rating and SIMILAR[0] <= other_rating / own_rating <= SIMILAR[1])
