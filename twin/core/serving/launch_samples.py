"""Every kind of launch setting that can be handed out: what tests and engines' own parsers are given."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from compute.model_shapes import KV_BYTES
from compute.steady.pins import pin_from_text
from compute.steps.rules import SPECULATIVE
from twin.core.serving.engine_options import ENGINES
from twin.core.serving.launch import LaunchQuestion, dynamo_documents, dynamo_settings, engine_settings, roles, words

UNITS = (
    "TP 1",
    "TP 8",
    "TP 8 PP 2",
    "PP 4",
    "TP 8 EP 8",
    "TP 8 EP 4",
    "DP 8",
    "DP 8 EP 8",
    "TP 2 DP 4 EP 8",
    "DP 32 EP 32",
    "DP 8 EP 8 PP 2",
    "prefill 2 x TP 4 : decode 1 x DP 32 EP 32",
    "prefill 3 x DP 8 EP 8 : decode 2 x TP 8",
    "prefill 1 x TP 4 PP 2 : decode 1 x TP 8 PP 2",
)
BATCHES = ("", "batch 1", "batch 512")
DRAFTS = ("", *(f"{'drafts' if kind == 'draft' else kind.upper()} 3" for kind in SPECULATIVE[1:]))
CHECKPOINTS = ("", "checkpoint Some-Model-FP8")


def sample_questions(models: Iterable[Mapping[str, Any]], precisions: Iterable[str]) -> Iterator[LaunchQuestion]:
    """Yield questions that differ in every way that a setting depends on.

    Units meet all drafts and batches, and all precisions of weights and cache; what no setting joins is not crossed.
    Of models the first of each stored precision is taken: the others differ in their name.
    """
    stored = {str(model.get("native_precision") or "bf16"): model for model in reversed(list(models))}
    models, precisions = list(stored.values()), list(precisions)
    said = itertools.chain(
        ((unit, drafts, batch, "") for unit in UNITS for drafts in DRAFTS for batch in BATCHES),
        ((unit, "", "", checkpoint) for unit in UNITS for checkpoint in CHECKPOINTS),
    )
    for unit, drafts, batch, checkpoint in said:
        yield _question(", ".join(filter(None, (unit, drafts, batch, checkpoint))), models[0], precisions[0], "fp8")
    for unit, model, precision, kv in itertools.product((UNITS[1], UNITS[-3]), models, precisions, KV_BYTES):
        yield _question(unit, model, precision, kv)


def _question(text: str, model: Mapping[str, Any], precision: str, kv_precision: str) -> LaunchQuestion:
    return LaunchQuestion(pin_from_text(text), model, precision, kv_precision, 9216, 8)


def samples(questions: Iterable[LaunchQuestion]) -> Iterator[dict[str, Any]]:
    """Yield settings of every instance of every question for every engine, each once, as its parser takes them."""
    seen = set()
    for question, engine in itertools.product(questions, ENGINES):
        graph = dynamo_documents(engine, question)[-1]
        for role, parallelism, _ in roles(question.pin):
            settings = engine_settings(engine, question, role, parallelism)
            worker = dynamo_settings(engine, question, role, settings)
            sample = {
                "engine": engine,
                "settings": settings,
                "words": _words(engine, question, settings),
                "worker": worker,
                "worker_words": words(worker),
                "graph": graph,
            }
            if (text := json.dumps(sample)) not in seen:
                seen.add(text)
                yield sample


def _words(engine: str, question: LaunchQuestion, settings: Mapping[str, Any]) -> list[str]:
    if engine == "vllm":
        return [question.repository, *words(settings)]
    if engine == "sglang":
        return ["--model-path", question.repository, *words(settings)]
    return []  # its settings are a file
