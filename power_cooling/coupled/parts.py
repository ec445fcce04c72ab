"""A coupled solve in parts: results of some of the elements put together into that of all."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.coupled.result import CoupledResult, RackSummary, SolveReport

IntArray = NDArray[np.int64]

_HIGHEST = ("max_power_w", "max_junction_degc", "max_inlet_degc", "max_coolant_degc")
_COUNTED = ("throttled_elements", "capped_elements", "tripped_elements")
_EXACT = ("pool_clock_frac", "pool_available_frac", "source_power_w")  # tokens and the grid's part follow from them


class Parts:
    """Collects results of disjoint sets of elements. Memory is that of one result, not of all parts.

    Series of single groups, halls, plants and feeds are kept to seven digits: they are what a large site's year weighs.
    """

    def __init__(self, n_elements: int) -> None:
        self._n = n_elements
        self._arrays: dict[str, NDArray[Any]] = {}
        self._done = np.zeros(n_elements, dtype=bool)
        self._racks: list[tuple[int, RackSummary]] = []
        self._reports: list[SolveReport] = []
        self._reasons = np.zeros(n_elements, dtype=np.int8)
        self._iterations = np.zeros(n_elements, dtype=np.int16)

    def add(self, rows: IntArray, part: CoupledResult) -> None:
        """Take over the result of the elements `rows`, shape (n_part,).

        Raises
        ------
        ValueError
            If an element comes twice or the part keeps rack channels, which are not put together.
        """
        if np.any(self._done[rows]):
            raise ValueError(f"element {int(rows[np.argmax(self._done[rows])])} was added twice")
        if part.rack_channels is not None:
            raise ValueError("parts with rack channels cannot be put together; solve all elements at once")
        self._done[rows] = True
        for entry in fields(part):
            values = getattr(part, entry.name)
            if isinstance(values, np.ndarray):
                if entry.name not in self._arrays:
                    wide = values.ndim > 1 and values.dtype == np.float64 and entry.name not in _EXACT
                    dtype = np.float32 if wide else values.dtype
                    self._arrays[entry.name] = np.empty((self._n, *values.shape[1:]), dtype=dtype)
                self._arrays[entry.name][rows] = values
        self._racks.append((rows.size, part.racks))
        self._reports.append(part.report)
        self._reasons[rows] = part.report.reasons
        self._iterations[rows] = part.report.iterations

    def result(self) -> CoupledResult:
        """Return the whole.

        Raises
        ------
        ValueError
            If elements are missing.
        """
        if not np.all(self._done):
            raise ValueError(f"{np.count_nonzero(~self._done)} of {self._n} elements were not added")
        return CoupledResult(report=self._report(), racks=self._summary(), rack_channels=None, **self._arrays)

    def _summary(self) -> RackSummary:
        sizes = np.array([size for size, _ in self._racks], dtype=float)
        columns = {
            entry.name: np.stack([getattr(racks, entry.name) for _, racks in self._racks])
            for entry in fields(RackSummary)
        }
        running = sizes[:, None] - columns["tripped_elements"]
        whole = {name: columns[name].sum(axis=0) for name in _COUNTED}
        whole |= {name: columns[name].max(axis=0) for name in _HIGHEST}
        whole["min_clock_frac"] = columns["min_clock_frac"].min(axis=0)
        whole["mean_power_w"] = sizes @ columns["mean_power_w"] / sizes.sum()
        clocked = np.sum(running * np.nan_to_num(columns["mean_clock_frac"], nan=1.0), axis=0)
        total = running.sum(axis=0)
        whole["mean_clock_frac"] = np.divide(clocked, total, out=np.full(total.shape, np.nan), where=total > 0)
        return RackSummary(**whole)

    def _report(self) -> SolveReport:
        worst = max(self._reports, key=lambda report: report.residual_k)
        n_failed = sum(report.n_failed for report in self._reports)
        passes = int(self._iterations.max())
        solved = f"{self._n - n_failed} elements solved to {worst.residual_k:.2g} K in at most {passes} passes"
        return SolveReport(
            converged=all(report.converged for report in self._reports),
            n_failed=n_failed,
            iterations=self._iterations,
            iterations_p99=float(np.percentile(self._iterations, 99)),
            iterations_max=passes,
            reasons=self._reasons,
            residual_k=worst.residual_k,
            tolerance_k=worst.tolerance_k,
            message=solved if not n_failed else f"{solved}; {n_failed} without a solution",
        )
