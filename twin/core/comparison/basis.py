"""What is equal between layouts that are compared."""

DEMAND, CAPACITY_SHARE, GRID_POWER = "demand", "capacity-share", "grid-power"
BASIS_LABELS = {CAPACITY_SHARE: "equal share of own capacity", DEMAND: "equal demand", GRID_POWER: "equal grid power"}
BASES = tuple(BASIS_LABELS)
