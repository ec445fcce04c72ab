// The drawing board: one object that knows the drawing, the view, the selection and the line of edits. Everything that
// changes something goes through `change`: applied here at once, saved in the background, answered when it is saved.

import { sizeText } from "../quantities.js";
import { Answer } from "./answer.js";
import { Camera } from "./camera.js";
import { align, airUnits, copies, freeShift, moveBy, moved, newRef, remove, rotate, spread } from "./commands.js";
import { Conflict } from "./conflict.js";
import { CALLED, Drawing, TYPES } from "./drawing.js";
import { around, boxOf, millimetres } from "./floor.js";
import { explainFields } from "./help.js";
import { Keys } from "./keys.js";
import { Panel } from "./panel.js";
import { Placing } from "./placing.js";
import { Pointer } from "./pointer.js";
import { Saver } from "./saving.js";
import { element, Scene } from "./scene.js";
import { Snapping } from "./snapping.js";

const byId = (id) => document.getElementById(id);

class Board {
  constructor(root, data) {
    this.root = root;
    this.stage = byId("draw-stage");
    this.drawing = new Drawing(data);
    this.selection = new Set();
    this.clipboard = [];
    this.placing = null;
    this.wide = matchMedia("(min-width: 48rem)");
    const svg = element("svg", { class: "draw-svg", "aria-hidden": "true" });
    const world = element("g", {}, svg);
    this.stage.append(svg);
    this.scene = new Scene(svg, world);
    this.camera = new Camera(this.stage, svg, world, () => this.scene.hall && this.scene.label(this.camera.view(), this.camera.scale));
    this.saver = new Saver({
      url: root.dataset.edits, token: root.querySelector("[name=csrfmiddlewaretoken]").value, version: data.version,
      on: {
        state: (text) => this.saved(text), saved: (answer, batch) => this.onSaved(answer, batch),
        conflict: (answer) => this.conflict.open(answer), refused: (answer, batch) => this.onRefused(answer, batch),
      },
    });
    this.answer = new Answer({ url: root.dataset.answer, scenario: root.dataset.scenario, icons: root.dataset.icons, onPick: (finding) => this.pick(finding) });
    this.conflict = new Conflict(this);
    this.panel = new Panel(this);
    explainFields(document.getElementById("draw-panel"));
    this.pointer = new Pointer(this);
    this.keys = new Keys(this);
    this.hall = Number(byId("draw-hall").value);
    this.wire();
    this.camera.measure();
    this.showHall(this.hall);
    this.answer.ask(performance.now(), false);
  }

  get mayDraw() {
    return Boolean(this.root.dataset.mayChange) && this.wide.matches;
  }

  get snap() {
    return byId("draw-snap")?.value ?? "tile";
  }

  wire() {
    new ResizeObserver(() => this.camera.measure()).observe(this.stage);
    addEventListener("beforeunload", (event) => {
      if (!this.saver.isIdle) event.preventDefault();
    });
    addEventListener("focus", () => this.look());
    byId("draw-hall").addEventListener("change", (event) => this.showHall(Number(event.target.value)));
    byId("draw-show").addEventListener("change", (event) => {
      this.scene.recolour(event.target.value);
      this.panel.legend();
    });
    byId("run-scenario")?.addEventListener("change", (event) => {
      this.answer.scenario = event.target.value;
      this.answer.before = this.answer.now = null;
      this.answer.ask(performance.now(), false);
    });
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.do) this.act(button.dataset.do);
      else if (button?.dataset.tool) this.use(button.dataset.tool);
      else if (button?.dataset.add) this.add(button.dataset.add);
      // After a click the keys go on where the drawing is; who pressed the button by key stays on it.
      if (event.detail && (button?.dataset.do || button?.dataset.tool) && button.dataset.do !== "help") this.stage.focus({ preventScroll: true });
    });
    byId("draw-align")?.addEventListener("change", (event) => {
      if (event.target.value) this.align(event.target.value);
      event.target.value = "";
      this.stage.focus({ preventScroll: true });
    });
    byId("draw-feature")?.addEventListener("change", (event) => {
      if (event.target.value) this.use(event.target.value);
      event.target.value = "";
      this.stage.focus({ preventScroll: true });
    });
  }

  // Saying things: the status line is read out, the page head says what is saved.
  say(text) {
    byId("draw-status").textContent = text;
  }

  saved(text) {
    byId("draw-saved").textContent = text;
    this.undoButtons();
  }

  undoButtons() {
    for (const [way, entries] of [["undo", this.saver.undoable], ["redo", this.saver.redoable]]) {
      const button = this.root.querySelector(`[data-do=${way}]`);
      if (!button) continue;
      button.disabled = !entries.length && !(way === "undo" && this.saver.line.length);
      button.title = `${way === "undo" ? "Undo" : "Redo"} ${entries.at(-1)?.label ?? ""} (${way === "undo" ? "Ctrl-Z" : "Ctrl-Y"})`;
    }
  }

  count(objects) {
    if (objects.length === 1) return this.drawing.called(objects[0]);
    const kinds = new Set(objects.map((object) => object.kind));
    return `${objects.length} ${kinds.size === 1 ? `${CALLED[[...kinds][0]]}s` : "objects"}`;
  }

  // Selection.
  selected() {
    return [...this.selection].map((key) => this.drawing.get(key)).filter(Boolean);
  }

  select(keys, isQuiet = false) {
    this.selection = new Set([...keys].filter((key) => this.drawing.get(key)));
    this.scene.mark("selected", this.selection);
    const only = this.selection.size === 1 ? this.selected()[0] : null;
    const linked = only?.kind === "cdu" ? this.drawing.racksOn("cdu", only.id).map((rack) => rack.key)
      : only?.kind === "rack" && only.cdu !== null ? [`cdu:${only.cdu}`] : [];
    this.scene.mark("linked", linked);
    this.panel.show();
    if (!isQuiet) {
      const more = linked.length && only.kind === "cdu" ? `, cools ${linked.length} racks` : "";
      this.say(this.selection.size ? `${this.count(this.selected())} selected${more}.` : "Nothing selected.");
    }
  }

  toggle(key) {
    const keys = new Set(this.selection);
    if (!keys.delete(key)) keys.add(key);
    this.select(keys);
  }

  within(test) {
    return [...this.drawing.inHall(this.hall)]
      .filter((object) => this.drawing.isSolid(object) && test(boxOf(object))).map((object) => object.key);
  }

  showHall(hall) {
    this.hall = hall;
    byId("draw-hall").value = hall;
    this.scene.show(this.drawing, hall, byId("draw-show").value);
    this.camera.fit(this.drawing.halls.get(hall));
    this.select([], true);
    this.panel.legend();
    const floor = this.drawing.halls.get(hall), n = [...this.drawing.inHall(hall)].filter((one) => one.kind === "rack").length;
    this.say(`${floor.name}: ${sizeText(floor.width_m, floor.depth_m)}, ${n} racks.`);
  }

  // A finding names its object: show it.
  pick({ object_kind: named, object_id: id, object: name, message }) {
    const kind = { floor_feature: "feature" }[named] ?? named, object = this.drawing.get(`${kind}:${id}`);
    if (!object) return this.say(`${name}: ${message}`);
    if (object.hall !== this.hall) this.showHall(object.hall);
    this.select([object.key], true);
    this.camera.fit(this.drawing.halls.get(this.hall), around([boxOf(object)]));
    return this.say(`${name}: ${message}`);
  }

  // Changing. Returns whether it was done.
  change(label, operations, { merge = "", select = null } = {}) {
    if (!this.mayDraw || !operations.length) return false;
    const places = operations.filter((op) => op.op === "create" || op.op === "move" || (op.op === "update" && op.kind !== "hall"));
    const clash = this.drawing.firstClash(moved(this.drawing, places));
    if (clash) {
      this.say(`Not done: ${clash}.`);
      return false;
    }
    this.take(operations);
    this.say(`${label}.`);
    this.saver.push({ label, operations, merge });
    this.select(select ?? this.selection, true);
    return true;
  }

  take(operations) {
    this.scene.refresh(this.drawing.apply(operations));
    this.scene.label(this.camera.view(), this.camera.scale);
  }

  onSaved(answer, batch) {
    this.drawing.version = answer.version;
    const renamed = this.drawing.number(answer.created);
    if (renamed.size) {
      this.scene.rename(renamed);
      this.selection = new Set([...this.selection].map((key) => renamed.get(key) ?? key));
      this.panel.show();
    }
    // Others changed other objects meanwhile: their steps are not ours to undo, and they are shown as soon as all is saved.
    if (answer.theirs?.length) {
      this.saver.forget(new Set(answer.theirs.flatMap((edit) => edit.changes).map((change) => `${change.kind}:${change.id}`)));
      this.isBehind = true;
    }
    if (this.isBehind) this.catchUp(answer.theirs ?? []);
    this.undoButtons();
    this.answer.ask(batch.madeAt ?? performance.now());
  }

  async catchUp(theirs) {
    if (!this.saver.isIdle) return;
    const data = await fetch(this.root.dataset.drawing).then((answer) => answer.json()).catch(() => null);
    if (!data || !this.saver.isIdle) return; // a change since then: the answer to it looks again
    this.isBehind = false;
    this.load(data);
    this.saver.version = data.version;
    const people = [...new Set(theirs.map((edit) => edit.user ?? "somebody"))].join(" and ");
    this.say(`Saved beside changes of ${people || "others"}; this is version ${data.version}.`);
  }

  async onRefused(answer, batch) {
    const errors = answer.errors ?? [], bad = new Set(errors.map((error) => error.operation));
    const what = [...new Set(errors.map((error) => error.message))].slice(0, 3).join(" ") || answer.message;
    // On top of somebody else's work, what still fits is kept; otherwise a batch goes whole or not at all.
    const kept = batch.isAgain ? batch.operations.filter((_, i) => !bad.has(i)) : [];
    const isPart = kept.length > 0 && kept.length < batch.operations.length;
    await this.reload();
    if (isPart) this.take(kept);
    this.saver.resume(this.drawing.version, isPart ? [{ ...batch, operations: kept }] : []);
    this.say(`${isPart ? `${bad.size} of your changes were` : `${batch.label} was`} not saved: ${what}`);
    if (!isPart) this.saved(`Not saved; back at version ${this.drawing.version}`);
  }

  async reload() {
    this.load(await (await fetch(this.root.dataset.drawing)).json());
  }

  load(data) {
    this.drawing.load(data);
    this.scene.show(this.drawing, this.hall, this.scene.by);
    this.camera.settle();
    this.select(this.selection, true);
  }

  // Somebody else may have drawn while this window was away.
  async look() {
    if (!this.saver.isIdle || this.saver.isStopped) return;
    const { version } = await fetch(this.root.dataset.drawing).then((answer) => answer.json()).catch(() => ({}));
    if (!version || version === this.saver.version || !this.saver.isIdle) return;
    await this.reload();
    this.saver.version = this.drawing.version;
    this.saver.undoable = [];
    this.saver.redoable = [];
    this.saved(`Version ${version}`);
    this.say(`Somebody else changed this layout; this is version ${version}.`);
    this.answer.ask(performance.now(), false);
  }

  async travel(way) {
    while (!this.saver.isIdle && !this.saver.isStopped) {
      this.saver.send();
      await new Promise((done) => setTimeout(done, 25));
    }
    const entry = this.saver.take(way);
    if (!entry) return this.say(`Nothing to ${way}.`);
    const keys = this.drawing.apply(entry.operations);
    this.scene.refresh(keys);
    this.camera.settle();
    this.saver.push({ ...entry, madeAt: performance.now() });
    this.select([...keys].filter((key) => this.drawing.get(key)?.hall === this.hall), true);
    return this.say(`${way === "undo" ? "Undid" : "Redid"}: ${entry.label}.`);
  }

  act(name) {
    const acts = {
      undo: () => this.travel("undo"), redo: () => this.travel("redo"), rotate: () => this.rotate(),
      duplicate: () => this.duplicate(), delete: () => this.remove(), "zoom-in": () => this.camera.zoom(1.25),
      "zoom-out": () => this.camera.zoom(0.8), fit: () => this.camera.fit(this.drawing.halls.get(this.hall)),
      help: () => this.keys.help(),
    };
    acts[name]?.();
  }

  use(tool) {
    this.placing?.end();
    this.pointer.tool = tool;
    for (const button of this.root.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === tool);
    this.stage.dataset.tool = tool;
    if (tool in TYPES) this.say(`Drag over the floor to draw a ${TYPES[tool]}; Enter puts one in the middle of the view, Escape leaves.`);
    else if (tool === "lasso") this.say("Draw round racks to select them.");
  }

  add(kind) {
    if (!this.mayDraw) return;
    this.use("select");
    this.pointer.tool = "place";
    this.stage.dataset.tool = "place";
    this.placing = new Placing(this, kind);
  }

  addFeature(type, box) {
    const name = this.drawing.freeName("feature", this.hall, `${TYPES[type][0].toUpperCase()}${TYPES[type].slice(1)} 1`);
    const ref = newRef();
    const done = this.change(`Drew ${TYPES[type]} ${name}`, [{
      op: "create", kind: "feature", ref, hall: this.hall, name, type, x_m: millimetres(box.x0), y_m: millimetres(box.y0),
      width_m: millimetres(box.x1 - box.x0), depth_m: millimetres(box.y1 - box.y0),
    }], { select: [`feature:${ref}`] });
    if (done) this.use("select");
  }

  // What the keys and buttons do to the selection.
  nudge(dx, dy) {
    const objects = this.selected();
    if (!objects.length || !this.mayDraw) return;
    this.change(`Moved ${this.count(objects)}`, moveBy(objects, dx, dy), { merge: `nudge ${[...this.selection].join()}` });
  }

  step(isFine) {
    if (isFine) return 0.01;
    return new Snapping(this.drawing, this.hall, this.snap).step(this.selected()[0]);
  }

  rotate() {
    if (this.placing) return this.placing.rotate();
    const objects = this.selected();
    return objects.length && this.change(`Rotated ${this.count(objects)}`, rotate(objects));
  }

  align(side) {
    const objects = this.selected();
    if (objects.length < 2) return this.say("Select two objects or more to align them.");
    const operations = side.startsWith("spread") ? spread(objects, side.at(-1)) : align(objects, side);
    if (typeof operations === "string") return this.say(`Not done: ${operations}`);
    return this.change(`Aligned ${this.count(objects)}`, operations);
  }

  copy() {
    this.clipboard = this.selected().map((object) => ({ ...object }));
    this.say(this.clipboard.length ? `Copied ${this.count(this.clipboard)}.` : "Nothing selected to copy.");
  }

  paste() {
    const box = around(this.clipboard.map(boxOf)), [cx, cy] = this.camera.centre();
    const isHere = this.clipboard[0]?.hall === this.hall;
    const start = isHere ? null : [cx - (box.x0 + box.x1) / 2, cy - (box.y0 + box.y1) / 2];
    this.put(this.clipboard, "Pasted", start);
  }

  duplicate() {
    this.put(this.selected().map((object) => ({ ...object })), "Duplicated");
  }

  put(objects, word, start = null) {
    if (!objects.length) return this.say(`Nothing ${word === "Pasted" ? "copied" : "selected"}.`);
    const shift = freeShift(this.drawing, objects, this.hall, start);
    if (!shift) return this.say(`No free place for ${this.count(objects)} in this hall.`);
    const operations = copies(this.drawing, objects, this.hall, ...shift);
    const n = objects.filter((object) => object.kind === "air_unit").length;
    const product = this.drawing.products.air_unit[0]?.slug ?? null;
    const more = n ? airUnits(this.drawing, this.hall, n, product) : [];
    return this.change(`${word} ${this.count(objects)}`, [...operations, ...more], { select: operations.map((op) => `${op.kind}:${op.ref}`) });
  }

  remove() {
    const objects = this.selected();
    if (objects.length) this.change(`Deleted ${this.count(objects)}`, remove(this.drawing, objects), { select: [] });
  }
}

async function open(root) {
  try {
    const answer = await fetch(root.dataset.drawing);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    root.board = new Board(root, await answer.json()); // for tests and the console
    root.dataset.ready = "";
  } catch (error) {
    byId("draw-status").textContent = `The drawing could not be loaded: ${error.message}. Reload the page to try again.`;
  }
}

const root = byId("draw");
if (root) open(root);
