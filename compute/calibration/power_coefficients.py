"""Coefficients of accelerator power out of a fitted record: what `power_fit` found, for the cases that are asked.

Apart from the fit, so that who predicts does not wait for the optimiser's import.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.steps.power import PowerCoefficients

FloatArray = NDArray[np.float64]

GROUPS = ("spread", "model", "system", "sweep")  # that deviate from an accelerator's terms


def power_coefficients(fitted: Mapping[str, Any], attributes: Sequence[Mapping[str, str]]) -> PowerCoefficients:
    """Return the power coefficients of cases from a fitted record; unknown groups deviate by nothing."""
    terms = np.tile(np.asarray(fitted["global_log"], dtype=np.float64), (len(attributes), 1))
    accelerator = fitted["accelerator_log"]
    for i, case in enumerate(attributes):
        terms[i] += accelerator.get(case["accelerator"], _generation_mean(accelerator, case))
        terms[i, 2] += fitted.get("unpacked_log", [0.0])[0] * is_unpacked(case)
        terms[i] += fitted.get("sweep_terms_log", {}).get(group_name("sweep", case), [0.0])
        terms[i] += sum(fitted.get(f"{name}_log", {}).get(group_name(name, case), [0.0])[0] for name in GROUPS)
    return PowerCoefficients(*np.exp(terms).T)


def group_name(group: str, attributes: Mapping[str, str]) -> str:
    """Return the name of the group that a case belongs to.

    `spread` is the generation with whether an instance spans several accelerators, `model` the model, `system` model
    and accelerator, `sweep` the deployment whose runs differ in load alone.
    """
    if group == "spread":
        ranks = attributes.get("ranks", "")
        spans = "one" if set(ranks.split(".")) == {"1"} else "several" if ranks else ""
        return f"{attributes.get('generation', '')}|{spans}"
    depth = {"model": ("model",), "system": ("model", "accelerator")}.get(
        group, ("model", "accelerator", "ranks", "precision", "shape")
    )
    return "|".join(attributes.get(name, "") for name in depth)


def is_unpacked(attributes: Mapping[str, str]) -> bool:
    """Return whether weights are stored in a format that the accelerator has no arithmetic for."""
    return attributes.get("arithmetic", attributes["precision"]) != attributes["precision"]


def _generation_mean(by_accelerator: Mapping[str, Sequence[float]], case: Mapping[str, str]) -> FloatArray:
    """Return the deviation of a relative of the same generation (they share a letter and a digit), or none."""
    relatives = [v for name, v in by_accelerator.items() if _stem(name) == _stem(case["accelerator"])]
    return np.mean(relatives, axis=0) if relatives else np.zeros(3)


def _stem(name: str) -> str:
    """Return the family letter and digit of a part's name: gb300 and b200-sxm are both `b`."""
    return name.removeprefix("g")[:1]
