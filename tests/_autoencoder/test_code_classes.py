"""Classes of codes: likelihoods, expansions and integrals, against autograd and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skae._autoencoder.code_classes import CodeRows, fit_code_classes, widen
from skae._autoencoder.code_integral import draw_codes
from skae._autoencoder.mixed_cells import CellMap, CellTensors, CodeClasses, Decoded
from skae._autoencoder.mixed_density import integrate
from skae._linear.latent_classes import MixedCells
from skae.modules.cells import CellLayout
from skae.modules.jacobian import decoder_jacobian
from tests._autoencoder.mixed_tables import MIXED, draw_mixed, scale_columns

T = torch.from_numpy


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def make_cells(n_rows=12, share=0.3):
    """Cells of scaled rows, of which some are missing, and the map of a decoder's outputs."""
    X = draw_mixed(n_rows)
    scaling = scale_columns(draw_mixed(500), MIXED)
    observed = np.ones(X.shape, dtype=bool)
    hidden = np.random.default_rng(1).random((n_rows, 4)) < share
    for column, own in enumerate(([0], [1, 2, 3], [4], [5])):
        observed[:, own] = ~hidden[:, column, None]
    cells = MixedCells.from_encoded(scaling.forward(X, np.float64), observed, MIXED)
    mass = np.array([0.4, 0.6, 0.5, 0.3, 0.2])
    return CellTensors.from_cells(cells), CellMap.from_layout(
        MIXED, scaling.mean, scaling.scale, mass
    )


def make_classes(n_classes=3, n_components=2, n_numbers=2, n_levels=5, n_blocks=2):
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(n_classes, n_components, n_components))
    weight = rng.uniform(size=n_classes)
    return CodeClasses(
        T(np.log(weight / weight.sum())),
        T(rng.normal(size=(n_classes, n_components))),
        T(roots @ roots.transpose(0, 2, 1) + 0.3 * np.eye(n_components)),
        T(rng.normal(size=(n_classes, n_numbers))),
        T(rng.normal(size=(n_classes, n_numbers))),
        T(rng.uniform(0.3, 1, size=(n_classes, n_numbers))),
        T(rng.normal(size=(n_classes, n_levels))),
        T(rng.uniform(0.5, 2, size=n_blocks)),
        torch.ones(n_components, dtype=torch.float64),
    )


WEIGHT = T(np.random.default_rng(5).normal(size=(2, 6)))


def decode(code):
    return torch.tanh(code @ WEIGHT) + 0.3 * code @ WEIGHT


def read(cell_map, code):
    return cell_map.read(decode(code))


def test_the_likelihood_is_that_of_its_cells():
    cells, cell_map = make_cells()
    classes, code = make_classes(), T(np.random.default_rng(2).normal(size=(12, 4, 2)))
    decoded = read(cell_map, code)
    ours = classes.log_likelihood(cells, decoded, cell_map)
    mean = classes.intercept + classes.slope * decoded.numbers.unsqueeze(2)
    normal = torch.distributions.Normal(mean, classes.variance.sqrt())
    each = normal.log_prob(cells.numbers[:, None, None]) * cells.is_known[:, None, None]
    expected = each.sum(dim=3)
    for index, own in enumerate(cell_map.blocks):
        score = classes.steepness[index] * decoded.scores[..., None, own] + classes.bias[:, own]
        chosen = score.log_softmax(dim=3) * cells.levels[:, None, None, own]
        expected = expected + chosen.sum(dim=3)
    torch.testing.assert_close(ours, expected)


def test_draws_that_all_rows_share_have_the_same_likelihood():
    cells, cell_map = make_cells()
    classes, code = make_classes(), T(np.random.default_rng(2).normal(size=(7, 2)))
    decoded = read(cell_map, code)
    ours = classes.log_likelihood_of_all(cells, decoded, cell_map)
    repeated = Decoded(*(part.expand(12, *part.shape) for part in decoded))
    torch.testing.assert_close(ours, classes.log_likelihood(cells, repeated, cell_map))


def test_the_prior_is_normal_in_each_class():
    classes, code = make_classes(), np.random.default_rng(2).normal(size=(4, 3, 2))
    expected = [
        multivariate_normal(mean, covariance).logpdf(code)
        for mean, covariance in zip(classes.mean.numpy(), classes.covariance.numpy(), strict=True)
    ]
    np.testing.assert_allclose(classes.log_prior(T(code)), np.stack(expected, axis=2))


def test_the_expansion_has_the_derivatives_of_the_density():
    """The precision is minus the second derivative where scores and numbers are straight."""
    cells, cell_map = make_cells()
    classes, code = make_classes(), T(np.random.default_rng(2).normal(size=(12, 2)))
    slopes = cell_map.read_jacobian(decode(code), decoder_jacobian(decode, code, 6))
    ours = classes.expand(cells, code, read(cell_map, code), slopes, cell_map)
    straight = read(cell_map, code)

    def joint(moved, is_straight):
        found = read(cell_map, moved.unsqueeze(1))
        if is_straight:
            step = (moved - code).unsqueeze(2)
            found = Decoded(
                *(
                    (a + (b @ step).squeeze(2)).unsqueeze(1)
                    for a, b in zip(straight, slopes, strict=True)
                )
            )
        value = classes.log_likelihood(cells, found, cell_map).squeeze(1)
        return value + classes.log_prior(moved) + classes.log_weight

    torch.testing.assert_close(ours.value, joint(code, False))
    with torch.enable_grad():
        for k in range(3):
            moved = code.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(joint(moved, False)[:, k].sum(), moved)
            torch.testing.assert_close(ours.gradient[:, k], gradient)
            moved = code.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(
                joint(moved, True)[:, k].sum(), moved, create_graph=True
            )
            lines = [
                torch.autograd.grad(part.sum(), moved, retain_graph=True)[0]
                for part in gradient.unbind(1)
            ]
            torch.testing.assert_close(ours.precision[:, k], -torch.stack(lines, dim=1))


def make_normal_cells(X, observed):
    layout = CellLayout.from_numbers(X.shape[1])
    cells = MixedCells.from_encoded(X, observed, layout)
    width = X.shape[1]
    return CellTensors.from_cells(cells), CellMap.from_layout(
        layout, np.zeros(width), np.ones(width), np.empty(0)
    )


def test_the_integral_is_exact_enough_for_a_linear_decoder():
    rng = np.random.default_rng(0)
    V, X = rng.normal(size=(4, 2)), 1.5 * rng.normal(size=(40, 4))
    observed = rng.random(X.shape) > 0.3
    observed[0], observed[1] = True, False
    cells, cell_map = make_normal_cells(X, observed)
    classes = make_classes(2, 2, 4, 0, 0)
    start = T(5 * rng.normal(size=(40, 2)))  # far off
    ours = integrate(classes, cells, start, lambda z: z @ T(V).T, cell_map).numpy()
    expected = np.zeros(40)
    for row, (x, o) in enumerate(zip(X, observed, strict=True)):
        if not o.any():
            continue
        parts = []
        for k in range(2):
            line = V * classes.slope[k].numpy()[:, None]
            centre = line @ classes.mean[k].numpy() + classes.intercept[k].numpy()
            covariance = line @ classes.covariance[k].numpy() @ line.T
            covariance += np.diag(classes.variance[k].numpy())
            normal = multivariate_normal(centre[o], covariance[np.ix_(o, o)])
            parts.append(normal.logpdf(x[o]) + classes.log_weight[k].item())
        expected[row] = np.logaddexp.reduce(parts)
    np.testing.assert_allclose(ours, expected, atol=0.12)
    assert np.abs(ours - expected).mean() < 0.02


def test_a_row_between_two_modes_has_both():
    """A parabola from -3 to 3: the code of a row above it may be on either side."""
    grid = np.linspace(-8, 8, 20001)[:, None]
    cells, cell_map = make_normal_cells(np.array([[1.0], [4.0]]), None)
    one = torch.ones(1, 1, dtype=torch.float64)
    classes = CodeClasses(
        torch.zeros(1).double(), 0 * one, 2 * one[None], 0 * one, one, 0.1 * one,
        torch.empty(1, 0).double(), torch.empty(0).double(), one[0],
    )  # fmt: skip
    ours = integrate(classes, cells, 2 * torch.ones(2, 1).double(), torch.square, cell_map)
    joint = classes.log_likelihood_of_all(
        cells, Decoded(T(grid**2), torch.empty(20001, 0).double()), cell_map
    ) + classes.log_prior(T(grid))
    expected = joint[..., 0].logsumexp(dim=1) + np.log(grid[1, 0] - grid[0, 0])
    np.testing.assert_allclose(ours, expected, atol=0.1)


def test_turned_axes_change_nothing():
    cells, cell_map = make_cells()
    classes, code = make_classes(), T(np.random.default_rng(2).normal(size=(12, 2)))
    turn = torch.tensor([1.0, -1.0], dtype=torch.float64)
    turned = replace(
        classes,
        mean=classes.mean * turn,
        covariance=classes.covariance * turn[:, None] * turn,
        orientation=classes.orientation * turn,
    )
    ours = integrate(classes, cells, code, decode, cell_map)
    other = integrate(turned, cells, code * turn, lambda z: decode(z * turn), cell_map)
    torch.testing.assert_close(ours, other, rtol=1e-10, atol=0)


# Fits ----------------------------------------------------------------------------------------


def draw_rows(n_rows=400, n_classes=2):
    """Rows drawn from classes of codes, and these."""
    generator = torch.Generator().manual_seed(0)
    _, cell_map = make_cells()
    classes = make_classes(n_classes)
    which = torch.multinomial(classes.log_weight.exp(), n_rows, True, generator=generator)
    noise = torch.randn(n_rows, 2, 1, generator=generator, dtype=torch.float64)
    code = classes.mean[which] + (classes.roots[which] @ noise).squeeze(2)
    decoded = read(cell_map, code)
    noise = torch.randn(n_rows, 2, generator=generator, dtype=torch.float64)
    numbers = classes.intercept[which] + classes.slope[which] * decoded.numbers
    numbers = numbers + classes.variance[which].sqrt() * noise
    parts = []
    for index, own in enumerate(cell_map.blocks):
        score = classes.steepness[index] * decoded.scores[:, own] + classes.bias[which][:, own]
        drawn = torch.multinomial(score.softmax(dim=1), 1, generator=generator)[:, 0]
        parts.append(torch.nn.functional.one_hot(drawn, score.shape[1]).double())
    levels = torch.cat(parts, dim=1)
    cells = CellTensors(numbers, torch.ones_like(numbers), levels, torch.ones(n_rows, 2).double())
    share = torch.nn.functional.one_hot(which, n_classes).double()
    return CodeRows(cells, code, torch.ones(n_rows).double(), levels.mean(dim=0)), share, classes


def test_a_fit_is_as_likely_as_the_truth():
    _, cell_map = make_cells()
    rows, share, truth = draw_rows()
    found = fit_code_classes(rows, share, decode, cell_map)
    scores = [
        integrate(classes, rows.cells, rows.code, decode, cell_map).mean().item()
        for classes in (truth, found)
    ]
    # Twenty parameters a class gain about so much on the rows that they are fitted to.
    assert scores[0] - 0.03 < scores[1] < scores[0] + 0.15


def test_missing_cells_have_no_part_in_a_fit():
    _, cell_map = make_cells()
    rows, share, _ = draw_rows(300)
    is_there = torch.ones(300, dtype=torch.float64)
    is_there[::2] = 0
    cells = rows.cells
    known, seen = torch.ones(300, 2).double(), torch.ones(300, 2).double()
    known[:, 1], seen[:, 1] = is_there, is_there
    gaps = CellTensors(cells.numbers * known, known, cells.levels.clone(), seen)
    gaps.levels[:, 2:] *= is_there.unsqueeze(1)
    found = fit_code_classes(rows._replace(cells=gaps), share, decode, cell_map)
    whole = fit_code_classes(rows, share, decode, cell_map)
    np.testing.assert_allclose(found.variance, whole.variance, rtol=0.4)
    np.testing.assert_allclose(found.intercept, whole.intercept, atol=0.4)
    np.testing.assert_allclose(found.steepness, whole.steepness, atol=0.9)


def test_a_class_without_rows_is_finite():
    _, cell_map = make_cells()
    rows, share, _ = draw_rows(50)
    share = torch.cat([share, torch.zeros(50, 1).double()], dim=1)
    found = fit_code_classes(rows, share, decode, cell_map)
    for value in found.get_state().values():
        assert np.isfinite(value).all()


def test_rows_of_weight_zero_have_no_part_in_a_fit():
    _, cell_map = make_cells()
    rows, share, _ = draw_rows(100)
    weight = rows.weight.clone()
    weight[60:] = 0
    weighted = fit_code_classes(rows._replace(weight=weight), share, decode, cell_map)
    cells = rows.cells.select(slice(60))
    few = CodeRows(cells, rows.code[:60], rows.weight[:60], rows.mass)
    alone = fit_code_classes(few, share[:60], decode, cell_map)
    np.testing.assert_allclose(weighted.variance, alone.variance, rtol=1e-6)
    np.testing.assert_allclose(weighted.bias, alone.bias, atol=1e-6)


def test_a_wider_model_trusts_the_decoder_less():
    classes = make_classes()
    wider = widen(classes, 4.0)
    torch.testing.assert_close(wider.variance, 4 * classes.variance)
    torch.testing.assert_close(wider.steepness, classes.steepness / 2)


def test_rows_of_a_fit_have_draws_of_their_own():
    cells, cell_map = make_cells()
    classes, code = make_classes(), torch.zeros(12, 2).double()
    same = cells.select(torch.zeros(12, dtype=torch.long))
    apart = draw_codes(classes, same, code, decode, cell_map, rows_differ=True).code
    alike = draw_codes(classes, same, code, decode, cell_map).code
    assert (apart[0] - apart[1]).abs().min() > 0
    torch.testing.assert_close(alike[0], alike[1])
