"use strict";
// Sorting of tables by column; without scripts the tables stay as written.
const narrow = matchMedia("(max-width: 71.99rem)");
document.querySelector("nav details").open = !narrow.matches;
narrow.addEventListener("change", () => {
  document.querySelector("nav details").open = !narrow.matches;
});

const valueOf = (row, column) => {
  const cell = row.cells[column];
  const value = cell.dataset.value;
  if (value === undefined) return cell.textContent.trim() || null;
  return value !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
};

const compare = (one, other) => {
  if (one === null || other === null) return (one === null) - (other === null);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
};

const sort = (table, head, column) => {
  const isFirst = head.getAttribute("aria-sort") === null;
  const first = head.classList.contains("number") ? "descending" : "ascending";
  const turned = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const direction = isFirst ? first : turned;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => sign * compare(valueOf(a, column), valueOf(b, column)));
  table.tBodies[0].append(...rows);
};

for (const table of document.querySelectorAll("table[data-sortable]")) {
  if (table.tBodies[0].rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(table, head, column));
    head.replaceChildren(button);
  });
}
