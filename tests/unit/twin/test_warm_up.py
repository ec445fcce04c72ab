"""What the solver processes load ahead of the first answer, and that nothing they meet there ends them."""

import logging

import pytest

from facility.models import Rack
from twin.solvers import warm_up

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue")]


@pytest.fixture(autouse=True)
def _kept_connection(monkeypatch):
    monkeypatch.setattr(warm_up.connection, "close", lambda: None)  # the test's own


@pytest.mark.compiled
def test_the_latest_drawing_is_answered_and_its_pools_stay_planned(layout, caplog):
    from twin.core.inputs.pools import _best_service

    _best_service.cache_clear()
    with caplog.at_level(logging.INFO, logger="twin.solvers.warm_up"):
        warm_up.warm_up()
    assert _best_service.cache_info().currsize >= 1
    assert caplog.records == []


def test_a_drawing_that_cannot_be_solved_is_left_to_whoever_asks(layout, caplog):
    Rack.objects.all().delete()
    with caplog.at_level(logging.INFO, logger="twin.solvers.warm_up"):
        warm_up.warm_up()
    assert "has no racks" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.INFO}
