"use strict";
// What the tables, figures and the theme of the page do; page.browser.js and page.utterance.js have the
// utterances.

const blocks = {}; // what the page holds as JSON, parsed where it is needed
function block(name) {
  return (blocks[name] ??= JSON.parse(document.getElementById(name).textContent));
}

async function unpacked(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

document.getElementById("theme").addEventListener("change", (event) => {
  document.documentElement.dataset.theme = event.target.value;
});

for (const button of document.querySelectorAll("button[data-table]")) {
  button.addEventListener("click", async () => {
    const name = button.dataset.table;
    const content = new Blob([await unpacked(block("tables")[name])]);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = name + ".tsv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

// What is wider than its place fades where there is more, and only then it is a region that the
// keyboard stops at.
function edges(box) {
  const more = box.scrollWidth - box.clientWidth;
  box.classList.toggle("more", box.scrollLeft < more - 1);
  for (const [name, value] of [["tabindex", 0], ["role", "region"], ["aria-label", box.dataset.name]]) {
    if (more > 1) box.setAttribute(name, value);
    else box.removeAttribute(name);
  }
}
const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => edges(target)));
function moved(box) {
  sizes.observe(box);
  box.addEventListener("scroll", () => edges(box), { passive: true });
}
document.querySelectorAll(".wide").forEach(moved);

// A cell as what it is sorted by: its first number, else its words; nothing stands last.
function key(row, column) {
  let place = 0;
  for (const cell of row.cells) {
    if (place === column && cell.colSpan === 1) {
      const text = cell.textContent.trim().replace(/^–.*/s, "");
      const number = parseFloat(text.replace("−", "-").replace(/^[<>] ?|,/g, ""));
      return { text, number };
    }
    place += cell.colSpan;
  }
  return { text: "", number: NaN };
}

function sort(table, column, sign) {
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, ...key(row, column) }));
  const numbers = rows.every((row) => !row.text || !Number.isNaN(row.number));
  const words = (a, b) => a.text.localeCompare(b.text, "en", { numeric: true });
  const compare = (a, b) => (numbers ? a.number - b.number : words(a, b));
  rows.sort((a, b) => !a.text - !b.text || sign * compare(a, b));
  table.tBodies[0].append(...rows.map((row) => row.row));
}

for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows].at(-1).cells;
  for (const [column, head] of [...heads].entries()) {
    if (!head.textContent) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sort(table, column, up ? 1 : -1);
      const order = `Sorted by ${button.textContent}, ${head.getAttribute("aria-sort")}`;
      document.getElementById("told").textContent = order;
    });
  }
}
