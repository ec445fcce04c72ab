// Mouse, pen and fingers on the stage: pan, pinch, select, drag, lasso, draw and place. One gesture at a time.

import { boxOf, inside } from "./floor.js";
import { lengthText } from "../quantities.js";
import { moveBy } from "./commands.js";
import { Snapping } from "./snapping.js";

const START_PX = 4; // a smaller movement is a click

export class Pointer {
  constructor(board) {
    this.board = board;
    this.tool = "select"; // or lasso, or a type of feature, or place
    this.gesture = null;
    this.fingers = new Map();
    const { stage } = board;
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.up(event));
    stage.addEventListener("pointercancel", () => this.cancel());
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  wheel(event) {
    event.preventDefault();
    const { camera } = this.board, unit = event.deltaMode === 1 ? 20 : 1;
    if (event.shiftKey) return camera.pan(-(event.deltaX || event.deltaY) * unit, event.deltaX ? -event.deltaY * unit : 0);
    const box = this.board.stage.getBoundingClientRect();
    return camera.zoom(Math.exp(-event.deltaY * unit * 0.0016), [event.clientX - box.left, event.clientY - box.top]);
  }

  down(event) {
    const { board } = this;
    board.stage.focus({ preventScroll: true });
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    try {
      board.stage.setPointerCapture(event.pointerId);
    } catch { /* the pointer is gone already */ }
    if (this.fingers.size === 2) return this.pinch();
    const key = document.elementFromPoint(event.clientX, event.clientY)?.closest?.("[data-key]")?.dataset.key ?? null;
    const from = [event.clientX, event.clientY], at = board.camera.at(event);
    const base = { from, at, key, isShift: event.shiftKey, hasMoved: false };
    const isPan = event.button === 1 || event.button === 2 || board.keys?.isSpace || !board.mayDraw
      || (event.pointerType === "touch" && !key && this.tool === "select");
    if (isPan) this.gesture = { ...base, kind: "pan", last: from };
    else if (this.tool === "place") this.gesture = { ...base, kind: "put" };
    else if (this.tool === "lasso") this.gesture = { ...base, kind: "lasso", points: [at] };
    else if (this.tool !== "select") this.gesture = { ...base, kind: "draw", corner: this.snapping().corner(at, event.altKey) };
    else this.gesture = this.selecting(base);
    return undefined;
  }

  selecting(base) {
    const { board } = this, object = base.key && board.drawing.get(base.key);
    // An aisle lies under everything: drawing over it selects what is in it, a click takes the aisle itself.
    const isGround = object?.kind === "feature" && !board.drawing.isSolid(object) && !board.selection.has(base.key);
    if (!object || isGround) return { ...base, kind: "marquee" };
    if (base.isShift) {
      board.toggle(base.key);
      return { ...base, kind: "none" };
    }
    if (!board.selection.has(base.key)) board.select([base.key]);
    return { ...base, kind: "drag" };
  }

  snapping(without = new Set()) {
    const snapping = new Snapping(this.board.drawing, this.board.hall, this.board.snap);
    snapping.prepare(without);
    return snapping;
  }

  move(event) {
    const { gesture, board } = this;
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (!gesture) {
      if (this.tool === "place") board.placing?.hover(board.camera.at(event), event.altKey);
      return;
    }
    if (gesture.kind === "pinch") return void this.pinched();
    const [dx, dy] = [event.clientX - gesture.from[0], event.clientY - gesture.from[1]];
    if (!gesture.hasMoved && Math.hypot(dx, dy) < START_PX) return;
    if (!gesture.hasMoved) {
      gesture.hasMoved = true;
      if (gesture.kind === "drag") this.lift(gesture);
    }
    this[`on_${gesture.kind}`]?.(gesture, event);
  }

  on_pan(gesture, event) {
    this.board.camera.pan(event.clientX - gesture.last[0], event.clientY - gesture.last[1]);
    gesture.last = [event.clientX, event.clientY];
  }

  on_marquee(gesture, event) {
    const [x, y] = this.board.camera.at(event), [x0, y0] = gesture.at;
    gesture.box = { x0: Math.min(x, x0), x1: Math.max(x, x0), y0: Math.min(y, y0), y1: Math.max(y, y0) };
    this.board.scene.ghost([gesture.box]);
  }

  on_lasso(gesture, event) {
    gesture.points.push(this.board.camera.at(event));
    this.board.scene.line(gesture.points);
  }

  on_draw(gesture, event) {
    const [x, y] = this.snapping().corner(this.board.camera.at(event), event.altKey), [x0, y0] = gesture.corner;
    const box = { x0: Math.min(x, x0), x1: Math.max(x, x0), y0: Math.min(y, y0), y1: Math.max(y, y0) };
    if (this.tool === "wall") { // a wall that is drawn as a line has a wall's thickness
      if (box.x1 - box.x0 < 0.05) box.x1 = box.x0 + 0.2;
      if (box.y1 - box.y0 < 0.05) box.y1 = box.y0 + 0.2;
    }
    gesture.box = box;
    this.board.scene.ghost([box]);
    this.board.say(`${lengthText(box.x1 - box.x0)} × ${lengthText(box.y1 - box.y0)}`);
  }

  lift(gesture) {
    const { board } = this, keys = board.selection;
    gesture.objects = board.selected();
    gesture.boxes = gesture.objects.map(boxOf);
    gesture.leader = board.drawing.get(gesture.key);
    gesture.squares = board.drawing.squares(board.hall, keys);
    gesture.snapping = this.snapping(keys);
    gesture.shift = [0, 0];
    for (const key of keys) board.scene.layers.lifted.append(board.scene.shapes.get(key));
    board.scene.mark("selected", []);
  }

  on_drag(gesture, event) {
    const { board } = this, [x, y] = board.camera.at(event);
    const [dx, dy] = gesture.snapping.shift(gesture.leader, x - gesture.at[0], y - gesture.at[1], event.altKey);
    if (dx === gesture.shift[0] && dy === gesture.shift[1]) return;
    gesture.shift = [dx, dy];
    board.scene.layers.lifted.setAttribute("transform", `translate(${dx} ${-dy})`);
    const bad = [];
    gesture.clash = "";
    gesture.boxes.forEach((b, i) => {
      const box = { x0: b.x0 + dx, x1: b.x1 + dx, y0: b.y0 + dy, y1: b.y1 + dy };
      const clash = board.drawing.clash(gesture.objects[i], box, gesture.squares);
      if (clash) bad.push(box);
      gesture.clash ||= clash;
    });
    board.scene.ghost([], bad);
    const by = `${dx >= 0 ? "+" : "−"}${lengthText(Math.abs(dx))}, ${dy >= 0 ? "+" : "−"}${lengthText(Math.abs(dy))}`;
    board.say(gesture.clash ? `${gesture.clash}: cannot be dropped here.` : by);
  }

  drop(gesture) {
    const { board } = this;
    const [dx, dy] = gesture.shift;
    this.unlift(gesture);
    if (gesture.clash) board.say(`Not moved: ${gesture.clash}.`);
    else if (dx || dy) board.change(`Moved ${board.count(gesture.objects)}`, moveBy(gesture.objects, dx, dy));
    board.scene.mark("selected", board.selection);
  }

  unlift(gesture) {
    const { scene } = this.board;
    scene.layers.lifted.removeAttribute("transform");
    for (const object of gesture.objects) {
      const shape = scene.shapes.get(object.key);
      if (shape) scene.layers[object.kind].append(shape);
    }
    scene.unghost();
  }

  up(event) {
    this.fingers.delete(event.pointerId);
    const { gesture, board } = this;
    if (!gesture || gesture.kind === "pinch") {
      if (!this.fingers.size) this.gesture = null;
      return;
    }
    this.gesture = null;
    const isClick = !gesture.hasMoved;
    if (gesture.kind === "drag") {
      if (isClick) board.select([gesture.key]);
      else this.drop(gesture);
    } else if (gesture.kind === "marquee") this.caught(gesture, isClick);
    else if (gesture.kind === "lasso") this.lassoed(gesture, isClick);
    else if (gesture.kind === "draw") this.drawn(gesture);
    else if (gesture.kind === "put") board.placing?.put(board.camera.at(event), event.altKey);
    else if (gesture.kind === "pan" && isClick) board.select(gesture.key ? [gesture.key] : []);
  }

  caught(gesture, isClick) {
    const { board } = this;
    board.scene.unghost();
    if (isClick) return board.select(gesture.key ? [gesture.key] : []);
    const found = board.within((box) => box.x0 < gesture.box.x1 && box.x1 > gesture.box.x0 && box.y0 < gesture.box.y1 && box.y1 > gesture.box.y0);
    return board.select(gesture.isShift ? [...board.selection, ...found] : found);
  }

  lassoed(gesture, isClick) {
    const { board } = this;
    board.scene.unghost();
    if (isClick) return board.select(gesture.key ? [gesture.key] : []);
    const found = board.within((box) => inside([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2], gesture.points));
    return board.select(gesture.isShift ? [...board.selection, ...found] : found);
  }

  drawn(gesture) {
    const { board } = this;
    board.scene.unghost();
    if (gesture.box && gesture.box.x1 - gesture.box.x0 > 0.05 && gesture.box.y1 - gesture.box.y0 > 0.05) board.addFeature(this.tool, gesture.box);
    else board.say("Drag over the floor to draw it.");
  }

  pinch() {
    if (this.gesture?.kind === "drag" && this.gesture.hasMoved) this.unlift(this.gesture);
    const [a, b] = [...this.fingers.values()];
    this.gesture = { kind: "pinch", apart: Math.hypot(a[0] - b[0], a[1] - b[1]), middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
    this.board.scene.unghost();
  }

  pinched() {
    const { gesture, board } = this;
    if (this.fingers.size < 2) return;
    const [a, b] = [...this.fingers.values()], box = board.stage.getBoundingClientRect();
    const apart = Math.hypot(a[0] - b[0], a[1] - b[1]), middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    board.camera.pan(middle[0] - gesture.middle[0], middle[1] - gesture.middle[1]);
    if (gesture.apart > 0) board.camera.zoom(apart / gesture.apart, [middle[0] - box.left, middle[1] - box.top]);
    Object.assign(gesture, { apart, middle });
  }

  cancel() {
    const { gesture } = this;
    this.fingers.clear();
    this.gesture = null;
    if (gesture?.kind === "drag" && gesture.hasMoved) {
      this.unlift(gesture);
      this.board.scene.mark("selected", this.board.selection);
    }
    this.board.scene.unghost();
    return Boolean(gesture);
  }
}

