"""What the rules that compute say of a layout: whether feeds and cooling carry the racks at their highest power."""

from collections.abc import Iterator

from twin.core.inputs.equipment import secondary_reason
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.parameters import without_object
from twin.core.results.assumptions import FAR_M
from twin.core.results.findings import BLOCKING, RISK
from twin.core.rules.cooling import cooling_findings
from twin.core.rules.design_load import RackDesign, design_load, rack_design
from twin.core.rules.feed_loads import Feeds, hall_losses_w, layout_feeds
from twin.core.rules.power import power_findings
from twin.core.rules.report import Finding
from twin.core.rules.sizes import size_findings


def rule_findings(inputs: LayoutInputs) -> list[Finding]:
    """Return the findings of power and of cooling; an unfinished layout has those that can be judged.

    Parameters
    ----------
    inputs : LayoutInputs
        The layout; its scenario is not read, its weather is that of the site.
    """
    sizes = list(size_findings(inputs))
    if not inputs.halls:
        return sizes  # nothing can stand anywhere yet
    racks = rack_design(inputs)
    general = [*_station_height(inputs), *_calibrated_without_object(inputs), *_secondary_accelerators(inputs)]
    feeds, found = _feeds(inputs, racks)
    losses_w = None if feeds is None else hall_losses_w(inputs, feeds)
    try:
        design = design_load(inputs, racks, losses_w)
    except ValueError as refusal:
        return [
            *sizes,
            *found,
            Finding("site", None, inputs.site.name, "not modelled", BLOCKING, None, None, "", str(refusal)),
        ]
    return [*sizes, *found, *general, *power_findings(inputs, design, feeds), *cooling_findings(inputs, design)]


def _station_height(inputs: LayoutInputs) -> Iterator[Finding]:
    """Yield a finding where site and weather station differ in height by more than their temperatures allow."""
    station_m = inputs.weather.elevation_m
    if station_m is None or abs(inputs.site.elevation_m - station_m) <= FAR_M:
        return
    higher = "higher" if inputs.site.elevation_m > station_m else "lower"
    height_m = abs(inputs.site.elevation_m - station_m)
    yield Finding(
        "site",
        None,
        inputs.site.name,
        "weather station height",
        RISK,
        height_m,
        FAR_M,
        "m",
        f"Stands {height_m:,.0f} m {higher} than its weather station ({inputs.weather.name}, {station_m:,.0f} m): air "
        "pressure is shifted, temperature and humidity are not. Take a station nearer its height, or correct its "
        "elevation.",
    )


def _secondary_accelerators(inputs: LayoutInputs) -> Iterator[Finding]:
    """Yield a finding for the first rack of each system with accelerators of a second kind, which no run serves on."""
    named: set[int] = set()
    for rack_id, name, product_id in zip(inputs.racks.id, inputs.racks.name, inputs.racks.product_id, strict=True):
        sheet = inputs.product(product_id)
        if sheet is None or product_id in named or not (reason := secondary_reason(sheet)):
            continue
        named.add(product_id or 0)
        yield Finding("rack", rack_id, name, "secondary accelerators", BLOCKING, None, None, "", f"{reason}.")


def _calibrated_without_object(inputs: LayoutInputs) -> Iterator[Finding]:
    """Yield a finding for each parameter that was fitted to an object which the layout no longer has."""
    for truth in without_object(inputs):
        yield Finding(
            "site",
            None,
            truth.object,
            "calibrated object missing",
            RISK,
            truth.value,
            None,
            "",
            f"{truth.parameter} was fitted to readings of {truth.object}, which this layout does not have: it is not "
            "applied. Name the object as it was, or calibrate again.",
        )


def _feeds(inputs: LayoutInputs, racks: RackDesign) -> tuple[Feeds | None, list[Finding]]:
    if not inputs.feeds:
        return None, []
    try:
        return layout_feeds(inputs, racks), []
    except ValueError as refusal:
        feed, message = inputs.feeds[0], str(refusal)
        message = f"{message[0].upper()}{message[1:]}."
        return None, [Finding("power_feed", feed.id, feed.name, "feeds", BLOCKING, None, None, "", message)]
