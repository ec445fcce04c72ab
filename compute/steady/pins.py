"""What a planner decides before the search: a configuration outright, or what the search may not take.

A pin is written as pages write configurations, so that one that was found can be taken over:

    TP 4
    fp8, TP 8 PP 2, batch 64, KV bf16, checkpoint Llama-3.1-405B-Instruct-FP8
    fp4, prefill 2 x TP 4 : decode 1 x DP 32 EP 32, MTP 2
    awq, TP 2, EAGLE3 4, acceptance 0.6
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from compute.accelerators import PRECISION_NAMES, WEIGHT_PRECISIONS, Accelerator, precision_named
from compute.model_shapes import KV_BYTES, ModelShape
from compute.steps.roofline import Parallelism
from compute.steps.rules import MOST_DRAFT_TOKENS, SPECULATIVE, USUAL_DRAFTING, Drafting, deployment_refusals
from compute.workload import Workload

MODES = ("any", "aggregated", "disaggregated")
RANKS = {"tp": "tensor_parallel", "pp": "pipeline_parallel", "dp": "attention_data_parallel", "ep": "expert_parallel"}
MOST_RANKS, MOST_INSTANCES, MOST_BATCH = 4096, 1024, 100_000
DRAFTS = {kind: kind for kind in SPECULATIVE[1:]} | {"drafts": "draft"}  # as a configuration names them
EXAMPLES = "“TP 8”, “fp8, TP 4 PP 2, batch 64” or “fp4, prefill 2 x TP 4 : decode 1 x DP 32 EP 32, MTP 2”"
BESIDE = re.compile(r"on \w+|\d+ of \d+ used", re.IGNORECASE)  # that pages write behind a configuration
APART = re.compile(r"prefill\s+(\d+)\s*x\s*([^:]+?)\s*:\s*decode\s+(\d+)\s*x\s*(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Software:
    """What runs on the accelerators.

    Attributes
    ----------
    engine : str
        Blank: the one with most calibrated cases.
    engine_version : str
        Release; blank: any.
    drafting : Drafting
        How tokens are drafted where they are.
    kv_precision : str
        Of the cache; blank: what engines pair with the weights.
    checkpoint : str
        Published weights that differ from their precision's usual; blank: those.
    """

    engine: str = ""
    engine_version: str = ""
    drafting: Drafting = USUAL_DRAFTING
    kv_precision: str = ""
    checkpoint: str = ""

    def __post_init__(self) -> None:
        if self.kv_precision and self.kv_precision not in KV_BYTES:
            raise ValueError(f"kv_precision is {self.kv_precision!r}; must be one of {', '.join(KV_BYTES)}")

    @property
    def arguments(self) -> dict[str, Any]:
        """The same by name, for those who take them one by one."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What a search may take.

    Attributes
    ----------
    mode : str
        "any", "aggregated" (each instance does both phases) or "disaggregated" (prefill apart).
    max_ranks : int or None
        Most accelerators of one instance.
    allow_pipelines : bool
        Whether an instance that fits in one scale-up domain may have pipeline stages.
    """

    mode: str = "any"
    max_ranks: int | None = None
    allow_pipelines: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}; must be one of {', '.join(MODES)}")
        if self.max_ranks is not None and not 1 <= self.max_ranks <= MOST_RANKS:
            raise ValueError(f"max_ranks is {self.max_ranks}; must be 1 to {MOST_RANKS}")

    def allowed(self, accelerator: Accelerator, spread: Sequence[Parallelism]) -> tuple[Parallelism, ...]:
        """Return those ways to spread an instance that the search may take."""
        return tuple(
            p
            for p in spread
            if (self.max_ranks is None or p.accelerators <= self.max_ranks)
            and (self.allow_pipelines or p.pipeline_parallel == 1 or p.accelerators > accelerator.scaleup_domain_size)
        )

    def text(self) -> str:
        """Return the restrictions in words, blank where there are none."""
        parts = [] if self.mode == "any" else [f"{self.mode} only"]
        if not self.allow_pipelines:
            parts.append("no pipeline inside a scale-up domain")
        if self.max_ranks is not None:
            parts.append(f"at most {self.max_ranks} accelerators an instance")
        return ", ".join(parts)


FREE = Restrictions()


@dataclass(frozen=True, slots=True)
class Pin:
    """One configuration as decided; a blank precision is chosen."""

    parallelism: Parallelism  # of the instance, or of a decode instance
    prefill: Parallelism | None = None  # where prefill runs apart
    prefill_instances: int = 0
    decode_instances: int = 1
    precision: str = ""
    draft_tokens: int = 0
    batch: int | None = None  # most requests in one (decode) instance
    kv_precision: str = ""  # of the cache; blank: what engines pair with the weights
    checkpoint: str = ""  # published weights that differ from their precision's usual
    drafting: Drafting = USUAL_DRAFTING  # what drafts the tokens, and how many are kept

    @property
    def n_accelerators(self) -> int:
        """Accelerators of one unit."""
        prefill = self.prefill_instances * self.prefill.accelerators if self.prefill else 0
        return prefill + self.decode_instances * self.parallelism.accelerators

    def columns(self) -> dict[str, str]:
        """Return the same in the columns of serving cases; its batch has none, which `concurrency` says there.

        Raises
        ------
        ValueError
            If a pool has attention data parallelism and experts on fewer ranks than a worker: the labels of published
            runs, which the columns are, mean experts over all of them.
        """
        found = {"weight_precision": self.precision, "kv_precision": self.kv_precision, "checkpoint": self.checkpoint}
        if self.draft_tokens:
            kept = self.drafting.acceptance
            found |= {
                "speculative": self.drafting.kind,
                "draft_tokens": str(self.draft_tokens),
                "draft_acceptance": "" if kept is None else f"{kept:g}",
            }
        p = self.parallelism
        if self.prefill is None:
            ranks = {name: str(getattr(p, name)) for name in ("tensor_parallel", "pipeline_parallel")}
            found |= ranks | {
                "mode": "aggregated",
                "data_parallel": str(p.attention_data_parallel),
                "expert_parallel": str(p.expert_parallel),
            }
        else:
            found["mode"] = "disaggregated"
            pools = (("prefill", self.prefill, self.prefill_instances), ("decode", p, self.decode_instances))
            for pool, ranks_of, workers in pools:
                if ranks_of.attention_data_parallel > 1 and ranks_of.expert_parallel < ranks_of.stage_accelerators:
                    raise ValueError(
                        f"{pool}: EP {ranks_of.expert_parallel} beside DP {ranks_of.attention_data_parallel} cannot be "
                        f"said of a measured pool; its experts lie over all {ranks_of.stage_accelerators} ranks"
                    )
                found |= {
                    f"{pool}_workers": str(workers),
                    f"{pool}_accelerators": str(workers * ranks_of.accelerators),
                    f"{pool}_tp": str(ranks_of.tensor_parallel),
                    f"{pool}_pp": str(ranks_of.pipeline_parallel),
                    f"{pool}_ep": str(ranks_of.expert_parallel),
                    f"{pool}_attention_dp": str(ranks_of.attention_data_parallel)
                    if ranks_of.attention_data_parallel > 1
                    else "",
                }
        return {name: value for name, value in found.items() if value}

    def stored(self, kv_precision: str, checkpoint: str) -> "Pin":
        """Return the pin with the precision of the cache and the checkpoint that are given beside it.

        Parameters
        ----------
        kv_precision, checkpoint : str
            Blank: as the pin has them.

        Raises
        ------
        ValueError
            If the pin and the argument name different ones.
        """
        said: dict[str, Any] = {}
        for name, beside, inside in (
            ("kv_precision", kv_precision, self.kv_precision),
            ("checkpoint", checkpoint, self.checkpoint),
        ):
            if beside and inside and beside != inside:
                raise ValueError(f"{name} is {beside!r} and the configuration says {inside!r}; leave one of them out")
            said[name] = inside or beside
        return replace(self, **said)

    def refusals(self, accelerator: Accelerator, model: ModelShape, workload: Workload, most: float) -> list[str]:
        """Return why no engine runs a model so, or why it does not fit; empty if it runs and fits.

        Parameters
        ----------
        accelerator, model, workload : Accelerator, ModelShape, Workload
            What serves what to whom.
        most : float
            Accelerators that there are.
        """
        reasons: list[str] = []
        pools = (("decode_" if self.prefill else "", self.parallelism), ("prefill_", self.prefill))
        for prefix, parallelism in pools:
            if parallelism is not None:
                reasons += deployment_refusals(
                    model,
                    parallelism,
                    input_tokens=workload.input_tokens,
                    output_tokens=workload.output_tokens,
                    prefix=prefix,
                )
        if self.n_accelerators > most:
            reasons.append(f"the configuration takes {self.n_accelerators} x {accelerator.name}; there are {most:.0f}")
        if self.draft_tokens:
            reasons += self.drafting.refusals(model)
        return list(dict.fromkeys(reasons))


def pin_from_text(text: str) -> Pin:
    """Return the configuration that a text means.

    Raises
    ------
    ValueError
        If a part of it cannot be read; names the part and what is allowed.
    """
    parts = [part.strip() for part in text.split(",") if part.strip() and not BESIDE.fullmatch(part.strip())]
    precision, drafts, kept, batch, unit, cache, checkpoint = "", "", "", None, "", "", ""
    for part in parts:
        words = part.lower().split()
        if part.lower() in (*WEIGHT_PRECISIONS, *PRECISION_NAMES):
            precision = precision_named(part)
        elif words[0] in DRAFTS:
            drafts = part
        elif words[0] == "acceptance":
            kept = part
        elif words[0] == "kv":
            cache = " ".join(words[1:])
            if cache not in KV_BYTES:
                raise ValueError(f"{part!r}: the precision of the KV cache must be one of {', '.join(KV_BYTES)}")
        elif words[0] == "checkpoint" and len(words) == 2:
            checkpoint = part.split()[1]
        elif words[0] == "batch":
            batch = _count(words[1:], part, "requests in an instance", MOST_BATCH)
        elif unit:
            raise ValueError(f"{part!r} cannot be read; a configuration is written as {EXAMPLES}")
        else:
            unit = part
    if not unit:
        raise ValueError(f"{text!r} names no parallelism; a configuration is written as {EXAMPLES}")
    draft_tokens, drafting = _drafting(drafts, kept)
    decided: dict[str, Any] = {
        "precision": precision,
        "draft_tokens": draft_tokens,
        "drafting": drafting,
        "batch": batch,
        "kv_precision": cache,
        "checkpoint": checkpoint,
    }
    found = APART.fullmatch(unit)
    if found is None:
        return Pin(_ranks(unit), **decided)
    counts = [
        _count([found[i]], unit, f"{name} instances", MOST_INSTANCES) for i, name in ((1, "prefill"), (3, "decode"))
    ]
    return Pin(
        _ranks(found[4]),
        prefill=_ranks(found[2]),
        prefill_instances=counts[0],
        decode_instances=counts[1],
        **decided,
    )


def _drafting(drafts: str, kept: str) -> tuple[int, Drafting]:
    """Return the drafted tokens and how they are drafted, as “MTP 2” and “acceptance 0.7” decide."""
    if not drafts:
        if kept:
            raise ValueError(f"{kept!r}: nothing is drafted; say what drafts how many tokens, such as MTP 2")
        return 0, USUAL_DRAFTING
    kind, *words = drafts.lower().split()
    tokens = _count(words, drafts, "drafted tokens", MOST_DRAFT_TOKENS)
    if not kept:
        return tokens, Drafting(DRAFTS[kind])
    try:
        share = float(" ".join(kept.split()[1:]))
    except ValueError:
        raise ValueError(f"{kept!r}: the acceptance of drafted tokens must be a number in [0, 1]") from None
    return tokens, Drafting(DRAFTS[kind], acceptance=share)


def _count(words: Sequence[str], part: str, what: str, most: int) -> int:
    if len(words) != 1 or not _is_whole(words[0], most):
        raise ValueError(f"{part!r}: the number of {what} must be a whole number, 1 to {most}")
    return int(words[0])


def _is_whole(digits: str, most: int) -> bool:
    """Return whether digits are a whole number, 1 to `most`; thousands of them are none that can be read."""
    return digits.isdecimal() and len(digits) <= 12 and 1 <= int(digits) <= most


def _ranks(text: str) -> Parallelism:
    """Return the parallelism of "TP 4 PP 2"."""
    words = re.findall(r"[a-zA-Z]+|\d+|\S", text)
    given: dict[str, int] = {}
    for name, number in zip(words[::2], [*words[1::2], ""], strict=False):
        field = RANKS.get(name.lower())
        if field is None or not _is_whole(number, MOST_RANKS) or field in given:
            raise ValueError(
                f"{text!r} cannot be read at {f'{name} {number}'.strip()!r}; ranks are TP, PP, DP or EP, each once, "
                f"with a number of 1 to {MOST_RANKS}, as in {EXAMPLES}"
            )
        given[field] = int(number)
    return Parallelism(**given)
