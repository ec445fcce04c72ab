"""Roots between two ends by false position, in the Illinois variant, for compiled solvers that hold the bracket.

    bracket = (low, f_low, high, f_high, NEITHER)
    for _ in range(most):
        x = between(bracket)
        f = ...  # of x
        if abs(f) < enough:
            break
        bracket = narrowed(bracket, x, f)

The caller writes the loop, because compiled code takes functions as arguments only at the price of compiling the search
once more for each.
"""

from typing import TypeAlias

from power_cooling.compiled import compiled

# Lower end and its value, upper end and its value, and which end was moved last: five floats, one type.
Bracket: TypeAlias = tuple[float, float, float, float, float]
NEITHER, LOWER, UPPER = 0.0, -1.0, 1.0


@compiled
def between(bracket: Bracket) -> float:
    """Return where the line through both ends is 0; the middle where that is outside or an end's value infinite.

    Parameters
    ----------
    bracket : tuple
        Ends and their values, of opposite signs.

    Returns
    -------
    float
        Strictly between the ends, as far as floats go.

    References
    ----------
    .. [1] M. Dowell, P. Jarratt, "A modified regula falsi method for computing the root of an equation", BIT 11, 1971.
    """
    low, f_low, high, f_high, _ = bracket
    x = (low * f_high - high * f_low) / (f_high - f_low)
    if not low < x < high:  # also where it is no number
        x = 0.5 * (low + high)
    return x


@compiled
def narrowed(bracket: Bracket, x: float, f: float) -> Bracket:
    """Return the bracket with the end whose value has the sign of `f` moved to `x`.

    The value of an end that stays a second time counts half, so that it moves in its turn.

    Parameters
    ----------
    bracket : tuple
    x, f : float
        A place between the ends, and its value.
    """
    low, f_low, high, f_high, moved = bracket
    if (f > 0.0) == (f_high > 0.0):
        return low, 0.5 * f_low if moved == UPPER else f_low, x, f, UPPER
    return x, f, high, 0.5 * f_high if moved == LOWER else f_high, LOWER
