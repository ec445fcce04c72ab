"""Heat strain, WBGT and comfort votes against the published tables."""

import importlib.util
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from power_cooling.cooling import comfort
from twin.validation.check import Check, at_most, of_file, skipped

GROUP = "people"


def checks(data: Path) -> Iterator[Check]:
    """Yield one check per table under `data`; the values of every case count."""
    folder = data / "oracles" / "comfort"
    for name, file, compare in (
        ("predicted heat strain", "ts_phs.json", _heat_strain),
        ("wet-bulb globe temperature", "ts_wbgt.json", _wbgt),
        ("predicted mean vote", "ts_pmv_ppd.json", _vote),
    ):
        path = folder / file
        if not path.is_file():
            yield skipped(name, GROUP, [path])
            continue
        if importlib.util.find_spec("pythermalcomfort") is None:
            yield Check(name, GROUP, 0, None, None, "", "skipped", "pythermalcomfort is not installed")
            continue
        yield from of_file(name, GROUP, path, lambda path, compare=compare: compare(json.loads(path.read_text())))


def _differences(outputs: dict, values: dict, tolerance: dict) -> list[float]:
    """Errors over tolerance; a value where the table has none, or none where it has one, counts as infinite."""
    errors = []
    for key, expected in outputs.items():
        if key not in tolerance or key not in values:
            continue
        ours = np.atleast_1d(np.asarray(values[key], dtype=float))
        wanted = np.array(
            [np.nan if v is None else v for v in np.atleast_1d(np.asarray(expected, object))], dtype=float
        )
        ours, wanted = np.broadcast_arrays(ours, wanted)
        both = np.isnan(ours) & np.isnan(wanted)
        either = np.isnan(ours) ^ np.isnan(wanted)
        # A difference of one last digit is inside the tolerance, also where binary fractions make it 1e-16 more.
        error = np.where(
            both, 0.0, np.where(either, np.inf, np.maximum(np.abs(ours - wanted) / tolerance[key] - 1e-9, 0))
        )
        errors += list(error)
    return errors


def _arrays(inputs: dict, *keys: str) -> list[np.ndarray]:
    return [np.asarray(inputs[key], dtype=float) for key in keys]


def _heat_strain(document: dict) -> Iterator[Check]:
    errors = []
    edition: comfort.HeatStrainEdition = "7933-2004"
    for case in document["data"]:
        given = case["inputs"]
        air, radiant, speed, humid, work, clothes = _arrays(given, "tdb", "tr", "v", "rh", "met", "clo")
        strain = comfort.predicted_heat_strain(
            air,
            radiant,
            speed,
            humid / 100,
            metabolic_met=work,
            clothing_clo=clothes,
            posture=given["posture"],
            edition=edition,
            acclimatised=bool(given.get("acclimatized", 100)),
            walking_m_per_s=given.get("walk_sp"),
            walking_angle_deg=given.get("theta"),
        )
        values = {
            "t_re": np.round(strain.rectal_degc, 1),
            "sweat_loss_g": strain.sweat_loss_g,
            "d_lim_loss_50": strain.water_loss_average_limit_minutes,
            "d_lim_loss_95": strain.water_loss_most_limit_minutes,
            "d_lim_t_re": strain.rectal_limit_minutes,
        }
        errors += _differences(case["outputs"], values, document["tolerance"])
    note = "ISO 7933:2004, the table's edition; new assessments use 2023"
    yield at_most("predicted heat strain", GROUP, len(errors), max(errors, default=np.nan), 1.0, "of tolerance", note)


def _wbgt(document: dict) -> Iterator[Check]:
    errors = []
    for case in document["data"]:
        given = case["inputs"]
        air = given.get("tdb") if given.get("with_solar_load") else None
        value = comfort.wet_bulb_globe_degc(*_arrays(given, "twb", "tg"), air)
        errors += _differences(case["outputs"], {"wbgt": np.round(value, 1)}, document["tolerance"])
    yield at_most("wet-bulb globe temperature", GROUP, len(errors), max(errors, default=np.nan), 1.0, "of tolerance")


def _vote(document: dict) -> Iterator[Check]:
    from pythermalcomfort.models import pmv_ppd_ashrae  # compiles for many seconds on first import

    errors = []
    for case in document["data"]:
        given = case["inputs"]
        limited = given.get("limit_inputs", True)
        if given.get("standard", "ISO") == "ISO" and given.get("units", "SI") == "SI":
            air, radiant, speed, humid, work, clothes = _arrays(given, "tdb", "tr", "vr", "rh", "met", "clo")
            vote, share, inside = comfort.predicted_mean_vote(
                air, radiant, speed, humid / 100, metabolic_met=work, clothing_clo=clothes
            )
            shown = inside | (not limited)
            values = {"pmv": np.where(shown, vote, np.nan), "ppd": np.where(shown, 100 * share, np.nan)}
        else:
            options = {key: value for key, value in given.items() if key != "standard"}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a missing value is compared as such
                result = pmv_ppd_ashrae(**options)
            values = {"pmv": result.pmv, "ppd": result.ppd}
        errors += _differences(case["outputs"], values, document["tolerance"])
    note = "ISO 7730 and ASHRAE 55 cases"
    yield at_most("predicted mean vote", GROUP, len(errors), max(errors, default=np.nan), 1.0, "of tolerance", note)
