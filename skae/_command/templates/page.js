// The parts of the page, put to work.

// Text goes in as text, so that no name can become markup.
function makeElement(tag, ...children) {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}

function cut(text) {
  const letters = [...text];
  return letters.length <= 60 ? text : `${letters.slice(0, 59).join("")}…`;
}

function formatP(p) {
  if (p <= 1e-6) return "p ≤ 0.000001";
  return `p = ${p.toFixed(p < 0.001 ? 1 - Math.floor(Math.log10(p)) : 4)}`;
}

const data = JSON.parse(document.getElementById("data").textContent);
const plot = document.getElementById("plot");
const map = plot
  ? new RowMap(data, plot, document.getElementById("tip"), document.getElementById("legend"))
  : null;

for (const element of document.querySelectorAll(".controls[hidden]")) {
  element.hidden = element.id === "colouring" && data.classes === null;
}

for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
for (const table of document.querySelectorAll("table[data-shown]")) makeExpandable(table);

// The slider
const slider = document.getElementById("rate");

function call() {
  const rate = data.rates[slider.value];
  const { threshold, count } = findDiscoveries(data.small, data.nRows, rate);
  document.getElementById("rate-value").textContent = formatPercent(rate);
  slider.setAttribute("aria-valuetext", formatPercent(rate));
  const [stressed, rest] = describeDiscoveries(count, data.nRows, rate);
  document.getElementById("called").replaceChildren(makeElement("strong", stressed), rest);
  const again = document.getElementById("called-again");
  again.textContent = `False-discovery rate ${formatPercent(rate)}: ${stressed}${rest}`;
  for (const body of document.querySelectorAll("tbody[data-p]")) {
    const isCalled = Number(body.dataset.p) <= threshold;
    body.classList.toggle("called", isCalled);
    body.querySelector(".badge").hidden = !isCalled;
  }
  map?.mark(threshold);
}
slider.addEventListener("input", call);
call();

// The map's colours, and the rows that the list shows in it
for (const radio of document.querySelectorAll('input[name="colouring"]')) {
  radio.addEventListener("change", () => map.colour(radio.value));
}
for (const button of document.querySelectorAll(".show")) {
  button.addEventListener("click", () => {
    map.select(Number(button.dataset.index));
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    plot.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  });
}

// Themes: the map is drawn anew in the other's colours
const root = document.documentElement;
for (const button of document.querySelectorAll(".themes button")) {
  button.addEventListener("click", () => {
    root.dataset.theme = button.dataset.theme;
    for (const other of document.querySelectorAll(".themes button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    if (map?.grid) map.draw();
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (map?.grid) map.draw();
});

// Paper is light, and shows what is folded
const folded = [];
let themeOfScreen = null;
addEventListener("beforeprint", () => {
  folded.splice(0, Infinity, ...document.querySelectorAll("details:not([open])"));
  for (const element of folded) element.open = true;
  themeOfScreen = root.dataset.theme ?? "";
  root.dataset.theme = "light";
  if (map?.grid) map.drawOnPaper();
});
addEventListener("afterprint", () => {
  for (const element of folded) element.open = false;
  root.dataset.theme = themeOfScreen;
  if (map?.grid) map.removePaper();
});
