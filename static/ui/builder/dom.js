// Elements, and the combobox: the ARIA pattern with a listbox, names asked of the server as one types.

/** `el("button", {class: "btn", onclick: f, "aria-label": "…"}, child, "text")`; null and false children are left out. */
export function el(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "selected" || key === "disabled") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/** One of the icons that the page holds ready. */
export function icon(name, size = "sm") {
  const found = document.querySelector(`#icons [data-icon="${name}"] svg`)?.cloneNode(true);
  if (!found) return "";
  found.setAttribute("class", `i ${size}`);
  return found;
}

let number = 0;
export const id = (word) => `b-${word}-${(number += 1)}`;

/**
 * A text field that completes names. `ask(text)` gives a promise of [{name, label, words, warning}]; `done(value)` is
 * told each value that was typed or chosen. With `keeps: false` the field empties after a choice, for lists of chips.
 */
export function combobox({ label, value, ask, done, placeholder = "", key = "", keeps = true, extra = [] }) {
  const listId = id("names");
  const list = el("div", { id: listId, class: "names", role: "listbox", "aria-label": label, hidden: true });
  const input = el("input", {
    class: "input",
    type: "text",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": listId,
    "aria-autocomplete": "list",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    placeholder,
    maxlength: "200",
    "data-k": key,
    value,
  });
  let asked = 0;
  let timer;
  let found = [];
  let marked = -1;

  const close = () => {
    clearTimeout(timer);
    asked += 1;
    list.hidden = true;
    marked = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (index) => {
    marked = index;
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
    const option = list.children[index];
    if (!option) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };
  const choose = (name) => {
    input.value = keeps ? name : "";
    close();
    done(name, true);
  };
  const show = (names, text) => {
    found = [...extra.filter((item) => item.label.toLowerCase().includes(text.toLowerCase())), ...names];
    list.replaceChildren(
      ...found.map((item, i) =>
        el(
          "div",
          { role: "option", id: `${listId}-${i}`, "aria-selected": "false", onpointerdown: (event) => event.preventDefault(), onclick: () => choose(item.name) },
          el("span", { class: "trunc" }, item.label || item.name),
          el("span", { class: `names-w${item.warning ? " warn" : ""}` }, [item.words, item.short].filter(Boolean).join(", ")),
        ),
      ),
    );
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    mark(-1);
  };
  const open = (wait = 0) => {
    clearTimeout(timer);
    const mine = (asked += 1);
    const text = wait ? input.value.trim() : "";
    timer = setTimeout(async () => {
      const names = await ask(text).catch(() => []);
      if (mine === asked && document.activeElement === input) show(names, text);
    }, wait);
  };
  input.addEventListener("input", () => {
    open(150);
    if (keeps) done(input.value, false);
  });
  input.addEventListener("click", () => list.hidden && open());
  input.addEventListener("blur", () => {
    if (!keeps && input.value.trim()) choose(input.value.trim());
    else close();
  });
  input.addEventListener("keydown", (event) => {
    const act = {
      ArrowDown: () => (list.hidden ? open() : mark(Math.min(found.length - 1, marked + 1))),
      ArrowUp: () => (list.hidden ? open() : mark(Math.max(0, marked - 1))),
      Enter: () => {
        if (!list.hidden && marked >= 0) choose(found[marked].name);
        else if (!keeps && input.value.trim()) choose(input.value.trim());
        else close();
      },
      Escape: () => (list.hidden ? undefined : close()),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && list.hidden) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
  return { input, box: el("div", { class: "combo" }, input, list) };
}
