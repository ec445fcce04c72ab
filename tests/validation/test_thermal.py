"""The scoreboard's thermal rows, where the data are; and that it says what is missing where they are not."""

from types import ModuleType

import pytest

from twin.validation import comfort, energyplus, thermal, transients

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("module", [thermal, energyplus, transients], ids=lambda module: module.__name__)
def test_every_row_reaches_its_tolerance(module: ModuleType, data_dir):
    rows = list(module.checks(data_dir))
    missed = [f"{row.check}: {row.value} {row.unit}, reach {row.reach}" for row in rows if row.status == "miss"]
    assert not missed
    assert sum(row.n for row in rows) > 100


def test_the_tables_of_people_are_met_whole(data_dir):
    rows = {row.check: row for row in comfort.checks(data_dir)}
    assert {row.status for row in rows.values()} == {"pass"}
    assert rows["predicted heat strain"].n == 120
    assert "2004" in rows["predicted heat strain"].note


@pytest.mark.parametrize("module", [thermal, energyplus, transients, comfort], ids=lambda module: module.__name__)
def test_missing_files_are_named(module: ModuleType, tmp_path):
    rows = list(module.checks(tmp_path))
    assert rows
    assert all(row.status == "skipped" for row in rows)
    assert all("missing" in row.note for row in rows)


def test_a_wrong_oracle_is_missed(tmp_path):
    folder = tmp_path / "oracles"
    folder.mkdir()
    (folder / "hx_effectiveness_ntu.json").write_text(
        '{"eff": [{"type": "counterflow", "Cr": 1.0, "NTU": 1.0, "eff": 0.51}], "cdu_points": []}'
    )
    rows = {row.check: row for row in thermal.checks(tmp_path)}
    assert rows["effectiveness, all flow types"].status == "miss"
    assert rows["effectiveness, all flow types"].value == pytest.approx(0.01)
