"""Secrets at rest: sealed with a key that is not in the database, opened only where a call is made.

Keys come from TWIN_CREDENTIAL_KEYS, the newest first, or from a file in TWIN_HOME that only its owner reads. The newest
seals; all of them open. `rotate` seals everything anew.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction


class CannotOpen(Exception):
    """A secret was sealed with a key that is not at hand."""


class SealedField(models.BinaryField):
    """A secret as `sealed` made it; whatever reads the row, a list, an export or the console, gets no more than that.

    Every field of this kind is found and sealed anew by `rotate`.
    """


def sealed(secret: str) -> bytes:
    """Return a secret as it may be stored."""
    return _keys_of(_texts()).encrypt(secret.encode())


def opened(stored: bytes) -> str:
    """Return the secret that `sealed` was given.

    Raises
    ------
    CannotOpen
        If none of the keys at hand sealed it.
    """
    try:
        return _keys_of(_texts()).decrypt(bytes(stored)).decode()
    except InvalidToken as error:
        raise CannotOpen(
            "The credential was sealed with a key that is not here: enter it again, or bring back"
            f" {'TWIN_CREDENTIAL_KEYS' if settings.TWIN_CREDENTIAL_KEYS else key_file()}."
        ) from error


def rotate() -> int:
    """Seal every secret with a new key, and return how many there are.

    The key before stays in the file until the next rotation: somebody may be sealing with it at this moment. Where the
    keys come from TWIN_CREDENTIAL_KEYS, the operator puts the new one first before, and takes the old one out after.

    Raises
    ------
    CannotOpen
        If a secret cannot be opened; then none is changed, and every key stays.
    """
    with _file_held():
        before = _texts()
        if not settings.TWIN_CREDENTIAL_KEYS:
            before = [Fernet.generate_key().decode(), *before]
            _keep(before)  # all of them: should this process die now, nothing is lost
        keys, n = _keys_of(before), 0
        with transaction.atomic():
            for model, name in _sealed_fields():
                for row in model._default_manager.select_for_update().exclude(**{name: b""}).only("pk", name):
                    try:
                        fresh = keys.rotate(bytes(getattr(row, name)))
                    except InvalidToken as error:
                        raise CannotOpen(
                            f"{name} of {model._meta.verbose_name} {row.pk} was sealed with a key that is not here:"
                            " enter it again, then rotate."
                        ) from error
                    model._default_manager.filter(pk=row.pk).update(**{name: fresh})
                    n += 1
        if not settings.TWIN_CREDENTIAL_KEYS:
            _keep(before[:2])
    return n


def key_file() -> Path:
    """Return where keys are kept that no setting names."""
    return settings.TWIN_HOME / "credential_keys"


def _texts() -> list[str]:
    """Return the keys as they are written, the newest first; the first use makes one."""
    if settings.TWIN_CREDENTIAL_KEYS:
        return list(settings.TWIN_CREDENTIAL_KEYS)
    path = key_file()
    if not path.exists():
        fresh = path.with_suffix(f".{os.getpid()}")
        _write(fresh, [Fernet.generate_key().decode()])
        try:
            os.link(fresh, path)  # the first of two processes that start together wins
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text(encoding="ascii").split()


def _keys_of(texts: list[str]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(text) for text in texts])
    except ValueError as error:
        where = "TWIN_CREDENTIAL_KEYS" if settings.TWIN_CREDENTIAL_KEYS else str(key_file())
        raise ImproperlyConfigured(
            f"{where} must hold keys of 32 bytes in URL-safe base64, the newest first."
        ) from error


def _keep(texts: list[str]) -> None:
    fresh = key_file().with_suffix(".new")
    _write(fresh, texts)
    fresh.replace(key_file())


def _write(path: Path, texts: list[str]) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write("\n".join(texts) + "\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _file_held() -> Iterator[None]:
    """Let one rotation run at a time on this machine."""
    with (settings.TWIN_HOME / "credential_keys.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sealed_fields() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, SealedField):
                yield model, field.name
