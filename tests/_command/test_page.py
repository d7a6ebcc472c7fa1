"""The report's page as text; tests/browser opens it."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from skae._command.findings import AnomalousRow, Reason
from skae._command.page import draw_explained, make_page, write_page

from .reports import make_findings, rename

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'`\u2028\u2029&lt;"


class Reader(HTMLParser):
    """Collect the elements, the attributes and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts, self.scripts = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, text):
        if self.tags[-1:] == ["script"]:
            self.scripts[-1] += text
        self.texts.append(text)


def read_data(page):
    return json.loads(Reader(page).scripts[0], parse_constant=pytest.fail)


def read_text(page):
    return " ".join(" ".join(Reader(page).texts).split())


def test_all_findings_are_in_the_page():
    findings = make_findings()
    text = read_text(make_page(findings))
    shift = findings.shift
    wanted = [findings.table, *findings.verdict, *findings.notes, shift.table]
    wanted += [*shift.sentences, *shift.notes, "rows 60", "columns 6", "0.840", "−103.00"]  # noqa: RUF001
    for row in (*findings.strangest, *shift.strangest):
        wanted += [row.row, *(f"{cell.column} {cell.value}" for cell in row.reasons)]
        wanted += [cell.expected for cell in row.reasons]
    for column in findings.columns:
        wanted += [f"{column.name} {column.kind} {column.summary}"]
    for column in shift.columns:
        wanted += [column.name, column.before, column.after]
    wanted += [f"{key} {value}" for key, value in findings.provenance]
    assert [part for part in wanted if part not in text] == []


def test_data_of_the_script():
    findings = make_findings()
    data = read_data(make_page(findings))
    np.testing.assert_allclose(data["x"], findings.map.x, rtol=1e-5)
    np.testing.assert_allclose(data["y"], findings.map.y, rtol=1e-5)
    assert tuple(data["p"]) == findings.map.p_values  # to the last bit
    assert tuple(data["classNames"][index] for index in data["classes"]) == findings.map.classes
    assert data["cells"] == [list(row) for row in findings.map.cells]
    small = [p for p, count in data["small"] for _ in range(count)]
    assert small == sorted(p for p in findings.p_values if p <= 0.5)
    assert data["nRows"] == len(findings.p_values)


def test_names_stay_text():
    page = make_page(rename(make_findings(), ATTACK))
    plain, attacked = Reader(make_page(make_findings())), Reader(page)
    # Names may be broken between words.
    first, second = ([tag for tag in one.tags if tag != "wbr"] for one in (plain, attacked))
    assert first == second
    assert {name for name, _ in attacked.attributes} - {"title"} == {
        name for name, _ in plain.attributes
    } - {"title"}
    data = read_data(page)
    assert data["rows"][7] == f"{ATTACK}7"
    assert data["cells"][0][0].startswith(ATTACK)
    assert not set("<>&\u2028\u2029") & set(attacked.scripts[0])


def test_nothing_is_loaded():
    page = make_page(make_findings())
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", page)
    assert "@import" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none';")
    assert "unsafe-inline" not in policy.split("script-src")[1]


@pytest.mark.parametrize(
    "change",
    [
        {"strangest": ()},
        {"columns": ()},
        {"sizes": ()},
        {"notes": ()},
        {"provenance": ()},
        {"shift": None},
        {"strangest": (AnomalousRow("3", 0.0, ()),)},
        {"n_rows": 1},
    ],
)
def test_parts_that_are_lacking(change):
    page = make_page(replace(make_findings(), **change))
    assert "</html>" in page


def test_map_without_rows():
    findings = make_findings(with_classes=False)
    empty = {"x": (), "y": (), "rows": (), "p_values": (), "cells": ()}
    page = make_page(replace(findings, map=replace(findings.map, **empty)))
    assert "There is no map" in page
    assert read_data(page)["x"] == []


def test_codes_that_json_cannot_hold():
    findings = make_findings()
    codes = (np.inf, np.nan, *findings.map.x[2:])
    page = make_page(replace(findings, map=replace(findings.map, x=codes)))
    assert read_data(page)["x"][:2] == [None, None]


def test_a_few_distant_rows_leave_room_for_the_others():
    findings = make_findings()
    far = (1e5, *findings.map.x[1:])
    page = make_page(replace(findings, map=replace(findings.map, x=far)))
    drawn = np.array(read_data(page)["x"])
    assert drawn[0] == drawn.max()
    assert np.ptp(drawn[1:]) > 0.15 * np.ptp(drawn)
    assert np.array_equal(np.argsort(drawn), np.argsort(far))
    assert "distances are shortened" in page
    assert "distances are shortened" not in make_page(findings)


def test_codes_without_a_range():
    findings = make_findings()
    flat = (1.0,) * len(findings.map.x)
    page = make_page(replace(findings, map=replace(findings.map, x=flat, y=flat)))
    assert set(read_data(page)["x"]) == {1.0}


def test_classes_are_in_order():
    findings = make_findings()
    names = [["10", "9", "", "b", "a"][row % 5] for row in range(60)]
    page = make_page(replace(findings, map=replace(findings.map, classes=tuple(names))))
    data = read_data(page)
    assert data["classNames"] == ["9", "10", "a", "b"]
    assert data["classes"][:5] == [1, 0, -1, 3, 2]


def test_rare_classes_share_a_colour():
    findings = make_findings()
    names = ["often"] * 10 + [f"rare {row}" for row in range(50)]
    page = make_page(replace(findings, map=replace(findings.map, classes=tuple(names))))
    data = read_data(page)
    assert len(data["classNames"]) == 35
    assert data["classes"].count(data["classNames"].index("often")) == 10
    assert data["classes"].count(-1) == 60 - 10 - 34


@pytest.mark.parametrize(
    ("p_value", "text"),
    [
        (0.25, "= 0.2500"),
        (0.00123, "= 0.0012"),
        (0.000123, "= 0.00012"),
        (1.234e-6, "= 0.0000012"),
        (1e-6, "≤ 0.000001"),
        (0.0, "≤ 0.000001"),
    ],
)
def test_p_values_keep_two_digits(p_value, text):
    row = AnomalousRow("3", p_value, (Reason("a", "1", "2", 0.5),))
    page = make_page(replace(make_findings(), strangest=(row,)))
    assert f"p {text}" in read_text(page)


@pytest.mark.parametrize(("n_calibration", "share"), [(999, "5.0%"), (30, "3.2%"), (10, "0.0%")])
def test_small_p_values_are_as_many_as_chance_allows(n_calibration, share):
    findings = make_findings()
    shift = replace(findings.shift, n_calibration=n_calibration)
    page = make_page(replace(findings, shift=shift))
    assert f"at most 0.05, where {share} are expected." in read_text(page)
    (label,) = [v for name, v in Reader(page).attributes if name == "aria-label" and "p-val" in v]
    assert label.endswith(f"where {share} are expected.")
    assert f"multiples of 1/{n_calibration + 1}." in read_text(page)


def test_numbering_of_rows_is_said_wherever_rows_are_named():
    sentence = "Rows are numbered from 0, as by iloc in pandas: row 0 is the first below the column"
    assert read_text(make_page(make_findings())).count(sentence) == 3
    assert read_text(make_page(make_findings(with_shift=False))).count(sentence) == 2


def test_columns_with_too_few_cells_have_no_p_value():
    findings = make_findings()
    shift = findings.shift
    weak = replace(shift.columns[-1], p_value=1.0, detectable=0.6)
    columns = (*shift.columns[:-1], weak)
    page = make_page(replace(findings, shift=replace(shift, columns=columns)))
    assert read_text(page).count("too few cells ") == 1 + read_text(make_page(findings)).count(
        "too few cells "
    )


@pytest.mark.parametrize(("noise", "lowest"), [(0.0, "67.0%"), (0.02, "60%"), (1.0, "0%")])
def test_axes_make_noise_look_like_noise(noise, lowest):
    findings = make_findings()
    sizes = (replace(findings.sizes[0], pca_explained=0.68, autoencoder_explained=0.68001),)
    findings = replace(findings, sizes=sizes, explained_noise=noise)
    chart = draw_explained(findings)
    assert chart.y_ticks[0].text == lowest
    levels = [line.points[0][1] for line in chart.lines]
    assert abs(levels[0] - levels[1]) < 0.1


def test_slider_promises_no_more_than_the_tail_allows():
    page = make_page(make_findings())
    # The tail that p-values extrapolate says little of rates so small.
    assert min(read_data(page)["rates"]) == 0.01
    text = read_text(page)
    assert "Beyond the strangest 2% of the rows the p-values are extrapolated" in text


def test_long_names_are_cut():
    page = make_page(replace(make_findings(with_shift=False), table="n" * 500))
    assert "n" * 500 in [value for name, value in Reader(page).attributes if name == "title"]
    assert "n" * 81 not in read_text(page)


def test_file_is_replaced_by_a_whole_one(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_page(make_findings(), path)
    assert path.read_text("utf-8") == make_page(make_findings())


def test_file_survives_a_failure(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    findings = make_findings()
    broken = replace(findings, sizes=(replace(findings.sizes[0], pca_explained="much"),))
    with pytest.raises(TypeError):
        write_page(broken, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_are_not_unicode(tmp_path):
    write_page(replace(make_findings(), table="caf\udce9.csv"), tmp_path / "report.html")
    assert r"caf\udce9.csv" in (tmp_path / "report.html").read_text("utf-8")
