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

// What a page of hundreds of tables and figures holds waits packed until it comes near, is asked
// for, or time is idle: a browser would take seconds to read it all at once.
const waiting = [...document.querySelectorAll(".waiting")];
const unpacked = (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};
const open = async (part) => {
  const held = part.querySelector("script");
  held.outerHTML = await unpacked(held.textContent);
  part.classList.replace("waiting", "shown");
  makeSortable(part);
};
const opened = new Map();
const show = (part) => {
  if (!opened.has(part)) opened.set(part, open(part));
  return opened.get(part);
};
const showAll = () => Promise.all(waiting.map(show));
const near = new IntersectionObserver(
  (seen) => seen.filter((one) => one.isIntersecting).forEach((one) => show(one.target)),
  { rootMargin: "1200px" },
);
waiting.forEach((part) => near.observe(part));

const showTarget = async () => {
  const name = decodeURIComponent(location.hash.slice(1));
  if (!name) return;
  if (!document.getElementById(name)) await showAll();
  const target = document.getElementById(name);
  if (target?.classList.contains("waiting")) await show(target);
  target?.scrollIntoView();
};
addEventListener("hashchange", showTarget);
if (waiting.length) showTarget();

const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 200));
const showNext = async () => {
  const next = waiting.find((part) => part.classList.contains("waiting"));
  if (!next) return;
  await show(next);
  idle(showNext);
};
if (waiting.length) addEventListener("load", () => setTimeout(() => idle(showNext), 500));
