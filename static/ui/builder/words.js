// A condition in short words, as tokens that can be pointed at. The exact English comes from the server; this is what
// stands on the row while one edits it.

import { isObject } from "./tree.js";

const ONE = { times: "time", days: "day", people: "person", points: "point", different: "different" };
const or = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} or ${items.at(-1)}`);
const n = (value) => (typeof value === "number" ? value.toLocaleString("en") : String(value ?? "…"));
const quoted = (name) => (name === "" ? "choose an event" : `“${name}”`);
const days = (count) => `${n(count)} ${count === 1 ? "day" : "days"}`;

export function eventWords(event) {
  if (event === "*") return "any activity";
  if (Array.isArray(event)) return or(event.map((name) => quoted(String(name))));
  return quoted(String(event ?? ""));
}

export function windowWords(window, grammar) {
  if (window === undefined || window === "ever") return "";
  if (window === "billing_month") return grammar.windows.billing_month.phrase;
  if (!isObject(window)) return "…";
  if ("last_days" in window) return window.last_days === 1 ? "today" : `in the last ${days(window.last_days)}`;
  if ("any_days" in window) return `within any ${days(window.any_days)}`;
  if ("first_days" in window) {
    return `within ${days(window.first_days)} of ${window.of === "user" ? "their own" : "the account’s"} signup`;
  }
  if ("from" in window && "to" in window) return `from ${window.from} to ${window.to}`;
  return "from" in window ? `since ${window.from}` : `up to ${window.to}`;
}

export function compareWords(body, options, trait = false) {
  const op = options.find((option) => option.op in body)?.op;
  const value = body[op];
  const is = trait ? "is " : "";
  switch (op) {
    case undefined:
      return "…";
    case "between":
      return `${is}${n(value?.[0])} to ${n(value?.[1])}`;
    case "in":
      return `${is}${Array.isArray(value) && value.length ? or(value.map(n)) : "…"}`;
    case "exactly":
      return trait ? `is ${n(value) || "…"}` : `exactly ${n(value)}`;
    case "is_set":
      return value ? "has a value" : "has no value";
    case "changed_within_days":
      return `changed in the last ${days(value)}`;
    case "share_of_limit":
      return `at least ${n(Math.round(value * 1000) / 10)}% of the plan’s limit`;
    case "within_days":
      return value === 1 ? "today" : `in the last ${days(value)}`;
    case "not_for_days":
      return `not for ${days(value)}`;
    case "factor_at_least":
      return `at least ${n(value)} times`;
    case "factor_at_most":
      return `at most ${n(value)} times`;
    default:
      return `${is}${op.replace("_", " ")} ${n(value)}`;
  }
}

/** A condition as tokens: {text, key} for what can be edited, {text} for the words between. */
export function tokens(kind, body, grammar, { names = {}, subject = "account" } = {}) {
  const inside = isObject(body) ? body : {};
  const field = (key) => kind.fields.find((other) => other.key === key || (key === "compare" && other.type === "compare"));
  const shown = {
    event: () => eventWords(inside.event),
    compare: () => compareWords(inside, field("compare").options, kind.kind === "trait"),
    window: () => windowWords(inside.window, grammar),
    steps: () => (Array.isArray(inside.steps) ? inside.steps.map(eventWords).join(", then ") : "…"),
    of: () => (kind.kind === "trait" ? (inside.of && inside.of !== subject ? `the ${inside.of}’s` : "") : String(inside.of || "…")),
    measure: () => ({ sum: "sum", max: "greatest value", last: "last value" })[inside.measure ?? "sum"] ?? "…",
    limit: () => (inside.limit ? `for ${inside.limit}` : ""),
    at_least: () => (inside.at_least ? `and at least ${n(inside.at_least)}` : ""),
    base_at_least: () => (inside.base_at_least > 1 ? `from at least ${n(inside.base_at_least)}` : ""),
    name: () => String(inside.name || "choose a trait").replaceAll("_", " "),
    stage: () => stageWords(inside, grammar),
    definition: () => definitionWords(body, names),
  };
  const found = [];
  for (const part of kind.phrase.split(/(\{\w+\})/)) {
    const key = part.match(/^\{(\w+)\}$/)?.[1];
    const text = (key ? (shown[key] ?? (() => n(inside[key])))() : part.trim()) ?? "";
    if (text) found.push(key ? { key, text } : { text });
  }
  return found.map((token, i) => {
    const one = !token.key && /(^|\D)1$/.test(found[i - 1]?.text ?? "");
    return one ? { text: token.text.replace(/^\w+/, (word) => ONE[word] ?? word) } : token;
  });
}

function stageWords(body, grammar) {
  const stage = grammar.stages.find((other) => other.value === (body.reached ?? body.since));
  if ("reached" in body) return `has ${stage?.reached ?? "…"}`;
  const [low, high] = [body.at_least_days, body.at_most_days];
  const span = low !== undefined && high !== undefined ? `${low} to ${days(high)}` : low !== undefined ? `at least ${days(low)}` : `at most ${days(high)}`;
  return `${span} since ${stage?.since ?? "…"}`;
}

function definitionWords(body, names) {
  const slug = isObject(body) ? body.slug : body;
  return slug ? `“${names[slug] ?? slug}”` : "choose a definition";
}

/** A signal of a score: what it gives, and what it counts. */
export function signalTokens(signal, grammar) {
  const points = `${signal.points > 0 ? "+" : "−"}${n(Math.abs(signal.points ?? 0))}`;
  const found = [{ key: "points", text: points, strong: true }, { key: "part", text: String(signal.part ?? "…") }];
  if ("when" in signal) return [...found, { text: "if" }];
  const [kind, body] = Object.entries(isObject(signal.per) ? signal.per : {})[0] ?? ["", {}];
  const each = { count: "for each", days: "for each day with", users: "for each person with", distinct: `for each ${body?.of || "value"} of` }[kind];
  found.push({ key: "per", text: each ?? "for each" }, { key: "event", text: eventWords(body?.event) });
  const window = windowWords(body?.window, grammar);
  if (window) found.push({ key: "window", text: window });
  if (signal.half_life_days) found.push({ key: "half_life_days", text: `halving every ${days(signal.half_life_days)}` });
  if (signal.cap) found.push({ key: "cap", text: `up to ${n(signal.cap)}` });
  return found;
}
