"""What becomes of demand above capacity: it waits, is refused, or slows the service of all.

A scenario states one rule, and tokens, latencies, attainment, goodput and cost all follow it. Capacity is the rate that
keeps the latency targets at the hour's clock, so the same shortage reads the same whether demand rose or a cap took
clock away.

- ``queue``: requests above capacity wait at the door, first come first served, until the clients' patience ends.
- ``refuse``: they are turned away at once.
- ``degrade``: all are let in up to what the engines can hold; latencies of all of them rise past the targets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from power_cooling.compiled import compiled

FloatArray = NDArray[np.float64]

QUEUE, REFUSE, DEGRADE = "queue", "refuse", "degrade"
RULES = (QUEUE, REFUSE, DEGRADE)
S_PER_HOUR = 3600.0
ASSUMED_PATIENCE_S = 86400.0  # where nothing is refused a request stays queued until a day is over


@dataclass(frozen=True, slots=True, eq=False)
class Admission:
    """What a door does hour by hour. Arrays have shape (n_hours,)."""

    served_per_s: FloatArray
    refused_per_s: FloatArray  # turned away, or gone when patience ended
    wait_s: FloatArray  # of the requests that arrive, mean over the hour
    longest_wait_s: FloatArray
    backlog: FloatArray  # requests that wait when the hour begins

    def in_time_frac(self, arrivals_per_s: FloatArray, capacity_per_s: FloatArray, slack_s: FloatArray) -> FloatArray:
        """Return the share of each hour's arrivals that wait no longer than `slack_s`, shape (n_hours,).

        The queue grows and drains at a constant rate within an hour.
        """
        slack = np.maximum(slack_s, 0.0) * capacity_per_s
        growth = arrivals_per_s - capacity_per_s
        reaches = np.divide(slack - self.backlog, growth, out=np.zeros(growth.size), where=growth != 0)
        grows = np.where(self.backlog <= slack, np.clip(reaches / S_PER_HOUR, 0.0, 1.0), 0.0)
        drains = np.where(self.backlog <= slack, 1.0, 1.0 - np.clip(reaches / S_PER_HOUR, 0.0, 1.0))
        steady = (self.backlog <= slack).astype(float)
        share = np.where(growth > 0, grows, np.where(growth < 0, drains, steady))
        return np.where(capacity_per_s > 0, share, (arrivals_per_s <= 0).astype(float))


def refuse(arrivals_per_s: FloatArray, capacity_per_s: FloatArray) -> Admission:
    """Return what a door does that turns away whatever is above capacity [1/s], shapes (n_hours,)."""
    served = np.minimum(arrivals_per_s, capacity_per_s)
    nothing = np.zeros(served.size)
    return Admission(served, arrivals_per_s - served, nothing, nothing, nothing)


def queue(arrivals_per_s: FloatArray, capacity_per_s: FloatArray, patience_s: float = ASSUMED_PATIENCE_S) -> Admission:
    """Return what a door does that lets requests wait, as a fluid queue over the hours.

    Parameters
    ----------
    arrivals_per_s, capacity_per_s : ndarray, shape (n_hours,)
        Requests per second that arrive and that can be served within the targets.
    patience_s : float
        Longest wait [s]; who would wait longer leaves unserved.
    """
    if np.all(arrivals_per_s <= capacity_per_s):
        return refuse(arrivals_per_s, capacity_per_s)
    most = patience_s * np.where(capacity_per_s > 0, capacity_per_s, arrivals_per_s)
    change = (arrivals_per_s - capacity_per_s) * S_PER_HOUR
    backlog = np.zeros(change.size + 1)
    _fill_backlog(change, most, backlog)
    begins, ends = backlog[:-1], backlog[1:]
    served = np.minimum(capacity_per_s, arrivals_per_s + begins / S_PER_HOUR)
    refused = np.maximum(arrivals_per_s - served - (ends - begins) / S_PER_HOUR, 0.0)
    begin_s, end_s = (
        np.minimum(
            np.divide(waiting, capacity_per_s, out=np.where(waiting > 0, patience_s, 0.0), where=capacity_per_s > 0),
            patience_s,
        )
        for waiting in (begins, ends)
    )
    return Admission(served, refused, 0.5 * (begin_s + end_s), np.maximum(begin_s, end_s), begins)


@compiled
def _fill_backlog(change: FloatArray, most: FloatArray, backlog: FloatArray) -> None:
    """Fill in what waits as each hour ends: what waited before and the hour's change, from none to `most`.

    What waits as the first hour begins stands there already; `backlog` has shape (n_hours + 1,).
    """
    for hour in range(change.size):
        backlog[hour + 1] = min(max(backlog[hour] + change[hour], 0.0), most[hour])
