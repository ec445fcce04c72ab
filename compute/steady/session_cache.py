"""What a session finds of its earlier requests in the prefix cache, and how many sessions that makes room for.

Sessions form a closed network: each waits for its answer, pauses (a tool runs, a person reads) and sends its context
again with something new at the end. While it pauses its context stays cached only as long as memory lasts; the least
recently used goes first. What was given up must be prefilled again.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compute.workload import Sessions, Workload

FloatArray = NDArray[np.float64]

PASSES = 10  # of regula falsi between what is kept and the rate that follows from it


def kept_frac(sessions: Sessions, room: FloatArray, requests_per_s: FloatArray) -> FloatArray:
    """Return the share of returning requests that find their session's context still cached [-].

    Che's approximation: a context is dropped when it has not been used for a time T, the same for all, in which the
    contexts left behind fill the room. With pauses Z that is requests_per_s · E[min(Z, T)] = room, and P(Z <= T) of
    the sessions come back in time. Between two of the equally likely pauses both sides are taken as straight lines.

    Parameters
    ----------
    sessions : Sessions
        Their pauses.
    room : ndarray
        Contexts that memory holds beside those in service.
    requests_per_s : ndarray
        Served by the instance, of the same shape.

    References
    ----------
    .. [1] Che, Tung, Wang, "Hierarchical Web caching systems", IEEE JSAC 20(7), 2002.
    """
    pause_s = np.asarray(sessions.pause_s)
    n = pause_s.size
    stayed_s = (np.cumsum(pause_s) + pause_s * np.arange(n - 1, -1, -1)) / n  # E[min(Z, T)] at T = each pause
    may_stay_s = np.maximum(room, 0.0) / np.maximum(requests_per_s, 1e-30)
    return np.interp(may_stay_s, np.r_[0.0, stayed_s], np.arange(n + 1) / n)


def cached_frac(workload: Workload, kept: FloatArray | float) -> FloatArray:
    """Return the share of the prompt that is found cached when a share `kept` of the sessions come back in time [-]."""
    shared = workload.sessions.shared_frac if workload.sessions else 0.0
    return workload.cached_frac - (workload.cached_frac - shared) * (1.0 - np.asarray(kept, dtype=np.float64))


def settled_kept_frac(
    sessions: Sessions, room: FloatArray, rate_when_kept: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Return what sessions keep when the rate in turn follows from what is kept, shape of `room` [-].

    Less kept means longer prompts, hence a lower rate and more time for each context: one solution, which lies between
    0 and 1 and is bracketed (regula falsi, Illinois variant).

    Parameters
    ----------
    sessions, room
        As for `kept_frac`.
    rate_when_kept : callable
        Requests per second for an array of kept shares.
    """
    low, high = np.zeros(room.shape), np.ones(room.shape)
    over, under = (kept_frac(sessions, room, rate_when_kept(kept)) - kept for kept in (low, high))
    all_kept = under >= 0.0
    if all_kept.all():
        return high
    found, was_low = high, np.zeros(room.shape, dtype=bool)
    for _ in range(PASSES):
        found = (low * under - high * over) / np.minimum(under - over, -1e-30)
        miss = kept_frac(sessions, room, rate_when_kept(found)) - found
        is_low = miss > 0.0
        # an end that stays twice running counts half, so that it moves in its turn
        weight = np.where(is_low == was_low, 0.5, 1.0)
        over, under = np.where(is_low, miss, weight * over), np.where(is_low, weight * under, miss)
        low, high, was_low = np.where(is_low, found, low), np.where(is_low, high, found), is_low
    return np.where(all_kept, 1.0, np.clip(found, 0.0, 1.0))
