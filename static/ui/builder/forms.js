// The small forms under a condition: one field for each part of it, as the grammar of the language describes them.
//
// A form changes the condition's own object and says so (`changed`); where the fields that make sense are others
// after a change, it is drawn again and the same field has the focus.

import { combobox, el, icon, id } from "./dom.js";
import { isObject } from "./tree.js";

const toNumber = (text, whole) => {
  const clean = text.replace(/[\s,](?=\d{3}\b)/g, "").trim();
  const value = Number(clean);
  if (clean === "" || !Number.isFinite(value) || (whole && !Number.isInteger(value))) return text;
  return value;
};

/** `page`: {grammar, names(kind, of)(text), say}. `subject`: whom the condition asks. */
export function conditionForm(kind, holder, { page, subject, changed }) {
  const form = el("div", { class: "cond-f" });
  const body = () => holder[kind.kind];
  const draw = (focus) => {
    const parts = kind.fields
      .filter((field) => !field.with || (isObject(body()) && field.with in body()))
      .map((field) => fieldOf(field, { kind, holder, body, page, subject, changed: update }));
    form.replaceChildren(...parts.filter(Boolean));
    if (focus) form.querySelector(`[data-k="${focus}"]`)?.focus();
  };
  const update = (again) => {
    changed();
    if (again) draw(again);
  };
  draw();
  return form;
}

function fieldOf(field, at) {
  const { body, page } = at;
  if (field.type !== "definition" && !isObject(body())) return null;
  switch (field.type) {
    case "event":
      return labelled(field.label, eventField(body(), "event", field.names, at), true);
    case "steps":
      return stepsField(field, at);
    case "compare":
      return compareField(field, at);
    case "window":
      return windowField(field, body(), at);
    case "text":
      return labelled(field.label, textField(field, at));
    case "choice":
      return labelled(field.label, select(field.choices, body()[field.key] ?? field.left_out, field.key, (value) => {
        body()[field.key] = value;
        const barred = Object.entries(field.key === "measure" ? { any_days: ["max", "last"] } : {});
        for (const [window, measures] of barred) {
          if (measures.includes(value) && isObject(body().window) && window in body().window) body().window = { last_days: body().window[window] };
        }
        at.changed(field.key);
      }));
    case "subject":
      return at.subject === "account" && !("of" in body()) ? null : labelled("Of", select(at.subject === "user" ? ["user", "account"] : ["account", "user"], body().of ?? at.subject, "of", (value) => {
        if (value === at.subject) delete body().of;
        else body().of = value;
        at.changed("of");
      }, { user: "the person", account: "the account" }));
    case "stage":
      return stageField(at);
    case "definition":
      return definitionField(at);
    case "bands":
      return bandsField(field, at);
    default:
      return labelled(field.label, numberField(body(), field.key, field, at, field.optional));
  }
}

/* ---- parts */

function labelled(label, control, wide = false) {
  const input = control.input ?? (control.matches("input, select") ? control : control.querySelector("input, select"));
  const own = input.id || (input.id = id("f"));
  return el("div", { class: `cond-x${wide ? " wide" : ""}` }, el("label", { for: own }, label), control.box ?? control);
}

export function select(values, value, key, done, words = {}) {
  const known = values.includes(value) ? values : [value, ...values];
  return el(
    "select",
    { class: "select", "data-k": key, onchange: (event) => done(event.target.value) },
    known.map((one) => el("option", { value: one, selected: one === value }, words[one] ?? String(one).replaceAll("_", " "))),
  );
}

/** A number as text: what is no number stays as it is typed, and the server says what is wrong with it. */
export function numberInput(value, key, { type, min, max }, done, name) {
  const input = el("input", { class: "input num", inputmode: type === "whole" && min >= 0 ? "numeric" : "decimal", "data-k": key, "aria-label": name, autocomplete: "off", maxlength: "20" });
  input.value = value === undefined ? "" : String(value);
  const read = () => toNumber(input.value, type === "whole");
  const check = () => {
    const given = read();
    const wrong = input.value.trim() !== "" && (typeof given !== "number" || given < min || given > max);
    if (wrong) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => {
    check();
    done(read(), input.value.trim() === "");
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const now = read();
    if (!step || event.altKey || typeof now !== "number") return;
    event.preventDefault();
    const by = type === "whole" ? step : step * (Math.abs(now) < 5 ? 0.1 : 1);
    input.value = String(Math.min(max, Math.max(min, Math.round((now + by) * 1e6) / 1e6)));
    check();
    done(read(), false);
  });
  return input;
}

function numberField(holder, key, field, { changed }, optional = false, name) {
  return numberInput(holder[key], key, field, (value, empty) => {
    if (empty && optional) delete holder[key];
    else holder[key] = empty ? "" : value;
    changed();
  }, name);
}

/** One event, several, or any activity. */
export function eventField(holder, key, names, { page, changed }) {
  const values = () => (Array.isArray(holder[key]) ? holder[key] : holder[key] === "" || holder[key] === undefined ? [] : [holder[key]]);
  const chips = el("span", { class: "chips" });
  const store = (list) => {
    holder[key] = list.length === 1 ? list[0] : list.length ? list : "";
    draw();
    changed();
  };
  const { input, box: part } = combobox({
    label: "Events",
    value: "",
    key: "event",
    keeps: false,
    placeholder: "Add an event",
    extra: names === "event" ? [{ name: "*", label: "Any activity", words: "everything that counts as activity" }] : [],
    ask: page.names(names),
    done: (name) => {
      const list = values().filter((other) => other !== "*" && other !== name);
      store(name === "*" ? ["*"] : [...list, name]);
      input.focus();
    },
  });
  const draw = () => {
    chips.replaceChildren(
      ...values().map((name, i) =>
        el("button", {
          class: "chip", type: "button", "aria-label": `Remove ${name === "*" ? "any activity" : name}`,
          onclick: () => { store(values().filter((_, other) => other !== i)); input.focus(); },
        }, el("span", { class: "trunc" }, name === "*" ? "Any activity" : String(name)), icon("x")),
      ),
    );
    input.placeholder = values().length ? "or another event" : "Choose an event";
  };
  draw();
  return { input, box: el("div", { class: "many" }, chips, part) };
}

function stepsField(field, at) {
  const { body, changed } = at;
  const list = body().steps;
  if (!Array.isArray(list)) return null;
  const line = (i) => {
    const event = eventField(list, i, "event", { page: at.page, changed: () => changed() });
    event.input.dataset.k = `steps-${i}`;
    const gone = el("button", {
      class: "btn icon", "data-kind": "ghost", type: "button", "aria-label": `Remove step ${i + 1}`, disabled: list.length <= field.min,
      onclick: () => { list.splice(i, 1); changed(`steps-${Math.max(0, i - 1)}`); },
    }, icon("x"));
    return el("div", { class: "step" }, labelled(i ? "Then" : "First", event, true), gone);
  };
  const more = el("button", {
    class: "btn", "data-kind": "ghost", type: "button", disabled: list.length >= field.max,
    onclick: () => { list.push(""); changed(`steps-${list.length - 1}`); },
  }, icon("plus"), "Step");
  return el("div", { class: "steps" }, list.map((_, i) => line(i)), more);
}

function compareField(field, at) {
  const { body, changed, kind } = at;
  const option = field.options.find((other) => other.op in body());
  const words = kind.kind === "trait" ? { exactly: "is", in: "is one of", at_least: "at least", changed_within_days: "changed in the last … days" } : {};
  const op = select(field.options.map((other) => other.op), option?.op ?? "", "compare", (value) => {
    const next = field.options.find((other) => other.op === value);
    const was = option && body()[option.op];
    replaceKey(body(), option?.op, value, starting(next, was, option));
    if (value !== "share_of_limit") delete body().limit;
    changed("compare");
  }, { ...Object.fromEntries(field.options.map((other) => [other.op, other.label])), ...words });
  const parts = [labelled(field.label, op)];
  if (option) parts.push(...valueOf(option, at));
  return el("div", { class: "pair" }, parts);
}

/** Put a value under another key, at the same place in the object. */
function replaceKey(holder, before, after, value) {
  const entries = Object.entries(holder);
  const place = entries.findIndex(([key]) => key === before);
  for (const key of Object.keys(holder)) delete holder[key];
  if (place < 0) entries.push([after, value]);
  else entries[place] = [after, value];
  Object.assign(holder, Object.fromEntries(entries));
}

function starting(option, was, before) {
  const number = typeof was === "number" && before?.type !== "share" ? was : Array.isArray(was) && typeof was[0] === "number" ? was[0] : 1;
  if (option.op === "between") return [number, number];
  switch (option.type) {
    case "yes":
      return true;
    case "share":
      return 0.8;
    case "texts":
      return Array.isArray(was) ? was : was === undefined || typeof was === "boolean" ? [] : [was];
    case "text":
      return Array.isArray(was) ? (was[0] ?? "") : typeof was === "boolean" || was === undefined ? "" : was;
    case "wholes":
      return [number];
    default:
      return Math.min(option.max, Math.max(option.min, option.type === "whole" ? Math.round(number) : number));
  }
}

function valueOf(option, at) {
  const { body, changed } = at;
  const { op } = option;
  if (op === "between") {
    const pair = Array.isArray(body()[op]) ? body()[op] : [body()[op], body()[op]];
    body()[op] = pair;
    return [0, 1].map((i) => labelled(i ? "And" : "From", numberField(pair, i, option, { changed })));
  }
  if (option.type === "yes") {
    return [labelled("Value", select(["true", "false"], String(body()[op]), op, (value) => { body()[op] = value === "true"; changed(op); }, { true: "there is one", false: "there is none" }))];
  }
  if (option.type === "share") {
    const shown = typeof body()[op] === "number" ? Math.round(body()[op] * 1000) / 10 : body()[op];
    return [labelled("Percent", numberInput(shown, op, { type: "number", min: 0.1, max: 100_000 }, (value, empty) => {
      body()[op] = empty ? "" : typeof value === "number" ? Math.round(value * 10) / 1000 : value;
      changed();
    }))];
  }
  if (option.type === "texts" || option.type === "wholes") return [labelled("Values", listField(option, at), true)];
  if (option.type === "text") {
    const { input, box: part } = combobox({ label: "Value", value: String(body()[op] ?? ""), key: op, ask: at.page.names("value", () => body().name), done: (text) => { body()[op] = typed(text, body()[op]); changed(); } });
    return [labelled("Value", { input, box: part })];
  }
  return [labelled({ whole: "Number", number: "Number" }[option.type] ?? "Number", numberField(body(), op, option, { changed }))];
}

/** A trait's value as it was stored: a number stays a number, a text a text. */
const typed = (text, was) => (typeof was === "number" && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);

function listField(option, at) {
  const { body, changed } = at;
  const list = () => (Array.isArray(body()[option.op]) ? body()[option.op] : []);
  const chips = el("span", { class: "chips" });
  const { input, box: part } = combobox({
    label: "Values", value: "", key: option.op, keeps: false, placeholder: "Add a value",
    ask: option.type === "texts" ? at.page.names("value", () => body().name) : async () => [],
    done: (text) => {
      const value = option.type === "wholes" ? toNumber(text, true) : list().some((other) => typeof other === "number") ? toNumber(text) : text;
      if (!list().includes(value)) body()[option.op] = [...list(), value];
      draw();
      changed();
    },
  });
  const draw = () =>
    chips.replaceChildren(...list().map((value, i) => el("button", {
      class: "chip", type: "button", "aria-label": `Remove ${value}`,
      onclick: () => { body()[option.op] = list().filter((_, other) => other !== i); draw(); changed(); input.focus(); },
    }, String(value), icon("x"))));
  draw();
  return { input, box: el("div", { class: "many" }, chips, part) };
}

function textField(field, at) {
  const { body, changed, page, subject } = at;
  const of = { property: () => (typeof body().event === "string" ? body().event : ""), trait: () => body().of ?? subject }[field.names];
  return combobox({
    label: field.label, value: String(body()[field.key] ?? ""), key: field.key, ask: page.names(field.names, of),
    done: (text) => {
      if (!text.trim() && field.optional) delete body()[field.key];
      else body()[field.key] = text;
      changed();
    },
  });
}

/* ---- windows */

export function windowField(field, holder, at) {
  const { grammar } = at.page;
  const { changed, subject } = at;
  const window = holder.window;
  const barred = Object.entries(field.without ?? {}).filter(([, [key, values]]) => values.includes(holder[key])).map(([kind]) => kind);
  const kinds = field.kinds.filter((kind) => !barred.includes(kind));
  const kind = kindOf(window);
  const length = isObject(window) ? (window.last_days ?? window.first_days ?? window.any_days) : undefined;
  const choose = select(kinds, kind, "window", (value) => {
    const days = typeof length === "number" ? length : 14;
    const today = new Date();
    const made = {
      ever: undefined, last_days: { last_days: days }, first_days: { first_days: days, of: subject }, any_days: { any_days: Math.min(days, 30) },
      billing_month: "billing_month", dates: { from: `${today.getFullYear()}-${String(today.getMonth() + 1).padStart(2, "0")}-01` },
    }[value];
    if (made === undefined) delete holder.window;
    else holder.window = made;
    changed("window");
  }, Object.fromEntries(Object.entries(grammar.windows).map(([key, { label }]) => [key, label])));
  const parts = [labelled(field.label, choose)];
  const limits = { type: "whole", min: 1, max: grammar.limits.days };
  if (["last_days", "first_days", "any_days"].includes(kind)) parts.push(labelled("Days", numberField(window, kind, limits, { changed })));
  if (kind === "first_days") {
    const signups = subject === "user" && at.kind?.kind !== "stage" ? ["user", "account"] : ["account"];
    parts.push(labelled("After signup of", select(signups, window.of ?? "", "of", (value) => { window.of = value; changed("of"); }, { user: "the person", account: "the account", "": "…" })));
  }
  if (kind === "dates") {
    for (const key of ["from", "to"]) {
      const text = typeof window[key] !== "number";
      const input = el("input", { class: "input num", type: text ? "date" : "text", "data-k": key, value: window[key] ?? "" });
      input.addEventListener("input", () => {
        if (input.value === "") delete window[key];
        else window[key] = text ? input.value : toNumber(input.value, true);
        changed();
      });
      parts.push(labelled(key === "from" ? "From" : "To", input));
    }
  }
  return el("div", { class: "pair" }, parts);
}

function kindOf(window) {
  if (window === undefined || window === "ever") return "ever";
  if (window === "billing_month") return "billing_month";
  if (!isObject(window)) return String(window);
  if ("from" in window || "to" in window) return "dates";
  return Object.keys(window).find((key) => key.endsWith("_days")) ?? "dates";
}

/* ---- stages, definitions, bands */

function stageField({ body, page, changed }) {
  const key = "reached" in body() ? "reached" : "since";
  const how = select(["reached", "since"], key, "how", (value) => {
    const stage = body()[key];
    for (const other of Object.keys(body())) delete body()[other];
    Object.assign(body(), value === "reached" ? { reached: stage } : { since: stage, at_least_days: 14 });
    changed("how");
  }, { reached: "Has reached", since: "Days since" });
  const words = Object.fromEntries(page.grammar.stages.map((stage) => [stage.value, key === "reached" ? `has ${stage.reached}` : stage.since]));
  const writes = page.grammar.purposes.find(({ value }) => value === page.document.purpose)?.writes;
  const offered = page.grammar.stages.map(({ value }) => value).filter((value) => value !== writes || value === body()[key]); // none reads what it writes
  const which = select(offered, body()[key], "stage", (value) => { body()[key] = value; changed("stage"); }, words);
  return el("div", { class: "pair" }, labelled("Asks", how), labelled("Stage", which));
}

function definitionField({ holder, page, changed }) {
  const slug = isObject(holder.definition) ? holder.definition.slug : holder.definition;
  const field = combobox({
    label: "Definition", value: slug ?? "", key: "definition", ask: page.names("definition"),
    done: (text, chosen) => {
      if (!chosen && text === slug) return;
      holder.definition = text.trim();
      changed();
    },
  });
  return labelled("Slug of the definition", field, true);
}

function bandsField(field, { body, changed }) {
  const bands = isObject(body().bands) ? body().bands : {};
  const entries = Object.entries(bands);
  const store = (list, focus) => {
    if (list.length) body().bands = Object.fromEntries(list);
    else delete body().bands;
    changed(focus);
  };
  const lines = entries.map(([name, least], i) => {
    const label = el("input", { class: "input", type: "text", maxlength: "40", value: name, "data-k": `band-${i}` });
    label.addEventListener("change", () => store(entries.map((entry, other) => (other === i ? [label.value, least] : entry)), `band-${i}`));
    const points = numberInput(least, `least-${i}`, { type: "whole", min: -1_000_000, max: 1_000_000 }, (value) => { bands[name] = value; changed(); });
    const gone = el("button", { class: "btn icon", "data-kind": "ghost", type: "button", "aria-label": `Remove the band ${name}`, onclick: () => store(entries.filter((_, other) => other !== i), "add-band") }, icon("x"));
    return el("div", { class: "step" }, labelled("Band", label), labelled("From points", points), gone);
  });
  const fresh = ["hot", "warm", "cold"].find((name) => !(name in bands)) ?? `band ${entries.length + 1}`;
  const more = el("button", { class: "btn", "data-kind": "ghost", type: "button", "data-k": "add-band", disabled: entries.length >= field.max, onclick: () => store([...entries, [fresh, 0]], `band-${entries.length}`) }, icon("plus"), "Band");
  return el("div", { class: "steps" }, lines, more);
}

/* ---- signals of a score */

export function signalForm(signal, { page, subject, changed }) {
  const { limits, parts, counted } = page.grammar;
  const form = el("div", { class: "cond-f" });
  const update = (again) => {
    changed();
    if (again) draw(again);
  };
  const optional = (key, label, max) => labelled(label, numberField(signal, key, { type: "whole", min: 1, max }, { changed: update }, true));
  const draw = (focus) => {
    const lines = [
      labelled("Points", numberField(signal, "points", { type: "whole", min: -limits.points, max: limits.points }, { changed: update })),
      labelled("For", select(parts, signal.part, "part", (value) => { signal.part = value; update("part"); })),
    ];
    if (isObject(signal.per)) {
      const [kind] = Object.keys(signal.per);
      const body = signal.per[kind];
      const kinds = counted.filter((other) => other !== "users" || subject === "account");
      lines.push(labelled("For each", select(kinds, kind, "per", (value) => {
        const { of, ...rest } = body;
        signal.per = { [value]: value === "distinct" ? { event: rest.event, of: of ?? "", window: rest.window } : rest };
        if (signal.per[value].window === undefined) delete signal.per[value].window;
        update("per");
      }, { count: "event", days: "active day", users: "person", distinct: "different value" })));
      lines.push(labelled("Event", eventField(body, "event", "event", { page, changed: update }), true));
      if (kind === "distinct") lines.push(labelled("Property", combobox({ label: "Property", value: String(body.of ?? ""), key: "property", ask: page.names("property", () => body.event), done: (text) => { body.of = text; update(); } })));
      const decays = "half_life_days" in signal;
      lines.push(labelled("Counts", select(["window", "decay"], decays ? "decay" : "window", "counts", (value) => {
        if (value === "decay") { delete body.window; signal.half_life_days = 7; } else { delete signal.half_life_days; body.window = { last_days: 28 }; }
        update("counts");
      }, { window: "in a window", decay: "fresh more than old" })));
      if (decays) lines.push(labelled("Halves every … days", numberField(signal, "half_life_days", { type: "whole", min: 1, max: limits.half_life }, { changed: update })));
      else lines.push(windowField(page.grammar.kinds.find((other) => other.kind === kind)?.fields.find((field) => field.type === "window"), body, { page, subject, changed: update }));
      lines.push(optional("cap", "At most points", limits.cap));
    }
    form.replaceChildren(...lines);
    if (focus) form.querySelector(`[data-k="${focus}"]`)?.focus();
  };
  draw();
  return form;
}
