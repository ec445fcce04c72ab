"""Numbers in German and English spelling: one meaning each, or a refusal that names both."""

import pytest
from django import forms
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from facility.entry import units
from facility.entry.number_entry import (
    NumberField,
    NumberInput,
    WholeNumberField,
    limit_text,
    number_read,
    readings,
    spelled,
)
from facility.entry.units import measure_of, step_of
from power_cooling.site_facts.units import US, shown_in
from twin.core.text.field_names import SUFFIX_UNITS


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("0,6", 0.6),
        ("0.6", 0.6),
        ("12", 12),
        ("-3", -3),
        ("−3,5", -3.5),
        ("1.234.567", 1234567),
        ("1,234,567.25", 1234567.25),
        ("1 234,5", 1234.5),
        ("1’234.5", 1234.5),
        ("1\u202f234\u202f567", 1234567),
        ("0,125", 0.125),
        ("0.125", 0.125),
        (",5", 0.5),
        ("5,", 5),
        ("1234,567", 1234.567),
        ("1,2345", 1.2345),
        ("2.5e-5", 2.5e-5),
        ("1,5E3", 1500),
        (" 7 ", 7),
        ("+4", 4),
        ("000,600", 0.6),
    ],
)
def test_either_spelling_means_one_number(text, meant):
    assert readings(text) == [meant]
    assert number_read(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "inf",
        "abc",
        "1.2.3",
        "1,23.4",
        "1.234.56",
        "1,234,5.6",
        "--1",
        "1e",
        "12 W",
        "1.234,5,6",
        "..",
        "1e999",
        "0x10",
        "١٢",
    ],
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValidationError, match="Enter a number"):
        number_read(text)


@pytest.mark.parametrize("text", ["1,234", "1.234", "12,500", "-1.234"])
def test_two_readings_are_refused_with_both(text):
    with pytest.raises(ValidationError) as refusal:
        number_read(text)
    small, large = readings(text)
    assert f"could be {small:g} or {large:g}" in refusal.value.messages[0]


def test_the_refusal_says_how_to_write_each():
    with pytest.raises(ValidationError) as refusal:
        number_read("12,500")
    assert refusal.value.messages == ["“12,500” could be 12.5 or 12500. Write 12.5 or 12500."]


def test_the_range_and_whole_numbers_decide_between_readings():
    assert number_read("39,741", low=-90, high=90) == 39.741
    assert number_read("1,700", low=100) == 1700
    assert number_read("1.234", whole=True) == 1234
    assert number_read("2,000", whole=True, low=1) == 2000


def test_fields_read_numbers_and_refuse_halves_of_things():
    assert NumberField().clean("1.234,5") == 1234.5
    assert WholeNumberField().clean("12") == 12
    assert WholeNumberField().clean("12.000") == 12000
    assert NumberField(required=False).clean("") is None
    assert NumberField().clean(2.5) == 2.5
    with pytest.raises(ValidationError, match="whole number"):
        WholeNumberField().clean("1,5")
    with pytest.raises(ValidationError, match="less than or equal to 90"):
        NumberField(max_value=90).clean("91,5")


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_standing_number_is_shown_with_one_reading_and_reads_back(value):
    assert readings(spelled(value)) == [value]


@given(st.floats(min_value=-1e12, max_value=1e12).map(lambda value: round(value, 3)))
def test_german_and_english_spellings_of_a_number_agree(value):
    english = f"{value:,.4f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert readings(english) == readings(german) == [value]


def test_the_input_keeps_what_was_typed_and_brings_up_a_number_keyboard():
    html = NumberInput().render("x", "1,2,3")
    assert 'value="1,2,3"' in html
    assert 'type="text"' in html
    assert 'inputmode="decimal"' in html
    assert 'value="1.2340"' in NumberInput().render("x", 1.234)
    assert 'value="10000000"' in NumberInput().render("x", 1e7)


def test_a_power_cap_in_an_address_is_read_likewise():
    from twin.views.serving import amount

    def watts(text):
        return amount(text, "power cap", "watts", 10)

    assert [watts(text) for text in ("", "1,200", "1.200", "700,5", "1.000,0")] == [None, 1200, 1200, 700.5, 1000]
    with pytest.raises(ValueError, match="must be a number of watts"):
        watts("a lot")


@pytest.mark.parametrize(
    ("field", "text", "stored"),
    [
        ("grid_limit_w", "5", 5e6),
        ("grid_limit_w", "5 MW", 5e6),
        ("grid_limit_w", "5000 kW", 5e6),
        ("grid_limit_w", "5.000,0 kW", 5e6),
        ("grid_limit_w", "1 234 kW", 1.234e6),
        ("grid_limit_w", "4.5e6W", 4.5e6),
        ("other_power_w", "14", 14e3),
        ("other_power_w", "0.1", 100.0),
        ("other_power_w", "10 tons", 35168.528),
        ("accelerator_power_limit_w", "700", 700.0),
        ("supply_degc", "24 °C", 24.0),
        ("supply_degc", "75 F", 75 * 5 / 9 - 160 / 9),
        ("supply_degc", "−4 °F", -20.0),
        ("supply_degc", "300 K", 26.85),
        ("design_rise_k", "18 °F", 10.0),
        ("drop_pa", "20", 20e3),
        ("drop_pa", "3 psi", 20684.271879),
        ("coolant_flow_m3_per_s", "60", 1e-3),
        ("coolant_flow_m3_per_s", "3 m3/h", 3 / 3600),
        ("coolant_flow_m3_per_s", "3 m³/hr", 3 / 3600),
        ("coolant_flow_m3_per_s", "80 gpm", 80 * 3.785411784e-3 / 60),
        ("port_bits_per_s", "100 Gb/s", 100e9),
        ("port_bits_per_s", "100", 100e9),
        ("port_bits_per_s", "50 GB/s", 400e9),
        ("electricity_usd_per_kwh", "0.12 $/kWh", 0.12),
        ("electricity_usd_per_kwh", "$0.12/kWh", 0.12),
        ("electricity_usd_per_kwh", "12 ct/kWh", 0.12),
        ("electricity_usd_per_kwh", "$120/MWh", 0.12),
        ("cache_tier_bytes", "1.2 TB", 1.2e12),
        ("cache_tier_bytes", "480", 480e9),
        ("hall_leakage_frac", "7 %", 0.07),
        ("hall_leakage_frac", "0.07", 0.07),
        ("requests_per_s", "2 1/s", 2.0),
        ("requests_per_s", "90 /min", 1.5),
        ("requests_per_s", "3 req/s", 3.0),
        ("requests_per_s", "120 requests/min", 2.0),
        ("requests_per_s", "4 rps", 4.0),
        ("fuel_usd_per_kwh", "3 $/MMBtu", 3 / 293.07107),
        ("fuel_usd_per_kwh", "$3/mmbtu", 3 / 293.07107),
        ("load_share", "50 %", 0.5),
        ("load_share", "0.5", 0.5),
        ("width_m", "24 in", 0.6096),
        ("width_m", "1 M", 1.0),
        ("hbm_bandwidth_bytes_per_s", "8 TBps", 8e12),
        ("hbm_bandwidth_bytes_per_s", "8 Tbps", 1e12),
        ("hbm_bandwidth_bytes_per_s", "5 GBit/s", 5e9 / 8),
        ("port_bits_per_s", "50 GBps", 4e11),
        ("port_bits_per_s", "50 Gbps", 5e10),
        ("port_bits_per_s", "50 Kbps", 5e4),
        ("cache_tier_bytes", "80 KB", 8e4),
        ("grid_limit_w", "5 kw", 5e3),
        ("grid_limit_w", "5 KW", 5e3),
        ("drop_pa", "3 Bar", 3e5),
        ("drop_pa", "3 Mpa", 3e6),
        ("coolant_flow_m3_per_s", "60 L/Min", 1e-3),
        ("coolant_flow_m3_per_s", "80 GPM", 80 * 3.785411784e-3 / 60),
        ("tool_core_s", "5 Core MIN", 300.0),
        ("width_m", "10'", 3.048),
        ("width_m", "1,234", None),
        ("step_s", "5 min", 300.0),
        ("target_itl_s", "50", 0.05),
        ("floor_load_limit_kg_per_m2", "250 psf", 250 * 0.45359237 / 0.3048**2),
        ("tool_core_s", "5 core s", 5.0),
        ("it_power_mw", "450 kW", 0.45),
    ],
)
def test_a_number_takes_its_unit_or_the_one_beside_its_field(field, text, stored):
    if stored is None:
        with pytest.raises(ValidationError, match="could be 1.234 or 1234"):
            number_read(text, measure=measure_of(field))
    else:
        assert number_read(text, measure=measure_of(field)) == pytest.approx(stored, rel=1e-11)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("grid_limit_w", "5 °C", "“°C” is not a unit of this field. Write MW, W, kW, tons, hp or BTU/h."),
        ("grid_limit_w", "5 mw", "“mw” could be MW or mW. Write one of them."),
        ("cache_tier_bytes", "80 gb", "“gb” could be GB or Gb"),
        ("supply_degc", "24 kW", "Write °C, °F or K"),
        ("port_bits_per_s", "50 gbps", "“gbps” could be GBps or Gbps. Write one of them."),
        ("port_bits_per_s", "50 GBPS", "“GBPS” could be GBps or Gbps. Write one of them."),
        ("cache_tier_bytes", "80 Gib", "“Gib” is not a unit of this field. Write GB, TB, PB, GiB or TiB."),
        ("cache_tier_bytes", "80 b", "“b” is not a unit"),
        ("electricity_usd_per_kwh", "7 m$/kWh", "“m$/kWh” is not a unit of this field. Write $/kWh"),
        ("electricity_usd_per_kwh", "$7/mWh", "“$/mWh” is not a unit"),
        ("drop_pa", "5 mPa", "“mPa” is not a unit of this field. Write kPa, Pa, bar, mbar, psi or inH2O."),
        ("drop_pa", "5 mpa", "“mpa” is not a unit"),
        ("drop_pa", "5 Mbar", "“Mbar” is not a unit"),
        ("width_m", "5 Mm", "“Mm” is not a unit"),
        ("target_itl_s", "5 Ms", "“Ms” is not a unit"),
        ("tool_core_s", "5 core Ms", "“core Ms” is not a unit"),
        ("width_m", "1,640 ft", "“1,640 ft” could be 1.64 ft or 1640 ft. Write 1.64 ft or 1640 ft."),
        ("width_m", "1,234ft", "“1,234ft” could be 1.234 ft or 1234 ft. Write 1.2340 ft or 1234 ft."),
        ("grid_limit_w", "1,250 kW", "Write 1.25 kW or 1250 kW."),
        ("price_usd", "$1,250", "Write 1.25 $ or 1250 $."),
        ("grid_limit_w", "-1e305 GW", "“-1e305 GW” is too large."),
        ("cache_tier_bytes", "1e308", "“1e308” is too large."),
        ("width_m", "MW", "Enter a number."),
        ("width_m", "1 2345 m", "is not a unit"),
    ],
)
def test_a_unit_that_is_not_the_field_s_is_refused_with_what_may_stand_there(field, text, said):
    with pytest.raises(ValidationError) as refusal:
        number_read(text, measure=measure_of(field))
    assert said in refusal.value.messages[0]


def test_a_number_too_large_in_its_unit_is_a_fault_of_its_field():
    class Entry(forms.Form):
        draft_tokens = WholeNumberField()
        grid_limit_w = NumberField()

    form = Entry({"draft_tokens": "1e305 Mtok", "grid_limit_w": "-1e305 GW"})
    bound = [form[name] for name in form.fields]  # which gives the fields their units
    assert [list(field.errors) for field in bound] == [["“1e305 Mtok” is too large."], ["“-1e305 GW” is too large."]]


@pytest.mark.parametrize("suffix", sorted(units._MEASURES))
def test_mega_and_milli_bytes_and_bits_are_told_apart_in_every_unit(suffix):
    measure = measure_of(f"some_{suffix}")
    known = {units.plain(name) for name in measure.units}
    for name in sorted(name for name in measure.units if "btu" not in name.lower()):  # nobody counts millis of those
        for typed in {name.replace("M", "m"), name.replace("B", "b")} - {name}:
            if units.plain(typed) in known:
                assert measure.named(typed) != name
            else:
                with pytest.raises(units.UnknownUnit):
                    measure.named(typed)


def test_a_step_of_temperatures_counts_from_nothing():
    assert number_read("9 °F", measure=step_of("supply_degc")) == 5
    assert step_of("rails") is measure_of("rails") is measure_of("facility_usd_per_w") is None


@given(st.sampled_from(sorted(units._MEASURES)), st.floats(min_value=-1e9, max_value=1e9, width=32))
def test_what_is_shown_reads_back(suffix, stored):
    measure = measure_of(f"some_{suffix}")
    shown = spelled(measure.number(stored))
    assert number_read(shown, measure=measure) == pytest.approx(stored, rel=1e-10, abs=1e-9)
    assert number_read(f"{shown} {measure.shown}", measure=measure) == pytest.approx(stored, rel=1e-10, abs=1e-9)


def test_the_unit_of_a_suffix_is_the_one_that_pages_know():
    known = dict(SUFFIX_UNITS)
    for suffix, (shown, sizes) in units._MEASURES.items():
        assert shown in sizes, suffix
        if suffix in known and suffix not in ("frac", "share"):
            measure = measure_of(suffix)
            assert measure.units[measure.named(known[suffix])] == (1, 0), suffix
    assert set(units._SHOWN.values()) <= {name for _, sizes in units._MEASURES.values() for name in sizes}


@pytest.mark.parametrize(
    ("text", "field", "stored"),
    [
        ("1 TiB", "cache_tier_bytes", 2**40),
        ("0.1 kW", "rating_w", 100.0),
        ("1.1 MW", "rating_w", 1.1e6),
        ("75.2 °F", "supply_degc", 24.0),
        ("0.3 GB", "cache_tier_bytes", 3e8),
    ],
)
def test_a_unit_adds_no_digits_and_takes_none(text, field, stored):
    assert number_read(text, measure=measure_of(field)) == stored


def test_who_chose_us_units_types_and_reads_those_and_every_other_still():
    with shown_in(US):
        measure = measure_of("coolant_flow_m3_per_s")
        assert measure.shown == "gpm"
        assert number_read("80", measure=measure) == pytest.approx(80 * 3.785411784e-3 / 60)
        assert number_read("60 l/min", measure=measure) == pytest.approx(1e-3)
        assert measure_of("supply_degc").number(24.0) == pytest.approx(75.2)
        assert step_of("supply_degc").stored(9.0, "°F") == pytest.approx(5.0)
        assert number_read("30", measure=measure_of("width_m")) == pytest.approx(9.144)
        for suffix in units._MEASURES:
            one = measure_of(f"some_{suffix}")
            assert one.shown in one.units, suffix
    assert measure_of("supply_degc").shown == "°C"


@pytest.mark.parametrize(("field", "low", "high"), [("width_m", 0.1, 20.0), ("elevation_m", -430, 6000)])
def test_a_limit_is_taken_as_a_refusal_writes_it(field, low, high):
    with shown_in(US):
        measure = measure_of(field)
        for end in (low, high):
            shown = limit_text(end, measure)
            read = number_read(shown, low=low, high=high, measure=measure)
            assert (read, type(read)) == (end, float)
            assert number_read(shown.removesuffix(" ft"), low=low, high=high, measure=measure) == end


@pytest.mark.parametrize("suffix", sorted(units._MEASURES))
def test_a_refusal_names_units_that_the_field_takes_the_one_beside_it_first(suffix):
    measure = measure_of(f"some_{suffix}")
    named = measure.named_first()
    assert named[0] == measure.shown
    assert set(named) <= set(measure.units)
    assert len(named) <= units.N_NAMED + 1
