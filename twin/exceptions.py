"""What can go wrong with a run, each with a sentence for the person who asked."""


class TwinError(Exception):
    """A refusal whose text is shown as it stands."""


class CannotSimulate(TwinError):
    """The description or the scenario cannot be solved; the text names object, field, value and what is allowed."""


class InvalidTransition(TwinError):
    """A run cannot go from the state it is in to the one asked for."""


class KeyReused(TwinError):
    """An idempotency key came back with another request."""


class RunCancelled(TwinError):
    """The run was cancelled while it was being solved."""


class RunLost(TwinError):
    """The run was given to another worker while this one was silent; whatever this one has is dropped."""


class RunHeld(TwinError):
    """Another worker is solving the run; look again in `seconds`, when its lease is over unless it renews it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"another worker holds the run for {seconds:.0f} s")
        self.seconds = seconds
