// One-line and loop diagrams: the slider, the design hour and play put other texts into the drawing that the server
// wrote. The server answers a day at a time, ready to show, so that play does not wait for it.

const STEP_MS = 450;

/** Put what the server says of one hour into a drawing. */
function show(root, nodes) {
  for (const [key, { state, texts, load_frac: share, out }] of Object.entries(nodes)) {
    const node = root.querySelector(`[data-node="${key}"]`);
    if (!node) continue;
    node.setAttribute("class", `${node.getAttribute("class").replace(/ \S+$/, "")} ${state}`);
    node.querySelectorAll("[data-t]").forEach((text, i) => {
      if (text.textContent !== texts[i]) text.textContent = texts[i];
    });
    const load = node.querySelector("[data-load]");
    if (load) load.setAttribute("width", (share * load.dataset.load).toFixed(1));
    node.querySelectorAll(".unit").forEach((unit, i) => unit.classList.toggle("out", out[i]));
    root.querySelectorAll(`[data-wire="${key}"]`).forEach((wire) => {
      wire.setAttribute("class", `${wire.getAttribute("class").replace(/ \S*$/, "")} ${state}`);
    });
  }
}

/** Mark the design hour as the one shown, or not. */
export function mark(link, current) {
  if (current) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

function showRows(cells) {
  for (const [row, texts] of Object.entries(cells)) {
    document.querySelectorAll(`[data-row="${row}"] [data-c]`).forEach((cell, i) => {
      if (cell.textContent !== texts[i]) cell.textContent = texts[i];
    });
  }
}

class Times {
  constructor(panel) {
    this.panel = panel;
    this.form = panel.querySelector("[data-when]");
    this.slider = this.form.querySelector("[type=range]");
    this.play = this.form.querySelector("[data-play]");
    this.design = this.form.querySelector("[data-design]");
    this.known = new Map(); // day of the year, or "design" → answer of the server, or its promise
    this.wanted = 0;
    this.play.classList.remove("awaits-script");
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.design.addEventListener("click", (event) => { event.preventDefault(); this.stop(); this.go("design"); });
    this.play.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.go(Number(this.slider.value)); });
    this.form.scenario?.addEventListener?.("change", () => location.assign(this.address(this.at)));
    this.at = this.design.hasAttribute("aria-current") ? "design" : Number(this.slider.value);
  }

  address(hour) {
    const query = new URLSearchParams({ hour });
    if (this.form.scenario) query.set("scenario", this.form.scenario.value);
    return `${location.pathname}?${query}`;
  }

  /** The answer that holds an hour, asked for once. A failed one is asked for again. */
  async answer(hour) {
    const day = hour === "design" ? hour : Math.floor(hour / 24);
    if (!this.known.has(day)) {
      const last = Number(this.slider.max);
      const hours = day === "design" ? "design" : Array.from({ length: 24 }, (_, i) => day * 24 + i).filter((h) => h <= last).join(",");
      const query = new URLSearchParams({ hours });
      if (this.form.scenario) query.set("scenario", this.form.scenario.value);
      this.known.set(day, fetch(`${this.panel.dataset.values}?${query}`, { headers: { Accept: "application/json" } }).then(async (response) => {
        const body = await response.json();
        if (!response.ok) throw new Error(body.message);
        return body;
      }));
      this.known.get(day).catch(() => this.known.delete(day));
    }
    const answer = await this.known.get(day);
    return [answer, day === "design" ? 0 : hour - day * 24];
  }

  async go(hour) {
    const turn = ++this.wanted;
    mark(this.design, hour === "design");
    this.panel.setAttribute("aria-busy", "true");
    try {
      const [answer, i] = await this.answer(hour);
      if (turn !== this.wanted) return; // a later move has overtaken this one
      this.at = hour;
      show(this.panel, answer.nodes[i]);
      showRows(answer.rows[i]);
      this.panel.querySelectorAll("[data-figure]").forEach((figure, k) => { figure.textContent = answer.figures[i][k].text; });
      this.tell(answer.hours[i].label, answer.hours[i].text);
      history.replaceState(null, "", this.address(hour));
    } catch (error) {
      if (turn === this.wanted) { this.stop(); this.tell("", `Not solved: ${error.message}`); }
    } finally {
      if (turn === this.wanted) this.panel.removeAttribute("aria-busy");
    }
  }

  tell(label, text) {
    this.form.querySelector("[data-hour-label]").textContent = label;
    this.form.querySelector("[data-hour-text]").textContent = text;
  }

  async start() {
    this.pressed(true);
    const step = async () => {
      const next = this.at === "design" ? Number(this.slider.value) : (this.at + 1) % (Number(this.slider.max) + 1);
      this.slider.value = next;
      const begun = performance.now();
      await this.go(next);
      if (!this.timer) return;
      if (next % 24 === 12) this.answer((next + 12) % (Number(this.slider.max) + 1)).catch(() => {}); // tomorrow, ahead
      this.timer = setTimeout(step, Math.max(STEP_MS - (performance.now() - begun), 0));
    };
    this.timer = setTimeout(step, 0);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.pressed(false);
  }

  pressed(playing) {
    this.play.setAttribute("aria-pressed", String(playing));
    this.play.querySelector("[data-play-word]").textContent = playing ? "Pause" : "Play";
  }
}

document.querySelectorAll("[data-diagram][data-values]").forEach((panel) => new Times(panel));
