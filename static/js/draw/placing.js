// Something new on its way to the floor: a row of racks, a CDU or an air unit. A form says what, the pointer or the form
// says where; a ghost shows where it would stand and whether it may.

import { airUnits, freeShift, moved, newRef, rowOfRacks } from "./commands.js";
import { CALLED } from "./drawing.js";
import { fieldShown, fieldTyped } from "../number_entry.js";
import { around, boxOf, millimetres } from "./floor.js";
import { fillChoices, SUBJECTS } from "./panel.js";
import { Snapping } from "./snapping.js";

const NUMBERS = new Set([
  "n_racks", "pitch_m", "x_m", "y_m", "other_power_w", "supply_degc", "width_m", "depth_m", "orientation_deg",
]);
const TURNS = [0, 90, 180, 270];

export class Placing {
  constructor(board, kind) {
    Object.assign(this, { board, kind, orientation_deg: 0 });
    this.form = document.getElementById(kind === "row" ? "draw-row" : "draw-place");
    this.leave = new AbortController();
    this.form.addEventListener("input", () => this.preview(), { signal: this.leave.signal });
    this.form.addEventListener("submit", (event) => this.submit(event), { signal: this.leave.signal });
    this.form.querySelector("[data-cancel]").addEventListener("click", () => board.use("select"), { signal: this.leave.signal });
    board.select([], true);
    this.fill();
    board.panel.only(this.form, kind === "row" ? "Add a row of racks" : `Place ${kind === "cdu" ? "a CDU" : "an air unit"}`);
    this.form.querySelector("input, select").focus();
    this.start();
    board.say(`${kind === "row" ? "The row" : `The ${CALLED[kind]}`} follows the pointer: click to place, R turns, Enter takes the place typed, Escape leaves.`);
  }

  input(name) {
    return this.form.elements[name];
  }

  fill() {
    const { drawing, hall } = this.board, set = (name, value) => { this.input(name).value = fieldShown(name, value); };
    const products = drawing.products[this.kind === "row" ? "rack" : this.kind];
    fillChoices(this.input("product"), products.map((one) => [one.slug, one.name]), this.kind === "row" ? "none" : null);
    if (this.kind === "row") {
      const rows = new Set([...drawing.inHall(hall)].map((object) => object.row).filter(Boolean));
      const last = [...drawing.inHall(hall)].findLast((object) => object.kind === "rack" && object.role === "compute");
      set("row", "ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("").find((letter) => !rows.has(letter)) ?? `R${rows.size + 1}`);
      set("product", last?.product ?? products[0]?.slug ?? "");
      this.board.panel.assignments(this.form);
      for (const name of ["cdu", "feed_a", "feed_b"]) set(name, last?.[name] ?? "");
      return;
    }
    for (const one of this.form.querySelectorAll("[data-for]")) one.hidden = one.dataset.for !== this.kind;
    this.form.dataset.subject = SUBJECTS[this.kind] ?? this.kind;
    const like = [...drawing.objects.values()].findLast((object) => object.kind === this.kind);
    set("name", drawing.freeName(this.kind, hall, like?.name ?? (this.kind === "cdu" ? "CDU-1" : "CRAH-1")));
    if (this.kind === "cdu") {
      fillChoices(this.input("plant"), [...drawing.plants.values()].map((plant) => [plant.id, plant.name]), null);
      const plant = like?.plant ?? [...drawing.plants.keys()][0] ?? "";
      set("plant", plant);
      set("product", like?.product ?? products[0]?.slug ?? "");
      set("group", like?.group ?? "Loop 1");
      set("supply_degc", like?.supply_degc ?? (drawing.plants.get(plant)?.supply_degc ?? 30) + 5);
    } else {
      const floor = drawing.halls.get(hall);
      set("product", floor.air_unit ?? products[0]?.slug ?? "");
      this.input("product").disabled = Boolean(floor.air_unit); // a hall has one product of air units
      if (like) for (const name of ["width_m", "depth_m"]) set(name, like[name]);
    }
    this.orientation_deg = like?.orientation_deg ?? 0;
  }

  // A free place to begin with, nearest to the middle of the view.
  start() {
    const { board } = this, [x, y] = board.camera.centre();
    this.at(x, y);
    const things = moved(board.drawing, this.operations().filter((op) => op.kind !== "hall"));
    if (things.length && board.drawing.firstClash(things)) {
      const shift = freeShift(board.drawing, things, board.hall, [0, 0]);
      if (shift) this.at(fieldTyped("x_m", this.input("x_m").value) + shift[0], fieldTyped("y_m", this.input("y_m").value) + shift[1], true);
    }
    this.preview();
  }

  at(x, y, isFree = false) {
    const snapping = new Snapping(this.board.drawing, this.board.hall, this.board.snap);
    snapping.prepare(new Set());
    const [sx, sy] = snapping.corner([Math.max(x, 0), Math.max(y, 0)], isFree);
    this.input("x_m").value = fieldShown("x_m", millimetres(sx));
    this.input("y_m").value = fieldShown("y_m", millimetres(sy));
  }

  fields() {
    const found = {};
    for (const field of this.form.elements) {
      if (!field.name || field.hidden) continue;
      const isId = ["cdu", "feed_a", "feed_b", "plant"].includes(field.name);
      found[field.name] = NUMBERS.has(field.name) ? fieldTyped(field.name, field.value) : isId ? Number(field.value) || null : field.value;
    }
    return found;
  }

  operations() {
    const { drawing, hall } = this.board, fields = this.fields();
    if ([fields.x_m, fields.y_m].includes(null)) return [];
    if (this.kind === "row") {
      const { n_racks: n, pitch_m: pitch } = fields;
      if (!(n >= 1 && n <= 500) || !(pitch > 0)) return [];
      const product = drawing.products.rack.find((one) => one.slug === fields.product);
      const width = product?.whole_rack && product.width_m ? product.width_m : 0.6;
      const depth = product?.whole_rack && product.depth_m ? product.depth_m : 1.2;
      return rowOfRacks(drawing, hall, {
        ...fields, n_racks: Math.round(n), product: fields.product || null, other_power_w: fields.other_power_w ?? 0,
        width_m: Math.max(width, 0.6), depth_m: Math.max(depth, 1.2),
      });
    }
    const common = { op: "create", kind: this.kind, ref: newRef(), hall, name: fields.name, x_m: fields.x_m, y_m: fields.y_m, orientation_deg: this.orientation_deg };
    if (this.kind === "cdu") {
      return [{ ...common, product: fields.product, plant: fields.plant, group: fields.group, supply_degc: fields.supply_degc, coolant: "pg25" }];
    }
    return [{ ...common, width_m: fields.width_m ?? 2.4, depth_m: fields.depth_m ?? 1 }, ...airUnits(drawing, hall, 1, fields.product)];
  }

  preview() {
    const { board } = this, things = moved(board.drawing, this.operations().filter((op) => op.kind !== "hall"));
    const clash = things.length ? board.drawing.firstClash(things) : "";
    const boxes = things.map(boxOf);
    board.scene.ghost(clash ? [] : boxes, clash ? boxes : []);
    if (clash) board.say(`${clash}.`);
    return things;
  }

  hover([x, y], isFree) {
    const box = around(this.preview().map(boxOf));
    if (!Number.isFinite(box.x0)) return;
    const first = Math.min(box.x1 - box.x0, 1.2) / 2; // the pointer holds the first thing by its middle
    this.at(x - first, y - Math.min(box.y1 - box.y0, 1.2) / 2, isFree);
    this.preview();
  }

  rotate() {
    if (this.kind === "row") {
      const turn = this.input("orientation_deg");
      turn.value = TURNS[(TURNS.indexOf(Number(turn.value)) + 3) % 4];
    } else this.orientation_deg = (this.orientation_deg + 270) % 360;
    this.preview();
  }

  put(at, isFree) {
    this.hover(at, isFree);
    this.submit();
  }

  submit(event) {
    event?.preventDefault();
    const { board } = this, operations = this.operations();
    if (!operations.length) return board.say("Something is missing: type numbers for place, count and pitch.");
    const select = operations.filter((op) => op.op === "create").map((op) => `${op.kind}:${op.ref}`);
    const label = this.kind === "row" ? `Placed row ${operations[0].row} of ${operations.length} racks` : `Placed ${CALLED[this.kind]} ${operations[0].name}`;
    if (board.change(label, operations, { select })) board.use("select");
    return undefined;
  }

  end() {
    this.leave.abort();
    this.board.placing = null;
    this.board.scene.unghost();
    this.input("product").disabled = false;
    this.board.panel.show();
  }
}
