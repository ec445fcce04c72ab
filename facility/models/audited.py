"""What writes itself down when it changes: rows with who changed them, from what to what, in the same transaction.

A model that inherits `Audited` is written down whatever the door and however many rows at once. Rows are found by their
own words (`told_fields`): never what is secret, nor what merely counts or ticks.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.db import connections, models, transaction
from django.db.models import signals
from django.utils import timezone

from facility import acting


class AuditEvent(models.Model):
    """One change of one row. It points to nothing, so that it outlives it; the database does not let go of it."""

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
        indexes = [models.Index(fields=["kind", "number"])]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.username} {self.action} {self.kind} {self.name}"


USER_WITHOUT = ("password", "last_login")  # of Django's users, which inherit nothing of ours


class AuditedQuerySet(models.QuerySet):
    """Rows whose changes at once are written down too."""

    def bulk_create(self, objs: Iterable[models.Model], *args, **kwargs):
        """Insert rows and write each down."""
        with transaction.atomic(using=self.db, savepoint=False):
            made = super().bulk_create(objs, *args, **kwargs)
            if self.model.AUDIT_BULK:
                write(AuditEvent.Action.CREATED, [(row, {}, values_of(row)) for row in made], self.db)
        return made

    def bulk_update(self, objs: Iterable[models.Model], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Change rows, each to values of its own, and write down those that differ."""
        rows, fields = tuple(objs), list(fields)
        plain = models.QuerySet(self.model, self.query.chain(), self._db, self._hints)
        told = [name for name in told_fields(self.model) if name in fields or name.removesuffix("_id") in fields]
        if not told or not rows:
            return plain.bulk_update(rows, fields, batch_size)
        with transaction.atomic(using=self.db, savepoint=False):
            stored = plain.filter(pk__in=[row.pk for row in rows]).order_by().values("pk", *told)
            before = {row.pop("pk"): row for row in stored}
            changed = plain.bulk_update(rows, fields, batch_size)
            after = [
                (row, before[row.pk], {name: getattr(row, name) for name in told}) for row in rows if row.pk in before
            ]
            write(AuditEvent.Action.CHANGED, after, self.db)
        return changed

    def update(self, **kwargs) -> int:
        """Change rows and write down those that differ after it."""
        told = [name for name in told_fields(self.model) if name in kwargs or name.removesuffix("_id") in kwargs]
        if not told:
            return super().update(**kwargs)
        with transaction.atomic(using=self.db, savepoint=False):
            before = {row.pop("pk"): row for row in self.order_by().values("pk", *told)}
            changed = super().update(**kwargs)
            rows = self.model._base_manager.using(self.db).filter(pk__in=before).defer(*heavy_fields(self.model))
            write(
                AuditEvent.Action.CHANGED,
                [(row, before[row.pk], {name: getattr(row, name) for name in told}) for row in rows],
                self.db,
            )
        return changed

    update.alters_data = True  # templates must not call it


class Audited(models.Model):
    """A row whose changes are written down."""

    AUDIT_WITHOUT: ClassVar[tuple[str, ...]] = ()  # fields that are secret, or tick by themselves
    AUDIT_ONLY: ClassVar[tuple[str, ...]] = ()  # the only fields that are told, of wide rows that workers fill
    AUDIT_PEOPLE: ClassVar[tuple[str, ...]] = ()  # fields that are told where people change them, not workers
    AUDIT_BULK: ClassVar[bool] = True  # False: many at once come from files of ours only
    AUDIT_DELETED: ClassVar[bool] = True  # False: rows too wide to be read when what holds them is deleted

    objects = AuditedQuerySet.as_manager()

    class Meta:
        abstract = True

    def save_base(self, *args, **kwargs) -> None:
        """Save the row and write down what differs, in one transaction."""
        if kwargs.get("raw"):
            super().save_base(*args, **kwargs)
            return
        using, only = kwargs.get("using") or "default", kwargs.get("update_fields")
        with transaction.atomic(using=using, savepoint=False):
            before = None if self._state.adding else stored_values(self, using)
            super().save_base(*args, **kwargs)
            after = values_of(self)
            if before is not None and only is not None:
                named = set(only)
                after = {n: v for n, v in after.items() if n in named or n.removesuffix("_id") in named}
            action = AuditEvent.Action.CREATED if before is None else AuditEvent.Action.CHANGED
            write(action, [(self, before or {}, after)], using)


def told_fields(model: type[models.Model]) -> list[str]:
    """Return the columns of a model that are written down: none that is binary, secret or ticks by itself."""
    without, only = getattr(model, "AUDIT_WITHOUT", USER_WITHOUT), getattr(model, "AUDIT_ONLY", ())
    if acting.door() == "worker":
        without = (*without, *getattr(model, "AUDIT_PEOPLE", ()))
    return [
        field.attname
        for field in model._meta.concrete_fields
        if not (field.primary_key or isinstance(field, models.BinaryField) or getattr(field, "auto_now", False))
        and field.name not in without
        and (not only or field.name in only)
    ]


def heavy_fields(model: type[models.Model]) -> list[str]:
    """Return the columns that are not told: they stay in the database where a row is read to be written down."""
    told = set(told_fields(model))
    return [field.name for field in model._meta.concrete_fields if not field.primary_key and field.attname not in told]


def values_of(row: models.Model) -> dict[str, Any]:
    """Return the told values of a row."""
    unread = row.get_deferred_fields()
    return {name: getattr(row, name) for name in told_fields(type(row)) if name not in unread}


def stored_values(row: models.Model, using: str) -> dict[str, Any] | None:
    """Return the told values as the database has them, or None where it has no such row."""
    return type(row)._base_manager.using(using).filter(pk=row.pk).values(*told_fields(type(row))).first()


def write(
    action: str, changes: Iterable[tuple[models.Model, Mapping[str, Any], Mapping[str, Any]]], using: str
) -> None:
    """Write down changes of rows, each as (row, before, after); what does not differ is not told."""
    who, places, events = acting.now(), {}, []
    for row, before, after in changes:
        if action == AuditEvent.Action.CHANGED:
            names = [name for name in after if _plain(row, name, before.get(name)) != _plain(row, name, after[name])]
            if not names:
                continue
            before, after = {n: before.get(n) for n in names}, {n: after[n] for n in names}
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
                before={name: _plain(row, name, value) for name, value in before.items()},
                after={name: _plain(row, name, value) for name, value in after.items()},
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
    if name == "password":  # "set", "set anew"
        return value
    field = row._meta.get_field(name)
    value = (field.target_field if field.is_relation else field).to_python(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _deleted(sender, instance, using: str, **_) -> None:
    write(AuditEvent.Action.DELETED, [(instance, values_of(instance), {})], using)


def _user_read(sender, instance, raw: bool, using: str, **_) -> None:
    if not raw:
        row = None if instance._state.adding else sender._base_manager.using(using).filter(pk=instance.pk).first()
        instance.audited_before = None if row is None else values_of(row) | {"password": row.password}


def _user_saved(sender, instance, raw: bool, using: str, update_fields, **_) -> None:
    if raw or set(update_fields or ()) == {"last_login"}:
        return
    before = instance.audited_before
    if before is None:
        write(AuditEvent.Action.CREATED, [(instance, {}, values_of(instance))], using)
        return
    after, old = values_of(instance), before.pop("password")
    if old != instance.password:  # that it changed, never what it is
        before["password"], after["password"] = "set", "set anew"
    write(AuditEvent.Action.CHANGED, [(instance, before, after)], using)


def _sites_of_token(sender, instance, action: str, pk_set, using: str, **_) -> None:
    if action in ("post_add", "post_remove"):
        sites = sorted(pk_set)
        before, after = ({}, {"sites": sites}) if action == "post_add" else ({"sites": sites}, {})
        write(AuditEvent.Action.CHANGED, [(instance, before, after | {"sites": after.get("sites", [])})], using)


def _prepared(sender: type[models.Model], **_) -> None:
    """Have deletions of an audited model written down."""
    if issubclass(sender, Audited) and sender.AUDIT_DELETED:
        signals.pre_delete.connect(_deleted, sender=sender)


signals.class_prepared.connect(_prepared)
signals.pre_save.connect(_user_read, sender=settings.AUTH_USER_MODEL)
signals.post_save.connect(_user_saved, sender=settings.AUTH_USER_MODEL)
signals.pre_delete.connect(_deleted, sender=settings.AUTH_USER_MODEL)
signals.m2m_changed.connect(_sites_of_token, sender="facility.ApiToken_sites")
