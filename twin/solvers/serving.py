"""The serving explorer for programs, answered."""

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from compute.steady.pins import Restrictions
from compute.steps.rules import BUILT_IN, Drafting
from compute.workload import LatencyTargets, Workload, workload_from_entry
from facility.catalogue.names import with_ids
from twin.api.serving import (
    MOST_ACCELERATORS,
    PredictionRequestSerializer,
    PredictionView,
    ServingQuestionSerializer,
    ServingView,
)
from twin.core.serving.explore import UNITS, Question, explored, predicted
from twin.floor.products import accelerators_per_node, domain_size, entries_by_column, entry_of


class Serving(ServingView):
    """Explore serving: the best configuration under targets, and throughput per accelerator over speed per user."""

    def respond(self, request: Request) -> Response:
        """Return the answer to a question in the address or the body."""
        query = request.query_params
        data = {name: query[name] for name in query} if request.method in ("GET", "HEAD") else request.data
        serializer = ServingQuestionSerializer(data=data)
        serializer.is_valid(raise_exception=True)
        try:
            return Response(answer(serializer.validated_data))
        except ValueError as refusal:
            raise ValidationError(str(refusal)) from refusal


class Prediction(PredictionView):
    """Predictions for serving cases, each with 80 % bands or with the reason why there is none."""

    def respond(self, request: Request) -> Response:
        """Return the predicted rows."""
        asked = PredictionRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        known = entries_by_column()
        named, refused = with_ids(asked.validated_data["rows"], known)
        rows = predicted(named, known["accelerator"], known["model"])
        for i, reason in refused.items():
            rows[i]["reason"] = reason
        return Response({"rows": rows, "units": UNITS})


def answer(asked: dict) -> dict:
    """Return the answer to a checked question.

    Raises
    ------
    ValueError
        If an entry lacks what the model needs, or a request is longer than the model's context; says which.
    """
    accelerator = entry_of(asked["accelerator"])
    if "workload" in asked:
        workload, targets = workload_from_entry(entry_of(asked["workload"]))
        ttft_s, itl_s = asked.get("target_ttft_s", targets.ttft_s), asked.get("target_itl_s", targets.itl_s)
    else:
        workload = Workload(asked["input_tokens"], asked["output_tokens"])
        ttft_s, itl_s = asked["target_ttft_s"], asked["target_itl_s"]
    linked = domain_size(asked["system"]) if "system" in asked else int(accelerator.get("scaleup_domain_size") or 1)
    n = asked.get("max_accelerators", min(linked, MOST_ACCELERATORS))
    question = Question(
        accelerator,
        entry_of(asked["model"]),
        workload,
        n,
        asked.get("engine", ""),
        asked.get("precision", ""),
        asked.get("power_cap_w"),
        asked.get("cache_tier_bytes", 0.0),
        asked.get("drafts", False),
        Restrictions(asked.get("mode", "any"), asked.get("max_ranks"), asked.get("pipelines", True)),
        asked.get("configuration", ""),
        asked.get("engine_version", ""),
        Drafting(asked.get("speculative", BUILT_IN[0]), asked.get("draft_tokens"), asked.get("draft_acceptance")),
        asked.get("kv_precision", ""),
        asked.get("checkpoint", ""),
    )
    understood = {
        "accelerator": accelerator["id"],
        "model": asked["model"].slug,
        "input_tokens": workload.input_tokens,
        "output_tokens": workload.output_tokens,
        "target_ttft_s": ttft_s,
        "target_itl_s": itl_s,
        "engine": question.engine,
        "precision": question.precision,
        "kv_precision": question.kv_precision,
        "checkpoint": question.checkpoint,
        "max_accelerators": n,
        "power_cap_w": question.power_cap_w,
        "cache_tier_bytes": question.cache_tier_bytes,
        "engine_version": question.engine_version,
        "drafts": question.allow_drafts,
        "speculative": question.drafting.kind if question.allow_drafts else None,
        "draft_tokens": question.drafting.tokens,
        "draft_acceptance": question.drafting.acceptance,
        "configuration": question.configuration or None,
        "mode": question.restrictions.mode,
        "max_ranks": question.restrictions.max_ranks,
        "pipelines": question.restrictions.allow_pipelines,
    }
    per_node = accelerators_per_node(asked["system"]) if "system" in asked else min(linked, 8)
    return {"asked": understood} | explored(question, LatencyTargets(ttft_s, itl_s), per_node)
