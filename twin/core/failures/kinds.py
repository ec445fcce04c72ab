"""What may fail and be taken out of service: one table, which addresses, solver, catalogue, drills and repairs read.

Loads no solver, so that the web process may name the kinds.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailureKind:
    """One kind of unit that may fail."""

    address: str  # what addresses and the API call it
    units: str  # what components call it: their field in `power_cooling.site_arrays.Failures` without its ending
    table: str  # of the described rows, in `LayoutInputs`
    storage: str = ""  # the loss drill whose stored heat covers its loss; blank: none covers it
    label: str = ""  # of a component: "Pumps of Plant 1"
    reliability: str = ""  # slug of the catalogue entry; of feeds it goes by their own kind
    count: str = ""  # field of the row that one more unit raises
    product: str = ""  # field of the row that prices it

    @property
    def words(self) -> str:
        """What sentences call one unit."""
        return self.address.replace("_", " ")


HEAT_REJECTION = "all chillers and coolers"
FAILURE_KINDS = (
    FailureKind("feed", "feed", "feeds", "grid, generators fail"),
    FailureKind("cdu", "cdus", "cdus", "all rack-coolant pumps", "CDUs", "cdu"),
    FailureKind("air_unit", "air_units", "halls", "", "Air units", "crah", "n_air_units", "air_unit_id"),
    FailureKind(
        "cooler",
        "coolers",
        "plants",
        HEAT_REJECTION,
        "Dry coolers",
        "dry-cooler",
        "n_heat_rejection",
        "heat_rejection_id",
    ),
    FailureKind(
        "tower",
        "towers",
        "plants",
        HEAT_REJECTION,
        "Cooling towers",
        "cooling-tower",
        "n_heat_rejection",
        "heat_rejection_id",
    ),
    FailureKind(
        "chiller", "chillers", "plants", HEAT_REJECTION, "Chillers", "chiller-screw-air", "n_chillers", "chiller_id"
    ),
    FailureKind(
        "plant_pump", "pumps", "plants", "facility-water pumps", "Pumps", "pump-centrifugal", "n_pumps", "pump_id"
    ),
)
BY_ADDRESS = {kind.address: kind for kind in FAILURE_KINDS}
BY_UNITS = {kind.units: kind for kind in FAILURE_KINDS}
OF_PLANTS = tuple(kind for kind in FAILURE_KINDS if kind.table == "plants")
WATER_COOLED_CHILLER = "chiller-centrifugal"  # fails at rates of its own
RESTART = "inference-replica-restart"  # entry of recovery times

#: Catalogue entry of a feed's rates, by its kind.
FEED_RELIABILITY = {
    "utility": "utility-single-feed",
    "generator": "genset-standby-1500kw",
    "transformer": "xfmr-liquid-3mva",
    "ups": "ups-module",
    "bess": "li-ion-string",
    "switchboard": "switchgear-bare-bus-600v",
    "busway": "busway-ft",
    "pdu": "pdu",
}

#: Likewise of a generator that runs all year, by what turns its fuel.
PRIME_RELIABILITY = {
    "engine": "prime-gas-engine",
    "turbine": "prime-gas-turbine",
    "fuel-cell": "prime-fuel-cell",
}


def feed_reliability(kind: str, is_prime: bool, prime_mover: str | None) -> str:
    """Return the catalogue entry that has a feed's failure rates.

    Parameters
    ----------
    kind : str
        Of the feed.
    is_prime : bool
        Whether it is a generator that runs all year.
    prime_mover : str or None
        What drives it, whose entry a generator that runs all year has.
    """
    return PRIME_RELIABILITY[prime_mover or "engine"] if kind == "generator" and is_prime else FEED_RELIABILITY[kind]
