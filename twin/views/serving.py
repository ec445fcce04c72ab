"""The serving explorer: how fast, how hot, at which batch, before anything is drawn."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.vary import vary_on_headers

from facility.models import Product
from twin import figures
from twin.models import Scenario

#: What is chosen first: the pair most planners ask about.
FIRST = {"systems": "dgx-gb200-nvl72", "models": "deepseek-r1", "workloads": "enterprise_assistants"}
ENGINES = Scenario._meta.get_field("engine").choices
N_TABLE_ROWS = 16


@login_required
@vary_on_headers("HX-Request")
def serving(request: HttpRequest) -> HttpResponse:
    """Show what one system can serve of one model to one use case, over speed per user."""
    choices, chosen = {}, {}
    for kind, first in FIRST.items():
        choices[kind] = list(Product.objects.filter(kind=kind))
        asked = request.GET.get(kind.removesuffix("s"), first)
        chosen[kind] = next((p for p in choices[kind] if p.slug == asked), choices[kind][0] if choices[kind] else None)
    asked = request.GET.get("engine", "")
    engine = asked if asked in dict(ENGINES) else ENGINES[0][0]
    context = {"choices": choices, "chosen": chosen, "engine": engine, "engines": ENGINES}
    if all(chosen.values()):
        context |= explored(chosen["systems"], chosen["models"], chosen["workloads"], engine)
    return render(request, "twin/_serving.html" if request.htmx else "twin/serving.html", context)


def explored(system: Product, model: Product, use: Product, engine: str) -> dict:
    """Return charts and table of the frontier, or why there is none."""
    # Loads SciPy; only this page of the web process needs it.
    from compute.accelerators import accelerator_from_entry
    from compute.coefficients import coefficient_set
    from compute.frontier import serving_frontier
    from compute.model_shapes import model_shape_from_entry
    from compute.workload import workload_from_entry

    accelerator = Product.objects.filter(kind="accelerators", slug=system.fact("accelerator") or "").first()
    if accelerator is None:
        return {"reason": f"{system.name} names no accelerator of the catalogue."}
    domain = int(system.fact("scaleup_domain") or system.fact("accelerators_per_system") or 1)
    try:
        workload, targets = workload_from_entry(entry_of(use))
        frontier = serving_frontier(
            coefficient_set(), accelerator_from_entry(entry_of(accelerator)), model_shape_from_entry(entry_of(model)),
            workload, max_accelerators=domain, engine=engine,
        )  # fmt: skip
    except ValueError as refusal:
        return {"reason": str(refusal)}
    if frontier.user_tokens_per_s.size == 0:
        return {"reason": frontier.reason, "accelerator": accelerator}
    wanted = 1 / targets.itl_s
    at = frontier.at_interactivity(wanted)
    step = max(1, frontier.user_tokens_per_s.size // N_TABLE_ROWS)
    shown = sorted({*range(0, frontier.user_tokens_per_s.size, step), *([at] if at is not None else [])})
    return {
        "accelerator": accelerator, "targets": targets, "wanted": wanted,
        "point": point(frontier, at) if at is not None else None, "rows": [point(frontier, i) for i in shown],
        "charts": figures.frontier(frontier, wanted),
    }  # fmt: skip


def entry_of(product: Product) -> dict:
    """Return a product as the catalogue file writes it, which is what the solver's readers expect."""
    return {"id": product.slug, "name": product.name, **product.facts}


def point(frontier, i: int) -> dict:
    """Return one operating point of a frontier."""
    names = (
        "user_tokens_per_s", "accelerator_tokens_per_s", "ttft_s", "itl_s", "batch", "accelerator_power_w",
        "joules_per_output_token",
    )  # fmt: skip
    return {name: float(getattr(frontier, name)[i]) for name in names} | {"configuration": frontier.configuration[i]}
