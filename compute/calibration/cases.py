"""Serving cases: rows of names and numbers checked one by one, and turned into arrays for the solver."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import PRECISIONS, Accelerator
from compute.model_shapes import ModelShape
from compute.steps.kv_cache import memory_fit, memory_reason
from compute.steps.roofline import DeploymentWork, Parallelism, deployment_work

FloatArray = NDArray[np.float64]

# InferenceX draws lengths uniformly between 0.8 and 1 of the nominal ones.
INFERENCEX_LENGTH_FRAC = 0.9

ENGINES = {"vllm": "vllm", "sglang": "sglang", "trt": "trtllm", "tensorrt": "trtllm"}
# Engines that exist and that no case calibrates: they get the average of those that are calibrated.
UNCALIBRATED_ENGINES = ("atom", "dynamo", "tgi", "lmdeploy", "llama.cpp", "max", "jetstream", "lightllm", "neuron", "")

WITHOUT_CUDA = ("cdna3", "cdna4", "cdna5", "tpu", "gaudi")  # generations that TensorRT-LLM does not run on

CHAT_TOKENS = 4096.0  # answers of chat stay below, those of reasoning lie above in all published sweeps

MODES = ("aggregated", "disaggregated")


@dataclass(frozen=True, slots=True)
class Case:
    """One checked case; lengths are mean lengths.

    `concurrency` is inf where all requests are queued at once. `request_rate_per_s` is of open arrivals at the whole
    deployment, NaN where the number in flight is given instead.
    """

    case_id: str
    attributes: Mapping[str, str]  # accelerator, generation, engine, protocol, vintage, model, precision and more
    accelerator: Accelerator
    model: ModelShape
    parallelism: Parallelism
    weight_precision: str
    kv_precision: str
    n_accelerators: int
    replicas: float
    prefill_accelerators: int  # 0 where one instance does both phases
    decode_accelerators: int
    input_tokens: float
    output_tokens: float
    concurrency: float
    work: DeploymentWork
    request_rate_per_s: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class CaseTable:
    """Checked cases as arrays, shape (n_cases,) each."""

    cases: tuple[Case, ...]
    work: DeploymentWork
    hbm_bytes: FloatArray
    latent_layers: FloatArray
    replicas: FloatArray
    n_accelerators: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    concurrency: FloatArray  # of one instance


def case_table(cases: Sequence[Case]) -> CaseTable:
    """Return the arrays of checked cases."""
    replicas = np.array([c.replicas for c in cases], dtype=np.float64)
    return CaseTable(
        cases=tuple(cases),
        work=DeploymentWork.stack([c.work for c in cases]),
        hbm_bytes=np.array([c.accelerator.hbm_bytes for c in cases]),
        latent_layers=np.array([float(c.model.layers if c.model.is_mla else 0) for c in cases]),
        replicas=replicas,
        n_accelerators=np.array([float(c.n_accelerators) for c in cases]),
        input_tokens=np.array([c.input_tokens for c in cases], dtype=np.float64),
        output_tokens=np.array([c.output_tokens for c in cases], dtype=np.float64),
        concurrency=np.array([c.concurrency for c in cases], dtype=np.float64) / replicas,
    )


def parse_case(
    row: Mapping[str, str | None], accelerators: Mapping[str, Accelerator], models: Mapping[str, ModelShape]
) -> Case:
    """Return the checked case of one row in the columns of the measured serving cases.

    Blank parallelism is chosen: the smallest tensor parallelism that holds the model and one request, repeated over
    the accelerators named (all in one instance where their number is blank).

    Raises
    ------
    ValueError
        If a name is unknown, a needed value blank or impossible, or the model does not fit; the text says which, its
        value and what is allowed.
    """
    text = {
        key: (value or "").strip() for key, value in row.items() if isinstance(key, str) and not isinstance(value, list)
    }
    accelerator = _known(text, "accelerator", accelerators)
    model = _known(text, "model", models)
    precision = text.get("weight_precision", "").lower() or _missing("weight_precision")
    if precision not in PRECISIONS:
        raise ValueError(f"weight_precision is {precision!r}; must be one of {', '.join(PRECISIONS)}")
    mode = text.get("mode", "").lower() or MODES[0]
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; must be one of {', '.join(MODES)}")
    engine = engine_name(text.get("engine", ""))
    if strange := engine_reason(engine, accelerator):
        raise ValueError(strange)
    input_tokens = _number(text, "input_tokens", least=1.0)
    output_tokens = _number(text, "output_tokens", least=1.0)
    protocol = case_protocol(text.get("source", ""), text.get("case_id", ""))
    if protocol == "inferencex":
        input_tokens *= INFERENCEX_LENGTH_FRAC
        output_tokens *= INFERENCEX_LENGTH_FRAC
    if input_tokens > model.max_context_tokens:
        limit = f"{model.name} takes at most {model.max_context_tokens} tokens of context"
        raise ValueError(f"input_tokens is {input_tokens:.0f}; {limit}")
    concurrency, request_rate_per_s = _load(text, mode)
    kv_precision = "bf16" if precision == "bf16" else "fp8"
    prefill, decode = 0, 0
    if mode == "disaggregated":
        prefill = int(_number(text, "prefill_accelerators", least=1.0, whole=True))
        decode = int(_number(text, "decode_accelerators", least=1.0, whole=True))
    parallelism, n_accelerators = _parallelism(
        text, accelerator, model, precision, kv_precision, input_tokens + output_tokens, protocol, (prefill, decode)
    )
    work = deployment_work(accelerator, model, parallelism, weight_precision=precision, kv_precision=kv_precision)
    memory = memory_fit(work, accelerator.hbm_bytes, claimed_frac=0.97, workspace_bytes=0.5e9)
    reason = memory_reason(work, memory, input_tokens + output_tokens)
    if reason:
        raise ValueError(reason)
    if prefill and min(prefill, decode) < parallelism.accelerators:
        raise ValueError(
            f"prefill_accelerators is {prefill} and decode_accelerators {decode}; one instance takes "
            f"{parallelism.accelerators}, so each must be that or more"
        )
    if n_accelerators < parallelism.accelerators:
        raise ValueError(
            f"n_accelerators is {n_accelerators}; parallelism of {parallelism.accelerators} needs at least that many"
        )
    if not prefill and n_accelerators % parallelism.accelerators:
        instance = f"the {parallelism.accelerators} that one instance takes"
        raise ValueError(f"n_accelerators is {n_accelerators}; must be a whole multiple of {instance}")
    if model.attention_heads % parallelism.tensor_parallel:
        heads = f"the {model.attention_heads} attention heads of {model.name}"
        raise ValueError(f"tensor_parallel is {parallelism.tensor_parallel}; must divide {heads}")
    return Case(
        case_id=text.get("case_id", ""),
        attributes={
            "accelerator": accelerator.name,
            "generation": accelerator.generation,
            "engine": engine,
            "protocol": protocol,
            "vintage": case_vintage(text.get("engine_version", ""), text.get("measured_on", "")),
            "model": model.name,
            "precision": precision,
            "arithmetic": accelerator.compute_precision(precision),
            "ranks": ranks_text(parallelism),
            "shape": f"{input_tokens:.0f} in, {'long' if output_tokens > CHAT_TOKENS else 'short'} answers",
        },
        accelerator=accelerator,
        model=model,
        parallelism=parallelism,
        weight_precision=precision,
        kv_precision=kv_precision,
        n_accelerators=n_accelerators,
        replicas=n_accelerators / parallelism.accelerators,
        prefill_accelerators=prefill,
        decode_accelerators=decode,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        concurrency=concurrency,
        work=work,
        request_rate_per_s=request_rate_per_s,
    )


def ranks_text(parallelism: Parallelism) -> str:
    """Return the ranks of an instance as one word: tensor, pipeline, attention data and expert parallelism."""
    p = parallelism
    return f"{p.tensor_parallel}.{p.pipeline_parallel}.{p.attention_data_parallel}.{p.expert_parallel}"


def case_protocol(source: str, case_id: str) -> str:
    """Return how a case was measured: each source has its own client, length draw and meaning of latency."""
    lowered = source.lower()
    for mark, protocol in (
        ("inferencex", "inferencex"),
        ("gap-analysis", "gap_analysis"),
        ("ml.energy", "ml_energy"),
        ("tensorrt-llm", "trtllm_bench"),
    ):
        if mark in lowered:
            return protocol
    return {"ix": "inferencex", "mle": "ml_energy", "trt": "trtllm_bench"}.get(case_id.split("-")[0], "other")


def case_vintage(engine_version: str, measured_on: str) -> str:
    """Return the software vintage: the release, else the month of measurement.

    A post-release counts: DeepSeek-R1 generates twice as fast on TensorRT-LLM 1.2.0rc6.post3 as on post2, three days
    before.
    """
    if re.match(r"^v?\d", engine_version):
        return engine_version
    return measured_on[:7] or "unknown"


def engine_name(text: str) -> str:
    """Return the calibrated name of an engine, or `other` for one that exists but that nothing calibrates.

    Raises
    ------
    ValueError
        If nobody knows the name.
    """
    lowered = text.lower()
    for mark, name in ENGINES.items():
        if mark in lowered:
            return name
    if any(lowered == known or (known and known in lowered) for known in UNCALIBRATED_ENGINES):
        return "other"
    known = sorted({*ENGINES.values(), *filter(None, UNCALIBRATED_ENGINES)})
    raise ValueError(f"engine {text!r} is unknown; known are {', '.join(known)}")


def engine_reason(engine: str, accelerator: Accelerator) -> str:
    """Return why an engine cannot run on an accelerator, blank if it can."""
    if engine == "trtllm" and accelerator.generation in WITHOUT_CUDA:
        return f"engine trtllm (TensorRT-LLM) does not run on {accelerator.name}; choose vllm or sglang"
    return ""


def _missing(name: str) -> str:
    raise ValueError(f"{name} is blank; give a value")


def _known(text: Mapping[str, str], column: str, known: Mapping[str, Any]) -> Any:
    name = text.get(column, "")
    if not name:
        raise ValueError(f"{column} is blank; give one of the catalogue's")
    if name not in known:
        raise ValueError(f"{column} {name!r} is not in the catalogue; it has {', '.join(sorted(known))}")
    return known[name]


def _number(
    text: Mapping[str, str], column: str, *, least: float = -math.inf, above: float = -math.inf, whole: bool = False
) -> float:
    written = text.get(column, "")
    if not written:
        raise ValueError(f"{column} is blank; give a number")
    try:
        value = float(written)
    except ValueError:
        raise ValueError(f"{column} is {written!r}; must be a number") from None
    if not math.isfinite(value) or value < least or value <= above or value > 1e12:
        bound = f"{least:g} or more" if least > -math.inf else f"greater than {above:g}"
        raise ValueError(f"{column} is {written}; must be {bound} and finite")
    if whole and value != int(value):
        raise ValueError(f"{column} is {written}; must be a whole number")
    return value


def _load(text: Mapping[str, str], mode: str) -> tuple[float, float]:
    """Return requests in flight (inf where all queue at once) and arrivals per second, NaN where not given."""
    if not text.get("request_rate_per_s"):
        saturated = text.get("concurrency", "").lower() == "saturated"
        return (math.inf if saturated else _number(text, "concurrency", above=0.0)), math.nan
    rate = _number(text, "request_rate_per_s", above=0.0)
    if text.get("concurrency"):
        raise ValueError(
            f"concurrency is {text['concurrency']} and request_rate_per_s {rate:g}; leave one of them blank"
        )
    if mode != MODES[0]:
        raise ValueError(f"request_rate_per_s is {rate:g} and mode {mode}; open arrivals need mode {MODES[0]}")
    return 1.0, rate  # in flight: what results from the rate, solved for later


def _count(text: Mapping[str, str], column: str) -> int | None:
    """Return a whole number of parallel ranks, None where blank; 0 means 1."""
    if not text.get(column):
        return None
    return max(1, int(_number(text, column, least=0.0, whole=True)))


def _parallelism(
    text: Mapping[str, str],
    accelerator: Accelerator,
    model: ModelShape,
    precision: str,
    kv_precision: str,
    context_tokens: float,
    protocol: str,
    prefill_and_decode: tuple[int, int],
) -> tuple[Parallelism, int]:
    n_disaggregated = sum(prefill_and_decode)
    tensor = _count(text, "tensor_parallel")
    pipeline = _count(text, "pipeline_parallel") or 1
    data = _count(text, "data_parallel") or 1
    expert = _count(text, "expert_parallel") or 1
    given = int(_number(text, "n_accelerators", least=1.0, whole=True)) if text.get("n_accelerators") else None
    if tensor is None:
        widest = min(prefill_and_decode) if n_disaggregated else given
        chosen = smallest_parallelism(accelerator, model, precision, kv_precision, context_tokens, widest)
        if n_disaggregated:
            return chosen, n_disaggregated
        total = given if given is not None else chosen.accelerators
        return chosen, total - total % chosen.accelerators
    is_moe = model.experts > 0
    if n_disaggregated:
        return Parallelism(tensor, pipeline, data if is_moe else 1, max(expert, 1)), n_disaggregated
    n = given if given is not None else tensor * pipeline * data
    if protocol == "trtllm_bench" and is_moe and n > 1:
        # those pages run mixture-of-experts models with attention data-parallel and experts over the deployment
        return Parallelism(1, pipeline, max(1, n // pipeline), max(1, n // pipeline)), n
    if is_moe and data > 1:
        if tensor * data > n:  # attention data parallelism inside the tensor-parallel group
            return Parallelism(max(1, tensor // data), pipeline, data, expert), n
        return Parallelism(tensor, pipeline, data, expert), n
    if is_moe and expert > tensor and n >= expert:
        return Parallelism(tensor, pipeline, max(1, expert // tensor), expert), n
    return Parallelism(tensor, pipeline, 1, min(expert, tensor)), n


def smallest_parallelism(
    accelerator: Accelerator,
    model: ModelShape,
    precision: str,
    kv_precision: str,
    context_tokens: float,
    n_accelerators: int | None,
) -> Parallelism:
    """Return the least tensor parallelism (a power of two) that holds the model and a fair cache.

    Raises
    ------
    ValueError
        If none up to `n_accelerators` (or the scale-up domain) does; says what the widest would need.
    """
    widest = n_accelerators or max(8, min(accelerator.scaleup_domain_size, 64))
    reason = f"n_accelerators is {n_accelerators}; must be 1 or more"
    best: Parallelism | None = None
    tensor = 1
    while tensor <= widest and tensor <= model.attention_heads:
        parallelism = Parallelism(tensor)
        work = deployment_work(accelerator, model, parallelism, weight_precision=precision, kv_precision=kv_precision)
        memory = memory_fit(work, accelerator.hbm_bytes)
        reason = memory_reason(work, memory, context_tokens)
        if not reason:
            # room for the cache of a batch: weights take at most three quarters of what is claimed
            best = parallelism
            if memory.kv_bytes[0] > memory.weight_bytes[0] / 3.0:
                break
        tensor *= 2
    if best is None:
        raise ValueError(reason)
    return best
