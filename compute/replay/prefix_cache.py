"""Prefix cache of each replica: which hashed blocks of prompts are in KV memory, evicted least recently used first.

One open-addressing hash table and one doubly linked list per replica, in arrays of shape (n_replicas, …), so that
compiled loops can look up, pin, release and evict without allocating. A block that a running request uses is pinned
(its reference count is above zero) and cannot be evicted; a released one stays until its memory is needed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compute.replay.compiled import compiled

EMPTY = -1
HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth, TAOCP vol. 3, section 6.4


class PrefixCache(NamedTuple):
    """Blocks of all replicas. `n_slots` blocks at most per replica; 0 switches the cache off.

    `table` (n_replicas, power of two) holds slot numbers; `key`, `pins`, `older`, `newer` (n_replicas, n_slots) hold
    the block's id, how many running requests use it, and its neighbours among the unpinned ones. `oldest`, `newest`,
    `n_unpinned`, `n_pinned`, `n_free` (n_replicas,) and `free` (n_replicas, n_slots) are the list's ends and counts.
    """

    table: NDArray[np.int64]
    key: NDArray[np.int64]
    pins: NDArray[np.int64]
    older: NDArray[np.int64]
    newer: NDArray[np.int64]
    oldest: NDArray[np.int64]
    newest: NDArray[np.int64]
    n_unpinned: NDArray[np.int64]
    n_pinned: NDArray[np.int64]
    free: NDArray[np.int64]
    n_free: NDArray[np.int64]


def empty_prefix_cache(n_replicas: int, n_slots: int) -> PrefixCache:
    """Return a cache with room for `n_slots` blocks in each of `n_replicas` replicas."""
    table_size = 1 << max(1, int(2 * n_slots - 1).bit_length()) if n_slots else 2
    per_slot = (n_replicas, max(n_slots, 1))
    return PrefixCache(
        table=np.full((n_replicas, table_size), EMPTY, dtype=np.int64),
        key=np.full(per_slot, EMPTY, dtype=np.int64),
        pins=np.zeros(per_slot, dtype=np.int64),
        older=np.full(per_slot, EMPTY, dtype=np.int64),
        newer=np.full(per_slot, EMPTY, dtype=np.int64),
        oldest=np.full(n_replicas, EMPTY, dtype=np.int64),
        newest=np.full(n_replicas, EMPTY, dtype=np.int64),
        n_unpinned=np.zeros(n_replicas, dtype=np.int64),
        n_pinned=np.zeros(n_replicas, dtype=np.int64),
        free=np.tile(np.arange(per_slot[1], dtype=np.int64), (n_replicas, 1)),
        n_free=np.full(n_replicas, n_slots, dtype=np.int64),
    )


@compiled
def home_position(key: int, table_size: int) -> np.int64:
    """Return the slot of the hash table that a key is put in if it is free."""
    mixed = np.uint64(key) * HASH_MULTIPLIER
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(table_size - 1))


@compiled
def find_block(cache: PrefixCache, r: int, key: int) -> int:
    """Return the slot of a block in replica `r`, or -1."""
    size = cache.table.shape[1]
    position = home_position(key, size)
    while cache.table[r, position] != EMPTY:
        slot = cache.table[r, position]
        if cache.key[r, slot] == key:
            return slot
        position = (position + 1) & (size - 1)
    return EMPTY


@compiled
def unlink(cache: PrefixCache, r: int, slot: int) -> None:
    """Take an unpinned block out of the list."""
    older, newer = cache.older[r, slot], cache.newer[r, slot]
    if older != EMPTY:
        cache.newer[r, older] = newer
    else:
        cache.oldest[r] = newer
    if newer != EMPTY:
        cache.older[r, newer] = older
    else:
        cache.newest[r] = older
    cache.n_unpinned[r] -= 1


@compiled
def link_before(cache: PrefixCache, r: int, slot: int, newer: int) -> None:
    """Put a block in the list just older than block `newer`, or as the newest where that is -1."""
    older = cache.newest[r] if newer == EMPTY else cache.older[r, newer]
    cache.older[r, slot] = older
    cache.newer[r, slot] = newer
    if older != EMPTY:
        cache.newer[r, older] = slot
    else:
        cache.oldest[r] = slot
    if newer != EMPTY:
        cache.older[r, newer] = slot
    else:
        cache.newest[r] = slot
    cache.n_unpinned[r] += 1


@compiled
def evict_oldest(cache: PrefixCache, r: int) -> bool:
    """Forget the least recently used unpinned block of replica `r`; False if there is none."""
    slot = cache.oldest[r]
    if slot == EMPTY:
        return False
    unlink(cache, r, slot)
    size = cache.table.shape[1]
    position = home_position(cache.key[r, slot], size)
    while cache.table[r, position] != slot:
        position = (position + 1) & (size - 1)
    # Closing the gap (instead of a tombstone) keeps look-ups short however many blocks pass through.
    probe = (position + 1) & (size - 1)
    while cache.table[r, probe] != EMPTY:
        home = home_position(cache.key[r, cache.table[r, probe]], size)
        if ((probe - home) & (size - 1)) >= ((probe - position) & (size - 1)):
            cache.table[r, position] = cache.table[r, probe]
            position = probe
        probe = (probe + 1) & (size - 1)
    cache.table[r, position] = EMPTY
    cache.key[r, slot] = EMPTY
    cache.free[r, cache.n_free[r]] = slot
    cache.n_free[r] += 1
    return True


@compiled
def pin_block(cache: PrefixCache, r: int, slot: int) -> bool:
    """Mark a block as used by one more request; True if no request used it before."""
    first = cache.pins[r, slot] == 0
    if first:
        unlink(cache, r, slot)
        cache.n_pinned[r] += 1
    cache.pins[r, slot] += 1
    return first


@compiled
def release_block(cache: PrefixCache, r: int, slot: int, newer: int) -> bool:
    """Drop one use of a block; True if that was the last, and the block now sits just older than `newer`."""
    cache.pins[r, slot] -= 1
    last = cache.pins[r, slot] == 0
    if last:
        cache.n_pinned[r] -= 1
        link_before(cache, r, slot, newer)
    return last


@compiled
def insert_block(cache: PrefixCache, r: int, key: int) -> int:
    """Store a new block, unpinned and newest; evicts if there is no room. Returns its slot, or -1 if all are pinned."""
    if cache.n_free[r] == 0 and not evict_oldest(cache, r):
        return EMPTY
    if cache.n_free[r] == 0:
        return EMPTY
    cache.n_free[r] -= 1
    slot = cache.free[r, cache.n_free[r]]
    cache.key[r, slot] = key
    cache.pins[r, slot] = 0
    size = cache.table.shape[1]
    position = home_position(key, size)
    while cache.table[r, position] != EMPTY:
        position = (position + 1) & (size - 1)
    cache.table[r, position] = slot
    link_before(cache, r, slot, EMPTY)
    return slot


@compiled
def matched_blocks(
    cache: PrefixCache,
    r: int,
    first_id: NDArray[np.int64],
    last_id: NDArray[np.int64],
    start: int,
    stop: int,
    limit: int,
) -> int:
    """Return how many leading blocks of the id ranges `start` to `stop` replica `r` holds, at most `limit`."""
    matched = 0
    for i in range(start, stop):
        for key in range(first_id[i], last_id[i] + 1):
            if matched >= limit or find_block(cache, r, key) == EMPTY:
                return matched
            matched += 1
    return matched
