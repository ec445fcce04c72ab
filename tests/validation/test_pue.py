"""PUE and WUE by cooling and climate, beside published ones."""

import numpy as np
import pytest

from facility.weather import CLIMATES
from twin.validation import pue

pytestmark = pytest.mark.compiled


def test_pue_by_cooling_lies_between_published_ones_in_a_dry_and_in_a_hot_humid_climate():
    for path in (CLIMATES / "golden-co.csv.gz", CLIMATES / "tampa-fl.csv.gz"):
        for cooling, (low, high) in pue.BETWEEN.items():
            value, wue = pue.yearly(cooling, path)
            assert pue.BY_NAME[low].pue < value < pue.BY_NAME[high].pue, (cooling, path.name)
            assert (wue == 0) == (cooling == "liquid, dry coolers")
            if "towers" in cooling:
                least, most = pue.TOWER_WUE_L_PER_KWH
                assert least < wue < most


def test_heat_makes_every_kind_of_cooling_dearer():
    mild, hot = (CLIMATES / f"{name}.csv.gz" for name in ("san-francisco-ca", "tampa-fl"))
    for cooling in pue.BETWEEN:
        assert pue.yearly(cooling, mild)[0] < pue.yearly(cooling, hot)[0]


def test_the_hall_draws_for_itself_and_its_feeds_lose():
    site = pue.hall("liquid, towers")
    assert site.own.services_w > 0
    assert site.plants.n_towers[0] == 2
    tree = pue.feeds(site).tree
    assert np.all(tree.no_load_loss_frac[[tree.index("ups"), tree.index("transformer")]] > 0)
