"""The one-line diagram of power: sources at the left, racks at the right, a feed's supplier always left of it.

Feeds and racks come as rows of plain values. Racks are drawn as groups that share their pair of feeds, beside feed A;
feed B carries a note that says so, as drawings do where a line would cross all others. Feeds that back each other up
stand in one box where they stand together, and carry their scheme as a tag where they do not.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from twin.core.diagrams.rows import DrawnFeed, DrawnRack
from twin.core.diagrams.schematic import (
    BLOCK_HEIGHT,
    BLOCK_WIDTH,
    STATE,
    Box,
    Node,
    Reading,
    Schematic,
    Slot,
    Wire,
    block,
    cut,
)
from twin.core.inputs.feed_ratings import PRIME, is_shaving, parallel_utilities, standby_generators
from twin.core.text.numbers import quantity_text

ROW_HEIGHT, ROW_WIDTH, RACKS_WIDTH = 26.0, 396.0, 250.0
BLOCK_PITCH = BLOCK_HEIGHT + 34  # leaves room for the label of a box
COLUMN_GAP = 28.0
MARGIN = 14.0
MOST_ROWS = 150  # beyond, a supplier's feeds of one kind that only carry racks share one symbol
FEW_PARTNERS = 3  # racks on one feed A with more different feeds B are drawn as one group
SYMBOLS = {
    "utility": "utility",
    "generator": "generator",
    "transformer": "transformer",
    "ups": "ups",
    "bess": "battery",
    "switchboard": "switchboard",
    "busway": "busway",
    "pdu": "pdu",
}
COOLING, LIGHTING, OWN = "cooling", "lighting", "own"
#: Loads of the site beside its racks: title, what is told of it, total of the state.
SITE_LOADS = {
    COOLING: ("Cooling", "Fans, pumps and chillers: in the utility's load, no board is described", "cooling_power_w"),
    LIGHTING: ("Hall lighting", "In the utility's load, no board is described for it", "lighting_power_w"),
    OWN: (
        "Building",
        "Offices and services, engine heaters, cooling of the feeds' rooms: in the first utility's load, else in the "
        "first source's",
        "own_power_w",
    ),
}
BOARD = "board"  # the kind of what hangs on a board that is kept for cooling
LOAD_SYMBOLS = {"racks": "racks", COOLING: "fan", BOARD: "fan"}


@dataclass(slots=True)
class _Branch:
    """One thing of the tree before it has a place: a feed or several folded ones, racks, or a note about racks."""

    key: str
    feeds: list[DrawnFeed] = field(default_factory=list)
    racks: tuple[int, ...] = ()
    title: str = ""
    note: str = ""
    below: list["_Branch"] = field(default_factory=list)
    beside: list["_Branch"] = field(default_factory=list)  # generators beside or behind a utility, drawn under it
    load: Reading | None = None  # of what is no feed: what it draws
    kind: str = ""  # of what is no feed
    depth: int = 0
    in_row: bool = False  # small: one line of text
    y: float = 0.0  # of its middle

    @property
    def width(self) -> float:
        """Width of its symbol with text."""
        if not self.feeds:
            return RACKS_WIDTH
        return ROW_WIDTH if self.in_row else BLOCK_WIDTH

    @property
    def own_height(self) -> float:
        """Height that it needs without what is below it."""
        return ROW_HEIGHT if self.in_row else BLOCK_PITCH * (1 + len(self.beside))

    @property
    def height(self) -> float:
        """Height that it needs with everything right of it."""
        return max(self.own_height, sum(branch.height for branch in self.below))

    def walk(self) -> Iterator["_Branch"]:
        """Yield it, the sources beside it and everything below it."""
        yield self
        yield from self.beside
        for branch in self.below:
            yield from branch.walk()


def one_line(feeds: Sequence[DrawnFeed], racks: Sequence[DrawnRack]) -> Schematic:
    """Return the drawing of a layout's feeds.

    Parameters
    ----------
    feeds : sequence of DrawnFeed
    racks : sequence of DrawnRack

    Returns
    -------
    Schematic
        Without nodes if there are no feeds.
    """
    roots = _tree(feeds, racks)
    if sum(1 for root in roots for branch in root.walk() if branch.in_row) > MOST_ROWS:
        for branch in [branch for root in roots for branch in root.walk()]:
            branch.below = _folded(branch.below)
    return _drawn(roots, _partners(feeds))


def _tree(feeds: Sequence[DrawnFeed], racks: Sequence[DrawnRack]) -> list[_Branch]:
    """Return the sources with everything below them."""
    known = {feed.id: feed for feed in feeds}
    below = defaultdict(list)
    for feed in feeds:
        below[feed.parent_id if feed.parent_id in known else None].append(feed)
    served = _rack_branches(known, racks)
    utility_of = _utility_of(feeds, below)

    def branch(feed: DrawnFeed, depth: int) -> _Branch:
        made = _Branch(f"feed-{feed.id}", feeds=[feed], depth=depth)
        beside = [g for g in feeds if utility_of.get(g.id, -1) == feed.id]
        made.beside = [_Branch(f"feed-{g.id}", feeds=[g], depth=depth) for g in sorted(beside, key=_waits)]
        made.below = [branch(child, depth + 1) for child in below[feed.id]]
        made.in_row = not made.below and depth > 0 and (bool(served[feed.id]) or len(below[feed.parent_id]) > 2)
        for racks_below in served[feed.id]:
            racks_below.depth = depth + 1
        made.below += served[feed.id]
        return made

    roots = [branch(feed, 0) for feed in below[None] if feed.id not in utility_of]
    _add_site_loads(feeds, racks, roots)
    return roots


def _waits(feed: DrawnFeed) -> bool:
    return feed.operation != PRIME


def _utility_of(feeds: Sequence[DrawnFeed], below: Mapping[int | None, list[DrawnFeed]]) -> dict[int, int | None]:
    """Return the utility that each generator runs beside or stands behind.

    One that carries feeds of its own is a source like others.
    """
    ids = {feed.name: feed.id for feed in feeds if feed.kind in ("utility", "generator")}
    found: dict[int, int | None] = {g: ids[utility] for g, utility in parallel_utilities(feeds).items()}
    for utility, name in standby_generators(feeds).items():
        if not below[ids[name]]:
            found.setdefault(ids[name], utility)
    return found


def _add_site_loads(feeds: Sequence[DrawnFeed], racks: Sequence[DrawnRack], roots: list[_Branch]) -> None:
    """Add what the site draws beside its racks, where the solver has it drawn from.

    Cooling and lighting hang on the boards that are kept for them, see `feeds.mechanical_nodes`, else on the utility;
    where several share them they stand alone. The rest hangs on the first utility, else on the first source.
    """
    if not roots:
        return
    used = {feed.parent_id for feed in feeds} | {own for rack in racks for own in (rack.feed_a_id, rack.feed_b_id)}
    boards = {f.id for f in feeds if f.id not in used and f.kind in ("switchboard", "pdu", "transformer")}
    for branch in [branch for root in roots for branch in root.walk()]:
        if branch.feeds and branch.feeds[0].id in boards:
            branch.below.append(_board_load(branch.feeds, branch.depth + 1))
    utilities = [root for root in roots if root.feeds[0].kind == "utility"]
    carriers = utilities or roots
    first = carriers[0]
    alone: list[_Branch] = []
    if not boards:
        shared = alone if len(carriers) > 1 else first.below
        shared += [_site_load(name, 0 if shared is alone else 1) for name in (COOLING, LIGHTING)]
    first.below.append(_site_load(OWN, 1))
    roots += alone


def _site_load(name: str, depth: int) -> _Branch:
    title, note, total = SITE_LOADS[name]
    load = Reading("totals", (), total, "W")
    return _Branch(name, title=title, note=note, depth=depth, in_row=True, load=load, kind=name)


def _board_load(boards: Sequence[DrawnFeed], depth: int) -> _Branch:
    return _Branch(
        f"load-{boards[0].id}",
        title="Cooling, lights",
        note=f"Fans, pumps, chillers and hall lighting on {', '.join(board.name for board in boards)}",
        depth=depth,
        in_row=True,
        load=Reading("feeds", tuple(board.id for board in boards), "power_w", "W"),
        kind=BOARD,
    )


def _rack_branches(known: Mapping[int, DrawnFeed], racks: Sequence[DrawnRack]) -> dict[int, list[_Branch]]:
    """Return per feed what hangs on it: groups of racks beside their feed A, notes beside their feed B."""
    pairs: dict[tuple[int | None, int | None], list[DrawnRack]] = defaultdict(list)
    for rack in racks:
        a, b = (own if own in known else None for own in (rack.feed_a_id, rack.feed_b_id))
        pairs[(a, b) if a is not None else (b, None)].append(rack)
    of_a: dict[int, dict[int | None, list[DrawnRack]]] = defaultdict(dict)
    of_b: dict[int, dict[int, list[DrawnRack]]] = defaultdict(dict)
    for (a, b), members in pairs.items():
        if a is None:
            continue
        of_a[a][b] = members
        if b is not None:
            of_b[b][a] = members
    found: dict[int, list[_Branch]] = defaultdict(list)
    for a, partners in of_a.items():
        found[a] = _racks_on(a, partners, known)
    for b, groups in of_b.items():
        n = sum(len(members) for members in groups.values())
        names = [known[a].name for a in groups]
        title = f"B of {n} on {names[0]}" if len(names) == 1 else f"B of {n} on {len(names)} feeds"
        found[b].append(
            _Branch(
                f"b-{b}",
                title=title,
                in_row=True,
                racks=tuple(r.id for m in groups.values() for r in m),
                note=f"Side B of {n} racks whose side A is {', '.join(names)}",
            )
        )
    return found


def _racks_on(a: int, groups: Mapping[int | None, list[DrawnRack]], known: Mapping[int, DrawnFeed]) -> list[_Branch]:
    if len(groups) > FEW_PARTNERS:
        members = [rack for racks in groups.values() for rack in racks]
        return [_rack_group(f"racks-{a}", members, f"side B on {len(groups)} feeds")]
    return [
        _rack_group(f"racks-{a}-{b or 0}", members, f"side B {known[b].name}" if b else "one feed only")
        for b, members in groups.items()
    ]


def _rack_group(key: str, racks: Sequence[DrawnRack], partner: str) -> _Branch:
    rows = sorted({rack.row for rack in racks if rack.row})
    place = f", row {rows[0]}" if len(rows) == 1 else f", {len(rows)} rows" if rows else ""
    noun = "rack" if len(racks) == 1 else "racks"
    return _Branch(
        key,
        title=f"{len(racks)} {noun}{place}",
        racks=tuple(rack.id for rack in racks),
        in_row=True,
        note=f"{len(racks)} {noun}{place}; {partner}",
    )


def _folded(branches: list[_Branch]) -> list[_Branch]:
    """Return the branches with feeds of one kind that only carry racks as one, with all their racks as one group."""
    kept: list[_Branch] = []
    alike: dict[str, list[_Branch]] = defaultdict(list)
    for branch in branches:
        plain = branch.in_row and branch.feeds and all(not below.feeds for below in branch.below)
        (alike[branch.feeds[0].kind] if plain else kept).append(branch)
    for members in alike.values():
        kept.append(_fold(members) if len(members) > 1 else members[0])
    return kept


def _fold(members: list[_Branch]) -> _Branch:
    feeds = [feed for branch in members for feed in branch.feeds]
    below = [branch for member in members for branch in member.below]
    own = tuple(rack for branch in below if branch.key.startswith("racks") for rack in branch.racks)
    others = tuple(rack for branch in below if branch.key.startswith("b-") for rack in branch.racks)
    key, depth = f"feeds-{feeds[0].id}", members[0].depth
    folded = _Branch(key, feeds=feeds, depth=depth, in_row=True)
    if own:
        folded.below.append(
            _Branch(
                f"racks-{key}",
                title=f"{len(own)} racks",
                racks=own,
                in_row=True,
                depth=depth + 1,
                note=f"{len(own)} racks, side A",
            )
        )
    if others:
        folded.below.append(
            _Branch(
                f"b-{key}",
                title=f"B of {len(others)} racks",
                racks=others,
                in_row=True,
                depth=depth + 1,
                note=f"Side B of {len(others)} racks",
            )
        )
    if boards := [feed for member in members if any(b.kind == BOARD for b in member.below) for feed in member.feeds]:
        folded.below.append(_board_load(boards, depth + 1))
    return folded


def _partners(feeds: Sequence[DrawnFeed]) -> dict[str, list[DrawnFeed]]:
    """Return the members of each redundancy group."""
    groups = defaultdict(list)
    for feed in feeds:
        if feed.redundancy_group:
            groups[feed.redundancy_group].append(feed)
    return groups


def _drawn(roots: list[_Branch], partners: Mapping[str, list[DrawnFeed]]) -> Schematic:
    """Place every branch and return the drawing."""
    drawing = Schematic()
    top = MARGIN
    for root in roots:
        _place(root, top)
        top += root.height + ROW_HEIGHT / 2
    branches = [branch for root in roots for branch in root.walk()]
    left = _columns(branches)
    boxed = _boxes(branches, left, partners, drawing)
    for branch in branches:
        drawing.nodes.append(_node(branch, left[branch.depth], partners, boxed))
    for root in roots:
        _wire(root, left, drawing)
    drawing.width = max((node.x + node.width for node in drawing.nodes), default=0.0) + MARGIN
    drawing.height = top + MARGIN if drawing.nodes else 0.0
    return drawing


def _place(branch: _Branch, top: float) -> None:
    """Give a branch and all below it the height of their middle; what is below starts at `top`."""
    y = top + max(branch.height - sum(below.height for below in branch.below), 0) / 2
    for below in branch.below:
        _place(below, y)
        y += below.height
    ends = [below.y for below in branch.below]
    middle = (ends[0] + ends[-1]) / 2 if ends else top + branch.height / 2
    spread = BLOCK_PITCH * len(branch.beside)
    # Not beyond its own share of the height, or it would meet its neighbours in the column.
    half = branch.own_height / 2
    branch.y = min(max(middle, top + half), top + branch.height - half) - spread / 2
    for i, source in enumerate(branch.beside, start=1):
        source.y = branch.y + BLOCK_PITCH * i


def _columns(branches: Sequence[_Branch]) -> dict[int, float]:
    """Return the left edge of each depth."""
    widest: dict[int, float] = defaultdict(float)
    for branch in branches:
        # What feeds nothing has its height to itself, so it may reach below the next column.
        widest[branch.depth] = max(widest[branch.depth], branch.width if branch.below else 0.0)
    left, x = {}, MARGIN
    for depth in sorted(widest):
        left[depth] = x
        x += widest[depth] + COLUMN_GAP
    return left


def _boxes(
    branches: Sequence[_Branch], left: Mapping[int, float], partners: Mapping[str, list[DrawnFeed]], drawing: Schematic
) -> set[str]:
    """Draw a box around every redundancy group that stands together; return the names of those groups."""
    at = {feed.id: branch for branch in branches for feed in branch.feeds}
    boxed = set()
    for name, members in partners.items():
        if members[0].redundancy == "N":
            continue
        inside = [at[feed.id] for feed in members]
        depths = {branch.depth for branch in inside}
        low, high = min(b.y for b in inside), max(b.y for b in inside)
        column = [b for b in branches if b.depth in depths and low <= b.y <= high]
        if len(depths) > 1 or any(branch.in_row for branch in inside) or len(column) > len(inside):
            continue
        half = BLOCK_HEIGHT / 2
        x = left[inside[0].depth]
        drawing.boxes.append(
            Box(
                x - 7,
                low - half - 16,
                BLOCK_WIDTH + 14,
                high - low + BLOCK_HEIGHT + 23,
                cut(f"{name} · {members[0].redundancy}", BLOCK_WIDTH + 6),
            )
        )
        boxed.add(name)
    return boxed


def _node(branch: _Branch, x: float, partners: Mapping[str, list[DrawnFeed]], boxed: set[str]) -> Node:
    if not branch.feeds:
        return _rack_node(branch, x)
    return _feed_row(branch, x, partners) if branch.in_row else _feed_block(branch, x, partners)


def _feed_block(branch: _Branch, x: float, partners: Mapping[str, list[DrawnFeed]]) -> Node:
    """Return a feed with three lines, its units and its load."""
    feed = branch.feeds[0]
    ids = (feed.id,)
    power, load = Reading("feeds", ids, "power_w", "W"), Reading("feeds", ids, "load_frac", "%", "max")
    limit = _limit_w(feed)
    lines: list[tuple[str, tuple[Reading, ...]]] = [("{}", (power,))]
    lines.append((f"{{}} of {quantity_text(limit, 'W')}", (load,)) if limit else ("no rating stated", ()))
    third = ("{} full", "charge_frac", "%") if is_shaving(feed) else ("loss {}", "loss_w", "W")
    lines.append((third[0], (Reading("feeds", ids, *third[1:]),)))
    units = [(f"{feed.name} unit {i + 1}", f"feed:{feed.id}") for i in range(feed.n_units)]
    return block(
        branch.key,
        SYMBOLS[feed.kind],
        x,
        branch.y - BLOCK_HEIGHT / 2,
        feed.name,
        lines,
        kind="feed",
        ids=ids,
        table="feeds",
        out_column="units_out",
        token=f"feed:{feed.id}",
        n_units=feed.n_units,
        units=units,
        note=_note(feed, partners),
        load=load if limit else None,
    )


def _feed_row(branch: _Branch, x: float, partners: Mapping[str, list[DrawnFeed]]) -> Node:
    """Return a feed on one line, or several folded into one."""
    feed, n = branch.feeds[0], len(branch.feeds)
    ids = tuple(below.id for below in branch.feeds)
    power, load = Reading("feeds", ids, "power_w", "W"), Reading("feeds", ids, "load_frac", "%", "max")
    shaves = n == 1 and is_shaving(feed)
    third = ("{} full", "charge_frac") if shaves else ("ΔV {}", "voltage_drop_frac")
    beside = Reading("feeds", ids, third[1], "%", "max")
    title = feed.name if n == 1 else f"{n} × {feed.kind}"
    tag = feed.redundancy if feed.redundancy != "N" else ""
    base = branch.y + 4
    slots = (
        Slot(x + 24, base, cut(title, 78 if tag else 104), kind="title"),
        Slot(x + 130, base, tag, anchor="end", kind="tag"),
        Slot(x + 214, base, "{}", (load,), anchor="end", kind="value"),
        Slot(x + 268, base, "{}", (power,), anchor="end", kind="flat"),
        Slot(x + 340, base, third[0], (beside,), anchor="end", kind="flat"),
        Slot(x + ROW_WIDTH - 4, base, "{}", (Reading("feeds", ids, "loss_w", "W"),), anchor="end", kind=STATE),
    )
    note = (
        _note(feed, partners)
        if n == 1
        else f"{n} feeds, load of the fullest: {', '.join(below.name for below in branch.feeds)}"
    )
    return Node(
        key=branch.key,
        symbol=SYMBOLS[feed.kind],
        kind="feed",
        ids=ids,
        title=title,
        x=x,
        y=branch.y - ROW_HEIGHT / 2 + 1,
        width=ROW_WIDTH,
        height=ROW_HEIGHT - 2,
        symbol_size=18,
        slots=slots,
        table="feeds",
        token=f"feed:{feed.id}" if n == 1 else "",
        n_units=feed.n_units,
        note=note,
        bar=(x, branch.y + ROW_HEIGHT / 2 - 4, ROW_WIDTH),
        load=load,
        out_column="units_out",
    )


def _rack_node(branch: _Branch, x: float) -> Node:
    """Return racks, a note about them, or a load of the site, on one line."""
    note_only = branch.key.startswith("b-")
    base = branch.y + 4
    kind = branch.kind or ("note" if note_only else "racks")
    indent = 24 if kind in LOAD_SYMBOLS else 6
    slots = [Slot(x + indent, base, cut(branch.title, 210 if note_only else 128 - indent), kind="title")]
    reading = branch.load or Reading("racks", branch.racks, "power_w", "W")
    if not note_only:
        slots.append(Slot(x + 184, base, "{}", (reading,), anchor="end", kind="flat"))
        slots.append(Slot(x + RACKS_WIDTH - 4, base, "", anchor="end", kind=STATE))
    return Node(
        key=branch.key,
        symbol=LOAD_SYMBOLS.get(kind, ""),
        kind=kind,
        ids=branch.racks,
        title=branch.title,
        x=x,
        y=branch.y - ROW_HEIGHT / 2 + 1,
        width=RACKS_WIDTH,
        height=ROW_HEIGHT - 2,
        symbol_size=18,
        slots=tuple(slots),
        table="racks" if kind == "racks" else "",
        note=branch.note,
    )


def _limit_w(feed: DrawnFeed) -> float | None:
    return feed.rating_w * feed.n_units if feed.rating_w else None


def _note(feed: DrawnFeed, partners: Mapping[str, list[DrawnFeed]]) -> str:
    """Return what a feed is, in a sentence: units, rating, product and who backs it up."""
    rated = quantity_text(feed.rating_w, "W") if feed.rating_w else "no rating stated"
    text = f"{feed.n_units} × {rated}" if feed.n_units > 1 else rated
    if feed.product:
        text += f", {feed.product}"
    if feed.kind == "generator" and feed.operation == PRIME:
        text += "; generates all year"
    if is_shaving(feed):
        text += "; shaves peaks, below zero while it charges"
    others = [partner.name for partner in partners.get(feed.redundancy_group, ()) if partner.id != feed.id]
    if others:
        text += f"; {feed.redundancy} with {', '.join(others[:4])}"
        text += f" and {len(others) - 4} more" if len(others) > 4 else ""
    elif feed.redundancy != "N":
        text += f"; {feed.redundancy}"
    return text


def _wire(branch: _Branch, left: Mapping[int, float], drawing: Schematic) -> None:
    """Draw the wires from a branch to what it feeds: a bar between the columns, taps to each side."""
    right = left[branch.depth] + branch.width
    if branch.below:
        bar = left[branch.below[0].depth] - COLUMN_GAP / 2 - 4
        for below in branch.below:
            end = left[below.depth]
            first, last = (right, branch.y), (end, below.y)
            bends = () if branch.y == below.y else ((bar, branch.y), (bar, below.y))
            drawing.wires.append(Wire((first, *bends, last), below.key))
        for source in branch.beside:
            points = ((right, source.y), (bar, source.y), (bar, branch.y))
            drawing.wires.append(Wire(points, source.key, "standby" if _waits(source.feeds[0]) else ""))
    for below in branch.below:
        _wire(below, left, drawing)
