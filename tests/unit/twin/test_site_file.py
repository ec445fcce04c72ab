"""The site file: written and read without change; everything wrong in it is named and nothing half-written."""

import base64
import re
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

import facility
from facility import services
from facility.epw import read_epw
from facility.interchange import documents
from facility.interchange.catalogue_files import catalogue_load
from facility.interchange.documents import SiteFileError
from facility.models import Layout, Membership, PowerFeed, Rack, Site, Weather
from facility.weather import climates_load
from tests.small_run import done_run, small_scenario
from tests.small_site import new_rack, small_layout
from tests.stored_rows import Tables, put_in, rows_made
from tests.unit.facility.test_weather import epw, rows
from twin.core.inputs.generation import prime_movers, shaving_battery
from twin.core.inputs.layout import layout_inputs
from twin.core.results.findings import BLOCKING
from twin.core.rules.findings import rule_findings
from twin.interchange.site_file import site_export, site_import
from twin.models import Run, Scenario, ScenarioWorkload
from twin.runs.findings import layout_findings

pytestmark = pytest.mark.django_db
SAMPLES = sorted((Path(facility.__file__).parent / "samples").glob("*.yaml"))
ENVELOPES_W = {"bay-area": 8 * 142e3}  # of samples that are no hall of 7 MW: what stands in racks of their own product


def described() -> Site:
    layout, scenario = small_scenario()
    ScenarioWorkload.objects.filter(scenario=scenario).update(requests_per_s=1.5)
    services.layout_clone(layout=layout, name="Second")
    Site.objects.filter(pk=layout.site_id).update(repair_crews=0)  # as many as are broken
    layout.site.refresh_from_db()
    return layout.site


@pytest.fixture
def site() -> Site:
    return described()


@cache
def written() -> tuple[str, Tables]:
    """Return the file of `described`, written once, and the rows that stay without its site."""
    texts = []

    def leave_products() -> None:
        texts.append(site_export(site=described()))
        Site.objects.all().delete()

    rows = rows_made(leave_products)
    return texts[0], rows


def test_one_sample_shows_what_a_site_may_have_of_its_own(sample_inputs):
    inputs = layout_inputs(sample_inputs("bay-area/gb300-nvl72-pod", "agents"))
    assert [mover.name for mover in prime_movers(inputs)] == ["Fuel cells"]
    assert shaving_battery(inputs) is not None
    assert inputs.fabrics
    assert inputs.storages
    assert inputs.cpu_racks
    assert [network.without_price for network in inputs.networks()] == [()]
    assert not [row for row in rule_findings(inputs) if row.severity != "hint"]


@pytest.mark.slow
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_written_read_and_written_again_byte_for_byte_and_block_nothing(path):
    catalogue_load()
    climates_load()
    site = site_import(content=path.read_bytes())
    assert site.layouts.count() >= 2
    envelope_w, of_small = ENVELOPES_W.get(path.stem, 7.0e6), {"Assistants", "Agents"}
    scenarios = of_small if path.stem in ENVELOPES_W else {"Nine uses", *of_small}  # nine uses want nine racks
    assert {scenario.name for scenario in site.scenarios.all()} == scenarios
    first = site_export(site=site)
    assert site_export(site=site_import(content=first, replace=True)) == first
    site.delete()
    assert site_export(site=site_import(content=first)) == first
    for layout in Layout.objects.all():
        assert [found.message for found in layout_findings(layout) if found.severity == BLOCKING] == []
        assert layout.notes.startswith("Source: ")
        # One envelope: IT nameplate of the layouts differs by no more than 3 % from it, so that they compare.
        power_w = sum(
            rack.other_power_w + (rack.n_systems * rack.product.fact("max_power_w") if rack.product else 0)
            for rack in Rack.objects.filter(hall__layout=layout).select_related("product")
        )
        assert power_w == pytest.approx(envelope_w, rel=0.03)


def test_pins_and_restrictions_are_in_the_file(site):
    scenario = site.scenarios.get()
    scenario.serving_mode, scenario.max_ranks, scenario.allow_pipelines = "aggregated", 8, False
    scenario.engine_version, scenario.allow_drafts = "1.2.0rc6", True
    scenario.draft_tokens, scenario.draft_acceptance_frac = 2, 0.75
    scenario.kv_precision = "bf16"
    scenario.save()
    scenario.workloads.update(configuration="fp8, TP 8, batch 64")
    first = site_export(site=site)
    site.delete()
    again = site_import(content=first)
    assert site_export(site=again) == first
    assert again.scenarios.get().workloads.get().configuration == "fp8, TP 8, batch 64"
    found = again.scenarios.get()
    assert (found.engine_version, found.allow_drafts, found.draft_tokens) == ("1.2.0rc6", True, 2)
    assert (found.draft_acceptance_frac, found.kv_precision) == (0.75, "bf16")
    for old, new, words in (
        ("allow_drafts: true", "allow_drafts: false", "Nothing may be drafted here"),
        ("draft_tokens: 2", "draft_tokens: 2.5", "draft_tokens is 2.5; must be a whole number"),
        ("draft_tokens: 2", "draft_tokens: 40", "less than or equal to 16"),
        ("draft_acceptance_frac: 0.75", "draft_acceptance_frac: 1.5", "less than or equal to 1"),
        ("1.2.0rc6", "1.2 / 3", "Letters, digits, points"),
        ("kv_precision: bf16", "kv_precision: fp2", "Value 'fp2' is not a valid choice"),
        ("configuration: 'fp8", "checkpoint: mine, configuration: 'fp8", "Say whose checkpoint it is"),
    ):
        assert old in first
        with pytest.raises(SiteFileError, match=words):
            site_import(content=first.replace(old, new), replace=True)
    with pytest.raises(SiteFileError, match=r"workloads\[0\].*cannot be read"):
        site_import(content=first.replace("fp8, TP 8, batch 64", "TP many"), replace=True)


@pytest.mark.parametrize("written", ["1.0e+300", ".inf", ".nan", "-1"])
def test_demand_that_nobody_can_have_is_refused(site, written):
    content = site_export(site=site)
    assert "requests_per_s: 1.5" in content
    with pytest.raises(SiteFileError, match=r"workloads\[0\].*requests_per_s"):
        site_import(content=content.replace("requests_per_s: 1.5", f"requests_per_s: {written}"), replace=True)


def test_the_default_scenario_is_in_the_file_and_there_is_one_at_most(site):
    scenario = site.scenarios.get()
    scenario.is_default = True
    scenario.save()
    first = site_export(site=site)
    assert "is_default: true" in first
    Scenario.objects.create(site=site, slug="nights", name="Nights")
    assert site_export(site=site_import(content=first, replace=True)) == first
    twice = first + first[first.index("- slug: assistants") :].replace("slug: assistants", "slug: nights")
    with pytest.raises(SiteFileError, match="assistants and nights have is_default: true; one at most may"):
        site_import(content=twice, replace=True)
    with pytest.raises(SiteFileError, match=r"scenarios\[assistants\].is_default is 'often'; must be true or false"):
        site_import(content=first.replace("is_default: true", "is_default: often"), replace=True)


def test_samples_load_once_and_stay_as_people_change_them(capsys):
    with pytest.raises(CommandError, match="the catalogue is empty"):
        call_command("load_samples")
    call_command("load_catalogue")
    call_command("load_samples")
    Site.objects.filter(slug="sterling").update(name="Mine")
    n_racks = Rack.objects.count()
    capsys.readouterr()
    call_command("load_samples")
    assert "sterling: there already" in capsys.readouterr().out
    assert (Site.objects.get(slug="sterling").name, Rack.objects.count()) == ("Mine", n_racks)


def test_a_site_with_its_own_weather_moves_to_another_installation(site):
    own = services.weather_create(site=site, year=read_epw(epw(rows())), name="Our roof")
    site.weather = own
    site.save()
    first = site_export(site=site)
    site.delete()
    assert not Weather.objects.filter(slug=own.slug).exists()
    again = site_import(content=first)
    assert again.weather.site == again
    assert bytes(again.weather.rows) == bytes(own.rows)
    assert site_export(site=again) == first


def test_own_weather_that_cannot_be_is_refused(site):
    dry = read_epw(epw(rows()))
    weather = services.weather_create(site=site, year=replace(dry, relative_humidity=0 * dry.relative_humidity))
    site.weather = weather
    site.save()
    content = site_export(site=site)
    site.delete()
    with pytest.raises(SiteFileError, match=r"own_weather\[.*\]: Relative humidity is 0 % in 8,760 of 8,760 hours"):
        site_import(content=content)
    assert not Weather.objects.filter(slug=weather.slug).exists()


def test_an_existing_site_is_replaced_only_on_purpose_and_keeps_its_runs(site):
    run = done_run(site.layouts.get(slug="first"), site.scenarios.get())
    content = site_export(site=site)
    with pytest.raises(SiteFileError, match="site.slug is 'small', and that site exists"):
        site_import(content=content)
    Rack.objects.all().delete()
    Scenario.objects.create(site=site, slug="extra", name="Extra")
    site_import(content=content, replace=True)
    assert Run.objects.get().pk == run.pk
    assert not Scenario.objects.filter(slug="extra").exists()
    assert site_export(site=site) == content
    assert Layout.objects.get(slug="first").version == 2


def test_who_imports_a_site_becomes_its_owner(site, django_user_model):
    content = site_export(site=site).replace("slug: small", "slug: other")
    user = django_user_model.objects.create_user("importer")
    site_import(content=content, user=user)
    assert Membership.objects.get(user=user).site.slug == "other"


BAD = [
    ("product: dgx-gb200-nvl72", "product: dgx-gb999", "layouts[first].racks[A-00].product is 'dgx-gb999'; must be"),
    ("product: dgx-gb200-nvl72", "product: fws-pump-110kw", "must be a catalogue entry of systems or network_switches"),
    ("x_m: 2,", "x_m: 2, width_m: -0.6,", "layouts[first].racks[A-00].width_m: Ensure this value is greater than"),
    ("x_m: 2,", "x_m: left,", "layouts[first].racks[A-00].x_m is 'left'; must be a number."),
    ("x_m: 2,", "x_m: .nan,", "layouts[first].racks[A-00].x_m is nan; must be a number."),
    ("x_m: 2,", "x_m: 2.3,", "Rack A-01 overlaps rack A-00 by 0.3 m × 1.2 m."),
    ("x_m: 2,", "x_m: 19.8,", "racks[A-00].x_m: Rack A-00 reaches x = 20.4 m, but hall Hall is 20 m wide."),
    ("x_m: 2, y_m: 4", "y_m: 4", "racks[A-00].x_m is missing; give it: Left edge on the hall's floor [m]."),
    ("name: A-00", "name: 7", "layouts[first].racks[7].name is 7; must be a text (put it in quotes)."),
    ("name: A-00", "name: A-01", "hall Hall has two racks named 'A-01'; names are unique"),
    ("row: A", "colour: red", "layouts[first].racks[A-00]: 'colour' is unknown; allowed are hall, name, row"),
    ("feed_a: Busway-A", "feed_a: Busway-X", "feed_a is 'Busway-X'; must be one of this layout's: Utility, T-A"),
    ("feed_a: Busway-A", "feed_a: Utility", "Feed Utility is a utility; rack A-00 needs a PDU or busway."),
    (
        "kind: transformer, parent: Utility",
        "kind: transformer, parent: Busway-A",
        "power_feeds[T-A].parent is 'Busway-A'; must be one of this layout's above it (list parents first): Utility.",
    ),
    ("kind: transformer, parent: Utility", "kind: transformer, parent: T-A", "above it (list parents first): Utility."),
    ("kind: transformer", "kind: magic", "power_feeds[T-A].kind: Value 'magic' is not a valid choice."),
    ("supply_degc: 41", "supply_degc: 30", "layouts[first].cdus[CDU-1].supply_degc: CDU CDU-1 cannot supply 30 °C"),
    ("n_heat_rejection: 4", "n_heat_rejection: 4.5", "n_heat_rejection is 4.5; must be a whole number."),
    ("weather: sterling-va", "weather: moon", "site.weather is 'moon'; must be one of sterling-va"),
    ("grid_limit_w: 10000000", "grid_limit_w: 0", "site.grid_limit_w: Ensure this value is greater than or"),
    ("repair_crews: 0", "repair_crews: 1.5", "site.repair_crews is 1.5; must be a whole"),
    ("region: us-virginia-pjm", "region: atlantis", "site.region is 'atlantis'; must be a catalogue entry of regions"),
    ("format: ai-factory-site/1", "format: other/9", "format is 'other/9'; must be 'ai-factory-site/1'."),
    ("slug: second\n", "slug: first\n", "layouts: slug 'first' is given twice; each must be unique."),
    ("cloned_from: first", "cloned_from: third", "cloned_from is 'third'; must be one of first, second."),
    ("name: Small\n", "name: Small\n  name: Again\n", "Line 5: name is given twice; give it once."),
    ("workload: enterprise_assistants", "workload: gossip", "workloads[0].workload is 'gossip'; must be one of"),
    ("accelerator_share_frac: 1", "accelerator_share_frac: 2", "accelerator_share_frac: Ensure this value is less"),
    ("workloads:\n", "moods:\n", "scenarios[0]: 'moods' is unknown; allowed are slug, name"),
    ("engine: trtllm", "engine: steam", "scenarios[assistants].engine: Value 'steam' is not a valid choice."),
    ("layouts:\n", "layouts: !!python/object/apply:os.getcwd []\nx:\n", "is not plain YAML"),
    ("layouts:\n", "layouts: [\n", "is not plain YAML"),
    ("layouts:\n", "plans:\n", "The file: 'plans' is unknown; allowed are format, site, own_weather, layouts."),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=[message[:50] for _, _, message in BAD])
def test_what_is_wrong_is_named_and_nothing_is_written(tmp_path, old, new, message):
    content, products = written()
    put_in(products)
    assert old in content
    path = tmp_path / "site.yaml"
    path.write_text(content.replace(old, new, 1))
    with pytest.raises(CommandError) as refused:
        call_command("import_site", path)
    assert message in str(refused.value)
    assert not Site.objects.exists()
    assert not Rack.objects.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds NoneType"),
        ("- 1", "holds list"),
        ("\ud800", "can't encode"),
        ("a: " + "x" * 21 * 2**20, "more than 5,242,880 bytes"),
    ],
    ids=["empty", "list", "surrogate", "large"],
)
def test_files_that_are_no_sites_are_refused(tmp_path, content, message):
    path = tmp_path / "site.yaml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    expected = "not plain YAML" if message == "can't encode" else message
    with pytest.raises(CommandError, match=expected):
        call_command("import_site", path)


def test_missing_files_and_sites_are_named(tmp_path):
    small_layout()
    with pytest.raises(CommandError, match=r"none\.yaml cannot be read"):
        call_command("import_site", tmp_path / "none.yaml")
    with pytest.raises(CommandError, match="there is no site 'nowhere'; there are: small"):
        call_command("export_site", "nowhere")


def test_a_failed_replacement_leaves_the_site_as_it_was(site):
    content = site_export(site=site)
    broken = content.replace("slug: second", "slug: third").replace("supply_degc: 41", "supply_degc: 30")
    with pytest.raises(SiteFileError):
        site_import(content=broken, replace=True)
    assert site_export(site=site) == content


def test_a_thousand_racks_take_a_fixed_number_of_queries(django_assert_max_num_queries):
    layout = small_layout()
    hall = layout.halls.get()
    hall.width_m = hall.depth_m = 100
    hall.save()
    services.part_save(part=new_rack(layout))
    content = site_export(site=layout.site)
    rack = next(line for line in content.split("\n") if "A-01" in line)
    more = "\n".join(
        rack.replace("A-01", f"R-{i:04}")
        .replace("x_m: 2", f"x_m: {20 + i % 100 * 0.6:.1f}")
        .replace("y_m: 4", f"y_m: {10 + i // 100 * 3}")
        for i in range(999)
    )
    layout.site.delete()
    with django_assert_max_num_queries(250):
        site_import(content=content.replace(rack, f"{rack}\n{more}"))
    assert Rack.objects.count() == 1000
    assert PowerFeed.objects.count() == 7


def own_year(hours: np.ndarray, n_hours: int = 8760, cut: int = 0) -> str:
    """Return a site file's weather with these hours; `cut` bytes are missing at its end."""
    packed = zlib.compress(hours.astype("<f4").tobytes())
    rows = base64.b64encode(packed[: len(packed) - cut]).decode()
    return (
        f"own_weather:\n- {{slug: small-mine, name: Mine, source: me, latitude_deg: 50, longitude_deg: 8, "
        f"elevation_m: 100, utc_offset_h: 1, n_hours: {n_hours}, rows: '{rows}'}}\nlayouts:"
    )


def plausible(**changed: float) -> np.ndarray:
    hours = np.full((3, 8760), [[20.0], [0.5], [101_325.0]])
    for name, value in changed.items():
        hours[("dry", "humidity", "pressure").index(name), 17] = value
    return hours


@pytest.mark.parametrize(
    ("year", "message"),
    [
        (own_year(plausible(), cut=3), "a stream cut short after 105,120 bytes"),
        (own_year(plausible()[:, :-1]), "a stream cut short after 105,108 bytes"),
        (own_year(plausible(dry=1e30)), "dry bulb is 1e+30 °C in hour 17; must be from -70 to 70 °C (1 such hours)"),
        (own_year(plausible(humidity=5)), "relative humidity is 500 % in hour 17"),
        (own_year(plausible(pressure=float("nan"))), "station pressure is nan Pa in hour 17"),
        (own_year(plausible(), n_hours=2_000_000_000), "there are 2,000,000,000 hours; a year has 8,760 or 8,784"),
        (own_year(np.zeros((3, 20_000))), "more than 105,120 bytes"),
    ],
    ids=lambda value: value[:40] if " " in value[:40] else "",
)
def test_weather_that_pages_could_not_read_later_is_refused_at_the_door(site, year, message):
    content = site_export(site=site)
    Site.objects.all().delete()
    with pytest.raises(SiteFileError, match=re.escape(message)):
        site_import(content=content.replace("layouts:", year, 1))
    assert not Site.objects.exists()


@pytest.mark.parametrize(
    ("section", "entries", "message"),
    [
        ("rows", [{"row": "Z", "n_racks": 500}] * 41, "The file has 20,5.. racks; at most 20,000"),
        ("power_feeds", [{}] * 4001, "4,0.. plants, halls, CDUs, feeds, air units and floor features; at most 4,000"),
    ],
)
def test_a_file_with_more_than_can_be_checked_in_time_is_refused_before_anything_is_made(
    site, section, entries, message
):
    document = documents.read(site_export(site=site))
    document["layouts"][0][section] = entries
    with pytest.raises(SiteFileError, match=message):
        site_import(content=documents.write(document), replace=True)


@pytest.mark.parametrize(
    ("named", "value", "low", "sentence"),
    [
        ("cdu/CDU-1 pump_efficiency_frac", 0, 0, "has the value 0; must be 0.01 to 100 times the described one"),
        ("feed/UPS ups_loss_frac", 1e9, 1, "has the value 1e+09; must be"),
        ("feed/UPS colour", 50, 1, "names the parameter 'colour'; must be one of sensor_bias,"),
        ("feed/UPS fan_power_frac", 1.5, 1, "names 'feed/UPS'; fan_power_frac is of hall/NAME or plant/NAME"),
        ("cdu/CDU-1 ua_frac", 0.9, 1, "has low 1 and high 60; its value 0.9 must lie between"),
    ],
)
def test_a_calibrated_parameter_that_cannot_be_applied_is_refused_when_it_is_read(site, named, value, low, sentence):
    document = documents.read(site_export(site=site))
    document["site"]["slug"] = "another"
    parameter = {"name": named, "value": value, "low": low, "high": max(value, 60), "unit": "1"}
    document["layouts"][0]["calibrated_parameters"] = [parameter]
    with pytest.raises(SiteFileError, match=re.escape(sentence)):
        site_import(content=documents.write(document))
    assert not Site.objects.filter(slug="another").exists()


def test_a_frozen_layout_stays_as_it_is_while_others_of_its_site_are_replaced(site):
    Layout.objects.filter(site=site, name="Second").update(status=Layout.Status.AS_OPERATED)
    document = documents.read(site_export(site=site))
    frozen, other = sorted(document["layouts"], key=lambda entry: entry["name"] != "Second")
    other["notes"] = "Changed in the file."
    site_import(content=documents.write(document), replace=True)
    assert site.layouts.get(slug=other["slug"]).notes == "Changed in the file."
    kept = site.layouts.get(name="Second")
    assert (kept.version, kept.status) == (1, "as_operated")
    assert documents.read(site_export(site=site)) == document
    frozen["racks"][0]["other_power_w"] = 77.0
    with pytest.raises(SiteFileError, match="Second is as operated and stays as it is"):
        site_import(content=documents.write(document), replace=True)
