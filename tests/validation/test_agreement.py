"""The closed form and the replay answer alike where both apply."""

import pytest

from twin.validation.agreement import DEPLOYMENTS, DRAFTS, REACH_PERCENTILES, UNITS, checks

pytestmark = [pytest.mark.slow, pytest.mark.compiled]


def test_the_closed_form_agrees_with_the_replay(tmp_path):
    rows = list(checks(tmp_path))
    assert len(rows) == 2 * (len(DEPLOYMENTS) + len(DRAFTS)) + len(REACH_PERCENTILES) * (len(DEPLOYMENTS) + len(UNITS))
    for row in rows:
        assert row.status == "pass", f"{row.check}: {row.value:.3f} {row.note}"
