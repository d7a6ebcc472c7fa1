// Tables that are sorted by a click, and shortened until more is asked for.

function sortTable(table, column, descending) {
  const heading = table.tHead.rows[0].cells[column];
  const isNumber = heading.dataset.sort === "number";
  const rows = [...table.tBodies[0].rows].map((row) => [row.cells[column].dataset.value, row]);
  rows.sort(([first], [second]) => {
    if (isNumber) {
      if (first === "" || second === "") return (first === "") - (second === ""); // last
      return (descending ? -1 : 1) * (first - second);
    }
    return (descending ? -1 : 1) * first.localeCompare(second, "en", { numeric: true });
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if (heading.dataset.sort === undefined) return;
    const button = makeElement("button", heading.textContent);
    button.type = "button";
    button.className = "sort";
    button.addEventListener("click", () => {
      // The largest number is what a reader looks for; names begin with the first.
      const now = heading.getAttribute("aria-sort");
      const descending = now === null ? heading.dataset.sort === "number" : now === "ascending";
      sortTable(table, column, descending);
      shortenTable(table);
    });
    heading.replaceChildren(button);
  });
}

// Hide the rows beyond the first, which printing shows.
function shortenTable(table) {
  const shown = Number(table.dataset.shown);
  const rows = [...table.tBodies[0].rows];
  const isLong = rows.length > shown + 5 && table.dataset.all === undefined;
  rows.forEach((row, index) => row.classList.toggle("beyond", isLong && index >= shown));
}

function makeExpandable(table) {
  shortenTable(table);
  const nRows = table.tBodies[0].rows.length;
  if (table.querySelector(".beyond") === null) return;
  const button = makeElement("button", `Show all ${formatCount(nRows)} columns`);
  button.type = "button";
  button.className = "more-rows";
  button.addEventListener("click", () => {
    table.dataset.all = "";
    shortenTable(table);
    button.remove();
  });
  table.after(button);
}
