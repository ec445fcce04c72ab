"""Colours of values on plans, maps and the report."""

import numpy as np

#: Viridis (matplotlib, CC0) at nine even steps: perceptually even and readable without red-green vision.
VIRIDIS = (
    (68, 1, 84),
    (71, 45, 123),
    (59, 82, 139),
    (44, 114, 142),
    (33, 145, 140),
    (40, 174, 128),
    (94, 201, 98),
    (173, 220, 48),
    (253, 231, 37),
)


def ramp(n_colours: int) -> tuple[str, ...]:
    """Return sequential colours as CSS writes them, low to high.

    Parameters
    ----------
    n_colours : int
        Evenly spaced along Viridis, both ends included.
    """
    at = np.linspace(0, len(VIRIDIS) - 1, n_colours)
    channels = np.array([np.interp(at, np.arange(len(VIRIDIS)), column) for column in np.array(VIRIDIS).T]).round()
    return tuple("#{:02x}{:02x}{:02x}".format(*(int(c) for c in colour)) for colour in channels.T)
