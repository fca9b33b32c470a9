// The draft as a tree: reading a document's nodes and changing them. No page, no events; documents are plain JSON.
//
// A path is a JSON pointer ("/rule/all/0"). A chain of `not` and what it denies are one node, at the path of the
// outermost `not`. Whatever is not understood stays as it is and is a node of the kind "raw".

export const steps = (path) => path.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
export const join = (path, step) => `${path}/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`;
export const parent = (path) => path.slice(0, path.lastIndexOf("/"));
export const last = (path) => path.slice(path.lastIndexOf("/") + 1);
export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

export const get = (document, path) => steps(path).reduce((value, step) => value?.[step], document);

export function set(document, path, value) {
  const keys = steps(path);
  const key = keys.pop();
  const holder = keys.reduce((found, step) => found?.[step], document);
  if (holder === undefined || holder === null) return;
  if (value === undefined) delete holder[key];
  else holder[key] = value;
}

/** What a node is: how often it is denied, its kind, and the path of the object inside. */
export function read(document, path) {
  let node = get(document, path);
  let nots = 0;
  let inside = path;
  while (isObject(node) && Object.keys(node).length === 1 && "not" in node) {
    node = node.not;
    inside += "/not";
    nots += 1;
  }
  const keys = isObject(node) ? Object.keys(node) : [];
  let kind = "raw";
  if (keys.length === 1 && Array.isArray(node.all)) kind = "all";
  else if (keys.length === 1 && Array.isArray(node.any)) kind = "any";
  else if (keys.length === 2 && "at_least" in node && Array.isArray(node.of)) kind = "at_least";
  else if (keys.length === 1 && !["all", "any", "not", "of", "at_least"].includes(keys[0])) [kind] = keys;
  return { path, inside, nots, kind, node };
}

export const isGroup = (kind) => kind === "all" || kind === "any" || kind === "at_least";
export const listKey = (kind) => (kind === "at_least" ? "of" : kind);

/** The paths below a node: of the parts of a group, the signals of a score, or the one rule that it holds. */
export function below(document, path) {
  if (isSignal(path)) return isObject(get(document, path)?.when) ? [`${path}/when`] : [];
  const { kind, inside, node } = read(document, path);
  if (isGroup(kind)) return node[listKey(kind)].map((_, i) => `${inside}/${listKey(kind)}/${i}`);
  if (kind === "users_who" && isObject(node.users_who?.rule)) return [`${inside}/users_who/rule`];
  if (kind === "score" && Array.isArray(node.score?.signals)) {
    return node.score.signals.map((_, i) => `${inside}/score/signals/${i}`);
  }
  return [];
}

export const isSignal = (path) => /\/score\/signals\/\d+$/.test(path);
export const inList = (path) => /\/(all|any|of|signals)\/\d+$/.test(path);

/** Every node in reading order, as paths. */
export function walk(document, path) {
  return [path, ...below(document, path).flatMap((child) => walk(document, child))];
}

/** How many levels a node takes with all that is below it: a group, a `not`, the people or signals that hold a rule, and a
 * condition count one each, as the language counts them. An empty group takes the room of its first condition. */
export function levels(document, path) {
  const inner = Math.max(0, ...below(document, path).map((child) => levels(document, child)));
  if (isSignal(path)) return inner;
  const { nots, kind } = read(document, path);
  return nots + 1 + (isGroup(kind) ? Math.max(1, inner) : inner);
}

/** The levels of the deepest of a document's rules. */
export const deepest = (document) =>
  Math.max(...["/rule", "/motion/rule"].map((path) => (isObject(get(document, path)) ? levels(document, path) : 0)));

/** How many conditions a document has, as the language counts them: people for whom …, a score and each of its "points for
 * each" are one, and so is what stands below them. */
export const conditions = (document) =>
  ["/rule", "/motion/rule"]
    .filter((root) => get(document, root) !== undefined)
    .flatMap((root) => walk(document, root))
    .filter((path) => (isSignal(path) ? get(document, path)?.per !== undefined : !isGroup(read(document, path).kind))).length;

/** The node that a path (of a problem, a number) belongs to: the deepest one above it. */
export function nodeOf(paths, path) {
  let best = "";
  for (const candidate of paths) {
    if ((path === candidate || path.startsWith(`${candidate}/`)) && candidate.length > best.length) best = candidate;
  }
  return best;
}

/** Whom the rule at a path asks: an account or a person. */
export function subject(document, path) {
  if (path.includes("/users_who/rule")) return "user";
  return path.startsWith("/motion") ? "account" : document.level === "user" ? "user" : "account";
}

/** Where a node stands now that the tree has changed; nodes are found by their identity. */
export function pathOf(document, node, path = "") {
  if (document === node) return path;
  if (document === null || typeof document !== "object") return undefined;
  for (const key of Object.keys(document)) {
    const found = pathOf(document[key], node, join(path, key));
    if (found !== undefined) return found;
  }
  return undefined;
}

/* ---- changes: each takes a document of its own, changes it, and gives the path to go to */

export function insert(document, list, index, node) {
  get(document, list).splice(index, 0, node);
  return `${list}/${index}`;
}

/** Put a node after the one at `path`; where one stands alone, both come into a group. */
export function insertAfter(document, path, node) {
  if (inList(path) && !isSignal(path)) return insert(document, parent(path), Number(last(path)) + 1, node);
  const alone = get(document, path);
  set(document, path, { all: [alone, node] });
  return `${path}/all/1`;
}

/** Put a node into the one at `path`, as its last part. */
export function insertInto(document, path, node) {
  const { kind, inside } = read(document, path);
  if (isGroup(kind)) return insert(document, `${inside}/${listKey(kind)}`, below(document, path).length, node);
  if (kind === "users_who") {
    const rule = `${inside}/users_who/rule`;
    return isGroup(read(document, rule).kind) ? insertInto(document, rule, node) : insertAfter(document, rule, node);
  }
  return insertAfter(document, path, node);
}

/** Put a signal at the end of the score at `path`. */
export function insertSignal(document, path, signal) {
  const list = `${read(document, path).inside}/score/signals`;
  return insert(document, list, get(document, list).length, signal);
}

export function remove(document, path) {
  if (path === "/motion/rule") {
    delete document.motion;
    return "/rule";
  }
  if (!inList(path)) {
    set(document, path, { all: [] });
    return path;
  }
  const list = parent(path);
  const index = Number(last(path));
  const parts = get(document, list);
  parts.splice(index, 1);
  return parts.length ? `${list}/${Math.min(index, parts.length - 1)}` : ownerOf(document, path);
}

/** The node that holds the one at `path`; "" for a root. */
export function ownerOf(document, path) {
  for (const root of ["/rule", "/motion/rule"]) {
    if (path !== root && path.startsWith(`${root}/`)) {
      return nodeOf(walk(document, root).filter((other) => other !== path && path.startsWith(`${other}/`)), path) || root;
    }
  }
  return "";
}

export function duplicate(document, path) {
  const copy = structuredClone(get(document, path));
  if (isSignal(path)) return insert(document, parent(path), Number(last(path)) + 1, copy);
  return insertAfter(document, path, copy);
}

export function wrap(document, path, word = "all") {
  const node = get(document, path);
  set(document, path, word === "at_least" ? { at_least: 1, of: [node] } : { [word]: [node] });
  return path;
}

export function canUnwrap(document, path) {
  const { kind, nots, node } = read(document, path);
  if (!isGroup(kind) || nots) return false;
  return inList(path) || node[listKey(kind)].length === 1;
}

/** Put a group's parts in its place. */
export function unwrap(document, path) {
  const { kind, node } = read(document, path);
  const parts = node[listKey(kind)];
  if (inList(path)) get(document, parent(path)).splice(Number(last(path)), 1, ...parts);
  else set(document, path, parts[0]);
  return get(document, path) === undefined ? ownerOf(document, path) : path;
}

export function negate(document, path) {
  const { nots, node } = read(document, path);
  const inner = get(document, path);
  set(document, path, nots ? (nots === 1 ? node : inner.not) : { not: inner });
  return path;
}

/** Make a group another kind: all, any, at_least, none (not any). */
export function convert(document, path, word) {
  const { kind, node } = read(document, path);
  const parts = node[listKey(kind)];
  const made = { all: { all: parts }, any: { any: parts }, none: { not: { any: parts } } }[word];
  set(document, path, made ?? { at_least: Math.min(2, Math.max(1, parts.length)), of: parts });
  return path;
}

/** Where a step leads: [list, index before which to put it], or nothing. */
function target(document, path, step) {
  const list = parent(path);
  const index = Number(last(path));
  const parts = inList(path) ? get(document, list) : [];
  if (isSignal(path)) {
    if (step === "up" && index > 0) return [parts, index - 1];
    if (step === "down" && index < parts.length - 1) return [parts, index + 2];
    return undefined;
  }
  if (step === "up" && inList(path) && index > 0) return [parts, index - 1];
  if (step === "down" && inList(path) && index < parts.length - 1) return [parts, index + 2];
  if (step === "into" && inList(path)) {
    for (const near of [index - 1, index + 1]) {
      if (near < 0 || near >= parts.length) continue;
      const found = listInside(document, `${list}/${near}`);
      if (found) return [found, near < index ? found.length : 0];
    }
  }
  if (step === "out" && inList(path)) {
    let owner = ownerOf(document, path);
    while (owner && !(inList(owner) && !isSignal(owner))) owner = ownerOf(document, owner);
    if (owner) return [get(document, parent(owner)), Number(last(owner)) + 1];
  }
  return undefined;
}

/** The list that takes new parts of a group, or of the people for whom a group holds. */
export function listInside(document, path) {
  const { kind, inside, node } = read(document, path);
  if (isGroup(kind)) return node[listKey(kind)];
  if (kind === "users_who" && isObject(node.users_who?.rule)) return listInside(document, `${inside}/users_who/rule`);
  return undefined;
}

export const canMove = (document, path, step) => target(document, path, step) !== undefined;

export function move(document, path, step) {
  const found = target(document, path, step);
  return found ? moveTo(document, path, ...found) : path;
}

/** Take the node at `path` to a place in a list (the array itself) of the same document. */
export function moveTo(document, path, list, index) {
  const node = get(document, path);
  const from = get(document, parent(path));
  const at = Number(last(path));
  from.splice(at, 1);
  list.splice(from === list && at < index ? index - 1 : index, 0, node);
  return pathOf(document, node);
}

/* ---- text */

/** A document as JSON for people, as the server writes it: short parts stay on one line. */
export function pretty(value, depth = 0) {
  const flat = line(value);
  const empty = value === null || typeof value !== "object" || Object.keys(value).length === 0;
  if (empty || (flat.length + 2 * depth <= 88 && depth > 0)) return flat;
  const pad = "  ".repeat(depth + 1);
  const end = "  ".repeat(depth);
  if (Array.isArray(value)) return `[\n${value.map((item) => pad + pretty(item, depth + 1)).join(",\n")}\n${end}]`;
  const pairs = Object.entries(value).map(([key, item]) => `${pad}${JSON.stringify(key)}: ${pretty(item, depth + 1)}`);
  return `{\n${pairs.join(",\n")}\n${end}}`;
}

function line(value) {
  if (Array.isArray(value)) return `[${value.map(line).join(", ")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${line(item)}`).join(", ")}}`;
}
