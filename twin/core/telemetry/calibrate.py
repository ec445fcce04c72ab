"""Robust maximum-a-posteriori least squares on any model: named physical parameters with priors, bounds and intervals.

Residuals are scaled by the sensors' sigma and softened (`soft_l1`), parameters that must stay positive are fitted by
their logarithm, each prior is one more residual row. What the data do not tell apart (|correlation| > 0.95, or an
interval no narrower than the prior's) is reported as not identifiable. Intervals come from the covariance and are
widened to what the profile of the likelihood says; a fit that does worse on held-out time blocks is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, brentq, least_squares
from scipy.stats import norm

FloatArray = NDArray[np.float64]
Residuals = Callable[[Mapping[str, float]], FloatArray]

CORRELATED = 0.95
INTERVAL_FRAC = 0.90
Z_OF_INTERVAL = float(norm.ppf(0.5 + INTERVAL_FRAC / 2))
# A parameter whose interval is not at least this much narrower than its prior was not learned from the data.
LEARNED_FRAC = 0.8


@dataclass(frozen=True, slots=True)
class Parameter:
    """A physical parameter: where it starts, what is believed of it and what it cannot be.

    `prior_sigma` is in the parameter's unit, or relative where `logarithmic`; None leaves it to the data alone.
    """

    name: str
    unit: str
    prior: float
    prior_sigma: float | None
    low: float
    high: float
    logarithmic: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or not self.low <= self.prior <= self.high:
            raise ValueError(f"{self.name}: prior {self.prior:g} is not inside {self.low:g} to {self.high:g}")
        if self.logarithmic and self.low <= 0:
            raise ValueError(
                f"{self.name}: fitted by its logarithm, so its least value must be above 0, not {self.low:g}"
            )
        if self.prior_sigma is not None and not self.prior_sigma > 0:
            raise ValueError(f"{self.name}: prior sigma is {self.prior_sigma:g}; must be above 0")

    def inside(self, value: float) -> float:
        """Return a value in the fit's own coordinate."""
        return float(np.log(value)) if self.logarithmic else float(value)

    def outside(self, coordinate: float) -> float:
        """Return the value of a coordinate of the fit."""
        return float(np.exp(coordinate)) if self.logarithmic else float(coordinate)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A fitted parameter with its interval (90 %) and whether the data told it."""

    name: str
    unit: str
    before: float
    value: float
    low: float
    high: float
    identifiable: bool
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What a calibration found. `covariance` is in the fit's own coordinates, in the order of `estimates`."""

    estimates: tuple[Estimate, ...]
    covariance: FloatArray
    correlation: FloatArray
    converged: bool
    iterations: int
    cost: float
    message: str
    correlated: tuple[tuple[str, str, float], ...] = field(default=())

    @property
    def values(self) -> dict[str, float]:
        """The fitted values by name."""
        return {estimate.name: estimate.value for estimate in self.estimates}

    def __getitem__(self, name: str) -> Estimate:
        """Return the estimate of a parameter."""
        return next(estimate for estimate in self.estimates if estimate.name == name)


def fit_map(
    parameters: Sequence[Parameter],
    residuals: Residuals,
    *,
    samples_per_independent: float = 1.0,
    profile: Sequence[str] = (),
    sensors: Mapping[frozenset[str], str] | None = None,
    softness: float = 1.5,
    max_evaluations: int = 400,
    difference_frac: float | None = None,
) -> Fit:
    """Fit parameters to measured values.

    Parameters
    ----------
    parameters : sequence of Parameter
        What may move. Priors become residual rows (theta - prior) / sigma.
    residuals : callable
        Takes {name: value}, returns (measured - predicted) / sigma of the sensors, NaN where nothing was measured.
    samples_per_independent : float
        How many neighbouring residuals carry the information of one (see `alarms.samples_per_independent`): the
        intervals widen by its root. Discrepancy that lasts is not white noise.
    profile : sequence of str
        Parameters whose intervals are checked by the profile of the likelihood, and widened to it.
    sensors : mapping, optional
        For a pair of names: the sensor that would tell the two apart.
    softness : float
        Residual (in sigmas) from which outliers count less.
    max_evaluations : int
        Of the model, at most.
    difference_frac : float, optional
        Step of the derivatives, as a share of each prior's sigma: for a model solved to a tolerance, whose answer to
        the smallest steps is its own rounding. Every parameter then needs a prior sigma.

    Returns
    -------
    Fit
        Not converging is an answer (`converged`), not an exception.

    Raises
    ------
    ValueError
        If fewer finite residuals than parameters are left, or a name is doubled.

    References
    ----------
    .. [1] Seber and Wild, *Nonlinear Regression*, 1989, ch. 5 (profile likelihood), ch. 2.8 (robust fits).
    """
    names = [parameter.name for parameter in parameters]
    if len(set(names)) != len(names):
        raise ValueError(f"parameters are named twice: {sorted(name for name in names if names.count(name) > 1)}")
    start = np.array([p.inside(p.prior) for p in parameters])
    bounds = np.array([[p.inside(p.low), p.inside(p.high)] for p in parameters])
    rows = _rows(parameters, residuals)
    n_data = int(np.isfinite(np.asarray(residuals({p.name: p.prior for p in parameters}), dtype=float)).sum())
    if n_data <= len(parameters):
        raise ValueError(f"{n_data} measured values cannot tell {len(parameters)} parameters ({', '.join(names)})")
    span = np.ptp(bounds, axis=1)
    inner = np.clip(start, bounds[:, 0] + 1e-9 * span, bounds[:, 1] - 1e-9 * span)
    solved = least_squares(
        rows,
        inner,
        jac="2-point" if difference_frac is None else _differences(parameters, rows, difference_frac),
        bounds=(bounds[:, 0], bounds[:, 1]),
        loss="soft_l1",
        f_scale=softness,
        x_scale="jac",
        max_nfev=max_evaluations,
    )
    covariance, scale = _covariance(solved, parameters, n_data, samples_per_independent, softness)
    sigma = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(np.where(sigma > 0, sigma, 1.0), np.where(sigma > 0, sigma, 1.0))
    pairs = tuple(
        (names[i], names[j], float(correlation[i, j]))
        for i in range(len(names))
        for j in range(i)
        if abs(correlation[i, j]) > CORRELATED
    )
    estimates = []
    for i, parameter in enumerate(parameters):
        low, high = solved.x[i] - Z_OF_INTERVAL * sigma[i], solved.x[i] + Z_OF_INTERVAL * sigma[i]
        if parameter.name in profile:
            profiled = _profile(rows, solved, bounds, i, sigma[i], scale * samples_per_independent, softness)
            low, high = min(low, profiled[0]), max(high, profiled[1])
        low, high = np.clip((low, high), *bounds[i])
        reason = _why_not(parameter, sigma[i], pairs, solved.x[i], bounds[i], sensors or {})
        estimates.append(
            Estimate(
                parameter.name,
                parameter.unit,
                parameter.prior,
                parameter.outside(solved.x[i]),
                parameter.outside(low),
                parameter.outside(high),
                not reason,
                reason,
            )
        )
    return Fit(
        tuple(estimates),
        covariance,
        correlation,
        bool(solved.success),
        int(solved.nfev),
        float(solved.cost),
        str(solved.message),
        pairs,
    )


def _rows(parameters: Sequence[Parameter], residuals: Residuals) -> Callable[[FloatArray], FloatArray]:
    """Return the residual rows of a coordinate: the data's, then the priors'."""

    def rows(x: FloatArray) -> FloatArray:
        values = {p.name: p.outside(coordinate) for p, coordinate in zip(parameters, x, strict=True)}
        data = np.asarray(residuals(values), dtype=float)
        priors = [
            (coordinate - p.inside(p.prior)) / p.prior_sigma
            for p, coordinate in zip(parameters, x, strict=True)
            if p.prior_sigma is not None
        ]
        return np.concatenate((np.where(np.isfinite(data), data, 0.0), priors))

    return rows


def _differences(
    parameters: Sequence[Parameter], rows: Callable[[FloatArray], FloatArray], frac: float
) -> Callable[[FloatArray], FloatArray]:
    """Return the function that gives the rows' derivatives by one-sided steps, away from the nearer bound."""
    steps = []
    for p in parameters:
        if p.prior_sigma is None:
            raise ValueError(f"{p.name}: has no prior sigma to take a step by")
        steps.append(frac * p.prior_sigma)

    def jacobian(x: FloatArray) -> FloatArray:
        here = rows(x)
        columns = []
        for i, (p, step) in enumerate(zip(parameters, steps, strict=True)):
            upwards = p.inside(p.high) - x[i] > x[i] - p.inside(p.low)
            there = x.copy()
            there[i] += step * (1.0 if upwards else -1.0)
            columns.append((rows(there) - here) / (there[i] - x[i]))
        return np.stack(columns, axis=1)

    return jacobian


def _covariance(
    solved: OptimizeResult,
    parameters: Sequence[Parameter],
    n_data: int,
    samples_per_independent: float,
    softness: float,
) -> tuple[FloatArray, float]:
    """Return (J'J)^-1 with the data's rows scaled by what is left over, and that scale."""
    n_priors = sum(p.prior_sigma is not None for p in parameters)
    n_rows = len(solved.fun) - n_priors
    data = solved.fun[:n_rows]
    weight = 1.0 / np.sqrt(1.0 + (data / softness) ** 2)
    scale = float(np.sum(weight * data**2) / max(n_data - len(parameters), 1))
    # The loss's weights are in solved.jac already. A fit better than its sensors narrows the interval, to a thousandth.
    jacobian = solved.jac
    information = jacobian[:n_rows].T @ jacobian[:n_rows] / (max(scale, 1e-6) * samples_per_independent)
    information += jacobian[n_rows:].T @ jacobian[n_rows:]
    # What neither data nor prior know is at least known to lie between its bounds.
    span = np.array([p.inside(p.high) - p.inside(p.low) for p in parameters])
    return np.linalg.inv(information + np.diag(1.0 / span**2)), scale


def _profile(
    rows: Callable[[FloatArray], FloatArray],
    solved: OptimizeResult,
    bounds: FloatArray,
    i: int,
    sigma: float,
    scale: float,
    softness: float,
) -> tuple[float, float]:
    """Return where the cost, minimised over all other parameters, has risen as far as the interval allows."""
    rise = 0.5 * Z_OF_INTERVAL**2 * max(scale, 1e-12)
    others = [k for k in range(len(solved.x)) if k != i]

    def excess(coordinate: float) -> float:
        def held(y: FloatArray) -> FloatArray:
            x = np.empty(len(solved.x))
            x[others], x[i] = y, coordinate
            return rows(x)

        if not others:
            f = held(np.empty(0)) / softness
            return float(softness**2 * np.sum(np.sqrt(1 + f**2) - 1)) - solved.cost - rise
        again = least_squares(
            held,
            solved.x[others],
            bounds=(bounds[others, 0], bounds[others, 1]),
            loss="soft_l1",
            f_scale=softness,
            x_scale="jac",
            max_nfev=60,
        )
        return float(again.cost) - solved.cost - rise

    ends = []
    for direction, bound in ((-1, bounds[i, 0]), (1, bounds[i, 1])):
        reach = abs(bound - solved.x[i])
        step = min(max(Z_OF_INTERVAL * sigma, 1e-9), reach)
        if step <= 0:
            ends.append(float(bound))
            continue
        for _ in range(6):
            if excess(solved.x[i] + direction * step) > 0 or step >= reach:
                break
            step = min(1.6 * step, reach)
        far = solved.x[i] + direction * step
        if excess(far) <= 0:
            ends.append(float(far))
        else:
            near, wide = sorted((float(solved.x[i]), float(far)))
            ends.append(float(brentq(excess, near, wide, xtol=0.02 * step)))
    return ends[0], ends[1]


def _why_not(
    parameter: Parameter,
    sigma: float,
    pairs: Sequence[tuple[str, str, float]],
    x: float,
    bounds: FloatArray,
    sensors: Mapping[frozenset[str], str],
) -> str:
    """Return why a parameter is not identifiable, empty where it is."""
    for a, b, correlation in pairs:
        if parameter.name in (a, b):
            other = b if parameter.name == a else a
            add = sensors.get(frozenset((a, b)))
            advice = f"; add a sensor: {add}" if add else ""
            return f"not identifiable from this data: moves with {other} (correlation {correlation:+.2f}){advice}"
    if parameter.prior_sigma is not None and sigma > LEARNED_FRAC * parameter.prior_sigma:
        return "not identifiable from this data: the interval is the prior's"
    if min(x - bounds[0], bounds[1] - x) < 1e-6 * (bounds[1] - bounds[0]):
        return f"at its bound ({parameter.outside(x):.4g} {parameter.unit})"
    return ""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether a fit serves: it may not do worse on held-out time blocks than what it replaces."""

    accepted: bool
    before: float
    after: float
    reason: str


def judged(before: FloatArray, after: FloatArray, *, unit: str) -> Acceptance:
    """Compare held-out residuals before and after a calibration.

    Parameters
    ----------
    before, after : ndarray
        Measured minus predicted of the held-out rows, NaN where one is missing.
    unit : str
        For the sentence.

    Returns
    -------
    Acceptance
        Refused where the root mean square rose.
    """
    both = np.isfinite(before) & np.isfinite(after)
    if not both.any():
        return Acceptance(False, np.nan, np.nan, "no held-out rows to judge by")
    was, now = (float(np.sqrt(np.mean(r[both] ** 2))) for r in (before, after))
    if now > was:
        return Acceptance(False, was, now, f"refused: {now:.4g} {unit} on held-out rows, {was:.4g} {unit} before")
    return Acceptance(True, was, now, f"{was:.4g} {unit} before, {now:.4g} {unit} after, on held-out rows")


def time_blocks(seconds: FloatArray, n_blocks: int) -> NDArray[np.intp]:
    """Return the block of each row: `n_blocks` runs of equal time, for held-out scoring by blocks, never by rows."""
    if n_blocks < 1:
        raise ValueError(f"n_blocks is {n_blocks}; must be 1 or more")
    first, last = np.nanmin(seconds), np.nanmax(seconds)
    share = (seconds - first) / max(last - first, 1e-9)
    return np.minimum((np.nan_to_num(share) * n_blocks).astype(np.intp), n_blocks - 1)
