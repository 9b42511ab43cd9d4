// How does a reader look into the report? Charts with zoom, hover, linear and logarithmic axes, and a layer picker, on
// canvases. Reads the data that report.py has put into the page; needs no network and no library.
"use strict";

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000"];
const DASHES = [[], [8, 3], [2, 2], [8, 3, 2, 3], [4, 2, 1, 2, 1, 2], [12, 4]];
const HEIGHT = 300;
const SLACK = 1e-9;  // of rounding, in ticks
const LINEAR_DECADES = 0.4;  // that the linear piece of a logarithmic axis takes
const MARGIN = { left: 68, right: 22, top: 10, bottom: 40 };

const report = JSON.parse(document.getElementById("data").textContent);
const charts = [];

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function formatted(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3).replace(/\.?0+e\+?/, "e");
  return String(Number(value.toPrecision(5)));
}

// A number of steps, digit by digit.
function counted(value) {
  return value.toLocaleString("en", { maximumFractionDigits: 3 });
}

function look(i) {
  return { colour: COLOURS[i % COLOURS.length], dash: DASHES[i % DASHES.length] };
}

// One axis: data to pixels and back. A logarithmic one is linear below `linear`, where that is not 0 (steps begin at 0), and
// otherwise leaves out what is not positive.
class Scale {
  constructor(low, high, first, last, logarithmic, linear = 0) {
    this.logarithmic = logarithmic;
    this.linear = linear;
    this.low = this.place(low);
    this.high = this.place(high);
    if (this.high === this.low) {
      const margin = logarithmic ? 0.5 : Math.abs(this.low) * 0.05 || 1;
      this.low -= margin;
      this.high += margin;
    }
    this.first = first;
    this.last = last;
  }
  holds(value) {
    return value !== null && (!this.logarithmic || this.linear > 0 || value > 0);
  }
  // The coordinate in which the axis is even.
  place(value) {
    if (!this.logarithmic) return value;
    if (value >= this.linear) return Math.log10(value);
    return Math.log10(this.linear) + LINEAR_DECADES * (value / this.linear - 1);
  }
  valueAt(place) {
    if (!this.logarithmic) return place;
    const knee = Math.log10(this.linear);
    return place >= knee ? 10 ** place : this.linear * (1 + (place - knee) / LINEAR_DECADES);
  }
  pixel(value) {
    return this.first + ((this.place(value) - this.low) / (this.high - this.low)) * (this.last - this.first);
  }
  value(pixel) {
    return this.valueAt(this.low + ((pixel - this.first) / (this.last - this.first)) * (this.high - this.low));
  }
  ticks() {
    return this.logarithmic && this.high - this.low >= 1 ? this.decades() : this.steps();
  }
  decades() {
    const range = this.high - this.low;
    const every = Math.ceil(range / 7);
    const within = range < 2 ? [1, 2, 5] : [1];  // two decades may hold one power of ten
    const found = this.linear > 0 ? [0] : [];
    const lowest = Math.max(this.low, Math.log10(this.linear));
    for (let e = every > 1 ? Math.ceil(lowest - SLACK) : Math.floor(lowest); e <= this.high + SLACK; e += every) {
      found.push(...within.map((n) => n * 10 ** e).filter((tick) => Math.log10(tick) >= lowest - SLACK));
    }
    return found.filter((tick) => this.place(tick) >= this.low - SLACK && this.place(tick) <= this.high + SLACK);
  }
  steps() {
    const [low, high] = [this.low, this.high].map((place) => this.valueAt(place));
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    const first = Math.ceil(low / step - SLACK);
    const count = Math.floor(high / step + SLACK) - first + 1;
    return Array.from({ length: Math.min(count, 12) || 0 }, (_, i) => (first + i) * step);
  }
}

// Lines over an axis. `lines`: [{label, x, y, style}], `marks`: [{x, label, dash}].
class Chart {
  constructor(parent, { title, xLabel = "optimizer step", yLabel = "", xLog = true, yLog = false, controls = [] }) {
    Object.assign(this, { title, xLabel, yLabel, lines: [], marks: [], why: [], hidden: new Set(), view: null });
    this.asked = { x: xLog, y: yLog };  // logarithmic axes
    this.chosen = {};  // the same by the reader, who is obeyed
    this.facts = { x: factsOf([], "x"), y: factsOf([], "y") };
    this.canvas = element("canvas", { role: "img", "aria-label": title });
    this.tooltip = element("div", { class: "tooltip", hidden: "" });
    this.legend = element("div", { class: "legend" });
    this.heading = element("strong", {}, title);
    this.remark = element("div", { class: "note" });
    this.toggles = { x: this.toggle("x"), y: this.toggle("y") };
    const header = element("header", {}, this.heading, ...controls, this.toggles.x, this.toggles.y);
    header.append(element("button", { class: "reset", onclick: () => this.reset() }, "reset zoom"));
    this.root = element("div", { class: "chart" }, header, this.canvas, this.remark, this.legend, this.tooltip);
    parent.append(this.root);
    this.listen();
    charts.push(this);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  toggle(axis) {
    const button = element("button", { class: `toggle ${axis}-log` }, `log ${axis}`);
    button.addEventListener("click", () => {
      this.chosen[axis] = !this.isLog(axis);
      this.reset();
    });
    return button;
  }

  // `why` says in lines of text why there are none of `lines`.
  show(lines, marks = [], heading = this.title, why = []) {
    this.lines = lines.map((line, i) => ({ ...look(i), ...line }));
    this.facts = { x: factsOf(lines, "x"), y: factsOf(lines, "y") };
    this.why = why;
    this.marks = marks;
    this.heading.textContent = heading;
    this.hidden.clear();
    this.drawLegend();
    this.reset();
  }

  reset() {
    this.view = null;
    for (const [axis, button] of Object.entries(this.toggles)) {
      button.setAttribute("aria-pressed", this.isLog(axis));
      button.disabled = this.facts[axis].smallest === Infinity;
    }
    this.draw();
  }

  shown() {
    return this.lines.filter((line) => !this.hidden.has(line.label));
  }

  // Whether an axis is logarithmic: as the reader chose, else as asked for where no value is negative; where any is positive.
  isLog(key) {
    const { smallest, negative } = this.facts[key];
    return smallest < Infinity && (this.chosen[key] ?? (this.asked[key] && !negative));
  }

  // Below which value a logarithmic axis is linear: steps begin at 0.
  linear(key) {
    return key === "x" && this.isLog("x") && this.facts.x.zero ? this.facts.x.smallest : 0;
  }

  // Why nothing is to be seen, in lines of text; null where something is.
  emptiness() {
    if (!this.lines.length) return ["no data", ...this.why];
    return this.shown().length ? null : ["every line is hidden", "a click on its name below shows it again"];
  }

  // How many points of the shown lines a logarithmic axis cannot show.
  below() {
    const { y } = this.scales();
    return this.shown().reduce((sum, line) => sum + line.y.filter((value) => value !== null && !y.holds(value)).length, 0);
  }

  // The range of all shown values, or where there is none, any.
  range(key) {
    const logarithmic = this.isLog(key);
    const positive = logarithmic && !this.linear(key);
    let low = Infinity;
    let high = -Infinity;
    for (const line of this.shown()) {
      for (let i = 0; i < line.x.length; ++i) {
        const value = line[key][i];
        if (value === null || (positive && value <= 0)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return low <= high ? [low, high] : [logarithmic ? 0.1 : 0, 1];
  }

  scales() {
    const width = this.canvas.clientWidth;
    const x = this.view ? this.view.x : this.range("x");
    const y = this.view ? this.view.y : padded(this.range("y"), this.isLog("y"));
    return {
      x: new Scale(...x, MARGIN.left, width - MARGIN.right, this.isLog("x"), this.linear("x")),
      y: new Scale(...y, HEIGHT - MARGIN.bottom, MARGIN.top, this.isLog("y")),
    };
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = HEIGHT * ratio;
    this.canvas.style.height = HEIGHT + "px";
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "11px system-ui, sans-serif";
    const why = this.emptiness();
    const below = why ? 0 : this.below();
    this.remark.textContent = below ? `▾ ${below} ${below > 1 ? "points" : "point"} at or below 0, of which there is no logarithm` : "";
    if (why) return why.forEach((text, i) => write(pen, text, width / 2, HEIGHT / 2 + 16 * (i - why.length / 2), "center"));
    const scales = this.scales();
    drawAxes(pen, scales, width, this);
    pen.save();
    pen.beginPath();
    pen.rect(MARGIN.left, MARGIN.top, width - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom);
    pen.clip();
    for (const mark of this.marks) drawMark(pen, scales, mark);
    for (const line of this.shown()) drawLine(pen, scales, line);
    if (this.drag) drawBox(pen, this.drag);
    pen.restore();
  }

  drawLegend() {
    this.legend.replaceChildren(
      ...this.lines.map((line) => {
        const button = element("button", { "aria-pressed": "true" });
        button.innerHTML = swatch(line);
        button.append(line.label);
        button.addEventListener("click", () => {
          const hide = !this.hidden.has(line.label);
          if (hide) this.hidden.add(line.label);
          else this.hidden.delete(line.label);
          button.setAttribute("aria-pressed", !hide);
          this.draw();
        });
        return button;
      }),
    );
  }

  listen() {
    const place = (event) => [event.offsetX, event.offsetY];
    this.canvas.addEventListener("pointerdown", (event) => {
      this.drag = { from: place(event), to: place(event) };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!this.drag) return this.hover(...place(event));
      this.drag.to = place(event);
      this.draw();
    });
    this.canvas.addEventListener("pointerup", () => this.zoomToBox());
    this.canvas.addEventListener("pointerleave", () => (this.tooltip.hidden = true));
    this.canvas.addEventListener("dblclick", () => this.reset());
    this.canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoomAbout(...place(event), event.deltaY > 0 ? 1.25 : 0.8);
      },
      { passive: false },
    );
  }

  zoomToBox() {
    const { from, to } = this.drag;
    this.drag = null;
    if (Math.abs(from[0] - to[0]) > 5 && Math.abs(from[1] - to[1]) > 5) {
      const { x, y } = this.scales();
      this.view = {
        x: [Math.min(from[0], to[0]), Math.max(from[0], to[0])].map((p) => x.value(p)),
        y: [Math.max(from[1], to[1]), Math.min(from[1], to[1])].map((p) => y.value(p)),
      };
    }
    this.draw();
  }

  zoomAbout(px, py, factor) {
    const { x, y } = this.scales();
    const around = (scale, centre) => [scale.first, scale.last].map((p) => scale.value(centre + (p - centre) * factor));
    this.view = { x: around(x, px), y: around(y, py) };
    this.draw();
  }

  // The nearest point of each line along x, each with its own x: lines are reduced to different points.
  hover(px, py) {
    const { x } = this.scales();
    const rows = this.shown().map((line) => ({ line, i: nearest(line, x, px) }));
    const found = rows.filter((row) => row.i >= 0);
    this.tooltip.hidden = !found.length;
    if (!found.length) return;
    const text = found.slice(0, 14).map(({ line, i }) => {
      const row = element("div");
      row.innerHTML = swatch(line);
      row.append(`${line.label}: ${formatted(line.y[i])} at ${this.xLabel} ${counted(line.x[i])}`);
      return row;
    });
    if (found.length > text.length) text.push(element("div", {}, `and ${found.length - text.length} more`));
    this.tooltip.replaceChildren(...text);
    const right = px > this.canvas.clientWidth / 2;
    this.tooltip.style.left = right ? "" : this.canvas.offsetLeft + px + 14 + "px";
    this.tooltip.style.right = right ? this.canvas.clientWidth - px + 14 + "px" : "";
    this.tooltip.style.top = this.canvas.offsetTop + Math.max(py - 10, 0) + "px";
  }
}

// What of the values of all lines decides on an axis.
function factsOf(lines, key) {
  const facts = { smallest: Infinity, zero: false, negative: false };  // `smallest` of the positive ones
  for (const value of lines.flatMap((line) => line[key])) {
    if (value === null) continue;
    if (value > 0 && value < facts.smallest) facts.smallest = value;
    if (value === 0) facts.zero = true;
    if (value < 0) facts.negative = true;
  }
  return facts;
}

function padded([low, high], logarithmic) {
  if (logarithmic) return [low / (high / low) ** 0.04, high * (high / low) ** 0.04];
  return [low - 0.04 * (high - low), high + 0.04 * (high - low)];
}

function nearest(line, scale, pixel) {
  let best = -1;
  let distance = Infinity;
  for (let i = 0; i < line.x.length; ++i) {
    if (line.y[i] === null || !scale.holds(line.x[i])) continue;
    const away = Math.abs(scale.pixel(line.x[i]) - pixel);
    if (away < distance) [best, distance] = [i, away];
  }
  return best;
}

function swatch(line) {
  const dash = line.dash.length ? ` stroke-dasharray="${line.dash.join(" ")}"` : "";
  return `<svg width="26" height="8"><path d="M0 4H26" stroke="${line.colour}" stroke-width="2"${dash}/></svg>`;
}

function drawAxes(pen, { x, y }, width, chart) {
  pen.lineWidth = 1;
  pen.textBaseline = "middle";
  for (const tick of y.ticks()) {
    const at = y.pixel(tick);
    stroke(pen, "#e4e4e4", [[MARGIN.left, at], [width - MARGIN.right, at]]);
    write(pen, formatted(tick), MARGIN.left - 5, at, "right");
  }
  for (const tick of x.ticks()) {
    const at = x.pixel(tick);
    stroke(pen, "#e4e4e4", [[at, MARGIN.top], [at, HEIGHT - MARGIN.bottom]]);
    write(pen, formatted(tick), at, HEIGHT - MARGIN.bottom + 11, "center");
  }
  const bottom = HEIGHT - MARGIN.bottom;
  stroke(pen, "#444", [[MARGIN.left, MARGIN.top], [MARGIN.left, bottom], [width - MARGIN.right, bottom]]);
  write(pen, chart.xLabel, (MARGIN.left + width) / 2, HEIGHT - 9, "center");
  pen.save();
  pen.translate(9, HEIGHT / 2);
  pen.rotate(-Math.PI / 2);
  write(pen, chart.yLabel, 0, 0, "center");
  pen.restore();
}

function stroke(pen, colour, points) {
  pen.strokeStyle = colour;
  pen.beginPath();
  points.forEach(([px, py], i) => (i ? pen.lineTo(px, py) : pen.moveTo(px, py)));
  pen.stroke();
}

function write(pen, text, px, py, align) {
  pen.fillStyle = "#333";
  pen.textAlign = align;
  pen.fillText(text, px, py);
}

function drawMark(pen, { x }, mark) {
  if (!x.holds(mark.x)) return;
  pen.setLineDash(mark.dash);
  stroke(pen, "#777", [[x.pixel(mark.x), MARGIN.top], [x.pixel(mark.x), HEIGHT - MARGIN.bottom]]);
  pen.setLineDash([]);
  const left = x.pixel(mark.x) + 3 + pen.measureText(mark.label).width < x.last;
  write(pen, mark.label, x.pixel(mark.x) + (left ? 3 : -3), MARGIN.top + 7, left ? "left" : "right");
}

function drawLine(pen, { x, y }, line) {
  pen.strokeStyle = line.colour;
  pen.fillStyle = line.colour;
  pen.lineWidth = 1.6;
  pen.setLineDash(line.dash);
  pen.beginPath();
  let down = false;
  const alone = [];
  const below = [];
  for (let i = 0; i < line.x.length; ++i) {
    if (!x.holds(line.x[i]) || !y.holds(line.y[i])) {
      if (line.y[i] !== null && x.holds(line.x[i])) below.push(x.pixel(line.x[i]));
      down = false;
      continue;
    }
    const [px, py] = [x.pixel(line.x[i]), y.pixel(line.y[i])];
    if (down) pen.lineTo(px, py);
    else pen.moveTo(px, py);
    if (!down && (i + 1 === line.x.length || !y.holds(line.y[i + 1]))) alone.push([px, py]);
    down = true;
  }
  pen.stroke();
  pen.setLineDash([]);
  for (const [px, py] of alone) pen.fillRect(px - 2.5, py - 2.5, 5, 5);
  for (const px of below) triangle(pen, px, y.first);
}

// There is a value, below every logarithmic axis.
function triangle(pen, px, bottom) {
  pen.beginPath();
  pen.moveTo(px, bottom - 1);
  pen.lineTo(px - 3.5, bottom - 7);
  pen.lineTo(px + 3.5, bottom - 7);
  pen.fill();
}

function drawBox(pen, { from, to }) {
  pen.fillStyle = "rgba(0, 114, 178, 0.12)";
  pen.fillRect(from[0], from[1], to[0] - from[0], to[1] - from[1]);
}

// What the page shows ---------------------------------------------------------------------------

const chosenRuns = new Set(report.runs.map((run) => run.name).slice(0, 8));
const chosenLayers = new Set([""]);

function runsShown() {
  return report.runs.filter((run) => chosenRuns.has(run.name));
}

function marks() {
  const runs = runsShown();
  if (runs.length !== 1) return [];
  const [run] = runs;
  return [
    { x: run.t_mem, label: "t_mem", dash: [2, 2] },
    { x: run.t_gen, label: "t_gen", dash: [8, 3, 2, 3] },
  ].filter((mark) => mark.x !== null);
}

function lineOf(run, name, label) {
  const series = run.series[name];
  if (!series) return null;
  return { label: (report.runs.length > 1 && chosenRuns.size > 1 ? run.name + ": " : "") + label, x: series.x, y: series.y };
}

// Where several series of several runs meet, the colour is the run and the dashes are the series.
function linesOf(pairs) {
  const runs = runsShown();
  const both = runs.length > 1 && pairs.length > 1;
  return runs.flatMap((run, r) => {
    const lines = pairs.map(([name, label], k) => {
      const line = lineOf(run, name, label);
      return line && both ? { ...line, colour: look(r).colour, dash: look(k).dash } : line;
    });
    return lines.filter(Boolean);
  });
}

// Why there is nothing to draw of the chosen runs, in lines of text; `ofRun` gives the reason, or reasons, of one.
function reasons(ofRun) {
  const runs = runsShown();
  return runs.length ? [...new Set(runs.flatMap(ofRun))].slice(0, 4) : ["no run is chosen"];
}

function whyNone(names) {
  return reasons((run) => names.map((name) => `${name}: ${whyMissing(run, name)}`));
}

function whyMissing(run, name) {
  if (report.left_out.includes(name)) return "left out of this page";
  if (run.untracked && !/^(training|observables)\//.test(name)) return run.untracked;
  return run.empty.includes(name) ? "no value is finite" : "not recorded";
}

function checkboxes(legendText, entries, chosen, changed) {
  const box = element("fieldset", {}, element("legend", {}, legendText));
  for (const [value, text] of entries) {
    const input = element("input", { type: "checkbox", value });
    input.checked = chosen.has(value);
    input.addEventListener("change", () => {
      if (input.checked) chosen.add(value);
      else chosen.delete(value);
      changed();
    });
    box.append(element("label", {}, input, " " + text));
  }
  return box;
}

function trainingCharts() {
  const parent = document.getElementById("training");
  const accuracy = new Chart(parent, { title: "Accuracy" });
  const loss = new Chart(parent, { title: "Loss", yLog: true });
  return () => {
    const pick = (leaf) => (runsShown().some((run) => run.series["training/" + leaf]) ? "training/" : "") + leaf;
    for (const [chart, ...leaves] of [[accuracy, "train_acc", "test_acc"], [loss, "train_loss", "test_loss"]]) {
      const names = leaves.map(pick);
      chart.show(linesOf([[names[0], "train"], [names[1], "test"]]), marks(), chart.title, whyNone(names));
    }
  };
}

// A metric of the GOP, of the whole model and of the layers that are picked.
function gopChart() {
  const parent = document.getElementById("gop");
  const layers = [...new Set(report.runs.flatMap((run) => run.layers))];
  const metrics = [...new Set(report.runs.flatMap((run) => Object.keys(run.series)))]
    .filter((name) => /^gop_/.test(name) || /^layers\/.*\/gop_/.test(name))
    .map((name) => name.replace(/^layers\/.*\//, ""));
  const select = element("select", { id: "metric" }, ...[...new Set(metrics)].map((name) => element("option", {}, name)));
  if (metrics.includes("gop_trace")) select.value = "gop_trace";
  const chart = new Chart(parent, { title: "GOP metric", yLog: true, controls: [select] });
  const update = () => {
    const pairs = [...chosenLayers].map((layer) => [
      layer ? `layers/${layer}/${select.value}` : select.value,
      layer || "whole model",
    ]);
    const heading = select.value ? describe(pairs[0] ? pairs[0][0] : select.value) : chart.title;
    chart.show(linesOf(pairs), marks(), heading, whyNoGop(select.value, pairs));
  };
  select.addEventListener("change", update);
  const entries = [["", "whole model"], ...layers.map((layer) => [layer, layer])];
  const picker = checkboxes("layers", entries, chosenLayers, update);
  picker.id = "layers";
  parent.prepend(picker);
  return update;
}

function whyNoGop(metric, pairs) {
  if (!pairs.length) return ["no layer is chosen"];
  if (metric) return whyNone(pairs.map(([name]) => name));
  return reasons((run) => run.untracked || "no metric of the GOP has a finite value");
}

function describe(name) {
  const run = report.runs.find((one) => one.series[name]);
  if (!run) return name;
  const { long_name: long, units, definition } = report.about[name] || {};
  const { n, y } = run.series[name];
  const shown = y.filter((value) => value !== null).length;
  const reduced = n > shown ? ` (${shown} of ${n} points)` : "";
  return `${long || name}${units && units !== "1" ? ` [${units}]` : ""}${definition ? `: ${definition}` : ""}${reduced}`;
}

// Any stored series.
function explorer() {
  const parent = document.getElementById("explorer");
  const names = [...new Set(report.runs.flatMap((run) => Object.keys(run.series)))];
  const select = element("select", { id: "series" }, ...names.map((name) => element("option", {}, name)));
  select.value = names.find((name) => name.startsWith("observables/")) || names[0];
  const chart = new Chart(parent, { title: "Any series", controls: [select] });
  const update = () => {
    const heading = names.length ? describe(select.value) : chart.title;
    const why = names.length ? whyNone([select.value]) : ["no series has a finite value"];
    chart.show(linesOf([[select.value, select.value]]), marks(), heading, why);
  };
  select.addEventListener("change", update);
  return update;
}

// The spectrum of the first chosen run: a slider over training.
function spectrumChart() {
  const parent = document.getElementById("spectrum");
  const slider = element("input", { type: "range", min: 0, value: 0, id: "moment", "aria-label": "moment of training" });
  const chart = new Chart(parent, { title: "Spectrum", xLabel: "rank index", yLabel: "eigenvalue", yLog: true });
  chart.root.append(slider);
  const update = () => {
    const run = runsShown().find((one) => one.spectrum);
    slider.disabled = !run;
    if (!run) return chart.show([], [], chart.title, reasons((one) => one.no_spectrum));
    const { steps, ranks, values } = run.spectrum;
    slider.max = steps.length - 1;
    const at = Math.min(Number(slider.value), steps.length - 1);
    const line = (i, label) => ({ label, x: ranks, y: values[i] });
    const lines = [line(at, `step ${steps[at].toLocaleString("en")}`), line(0, "first"), line(steps.length - 1, "last")];
    const view = chart.view;
    chart.show(lines, [], `${run.name}: eigenvalues at step ${steps[at].toLocaleString("en")} (${run.spectrum.note})`);
    chart.view = view;
    chart.draw();
  };
  slider.addEventListener("input", update);
  slider.value = slider.max = 1e6;
  return update;
}

const updates = [trainingCharts(), gopChart(), spectrumChart(), explorer()];
const updateAll = () => updates.forEach((update) => update());
if (report.runs.length > 1) {
  const entries = report.runs.map((run) => [run.name, run.name]);
  const picker = checkboxes("runs", entries, chosenRuns, updateAll);
  picker.id = "runs";
  document.getElementById("pickers").append(picker);
}
updateAll();
window.grokscope = { charts, report };
