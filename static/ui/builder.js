// The builder: a definition's tree, edited by mouse, touch and keyboard. The document is the state; the JSON beside it
// is its text, and what is posted. What it means in English and how many it fits comes from the server.

import { el, icon } from "./builder/dom.js";
import { drag } from "./builder/drag.js";
import { drawNode, openMenu, rowTokens } from "./builder/draw.js";
import { conditionForm, numberInput, select, signalForm } from "./builder/forms.js";
import * as tree from "./builder/tree.js";
import { signalTokens } from "./builder/words.js";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const form = $("#draft");
const text = $("#id_text");
const preview = $("#preview");
const { slug, describeUrl, namesUrl, reviewUrl } = form.dataset;
const headers = JSON.parse(document.body.getAttribute("hx-headers"));

const page = {
  grammar: JSON.parse($("#grammar").textContent),
  document: undefined, // what the tree shows; undefined while the text is no JSON
  definitionNames: JSON.parse($("#definition-names").textContent),
  current: "/rule", // the node that the keyboard is on
  open: "", // the node whose form is open
  names: (kind, of) => (q) => names(kind, q, of?.()),
  change, typed, edit, menu, add, remove, refused,
};
const undone = { past: [], future: [] };
let before = text.value; // when the JSON was shown: what is written there is one step of undo
let answer = { english: "", phrases: {}, problems: [], warnings: {} };
let touched = form.hasAttribute("data-touched");
let leaving = false;
let followed; // the slug that was made of the name, not written by hand
const original = text.value;

/* ---- the document and its text */

function parsed() {
  try {
    const found = JSON.parse(text.value);
    return tree.isObject(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function write(value) {
  text.value = value;
  text.dispatchEvent(new CustomEvent("written"));
  touched ||= value !== original;
  ask();
}

/** Why a change cannot be made, in words; "" if the definition keeps within its levels and conditions. What is beyond
 * them already may become no deeper and no longer. */
function refused(how) {
  const copy = structuredClone(page.document);
  how(copy);
  const { levels, conditions } = page.grammar.limits;
  if (tree.deepest(copy) > Math.max(levels, tree.deepest(page.document))) return `Groups stand at most ${levels} deep.`;
  if (tree.conditions(copy) > Math.max(conditions, tree.conditions(page.document))) return `A definition has at most ${conditions} conditions.`;
  return "";
}

/** Change the tree: `how` gets a copy of the document, changes it, and gives the path to go to. False if it does not fit. */
function change(words, how, { keep = false, focus = true } = {}) {
  const no = refused(how);
  if (no) {
    tell(no);
    return false;
  }
  const copy = structuredClone(page.document);
  const path = how(copy);
  page.document = copy;
  keepForUndo();
  if (!keep) page.open = "";
  write(tree.pretty(copy));
  draw(path);
  if (focus) go(path ?? page.current);
  say(words);
  return true;
}

function keepForUndo(was = text.value) {
  if (undone.past.at(-1) !== was) undone.past.push(was);
  if (undone.past.length > 200) undone.past.shift();
  undone.future.length = 0;
}

let typing; // changes of one form in a row are one step of undo
function typed(path) {
  if (typing !== path) keepForUndo();
  typing = path;
  write(tree.pretty(page.document));
  repaint(path);
  buttons();
}

function step(from, to, words) {
  if (!from.length) return;
  to.push(text.value);
  page.open = "";
  typing = undefined;
  write(from.pop());
  page.document = parsed();
  draw();
  go(page.current);
  say(words);
}
const undo = () => step(undone.past, undone.future, "Undone");
const redo = () => step(undone.future, undone.past, "Done again");

/* ---- drawing */

function draw(path = page.current) {
  const bad = page.document === undefined;
  $("#tree").hidden = bad;
  $("#no-tree").hidden = !bad;
  buttons();
  if (bad) return;
  $("#rule").replaceChildren(page.document.rule === undefined ? missing() : drawNode(page, "/rule"));
  const motion = tree.isObject(page.document.motion);
  $("#motion").replaceChildren(...(motion && page.document.motion.rule !== undefined ? [drawNode(page, "/motion/rule")] : []));
  $("#motion").hidden = !motion;
  head();
  page.current = nodes().includes(path) ? path : nodes()[0];
  rove();
  show();
  if (preview && text.value === previewedText) showCounts();
  if (page.open) edit(page.open, undefined, true);
}

function missing() {
  return el("li", { class: "node" }, el("button", { class: "btn", type: "button", onclick: () => change("Added a group", (copy) => { copy.rule = { all: [] }; return "/rule"; }) }, icon("plus"), "Begin with a group"));
}

const nodes = () => $$("#tree [data-node]").map((node) => node.dataset.node);
const nodeAt = (path) => $(`#tree [data-node="${CSS.escape(path)}"]`);
const stopAt = (path) => $(`#tree [data-stop="${CSS.escape(path)}"]`);

/** Only the node that one is on has its buttons in the order of Tab. */
function rove() {
  for (const control of $$("#tree .cond button, #tree .grp-h :is(button, input), #tree .add button")) {
    const own = control.closest("[data-node]")?.dataset.node === page.current;
    control.tabIndex = own ? 0 : -1;
  }
}

function go(path) {
  if (!nodeAt(path)) return;
  page.current = path;
  rove();
  stopAt(path)?.focus();
  stopAt(path)?.scrollIntoView({ block: "nearest" });
}

function buttons() {
  $("#undo").disabled = undone.past.length === 0;
  $("#redo").disabled = undone.future.length === 0;
  $("#changed").textContent = text.value === original && !form.hasAttribute("data-touched") ? "" : "Not published";
}

/** A row's words again, without taking the focus out of its form. */
function repaint(path) {
  if (path.startsWith("#")) return;
  const words = $(".toks", stopAt(path));
  if (!words) return;
  const found = tree.read(page.document, path);
  const kind = page.grammar.kinds.find((other) => other.kind === found.kind);
  if (tree.isSignal(path)) {
    const signal = tree.get(page.document, path);
    words.replaceChildren(...signalTokens(signal, page.grammar).map((token) => el("span", { class: `${token.key ? "tok" : "tok-t"}${token.strong ? " pts num" : ""}`, "data-f": token.key }, token.text)));
  } else words.replaceChildren(...rowTokens(page, { ...found, kind, body: kind && found.node[found.kind], path }));
}

/* ---- what stands beside the tree: name, purpose, whom it asks */

function head() {
  const { grammar, document: draft } = page;
  const set = (key, value, again) => {
    if (value === undefined) delete draft[key];
    else draft[key] = value;
    typed(`#${key}`);
    if (again) draw();
  };
  const held = document.activeElement?.closest("#head")?.querySelector(":focus")?.dataset.k;
  const field = (label, control, help) => {
    const own = (control.id ||= `head-${control.dataset.k}`);
    return el("div", { class: "field" }, el("label", { for: own }, label), control, help ? el("span", { class: "help" }, help) : null);
  };
  const line = (key, longest) => {
    const input = el("input", { class: "input", type: "text", maxlength: longest, "data-k": key, value: String(draft[key] ?? ""), autocomplete: "off" });
    input.addEventListener("input", () => {
      if (key === "name" && !slug && (!draft.slug || draft.slug === followed)) nameSlug(slugOf(input.value));
      set(key, input.value);
    });
    return input;
  };
  const purposes = Object.fromEntries(grammar.purposes.map(({ value, label }) => [value, label]));
  const purpose = grammar.purposes.find(({ value }) => value === draft.purpose);
  const people = draft.level === "user";
  const level = select(grammar.levels, draft.level ?? "account", "level", (value) => {
    if (value === "account") delete draft.account_when;
    set("level", value, true);
  }, { account: "each account", user: "each person" });
  const grace = numberInput(draft.grace_days, "grace_days", { type: "whole", min: 0, max: grammar.limits.grace }, (value, empty) => set("grace_days", empty ? undefined : value));
  const lift = tree.isObject(draft.account_when) ? draft.account_when.users_at_least : undefined;
  const several = numberInput(lift, "users_at_least", { type: "whole", min: 1, max: grammar.limits.threshold }, (value, empty) => set("account_when", empty ? undefined : { users_at_least: value }));
  $("#head").replaceChildren(...[
    field("Name", line("name", "120")),
    slug ? null : field("Slug", line("slug", "80"), "Files and commands use it; it never changes."),
    field("Purpose", select(Object.keys(purposes), draft.purpose ?? "", "purpose", (value) => set("purpose", value, true), purposes), purpose ? `It ${purpose.words}.` : ""),
    field("Asked of", level),
    people ? field("People who make the account qualify", several, "1 if left out.") : null,
    field("Grace days", grace, "So many days it outlives its rule; 7 if left out."),
  ].filter(Boolean));
  if (held) $(`#head [data-k="${held}"]`)?.focus();
  const worth = tree.isObject(draft.motion);
  const hands = draft.purpose === "pql";
  $("#worth").hidden = !hands && !worth;
  const narrow = (copy) => {
    copy.motion = { rule: { all: [{ trait: { name: "employees", at_least: 20 } }] } };
    return "/motion/rule/all/0";
  };
  const no = worth ? "" : refused(narrow);
  $("#worth").replaceChildren(
    el("button", {
      class: "btn", type: "button", disabled: Boolean(no),
      onclick: () => worth ? change("Every account is worth a person", (copy) => { delete copy.motion; return "/rule"; }, { focus: false }) : change("Added which accounts are worth a person", narrow),
    }, icon(worth ? "x" : "plus"), worth ? "Hand over every account" : "Only accounts that …"),
    no ? el("span", { class: "mut t12" }, no) : "",
  );
  const goes = worth ? "Goes to sales only when" : "Goes to sales whatever its size";
  $("#worth-words").textContent = hands ? goes : `It ${purpose ? purpose.words : "…"}; nothing is handed to sales${worth ? ", though it says who would be" : ""}.`;
}

/** The slug of a new definition follows its name until somebody writes another one. */
function nameSlug(value) {
  if (!value) return;
  followed = value;
  page.document.slug = value;
  const input = $('#head [data-k="slug"]');
  if (input) input.value = value;
}

function followsName() {
  const { name, slug: own } = page.document ?? {};
  return typeof own === "string" && own.replace(/-\d+$/, "") === slugOf(String(name ?? "")).replace(/-\d+$/, "");
}

/** As the language wants it: lower-case letters and digits with single hyphens between, at most 80 of them. */
function slugOf(name) {
  return name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 80).replace(/^-+|-+$/g, "");
}

/* ---- editing one condition: its form opens below its row */

function edit(path, focus, again = false) {
  const wasOpen = page.open === path && !again;
  for (const place of $$("#tree [data-edit]:not([hidden])")) {
    place.hidden = true;
    place.replaceChildren();
  }
  $$('#tree .cond-t[aria-expanded="true"]').forEach((button) => button.setAttribute("aria-expanded", "false"));
  typing = undefined;
  page.open = "";
  page.current = path;
  rove();
  const place = $(`#tree [data-edit="${CSS.escape(path)}"]`);
  if (!place || (wasOpen && !focus)) return;
  const { inside, kind: key } = tree.read(page.document, path);
  const kind = page.grammar.kinds.find((other) => other.kind === key);
  const subject = tree.subject(page.document, path);
  const changed = () => typed(path);
  const fields = tree.isSignal(path)
    ? signalForm(tree.get(page.document, path), { page, subject, changed })
    : kind && conditionForm(kind, tree.get(page.document, inside), { page, subject, changed });
  if (!fields) return tab("json");
  page.open = path;
  place.replaceChildren(fields, el("p", { class: "reads t12", "data-reads": path }), el("div", { class: "row" }, el("button", { class: "btn", type: "button", onclick: () => close() }, "Done")));
  place.hidden = false;
  stopAt(path).setAttribute("aria-expanded", "true");
  show();
  if (again) return;
  const compared = focus === "compare" ? $('.pair:has([data-k="compare"]) input', fields) : null; // “at least 3”: mostly the 3
  const wanted = focus && (compared ?? $(`[data-k="${focus}"], [data-k="${focus}-0"]`, fields));
  (wanted ?? $("input, select", fields))?.focus();
  compared?.select();
}

function close() {
  const path = page.open;
  if (path) edit(path);
  go(path || page.current);
}

/* ---- adding, removing, moving */

function offered(path) {
  const subject = tree.subject(page.document, path);
  const people = path.includes("/users_who/rule");
  return page.grammar.kinds.filter((kind) => kind.subjects.includes(subject) && !(people && kind.kind === "users_who"));
}

function add(path, what, button, how = tree.insertInto) {
  const put = (node, words) => {
    if (change(words, (copy) => how(copy, path, node)) && !("all" in node)) edit(page.current);
  };
  if (what === "group") return put({ all: [] }, "Added a group");
  if (what === "per" || what === "when") {
    const signal = what === "per" ? { part: "usage", points: 5, per: { count: { event: "*", window: { last_days: 28 } } } } : { part: "fit", points: 20, when: { trait: { name: "employees", at_least: 50 } } };
    return change("Added a signal", (copy) => tree.insertSignal(copy, path, signal)) && edit(page.current);
  }
  const inner = how === tree.insertInto ? tree.read(page.document, path).inside + (tree.read(page.document, path).kind === "users_who" ? "/users_who/rule" : "") : path;
  const items = offered(inner).map((kind) => {
    const node = { [kind.kind]: structuredClone(kind.start) };
    const no = refused((copy) => how(copy, path, node));
    return { icon: kind.icon, label: kind.label, words: no || kind.words, disabled: Boolean(no), run: () => put(node, `Added ${kind.label}`) };
  });
  if (items.every(({ disabled }) => disabled)) return tell(items[0].words); // by the key: the button is disabled
  openMenu(button, "Add a condition", items);
}

function remove(path) {
  const words = tree.isSignal(path) ? "Removed a signal" : tree.isGroup(tree.read(page.document, path).kind) ? "Removed a group" : "Removed a condition";
  change(words, (copy) => tree.remove(copy, path));
  const toast = tell(words, el("button", { type: "button", onclick: () => { undo(); toast.remove(); } }, "Undo"));
}

/** Words at the foot of the page, for a while. */
function tell(words, ...more) {
  const toast = el("div", { class: "toast" }, el("span", {}, words), more, el("button", { type: "button", class: "close", "data-act": "close-toast", "aria-label": "Close this message" }, "×"));
  $("#toasts").append(toast);
  return toast;
}

const MOVES = { up: ["Move up", "arrow-up", "Alt ↑"], down: ["Move down", "arrow-down", "Alt ↓"], into: ["Move into the group beside it", "corner-down-right", "Alt →"], out: ["Move out of its group", "corner-up-left", "Alt ←"] };

function move(path, step) {
  if (!tree.canMove(page.document, path, step)) return say("It cannot go further there.");
  const no = refused((copy) => tree.move(copy, path, step));
  if (no) return tell(no);
  change(`${MOVES[step][0]}: done`, (copy) => tree.move(copy, path, step));
  const list = tree.parent(page.current);
  const parts = tree.get(page.document, list);
  if (Array.isArray(parts)) say(`Moved: ${Number(tree.last(page.current)) + 1} of ${parts.length}`);
}

function menu(path, button) {
  const { kind, nots } = tree.read(page.document, path);
  const signal = tree.isSignal(path);
  const group = tree.isGroup(kind);
  const make = (label, image, words, how, keys) => {
    const no = refused((copy) => how(copy, path));
    return { label, icon: image, keys, disabled: Boolean(no), words: no, run: () => change(words, (copy) => how(copy, path)) };
  };
  const root = path === "/rule";
  const items = [
    group ? null : { label: "Edit", icon: "pencil", keys: "↵", run: () => edit(path) },
    make("Duplicate", "copy", "Duplicated", tree.duplicate, "D"),
    signal ? undefined : make(nots ? "No longer not" : "Not", "ban", nots ? "Asked for again" : "Denied", tree.negate, "N"),
    signal ? undefined : make("Put into a group: all of", "group", "Put into a group", (copy) => tree.wrap(copy, path, "all")),
    signal ? undefined : make("Put into a group: any of", "group", "Put into a group", (copy) => tree.wrap(copy, path, "any")),
    tree.canUnwrap(page.document, path) ? make("Take the group away, keep its parts", "ungroup", "Group taken away", tree.unwrap) : undefined,
    null,
    ...Object.entries(MOVES).map(([step, [label, image, keys]]) => ({ label, icon: image, keys, disabled: !tree.canMove(page.document, path, step) || Boolean(refused((copy) => tree.move(copy, path, step))), run: () => move(path, step) })),
    null,
    root && group ? { label: "Remove everything", icon: "trash-2", run: () => remove(path) } : { label: "Remove", icon: "trash-2", keys: "Del", run: () => remove(path) },
  ].filter((item) => item !== undefined);
  while (items[0] === null) items.shift();
  openMenu(button, group ? "Group" : "Condition", items);
}

/* ---- keyboard: arrows go from node to node, the rest is on the node that one is on */

$("#tree").addEventListener("keydown", (event) => {
  const stop = event.target.closest("[data-stop]");
  const inForm = event.target.closest(".cond-e");
  if (inForm) {
    if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
    return;
  }
  if (!stop || event.ctrlKey || event.metaKey) return;
  const path = stop.dataset.stop;
  if (event.altKey) {
    const step = { ArrowUp: "up", ArrowDown: "down", ArrowRight: "into", ArrowLeft: "out" }[event.key];
    if (!step) return;
    event.preventDefault();
    return move(path, step);
  }
  const all = nodes();
  const at = all.indexOf(path);
  const act = {
    ArrowDown: () => go(all[at + 1]),
    ArrowUp: () => go(all[at - 1]),
    ArrowLeft: () => go(tree.ownerOf(page.document, path)),
    ArrowRight: () => go(tree.below(page.document, path)[0]),
    Home: () => go(all[0]),
    End: () => go(all.at(-1)),
    Delete: () => remove(path),
    Backspace: () => remove(path),
    a: () => addHere(path, stop),
    g: () => change("Put into a group", (copy) => tree.wrap(copy, path)),
    n: () => !tree.isSignal(path) && change("Turned round", (copy) => tree.negate(copy, path)),
    d: () => change("Duplicated", (copy) => tree.duplicate(copy, path)),
    m: () => menu(path, stop),
  }[event.key];
  if (!act || (event.key.length === 1 && document.documentElement.dataset.keys === "off")) return;
  event.preventDefault();
  event.stopPropagation();
  act();
});

function addHere(path, button) {
  const { kind } = tree.read(page.document, path);
  if (tree.isSignal(path)) return add(tree.ownerOf(page.document, path), "per", button);
  if (kind === "score") return add(path, "per", button);
  if (tree.isGroup(kind) || kind === "users_who") return add(path, "condition", button);
  return add(path, "condition", button, tree.insertAfter);
}

$("#tree").addEventListener("focusin", (event) => {
  const path = event.target.closest("[data-node]")?.dataset.node;
  if (!path || path === page.current || event.target.closest(".cond-e")) return;
  page.current = path;
  rove();
});

document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey)) return;
  if (event.key === "Enter" && !event.target.closest("#publish-dialog, dialog")) {
    event.preventDefault();
    return publish();
  }
  const writing = event.target.matches("textarea, input:not([type=checkbox])");
  if (event.key.toLowerCase() !== "z" && event.key.toLowerCase() !== "y") return;
  if (writing || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  if (event.key.toLowerCase() === "y" || event.shiftKey) redo();
  else undo();
});
$("#undo").addEventListener("click", undo);
$("#redo").addEventListener("click", redo);

drag($("#tree"), {
  list: (path) => tree.get(page.document, path),
  may: (path, list) => {
    const target = tree.parent(`${list}/0`);
    if (target.startsWith(`${path}/`)) return false;
    if (tree.isSignal(path)) return list === tree.parent(path);
    return !list.endsWith("/signals") && !refused((copy) => tree.moveTo(copy, path, tree.get(copy, list), tree.get(copy, list).length));
  },
  drop: (path, list, index) => change("Moved", (copy) => tree.moveTo(copy, path, tree.get(copy, list), index)),
});

/* ---- the two views of one document */

function tab(name, focus = true) {
  if (name === "tree") {
    page.document = parsed();
    if (form.elements.tab.value === "json" && text.value !== before) keepForUndo(before);
    draw();
  } else before = text.value;
  form.elements.tab.value = name;
  for (const one of $$("[role=tab]", form)) {
    const here = one.dataset.tab === name;
    one.setAttribute("aria-selected", String(here));
    one.tabIndex = here ? 0 : -1;
    document.getElementById(one.getAttribute("aria-controls")).hidden = !here;
    if (here && focus) one.focus();
  }
  if (name === "json") text.dispatchEvent(new CustomEvent("written"));
  show();
}
for (const one of $$("[role=tab]", form)) {
  one.addEventListener("click", () => tab(one.dataset.tab));
  one.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    tab(one.dataset.tab === "json" ? "tree" : "json");
  });
}
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-line], [data-to-json]")) tab("json", false);
}, true);
text.addEventListener("input", () => {
  touched = true;
  buttons();
  ask();
});

/* ---- in English, with what is wrong: asked as one goes, and only the newest answer counts */

let asked = 0;
let timer;
let stopped = new AbortController();

function ask(wait = 250) {
  clearTimeout(timer);
  timer = setTimeout(describe, wait);
}

async function describe() {
  const mine = (asked += 1);
  stopped.abort();
  stopped = new AbortController();
  try {
    const response = await fetch(describeUrl, { method: "POST", headers, body: new URLSearchParams({ text: text.value, slug }), signal: stopped.signal });
    if (!response.ok) throw new Error(String(response.status));
    const found = await response.json();
    if (mine !== asked) return;
    answer = found;
    if (!slug && found.free_slug && page.document?.slug === followed) {
      nameSlug(found.free_slug);
      return write(tree.pretty(page.document));
    }
  } catch (error) {
    if (mine === asked && error.name !== "AbortError") $("#english").textContent = "The server cannot be reached: this is not read in English now. Nothing is lost.";
    return;
  }
  show();
  if (preview && !answer.problems.length) showPreview();
  else if (preview) stale(true);
}

/** Problems, warnings and English at their places. */
function show() {
  const paths = form.elements.tab.value === "json" ? [] : nodes();
  const wrong = new Map();
  const elsewhere = [];
  for (const problem of answer.problems) {
    const path = tree.nodeOf(paths, problem.path);
    if (path) wrong.set(path, [...(wrong.get(path) ?? []), problem]);
    else elsewhere.push(problem);
  }
  for (const [path, problems] of wrong) {
    const open = problems.filter(unfilled); // what is only empty yet comes first; the rest often follows from it
    wrong.set(path, [...new Set((open.length ? open : problems).map(plain))]);
  }
  const warned = new Map();
  for (const [place, words] of Object.entries(answer.warnings)) {
    const path = tree.nodeOf(paths, place);
    if (path) warned.set(path, words);
  }
  for (const place of $$("#tree [data-words]")) {
    const path = place.dataset.words;
    const lines = [...(wrong.get(path) ?? []).map((words) => ["bad", "circle-alert", words]), ...(warned.get(path) ?? []).map((words) => ["warn", "triangle-alert", words])];
    place.replaceChildren(...lines.map(([tone, image, words]) => el("p", { class: "cond-p", "data-tone": tone }, icon(image), el("span", {}, words))));
    nodeAt(path)?.toggleAttribute("data-wrong", wrong.has(path));
  }
  $$("#head [data-k]").forEach((input) => {
    const problem = elsewhere.find(({ path }) => path.split("/")[1] === input.dataset.k || (input.dataset.k === "users_at_least" && path.startsWith("/account_when")));
    if (problem) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  });
  $("#elsewhere").replaceChildren(...elsewhere.map((problem) => el("li", {}, icon("circle-alert"), el("span", {}, plain(problem)), problem.line ? el("a", { class: "link num", href: `#line-${problem.line}`, "data-line": problem.line }, `Line ${problem.line}`) : null)));
  const lines = new Set(answer.problems.map(({ line }) => line));
  $$(".gutter li").forEach((line, i) => line.toggleAttribute("data-wrong", lines.has(i + 1)));
  const count = answer.problems.length;
  $("#english").textContent = answer.english || (count ? `${count === 1 ? "One thing is" : `${count} things are`} missing before this reads as a sentence.` : "Reading …");
  $("#summ").dataset.tone = count ? "warn" : "";
  const reads = page.open && $(`[data-reads="${CSS.escape(page.open)}"]`);
  if (reads) {
    const said = answer.phrases[page.open] ?? answer.phrases[`${page.open}/per`];
    reads.textContent = said ? `Reads: ${said}` : "";
  }
}

function unfilled({ path }) {
  const value = page.document && tree.get(page.document, path);
  return value === "" || (Array.isArray(value) && value.length === 0);
}

/** For who fills in forms its words; beside the JSON what was expected there, and where. */
function plain({ path, message, words }) {
  if (form.elements.tab.value !== "json") return words || message;
  const said = path ? `${path}: ${message}` : message;
  return /[.!?]$/.test(said) ? said : `${said}.`;
}

let spoken;
function say(words) {
  clearTimeout(spoken);
  spoken = setTimeout(() => ($("#said").textContent = words), 50);
}

async function names(kind, q, of = "") {
  const address = `${namesUrl}?${new URLSearchParams({ kind, q, of: typeof of === "string" ? of : "" })}`;
  const response = await fetch(address);
  if (!response.ok) return [];
  const found = (await response.json()).names;
  if (kind === "definition") for (const { name, label } of found) page.definitionNames[name] = label;
  return found.map((item) => (kind === "definition" ? { ...item, words: `${item.name}, ${item.words}` } : item));
}

/* ---- who it fits: the preview beside the tree, and the numbers it brings for each condition */

const stale = (is) => ($("#stale").hidden = !(is && $("#pv", preview)));
let shown = 0;
let previewedText; // that the numbers are of
let previewed = new AbortController();
async function showPreview() {
  const mine = (shown += 1);
  const sent = text.value;
  previewed.abort();
  previewed = new AbortController();
  try {
    const body = new URLSearchParams({ text: sent, slug, exact: "" });
    const response = await fetch(preview.dataset.url, { method: "POST", headers: { ...headers, "HX-Request": "true" }, body, signal: previewed.signal });
    if (!response.ok && response.status !== 422) throw new Error(String(response.status));
    const found = await response.text();
    if (mine !== shown) return;
    preview.innerHTML = found;
    previewedText = sent;
    stale(false);
    htmx.process(preview); // its parts ask for themselves
    showCounts();
    showEffects();
  } catch (error) {
    if (mine === shown && error.name !== "AbortError") {
      preview.replaceChildren(el("p", { class: "prev-0 mut", "data-effect": "" }, "The preview cannot be reached now. It comes with the next change."));
      previewedText = sent;
      showEffects();
    }
  }
}

/** What was typed of sales' room stays while the rule changes: every question for the rate carries it. */
const room = new Map();
preview?.addEventListener("input", ({ target }) => {
  if (!target.closest("#pv-room") || !target.name) return;
  if (target.value && target.validity.valid) room.set(target.name, target.value);
  else room.delete(target.name);
});
preview?.addEventListener("htmx:configRequest", ({ detail: { parameters } }) => {
  if (parameters.part !== "rate") return;
  for (const [name, value] of room) if (!parameters[name]) parameters[name] = value;
});

function showCounts() {
  const found = $$("data.cond-n", preview);
  if (!found.length) return;
  const everybody = Math.max(1, Number($(".pv-counts", preview).dataset.of));
  const byPath = new Map(found.map((data) => [data.dataset.path, data]));
  for (const place of $$("#tree [data-count]")) {
    const { path, inside, kind } = tree.isSignal(place.dataset.count) ? { path: place.dataset.count } : tree.read(page.document, place.dataset.count);
    const data = byPath.get(path) ?? byPath.get(inside) ?? byPath.get(`${inside}/${kind}`) ?? byPath.get(`${path}/when`);
    if (!data) {
      place.replaceChildren();
      continue;
    }
    const alone = Number(data.value);
    const left = data.dataset.left === undefined ? undefined : Number(data.dataset.left);
    place.replaceChildren(
      el("b", {}, `${data.hasAttribute("data-estimated") ? "≈" : ""}${alone.toLocaleString("en")}`), el("span", { class: "sr" }, alone === 1 ? " account on its own" : " accounts on their own"),
      bar(alone / everybody),
      ...(left === undefined ? [] : [el("span", { class: "left" }, `${left.toLocaleString("en")} left`)]),
    );
  }
}
function bar(share) {
  const fill = el("i", {});
  fill.style.width = `${Math.round(share * 100)}%`;
  return el("span", { class: "cond-bar", "aria-hidden": "true" }, fill);
}
preview?.addEventListener("htmx:afterSettle", () => {
  showCounts();
  showEffects();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-apply-path]");
  if (!button || !page.document) return;
  const { applyPath, value } = button.dataset;
  change("Applied", (copy) => {
    tree.set(copy, applyPath, JSON.parse(value));
    return tree.nodeOf(nodes(), applyPath) || page.current;
  });
});

/* ---- publishing: once more what changes, then why */

const dialog = $("#publish-dialog");
dialog.append($("#publish-part"));
$("#publish-part").hidden = false;

async function publish() {
  const place = $("#review");
  place.replaceChildren(el("p", { class: "mut" }, "Looking at what changes …"));
  $("#publish").disabled = false;
  dialog.showModal();
  const response = await fetch(reviewUrl, { method: "POST", headers, body: new URLSearchParams({ text: text.value, slug }) }).catch(() => undefined);
  if (!response || (!response.ok && response.status !== 422)) place.replaceChildren(el("p", { class: "note", "data-tone": "bad" }, "The server cannot be reached. Nothing is lost."));
  else {
    place.innerHTML = await response.text();
    showEffects();
  }
  $("#publish").disabled = response?.status === 422;
  $("#id_reason").focus();
}
/** Whom publishing changes, as the preview has it: of this very text, first of the sample, then of everybody. */
function showEffects() {
  const place = $("[data-effects]");
  if (!place || !preview) return;
  const told = previewedText === text.value ? $$("#pv-who [data-effect], #preview > [data-effect]") : [];
  place.replaceChildren(...(told.length ? told.map((part) => part.cloneNode(true)) : [el("p", { class: "mut" }, "Counting whom it changes …")]));
}
$("#cancel").addEventListener("click", (event) => {
  event.preventDefault();
  dialog.close();
});
$("#to-publish").addEventListener("click", (event) => {
  event.preventDefault();
  publish();
});
dialog.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!$("#publish").disabled) form.requestSubmit($("#publish"));
  }
});

/* ---- nothing is lost by a click beside it */

$("#to-backtest").addEventListener("click", () => form.requestSubmit($("#backtest")));
const kept = `undone:${location.pathname}`; // what can be undone, while the server looks at what is published
form.addEventListener("submit", ({ submitter }) => {
  leaving = submitter?.formTarget !== "_blank"; // a backtest opens beside it
  if (!leaving) return;
  try {
    sessionStorage.setItem(kept, JSON.stringify({ text: text.value, past: undone.past.slice(-20), future: undone.future.slice(-20) }));
  } catch {
    // no room for it: the draft itself comes back with the page
  }
});
addEventListener("beforeunload", (event) => {
  if (leaving || !touched || (text.value === original && !form.hasAttribute("data-touched"))) return;
  event.preventDefault();
});

/* ---- begin */

if (form.hasAttribute("data-touched")) {
  const found = JSON.parse(sessionStorage.getItem(kept) ?? "{}");
  if (found.text === text.value) Object.assign(undone, { past: found.past, future: found.future });
}
sessionStorage.removeItem(kept);
for (const part of $$("[data-with-script]", document)) part.hidden = false;
page.document = parsed();
if (!touched || followsName()) followed = page.document?.slug;
tab(form.elements.tab.value || "tree", false);
ask(0);
if ($("#id_reason").hasAttribute("aria-invalid")) publish();
