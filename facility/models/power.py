"""The power feeds: a tree from the utility to the rows."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models.audited import Audited
from facility.models.bounds import MOST_POWER_W, MOST_UNITS
from facility.models.product import product_field
from facility.models.site import Layout, check_stays, listed


class PowerFeed(Audited):
    """One node of the feed tree. Racks plug into its leaves; losses add up on the way to the utility."""

    class Kind(models.TextChoices):
        UTILITY = "utility", "utility"
        GENERATOR = "generator", "generator"
        TRANSFORMER = "transformer", "transformer"
        UPS = "ups", "UPS"
        BESS = "bess", "battery storage"
        SWITCHBOARD = "switchboard", "switchboard"
        BUSWAY = "busway", "busway"
        PDU = "pdu", "PDU or RPP"

    class Operation(models.TextChoices):
        STANDBY = "standby", "standby: starts when the utility is lost"
        PRIME = "prime", "prime: generates all year"
        SHAVING = "shaving", "peak shaving: lowers the highest power from the grid"

    class Phase(models.TextChoices):
        THREE = "", "all three: what hangs on it draws from them alike"
        L1 = "L1", "L1"
        L2 = "L2", "L2"
        L3 = "L3", "L3"

    class Redundancy(models.TextChoices):
        N = "N", "N: no spare"
        N_PLUS_1 = "N+1", "N+1: one spare in the group"
        TWO_N = "2N", "2N: two full sides"
        FOUR_N_3 = "4N3", "4N3: four share what three can carry"
        FIVE_MAKE_4 = "5-to-make-4", "five share what four can carry"
        CATCHER = "catcher", "catcher: one reserve for all"

    # Which catalogue kind a node's product may have, and onto what racks may plug.
    PRODUCT_KINDS = {
        Kind.UTILITY: (),
        Kind.UPS: ("ups",),
        Kind.TRANSFORMER: ("transformers",),
        Kind.BUSWAY: ("busways",),
        Kind.PDU: ("distribution",),
        Kind.SWITCHBOARD: ("distribution", "busways"),
        Kind.GENERATOR: ("generators",),
        Kind.BESS: ("bess",),
    }
    ROOTS = (Kind.UTILITY, Kind.GENERATOR)
    SOURCES = (Kind.UTILITY, Kind.GENERATOR, Kind.BESS)

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="power_feeds")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=12, choices=Kind)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    product = product_field(
        *dict.fromkeys(kind for kinds in PRODUCT_KINDS.values() for kind in kinds),
        null=True,
        blank=True,
        help_text="Gives rating and losses; empty for the utility or where only a rating is known.",
    )
    rating_w = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_POWER_W)],
        help_text="Continuous rating [W]; empty takes the product's.",
    )
    n_units = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_UNITS)],
        help_text="Equal units in parallel that make up this node.",
    )
    length_m = models.FloatField(
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(1e5)],
        help_text="Length of a busway or cable [m].",
    )
    redundancy_group = models.CharField(max_length=80, blank=True, help_text="Feeds that back each other up.")
    redundancy = models.CharField(max_length=12, choices=Redundancy, default=Redundancy.N)
    eco_mode = models.BooleanField(
        default=False, help_text="UPS runs in eco mode: lower losses, and a transfer on a fault."
    )
    operation = models.CharField(
        max_length=8,
        choices=Operation,
        default=Operation.STANDBY,
        help_text="Of a generator or battery. Prime: beside the utility of its group, or an island for what it feeds.",
    )
    reserve_frac = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Of a battery that shaves peaks: share of its energy kept for the loss of the utility.",
    )
    phase = models.CharField(
        max_length=2,
        choices=Phase,
        default=Phase.THREE,
        blank=True,
        help_text="Of a single-phase PDU or tap: the phase that all below it draws from.",
    )
    hall = models.ForeignKey(
        "facility.Hall",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="power_feeds",
        help_text="Hall whose air takes up its losses; empty: outdoors or in a room of its own.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="power_feed_name_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def unit_rating_w(self) -> float | None:
        """Continuous rating of one unit: the node's own, else the product's; None for an unrated utility."""
        if self.rating_w is not None:
            return self.rating_w
        return self.product.rating_w if self.product_id else None

    def clean(self) -> None:
        """Parent, hall and product fit, nothing feeds itself, and a rating is known."""
        if self.layout_id is None or self.kind not in self.Kind.values:
            return  # the fields' own errors say so
        check_stays(self, self.layout_id, "layout_id")
        if self.pk and self.kind in self.SOURCES:
            racks = [rack.name for rack in (*self.racks_a.all(), *self.racks_b.all())]
            if racks:
                raise ValidationError(
                    {"kind": f"Racks plug into {self.name} ({listed(racks)}); it cannot be a source."}
                )
        for name, other in (("parent", self.parent), ("hall", self.hall)):
            if other is not None and other.layout_id != self.layout_id:
                raise ValidationError({name: f"{other.name} belongs to another layout than feed {self.name}."})
        kinds = self.PRODUCT_KINDS[self.kind]
        if self.product_id and self.product.kind not in kinds:
            allowed = " or ".join(kinds) or "nothing: describe the utility by its rating"
            raise ValidationError(
                {"product": f"{self.product.name} is of kind {self.product.kind}; a {self.kind} takes {allowed}."}
            )
        if self.kind in self.ROOTS:
            if self.parent_id:
                raise ValidationError({"parent": f"A {self.kind} is a source: it has no parent ({self.parent.name})."})
        elif not self.parent_id:
            raise ValidationError({"parent": f"Feed {self.name} is a {self.kind}: name the feed that supplies it."})
        if self.kind != self.Kind.UTILITY and self.unit_rating_w is None:
            raise ValidationError({"rating_w": f"Feed {self.name} has neither a rating nor a product with one."})
        if self.operation == self.Operation.PRIME:
            if self.kind != self.Kind.GENERATOR:
                raise ValidationError({"operation": f"Feed {self.name} is a {self.kind}; only a generator is prime."})
            if not self.product_id or not self.product.facts.get("fuel"):
                reason = f"{self.product.name} states none" if self.product_id else "it has no product"
                raise ValidationError(
                    {"product": f"Generator {self.name} runs all year: name a product with its fuel; {reason}."}
                )
        if self.operation == self.Operation.SHAVING:
            if self.kind != self.Kind.BESS:
                raise ValidationError({"operation": f"Feed {self.name} is a {self.kind}; only battery storage shaves."})
            if not self.product_id:
                raise ValidationError({"product": f"Battery {self.name} shaves peaks: name a product with its energy."})
        if self.phase:
            self._check_phase()
        if self.pk:  # nothing stands below a new feed yet
            self._check_cycle()

    def _check_phase(self) -> None:
        """Raise unless it is a tap of alternating current below three phases, or of the same one."""
        if self.kind not in (self.Kind.PDU, self.Kind.BUSWAY):
            raise ValidationError({"phase": f"Feed {self.name} is a {self.kind}; only a PDU or busway has one phase."})
        if self.product_id and self.product.facts.get("current_type") == "dc":
            raise ValidationError({"phase": f"{self.product.name} gives direct current; it has no phase."})
        above = self.parent.phase if self.parent_id else ""
        if above and above != self.phase:
            raise ValidationError(
                {"phase": f"{self.name} is on {self.phase}; {self.parent.name} above it is on {above}."}
            )

    def _check_cycle(self) -> None:
        """Walk up to the source in one query; raise if the walk comes back here."""
        parents = dict(PowerFeed.objects.filter(layout_id=self.layout_id).values_list("pk", "parent_id"))
        names = dict(PowerFeed.objects.filter(layout_id=self.layout_id).values_list("pk", "name"))
        path, at = [self.name], self.parent_id
        while at is not None:
            path.append(names.get(at, str(at)))
            if at == self.pk or len(path) > len(parents) + 1:
                raise ValidationError({"parent": f"The feeds would form a circle: {' ← '.join(path)}."})
            at = parents.get(at)
