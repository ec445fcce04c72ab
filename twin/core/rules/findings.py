"""What the rules that compute say of a layout: whether feeds and cooling carry the racks at their highest power."""

from twin.core.inputs.layout import LayoutInputs
from twin.core.results.findings import BLOCKING
from twin.core.rules.cooling import cooling_findings
from twin.core.rules.design_load import RackDesign, design_load, rack_design
from twin.core.rules.feed_loads import Feeds, hall_losses_w, layout_feeds
from twin.core.rules.power import power_findings
from twin.core.rules.report import Finding


def rule_findings(inputs: LayoutInputs) -> list[Finding]:
    """Return the findings of power and of cooling; an unfinished layout has those that can be judged.

    Parameters
    ----------
    inputs : LayoutInputs
        The layout; its scenario is not read, its weather is that of the site.
    """
    if not inputs.halls:
        return []  # nothing can stand anywhere yet
    racks = rack_design(inputs)
    feeds, found = _feeds(inputs, racks)
    losses_w = None if feeds is None else hall_losses_w(inputs, feeds)
    try:
        design = design_load(inputs, racks, losses_w)
    except ValueError as refusal:
        return [*found, Finding("site", None, inputs.site.name, "not modelled", BLOCKING, None, None, "", str(refusal))]
    return [*found, *power_findings(inputs, design, feeds), *cooling_findings(inputs, design)]


def _feeds(inputs: LayoutInputs, racks: RackDesign) -> tuple[Feeds | None, list[Finding]]:
    if not inputs.feeds:
        return None, []
    try:
        return layout_feeds(inputs, racks), []
    except ValueError as refusal:
        feed, message = inputs.feeds[0], str(refusal)
        message = f"{message[0].upper()}{message[1:]}."
        return None, [Finding("power_feed", feed.id, feed.name, "feeds", BLOCKING, None, None, "", message)]
