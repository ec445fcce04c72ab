"""Launch settings as the API describes them."""

from rest_framework import serializers


class LaunchPartSerializer(serializers.Serializer):
    """One kind of instance of a unit."""

    role = serializers.CharField(help_text="aggregated, prefill or decode.")
    instances = serializers.IntegerField()
    accelerators = serializers.IntegerField(help_text="Of one instance.")
    settings = serializers.DictField(help_text="Options as the engine's parser takes them; null: a flag.")
    command = serializers.CharField()
    file = serializers.CharField(required=False, help_text="Name of the file that the command reads.")
    text = serializers.CharField(required=False, help_text="What it holds.")


class LaunchSerializer(serializers.Serializer):
    """Launch settings of one engine for a configuration."""

    engine = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()
    status = serializers.CharField(help_text="Whether the settings were checked, against what and when.")
    checked = serializers.BooleanField()
    parts = LaunchPartSerializer(many=True)
    graph = serializers.CharField(help_text="A Dynamo graph with this engine's workers, as YAML.")
    graph_status = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField())


class RunLaunchSerializer(serializers.Serializer):
    """Launch settings for what serves one use case of a run."""

    workload = serializers.CharField()
    name = serializers.CharField()
    model_name = serializers.CharField()
    configuration = serializers.CharField()
    launches = LaunchSerializer(many=True)
    reason = serializers.CharField(help_text="Why there are none.")
