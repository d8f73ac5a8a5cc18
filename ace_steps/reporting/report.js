"use strict";
// Contents folded on a phone; tables sorted by column, without scripts they stay as written.
const narrow = matchMedia("(max-width: 71.99rem)");
document.querySelector("nav details").open = !narrow.matches;
narrow.addEventListener("change", () => {
  document.querySelector("nav details").open = !narrow.matches;
});

const NOTHING = "–";
const valueOf = (row, column) => {
  const cell = row.cells[column];
  const text = cell.textContent.trim();
  const value = cell.dataset.value ?? (text === NOTHING ? "" : text);
  if (value === "") return null;
  return cell.dataset.value === undefined || Number.isNaN(Number(value)) ? value : Number(value);
};

// Numbers by value, after them texts as the reader's language orders them.
const compare = (one, other) => {
  const kinds = (typeof other === "number") - (typeof one === "number");
  if (kinds) return kinds;
  if (typeof one === "number") return (one > other) - (one < other);
  return one.localeCompare(other, undefined, { numeric: true });
};

// A column that is missing in a row puts it last in both directions.
const ordered = (rows, column, sign) => {
  const values = new Map(rows.map((row) => [row, valueOf(row, column)]));
  const isMissing = (row) => values.get(row) === null;
  return rows.sort((a, b) =>
    isMissing(a) || isMissing(b)
      ? isMissing(a) - isMissing(b)
      : sign * compare(values.get(a), values.get(b)),
  );
};

const sort = (table, head, column) => {
  const isFirst = head.getAttribute("aria-sort") === null;
  const first = head.classList.contains("number") ? "descending" : "ascending";
  const turned = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const direction = isFirst ? first : turned;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  table.tBodies[0].append(...ordered([...table.tBodies[0].rows], column, sign));
};

const makeSortable = (root) => {
  for (const table of root.querySelectorAll("table[data-sortable]")) {
    if (table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => sort(table, head, column));
      head.replaceChildren(button);
    });
  }
};
makeSortable(document);

