"""A fit over a span with a fault in it is refused by the fault's name; lasting errors that are fitted do no harm."""

import numpy as np
import pytest

from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.telemetry.diagnosed_fit import fit_diagnosed, in_the_way
from twin.core.telemetry.layout_faults import LayoutFault
from twin.core.telemetry.publish import fault_of, publish, truths_of, usual_noise

pytestmark = [pytest.mark.compiled, pytest.mark.django_db]  # the samples are loaded once

LAYOUT = "sterling/gb200-nvl72"
START_S, OFFSET_S, HOURS = 1_782_903_600.0, -18_000.0, 48
SPAN = {"start_s": START_S, "end_s": START_S + HOURS * 3600, "offset_s": OFFSET_S}


@pytest.fixture(scope="module")
def inputs(sample_inputs):
    return layout_inputs(sample_inputs(LAYOUT))


def fitted(inputs, faults=(), truths=()):
    published = publish(
        inputs,
        start_s=START_S,
        offset_s=OFFSET_S,
        hours=HOURS,
        step_s=3600.0,
        noise=usual_noise(1.0),
        seed=11,
        faults=[fault_of(inputs, text) for text in faults],
        truths=truths_of(inputs, list(truths)),
    )
    times = np.round(published.times * 1e3).astype(np.int64)
    measured = {key: (times, values, np.ones(times.size, np.uint8)) for key, values in published.points.items()}
    return fit_diagnosed(described(inputs), measured, **SPAN)


def test_a_fit_over_a_strong_fault_is_refused_and_the_fault_named(inputs):
    fit = fitted(inputs, ["kind=bypass,object=cdu/CDU-1c,start=2026-07-02T06:00:00-05:00,size=0.5"])
    assert not fit.accepted
    assert fit.reason.startswith("refused: the readings show bypass of cdu/CDU-1c since 2026-07-02T11:00:00Z")
    assert [row["kind"] for row in fit.faults][:1] == ["bypass"]


def test_a_lasting_bias_is_fitted_and_accepted(inputs):
    truth = {"object": "cdu/CDU-1a|secondary_return_degc", "parameter": "sensor_bias", "value": 0.8}
    fit = fitted(inputs, truths=[truth])
    assert fit.accepted, fit.reason
    assert [row["object"] for row in fit.faults] == [truth["object"]]


@pytest.mark.parametrize(
    ("kind", "name", "lasting", "said"),
    [
        ("sensor_bias", "cdu/C|primary_return_degc", True, None),
        ("sensor_gain", "cdu/C|primary_return_degc", True, None),
        ("sensor_gain", "cdu/C|primary_flow_kg_s", True, "sensor_gain is not fitted"),
        ("fouling", "cdu/C", False, "calibrate on a span before it"),
        ("bypass", "cdu/C", True, "no fitted parameter stands for"),
        ("ups_degraded", "feed/U", True, None),
        ("sensor_gain", "air-unit/A|power_w", False, None),  # tells nothing that is fitted
        ("phase_loss", "feed/U", True, "no fitted parameter stands for"),
    ],
)
def test_only_what_a_fitted_parameter_stands_for_may_be_fitted_over(kind, name, lasting, said):
    fault = LayoutFault({"kind": kind, "object": name, "since": "2026-07-02T11:00:00Z"}, lasting)
    told = in_the_way(fault, ("sensor_bias", "ua_frac", "ups_loss_frac"))
    assert (told is None) == (said is None)
    assert said is None or said in told
