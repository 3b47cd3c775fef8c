"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const body = byId("runs").tBodies[0];
  const heads = [...document.querySelectorAll("#runs thead th")];
  const NUMBERS = new Set(["gravity", "at", "steps"]);
  // Read once: asking two thousand elements for their attributes at every comparison is what makes a sort slow.
  const rows = [...body.rows].map((element, place) => ({
    element, place, ...element.dataset,
    text: [element.dataset.path, element.dataset.cause, element.dataset.symptom].join(" ").toLowerCase(),
  }));
  const count = () => {
    const shown = rows.filter((row) => !row.element.hidden).length;
    byId("count").textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} runs`;
  };
  const filter = () => {
    const wanted = byId("search").value.trim().toLowerCase(), verdict = byId("verdict").value, group = byId("group").value;
    for (const row of rows) {
      row.element.hidden = !((!wanted || row.text.includes(wanted)) && (!verdict || row.verdict === verdict) && (!group || row.group === group));
    }
    count();
  };
  const collator = new Intl.Collator("en", {numeric: true});
  const sort = (key, down) => {
    const sign = down ? -1 : 1;
    const order = (a, b) => {
      // What is not known comes last, in either direction.
      if ((a[key] === "") !== (b[key] === "")) return a[key] === "" ? 1 : -1;
      const found = NUMBERS.has(key) ? Number(a[key]) - Number(b[key]) : collator.compare(a[key], b[key]);
      return found ? sign * found : a.place - b.place;
    };
    rows.sort(order);
    body.append(...rows.map((row) => row.element));
  };
  for (const head of heads) {
    const button = head.querySelector("button");
    if (!button) continue;
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(button.dataset.key, down);
    });
  }
  byId("search").addEventListener("input", filter);
  byId("verdict").addEventListener("change", filter);
  byId("group").addEventListener("change", filter);
  filter();
})();
