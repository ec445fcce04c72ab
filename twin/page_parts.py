"""Parts of pages that are the same for everybody who may see them, and cost more to write than to keep.

Kept in the memory of each web process, packed, the least used dropped first. A key names everything that the part is
written of, so that nothing has to be thrown away when something changes: what changed has another key.
"""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.core.cache import caches
from django.db.models import BinaryField, Count, F, Func, Max, QuerySet, Subquery
from django.db.models.functions import Length, Substr
from django.forms.models import model_to_dict
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from facility.models import Layout, Product
from power_cooling.site_facts.units import all_shown, unit_system

CACHE = "pages"
KEPT_S = 6 * 3600
WEATHER_COUNTS = ("id", "source", "n_hours", "elevation_m", "notes", "confidence")  # beside the hours
T = TypeVar("T")


def product_stamp() -> dict[str, Any]:
    """Return what changes with the products of the catalogue; takes one query."""
    return Product.objects.aggregate(n=Count("id"), at=Max("updated_at"))


def with_stamp(layouts: QuerySet[Layout]) -> QuerySet[Layout]:
    """Return layouts that carry the stamp of products and weather, so that a list of them takes no query for it."""
    newest = Product.objects.order_by("-updated_at").values("updated_at")[:1]
    number = Product.objects.order_by().annotate(n=Func(F("id"), function="COUNT")).values("n")
    year = {f"weather_{name}": F(f"site__weather__{name}") for name in WEATHER_COUNTS}
    check = hours_check("site__weather")
    return layouts.annotate(products_at=Subquery(newest), n_products=Subquery(number), weather_check=check, **year)


def hours_check(year: str) -> Substr:
    """Return what changes with a year's hours, without reading them: the checksum that zlib puts at their end."""
    return Substr(f"{year}__rows", Length(f"{year}__rows") - 3, 4, output_field=BinaryField())


def carried_stamp(layout: Layout) -> dict[str, Any]:
    """Return the stamp of products and weather that a layout of `with_stamp` carries."""
    year = [getattr(layout, f"weather_{name}") for name in WEATHER_COUNTS]
    return {"n": layout.n_products, "at": layout.products_at, "weather": (bytes(layout.weather_check), *year)}


def stamp(layout: Layout, carried: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    """Return what changes with anything that a layout's drawing or the rules read: each edit counts its version.

    Takes one query, none where what is `carried` is given; products alone say nothing of the weather's hours.
    """
    carried = carried or carried_stamp(with_stamp(Layout.objects.filter(pk=layout.pk).defer("notes")).get())
    site = tuple(sorted((name, str(value)) for name, value in model_to_dict(layout.site).items()))
    own = (layout.pk, layout.version, layout.updated_at, layout.slug, layout.name, layout.status)
    return (*own, site, carried["n"], carried["at"], carried.get("weather"))


def remembered(key: tuple[Any, ...], make: Callable[[], T], kept_in: str = CACHE) -> T:
    """Return what was made for the same key and units, or make it; callers must not change it."""
    name = hashlib.sha256(repr((unit_system(), *key)).encode()).hexdigest()
    cache = caches[kept_in]
    if (found := cache.get(name)) is None:
        found = make()
        cache.set(name, found, KEPT_S)
    return found


def units_shown(request: HttpRequest) -> dict[str, Any]:
    """Return what scripts show stored quantities in, for every page."""
    return {"units_shown": {unit: [other.unit, other.size, other.added] for unit, other in all_shown().items()}}


def kept(template: str, key: tuple[Any, ...], context: Callable[[], Mapping[str, Any]]) -> SafeString:
    """Return a template as it was written for the same key, or write it.

    Parameters
    ----------
    template : str
        Must not ask who looks: no forms, no rights, no times of day.
    key : tuple
        All that the part depends on.
    context : callable
        Returns what the template reads; called only where it has to be written.
    """
    packed = remembered(
        (template, *key), lambda: zlib.compress(render_to_string(template, dict(context())).encode(), 1)
    )
    return SafeString(zlib.decompress(packed).decode())
