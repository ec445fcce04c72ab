"""What the compiled kernel reads, works on and fills: arrays by name, handed on as a whole from function to function.

The rows of racks, groups, halls and plants are those of the banks (`site_arrays.records`); columns of scratch and of
output are named in `columns`, `racks.it_load`, `cooling.room_air` and `coupled.load_shedding`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from power_cooling.cooling.room_air import N_HALL_STATE
from power_cooling.coupled.columns import N_GROUP_STATE, N_LEVEL_ROWS, N_PLANT_STATE
from power_cooling.racks.it_load import N_GROUP_SUMS, N_HALL_SUMS, N_SCRATCH
from power_cooling.site_arrays import BoolArray, FloatArray, IntArray


class Rows(NamedTuple):
    """What stands at the site."""

    racks: NDArray[np.void]
    groups: NDArray[np.void]
    halls: NDArray[np.void]
    plants: NDArray[np.void]
    static_w: FloatArray  # (n_pools, n_points) over load
    dynamic_w: FloatArray
    hottest_first: IntArray  # (n_racks,), the order in which racks go off


class Elements(NamedTuple):
    """What changes from element to element of a block: load, weather and what runs."""

    pool_load: FloatArray  # (n_elements, n_pools)
    air: FloatArray  # (n_elements, 5), see `cooling.plant.air_states`
    dew_point: FloatArray  # (n_elements,)
    own: FloatArray  # (n_elements,): what the site draws for itself beside the rooms of its feeds
    powered: FloatArray  # (n_elements, n_racks)
    groups: FloatArray  # (n_elements, n_groups): units that run
    halls: FloatArray  # (n_elements, n_halls)
    plants: FloatArray  # (n_elements, n_plants, 4): coolers, towers, chillers, pumps
    feed_state: IntArray  # (n_elements,), into the first axis of `Feeds`


class Feeds(NamedTuple):
    """The feed tree in each of its failure states; nodes that hang on nothing have parent -1."""

    link_start: IntArray  # (n_racks + 1,), into the links, which are sorted by rack
    link_node: IntArray  # (n_links,)
    share: FloatArray  # (n_states, n_links)
    dark: BoolArray  # (n_states, n_racks)
    parent: IntArray  # (n_states, n_nodes)
    rating: FloatArray  # (n_states, n_nodes)
    no_load_frac: FloatArray  # (n_nodes,), and so on: losses over the rating
    proportional_frac: FloatArray
    square_frac: FloatArray
    hall: IntArray  # (n_nodes,), the hall that a node warms
    of_group: IntArray  # (n_states, n_groups): the node that a CDU group draws from
    of_hall: IntArray  # (n_states, n_halls)
    of_plant: IntArray  # (n_states, n_plants)
    of_own: IntArray  # (n_states, 1), what the site draws for itself
    room_power_frac: FloatArray  # (n_nodes,): power of a room's air units over the loss in it


class Work(NamedTuple):
    """Scratch of one block; everything that an element leaves to the next one is in here."""

    racks: FloatArray  # (n_racks, N_SCRATCH)
    weight: FloatArray  # (n_racks,): racks of the class that run
    whole: FloatArray  # (n_racks,): and that have power
    off: IntArray  # (n_racks,)
    member: BoolArray  # (n_racks,)
    levels: FloatArray  # (N_LEVEL_ROWS, n_limits): CDU groups, halls, plants, feed nodes
    short: BoolArray  # (n_limits,)
    design: FloatArray  # (n_groups,): the racks' design coolant flow
    group_x: FloatArray  # (n_groups, 2): supply and flow that racks are evaluated at
    hall_x: FloatArray  # (n_halls, 3): cold, hot, share of the racks' own air
    plant_x: FloatArray  # (n_plants,): supply
    group_sums: FloatArray
    hall_sums: FloatArray
    groups: FloatArray
    halls: FloatArray
    plants: FloatArray
    hall_valve: FloatArray  # (n_halls,)
    group_set: FloatArray  # (n_groups,): set point, dew point respected
    group_cools: BoolArray
    hall_cools: BoolArray
    other_heat: FloatArray  # (n_halls,): not from racks
    mechanical: FloatArray  # (n_nodes,): pumps, fans and chillers
    laid: FloatArray  # (n_nodes,): the same, a pass ago
    node_load: FloatArray  # (n_nodes,)
    fed: FloatArray  # (n_nodes,): racks behind each


class Output(NamedTuple):
    """Tables of the elements of a block, and the sums and extremes of its racks."""

    series: FloatArray
    pools: FloatArray
    groups: FloatArray
    halls: FloatArray
    plants: FloatArray
    nodes: FloatArray
    racks: FloatArray
    channels: NDArray[np.float32]  # (n_elements, n_racks, N_CHANNELS), or (0, 0, 0) where they are not kept


def scratch(rows: Rows, n_nodes: int) -> Work:
    """Return the scratch of a block that starts cold."""
    n_racks, n_groups, n_halls, n_plants = (
        bank.shape[0] for bank in (rows.racks, rows.groups, rows.halls, rows.plants)
    )
    n_limits = n_groups + n_halls + n_plants + n_nodes
    return Work(
        racks=np.zeros((n_racks, N_SCRATCH)),
        weight=np.zeros(n_racks),
        whole=np.zeros(n_racks),
        off=np.zeros(n_racks, dtype=np.int64),
        member=np.zeros(n_racks, dtype=np.bool_),
        levels=np.zeros((N_LEVEL_ROWS, n_limits)),
        short=np.zeros(n_limits, dtype=np.bool_),
        design=np.zeros(n_groups),
        group_x=np.zeros((n_groups, 2)),
        hall_x=np.zeros((n_halls, 3)),
        plant_x=np.zeros(n_plants),
        group_sums=np.zeros((n_groups, N_GROUP_SUMS)),
        hall_sums=np.zeros((n_halls, N_HALL_SUMS)),
        groups=np.zeros((n_groups, N_GROUP_STATE)),
        halls=np.zeros((n_halls, N_HALL_STATE)),
        plants=np.zeros((n_plants, N_PLANT_STATE)),
        hall_valve=np.zeros(n_halls),
        group_set=np.zeros(n_groups),
        group_cools=np.zeros(n_groups, dtype=np.bool_),
        hall_cools=np.zeros(n_halls, dtype=np.bool_),
        other_heat=np.zeros(n_halls),
        mechanical=np.zeros(n_nodes),
        laid=np.zeros(n_nodes),
        node_load=np.zeros(n_nodes),
        fed=np.zeros(n_nodes),
    )
