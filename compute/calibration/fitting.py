"""Robust hierarchical fit of the serving coefficients to measured cases.

Residuals are logarithms of predicted over measured latency and throughput. All coefficients enter through their
logarithm as global value + deviations of groups, each with a Gaussian prior, so the Jacobian with respect to a group's
deviation is the column of its coefficient on the rows of that group: twenty evaluations give all thousand columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.sparse
import scipy.special
from numpy.typing import NDArray

from compute.calibration.cases import CaseTable
from compute.calibration.client_habits import START_FRAC
from compute.calibration.coefficients import (
    COEFFICIENTS,
    INDEX,
    LEVELS,
    LOG_INITIAL,
    PUBLISHED_LOG,
    CoefficientSet,
    group_text,
    split_values,
)
from compute.steps.closed_loop import Scheduling, SteadyState, closed_loop
from compute.steps.collectives import SCALEOUT_BYTES_PER_S
from compute.steps.disaggregation import disaggregated_loop
from compute.steps.kv_cache import admitted_requests, kv_bytes_per_request, memory_fit, workspace_bytes
from compute.steps.roofline import StepCosts, step_costs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

QUANTITIES = ("itl", "ttft", "throughput")
# Expected scatter of each quantity's logarithm: what repeated runs of the same deployment show in the cases.
SIGMA = np.array([0.08, 0.25, 0.10])
# Residuals follow Student's t with few degrees of freedom: rows that disagree with all others (prompts answered faster
# than any machine computes, twice the speed under the same name) hardly pull, where a linear penalty still would.
# Lange, Little and Taylor, "Robust statistical modeling using the t distribution", JASA 84 (1989), recommend 4.
FREEDOM = 4.0
# Times to the first token take few: kernels compiled in the first minutes of some runs and not of others of the same
# deployment put 7 s on means that are otherwise 0.5 s.
FREEDOMS = np.array([FREEDOM, 2.0, FREEDOM])
SEATS = 4096.0  # requests that one instance's scheduler holds, whatever the memory
QUEUED_AT_ONCE = 1e5  # stands for "saturated": more than any memory admits
APART_STATE = ("decoding", "wait_s", "itl_s", "decode_step_s", "prefill_s")  # what pools of their own make different
# Prompt tokens of one step for which engines have their kernels before a benchmark begins: measured runs of SGLang turn
# slow between 14,700 and 29,500 tokens sent at once, and its chunk is 16,384 where an accelerator has 160 GB or more.
WARM_CHUNK_TOKENS = 16384.0
# Robust cost that a case must save to count as one whose start compiled: odds of one in twenty.
LEAST_COLD_GAIN = 3.0
ODDS_PASSES = 30  # of Newton's method for the odds of compiling
ODDS = INDEX["compile_odds"]
NO_GROUP_SIGMA = 1e-6  # of cases that belong to no group of a level
FORWARD_STEP = 1e-3  # of a logarithm, for derivatives
# Of a step's residual over the gradient. Steps this loose reach a lower cost in as many iterations as exact ones, which
# follow directions that the next linearisation takes back.
STEP_TOLERANCE = 0.03
MOST_STEP_PASSES = 300


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Measured values of cases, NaN where there is none; arrays of shape (n_cases,)."""

    itl_s: FloatArray
    ttft_s: FloatArray
    output_tokens_per_s: FloatArray
    accelerator_power_w: FloatArray

    def logs(self) -> FloatArray:
        """Return the logarithms of the fitted quantities, shape (3, n_cases)."""
        return np.log(np.stack([self.itl_s, self.ttft_s, self.output_tokens_per_s]))


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """What the model says of each case; arrays of shape (n_cases,)."""

    itl_s: FloatArray
    ttft_s: FloatArray
    output_tokens_per_s: FloatArray  # whole deployment
    requests_per_s: FloatArray  # one instance
    state: SteadyState
    draft_acceptance: FloatArray  # of drafted tokens, where a case has them

    def logs(self) -> FloatArray:
        """Return the logarithms of the fitted quantities, shape (3, n_cases)."""
        return np.log(np.stack([self.itl_s, self.ttft_s, self.output_tokens_per_s]))


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a benchmark's start may have done to its runs; arrays of shape (n_cases,).

    Engines warm up on short prompts. Where the prompts that are sent at once fill a chunk, kernels of its size are
    compiled then, or were already: runs of one release and configuration on one day differ in that, and nothing that is
    published tells which.
    """

    may_compile: BoolArray
    engine_s: FloatArray  # mean time to the first token inside a warm engine, without waiting for a place
    ttft_s: FloatArray  # if kernels were compiled then
    output_tokens_per_s: FloatArray
    compile_s: FloatArray  # what compiling adds to the mean time to the first token
    odds: FloatArray  # that they were; the more tokens, the more chunks of sizes that were not met before


def solve_cases(table: CaseTable, log_values: FloatArray) -> Solved:
    """Return latency and throughput of cases for given coefficients.

    Where a benchmark's start may have compiled kernels, the mean time to the first token in the engine is the value of
    least expected squared relative error over both ways, E[1/y] / E[1/y²]: close to the warm engine's unless compiling
    is all but certain, since a time ten times too long is off by 900 %, one ten times too short by 90 %. Throughput
    goes with it by Little's law.

    Parameters
    ----------
    table : CaseTable
        The cases, (n_cases,).
    log_values : ndarray, shape (n_cases, n_coefficients)
        Logarithms of the coefficients of each case.
    """
    warm, start = solve_both_ways(table, log_values)
    if not start.may_compile.any():
        return warm
    chance = np.where(start.may_compile, start.odds / (1.0 + start.odds), 0.0)
    longer = warm.output_tokens_per_s / start.output_tokens_per_s  # that the requests of a cold start are under way
    # medians do not see the start, but their throughput does
    warm_s = np.where(table.is_median, 1.0, start.engine_s)
    cold_s = np.where(table.is_median, longer, start.engine_s + start.compile_s)
    first, second = (1.0 - chance) / warm_s, chance / cold_s
    answer_s = (first + second) / (first / warm_s + second / cold_s)
    share = np.where(chance > 0.0, (answer_s - warm_s) / np.where(cold_s > warm_s, cold_s - warm_s, 1.0), 0.0)
    slower = 1.0 + share * (longer - 1.0)
    return replace(
        warm,
        ttft_s=warm.ttft_s + share * (start.ttft_s - warm.ttft_s),
        output_tokens_per_s=warm.output_tokens_per_s / slower,
        requests_per_s=warm.requests_per_s / slower,
    )


def solve_both_ways(table: CaseTable, log_values: FloatArray) -> tuple[Solved, Start]:
    """Return what `solve_cases` does for warm engines, and what a start that compiles kernels does to it.

    Parameters
    ----------
    table, log_values
        As for `solve_cases`.

    Returns
    -------
    Solved, Start
        Arrays of shape (n_cases,).
    """
    efficiencies, scheduling, rest = split_values(log_values, table.latent_layers)
    costs = with_drafts(table, step_costs(table.work, efficiencies), rest)
    memory = memory_fit(
        table.work, table.hbm_bytes, workspace_bytes=workspace_bytes(table.hbm_bytes, rest["workspace_bytes"])
    )
    context = table.input_tokens + rest["reserve"] * table.output_tokens
    # What parse_case let pass holds one request at least, with the leanest engine settings.
    limit = np.clip(admitted_requests(table.work, memory, context), 1.0, SEATS * table.work.accelerators)
    at_start = table.start_frac / START_FRAC  # over the share that the coefficients are given for
    scheduling = replace(
        scheduling,
        burst=scheduling.burst * at_start,
        warm_s=np.where(table.warms_up, 0.0, scheduling.warm_s * at_start),
    )
    state = closed_loop(
        costs,
        scheduling,
        concurrency=np.minimum(table.concurrency, QUEUED_AT_ONCE),
        input_tokens=table.input_tokens,
        output_tokens=table.output_tokens,
        admitted_limit=limit,
        look_steps=table.look_steps,
    )
    itl_s = state.itl_s * rest["decode_scale"]
    first_s = state.ttft_s - state.wait_s
    rate = state.admitted / (first_s + np.maximum(table.output_tokens - 1.0, 0.0) * itl_s)
    unseen_s = np.where(table.is_median, state.burst_s, 0.0)
    solved = Solved(
        itl_s=itl_s,
        # those ahead leave at the scaled rate, too
        ttft_s=first_s + state.wait_s * state.requests_per_s / rate - unseen_s,
        output_tokens_per_s=rate * table.output_tokens * table.replicas,
        requests_per_s=rate,
        state=state,
        draft_acceptance=costs.draft_acceptance,
    )
    tokens_at_start = state.admitted * table.input_tokens
    may_compile = (tokens_at_start > WARM_CHUNK_TOKENS) & np.isfinite(table.concurrency) & (table.prefill_workers == 0)
    may_compile &= ~table.warms_up
    compile_s = np.where(may_compile, rest["chunk_compile_s"] * at_start, 0.0)
    slower = (state.admitted / rate) / (state.admitted / rate + compile_s)
    # those that wait for a place wait for more of them
    waiting = np.minimum(table.concurrency, QUEUED_AT_ONCE) / state.admitted
    start = Start(
        may_compile=may_compile,
        engine_s=first_s,
        compile_s=compile_s,
        ttft_s=solved.ttft_s + np.where(table.is_median, 0.0, compile_s * waiting),
        output_tokens_per_s=solved.output_tokens_per_s * slower,
        odds=rest["compile_odds"] * tokens_at_start / WARM_CHUNK_TOKENS,
    )
    apart = np.flatnonzero(table.prefill_workers)
    if apart.size:
        first = step_costs(table.prefill_work, efficiencies)
        solved = _with_apart(table, apart, solved, first, costs, scheduling, rest, limit)
        start = replace(
            start,
            ttft_s=np.where(may_compile, start.ttft_s, solved.ttft_s),
            output_tokens_per_s=np.where(may_compile, start.output_tokens_per_s, solved.output_tokens_per_s),
        )
    return solved, start


def with_drafts(
    table: CaseTable, costs: StepCosts, rest: Mapping[str, FloatArray], rows: Sequence[int] | slice = slice(None)
) -> StepCosts:
    """Return step costs with the drafted tokens that are verified in each step.

    Parameters
    ----------
    table : CaseTable
        All cases: how many tokens are drafted, and how many are kept where that was measured.
    costs : StepCosts
        Of the cases `rows`.
    rest : mapping
        Of `split_values`, for the same cases: `acceptance` and `draft_cost`.
    rows : sequence of int or slice
        Cases that `costs` and `rest` are of; all by default.
    """
    drafts = table.draft_tokens[rows]
    if not drafts.any():
        return costs
    stated = table.draft_acceptance[rows]
    acceptance = np.where(np.isfinite(stated), stated, rest["acceptance"])
    return replace(
        costs,
        draft_tokens=drafts,
        draft_acceptance=np.where(drafts > 0, acceptance, 0.0),
        draft_cost_frac=table.draft_layers_frac[rows] * rest["draft_cost"],
    )


def _with_apart(
    table: CaseTable,
    rows: IntArray,
    solved: Solved,
    first: StepCosts,
    costs: StepCosts,
    scheduling: Scheduling,
    rest: Mapping[str, FloatArray],
    limit: FloatArray,
) -> Solved:
    """Return `solved` with the cases whose prefill runs apart answered by their own loop."""
    n_in, n_out, workers = table.input_tokens[rows], table.output_tokens[rows], table.replicas[rows]
    in_flight = table.concurrency[rows] * workers
    prefill_work = table.prefill_work.take(rows)
    state = disaggregated_loop(
        first.take(rows),
        costs.take(rows),
        Scheduling(*(getattr(scheduling, f.name)[rows] for f in fields(Scheduling))),
        prefill_instances=table.prefill_workers[rows],
        prefill_ranks=prefill_work.attention_ranks,
        decode_instances=workers,
        concurrency=np.where(np.isfinite(in_flight), in_flight, 4.0 * limit[rows] * workers),
        input_tokens=n_in,
        output_tokens=n_out,
        kv_bytes=kv_bytes_per_request(prefill_work, n_in) / prefill_work.kv_copies,
        link_bytes_per_s=SCALEOUT_BYTES_PER_S * prefill_work.accelerators,
        admitted_limit=limit[rows],
        exposed_frac=rest["exposed"][rows],
    )
    gaps = np.maximum(n_out - 1.0, 0.0)
    itl_s, ttft_s, rate = solved.itl_s.copy(), solved.ttft_s.copy(), solved.output_tokens_per_s.copy()
    each = solved.requests_per_s.copy()
    itl_s[rows] = state.itl_s * rest["decode_scale"][rows]
    ttft_s[rows] = state.ttft_s - np.where(table.is_median[rows], state.burst_s, 0.0)
    each[rows] = (
        state.requests_per_s / workers * (state.ttft_s + gaps * state.itl_s) / (state.ttft_s + gaps * itl_s[rows])
    )
    rate[rows] = each[rows] * workers * n_out
    inside = {name: getattr(solved.state, name).copy() for name in APART_STATE}
    inside["decoding"][rows], inside["wait_s"][rows] = state.decode_batch, 0.0
    inside["itl_s"][rows] = inside["decode_step_s"][rows] = state.itl_s
    inside["prefill_s"][rows] = state.prefill_s
    return replace(
        solved,
        itl_s=itl_s,
        ttft_s=ttft_s,
        output_tokens_per_s=rate,
        requests_per_s=each,
        state=replace(solved.state, **inside),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where each coefficient's global value and deviations lie in the vector of unknowns."""

    blocks: tuple[tuple[int, str | None, int, int], ...]  # coefficient, level, first index, count
    sigma: FloatArray  # (n_unknowns,) prior
    centre: FloatArray  # (n_unknowns,) of it
    groups: dict[str, tuple[list[str], IntArray]]  # level -> names, group of each case


def fit_layout(table: CaseTable) -> Layout:
    """Return the unknowns that the cases call for."""
    groups = {}
    for level in LEVELS:
        names = [group_text(level, case.attributes) for case in table.cases]
        unique, inverse = np.unique(names, return_inverse=True)
        groups[level] = (unique.tolist(), inverse.astype(np.int64))
    blocks: list[tuple[int, str | None, int, int]] = []
    sigma: list[float] = []
    centre: list[float] = []
    for j, coefficient in enumerate(COEFFICIENTS):
        if coefficient.global_sigma > 0:
            blocks.append((j, None, len(sigma), 1))
            sigma.append(coefficient.global_sigma)
            centre.append(0.0)
        for level, level_sigma in coefficient.level_sigma.items():
            names = groups[level][0]
            blocks.append((j, level, len(sigma), len(names)))
            sigma.extend(level_sigma if name else NO_GROUP_SIGMA for name in names)
            published = PUBLISHED_LOG.get(coefficient.name, {}).get(level, {})
            centre.extend(published.get(name, 0.0) for name in names)
    return Layout(blocks=tuple(blocks), sigma=np.array(sigma), centre=np.array(centre), groups=groups)


def unknown_log_values(layout: Layout, unknowns: FloatArray, n_cases: int) -> FloatArray:
    """Return the logarithm of every coefficient for each case of the layout, shape (n_cases, n_coefficients)."""
    values = np.tile(LOG_INITIAL, (n_cases, 1))
    for j, level, first, n in layout.blocks:
        if level is None:
            values[:, j] += unknowns[first]
        else:
            values[:, j] += unknowns[first : first + n][layout.groups[level][1]]
    return values


def fit_unknowns(
    table: CaseTable,
    measured_logs: FloatArray,
    layout: Layout,
    *,
    use: BoolArray | None = None,
    max_iterations: int = 20,
) -> FloatArray:
    """Return the unknowns of least robust cost (Levenberg-Marquardt on residuals weighted by Student's t).

    Parameters
    ----------
    table : CaseTable
        All cases.
    measured_logs : ndarray, shape (3, n_cases)
        Logarithms of measured values, NaN where there is none.
    layout : Layout
        From `fit_layout`.
    use : ndarray of bool, shape (n_cases,), optional
        Cases to fit to; the others have no influence.
    max_iterations : int
        Steps at most. Deterministic: same cases, same result.
    """
    n_cases = len(table.cases)
    counted = np.isfinite(measured_logs)
    if use is not None:
        counted &= use[None]
    quantity, case = np.nonzero(counted)
    target = measured_logs[quantity, case]
    scale, freedom = 1.0 / SIGMA[quantity], FREEDOMS[quantity]
    unknowns = layout.centre.copy()
    prior = 1.0 / layout.sigma**2

    def robust(r: FloatArray) -> FloatArray:
        return 0.5 * (freedom + 1.0) * np.log1p(r * r / freedom)

    def residuals(log_values: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Return residuals of each case in the way that is the likelier one, and whether that is a start cold."""
        solved, start = solve_both_ways(table, log_values)
        cold = replace(solved, ttft_s=start.ttft_s, output_tokens_per_s=start.output_tokens_per_s)
        of_warm, of_cold = ((way.logs()[quantity, case] - target) * scale for way in (solved, cold))
        costs = [np.bincount(case, robust(r), minlength=n_cases) for r in (of_warm, of_cold)]
        is_cold = start.may_compile & (costs[1] + LEAST_COLD_GAIN < costs[0])
        return np.where(is_cold[case], of_cold, of_warm), is_cold

    def cost(r: FloatArray, is_cold: BoolArray, x: FloatArray) -> float:
        strayed = 0.5 * np.sum(prior * (x - layout.centre) ** 2)
        return float(np.sum(robust(r)) + LEAST_COLD_GAIN * np.sum(is_cold) + strayed)

    log_values = unknown_log_values(layout, unknowns, n_cases)
    r, is_cold = residuals(log_values)
    best = cost(r, is_cold, unknowns)
    damping = 1e-3
    for _ in range(max_iterations):
        root_weight = np.sqrt((freedom + 1.0) / (freedom + r * r))
        columns = []
        for j in range(len(COEFFICIENTS)):
            moved = log_values.copy()
            moved[:, j] += FORWARD_STEP
            columns.append((residuals(moved)[0] - r) / FORWARD_STEP * root_weight)
        index = np.concatenate(
            [
                np.full(case.size, first) if level is None else first + layout.groups[level][1][case]
                for _, level, first, _ in layout.blocks
            ]
        )
        data = np.concatenate([columns[j] for j, _, _, _ in layout.blocks])
        rows = np.tile(np.arange(case.size), len(layout.blocks))
        counts = data != 0.0
        # in units of each unknown's prior width, which makes the prior's part of the Hessian the identity
        jacobian = scipy.sparse.csr_matrix(
            (data[counts] * layout.sigma[index[counts]], (rows[counts], index[counts])),
            shape=(case.size, unknowns.size),
        )
        strayed = (unknowns - layout.centre) / layout.sigma
        gradient = jacobian.T @ (r * root_weight) + strayed
        for _ in range(8):
            step = layout.sigma * _damped_step(jacobian, gradient, damping)
            moved_unknowns = unknowns + np.clip(step, -0.5, 0.5)
            moved_values = unknown_log_values(layout, moved_unknowns, n_cases)
            moved_r, moved_cold = residuals(moved_values)
            moved_cost = cost(moved_r, moved_cold, moved_unknowns)
            if moved_cost < best:
                break
            damping *= 8.0
        else:
            break
        gain = best - moved_cost
        unknowns, log_values, r, is_cold, best = moved_unknowns, moved_values, moved_r, moved_cold, moved_cost
        damping = max(damping / 5.0, 1e-6)
        if gain < 1e-4 * best:
            break
    _, start = solve_both_ways(table, log_values)
    seen = start.may_compile & np.isfinite(measured_logs[1]) & ~table.is_median
    rows = np.flatnonzero(seen if use is None else seen & use)
    return _with_odds(layout, unknowns, rows, np.log(start.odds[rows]) - log_values[rows, ODDS], is_cold[rows])


def _with_odds(
    layout: Layout, unknowns: FloatArray, rows: IntArray, beside: FloatArray, is_cold: BoolArray
) -> FloatArray:
    """Return the unknowns with the odds of compiling as the cases of `rows` and the priors have them (Newton).

    `beside` is the logarithm of each case's odds over the coefficient's, `is_cold` whether its start compiled.
    """
    blocks = [block for block in layout.blocks if block[0] == ODDS]
    places = np.concatenate([np.arange(first, first + n) for _, _, first, n in blocks])
    design = np.zeros((rows.size, places.size))
    at = 0
    for _, level, _, n in blocks:
        design[np.arange(rows.size), at + (0 if level is None else layout.groups[level][1][rows])] = 1.0
        at += n
    prior = 1.0 / layout.sigma[places] ** 2
    found = layout.centre[places].copy()
    for _ in range(ODDS_PASSES):
        chance = scipy.special.expit(LOG_INITIAL[ODDS] + beside + design @ found)
        gradient = design.T @ (chance - is_cold) + prior * (found - layout.centre[places])
        curvature = (design.T * (chance * (1.0 - chance))) @ design + np.diag(prior)
        found -= np.linalg.solve(curvature, gradient)
    fitted = unknowns.copy()
    fitted[places] = found
    return fitted


def _damped_step(jacobian: scipy.sparse.csr_matrix, gradient: FloatArray, damping: float) -> FloatArray:
    """Return the Levenberg-Marquardt step by conjugate gradients, scaled by the Hessian's diagonal.

    The Hessian, squares of the Jacobian and 1 on its diagonal for the prior, is never formed: that would take most of
    a fit.
    """
    transposed = jacobian.T.tocsr()
    diagonal = np.asarray(jacobian.multiply(jacobian).sum(axis=0)).ravel() + 1.0
    own, scale = 1.0 + damping * diagonal, 1.0 / (diagonal * (1.0 + damping))
    step, left = np.zeros_like(gradient), -gradient
    scaled = scale * left
    direction, size = scaled, float(left @ scaled)
    enough = STEP_TOLERANCE**2 * size
    for _ in range(MOST_STEP_PASSES):
        if size <= enough:
            break
        curved = transposed @ (jacobian @ direction) + own * direction
        length = size / float(direction @ curved)
        step, left = step + length * direction, left - length * curved
        scaled = scale * left
        before, size = size, float(left @ scaled)
        direction = scaled + size / before * direction
    return step


def coefficient_set_of(layout: Layout, unknowns: FloatArray, *, negligible: float = 5e-4) -> CoefficientSet:
    """Return the named set of a vector of unknowns; deviations below `negligible` are left out."""
    global_log = {c.name: float(LOG_INITIAL[INDEX[c.name]]) for c in COEFFICIENTS}
    deviations: dict[str, dict[str, dict[str, float]]] = {
        name: {level: {group: round(value, 4) for group, value in groups.items()} for level, groups in levels.items()}
        for name, levels in PUBLISHED_LOG.items()
    }
    for j, level, first, n in layout.blocks:
        name = COEFFICIENTS[j].name
        if level is None:
            global_log[name] = round(global_log[name] + float(unknowns[first]), 5)
            continue
        found = {
            group: round(float(value), 4)
            for group, value in zip(layout.groups[level][0], unknowns[first : first + n], strict=True)
            if abs(value) >= negligible or group in PUBLISHED_LOG.get(name, {}).get(level, {})
        }
        if found:
            deviations.setdefault(name, {}).setdefault(level, {}).update(found)
    return CoefficientSet(global_log=global_log, deviation_log=deviations)


def out_of_fold_logs(
    table: CaseTable,
    measured_logs: FloatArray,
    layout: Layout,
    folds: Sequence[BoolArray],
    *,
    max_iterations: int = 12,
) -> tuple[FloatArray, FloatArray]:
    """Return predictions of each fold from a fit without it, shape (3, n_cases), and the coefficients used.

    NaN for cases in no fold. Each fit starts from the first values: the robust cost has several minima, and a fit that
    starts from one of all cases ends in the minimum that the left-out cases chose. The second array has shape
    (n_cases, n_coefficients).
    """
    predicted = np.full_like(measured_logs, np.nan)
    used = np.tile(LOG_INITIAL, (len(table.cases), 1))
    for fold in folds:
        unknowns = fit_unknowns(table, measured_logs, layout, use=~fold, max_iterations=max_iterations)
        used[fold] = unknown_log_values(layout, unknowns, len(table.cases))[fold]
        predicted[:, fold] = solve_cases(table, used).logs()[:, fold]
    return predicted, used
