"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const made = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const shown = (value) => {
    if (value === null || value === undefined) return "";
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(5)));
  };

  // Ticks are round numbers, so ten digits never show the noise of binary fractions, yet keep near ticks apart.
  const tick = (value) => (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3) ? value.toExponential().replace(/(\.\d{4})\d+/, "$1") : String(Number(value.toPrecision(10))));

  // ---- light and dark -------------------------------------------------------------------------------------------
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const setTheme = (dark) => { root.dataset.theme = dark ? "dark" : "light"; draw(); };
  byId("theme").addEventListener("click", () => setTheme(root.dataset.theme !== "dark"));
  prefers.addEventListener("change", (event) => setTheme(event.matches));

  // ---- curves ---------------------------------------------------------------------------------------------------
  const FIRST = new Set(["loss", "grad_norm", "learning_rate", "loss_scale", "eval_loss"]);
  const marks = data.marks;
  let plots = [];
  let range = null;
  let syncing = false;
  const whole = () => {
    const ends = data.plots.filter((p) => p.steps.length && p.axis === data.axis).map((p) => [p.steps[0], p.steps[p.steps.length - 1]]);
    const low = Math.min(...ends.map((e) => e[0])), high = Math.max(...ends.map((e) => e[1]));
    return low < high ? [low, high] : [low - 1, high + 1];
  };
  const setRange = (low, high) => {
    if (!data.plots.length) return;
    const [first, last] = whole();
    range = [Math.max(first, low), Math.min(last, high)];
    if (!(range[1] > range[0])) range = [first, last];
    syncing = true;
    plots.filter((plot) => plot.ranged).forEach((plot) => plot.setScale("x", {min: range[0], max: range[1]}));
    syncing = false;
  };
  const vertical = (plot, step, style, dash, width) => {
    const x = Math.round(plot.valToPos(step, "x", true)) + 0.5;
    if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) return;
    const context = plot.ctx;
    context.strokeStyle = style; context.lineWidth = width * devicePixelRatio; context.setLineDash(dash.map((d) => d * devicePixelRatio));
    context.beginPath(); context.moveTo(x, plot.bbox.top); context.lineTo(x, plot.bbox.top + plot.bbox.height); context.stroke();
    context.setLineDash([]);
  };
  const drawMarks = (entry) => (plot) => {
    const context = plot.ctx;
    context.save();
    context.beginPath(); context.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height); context.clip();
    if (entry.axis === data.axis) {
      for (const restart of marks.restarts) vertical(plot, restart, color("--dim"), [2, 4], 1);
      for (const saved of marks.checkpoints) {
        vertical(plot, saved.step, saved.status === "clean" ? color("--good") : saved.status === "not examined" ? color("--dim") : color("--error"), [6, 4], 1);
      }
      for (const kind of marks.events) for (const step of kind.steps) vertical(plot, step, color("--warning"), [1, 3], 1);
      if (marks.onset) {
        const left = plot.valToPos(marks.onset[0], "x", true), right = plot.valToPos(marks.onset[1], "x", true);
        context.fillStyle = color("--onset"); context.globalAlpha = 0.15;
        context.fillRect(left, plot.bbox.top, Math.max(right - left, 2), plot.bbox.height); context.globalAlpha = 1;
        vertical(plot, marks.onset[1], color("--onset"), [], 2);
      }
    }
    context.fillStyle = color("--onset"); context.font = `bold ${15 * devicePixelRatio}px sans-serif`; context.textAlign = "center";
    const bottom = plot.bbox.top + plot.bbox.height - 3 * devicePixelRatio;
    for (const step of entry.nonfinite) context.fillText("\u00d7", plot.valToPos(step, "x", true), bottom);
    context.restore();
  };
  const label = (entry) => {
    const finite = entry.values.filter((v) => v !== null);
    const low = finite.reduce((a, b) => Math.min(a, b), Infinity), high = finite.reduce((a, b) => Math.max(a, b), -Infinity);
    const text = finite.length ? `from ${shown(finite[0])} to ${shown(finite[finite.length - 1])}, lowest ${shown(low)}, highest ${shown(high)}` : "no finite value";
    const bad = entry.nonfinite_count ? `; ${entry.nonfinite_count} of ${entry.count} entries are NaN or infinite` : "";
    return `${entry.name} over ${entry.nouns}: ${text}${bad}`;
  };
  const draw = () => {
    const place = byId("plots");
    if (!place) return;
    plots.forEach((plot) => plot.destroy());
    plots = [];
    place.replaceChildren();
    byId("more-plots-place").replaceChildren();
    const folded = byId("more-plots");
    const others = data.plots.filter((entry) => !FIRST.has(entry.name));
    folded.hidden = !others.length;
    folded.querySelector("summary").textContent = `Other metrics: ${others.length}`;
    const logarithmic = byId("logarithmic").checked;
    for (const entry of data.plots) {
      if (!FIRST.has(entry.name) && !folded.open) continue;
      const box = made("div", "plot");
      const title = made("h3", "", entry.name + (entry.nonfinite_count ? ` (${entry.nonfinite_count} NaN or Inf)` : ""));
      const canvas = made("div");
      canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", label(entry)); canvas.tabIndex = 0;
      canvas.addEventListener("keydown", keys);
      box.append(title, canvas);
      (FIRST.has(entry.name) ? place : byId("more-plots-place")).append(box);
      const positive = entry.values.every((v) => v === null || v > 0) && entry.values.some((v) => v !== null);
      const axis = {stroke: color("--dim"), grid: {stroke: color("--line"), width: 1}, ticks: {stroke: color("--line")}};
      const ranged = entry.axis === data.axis;
      const plot = new uPlot({
        width: Math.max(280, place.clientWidth - 16),
        height: FIRST.has(entry.name) ? 190 : 130,
        cursor: {sync: {key: uPlot.sync(entry.axis).key, scales: ["x", null]}, drag: {x: true, y: false}},
        scales: {x: {time: false, ...(range && ranged ? {min: range[0], max: range[1]} : {})}, y: logarithmic && positive ? {distr: 3} : {}},
        axes: [{...axis, size: 34}, {...axis, size: 70, values: (_, ticks) => ticks.map((v) => (v === null ? "" : tick(v)))}],
        series: [
          {label: entry.noun, value: (_, v) => (v === null ? "" : String(v))},
          {label: entry.name, stroke: color("--curve"), width: 1.5, points: {show: entry.steps.length < 200, size: 5}, value: (_, v) => shown(v)},
        ],
        hooks: {
          drawAxes: [],
          draw: [drawMarks(entry)],
          setScale: [(self, key) => {
            if (key !== "x" || syncing || !ranged) return;
            const {min, max} = self.scales.x;
            if (min !== null && (!range || min !== range[0] || max !== range[1])) { range = [min, max]; syncing = true; plots.forEach((p) => p !== self && p.ranged && p.setScale("x", {min, max})); syncing = false; }
          }],
        },
      }, [entry.steps, entry.values], canvas);
      plot.ranged = ranged;
      plots.push(plot);
    }
    const told = ["red band and line: the onset"];
    if (marks.checkpoints.length) told.push("dashed lines: checkpoints, green when clean, red when not");
    if (marks.restarts.length) told.push("dotted grey lines: restarts");
    if (marks.events.length) told.push(`dotted yellow lines: ${marks.events.map((e) => e.kind).join(", ")}`);
    if (data.plots.some((p) => p.nonfinite_count)) told.push("\u00d7 at the bottom: NaN or infinite");
    byId("plot-legend").textContent = (marks.onset ? told : told.slice(1)).join("; ");
  };
  const keys = (event) => {
    const [low, high] = range || whole();
    const width = high - low;
    const moves = {
      ArrowLeft: [low - width / 5, high - width / 5], ArrowRight: [low + width / 5, high + width / 5],
      "+": [low + width / 4, high - width / 4], "=": [low + width / 4, high - width / 4], "-": [low - width / 2, high + width / 2], 0: whole(),
    };
    const wanted = moves[event.key];
    if (!wanted) return;
    event.preventDefault();
    const [first, last] = whole();
    if (event.key.startsWith("Arrow") && (wanted[0] < first || wanted[1] > last)) {
      setRange(...(wanted[0] < first ? [first, first + width] : [last - width, last]));
    } else setRange(...wanted);
  };
  const aroundOnset = () => {
    if (!marks.onset) return;
    const [first, last] = whole();
    const reach = Math.max(10, (last - first) / 10);
    setRange(marks.onset[0] - reach, marks.onset[1] + reach);
  };
  byId("zoom-onset").addEventListener("click", aroundOnset);
  byId("zoom-onset").hidden = !marks.onset;
  byId("zoom-all").addEventListener("click", () => setRange(...whole()));
  byId("logarithmic").addEventListener("change", draw);
  byId("more-plots").addEventListener("toggle", draw);
  if (!data.plots.length) { byId("plot-controls").hidden = true; byId("plots").append(made("p", "dim", "No metric was read.")); }
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => plots.forEach((p) => p.setSize({width: Math.max(280, byId("plots").clientWidth - 16), height: p.height})), 100); });

  // ---- tensors --------------------------------------------------------------------------------------------------
  const WORDS = {bad: "NaN or Inf", zero: "zeros", same: "unchanged bits", max_abs: "largest absolute value", l2: "L2 norm", change: "relative change"};
  const SHARE = new Set(["bad", "zero", "same"]);
  const HEIGHT = 30;
  const table = data.tensors;
  const heat = byId("tensor-map");
  let order = [];
  let bounds = [0, 1];
  const measure = () => byId("tensor-measure").value;
  const cell = (column, row) => table.checkpoints[column].cells[measure()][row];
  const written = (value) => (value === null ? "\u2013" : SHARE.has(measure()) ? `${Number((value * 100).toPrecision(3))} %` : shown(value));
  const strength = (value) => {
    if (value === null) return 0;
    if (SHARE.has(measure())) return value > 0 ? 0.12 + 0.88 * value : 0;
    const [low, high] = bounds;
    return value > 0 && high > low ? 0.05 + 0.75 * ((Math.log(value) - low) / (high - low)) : 0;
  };
  const paint = (td, value) => {
    const share = strength(value);
    const hue = measure() === "bad" ? "--error" : measure() === "same" || measure() === "zero" ? "--warning" : "--curve";
    td.style.background = share ? `color-mix(in srgb, ${color(hue)} ${Math.round(share * 45)}%, ${color("--page")})` : "";
  };
  const rows = () => {
    const wanted = byId("tensor-search").value.trim().toLowerCase();
    order = [];
    table.names.forEach((name, i) => { if (!wanted || name.toLowerCase().includes(wanted)) order.push(i); });
    const last = table.checkpoints.length - 1;
    if (byId("tensor-order").value === "name") order.sort((a, b) => (table.names[a] < table.names[b] ? -1 : 1));
    if (byId("tensor-order").value === "value") order.sort((a, b) => (cell(last, b) ?? -Infinity) - (cell(last, a) ?? -Infinity));
    const logs = [];
    table.checkpoints.forEach((c) => c.cells[measure()].forEach((v) => { if (v !== null && v > 0) logs.push(Math.log(v)); }));
    bounds = [logs.reduce((a, b) => Math.min(a, b), Infinity), logs.reduce((a, b) => Math.max(a, b), -Infinity)];
    byId("tensor-count").textContent = `${order.length.toLocaleString("en")} of ${table.names.length.toLocaleString("en")} tensors`;
    heat.scrollTop = 0;
    fill();
  };
  const spacer = (count) => {
    const row = made("tr", "space");
    row.setAttribute("aria-hidden", "true");
    const td = made("td");
    td.colSpan = table.checkpoints.length + 1;
    td.style.height = `${count * HEIGHT}px`;
    row.append(td);
    return row;
  };
  const fill = () => {
    // Only the rows in sight exist: five thousand rows of ten cells would make the page slow.
    const first = Math.max(0, Math.floor(heat.scrollTop / HEIGHT) - 10);
    const last = Math.min(order.length, first + Math.ceil(heat.clientHeight / HEIGHT) + 20);
    const body = made("tbody");
    if (first) body.append(spacer(first));
    for (const row of order.slice(first, last)) {
      const tr = made("tr");
      const head = made("th", "", table.names[row]);
      head.scope = "row";
      tr.append(head);
      table.checkpoints.forEach((checkpoint, column) => {
        const value = cell(column, row);
        const td = made("td", value === null ? "cell none" : "cell", written(value));
        td.title = table.measures.map((m) => `${WORDS[m]}: ${checkpoint.cells[m][row] === null ? "not known" : shown(checkpoint.cells[m][row])}`).join("\n");
        paint(td, value);
        tr.append(td);
      });
      body.append(tr);
    }
    if (last < order.length) body.append(spacer(order.length - last));
    heat.querySelector("tbody").replaceWith(body);
  };
  const startTensors = () => {
    if (!table) { document.querySelectorAll(".needs-tensors").forEach((e) => { e.hidden = true; }); return; }
    for (const name of table.measures) { const option = made("option", "", WORDS[name]); option.value = name; byId("tensor-measure").append(option); }
    const worst = table.checkpoints.some((c) => c.cells.bad.some((v) => v > 0)) ? "bad" : table.checkpoints.some((c) => c.cells.change.some((v) => v !== null)) ? "change" : "max_abs";
    byId("tensor-measure").value = worst;
    const grid = made("table"), head = made("thead"), top = made("tr");
    const corner = made("th", "", "tensor"); corner.scope = "col"; top.append(corner);
    for (const checkpoint of table.checkpoints) {
      const th = made("th", "", checkpoint.name); th.scope = "col"; th.title = `${checkpoint.name}: ${checkpoint.status}`; top.append(th);
    }
    head.append(top); grid.append(head, made("tbody")); heat.append(grid);
    byId("tensor-search").addEventListener("input", rows);
    byId("tensor-measure").addEventListener("change", rows);
    byId("tensor-order").addEventListener("change", rows);
    heat.addEventListener("scroll", () => requestAnimationFrame(fill));
    heat.addEventListener("keydown", (event) => {
      const far = {PageDown: heat.clientHeight, PageUp: -heat.clientHeight, ArrowDown: HEIGHT, ArrowUp: -HEIGHT, Home: -1e9, End: 1e9}[event.key];
      if (far && event.target === heat) { event.preventDefault(); heat.scrollTop += far; }
    });
    const left = table.total - table.names.length, columns = table.columns_total - table.checkpoints.length;
    const told = [];
    if (left > 0) told.push(`${left.toLocaleString("en")} more tensors`);
    if (columns > 0) told.push(`${columns.toLocaleString("en")} more checkpoints`);
    byId("tensor-note").textContent = told.length ? `Left out to keep the page small: ${told.join(" and ")}; the scan command shows all.` : "";
    rows();
  };

  // ---- small helps ----------------------------------------------------------------------------------------------
  document.querySelectorAll(".copier").forEach((button) => button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try { await navigator.clipboard.writeText(code.textContent); button.textContent = "copied"; } catch {
      const selection = getSelection(); selection.selectAllChildren(code); button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }));
  const openTarget = () => {
    const target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
    const fold = target && target.closest("details");
    if (fold) { fold.open = true; target.scrollIntoView({block: "center"}); }
  };
  addEventListener("hashchange", openTarget);

  startTensors();
  setTheme(prefers.matches);
  if (table) fill();
  openTarget();
})();
