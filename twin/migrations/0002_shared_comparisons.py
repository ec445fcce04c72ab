"""Comparisons get a shared address, an order of columns and a way to close the address."""

from django.db import migrations, models

import twin.models.comparison


def give_tokens(apps, schema_editor):
    comparison = apps.get_model("twin", "Comparison")
    for row in comparison.objects.filter(token=None).only("pk"):
        comparison.objects.filter(pk=row.pk).update(token=twin.models.comparison.new_token())


class Migration(migrations.Migration):
    dependencies = [("twin", "0001_initial")]

    operations = [
        migrations.AddField(
            "comparison",
            "run_order",
            models.JSONField(blank=True, default=list, help_text="Ids of the runs as their columns stand."),
        ),
        migrations.AddField(
            "comparison",
            "revoked_at",
            models.DateTimeField(blank=True, null=True, help_text="When its address was closed; empty: open."),
        ),
        migrations.AddField("comparison", "token", models.CharField(max_length=24, null=True, editable=False)),
        migrations.RunPython(give_tokens, migrations.RunPython.noop),
        migrations.AlterField(
            "comparison",
            "token",
            models.CharField(
                default=twin.models.comparison.new_token, editable=False, max_length=24, unique=True,
                help_text="Its part of the shared address.",
            ),
        ),
    ]
