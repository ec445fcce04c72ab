"""A layout of a wished size from one that stands: a published design, or any layout that the user may see.

Racks are kept in the proportion of the design, in as many blocks (hall, CDUs, plants, feeds below the utility) as the
wished IT power asks for; what no rack needs any more goes. How many units each machine then needs is counted by
`twin.onboarding.sizing`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from facility.interchange.site_file import layout_load, site_document
from facility.models import Layout, Product, Rack, Site
from facility.permissions import check_write
from power_cooling.site_facts.ratings import nameplate_w
from twin.interchange.site_file import scenario_copy

MOST_BLOCKS = 50
NEXT_TO_M = 2.0  # an aisle belongs to the rows nearer to it than this
REFERENCES = ("hall", "plant", "cdu", "parent", "feed_a", "feed_b")
NAMED_GROUPS = ("group", "redundancy_group")


@transaction.atomic
def layout_from_reference(*, design: Layout, site: Site, it_power_w: float, name: str = "", user=None) -> Layout:
    """Make a layout of a design's kind whose racks draw at most a wished power at their nameplates.

    Parameters
    ----------
    design : Layout
        What is copied; of any site that the user may see.
    site : Site
        Where the new layout stands.
    it_power_w : float
        Wished power of all racks at their nameplates [W].
    name : str
        Empty: the racks that are made, and their power.

    Raises
    ------
    ValidationError
        If not one rack of the design fits into the power, or more than 50 blocks would be needed.
    """
    check_write(user, site)
    document = site_document(design.site, only=design)["layouts"][0]
    racks = list(Rack.objects.filter(hall__layout=design).select_related("product"))
    total_w = sum(
        nameplate_w(rack.product.facts if rack.product else {}, rack.n_systems, rack.other_power_w) for rack in racks
    )
    n_drawn = sum(rack.role == Rack.Role.COMPUTE for rack in racks)
    if not n_drawn or total_w <= 0:
        raise ValidationError({"design": f"{design.name} has no compute rack to take as a design."})
    n_compute = math.floor(it_power_w * n_drawn / total_w)
    if n_compute < 1:
        raise ValidationError(
            {
                "it_power_mw": f"{it_power_w / 1e6:.3g} MW is less than one rack of {design.name} with its share of "
                f"support racks draws; allowed from {total_w / n_drawn / 1e6:.3g} MW."
            }
        )
    n_blocks = math.ceil(n_compute / n_drawn)
    if n_blocks > MOST_BLOCKS:
        raise ValidationError(
            {
                "it_power_mw": f"{it_power_w / 1e6:.3g} MW takes {n_blocks} halls of {design.name}; at most "
                f"{MOST_BLOCKS} are made, {MOST_BLOCKS * total_w / 1e6:.3g} MW."
            }
        )
    per_block = [n_compute // n_blocks + (i < n_compute % n_blocks) for i in range(n_blocks)]
    blocks = [_block(document, n, "" if i == 0 else f" {i + 1}") for i, n in enumerate(per_block)]
    sections = {section: [row for block in blocks for row in block[section]] for section in blocks[0]}
    products = {rack.product.slug: rack.product for rack in racks if rack.product}
    made = _made(sections["racks"], products)
    name = name or made.name
    notes = (
        f"{made.racks} in {len(sections['halls'])} hall{'s' if len(sections['halls']) > 1 else ''}, "
        f"{made.power} of IT at their nameplates; {it_power_w / 1e6:.3g} MW were wished for. Made after "
        f"{design.name} of {design.site.name}."
    )
    if design.notes:
        notes += f" Notes of that design, which is of another size: “{design.notes}”"
    entry: dict[str, Any] = {"slug": _free_slug(site, name), "name": name, "notes": notes[:4000], **sections}
    roots = [feed for feed in entry["power_feeds"] if feed["kind"] == "utility"]
    for feed in roots:
        feed["rating_w"] = site.grid_limit_w
    layout = layout_load(site, entry, user=user)
    asked = design.site.scenarios.first()  # its default
    if asked is not None and not site.scenarios.exists():
        scenario_copy(asked, site)
    return layout


class Made(NamedTuple):
    """What was made, in words."""

    name: str
    racks: str
    power: str


def _made(racks: list[dict[str, Any]], products: Mapping[str, Product]) -> Made:
    """Return the racks of a layout by product and their power at their nameplates."""
    power_w, computing, others = 0.0, Counter(), Counter()
    for rack in racks:
        product = products.get(rack.get("product") or "")
        facts = product.facts if product else {}
        power_w += nameplate_w(facts, rack.get("n_systems", 1), rack.get("other_power_w", 0.0))
        role = rack.get("role", Rack.Role.COMPUTE)
        if role == Rack.Role.COMPUTE:
            computing[product.name if product else "other rack"] += 1
        else:
            others[role] += 1
    kinds = [f"{n} × {kind}" for kind, n in computing.most_common()]
    beside = [f"{n} {role} rack{'s' if n > 1 else ''}" for role, n in sorted(others.items())]
    power = f"{power_w / 1e6:.3g} MW"
    short = kinds[0] if len(kinds) == 1 else f"{computing.total()} racks"
    return Made(f"{short}, {power} of IT"[:160], ", ".join([*kinds, *beside]), power)


def _free_slug(site: Site, name: str) -> str:
    slug = slugify(name)[:70] or "layout"
    taken = set(site.layouts.values_list("slug", flat=True))
    return next(free for i in range(1, len(taken) + 2) if (free := slug if i == 1 else f"{slug}-{i}") not in taken)


def _block(document: dict[str, Any], n_compute: int, suffix: str) -> dict[str, list[dict[str, Any]]]:
    """Return the sections of a design with its first compute racks, their share of the others and what these need."""
    share = n_compute / sum(rack.get("role", Rack.Role.COMPUTE) == Rack.Role.COMPUTE for rack in document["racks"])
    racks = _kept(document["racks"], n_compute, share)
    sections = {name: list(rows) for name, rows in document.items() if isinstance(rows, list)}
    sections.pop("calibrated_parameters", None)  # fitted to other machines
    sections["racks"] = racks
    sections["power_feeds"] = _fed(sections["power_feeds"], racks)
    used = {rack.get("cdu") for rack in racks}
    groups = {cdu.get("group") for cdu in sections["cdus"] if cdu["name"] in used}
    sections["cdus"] = [cdu for cdu in sections["cdus"] if cdu["name"] in used or cdu.get("group") in groups]
    sections["floor_features"] = [row for row in sections.get("floor_features", []) if _near(row, racks)]
    sections["cooling_plants"] = [_shrunk(plant, share) for plant in sections["cooling_plants"]]
    shared = {feed["name"] for feed in sections["power_feeds"] if feed["kind"] == "utility"}
    if suffix:
        sections["power_feeds"] = [feed for feed in sections["power_feeds"] if feed["name"] not in shared]
        sections["fabrics"] = []  # one network over all blocks
    return {
        name: [_renamed(row, suffix, shared, named=name != "racks") for row in rows] for name, rows in sections.items()
    }


def _kept(racks: list[dict[str, Any]], n_compute: int, share: float) -> list[dict[str, Any]]:
    """Return the first racks of each kind in the design's proportions: so many that compute, others rounded down."""
    kinds: dict[tuple[str, Any], list[int]] = {}
    for i, rack in enumerate(racks):
        kinds.setdefault((rack.get("role", Rack.Role.COMPUTE), rack.get("product")), []).append(i)
    counts = {kind: math.floor(len(at) * share + 1e-9) for kind, at in kinds.items()}
    computing = [kind for kind in kinds if kind[0] == Rack.Role.COMPUTE]
    largest_rest = sorted(computing, key=lambda kind: counts[kind] - len(kinds[kind]) * share)
    for kind in largest_rest[: n_compute - sum(counts[kind] for kind in computing)]:
        counts[kind] += 1
    kept = {i for kind, at in kinds.items() for i in at[: counts[kind]]}
    return [rack for i, rack in enumerate(racks) if i in kept]


def _fed(feeds: list[dict[str, Any]], racks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the feeds without those that end at no rack any more; sources and what fed no rack before stay."""
    ends = {rack.get(side) for rack in racks for side in ("feed_a", "feed_b")}
    parents = {feed.get("parent") for feed in feeds}
    return [feed for feed in feeds if feed["kind"] != "busway" or feed["name"] in ends or feed["name"] in parents]


def _near(feature: dict[str, Any], racks: Iterable[dict[str, Any]]) -> bool:
    """Return whether an aisle still has a rack beside it; other features stay."""
    if not feature.get("type", "").endswith("aisle"):
        return True
    x0, y0 = feature["x_m"] - NEXT_TO_M, feature["y_m"] - NEXT_TO_M
    x1 = feature["x_m"] + feature.get("width_m", 0.0) + NEXT_TO_M
    y1 = feature["y_m"] + feature.get("depth_m", 0.0) + NEXT_TO_M
    return any(rack["hall"] == feature["hall"] and x0 < rack["x_m"] < x1 and y0 < rack["y_m"] < y1 for rack in racks)


def _shrunk(plant: dict[str, Any], share: float) -> dict[str, Any]:
    """Return a plant with the share of its coolers: those of free cooling alone are sized by no hour."""
    spare = plant.get("n_heat_rejection_spare", 0)
    duty = max(math.ceil((plant.get("n_heat_rejection", 1) - spare) * share - 1e-9), 1)
    return plant | {"n_heat_rejection": duty + spare}


def _renamed(row: dict[str, Any], suffix: str, shared: set[str], *, named: bool) -> dict[str, Any]:
    """Return a row under the names of its block; what all blocks share, and racks in their hall, keep their own."""
    renamed = {*REFERENCES, *NAMED_GROUPS, *(("name",) if named else ())}
    return {
        key: f"{value}{suffix}" if suffix and key in renamed and value and value not in shared else value
        for key, value in row.items()
    }
