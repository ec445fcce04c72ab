"""Serving cases: rows of names and numbers checked one by one, and turned into arrays for the solver."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import Accelerator, precision_named
from compute.calibration.case_fields import choice, day_text, known_name, missing, number, release_text
from compute.calibration.case_pools import Pool, Served, aggregated_pool, separate_pools
from compute.calibration.client_habits import ClientHabits, client_habits
from compute.model_shapes import KV_BYTES, ModelShape, with_checkpoint
from compute.steps.roofline import DeploymentWork, Parallelism, deployment_work
from compute.steps.rules import SPECULATIVE, Drafting, deployment_refusals, deployment_warnings

FloatArray = NDArray[np.float64]

# InferenceX draws lengths uniformly between 0.8 and 1 of the nominal ones.
INFERENCEX_LENGTH_FRAC = 0.9

ENGINES = {"vllm": "vllm", "sglang": "sglang", "trt": "trtllm", "tensorrt": "trtllm", "atom": "atom"}
RELEASE = re.compile(r"(\d+\.\d+(?:\.\d+)?)((?:\.?(?:post|rc)\d+)*)")
OWN_RELEASE = re.compile(rf"(?:vllm|sglang|tensorrt[-_]?llm|trt-?llm|atom)[-_:v]*{RELEASE.pattern}")
PLATFORM = re.compile(r"(?<![a-z])(?:rocm|cuda|cu|ubuntu|pytorch|torch|python|py)(?:[-_]release)?[-_]?\d+(?:\.\d+)*")
BUILD_DATE = re.compile(r"(?<!\d)(20\d\d)(0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)")
# Engines that exist and that no case calibrates: they get the average of those that are calibrated.
UNCALIBRATED_ENGINES = ("dynamo", "tgi", "lmdeploy", "llama.cpp", "max", "jetstream", "lightllm", "neuron", "")

WITH_CUDA = ("nvidia", "")  # makers whose parts run it, an unknown one among them
WITHOUT_CUDA = ("cdna3", "cdna4", "cdna5", "tpu", "gaudi")  # generations that TensorRT-LLM does not run on

WIDE_EXPERT_COLUMNS = 4096  # inner columns of an expert: 8,192 and more of a few big ones, 768 to 2,880 of many
CHAT_TOKENS = 4096.0  # answers of chat stay below, those of reasoning lie above in all published sweeps

CALIBRATED_PROTOCOL = "inferencex"  # whose clients and lengths resemble production most among those fitted
MODES = ("aggregated", "disaggregated")
STATISTICS = ("mean", "median")  # which one the latencies of a case are
USUAL_DRAFTS = 3  # where a case names the kind of drafts alone: what the published recipes of MTP runs set


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
    replicas: float  # instances; those that decode where prefill runs apart
    prefill: Pool | None  # None where one instance does both phases
    input_tokens: float
    output_tokens: float
    concurrency: float
    work: DeploymentWork
    prefill_work: DeploymentWork  # of a prefill instance; that of `work` where one does both
    draft_tokens: int  # per step and sequence
    draft_acceptance: float  # stated; NaN where it is predicted
    warnings: tuple[str, ...]  # what to check before deploying
    request_rate_per_s: float = math.nan
    habits: ClientHabits = ClientHabits()

    @property
    def deployment(self) -> str:
        """Name of the deployment: its cases differ in requests and software release alone."""
        a = self.attributes
        pools = [f"{self.replicas:g} x {a['ranks']}"]
        if self.prefill:
            pools.insert(0, f"{self.prefill.workers} x {ranks_text(self.prefill.parallelism)}")
        parts = [a[k] for k in ("accelerator", "engine", "client", "model", "precision", "drafts")]
        return "|".join([*parts, " : ".join(pools)])


@dataclass(frozen=True, slots=True, eq=False)
class CaseTable:
    """Checked cases as arrays, shape (n_cases,) each."""

    cases: tuple[Case, ...]
    work: DeploymentWork
    prefill_work: DeploymentWork
    prefill_workers: FloatArray  # 0 where one instance does both phases
    draft_tokens: FloatArray
    draft_acceptance: FloatArray  # NaN where it is to be predicted
    is_median: NDArray[np.bool_]  # what the latencies of a case are: medians or means
    draft_layers_frac: FloatArray  # layers of what drafts over those of the model
    hbm_bytes: FloatArray
    latent_layers: FloatArray
    replicas: FloatArray
    n_accelerators: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    concurrency: FloatArray  # of one instance
    start_frac: FloatArray  # of a client's requests, sent at once at its start
    warms_up: NDArray[np.bool_]  # whether the client had the engine warmed up
    look_steps: FloatArray  # of generation, from one look for new requests to the next


def case_table(cases: Sequence[Case]) -> CaseTable:
    """Return the arrays of checked cases."""
    replicas = np.array([c.replicas for c in cases], dtype=np.float64)
    return CaseTable(
        cases=tuple(cases),
        work=DeploymentWork.stack([c.work for c in cases]),
        prefill_work=DeploymentWork.stack([c.prefill_work for c in cases]),
        prefill_workers=np.array([float(c.prefill.workers if c.prefill else 0) for c in cases]),
        draft_tokens=np.array([float(c.draft_tokens) for c in cases]),
        draft_acceptance=np.array([c.draft_acceptance for c in cases], dtype=np.float64),
        is_median=np.array([c.attributes["statistic"] == "median" for c in cases]),
        draft_layers_frac=np.array([max(c.model.mtp_layers, 1) / c.model.layers for c in cases]),
        hbm_bytes=np.array([c.accelerator.hbm_bytes for c in cases]),
        latent_layers=np.array([float(c.model.layers if c.model.is_mla else 0) for c in cases]),
        replicas=replicas,
        n_accelerators=np.array([float(c.n_accelerators) for c in cases]),
        input_tokens=np.array([c.input_tokens for c in cases], dtype=np.float64),
        output_tokens=np.array([c.output_tokens for c in cases], dtype=np.float64),
        concurrency=np.array([c.concurrency for c in cases], dtype=np.float64) / replicas,
        start_frac=np.array([c.habits.start_frac for c in cases]),
        warms_up=np.array([c.habits.warms_up for c in cases]),
        look_steps=np.array([c.habits.look_steps for c in cases]),
    )


def parse_case(
    row: Mapping[str, str | None], accelerators: Mapping[str, Accelerator], models: Mapping[str, ModelShape]
) -> Case:
    """Return the checked case of one row in the columns of the measured serving cases.

    Blank parallelism is chosen: the smallest tensor parallelism that holds the model and one request, repeated over
    the accelerators named (all in one instance where their number is blank).

    Parameters
    ----------
    row : mapping
        Cells by column, as text; a missing column counts as blank.
    accelerators, models : mapping
        What the catalogue has, by id.

    Raises
    ------
    ValueError
        If a name is unknown, a needed value blank or impossible, or the model does not fit; the text says which, its
        value and what is allowed.
    """
    text = {
        key: (value or "").strip() for key, value in row.items() if isinstance(key, str) and not isinstance(value, list)
    }
    accelerator = known_name(text, "accelerator", accelerators)
    model = known_name(text, "model", models)
    precision = precision_named(text.get("weight_precision", "") or missing("weight_precision"))
    model = with_checkpoint(model, text.get("checkpoint", ""), precision)
    mode = choice(text, "mode", MODES, MODES[0])
    statistic = choice(text, "statistic", STATISTICS, STATISTICS[0])
    engine = engine_name(text.get("engine", ""))
    if strange := engine_reason(engine, accelerator):
        raise ValueError(strange)
    release = release_text(text.get("engine_version", ""))
    measured_on = day_text(text.get("measured_on", ""))
    input_tokens = number(text, "input_tokens", least=1.0)
    output_tokens = number(text, "output_tokens", least=1.0)
    protocol = case_protocol(text.get("source", ""), text.get("case_id", ""))
    if protocol == "inferencex":
        input_tokens *= INFERENCEX_LENGTH_FRAC
        output_tokens = max(1.0, INFERENCEX_LENGTH_FRAC * output_tokens)
    concurrency, request_rate_per_s = _load(text, mode)
    kv_precision = choice(text, "kv_precision", tuple(KV_BYTES), usual_kv_precision(precision))
    served = Served(accelerator, model, precision, kv_precision, input_tokens, output_tokens, concurrency)
    prefill: Pool | None = None
    if mode == "disaggregated":
        prefill, pool = separate_pools(text, served)
    else:
        pool = aggregated_pool(text, served, experts_everywhere=protocol == "trtllm_bench")
    for each, prefix in ((pool, "decode_" if prefill else ""), (prefill, "prefill_")):
        if each is None:
            continue
        lengths = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        if refusals := deployment_refusals(model, each.parallelism, prefix=prefix, **lengths):
            raise ValueError("; ".join(refusals))
        if reason := served.reason(each.parallelism):
            raise ValueError(f"{prefix.removesuffix('_')}: {reason}" if prefix else reason)
    speculative, draft_tokens, acceptance = _drafts(text, model)
    works = [
        deployment_work(accelerator, model, each.parallelism, weight_precision=precision, kv_precision=kv_precision)
        for each in (pool, prefill or pool)
    ]
    attributes = deployment_attributes(
        accelerator,
        model,
        pool.parallelism,
        precision,
        engine,
        mode=mode,
        drafts=speculative,
        output_tokens=output_tokens,
    ) | {
        "protocol": protocol or CALIBRATED_PROTOCOL,
        "client": protocol or "own",
        "vintage": case_vintage(release, measured_on),
        "release": case_release(release, measured_on),
        "shape": f"{input_tokens:.0f} in, {answer_class(output_tokens)} answers",
        "statistic": statistic,
    }
    return Case(
        case_id=text.get("case_id", ""),
        attributes=attributes,
        accelerator=accelerator,
        model=model,
        parallelism=pool.parallelism,
        weight_precision=precision,
        kv_precision=kv_precision,
        n_accelerators=pool.accelerators + (prefill.accelerators if prefill else 0),
        replicas=float(pool.workers),
        prefill=prefill,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        concurrency=concurrency,
        work=works[0],
        prefill_work=works[1],
        draft_tokens=draft_tokens,
        draft_acceptance=acceptance,
        warnings=deployment_warnings(model, pool.parallelism, precision),
        request_rate_per_s=request_rate_per_s,
        habits=client_habits(protocol, measured_on, attributes, concurrency),
    )


def usual_kv_precision(weight_precision: str) -> str:
    """Return the KV cache precision that engines pair with a weight precision in the calibrated runs."""
    return "bf16" if weight_precision in ("bf16", "int4") else "fp8"


def _drafts(text: Mapping[str, str], model: ModelShape) -> tuple[str, int, float]:
    """Return the kind of drafts, tokens drafted per step, and the acceptance: NaN where it is to be predicted."""
    tokens = int(number(text, "draft_tokens", least=0.0, whole=True)) if text.get("draft_tokens") else None
    usual = "none" if not tokens else "mtp" if model.mtp_layers else "draft"
    kind = choice(text, "speculative", SPECULATIVE, usual)
    if kind == "none":
        if tokens:
            raise ValueError(f"draft_tokens is {tokens} and speculative none; leave one of them blank")
        return kind, 0, math.nan
    if tokens == 0:
        raise ValueError(f"draft_tokens is 0 and speculative {kind}; must be 1 or more, or blank to choose")
    acceptance = number(text, "draft_acceptance", least=0.0) if text.get("draft_acceptance") else None
    drafting = Drafting(kind, tokens or USUAL_DRAFTS, acceptance)
    if refusals := drafting.refusals(model):
        raise ValueError("; ".join(refusals))
    return kind, tokens or USUAL_DRAFTS, math.nan if acceptance is None else acceptance


def deployment_attributes(
    accelerator: Accelerator,
    model: ModelShape,
    parallelism: Parallelism,
    weight_precision: str,
    engine: str,
    *,
    mode: str = MODES[0],
    drafts: str = "none",
    release: str = "",
    output_tokens: float | None = None,
) -> dict[str, str]:
    """Return the groups of the fit that a deployment belongs to, for the client that the fit was calibrated with.

    Parameters
    ----------
    accelerator, model, parallelism : Accelerator, ModelShape, Parallelism
        What runs on what, and how it is spread.
    weight_precision : str
        Stored precision of the weights.
    engine : str
        A name that `engine_name` returns.
    mode : str
        One of `MODES`.
    drafts : str
        One of `SPECULATIVE`.
    release : str
        As the engine names it; blank for none in particular.
    output_tokens : float, optional
        Mean length of answers [tokens]. Without it answers belong to none of the classes of length.

    Returns
    -------
    dict of str to str
        Name of the group by level of the fit.

    Raises
    ------
    ValueError
        If the release is too long to name one.
    """
    return {
        "accelerator": accelerator.name,
        "stack": "" if accelerator.maker in WITH_CUDA else accelerator.maker,
        "generation": accelerator.generation,
        "engine": engine,
        "protocol": CALIBRATED_PROTOCOL,
        "vintage": release,
        "release": case_release(release_text(release), "") if release else "",
        "model": model.name,
        "precision": weight_precision,
        "arithmetic": accelerator.compute_precision(weight_precision),
        "ranks": ranks_text(parallelism),
        "layout": "dp" if parallelism.attention_data_parallel > 1 else "tp",
        "mode": mode,
        "drafts": drafts,
        "answers": "" if output_tokens is None else answer_class(output_tokens),
        "experts": expert_class(model),
    }


def expert_class(model: ModelShape) -> str:
    """Return whether a model's experts are wide, as products of a dense model are, or narrow; blank without experts."""
    if not model.experts:
        return ""
    return "wide" if model.expert_intermediate_size >= WIDE_EXPERT_COLUMNS else "narrow"


def answer_class(output_tokens: float) -> str:
    """Return whether answers are long, as those of reasoning are, or short."""
    return "long" if output_tokens > CHAT_TOKENS else "short"


def ranks_text(parallelism: Parallelism) -> str:
    """Return the ranks of an instance as one word: tensor, pipeline, attention data and expert parallelism."""
    p = parallelism
    return f"{p.tensor_parallel}.{p.pipeline_parallel}.{p.attention_data_parallel}.{p.expert_parallel}"


def case_protocol(source: str, case_id: str) -> str:
    """Return how a case was measured: each source has its own client, draw of lengths and meaning of latency.

    Blank where no benchmark is named: a deployment of one's own, which is predicted as the calibrated client would see
    it, with lengths as they are given; "other" for a benchmark whose load generator no case calibrates.
    """
    lowered = source.lower()
    for mark, protocol in (
        ("inferencex", "inferencex"),
        ("inferencemax", "inferencex"),  # the benchmark's first name
        ("gap-analysis", "gap_analysis"),
        ("ml.energy", "ml_energy"),
        ("tensorrt-llm", "trtllm_bench"),
        ("mlperf", "other"),
    ):
        if mark in lowered:
            return protocol
    return {"ix": "inferencex", "mle": "ml_energy", "trt": "trtllm_bench"}.get(case_id.split("-")[0], "")


def case_vintage(engine_version: str, measured_on: str) -> str:
    """Return the software vintage: the release, else the month of measurement.

    A post-release counts: DeepSeek-R1 generates twice as fast on TensorRT-LLM 1.2.0rc6.post3 as on post2, three days
    before.
    """
    if re.match(r"^v?\d", engine_version):
        return engine_version
    return measured_on[:7] or "unknown"


def case_release(engine_version: str, measured_on: str) -> str:
    """Return the software release without what names its build (CUDA or ROCm version, part), else the month.

    An image may name many things by version: what follows the engine's name is the engine's, what follows the
    platform's is not. A build that is named by its date is of that month.
    """
    text = engine_version.lower()
    found = OWN_RELEASE.search(text) or RELEASE.search(PLATFORM.sub(" ", text))
    if found:
        return "".join(found.groups())
    built = BUILD_DATE.search(text)
    return "-".join(built.groups()) if built else measured_on[:7] or "unknown"


def engine_name(text: str) -> str:
    """Return the calibrated name of an engine, or `other` for one that exists but that nothing calibrates.

    Raises
    ------
    ValueError
        If no engine of that name is known.
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


def _load(text: Mapping[str, str], mode: str) -> tuple[float, float]:
    """Return requests in flight (inf where all queue at once) and arrivals per second, NaN where not given."""
    if not text.get("request_rate_per_s"):
        saturated = text.get("concurrency", "").lower() == "saturated"
        return (math.inf if saturated else number(text, "concurrency", above=0.0)), math.nan
    rate = number(text, "request_rate_per_s", above=0.0)
    if text.get("concurrency"):
        raise ValueError(
            f"concurrency is {text['concurrency']} and request_rate_per_s {rate:g}; leave one of them blank"
        )
    if mode != MODES[0]:
        raise ValueError(f"request_rate_per_s is {rate:g} and mode {mode}; open arrivals need mode {MODES[0]}")
    return 1.0, rate  # in flight: what results from the rate, solved for later
