"""The benchmark of scaling: every figure is taken, at both of its sizes."""

from collections import Counter

import pytest
from django.contrib.auth import get_user_model

from facility.models import AuditEvent, Site
from twin.benchmarks import scaling
from twin.models import Run

ONCE = {
    "audit row, written",
    "audit row, kept",
    "progress of a run, written",
    "name of a new user",
    "new connection to the database",
}


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.django_db(transaction=True)
def test_each_slope_is_measured_at_two_sizes_of_what_it_says(monkeypatch):
    small = {"RACKS": (100, 200), "SITES": (2, 4), "RUNS": (4, 6), "EVENTS": (900, 1_000), "QUEUED": (1, 3), "USERS": 5}
    for name, sizes in (small | {"REPEATS": 2}).items():
        monkeypatch.setattr(scaling, name, sizes)
    rows = scaling.slopes()["rows"]
    taken = Counter(name for name, *_ in rows)
    assert {name for name, n in taken.items() if n == 1} == ONCE
    assert {n for name, n in taken.items() if name not in ONCE} == {2}
    assert len(taken) == len(ONCE) + 9
    assert [row for row in rows if not row[2] >= 0] == []
    kept = {size: value for name, size, value, _ in rows if name == "run, kept"}
    assert 1e5 < kept["100 racks"] < kept["200 racks"] < 1e6
    assert AuditEvent.objects.count() >= 1_000
    assert Run.objects.filter(status="queued").count() == 3
    assert Site.objects.filter(organisation__slug="all").count() == 4
    assert get_user_model().objects.filter(username__startswith="planner-").count() == 5
