// The drawing as SVG: one path per object, made once and moved by its transform. SVG's y points down, the floor's up.

import { boxOf, extent } from "./floor.js";
import { TYPES } from "./drawing.js";

const NS = "http://www.w3.org/2000/svg";
const LABEL_PX = 11;
const MAX_LABELS = 350; // more would not be read, and each costs paint
const FRONT_M = 0.12; // the slit that shows the front

export function element(name, attributes = {}, parent = null) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

function outline(object) {
  const [w, h] = extent(object);
  const body = `M0 0H${w}V${h}H0Z`;
  if (object.kind === "feature") return body;
  const f = Math.min(FRONT_M, w / 4, h / 4), e = f / 2;
  const slit = { // drawn with y down: a front at 0° is at the lower edge
    0: `M${e} ${h - f - e}V${h - e}H${w - e}V${h - f - e}Z`, 180: `M${e} ${e}V${e + f}H${w - e}V${e}Z`,
    90: `M${w - e - f} ${e}V${h - e}H${w - e}V${e}Z`, 270: `M${e} ${e}V${h - e}H${e + f}V${e}Z`,
  }[object.orientation_deg];
  return body + slit;
}

export class Scene {
  constructor(svg, world) {
    this.world = world;
    this.layers = {};
    for (const name of ["ground", "feature", "air_unit", "cdu", "rack", "lifted", "marks", "labels", "ghost", "over"]) {
      this.layers[name] = element("g", { class: `layer ${name}` }, world);
    }
    this.shapes = new Map();
    this.groups = new Map(); // what the legend tells apart, to its colour
    const pattern = element("pattern", { id: "draw-hatch", width: 0.3, height: 0.3, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      element("defs", {}, svg));
    element("path", { d: "M0 0V.3", class: "hatch-line" }, pattern);
  }

  show(drawing, hall, by = "role") {
    this.drawing = drawing;
    this.hall = drawing.halls.get(hall);
    this.by = by;
    for (const layer of Object.values(this.layers)) layer.replaceChildren();
    this.shapes.clear();
    this.groups.clear();
    this.ground();
    for (const object of drawing.inHall(hall)) this.draw(object);
  }

  ground() {
    const { width_m: w, depth_m: h, tile_m: tile } = this.hall, ground = this.layers.ground;
    element("rect", { class: "floor", width: w, height: h }, ground);
    let lines = "";
    if (w / tile < 400 && h / tile < 400) {
      for (let x = tile; x < w; x += tile) lines += `M${x.toFixed(3)} 0V${h}`;
      for (let y = tile; y < h; y += tile) lines += `M0 ${(h - y).toFixed(3)}H${w}`;
    }
    element("path", { class: "tiles", d: lines }, ground);
    element("rect", { class: "edge", width: w, height: h }, ground);
  }

  top(object) {
    return this.hall.depth_m - object.y_m - extent(object)[1];
  }

  draw(object) {
    const shape = element("path", { "data-key": object.key }, this.layers[object.kind]);
    this.shapes.set(object.key, shape);
    this.place(object, shape);
    this.dress(object, shape);
    return shape;
  }

  place(object, shape = this.shapes.get(object.key)) {
    shape.setAttribute("d", outline(object));
    shape.setAttribute("fill-rule", "evenodd");
    shape.setAttribute("transform", `translate(${object.x_m} ${this.top(object)})`);
  }

  // Classes say what it is; colours only repeat what the legend and the panel say in words.
  dress(object, shape = this.shapes.get(object.key)) {
    const own = object.kind === "feature" ? object.type : object.kind === "rack" ? object.role : "";
    const group = object.kind === "rack" && this.by !== "role" ? ` g${this.colourOf(object[this.by])}` : "";
    shape.setAttribute("class", `o ${object.kind} ${own}${group}`);
  }

  colourOf(id) {
    if (id === null) return "-none";
    if (!this.groups.has(id)) this.groups.set(id, this.groups.size % 8);
    return this.groups.get(id);
  }

  // Bring shapes in line with the drawing for these keys, whatever happened to them.
  refresh(keys) {
    for (const key of keys) {
      const object = this.drawing.get(key), shape = this.shapes.get(key);
      if (!object || object.hall !== this.hall.id || !this.drawing.isDrawn(object)) {
        shape?.remove();
        this.shapes.delete(key);
      } else if (shape) {
        this.place(object, shape);
        this.dress(object, shape);
      } else this.draw(object);
    }
  }

  rename(renamed) {
    for (const [old, key] of renamed) {
      const shape = this.shapes.get(old);
      if (!shape) continue;
      this.shapes.delete(old);
      shape.dataset.key = key;
      this.shapes.set(key, shape);
    }
  }

  recolour(by) {
    this.by = by;
    this.groups.clear();
    for (const [key, shape] of this.shapes) this.dress(this.drawing.get(key), shape);
  }

  // Outlines over everything: selected, linked to the selection, or named by a finding.
  mark(kind, keys) {
    this.layers.over.querySelectorAll(`.${kind}`).forEach((old) => old.remove());
    let d = "";
    for (const key of keys) {
      const object = this.drawing.get(key);
      if (!object || object.hall !== this.hall.id) continue;
      const [w, h] = extent(object);
      d += `M${object.x_m} ${this.top(object)}h${w}v${h}h${-w}z`;
    }
    if (d) element("path", { class: `mark ${kind}`, d }, this.layers.over);
  }

  // Boxes that follow the pointer: where things would come to stand, and which of them may not.
  ghost(boxes, bad = []) {
    const path = (some) => some.map((b) => `M${b.x0} ${this.hall.depth_m - b.y1}h${b.x1 - b.x0}v${b.y1 - b.y0}h${b.x0 - b.x1}z`).join("");
    const layer = this.layers.ghost;
    if (!layer.firstChild) for (const name of ["good", "bad"]) element("path", { class: `ghost ${name}` }, layer);
    layer.firstChild.setAttribute("d", path(boxes));
    layer.lastChild.setAttribute("d", path(bad));
  }

  unghost() {
    this.layers.ghost.replaceChildren();
  }

  line(points, name = "lasso") {
    let path = this.layers.ghost.querySelector(`.${name}`);
    if (!path) path = element("path", { class: name }, this.layers.ghost);
    path.setAttribute("d", points.map(([x, y], i) => `${i ? "L" : "M"}${x} ${this.hall.depth_m - y}`).join("") + "Z");
  }

  // Names where they can be read: of rows always, of objects when near; made anew only when the view rests.
  label(view, scale) {
    const layer = this.layers.labels, size = LABEL_PX / scale, made = [];
    const text = (x, y, words, name) => {
      const one = element("text", { x, y: this.hall.depth_m - y, "font-size": size, class: name });
      one.textContent = words;
      made.push(one);
    };
    for (const row of this.rowEnds(view)) text(row.x, row.y, row.name, row.across ? "row" : "row below");
    for (const key of this.shapes.keys()) {
      if (made.length > MAX_LABELS) break;
      const object = this.drawing.get(key), box = boxOf(object);
      if (box.x1 < view.x0 || box.x0 > view.x1 || box.y1 < view.y0 || box.y0 > view.y1) continue;
      const words = object.kind === "feature" && !object.type.endsWith("aisle") ? object.name
        : object.kind === "feature" ? `${TYPES[object.type]} ${object.name}` : object.name;
      const room = (box.x1 - box.x0) * scale, tall = (box.y1 - box.y0) * scale, wide = words.length * LABEL_PX * 0.58 + 4;
      if (room > wide && tall > LABEL_PX + 3) text((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, words, `name ${object.kind}`);
    }
    layer.replaceChildren(...made);
  }

  rowEnds(view) {
    const rows = new Map();
    for (const object of this.drawing.inHall(this.hall.id)) {
      if (object.kind !== "rack" || !object.row) continue;
      const across = object.orientation_deg % 180 === 0, box = boxOf(object);
      const at = `${object.row} ${across ? object.y_m.toFixed(1) : object.x_m.toFixed(1)}`;
      const row = rows.get(at) ?? { name: object.row, across, x: Infinity, y: Infinity };
      if (across) Object.assign(row, { x: Math.min(row.x, box.x0 - 0.15), y: (box.y0 + box.y1) / 2 });
      else Object.assign(row, { x: (box.x0 + box.x1) / 2, y: Math.min(row.y, box.y0 - 0.3) });
      rows.set(at, row);
    }
    return [...rows.values()].filter((row) => row.y > view.y0 && row.y < view.y1).slice(0, MAX_LABELS / 2);
  }
}
