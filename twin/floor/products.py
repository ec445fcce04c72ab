"""Products of the database as the solver's readers expect them, and what a system is made of."""

from typing import Any

from facility.models import Product


def entry_of(product: Product) -> dict[str, Any]:
    """Return a product as the catalogue file writes it."""
    return {"id": product.slug, "name": product.name, **product.facts}


def accelerator_of(system: Product) -> Product | None:
    """Return the accelerator that a system names, or None where the catalogue does not have it.

    An accelerator of one's own, which no system names yet, stands for itself.
    """
    if system.kind == "accelerators":
        return system
    return Product.objects.filter(kind="accelerators", slug=system.fact("accelerator") or "").first()


def domain_size(system: Product) -> int:
    """Return how many accelerators of a system one instance may span."""
    if system.kind == "accelerators":
        return int(system.fact("scaleup_domain_size") or 1)
    return int(system.fact("scaleup_domain") or system.fact("accelerators_per_system") or 1)


def served_by() -> list[Product]:
    """Return what can serve: the systems, and accelerators of one's own that no system names yet."""
    systems = list(Product.objects.filter(kind="systems"))
    named = {system.fact("accelerator") for system in systems}
    own = Product.objects.filter(kind="accelerators", confidence="entered").exclude(slug__in=named - {None})
    return systems + list(own)


def entries_by_column() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the catalogue's accelerators and models by id, under the columns of serving cases that name them."""
    return {
        column: {product.slug: entry_of(product) for product in Product.objects.filter(kind=f"{column}s")}
        for column in ("accelerator", "model")
    }


def accelerators_per_node(system: Product) -> int:
    """Return how many accelerators one server or compute tray of a system has: what one operating system sees."""
    if system.kind == "accelerators":
        return min(domain_size(system), 8)
    return max(1, int(system.fact("accelerators_per_system") or 8) // int(system.fact("compute_trays") or 1))
