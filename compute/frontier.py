"""The curve that planners know: throughput per accelerator against speed per user, over all configurations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import Accelerator
from compute.coefficients import CoefficientSet
from compute.instances import Instances, build_instances, candidate_parallelisms
from compute.model_shapes import ModelShape
from compute.open_loop import load_line
from compute.power import accelerator_power_w, steady_activity
from compute.serving import allowed_precisions
from compute.steady_state import Scheduling
from compute.workload import Workload

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """Operating points of one system and model that no other point beats, fastest user last; arrays of shape (n,)."""

    user_tokens_per_s: FloatArray  # 1 / ITL
    accelerator_tokens_per_s: FloatArray  # output tokens per second and accelerator
    ttft_s: FloatArray
    itl_s: FloatArray
    batch: FloatArray  # requests in service per instance
    accelerator_power_w: FloatArray
    joules_per_output_token: FloatArray  # at the accelerators
    configuration: tuple[str, ...]
    reason: str  # why there is no point

    def at_interactivity(self, user_tokens_per_s: float) -> int | None:
        """Return the point of most throughput whose users see at least this speed, or None."""
        fast = np.flatnonzero(self.user_tokens_per_s >= user_tokens_per_s)
        return int(fast[np.argmax(self.accelerator_tokens_per_s[fast])]) if fast.size else None


def serving_frontier(
    coefficients: CoefficientSet,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    *,
    max_accelerators: int = 8,
    precisions: Sequence[str] | None = None,
    engine: str = "",
) -> Frontier:
    """Return the Pareto frontier of throughput per accelerator over tokens per second and user.

    All aggregated configurations at 40 loads each, from a lone request to what memory admits. Points are those of a
    steady closed loop: waiting of open arrivals is left to `serving_curve`.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    accelerator, model, workload : Accelerator, ModelShape, Workload
        What serves what to whom.
    max_accelerators : int
        Of one instance.
    precisions, engine
        As for `compute.serving.best_configuration`.
    """
    instances, reason = build_instances(
        coefficients,
        accelerator,
        model,
        workload,
        candidate_parallelisms(accelerator, model, max_accelerators),
        tuple(precisions) if precisions else allowed_precisions(accelerator, model),
        engine=engine,
    )
    if instances is None:
        nothing = np.zeros(0)
        return Frontier(*(nothing,) * 7, configuration=(), reason=reason)
    n = len(instances.parallelisms)
    column = _as_columns(instances, n)
    line = load_line(column.costs, column.scheduling, workload, limit=column.limit, decode_scale=column.decode_scale)
    activity = steady_activity(
        column.work,
        line.state,
        input_tokens=workload.input_tokens,
        output_tokens=workload.output_tokens,
        requests_per_s=line.requests_per_s,
        itl_s=line.itl_s,
        cached_tokens=workload.input_tokens * workload.cached_frac,
    )
    watts = accelerator_power_w(column.power, activity, idle_w=accelerator.idle_w, tdp_w=accelerator.tdp_w)
    per_accelerator = line.requests_per_s * workload.output_tokens / column.work.accelerators
    speed = 1.0 / line.itl_s
    flat = np.lexsort((-per_accelerator.ravel(), -speed.ravel()))  # fastest users first
    best_so_far = np.maximum.accumulate(per_accelerator.ravel()[flat])
    kept = np.r_[True, best_so_far[1:] > best_so_far[:-1]]
    chosen = flat[kept][::-1]
    which = np.unravel_index(chosen, speed.shape)
    return Frontier(
        user_tokens_per_s=speed[which],
        accelerator_tokens_per_s=per_accelerator[which],
        ttft_s=np.broadcast_to(line.state.ttft_s, speed.shape)[which],
        itl_s=line.itl_s[which],
        batch=line.in_service[which],
        accelerator_power_w=watts[which],
        joules_per_output_token=(watts / per_accelerator)[which],
        configuration=tuple(_text(instances, i) for i in which[0]),
        reason="",
    )


def _as_columns(instances: Instances, n: int) -> Instances:
    """Return the instances with arrays of shape (n, 1), to be spread over loads."""

    def columns(group):
        return replace(group, **{f: np.reshape(getattr(group, f), (n, 1)) for f in group.__dataclass_fields__})

    return replace(
        instances,
        work=columns(instances.work),
        costs=columns(instances.costs),
        scheduling=Scheduling(*(np.reshape(getattr(instances.scheduling, f), (n, 1)) for f in _SCHEDULING)),
        decode_scale=instances.decode_scale.reshape(n, 1),
        limit=instances.limit.reshape(n, 1),
        power=columns(instances.power),
    )


_SCHEDULING = tuple(Scheduling.__dataclass_fields__)


def _text(instances: Instances, index: int) -> str:
    p = instances.parallelisms[index]
    ranks = f"TP {p.tensor_parallel}" if p.attention_data_parallel == 1 else f"DP {p.attention_data_parallel}"
    ranks += f" PP {p.pipeline_parallel}" if p.pipeline_parallel > 1 else ""
    ranks += f" EP {p.expert_parallel}" if p.expert_parallel > 1 else ""
    return f"{instances.precisions[index]}, {ranks}"
