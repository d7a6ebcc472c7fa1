// The map of the rows: three layers, so that pointing at a row draws one mark and not all.

const COLOURS = {
  light: ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"],
  dark: ["#4AA3DF", "#F0803C", "#1FBF93", "#DE9CC2", "#A5D8F6", "#F2C14E", "#FFFFFF"],
};
const RADIUS = 3.2;
const MARGIN = 22;
const REACH = 24; // how far from a row pointing still finds it, in pixels
const MOST_CELLS = 14;
const MOST_LABELS = 12; // classes whose names are written into the map

// p-values in order, with the colour's name in the style sheet.
const BANDS = [
  { below: 0.001, name: "p below 0.001", colour: "--lowest", radius: 4.2 },
  { below: 0.01, name: "below 0.01", colour: "--lower", radius: 3.8 },
  { below: 0.1, name: "below 0.1", colour: "--low", radius: 3.4 },
  { below: Infinity, name: "0.1 and above", colour: "--common", radius: 3 },
];

// Return a colour of the style sheet as the present theme has it.
function readColour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function isDark() {
  const probe = document.createElement("span");
  probe.style.color = "light-dark(#fff, #000)";
  document.body.append(probe);
  const dark = getComputedStyle(probe).color === "rgb(0, 0, 0)";
  probe.remove();
  return dark;
}

function traceMark(context, mark, x, y, radius) {
  context.beginPath();
  if (mark === 0) {
    context.arc(x, y, radius, 0, 2 * Math.PI);
  } else if (mark === 1) {
    context.rect(x - radius * 0.9, y - radius * 0.9, radius * 1.8, radius * 1.8);
  } else {
    const corners = [3, 4, 3, 5][mark - 2] ?? 6;
    const turn = mark === 4 ? Math.PI / 2 : -Math.PI / 2;
    for (let corner = 0; corner < corners; corner++) {
      const angle = turn + (corner * 2 * Math.PI) / corners;
      context.lineTo(x + radius * 1.25 * Math.cos(angle), y + radius * 1.25 * Math.sin(angle));
    }
    context.closePath();
  }
}

// Rows by square of the screen, so that the nearest one is found among few.
class Grid {
  constructor(xs, ys, size) {
    this.xs = xs;
    this.ys = ys;
    this.size = size;
    this.squares = new Map();
    for (let index = 0; index < xs.length; index++) {
      if (Number.isFinite(xs[index])) {
        const key = this.key(xs[index], ys[index]);
        const square = this.squares.get(key);
        square ? square.push(index) : this.squares.set(key, [index]);
      }
    }
  }

  key(x, y) {
    return Math.floor(x / this.size) * 65536 + Math.floor(y / this.size);
  }

  // Return the row nearest to a position, -1 if none is within a square's side.
  findNearest(x, y) {
    let [nearest, least] = [-1, this.size ** 2];
    for (const dx of [-this.size, 0, this.size]) {
      for (const dy of [-this.size, 0, this.size]) {
        for (const index of this.squares.get(this.key(x + dx, y + dy)) ?? []) {
          const distance = (this.xs[index] - x) ** 2 + (this.ys[index] - y) ** 2;
          if (distance <= least) [nearest, least] = [index, distance];
        }
      }
    }
    return nearest;
  }
}

class RowMap {
  constructor(data, plot, tip, legend) {
    this.data = data;
    this.plot = plot;
    this.tip = tip;
    this.legend = legend;
    this.layers = {};
    for (const canvas of plot.querySelectorAll("canvas")) {
      this.layers[canvas.dataset.layer] = canvas;
    }
    this.colouring = data.classes ? "class" : "p";
    this.threshold = -1;
    this.selected = -1; // chosen in the list
    this.pointed = -1; // under the pointer
    // The strangest rows last: they are drawn over the others.
    this.order = data.p.map((_, index) => index).sort((a, b) => data.p[b] - data.p[a]);
    this.rank = -1; // of the row that the arrow keys have reached
    this.listen();
    new ResizeObserver(() => this.resize()).observe(plot);
  }

  listen() {
    let waiting = null;
    this.plot.addEventListener("pointermove", (event) => {
      if (waiting === null) requestAnimationFrame(() => {
        const box = this.plot.getBoundingClientRect();
        this.point(this.grid.findNearest(waiting.clientX - box.left, waiting.clientY - box.top));
        waiting = null;
      });
      waiting = event;
    });
    this.plot.addEventListener("pointerdown", (event) => {
      const box = this.plot.getBoundingClientRect();
      this.point(this.grid.findNearest(event.clientX - box.left, event.clientY - box.top));
    });
    this.plot.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.point(-1);
    });
    this.plot.addEventListener("keydown", (event) => this.step(event));
    this.plot.addEventListener("blur", () => this.point(-1));
  }

  step(event) {
    const last = this.order.length - 1;
    const next = {
      ArrowRight: Math.min(this.rank + 1, last),
      ArrowDown: Math.min(this.rank + 1, last),
      ArrowLeft: Math.max(this.rank - 1, 0),
      ArrowUp: Math.max(this.rank - 1, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Escape") {
      this.selected = -1;
      this.point(-1);
    } else if (next !== undefined) {
      event.preventDefault();
      this.rank = next;
      this.point(this.order[last - next]);
    }
  }

  // Draw on a canvas of its own: what is drawn anew while printing begins comes out blank.
  drawOnPaper() {
    const canvas = document.createElement("canvas");
    canvas.className = "paper";
    canvas.width = 2 * this.width;
    canvas.height = 2 * this.height;
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    this.drawPoints(context);
    this.drawMarks(context);
    this.plot.append(canvas);
    this.fillLegend();
  }

  removePaper() {
    this.plot.querySelector(".paper")?.remove();
    this.fillLegend();
  }

  // Place all rows anew; the plot has another size.
  resize() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    // A page that is printed shows the drawing as it is on the screen.
    if (width === 0 || height === 0 || matchMedia("print").matches) return;
    this.width = width;
    this.height = height;
    this.plot.style.setProperty("--aspect", width / height);
    const scale = window.devicePixelRatio || 1;
    for (const canvas of Object.values(this.layers)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.getContext("2d").scale(canvas.width / width, canvas.height / height);
    }
    this.xs = this.place(this.data.x, this.data.y, MARGIN, width - MARGIN);
    this.ys = this.place(this.data.y, this.data.x, height - MARGIN, MARGIN);
    this.grid = new Grid(this.xs, this.ys, REACH);
    this.draw();
  }

  // Return positions of codes between two edges; rows without both codes have none.
  place(codes, others, start, end) {
    const isKnown = (index) => codes[index] !== null && others[index] !== null;
    let [low, high] = [Infinity, -Infinity];
    codes.forEach((code, index) => {
      if (isKnown(index)) [low, high] = [Math.min(low, code), Math.max(high, code)];
    });
    const span = high - low;
    return codes.map((code, index) => {
      if (!isKnown(index)) return NaN;
      return start + (span > 0 ? (code - low) / span : 0.5) * (end - start);
    });
  }

  draw() {
    this.ink = readColour("--ink");
    this.drawPoints(this.clear("points"));
    this.drawMarks(this.clear("marks"));
    this.drawHighlight();
    this.fillLegend();
  }

  clear(layer) {
    const context = this.layers[layer].getContext("2d");
    context.clearRect(0, 0, this.width, this.height);
    return context;
  }

  // Return the colour, the mark and the size of each row.
  chooseStyles() {
    if (this.colouring === "p") {
      const colours = BANDS.map((band) => readColour(band.colour));
      return (index) => {
        const band = BANDS.findIndex((band) => this.data.p[index] < band.below);
        return { colour: colours[band], mark: 0, radius: BANDS[band].radius };
      };
    }
    const palette = COLOURS[isDark() ? "dark" : "light"];
    const common = readColour("--common");
    return (index) => {
      const number = this.data.classes[index];
      if (number < 0) return { colour: common, mark: 0, radius: RADIUS };
      const mark = Math.floor(number / palette.length);
      return { colour: palette[number % palette.length], mark, radius: RADIUS };
    };
  }

  drawPoints(context) {
    const style = this.chooseStyles();
    context.globalAlpha = this.order.length > 2000 ? 0.55 : 0.75;
    for (const index of this.order) {
      if (Number.isFinite(this.xs[index])) {
        const { colour, mark, radius } = style(index);
        context.fillStyle = colour;
        traceMark(context, mark, this.xs[index], this.ys[index], radius);
        context.fill();
      }
    }
    context.globalAlpha = 1;
    if (this.colouring === "class" && this.data.classNames.length <= MOST_LABELS) {
      this.writeClasses(context);
    }
  }

  // Write each class's name among its rows.
  writeClasses(context) {
    context.font = "600 15px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 5;
    context.strokeStyle = readColour("--paper");
    context.fillStyle = readColour("--ink");
    this.data.classNames.forEach((name, number) => {
      const own = this.order.filter(
        (index) => this.data.classes[index] === number && Number.isFinite(this.xs[index]),
      );
      if (own.length === 0) return;
      const middle = (positions) => {
        const sorted = own.map((index) => positions[index]).sort((a, b) => a - b);
        return sorted[Math.floor(sorted.length / 2)];
      };
      // At the row nearest to the middle, which may itself be far from all rows.
      const [middleX, middleY] = [middle(this.xs), middle(this.ys)];
      const measure = (index) => (this.xs[index] - middleX) ** 2 + (this.ys[index] - middleY) ** 2;
      const central = own.reduce((best, index) => (measure(index) < measure(best) ? index : best));
      const text = name.length > 18 ? `${name.slice(0, 17)}…` : name;
      const half = context.measureText(text).width / 2 + 6;
      const x = Math.min(Math.max(this.xs[central], half), this.width - half);
      const y = this.ys[central];
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    });
  }

  // Ring the rows that are called anomalies.
  drawMarks(context) {
    context.strokeStyle = readColour("--alarm");
    context.lineWidth = 1.6;
    for (const index of this.order) {
      if (this.data.p[index] <= this.threshold && Number.isFinite(this.xs[index])) {
        traceMark(context, 0, this.xs[index], this.ys[index], 6);
        context.stroke();
      }
    }
  }

  drawHighlight() {
    const context = this.clear("highlight");
    for (const [index, radius] of [[this.selected, 11], [this.pointed, 7]]) {
      if (index >= 0 && Number.isFinite(this.xs[index])) {
        context.strokeStyle = this.ink;
        context.lineWidth = 2.5;
        traceMark(context, 0, this.xs[index], this.ys[index], radius);
        context.stroke();
      }
    }
  }

  // Mark the rows whose p-values are at most a threshold.
  mark(threshold) {
    this.threshold = threshold;
    if (this.grid) this.drawMarks(this.clear("marks"));
  }

  colour(colouring) {
    this.colouring = colouring;
    if (this.grid) this.draw();
  }

  // Highlight a row for good, as one that was chosen in a list.
  select(index) {
    this.selected = index;
    this.pointed = -1;
    this.point(index);
  }

  // Highlight a row and say what it is; -1 is none.
  point(index) {
    if (index === this.pointed) return;
    this.pointed = index;
    this.drawHighlight();
    this.tip.hidden = index < 0;
    if (index < 0) return;
    this.fillTip(index);
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const [x, y] = [this.xs[index] || 0, this.ys[index] || 0];
    const left = x + 16 + width <= this.width ? x + 16 : x - 16 - width;
    this.tip.style.left = `${Math.min(Math.max(left, 4), Math.max(this.width - width - 4, 4))}px`;
    this.tip.style.top = `${Math.min(Math.max(y - height / 2, 4), Math.max(this.height - height - 4, 4))}px`;
  }

  fillTip(index) {
    const { rows, p, classes, classNames, columns, cells } = this.data;
    const parts = [makeElement("strong", "Row ", makeElement("bdi", cut(rows[index])))];
    parts.push(makeElement("span", formatP(p[index])));
    parts[1].className = "p";
    if (classes) {
      const name = classes[index] < 0 ? "none" : cut(classNames[classes[index]]);
      parts[1].append(", class ", makeElement("bdi", name));
    }
    const list = makeElement("dl");
    columns.slice(0, MOST_CELLS).forEach((column, number) => {
      list.append(
        makeElement("dt", makeElement("bdi", cut(column))),
        makeElement("dd", makeElement("bdi", cut(cells[index][number]))),
      );
    });
    parts.push(list);
    if (columns.length > MOST_CELLS) {
      const more = columns.length - MOST_CELLS;
      parts.push(makeElement("p", `and ${more} more ${more === 1 ? "column" : "columns"}`));
      parts.at(-1).className = "more";
    }
    this.tip.replaceChildren(...parts);
  }

  fillLegend() {
    const items = [];
    const add = (name, draw) => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 28;
      const context = canvas.getContext("2d");
      context.scale(2, 2);
      draw(context);
      items.push(makeElement("li", canvas, makeElement("bdi", cut(name))));
    };
    const addFilled = (name, colour, mark, radius) =>
      add(name, (context) => {
        context.fillStyle = colour;
        traceMark(context, mark, 7, 7, radius);
        context.fill();
      });
    if (this.colouring === "p") {
      for (const band of BANDS) addFilled(band.name, readColour(band.colour), 0, 4.5);
    } else {
      const palette = COLOURS[isDark() ? "dark" : "light"];
      this.data.classNames.forEach((name, number) => {
        const mark = Math.floor(number / palette.length);
        addFilled(name, palette[number % palette.length], mark, 4.5);
      });
      if (this.data.classes.includes(-1)) {
        addFilled("no class, or a rare one", readColour("--common"), 0, 4.5);
      }
    }
    add("called an anomaly", (context) => {
      context.strokeStyle = readColour("--alarm");
      context.lineWidth = 1.6;
      traceMark(context, 0, 7, 7, 5.5);
      context.stroke();
    });
    this.legend.replaceChildren(...items);
  }
}
