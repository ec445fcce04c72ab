"""The catalogue: what is known about each product, from where, and how far it can be trusted."""

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from facility.models import Product


def kind_label(kind: str) -> str:
    """Return a kind's file name as words: power_feeds becomes Power feeds; short forms stay capital."""
    named = {
        "ashrae_classes": "ASHRAE classes",
        "bess": "Battery storage",
        "cdus": "CDUs",
        "gpu_rental": "GPU rental",
        "published_tco": "Published cost of ownership",
        "slo_references": "Latency targets",
        "ups": "UPS",
    }
    return named.get(kind, kind.replace("_", " ").capitalize())


@login_required
def catalogue(request: HttpRequest) -> HttpResponse:
    """Show the kinds, and across them what a search finds."""
    search = request.GET.get("q", "").strip()
    kinds = [
        (k, kind_label(k), n) for k, n in Product.objects.values_list("kind").annotate(Count("id")).order_by("kind")
    ]
    found = []
    if search:
        match = Q(name__icontains=search) | Q(vendor__icontains=search) | Q(slug__icontains=search)
        found = [(product, kind_label(product.kind)) for product in Product.objects.filter(match).defer("facts")[:100]]
    return render(request, "facility/catalogue.html", {"kinds": kinds, "search": search, "found": found})


@login_required
def catalogue_kind(request: HttpRequest, kind: str) -> HttpResponse:
    """List the entries of one kind with the facts that most of them state."""
    products = list(Product.objects.filter(kind=kind))
    if not products:
        raise Http404(f"the catalogue has no kind {kind}")
    numbers: dict[str, int] = {}
    for product in products:
        for name, value in product.facts.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                numbers[name] = numbers.get(name, 0) + 1
    order = list(products[0].facts)
    columns = sorted(numbers, key=lambda name: (-numbers[name], order.index(name) if name in order else 99))[:6]
    rows = [(p, [(name, p.facts.get(name), p.confidence_of(name)) for name in columns]) for p in products]
    context = {"kind": kind, "label": kind_label(kind), "rows": rows, "columns": columns}
    return render(request, "facility/catalogue_kind.html", context)


@login_required
def product(request: HttpRequest, kind: str, slug: str) -> HttpResponse:
    """Show one entry: every fact with its mark, source, notes and alternatives of its kind."""
    found = get_object_or_404(Product, kind=kind, slug=slug)
    facts = [(name, value, found.confidence_of(name)) for name, value in flat(found.facts)]
    others = Product.objects.filter(kind=kind).exclude(pk=found.pk).only("kind", "slug", "name", "vendor")
    context = {"product": found, "kind": kind, "label": kind_label(kind), "facts": facts, "others": others}
    return render(request, "facility/product.html", context)


def flat(facts: dict, before: str = "") -> list[tuple[str, object]]:
    """Return nested facts as rows: slo.ttft_p95_s. What the page shows elsewhere is left out."""
    rows = []
    for name, value in facts.items():
        if isinstance(value, dict):
            rows += flat(value, f"{before}{name}.")
        else:
            rows.append((before + name, value))
    return rows
