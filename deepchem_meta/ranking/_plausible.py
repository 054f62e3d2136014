"""Refuses numbers that cannot be what a column's name and unit say."""

from __future__ import annotations

import numpy as np

from deepchem_meta.ranking._result_cells import Column
from deepchem_meta.ranking._units import UNITS

__all__ = ["check_concentrations", "check_logarithms", "check_numbers", "check_scale"]

_LEAST, _MOST = -1, 16  # of -log10(mol/L); a few attomolar is the strongest that is measured
_WIDE = 30  # times the least number: what concentrations in nM span, and percentages do not
_LARGEST = 1e15  # whose square the process can still add up in float32


def check_concentrations(column: Column, values: np.ndarray, unit: str) -> None:
    """Raise ValueError unless concentrations are above 0, and from 1e-16 to 1 mol/L."""
    if (values <= 0).any():
        raise ValueError(
            f"{column.path}: concentrations in {column.name!r} must be above 0. "
            f"Received: {column.shown(np.flatnonzero(values <= 0))}"
        )
    moles = values * UNITS[unit]
    wrong = np.flatnonzero((moles > 1) | (moles < 10.0**-_MOST))
    if wrong.size:
        raise ValueError(
            f"{column.path}: concentrations in {column.name!r} must be at most 1 mol/L, and at "
            f"least 1e-{_MOST} mol/L; another unit is given by the name of the column, or --unit. "
            f"Received, in {unit}: {column.shown(wrong)}"
        )


def check_logarithms(column: Column, values: np.ndarray) -> None:
    """Raise ValueError unless values can be -log10(mol/L)."""
    wrong = np.flatnonzero((values < _LEAST) | (values > _MOST))
    if wrong.size:
        raise ValueError(
            f"{column.path}: negative logarithms of concentrations in {column.name!r} must lie "
            f'between {_LEAST} and {_MOST}; concentrations are called "IC50 (nM)", with their '
            f"unit. Received: {column.shown(wrong)}"
        )


def check_numbers(column: Column, values: np.ndarray) -> None:
    """Raise ValueError unless values are small enough to be computed with."""
    wrong = np.flatnonzero(np.abs(values) > _LARGEST)
    if wrong.size:
        raise ValueError(
            f"{column.path}: numbers in {column.name!r} must be between -{_LARGEST:g} and "
            f"{_LARGEST:g}. Received: {column.shown(wrong)}"
        )


def check_scale(column: Column, values: np.ndarray) -> None:
    """Raise ValueError if values under a name that says nothing look like concentrations."""
    low, high = np.nanmin(values), np.nanmax(values)
    if low > 0 and high > 100 and high > _WIDE * low:
        raise ValueError(
            f"{column.path}: the column {column.name!r} must say what it holds, since of "
            'concentrations less is better: give --unit nM (unit="nM") if it holds such, or else '
            'name it after what was measured ("signal"), and with --result (result=...). '
            f"Received: numbers from {low:g} to {high:g}"
        )
