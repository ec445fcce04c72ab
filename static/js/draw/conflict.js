// Two people changed the same layout: show both sides, and let the second decide. Nothing of either is lost before that.

import { CALLED } from "./drawing.js";
import { fieldShown } from "../number_entry.js";
import { LABELS } from "./panel.js";

const byId = (id) => document.getElementById(id);
const ALSO = { orientation_deg: "Front [°]", cdu: "CDU", feed_a: "Feed A", feed_b: "Feed B", hall: "Hall" };
const MAX_LINES = 40;

const label = (kind, name) => ALSO[name] ?? LABELS[kind]?.[name] ?? name.replaceAll("_", " ");

function told(name, stored) {
  const value = fieldShown(name, stored);
  if (value === null || value === "") return "none";
  return typeof value === "number" ? String(Math.round(value * 1000) / 1000) : String(value);
}

function line(change) {
  const item = document.createElement("li");
  const called = `${CALLED[change.kind] ?? change.kind.replaceAll("_", " ")} ${change.name}`.trim();
  const fields = Object.entries(change.fields).map(([name, [before, after]]) => `${label(change.kind, name)} ${told(name, before)} → ${told(name, after)}`);
  item.textContent = change.message ?? (change.action === "changed" ? `${called}: ${fields.join(", ")}` : `${called}: ${change.action}`);
  if (change.clash) {
    const sign = document.createElement("strong");
    sign.textContent = " both changed it";
    item.append(sign);
    item.className = "clash";
  }
  return item;
}

function list(changes, none) {
  const items = changes.slice(0, MAX_LINES).map(line);
  const more = changes.length - items.length;
  for (const text of [...(more > 0 ? [`and ${more} more`] : []), ...(changes.length ? [] : [none])]) {
    const item = document.createElement("li");
    item.textContent = text;
    items.push(item);
  }
  return items;
}

export class Conflict {
  constructor(board) {
    this.board = board;
    this.dialog = byId("draw-conflict");
    byId("conflict-take").addEventListener("click", () => this.takeTheirs());
    byId("conflict-mine").addEventListener("click", () => this.applyMine());
    this.dialog.addEventListener("cancel", (event) => event.preventDefault()); // it must be decided
    this.dialog.addEventListener("close", () => this.answer && this.dialog.showModal()); // a second Escape closes it all the same
  }

  open(answer) {
    this.answer = answer;
    const people = [...new Set(answer.theirs.map((edit) => edit.user ?? "somebody"))].join(" and ");
    const changes = answer.theirs.flatMap((edit) => edit.changes);
    byId("conflict-text").textContent = `You drew on an older version; ${people} has saved version ${answer.version} since. Nothing of yours is saved yet, nothing of theirs is lost.`;
    byId("conflict-who").textContent = `Theirs (${people}), saved`;
    byId("conflict-yours").replaceChildren(...list(answer.yours, "nothing that still differs"));
    byId("conflict-theirs").replaceChildren(...list(changes, "Changed by a file or the layout's form; details were not recorded."));
    this.dialog.showModal();
  }

  // What both have, and what is theirs alone: undo must not reach it.
  async catchUp() {
    const { board } = this, { theirs } = this.answer;
    this.answer = null;
    this.dialog.close();
    board.saver.forget(new Set(theirs.flatMap((edit) => edit.changes).map((change) => `${change.kind}:${change.id}`)));
    await board.reload();
  }

  async takeTheirs() {
    await this.catchUp();
    this.board.saver.resume(this.board.drawing.version, []);
    this.board.saved(`Version ${this.board.drawing.version}`);
    this.board.say("Their version is shown; yours was dropped.");
    this.board.answer.ask(performance.now(), false);
  }

  async applyMine() {
    const { board } = this, { line: waiting } = board.saver;
    await this.catchUp();
    const lost = [];
    const kept = waiting.map((batch) => ({ ...batch, isAgain: true, operations: batch.operations.filter((op) => this.stands(op) || !lost.push(op)) }))
      .filter((batch) => batch.operations.length);
    for (const batch of kept) board.take(batch.operations);
    board.saver.resume(board.drawing.version, kept);
    board.say(lost.length ? `${lost.length} of your changes could not be applied: what they changed is gone.` : "Yours is applied on top of theirs.");
    if (!kept.length) board.saved(`Version ${board.drawing.version}`);
  }

  // Whether what an operation names is still there.
  stands(op) {
    const { drawing } = this.board;
    if (op.op === "create") return true;
    if (op.op === "assign") {
      op.racks = op.racks.filter((id) => drawing.get(`rack:${id}`) || typeof id === "string");
      return op.racks.length > 0;
    }
    return op.kind === "hall" || typeof op.id === "string" || Boolean(drawing.get(`${op.kind}:${op.id}`));
  }
}
