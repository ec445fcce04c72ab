"""Parts of pages that are the same for everybody who may see them, and cost more to write than to keep.

Kept in the memory of each web process, packed, the least used dropped first. A key names everything that the part is
written of, so that nothing has to be thrown away when something changes: what changed has another key.
"""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.core.cache import caches
from django.db.models import Count, F, Func, Max, QuerySet, Subquery
from django.forms.models import model_to_dict
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from facility.models import Layout, Product

CACHE = "pages"
KEPT_S = 6 * 3600
T = TypeVar("T")


def product_stamp() -> dict[str, Any]:
    """Return what changes with the products of the catalogue; takes one query."""
    return Product.objects.aggregate(n=Count("id"), at=Max("updated_at"))


def with_product_stamp(layouts: QuerySet[Layout]) -> QuerySet[Layout]:
    """Return layouts that carry the stamp of the products, so that a list of them takes no query for it."""
    newest = Product.objects.order_by("-updated_at").values("updated_at")[:1]
    number = Product.objects.order_by().annotate(n=Func(F("id"), function="COUNT")).values("n")
    return layouts.annotate(products_at=Subquery(newest), n_products=Subquery(number))


def carried_stamp(layout: Layout) -> dict[str, Any]:
    """Return the stamp of the products that a layout of `with_product_stamp` carries."""
    return {"n": layout.n_products, "at": layout.products_at}


def stamp(layout: Layout, products: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    """Return what changes with anything that a layout's drawing or the rules read: each edit counts its version.

    Takes one query, none where the stamp of the `products` is given.
    """
    products = products or product_stamp()
    site = tuple(sorted((name, str(value)) for name, value in model_to_dict(layout.site).items()))
    own = (layout.pk, layout.version, layout.updated_at, layout.slug, layout.name, layout.status)
    return (*own, site, products["n"], products["at"])


def remembered(key: tuple[Any, ...], make: Callable[[], T], kept_in: str = CACHE) -> T:
    """Return what was made for the same key, or make it; whoever gets it must not change it."""
    name = hashlib.sha256(repr(key).encode()).hexdigest()
    cache = caches[kept_in]
    if (found := cache.get(name)) is None:
        found = make()
        cache.set(name, found, KEPT_S)
    return found


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
