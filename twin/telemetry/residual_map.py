"""A comparison's residuals on the drawings of its layout: which symbol stands for which objects, coloured how."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.urls import reverse
from numpy.typing import NDArray

from facility.models import AirUnit, Layout, Rack, Site
from twin.core.diagrams.schematic import Node
from twin.core.telemetry.quantities import shown_unit
from twin.core.telemetry.residuals import NONE, STEPS, Frames, Off, frames_of
from twin.core.text.numbers import MINUS, quantity_text
from twin.models import Study, TelemetryPoint
from twin.telemetry.study_points import kept

MOST_COMPONENTS = 30
WHOLE = "whole span"
NOT_MEASURED = "."
_IN_BAND = ord("e")  # levels are letters: a four steps low, e in the band, i four steps high
LEVELS = "abcdefghi"


def level_word(code: str) -> str:
    """Return what a level says, such as "2–4 high"; a drawing never says it by colour alone."""
    if code == NOT_MEASURED:
        return "not measured"
    level = ord(code) - _IN_BAND
    if level == 0:
        return "in band"
    n = abs(level)
    span = f"over {STEPS[-1]:g}" if n == len(STEPS) else f"{STEPS[n - 1]:g}–{STEPS[n]:g}"
    return f"{span} {'high' if level > 0 else 'low'}"


@dataclass(frozen=True, slots=True, eq=False)
class ResidualMap:
    """The residuals of a comparison by object and frame, with their words."""

    frames: Frames
    addresses: Mapping[tuple[str, str], str]  # of the points' pages

    @property
    def labels(self) -> list[str]:
        """What each frame says of its time, UTC."""
        starts = self.frames.starts_ms[1:]
        return [WHOLE, *(f"{dt.datetime.fromtimestamp(ms / 1e3, dt.UTC):%d %b %Y %H:%M}" for ms in starts.tolist())][
            : len(self.frames.worst)
        ]

    def codes(self, objects: Iterable[str]) -> str:
        """Return the level of some objects by frame, one letter each: of several, the one furthest off."""
        rows = [self.frames.levels[name] for name in objects if name in self.frames.levels]
        n = len(self.frames.worst)
        return _spelled(_furthest(rows)) if rows else NOT_MEASURED * n

    def worst(self) -> list[list[tuple[str, str, str, str]]]:
        """Return by frame the points furthest off: name, residual, bands and address."""
        return [[self._said(off) for off in frame] for frame in self.frames.worst]

    def _said(self, off: Off) -> tuple[str, str, str, str]:
        name, quantity = off.key
        return f"{name} {quantity}", residual_text(off.residual, quantity), bands_text(off.bands), self.address(off.key)

    def address(self, key: tuple[str, str]) -> str:
        """Return the page of a point, blank where the site has none of it any more."""
        return self.addresses.get(key, "")

    def components(self) -> list[dict[str, Any]]:
        """Return the objects that are furthest off over the whole span."""
        return [
            {
                "object": row.object,
                "quantity": row.quantity,
                "residual": residual_text(row.mean, row.quantity),
                "bands": row.rms_bands,
                "href": self.address((row.object, row.quantity)),
            }
            for row in self.frames.components[:MOST_COMPONENTS]
        ]


def residual_map(study: Study, quantity: str = "") -> ResidualMap:
    """Return a comparison's residuals, of one quantity where one is named."""
    driven = [(row["object"], row["quantity"]) for row in (study.result or {}).get("points", []) if row["input"]]
    frames = frames_of(kept(study, quantity), driven)
    return ResidualMap(frames, point_addresses(study.layout.site, study))


def point_addresses(site: Site, study: Study) -> dict[tuple[str, str], str]:
    """Return the pages of a site's points, each beside a comparison."""
    start = reverse("measured-point", args=[site.slug, 0])
    rows = TelemetryPoint.objects.filter(site=site).values_list("object", "quantity", "id")
    return {(name, quantity): f"{start[:-2]}{pk}/?study={study.id}" for name, quantity, pk in rows}


def node_objects(layout: Layout, nodes: Sequence[Node]) -> dict[str, list[str]]:
    """Return the objects that each symbol of a diagram stands for, by the symbol's key."""
    names = {
        "feed": {pk: [f"feed/{name}"] for pk, name in layout.power_feeds.values_list("id", "name")},
        "cdu": {pk: [f"cdu/{name}"] for pk, name in layout.cdus.values_list("id", "name")},
        "plant": {pk: [f"plant/{name}"] for pk, name in layout.cooling_plants.values_list("id", "name")},
        "hall": {pk: [f"hall/{name}"] for pk, name in layout.halls.values_list("id", "name")},
        "racks": {},
    }
    for hall_id, name in AirUnit.objects.filter(layout=layout).values_list("hall_id", "name"):
        names["hall"][hall_id].append(f"air-unit/{name}")
    racks = Rack.objects.filter(hall__layout=layout).values_list("id", "hall__name", "name")
    names["racks"] = {pk: [f"rack/{hall}/{name}", f"rack/{hall}/{name}/accelerators"] for pk, hall, name in racks}
    return {node.key: [name for pk in node.ids for name in names.get(node.kind, {}).get(pk, [])] for node in nodes}


def residual_text(value: float, quantity: str) -> str:
    """Return a residual with sign and unit."""
    text = quantity_text(value, shown_unit(quantity, difference=True))
    return text if text.startswith(MINUS) else f"+{text}"


def bands_text(bands: float) -> str:
    """Return how many bands a residual is, with its sign."""
    return f"{'+' if bands >= 0 else MINUS}{abs(bands):.1f}"


def _furthest(rows: Sequence[NDArray[np.int8]]) -> NDArray[np.int8]:
    levels = np.stack(rows).astype(int)
    size = np.where(levels == NONE, -1, np.abs(levels))
    return np.take_along_axis(levels, np.argmax(size, axis=0)[None, :], axis=0)[0]


def _spelled(levels: NDArray[np.integer]) -> str:
    return "".join(NOT_MEASURED if level == NONE else chr(_IN_BAND + level) for level in levels.tolist())
