// Colours the plan, or the halls in three dimensions, at any hour of the year: the slider and the play button ask for the steady state of a whole day (or
// of one hour on 24 days) at once, so that moving on is a matter of colours. Without this script the form does the same.

import { isNumber, quantityText } from "./quantities.js";
import { inMode, isOver, rampStep, tickPercent } from "./shading.js";

const BLOCK = 24, KEPT_BLOCKS = 40, PACE_MS = 300;
const WORDS = { over: "overloaded", throttled: "throttled", dead: "off" };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
let plan = null; // what is on the page now: data, shapes, table rows, blocks
let wanted = null, following = false, playing = false;

function setUp() {
  stop();
  const source = document.getElementById("plan-data"), panel = source?.closest("[data-plan]");
  const form = document.querySelector("[data-colour-form]");
  form?.querySelectorAll("select:not([data-step])").forEach((select) => select.addEventListener("change", () => window.htmx.trigger(form, "recolour")));
  form?.querySelector("[name=hour]")?.addEventListener(source ? "input" : "change", (event) => {
    form.querySelector("[name=when]").value = "hour";
    if (source) follow(Number(event.target.value));
    else window.htmx.trigger(form, "recolour");
  });
  plan = null;
  if (!panel) return;
  const data = JSON.parse(source.textContent);
  const rows = new Map([...panel.querySelectorAll("[data-row]")].map((row) => [Number(row.dataset.row), row.cells]));
  plan = { data, panel, form, rows, blocks: new Map() };
  findShapes();
  plan.limits = data.racks.map((_, i) => (Array.isArray(data.limits) ? data.limits[i] : data.limits));
  plan.blank = new Set(data.blank);
  plan.passive = new Set(data.passive); // described by their rating, which they always draw
  form.querySelector("[data-play]")?.addEventListener("click", () => (playing ? stop() : play()));
}

// The plan's shapes; beside three dimensions there are none, unless the plan has taken their place.
function findShapes() {
  plan.shapes = new Map([...plan.panel.querySelectorAll("svg.plan .r")].map((shape) => [Number(shape.dataset.id), shape]));
  plan.boxes = new Map();
  for (const [id, shape] of plan.shapes) plan.boxes.set(id, ["x", "y", "width", "height"].map((name) => Number(shape.getAttribute(name))));
}

// Which hours are asked for together: the hour's day, or the same hour on 24 days.
function blockOf(hour, step) {
  const { n_hours: n } = plan.data, day = Math.floor(hour / 24);
  const first = step === 1 ? day * 24 : (day - (day % BLOCK)) * 24 + (hour % 24);
  const hours = [];
  for (let k = 0; k < BLOCK && first + k * step < n; k++) hours.push(first + k * step);
  return { key: `${step}:${first}`, hours };
}

function load(hour, step) {
  const { key, hours } = blockOf(hour, step), { blocks } = plan;
  if (!blocks.has(key)) {
    if (blocks.size >= KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
    const asked = ask(hours, plan);
    asked.catch(() => blocks.delete(key));
    blocks.set(key, asked);
  }
  return blocks.get(key);
}

async function ask(hours, { data, panel }) {
  const query = new URLSearchParams({ scenario: data.scenario, hours: hours.join(","), quantities: data.column });
  const answer = await fetch(`${panel.dataset.stateUrl}?${query}`, { headers: { Accept: "application/json" } });
  const state = await answer.json().catch(() => ({ message: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(state.message);
  return blockFrom(state, hours, data);
}

// The racks' own values, or those of the feed or CDU that serves them, and the ends of the colours over all hours.
function blockFrom(state, hours, data) {
  const part = state[data.part], at = new Map(part.id.map((id, i) => [id, i]));
  const sides = (data.part === "racks" ? [data.racks] : data.links).map((ids) => ids.map((id) => at.get(id)));
  const rack = new Map(state.racks.id.map((id, i) => [id, i]));
  const used = part[data.column].map((row) => data.racks.map((_, i) => plan.blank.has(i) ? null : greatest(sides, row, i)));
  const states = state.racks.state.map((row) => data.racks.map((id) => row[rack.get(id)] ?? ""));
  let low = Infinity, high = -Infinity;
  for (const row of used) {
    row.forEach((value, i) => {
      const shown = inMode(data.mode, value, plan.limits[i]);
      if (isNumber(shown)) [low, high] = [Math.min(low, shown), Math.max(high, shown)];
    });
  }
  return { hours, labels: state.hours, used, states, low, high, warning: state.converged ? "" : state.message };
}

function greatest(sides, row, i) {
  let most = null;
  for (const side of sides) {
    const value = row[side[i]];
    if (isNumber(value) && (most === null || value > most)) most = value;
  }
  return most;
}

// Only the newest hour asked for is followed: a slider moves faster than a server solves.
async function follow(hour) {
  wanted = hour;
  say(calendar(hour));
  if (following) return;
  following = true;
  try {
    while (wanted !== null) {
      const now = wanted, step = stepOf();
      wanted = null;
      const block = await load(now, step);
      if (plan && wanted === null) show(block, now);
    }
  } catch (error) {
    stop();
    note(`${plan.data.label} cannot be computed: ${error.message}`);
  }
  following = false;
}

const stepOf = () => Number(plan.form.querySelector("[data-step]").value);

async function play() {
  const here = plan, slider = plan.form.querySelector("[name=hour]"), n = plan.data.n_hours;
  setPlaying(true);
  while (playing && plan === here) {
    const step = stepOf(), next = (Number(slider.value) + step) % (Math.floor(n / step) * step);
    slider.value = next;
    plan.form.querySelector("[name=when]").value = "hour";
    const shown = performance.now();
    await follow(next);
    load((next + step * (BLOCK / 2)) % n, step).catch(() => {}); // the next day is there before it is needed
    await new Promise((done) => setTimeout(done, Math.max(PACE_MS - (performance.now() - shown), 0)));
  }
}

const stop = () => setPlaying(false);

function setPlaying(on) {
  playing = on;
  const button = document.querySelector("[data-play]");
  if (!button) return;
  button.setAttribute("aria-pressed", String(on));
  button.querySelector("[data-play-word]").textContent = on ? "Pause" : "Play";
  document.querySelector("[data-time]")?.setAttribute("aria-live", on ? "off" : "polite");
}

function show(block, hour) {
  const { data, panel, limits } = plan, at = block.hours.indexOf(hour);
  const unit = data.mode === "remaining" ? data.unit_left : data.unit;
  const counts = { over: 0, throttled: 0, dead: 0, without: 0 }, marks = new Map();
  const drawn = { colours: [], texts: [], over: [], throttled: [] };
  let nearest = null, least = Infinity, ofPassive = null, leastOfPassive = Infinity;
  if (!plan.shapes.size) findShapes();
  data.racks.forEach((id, i) => {
    const used = block.used[at][i], limit = limits[i], value = inMode(data.mode, used, limit);
    const dead = block.states[at][i] === "dead", throttled = block.states[at][i] === "throttled";
    const over = !dead && (block.states[at][i] === "over" || isOver(used, limit));
    const state = dead ? "dead" : over ? "over" : throttled ? "throttled" : "";
    const left = isNumber(used) && isNumber(limit) ? limit - used : Infinity;
    if (plan.passive.has(i)) {
      if (left < leastOfPassive) [ofPassive, leastOfPassive] = [limit, left];
    } else if (left < least) [nearest, least] = [limit, left];
    counts.over += over; counts.throttled += throttled; counts.dead += dead; counts.without += !dead && value === null;
    const fill = dead || value === null ? "" : data.ramp[rampStep(value, block.low, block.high, data.ramp.length)];
    const text = value === null ? "no value" : quantityText(value, unit), words = state ? `${text}, ${WORDS[state]}` : text;
    paint(id, fill, dead);
    plan.shapes.get(id)?.setAttribute("data-v", words);
    drawn.colours.push(fill);
    drawn.texts.push(words);
    write(plan.rows.get(id), used, limit, state);
    if (over || throttled) marks.set(id, { over, throttled });
    if (over) drawn.over.push(i);
    if (throttled) drawn.throttled.push(i);
  });
  drawMarks(marks);
  legend(block, nearest ?? ofPassive, unit);
  count(counts);
  label(block.labels[at]);
  note(block.warning);
  keepAddress(hour);
  panel.dispatchEvent(new CustomEvent("recoloured", { bubbles: true, detail: { ...drawn, label: data.label } }));
}

function paint(id, fill, dead) {
  const shape = plan.shapes.get(id);
  if (!shape) return;
  shape.setAttribute("fill", fill);
  shape.classList.toggle("dead", dead);
}

function write(cells, used, limit, state) {
  if (!cells) return;
  cells[5].textContent = quantityText(used, plan.data.unit);
  if (cells.length > 7) {
    const left = isNumber(used) && isNumber(limit) ? limit - used : null;
    cells[7].textContent = quantityText(left, plan.data.unit_left);
  }
  cells[cells.length - 1].textContent = WORDS[state] ?? "";
}

// As HallPlan.mark_markup draws them.
function drawMarks(marks) {
  for (const group of plan.panel.querySelectorAll("svg.plan [data-marks]")) {
    const parts = [];
    for (const shape of group.previousElementSibling.children) {
      const mark = marks.get(Number(shape.dataset.id));
      if (!mark) continue;
      const [x, y, w, h] = plan.boxes.get(Number(shape.dataset.id));
      if (mark.over) parts.push(`<rect class="hatch" x="${x}" y="${y}" width="${w}" height="${h}"/><text class="over" x="${x + w / 2}" y="${y + h / 2}">!</text>`);
      if (mark.throttled) parts.push(`<path class="notch" transform="translate(${x + w} ${y})" d="M-.32 0H0V.32z"/>`);
    }
    group.innerHTML = parts.join("");
  }
}

const part = (name) => plan.panel.querySelector(`[data-${name}]`);

function legend(block, nearest, unit) {
  const { data } = plan, { low, high } = block, known = low <= high;
  part("legend").hidden = !known;
  if (!known) return;
  const tick = data.mode === "limit" || nearest === null ? null : data.mode === "remaining" ? 0 : nearest;
  part("legend-label").textContent = data.mode === "used" ? data.label : `${data.label}, ${data.mode}`;
  part("legend-limit").textContent = tick === null ? "" : `${data.mode === "remaining" ? "the limit is at" : "nearest limit"} ${quantityText(tick, unit)}`;
  part("legend-low").textContent = quantityText(low, unit);
  part("legend-high").textContent = quantityText(high, unit);
  const mark = part("legend-mark");
  mark.hidden = tick === null;
  if (tick !== null) mark.querySelector("rect").setAttribute("x", `${tickPercent(tick, low, high)}%`);
  plan.panel.querySelector("[data-value-head]").textContent = data.label;
}

function count(counts) {
  for (const [name, number] of Object.entries(counts)) {
    const key = plan.panel.querySelector(`[data-count="${name}"]`);
    key.hidden = number === 0;
    key.querySelector("b").textContent = number;
  }
  part("some-hour").hidden = true;
}

function label(hour) {
  const loadText = isNumber(hour.load_frac) ? ` · load ${Math.round(hour.load_frac * 100)}%` : "";
  say(`${hour.label} · ${quantityText(hour.dry_bulb_degc, "°C")} outside${loadText}`);
}

function say(text) {
  const time = plan?.form.querySelector("[data-time]");
  if (time) time.textContent = text;
}

function note(text) {
  const list = plan && part("notes");
  if (!list) return;
  list.hidden = !text;
  const item = document.createElement("li");
  item.textContent = text;
  list.replaceChildren(item);
}

// The date while the server still solves, as it will say it.
function calendar(hour) {
  const at = new Date(Date.UTC(plan.data.n_hours > 8760 ? 2024 : 2025, 0, 1, hour));
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${String(at.getUTCHours()).padStart(2, "0")}:00`;
}

// The address, and links to other drawings of it, ask for what is shown.
function keepAddress(hour) {
  const asked = new URLSearchParams(new FormData(plan.form));
  asked.delete("when");
  asked.set("hour", hour);
  history.replaceState(history.state, "", `?${asked}`);
  for (const link of plan.panel.querySelectorAll("[data-with-question]")) link.search = `?${asked}`;
}

document.addEventListener("htmx:afterSettle", (event) => { if (event.detail.target?.id === "plan" || event.detail.elt?.id === "plan") setUp(); });
document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); });
setUp();
