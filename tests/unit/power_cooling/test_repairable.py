"""What fails and is repaired: shapes and ranges that are refused, calendars, and how crews divide themselves."""

import numpy as np
import pytest

from power_cooling.availability.capacity_functions import capacity_by_failed
from power_cooling.availability.repairable import RepairableGroups, Subsystem


def groups(**fields) -> RepairableGroups:
    return RepairableGroups(
        **{"names": ("ups", "pump"), "units": (2, 3), "failures_per_year": 1.0, "repair_h": 10.0} | fields
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": (2, 0)}, r"RepairableGroups.units\[pump\] is 0; must be at least 1"),
        ({"repair_h": (0.0, 5.0)}, r"RepairableGroups.repair_h\[ups\] is 0.0; must be above 0"),
        ({"failures_per_year": -1.0}, r"RepairableGroups.failures_per_year\[ups\] is -1.0; must be at least 0"),
        ({"common_cause_frac": 1.5}, r"RepairableGroups.common_cause_frac\[ups\] is 1.5; must be in \[0, 1\]"),
        ({"repair_h": (np.nan, 5.0)}, r"RepairableGroups.repair_h\[ups\] is nan"),
        ({"units": (1, 2, 3)}, r"RepairableGroups.units has shape \(3,\); \(2,\) is needed"),
        ({"names": ("ups", "ups")}, "RepairableGroups.names has 'ups' twice"),
        ({"maintenance_per_year": 10.0, "maintenance_h": 200.0}, "planned outages of 1.14 of a year"),
    ],
)
def test_groups_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        groups(**fields)


def test_scalars_count_for_all_groups_and_nothing_can_be_changed():
    made = groups(common_cause_frac=0.1)
    assert made.common_cause_frac.tolist() == [0.1, 0.1]
    with pytest.raises(ValueError, match="read-only"):
        made.units[0] = 9


def test_groups_on_one_calendar_are_maintained_after_one_another():
    made = groups(maintenance_per_year=(2.0, 1.0), maintenance_h=(8.0, 4.0), calendar=(0, 0))
    assert made.planned_frac.tolist() == [2 * 2 * 8 / 8760, 3 * 4 / 8760]
    assert [list(members) for members in made.calendars()] == [[0, 1]]
    apart = groups(maintenance_per_year=(2.0, 0.0), maintenance_h=8.0, calendar=(1, 0))
    assert [list(members) for members in apart.calendars()] == [[0]]


def test_failed_units_of_independent_repair_are_binomial():
    pmf = groups().pmf(0)
    down = 10.0 / (8760 + 10.0)
    assert pmf == pytest.approx([(1 - down) ** 2, 2 * down * (1 - down), down**2])
    assert groups().pmf(0, extra_units=1).size == 4


def subsystem(**fields) -> Subsystem:
    return Subsystem(**{"name": "hall", "groups": groups(), "capacity_frac": capacity_by_failed([1.0, 0.0])} | fields)


def test_crews_of_a_group_are_its_own_and_those_of_a_subsystem_are_shared():
    failed = np.array([[2, 0], [2, 2], [0, 0]])
    assert subsystem().repairs_per_h(failed).tolist() == [[0.2, 0.0], [0.2, 0.2], [0.0, 0.0]]
    one_each = subsystem(groups=groups(crews=1))
    assert one_each.repairs_per_h(failed).tolist() == [[0.1, 0.0], [0.1, 0.1], [0.0, 0.0]]
    # Two crews among four broken units: each is worked on half of the time.
    shared = subsystem(crews=2)
    assert shared.repairs_per_h(failed).tolist() == [[0.2, 0.0], [0.1, 0.1], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ride_through_s": -1.0}, "Subsystem 'hall': ride_through_s is -1; must be at least 0"),
        ({"ride_through_s": (1.0, 2.0, 3.0)}, r"Subsystem 'hall': ride_through_s has shape \(3,\); \(2,\) is needed"),
        ({"crews": -1}, "Subsystem 'hall': crews is -1; must be at least 0"),
    ],
)
def test_a_subsystem_that_cannot_be_is_refused_by_its_name(fields, message):
    with pytest.raises(ValueError, match=message):
        subsystem(**fields)
