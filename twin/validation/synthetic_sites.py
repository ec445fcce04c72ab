"""Made-up sites of any size that checks and benchmarks share."""

import numpy as np

from power_cooling.electrical.feed_tree import FeedTree, RackLinks, feed_tree, rack_links
from power_cooling.electrical.redundancy import share_design

RACK_W = 132e3
UPS_W = 2.5e6


def block_site(n_racks: int, racks_per_busway: int = 12) -> tuple[FeedTree, RackLinks, np.ndarray]:
    """Return a site of 4N3 groups: transformer, UPS and board per block, two busways per row of racks.

    Generators stand behind the utility. Groups of four blocks carry three blocks' worth of racks, so that any block of
    a group may fail.
    """
    n_groups = int(np.ceil(n_racks * RACK_W / (3 * 0.95 * UPS_W)))
    n_rows = -(-n_racks // racks_per_busway)
    names, kinds, parents = ["utility", "generators"], ["utility", "generator"], [None, None]
    standby: list[str | None] = [None, None]
    rating = [1.4 * n_racks * RACK_W] * 2
    for block in range(4 * n_groups):
        for kind, fed_by in (
            ("transformer", "utility"),
            ("ups", f"transformer {block}"),
            ("switchboard", f"ups {block}"),
        ):
            names.append(f"{kind} {block}")
            kinds.append(kind)
            parents.append(fed_by)
            standby.append("generators" if kind == "transformer" else None)
            rating.append(UPS_W if kind == "ups" else 1.1 * UPS_W)
    pairs = np.argsort(-share_design("block", 4, 6).share_frac, axis=1, kind="stable")[:, :2]
    rack_index, feeds = [], []
    for row in range(n_rows):
        group, pair = row % n_groups, pairs[(row // n_groups) % len(pairs)]
        for side, block in zip("AB", pair, strict=True):
            names.append(f"busway {row}{side}")
            kinds.append("busway")
            parents.append(f"switchboard {4 * group + block}")
            standby.append(None)
            rating.append(1.05 * racks_per_busway * RACK_W)
        for rack in range(row * racks_per_busway, min(n_racks, (row + 1) * racks_per_busway)):
            rack_index += [rack, rack]
            feeds += [f"busway {row}A", f"busway {row}B"]
    is_ups = np.array([kind == "ups" for kind in kinds])
    tree = feed_tree(
        names=names,
        kinds=kinds,
        parents=parents,
        standby_parents=standby,
        rating_w=rating,
        no_load_loss_frac=np.where(is_ups, 0.01, 0.001),
        proportional_loss_frac=np.where(is_ups, 0.012, 0.0),
        square_loss_frac=np.where(is_ups, 0.018, 0.005),
    )
    return tree, rack_links(tree, rack_index=rack_index, node_names=feeds, n_racks=n_racks), np.full(n_racks, RACK_W)
