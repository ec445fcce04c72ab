"""What each edit changed, so that a conflict can name what somebody else did and a deleted object can be restored."""

from django.conf import settings
from django.db import models

from facility.models.site import Layout


class EditRecord(models.Model):
    """The change that made one version of a layout."""

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="edit_records")
    version = models.PositiveIntegerField(help_text="Version of the layout that the edit made.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    made_at = models.DateTimeField(auto_now_add=True)
    changes = models.JSONField(
        help_text="List of {kind, id, name, action: created, changed or deleted, fields: {name: [old, new]}}."
    )
    undo = models.TextField(blank=True, editable=False, help_text="What takes the remedy that made it back.")

    class Meta:
        ordering = ["layout", "version"]
        constraints = [models.UniqueConstraint(fields=["layout", "version"], name="edit_record_version_unique")]

    def __str__(self) -> str:
        return f"{self.layout} version {self.version}"
