// What can be done to a selection: each returns operations, or says in words why not. Nothing here touches the page.

import { around, boxOf, extent, millimetres } from "./floor.js";
import { fieldsOf } from "./drawing.js";

let counter = 0;
export const newRef = () => `new-${++counter}`;

const place = (object, x, y, more = {}) => ({
  op: "move", kind: object.kind, id: object.id, x_m: millimetres(x), y_m: millimetres(y), ...more,
});

// Operations as the objects that they would leave, for checking places.
export function moved(drawing, operations) {
  return operations.map(({ op, kind, id, ref, ...fields }) =>
    op === "create" ? drawing.made(kind, { id: ref, ...fields }) : drawing.sized({ ...drawing.get(`${kind}:${id}`), ...fields }));
}

export function moveBy(objects, dx, dy) {
  return objects.map((object) => place(object, object.x_m + dx, object.y_m + dy));
}

// Turn by 90° clockwise about the selection's middle; a group turns as a whole.
export function rotate(objects) {
  const box = around(objects.map(boxOf)), cx = (box.x0 + box.x1) / 2, cy = (box.y0 + box.y1) / 2;
  return objects.map((object) => {
    const [w, h] = extent(object), mx = object.x_m + w / 2 - cx, my = object.y_m + h / 2 - cy;
    const x = Math.max(cx + my - h / 2, 0), y = Math.max(cy - mx - w / 2, 0);
    if (object.kind === "feature") {
      return { op: "update", kind: "feature", id: object.id, x_m: millimetres(x), y_m: millimetres(y), width_m: h, depth_m: w };
    }
    return place(object, x, y, { orientation_deg: (object.orientation_deg + 270) % 360 });
  });
}

export function align(objects, side) {
  const box = around(objects.map(boxOf));
  return objects.map((object) => {
    const [w, h] = extent(object);
    const x = side === "left" ? box.x0 : side === "right" ? box.x1 - w : object.x_m;
    const y = side === "bottom" ? box.y0 : side === "top" ? box.y1 - h : object.y_m;
    return place(object, x, y);
  });
}

// Equal gaps between the first and the last.
export function spread(objects, axis) {
  const at = axis === "x" ? "x_m" : "y_m", side = axis === "x" ? 0 : 1;
  const sorted = [...objects].sort((a, b) => a[at] - b[at]);
  const first = sorted[0], last = sorted.at(-1);
  const free = last[at] - first[at] - sorted.slice(0, -1).reduce((sum, object) => sum + extent(object)[side], 0);
  const gap = free / (sorted.length - 1);
  if (gap < -1e-6) return "They need more room than there is between the first and the last.";
  let next = first[at];
  return sorted.map((object) => {
    const where = next;
    next += extent(object)[side] + gap;
    return axis === "x" ? place(object, where, object.y_m) : place(object, object.x_m, where);
  });
}

// Copies of objects (or of what was copied before) shifted on a hall's floor, with names of their own.
export function copies(drawing, objects, hall, dx, dy) {
  const taken = { rack: new Set(), cdu: new Set(), air_unit: new Set(), feature: new Set() };
  return objects.map((object) => {
    const name = drawing.freeName(object.kind, hall, object.name, taken[object.kind]);
    taken[object.kind].add(name);
    const fields = { ...fieldsOf(object), hall, name, x_m: millimetres(object.x_m + dx), y_m: millimetres(object.y_m + dy) };
    if (object.kind === "rack") {
      // A CDU cools racks of its own hall, and what was copied may be gone.
      const cdu = fields.cdu !== null && drawing.get(`cdu:${fields.cdu}`);
      if (!cdu || cdu.hall !== hall) fields.cdu = null;
    }
    return { op: "create", kind: object.kind, ref: newRef(), ...fields };
  });
}

// The nearest shift at which copies of objects stand free: beside them first, then row by row; null where nowhere.
export function freeShift(drawing, objects, hall, start = null) {
  const floor = drawing.halls.get(hall), box = around(objects.map(boxOf));
  const width = box.x1 - box.x0, depth = box.y1 - box.y0, step = floor.tile_m;
  const shifts = start ? [start] : [];
  for (let i = 1; i <= 3; i++) shifts.push([i * width, 0], [-i * width, 0], [0, i * (depth + floor.min_aisle_m)], [0, -i * (depth + floor.min_aisle_m)]);
  const offsets = [];
  const [ox, oy] = start ?? [0, 0];
  for (let y = -box.y0; y <= floor.depth_m - box.y1; y += step) {
    for (let x = -box.x0; x <= floor.width_m - box.x1; x += step) offsets.push([x, y]);
  }
  offsets.sort((a, b) => Math.hypot(a[0] - ox, a[1] - oy) - Math.hypot(b[0] - ox, b[1] - oy));
  const squares = drawing.squares(hall);
  const isFree = ([dx, dy]) => objects.every((object) => {
    const b = boxOf(object);
    return !drawing.clash({ ...object, hall }, { x0: b.x0 + dx, x1: b.x1 + dx, y0: b.y0 + dy, y1: b.y1 + dy }, squares);
  });
  return [...shifts, ...offsets.slice(0, 6000)].find(isFree) ?? null;
}

// As long as every air unit of a hall is drawn, drawing another or removing one changes how many there are.
export function airUnits(drawing, hall, change, product = null) {
  const floor = drawing.halls.get(hall);
  const drawn = [...drawing.objects.values()].filter((object) => object.kind === "air_unit" && object.hall === hall).length;
  const follows = change > 0 ? drawn + change > floor.n_air_units : drawn === floor.n_air_units;
  if (!follows) return [];
  const n = drawn + change;
  const fields = { n_air_units: n, n_air_units_spare: Math.min(floor.n_air_units_spare, Math.max(n - 1, 0)) };
  if (n === 0) fields.air_unit = null;
  else if (!floor.air_unit) fields.air_unit = product;
  return [{ op: "update", kind: "hall", id: hall, ...fields }];
}

export function remove(drawing, objects) {
  const deletes = objects.map((object) => ({ op: "delete", kind: object.kind, id: object.id }));
  const halls = new Map();
  for (const object of objects) if (object.kind === "air_unit") halls.set(object.hall, (halls.get(object.hall) ?? 0) + 1);
  return [...deletes, ...[...halls].flatMap(([hall, n]) => airUnits(drawing, hall, -n))];
}

// A row of equal racks, named row-01 … after those that there are; it runs across the direction of the fronts.
export function rowOfRacks(drawing, hall, { row, n_racks, pitch_m, x_m, y_m, ...fields }) {
  const alongX = fields.orientation_deg % 180 === 0, taken = new Set();
  return Array.from({ length: n_racks }, (_, i) => {
    const name = drawing.freeName("rack", hall, `${row}-01`, taken);
    taken.add(name);
    return {
      op: "create", kind: "rack", ref: newRef(), hall, name, row, ...fields,
      x_m: millimetres(x_m + (alongX ? i * pitch_m : 0)), y_m: millimetres(y_m + (alongX ? 0 : i * pitch_m)),
    };
  });
}

// The step from rack to rack in the row that an object stands in; its own width where it stands alone.
export function rowPitch(drawing, object) {
  if (object.kind !== "rack") return null;
  const alongX = object.orientation_deg % 180 === 0, at = alongX ? "x_m" : "y_m", across = alongX ? "y_m" : "x_m";
  let least = Infinity;
  for (const other of drawing.inHall(object.hall)) {
    if (other === object || other.kind !== "rack" || Math.abs(other[across] - object[across]) > 0.05) continue;
    const step = Math.abs(other[at] - object[at]);
    if (step > 0.05) least = Math.min(least, step);
  }
  return least < 4 ? millimetres(least) : object.width_m;
}
