// Where a dragged or drawn thing comes to rest: at the edges of its neighbours first, then on the tiles, the row's pitch
// or a plain step.

import { extent, millimetres } from "./floor.js";
import { rowPitch } from "./commands.js";

const EDGE_M = 0.16; // how near an edge catches

export class Snapping {
  constructor(drawing, hall, mode) {
    Object.assign(this, { drawing, hall, mode });
    this.tile = drawing.halls.get(hall).tile_m;
  }

  // Edges of what stands there, once per drag: sorted numbers per axis.
  prepare(without) {
    const xs = new Set(), ys = new Set();
    for (const object of this.drawing.inHall(this.hall)) {
      if (without.has(object.key)) continue;
      const [w, h] = extent(object);
      for (const x of [object.x_m, object.x_m + w]) xs.add(millimetres(x));
      for (const y of [object.y_m, object.y_m + h]) ys.add(millimetres(y));
    }
    this.edges = { x: [...xs].sort((a, b) => a - b), y: [...ys].sort((a, b) => a - b) };
  }

  near(axis, value) {
    const all = this.edges?.[axis] ?? [];
    let low = 0, high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (all[middle] < value) low = middle + 1;
      else high = middle;
    }
    const found = [all[low - 1], all[low]].filter((edge) => edge !== undefined && Math.abs(edge - value) < EDGE_M);
    return found.sort((a, b) => Math.abs(a - value) - Math.abs(b - value))[0];
  }

  step(object) {
    if (this.mode === "tile") return this.tile;
    if (this.mode === "pitch") return (object && rowPitch(this.drawing, object)) || this.tile;
    return Number(this.mode) || 0.01;
  }

  // The shift of a drag by (dx, dy), so that `object` comes to rest.
  shift(object, dx, dy, isFree) {
    const [w, h] = extent(object);
    return [this.axis("x", object, object.x_m, w, dx, isFree), this.axis("y", object, object.y_m, h, dy, isFree)];
  }

  axis(name, object, start, size, by, isFree) {
    if (Math.abs(by) < 1e-9) return 0;
    const want = start + by;
    if (isFree || this.mode === "0") return millimetres(want) - start;
    if (this.mode === "0.1") return Math.round(want * 10) / 10 - start;
    if (this.mode === "pitch") {
      const pitch = this.step(object), alongX = object.orientation_deg % 180 === 0;
      if ((name === "x") === alongX) return Math.round(by / pitch) * pitch;
    }
    const low = this.near(name, want), high = this.near(name, want + size);
    const caught = [low, high === undefined ? undefined : high - size].filter((edge) => edge !== undefined);
    if (caught.length) return caught.sort((a, b) => Math.abs(a - want) - Math.abs(b - want))[0] - start;
    return Math.round(want / this.tile) * this.tile - start;
  }

  // A corner of something drawn: to an edge, else to half a tile.
  corner([x, y], isFree) {
    const snap = (axis, value) => {
      if (isFree || this.mode === "0") return millimetres(value);
      return this.near(axis, value) ?? millimetres(Math.round(value / (this.tile / 2)) * (this.tile / 2));
    };
    return [snap("x", x), snap("y", y)];
  }
}
