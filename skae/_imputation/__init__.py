"""The model behind `impute`: attention over remembered rows, on top of the Gaussian answer.

`fit_imputer(rows, layout, streams, ...)` takes scaled rows of encoded columns, NaN where a cell is
missing, and returns an `Imputer`: `complete(rows)` fills them, `half_widths(coverage)` are those of
calibrated intervals, `draw(rows, n_draws, generator)` fills them at random. Its state is plain
arrays.

What is expected of a missing cell is a sum of three parts:

- its mean given the observed cells under a normal distribution, the best linear answer;
- the step from there to the mean of that cell in similar rows, and
- what the linear answer misses in these rows.

What makes rows similar differs from column to column, and is learnt: each column has its own
weights of all others in the distance. Rows that training has not seen decide how far each column
leaves the linear answer; where they cannot tell, it is the answer.
"""

from .imputer import Imputer, fit_imputer

__all__ = ["Imputer", "fit_imputer"]
