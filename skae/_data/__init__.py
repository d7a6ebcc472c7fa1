"""All that happens to a table before training: checked, weighted, scaled, cut into batches."""

from .batches import OrderedBlocks, ShardBatches, ShuffledBatches, batch_length
from .blocks import Table, block_length, row_blocks, subsample_indices
from .column_moments import ColumnMoments, measure_columns, name_column
from .column_quantiles import ColumnQuantiles, find_quantiles, interpolate
from .column_ranges import ColumnEnds, ColumnRanges
from .columns import Columns, EncodedTable, needs_encoding
from .dask_tables import is_dask_array, is_dask_frame, join_columns, load_dask
from .frames import find_index, to_pandas
from .row_shapes import (
    RowForm,
    RowShape,
    check_has_rows,
    check_row_shape,
    find_row_shape,
    flatten_rows,
)
from .rows import Batch, Complete, CompletedRows, Rows
from .sample_weights import (
    check_sample_weight,
    normalize_weight,
    sum_weights,
    trim_weight,
    trim_weight_array,
    weighted_quantile,
)
from .scaling import Scaling
from .sequences import (
    find_padding,
    find_sequence_form,
    fit_sequences,
    make_length_form,
    pad_target,
)
from .shared_passes import SharedPass
from .stored_rows import AnyRows, ScaledTable, StoredRows
from .stores import (
    AnyTable,
    StoredTable,
    TablePart,
    TableRange,
    load_rows,
    load_subsample,
    subsample_size,
    subsample_store,
    take_rows,
)
from .stream_sample import SPOILING_SCALE, KeptRows, StreamSample, measure_distance
from .tables import (
    ColumnChoice,
    ReadTable,
    encode_table,
    fill_table,
    frame_numbers,
    list_cells,
    read_table,
    wrap_numbers,
)
from .time_order import TimeSplit
from .training_table import TrainingTable, keep_order, merge_copies, write_out_copies
from .validation import check_codes, check_probabilities, check_target, validate_table

__all__ = [
    "SPOILING_SCALE",
    "AnyRows",
    "AnyTable",
    "Batch",
    "ColumnChoice",
    "ColumnEnds",
    "ColumnMoments",
    "ColumnQuantiles",
    "ColumnRanges",
    "Columns",
    "Complete",
    "CompletedRows",
    "EncodedTable",
    "KeptRows",
    "OrderedBlocks",
    "ReadTable",
    "RowForm",
    "RowShape",
    "Rows",
    "ScaledTable",
    "Scaling",
    "ShardBatches",
    "SharedPass",
    "ShuffledBatches",
    "StoredRows",
    "StoredTable",
    "StreamSample",
    "Table",
    "TablePart",
    "TableRange",
    "TimeSplit",
    "TrainingTable",
    "batch_length",
    "block_length",
    "check_codes",
    "check_has_rows",
    "check_probabilities",
    "check_row_shape",
    "check_sample_weight",
    "check_target",
    "encode_table",
    "fill_table",
    "find_index",
    "find_padding",
    "find_quantiles",
    "find_row_shape",
    "find_sequence_form",
    "fit_sequences",
    "flatten_rows",
    "frame_numbers",
    "interpolate",
    "is_dask_array",
    "is_dask_frame",
    "join_columns",
    "keep_order",
    "list_cells",
    "load_dask",
    "load_rows",
    "load_subsample",
    "make_length_form",
    "measure_columns",
    "measure_distance",
    "merge_copies",
    "name_column",
    "needs_encoding",
    "normalize_weight",
    "pad_target",
    "read_table",
    "row_blocks",
    "subsample_indices",
    "subsample_size",
    "subsample_store",
    "sum_weights",
    "take_rows",
    "to_pandas",
    "trim_weight",
    "trim_weight_array",
    "validate_table",
    "weighted_quantile",
    "wrap_numbers",
    "write_out_copies",
]
