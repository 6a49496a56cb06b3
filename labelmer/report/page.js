"use strict";
// What the tables, figures and the theme of the page do; page.browser.js has the utterances.

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

// A cell as what it is sorted by: its first number, else its words; nothing stands last.
function key(row, column) {
  let place = 0;
  for (const cell of row.cells) {
    if (place === column && cell.colSpan === 1) {
      const text = cell.textContent.trim();
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
  const compare = (a, b) => (numbers ? a.number - b.number : a.text.localeCompare(b.text));
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
    });
  }
}
