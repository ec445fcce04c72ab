"""Which fault explains a record, since when and how large: every hypothesis is undone, and the best one leaves nothing.

A component states its features (logarithms of flows, balances, conductances …) and, for each hypothesis, what they
would have been without it. The record of a healthy machine is its training part plus noise; a fault is found where
undoing it gains more likelihood than chance gives, and a second one is sought in what is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from twin.core.telemetry.alarms import robust_sigma, whitening
from twin.core.telemetry.calibrate import Z_OF_INTERVAL

FloatArray = NDArray[np.float64]

HUBER = 3.0  # sigmas beyond which a value counts by its distance, not its square
# Half the chi-square that the best of some 10,000 hypotheses and dates reaches by chance is about 12; twice the margin.
LEAST_GAIN = 24.0
MODEL_FRAC = 0.02  # of a size, that no number of readings makes surer: the laws that undo a fault are no better
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A kind of fault of one object. `least` is the smallest size worth reporting, in `unit`."""

    kind: str
    object: str
    unit: str
    low: float
    high: float
    least: float
    gradual: bool = False  # may grow over days as well as appear at once
    rarity: float = 0.0  # what the likelihood must gain more than for another hypothesis that explains as much


@dataclass(frozen=True, slots=True, eq=False)
class Acting:
    """A fault of a given size, and how much of it acts at each time (0 to 1)."""

    hypothesis: Hypothesis
    size: float
    weight: FloatArray


Features = Callable[[Sequence[Acting]], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What the features are in the healthy part: means, noise, and neighbours per independent value, shape (k,)."""

    mean: FloatArray
    sigma: FloatArray
    per_independent: FloatArray

    def cost(self, features: FloatArray) -> float:
        """Return half the robust chi-square of features, shape (k, n).

        NaN counts what noise does on average, so that no hypothesis gains by hiding values.
        """
        z = np.abs((features - self.mean[:, None]) / self.sigma[:, None])
        z[np.isnan(z)] = 1.0
        loss = np.where(z <= HUBER, 0.5 * z * z, HUBER * z - 0.5 * HUBER * HUBER)
        return float(np.sum(loss.sum(axis=1) / self.per_independent))


@dataclass(frozen=True, slots=True)
class Found:
    """A fault that was found."""

    hypothesis: Hypothesis
    since_s: float
    full_since_s: float  # where it reached its full size; equal to since_s for a step
    size: float
    low: float
    high: float
    score: float  # log-likelihood gained over "no (further) fault"
    margin: float  # of the score over the next hypothesis of another kind or object
    acting: Acting = field(repr=False, compare=False)

    @property
    def form(self) -> str:
        """`step` or `ramp`."""
        return "step" if self.full_since_s <= self.since_s else "ramp"


def baseline_of(features: FloatArray, train: NDArray[np.bool_], least_sigma: FloatArray) -> Baseline:
    """Learn means and noise of features from the healthy part.

    Parameters
    ----------
    features : ndarray, shape (k, n)
        NaN where one is not known; one that is hardly ever known in the healthy part is judged by `least_sigma` alone
        around 0.
    train : ndarray of bool, shape (n,)
        The healthy part.
    least_sigma : ndarray, shape (k,)
        Noise is never taken smaller: what the model itself is good for.
    """
    k = len(features)
    mean, sigma, per = np.zeros(k), least_sigma.astype(float).copy(), np.ones(k)
    for i in range(k):
        own = features[i, train]
        finite = own[np.isfinite(own)]
        if finite.size < 12:
            continue
        mean[i] = np.median(finite)
        sigma[i] = max(robust_sigma(finite), least_sigma[i])
        # Slow wandering of a healthy feature is no news: neighbours that repeat each other count once.
        r = max(whitening(own).coefficient, 0.0)
        per[i] = (1 + r) / (1 - r)
    return Baseline(mean, sigma, per)


def find_faults(
    seconds: FloatArray,
    features: Features,
    hypotheses: Sequence[Hypothesis],
    baseline: Baseline,
    *,
    earliest_s: float,
    most: int = 3,
) -> list[Found]:
    """Find the faults of a record, most convincing first; none where nothing is convincing.

    Parameters
    ----------
    seconds : ndarray, shape (n,)
        Middle of each bin.
    features : callable
        Takes the faults that are taken to act, returns the features of the record with them undone, shape (k, n).
    hypotheses : sequence of Hypothesis
        What may be wrong.
    baseline : Baseline
        Of the healthy part.
    earliest_s : float
        No fault starts before it: the healthy part.
    most : int
        Faults at most.
    """
    found: list[Found] = []
    n = len(seconds)
    starts = np.flatnonzero(seconds >= earliest_s)
    starts = starts[(starts > 0) & (starts < n - 3)]
    for _ in range(most):
        acting = [fault.acting for fault in found]
        cost = baseline.cost(features(acting))
        known = {(fault.hypothesis.kind, fault.hypothesis.object) for fault in found}
        searches = [
            _Search(hypothesis, seconds, features, baseline, starts, acting, cost)
            for hypothesis in hypotheses
            if (hypothesis.kind, hypothesis.object) not in known
        ]
        rough = [search.rough() for search in searches]
        # What explains far less by the day does not explain more by the hour.
        enough = max(0.5 * LEAST_GAIN, 0.5 * max((candidate.gain for candidate in rough), default=0.0))
        best = [
            search.refined(candidate)
            for search, candidate in zip(searches, rough, strict=True)
            if candidate.gain >= enough
        ]
        best = [fault for fault in best if abs(fault.size) >= fault.hypothesis.least]
        best.sort(key=lambda fault: -fault.score)
        if not best or best[0].score < LEAST_GAIN:
            break
        first = best[0]
        margin = first.score - (best[1].score if len(best) > 1 else 0.0)
        found.append(
            Found(
                first.hypothesis,
                first.since_s,
                first.full_since_s,
                first.size,
                first.low,
                first.high,
                first.score,
                margin,
                first.acting,
            )
        )
    return sorted(found, key=lambda fault: -fault.score)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A start, a duration in steps (0: a straight ramp) and a size, with what it gains."""

    start: int
    duration_days: float
    n_steps: int
    size: float
    gain: float


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """The search for start and size of one hypothesis: days first, then the bins around the best."""

    hypothesis: Hypothesis
    seconds: FloatArray
    features: Features
    baseline: Baseline
    starts: NDArray[np.intp]
    acting: list[Acting]
    cost: float  # with what was found before undone

    def rough(self) -> _Candidate:
        """Return the best of all days, and of a few durations where the fault may grow."""
        if not self.starts.size:
            return _Candidate(0, 0.0, 1, 0.0, 0.0)
        coarse = self.starts[:: max(self._day // 2, len(self.starts) // 30, 1)]
        tried = [self._sized(int(start), 0.0, 1) for start in coarse]
        if self.hypothesis.gradual:
            span_days = (self.seconds[-1] - self.seconds[0]) / DAY_S
            for duration_days in (4.0, 8.0, 12.0, 16.0, 20.0, 25.0, 30.0):
                if duration_days <= 0.6 * span_days:
                    tried += [self._sized(int(start), duration_days, 0) for start in coarse[::2]]
        return max(tried, key=lambda one: one.gain)

    def refined(self, rough: _Candidate) -> Found:
        """Return the best start to the bin, its size and interval."""
        best = rough
        shapes = [(best.duration_days, best.n_steps)]
        if best.duration_days:
            # Deposits that come in batches: as many equal steps as fit the time.
            days = [best.duration_days * share for share in (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)]
            shapes = [(duration, k) for duration in days for k in (0, 3, 4, 5, 6)]
        for reach, every in ((5 if best.duration_days else 2) * self._day, max(self._day // 4, 1)), (self._day // 2, 1):
            near = self.starts[np.abs(self.starts - best.start) <= reach][::every]
            tried = [self._at(int(start), *shape, best.size) for shape in shapes for start in near]
            best = max([best, *tried], key=lambda one: one.gain)
            best = self._sized(best.start, best.duration_days, best.n_steps, fine=True)
            if best.duration_days:
                shapes = [(max(best.duration_days + more, 0.5), best.n_steps) for more in (-1.0, -0.5, 0.0, 0.5, 1.0)]
        weight = _weight(self.seconds, best.start, best.duration_days, best.n_steps)
        low, high = _interval(
            self.hypothesis, best.size, self._left(weight, best.size), lambda size: self._left(weight, size)
        )
        own = MODEL_FRAC * abs(best.size)
        low, high = min(low, best.size - own), max(high, best.size + own)
        since = 0.5 * (self.seconds[best.start - 1] + self.seconds[best.start])
        full = since + best.duration_days * DAY_S
        score = best.gain - self.hypothesis.rarity
        acting = Acting(self.hypothesis, best.size, weight)
        return Found(self.hypothesis, float(since), float(full), best.size, low, high, score, score, acting)

    @property
    def _day(self) -> int:
        return max(int(round(DAY_S / float(np.median(np.diff(self.seconds))))), 1)

    def _left(self, weight: FloatArray, size: float) -> float:
        return self.baseline.cost(self.features([*self.acting, Acting(self.hypothesis, size, weight)]))

    def _gain(self, duration_days: float, left: float) -> float:
        # A ramp has a duration more than a step: half the logarithm of the bins (BIC).
        return float(self.cost - left - (0.5 * np.log(len(self.seconds)) if duration_days else 0.0))

    def _at(self, start: int, duration_days: float, n_steps: int, size: float) -> _Candidate:
        left = self._left(_weight(self.seconds, start, duration_days, n_steps), size)
        return _Candidate(start, duration_days, n_steps, size, self._gain(duration_days, left))

    def _sized(self, start: int, duration_days: float, n_steps: int, *, fine: bool = False) -> _Candidate:
        weight = _weight(self.seconds, start, duration_days, n_steps)
        low, high = self.hypothesis.low, self.hypothesis.high
        tolerance = (high - low) * (1e-4 if fine else 0.02)
        answer = minimize_scalar(
            lambda size: self._left(weight, size), bounds=(low, high), method="bounded", options={"xatol": tolerance}
        )
        return _Candidate(start, duration_days, n_steps, float(answer.x), self._gain(duration_days, float(answer.fun)))


def _weight(seconds: FloatArray, start: int, duration_days: float, n_steps: int) -> FloatArray:
    """Return how much of a fault acts: at once, in equal steps, or in a straight ramp (`n_steps` 0)."""
    begun = (np.arange(len(seconds)) >= start).astype(float)
    if duration_days <= 0:
        return begun
    share = (seconds - 0.5 * (seconds[start - 1] + seconds[start])) / (duration_days * DAY_S)
    if n_steps == 0:
        return np.clip(share, 0, 1) * begun
    return np.clip((np.floor(share * (n_steps - 1) + 1e-9) + 1) / n_steps, 0, 1) * begun


def _interval(hypothesis: Hypothesis, size: float, value: float, cost: Callable[[float], float]) -> tuple[float, float]:
    """Return where the cost has risen as far as a 90 % interval allows."""
    rise = 0.5 * Z_OF_INTERVAL**2
    ends = []
    for direction in (-1.0, 1.0):
        step = 0.002 * (hypothesis.high - hypothesis.low)
        last = 0.0
        far = step
        for _ in range(14):
            at = float(np.clip(size + direction * far, hypothesis.low, hypothesis.high))
            if cost(at) - value > rise or at in (hypothesis.low, hypothesis.high):
                break
            last, far = far, 1.7 * far
        for _ in range(8):
            middle = 0.5 * (last + far)
            at = float(np.clip(size + direction * middle, hypothesis.low, hypothesis.high))
            if cost(at) - value > rise:
                far = middle
            else:
                last = middle
        ends.append(float(np.clip(size + direction * far, hypothesis.low, hypothesis.high)))
    return ends[0], ends[1]
