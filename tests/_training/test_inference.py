"""A trained module applied to arrays."""

import numpy as np
import pytest
import torch

from skae._data import CompletedRows
from skae._training import TrainedModule
from skae.modules import mlp_autoencoder


@pytest.fixture
def module():
    generator = torch.Generator().manual_seed(0)
    module = mlp_autoencoder(5, 2, (4,), dropout=0.5, generator=generator).train()
    torch.nn.init.ones_(module.encoder.gate)
    return module


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(50, 5))


def reconstruct(module, rows):
    return module(rows)


def test_float64_rows_pass_through_a_float64_copy(module, X):
    trained = TrainedModule(module)
    double = trained.apply(reconstruct, X)
    single = trained.apply(reconstruct, X.astype(np.float32))
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5)
    assert {p.dtype for p in trained.module.parameters()} == {torch.float32}
    copied = trained.in_precision(torch.float64)
    assert copied is trained.in_precision(torch.float64)
    assert trained.in_precision(torch.float32) is module
    for a, b in zip(copied.parameters(), module.parameters(), strict=True):
        assert torch.equal(a, b.double())


def test_networks_beside_a_linear_path_can_compute_in_single_precision(module, X):
    trained = TrainedModule(module)
    rows = CompletedRows(X)
    double = trained.apply(reconstruct, X)
    mixed = trained.apply_to_completed(lambda module, batch: module(batch.input), rows, 7)
    assert mixed.dtype == np.float64
    np.testing.assert_allclose(mixed, double, atol=1e-5)
    assert not np.array_equal(mixed, double)
    alone = trained.apply_to_completed(
        lambda module, batch: module(batch.input), CompletedRows(X[3:4]), 7
    )
    np.testing.assert_allclose(alone, mixed[3:4], rtol=1e-12)
    copied = trained.in_mixed_precision()
    assert copied is trained.in_mixed_precision()
    module.train()
    again = trained.apply_to_completed(lambda module, batch: module(batch.input), rows, 7)
    np.testing.assert_array_equal(again, mixed)
    with torch.no_grad():
        module.encoder.gate.zero_()
        module.decoder.gate.zero_()
    linear = TrainedModule(module)
    mixed = linear.apply_to_completed(lambda module, batch: module(batch.input), rows, 50)
    np.testing.assert_allclose(mixed, linear.apply(reconstruct, X), rtol=1e-12)


def step_once(module):
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    for weight in module.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()


def replace_data(module):
    for weight in module.parameters():
        weight.data = weight.data + 1.0


def replace_weight(module):
    module.encoder.gate = torch.nn.Parameter(module.encoder.gate.detach() + 1.0)


def replace_network(module):
    generator = torch.Generator().manual_seed(9)
    module.encoder.nonlinear = mlp_autoencoder(
        5, 2, (4,), linear_path=False, generator=generator
    ).encoder


def load_weights(module):
    module.load_state_dict({name: value + 1 for name, value in module.state_dict().items()})


@pytest.mark.parametrize(
    "change", [step_once, replace_data, replace_weight, replace_network, load_weights]
)
def test_copies_follow_the_weights(module, X, change):
    def compute(trained):
        single = trained.apply(reconstruct, X.astype(np.float32))
        double = trained.apply(reconstruct, X)
        return (
            single,
            double,
            trained.apply_to_completed(
                lambda module, batch: module(batch.input), CompletedRows(X), 7
            ),
        )

    trained = TrainedModule(module)
    before = compute(trained)
    change(module.train())
    after = compute(trained)
    for old, new, expected in zip(before, after, compute(TrainedModule(module)), strict=True):
        assert not np.allclose(old, new, atol=1e-3)
        np.testing.assert_array_equal(new, expected)
    copied = trained.in_precision(torch.float64), trained.in_mixed_precision()
    assert copied == (trained.in_precision(torch.float64), trained.in_mixed_precision())


def test_dropout_is_off(module, X):
    trained = TrainedModule(module)
    np.testing.assert_array_equal(trained.apply(reconstruct, X), trained.apply(reconstruct, X))


@pytest.mark.parametrize("block", [1, 7, 50, 99])
def test_blocks_have_the_length_asked_for_and_give_the_same(module, X, block):
    trained, lengths = TrainedModule(module), []

    def watch(module, rows):
        lengths.append(len(rows))
        return module(rows)

    found = trained.apply(watch, X, block=block)
    assert max(lengths) == min(block, 50)
    assert sum(lengths) == 50
    np.testing.assert_allclose(found, trained.apply(reconstruct, X), rtol=1e-12)


@pytest.mark.parametrize(("n_columns", "n_rows"), [(5, 4096), (2**14, 32)])
def test_blocks_of_wide_tables_have_fewer_rows(module, n_columns, n_rows):
    lengths = []

    def watch(module, rows):
        lengths.append(len(rows))
        return rows[:, 0]

    X = np.zeros((n_rows + 1, n_columns), dtype=np.float32)
    TrainedModule(module).apply(watch, X)
    assert lengths == [n_rows, 1]


def test_rows_are_prepared_and_results_finished_block_by_block(module, X):
    found = TrainedModule(module).apply(
        lambda module, rows: rows.sum(dim=1),
        X,
        prepare=lambda rows: rows + 1,
        block=8,
        finish=lambda sums: np.column_stack([sums, -sums]),
    )
    sums = X.sum(axis=1) + 5
    np.testing.assert_allclose(found, np.column_stack([sums, -sums]))


def test_no_rows_and_no_gradients(module, X):
    trained = TrainedModule(module)
    assert trained.apply(reconstruct, X[:0]).size == 0
    assert trained.device == torch.device("cpu")
    is_recorded = []

    def watch(module, rows):
        is_recorded.append(module(rows).requires_grad)
        return rows

    trained.apply(watch, X)
    assert is_recorded == [False]


class Store:
    """Rows that are read in slices; it counts how often."""

    def __init__(self, X):
        self.X, self.n_reads = X, 0
        self.shape, self.dtype = X.shape, X.dtype

    def __len__(self):
        return len(self.X)

    def __getitem__(self, rows):
        self.n_reads += 1
        return self.X[rows]


def test_a_store_is_read_many_blocks_at_a_time(module, X):
    store = Store(X)
    found = TrainedModule(module).apply(lambda module, rows: rows[:, 0], store, block=2)
    np.testing.assert_array_equal(found, X[:, 0])
    assert store.n_reads == 1
