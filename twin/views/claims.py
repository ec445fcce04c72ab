"""The page of claims: our curves, measured runs of that kind in summary, what others publish, and what tokens cost."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from compute.prediction.kind_summaries import LEAST_RUNS, stored_summaries
from facility.catalogue import entries
from twin.core.results.token_prices import token_prices
from twin.core.serving import evidence
from twin.views.serving import recomputed_claims


@login_required
def claims(request: HttpRequest) -> HttpResponse:
    """Show what is predicted, measured and published of one model."""
    asked = request.GET.get("model", "")
    model = asked if asked in evidence.MODELS else evidence.MODELS[0]
    return render(request, "twin/claims.html", {"claims": recomputed_claims()} | model_evidence(model))


def model_evidence(model: str) -> dict:
    """Return what the page shows of one model."""
    measured_on, _ = stored_summaries()
    return {
        "models": [(slug, entries("models")[slug]["name"]) for slug in evidence.MODELS],
        "model": model,
        "model_name": entries("models")[model]["name"],
        "rows": (rows := evidence.evidence_rows(entries, model)),
        "costs": evidence.cheapest(rows),
        "speeds": evidence.SPEEDS,
        "costs_at": evidence.COSTS_AT,
        "workload": evidence.WORKLOAD,
        "statements": evidence.statements(entries, model),
        "unsaid": evidence.accelerators_without_statement(entries, model),
        "prices": token_prices(entries, model),
        "measured_on": measured_on,
        "least_runs": LEAST_RUNS,
    }
