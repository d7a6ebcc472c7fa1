"""The report as its readers see and use it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import KDTree
from scipy.stats import false_discovery_control

from .._command.reports import make_findings, rename

pytest.importorskip(
    "playwright.sync_api", reason='browser tests need Playwright: pip install ".[browser]"'
)
pytestmark = pytest.mark.browser

RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)


def list_drawings(page, layer):
    return [one for one in page.evaluate("window.drawings") if one["layer"] == layer]


def forget_drawings(page):
    page.evaluate("window.drawings = []")


def wait_for_drawings(page):
    # Not by `wait_for_function`, which evaluates texts: the page forbids that.
    assert page.evaluate("""async () => {
        for (let frame = 0; frame < 100 && window.drawings.length === 0; frame++) {
            await new Promise(requestAnimationFrame);
        }
        return window.drawings.length;
    }""")


def locate_rows(page, findings):
    """Return where the map has each row; the order of the codes is the order on the screen."""
    page.locator("#plot").scroll_into_view_if_needed()
    arcs = [one for one in list_drawings(page, "points") if one["method"] == "arc"]
    assert len(arcs) == len(findings.map.rows)
    box = page.locator("#plot canvas").first.bounding_box()
    places = np.zeros((len(arcs), 2))
    places[np.argsort(findings.map.x), 0] = np.sort([one["x"] for one in arcs]) + box["x"]
    # Screens count from the top.
    places[np.argsort(findings.map.y), 1] = -np.sort([-one["y"] for one in arcs]) + box["y"]
    return places


def hover(page, place):
    page.mouse.move(*(place + 1))
    page.mouse.move(*place)
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def make_detected(n_rows=400, n_found=23):
    """Return findings in which several rows are strange, more of them at a higher rate."""
    findings = make_findings(n_rows)
    rng = np.random.default_rng(1)
    p_values = rng.uniform(size=n_rows)
    p_values[:n_found] = 10.0 ** -rng.uniform(1, 6, n_found)
    # Of one digit, so that many are equal, also where the calls end.
    p_values = tuple(float(f"{value:.1g}") for value in p_values)
    strangest = tuple(
        replace(row, row=str(index), p_value=p_values[index])
        for index, row in zip(np.argsort(p_values)[:20], findings.strangest, strict=True)
    )
    return replace(
        findings,
        map=replace(findings.map, p_values=p_values),
        p_values=p_values,
        strangest=strangest,
    )


# Opening ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"shift": None},
        {"strangest": ()},
        {"columns": ()},
        {"sizes": ()},
        {"notes": (), "provenance": ()},
        {"n_rows": 1},
    ],
)
def test_opens_without_a_word(open_page, change):
    page = open_page(replace(make_findings(), **change))
    assert page.locator("h1").inner_text() == "made.csv"
    assert page.locator(".verdict").first.is_visible()
    assert page.locator(".grounds").first.is_visible()
    assert page.title() == "made.csv – skae report"  # noqa: RUF001


def test_opens_without_a_map(open_page):
    findings = make_findings(with_classes=False)
    empty = {"x": (), "y": (), "rows": (), "p_values": (), "cells": ()}
    page = open_page(replace(findings, map=replace(findings.map, **empty)))
    assert "There is no map" in page.locator("#map").inner_text()
    page.get_by_role("slider").fill("3")
    page.get_by_role("button", name="Dark").click()


def test_is_read_without_scripts(open_page):
    findings = make_findings(40, 80)
    page = open_page(findings, java_script_enabled=False)
    text = page.locator("body").inner_text()
    assert [sentence for sentence in findings.verdict if sentence not in text] == []
    assert "need JavaScript" in text
    assert page.locator("#columns tbody tr:visible").count() == 80
    assert not page.locator("#rate").is_visible()


def test_is_told_to_those_who_do_not_see(open_page):
    page = open_page(make_findings())
    assert page.get_by_role("slider", name="False-discovery rate").is_visible()
    assert page.get_by_role("slider").get_attribute("aria-valuetext") == "10%"
    for title in ("Explained variance", "Log-likelihood", "Histogram of p-values"):
        assert page.get_by_role("img", name=title).is_visible()
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator("table:not(:has(caption)):not(.figures)").count() == 0
    for table in ("strange", "columns", "moved"):
        assert page.locator(f"table.{table} thead th:not([scope])").count() == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(set(ids)) == len(ids)
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1


# The map ------------------------------------------------------------------------------


def test_pointing_shows_the_row(open_page):
    findings = make_findings()
    page = open_page(findings)
    tip = page.locator("#tip")
    assert not tip.is_visible()
    places = locate_rows(page, findings)
    for row in (0, 7, 23, 59):
        forget_drawings(page)
        hover(page, places[row])
        rows = findings.map
        expected = [f"Row {row}", f"p = {rows.p_values[row]:.4f}, class {rows.classes[row]}"]
        for pair in zip(rows.columns, rows.cells[row], strict=True):
            expected += pair
        assert tip.inner_text().replace("\n\n", "\n").splitlines() == expected
        (ring,) = list_drawings(page, "highlight")
        box = page.locator("#plot canvas").first.bounding_box()
        np.testing.assert_allclose([ring["x"] + box["x"], ring["y"] + box["y"]], places[row])
        tip_box = tip.bounding_box()
        assert box["x"] <= tip_box["x"]
        assert tip_box["x"] + tip_box["width"] <= box["x"] + box["width"]
    page.mouse.move(5, 5)
    assert not tip.is_visible()


def test_pointing_beside_all_rows_shows_none(open_page):
    findings = make_findings()
    codes = np.array([findings.map.x, findings.map.y])
    codes[:, :30] -= 100
    codes[:, 30:] += 100
    moved = {"x": tuple(codes[0].tolist()), "y": tuple(codes[1].tolist())}
    page = open_page(replace(findings, map=replace(findings.map, **moved)))
    places = locate_rows(page, findings)
    hover(page, places[0])
    box = page.locator("#plot").bounding_box()
    hover(page, np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]))
    assert not page.locator("#tip").is_visible()


def test_ten_thousand_rows_stay_fluid(open_page, capsys):
    findings = make_findings(10_000, 8, with_classes=False)
    page = open_page(findings)
    places = locate_rows(page, findings)
    # A pointer is a pixel or so beside the row that it means.
    lonely = KDTree(places).query(places, k=2)[0][:, 1].argmax()
    forget_drawings(page)
    started = page.evaluate("performance.now()")
    chosen = places[:30]
    for place in chosen:
        page.mouse.move(*place)
    hover(page, places[lonely])
    took = page.evaluate("performance.now()") - started
    assert f"Row {lonely}\n" in page.locator("#tip").inner_text()
    layers = page.evaluate("[...new Set(window.drawings.map((one) => one.layer))]")
    assert layers == ["highlight"]
    assert (
        page.evaluate("window.drawings.length") <= len(chosen) + 2
    )  # one ring a row that is pointed at
    forget_drawings(page)
    page.get_by_role("slider").fill(str(len(RATES) - 1))
    assert list_drawings(page, "points") == []
    with capsys.disabled():
        print(f" {took / (len(chosen) + 2):.1f} ms a movement of the mouse", end="")


def test_keys_step_through_the_rows(open_page):
    findings = make_detected()
    page = open_page(findings)
    order = np.argsort(findings.p_values, kind="stable")
    page.locator("#plot").focus()
    tip = page.locator("#tip strong")
    for key, rank in [("ArrowRight", 0), ("ArrowDown", 1), ("ArrowLeft", 0), ("End", -1)]:
        page.keyboard.press(key)
        found = findings.p_values[int(tip.inner_text().removeprefix("Row "))]
        assert found == findings.p_values[order[rank]]
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_a_row_of_the_list_is_shown_in_the_map(open_page):
    findings = make_detected()
    page = open_page(findings)
    places = locate_rows(page, findings)
    row = int(findings.strangest[2].row)
    forget_drawings(page)
    page.locator("#strangest .show").nth(2).click()
    rings = list_drawings(page, "highlight")
    x = places[row][0] - page.locator("#plot canvas").first.bounding_box()["x"]
    assert {round(ring["x"], 3) for ring in rings} == {round(x, 3)}
    assert page.locator("#tip strong").inner_text() == f"Row {row}"


def test_rows_that_are_not_drawn_are_not_links(open_page):
    findings = make_findings()
    lost = (replace(findings.strangest[0], row="lost"), *findings.strangest[1:])
    page = open_page(replace(findings, strangest=lost))
    assert page.locator("#strangest .show").count() == 19
    assert page.locator("#strangest .where").inner_text() == "lost"


def test_colours_are_of_classes_or_of_p_values(open_page):
    findings = make_detected()
    page = open_page(findings)
    legend = page.locator("#legend")
    assert legend.inner_text().split("\n") == ["blue", "green", "red", "called an anomaly"]
    colours = {one["colour"] for one in list_drawings(page, "points") if one["method"] == "arc"}
    assert len(colours) == 3
    forget_drawings(page)
    page.get_by_role("radio", name="p-value").check()
    assert legend.inner_text().split("\n")[0] == "p below 0.001"
    arcs = [one for one in list_drawings(page, "points") if one["method"] == "arc"]
    bands = np.searchsorted([0.001, 0.01, 0.1], findings.p_values, side="right")
    counts = sorted(np.unique([one["colour"] for one in arcs], return_counts=True)[1])
    assert counts == sorted(np.bincount(bands))


def test_touch(open_page):
    findings = make_findings()
    page = open_page(findings, has_touch=True, viewport={"width": 390, "height": 844})
    places = locate_rows(page, findings)
    page.touchscreen.tap(*places[11])
    assert page.locator("#tip strong").inner_text() == "Row 11"
    tip = page.locator("#tip").bounding_box()
    assert tip["x"] >= 0
    assert tip["x"] + tip["width"] <= 390


# The slider ---------------------------------------------------------------------------


def test_slider_calls_what_benjamini_and_hochberg_call(open_page):
    findings = make_detected()
    page = open_page(findings)
    adjusted = false_discovery_control(findings.p_values)
    slider, counts = page.get_by_role("slider"), []
    for index, rate in enumerate(RATES):
        forget_drawings(page)
        slider.fill(str(index))
        found = adjusted <= rate
        counts.append(int(found.sum()))
        called = page.locator("#called").inner_text()
        start = f"{counts[-1]} of 400 rows" if counts[-1] else "None of 400 rows"
        assert called.startswith(start)
        assert slider.get_attribute("aria-valuetext") == f"{rate * 100:g}%"
        assert len(list_drawings(page, "marks")) == counts[-1]
        badges = page.locator("#strangest tbody:has(.badge:visible) .show").all_inner_texts()
        assert set(badges) == {row.row for row in findings.strangest if found[int(row.row)]}
    assert counts[0] < counts[RATES.index(0.1)] < counts[-1]


def test_slider_says_how_many_may_be_ordinary(open_page):
    page = open_page(make_detected())
    page.get_by_role("slider").fill(str(RATES.index(0.5)))
    text = page.locator("#called").inner_text()
    n_ordinary = round(int(text.split()[0]) * 0.5)
    assert "If the tail falls off exponentially, on average up to 50% of them are ordinary" in text
    assert text.endswith(f": here about {n_ordinary}.")
    page.get_by_role("slider").fill(str(RATES.index(0.01)))
    assert page.locator("#called").inner_text().endswith("are ordinary: here less than one.")


def test_slider_counts_all_rows_of_a_table_that_is_not_drawn_whole(open_page):
    findings = make_detected()
    rows = findings.map
    drawn = {
        name: getattr(rows, name)[200:]
        for name in ("x", "y", "rows", "p_values", "classes", "cells")
    }
    page = open_page(replace(findings, map=replace(rows, **drawn)))
    assert "200 of 400 rows are drawn" in page.locator("#map .lead").inner_text()
    n_found = (false_discovery_control(findings.p_values) <= 0.1).sum()
    assert page.locator("#called").inner_text().startswith(f"{n_found} of 400 rows")


# Tables -------------------------------------------------------------------------------


def test_columns_are_sorted(open_page):
    findings = make_findings(n_columns=12)
    page = open_page(findings)
    names = page.locator("#columns tbody th")
    heading = page.get_by_role("columnheader", name="Predicted by the others")
    known = [column for column in findings.columns if column.predicted_by_others is not None]
    best = sorted(known, key=lambda column: -column.predicted_by_others)
    unknown = [column.name for column in findings.columns if column.predicted_by_others is None]
    heading.get_by_role("button").click()
    assert names.all_inner_texts() == [column.name for column in best] + unknown
    assert heading.get_attribute("aria-sort") == "descending"
    heading.get_by_role("button").click()
    assert names.all_inner_texts() == [column.name for column in best[::-1]] + unknown
    page.get_by_role("columnheader", name="Column", exact=True).get_by_role("button").click()
    assert names.all_inner_texts() == [f"column {number}" for number in range(12)]
    assert heading.get_attribute("aria-sort") is None


def test_long_tables_are_shortened(open_page):
    page = open_page(make_findings(n_columns=200))
    rows = page.locator("#columns tbody tr:visible")
    assert rows.count() == 25
    page.locator("#columns").get_by_role("button", name="Predicted by the others").click()
    assert rows.count() == 25
    page.locator("#columns").get_by_role("button", name="Show all 200 columns").click()
    assert rows.count() == 200


# Themes, phones and paper -------------------------------------------------------------

# The contrast of each visible text with what is behind it, where it is less than 4.5.
FIND_FAINT = """() => {
  const parse = (colour) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const measure = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("script, style, noscript, .hidden, .skip, title")) continue;
    const style = getComputedStyle(element);
    const ink = parse(element instanceof SVGElement ? style.fill : style.color);
    let behind = element;
    while (parse(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
    const paper = parse(getComputedStyle(behind).backgroundColor);
    const [light, dark] = [measure(ink), measure(paper)].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    count += 1;
    if (contrast < 4.5) faint.push([element.outerHTML.slice(0, 80), contrast]);
  }
  return [count, faint];
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_are_readable_in_both_themes(open_page, theme):
    page = open_page(make_detected(), color_scheme=theme)
    lightness = sum(
        page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    )
    assert lightness > 700 if theme == "light" else lightness < 100
    count, faint = page.evaluate(FIND_FAINT)
    assert count > 200
    assert faint == []


def test_theme_is_switched(open_page):
    page = open_page(make_findings(), color_scheme="light")
    read = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(read)
    colours = {one["colour"] for one in list_drawings(page, "points")}
    forget_drawings(page)
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(read) != light
    wait_for_drawings(page)
    assert not colours & {one["colour"] for one in list_drawings(page, "points")}
    assert page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Auto").click()
    assert page.evaluate(read) == light
    forget_drawings(page)
    page.emulate_media(color_scheme="dark")
    wait_for_drawings(page)
    assert page.evaluate(read) != light


@pytest.mark.parametrize("name", ["", "unbroken" * 60, "many words " * 40, "שלום 👩‍👩‍👧 \u202eabc"])
def test_nothing_is_wider_than_a_phone(open_page, name):
    findings = rename(make_findings(n_columns=40), name) if name else make_findings()
    page = open_page(findings, viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    beyond = page.evaluate("""[...document.querySelectorAll("body *")].filter((element) => {
        const { right, left, width } = element.getBoundingClientRect();
        return width > 0 && (right > 390.5 || left < 0) && element.checkVisibility() &&
            !element.closest(".skip, .scroll, .tip, .hidden");
    }).map((element) => element.outerHTML.slice(0, 100))""")
    assert beyond == []


def test_columns_on_a_phone_have_whole_headings(open_page):
    """No heading is cut by a bar or breaks, and names break between words."""
    findings = make_findings()
    name = "median_household_income_in_past_twelve_months"
    columns = (replace(findings.columns[0], name=name), *findings.columns[1:])
    page = open_page(replace(findings, columns=columns), viewport={"width": 390, "height": 844})
    # The space of labels in front of bars, less that of their texts.
    spare = page.evaluate("""[...document.querySelectorAll("#columns td.measure")].map((cell) => {
        const style = getComputedStyle(cell, "::before");
        const context = document.createElement("canvas").getContext("2d");
        context.font = style.font;
        const bar = cell.querySelector(".bar").getBoundingClientRect();
        const label = context.measureText(cell.dataset.label).width;
        return bar.left - cell.getBoundingClientRect().left - label;
    })""")
    assert len(spare) == 6
    assert min(spare) >= 0
    headings = page.locator("#columns thead th:visible")
    assert headings.count() == 4
    for heading in headings.all():
        assert heading.bounding_box()["height"] < 30  # one line
    left = page.locator("#columns").bounding_box()["x"]
    assert min(heading.bounding_box()["x"] for heading in headings.all()[1:]) == left
    lines = page.evaluate("""(() => {
        const text = document.querySelector("#columns tbody bdi");
        const found = {};
        for (const node of text.childNodes) {
            if (node.nodeType !== Node.TEXT_NODE) continue;
            const range = document.createRange();
            range.selectNode(node);
            const rectangles = range.getClientRects();
            for (const { top } of rectangles) found[top] = (found[top] ?? "") + node.data;
        }
        return Object.values(found);
    })()""")
    assert len(lines) == 2
    assert "".join(lines) == name  # no word is in both


def test_paper_has_all_rows_and_no_controls(open_page):
    page = open_page(make_findings(n_columns=60), color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#strangest tbody:visible").count() == 20
    assert page.locator("#columns tbody tr:visible").count() == 60
    assert page.locator("#called-again").inner_text().startswith("False-discovery rate 10%: ")
    assert page.locator("details:not([open])").count() == 0
    for control in ("#rate", "nav", ".themes", "#colouring", ".more-rows"):
        assert page.locator(f"{control}:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    _, faint = page.evaluate(FIND_FAINT)
    assert faint == []
    paper = page.locator("#plot canvas:visible")
    assert paper.count() == 1
    assert paper.evaluate(
        "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
        ".data.some((value) => value > 0)"
    )
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#plot canvas:visible").count() == 3
    assert page.locator("details:not([open])").count() == 1
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


# Hostile names ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\"'><svg onload=alert(1)>",
        "{{ 7 * 7 }}{% raw %}",
        "<!--<script>",
    ],
)
def test_names_stay_text(open_page, name):
    findings = rename(make_findings(), name)
    page = open_page(findings)
    assert page.locator("h1").inner_text() == name
    assert page.locator(".verdict, .grounds").all_inner_texts() == [name] * 4
    assert page.locator("#columns tbody th").first.inner_text() == name
    assert page.locator("#legend li").first.inner_text() == f"{name}blue"
    assert page.locator("script").count() == 2
    assert page.locator("img, main iframe").count() == 0
    hover(page, locate_rows(page, findings)[5])
    tip = page.locator("#tip")
    assert tip.locator("strong").inner_text() == f"Row {name}5"
    assert tip.locator("dt").first.inner_text() == f"{name}column 0"
    assert tip.locator("dd").first.inner_text() == findings.map.cells[5][0]
    page.locator(".show").first.click()
    page.get_by_role("button", name="Dark").click()


def test_no_other_script_may_run(browser, tmp_path):
    # Even where a name became markup, its script would not be run.
    from skae._command.page import make_page

    page = make_page(make_findings()).replace("<main>", "<main><script>document.title='x'</script>")
    (tmp_path / "page.html").write_text(page, "utf-8")
    tab = browser.new_page()
    messages = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.goto((tmp_path / "page.html").as_uri())
    assert tab.title() != "x"
    assert "Content Security Policy" in messages[0]
    tab.close()
