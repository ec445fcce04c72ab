"""`manage.py load_model FILE`: a model of one's own from its config.json."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from twin.interchange.own_products import OwnProductError, config_read, model_add, name_in


class Command(BaseCommand):
    help = (
        "Add a model to the catalogue from the config.json beside its weights: its shape is read, parts that cannot be"
        " represented are refused by name. Pages, commands and the API then serve it by its id, with the wide bands of"
        " a model that nobody measured. A model that was loaded before is brought up to date."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="config.json, as published with the weights")
        parser.add_argument("--name", help="what to call it; default: the name in the file, or its folder's")
        parser.add_argument("--source", default="", help="where it comes from, shown beside its figures")

    def handle(self, *, file: Path, name: str | None, source: str, **options) -> None:
        try:
            config = config_read(file.read_bytes())
            fallback = file.resolve().parent.name if file.stem == "config" else file.stem.removesuffix("_config")
            product = model_add(
                config=config,
                name=name or name_in(config, fallback),
                source=source or f"config.json loaded from {file.name}",
            )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except OwnProductError as refusal:
            raise CommandError(" ".join(str(refusal).split())) from refusal
        facts = product.facts
        self.stdout.write(
            f"{product.slug}: {facts['total_params'] / 1e9:.4g} billion parameters, {facts['active_params'] / 1e9:.4g}"
            f" billion per token, {facts['layers']} layers, {facts['native_precision']} weights of"
            f" {facts['weight_bytes_native'] / 1e9:.4g} GB, {facts['kv_bytes_per_token_bf16_all_layers'] / 1e3:.4g} kB"
            " of BF16 cache per token"
        )
