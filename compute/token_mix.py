"""The mix of tokens in a blended price: as price lists of models compare themselves, three read to one written."""

BLENDED_INPUT, BLENDED_OUTPUT = 3.0, 1.0


def blended_usd(read: float, written: float) -> float:
    """Return the price of a million tokens in that mix [USD].

    Parameters
    ----------
    read, written : float
        Price of a million input and of a million output tokens [USD].
    """
    return (BLENDED_INPUT * read + BLENDED_OUTPUT * written) / (BLENDED_INPUT + BLENDED_OUTPUT)


def written_usd(blended: float, read: float) -> float:
    """Return the price of a million output tokens that a blended price and that of input tokens imply [USD]."""
    return ((BLENDED_INPUT + BLENDED_OUTPUT) * blended - BLENDED_INPUT * read) / BLENDED_OUTPUT
