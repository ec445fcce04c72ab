"""What machine faults would leave in a layout's residuals: the faulty plant solved, for the objects that look odd."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from power_cooling.site_arrays import FloatArray
from twin.core.solved import Described
from twin.core.telemetry.faulted import OBJECTS, MachineFault, refusal
from twin.core.telemetry.predicted import layout_objects
from twin.core.telemetry.publish import fault_size, faulty_points

FIRST_SIZES = (0.25, 0.75)  # of a kind's range, that are tried first
OPENINGS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of a stuck valve: what it does is no multiple of its opening
SCALES = (0.3, 1.7)  # by which a shape may be stretched before it is solved again
STEPS = (0.12, 0.06, 0.03, 0.015, 0.008, 0.004)  # of the range, in which a size is searched
SEEN = 0.02  # sigmas; points that a fault moves by less say nothing of it


@dataclass(frozen=True, slots=True, eq=False)
class MachineCandidate:
    """A machine fault of some size from some time on, and how much of the residuals' square it takes."""

    fault: MachineFault
    size_frac: float  # of the kind's range
    shape: FloatArray  # in sigmas, (n_points, n_times); 0 where it says nothing
    start: int
    scale: float
    explained: float
    explained_from_first: float  # if it had been there from the first start on


@dataclass(slots=True, eq=False)
class Machines:
    """The faulty plants of a layout at the times of its readings, each solved once.

    `described` and `sigma` have shape (n_points, n_times), in the order of `keys`.
    """

    layout: Described
    keys: Sequence[tuple[str, str]]
    described: FloatArray
    sigma: FloatArray
    starts: NDArray[np.intp]
    solved: dict[MachineFault, FloatArray | None] = field(default_factory=dict)

    def objects_of(self, rows: Iterable[int]) -> list[str]:
        """Return the objects whose faults may show in points, in order; meters are moved by whatever hangs on them."""
        there = layout_objects(self.layout.inputs)
        found: dict[str, None] = {}
        for row in rows:
            name = self.keys[row][0].removesuffix("/accelerators")
            found[name] = None
            if name == "site" or name.startswith(("feed/", "plant/")):
                found |= dict.fromkeys(f"feed/{feed.name}" for feed in self.layout.inputs.feeds if feed.kind == "ups")
                found |= dict.fromkeys(other for other in there if other.startswith("plant/"))
        return [name for name in found if name in there]

    def best(self, name: str, left: FloatArray) -> list[MachineCandidate]:
        """Return the best of each kind of fault that an object may have, by what the first sizes explain."""
        begins, found = name.partition("/")[0], []
        for kind in (kind for kind, kinds in OBJECTS.items() if begins in kinds):
            if refusal(self.layout.inputs, kind, name):
                continue
            sizes = OPENINGS if kind == "valve_stuck" else FIRST_SIZES
            tried = [self.tried(kind, name, size, left, fixed=kind == "valve_stuck") for size in sizes]
            some = [candidate for candidate in tried if candidate is not None]
            if some:
                found.append(max(some, key=lambda candidate: candidate.explained))
        return found

    def tried(
        self, kind: str, name: str, size_frac: float, left: FloatArray, *, fixed: bool = True
    ) -> MachineCandidate | None:
        """Return a fault of a size from the time on at which it explains most; None where it explains nothing."""
        fault = MachineFault(kind, name, fault_size(kind, size_frac))
        shape = self._shape(fault)
        if shape is None:
            return None
        known = np.isfinite(left)
        seen, expected = np.where(known, left, 0.0), np.where(known, shape, 0.0)
        along, power = (np.cumsum(each.sum(axis=0)[::-1])[::-1][self.starts] for each in (expected * seen, expected**2))
        scale = np.divide(along, power, out=np.zeros_like(along), where=power > 0)
        scale = np.ones_like(scale) if fixed else np.clip(scale, *SCALES)
        explained = scale * (2.0 * along - scale * power)
        k = explained.size - 1 - int(np.argmax(explained[::-1]))  # before it shows, its start is not told
        if not explained[k] > 0:
            return None
        return MachineCandidate(
            fault, size_frac, shape, int(self.starts[k]), float(scale[k]), float(explained[k]), float(explained[0])
        )

    def refined(self, candidate: MachineCandidate, left: FloatArray) -> MachineCandidate:
        """Return a fault with its size searched on the solver itself."""
        kind, name = candidate.fault.kind, candidate.fault.object
        first = self.tried(kind, name, float(np.clip(candidate.size_frac * candidate.scale, 0.0, 1.0)), left)
        same = self.tried(kind, name, candidate.size_frac, left)
        found = max((one for one in (first, same) if one), key=lambda one: one.explained, default=None)
        if found is None:
            return candidate
        for step in STEPS:
            for sign in (1.0, -1.0):
                size = float(np.clip(found.size_frac + sign * step, 0.0, 1.0))
                other = self.tried(kind, name, size, left)
                if other is not None and other.explained > found.explained:
                    found = other
        return found

    def _shape(self, fault: MachineFault) -> FloatArray | None:
        """Return what a fault adds to each point [sigmas]; None where the object cannot have it."""
        if fault not in self.solved:
            try:
                points = faulty_points(self.layout, [fault])
            except ValueError:
                self.solved[fault] = None
            else:
                none = np.full(self.described.shape[1], np.nan)
                moved = (np.stack([points.get(key, none) for key in self.keys]) - self.described) / self.sigma
                self.solved[fault] = np.where(np.abs(moved) > SEEN, np.nan_to_num(moved), 0.0)
        return self.solved[fault]
