"""Networks of a layout as a run reads them; `power_cooling.site_facts.networks` sizes them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FabricRow:
    """One network between hosts, sized from the racks."""

    id: int
    name: str
    purpose: str
    leaf_id: int
    spine_id: int | None
    optics_id: int | None
    ports_per_accelerator: float
    port_bits_per_s: float
    rails: int
    oversubscription: float
    cable_id: int | None = None
