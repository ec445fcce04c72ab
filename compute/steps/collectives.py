"""Time that accelerators of one deployment spend exchanging activations."""

# Bytes of one activation on the wire: BF16 for reductions and expert combine, FP8 for expert dispatch.
REDUCE_BYTES = 2.0
DISPATCH_BYTES = 1.0
COMBINE_BYTES = 2.0

# One 400 Gbit/s network port per accelerator, the scale-out fabric of current reference designs.
SCALEOUT_BYTES_PER_S = 50e9
# What ranks of an expert exchange take in over such ports, copies that are forwarded inside a node included: 61e9 among
# 32 Hopper accelerators, 81e9 to 90e9 among 16 (README of DeepEP V2). The lower is taken for all.
NETWORK_EXCHANGE_BYTES_PER_S = 61e9


def all_reduce_s_per_byte(ranks: int, link_bytes_per_s: float) -> float:
    """Return the wire time of a ring all-reduce per byte of message [s/byte].

    Each rank sends and receives 2 (n - 1) / n of the message, so that is what one direction of its link carries.

    Parameters
    ----------
    ranks : int
        Accelerators n of the group; 0 s for one.
    link_bytes_per_s : float
        Bandwidth of a rank's link in one direction [bytes/s].
    """
    return 2.0 * (ranks - 1) / ranks / link_bytes_per_s


def all_to_all_s_per_token(*, ranks: int, hidden_size: int, active_experts: int, link_bytes_per_s: float) -> float:
    """Return the wire time of expert dispatch and combine per token of one rank and layer [s].

    A token is sent to the ranks that hold its experts: `ranks` are hit by `active_experts` uniform draws
    [ranks (1 - (1 - 1/ranks)^k)], of which (ranks - 1) / ranks are remote.

    Parameters
    ----------
    ranks : int
        Accelerators that hold experts.
    hidden_size : int
        Width of the activations [elements].
    active_experts : int
        Experts k that each token is routed to.
    link_bytes_per_s : float
        Bandwidth of a rank's link in one direction [bytes/s].
    """
    hit = ranks * (1.0 - (1.0 - 1.0 / ranks) ** active_experts)
    remote = hit * (ranks - 1) / ranks
    return remote * hidden_size * (DISPATCH_BYTES + COMBINE_BYTES) / link_bytes_per_s


def gather_scatter_s_per_token(ranks: int, hidden_size: int, link_bytes_per_s: float) -> float:
    """Return the wire time of gathering every token on every rank and summing the parts back, per token and layer [s].

    As engines do where attention is data-parallel and experts are sliced: an all-gather and a reduce-scatter, in each
    of which a rank's link carries (ranks - 1) / ranks of all tokens.
    """
    return 2.0 * (ranks - 1) / ranks * hidden_size * REDUCE_BYTES / link_bytes_per_s


def link_bytes_per_s(ranks: int, scaleup_bytes_per_s: float, scaleup_domain_size: int) -> float:
    """Return the bandwidth per rank and direction of a group: the scale-up link inside its domain, else the network."""
    return scaleup_bytes_per_s if ranks <= scaleup_domain_size else min(scaleup_bytes_per_s, SCALEOUT_BYTES_PER_S)
