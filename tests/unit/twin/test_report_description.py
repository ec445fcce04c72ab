"""Every described field is in the spreadsheet of a run, by name, in its unit."""

from dataclasses import replace

from tests.small_inputs import sheet, small_inputs
from twin.core.inputs.layout import TABLE_OF, TABLES, CduRow, PlantRow, RackColumns, column_names
from twin.core.report.description import TITLES, description_section
from twin.core.report.document import COUNT, NUMBER, TEXT
from twin.core.text.field_names import field_words

PRODUCTS = {"7": sheet("cdus", "big", name="Big CDU"), "8": sheet("systems", "box", name="Box")}
PLANT = PlantRow(3, "Loop", 30.0, 10.0, "water", "only", 7, 4, 1, None, 0, 0, 7, 2, 1, 0.0)
CDU = CduRow(5, "C1", 7, 3, 1, "A", 1, 41.0, "pg25")
RACKS = {
    "id": (21, 22),
    "name": ("R1", "R2"),
    "row": ("A", "A"),
    "role": ("compute", "network"),
    "hall_id": (1, 1),
    "x_m": (2.0, 2.6),
    "y_m": (4.0, 4.0),
    "orientation_deg": (0, 0),
    "width_m": (0.6, 0.6),
    "depth_m": (1.2, 1.2),
    "product_id": (8, None),
    "n_systems": (4, 1),
    "other_power_w": (0.0, 900.0),
    "accelerator_power_limit_w": (None, 500.0),
    "load_share": (1.0, 1.0),
    "coolant_flow_m3_per_s": (None, None),
    "cdu_id": (5, None),
    "feed_a_id": (None, None),
    "feed_b_id": (None, None),
}


def described():
    inputs = replace(small_inputs(products={"by_id": PRODUCTS}), plants=(PLANT,), cdus=(CDU,))
    named = {name: RACKS.get(name, (None, None)) for name in column_names(RackColumns)}
    return replace(inputs, racks=RackColumns(**named))


def tables():
    return {table.name: table for table in description_section(described()).tables}


def test_every_field_of_every_kind_has_a_column():
    assert set(TITLES) == {*TABLES, "racks"}
    for name, kind in {**TABLES, "racks": RackColumns}.items():
        if table := tables().get(f"Described {TITLES[name]}"):
            wanted = [field_words(field.removesuffix("_id")) for field in column_names(kind) if field != "id"]
            assert [column.head for column in table.columns] == wanted
            assert all(len(row) == len(wanted) for row in table.rows)
            assert table.shown == []  # in the spreadsheet alone


def test_references_are_named_and_numbers_keep_their_units():
    cdus = tables()["Described CDUs"]
    row = dict(zip((column.head for column in cdus.columns), cdus.rows[0], strict=True))
    kinds = {column.head: (column.kind, column.unit) for column in cdus.columns}
    assert (row["Product"], row["Plant"], row["Redundant units"], row["Supply"]) == ("Big CDU", "Loop", 1, 41.0)
    assert kinds["Supply"] == (NUMBER, "°C")
    assert kinds["Redundant units"] == (COUNT, "")
    assert kinds["Coolant"] == (TEXT, "")
    racks = tables()["Described racks"]
    by_head = {column.head: [row[i] for row in racks.rows] for i, column in enumerate(racks.columns)}
    assert by_head["Product"] == ["Box", ""]
    assert by_head[field_words("cdu")] == ["C1", ""]
    assert by_head["Accelerator power limit"] == [None, 500.0]


def test_a_reference_to_a_row_is_to_one_of_the_tables():
    assert set(TABLE_OF.values()) <= set(TABLES)
    every = {name for kind in (*TABLES.values(), RackColumns) for name in column_names(kind)}
    assert set(TABLE_OF) <= every
