"""What racks can be coloured by: each quantity's name, unit, limit, and where its values come from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity of a rack, or of the feed or CDU that serves it.

    `year` names a run's array of one value per rack, `hour` a column of the steady state at chosen hours, in its part
    `part`. Where both are empty the description alone gives it.
    """

    name: str
    label: str
    unit: str
    year: str = ""
    year_label: str = ""  # where the year's value is an extreme or a mean
    hour: str = ""
    part: str = "racks"  # racks, cdus or feeds
    limit: str = ""  # a fact of the product, "rating", "floor" or "full"
    meaning: str = ""

    @property
    def is_described(self) -> bool:
        """Whether it needs neither a run nor a solve."""
        return not self.year and not self.hour

    def label_at(self, hour: int | str) -> str:
        """Return what it is called for the whole year ("year") or at an hour."""
        return self.year_label or self.label if hour == "year" else self.label


QUANTITIES = (
    Quantity(
        "power_w",
        "Rack power",
        "W",
        "max_power_w",
        "Highest power",
        "power_w",
        limit="rating",
        meaning="At the rack's input, against the rating of what is in it.",
    ),
    Quantity(
        "mean_power_w",
        "Mean power",
        "W",
        "mean_power_w",
        limit="rating",
        meaning="Mean of the year at the rack's input.",
    ),
    Quantity(
        "supply_degc",
        "Coolant supply",
        "°C",
        "max_supply_degc",
        "Warmest coolant supply",
        "supply_degc",
        limit="liquid_supply_max_degc",
        meaning="Coolant that enters the rack, against its product's warmest.",
    ),
    Quantity(
        "mean_supply_degc",
        "Mean coolant supply",
        "°C",
        "mean_supply_degc",
        limit="liquid_supply_max_degc",
        meaning="Mean of the year of the coolant that enters the rack.",
    ),
    Quantity(
        "junction_degc",
        "Junction temperature",
        "°C",
        "max_junction_degc",
        "Hottest accelerator",
        "junction_degc",
        limit="throttle_degc",
        meaning="Hottest accelerator of the rack, against the temperature from which its clock falls.",
    ),
    Quantity(
        "inlet_air_degc",
        "Inlet air",
        "°C",
        "max_inlet_air_degc",
        "Warmest inlet air",
        "inlet_air_degc",
        limit="air_inlet_max_degc",
        meaning="Air that enters the rack, against its product's warmest.",
    ),
    Quantity(
        "clock_frac",
        "Throttling (clock)",
        "%",
        "min_clock_frac",
        "Throttling (slowest clock)",
        "clock_frac",
        meaning="Clock over its highest; less than 100 % where heat or a cap slows the accelerators.",
    ),
    Quantity(
        "throttled_hours",
        "Throttled hours",
        "h",
        "throttled_hours",
        meaning="Hours of the year in which heat or a cap slowed the accelerators.",
    ),
    Quantity(
        "feed_load_frac",
        "Feed load",
        "%",
        "max_feed_load_frac",
        "Highest feed load",
        "load_frac",
        part="feeds",
        limit="full",
        meaning="Load over rating of the feed that the rack plugs into; of two feeds the one with more load.",
    ),
    Quantity(
        "mean_feed_load_frac",
        "Mean feed load",
        "%",
        "mean_feed_load_frac",
        limit="full",
        meaning="Mean of the year of the load over the rating of the rack's feed; of two the one with more.",
    ),
    Quantity(
        "cdu_load_frac",
        "CDU load",
        "%",
        "max_cdu_load_frac",
        "Highest CDU load",
        "load_frac",
        part="cdus",
        limit="full",
        meaning="Heat over capacity of the CDU that serves the rack.",
    ),
    Quantity(
        "mean_cdu_load_frac",
        "Mean CDU load",
        "%",
        "mean_cdu_load_frac",
        limit="full",
        meaning="Mean of the year of the heat over the capacity of the CDU that serves the rack.",
    ),
    Quantity(
        "output_tokens_per_s",
        "Output tokens",
        "tok/s",
        "output_tokens_per_s",
        "Output tokens, mean",
        "tokens_per_s",
        meaning="Tokens that the rack generates.",
    ),
    Quantity(
        "tokens_per_joule",
        "Tokens per watt",
        "tok/J",
        "tokens_per_joule",
        "Tokens per watt, mean",
        "tokens_per_joule",
        meaning="Generated tokens per joule at the rack's input.",
    ),
    Quantity(
        "availability_frac",
        "Availability of its supply",
        "%",
        meaning="Share of a year in which power, coolant and air reach the rack, from failures and repairs of its "
        "feeds A and B, CDU group, air units and plant with their spares, in series and parallel. Its own "
        "accelerators do not count.",
    ),
    Quantity(
        "weight_kg",
        "Weight",
        "kg",
        limit="floor",
        meaning="Weight of the rack's systems, against what the floor carries under it and half the aisles.",
    ),
    Quantity("rated_power_w", "Rated power", "W", meaning="Nameplate power of what is in the rack."),
)
#: By name, and by the names of a run's arrays, which older addresses use.
BY_NAME = {q.year: q for q in QUANTITIES if q.year} | {q.name: q for q in QUANTITIES}
MADE_BY_COMPUTE = ("output_tokens_per_s", "tokens_per_joule", "clock_frac", "throttled_hours", "junction_degc")
