"""Text that people type: characters that are refused wherever it is entered."""

import unicodedata

from django.core.exceptions import ValidationError
from django.db import models

LINE_BREAKS = "\n\r\t"
# They turn the order in which the rest of a line is shown, or are not shown at all: a name could pass for another one.
HIDDEN = {
    "\u200b",
    "\u200e",
    "\u200f",
    "\u061c",
    "\u2060",
    "\ufeff",
    *"\u115f\u1160\u3164\uffa0",  # Hangul fillers, which count as letters
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
}


def check_text(row: models.Model) -> None:
    """Raise if a text of the row has control characters or characters that change how the line is read."""
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if not isinstance(field, models.CharField | models.TextField) or not isinstance(value, str):
            continue
        allowed = LINE_BREAKS if isinstance(field, models.TextField) else ""
        for at, character in enumerate(value):
            if character not in allowed and (character in HIDDEN or unicodedata.category(character) in ("Cc", "Cs")):
                raise ValidationError(
                    {field.name: f"Character {at + 1} is U+{ord(character):04X}, which cannot be seen; leave it out."}
                )
