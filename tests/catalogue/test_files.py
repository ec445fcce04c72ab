"""Each catalogue file: source, schema and sense."""

from datetime import date

import pytest

from facility.catalogue import entries, kinds, schema

EVERY = [(kind, slug) for kind in kinds() for slug in entries(kind)]


def test_every_file_has_a_schema_and_every_schema_a_file():
    assert set(kinds()) == set(schema.KINDS)


@pytest.mark.parametrize("kind", kinds())
def test_entries_have_source_confidence_and_only_known_plausible_fields(kind):
    found = [
        f"{slug}: {name} {problem}"
        for slug, entry in entries(kind).items()
        for name, problem in schema.complaints(
            kind,
            {key: value for key, value in entry.items() if key not in schema.META},
            source=entry.get("source"),
            confidence=entry.get("confidence"),
            field_confidence=entry.get("field_confidence", {}),
        )
    ]
    assert found == []


@pytest.mark.parametrize("kind", schema.KINDS)
def test_every_field_of_a_kind_has_a_meaning(kind):
    described = schema.KINDS[kind]
    for name in described.required + described.optional:
        found = schema.field(kind, name.replace("*", "any"))
        assert found is not None
        assert found.meaning.endswith("."), name
        assert found.low <= found.high, name


@pytest.mark.parametrize(
    ("kind", "field", "target"),
    [
        ("systems", "accelerator", "accelerators"),
        ("systems", "secondary_accelerator", "accelerators"),
        ("systems", "based_on", "systems"),
        ("systems", "in_rack_cdu", "cdus"),
        ("workloads", "diurnal_shape", "diurnal_shapes"),
        ("serving_statements", "accelerator", "accelerators"),
        ("serving_statements", "model", "models"),
        ("token_prices", "model", "models"),
    ],
)
def test_names_of_other_entries_exist(kind, field, target):
    named = {slug: entry[field] for slug, entry in entries(kind).items() if entry.get(field)}
    assert named
    assert {slug: name for slug, name in named.items() if name not in entries(target)} == {}


def test_what_others_publish_says_where_and_when_it_was_read():
    for kind in ("serving_statements", "token_prices"):
        for slug, entry in entries(kind).items():
            if entry["confidence"] == "published":
                assert entry["url"].startswith("https://"), slug
                assert date.fromisoformat(entry["read_on"]) <= date(2100, 1, 1), slug
                assert date.fromisoformat(entry.get("published_on", "2020-01-01")) <= date.fromisoformat(
                    entry["read_on"]
                )


def test_recommended_models_exist():
    assert [
        (slug, model)
        for slug, entry in entries("workloads").items()
        for model in entry["recommended_models"]
        if model not in entries("models")
    ] == []


def test_accelerators_leave_their_system_the_stated_rest():
    for slug, entry in entries("systems").items():
        assert entry["non_accelerator_power_w"] < entry["max_power_w"], slug
        assert entry["typical_power_w"] <= entry["max_power_w"], slug
        assert (entry.get("idle_power_w") or 0) < entry["typical_power_w"], slug


def test_power_supplies_carry_the_rated_power():
    for slug, entry in entries("systems").items():
        supply = entry["power_supply"]
        if supply.get("count") and supply.get("unit_w"):
            assert supply["count"] * supply["unit_w"] >= entry["max_power_w"], slug


def test_liquid_systems_state_temperatures_flow_and_a_flow_that_takes_their_heat():
    # Heat capacity of PG25 near 40 degC is 4.0 MJ/(m3 K); 10 % covers the spread between sources of its properties.
    for slug, entry in entries("systems").items():
        if entry["cooling"] == "air":
            assert entry["liquid_heat_frac"] == 0, slug
            continue
        heat_w = entry["max_power_w"] * entry["liquid_heat_frac"]
        carried_w = entry["liquid_design_flow_m3_per_s"] * 4.0e6 * entry["liquid_design_temp_rise_k"]
        assert carried_w == pytest.approx(heat_w, rel=0.1), slug
        assert entry["liquid_supply_min_degc"] < entry["liquid_supply_max_degc"], slug


def test_air_of_a_system_takes_the_heat_that_the_coolant_leaves():
    # Air at 1.16 kg/m3 and 1006 J/(kg K); 25 % because inlet temperature and altitude differ between data sheets.
    for slug, entry in entries("systems").items():
        rest_w = entry["max_power_w"] * (1 - entry["liquid_heat_frac"])
        carried_w = entry["air_flow_m3_per_s"] * 1.16 * 1006 * entry["air_temp_rise_k"]
        if rest_w:
            assert carried_w == pytest.approx(rest_w, rel=0.25), slug


def test_heat_exchangers_reach_their_rating():
    for slug, entry in entries("cdus").items():
        if entry["heat_exchanger_ua_w_per_k"]:
            assert entry["heat_exchanger_ua_w_per_k"] * entry["approach_temp_k"] == pytest.approx(
                entry["capacity_w"], rel=0.01
            ), slug  # UA is given as capacity over approach, rounded


def test_busways_carry_80_percent_of_their_rating():
    for slug, entry in entries("busways").items():
        assert entry["continuous_current_a"] == pytest.approx(0.8 * entry["rated_current_a"]), slug
        phases = 1.0 if entry.get("current_type") == "dc" else 3**0.5
        power_w = phases * entry["voltage_v"] * entry["continuous_current_a"]
        assert entry["continuous_power_w"] == pytest.approx(power_w, rel=1e-4), slug  # printed to 1 W


def test_availability_follows_from_failures_and_repairs():
    for slug, entry in entries("reliability").items():
        up = entry["mtbf_h"] / (entry["mtbf_h"] + entry["mttr_h"])
        assert entry["inherent_availability"] == pytest.approx(up, abs=1e-7), slug  # printed to eight digits


@pytest.mark.parametrize(("kind", "slug"), EVERY)
def test_ids_are_fit_for_addresses(kind, slug):
    assert schema.SLUG.match(slug)
