"""Pages of a report, opened in the Chromium of this machine."""

import shutil

import pytest

from skae._command.page import write_page

# What is drawn on which layer of the map, and where.
RECORD_DRAWINGS = """
window.drawings = [];
for (const method of ["arc", "rect", "lineTo", "fillText"]) {
  const original = CanvasRenderingContext2D.prototype[method];
  CanvasRenderingContext2D.prototype[method] = function (...values) {
    const [x, y] = method === "fillText" ? values.slice(1) : values;
    const colour = this.fillStyle;
    window.drawings.push({ layer: this.canvas.dataset.layer ?? "", method, x, y, colour });
    return original.apply(this, values);
  };
}
"""


def find_chromium():
    """Return the path of a Chromium, None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright  # here, because it is optional

    path = find_chromium()
    if path is None:
        pytest.skip("browser tests need Chromium: apt-get install chromium")
    with sync_playwright() as session:
        browser = session.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Return a function that opens a report, in which nothing may go wrong.

    That is a message in the console, an error, a dialog, or a request for anything else.
    """
    contexts, wrong = [], []

    def open_it(findings, **options):
        path = tmp_path / f"report {len(contexts)}.html"
        write_page(findings, path)
        contexts.append(
            browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        )
        page = contexts[-1].new_page()
        page.on("console", lambda message: wrong.append(("console", message.text)))
        page.on("pageerror", lambda error: wrong.append(("error", str(error))))
        page.on(
            "dialog", lambda dialog: (wrong.append(("dialog", dialog.message)), dialog.dismiss())
        )
        page.on(
            "request",
            lambda request: request.url == path.as_uri() or wrong.append(("request", request.url)),
        )
        page.add_init_script(RECORD_DRAWINGS)
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True) and findings.map.rows:
            page.wait_for_selector("#legend li")  # which is filled once the map is drawn
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert wrong == []
