"""load_catalogue: idempotent, all or nothing, and errors that name file, entry and field."""

import shutil

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from facility.catalogue import FOLDER, entries, kinds
from facility.models import Product, Weather

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path):
    for kind in ("cdus", "pumps"):
        shutil.copy(FOLDER / f"{kind}.yaml", tmp_path)
    return tmp_path


def edit(folder, old, new, kind="cdus"):
    path = folder / f"{kind}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_loads_every_entry_with_source_and_confidence_and_again_changes_nothing(capsys):
    call_command("load_catalogue")
    n = sum(len(entries(kind)) for kind in kinds())
    assert Product.objects.count() == n
    assert not Product.objects.filter(source="").exists()
    assert Weather.objects.filter(site=None).count() == 83  # 5 of stations, 78 estimated
    first = dict(Product.objects.values_list("pk", "updated_at"))
    capsys.readouterr()
    call_command("load_catalogue")
    assert f"{n} entries of {len(kinds())} kinds; 83 climates" in capsys.readouterr().out
    assert dict(Product.objects.values_list("pk", "updated_at")) == first


def test_a_changed_value_is_updated_in_place(folder, capsys):
    call_command("load_catalogue", path=folder)
    before = Product.objects.get(kind="cdus", slug="vertiv-xdu1350")
    edit(folder, "capacity_w: 1368000.0", "capacity_w: 1300000.0")
    call_command("load_catalogue", path=folder)
    after = Product.objects.get(kind="cdus", slug="vertiv-xdu1350")
    assert (after.pk, after.fact("capacity_w")) == (before.pk, 1_300_000.0)
    assert "(0 new, 1 updated)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "capacity_w: 1368000.0",
            "capacity_w: -5",
            "cdus.yaml: vertiv-xdu1350: capacity_w is -5 W; must be from 1 to 1e+09 W",
        ),
        ("capacity_w: 1368000.0", "capacity_w: big", "capacity_w is 'big'; must be a number"),
        ("capacity_w: 1368000.0", "capacity_w: .nan", "capacity_w is nan; must be a number"),
        ("capacity_w: 1368000.0", "capacity_kw: 1368", "vertiv-xdu1350: capacity_kw is not a field of this kind"),
        ("  capacity_w: 1368000.0\n", "", "vertiv-xdu1350: capacity_w is missing"),
        ("type: liquid_to_air", "type: magic", "type is 'magic'; must be one of liquid_to_liquid_row"),
        ("confidence: derived", "confidence: sure", "confidence is 'sure'; must be one of published"),
        ("- id: vertiv-xdu450", "- id: vertiv-xdu070", "vertiv-xdu070: id appears twice"),
        ("- id: vertiv-xdu450", "- id: 7", "entry 2: id is 7; must be a name"),
        ("kind: cdus", "kind: pumps", "cdus.yaml: must hold `kind: cdus`"),
        ("kind: cdus", "kind: [", "cdus.yaml: cannot be read"),
        ("kind: cdus", "kind: !!python/object/apply:os.getcwd []", "cdus.yaml: cannot be read"),
    ],
)
def test_a_bad_value_is_named_and_nothing_is_loaded(folder, old, new, message):
    edit(folder, old, new)
    with pytest.raises(CommandError) as refused:
        call_command("load_catalogue", path=folder)
    assert message in str(refused.value)
    assert Product.objects.count() == 0


def test_an_unknown_kind_and_an_empty_folder_are_refused(folder, tmp_path_factory):
    (folder / "gadgets.yaml").write_text("kind: gadgets\nentries: []\n")
    with pytest.raises(CommandError, match="there is no kind 'gadgets'"):
        call_command("load_catalogue", path=folder)
    with pytest.raises(CommandError, match=r"holds no \.yaml files"):
        call_command("load_catalogue", path=tmp_path_factory.mktemp("empty"))


def test_an_edit_of_an_entry_is_checked_like_the_files(folder):
    call_command("load_catalogue", path=folder)
    cdu = Product.objects.get(kind="cdus", slug="vertiv-xdu1350")
    cdu.full_clean()
    cdu.facts = cdu.facts | {"capacity_w": -1}
    with pytest.raises(ValidationError, match="capacity_w is -1 W"):
        cdu.full_clean()
