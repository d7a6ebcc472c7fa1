"""Arrays of a graph: formulas are written as with NumPy, and become nodes of ONNX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Union

import numpy as np
import numpy.typing as npt
import spox.opset.ai.onnx.v18 as op
from spox import Var

#: The version of ONNX's operators that graphs are written in.
OPSET = 18

Operand = Union["Array", np.ndarray, float]


@dataclass(frozen=True)
class Array:
    """A value of the graph; constants that it is combined with take its type.

    Attributes
    ----------
    var : Var
        The value.
    """

    var: Var

    #: NumPy leaves operators of its arrays and these to the methods below.
    __array_ufunc__: ClassVar[None] = None

    @property
    def dtype(self) -> np.dtype:
        """Type of its elements."""
        return np.dtype(self.var.unwrap_tensor().dtype)

    def __add__(self, other: Operand) -> "Array":
        return Array(op.add(self.var, self._read(other)))

    def __radd__(self, other: Operand) -> "Array":
        return self + other

    def __rmul__(self, other: Operand) -> "Array":
        return self * other

    def __sub__(self, other: Operand) -> "Array":
        return Array(op.sub(self.var, self._read(other)))

    def __rsub__(self, other: Operand) -> "Array":
        return Array(op.sub(self._read(other), self.var))

    def __mul__(self, other: Operand) -> "Array":
        return Array(op.mul(self.var, self._read(other)))

    def __truediv__(self, other: Operand) -> "Array":
        return Array(op.div(self.var, self._read(other)))

    def __rtruediv__(self, other: Operand) -> "Array":
        return Array(op.div(self._read(other), self.var))

    def __matmul__(self, other: Operand) -> "Array":
        return Array(op.matmul(self.var, self._read(other)))

    def __and__(self, other: "Array") -> "Array":
        return Array(op.and_(self.var, other.var))

    def __or__(self, other: "Array") -> "Array":
        return Array(op.or_(self.var, other.var))

    def __gt__(self, other: Operand) -> "Array":
        return Array(op.greater(self.var, self._read(other)))

    def __ge__(self, other: Operand) -> "Array":
        return Array(op.greater_or_equal(self.var, self._read(other)))

    def equals(self, other: "Operand | int") -> "Array":
        """Return where elements are equal."""
        known = other.var if isinstance(other, Array) else op.const(np.asarray(other, self.dtype))
        return Array(op.equal(self.var, known))

    def _read(self, other: Operand) -> Var:
        return other.var if isinstance(other, Array) else op.const(np.asarray(other, self.dtype))

    def cast(self, dtype: npt.DTypeLike) -> "Array":
        """Return the array with elements of another type."""
        return self if self.dtype == np.dtype(dtype) else Array(op.cast(self.var, to=dtype))

    def reshape(self, *shape: int) -> "Array":
        """Return the array in another shape, of which one length may be -1."""
        return Array(op.reshape(self.var, op.const(np.array(shape, dtype=np.int64))))

    def take(self, first: int, end: int, axis: int = 1) -> "Array":
        """Return elements from one index up to another one along an axis."""
        ends = [op.const(np.array([value], dtype=np.int64)) for value in (first, end, axis)]
        return Array(op.slice(self.var, *ends))

    def gather(self, indices: "Array | Sequence[int] | np.ndarray", axis: int = 1) -> "Array":
        """Return the elements at indices along an axis."""
        if not isinstance(indices, Array):
            indices = constant(np.asarray(indices, dtype=np.int64))
        return Array(op.gather(self.var, indices.var, axis=axis))

    def sum(self, axis: int, keepdims: bool = False) -> "Array":
        """Return sums along an axis."""
        axes = op.const(np.array([axis], dtype=np.int64))
        return Array(op.reduce_sum(self.var, axes, keepdims=int(keepdims)))

    def mean(self, axis: int) -> "Array":
        """Return means along an axis."""
        axes = op.const(np.array([axis], dtype=np.int64))
        return Array(op.reduce_mean(self.var, axes, keepdims=0))

    def max(self, axis: int, keepdims: bool = False) -> "Array":
        """Return the largest elements along an axis."""
        axes = op.const(np.array([axis], dtype=np.int64))
        return Array(op.reduce_max(self.var, axes, keepdims=int(keepdims)))

    def argmax(self, axis: int = 1, keepdims: bool = False) -> "Array":
        """Return the indices of the first of the largest elements along an axis."""
        return Array(op.arg_max(self.var, axis=axis, keepdims=int(keepdims)))

    def clip(self, low: Operand | None, high: Operand | None) -> "Array":
        """Return elements moved to the bounds that they are beyond."""
        least = self if low is None else Array(op.max([self.var, self._read(low)]))
        return least if high is None else Array(op.min([least.var, self._read(high)]))

    def any(self, axis: int) -> "Array":
        """Return whether any element along an axis is true."""
        return self.cast(np.int32).sum(axis) > 0  # a sum also of no rows

    def smallest(self, count: int) -> "Array":
        """Return that many of the smallest elements along the last axis, in increasing order."""
        count_var = op.const(np.array([count], dtype=np.int64))
        return Array(op.top_k(self.var, count_var, axis=-1, largest=0, sorted=1)[0])

    def is_nan(self) -> "Array":
        """Return which elements are NaN."""
        return Array(op.isnan(self.var))


def constant(value: npt.ArrayLike) -> Array:
    """Return a value that is the same for all rows."""
    return Array(op.const(np.asarray(value)))


def where(condition: Array, first: Array, second: Array) -> Array:
    """Return elements of the first array where the condition holds, else of the second."""
    return Array(op.where(condition.var, first.var, second.var))


def concatenate(parts: Sequence[Array], axis: int = 1) -> Array:
    """Return arrays joined along an axis."""
    if len(parts) == 1:
        return parts[0]
    return Array(op.concat([part.var for part in parts], axis=axis))


def square(x: Array) -> Array:
    """Return the squares of elements."""
    return x * x


def sqrt(x: Array) -> Array:
    """Return the roots of elements."""
    return Array(op.sqrt(x.var))


def exp(x: Array) -> Array:
    """Return the exponentials of elements."""
    return Array(op.exp(x.var))


def log(x: Array) -> Array:
    """Return the logarithms of elements."""
    return Array(op.log(x.var))


def sigmoid(x: Array) -> Array:
    """Return the logistic function of elements."""
    return Array(op.sigmoid(x.var))


def choose(condition: Array, first: Callable[[], Array], second: Callable[[], Array]) -> Array:
    """Return what one of two functions computes; the other one is not run.

    Parameters
    ----------
    condition : Array of shape ()
        Whether it is the first one.
    first, second : callable
        Return arrays of one type and rank.
    """
    (chosen,) = op.if_(
        condition.var,
        then_branch=lambda: [first().var],
        else_branch=lambda: [second().var],
    )
    return Array(chosen)


def repeat(
    count: int, state: Sequence[Array], step: Callable[[Array, Sequence[Array]], Sequence[Array]]
) -> list[Array]:
    """Return a state after so many steps.

    Parameters
    ----------
    count : int
        Number of steps.
    state : sequence of Array
        The state before the first one.
    step : callable
        Maps the index of a step and the state to the next one.
    """

    def body(index: Var, going_on: Var, *now: Var) -> list[Var]:
        following = step(Array(index).reshape(), [Array(each) for each in now])
        return [going_on, *(each.var for each in following)]

    count_var = op.const(np.array(count, dtype=np.int64))
    found = op.loop(count_var, None, [each.var for each in state], body=body)
    return [Array(each) for each in found]
