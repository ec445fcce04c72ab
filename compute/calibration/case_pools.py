"""The pools of a serving case: how many workers of which parallelism, as stated or, where blank, as chosen.

Published runs label worker parallelism loosely: attention data parallelism is a flag or a degree, and the tensor
parallelism beside it is that of the worker or of one attention rank. Accelerators over workers is never wrong, so it
decides where it is stated, and the labels say how the worker's accelerators share attention.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compute.accelerators import Accelerator
from compute.calibration.case_fields import count, number
from compute.model_shapes import ModelShape
from compute.steps.closed_loop import prefill_time_s
from compute.steps.kv_cache import admitted_requests, memory_fit, memory_reason
from compute.steps.roofline import ASSUMED_EFFICIENCIES, Parallelism, deployment_work, step_costs, step_time_s

MOST_CHOSEN_WORKERS = 8  # of a pool whose size nobody states


@dataclass(frozen=True, slots=True)
class Served:
    """What is served: enough to say what fits and which pool is the slower."""

    accelerator: Accelerator
    model: ModelShape
    weight_precision: str
    kv_precision: str
    input_tokens: float
    output_tokens: float
    concurrency: float = math.inf

    def reason(self, parallelism: Parallelism) -> str:
        """Return why one request does not fit in the leanest engine settings, blank where it does."""
        work = deployment_work(
            self.accelerator,
            self.model,
            parallelism,
            weight_precision=self.weight_precision,
            kv_precision=self.kv_precision,
        )
        memory = memory_fit(work, self.accelerator.hbm_bytes, claimed_frac=0.97, workspace_bytes=0.5e9)
        return memory_reason(work, memory, self.input_tokens + self.output_tokens)


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers of one kind."""

    parallelism: Parallelism
    workers: int

    @property
    def accelerators(self) -> int:
        """Accelerators of all workers together."""
        return self.workers * self.parallelism.accelerators


def aggregated_pool(text: Mapping[str, str], served: Served, *, experts_everywhere: bool) -> Pool:
    """Return the instances of a case that does both phases on one kind.

    Blank parallelism is chosen: the smallest tensor parallelism that holds the model and one request, repeated over
    the accelerators named (one instance where their number is blank).

    Parameters
    ----------
    text : mapping
        The row's columns.
    served : Served
        What is served.
    experts_everywhere : bool
        Whether models of experts run with attention data-parallel and experts over all accelerators, whatever the
        columns say, as the benchmark pages of TensorRT-LLM do.

    Raises
    ------
    ValueError
        If a number is impossible or nothing fits.
    """
    tensor = count(text, "tensor_parallel")
    given = int(number(text, "n_accelerators", least=1.0, whole=True)) if text.get("n_accelerators") else None
    if tensor is None:
        if any(text.get(f"decode_{name}") for name in ("tp", "pp", "ep", "attention_dp")):
            chosen = _labelled(text, "decode", served, given, None, most=1)
        else:
            chosen = Pool(smallest_parallelism(served, given), 1)
        whole = chosen.parallelism.accelerators
        return Pool(chosen.parallelism, max(1, (given or whole) // whole))
    pipeline = count(text, "pipeline_parallel") or 1
    data = count(text, "data_parallel") or 1
    expert = count(text, "expert_parallel") or 1
    is_moe = served.model.experts > 0
    n = given if given is not None else tensor * pipeline * data
    if experts_everywhere and is_moe and n > 1:
        parallelism = Parallelism(1, pipeline, max(1, n // pipeline), max(1, n // pipeline))
    elif is_moe and data > 1:
        inside = tensor * data > n  # attention data parallelism inside the tensor-parallel group
        parallelism = Parallelism(max(1, tensor // data) if inside else tensor, pipeline, data, expert)
    elif is_moe and expert > tensor and n >= expert:
        parallelism = Parallelism(tensor, pipeline, max(1, expert // tensor), expert)
    else:
        parallelism = Parallelism(tensor, pipeline, 1, expert)
    n_instance = parallelism.accelerators
    if n < n_instance:
        raise ValueError(f"n_accelerators is {n}; parallelism of {n_instance} needs at least that many")
    if n % n_instance:
        raise ValueError(f"n_accelerators is {n}; must be a whole multiple of the {n_instance} that one instance takes")
    return Pool(parallelism, n // n_instance)


def separate_pools(text: Mapping[str, str], served: Served) -> tuple[Pool, Pool]:
    """Return the prefill and the decode pool of a case that reads prompts on accelerators of their own.

    Parameters
    ----------
    text : mapping
        The row's cells by column. What is blank is chosen so that both pools keep up with each other.
    served : Served
        What is served.

    Returns
    -------
    tuple of Pool
        Prefill pool and decode pool.

    Raises
    ------
    ValueError
        If a number is impossible, the numbers contradict each other or nothing fits.
    """
    given = int(number(text, "n_accelerators", least=1.0, whole=True)) if text.get("n_accelerators") else None
    pools: list[Pool | None] = []
    for name in ("prefill", "decode"):
        total = (
            int(number(text, f"{name}_accelerators", least=1.0, whole=True))
            if text.get(f"{name}_accelerators")
            else None
        )
        workers = count(text, f"{name}_workers")
        is_labelled = any(text.get(f"{name}_{part}") for part in ("tp", "pp", "ep", "attention_dp"))
        if is_labelled or (total is not None and workers is not None):
            pools.append(_labelled(text, name, served, total, workers))
        elif total is not None or workers is not None:
            pools.append(_by_row(text, name, served, total, workers))
        else:
            pools.append(None)
    found = _completed(text, served, pools[0], pools[1], given)
    together = sum(pool.accelerators for pool in found)
    if given is not None and given != together and not (pools[0] is None or pools[1] is None):
        raise ValueError(
            f"n_accelerators is {given}; prefill takes {found[0].accelerators} and decode {found[1].accelerators}, "
            f"which makes {together}"
        )
    return found


def _labelled(
    text: Mapping[str, str], name: str, served: Served, total: int | None, workers: int | None, most: int | None = None
) -> Pool:
    """Return the pool that its own columns describe; `most` workers where neither they nor accelerators are stated."""
    tensor, pipeline, expert = (count(text, f"{name}_{part}") for part in ("tp", "pp", "ep"))
    attention = (
        int(number(text, f"{name}_attention_dp", least=0.0, whole=True)) if text.get(f"{name}_attention_dp") else 0
    )
    pipeline = pipeline or 1
    if total is not None and workers is not None:
        if total % workers:
            raise ValueError(f"{name}_accelerators is {total}; must be a whole multiple of {name}_workers = {workers}")
        return Pool(_spread(total // workers, tensor, pipeline, expert, attention, served.model), workers)
    least = pipeline * max((tensor or 1) * max(attention, 1), expert or 1)
    sizes = [s for s in range(least, (total or least) + 1) if total is None or total % s == 0]
    if not sizes:
        raise ValueError(f"{name}_accelerators is {total}; a worker takes {least}, so it must be a multiple of that")
    tried = [_spread(size, tensor, pipeline, expert, attention, served.model) for size in sizes]
    fitting = next((p for p in tried if not served.reason(p)), None)
    if fitting is None:
        raise ValueError(f"{name}: {served.reason(tried[-1])}")
    return Pool(fitting, workers or (total // fitting.accelerators if total is not None else most or 1))


def _spread(
    size: int, tensor: int | None, pipeline: int, expert: int | None, attention: int, model: ModelShape
) -> Parallelism:
    """Return how a worker of `size` accelerators shares attention and experts, by labels that may be loose."""
    if size % pipeline:
        raise ValueError(f"pipeline parallelism is {pipeline}; must divide the worker's {size} accelerators")
    stage = size // pipeline
    if not model.experts:
        return Parallelism(stage, pipeline)
    if attention == 1:
        data = stage
    elif attention > 1:
        data = attention
    else:
        data = stage // tensor if tensor and tensor < stage and stage % tensor == 0 else 1
    if stage % data:
        raise ValueError(f"attention data parallelism is {data}; must divide the worker's {stage} accelerators a stage")
    # labels that do not make up the worker's accelerators are those of one rank: experts lie over all of them
    is_loose = max(tensor or 1, expert or 1) < stage
    experts = stage if data > 1 and (expert is None or is_loose) else min(expert or 1, stage)
    return Parallelism(stage // data, pipeline, data, experts)


def _by_row(text: Mapping[str, str], name: str, served: Served, total: int | None, workers: int | None) -> Pool:
    """Return a pool whose worker has the parallelism of the row's common columns, or the smallest that fits."""
    tensor = count(text, "tensor_parallel")
    if tensor is None:
        chosen = smallest_parallelism(served, total)
    else:
        data = (count(text, "data_parallel") or 1) if served.model.experts else 1
        expert = count(text, "expert_parallel") or 1
        chosen = Parallelism(tensor, count(text, "pipeline_parallel") or 1, data, expert)
        if served.model.experts and expert > chosen.stage_accelerators:
            chosen = Parallelism(tensor, chosen.pipeline_parallel, max(1, expert // tensor), expert)
        reason = served.reason(chosen)
        if reason and total is not None:  # a label of one attention rank: experts lie over more accelerators
            wider = [s for s in range(chosen.accelerators, total + 1) if total % s == 0 and s % tensor == 0]
            tried = [Parallelism(tensor, 1, s // tensor, s) for s in wider] if served.model.experts else []
            chosen = next((p for p in tried if not served.reason(p)), chosen)
    if total is not None and total < chosen.accelerators:
        raise ValueError(
            f"{name}_accelerators is {total}; one instance takes {chosen.accelerators}, so it must be that or more"
        )
    return Pool(chosen, workers or (total or chosen.accelerators) // chosen.accelerators)


def _completed(
    text: Mapping[str, str], served: Served, prefill: Pool | None, decode: Pool | None, given: int | None
) -> tuple[Pool, Pool]:
    """Return both pools, those not described chosen in the numbers that serve most requests per accelerator."""
    if prefill is not None and decode is not None:
        return prefill, decode
    smallest = (
        Pool(smallest_parallelism(served, given), 1)
        if not text.get("tensor_parallel")
        else _by_row(text, "prefill", served, None, 1)
    )
    first, second = prefill or smallest, decode or smallest
    prefill_s, decode_s = _seconds(served, first.parallelism, second.parallelism)
    of_first, of_second = first.parallelism.accelerators, second.parallelism.accelerators
    best: tuple[float, int, int] | None = None
    for x in [prefill.workers] if prefill else range(1, 1 + (given or MOST_CHOSEN_WORKERS * of_first) // of_first):
        for y in [decode.workers] if decode else range(1, 1 + (given or MOST_CHOSEN_WORKERS * of_second) // of_second):
            size = x * of_first + y * of_second
            if given is None or size <= given:
                rate = min(x / prefill_s, y / decode_s) / (size if given is None else 1.0)
                if best is None or rate > best[0] * (1.0 + 1e-9):
                    best = rate, x, y
    if best is None:
        raise ValueError(
            f"n_accelerators is {given}; a prefill and a decode instance take {of_first} and {of_second} accelerators"
        )
    return Pool(first.parallelism, best[1]), Pool(second.parallelism, best[2])


def _seconds(served: Served, prefill: Parallelism, decode: Parallelism) -> tuple[float, float]:
    """Return a prompt's seconds on one prefill worker and a whole answer's share of one decode worker's."""
    works = [
        deployment_work(
            served.accelerator,
            served.model,
            p,
            weight_precision=served.weight_precision,
            kv_precision=served.kv_precision,
        )
        for p in (prefill, decode)
    ]
    first, second = (step_costs(work, ASSUMED_EFFICIENCIES) for work in works)
    context = served.input_tokens + 0.5 * served.output_tokens
    limit = admitted_requests(works[1], memory_fit(works[1], served.accelerator.hbm_bytes), context)
    batch = np.clip(served.concurrency, 1.0, np.maximum(limit, 1.0))
    step_s = step_time_s(second, decode_sequences=batch, context_tokens=context)
    return float(prefill_time_s(first, served.input_tokens)[0]), float((served.output_tokens * step_s / batch)[0])


def smallest_parallelism(served: Served, n_accelerators: int | None) -> Parallelism:
    """Return the least tensor parallelism (a power of two) that holds the model and a fair cache.

    Parameters
    ----------
    served : Served
        What is served.
    n_accelerators : int or None
        Accelerators at most; None: those of one scale-up domain.

    Raises
    ------
    ValueError
        If no such parallelism holds it; says how much the widest would need.
    """
    widest = n_accelerators or max(8, min(served.accelerator.scaleup_domain_size, 64))
    reason = f"n_accelerators is {n_accelerators}; must be 1 or more"
    best: Parallelism | None = None
    tensor = 1
    while tensor <= widest and tensor <= served.model.attention_heads:
        parallelism = Parallelism(tensor)
        work = deployment_work(
            served.accelerator,
            served.model,
            parallelism,
            weight_precision=served.weight_precision,
            kv_precision=served.kv_precision,
        )
        memory = memory_fit(work, served.accelerator.hbm_bytes)
        reason = memory_reason(work, memory, served.input_tokens + served.output_tokens)
        if not reason:
            # room for the cache of a batch: weights take at most three quarters of what is claimed
            best = parallelism
            if memory.kv_bytes[0] > memory.weight_bytes[0] / 3.0:
                break
        tensor *= 2
    if best is None:
        raise ValueError(reason)
    return best
