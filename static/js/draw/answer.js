// The instant answer: after each saved edit a year is estimated anew; figures, margins and findings beside the drawing
// follow. Only the newest question counts; what was asked before it is dropped.

import { isNumber, quantityText } from "../quantities.js";

const LATE_MS = 4000;
const SHORT = { ttft_p95_s: "TTFT, p95" }; // what does not fit above its figure
const SVG = "http://www.w3.org/2000/svg";

function node(name, text = "", className = "") {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A drawing of the page's own beside a word, as the template tag `icon` makes: fonts lack many signs.
function icon(sprite, name) {
  const made = document.createElementNS(SVG, "svg"), use = document.createElementNS(SVG, "use");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${sprite}#${name}`);
  made.append(use);
  return made;
}

export class Answer {
  constructor({ url, scenario, icons, onPick }) {
    Object.assign(this, { url, scenario, icons, onPick });
    this.figures = document.getElementById("answer-figures");
    this.note = document.getElementById("answer-note");
    this.before = null; // figures of the drawing before the last edit
    this.now = null;
    this.asking = null;
    this.findings = [];
  }

  async ask(editedAt = performance.now(), isEdit = true) {
    if (!this.url) return;
    if (!this.scenario) {
      await this.showFindingsAlone("Add a scenario to see what this drawing gives.");
      return;
    }
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.figures.setAttribute("aria-busy", "true");
    const late = setTimeout(() => { this.note.textContent = "Still solving; the first answer after a start takes longest."; }, LATE_MS);
    try {
      const answer = await fetch(`${this.url}?scenario=${encodeURIComponent(this.scenario)}`, { headers: { Accept: "application/json" }, signal: asking.signal });
      const body = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error(body.message || `the server answered ${answer.status}`);
      if (isEdit) this.before = this.now;
      this.now = body;
      this.show(performance.now() - editedAt, isEdit);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.note.textContent = `No instant answer: ${error.message}`;
      await this.showFindingsAlone(error.message);
    } finally {
      clearTimeout(late);
    }
    if (this.asking === asking) this.figures.removeAttribute("aria-busy");
  }

  show(took_ms, isEdit) {
    const { figures = [], approximation = "", ms = {} } = this.now;
    this.figures.replaceChildren(...figures.map((figure) => this.figure(figure)));
    const server = ms.all;
    const time = `${Math.round(took_ms)} ms after ${isEdit ? "the edit" : "asking"}`;
    this.note.textContent = `${approximation} Answered ${time}${isNumber(server) ? `, of which the server ${Math.round(server)} ms` : ""}.`;
    this.note.dataset.ms = Math.round(took_ms);
    this.note.dataset.serverMs = isNumber(server) ? Math.round(server) : "";
    this.note.dataset.version = this.now.layout_version;
    this.showMargins();
    this.showFindings();
  }

  figure(figure) {
    const box = node("div", "", "figure"), term = node("dt");
    term.append(node("span", SHORT[figure.name] ?? figure.label));
    term.title = figure.label;
    const value = node("dd", figure.text ?? quantityText(figure.value, figure.unit), "value"), under = node("dd", "", "under");
    if (figure.band) under.append(this.band(figure));
    under.append(this.change(figure));
    box.append(term, value, under);
    return box;
  }

  // How far off it may be, in short; the ends in full on hover.
  band({ band: text, low, high, unit }) {
    const band = node("span", text, "band");
    band.title = `${quantityText(low, unit)} to ${quantityText(high, unit)}`;
    return band;
  }

  // What the last edit did to a figure, with sign, unit and a word.
  change(figure) {
    const old = this.before?.figures?.find((one) => one.name === figure.name);
    if (!old || !isNumber(old.value) || !isNumber(figure.value)) return node("span");
    const by = figure.value - old.value;
    const isSame = Math.abs(by) <= 5e-5 * Math.max(Math.abs(old.value), Math.abs(figure.value));
    if (isSame) return node("span", "no change", "delta");
    const isBetter = figure.better && (figure.better === "higher") === by > 0;
    const word = figure.better ? (isBetter ? ", better" : ", worse") : "";
    const text = quantityText(by, figure.unit === "°C" ? "K" : figure.unit).replace(/%$/, "pp");
    return node("span", `${by > 0 ? "+" : ""}${text}${word}`, `delta ${word.slice(2)}`);
  }

  showMargins() {
    const rows = (this.now.margins ?? []).slice(0, 12).map((margin) => {
      const row = node("tr"), head = node("th");
      head.scope = "row";
      const link = node(margin.href ? "a" : "span", margin.object);
      if (margin.href) link.href = margin.href;
      head.append(link);
      row.append(head, node("td", margin.kind), node("td", margin.text ?? quantityText(margin.value, margin.unit), "num"));
      return row;
    });
    if (!rows.length) {
      const row = node("tr"), cell = node("td", "No limit is near.", "muted");
      cell.colSpan = 3;
      row.append(cell);
      rows.push(row);
    }
    document.getElementById("answer-margins").replaceChildren(...rows);
  }

  // What the rules and the last run say of a drawing that cannot be solved, or that nothing is asked of.
  async showFindingsAlone(nothing_found) {
    const answer = await fetch(this.url.replace(/answer\/$/, "findings/"), { headers: { Accept: "application/json" } }).catch(() => null);
    const rows = answer?.ok ? await answer.json() : [];
    const findings = rows.map((row) => ({ ...row, object: row.object_name }));
    this.now = { ...this.now, findings, n_findings: findings.length, nothing_found };
    this.showFindings();
  }

  showFindings() {
    this.findings = this.now.findings ?? [];
    document.getElementById("answer-n").textContent = this.now.n_findings ?? this.findings.length;
    const items = this.findings.slice(0, 30).map((finding) => {
      const item = node("li", "", finding.severity), button = node("button", "", "finding-pick");
      button.type = "button";
      const severity = node("span", "", "severity");
      severity.append(icon(this.icons, finding.severity), ` ${finding.severity}`);
      button.append(severity, ` ${finding.object}: ${finding.message}`);
      if (finding.run) button.append(node("span", ` Found by the run of ${finding.scenario}.`, "muted"));
      button.addEventListener("click", () => this.onPick(finding));
      item.append(button);
      if (finding.remedy) {
        const remedy = node("p", `${finding.remedy} `, "remedy small");
        if (finding.remedy_href) {
          const link = node("a", "Try it");
          link.href = finding.remedy_href;
          remedy.append(link);
        }
        item.append(remedy);
      }
      return item;
    });
    if (!items.length) items.push(node("li", this.now.nothing_found ?? "", "none"));
    document.getElementById("answer-findings").replaceChildren(...items);
  }
}
