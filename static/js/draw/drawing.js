// What stands in the layout, in the browser: objects by key ("rack:12"), changed by the same operations as the server's.

import { boxOf, overlap, Squares } from "./floor.js";
import { lengthText } from "../quantities.js";

export const KINDS = ["feature", "air_unit", "cdu", "rack"];
export const CALLED = { rack: "rack", cdu: "CDU", air_unit: "air unit", feature: "feature", hall: "hall" };
export const TYPES = { wall: "wall", keep_out: "keep-out", hot_aisle: "hot aisle", cold_aisle: "cold aisle" };
const SOLID = new Set(["wall", "keep_out"]);

function rows(table) {
  return table.rows.map((row) => Object.fromEntries(table.fields.map((name, i) => [name, row[i]])));
}

function byId(table) {
  return new Map(rows(table).map((row) => [row.id, row]));
}

export class Drawing {
  constructor(data) {
    this.load(data);
  }

  load(data) {
    this.version = data.version;
    this.halls = byId(data.hall);
    this.feeds = byId(data.feed);
    this.plants = byId(data.plant);
    this.products = data.products;
    this.sizes = new Map(data.products.cdu.map((product) => [product.slug, product]));
    this.objects = new Map();
    for (const kind of KINDS) for (const row of rows(data[kind])) this.objects.set(`${kind}:${row.id}`, this.made(kind, row));
  }

  made(kind, fields) {
    const object = { ...DEFAULTS[kind], ...fields, kind };
    object.key = `${kind}:${object.id}`;
    return this.sized(object);
  }

  // A CDU's size is its product's; the other kinds carry their own.
  sized(object) {
    if (object.kind === "feature") object.orientation_deg = 0;
    if (object.kind !== "cdu") return object;
    const product = this.sizes.get(object.product);
    return Object.assign(object, { width_m: product?.width_m ?? 0.6, depth_m: product?.depth_m ?? 1.2 });
  }

  get(key) {
    return this.objects.get(key);
  }

  *inHall(hall) {
    for (const object of this.objects.values()) if (object.hall === hall && this.isDrawn(object)) yield object;
  }

  isDrawn(object) {
    return object.kind !== "cdu" || this.sizes.get(object.product)?.on_floor !== false;
  }

  isSolid(object) {
    return object.kind !== "feature" || SOLID.has(object.type);
  }

  excludes(a, b) {
    return this.isSolid(a) && this.isSolid(b) && !(a.kind === "feature" && b.kind === "feature");
  }

  called(object) {
    const kind = object.kind === "feature" ? TYPES[object.type] : CALLED[object.kind], { name } = object;
    return name.toLowerCase().startsWith(kind.toLowerCase()) ? name : `${kind} ${name}`; // not "wall Wall 1"
  }

  // Squares of everything in a hall that others may not stand on, without some.
  squares(hall, without = new Set()) {
    const squares = new Squares();
    for (const object of this.inHall(hall)) {
      if (!without.has(object.key) && this.isSolid(object)) squares.add(object, boxOf(object));
    }
    return squares;
  }

  // The first thing that an object would stand on, as a sentence; "" where its place is free.
  clash(object, box, squares) {
    const hall = this.halls.get(object.hall);
    const out = Math.max(-box.x0, -box.y0, box.x1 - hall.width_m, box.y1 - hall.depth_m);
    if (out > 1e-3) return `${this.called(object)} would leave the hall by ${lengthText(out)}`;
    if (!this.isSolid(object)) return "";
    for (const [thing, other] of squares.near(box)) {
      const by = overlap(box, other);
      if (by && this.excludes(object, thing)) {
        return `${this.called(object)} would overlap ${this.called(thing)} by ${lengthText(by[0])} × ${lengthText(by[1])}`;
      }
    }
    return "";
  }

  // The first clash among objects as they would stand (hypothetical ones, or moved copies of standing ones).
  firstClash(candidates) {
    const squares = new Map(), keys = new Set(candidates.map((object) => object.key));
    for (const object of candidates) {
      if (!squares.has(object.hall)) squares.set(object.hall, this.squares(object.hall, keys));
      const here = squares.get(object.hall), box = boxOf(object), clash = this.clash(object, box, here);
      if (clash) return clash;
      if (this.isSolid(object)) here.add(object, box);
    }
    return "";
  }

  apply(operations) {
    const touched = new Set();
    for (const op of operations) for (const key of this.applyOne(op)) touched.add(key);
    return touched;
  }

  applyOne({ op, kind, id, ref, racks, ...fields }) {
    if (op === "assign") {
      for (const rack of racks) Object.assign(this.get(`rack:${rack}`), fields);
      return racks.map((rack) => `rack:${rack}`);
    }
    if (kind === "hall") {
      Object.assign(this.halls.get(id), fields);
      return [];
    }
    const key = `${kind}:${id ?? ref}`;
    if (op === "create") {
      this.objects.set(key, this.made(kind, { id: id ?? ref, ...fields }));
      return [key];
    }
    const object = this.get(key);
    if (!object) return [];
    if (op !== "delete") {
      this.sized(Object.assign(object, fields));
      return [key];
    }
    this.objects.delete(key);
    const orphans = kind === "cdu" ? this.racksOn("cdu", id).map((rack) => Object.assign(rack, { cdu: null }).key) : [];
    return [key, ...orphans];
  }

  racksOn(field, id) {
    return [...this.objects.values()].filter((object) => object.kind === "rack" && object[field] === id);
  }

  // New objects get their numbers: {"new-1": 345}. Returns new keys by old.
  number(created) {
    const renamed = new Map();
    for (const [ref, id] of Object.entries(created)) {
      for (const kind of KINDS) {
        const object = this.objects.get(`${kind}:${ref}`);
        if (!object) continue;
        this.objects.delete(object.key);
        renamed.set(object.key, `${kind}:${id}`);
        object.id = id;
        object.key = `${kind}:${id}`;
        this.objects.set(object.key, object);
        if (kind === "cdu") for (const rack of this.racksOn("cdu", ref)) rack.cdu = id;
      }
    }
    return renamed;
  }

  // A name like another that nobody has: A-07 after A-06, CDU-3 after CDU-2.
  freeName(kind, hall, like, taken = new Set()) {
    const names = new Set(taken);
    for (const object of this.objects.values()) {
      if (object.kind === kind && (kind !== "rack" || object.hall === hall)) names.add(object.name);
    }
    const [, stem, digits] = /^(.*?)(\d*)$/.exec(like);
    const start = digits ? Number(digits) : 0;
    if (!names.has(like)) return like;
    for (let i = start + 1; ; i++) {
      const name = `${digits ? stem : `${stem}-`}${String(i).padStart(digits.length, "0")}`;
      if (!names.has(name)) return name;
    }
  }
}

const DEFAULTS = {
  rack: {
    row: "", role: "compute", orientation_deg: 0, width_m: 0.6, depth_m: 1.2, product: null, n_systems: 1, other_power_w: 0,
    accelerator_power_limit_w: null, load_share: 1, coolant_flow_m3_per_s: null, cdu: null, feed_a: null, feed_b: null,
  },
  cdu: { redundant_units: 1, orientation_deg: 0, coolant: "pg25" },
  air_unit: { orientation_deg: 0, width_m: 2.4, depth_m: 1 },
  feature: {},
};

// The fields of an object as an operation that creates it gives them.
const FIELDS = {
  rack: ["hall", "name", "x_m", "y_m", ...Object.keys(DEFAULTS.rack)],
  cdu: ["hall", "name", "product", "plant", "group", "redundant_units", "x_m", "y_m", "orientation_deg", "supply_degc", "coolant"],
  air_unit: ["hall", "name", "x_m", "y_m", "orientation_deg", "width_m", "depth_m"],
  feature: ["hall", "name", "type", "x_m", "y_m", "width_m", "depth_m"],
};

export function fieldsOf(object) {
  return Object.fromEntries(FIELDS[object.kind].map((name) => [name, object[name]]));
}
