"""Kernels of a Gaussian process, as functions of inner products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

__all__ = ["KERNELS", "KernelValues", "kernel_diagonal", "kernel_values"]

KERNELS = ("linear", "rbf", "tanimoto")


class KernelValues(NamedTuple):
    """The hyperparameters of a sum of kernels; any scalars, of NumPy or TensorFlow.

    Attributes
    ----------
    noise : scalar
        The variance of a measurement.
    amplitudes : list of scalars
        What each kernel is multiplied by.
    length_scale : scalar
        Of "rbf", in units of the square root of the number of features.
    """

    noise: Any
    amplitudes: list[Any]
    length_scale: Any


def kernel_values(
    kernels: Sequence[str],
    values: KernelValues,
    products: Any,
    squares: tuple[Any, Any],
    size: int,
) -> Any:
    """Return the sum of kernels between examples, of the shape of their inner products.

    Parameters
    ----------
    kernels : list of str
        Of `KERNELS`.
    values : KernelValues
    products : tensor of shape (a, b)
        The inner products of the examples' features.
    squares : two tensors that are broadcast to (a, b)
        The squared norms of both.
    size : int
        The number of features.
    """
    parts = [
        amplitude * _kernel(name, values, products, squares, size)
        for name, amplitude in zip(kernels, values.amplitudes, strict=True)
    ]
    return sum(parts[1:], parts[0])


def kernel_diagonal(kernels: Sequence[str], values: KernelValues, squares: Any, size: int) -> Any:
    """Return the kernel between each example and itself, of the shape of the squared norms."""
    return kernel_values(kernels, values, squares, (squares, squares), size)


def _kernel(name: str, values: KernelValues, products: Any, squares: tuple, size: int) -> Any:
    if name == "linear":
        return products / size
    both = squares[0] + squares[1]
    if name == "rbf":
        apart = keras.ops.relu(both - 2 * products)
        return keras.ops.exp(-apart / (2 * size * values.length_scale**2))
    # Two examples without any feature are alike.
    union = both - products
    nothing = keras.ops.cast(keras.ops.equal(union, 0), products.dtype)
    return (products + nothing) / (union + nothing)
