"""Networks as we size them, beside published reference architectures and bills of material."""

from collections.abc import Iterator
from pathlib import Path

from facility.catalogue import entries
from power_cooling.site_facts.networks import size_fabric
from twin.core.inputs.network import FabricRow
from twin.validation.check import Check, at_most, within

GROUP = "networks"

# NVIDIA DGX SuperPOD H100 reference architecture (2023), compute fabric by scalable units of 32 nodes, one node of the
# last kept for the fabric manager: nodes, leaves and spines of QM9700.
SUPERPOD = ((31, 8, 4), (63, 16, 8), (95, 24, 16), (127, 32, 16))
HOST = 8
# Network over IT power of AI clusters: "closer to 5 %" (650 Group, When Thinking about AI Power Consumption, Networking
# is the Least of your Problems, 650group.com) to about a tenth, storage included (SemiAnalysis, 100,000 H100 Clusters,
# 2024, as quoted by apetops-us.com). Optics alone take up to a tenth of a site of 400,000 accelerators with three tiers
# (NVIDIA, GTC 2025, in Optics & Photonics News, March 2025); ours has two.
POWER_FRAC = (0.05, 0.10)


def checks(data: Path) -> Iterator[Check]:  # noqa: ARG001 published figures are retyped here
    """Yield how far our counts and prices are from what is published."""
    switches, finance = entries("network_switches"), entries("finance")
    system = entries("systems")["dgx-h100"]
    row = FabricRow(1, "Scale-out", "scale_out", 1, 1, 1, 1.0, 4e11, HOST, 1.0)
    leaf, optics = switches["nvidia-qm9700"], switches["optics-800g-dr4"]
    sized = [size_fabric(row, nodes * HOST, leaf, leaf, optics, {}) for nodes, _, _ in SUPERPOD]
    counts = [(ours.n_leaves, ours.n_spines) for ours in sized]
    wrong = max(abs(ours[0] / leaves - 1) for ours, (_, leaves, _) in zip(counts, SUPERPOD, strict=True))
    yield at_most("Leaves of a DGX SuperPOD", GROUP, len(SUPERPOD), wrong, 0.0, "relative", "four sizes, 2023")
    fewer = max(abs(ours[1] / spines - 1) for ours, (_, _, spines) in zip(counts, SUPERPOD, strict=True))
    yield at_most(
        "Spines of a DGX SuperPOD",
        GROUP,
        len(SUPERPOD),
        fewer,
        0.25,
        "relative",
        "three units are published with the spines of four, to be full later",
    )
    share = sized[-1].price_usd / (SUPERPOD[-1][0] * system["price_estimate_usd"])
    bounds = finance["network-frac-of-gpu-capex"]
    yield within(
        "Network over systems, price",
        GROUP,
        1,
        share,
        (bounds["low"], bounds["high"]),
        "of the systems",
        "bills of material of clusters: 10 to 15 % for switches, optics and cables",
    )
    network_w = sized[-1].typical_power_w
    share = network_w / (network_w + SUPERPOD[-1][0] * system["typical_power_w"])
    note = (
        "650 Group: about 5 % of AI sites; SemiAnalysis 2024: a tenth with storage; ours is the compute fabric, typical"
    )
    yield within("Network over IT, power", GROUP, 1, share, POWER_FRAC, "of IT power", note)
