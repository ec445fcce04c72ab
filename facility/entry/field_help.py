"""What every field of every form means, the typical value and its source: the one place for these facts.

The table is read by "subject.field"; a form's subject is its model, or what it names (`help_subjects`). The meaning is
the model's or the form's own help text where it has one, and stands here where it does not. Units stand in the labels
and in the typical values. `Described` puts all of it under each field, linked to the input by `aria-describedby`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString

from facility.entry import number_entry
from facility.entry.units import measure_of

OURS = "your own naming"
SAMPLES = "the sample sites"
CATALOGUE = "the catalogue, with a source per entry"
TIA = "ANSI/TIA-942"
ASHRAE_AIR = "ASHRAE TC 9.9, classes A1 to A4"
ASHRAE_WATER = "ASHRAE TC 9.9 liquid-cooling classes W17 to W45; see the catalogue"
OCP = "Open Compute Project, guidance for cold plates"
ASSUMED = "our assumption; measure it where you can"
SURVEY = "the building's drawings"


@dataclass(frozen=True, slots=True)
class Help:
    """Facts of one field: typical value, its source, and what it means where the model does not say."""

    typical: str
    source: str
    meaning: str = ""


HELP: dict[str, Help] = {
    # Site
    "site.name": Help("a place, e.g. Golden, Colorado", OURS, "What people call the site."),
    "site.slug": Help("lower case and hyphens, e.g. golden", OURS),
    "site.place": Help("town and country", "any map"),
    "site.latitude_deg": Help("−90° to 90°", "any map (WGS 84)"),
    "site.longitude_deg": Help("−180° to 180°", "any map (WGS 84)"),
    "site.elevation_m": Help("0 to 2,000 m", "any map"),
    "site.weather": Help(
        "a typical year (TMY3), one estimated for a city, or one you upload",
        "the station named in the weather's own source",
    ),
    "site.weather_file": Help("1.6 MB, 8,760 rows", "your own station or climate.onebuilding.org"),
    "site.region": Help("5 to 22 ¢/kWh; 0.02 to 0.7 kg CO2/kWh", CATALOGUE),
    "site.grid_limit_w": Help("10 MW at the sample sites", "your connection agreement with the utility"),
    "site.repair_crews": Help("1 to 4; assumed 2: one on site, one on call", "your service contracts"),
    "site.organisation": Help("the company that runs the site", OURS),
    "site.notes": Help("which published design it follows", OURS, "Whatever the next reader should know."),
    # Members
    "member.user": Help("as the user signs in", "the user, or an administrator", "Whoever is to be a member."),
    "member.role": Help("planner; one owner or two", OURS, "What the member may do here."),
    "organisation.name": Help("a company or a part of one", OURS, "What people call the organisation."),
    "organisation.slug": Help("lower case and hyphens, e.g. north-grid", OURS),
    # Layout
    "layout.name": Help("what sets it apart, e.g. GB300, dry coolers", OURS, "What people call this alternative."),
    "layout.slug": Help("lower case and hyphens, e.g. gb300-dry", OURS),
    "layout.status": Help(
        "proposed until somebody approves it",
        OURS,
        "How far this alternative is decided. Only a proposed layout can be changed; of others, change a copy.",
    ),
    "layout.design_hour": Help("0.4 to 2 % for a plant, the 20-year extreme where none may fail", "ASHRAE, ch. 14"),
    "layout.design_dry_bulb_degc": Help("30 to 45 °C", "ASHRAE design conditions of the nearest station"),
    "layout.design_wet_bulb_degc": Help("18 to 30 °C", "ASHRAE design conditions of the nearest station"),
    "layout.notes": Help("source of the design, what was sized by you", OURS),
    "layout_clone.name": Help("the original's name and the difference", OURS),
    "layout_clone.slug": Help("lower case and hyphens", OURS),
    "reference.design": Help("the published design nearest to your accelerators", SAMPLES),
    "reference.it_power_mw": Help("1 to 100 MW", "your grid connection over the PUE that you expect"),
    "reference.name": Help("empty: its racks and their power", OURS),
    # Hall
    "hall.name": Help("e.g. Data hall", OURS, "Name of the room; racks and CDUs refer to it."),
    "hall.width_m": Help("15 to 60 m", SURVEY),
    "hall.depth_m": Help("15 to 60 m", SURVEY),
    "hall.height_m": Help("4 to 7 m", SAMPLES),
    "hall.tile_m": Help("0.6 m", "raised floors are made in tiles of 600 mm"),
    "hall.min_aisle_m": Help("1.0 to 1.8 m", f"{TIA}: 1.0 m before racks, better 1.2 m; 0.6 m behind, better 1.0 m"),
    "hall.floor_load_limit_kg_per_m2": Help("1,200 to 2,500 kg/m²", f"{TIA}: 12 kPa, about 1,220 kg/m², recommended"),
    "hall.containment": Help("hot aisle", SAMPLES, "What keeps cold and hot air apart."),
    "hall.supply_air_degc": Help("18 to 27 °C", f"{ASHRAE_AIR}: recommended range"),
    "hall.air_unit": Help("375 to 400 kW a unit", CATALOGUE, "Product of the air units that cool the room."),
    "hall.n_air_units": Help("as many as carry the racks' air heat, and a spare", "the findings of the layout"),
    "hall.n_air_units_spare": Help("1 (N+1)", SAMPLES),
    "hall.leakage_frac": Help("0.03 to 0.15 with containment, up to 0.4 without", ASSUMED),
    "hall.recirculation_frac": Help("0.01 to 0.1 with containment, up to 0.3 without", ASSUMED),
    "hall.lighting_w": Help("5 to 15 kW; about 10 W per m²", SAMPLES),
    "hall.plant": Help("the plant with the colder water", SAMPLES),
    # Rack
    "rack.name": Help("row and number, e.g. A-01", OURS, "Name of the rack; unique in its hall."),
    "rack.hall": Help("the room it stands in", SURVEY, "Hall whose floor and air it uses."),
    "rack.row": Help("a letter, e.g. A", OURS),
    "rack.role": Help("compute; network and storage beside it", SAMPLES),
    "rack.x_m": Help("0 m to the hall's width", SURVEY),
    "rack.y_m": Help("0 m to the hall's depth", SURVEY),
    "rack.orientation_deg": Help("rows face each other, cold aisles between fronts", SAMPLES),
    "rack.width_m": Help("0.6 to 0.8 m", "the product's data sheet; see the catalogue"),
    "rack.depth_m": Help("1.07 to 1.4 m", "the product's data sheet; see the catalogue"),
    "rack.product": Help("40 to 230 kW a liquid-cooled rack", CATALOGUE),
    "rack.n_systems": Help("1 whole rack, or 4 to 8 servers", "the product's data sheet; see the catalogue"),
    "rack.other_power_w": Help("0 kW, or 14 kW in a support rack", SAMPLES),
    "rack.accelerator_power_limit_w": Help("empty, or 60 to 100 % of the thermal design power", CATALOGUE),
    "rack.load_share": Help("1; 0.5 for half the pool's mean load", ASSUMED),
    "rack.coolant_flow_m3_per_s": Help("1.25 to 2.0 l/min per kW", OCP),
    "rack.cdu": Help("a CDU of the same hall", SAMPLES),
    "rack.feed_a": Help("a busway or PDU of side A", SAMPLES),
    "rack.feed_b": Help("a busway or PDU of side B, with no part shared", SAMPLES),
    # CDU
    "cdu.name": Help("e.g. CDU-1a", OURS, "Name of the unit; unique in the layout."),
    "cdu.hall": Help("the hall of the racks it cools", SURVEY, "Hall it stands in."),
    "cdu.product": Help("0.1 to 2.3 MW a unit", CATALOGUE, "Product: gives capacity, approach, flow and size."),
    "cdu.plant": Help("the plant with the warmer water", SAMPLES),
    "cdu.group": Help("one name per loop, e.g. Loop 1", SAMPLES),
    "cdu.redundant_units": Help("1 (N+1)", SAMPLES),
    "cdu.x_m": Help("0 m to the hall's width", SURVEY),
    "cdu.y_m": Help("0 m to the hall's depth", SURVEY),
    "cdu.orientation_deg": Help("service side to the aisle", SURVEY, "Direction its front faces."),
    "cdu.supply_degc": Help("30 to 45 °C, 3 to 6 K above its plant's water", "the racks' limit; see the catalogue"),
    "cdu.coolant": Help("PG25", "what the racks are released for; see the catalogue"),
    # Air units and what else takes floor
    "airunit.name": Help("e.g. CRAH-1", OURS, "Name of the unit; unique in the layout."),
    "airunit.hall": Help("the hall it cools", SURVEY),
    "airunit.x_m": Help("0 m to the hall's width", SURVEY),
    "airunit.y_m": Help("0 m to the hall's depth", SURVEY),
    "airunit.orientation_deg": Help("into the cold aisles", SURVEY),
    "airunit.width_m": Help("2 to 4 m", "the product's data sheet"),
    "airunit.depth_m": Help("0.9 to 1.2 m", "the product's data sheet"),
    "floorfeature.name": Help("e.g. Column 3, Aisle A-B", OURS, "Name of the area; unique in the layout."),
    "floorfeature.hall": Help("the room it lies in", SURVEY, "Hall whose floor it covers."),
    "floorfeature.type": Help("walls and columns first, then keep-outs and aisles", SURVEY),
    "floorfeature.x_m": Help("0 m to the hall's width", SURVEY),
    "floorfeature.y_m": Help("0 m to the hall's depth", SURVEY),
    "floorfeature.width_m": Help("0.1 m for a wall, 1.0 to 1.8 m for an aisle", SURVEY),
    "floorfeature.depth_m": Help("0.1 m for a wall, 1.0 to 1.8 m for an aisle", SURVEY),
    # Power feed
    "powerfeed.name": Help("e.g. UPS 1, Busway A-A", OURS, "Name of the feed; unique in the layout."),
    "powerfeed.kind": Help("utility, transformer, switchboard, UPS, busway from the top down", SAMPLES),
    "powerfeed.parent": Help("the next feed towards the utility", SAMPLES),
    "powerfeed.product": Help("UPS 1.5 MW, transformer 2.5 to 3 MVA, busway 1,250 A", CATALOGUE),
    "powerfeed.rating_w": Help("empty, or the breaker's continuous rating", "the product's data sheet or nameplate"),
    "powerfeed.n_units": Help("1 to 4", SAMPLES),
    "powerfeed.length_m": Help("8 to 60 m for a busway over a row", SURVEY),
    "powerfeed.redundancy_group": Help("one name for all feeds that back each other up", SAMPLES),
    "powerfeed.redundancy": Help("2N at the racks, 4N3 or N+1 above", SAMPLES),
    "powerfeed.eco_mode": Help("off", SAMPLES),
    "powerfeed.operation": Help("standby, but for engines, turbines and fuel cells that run all year", SAMPLES),
    "powerfeed.phase": Help("all three; racks of accelerators draw from all", OURS),
    "powerfeed.reserve_frac": Help("0.5: as many minutes as generators need, many times over", ASSUMED),
    "powerfeed.hall": Help("the hall, for busways and PDUs", SURVEY),
    # Cooling plant
    "coolingplant.name": Help("e.g. Facility water", OURS, "Name of the plant; unique in the layout."),
    "coolingplant.supply_degc": Help("17 to 45 °C; warmer water needs fewer chillers", ASHRAE_WATER),
    "coolingplant.design_rise_k": Help("8 to 12 K", SAMPLES),
    "coolingplant.coolant": Help("water; glycol where it may freeze", SAMPLES),
    "coolingplant.economiser": Help("outside air only for warm water", SAMPLES),
    "coolingplant.heat_rejection": Help("0.5 to 2 MW a unit", CATALOGUE),
    "coolingplant.n_heat_rejection": Help("what the hottest hour takes, and a spare", "the findings of the layout"),
    "coolingplant.n_heat_rejection_spare": Help("1 (N+1)", SAMPLES),
    "coolingplant.chiller": Help("0.3 to 3 MW a unit, or none with warm water", CATALOGUE),
    "coolingplant.n_chillers": Help("0 with outside air only", SAMPLES),
    "coolingplant.n_chillers_spare": Help("1 (N+1), 0 without chillers", SAMPLES),
    "coolingplant.pump": Help("15 to 110 kW a pump", CATALOGUE),
    "coolingplant.n_pumps": Help("2 to 4", SAMPLES),
    "coolingplant.n_pumps_spare": Help("1 (N+1)", SAMPLES),
    "coolingplant.tank_m3": Help("20 to 30 m³; seconds of cooling when pumps stop", SAMPLES),
    "fabric.name": Help("e.g. Scale-out", OURS, "Name of the network; unique in the layout."),
    "fabric.purpose": Help("scale-out", SAMPLES),
    "fabric.leaf": Help("32 to 144 ports", CATALOGUE),
    "fabric.spine": Help("the leaf's kind", CATALOGUE),
    "fabric.optics": Help("empty within a rack", CATALOGUE),
    "fabric.cable": Help("fibre of 20 m with optics, copper of 2 m without", CATALOGUE),
    "fabric.ports_per_accelerator": Help("1 scale-out, 0.25 front-end", "reference architectures of NVIDIA"),
    "fabric.port_bits_per_s": Help("400 or 800 Gbit/s", CATALOGUE),
    "fabric.rails": Help("4 or 8, the accelerators of a host", "reference architectures of NVIDIA"),
    "fabric.oversubscription": Help("1 scale-out, 2 to 4 front-end", "reference architectures of NVIDIA"),
    "cpuserver.name": Help("e.g. Tool servers", OURS, "Name of the servers; unique in the layout."),
    "cpuserver.product": Help("two-socket servers of 256 to 384 cores", CATALOGUE),
    "cpuserver.n_units": Help("what a run of the layout says it needs", "the run's own count of cores"),
    "storage.name": Help("e.g. Cache tier", OURS, "Name of the storage; unique in the layout."),
    "storage.purpose": Help("shared; a cache tier where agents or chats pause", OURS),
    "storage.product": Help("flash of 0.5 to 1 PB a unit", CATALOGUE),
    "storage.n_units": Help("shared: 1 PB and 0.5 TB/s for 1,000 accelerators", "reference architectures of NVIDIA"),
    # A row of racks; what is not here is the rack's own
    "rack_row.n_racks": Help("4 to 20", SAMPLES),
    "rack_row.pitch_m": Help("the rack's width", "racks stand side by side without gaps"),
    "rack_row.x_m": Help("0 m to the hall's width", SURVEY),
    # Weather
    "weather.name": Help("station and year", OURS),
    "weather.file": Help("1.6 MB, 8,760 rows", "climate.onebuilding.org, energyplus.net or your own station"),
    # Scenario
    "scenario.name": Help("the use case, e.g. Assistants", OURS, "Name of this scenario."),
    "scenario.slug": Help("lower case and hyphens", OURS),
    "scenario.weather": Help("the site's own year", "the weather's own source"),
    "scenario.engine": Help(
        "TensorRT-LLM",
        "measured serving of that engine; see Validation",
        "Serving software, whose measured efficiency the prediction uses; vLLM where it does not run.",
    ),
    "scenario.engine_version": Help(
        "empty, or the release that you run: 0.5.9",
        "measured serving of that release; see Validation",
        "Release of the engine: newer ones are faster. Empty: any.",
    ),
    "scenario.allow_drafts": Help("not ticked", "measured serving with MTP; see Validation"),
    "scenario.draft_tokens": Help("empty, or 1 to 3", "the engine's settings"),
    "scenario.draft_acceptance_frac": Help("empty: predicted; 0.5 to 0.9", "your engine's log"),
    "scenario.weight_precision": Help("the lowest it runs", "measured serving at FP8 and FP4; see Validation"),
    "scenario.kv_precision": Help(
        "as engines pair it: FP8 beside FP8 and FP4 weights",
        "the engine's settings",
        "Precision of the KV cache: FP8 holds twice as many tokens as BF16.",
    ),
    "scenario.accelerator_power_limit_w": Help("empty, or 60 to 100 % of the thermal design power", CATALOGUE),
    "scenario.admission": Help("wait", "your gateway's settings"),
    "scenario.cache_tier_bytes": Help("empty, or 100 GB to 1 TB", "your engine's settings; data sheet of the host"),
    "scenario.electricity_usd_per_kwh": Help("0.05 to 0.22 $/kWh", CATALOGUE),
    "scenario.fuel_usd_per_kwh": Help("0.01 to 0.05 $/kWh of gas", CATALOGUE),
    "scenario.serving_mode": Help("as the search finds", "measured serving of both; see Validation"),
    "scenario.max_ranks": Help("empty, or 8: one server", "your orchestration"),
    "scenario.is_default": Help("ticked for the scenario that is used most", OURS),
    "scenario.allow_pipelines": Help("ticked", "the engine's documentation"),
    "scenario.notes": Help("the question in a sentence", OURS),
    "scenarioworkload.workload": Help("one of nine", CATALOGUE, "Use case: lengths, latency targets and daily shape."),
    "scenarioworkload.model": Help("empty takes the recommended one with most tokens per watt", CATALOGUE),
    "scenarioworkload.checkpoint": Help(
        "empty, or a repository's name: Llama-3.1-405B-Instruct-FP8",
        "the model's page; the engine's settings",
        "Published weights that differ from their precision's usual. Empty: the usual ones.",
    ),
    "scenarioworkload.configuration": Help("empty, or the configuration that a run shows", "the run's page"),
    "scenarioworkload.accelerator_share_frac": Help(
        "0.5 and 0.25: two to one",
        "your product plan",
        "Share of the accelerators, relative to the other use cases: 1 and 1, or 0.5 and 0.5, are half each; a "
        "single use case gets all.",
    ),
    "scenarioworkload.requests_per_s": Help("empty, or the mean of your own log", "your own traffic"),
    "scenarioworkload.peak_load_frac": Help("0.7 to 0.95", ASSUMED),
    "scenarioworkload.tool_core_s": Help("empty; 0.1 for a search, 5 for agents that build and test", ASSUMED),
    "scenarioworkload.DELETE": Help("empty", OURS, "Tick to take this use case out of the scenario."),
}


def subjects(form: forms.BaseForm) -> tuple[str, ...]:
    """Return the subjects under which a form's fields are looked up, in order."""
    model = getattr(getattr(form, "_meta", None), "model", None)
    return getattr(form, "help_subjects", ()) or ((model._meta.model_name,) if model else ())


def help_of(form: forms.BaseForm, name: str) -> Help | None:
    """Return the facts of a form's field, or None where there are none."""
    return next((found for subject in subjects(form) if (found := HELP.get(f"{subject}.{name}"))), None)


def help_markup(meaning: str, known: Help) -> SafeString:
    """Return meaning, typical value and source as the text under a field."""
    meaning = meaning or known.meaning
    return format_html(
        '{} <span class="usual">Usual: {}. From: {}.</span>',
        meaning,
        known.typical,
        known.source,
    )


class Described:
    """Forms whose every field says what it means, typical value and source."""

    help_subjects: tuple[str, ...] = ()

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        describe(self, self.fields)

    @property
    def takes_units(self) -> bool:
        """Whether a field's number may have a unit."""
        return any(
            isinstance(field, number_entry.MEASURED_FIELDS) and measure_of(name) for name, field in self.fields.items()
        )


def describe(form: forms.BaseForm, names: Iterable[str]) -> None:
    """Put the facts under the visible fields of those names."""
    for name in names:
        known, field = help_of(form, name), form.fields[name]
        if known and not field.widget.is_hidden:
            field.help_text = help_markup(field.help_text, known)


def plain_texts(models: Iterable[type]) -> dict[str, str]:
    """Return the facts of some models' fields as plain text by "model.field", for inputs that are not a form's."""
    texts = {}
    for model in models:
        meant = {field.name: getattr(field, "help_text", "") for field in model._meta.get_fields()}
        for key, known in HELP.items():
            subject, _, name = key.partition(".")
            if subject == model._meta.model_name and name in meant:
                meaning = number_entry.without_unit(meant[name], name) or known.meaning
                texts[key] = f"{meaning} Usual: {known.typical}. From: {known.source}.".strip()
    return texts
