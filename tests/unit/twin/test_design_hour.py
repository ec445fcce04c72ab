"""The design hour: which there are, that every place which judges by one takes the same, and who may choose what."""

from dataclasses import replace

import numpy as np
import pytest
from django.core.exceptions import ValidationError

from facility import services
from facility.interchange.site_file import site_document
from facility.models import CoolingPlant, Layout
from power_cooling.fluids.psychrometrics import wet_bulb_degc
from tests.small_site import new_row, product, sound_layout
from twin.core.inputs.design_hour import KINDS, RETURN_FACTOR, design_weather, worst_hour
from twin.core.inputs.weather import weather_of
from twin.core.rules.outdoors import design_hours
from twin.core.solve.steady import DESIGN, at_hours
from twin.core.solved import Described
from twin.runs.findings import layout_findings
from twin.runs.snapshot import description

pytestmark = pytest.mark.django_db
OWN = {"design_dry_bulb_degc": 41.0, "design_wet_bulb_degc": 27.0}


@pytest.fixture
def layout():
    return sound_layout()


def judged_at(layout, kind: str):
    """Return a layout as the solvers read it with a design hour chosen, and its year."""
    own = OWN if kind == "own" else {}
    inputs = description(layout)
    inputs = replace(inputs, layout=replace(inputs.layout, design_hour=kind, **own))
    return inputs, weather_of(inputs)


def wet_bulb(weather):
    return wet_bulb_degc(weather.dry_bulb_degc, weather.humidity_ratio, weather.pressure_pa)


def test_a_layout_may_choose_what_the_solvers_know():
    assert set(KINDS) == set(Layout.DesignHour.values)


def test_without_a_choice_drawings_are_in_one_percent_weather_and_rules_in_the_worst_hours(layout):
    inputs, year = judged_at(layout, "")
    hot = design_weather(inputs, year)
    assert hot.dry_bulb_degc[0] == np.quantile(year.dry_bulb_degc, 0.99)
    assert hot.humidity_ratio[0] == np.quantile(year.humidity_ratio, 0.99)
    assert design_hours(inputs, None).weather.dry_bulb_degc.max() == year.dry_bulb_degc.max()


def test_choices_are_hotter_the_fewer_hours_exceed_them(layout):
    kinds = ("2", "1", "0.4", "worst", "20-years")
    dry = [design_weather(*judged_at(layout, kind)).dry_bulb_degc[0] for kind in kinds]
    assert dry == sorted(dry)
    assert len(set(dry)) == len(dry)


def test_the_twenty_year_extreme_is_ashraes_factor_above_the_years_highest(layout):
    # ASHRAE Fundamentals, ch. 14: F = −√6/π (0.5772 + ln ln(20/19)) = 1.866
    assert pytest.approx(1.866, abs=1e-3) == RETURN_FACTOR
    inputs, year = judged_at(layout, "20-years")
    hot = design_weather(inputs, year)
    assert hot.dry_bulb_degc[0] == pytest.approx(year.dry_bulb_degc.max() + 1.866 * 1.5, abs=1e-3)
    assert wet_bulb(hot)[0] == pytest.approx(wet_bulb(year).max() + 1.866 * 1.0, abs=1e-2)


def test_ones_own_hour_has_the_bulbs_that_were_stated(layout):
    hot = design_weather(*judged_at(layout, "own"))
    assert hot.dry_bulb_degc[0] == 41
    assert wet_bulb(hot)[0] == pytest.approx(27, abs=1e-3)


def test_the_worst_hour_is_the_driest_hot_one_for_coolers_and_the_most_humid_for_towers(layout):
    inputs, year = judged_at(layout, "worst")
    assert worst_hour(inputs, year) == year.dry_bulb_degc.argmax()
    CoolingPlant.objects.update(heat_rejection=product("cooling_towers", "cooling-tower-3500"))
    inputs, year = judged_at(layout, "worst")
    assert worst_hour(inputs, year) == wet_bulb(year).argmax()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind])
def test_rules_and_drawings_take_the_same_hour(layout, kind):
    inputs, year = judged_at(layout, kind)
    none = dict.fromkeys(("table", "rack_class", "rack_pool", "site", "feeds"))
    drawn = at_hours(Described(inputs=inputs, weather=year, pools=[], **none), [DESIGN]).weather
    judged = design_hours(inputs, None).weather
    for name in ("dry_bulb_degc", "humidity_ratio", "pressure_pa"):
        np.testing.assert_array_equal(getattr(judged, name), getattr(drawn, name))


@pytest.mark.compiled
def test_a_finding_names_the_hour_that_the_layout_chooses(layout):
    CoolingPlant.objects.filter(name="Plant").update(
        n_heat_rejection=2, heat_rejection=product("dry_coolers", "dry-cooler-highdt-1mw")
    )
    new_row(layout, 8)
    (default,) = [f for f in layout_findings(layout) if f.rule == "plant capacity"]
    assert "in the hottest hour (37.2 °C dry" in default.message
    Layout.objects.update(design_hour="own", **OWN)
    (chosen,) = [f for f in layout_findings(Layout.objects.get()) if f.rule == "plant capacity"]
    assert "in the design hour, own weather (41.0 °C dry, 27.0 °C wet bulb)" in chosen.message
    assert chosen.limit < default.limit


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"design_hour": "own"}, "missing"),
        ({"design_hour": "own", "design_dry_bulb_degc": 20.0, "design_wet_bulb_degc": 25.0}, "at most the dry bulb"),
        ({"design_hour": "1", "design_dry_bulb_degc": 20.0}, "only a design hour of your own"),
        ({"design_hour": "3"}, "not a valid choice"),
        (
            {"design_hour": "own", "design_dry_bulb_degc": 80.0, "design_wet_bulb_degc": 25.0},
            "or equal to 60",
        ),
    ],
)
def test_a_choice_that_cannot_be_is_refused(layout, fields, word):
    for name, value in fields.items():
        setattr(layout, name, value)
    with pytest.raises(ValidationError, match=word):
        services.layout_update(layout=layout)


def test_a_choice_is_saved_copied_and_in_the_site_file(layout):
    for name, value in {"design_hour": "own", **OWN}.items():
        setattr(layout, name, value)
    services.layout_update(layout=layout)
    assert services.layout_clone(layout=layout, name="Copy").design_wet_bulb_degc == 27
    document = next(one for one in site_document(layout.site)["layouts"] if one["slug"] == layout.slug)
    assert (document["design_hour"], document["design_dry_bulb_degc"]) == ("own", 41)
