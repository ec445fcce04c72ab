"""The coupled solver alone: a year of racks in classes, of racks that all differ, and of a small air-cooled room."""

from collections.abc import Iterator

import numpy as np

from power_cooling.coupled.solve import solve_coupled
from power_cooling.electrical.feed_tree import feed_tree, rack_links
from power_cooling.site_arrays import (
    SiteArrays,
    SiteFeeds,
    Weather,
)
from twin.benchmarks.measure import Benchmark, cpu_seconds, peak_bytes
from twin.validation.synthetic_halls import air_site, liquid_site

HOURS = 8760
# The whole path may take 2 and 8 CPU s; half of it is left to serving, reading and saving.
REACH_CLASSES_S, REACH_DIFFERENT_S, REACH_GROWTH, REACH_ROOM_S = 1.0, 4.0, 4.4, 1.0


def benchmarks() -> Iterator[Benchmark]:
    """Yield the figures of the coupled solver; compilation is not counted."""
    _solve(liquid_site(2, 1.0, 1, 0.0), 2)
    yield _row("1,000 racks of 12 classes", liquid_site(12, 1000 / 12, 12, 0.0), HOURS, REACH_CLASSES_S, repeats=2)
    thousand = _row("1,000 racks that all differ", liquid_site(1000, 1.0, 40, 0.1), HOURS, REACH_DIFFERENT_S)
    yield thousand
    four_thousand = _row("4,000 racks that all differ", liquid_site(4000, 1.0, 160, 0.1), HOURS, None)
    yield four_thousand
    yield Benchmark(
        "coupled solve: 4,000 over 1,000 racks",
        four_thousand.size,
        four_thousand.cpu_s / thousand.cpu_s,
        "x",
        REACH_GROWTH,
        higher_is_better=False,
        cpu_s=four_thousand.cpu_s,
        peak_bytes=four_thousand.peak_bytes,
    )
    yield _row("20 air-cooled racks, a year at 15 min", air_site(20), 4 * HOURS, REACH_ROOM_S)


def _row(name: str, site: SiteArrays, n: int, reach_s: float | None, *, repeats: int = 1) -> Benchmark:
    notes: list[str] = []
    cpu_s = cpu_seconds(lambda: notes.append(_solve(site, n)), repeats=repeats)
    return Benchmark(
        f"coupled solve: {name}",
        f"{site.racks.n_racks} classes x {n} elements",
        cpu_s,
        "CPU s",
        reach_s,
        higher_is_better=False,
        cpu_s=cpu_s,
        peak_bytes=peak_bytes(),
        note=notes[-1],
    )


def _solve(site: SiteArrays, n: int) -> str:
    """Solve `n` elements of a temperate year with a daily load."""
    step = np.arange(n)
    day = step * (24.0 * 365 / n if n > 48 else 1.0)
    dry_bulb = 12 + 12 * np.sin(2 * np.pi * (day / 8760 - 0.3)) + 5 * np.sin(2 * np.pi * (day / 24 - 0.4))
    load = (0.6 + 0.3 * np.sin(2 * np.pi * day / 24))[:, None]
    feeds = feeds_of(site) if site.cdus is not None else None
    return solve_coupled(site, load, Weather(dry_bulb, 0.006), feeds=feeds).report.message


def feeds_of(site: SiteArrays, n_sides: int = 4) -> SiteFeeds:
    """Return a transformer, UPS and busways in the hall, each rack on two of them, and a board for the plant."""
    sides = range(n_sides)
    tree = feed_tree(
        names=["utility", "transformer", "board", *(f"ups-{i}" for i in sides), *(f"busway-{i}" for i in sides)],
        kinds=["utility", "transformer", "switchboard", *("ups" for _ in sides), *("busway" for _ in sides)],
        parents=[None, "utility", "transformer", *("transformer" for _ in sides), *(f"ups-{i}" for i in sides)],
        rating_w=[1e9, 1e9, 1e9, *(2e8 for _ in sides), *(2e8 for _ in sides)],
        no_load_loss_frac=[0, 2e-4, 0, *(1e-3 for _ in sides), *(0.0 for _ in sides)],
        proportional_loss_frac=[0, 0, 0, *(0.01 for _ in sides), *(0.0 for _ in sides)],
        square_loss_frac=[0, 0.01, 0, *(0.02 for _ in sides), *(0.05 for _ in sides)],
        hall_index=[-1, -1, -1, *(-1 for _ in sides), *(0 for _ in sides)],
    )
    racks = np.arange(site.racks.n_racks)
    links = rack_links(
        tree,
        rack_index=np.repeat(racks, 2),
        node_names=[f"busway-{(i + k) % n_sides}" for i in racks for k in (0, 1)],
        n_racks=racks.size,
    )
    board = tree.index("board")
    n_groups = 0 if site.cdus is None else site.cdus.n_groups
    return SiteFeeds(
        tree,
        links,
        np.full(n_groups, board),
        np.full(site.halls.n_halls, board),
        np.full(site.plants.n_plants, board),
    )
