// Dragging nodes with mouse, pen or finger: by the grip, to a line between two others. Moving by keys and buttons does
// the same, so nothing here is needed to get somewhere.

import { el } from "./dom.js";

/**
 * `list(path)` gives a list of the document, `may(path, list)` whether the node may go there, `drop(path, list, index)`
 * is told where it was let go.
 */
export function drag(root, { list, may, drop }) {
  const mark = el("div", { class: "drop-mark", hidden: true });
  let held;
  let target;

  root.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-grip]");
    if (!grip || event.button !== 0 || !/\/\d+$/.test(grip.dataset.grip)) return;
    event.preventDefault();
    held = { path: grip.dataset.grip, node: grip.closest("[data-node]"), grip, id: event.pointerId };
    grip.setPointerCapture(event.pointerId);
    held.node.dataset.state = "held";
    root.append(mark);
  });

  root.addEventListener("pointermove", (event) => {
    if (!held || event.pointerId !== held.id) return;
    target = nearest(event.clientY, event.clientX);
    mark.hidden = !target;
    if (target) {
      const box = root.getBoundingClientRect();
      mark.style.top = `${target.y - box.top}px`;
      mark.style.left = `${target.x - box.left}px`;
      mark.style.width = `${target.width}px`;
    }
    const scroll = root.closest(".scroll");
    const edge = scroll.getBoundingClientRect();
    if (event.clientY < edge.top + 40) scroll.scrollTop -= 12;
    if (event.clientY > edge.bottom - 40) scroll.scrollTop += 12;
  });

  const end = (event) => {
    if (!held || event.pointerId !== held.id) return;
    const { path, node } = held;
    const found = event.type === "pointerup" ? target : undefined;
    delete node.dataset.state;
    mark.remove();
    mark.hidden = true;
    held = target = undefined;
    if (found) drop(path, found.list, found.index);
  };
  root.addEventListener("pointerup", end);
  root.addEventListener("pointercancel", end);

  /** The gap nearest to the pointer, of all lists that the node may go to; a deeper one wins where they are as near. */
  function nearest(y, x) {
    let best;
    for (const part of root.querySelectorAll("[data-list]")) {
      const path = part.dataset.list;
      if (!path || held.node.contains(part) || !Array.isArray(list(path)) || !may(held.path, path)) continue;
      const box = part.getBoundingClientRect();
      const items = part.matches("ul") ? [...part.children].map((child) => child.getBoundingClientRect()) : [];
      const gaps = items.length ? [items[0].top, ...items.map((item) => item.bottom)] : [box.top + box.height / 2];
      const inset = Math.max(0, box.left - x) / 4;
      gaps.forEach((gap, index) => {
        const far = Math.abs(gap - y) + inset;
        if (!best || far <= best.far) best = { far, y: gap, x: box.left, width: box.width, list: path, index };
      });
    }
    return best && best.far < 120 ? best : undefined;
  }
}
