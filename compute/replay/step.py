"""One replica's engine, step by step, compiled: admission, chunked prompts, decoding, preemption, completion.

The scheduler is vLLM's (V1): running sequences come first, each decoding one taking its tokens from the step's budget,
then the prompt in work, then waiting requests in order of priority and arrival, as far as tokens, seats and KV memory
go. When memory runs out, the lowest-priority, most recently admitted sequence is preempted and later recomputed.
Stretches of steps without prompt work are taken in one go: their durations are an arithmetic series.
"""

import numpy as np
from numpy.typing import NDArray

from compute.replay.compiled import compiled_part
from compute.replay.prefix_cache import evict_oldest, find_block, insert_block, pin_block, release_block
from compute.replay.state import (
    CAME,
    CAME_AT_S,
    DONE,
    NONE,
    PoolState,
    Window,
)


@compiled_part
def widen_bins(series: NDArray[np.float64], bins_s: NDArray[np.float64], end_s: float) -> None:
    """Merge bins in pairs until the last one reaches a time, counted from the start of the first."""
    n_bins = series.shape[0]
    while end_s >= n_bins * bins_s[0]:
        for i in range(n_bins // 2):
            for column in range(series.shape[1]):
                series[i, column] = series[2 * i, column] + series[2 * i + 1, column]
        series[n_bins // 2 :] = 0.0
        bins_s[0] *= 2.0


@compiled_part
def record_wait(series: NDArray[np.float64], bins_s: NDArray[np.float64], start_s: float, end_s: float) -> None:
    """Count a request among those who wait between two times."""
    widen_bins(series, bins_s, end_s - bins_s[1])
    for at_s, came in ((start_s - bins_s[1], 1.0), (end_s - bins_s[1], -1.0)):
        i = int(at_s / bins_s[0])
        series[i, CAME] += came
        series[i, CAME_AT_S] += came * at_s


@compiled_part
def record(
    series: NDArray[np.float64], bins_s: NDArray[np.float64], start_s: float, end_s: float, amounts: tuple[float, ...]
) -> None:
    """Spread amounts evenly over the bins between two times."""
    start_s -= bins_s[1]
    end_s -= bins_s[1]
    widen_bins(series, bins_s, end_s)
    width_s = bins_s[0]
    first, last = int(start_s / width_s), int(end_s / width_s)
    for i in range(first, last + 1):
        share = 1.0
        if last > first:
            share = (min(end_s, (i + 1) * width_s) - max(start_s, i * width_s)) / (end_s - start_s)
        for column in range(len(amounts)):
            series[i, column] += share * amounts[column]


@compiled_part
def heap_push(step: NDArray[np.int64], request: NDArray[np.int64], n: int, at: int, who: int) -> None:
    """Add an entry to a binary heap of `n` entries ordered by step."""
    i = n
    while i > 0 and step[(i - 1) >> 1] > at:
        step[i], request[i] = step[(i - 1) >> 1], request[(i - 1) >> 1]
        i = (i - 1) >> 1
    step[i], request[i] = at, who


@compiled_part
def heap_remove(step: NDArray[np.int64], request: NDArray[np.int64], n: int, i: int) -> None:
    """Take entry `i` out of a binary heap of `n` entries."""
    at, who = step[n - 1], request[n - 1]
    if i == n - 1:
        return
    while i > 0 and step[(i - 1) >> 1] > at:
        step[i], request[i] = step[(i - 1) >> 1], request[(i - 1) >> 1]
        i = (i - 1) >> 1
    while True:
        child = 2 * i + 1
        if child >= n - 1:
            break
        if child + 1 < n - 1 and step[child + 1] < step[child]:
            child += 1
        if step[child] >= at:
            break
        step[i], request[i] = step[child], request[child]
        i = child
    step[i], request[i] = at, who


@compiled_part
def enqueue(pool: PoolState, window: Window, r: int, who: int, front: bool) -> None:
    """Put a request at the end of its class's queue, or at its front."""
    request = window.requests[who - window.base]
    p = request.priority
    request.next_in_queue = NONE
    if pool.queue_head[r, p] == NONE:
        pool.queue_head[r, p] = who
        pool.queue_tail[r, p] = who
    elif front:
        request.next_in_queue = pool.queue_head[r, p]
        pool.queue_head[r, p] = who
    else:
        window.requests[pool.queue_tail[r, p] - window.base].next_in_queue = who
        pool.queue_tail[r, p] = who
    pool.replicas[r].n_waiting += 1
    pool.replicas[r].waiting_prompt_tokens += request.input_tokens


@compiled_part
def dequeue(pool: PoolState, window: Window, r: int, p: int) -> None:
    """Take the head of a class's queue out."""
    request = window.requests[pool.queue_head[r, p] - window.base]
    record_wait(pool.series, pool.bins_s, request.queued_here_s, pool.replicas[r].clock_s)
    pool.queue_head[r, p] = request.next_in_queue
    if request.next_in_queue == NONE:
        pool.queue_tail[r, p] = NONE
    pool.replicas[r].n_waiting -= 1
    pool.replicas[r].waiting_prompt_tokens -= request.input_tokens


@compiled_part
def make_room(pool: PoolState, r: int) -> None:
    """Evict cached blocks until they and what is in use fit the KV memory together."""
    cache, limits = pool.cache, pool.limits
    while (
        cache.n_unpinned[r] > 0
        and pool.replicas[r].used_tokens + cache.n_unpinned[r] * limits.block_tokens > limits.kv_tokens
    ):
        evict_oldest(cache, r)


@compiled_part
def keep_blocks(pool: PoolState, window: Window, r: int, who: int, n_tokens: int, pin: bool) -> None:
    """Enter the full blocks of a request's first `n_tokens` tokens in the prefix cache, pinned or not.

    Blocks beyond those that the request already shares move from its own memory into the cache.
    """
    request = window.requests[who - window.base]
    cache, block_tokens = pool.cache, pool.limits.block_tokens
    n_full = n_tokens // block_tokens
    j = 0
    for i in range(request.first_range - window.range_base, request.last_range - window.range_base):
        for key in range(window.first_block[i], window.last_block[i] + 1):
            if j >= n_full:
                return
            if j >= request.n_shared_blocks:
                slot = find_block(cache, r, key)
                if slot == NONE:
                    slot = insert_block(cache, r, key)
                    if slot == NONE:
                        return
                if pin:
                    if not pin_block(cache, r, slot):
                        pool.replicas[r].used_tokens -= block_tokens  # another request holds the same block
                    request.n_shared_blocks += 1
            j += 1


@compiled_part
def release_memory(pool: PoolState, window: Window, r: int, who: int, context_tokens: float) -> None:
    """Give back the KV memory of a request that holds `context_tokens`; its shared blocks stay cached."""
    request = window.requests[who - window.base]
    replica = pool.replicas[r]
    limits, cache = pool.limits, pool.cache
    replica.used_tokens -= (
        context_tokens - request.n_shared_blocks * limits.block_tokens + limits.sequence_overhead_tokens
    )
    j, newer = 0, NONE
    for i in range(request.first_range - window.range_base, request.last_range - window.range_base):
        for key in range(window.first_block[i], window.last_block[i] + 1):
            if j >= request.n_shared_blocks:
                break
            slot = find_block(cache, r, key)
            # Later blocks sit just older than earlier ones: a prefix is evicted from its end.
            if release_block(cache, r, slot, newer):
                replica.used_tokens -= limits.block_tokens
                newer = slot
            j += 1
    request.n_shared_blocks = 0
    replica.blocked_head = NONE


@compiled_part
def admit(pool: PoolState, window: Window, r: int, who: int) -> bool:
    """Reserve KV memory for a waiting request's whole prompt and take cached blocks; False if it does not fit."""
    request = window.requests[who - window.base]
    replica = pool.replicas[r]
    limits, cache = pool.limits, pool.cache
    transferred = request.stage == 1 and request.n_preemptions == 0  # the prefill pool computed the prompt
    target = request.input_tokens + (0 if transferred else request.generated_tokens)
    matched = 0
    newly_pinned = 0
    # One token at least is computed: its logits give the first output token.
    limit = (target - 1) // limits.block_tokens if cache.key.shape[1] > 1 else 0
    searching = True
    for i in range(request.first_range - window.range_base, request.last_range - window.range_base):
        for key in range(window.first_block[i], window.last_block[i] + 1):
            slot = find_block(cache, r, key) if matched < limit else NONE
            if slot == NONE:
                searching = False
                break
            newly_pinned += cache.pins[r, slot] == 0
            matched += 1
        if not searching:
            break
    own_tokens = target - (matched - newly_pinned) * limits.block_tokens
    if replica.used_tokens + own_tokens + limits.sequence_overhead_tokens > limits.kv_tokens:
        return False
    j = 0
    for i in range(request.first_range - window.range_base, request.last_range - window.range_base):
        for key in range(window.first_block[i], window.last_block[i] + 1):
            if j >= matched:
                break
            pin_block(cache, r, find_block(cache, r, key))
            j += 1
    request.n_shared_blocks = matched
    replica.used_tokens += own_tokens + limits.sequence_overhead_tokens
    saved = max(matched * limits.block_tokens, min(request.known_cached_tokens, target - 1))
    if transferred:
        saved = target
    request.prefilled_tokens = saved
    request.prefilled_at_admission_tokens = saved
    request.prefill_target_tokens = target
    request.replica = r
    request.admission = replica.n_admitted
    replica.n_admitted += 1
    if np.isnan(request.scheduled_s):
        request.scheduled_s = replica.clock_s
        request.cached_tokens = saved
    make_room(pool, r)
    return True


@compiled_part
def frontend_delay_s(pool: PoolState, new_tokens: int) -> float:
    """Return the time that a request spends outside the engine: client, first response, own prompt's delay [s]."""
    return pool.limits.frontend_s + pool.limits.frontend_token_s * new_tokens


@compiled_part
def finish(pool: PoolState, window: Window, r: int, who: int, context_tokens: float) -> None:
    """End a request's stay at this pool, at the replica's present clock."""
    request = window.requests[who - window.base]
    if pool.cache.key.shape[1] > 1 and not pool.limits.prefill_only:
        # What was generated is cached too: the next turn of a session begins with it.
        keep_blocks(pool, window, r, who, request.input_tokens + request.output_tokens - 1, False)
    release_memory(pool, window, r, who, context_tokens)
    make_room(pool, r)
    pool.load[r] -= 1
    if not pool.limits.prefill_only or request.output_tokens <= 1:
        request.status = DONE
        request.last_token_s = pool.replicas[r].clock_s + frontend_delay_s(
            pool, request.input_tokens - request.cached_tokens
        )
    window.finished[window.n_finished[0]] = who
    window.n_finished[0] += 1


@compiled_part
def start_decoding(pool: PoolState, window: Window, r: int, who: int) -> None:
    """Seat a request whose prompt is complete; the token after the prompt has just been produced."""
    request = window.requests[who - window.base]
    replica = pool.replicas[r]
    if np.isnan(request.first_token_s):
        request.first_token_s = replica.clock_s + frontend_delay_s(pool, request.input_tokens - request.cached_tokens)
    context = request.prefill_target_tokens
    keep_blocks(pool, window, r, who, request.input_tokens, True)
    request.generated_tokens += 1
    left = request.output_tokens - request.generated_tokens
    if left <= 0 or pool.limits.prefill_only:
        finish(pool, window, r, who, context)
        return
    request.context_at_start = context
    request.step_at_start = replica.n_steps
    n_steps = int(np.ceil(left / pool.limits.tokens_per_step - 1e-9))
    heap_push(pool.heap_step[r], pool.heap_request[r], replica.n_decoding, replica.n_steps + n_steps, who)
    replica.n_decoding += 1
    replica.context_tokens += context


@compiled_part
def preempt_one(pool: PoolState, window: Window, r: int) -> None:
    """Preempt the most recently admitted sequence of the lowest class; it waits at the front of its queue."""
    replica = pool.replicas[r]
    victim, where = replica.prefilling, NONE
    for i in range(replica.n_decoding):
        who = pool.heap_request[r, i]
        if victim == NONE:
            victim, where = who, i
            continue
        a, b = window.requests[who - window.base], window.requests[victim - window.base]
        if a.priority > b.priority or (a.priority == b.priority and a.admission > b.admission):
            victim, where = who, i
    request = window.requests[victim - window.base]
    if where == NONE:
        replica.prefilling = NONE
        context = float(request.prefill_target_tokens)
    else:
        grown = pool.limits.tokens_per_step * (replica.n_steps - request.step_at_start)
        context = request.context_at_start + grown
        request.generated_tokens += int(grown)
        heap_remove(pool.heap_step[r], pool.heap_request[r], replica.n_decoding, where)
        replica.n_decoding -= 1
        replica.context_tokens -= context
    request.n_preemptions += 1
    request.queued_here_s = replica.clock_s
    release_memory(pool, window, r, victim, context)
    enqueue(pool, window, r, victim, True)


@compiled_part
def windowed_context(pool: PoolState, window: Window, r: int) -> tuple[float, int, int]:
    """Return the sum of min(context, window), how many contexts still grow in it, and steps until the first is full."""
    replica = pool.replicas[r]
    total, n_growing, steps_left = 0.0, 0, 1 << 60
    for i in range(replica.n_decoding):
        request = window.requests[pool.heap_request[r, i] - window.base]
        context = request.context_at_start + pool.limits.tokens_per_step * (replica.n_steps - request.step_at_start)
        if context < pool.step.window_tokens:
            n_growing += 1
            left = int((pool.step.window_tokens - context) / pool.limits.tokens_per_step) + 1
            steps_left = min(steps_left, left)
        total += min(context, float(pool.step.window_tokens))
    return total, n_growing, steps_left


@compiled_part
def pairs_in_chunk(history: int, n: int, window_tokens: int) -> float:
    """Return the (query, key) pairs of `n` prompt tokens after `history` earlier ones; each sees itself too."""
    if window_tokens <= 0:
        return n * history + 0.5 * n * (n + 1.0)
    n_growing = min(max(window_tokens - history, 0), n)  # tokens that see less than a full window
    return n_growing * history + 0.5 * n_growing * (n_growing + 1.0) + (n - n_growing) * float(window_tokens)


@compiled_part
def whole_prompt_s(pool: PoolState, n: int) -> float:
    """Return how much a prompt's first `n` tokens lengthen the steps that carry them, in as few chunks as possible [s].

    What is left of a prompt that another step's decoding tokens crowded out shares that step's reading of weights.
    """
    budget = pool.limits.token_budget
    if n <= 0:
        return 0.0
    return pool.step.mixed_s[n] if n <= budget else pool.step.mixed_s[budget] * n / budget


@compiled_part
def steps_to_reach(first_s: float, growth_s: float, span_s: float, most: int) -> int:
    """Return the least number of steps (1 … most) whose durations first, first + growth, … sum to `span_s` or more."""
    if span_s <= first_s:
        return 1
    if most * first_s + 0.5 * growth_s * most * (most - 1.0) < span_s:
        return most
    linear = first_s - 0.5 * growth_s
    k = 2.0 * span_s / (linear + np.sqrt(linear * linear + 2.0 * growth_s * span_s))
    return min(max(int(np.ceil(k - 1e-9)), 1), most)


@compiled_part
def end_finished(pool: PoolState, window: Window, r: int) -> None:
    """End the decoding sequences whose last step has been taken."""
    replica = pool.replicas[r]
    while replica.n_decoding > 0 and pool.heap_step[r, 0] <= replica.n_steps:
        who = pool.heap_request[r, 0]
        request = window.requests[who - window.base]
        context = request.context_at_start + pool.limits.tokens_per_step * (replica.n_steps - request.step_at_start)
        heap_remove(pool.heap_step[r], pool.heap_request[r], replica.n_decoding, 0)
        replica.n_decoding -= 1
        replica.context_tokens -= context
        if replica.n_decoding == 0:
            replica.context_tokens = 0.0  # forget rounding of fractional steps
        finish(pool, window, r, who, context)


@compiled_part
def next_arrival(pool: PoolState, window: Window, r: int, after_s: float, n_classes: int) -> float:
    """Return the earliest arrival after a time among the queue heads of the first classes, or infinity [s]."""
    earliest = np.inf
    for p in range(n_classes):
        head = pool.queue_head[r, p]
        if head != NONE:
            arrival_s = window.requests[head - window.base].queued_here_s
            if arrival_s > after_s:
                earliest = min(earliest, arrival_s)
    return earliest


@compiled_part
def advance(pool: PoolState, window: Window, r: int, until_s: float) -> None:
    """Run replica `r` until its clock reaches `until_s` (the step in work is finished) or it has nothing to do."""
    replica = pool.replicas[r]
    limits, step = pool.limits, pool.step
    n_classes = pool.queue_head.shape[1]
    while replica.clock_s < until_s:
        if replica.n_decoding == 0 and replica.prefilling == NONE:
            if replica.n_waiting == 0:
                return
            ready = False
            for p in range(n_classes):
                head = pool.queue_head[r, p]
                ready |= head != NONE and window.requests[head - window.base].queued_here_s <= replica.clock_s
            if not ready:
                arrival_s = next_arrival(pool, window, r, replica.clock_s, n_classes)
                if arrival_s >= until_s:
                    return
                replica.clock_s = arrival_s

        # Decoding sequences first: each needs memory for the tokens it will write.
        preempted = False
        while (
            replica.used_tokens + replica.n_decoding * limits.tokens_per_step > limits.kv_tokens
            and replica.n_decoding + (replica.prefilling != NONE) > 1
        ):
            preempt_one(pool, window, r)
            preempted = True

        # Then prompts, as far as the token budget goes.
        n_decoding = replica.n_decoding
        budget = limits.token_budget - n_decoding * limits.scored_tokens
        n_prompt, n_completing = 0, 0
        pairs, window_pairs, history, prompts_s = 0.0, 0.0, 0.0, 0.0
        who = replica.prefilling
        full = False
        while True:
            if who == NONE:
                if preempted or full or budget <= 0 or n_decoding + n_completing >= limits.seats:
                    break
                for p in range(n_classes):
                    head = pool.queue_head[r, p]
                    if head != NONE and window.requests[head - window.base].queued_here_s <= replica.clock_s:
                        who = head
                        break
                if who == NONE:
                    break
                if who == replica.blocked_head or not admit(pool, window, r, who):
                    replica.blocked_head = who
                    full = True
                    break
                dequeue(pool, window, r, window.requests[who - window.base].priority)
            request = window.requests[who - window.base]
            n = min(request.prefill_target_tokens - request.prefilled_tokens, max(budget, 0))
            if n > 0:
                pairs += pairs_in_chunk(request.prefilled_tokens, n, 0)
                if step.window_tokens > 0:
                    window_pairs += pairs_in_chunk(request.prefilled_tokens, n, step.window_tokens)
                history += request.prefilled_tokens
                if step.prompts_add:
                    done = request.prefilled_tokens - request.prefilled_at_admission_tokens
                    prompts_s += whole_prompt_s(pool, done + n) - whole_prompt_s(pool, done)
                request.prefilled_tokens += n
                n_prompt += n
                budget -= n
            if request.prefilled_tokens < request.prefill_target_tokens:
                replica.prefilling = who
                break
            replica.prefilling = NONE
            if n == 0:  # nothing to compute: the prompt was transferred
                start_decoding_transferred(pool, window, r, who)
                n_decoding = replica.n_decoding
                budget -= limits.scored_tokens
            else:
                pool.completing[n_completing] = who
                n_completing += 1
            who = NONE

        if n_decoding == 0 and n_prompt == 0:
            # Only a request that does not fit is left; it will be refused by the caller's limits, never looped on.
            return
        context = replica.context_tokens
        in_window, n_growing, window_steps = 0.0, 0, 1 << 60
        if step.window_tokens > 0:
            in_window, n_growing, window_steps = windowed_context(pool, window, r)
        n_tokens = n_decoding * limits.scored_tokens + n_prompt
        fixed_s = step.mixed_s[n_tokens] if n_prompt > 0 else step.decode_s[n_tokens]
        if step.prompts_add and n_prompt > 0:
            fixed_s = prompts_s
            if n_decoding > 0:
                fixed_s += step.decode_s[n_decoding * limits.scored_tokens]
        first_s = (
            fixed_s
            + step.sequence_s * (n_decoding + n_completing)
            + (step.mixed_kv_factor if n_prompt > 0 else 1.0)
            * (step.kv_token_s * context + step.window_kv_token_s * in_window)
            + step.prefill_pair_s * pairs
            + step.window_prefill_pair_s * window_pairs
            + step.prefill_kv_token_s * history
        )
        growth_tokens = n_decoding * limits.tokens_per_step
        growth_s = step.kv_token_s * growth_tokens + step.window_kv_token_s * n_growing * limits.tokens_per_step

        k = 1
        if n_prompt == 0:
            k = min(pool.heap_step[r, 0] - replica.n_steps, window_steps)
            if growth_tokens > 0 and replica.n_decoding > 1:
                k = min(k, int((limits.kv_tokens - replica.used_tokens) / growth_tokens))
            k = max(k, 1)
            stop_s = until_s
            if budget > 0 and n_decoding < limits.seats and replica.n_waiting > 0:
                # Behind a request that does not fit only those of higher classes can be admitted.
                admissible = window.requests[replica.blocked_head - window.base].priority if full else n_classes
                stop_s = min(stop_s, next_arrival(pool, window, r, replica.clock_s, admissible))
            if preempted:
                k = 1
            elif stop_s < np.inf:
                k = steps_to_reach(first_s, growth_s, stop_s - replica.clock_s, k)
        series_sum = 0.5 * k * (k - 1.0)  # 0 + 1 + … + (k - 1)
        duration_s = k * first_s + growth_s * series_sum

        start_s = replica.clock_s
        replica.clock_s = start_s + duration_s
        replica.n_steps += k
        replica.context_tokens += k * growth_tokens
        replica.used_tokens += k * growth_tokens
        record(
            pool.series,
            pool.bins_s,
            start_s,
            replica.clock_s,
            (  # in the order of the series' columns
                duration_s,
                duration_s * (n_decoding + n_completing + (replica.prefilling != NONE)),
                duration_s * (replica.used_tokens - 0.5 * k * growth_tokens),
                k * step.compute_activity_s[n_tokens]
                + step.prefill_pair_compute_s * pairs
                + step.window_prefill_pair_compute_s * window_pairs,
                k * (step.memory_activity_s[n_tokens] + step.kv_token_memory_s * context)
                + step.kv_token_memory_s * growth_tokens * series_sum
                + step.window_kv_token_memory_s * (k * in_window + n_growing * limits.tokens_per_step * series_sum),
                k * growth_tokens + n_completing,
                float(n_prompt),
            ),
        )
        make_room(pool, r)
        end_finished(pool, window, r)
        for i in range(n_completing):
            start_decoding(pool, window, r, pool.completing[i])


@compiled_part
def start_decoding_transferred(pool: PoolState, window: Window, r: int, who: int) -> None:
    """Seat a request whose prompt came over from the prefill pool, with its first token."""
    request = window.requests[who - window.base]
    replica = pool.replicas[r]
    left = request.output_tokens - request.generated_tokens
    request.context_at_start = request.prefill_target_tokens
    request.step_at_start = replica.n_steps
    n_steps = int(np.ceil(left / pool.limits.tokens_per_step - 1e-9))
    heap_push(pool.heap_step[r], pool.heap_request[r], replica.n_decoding, replica.n_steps + n_steps, who)
    replica.n_decoding += 1
    replica.context_tokens += request.prefill_target_tokens
