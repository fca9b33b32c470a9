// The tree on the page: nested lists with one row a condition, a fieldset a group. `page` is the builder's own state.

import { el, icon, id } from "./dom.js";
import { numberInput } from "./forms.js";
import * as tree from "./tree.js";
import { signalTokens, tokens } from "./words.js";

const GROUPS = { all: "All of", any: "Any of", at_least: "At least", none: "None of" };

/** A node and what is below it, as a list item. */
export function drawNode(page, path) {
  if (tree.isSignal(path)) return drawSignal(page, path);
  const found = tree.read(page.document, path);
  if (tree.isGroup(found.kind)) return drawGroup(page, found);
  const kind = page.grammar.kinds.find((other) => other.kind === found.kind);
  return drawCondition(page, found, kind);
}

function drawCondition(page, { path, inside, nots, kind: key, node }, kind) {
  const body = kind ? node[key] : undefined;
  const row = el("div", { class: "cond" }, grip(page, path), stop(page, path, kind?.icon ?? "braces", rowTokens(page, { nots, kind, node, body, path })), places(path), actions(page, path));
  const parts = [row, el("div", { class: "cond-w", "data-words": path }), el("div", { class: "cond-e", "data-edit": path, hidden: true })];
  const below = tree.below(page.document, path);
  if (key === "users_who" || key === "score") {
    const name = key === "score" ? "Signals of the score" : "Conditions of each person";
    parts.push(el("ul", { class: "conds", "aria-label": name, "data-list": key === "score" ? `${inside}/score/signals` : "" }, below.map((child) => drawNode(page, child))));
    if (key === "score") parts.push(adders(page, path, [["per", "Points for each …"], ["when", "Points if …"]]));
  }
  return el("li", { class: below.length ? "node nest" : "node", "data-node": path, "data-kind": key }, parts);
}

export function rowTokens(page, { nots, kind, node, body, path }) {
  const negated = Array.from({ length: nots }, () => el("span", { class: "tok not" }, "Not"));
  if (!kind) return [...negated, el("span", { class: "tok bad" }, "Not understood"), el("code", { class: "trunc" }, JSON.stringify(node))];
  const words = tokens(kind, body, page.grammar, { names: page.definitionNames, subject: tree.subject(page.document, path) });
  return [...negated, ...words.map((token) => el("span", { class: token.key ? "tok" : "tok-t", "data-f": token.key }, token.text))];
}

function drawSignal(page, path) {
  const signal = tree.get(page.document, path);
  const words = tree.isObject(signal) ? signalTokens(signal, page.grammar) : [{ text: JSON.stringify(signal) }];
  const spans = words.map((token) => el("span", { class: `${token.key ? "tok" : "tok-t"}${token.strong ? " pts num" : ""}`, "data-f": token.key }, token.text));
  const row = el("div", { class: "cond" }, grip(page, path), stop(page, path, "sigma", spans), places(path), actions(page, path));
  const below = tree.below(page.document, path);
  return el(
    "li",
    { class: below.length ? "node nest" : "node", "data-node": path, "data-kind": "signal" },
    row,
    el("div", { class: "cond-w", "data-words": path }),
    el("div", { class: "cond-e", "data-edit": path, hidden: true }),
    below.length ? el("ul", { class: "conds", "aria-label": "Holds if" }, below.map((child) => drawNode(page, child))) : null,
  );
}

function drawGroup(page, { path, inside, nots, kind, node }) {
  const key = tree.listKey(kind);
  const below = tree.below(page.document, path);
  const now = nots === 1 && kind === "any" ? "none" : kind;
  const kinds = Object.entries(GROUPS).map(([word, label]) =>
    el("button", {
      type: "button", "aria-pressed": String(word === now), "data-stop": word === now ? path : false, tabindex: "-1",
      onclick: (event) => {
        if (word !== now) page.change("Changed the group", (document) => tree.convert(document, path, word));
        else (event.currentTarget.nextElementSibling ?? event.currentTarget.parentElement.firstElementChild).focus(); // Enter: on to the others
      },
    }, label),
  );
  const several = kind === "at_least"
    ? el("label", { class: "row grp-k" }, el("span", { class: "sr" }, "At least how many of them"), countInput(page, path, inside, below.length), el("span", { class: "mut" }, `of ${below.length}`))
    : null;
  const negated = now !== "none" && nots ? Array.from({ length: nots }, () => el("span", { class: "badge", "data-tone": "warn" }, "Not")) : [];
  const legend = { all: "All of these", any: "At least one of these", at_least: `At least ${node.at_least} of these`, none: "None of these" }[now];
  const root = path === "/rule" || path === "/motion/rule";
  return el(
    "li",
    { class: "node", "data-node": path, "data-kind": kind },
    el(
      "fieldset",
      { class: "grp" },
      el("legend", { class: "sr" }, legend),
      el("div", { class: "grp-h" }, root ? null : grip(page, path), negated, el("div", { class: "seg", role: "group", "aria-label": "How many of the conditions must hold" }, kinds), several, places(path), actions(page, path, true)),
      el("div", { class: "cond-w", "data-words": path }),
      below.length ? el("ul", { class: "conds", "aria-label": legend, "data-list": `${inside}/${key}` }, below.map((child) => drawNode(page, child))) : null,
      below.length ? null : el("p", { class: "mut none", "data-list": `${inside}/${key}` }, "Nothing in here yet."),
      adders(page, path, [["condition", "Condition"], ["group", "Group"]]),
    ),
  );
}

function countInput(page, path, inside, most) {
  const group = () => tree.get(page.document, inside);
  return numberInput(group().at_least, "k", { type: "whole", min: 1, max: Math.max(1, most) }, (value, empty) => {
    group().at_least = empty ? "" : value;
    page.typed(path);
  });
}

/** The button that a node is reached by; a click on one of its words opens the form at that word's field. */
function stop(page, path, image, words) {
  return el(
    "button",
    { class: "cond-t", type: "button", "data-stop": path, "aria-expanded": "false", tabindex: "-1", onclick: (event) => page.edit(path, event.target.closest("[data-f]")?.dataset.f) },
    icon(image),
    el("span", { class: "toks" }, words),
  );
}

const grip = (page, path) =>
  el("span", { class: "grip", "data-grip": path, "aria-hidden": "true", title: "Drag to move" }, icon("grip-vertical"));

const places = (path) => el("span", { class: "cond-n num", "data-count": path });

function actions(page, path, group = false) {
  const menu = el("button", { class: "btn icon", "data-kind": "ghost", type: "button", tabindex: "-1", "aria-haspopup": "menu", "aria-label": group ? "What to do with this group" : "What to do with this condition", onclick: (event) => page.menu(path, event.currentTarget) }, icon("ellipsis"));
  const gone = el("button", { class: "btn icon only-d", "data-kind": "ghost", type: "button", tabindex: "-1", "aria-label": group ? "Remove this group" : "Remove this condition", onclick: () => page.remove(path) }, icon("x"));
  return el("span", { class: "cond-a" }, menu, path === "/rule" && group ? null : gone);
}

/** What the language counts as one more condition, or one more signal: the least that a button adds. */
const LEAST = { condition: { count: {} }, group: { all: [] }, per: { per: { count: {} } }, when: { when: { trait: {} } } };

function adders(page, path, kinds) {
  const why = (what) => page.refused((copy) => (what in { per: 1, when: 1 } ? tree.insertSignal : tree.insertInto)(copy, path, structuredClone(LEAST[what])));
  const reasons = kinds.map(([what]) => why(what));
  const buttons = kinds.map(([what, label], i) =>
    el("button", { class: "btn", "data-kind": "ghost", type: "button", "data-add": what, disabled: Boolean(reasons[i]), "aria-haspopup": what === "condition" ? "menu" : false, onclick: (event) => page.add(path, what, event.currentTarget) }, icon(what === "group" ? "git-branch" : "plus"), label));
  const said = [...new Set(reasons.filter(Boolean))].map((words) => el("span", { class: "mut t12" }, words));
  return el("div", { class: "add" }, buttons, said);
}

/** A menu at a button: arrows move in it, Escape and a choice give the focus back. */
export function openMenu(button, label, items) {
  const menu = el("div", { class: "menu build-menu", popover: "auto", role: "menu", "aria-label": label, id: id("menu") });
  menu.append(...items.map((item) =>
    item === null
      ? el("div", { role: "separator" })
      : el("button", {
          type: "button", role: "menuitem", tabindex: "-1", disabled: item.disabled,
          onclick: () => { menu.hidePopover(); item.run(); },
        }, icon(item.icon), el("span", { class: "grow" }, item.label, item.words ? el("span", { class: "mut t12 menu-w" }, item.words) : null), item.keys ? el("kbd", { "aria-hidden": "true" }, item.keys) : null)));
  const options = () => [...menu.querySelectorAll("[role=menuitem]:not(:disabled)")];
  let typed = "";
  let timer;
  menu.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[event.key];
    event.stopPropagation();
    if (to !== undefined) {
      event.preventDefault();
      all[to]?.focus();
    } else if (event.key === "Tab") {
      event.preventDefault();
      menu.hidePopover();
    } else if (/^[a-z]$/i.test(event.key) && !event.ctrlKey && !event.metaKey) {
      typed += event.key.toLowerCase();
      clearTimeout(timer);
      timer = setTimeout(() => (typed = ""), 600);
      all.find((option) => option.textContent.trim().toLowerCase().startsWith(typed))?.focus();
    }
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    const inside = menu.contains(document.activeElement);
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    if (inside || document.activeElement === document.body) button.focus();
  });
  document.querySelector("#menus").append(menu);
  button.setAttribute("aria-expanded", "true");
  menu.showPopover({ source: button });
  options()[0]?.focus();
}
