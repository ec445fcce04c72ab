"""Cases under open arrivals: requests come at a rate, whatever is still in service, and some wait."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.calibration.cases import CaseTable
from compute.calibration.coefficients import split_values
from compute.calibration.fitting import SEATS, Solved, with_drafts
from compute.steady.open_loop import load_line, open_arrivals
from compute.steps.kv_cache import admitted_requests, memory_fit, workspace_bytes
from compute.steps.roofline import step_costs
from compute.workload import LatencyTargets, Workload

FloatArray = NDArray[np.float64]

NO_TARGETS = LatencyTargets(ttft_s=1e6, itl_s=1e6)


def with_open_arrivals(
    table: CaseTable, log_values: FloatArray, solved: Solved, rows: NDArray[np.int64]
) -> tuple[Solved, dict[int, str]]:
    """Return `solved` with the cases of `rows` answered for Poisson arrivals, spread evenly over replicas.

    TTFT and ITL become means over requests, waiting included.

    Parameters
    ----------
    table : CaseTable
        All cases.
    log_values : ndarray, shape (n_cases, n_coefficients)
        Logarithms of the coefficients.
    solved : Solved
        Of all cases.
    rows : ndarray of int
        Cases with a request rate.

    Returns
    -------
    Solved, dict of int to str
        And by case why there is no steady state: the rate is more than the deployment sustains.
    """
    ttft_s, itl_s, tokens_per_s = solved.ttft_s.copy(), solved.itl_s.copy(), solved.output_tokens_per_s.copy()
    requests_per_s, decoding, wait_s = (
        solved.requests_per_s.copy(),
        solved.state.decoding.copy(),
        solved.state.wait_s.copy(),
    )
    refusals: dict[int, str] = {}
    for i in rows:
        rate = table.cases[i].request_rate_per_s / table.replicas[i]
        found = _instance(table, log_values, int(i), rate)
        if found["utilisation"] >= 1.0:
            most = table.cases[i].request_rate_per_s / found["utilisation"]
            refusals[int(i)] = (
                f"request_rate_per_s is {table.cases[i].request_rate_per_s:g}; {table.n_accelerators[i]:.0f} x "
                f"{table.cases[i].accelerator.name} sustain at most {most:.3g} requests/s of this length"
            )
        ttft_s[i], itl_s[i] = found["ttft_s"], found["itl_s"]
        requests_per_s[i], decoding[i], wait_s[i] = rate, found["in_service"], 0.0
        tokens_per_s[i] = rate * table.output_tokens[i] * table.replicas[i]
    state = replace(solved.state, decoding=decoding, wait_s=wait_s)
    answered = replace(
        solved, ttft_s=ttft_s, itl_s=itl_s, output_tokens_per_s=tokens_per_s, requests_per_s=requests_per_s, state=state
    )
    return answered, refusals


def _instance(table: CaseTable, log_values: FloatArray, i: int, rate_per_s: float) -> dict[str, float]:
    """Return means over requests of one instance under Poisson arrivals."""
    efficiencies, scheduling, rest = split_values(log_values[[i]], table.latent_layers[[i]])
    work = table.work.take([i])
    n_in, n_out = float(table.input_tokens[i]), float(table.output_tokens[i])
    memory = memory_fit(
        work, table.hbm_bytes[[i]], workspace_bytes=workspace_bytes(table.hbm_bytes[[i]], rest["workspace_bytes"])
    )
    limit = np.clip(admitted_requests(work, memory, n_in + rest["reserve"] * n_out), 1.0, SEATS * work.accelerators)
    workload = Workload(n_in, n_out)
    line = load_line(
        _column(with_drafts(table, step_costs(work, efficiencies), rest, [i])),
        _column(scheduling),
        workload,
        limit=limit[:, None],
        decode_scale=rest["decode_scale"][:, None],
    )
    probe = open_arrivals(line, np.array([[1e-9]]), workload, NO_TARGETS)
    state = open_arrivals(line, np.array([[rate_per_s]]), workload, NO_TARGETS)
    offered = rate_per_s * float(probe.utilisation[0, 0]) / 1e-9
    return {
        "ttft_s": float(state.ttft_mean_s[0, 0]),
        "itl_s": float(state.itl_mean_s[0, 0]),
        "in_service": float(state.in_service[0, 0]),
        "utilisation": offered,
    }


def _column(group: Any) -> Any:
    """Return a group of arrays of shape (1,) as columns of shape (1, 1)."""
    return type(group)(**{f.name: np.reshape(getattr(group, f.name), (1, 1)) for f in fields(group)})
