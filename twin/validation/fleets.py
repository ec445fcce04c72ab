"""Availability of accelerator fleets as their operators publish it, beside what our rates and repair times give."""

from collections.abc import Iterator
from pathlib import Path

from scipy.stats import binom

from facility.catalogue import entries
from twin.core.failures.serving_losses import Cause, cause_of, domains_whole, tray_unavailability_frac
from twin.core.inputs.layout import ProductSheet
from twin.validation.check import Check, at_most, within

GROUP = "fleets"
DAYS_PER_YEAR = 365.25
HOST = 8  # accelerators of a host of the fleets below, unless said

# Kokolis et al., HPCA 2025 (arXiv 2410.21680): failures per 1,000 node-days of Meta's RSC-2 and RSC-1, 11 months.
META_RSC_PER_1000_NODE_DAYS = (2.34, 6.50)
# Google Cloud, "Cluster-level reliability for trillion-parameter models on TPUs", May 2026: of 144 cubes of 64 chips
# (16 hosts of four), 130 are whole and joined with 95 % confidence.
TPU_CUBES, TPU_CUBES_WHOLE, TPU_HOSTS, TPU_HOST, TPU_CONFIDENCE_FRAC = 144, 130, 16, 4, 0.95
# Cui et al., SC 2025 (arXiv 2503.11901): 1,056 accelerators of Delta need 5 % more nodes to keep a job at 99.9 %.
DELTA_ACCELERATORS, DELTA_SPARE_FRAC, DELTA_JOB_FRAC = 1056, 0.05, 0.999


def checks(data: Path) -> Iterator[Check]:  # noqa: ARG001 published figures are retyped here
    """Yield one check per published fleet."""
    causes = shipped_causes()
    unplanned = sum(c.failures_per_year for c in causes if c.counted_per == "accelerator" and not c.is_planned)
    yield within(
        "Faults of a host of eight in 1,000 days",
        GROUP,
        2,
        unplanned * HOST / DAYS_PER_YEAR * 1000,
        META_RSC_PER_1000_NODE_DAYS,
        "faults",
        "between Meta's RSC-2 and RSC-1, HPCA 2025",
    )
    whole = domains_whole(tray_unavailability_frac(causes, TPU_HOST), TPU_HOSTS, TPU_CUBES, TPU_CONFIDENCE_FRAC)
    yield at_most(
        "Whole cubes of a superpod of 144",
        GROUP,
        1,
        abs(whole / TPU_CUBES_WHOLE - 1),
        0.05,
        "relative",
        f"{whole} against {TPU_CUBES_WHOLE} of Google, May 2026; another maker's accelerator",
    )
    spare = spare_hosts_frac(causes, DELTA_ACCELERATORS // HOST, DELTA_JOB_FRAC)
    yield at_most(
        "Spare hosts that keep a job at 99.9 %",
        GROUP,
        1,
        abs(spare - DELTA_SPARE_FRAC),
        0.03,
        "of the hosts",
        f"{spare:.1%} against {DELTA_SPARE_FRAC:.0%} of Delta, SC 2025",
    )


def shipped_causes() -> list[Cause]:
    """Return the faults of the compute side as the shipped catalogue has them."""
    return [
        cause_of(ProductSheet("compute_failures", slug, entry["name"], "", entry, entry["source"], "", {}))
        for slug, entry in entries("compute_failures").items()
    ]


def spare_hosts_frac(causes: list[Cause], n_hosts: int, available_frac: float) -> float:
    """Return the spare hosts, over those needed, with which at least the needed ones are up for that share of time."""
    unavailable_frac = tray_unavailability_frac(causes, HOST)
    spare = next(s for s in range(n_hosts) if binom.cdf(s, n_hosts + s, unavailable_frac) >= available_frac)
    return spare / n_hosts
