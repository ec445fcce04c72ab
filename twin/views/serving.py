"""The serving explorer: how fast, how hot, at which batch, before anything is drawn."""

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.vary import vary_on_headers

from compute.model_shapes import KV_BYTES
from compute.steady.pins import Restrictions
from compute.steps.rules import Drafting
from compute.workload import workload_from_entry
from facility.catalogue import entries
from facility.entry.number_entry import number_read
from facility.entry.units import Measure, measure_of
from facility.models import Product
from twin.core.charts import run as run_charts
from twin.core.serving.explore import (
    MOST_ACCELERATORS,
    Question,
    chosen_configuration,
    claims,
    frontier_of,
    frontier_point,
    launch_settings,
    point_bands,
    session_load,
)
from twin.floor.products import accelerator_of, accelerators_per_node, domain_size, entry_of, served_by
from twin.models import Scenario

#: What is chosen first: the pair most planners ask about.
FIRST = {"systems": "dgx-gb200-nvl72", "models": "deepseek-r1", "workloads": "enterprise_assistants"}
ENGINES = Scenario._meta.get_field("engine").choices
MODES = Scenario._meta.get_field("serving_mode").choices
KV_PRECISIONS = [("", "as engines pair it"), *((name, name.upper()) for name in KV_BYTES)]
N_TABLE_ROWS = 16
POWER_CAP, CACHE_TIER = measure_of("power_cap_w"), measure_of("cache_tier_bytes")


@dataclass(frozen=True, slots=True)
class Held:
    """What the asker decides in place of the search, or holds it to, as typed."""

    configuration: str = ""
    mode: str = "any"
    max_ranks: str = ""
    pipelines: bool = True
    engine_version: str = ""
    draft_tokens: str = ""
    draft_acceptance: str = ""
    kv_precision: str = ""
    checkpoint: str = ""


@login_required
@vary_on_headers("HX-Request")
def serving(request: HttpRequest) -> HttpResponse:
    """Show what one system can serve of one model to one use case, over speed per user."""
    choices, chosen = {}, {}
    for kind, first in FIRST.items():
        choices[kind] = served_by() if kind == "systems" else list(Product.objects.filter(kind=kind))
        asked = request.GET.get(kind.removesuffix("s"), first)
        chosen[kind] = next((p for p in choices[kind] if p.slug == asked), choices[kind][0] if choices[kind] else None)
    asked = request.GET.get("engine", "")
    engine = asked if asked in dict(ENGINES) else ENGINES[0][0]
    cap = request.GET.get("power_cap_w", "").strip()
    tier = request.GET.get("cache_tier_bytes", "").strip()
    drafts = request.GET.get("drafts") == "on"
    held = Held(
        request.GET.get("configuration", "").strip()[:160],
        request.GET.get("mode", "any"),
        request.GET.get("max_ranks", "").strip(),
        request.GET.get("no_pipelines") != "on",
        request.GET.get("engine_version", "").strip(),
        *(request.GET.get(name, "").strip()[:40] for name in ("draft_tokens", "draft_acceptance")),
        kv_precision=request.GET.get("kv_precision", "").strip()[:40],
        checkpoint=request.GET.get("checkpoint", "").strip()[:80],
    )
    context = {
        "choices": choices,
        "chosen": chosen,
        "engine": engine,
        "engines": ENGINES,
        "cap": cap,
        "cap_unit": POWER_CAP.shown,
        "tier": tier,
        "tier_unit": CACHE_TIER.shown,
        "drafts": drafts,
        "held": held,
        "modes": MODES,
        "kv_precisions": KV_PRECISIONS,
    }
    if all(chosen.values()):
        context |= explored(chosen["systems"], chosen["models"], chosen["workloads"], engine, cap, tier, drafts, held)
    if not request.htmx:
        context["claims"] = recomputed_claims()
    return render(request, "twin/serving/_explored.html" if request.htmx else "twin/serving.html", context)


def explored(
    system: Product,
    model: Product,
    use: Product,
    engine: str,
    cap: str = "",
    tier: str = "",
    drafts: bool = False,
    held: Held = Held(),
) -> dict:
    """Return charts and table of the frontier, or why there is none."""
    accelerator = accelerator_of(system)
    if accelerator is None:
        return {"reason": f"{system.name} names no accelerator of the catalogue."}
    try:
        workload, targets = workload_from_entry(entry_of(use))
        domain = min(domain_size(system), MOST_ACCELERATORS)
        question = Question(
            entry_of(accelerator),
            entry_of(model),
            workload,
            domain,
            engine,
            # no accelerator runs on less than 10 W, so 1,200 is no 1.2
            power_cap_w=amount(cap, "power cap", "watts", 10, POWER_CAP),
            cache_tier_bytes=amount(tier, "cache tier", "bytes", 0, CACHE_TIER) or 0.0,
            allow_drafts=drafts,
            restrictions=Restrictions(
                held.mode, whole(held.max_ranks, "limit of accelerators", "accelerators"), held.pipelines
            ),
            configuration=held.configuration,
            engine_version=held.engine_version,
            drafting=drafting(held, drafts),
            kv_precision=held.kv_precision,
            checkpoint=held.checkpoint,
        )
        frontier = frontier_of(question)
    except ValueError as refusal:
        return {"reason": str(refusal), "refused": True}
    if frontier.user_tokens_per_s.size == 0:
        return {"reason": frontier.reason, "accelerator": accelerator}
    wanted = 1 / targets.itl_s
    at = frontier.at_interactivity(wanted)
    point = frontier_point(frontier, at) if at is not None else None
    sessions = session_load(question, targets)
    step = max(1, frontier.user_tokens_per_s.size // N_TABLE_ROWS)
    shown = sorted({*range(0, frontier.user_tokens_per_s.size, step), *([at] if at is not None else [])})
    return {
        "accelerator": accelerator,
        "targets": targets,
        "wanted": wanted,
        "best": chosen_configuration(question, targets),
        "launches": launch_settings(question, targets, accelerators_per_node(system)),
        "point": point,
        "bands": point_bands(question, point) if point else {},
        "rows": [frontier_point(frontier, i) for i in shown],
        "n_points": frontier.user_tokens_per_s.size,
        "charts": run_charts.frontier(frontier, wanted),
        "sessions": sessions,
        "session_chart": run_charts.sessions(sessions) if sessions else None,
    }


def amount(text: str, name: str, unit: str, least: float, measure: Measure | None = None) -> float | None:
    """Return an amount as it was typed, None where blank.

    Raises
    ------
    ValueError
        If it is no number; names it.
    """
    if not text:
        return None
    try:
        return number_read(text, low=least, measure=measure)
    except ValidationError as error:
        raise ValueError(f"The {name} is {text[:40]!r}; must be a number of {unit}. {error.messages[0]}") from None


def drafting(held: Held, is_allowed: bool) -> Drafting:
    """Return how tokens are drafted, as typed.

    Raises
    ------
    ValueError
        If a number is impossible, or something is said of drafts where none may be.
    """
    tokens = whole(held.draft_tokens, "number of drafted tokens", "tokens")
    kept = amount(held.draft_acceptance, "acceptance of drafts", "0 to 1", 0)
    if (tokens is not None or kept is not None) and not is_allowed:
        raise ValueError("Nothing may be drafted here: tick “Draft tokens”, or leave number and acceptance empty.")
    return Drafting(tokens=tokens, acceptance=kept)


def whole(text: str, name: str, unit: str) -> int | None:
    """Return a whole number as it was typed, None where blank."""
    value = amount(text, name, unit, 1)
    if value is not None and value != int(value):
        raise ValueError(f"The {name} is {text[:40]!r}; must be a whole number.")
    return None if value is None else int(value)


def recomputed_claims() -> list[dict]:
    """Return published claims about generations with our ratios; they do not depend on what is chosen."""
    return [{"claim": claim, "new": new, "old": old, "rows": rows} for claim, new, old, rows in claims(entries)]
