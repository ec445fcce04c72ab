"""Parts of compiled functions: right in their callers, and compiled nowhere else."""

import numpy as np
import pytest
from numba import njit

from power_cooling.compiled import OPTIONS, compiled_part


@compiled_part
def _squared(x: float) -> float:
    return x * x


@compiled_part
def _sum_of_squares(values: np.ndarray) -> float:
    total = 0.0
    for x in values:
        total += _squared(x)
    return total


@njit(**OPTIONS)
def _length(values: np.ndarray) -> float:
    return np.sqrt(_sum_of_squares(values)) + _squared(0.0)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    _length(np.ones(2))


def test_callers_get_what_their_parts_compute():
    assert _length(np.array([3.0, 4.0])) == 5.0


def test_parts_have_no_machine_code_of_their_own():
    for part in (_squared, _sum_of_squares):
        (specialisation,) = part.overloads.values()
        assert specialisation.library.get_pointer_to_function(specialisation.fndesc.llvm_func_name) == 0
    (whole,) = _length.overloads.values()
    assert whole.library.get_pointer_to_function(whole.fndesc.llvm_func_name) != 0


def test_each_part_is_compiled_once_for_all_its_callers():
    assert len(_squared.overloads) == 1
