"""Published generation claims, recomputed."""

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.steady.claims import System, claim_rows
from compute.workload import Workload
from facility.catalogue import entries

FITTED = coefficient_set()


def system(name, accelerator, ranks, precision):
    return System(name, accelerator_from_entry(entries("accelerators")[accelerator]), ranks, precision, 500.0, 45_000.0)


OLD = system("HGX H200", "h200-sxm", 8, "fp8")
NEW = system("GB300 NVL72", "gb300", 72, "fp4")
DEEPSEEK = model_shape_from_entry(entries("models")["deepseek-r1"])


def test_a_generation_gains_severalfold_at_equal_speed_and_the_band_says_how_sure_that_is():
    rows = claim_rows(FITTED, DEEPSEEK, Workload(8192, 1024), old=OLD, new=NEW, user_tokens_per_s=(20.0, 50.0))
    for row in rows:
        # bandwidth grows by 1.7, FP4 arithmetic by 7.6, watts at the accelerator by 2
        assert 1.0 < row.power_ratio < 50.0
        assert row.power_ratio_low < row.power_ratio < row.power_ratio_high


def test_where_one_side_is_too_slow_there_is_no_ratio_but_a_reason():
    (row,) = claim_rows(FITTED, DEEPSEEK, Workload(8192, 1024), old=OLD, new=NEW, user_tokens_per_s=(1e4,))
    assert row.power_ratio is None
    assert row.cost_ratio is None
    assert row.old_configuration == "no configuration is that fast"


def test_a_system_against_itself_gains_nothing():
    (row,) = claim_rows(FITTED, DEEPSEEK, Workload(1024, 1024), old=OLD, new=OLD, user_tokens_per_s=(20.0,))
    assert row.power_ratio == 1
    assert row.cost_ratio == 1
