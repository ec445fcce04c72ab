// The floor plan: one listener for a thousand racks. Click or Enter opens the inspector, arrow keys move between
// neighbours, the readout follows the pointer. Without this script the table below the plan leads to the same pages.

const shapes = "[data-id]";

function centre(shape) {
  const box = shape.getBBox();
  return [box.x + box.width / 2, box.y + box.height / 2];
}

function nearest(from, all, [dx, dy]) {
  const [x, y] = centre(from);
  let best = null, least = Infinity;
  for (const shape of all) {
    const [u, v] = centre(shape);
    const along = (u - x) * dx + (v - y) * dy;
    const across = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
    const cost = along + 3 * across;
    if (shape !== from && along > 0.01 && cost < least) [best, least] = [shape, cost];
  }
  return best;
}

let lastRead = null; // so that the readout follows when the hour moves on

function read(plan, shape) {
  lastRead = shape;
  const readout = plan.closest("[data-plan]").querySelector("[data-readout]");
  if (readout) readout.textContent = shape ? `${shape.dataset.n} · ${shape.dataset.v}` : "";
}

function select(plan, shape, open) {
  plan.closest("[data-plan]").querySelectorAll(".selected").forEach((old) => old.classList.remove("selected"));
  shape.classList.add("selected");
  shape.parentNode.append(shape); // drawn last, so that its outline is not covered by neighbours
  read(plan, shape);
  if (!open || shape.dataset.k === "air") return;
  const address = plan.dataset[shape.dataset.k === "cdu" ? "cduUrl" : "rackUrl"].replace("/0/", `/${shape.dataset.id}/`);
  if (!document.getElementById("inspector")) return location.assign(address);
  window.htmx.ajax("GET", address, { target: "#inspector", swap: "innerHTML" });
}

document.addEventListener("recoloured", () => { if (lastRead?.isConnected) read(lastRead.closest("svg.plan"), lastRead); });

const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close-inspector]")) {
    document.getElementById("inspector").replaceChildren();
    return;
  }
  const shape = event.target.closest(`svg.plan ${shapes}`);
  if (shape) select(shape.closest("svg.plan"), shape, true);
});
document.addEventListener("pointerover", (event) => {
  const shape = event.target.closest?.(`svg.plan ${shapes}`);
  if (shape) read(shape.closest("svg.plan"), shape);
});
document.addEventListener("keydown", (event) => {
  const plan = event.target.closest?.("svg.plan");
  if (!plan) {
    if (event.key === "Escape") document.getElementById("inspector")?.replaceChildren();
    return;
  }
  const current = plan.querySelector(".selected");
  if (event.key in arrows) {
    const all = [...plan.querySelectorAll(shapes)];
    const next = current ? nearest(current, all, arrows[event.key]) : all[0];
    if (next) select(plan, next, false);
    event.preventDefault();
  } else if ((event.key === "Enter" || event.key === " ") && current) {
    select(plan, current, true);
    event.preventDefault();
  } else if (event.key === "Escape") {
    document.getElementById("inspector")?.replaceChildren();
  }
});
