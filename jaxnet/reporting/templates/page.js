"use strict";
// A click on a heading sorts its table, a second one the other way round; a text above long tables
// leaves only the rows that have all of its words. Without the script the tables stay as they are.
(() => {
  const numberIn = (text) => {
    const match = text.replace(/,(?=\d{3})/g, "").replace(/\u2212/g, "-")
      .match(/-?(?:\u221e|\d+\.?\d*(?:e[-+]?\d+)?|\.\d+)/i);
    if (!match) return NaN;
    return match[0].includes("\u221e") ? (match[0][0] === "-" ? -Infinity : Infinity) : Number(match[0]);
  };
  const compare = (a, b, isText) => {
    if (isText) return a.localeCompare(b, "en", { numeric: true });
    const [x, y] = [numberIn(a), numberIn(b)];
    return x === y ? 0 : x < y ? -1 : 1;
  };
  const sortBy = (table, place, heading) => {
    const isText = heading.classList.contains("text");
    const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const cell = (row) => row.cells[place].textContent.trim();
    const isEmpty = (row) => isText ? !cell(row) : Number.isNaN(numberIn(cell(row)));
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => isEmpty(a) - isEmpty(b) || sign * compare(cell(a), cell(b), isText));
    table.tBodies[0].append(...rows);
  };
  const addFilter = (table) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("output");
    const rows = [...table.tBodies[0].rows];
    input.type = "search";
    label.append("Filter ", input);
    const box = document.createElement("div");
    box.className = "filter";
    box.append(label, count);
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = [...row.cells].map((cell) => cell.textContent).join(" \u00a6 ").toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${rows.length} rows`;
    };
    input.addEventListener("input", show);
    show();
    table.closest(".wide").before(box);
  };
  for (const table of document.querySelectorAll("table.sorted")) {
    [...table.tHead.rows[0].cells].forEach((heading, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      if (!button.textContent.trim()) button.setAttribute("aria-label", "sort by name");
      heading.append(button);
      button.addEventListener("click", () => sortBy(table, place, heading));
    });
    if (table.tBodies[0].rows.length > 12) addFilter(table);
  }
})();
