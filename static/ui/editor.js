// The JSON editor: the line numbers follow the text, a problem's link puts the caret on its line.

const $ = (selector, root = document) => root.querySelector(selector);

for (const editor of document.querySelectorAll("[data-editor]")) {
  const text = $("textarea", editor);
  const gutter = $(".gutter", editor);

  const number = () => {
    const count = text.value.split("\n").length;
    text.rows = count;
    while (gutter.children.length > count) gutter.lastElementChild.remove();
    while (gutter.children.length < count) {
      const line = gutter.children.length + 1;
      gutter.append(Object.assign(document.createElement("li"), { id: `line-${line}`, textContent: line }));
    }
  };
  text.addEventListener("input", number);
  text.addEventListener("written", number); // the builder wrote it
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-line]");
  const text = $("[data-editor] textarea");
  if (!link || !text) return;
  event.preventDefault();
  const lines = text.value.split("\n");
  const before = lines.slice(0, Number(link.dataset.line) - 1).join("\n");
  const start = before ? before.length + 1 : 0;
  text.focus();
  text.setSelectionRange(start, start + (lines[Number(link.dataset.line) - 1] ?? "").length);
  document.getElementById(`line-${link.dataset.line}`)?.scrollIntoView({ block: "center" });
});
