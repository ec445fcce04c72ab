"""Edits of the drawing: a batch of operations that is checked as a whole, saved as a whole and can be undone.

The layout's version guards it: a batch made on an older version is applied on the newest where nobody else has changed
the same objects since, and refused with both sides' changes otherwise, so that nobody loses work. Rules are those of
the models; places are compared as arrays, so that hundreds of racks move at once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models, transaction

from facility.edit_records import changes_since, record
from facility.editing.edit_board import CALLED, FIELDS, MODELS, Board, Key, Problem
from facility.floor_plan import TOUCH_M, check_place
from facility.models import Hall, Layout
from facility.models.site import listed
from facility.permissions import check_write
from facility.services import FrozenLayout, StaleLayout, check_values, layout_bump, layout_lock

MAX_OPERATIONS = 5000
BLOCK = 512  # moved objects compared at a time: 4,000 racks stay within some 20 MB
PLACE = ("x_m", "y_m", "orientation_deg", "width_m", "depth_m", "hall", "product", "type")
REFERENCES = ("hall", "plant", "cdu", "feed_a", "feed_b", "supply_degc", "product")
WRITE_ORDER = ("hall", "feature", "air_unit", "cdu", "rack")


@dataclass(frozen=True, slots=True)
class Applied:
    """A saved batch: the layout's new version, numbers of new objects by their `ref`, and how to undo it."""

    version: int
    created: dict[str, int]
    inverse: list[dict[str, Any]]
    theirs: list[dict[str, Any]]  # what others did meanwhile, where the batch was made on an older version


class EditRefused(Exception):
    """Something in a batch is not possible; nothing was saved."""

    def __init__(self, problems: list[Problem]) -> None:
        more = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
        super().__init__(problems[0].message + more)
        self.problems = problems


class EditConflict(StaleLayout):
    """Somebody changed the layout in between; holds both sides' changes."""

    def __init__(self, message: str, version: int, yours: list[dict], theirs: list[dict]) -> None:
        super().__init__(message)
        self.version, self.yours, self.theirs = version, yours, theirs


def edits_apply(*, layout: Layout, operations: list[dict[str, Any]], version: int, user=None) -> Applied:
    """Apply a batch of operations to a layout; all or nothing.

    Parameters
    ----------
    operations : list of dict
        Each has `op`: move (kind, id, x_m, y_m, orientation_deg), create (kind, its fields, ref), update (kind, id,
        fields), delete (kind, id) or assign (racks, cdu, feed_a, feed_b). Kinds are rack, cdu, air_unit, feature, and
        hall for updates of its air units. Products go by catalogue id, everything else by number or by the `ref` of an
        object created earlier in the batch.
    version : int
        Version of the layout that the operations were made on.

    Raises
    ------
    EditConflict
        If others changed the same objects since `version`, or the batch does not fit beside what they did; holds both
        sides' changes.
    EditRefused
        If any operation is not possible; names operation, object, field, value and what is allowed.
    """
    check_write(user, layout.site)
    if not operations or len(operations) > MAX_OPERATIONS:
        message = f"There are {len(operations)} operations; a batch has from 1 to {MAX_OPERATIONS:,}."
        raise EditRefused([Problem(0, "batch", "operations", len(operations), message)])
    try:
        with transaction.atomic():
            newest = layout_lock(layout)
            board = Board(layout)
            board.apply(operations)
            layout_bump(
                layout=layout, version=version, touches={key for key in board.touched_by if type(key[1]) is int}
            )
            problems = board.problems + _broken_rules(board)
            if problems and version != newest:
                raise StaleLayout(f"Your changes of version {version} do not fit on version {newest}.")
            if problems:
                raise EditRefused(problems)
            theirs = changes_since(layout, version)[: newest - version] if version != newest else []
            _save(board)
            record(layout, board.changes(), user)
    except EditConflict:
        raise
    except FrozenLayout as frozen:
        raise EditRefused([Problem(0, "layout", "status", layout.status, frozen.message)]) from frozen
    except StaleLayout as stale:
        raise _conflict(layout, operations, version, str(stale)) from stale
    except IntegrityError as error:
        message = "Two objects would have had one name for a moment; rename them one after the other."
        raise EditRefused([Problem(0, "batch", "name", None, message)]) from error
    created = {key: board.rows[kind][key].pk for kind, key in board.standing() if isinstance(key, str)}
    return Applied(layout.version, created, board.inverse(), theirs)


def _conflict(layout: Layout, operations: list[dict], version: int, message: str) -> EditConflict:
    """Return both sides: what the operations would change now, and what was changed since their version."""
    theirs = changes_since(layout, version)
    layout.refresh_from_db(fields=["version"])
    board = Board(layout)
    board.apply(operations)
    touched = {(change["kind"], change["id"]) for edit in theirs for change in edit["changes"]}
    yours = [change | {"clash": (change["kind"], change["id"]) in touched} for change in board.changes()]
    yours += [
        {
            "kind": "",
            "id": None,
            "name": problem.object,
            "action": "impossible",
            "fields": {},
            "clash": True,
            "message": problem.message,
        }
        for problem in board.problems
    ]
    return EditConflict(message, layout.version, yours, theirs)


def _broken_rules(board: Board) -> list[Problem]:
    """Return what the rules say about the touched objects."""
    changed = {key: board.changed(key) for key in board.standing()}
    found: list[Problem] = []
    for key, fields in changed.items():
        row = board.rows[key[0]][key[1]]
        try:
            _check_fields(key[0], row, fields)
        except ValidationError as error:
            found += _problems(board, key, error)
    found += _double_names(board, changed)
    found += _left_behind(board, changed)
    if not found:  # places of values that are no numbers cannot be compared
        found += _taken_places(board, {key for key, fields in changed.items() if fields.intersection(PLACE)})
    return found


def _check_fields(kind: str, row: models.Model, changed: set[str]) -> None:
    """Ask the model's rules for the fields that changed."""
    references = {field.name for field in row._meta.concrete_fields if isinstance(field, models.ForeignKey)}
    unchanged = {field.name for field in row._meta.concrete_fields} - changed
    row.clean_fields(exclude=unchanged | references)  # references were resolved within the layout
    check_values(row)
    if kind == "hall":
        row.clean()
    elif changed.intersection(REFERENCES):
        row.check_references()
    if kind == "rack" and changed.intersection(("product", "n_systems")):
        row.check_contents()


def _problems(board: Board, key: Key, error: ValidationError) -> list[Problem]:
    row = board.rows[key[0]][key[1]]
    by_field = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    found = []
    for name, sentences in by_field.items():
        own = "" if name == NON_FIELD_ERRORS else name
        value = board.values(key[0], row).get(own)
        called = f"{CALLED[key[0]]} {row.name}"
        found += [
            Problem(board.touched_by[key], called, own, _plain(value), _named(called, own, sentence))
            for sentence in sentences
        ]
    return found


def _named(called: str, field: str, sentence: str) -> str:
    """Return a sentence that says which object it is about; those of our own rules do so themselves."""
    name = called.partition(" ")[2]
    return sentence if name and name in sentence else f"{called[:1].upper()}{called[1:]}, {field}: {sentence}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _double_names(board: Board, changed: dict[Key, set[str]]) -> list[Problem]:
    """Return objects whose name another one has: racks within their hall, everything else within the layout."""
    found = []
    for kind in {key[0] for key, fields in changed.items() if fields.intersection(("name", "hall"))}:
        seen: dict[tuple, int | str] = {}
        for key, row in board.rows[kind].items():
            place = (row.hall_id if kind == "rack" else None, row.name)
            other = seen.setdefault(place, key)
            if other != key:
                late = (kind, key) if (kind, key) in changed else (kind, other)
                called = f"{CALLED[kind]} {row.name}"
                message = (
                    f"There already is a {called} in this {'hall' if kind == 'rack' else 'layout'}; names are unique."
                )
                found.append(Problem(board.touched_by[late], called, "name", row.name, message))
    return found


def _left_behind(board: Board, changed: dict[Key, set[str]]) -> list[Problem]:
    """Return CDUs that would leave the hall of racks that they cool."""
    found = []
    for kind, key in changed:
        if kind != "cdu" or "hall" not in changed[kind, key] or not board.before[kind, key]:
            continue
        cdu = board.rows["cdu"][key]
        names = [
            rack.name for rack in board.rows["rack"].values() if rack.cdu_id == cdu.pk and rack.hall_id != cdu.hall_id
        ]
        if names:
            message = f"CDU {cdu.name} cools {listed(names)} in another hall."
            found.append(Problem(board.touched_by[kind, key], f"CDU {cdu.name}", "hall", cdu.hall_id, message))
    return found


def _taken_places(board: Board, moved: set[Key]) -> list[Problem]:
    """Return moved objects that leave their hall or cover another."""
    found: list[Problem] = []
    for hall_id in {board.rows[kind][key].hall_id for kind, key in moved if kind != "hall"}:
        hall = board.rows["hall"][hall_id]
        here = [
            (kind, key)
            for kind in ("rack", "cdu", "air_unit", "feature")
            for key, row in board.rows[kind].items()
            if row.hall_id == hall_id and _takes_floor(kind, row)
        ]
        moved_here = [key for key in moved if key[0] != "hall" and board.rows[key[0]][key[1]].hall_id == hall_id]
        found += _places_in_hall(board, hall, here, moved_here)
    return found


def _takes_floor(kind: str, row: models.Model) -> bool:
    return row.stands_on_floor if kind == "cdu" else row.is_solid if kind == "feature" else True


def _places_in_hall(board: Board, hall: Hall, here: list[Key], moved_here: list[Key]) -> list[Problem]:
    """Compare the moved objects with the hall and with everything that takes its floor."""
    marks = [board.rows[kind][key].footprint for kind, key in here]
    corners = np.array([(f.x0_m, f.y0_m, f.x1_m, f.y1_m) for f in marks], dtype=float).reshape(-1, 4)
    is_feature = np.array([kind == "feature" for kind, _ in here], dtype=bool)
    found: list[Problem] = []
    position = {key: i for i, key in enumerate(here)}
    reported: set[frozenset[int]] = set()
    for start in range(0, len(moved_here), BLOCK):
        part = moved_here[start : start + BLOCK]
        own = [board.rows[kind][key].footprint for kind, key in part]
        boxes = np.array([(f.x0_m, f.y0_m, f.x1_m, f.y1_m) for f in own], dtype=float).reshape(-1, 4)[:, None, :]
        x_m = np.minimum(boxes[..., 2], corners[:, 2]) - np.maximum(boxes[..., 0], corners[:, 0])
        y_m = np.minimum(boxes[..., 3], corners[:, 3]) - np.maximum(boxes[..., 1], corners[:, 1])
        covers = (x_m > TOUCH_M) & (y_m > TOUCH_M)
        for n, key in enumerate(part):
            at = position.get(key)
            others = (
                []
                if at is None
                else [
                    int(j)
                    for j in np.flatnonzero(covers[n])
                    if j != at
                    and not (key[0] == "feature" and is_feature[j])
                    and frozenset((at, int(j))) not in reported
                ]
            )
            reported |= {frozenset((at, j)) for j in others[:1]}
            try:
                check_place(own[n], hall, [marks[j] for j in others])
            except ValidationError as error:
                found += _problems(board, key, error)
    return found


def _save(board: Board) -> None:
    """Write the difference: what goes first, then what is new, then what changed."""
    standing = set(board.standing())
    for kind in reversed(WRITE_ORDER):
        before = [key for row_kind, key in board.before if row_kind == kind and board.before[kind, key]]
        gone = [key for key in before if (kind, key) not in standing]
        if gone:
            MODELS[kind].objects.filter(pk__in=gone).delete()
    for kind in WRITE_ORDER:
        keys = [key for row_kind, key in board.standing() if row_kind == kind]
        new = [board.rows[kind][key] for key in keys if not board.before[kind, key]]
        MODELS[kind].objects.bulk_create(new)
    for kind in WRITE_ORDER:
        keys = [key for row_kind, key in board.standing() if row_kind == kind and board.before[kind, key]]
        changed = {key: board.changed((kind, key)) for key in keys}
        rows = [board.rows[kind][key] for key in keys if changed[key]]
        fields = [name for name in FIELDS[kind] if any(name in names for names in changed.values())]
        if rows:
            MODELS[kind].objects.bulk_update(rows, fields, batch_size=200)
