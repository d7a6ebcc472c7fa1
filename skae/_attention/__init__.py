"""The model behind `impute`: attention over remembered rows, on top of the Gaussian answer.

`fit_attention(rows, layout, streams, ...)` takes scaled rows of encoded columns, NaN where a cell
is missing, and returns an `AttentionCompletion`. Its `complete(rows)` fills them, and
`half_widths(coverage)` are those of calibrated intervals. Its state is plain arrays.

What is expected of a missing cell is a sum of three parts:

- its mean given the observed cells under a normal distribution, the best linear answer;
- the step from there to the mean of that cell in similar rows, and
- what the linear answer misses in these rows.

What makes rows similar differs from column to column, and is learnt: each column has its own
weights of all others in the distance. Rows that training has not seen decide how far each column
leaves the linear answer; where they cannot tell, it is the answer.
"""

from .completion import REMEMBERED_ROWS, AttentionCompletion, fit_attention

__all__ = ["REMEMBERED_ROWS", "AttentionCompletion", "fit_attention"]
