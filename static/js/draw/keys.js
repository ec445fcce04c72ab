// The keyboard does all that the mouse does. Keys count while the stage has the focus, so that typing in fields stays typing.

import { TYPES } from "./drawing.js";
import { boxOf, around } from "./floor.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const HELP = [
  ["Tab, Shift-Tab", "next and previous object; Escape, then Tab leaves the drawing"],
  ["Shift-click, Space", "add to or take from the selection (Space on the last one passed)"],
  ["Ctrl-A", "select everything in the hall"], ["S", "select the whole row, or the CDUs of the group"],
  ["Arrows", "move the selection by the snap step; with Shift by 1 cm"],
  ["Arrows with nothing selected", "move the view"],
  ["R", "rotate by 90°"], ["Ctrl-C, Ctrl-V, Ctrl-D", "copy, paste, duplicate"], ["Del", "delete"],
  ["Ctrl-Z, Ctrl-Y", "undo, redo"], ["A, C, U", "add a row of racks, a CDU, an air unit"],
  ["W, K, H, B", "draw a wall, keep-out, hot aisle, cold aisle; Enter puts one in the middle of the view"],
  ["Enter", "go to the fields of what is selected"], ["V, L", "pointer, lasso"],
  ["+, −, 0", "zoom in, zoom out, whole hall"], ["F", "zoom to the selection"],
  ["Wheel, Shift-wheel", "zoom, move; drag with Space or the right button moves too"], ["Alt while dragging", "no snapping"],
  ["Escape", "leave a tool, drop the selection"], ["?", "this list"],
];
const TOOLS = { w: "wall", k: "keep_out", h: "hot_aisle", b: "cold_aisle", v: "select", l: "lasso" };
const ADDS = { a: "row", c: "cdu", u: "air_unit" };

// What an object is selected together with: the row of a rack, the group of a CDU.
function groupOf(object) {
  if (object.kind === "rack" && object.row) return `row ${object.row}`;
  return object.kind === "cdu" ? `group ${object.group}` : "";
}

export class Keys {
  constructor(board) {
    this.board = board;
    this.isSpace = false;
    this.mayLeave = false; // Escape was pressed: the next Tab goes on in the page
    board.stage.addEventListener("keydown", (event) => this.down(event));
    board.stage.addEventListener("keyup", (event) => {
      if (event.key === " ") this.isSpace = false;
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && board.placing) board.use("select"); // from the fields of its form, too
      const isTyping = event.target.closest?.("input, select, textarea, dialog, .draw-stage");
      if (!isTyping && (event.ctrlKey || event.metaKey) && /^[zy]$/i.test(event.key) && this.control(event)) event.preventDefault();
    });
    this.list();
  }

  list() {
    const list = document.querySelector("#draw-help dl");
    for (const [keys, meaning] of HELP) {
      const term = document.createElement("dt"), text = document.createElement("dd");
      term.textContent = keys;
      text.textContent = meaning;
      list.append(term, text);
    }
  }

  help() {
    document.getElementById("draw-help").showModal();
  }

  down(event) {
    const done = event.ctrlKey || event.metaKey ? this.control(event) : this.plain(event);
    if (done) event.preventDefault();
    if (event.key !== "Tab" && event.key !== "Escape") this.mayLeave = false;
  }

  control(event) {
    const { board } = this, key = event.key.toLowerCase();
    const acts = {
      z: () => board.travel(event.shiftKey ? "redo" : "undo"), y: () => board.travel("redo"), c: () => board.copy(),
      v: () => board.paste(), d: () => board.duplicate(),
      a: () => board.select([...board.drawing.inHall(board.hall)].map((object) => object.key)),
    };
    if (!acts[key] || (key !== "a" && !board.mayDraw)) return false;
    acts[key]();
    return true;
  }

  plain(event) {
    const { board } = this, { key } = event;
    if (key === "Tab") return this.tab(event.shiftKey);
    if (key in ARROWS) return this.arrow(ARROWS[key], event);
    const camera = { "+": () => board.act("zoom-in"), "=": () => board.act("zoom-in"), "-": () => board.act("zoom-out"),
      0: () => board.act("fit"), "?": () => this.help(), Escape: () => this.escape(), f: () => this.zoomTo(), " ": () => this.space() };
    if (camera[key]) {
      camera[key]();
      return true;
    }
    return board.mayDraw && this.draw(key);
  }

  draw(key) {
    const { board } = this, low = key.toLowerCase();
    if (key === "Delete" || key === "Backspace") board.remove();
    else if (low === "r") board.rotate();
    else if (low === "s") this.row();
    else if (key === "Enter") this.enter();
    else if (low in ADDS) board.add(ADDS[low]);
    else if (low in TOOLS) board.use(TOOLS[low]);
    else return false;
    return true;
  }

  // Objects in reading order: from the upper left. The ends lead out of the drawing.
  tab(isBack) {
    const { board } = this;
    if (this.mayLeave) return (this.mayLeave = false);
    const all = [...board.drawing.inHall(board.hall)].sort((a, b) => b.y_m - a.y_m || a.x_m - b.x_m);
    const at = all.findIndex((object) => object.key === (this.last ?? [...board.selection][0]));
    const next = all[at < 0 ? (isBack ? all.length - 1 : 0) : at + (isBack ? -1 : 1)];
    this.last = next?.key;
    if (!next) return false;
    if (!this.keeps) board.select([next.key]);
    else board.say(`${board.drawing.called(next)}: Space adds it.`);
    board.scene.mark("passed", [next.key]);
    this.reveal(next);
    return true;
  }

  reveal(object) {
    const { camera } = this.board, view = camera.view(), box = boxOf(object);
    if (box.x0 > view.x0 && box.x1 < view.x1 && box.y0 > view.y0 && box.y1 < view.y1) return;
    const [cx, cy] = camera.centre();
    camera.pan((cx - (box.x0 + box.x1) / 2) * camera.scale, ((box.y0 + box.y1) / 2 - cy) * camera.scale);
    camera.settle();
  }

  // Space adds what Tab passed to the selection; from then on Tab only passes until Escape.
  space() {
    this.isSpace = true;
    if (!this.last || !this.board.drawing.get(this.last)) return;
    if (this.keeps) this.board.toggle(this.last);
    this.keeps = true;
    this.board.say(`${this.board.selection.size} selected; Tab goes on, Space adds, Escape ends.`);
  }

  arrow([dx, dy], event) {
    const { board } = this;
    if (!board.selection.size || !board.mayDraw) {
      board.camera.pan(-dx * 60, dy * 60);
      return true;
    }
    const step = board.step(event.shiftKey);
    board.nudge(dx * step, dy * step);
    return true;
  }

  escape() {
    const { board } = this;
    this.mayLeave = true;
    this.keeps = false;
    this.last = null;
    board.scene.mark("passed", []);
    if (board.pointer.cancel()) return;
    if (board.pointer.tool !== "select") board.use("select");
    else board.select([]);
  }

  enter() {
    const { board } = this, { tool } = board.pointer;
    if (tool in TYPES) {
      const [x, y] = board.camera.centre(), isWall = tool === "wall";
      board.addFeature(tool, { x0: Math.max(x - 1.2, 0), x1: x + 1.2, y0: Math.max(y - (isWall ? 0.1 : 0.6), 0), y1: y + (isWall ? 0.1 : 0.6) });
    } else if (board.placing) board.placing.submit();
    else document.querySelector("#draw-fields:not([hidden]) input, #draw-assign:not([hidden]) select")?.focus();
  }

  // Racks of the same rows, CDUs of the same groups.
  row() {
    const { board } = this, wanted = new Set(board.selected().map(groupOf).filter(Boolean));
    if (!wanted.size) return board.say("Select a rack of the row, or a CDU of the group, first.");
    return board.select([...board.drawing.inHall(board.hall)].filter((object) => wanted.has(groupOf(object))).map((object) => object.key));
  }

  zoomTo() {
    const { board } = this, objects = board.selected();
    if (objects.length) board.camera.fit(board.drawing.halls.get(board.hall), around(objects.map(boxOf)));
  }
}
