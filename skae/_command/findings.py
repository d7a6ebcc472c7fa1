"""What a report shows, as values: measured in one place, drawn in another."""

from dataclasses import dataclass

#: Corrected p-values below this are called a difference.
SURE = 0.05

#: A comparison that only a larger distance would show says nothing.
MOST_DETECTABLE = 0.5


@dataclass(frozen=True)
class SizeFigures:
    """Held-out figures of both models with one number of components.

    Attributes
    ----------
    n_components : int
        Number of components.
    pca_explained, autoencoder_explained : float or None
        Share of the variance of the observed cells.
    pca_log_likelihood, autoencoder_log_likelihood : float or None
        Mean log-density in nats a row; None of a model that has none.
    """

    n_components: int
    pca_explained: float | None
    autoencoder_explained: float | None
    pca_log_likelihood: float | None
    autoencoder_log_likelihood: float | None


@dataclass(frozen=True)
class Reason:
    """A cell that makes a row strange.

    Attributes
    ----------
    column : str
        Name of the column.
    value, expected : str
        What the cell has, and what the others of its row suggest, as texts.
    share : float
        The cell's share of the row's anomaly score, in (0, 1].
    """

    column: str
    value: str
    expected: str
    share: float


@dataclass(frozen=True)
class AnomalousRow:
    """A row, and why it is strange.

    Attributes
    ----------
    row : str
        Where the row is: its number, from 0.
    p_value : float
        How often a usual row is as strange.
    reasons : tuple of Reason
        The most telling cells, the largest share first.
    """

    row: str
    p_value: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class RowMap:
    """Rows in the plane, and what hovering over them shows.

    Attributes
    ----------
    x, y : tuple of float
        Both codes of each row that is drawn.
    rows : tuple of str
        Where each row is.
    p_values : tuple of float
        How often a usual row is as strange as each row.
    classes : tuple of str or None
        The target's value in each row, "" where it has none; None without classes.
    columns : tuple of str
        Names of the columns whose cells are shown.
    cells : tuple of tuple of str
        For each row its cells in those columns, as texts.
    kind : str
        What the codes are: "autoencoder" or "PCA".
    n_rows : int
        Number of rows of the table; more than are drawn where it is large.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    rows: tuple[str, ...]
    p_values: tuple[float, ...]
    classes: tuple[str, ...] | None
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    kind: str
    n_rows: int


@dataclass(frozen=True)
class ColumnFindings:
    """A column: what it was taken for, and how well the others predict it.

    Attributes
    ----------
    name : str
        Its name.
    kind : str
        What it was taken for: "number", "boolean", "category", "date", "time of day",
        "duration", "period", "identifier" or "empty".
    summary : str
        Its values in a few words, such as "0 to 99, median 35" or "12 labels, most often 'yes'".
    n_missing : int
        Number of missing cells.
    predicted_by_others : float or None
        How much better the other columns of held-out rows predict its cells than its mean or its
        most frequent label does: 1 is a perfect prediction, 0 no better; None where there is
        nothing to predict.
    """

    name: str
    kind: str
    summary: str
    n_missing: int
    predicted_by_others: float | None


@dataclass(frozen=True)
class ColumnShift:
    """How a column of a second table differs from the first table's.

    Attributes
    ----------
    name : str
        Its name.
    p_value : float
        Of the hypothesis that both come from one distribution, corrected for all that is tested.
    distance : float
        Kolmogorov-Smirnov distance of numbers, total variation distance of labels; in [0, 1].
    before, after : str
        The values in the first and in the second table, in a few words.
    n_before, n_after : int
        Number of cells with a value in either.
    detectable : float
        The distance that a change must have to be found among so many cells.
    is_ordered : bool
        Whether its values are numbers or dates, not labels.
    """

    name: str
    p_value: float
    distance: float
    before: str
    after: str
    n_before: int
    n_after: int
    detectable: float = 1.0
    is_ordered: bool = True

    @property
    def is_compared(self) -> bool:
        """Whether a change was found, or would have been unless it is small."""
        return self.p_value < SURE or self.detectable <= MOST_DETECTABLE


@dataclass(frozen=True)
class Shift:
    """A second table under the first one's model.

    Attributes
    ----------
    table : str
        Name of the second table.
    n_rows : int
        Number of its rows.
    sentences : tuple of str
        The answer, and the sentences that it rests on.
    n_calibration : int
        Number of rows of the first table that its rows are compared with.
    p_values : tuple of float
        Conformal p-value of each row, in the table's order.
    strangest : tuple of AnomalousRow
        Its strangest rows.
    columns : tuple of ColumnShift
        Its columns, the most changed first.
    notes : tuple of str
        What the reader should know: columns that are new or lacking, labels never seen.
    """

    table: str
    n_rows: int
    sentences: tuple[str, ...]
    n_calibration: int
    p_values: tuple[float, ...]
    strangest: tuple[AnomalousRow, ...]
    columns: tuple[ColumnShift, ...]
    notes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole answer."""
        return " ".join(self.sentences)


@dataclass(frozen=True)
class Findings:
    """All that a report shows.

    Attributes
    ----------
    table : str
        Name of the table.
    n_rows, n_columns : int
        Its shape.
    verdict : tuple of str
        The answer in plain words, and the sentences that it rests on.
    notes : tuple of str
        What the reader should know, one line each.
    sizes : tuple of SizeFigures
        The comparison by number of components.
    explained_noise, likelihood_noise : float
        The largest standard error of what tells these figures apart.
    map : RowMap
        The map of the rows.
    p_values : tuple of float
        Share of rows that are as strange as each row, by models that were not fitted on it; the
        tail is extrapolated. Of large tables those of rows drawn by chance.
    strangest : tuple of AnomalousRow
        The twenty strangest rows, the smallest p-value first.
    columns : tuple of ColumnFindings
        The columns in the table's order.
    shift : Shift or None
        A second table, if one was given.
    provenance : tuple of (str, str)
        What the figures depend on: the command, the seed, versions, the date.
    """

    table: str
    n_rows: int
    n_columns: int
    verdict: tuple[str, ...]
    notes: tuple[str, ...]
    sizes: tuple[SizeFigures, ...]
    explained_noise: float
    likelihood_noise: float
    map: RowMap
    p_values: tuple[float, ...]
    strangest: tuple[AnomalousRow, ...]
    columns: tuple[ColumnFindings, ...]
    shift: Shift | None
    provenance: tuple[tuple[str, str], ...]
