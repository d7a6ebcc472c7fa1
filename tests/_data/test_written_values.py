"""Text that was meant as numbers or dates."""

import pytest

from skae._data.written_values import are_written_values


@pytest.mark.parametrize(
    "text",
    [
        *("0", "12", "-1.5", ".5", "1e-3", "1,234", "1,234,567.8", "1.234.567,8", "12,5", "1 234"),
        *("2012-08-24", "2012-08-24T12:30:00Z", "2012-08-24 12:30:15.5+02:00", "2012/8/4"),
        *("24.08.2012", "8/24/12 3:05 PM", "24-Aug-2012", "Aug 24, 2012", "2012-08", " 3 "),
    ],
)
def test_numbers_and_dates_are_values(text):
    assert are_written_values([text])


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "nan", "inf", "01234", "007", "E5", "A12", "12a", "1-2", "555-1234", "1 2"),
        *("192.168.1.10", "1.2.3", "2012-13-01", "1963-64", "May", "12:30", "2012-08-24 home"),
    ],
)
def test_names_are_none(text):
    assert not are_written_values([text])


def test_nearly_all_of_a_sample_tell():
    numbers = [str(number) for number in range(10_000)]
    assert are_written_values(["?", "unknown", *numbers])
    assert are_written_values([*numbers[:9], "?"])
    assert not are_written_values([*numbers[:8], "?", "unknown"])
    assert not are_written_values([*numbers[:5000], *(f"n{number}" for number in range(5000))])
