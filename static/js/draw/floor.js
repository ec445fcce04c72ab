// Geometry of the floor, as facility/floor_plan.py has it: x along the hall's width, y along its depth, origin at the
// lower left; an object's front faces smaller y at 0°, larger x at 90°, larger y at 180°, smaller x at 270°.

export const TOUCH = 1e-3; // racks of a row touch
export const millimetres = (value) => Math.round(value * 1000) / 1000;

export function turned(object) {
  return object.orientation_deg === 90 || object.orientation_deg === 270;
}

export function extent(object) {
  return turned(object) ? [object.depth_m, object.width_m] : [object.width_m, object.depth_m];
}

export function boxOf(object) {
  const [width, depth] = extent(object);
  return { x0: object.x_m, y0: object.y_m, x1: object.x_m + width, y1: object.y_m + depth };
}

export function overlap(a, b) {
  const x = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0), y = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  return x > TOUCH && y > TOUCH ? [x, y] : null;
}

export function around(boxes) {
  const box = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
  for (const other of boxes) {
    box.x0 = Math.min(box.x0, other.x0); box.y0 = Math.min(box.y0, other.y0);
    box.x1 = Math.max(box.x1, other.x1); box.y1 = Math.max(box.y1, other.y1);
  }
  return box;
}

export function inside([x, y], polygon) {
  let within = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

// Objects by squares of the floor, so that a drag compares neighbours only.
export class Squares {
  constructor(side = 2.4) {
    this.side = side;
    this.cells = new Map();
  }

  *over(box) {
    const at = (value) => Math.floor(value / this.side);
    for (let i = at(box.x0); i <= at(box.x1); i++) for (let j = at(box.y0); j <= at(box.y1); j++) yield `${i},${j}`;
  }

  add(object, box) {
    for (const cell of this.over(box)) {
      if (!this.cells.has(cell)) this.cells.set(cell, []);
      this.cells.get(cell).push([object, box]);
    }
  }

  near(box) {
    const found = new Map();
    for (const cell of this.over(box)) for (const [object, other] of this.cells.get(cell) ?? []) found.set(object, other);
    return found;
  }
}
