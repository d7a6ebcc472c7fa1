"""Positions of charts."""

import re

import pytest

from skae._command.svg import draw_histogram, draw_lines

SIZES = [2, 4, 8, 16]


def texts(ticks):
    return [tick.text for tick in ticks]


def test_higher_figures_are_higher_up():
    chart = draw_lines(SIZES, {"PCA": [0.2, 0.4, 0.6, 0.8], "other": [0.9] * 4}, "percent")
    pca, other = chart.lines
    xs, ys = zip(*pca.points, strict=True)
    assert sorted(xs) == list(xs)
    assert sorted(ys, reverse=True) == list(ys)
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1])  # sizes double from one to the next
    assert max(y for _, y in other.points) < min(ys)
    assert all(chart.box.left < x < chart.box.right for x in xs)
    assert all(chart.box.top <= y <= chart.box.bottom for y in ys)


def test_ticks_are_round_and_where_they_say():
    chart = draw_lines(SIZES, {"PCA": [0.2, 0.4, 0.6, 0.8]}, "percent")
    assert texts(chart.y_ticks) == ["20%", "40%", "60%", "80%"]
    assert texts(chart.x_ticks) == ["2", "4", "8", "16"]
    for tick, (x, y) in zip(chart.y_ticks, chart.lines[0].points, strict=True):
        assert tick.at == pytest.approx(y)
        assert x in [mark.at for mark in chart.x_ticks]


@pytest.mark.parametrize(
    ("low", "high", "unit", "expected"),
    [
        (0.981, 0.983, "percent", ["98.10%", "98.15%", "98.20%", "98.25%", "98.30%"]),
        (-1520.0, 310.0, "number", ["−2,000", "−1,500", "−1,000", "−500", "0", "500"]),  # noqa: RUF001
        (-0.1, 0.1, "percent", ["−10%", "−5%", "0%", "5%", "10%"]),  # noqa: RUF001
        (0.5, 0.5, "percent", None),
        (0.0, 0.0, "number", None),
        (1 - 2e-16, 1.0, "percent", None),
        (0.0, 1e-15, "percent", None),
        (-1e-15, 0.0, "number", None),
        (1e-15, 1e-15, "number", None),
        (1e6, 1e6 + 1e-7, "number", None),
        (0.0, 1e-8, "percent", None),
    ],
)
def test_ticks_of_any_range(low, high, unit, expected):
    chart = draw_lines([2, 4], {"PCA": [low, high]}, unit)
    assert expected is None or texts(chart.y_ticks) == expected
    assert len(set(texts(chart.y_ticks))) == len(chart.y_ticks) >= 3
    ys = [y for _, y in chart.lines[0].points]
    assert all(chart.box.top <= y <= chart.box.bottom for y in ys)


@pytest.mark.parametrize(
    ("figures", "unit", "least_span", "lowest", "highest"),
    [
        ([0.50, 0.5001], "percent", 0.02, "49.0%", "51.5%"),
        ([0.999, 1.0], "percent", 0.02, "98.0%", "100.0%"),
        ([0.0, 0.001], "percent", 0.02, "0.0%", "2.0%"),
        ([0.3, 0.9], "percent", 9.0, "0%", "100%"),  # shares have no more than all
        ([-0.5, 0.5], "percent", 2.0, "−100%", "100%"),  # noqa: RUF001
        ([-3.001, -3.0], "number", 8.0, "−8", "2"),  # noqa: RUF001
        ([-30.0, -3.0], "number", 8.0, "−30", "0"),  # noqa: RUF001
    ],
)
def test_axis_has_a_least_span(figures, unit, least_span, lowest, highest):
    chart = draw_lines([2, 4], {"PCA": figures}, unit, least_span)
    ticks = chart.y_ticks
    assert (ticks[0].text, ticks[-1].text) == (lowest, highest)
    (_, first), (_, second) = chart.lines[0].points
    height = chart.box.bottom - chart.box.top
    assert first - second <= height * (figures[1] - figures[0]) / min(least_span, 1.0) + 1e-9 or (
        figures[1] - figures[0] > least_span
    )
    assert chart.box.top <= second <= first <= chart.box.bottom


def test_missing_figures_leave_gaps():
    chart = draw_lines(SIZES, {"PCA": [1.0, None, 2.0, 3.0], "none": [None] * 4}, "number")
    (line,) = chart.lines
    assert line.path.count("M") == 2
    assert line.path.count("L") == 1
    assert len(line.points) == 3


def test_no_figures_no_chart():
    assert draw_lines(SIZES, {"PCA": [None] * 4}, "number") is None
    assert draw_lines([], {"PCA": []}, "number") is None
    assert draw_histogram([], 99) is None


def test_one_size_is_in_the_middle():
    chart = draw_lines([2], {"PCA": [0.5]}, "percent")
    assert chart.lines[0].points[0][0] == pytest.approx((chart.box.left + chart.box.right) / 2)


def test_labels_do_not_overlap():
    for other in (0.8, 0.801, 0.799):
        chart = draw_lines(
            SIZES, {"PCA": [0.1, 0.4, 0.6, 0.8], "b": [0.1, 0.4, 0.6, other]}, "number"
        )
        first, second = (line.label_at for line in chart.lines)
        assert abs(first - second) >= 14.9
        if other != 0.8:
            assert (first > second) == (other > 0.8)  # as their lines are


def test_sizes_that_are_close_share_a_text():
    chart = draw_lines([2, 15, 16], {"PCA": [0.1, 0.2, 0.3]}, "percent")
    assert texts(chart.x_ticks) == ["2", "15"]
    assert len(chart.lines[0].points) == 3


def test_histogram_counts_each_row_once():
    p_values = [0.01, 0.05, 0.050001, 0.5, 1.0, 0.0]
    chart = draw_histogram(p_values, 99)
    heights = [bar.height for bar in chart.bars]
    unit = heights[-1]
    assert [round(height / unit) for height in heights] == [3, 1, *[0] * 7, 1, *[0] * 9, 1]
    assert chart.bars[0].text == "p from 0 to 0.05: 50.0% of the rows"
    assert all(bar.y + bar.height == pytest.approx(chart.box.bottom) for bar in chart.bars)


def test_even_p_values_are_as_high_as_the_line():
    for n_calibration in (5, 19, 30, 199):
        n_multiples = n_calibration + 1
        p_values = [(index + 1) / n_multiples for index in range(n_multiples)]
        chart = draw_histogram(p_values, n_calibration)
        heights = re.findall(r"V([\d.]+)", chart.expected)
        assert [float(height) for height in heights] == [round(bar.y, 1) for bar in chart.bars]
        ends = re.findall(r"H([\d.]+)", chart.expected)
        assert [float(end) for end in ends] == [
            round(bar.x + bar.width + 0.75, 1) for bar in chart.bars
        ]
