"""Which of its recommended models a use case takes, and which systems are refused by name."""

from dataclasses import replace

import pytest

from tests.small_site import new_rack, product, small_layout
from twin.core.inputs.equipment import rack_table
from twin.core.inputs.layout import layout_inputs
from twin.core.results.findings import BLOCKING
from twin.core.solve.simulate import described
from twin.runs.findings import layout_findings

pytestmark = pytest.mark.django_db


def test_a_use_case_takes_the_recommended_model_with_most_tokens_per_watt(sample_inputs):
    stored = sample_inputs("sterling/gb200-nvl72")
    (share,) = stored["scenario"]["workloads"]
    share |= {"model": None, "configuration": ""}
    recommended = share["workload"]["facts"]["recommended_models"]
    assert recommended[0] != "gpt-oss-120b"  # the first that keeps the targets was taken before
    chosen = described(layout_inputs(stored)).pools[0]
    assert chosen.model == "gpt-oss-120b"
    share["workload"]["facts"]["recommended_models"] = recommended[:1]
    first = described(layout_inputs(stored)).pools[0]
    assert (first.model, first.feasible) == (recommended[0], True)
    assert chosen.capacity_per_s * chosen.output_tokens > 2 * first.capacity_per_s * first.output_tokens


def test_models_that_are_not_in_the_catalogue_are_passed_over_unless_none_is(sample_inputs):
    stored = sample_inputs("sterling/gb200-nvl72")
    (share,) = stored["scenario"]["workloads"]
    share |= {"model": None, "configuration": ""}
    share["workload"]["facts"]["recommended_models"] = ["none-such", "gpt-oss-120b"]
    assert described(layout_inputs(stored)).pools[0].model == "gpt-oss-120b"
    share["workload"]["facts"]["recommended_models"] = ["none-such"]
    with pytest.raises(ValueError, match="none of none-such is in the catalogue"):
        described(layout_inputs(stored))


def test_a_system_with_accelerators_of_a_second_kind_is_refused_by_name(sample_inputs):
    inputs = layout_inputs(sample_inputs("sterling/vera-rubin-nvl72"))
    key, sheet = next(item for item in inputs.products.by_id.items() if item[1].slug == "vera-rubin-nvl72")
    facts = {**sheet.facts, "secondary_accelerator": "rubin-cpx", "secondary_accelerators": 144}
    by_id = {**inputs.products.by_id, key: replace(sheet, facts=facts)}
    with pytest.raises(ValueError, match="has 144 rubin-cpx beside its accelerators"):
        rack_table(replace(inputs, products=replace(inputs.products, by_id=by_id)))
    layout = small_layout()
    product("accelerators", "rubin-r200")
    new_rack(layout, product=product("systems", "vera-rubin-nvl144-cpx")).save()
    (found,) = [finding for finding in layout_findings(layout) if finding.rule == "secondary accelerators"]
    assert (found.object_name, found.severity) == ("A-01", BLOCKING)
