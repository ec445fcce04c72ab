"""A remedy of a finding: tried on the description itself, previewed on the figures of merit, taken and taken back.

What is previewed is what is applied: both go through the services of the description, in a transaction that a preview
rolls back. The solver is asked only afterwards, with nothing locked.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core import signing
from django.core.exceptions import ValidationError
from django.db import models, transaction

from facility import services
from facility.edit_records import key_of as key_of_part
from facility.edit_records import touched_since
from facility.kinds import BY_NAME, EDIT_NAMES
from facility.models import EditRecord, Layout, Rack, Site
from facility.permissions import check_write
from facility.services import StaleLayout
from twin.core.inputs.layout import LayoutInputs
from twin.core.results.findings import BLOCKING, RISK
from twin.core.rules.remedies import REMEDIES
from twin.core.rules.report import Finding
from twin.core.sizing.counts import CDU, FEED, Count, counts_against
from twin.core.solve.estimate import instant_answer
from twin.core.solve.simulate import described
from twin.core.text.numbers import quantity_text
from twin.exceptions import CannotSimulate
from twin.models import Scenario
from twin.onboarding.sizing import cdus_brought_to
from twin.remedies.moves import MOVES, Attempt, Change
from twin.remedies.undo import SALT
from twin.runs.findings import Read, judged, layout_findings, read_for_rules
from twin.runs.snapshot import description, inputs_now

#: Findings of a rule that are tried one on top of the other: each asks all rules anew, which takes as long as there are
#: racks. So many at most, and so many racks judged at most, of findings that helped or not.
MOST_AT_ONCE, MOST_RACKS_JUDGED = 60, 12_000
UNITS = {"_degc": "°C", "_w": "W", "_m": "m", "_m3_per_s": "m³/s", "_deg": "°"}
Key = tuple[str, int | None, str]


class NoRemedy(Exception):
    """Nothing that the product can compute removes the finding; the message tells what to do instead."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One field as it was and as it is, in words; a new object has no value before."""

    kind: str
    id: int
    object: str
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of merit before and after a remedy."""

    name: str
    label: str
    unit: str
    better: str
    before: float | None
    after: float | None
    before_text: str
    after_text: str
    change_text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a remedy would change, and what then comes out."""

    finding: Finding
    text: str
    changes: tuple[Changed, ...]
    n_before: int  # findings of the rules
    n_after: int
    gone: tuple[Finding, ...]
    fresh: tuple[Finding, ...]
    figures: tuple[Figure, ...]
    message: str = ""  # why there are no figures
    left: tuple[Finding, ...] = ()  # of the same rule, where all were asked for: no remedy helped, or none was tried


@dataclass(frozen=True, slots=True)
class Taken:
    """A remedy that was applied: the layout's new version, and what takes it back."""

    version: int
    changes: tuple[Changed, ...]
    undo: str
    left: tuple[Finding, ...] = ()  # of the same rule, where all were asked for: no remedy helped, or none was tried


@dataclass(frozen=True, slots=True)
class _Tried:
    """Attempts that help, one after the other."""

    changes: tuple[Changed, ...]
    found: list[Finding]
    attempts: tuple[Attempt, ...]
    left: tuple[Finding, ...] = ()


class _RolledBack(Exception):
    """Ends the transaction of an attempt."""


def key_of(finding: Finding) -> Key:
    """Return what names a finding among those of its layout."""
    return finding.object_kind, finding.object_id, finding.rule


def finding_named(found: Sequence[Finding], key: Key) -> Finding:
    """Return a finding by its name.

    Raises
    ------
    NoRemedy
        If the layout has no such finding (any more).
    """
    named = next((finding for finding in found if key_of(finding) == key), None)
    if named is None:
        kind, pk, rule = key
        raise NoRemedy(f"The rule “{rule}” finds nothing at {kind.replace('_', ' ')} {pk or ''} of this layout now.")
    return named


def preview(layout: Layout, key: Key, scenario: Scenario | None) -> Preview:
    """Return what removes a finding and what it does to the figures of merit, changing nothing.

    Raises
    ------
    NoRemedy
        If the finding is not there, or nothing that can be computed removes it.
    """
    before = layout_findings(layout)
    finding = finding_named(before, key)
    return _previewed(layout, before, finding, _helping(layout, before, finding), scenario)


def preview_all(layout: Layout, rule: str, scenario: Scenario | None) -> Preview:
    """Return what removes the findings of a rule together, changing nothing; `finding` is the first of them.

    Raises
    ------
    NoRemedy
        If the rule finds nothing, or nothing that can be computed removes one of its findings.
    """
    before = layout_findings(layout)
    tried = _helping_all(layout, before, rule)
    finding = next(one for one in before if one.rule == rule)
    return _previewed(layout, before, finding, tried, scenario)


def _previewed(
    layout: Layout, before: Sequence[Finding], finding: Finding, tried: _Tried, scenario: Scenario | None
) -> Preview:
    keys = [{key_of(one): one for one in found} for found in (before, tried.found)]
    figures, message = _figures(layout, scenario, tried)
    return Preview(
        finding,
        REMEDIES[finding.rule].text,
        tried.changes,
        len(before),
        len(tried.found),
        tuple(one for name, one in keys[0].items() if name not in keys[1]),
        tuple(one for name, one in keys[1].items() if name not in keys[0]),
        figures,
        message,
        tried.left,
    )


@transaction.atomic
def take(*, layout: Layout, key: Key, version: int, user: Any = None) -> Taken:
    """Apply what removes a finding.

    Raises
    ------
    NoRemedy
        If the finding is not there, or nothing that can be computed removes it.
    StaleLayout
        If somebody has changed the layout since `version`.
    ValidationError
        If the layout is frozen.
    """
    before = _locked(layout, version, user)
    return _taken(layout, _helping(layout, before, finding_named(before, key)), user)


@transaction.atomic
def take_all(*, layout: Layout, rule: str, version: int, user: Any = None) -> Taken:
    """Apply what removes the findings of a rule together: all in one transaction, taken back by one undo.

    Raises
    ------
    NoRemedy, StaleLayout, ValidationError
        As `take`.
    """
    before = _locked(layout, version, user)
    return _taken(layout, _helping_all(layout, before, rule), user)


def _locked(layout: Layout, version: int, user: Any) -> list[Finding]:
    """Lock a layout at a version and return what the rules find in it."""
    check_write(user, layout.site)
    if services.layout_lock(layout) != version:
        raise StaleLayout("The layout has been changed since you read it; look at the remedy again.")
    return layout_findings(layout)


def _taken(layout: Layout, tried: _Tried, user: Any) -> Taken:
    steps: list[dict[str, Any]] = []
    for attempt in tried.attempts:
        steps = _apply(layout, attempt, user) + steps
    layout.refresh_from_db(fields=["version"])
    undo = signing.dumps({"layout": layout.pk, "version": layout.version, "steps": _merged(steps)}, salt=SALT)
    if any(step["kind"] != "site" for step in steps):  # the site's own changes make no version
        EditRecord.objects.filter(layout=layout, version=layout.version).update(undo=undo)
    return Taken(layout.version, tried.changes, undo, tried.left)


def _merged(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return steps back, the latest first, with one step for each object: from what it is now to what it was."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for step in steps:
        known = found.setdefault((step["kind"], step["id"]), step)
        if known is step:
            continue
        if step["fields"] is None or known["fields"] is None:  # it was made, and goes whole
            known["fields"] = None
            continue
        now = {name: now for name, (now, _) in known["fields"].items()}
        known["fields"] |= {name: (now.get(name, then_now), then) for name, (then_now, then) in step["fields"].items()}
    return list(found.values())


@transaction.atomic
def take_back(*, layout: Layout, undo: str, user: Any = None) -> int:
    """Undo a remedy by what `take` returned, and return the layout's new version.

    Raises
    ------
    ValidationError
        If `undo` is not of this layout, or its plan is frozen.
    StaleLayout
        If somebody has since changed what the remedy made or changed, or put something on it; nothing is undone then.
    """
    check_write(user, layout.site)
    try:
        kept = signing.loads(undo, salt=SALT)
    except signing.BadSignature as bad:
        raise ValidationError({"undo": "Is not what a remedy returned; undo takes that word for word."}) from bad
    if kept["layout"] != layout.pk:
        raise ValidationError({"undo": "Is of another layout; undo it there."})
    _check_untouched(layout, kept)
    for step in kept["steps"]:
        if step["kind"] == "site":
            _site_back(layout.site, step, user)
            continue
        part = _part_of(step)
        if step["fields"] is None:
            services.part_delete(part=part, user=user)
            continue
        for name, (_, then) in step["fields"].items():
            setattr(part, name, then)
        names = {part._meta.get_field(name).name for name in step["fields"]}
        services.part_save(part=part, fields=names, user=user)
    EditRecord.objects.filter(layout=layout, version=kept["version"]).update(undo="")
    layout.refresh_from_db(fields=["version"])
    return layout.version


def _part_of(step: dict[str, Any]) -> Any:
    part = BY_NAME[step["kind"]].model._default_manager.filter(pk=step["id"]).first()
    if part is None:
        raise StaleLayout("What the remedy changed has been deleted in part since; nothing was undone.")
    return part


def _check_untouched(layout: Layout, kept: dict[str, Any]) -> None:
    """Raise StaleLayout where others have since changed what a remedy made or changed, or put something on it.

    The layout stays locked to the end of the transaction, so that what is found here holds for every step.
    """
    since = None
    if services.layout_lock(layout) > kept["version"]:
        since = touched_since(layout, kept["version"])
        if since is None:
            raise StaleLayout(f"{layout.name} has been changed since by what leaves no record; nothing was undone.")
    for step in kept["steps"]:
        if step["kind"] == "site":
            continue  # `_site_back` compares it
        part = _part_of(step)
        named = f"{step['kind'].replace('_', ' ')} {part.name}"
        fields = step["fields"] or {}
        if key_of_part(part) in (since or ()) or any(getattr(part, name) != now for name, (now, _) in fields.items()):
            raise StaleLayout(f"Somebody has changed {named} since the remedy; nothing was undone.")
        if leaning := _leaning_on(part, None if step["fields"] is None else since or set()):
            raise StaleLayout(f"{leaning} depends on {named} since the remedy; nothing was undone. Move it first.")


def _leaning_on(part: models.Model, among: set[tuple[str, int]] | None) -> str:
    """Return what refers to a part, blank for nothing; `among` are the objects that count, None: all."""
    for relation in part._meta.related_objects:
        model = relation.related_model
        found = model._default_manager.filter(**{relation.field.name: part})
        if among is not None:
            kind = EDIT_NAMES.get(model)
            found = found.filter(pk__in=[pk for of, pk in among if of == kind])
        if (one := found.first()) is not None:
            return f"{str(model._meta.verbose_name).capitalize()} {getattr(one, 'name', one)}"
    return ""


def _site_back(site: Site, step: dict[str, Any], user: Any) -> None:
    site.refresh_from_db()
    for name, (now, then) in step["fields"].items():
        if getattr(site, name) != now:
            raise StaleLayout(f"{site.name} has been changed since; nothing was undone.")
        setattr(site, name, then)
    services.site_update(site=site, user=user)


def can_be_computed(rule: str) -> bool:
    """Return whether a remedy of a rule is more than words."""
    remedy = REMEDIES.get(rule)
    return remedy is not None and bool(remedy.counts or remedy.moves)


def _attempts(layout: Layout, finding: Finding, read: LayoutInputs) -> Iterator[Attempt]:
    remedy = REMEDIES[finding.rule]
    if remedy.counts and (counts := counts_against(read, finding)):
        yield tuple(change for count in counts for change in _counted(count))
    for move in remedy.moves:
        yield from MOVES[move](layout, read, finding)


def _counted(count: Count) -> list[Change]:
    """Return a count as changes of fields; of a group of CDUs, a number that its first unit stands for."""
    of = count.counted
    ids = of.alike if of.kind == FEED else (of.id,)
    return [Change(of.kind, pk, of.field, count.after) for pk in ids]


def _helping(layout: Layout, before: Sequence[Finding], finding: Finding) -> _Tried:
    """Return the first attempt that removes a finding and brings none that forbids building or needs a decision."""
    remedy = REMEDIES.get(finding.rule)
    if not can_be_computed(finding.rule):
        raise NoRemedy(f"Nothing is computed for this. {remedy.text if remedy else ''}".strip())
    for attempt in _attempts(layout, finding, description(layout)):
        tried = _tried(layout, before, (attempt,)) if attempt else None
        if tried and key_of(finding) not in {key_of(one) for one in tried.found}:
            return tried
    raise NoRemedy(f"No change that was tried removes it without another finding. {remedy.text if remedy else ''}")


def _tried(layout: Layout, before: Sequence[Finding], attempts: tuple[Attempt, ...]) -> _Tried | None:
    """Return attempts with what the rules then find; None where they bring a finding that needs a decision or worse."""
    try:
        read, changes = _read_with(layout, attempts)
    except (ValidationError, CannotSimulate):
        return None  # it cannot be described so
    found = judged(read)
    keys = {key_of(one) for one in before}
    worse = [one for one in found if one.severity in (BLOCKING, RISK) and key_of(one) not in keys]
    return None if worse else _Tried(changes, found, attempts)


def _helping_all(layout: Layout, before: Sequence[Finding], rule: str) -> _Tried:
    """Return what removes the findings of a rule: the first attempt of each at once, or else one after the other."""
    named = [one for one in before if one.rule == rule]
    if not named:
        raise NoRemedy(f"The rule “{rule}” finds nothing in this layout now.")
    if not can_be_computed(rule):
        raise NoRemedy(f"Nothing is computed for this. {REMEDIES[rule].text if rule in REMEDIES else ''}".strip())
    read = description(layout)
    firsts = [next((attempt for attempt in _attempts(layout, one, read) if attempt), ()) for one in named]
    if all(firsts):
        tried = _tried(layout, before, tuple(dict.fromkeys(firsts)))
        if tried and not any(one.rule == rule for one in tried.found):
            return tried
    return _one_by_one(layout, before, rule)


def _one_by_one(layout: Layout, before: Sequence[Finding], rule: str) -> _Tried:
    """Return the remedies of a rule's findings, each tried on top of those before it, and what they leave."""
    attempts: list[Attempt] = []
    changes: list[Changed] = []
    found, left = list(before), set()
    n_racks = Rack.objects.filter(hall__layout=layout).count()
    most = max(1, min(MOST_AT_ONCE, MOST_RACKS_JUDGED // max(1, n_racks)))
    try:
        with transaction.atomic():
            while len(attempts) + len(left) < most and (
                finding := next((one for one in found if one.rule == rule and key_of(one) not in left), None)
            ):
                here = Layout.objects.select_related("site").get(pk=layout.pk)
                try:
                    tried = _helping(here, found, finding)
                except NoRemedy:
                    left.add(key_of(finding))
                    continue
                _apply(here, tried.attempts[0], None)
                attempts.append(tried.attempts[0])
                changes += tried.changes
                found = tried.found
            raise _RolledBack
    except _RolledBack:
        pass
    if not attempts:
        raise NoRemedy(f"No change that was tried removes one of them without another finding. {REMEDIES[rule].text}")
    stays = tuple(one for one in found if one.rule == rule)
    return _Tried(_summed(changes), found, tuple(attempts), stays)


def _summed(changes: Iterable[Changed]) -> tuple[Changed, ...]:
    """Return changes with one for each field, from what it was first to what it is at last."""
    found: dict[tuple[str, int, str], Changed] = {}
    for change in changes:
        key = (change.kind, change.id, change.field)
        found[key] = replace(found[key], after=change.after) if key in found else change
    return tuple(found.values())


def _read_with(layout: Layout, attempts: Iterable[Attempt]) -> tuple[Read, tuple[Changed, ...]]:
    """Return a layout as the rules read it with attempts applied, which are then rolled back."""
    result: list[tuple[Read, tuple[Changed, ...]]] = []
    try:
        with transaction.atomic():
            changes: list[Changed] = []
            for attempt in attempts:
                here = Layout.objects.select_related("site").get(pk=layout.pk)
                changes += _in_words(here, attempt)
                _apply(here, attempt, None)
            tried = Layout.objects.select_related("site").get(pk=layout.pk)
            result.append((read_for_rules(tried), _summed(changes)))
            raise _RolledBack
    except _RolledBack:
        pass
    return result[0]


def _apply(layout: Layout, attempt: Attempt, user: Any) -> list[dict[str, Any]]:
    """Make the changes through the services, an object at a time; return the steps that take them back."""
    inverse: list[dict[str, Any]] = []
    for (kind, pk), changes in _by_object(attempt).items():
        if kind == "site":
            site = Site.objects.get(pk=pk)
            inverse.append(
                {"kind": kind, "id": pk, "fields": {c.field: (c.after, getattr(site, c.field)) for c in changes}}
            )
            for change in changes:
                setattr(site, change.field, change.after)
            services.site_update(site=site, user=user)
            continue
        if kind == CDU and changes[0].field == "n_cdus":
            had = set(layout.cdus.values_list("pk", flat=True))
            cdus_brought_to(layout, pk, changes[0].after, user)
            new = sorted(set(layout.cdus.values_list("pk", flat=True)) - had)
            inverse += [{"kind": kind, "id": one, "fields": None} for one in new]
            continue
        part = BY_NAME[kind].model._default_manager.get(pk=pk)
        before = {}
        for change in changes:
            attname = part._meta.get_field(change.field).attname
            before[attname] = getattr(part, attname)
            setattr(part, change.field, change.after)
        saved = services.part_save(part=part, fields={change.field for change in changes}, user=user)
        back = {name: (getattr(saved, name), then) for name, then in before.items()}
        inverse.append({"kind": kind, "id": pk, "fields": back})
    return inverse[::-1]


def _by_object(attempt: Attempt) -> dict[tuple[str, int], list[Change]]:
    found: dict[tuple[str, int], list[Change]] = {}
    for change in attempt:
        found.setdefault((change.kind, change.id), []).append(change)
    return found


def _in_words(layout: Layout, attempt: Attempt) -> tuple[Changed, ...]:
    """Return changes as pages and programs show them."""
    found = []
    for change in attempt:
        if change.kind == "site":
            part: Any = layout.site
        else:
            part = BY_NAME[change.kind].model._default_manager.get(pk=change.id)
        if change.field == "n_cdus":
            group = part.group or part.name
            n = layout.cdus.filter(group=part.group).count() if part.group else 1
            found.append(Changed(change.kind, change.id, f"Group {group}", "CDUs", str(n), str(change.after)))
            continue
        field = part._meta.get_field(change.field)
        words = [_value_text(change.field, value) for value in (getattr(part, change.field), change.after)]
        found.append(Changed(change.kind, change.id, part.name, _label(field, change.field), *words))
    return tuple(found)


def _label(field: models.Field, name: str) -> str:
    suffix = next((suffix for suffix in UNITS if name.endswith(suffix)), "")
    words = name.removesuffix(suffix).removeprefix("n_") if suffix or name.startswith("n_") else str(field.verbose_name)
    return words.replace("_", " ")


def _value_text(name: str, value: Any) -> str:
    if value is None:
        return "as designed" if name == "coolant_flow_m3_per_s" else "none"
    if isinstance(value, models.Model):
        return str(getattr(value, "name", value))
    suffix = next((suffix for suffix in UNITS if name.endswith(suffix)), "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return quantity_text(value, UNITS[suffix]) if suffix else f"{value:g}"
    return str(value)


def _figures(layout: Layout, scenario: Scenario | None, tried: _Tried) -> tuple[tuple[Figure, ...], str]:
    """Return the headline figures before and after, estimated as the drawing board's; a reason where there are none."""
    if scenario is None:
        return (), f"{layout.site.name} has no scenario; add one to see what the remedy does to the figures."
    try:
        rows = [instant_answer(described(inputs)).shown() for inputs in _both(layout, scenario, tried.attempts)]
    except (CannotSimulate, ValueError) as refusal:
        return (), str(refusal)
    found = []
    for one, other in zip(*rows, strict=True):
        values = one["value"], other["value"]
        change = ""
        if None not in values:
            by = values[1] - values[0]
            same = abs(by) <= 5e-5 * max(abs(values[0]), abs(values[1]))
            text = quantity_text(by, "K" if one["unit"] == "°C" else one["unit"]).removesuffix("%")
            change = "no change" if same else f"{'+' if by > 0 else ''}{text}{'pp' if one['unit'] == '%' else ''}"
        named = {name: one[name] for name in ("name", "label", "unit", "better")}
        found.append(
            Figure(
                **named,
                before=values[0],
                after=values[1],
                before_text=one["text"],
                after_text=other["text"],
                change_text=change,
            )
        )
    return tuple(found), ""


def _both(layout: Layout, scenario: Scenario, attempts: Iterable[Attempt]) -> list[Any]:
    """Return a layout under a scenario as the solvers read it, without and with attempts."""
    found = [inputs_now(layout, scenario)]
    try:
        with transaction.atomic():
            for attempt in attempts:
                _apply(Layout.objects.select_related("site").get(pk=layout.pk), attempt, None)
            found.append(inputs_now(Layout.objects.select_related("site").get(pk=layout.pk), scenario))
            raise _RolledBack
    except _RolledBack:
        pass
    return found
