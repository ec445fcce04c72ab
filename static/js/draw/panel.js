// The panel beside the drawing: what is selected, its fields to change, and what cools and feeds it.

import { CALLED, TYPES } from "./drawing.js";
import { fieldShown, fieldTyped, fieldUnit, fieldUnits } from "../number_entry.js";
import { quantityText, sizeText } from "../quantities.js";

const byId = (id) => document.getElementById(id);
const FACING = [["0", "down, 0°"], ["90", "right, 90°"], ["180", "up, 180°"], ["270", "left, 270°"]];
const ROLES = ["compute", "network", "storage", "support"].map((role) => [role, role]);
const MIXED = "\u0000mixed";
const ASSIGNED = ["cdu", "feed_a", "feed_b"];

export const SUBJECTS = { air_unit: "airunit", feature: "floorfeature" };
const number = (name, label) => ({ name, label, type: "number" });
const choice = (name, label, choices) => ({ name, label, type: "choice", choices });
const PLACE = [number("x_m", "x"), number("y_m", "y")];
const SIZE = [number("width_m", "Width"), number("depth_m", "Depth")];
const FIELDS = {
  rack: [
    { name: "name", label: "Name" }, { name: "row", label: "Row" }, ...PLACE, choice("orientation_deg", "Front faces", FACING),
    choice("product", "System", (drawing) => [["", "none"], ...drawing.products.rack.map((one) => [one.slug, one.name])]),
    number("n_systems", "Systems"), choice("role", "Role", ROLES), number("other_power_w", "Other power"),
  ],
  cdu: [
    { name: "name", label: "Name" }, ...PLACE, choice("orientation_deg", "Front faces", FACING),
    choice("product", "Product", (drawing) => drawing.products.cdu.map((one) => [one.slug, one.name])),
    { name: "group", label: "Group" }, number("supply_degc", "Supply"),
    choice("plant", "Plant", (drawing) => [...drawing.plants.values()].map((plant) => [plant.id, plant.name])),
  ],
  air_unit: [{ name: "name", label: "Name" }, ...PLACE, choice("orientation_deg", "Blows", FACING), ...SIZE],
  feature: [{ name: "name", label: "Name" }, choice("type", "Type", Object.entries(TYPES)), ...PLACE, ...SIZE],
};
const withUnit = (name, label) => (fieldUnit(name) ? `${label} [${fieldUnit(name)}]` : label);
// What the fields are called, by kind and name, where changes are told.
export const LABELS = Object.fromEntries(Object.entries(FIELDS).map(([kind, fields]) => [kind, Object.fromEntries(fields.map((field) => [field.name, withUnit(field.name, field.label)]))]));
const SHARED = { rack: ["orientation_deg", "product", "role", "row"], cdu: ["orientation_deg", "product", "group", "supply_degc", "plant"],
  air_unit: ["orientation_deg", "width_m", "depth_m"], feature: ["type"] }; // what several may have alike
const NUMBERED = new Set(["orientation_deg", "plant"]);
const PARTS = { rack: "racks", cdu: "cdus", air_unit: "air-units", feature: "floor-features" };

export function fillChoices(select, choices, none = "none") {
  const all = none === null ? choices : [["", none], ...choices];
  select.replaceChildren(...all.map(([value, label]) => new Option(label, value)));
}

export class Panel {
  constructor(board) {
    this.board = board;
    this.form = byId("draw-fields");
    this.assign = byId("draw-assign");
    this.form?.addEventListener("change", (event) => this.changed(event));
    this.form?.addEventListener("submit", (event) => event.preventDefault());
    this.assign?.addEventListener("submit", (event) => this.assigned(event));
  }

  only(form, title) {
    byId("draw-title").textContent = title;
    byId("draw-about").textContent = "";
    for (const one of document.querySelectorAll(".draw-form")) one.hidden = one !== form;
  }

  show() {
    const { board } = this, objects = board.selected(), kinds = [...new Set(objects.map((object) => object.kind))];
    if (board.placing) return;
    this.only(null, objects.length ? this.title(objects) : "Nothing selected");
    byId("draw-about").replaceChildren(...this.about(objects));
    for (const button of board.root.querySelectorAll("[data-do=rotate], [data-do=duplicate], [data-do=delete]")) button.disabled = !objects.length;
    if (byId("draw-align")) byId("draw-align").disabled = objects.length < 2;
    if (!this.form || !objects.length || kinds.length > 1) return;
    this.fields(kinds[0], objects);
    if (kinds[0] !== "rack") return;
    this.assign.hidden = false;
    this.assignments(this.assign, true);
    for (const name of ASSIGNED) {
      const values = new Set(objects.map((rack) => rack[name]));
      this.assign.elements[name].value = values.size === 1 ? ([...values][0] ?? "") : MIXED;
    }
  }

  title(objects) {
    const text = this.board.count(objects);
    return text[0].toUpperCase() + text.slice(1);
  }

  about(objects) {
    const { drawing, hall } = this.board;
    if (!objects.length) {
      const floor = drawing.halls.get(hall), here = [...drawing.inHall(hall)];
      const n = (kind) => here.filter((object) => object.kind === kind).length;
      return [`${floor.name}: ${sizeText(floor.width_m, floor.depth_m)}, ${n("rack")} racks, ${n("cdu")} CDUs; ${floor.n_air_units} air units, `
        + `${n("air_unit")} of them drawn. Click or lasso things to change them.`];
    }
    if (objects.length > 1) return [this.several(objects)];
    const [object] = objects, link = document.createElement("a");
    if (typeof object.id === "string") return ["Being saved."];
    link.href = `${this.board.root.dataset.parts.replace("KIND", PARTS[object.kind])}${object.id}/edit/`;
    link.textContent = "All fields by form";
    const racks = object.kind === "cdu" ? drawing.racksOn("cdu", object.id) : [];
    const load = racks.reduce((sum, rack) => sum + this.rated_w(rack), 0);
    const text = object.kind === "cdu" ? `Cools ${racks.length} racks rated ${quantityText(load, "W")}. `
      : object.kind === "rack" ? `Rated ${quantityText(this.rated_w(object), "W")}. ` : "";
    return [text, link];
  }

  several(objects) {
    const n = new Map(), power_w = objects.reduce((sum, object) => sum + this.rated_w(object), 0);
    for (const { kind } of objects) n.set(kind, (n.get(kind) ?? 0) + 1);
    const kinds = [...n].map(([kind, count]) => `${count} ${CALLED[kind]}${count > 1 ? "s" : ""}`).join(", ");
    return kinds + (power_w ? `, ${quantityText(power_w, "W")} rated` : "");
  }

  rated_w(object) {
    if (object.kind !== "rack") return 0;
    const product = this.board.drawing.products.rack.find((one) => one.slug === object.product);
    return (product?.power_w ?? 0) * object.n_systems + object.other_power_w;
  }

  fields(kind, objects) {
    const wanted = FIELDS[kind].filter((field) => objects.length === 1 || SHARED[kind].includes(field.name));
    this.form.replaceChildren(...wanted.flatMap((field) => this.field(field, objects)));
    this.form.dataset.subject = SUBJECTS[kind] ?? kind;
    this.form.hidden = false;
  }

  field({ name, label, type, choices }, objects) {
    const title = document.createElement("label"), values = new Set(objects.map((object) => object[name]));
    title.textContent = withUnit(name, label);
    title.htmlFor = `field-${name}`;
    const input = document.createElement(type === "choice" ? "select" : "input");
    const isMixed = values.size > 1, value = [...values][0];
    if (type === "choice") {
      const all = typeof choices === "function" ? choices(this.board.drawing) : choices;
      fillChoices(input, isMixed ? [[MIXED, "(several)"], ...all] : all, null);
      input.value = isMixed ? MIXED : (value ?? "");
    } else {
      input.value = isMixed ? "" : (fieldShown(name, value) ?? "");
      if (isMixed) input.placeholder = "(several)";
      if (type === "number") input.inputMode = "decimal";
    }
    Object.assign(input, { id: `field-${name}`, name });
    input.dataset.type = type ?? "text";
    return [title, input];
  }

  changed({ target }) {
    const { board } = this, { name, value, dataset } = target, objects = board.selected();
    if (value === MIXED) return;
    let given = value;
    if (dataset.type === "number" || NUMBERED.has(name)) {
      given = fieldTyped(name, value, !name.endsWith("_m")); // metres are shown to the millimetre, so 4.125 is no group
      if (given === null) {
        const units = fieldUnits(name);
        board.say(`${LABELS[objects[0].kind][name] ?? name} is “${value}”; type a number, and none that could be two: 1234 or 1.2340`
          + (units ? `, with a unit such as ${units}, or none for ${fieldUnit(name)}.` : "."));
        this.show();
        return;
      }
    } else if (name === "product") given = value || null;
    const operations = objects.map((object) => ({ op: "update", kind: object.kind, id: object.id, [name]: given }));
    if (!board.change(`Changed ${board.count(objects)}`, operations)) this.show();
    byId(`field-${name}`)?.focus();
  }

  // CDUs of this hall and all feeds that racks may plug into.
  assignments(form, isMixed = false) {
    const { drawing, hall } = this.board, mixed = isMixed ? [[MIXED, "(several: leave)"]] : [];
    const cdus = [...drawing.objects.values()].filter((object) => object.kind === "cdu" && object.hall === hall);
    const feeds = [...drawing.feeds.values()];
    fillChoices(form.elements.cdu, [...cdus.map((cdu) => [cdu.id, `${cdu.name} (${cdu.group})`]), ...mixed]);
    for (const name of ["feed_a", "feed_b"]) fillChoices(form.elements[name], [...feeds.map((feed) => [feed.id, feed.name]), ...mixed]);
  }

  assigned(event) {
    event.preventDefault();
    const { board } = this, racks = board.selected(), given = {};
    for (const name of ASSIGNED) {
      const { value } = this.assign.elements[name];
      if (value === MIXED) continue;
      given[name] = value === "" ? null : name === "cdu" && Number.isNaN(Number(value)) ? value : Number(value);
    }
    if (given.feed_a && given.feed_a === given.feed_b) {
      board.say("Feed A and feed B are the same; a rack needs two different ones, or one.");
      return;
    }
    board.change(`Assigned ${board.count(racks)}`, [{ op: "assign", racks: racks.map((rack) => rack.id), ...given }]);
    this.legend();
  }

  // What the colours say, in words.
  legend() {
    const { scene, drawing } = this.board, legend = byId("draw-legend");
    if (!legend) return;
    const known = { cdu: (id) => drawing.get(`cdu:${id}`)?.name, feed_a: (id) => drawing.feeds.get(id)?.name, feed_b: (id) => drawing.feeds.get(id)?.name };
    const items = scene.by === "role" ? ROLES.map(([role]) => [role, role]) : [...scene.groups].map(([id, group]) => [`g${group}`, known[scene.by](id) ?? id]);
    if (scene.by !== "role") items.push(["g-none", "none"]);
    legend.replaceChildren(...items.slice(0, 12).map(([name, text]) => {
      const item = document.createElement("span"), swatch = document.createElement("i");
      swatch.className = `swatch ${name}`;
      item.append(swatch, text);
      return item;
    }), ...(items.length > 12 ? [`and ${items.length - 12} more; colours repeat`] : []));
  }
}
