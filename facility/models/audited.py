"""The audit log writes itself: rows are logged with who changed them, from what to what, in the same transaction.

A model that inherits `Audited` is logged whatever the door and however many rows at once. The logged columns are
`audited_fields`: none that is secret, and none that merely counts or ticks.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

from django.apps import apps
from django.db import connections, models, transaction
from django.db.models import signals
from django.utils import timezone

from facility import acting


class AuditEvent(models.Model):
    """One change of one row. It points to nothing, so that it outlives the row; the database lets nobody change it."""

    class Action(models.TextChoices):
        CREATED = "created", "created"
        CHANGED = "changed", "changed"
        DELETED = "deleted", "deleted"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    user_number = models.BigIntegerField(null=True, help_text="Id of the user; empty: nobody was signed in.")
    username = models.CharField(max_length=150, blank=True)
    token = models.CharField(max_length=8, blank=True, help_text="First characters of the API token.")
    door = models.CharField(max_length=12, choices=[(door, door) for door in acting.DOORS])
    detail = models.CharField(max_length=200, blank=True, help_text="Method and address, command or task.")
    request_id = models.CharField(max_length=64, blank=True)
    site_number = models.BigIntegerField(null=True, db_index=True, help_text="Id of the site that it belongs to.")
    organisation_number = models.BigIntegerField(null=True, help_text="Id of the organisation that it belongs to.")
    action = models.CharField(max_length=8, choices=Action)
    kind = models.CharField(max_length=60, help_text="What it is: rack, layout, membership …")
    number = models.CharField(max_length=40, help_text="Id of the row.")
    name = models.CharField(max_length=200, help_text="What it was called.")
    before = models.JSONField(default=dict, help_text="Fields that differ, as they were; references by id.")
    after = models.JSONField(default=dict, help_text="Fields that differ, as they are.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["kind", "number"]),
            models.Index(fields=["kind", "id"]),  # a search that finds little must not read the log of years
            models.Index(fields=["username", "id"]),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.username} {self.action} {self.kind} {self.name}"


class AuditedQuerySet(models.QuerySet):
    """Rows whose changes in bulk are logged too."""

    def bulk_create(self, objs: Iterable[models.Model], *args, **kwargs):
        """Insert rows and log each."""
        with transaction.atomic(using=self.db, savepoint=False):
            made = super().bulk_create(objs, *args, **kwargs)
            if self.model.AUDIT_BULK:
                write(AuditEvent.Action.CREATED, [(row, {}, values_of(row)) for row in made], self.db)
        return made

    def bulk_update(self, objs: Iterable[models.Model], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Change rows, each to values of its own, and log those that differ."""
        rows, fields = tuple(objs), list(fields)
        plain = models.QuerySet(self.model, self.query.chain(), self._db, self._hints)
        audited = _among(fields, self.model)
        if not audited or not rows:
            return plain.bulk_update(rows, fields, batch_size)
        with transaction.atomic(using=self.db, savepoint=False):
            stored = plain.filter(pk__in=[row.pk for row in rows]).order_by().values("pk", *audited)
            before = {row.pop("pk"): row for row in stored}
            changed = plain.bulk_update(rows, fields, batch_size)
            after = [
                (row, before[row.pk], {name: getattr(row, name) for name in audited})
                for row in rows
                if row.pk in before
            ]
            write(AuditEvent.Action.CHANGED, after, self.db)
        return changed

    def update(self, **kwargs) -> int:
        """Change rows and log those that differ afterwards."""
        audited = _among(kwargs, self.model)
        if not audited:
            return super().update(**kwargs)
        with transaction.atomic(using=self.db, savepoint=False):
            before = {row.pop("pk"): row for row in self.order_by().values("pk", *audited)}
            changed = super().update(**kwargs)
            rows = self.model._base_manager.using(self.db).filter(pk__in=before).defer(*heavy_fields(self.model))
            write(
                AuditEvent.Action.CHANGED,
                [(row, before[row.pk], {name: getattr(row, name) for name in audited}) for row in rows],
                self.db,
            )
        return changed

    update.alters_data = True  # templates must not call it

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete rows; each is logged by a signal, or here where it is too wide to be read for one."""
        with transaction.atomic(using=self.db, savepoint=False):
            if not self.model.AUDIT_DELETED:
                _write_gone(self.order_by(), self.db)
            return super().delete()

    delete.alters_data = True
    delete.queryset_only = True


class Audited(models.Model):
    """A row whose changes are logged."""

    AUDIT_WITHOUT: ClassVar[tuple[str, ...]] = ()  # fields that are secret, or tick by themselves
    AUDIT_SECRET: ClassVar[tuple[str, ...]] = ()  # fields of which is told that they changed, never what they hold
    AUDIT_ONLY: ClassVar[tuple[str, ...]] = ()  # the only fields that are told, of wide rows that workers fill
    AUDIT_PEOPLE: ClassVar[tuple[str, ...]] = ()  # fields that are told where people change them, not workers
    AUDIT_BULK: ClassVar[bool] = True  # False: many at once come from files of ours only
    AUDIT_DELETED: ClassVar[bool] = True  # False: too wide to be read whole when it, or what holds it, is deleted

    objects = AuditedQuerySet.as_manager()

    class Meta:
        abstract = True

    def save_base(self, *args, **kwargs) -> None:
        """Save the row and log what differs, in one transaction."""
        _save(self, super().save_base, *args, **kwargs)

    def delete(self, *args, **kwargs) -> tuple[int, dict[str, int]]:
        """Delete the row and log what it was, in one transaction."""
        using = kwargs.get("using") or self._state.db or "default"
        with transaction.atomic(using=using, savepoint=False):
            if not self.AUDIT_DELETED:
                _write_gone(type(self)._base_manager.using(using).filter(pk=self.pk), using)
            return super().delete(*args, **kwargs)


def _save(row: models.Model, save: Callable[..., None], *args, **kwargs) -> None:
    using, only = kwargs.get("using") or "default", kwargs.get("update_fields")
    if kwargs.get("raw") or (only is not None and not _among(only, type(row))):
        save(*args, **kwargs)
        return
    with transaction.atomic(using=using, savepoint=False):
        before = None if row._state.adding else stored_values(row, using)
        save(*args, **kwargs)
        after = values_of(row)
        if before is not None and only is not None:
            after = {name: after[name] for name in _among(only, type(row)) if name in after}
        action = AuditEvent.Action.CREATED if before is None else AuditEvent.Action.CHANGED
        write(action, [(row, before or {}, after)], using)


def audited_fields(model: type[models.Model]) -> list[str]:
    """Return the columns of a model that are logged: none that is binary, secret or ticks by itself."""
    only = _said(model, "AUDIT_ONLY")
    without = {*_said(model, "AUDIT_WITHOUT"), *_said(model, "AUDIT_SECRET")}
    if acting.door() == "worker":
        without.update(_said(model, "AUDIT_PEOPLE"))
    return [
        field.attname
        for field in model._meta.concrete_fields
        if not (field.primary_key or isinstance(field, models.BinaryField) or getattr(field, "auto_now", False))
        and field.name not in without
        and (not only or field.name in only)
    ]


def _said(model: type[models.Model], name: str) -> tuple[str, ...]:
    return getattr(model, name, ())


def _compared_fields(model: type[models.Model]) -> list[str]:
    """Return the columns whose changes are logged: with their values, and of secret ones that they changed."""
    return [*audited_fields(model), *_said(model, "AUDIT_SECRET")]


def _among(names: Iterable[str], model: type[models.Model]) -> list[str]:
    """Return the compared columns that are named, by column or by field."""
    named = set(names)
    return [name for name in _compared_fields(model) if name in named or name.removesuffix("_id") in named]


def heavy_fields(model: type[models.Model]) -> list[str]:
    """Return the columns that are not read from the database to log a row."""
    read = set(_compared_fields(model))
    return [field.name for field in model._meta.concrete_fields if not field.primary_key and field.attname not in read]


def values_of(row: models.Model) -> dict[str, Any]:
    """Return the values of a row's compared columns."""
    unread = row.get_deferred_fields()
    return {name: getattr(row, name) for name in _compared_fields(type(row)) if name not in unread}


def stored_values(row: models.Model, using: str) -> dict[str, Any] | None:
    """Return the values of the compared columns as the database has them, or None where it has no such row."""
    return type(row)._base_manager.using(using).filter(pk=row.pk).values(*_compared_fields(type(row))).first()


def write(
    action: str, changes: Iterable[tuple[models.Model, Mapping[str, Any], Mapping[str, Any]]], using: str
) -> None:
    """Log changes of rows, each as (row, before, after); columns that do not differ are left out."""
    who, places, events = acting.now(), {}, []
    for row, before, after in changes:
        if action == AuditEvent.Action.CHANGED:
            names = [name for name in after if _plain(row, name, before.get(name)) != _plain(row, name, after[name])]
            if not names:
                continue
            before, after = {n: before.get(n) for n in names}, {n: after[n] for n in names}
        secret = _said(type(row), "AUDIT_SECRET")
        if action != AuditEvent.Action.CHANGED:
            before, after = ({n: v for n, v in values.items() if n not in secret} for values in (before, after))
        site, organisation = place_of(row, places)
        events.append(
            AuditEvent(
                user_number=who.user_id,
                username=who.username,
                token=who.token,
                door=who.door,
                detail=who.detail[:200],
                request_id=who.request_id,
                site_number=site,
                organisation_number=organisation,
                action=action,
                kind=str(row._meta.verbose_name)[:60],
                number=str(row.pk)[:40],
                name=str(row)[:200],
                before={n: _hidden(v, "set") if n in secret else _plain(row, n, v) for n, v in before.items()},
                after={n: _hidden(v, "set anew") if n in secret else _plain(row, n, v) for n, v in after.items()},
            )
        )
    if events:
        _insert(events, using)


def _insert(events: list[AuditEvent], using: str) -> None:
    """Store events by one statement, however many: a statement a batch would be dozens for a hall of racks."""
    connection, fields = connections[using], [f for f in AuditEvent._meta.concrete_fields if not f.primary_key]
    quote = connection.ops.quote_name
    columns, places = ", ".join(quote(f.column) for f in fields), ", ".join(["%s"] * len(fields))
    rows = [[f.get_db_prep_save(getattr(event, f.attname), connection) for f in fields] for event in events]
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {quote(AuditEvent._meta.db_table)} ({columns}) VALUES ({places})", rows)


def place_of(row: models.Model, known: dict[tuple[str, int], int | None]) -> tuple[int | None, int | None]:
    """Return the ids of the site and organisation of a row, by the first of its references that leads there.

    Parameters
    ----------
    row : Model
    known : dict
        Sites found before, by what led there; filled here.
    """
    label = row._meta.model_name
    if label == "organisation":
        return None, row.pk
    if label == "site":
        return row.pk, None
    organisation = getattr(row, "organisation_id", None)
    if (site := getattr(row, "site_id", None)) is not None or organisation is not None:
        return site, organisation
    for name in ("layout", "hall", "scenario", "source"):
        key = getattr(row, f"{name}_id", None)
        if key is not None:
            if (name, key) not in known:
                known[name, key] = place_of(getattr(row, name), known)[0]
            return known[name, key], None
    return None, None


def _plain(row: models.Model, name: str, value: Any) -> Any:
    """Return a value as JSON holds it and as the database would give it back."""
    if value is None or isinstance(value, bool | dict | list):
        return value
    if hasattr(value, "resolve_expression"):
        return str(value)
    if isinstance(value, bytes | memoryview):  # a secret
        return bytes(value)
    field = row._meta.get_field(name)
    value = (field.target_field if field.is_relation else field).to_python(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _hidden(value: Any, word: str) -> str:
    return word if value else "none"


def _links_of(field: models.ManyToManyField, using: str, **rows: Any) -> dict[Any, list]:
    """Return the sorted keys that rows point to by a field, by key of the row."""
    own, other = f"{field.m2m_field_name()}_id", f"{field.m2m_reverse_field_name()}_id"
    found: dict[Any, list] = {}
    for key, linked in field.remote_field.through._base_manager.using(using).filter(**rows).values_list(own, other):
        found.setdefault(key, []).append(linked if isinstance(linked, int) else str(linked))
    return {key: sorted(linked) for key, linked in found.items()}


def _linked(sender, instance, action: str, reverse: bool, model, pk_set, using: str, *, field, **_) -> None:
    """Log which rows a row points to, before and after, whichever of both was changed."""
    own, other = field.m2m_field_name(), field.m2m_reverse_field_name()
    if action.startswith("pre_"):
        keys = {instance.pk} if not reverse else pk_set
        if keys is None:  # of all that point to it
            keys = set(_links_of(field, using, **{other: instance.pk}))
        instance.audited_links = {key: [] for key in keys} | _links_of(field, using, **{f"{own}__in": keys})
        return
    before = instance.__dict__.pop("audited_links")
    after = _links_of(field, using, **{f"{own}__in": list(before)})
    rows = field.model._base_manager.using(using).filter(pk__in=before).defer(*heavy_fields(field.model))
    changes = [(row, {field.name: before[row.pk]}, {field.name: after.get(row.pk, [])}) for row in rows]
    write(AuditEvent.Action.CHANGED, changes, using)


def _deleted(sender, instance, using: str, **_) -> None:
    """Log a row that is deleted, what pointed to it, and what goes with it but is too wide for a signal of its own."""
    before = values_of(instance)
    for field in sender._meta.many_to_many:
        before[field.name] = _links_of(field, using, **{field.m2m_field_name(): instance.pk}).get(instance.pk, [])
    write(AuditEvent.Action.DELETED, [(instance, before, {})], using)
    for relation in sender._meta.related_objects:
        holder = relation.related_model
        if relation.many_to_many and _is_watched(holder):
            field = relation.field
            keys = list(_links_of(field, using, **{field.m2m_reverse_field_name(): instance.pk}))
            had = _links_of(field, using, **{f"{field.m2m_field_name()}__in": keys})
            rows = holder._base_manager.using(using).filter(pk__in=had).defer(*heavy_fields(holder))
            gone = instance.pk if isinstance(instance.pk, int) else str(instance.pk)
            left = {key: [link for link in links if link != gone] for key, links in had.items()}
            changes = [(row, {field.name: had[row.pk]}, {field.name: left[row.pk]}) for row in rows]
            write(AuditEvent.Action.CHANGED, changes, using)
        elif relation.on_delete is models.CASCADE and not getattr(holder, "AUDIT_DELETED", True):
            _write_gone(holder._base_manager.using(using).filter(**{relation.field.name: instance.pk}), using)


def _write_gone(rows: models.QuerySet, using: str) -> None:
    """Log wide rows that are deleted, by their audited columns; once, though layout and scenario go together."""
    light = list(rows.defer(*heavy_fields(rows.model)))
    known = AuditEvent.objects.using(using).filter(action=AuditEvent.Action.DELETED)
    kind, numbers = str(rows.model._meta.verbose_name)[:60], [str(row.pk) for row in light]
    written = set(known.filter(kind=kind, number__in=numbers).values_list("number", flat=True))
    changes = [(row, values_of(row), {}) for row in light if str(row.pk) not in written]
    write(AuditEvent.Action.DELETED, changes, using)


def _prepared(sender: type[models.Model], **_) -> None:
    """Have deletions of an audited model logged."""
    if issubclass(sender, Audited) and sender.AUDIT_DELETED:
        signals.pre_delete.connect(_deleted, sender=sender)


signals.class_prepared.connect(_prepared)


def watch(model: Any, *, without: tuple[str, ...] = (), secret: tuple[str, ...] = ()) -> None:
    """Have changes of another package's model, which does not inherit `Audited`, logged all the same.

    Parameters
    ----------
    model : type of Model
        Of another package.
    without : tuple of str
        Columns that are not logged.
    secret : tuple of str
        Columns of which only that they changed is logged.
    """
    save_base = model.save_base
    model.AUDIT_WITHOUT, model.AUDIT_SECRET, model.AUDIT_BULK, model.AUDIT_DELETED = without, secret, True, True
    model.save_base = lambda self, *args, **kwargs: _save(self, partial(save_base, self), *args, **kwargs)
    for manager in model._meta.managers:
        manager._queryset_class = AuditedQuerySet
    signals.pre_delete.connect(_deleted, sender=model)


def watch_links() -> None:
    """Have changes of many-to-many links logged: groups of users, permissions, sites of tokens."""
    for model in filter(_is_watched, apps.get_models()):
        for field in model._meta.many_to_many:
            handler = partial(_linked, field=field)
            signals.m2m_changed.connect(handler, sender=field.remote_field.through, weak=False)


def _is_watched(model: type[models.Model]) -> bool:
    return hasattr(model, "AUDIT_WITHOUT")
