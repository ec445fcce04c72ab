"""What a body of the API may hold: the fields of its serializer, and no other.

A field with a slip in its name would be left out in silence, and what was sent would not be what was stored.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ValidationError

OF_FORMS = {"csrfmiddlewaretoken"}  # pages send it beside the fields
MOST_NAMED = 60  # characters of a foreign name that a sentence repeats


class KnownFields:
    """Part of a serializer that reads a body: a field that it does not have is refused by name.

    Fields that are read-only may be sent back as they were received; they change nothing.
    """

    fields: Mapping[str, Any]

    def to_internal_value(self, data: object) -> Any:
        """Return the values of the body, or raise what is wrong with it by field."""
        unknown = sorted(set(map(str, data)) - set(self.fields) - OF_FORMS) if isinstance(data, Mapping) else []
        if unknown:
            there = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            named = [name[:MOST_NAMED] for name in unknown]
            raise ValidationError({name: [f"{name} is no field here; there are {there}."] for name in named})
        return super().to_internal_value(data)  # type: ignore[misc]
