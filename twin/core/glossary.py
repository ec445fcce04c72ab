"""The words of the trade as this program uses them: meaning, unit, formula and where they are met.

The figures of merit are taken from `core.figures_of_merit`, so that a tooltip and the glossary cannot say two things.
"""

from dataclasses import dataclass

from twin.core.figures_of_merit import FIGURES

RUN, COMPARE, SERVING, CATALOGUE, SITES, VALIDATION = (
    ("run-list", "Runs"),
    ("compare", "Compare"),
    ("serving", "Serving"),
    ("catalogue", "Catalogue"),
    ("site-list", "Sites"),
    ("validation", "Validation"),
)


@dataclass(frozen=True, slots=True)
class Term:
    """One word. `used` are pages as (name of the address, label)."""

    slug: str
    name: str
    meaning: str
    unit: str = ""
    formula: str = ""
    used: tuple[tuple[str, str], ...] = ()


#: Formulas and short forms of figures of merit, by name.
FORMULAS = {
    "output_tokens_per_s": "Σ over hours of served requests per second × output tokens per request, ÷ hours",
    "tokens_per_joule": "output tokens per second ÷ power at the meter; 1 tok/J = 1 (tok/s)/W = 1 M (tok/s)/MW",
    "it_tokens_per_joule": "output tokens per second ÷ power at the rack inputs",
    "cost_per_million_output_tokens_usd": (
        "(capital per year + energy + demand charge + carbon + water + maintenance + staff + licences) ÷ output tokens "
        "per year × 10⁶"
    ),
    "rented_cost_per_million_output_tokens_usd": (
        "(rent + storage + licences + staff of the service) ÷ output tokens × 10⁶"
    ),
    "colocated_cost_per_million_output_tokens_usd": (
        "(systems + colocation + energy + maintenance + licences + staff of the service) ÷ output tokens × 10⁶"
    ),
    "utilisation_frac": "served ÷ servable output tokens",
    "flop_utilisation_frac": "arithmetic per second ÷ dense peak of all accelerators (MFU)",
    "bandwidth_utilisation_frac": "bytes moved per second ÷ peak memory bandwidth of all accelerators (MBU)",
    "stranded_power_w": "provisioned power − highest hour at the meter",
    "availability_frac": "Σ over failure states of probability × capacity left",
    "lost_tokens_per_year": "(1 − availability) × output tokens per year",
    "slo_attainment_frac": "requests inside both latency targets ÷ requests offered",
    "goodput_tokens_per_s": "output tokens per second of the requests inside both latency targets",
    "pue": "energy at the meter ÷ energy of IT",
    "wue_l_per_kwh": "litres of site water ÷ kWh of IT",
    "cue_kg_per_kwh": "kg CO2 of the grid's energy ÷ kWh of IT = grid carbon × PUE",
    "peak_power_w": "max over hours of power at the meter",
    "peak_grid_power_w": "max over hours of power at the meter - on-site generation with one unit of each source out",
    "mean_power_w": "mean over hours of power at the meter",
}

WORDS = (
    Term(
        "80-percent-rule",
        "80 % rule",
        "A breaker that carries its load for hours may be used to 80 % of its rating "
        "(NEC 210.20, 215.3). Products sold by their continuous rating have it taken off already.",
        "%",
        "continuous load ≤ 0.8 × breaker rating",
        (SITES,),
    ),
    Term(
        "4n3",
        "4N3, 5-to-make-4",
        "Block redundancy: four blocks share a load that three can carry (five one of four), each "
        "rack on two of them. Less spare capacity than 2N.",
        used=(SITES,),
    ),
    Term("2n", "2N", "Two full sides, A and B: either carries the whole load.", used=(SITES,)),
    Term(
        "design-hour",
        "Design hour",
        "The hour a layout is judged at: its busiest demand in weather that the layout chooses (what 0.4, 1 or 2 % of "
        "the year's hours exceed, a 20-year extreme, the year's worst hour, or its own). Figures of it are of one "
        "hour; those of a run are of its whole year.",
        used=(SITES, RUN),
    ),
    Term("n-plus-1", "N+1", "One unit more than the design load needs, so that any one may fail.", used=(SITES, RUN)),
    Term(
        "activity",
        "Activity",
        "How busy an accelerator's arithmetic and memory are; sets its power.",
        "%",
        used=(SERVING,),
    ),
    Term(
        "approach",
        "Approach",
        "How close a heat exchanger brings two fluids. Of a CDU: rack coolant supply minus "
        "facility water supply; of a cooler: leaving fluid minus ambient.",
        "K",
        "T supply − T facility water",
        (CATALOGUE, SITES),
    ),
    Term(
        "band",
        "80 % band",
        "Range that holds the true value four times out of five, as far as the inputs' uncertainty is known.",
        used=(RUN, COMPARE),
    ),
    Term(
        "batch",
        "Batch",
        "Requests that an engine serves in one step. Larger batches give more tokens per watt and a "
        "slower answer to each user.",
        used=(SERVING,),
    ),
    Term(
        "bess",
        "BESS",
        "Battery energy storage: carries the load until generators run, or smooths its steps.",
        "J",
        used=(CATALOGUE,),
    ),
    Term("busway", "Busway", "Overhead rail that racks plug into; one per side and row.", "W", used=(SITES,)),
    Term(
        "cdu",
        "CDU",
        "Coolant distribution unit: moves the racks' heat from their coolant to facility water by pumps "
        "and a heat exchanger.",
        "W",
        "heat = flow × density × heat capacity × temperature rise",
        (SITES, CATALOGUE),
    ),
    Term(
        "chunked-prefill",
        "Chunked prefill",
        "Processing a long prompt in pieces between decode steps, so that answers under way do not stall.",
        used=(SERVING,),
    ),
    Term(
        "confidence",
        "Confidence",
        "How far an input can be trusted: ● published, ◐ derived from published figures, "
        "○ estimated, ◇ assumed by the model, ✎ entered by you. A result has its weakest input's mark.",
        used=(CATALOGUE, RUN),
    ),
    Term(
        "containment",
        "Containment",
        "Doors and roofs that keep the air in front of racks apart from the air behind.",
        used=(SITES,),
    ),
    Term(
        "decode", "Decode", "Generating output tokens one by one; bound by memory bandwidth.", "tok/s", used=(SERVING,)
    ),
    Term(
        "demand-charge",
        "Demand charge",
        "What a utility charges per month for the highest power drawn, whatever the energy.",
        "$/kW month",
        used=(RUN,),
    ),
    Term(
        "dew-point-margin",
        "Dew-point margin",
        "Coolest surface minus the hall's dew point: below zero, water condenses.",
        "K",
        "T coolant − T dew point",
        (RUN,),
    ),
    Term(
        "dlc",
        "DLC, direct liquid cooling",
        "Coolant through cold plates on the chips; takes most of a rack's heat, the rest goes to the air.",
        "%",
        "liquid share = heat into coolant ÷ power",
        (CATALOGUE, SITES),
    ),
    Term(
        "dry-bulb",
        "Dry bulb, wet bulb",
        "Air temperature, and the temperature that evaporation can cool it to: what "
        "dry coolers and towers work against.",
        "°C",
        used=(RUN,),
    ),
    Term(
        "economiser",
        "Economiser",
        "Free cooling: outside air or towers reject the heat, without chillers.",
        "h",
        used=(RUN, SITES),
    ),
    Term(
        "facility-water",
        "Facility water",
        "The loop between CDUs or air units and the plant outdoors.",
        "°C",
        used=(SITES,),
    ),
    Term(
        "finding",
        "Finding",
        "A rule that a layout breaks: blocking forbids building it, a risk needs a decision, a hint is good to know.",
        used=(SITES,),
    ),
    Term(
        "interruption",
        "Interruption",
        "A loss of token capacity, by a failure or a planned outage of power or cooling, that is "
        "large enough to count; the threshold is assumed and stands beside the number.",
        "1/year",
        used=(RUN,),
    ),
    Term(
        "itl",
        "ITL, inter-token latency",
        "Gap between two tokens of one answer; its inverse is the speed a user sees.",
        "s",
        used=(SERVING, RUN),
    ),
    Term(
        "junction",
        "Junction temperature",
        "Temperature of the chip itself; raises leakage, and past its limit lowers the clock.",
        "°C",
        "T coolant + power × thermal resistance",
        (RUN,),
    ),
    Term(
        "kv-cache",
        "KV cache",
        "Attention keys and values of every token of the requests under way, held in memory; limits the batch.",
        "B",
        "2 × layers × KV heads × head size × bytes × tokens",
        (SERVING,),
    ),
    Term(
        "nameplate",
        "Nameplate, provisioned, peak and mean power",
        "Four different powers: the sum of the racks' data "
        "sheets, what feeds and plant are rated to carry, the highest hour, the mean hour.",
        "W",
        used=(RUN,),
    ),
    Term(
        "prefill",
        "Prefill",
        "Processing the prompt; bound by arithmetic, sets the time to first token.",
        "tok/s",
        used=(SERVING,),
    ),
    Term(
        "prefix-cache",
        "Prefix cache",
        "Keeping the KV cache of a prompt's beginning, so that it is not processed again. "
        "Contexts in service have priority; of those that pause, the least recently used is evicted first.",
        "%",
        "hit rate = prompt tokens found ÷ prompt tokens",
        (SERVING, RUN),
    ),
    Term(
        "rci",
        "RCI, rack cooling index",
        "How far inlets stay in ASHRAE's range: 100 % where none passes the "
        "recommended 27 °C, 0 % where all sit at the allowable 32 °C (class A1).",
        "%",
        "1 − Σ (inlet − 27)⁺ ÷ (racks × 5 K)",
        (RUN,),
    ),
    Term(
        "roofline",
        "Roofline",
        "The least time a step can take: arithmetic over peak rate or bytes over bandwidth, whichever is longer.",
        "s",
        "max(FLOP ÷ FLOP/s, bytes ÷ B/s)",
        (SERVING, VALIDATION),
    ),
    Term(
        "rti",
        "RTI, return temperature index",
        "Flow of the servers against flow of the air units, by temperatures: above 100 % servers "
        "draw in their own hot air (recirculation), below it supply air bypasses them.",
        "%",
        "(return − supply) ÷ (hot aisle − inlet)",
        (RUN,),
    ),
    Term(
        "session",
        "Session",
        "Requests that follow each other with the same, growing context: a chat, or an agent "
        "that thinks and calls tools. Between two it pauses.",
        "sessions",
        "under way = requests in service + requests per second × mean pause",
        (SERVING, RUN),
    ),
    Term(
        "shi",
        "SHI, supply heat index",
        "Share of the servers' heat that their inlet air already carries: hot air "
        "that is drawn in again. RHI is the rest.",
        "%",
        "(inlet − supply) ÷ (hot aisle − supply)",
        (RUN,),
    ),
    Term(
        "slo",
        "SLO, latency target",
        "What a use case promises its users: limits of TTFT and ITL at a percentile.",
        "s",
        used=(RUN,),
    ),
    Term(
        "snapshot",
        "Snapshot",
        "Everything a run depends on, frozen when it starts and named by its sha256: the same "
        "snapshot always gives the same results.",
        used=(RUN,),
    ),
    Term(
        "speculation",
        "Speculative decoding",
        "A small model proposes tokens, the large one checks several at once.",
        used=(SERVING,),
    ),
    Term(
        "tensor-parallel",
        "TP, PP, DP, EP",
        "Splitting a model over accelerators: within layers, by layers, by copies, by experts.",
        used=(SERVING,),
    ),
    Term(
        "throttling",
        "Throttling",
        "Lowering the clock because a chip is too hot or a cap is reached: fewer tokens.",
        "%",
        used=(RUN,),
    ),
    Term(
        "tmy3",
        "TMY3, EPW",
        "A typical year of hourly weather made of measured months; EPW is a file format for it.",
        "h",
        used=(SITES,),
    ),
    Term(
        "ttft",
        "TTFT, time to first token",
        "From arrival to the first token of the answer, waiting included.",
        "s",
        "queueing + prefill",
        (SERVING, RUN),
    ),
    Term(
        "ups",
        "UPS",
        "Uninterruptible power supply: batteries and converters between transformer and racks.",
        "W",
        "loss = no-load + linear + quadratic in load",
        (SITES, CATALOGUE),
    ),
    Term(
        "wbgt",
        "WBGT, wet-bulb globe temperature",
        "Index of heat stress from air temperature, humidity and radiation "
        "(ISO 7243). NIOSH's alert limit (RAL) is for unacclimatised people, its exposure limit (REL) for acclimatised "
        "ones; the minutes of a shift come from predicted heat strain (ISO 7933).",
        "°C",
        "0.7 natural wet bulb + 0.3 globe, indoors",
        (RUN,),
    ),
)


def terms() -> list[Term]:
    """Return all terms in alphabetical order."""
    figures = [Term(f.name, f.label, f.meaning, f.unit, FORMULAS.get(f.name, ""), (RUN, COMPARE)) for f in FIGURES]
    return sorted([*WORDS, *figures], key=lambda term: term.name.lower())
