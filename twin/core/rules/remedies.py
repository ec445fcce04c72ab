"""What removes a finding, by its rule: one sentence, and which changes the product can compute and try."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """How to remove a finding.

    `counts` are numbers of units of which more may remove it; `moves` name other changes, tried in this order
    (`twin.remedies.moves`). Neither: it takes a decision that nobody computes.
    """

    text: str
    counts: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()


SHIFT = ("shifted",)
LARGER = ("larger",)
#: By the rule of a finding: of the floor, of power, of cooling, and what only a solved year shows ("run-…").
REMEDIES: Mapping[str, Remedy] = {
    "overlap": Remedy("Shift one of the two to free floor.", moves=SHIFT),
    "inside the hall": Remedy("Shift it into the hall, or make the hall larger.", moves=SHIFT),
    "aisle width": Remedy("Shift the row until the aisle is wide enough.", moves=SHIFT),
    "clear aisle": Remedy("Shift it out of the aisle.", moves=SHIFT),
    "front in hot aisle": Remedy("Turn it round, so that it draws from the cold aisle.", moves=("turned",)),
    "placed air units": Remedy("State as many air units as are drawn, or draw the others.", moves=("drawn_number",)),
    "floor load": Remedy("Spread the weight over a plinth, take a lighter rack, or state the floor's true limit."),
    "rack size": Remedy("Give the rack the size of its product.", moves=("product_size",)),
    "no feed": Remedy("Plug it into a feed on each side.", moves=("feeds",)),
    "one feed": Remedy("Plug it into a feed of the other side too.", moves=("feeds",)),
    "rack power": Remedy("Take the next larger feed, or plug it in elsewhere.", moves=(*LARGER, "feeds")),
    "shared path": Remedy("Move side B to a feed with a path of its own.", moves=("other_side",)),
    "breaker 80 %": Remedy("Take the next larger busway or feed, or share the racks out.", moves=LARGER),
    "capacity": Remedy("Add a unit, or take the next larger product.", ("n_units",), LARGER),
    "spare unit": Remedy("Add a unit, or take the next larger product.", ("n_units",), LARGER),
    "after a failure": Remedy("Add a unit, or take the next larger product on every side.", ("n_units",), LARGER),
    "redundancy group": Remedy("State one redundancy for all feeds of the group, and give it as many as that takes."),
    "stranded power": Remedy("Place more racks behind it, or ask for less.", moves=("less_grid",)),
    "no utility": Remedy("Draw the utility, or a generator that runs all year, above the feeds."),
    "odd size": Remedy("Check the unit that it was written in, and correct it."),
    "grid limit": Remedy("Ask for a larger connection, cap the racks, or place fewer.", moves=("more_grid",)),
    "generators": Remedy("Add a generator.", ("n_units",)),
    "island": Remedy("Add a generator.", ("n_units",)),
    "no generators": Remedy("Add generators, or accept that a long outage stops the site."),
    "standby feeds": Remedy("Describe it as running all year, so that its fuel is counted.", moves=("prime",)),
    "carry-over": Remedy("Take a battery that lasts until the generators have the load, or ones that start sooner."),
    "voltage drop": Remedy("Shorten the line, or take the next larger product.", moves=LARGER),
    "phase load": Remedy("Give its taps other phases, or take the next larger product."),
    "phase balance": Remedy("Give its taps other phases."),
    "unlike currents": Remedy("Plug it into feeds of its own current.", moves=("feeds",)),
    "unlike voltages": Remedy("Draw a transformer or PDU between, or take products of one voltage."),
    "feeds": Remedy("Let every feed have one parent, up to a utility or generator."),
    "no CDU": Remedy("Put it on a CDU.", moves=("cdu",)),
    "coolant flow": Remedy("Take the flow that the product is designed for.", moves=("design_flow",)),
    "CDU group": Remedy("Set what differs as the first unit of the group has it.", moves=("like_first",)),
    "CDU redundancy": Remedy("Add a CDU to the group.", ("n_cdus",)),
    "CDU capacity": Remedy("Add a CDU to the group, or raise its set point.", ("n_cdus",), ("warmer_coolant",)),
    "CDU flow": Remedy("Add a CDU to the group.", ("n_cdus",)),
    "dew point": Remedy("Raise the set point above the room's dew point.", moves=("allowed_coolant",)),
    "coolant temperature": Remedy("Set what the racks take.", moves=("allowed_coolant",)),
    "coolant": Remedy("Fill the loop with what its racks are released for.", moves=("released_coolant",)),
    "loop pressure": Remedy("Take CDUs with stronger pumps, add one, or shorten the loop."),
    "loop balance": Remedy("Balance the rows by valves, or set racks of one resistance on one group."),
    "plant capacity": Remedy(
        "Add a cooler, tower or chiller, or let the water be warmer.",
        ("n_heat_rejection", "n_chillers"),
        ("warmer_water",),
    ),
    "plant pumps": Remedy("Add a pump, or let the water warm by more.", ("n_pumps",)),
    "unused plant": Remedy("Put a CDU group or a hall on it, or delete it."),
    "air units": Remedy("Add an air unit, or put the hall on a plant.", ("n_air_units",), ("plant",)),
    "air flow": Remedy("Add an air unit.", ("n_air_units",)),
    "supply air": Remedy("Raise the supply air above what its water allows.", moves=("warmer_air",)),
    "inlet air": Remedy("Lower the supply air to what the racks take.", moves=("allowed_air",)),
    "not modelled": Remedy("Choose a kind of CDU that is modelled."),
    "weather station height": Remedy("Take the weather of a station nearer the site's height."),
    "secondary accelerators": Remedy("Choose the system with one kind of accelerator."),
    "calibrated object missing": Remedy("Name the object as it was, or calibrate again."),
    "run-not-converged": Remedy("Look at what stands at its limits; a layout far beyond them has no solution."),
    "run-does-not-fit": Remedy("Take accelerators with more memory, lower precision or a smaller model."),
    "run-turned-away": Remedy("Add accelerators, or ask for less demand."),
    "run-limit": Remedy("Add or enlarge what it names; the rules of the description say how where they see it too."),
    "run-too-small": Remedy("Add or enlarge what it names."),
    "run-out-of-range": Remedy("Take a product or set point within its published range."),
    "run-network-unplaced": Remedy("Place network racks without a product or a power."),
    "run-storage-unplaced": Remedy("Place storage racks without a product or a power."),
    "run-cpu-unplaced": Remedy("Place support racks without a product or a power."),
    "run-cpu-short": Remedy("Add servers of this kind."),
    "run-margin": Remedy("Look at it before anything is added: little more fits."),
    "run-throttled": Remedy("Lower the coolant's or the air's set point, or add cooling."),
    "run-worst-failure": Remedy("Add a spare unit there; the drill's repairs say which pays."),
    "run-hot-aisle": Remedy("Lower the supply air, or plan shorter stays."),
    "run-drill": Remedy("Add thermal storage, put pumps on the UPS, or shorten the start of standby."),
}
#: Units of which more may fix a finding, by its rule; where several may, the one that helps most is taken.
FIXED_BY = {rule: remedy.counts for rule, remedy in REMEDIES.items() if remedy.counts}
