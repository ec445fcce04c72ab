"""Accelerators as the serving model sees them: peaks, memory, links and power limits, read from catalogue entries."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

PRECISIONS = ("bf16", "fp8", "fp4")  # of arithmetic, widest first; an index into this tuple is used in arrays
# int4 weights (AWQ, GPTQ) are unpacked on the fly: the arithmetic is BF16.
UNPACKED_TO_BF16 = ("int4",)
WEIGHT_PRECISIONS = (*PRECISIONS, *UNPACKED_TO_BF16)  # that checkpoints are stored in
# Other names of stored formats that take the same bytes and units.
PRECISION_NAMES = {
    "bfloat16": "bf16",
    "fp16": "bf16",
    "float16": "bf16",
    "nvfp4": "fp4",
    "mxfp4": "fp4",
    "awq": "int4",
    "gptq": "int4",
}

# assumed: a PCIe Gen5 x16 slot, one direction, for parts whose data sheet names no scale-up link
ASSUMED_PCIE_BYTES_PER_S = 64e9
# assumed: idle draw of comparable parts in the catalogue lies between 9 % and 14 % of TDP
ASSUMED_IDLE_FRAC_OF_TDP = 0.12

# What the driver reports where the data sheet's "GB" are GiB less a reserve: 143,771 MiB on H200, 183,359 MiB on B200
# (nvidia-smi listings). A 671 GB model was served on four B200, which 4 x 180e9 bytes would not allow.
DRIVER_HBM_BYTES = {"h200-sxm": 143771 * 2.0**20, "b200-sxm": 183359 * 2.0**20}

# Coefficients that were fitted on one part serve as the first guess for its relatives (same compute architecture).
GENERATION_BY_PREFIX = {
    "a100": "ampere",
    "h100": "hopper",
    "h200": "hopper",
    "h20": "hopper",
    "gh200": "hopper",
    "b200": "blackwell",
    "gb200": "blackwell",
    "b300": "blackwell",
    "gb300": "blackwell",
    "rubin": "rubin",
    "mi300": "cdna3",
    "mi325": "cdna3",
    "mi350": "cdna4",
    "mi355": "cdna4",
    "mi455": "cdna5",
    "tpu": "tpu",
    "gaudi": "gaudi",
}

# assumed: of a tier below each accelerator's memory; a PCIe Gen5 x16 slot moves 64e9 one way, less in practice
ASSUMED_TIER_BYTES_PER_S = 50e9


def generation_of(name: str) -> str:
    """Return the generation of an accelerator by its catalogue id, `unknown` where none is known."""
    return next((g for prefix, g in GENERATION_BY_PREFIX.items() if name.startswith(prefix)), "unknown")


def precision_named(text: str, field: str = "weight_precision") -> str:
    """Return the precision of weights that a name means, in any case and by any of its names.

    Raises
    ------
    ValueError
        If it means none; says what is allowed.
    """
    name = PRECISION_NAMES.get(text.lower(), text.lower())
    if name not in WEIGHT_PRECISIONS:
        others = ", ".join(f"{other} ({same})" for other, same in PRECISION_NAMES.items())
        raise ValueError(f"{field} is {text!r}; must be one of {', '.join(WEIGHT_PRECISIONS)}, or {others}")
    return name


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One accelerator (a GPU package or a TPU chip).

    Peaks are dense, in operations per second; 0 where the part has no unit for that precision, and work then runs at
    the next wider one with the weights unpacked on the fly. `scaleup_bytes_per_s` counts one direction.
    """

    name: str
    generation: str
    peak_bf16_flops_per_s: float
    peak_fp8_flops_per_s: float
    peak_fp4_flops_per_s: float
    hbm_bytes: float
    hbm_bytes_per_s: float
    scaleup_bytes_per_s: float
    scaleup_domain_size: int
    tdp_w: float
    idle_w: float
    min_power_w: float
    max_power_w: float
    launch_year: int
    maker: str = ""  # whose software stack it runs; blank where nobody says
    cache_tier_bytes: float = 0.0  # of slower memory beside it that keeps what paused sessions had cached
    cache_tier_bytes_per_s: float = ASSUMED_TIER_BYTES_PER_S  # at which it reads from there

    def __post_init__(self) -> None:
        may_be_zero = {"peak_fp8_flops_per_s", "peak_fp4_flops_per_s", "cache_tier_bytes"}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str):
                continue
            if not value >= 0 or (value == 0 and field.name not in may_be_zero):
                raise ValueError(f"Accelerator {self.name}.{field.name} is {value}; must be greater than 0")

    def peak_flops_per_s(self, precision: str) -> float:
        """Return the peak of a precision, or of the next wider one that the part has units for [1/s].

        Raises
        ------
        ValueError
            If the precision is unknown.
        """
        if precision not in WEIGHT_PRECISIONS:
            raise ValueError(f"precision is {precision!r}; must be one of {', '.join(WEIGHT_PRECISIONS)}")
        if precision in UNPACKED_TO_BF16:
            return self.peak_bf16_flops_per_s
        peaks = (self.peak_bf16_flops_per_s, self.peak_fp8_flops_per_s, self.peak_fp4_flops_per_s)
        return next(peak for peak in reversed(peaks[: PRECISIONS.index(precision) + 1]) if peak > 0)

    def compute_precision(self, precision: str) -> str:
        """Return the precision that the arithmetic really runs in for weights stored in `precision`."""
        if precision in UNPACKED_TO_BF16:
            return PRECISIONS[0]
        peaks = (self.peak_bf16_flops_per_s, self.peak_fp8_flops_per_s, self.peak_fp4_flops_per_s)
        at_most = PRECISIONS[: PRECISIONS.index(precision) + 1]
        return next(name for name, peak in zip(reversed(at_most), reversed(peaks[: len(at_most)]), strict=True) if peak)


def accelerator_from_entry(entry: Mapping[str, Any]) -> Accelerator:
    """Return the accelerator of a catalogue entry (kind `accelerators`).

    Blank fields are filled by rule: BF16 as half of FP8 (or a quarter of FP4), the scale-up link as a PCIe slot, idle
    power as 12 % of TDP, the lowest power cap as 30 % of TDP.

    Raises
    ------
    ValueError
        If memory, bandwidth, TDP or every peak is missing; names the entry and the field.
    """
    name = str(entry.get("id", "unnamed accelerator"))
    for needed in ("hbm_bytes", "hbm_bandwidth_bytes_per_s", "tdp_w"):
        if not entry.get(needed):
            raise ValueError(f"accelerator {name}: {needed} is {entry.get(needed)}; must be greater than 0")
    bf16, fp8, fp4 = (float(entry.get(f"peak_{p}_dense_flops_per_s") or 0.0) for p in PRECISIONS)
    if bf16 == 0.0:
        bf16 = fp8 / 2 if fp8 else fp4 / 4
    if bf16 == 0.0:
        raise ValueError(f"accelerator {name}: no dense peak for any of {', '.join(PRECISIONS)}")
    tdp_w = float(entry["tdp_w"])
    both_ways = entry.get("scaleup_bandwidth_bidir_bytes_per_s")
    return Accelerator(
        name=name,
        generation=str(entry.get("generation") or generation_of(name)),
        maker=str(entry.get("vendor") or "").lower(),
        peak_bf16_flops_per_s=bf16,
        peak_fp8_flops_per_s=fp8,
        peak_fp4_flops_per_s=fp4,
        hbm_bytes=max(float(entry["hbm_bytes"]), DRIVER_HBM_BYTES.get(name, 0.0)),
        hbm_bytes_per_s=float(entry["hbm_bandwidth_bytes_per_s"]),
        scaleup_bytes_per_s=float(both_ways) / 2 if both_ways else ASSUMED_PCIE_BYTES_PER_S,
        scaleup_domain_size=int(entry.get("scaleup_domain_size") or 1),
        tdp_w=tdp_w,
        idle_w=float(entry.get("idle_w") or ASSUMED_IDLE_FRAC_OF_TDP * tdp_w),
        min_power_w=float(entry.get("min_configurable_power_w") or 0.3 * tdp_w),
        max_power_w=float(entry.get("max_configurable_power_w") or tdp_w),
        launch_year=int(entry.get("launch_year") or 2024),
    )
