// plgops behaviour: preferences, keymap, queue, palette, dialogs, toasts, optimistic actions, chart tips, tick.
// No framework and no eval. Pages declare what they want in attributes; nothing here knows a page.
//
//   data-key="c"            a click on this element is on the key c; "g a" is g, then a
//   data-say="Claim"        its name in the list of shortcuts (else its text)
//   data-list, data-row     a queue and its rows: j and k move, Enter opens; rows with hx-get load after a rest
//   data-open="id"          opens the dialog with that id
//   data-act="…"            close, close-toast, theme, density, keys
//   data-pref="name"        an input whose value is saved to the profile at once
//   data-submit             a text that ⌘ Enter sends
//   data-stays              a button whose answer leaves the page as it is: a file, another tab
//   data-optimistic="…"     claim or leave: the row dims at once and comes back if the server says no
//   data-tip="…"            words shown on hover and focus
//   hx-trigger="tick from:body"   polled while the tab is visible

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const root = document.documentElement;
const isMac = navigator.platform.startsWith("Mac");
const phone = matchMedia("(max-width: 820px)");
const TICK_SECONDS = 20;

const visible = (element) => Boolean(element) && element.checkVisibility() && !element.disabled;
// A field of a dialog that was closed just now has the focus until the next frame: a key in it is not typing.
const typing = (event) =>
  visible(event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]"));

/* ---- shortcuts are written for a Mac; elsewhere the key is called Ctrl */

function nameKeys(part) {
  if (isMac) return;
  for (const key of $$("kbd", part)) if (key.textContent === "⌘") key.textContent = "Ctrl";
}
nameKeys(document);
document.addEventListener("htmx:load", ({ target }) => nameKeys(target));

/* ---- preferences: painted at once, saved to the profile */

function save(name, value) {
  root.dataset[name] = value;
  if (!document.body.hasAttribute("hx-headers")) return;
  const headers = JSON.parse(document.body.getAttribute("hx-headers"));
  fetch("/profile/preferences/", { method: "POST", headers, body: new URLSearchParams({ [name]: value }) })
    .then((response) => response.ok || toast("Your choice could not be saved."))
    .catch(() => toast("Your choice could not be saved. Are you offline?"));
  $$(`[data-pref="${name}"]`).forEach((input) => (input.checked = input.value === value));
  if (name === "keys") $$('[data-act="keys"]').forEach((box) => (box.checked = value !== "off"));
}

const prefers = {
  theme() {
    const { theme } = root.dataset;
    const dark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    save("theme", dark ? "light" : "dark");
  },
  density: () => save("density", root.dataset.density === "compact" ? "normal" : "compact"),
  keys: () => save("keys", root.dataset.keys === "off" ? "on" : "off"),
};

document.addEventListener("change", (event) => {
  const name = event.target.dataset?.pref;
  if (name) save(name, event.target.value);
});

/* ---- queue: j and k move at once; the detail loads after a short rest, so holding j stays cheap */

let rest;
let acting; // what a button of the detail asks for, while it is not answered: the answer needs the detail it came from

document.addEventListener("htmx:beforeSend", ({ detail: { xhr, requestConfig } }) => {
  if (requestConfig.verb !== "post" || !requestConfig.elt.closest("#detail")) return;
  acting = xhr;
  xhr.addEventListener("loadend", () => (acting = acting === xhr ? undefined : acting));
});

function load(row) {
  if (acting) rest = setTimeout(load, 30, row);
  else htmx.trigger(row, "click");
}

function select(row, opens = true) {
  if (!row) return;
  $$("[data-row][aria-current]").forEach((other) => other.removeAttribute("aria-current"));
  row.setAttribute("aria-current", "true");
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  clearTimeout(rest);
  if (opens && row.hasAttribute("hx-get") && !phone.matches) rest = setTimeout(load, 90, row);
}

function move(step) {
  const rows = $$("[data-list] [data-row]").filter(visible);
  const at = rows.findIndex((row) => row.hasAttribute("aria-current"));
  const focused = rows.indexOf(document.activeElement); // after a claim: the next row, not opened yet
  select(rows[at < 0 ? Math.max(0, focused) : Math.max(0, Math.min(rows.length - 1, at + step))]);
}

document.addEventListener(
  "click",
  (event) => {
    const row = event.target.closest("[data-row]");
    if (!row) return;
    if (phone.matches) event.stopImmediatePropagation(); // phones: plain navigation to the full page
    else select(row, false);
  },
  true,
);

/** A shortcut writes into a text, over what a line of it says already, and clicks anything else. */
function press(element) {
  ready(element);
  if (!element.matches("input, textarea, select")) return element.click();
  element.focus();
  if (element.matches("input")) element.select();
}

/** What was drawn a moment ago is htmx's only when it has settled: until then a click would leave the page. */
function ready(element) {
  htmx.process(element.form ?? element);
}

/** Out of a text that a shortcut led into, back to the row, so that the shortcuts work again. */
function leave(text) {
  text.blur();
  ($("[data-row][aria-current]") ?? $("[data-row]"))?.focus({ preventScroll: true });
}
const LED_INTO = "main :is(input, textarea)[data-key], main [data-submit], main [type=search]";

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.matches?.(LED_INTO)) leave(event.target);
});

// What was sent is done with at once: the next key is a shortcut again, also before the answer. What went wrong leads back.
document.addEventListener("htmx:beforeRequest", ({ detail: { requestConfig, xhr } }) => {
  const text = document.activeElement;
  if (requestConfig.verb !== "post" || !text?.matches(LED_INTO) || text.form !== requestConfig.elt) return;
  xhr.sent = { id: text.id, value: text.value };
  leave(text);
  if (text.matches("textarea")) text.value = "";
});
document.addEventListener("htmx:afterOnLoad", unsent);
document.addEventListener("htmx:sendError", unsent);

function unsent({ detail: { xhr, successful } }) {
  const text = xhr.sent && document.getElementById(xhr.sent.id);
  if (!text || (successful && !$("[role=alert]", text.closest("section")))) return;
  if (text.value === text.defaultValue) text.value = xhr.sent.value;
  if (!document.activeElement?.matches(LED_INTO)) text.focus();
}

// A part that is drawn again while somebody writes in it keeps what is not sent yet, and the place in it.
document.addEventListener("htmx:beforeOnLoad", ({ detail: { xhr } }) => {
  const text = document.activeElement;
  if (text?.matches(LED_INTO) && text.id && text.form && text.value !== text.defaultValue) xhr.kept = text;
});
document.addEventListener("htmx:afterOnLoad", ({ detail: { xhr: { kept } } }) => {
  const text = kept && document.getElementById(kept.id);
  if (!text || text === kept || text.form?.getAttribute("hx-post") !== kept.form.getAttribute("hx-post")) return;
  text.value = kept.value;
  text.focus({ preventScroll: true });
  text.setSelectionRange(kept.selectionStart, kept.selectionEnd);
});

/* ---- keymap: elements declare data-key, so there is no registry to keep */

let prefix = "";
let prefixTimer;

document.addEventListener("keydown", (event) => {
  const withModifier = isMac ? event.metaKey : event.ctrlKey;
  if (withModifier && event.key.toLowerCase() === "k" && $("#palette")) {
    event.preventDefault();
    return openPalette();
  }
  if (root.dataset.keys === "off" || typing(event) || event.metaKey || event.ctrlKey || event.altKey) return;
  if ($("dialog[open]") || $(":popover-open")) return;
  const pressed = prefix ? `${prefix} ${event.key}` : event.key;
  prefix = "";
  const target = $$(`[data-key="${CSS.escape(pressed)}"]`).filter((element) => element.isConnected && !element.disabled);
  const hit = target.filter(visible).pop() ?? (pressed.startsWith("g ") ? target.pop() : undefined);
  const own = { j: () => move(1), k: () => move(-1), "/": openPalette, "?": openShortcuts }[pressed];
  if (hit || own) {
    event.preventDefault();
    if (!hit) return own();
    // whoever knows that the page is not ready for it can say so
    const early = new CustomEvent("before-key", { detail: event.key, bubbles: true, cancelable: true });
    if (hit.dispatchEvent(early)) press(hit);
    return;
  }
  if (event.key === "g") {
    prefix = "g";
    clearTimeout(prefixTimer);
    prefixTimer = setTimeout(() => (prefix = ""), 900);
  }
});

/** The page's own shortcuts as [key, name, element]; those of the frame are listed by the server. */
function pageKeys() {
  const seen = new Map();
  for (const element of $$("main [data-key], #toasts [data-key]").filter(visible)) {
    const words = element.dataset.say ?? element.getAttribute("aria-label") ?? textOf(element);
    if (words) seen.set(element.dataset.key, [element.dataset.key, words, element]);
  }
  return [...seen.values()];
}

function textOf(element) {
  const copy = element.cloneNode(true);
  $$(".keys, kbd, svg", copy).forEach((part) => part.remove());
  return copy.textContent.trim().replace(/\s+/g, " ");
}

function caps(key) {
  const holder = Object.assign(document.createElement("span"), { className: "keys" });
  holder.setAttribute("aria-hidden", "true");
  for (const part of key.split(" ")) {
    holder.append(Object.assign(document.createElement("kbd"), { textContent: part.length === 1 ? part.toUpperCase() : part }));
  }
  return holder;
}

function openShortcuts() {
  const sheet = $("#shortcuts");
  if (!sheet || sheet.open) return;
  const section = $("[data-here]", sheet);
  const keys = pageKeys();
  section.hidden = keys.length === 0;
  $("dl", section).replaceChildren(
    ...keys.map(([key, words]) => {
      const line = document.createElement("div");
      const value = document.createElement("dd");
      value.append(caps(key));
      line.append(Object.assign(document.createElement("dt"), { textContent: words }), value);
      return line;
    }),
  );
  sheet.showModal();
}

/* ---- command palette: a combobox and its listbox in a native dialog */

const palette = $("#palette");
const paletteInput = palette && $("input", palette);
const options = () => $$("[role=option]", palette).filter((option) => !option.hidden);

function mark(index) {
  const all = options();
  all.forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
  const marked = all[index];
  if (!marked) return paletteInput.removeAttribute("aria-activedescendant");
  paletteInput.setAttribute("aria-activedescendant", marked.id);
  marked.scrollIntoView({ block: "nearest" });
}

function filterPalette() {
  const words = paletteInput.value.trim().toLowerCase();
  for (const group of $$("[role=group]:not([data-found])", palette)) {
    const all = $$("[role=option]", group);
    all.forEach((option) => (option.hidden = words !== "" && !option.textContent.toLowerCase().includes(words)));
    group.hidden = all.every((option) => option.hidden);
  }
  if (!words) $("#pal-found").replaceChildren();
  $(".pal-none", palette).hidden = options().length > 0;
  mark(0);
}

function openPalette() {
  if (!palette || palette.open) return;
  const here = $("[data-here]", palette);
  $$("[role=option]", here).forEach((option) => option.remove());
  pageKeys().forEach(([key, words, element], i) => {
    const option = Object.assign(document.createElement("div"), { id: `pal-here-${i}` });
    option.setAttribute("role", "option");
    option.append(Object.assign(document.createElement("span"), { textContent: words, className: "trunc" }), caps(key));
    option.target = element;
    here.append(option);
  });
  paletteInput.value = "";
  filterPalette();
  palette.showModal();
  paletteInput.focus();
}

function run(option) {
  if (!option) return;
  palette.close();
  const { href, run: name } = option.dataset;
  if (href) location.href = href;
  else if (option.target) press(option.target);
  else if (name === "shortcuts") openShortcuts();
  else if (name === "logout") $("#logout").requestSubmit();
  else prefers[name]?.();
}

if (palette) {
  paletteInput.addEventListener("input", filterPalette);
  paletteInput.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    const act = {
      ArrowDown: () => mark(Math.min(all.length - 1, at + 1)),
      ArrowUp: () => mark(Math.max(0, at - 1)),
      Enter: () => run(all[at]),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  palette.addEventListener("click", (event) => run(event.target.closest("[role=option]")));
  palette.addEventListener("htmx:afterSwap", () => {
    $(".pal-none", palette).hidden = options().length > 0;
    mark(0);
  });
}

/* ---- dialogs and small clicks */

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) {
    if (opener.dataset.open === "palette") return openPalette();
    if (opener.dataset.open === "shortcuts") return openShortcuts();
    return document.getElementById(opener.dataset.open)?.showModal();
  }
  if (event.target.matches("dialog")) return event.target.close(); // the backdrop
  const actor = event.target.closest("[data-act]");
  if (!actor) return;
  const { act } = actor.dataset;
  if (act === "close") actor.closest("dialog")?.close();
  else if (act === "close-toast") actor.closest(".toast").remove();
  else prefers[act]?.();
});

/* ---- ⌘ Enter (Ctrl Enter) sends the text it is pressed in, as its form's first button would */

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.metaKey || event.ctrlKey) || !event.target.matches?.("[data-submit]")) return;
  event.preventDefault();
  const first = $("button:not([type=button])", event.target.form);
  ready(event.target);
  if (event.target.form.reportValidity()) first?.click();
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button?.matches(".btn:not([data-stays])") || event.target.matches("[hx-post], [hx-get], [method=dialog]")) return;
  setTimeout(() => button.setAttribute("aria-busy", "true")); // a second click must not send it twice
});
addEventListener("pageshow", () => $$('form .btn[aria-busy="true"]').forEach((b) => b.removeAttribute("aria-busy")));

/* ---- an address holds what was asked for: empty fields of a search or filter stay out of it */

function dropEmpty(fields) {
  for (const name of new Set(fields.keys())) {
    if (fields.getAll(name).every((value) => value === "")) fields.delete(name);
  }
}
document.addEventListener("formdata", (event) => event.target.method === "get" && dropEmpty(event.formData));
document.addEventListener("htmx:configRequest", ({ detail }) => detail.verb === "get" && dropEmpty(detail.formData));

/* ---- toasts: at most two; the timer waits while one is hovered or focused */

const toasts = $("#toasts");

function arm(element) {
  let timer;
  const start = () => (timer = setTimeout(() => element.remove(), 8000));
  const stop = () => clearTimeout(timer);
  ["mouseenter", "focusin"].forEach((name) => element.addEventListener(name, stop));
  ["mouseleave", "focusout"].forEach((name) => element.addEventListener(name, start));
  start();
}

function toast(text, tone = "bad") {
  const element = Object.assign(document.createElement("div"), { className: "toast" });
  element.dataset.tone = tone;
  const close = Object.assign(document.createElement("button"), { type: "button", className: "close", textContent: "×" });
  close.dataset.act = "close-toast";
  close.setAttribute("aria-label", "Close this message");
  element.append(Object.assign(document.createElement("span"), { textContent: text }), close);
  toasts?.append(element);
}

if (toasts) {
  $$(".toast", toasts).forEach(arm);
  new MutationObserver((changes) => {
    for (const added of changes.flatMap((change) => [...change.addedNodes])) {
      if (!added.classList?.contains("toast")) continue;
      $$(".toast", toasts).slice(0, -2).forEach((old) => old.remove());
      arm(added);
    }
  }).observe(toasts, { childList: true });
}

// An undo that was taken is not offered a second time: its message goes, and what came of it is said in a new one.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful) detail.requestConfig?.elt.closest?.("#toasts .toast")?.remove();
});

/* ---- requests that fail say so, and leave the page as it was */

const ANSWERS = {
  400: "The server did not understand that. Reload the page and try again.",
  403: "You may not do that, or your session ended. Reload the page and try again.",
  404: "That is not there any more. Reload the page.",
  409: "Somebody changed this first. Reload to see what it is now.",
  429: "Too many requests. Wait a moment and try again.",
};

function explain(xhr) {
  const plain = xhr.getResponseHeader("content-type")?.startsWith("text/plain");
  return (plain && xhr.responseText) || ANSWERS[xhr.status] || "The server had a problem. Nothing was changed.";
}

// A poll that fails is silent: the next one tries again. A panel that fails shows its own retry.
const quiet = (element) => element.matches("#nav-counts, [data-panel], [hx-trigger*=tick]");

document.addEventListener("htmx:responseError", ({ detail }) => {
  const element = detail.requestConfig.elt;
  if (element.matches("[data-panel]")) return panelFailed(element);
  if (!quiet(element)) toast(explain(detail.xhr));
});
document.addEventListener("htmx:sendError", ({ detail }) => {
  const element = detail.requestConfig.elt;
  if (element.matches("[data-panel]")) return panelFailed(element);
  if (!quiet(element)) toast("Could not reach the server. Nothing was changed.");
});
document.addEventListener("htmx:timeout", () => toast("The server took too long. Nothing was changed."));

function panelFailed(panel) {
  const words = $("#panel-failed")?.content.cloneNode(true);
  if (words) panel.replaceChildren(words);
}

document.addEventListener("click", (event) => {
  const panel = event.target.closest("[data-retry]")?.closest("[data-panel]");
  const verb = ["get", "post"].find((name) => panel?.hasAttribute(`hx-${name}`));
  if (verb) htmx.ajax(verb, panel.getAttribute(`hx-${verb}`), { source: panel, target: panel, swap: "innerHTML" });
});

/* ---- optimistic: paint the outcome at once, put it back if the server says no */

const painted = new WeakMap();

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  const button = detail.elt.closest?.("[data-optimistic]");
  if (!button) return;
  button.setAttribute("aria-busy", "true");
  const row = $("[data-row][aria-current]")?.closest("li, tr");
  if (!row) return;
  row.dataset.state = "leaving";
  painted.set(button, { row, next: row.nextElementSibling ?? row.previousElementSibling });
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  // the button itself may be swapped away by now, so it is read from the request
  const button = detail.requestConfig?.elt.closest?.("[data-optimistic]");
  if (!button) return;
  const was = painted.get(button);
  button.removeAttribute("aria-busy");
  if (!detail.successful && was) delete was.row.dataset.state;
  if (!detail.successful || !was?.next) return;
  // claim: the account stays open to be worked on, the keyboard is on the next one already
  const next = $("[data-row]", was.next);
  if (button.dataset.optimistic === "claim") next?.focus({ preventScroll: true });
  else select(next);
});

/* ---- chart tips for mouse and keyboard */

const tip = Object.assign(document.createElement("div"), { id: "tip", hidden: true });
tip.setAttribute("aria-hidden", "true"); // the same words are the element's own name
document.body.append(tip);

function showTip(event) {
  const target = event.target.closest?.("[data-tip]");
  tip.hidden = !target;
  if (!target) return;
  tip.textContent = target.dataset.tip;
  const box = target.getBoundingClientRect();
  tip.style.left = `${Math.max(90, Math.min(innerWidth - 90, box.left + box.width / 2))}px`;
  tip.style.top = `${Math.max(30, box.top - 6)}px`;
}

document.addEventListener("pointerover", showTip);
document.addEventListener("focusin", showTip);

/* ---- tick: polling for pages that ask for it, only while somebody can see them */

const tick = () => document.visibilityState === "visible" && document.body.dispatchEvent(new CustomEvent("tick"));
setInterval(tick, TICK_SECONDS * 1000);
document.addEventListener("visibilitychange", tick);
