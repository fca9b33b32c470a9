// What the inbox adds to app.js: digits in an open menu, keys that come early, and where the focus goes.

const $ = (selector, root = document) => root.querySelector(selector);

/* ---- an open menu of reasons: its digits press its buttons */

document.addEventListener("keydown", (event) => {
  const menu = $(":popover-open");
  if (!menu || event.metaKey || event.ctrlKey || event.altKey || event.target.matches("input, textarea, select")) return;
  const buttons = [...menu.querySelectorAll("a, button")];
  const at = buttons.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const target = step ? buttons[(at + step + buttons.length) % buttons.length] : $(`[data-digit="${CSS.escape(event.key)}"]`, menu);
  if (!target) return;
  event.preventDefault();
  if (step) target.focus();
  else target.click();
});

/* ---- a key that comes while the selected account is still loading waits for it: it is not meant for the one before */

const loading = () => {
  const row = $("[data-row][aria-current]")?.closest("li");
  const open = $("#det-top")?.dataset.of;
  return Boolean(row && open && row.id !== `row-${open}`);
};
let waiting = "";

document.addEventListener("before-key", (event) => {
  if (picked().length || !event.target.closest("#detail") || !loading()) return;
  event.preventDefault();
  waiting = event.detail;
});
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (!waiting || detail.target.id !== "detail" || loading()) return;
  const key = waiting;
  waiting = "";
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
});

/* ---- several rows at once: x selects the current one, shift x all from the last one on; the keys act on those */

const picks = () => [...document.querySelectorAll("[data-pick]")];
const picked = () => picks().filter((box) => box.checked);
let lastPick;

function tellPicked() {
  const words = $("[data-picked]");
  const count = picked().length;
  if (words) words.textContent = count ? `${count} selected` : "Selected";
}

function pick(box, range) {
  const all = picks();
  const from = all.indexOf(lastPick);
  const to = all.indexOf(box);
  if (range && from >= 0) all.slice(Math.min(from, to), Math.max(from, to) + 1).forEach((one) => (one.checked = true));
  else if (range) box.checked = true;
  lastPick = box;
  tellPicked();
}

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "x" || event.metaKey || event.ctrlKey || event.altKey) return;
  if (document.documentElement.dataset.keys === "off" || $("dialog[open]") || $(":popover-open")) return;
  if (event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select")) return;
  const box = $("[data-pick]", ($("[data-row]:focus") ?? $("[data-row][aria-current]"))?.closest("li") ?? document.createElement("li"));
  if (!box) return;
  event.preventDefault();
  if (!event.shiftKey) box.checked = !box.checked;
  pick(box, event.shiftKey);
});
document.addEventListener("click", (event) => {
  if (event.target.matches?.("[data-pick]")) pick(event.target, event.shiftKey && event.target.checked);
});
document.addEventListener("reset", (event) => event.target.id === "bulk" && setTimeout(tellPicked));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && picked().length && !$(":popover-open") && !$("dialog[open]")) $("#bulk")?.reset();
});

document.addEventListener("before-key", (event) => {
  if (!picked().length) return;
  const own = $(`[data-bulk="${CSS.escape(event.detail)}"]`);
  if (!own && !event.target.closest("#detail .acts")) return;
  event.preventDefault(); // what is selected is meant, not the account that happens to be open
  event.stopImmediatePropagation();
  own?.click();
});

/* ---- the server says that a row has left (it may not be drawn here: then nothing happens). An answer that was asked
   for before the queue was drawn again tells of the queue before: what was undone since is there again. */

let drawn = 0; // how often the queue was drawn again
let asked = 0; // the same, when the answer that is being read was asked for

document.addEventListener("htmx:beforeRequest", ({ detail }) => (detail.xhr.drawn = drawn));
document.addEventListener("htmx:beforeOnLoad", ({ detail }) => (asked = detail.xhr.drawn));
for (const swapped of ["htmx:afterSwap", "htmx:oobAfterSwap"]) {
  document.addEventListener(swapped, ({ detail }) => detail.target?.id === "queue" && (drawn += 1));
}

document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.target.id !== "detail" || detail.xhr?.drawn === drawn) return;
  document.body.dispatchEvent(new CustomEvent("handoff-changed")); // the pane fetches itself again
});

document.body.addEventListener("row-gone", ({ detail }) => {
  if (asked !== drawn) return;
  const row = $(detail.value);
  const next = row?.contains(document.activeElement) && (row.nextElementSibling ?? row.previousElementSibling);
  row?.remove();
  if (next) $("[data-row]", next)?.focus({ preventScroll: true }); // somebody else took it: the keyboard goes on here
});

/* ---- the server says that a row has changed: where it is drawn here, it fetches what it says */

document.body.addEventListener("row-changed", ({ detail }) => {
  const said = $(`${detail.value} .pql-b`);
  if (said) htmx.trigger(said, "fresh");
});

/* ---- the server says where the focus belongs after it has redrawn the queue, unless somebody is writing by then */

document.body.addEventListener("focus-on", ({ detail }) => {
  if (!document.activeElement?.matches("textarea, input:not([type=checkbox])")) $(detail.value)?.focus();
});

// A row that left takes the focus with it; when it was the last one, the detail's heading gets it.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (!detail.successful || !detail.requestConfig?.elt.matches?.("[data-optimistic]")) return;
  if (document.activeElement === document.body) $("#det-h")?.focus();
});

/* ---- a closed menu after its action: the swap leaves it open in the top layer otherwise */

document.addEventListener("htmx:beforeRequest", ({ detail }) => detail.elt.closest?.("[popover]")?.hidePopover?.());
