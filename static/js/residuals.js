// Residuals over time: the slider and play put the levels of another part of the span into the drawing that the server
// wrote, and its furthest points into the table. All parts came with the page.

const STEP_MS = 450;
const panel = document.querySelector("[data-residuals]");
const { labels, codes, worst, words } = JSON.parse(document.getElementById("residual-frames").textContent);
const slider = panel.querySelector("#frame"), play = panel.querySelector("[data-play]");
let timer = 0;

const name = (code) => `lv-${code === "." ? "none" : code}`;

function colour(element, code) {
  element.setAttribute("class", element.getAttribute("class").replace(/\blv-\w+/, name(code)));
}

function row([point, residual, bands, href]) {
  const line = document.createElement("tr"), head = line.appendChild(document.createElement("th"));
  head.scope = "row";
  const said = href ? head.appendChild(document.createElement("a")) : head;
  if (href) said.href = href;
  said.textContent = point;
  for (const [label, text] of [["Residual", residual], ["Bands", bands]]) {
    const cell = line.appendChild(document.createElement("td"));
    cell.className = "num";
    cell.dataset.label = label;
    cell.textContent = text;
  }
  return line;
}

function show(frame) {
  for (const [key, spelled] of Object.entries(codes)) {
    const code = spelled[frame];
    const spot = panel.querySelector(`[data-coloured="${CSS.escape(key)}"]`) ?? panel.querySelector(`[data-node="${CSS.escape(key)}"]`);
    if (!spot || !code) continue;
    colour(spot, code);
    const said = spot.querySelector("text.state"), title = spot.matches("[data-coloured]") && spot.querySelector("title");
    if (said) said.textContent = words[code];
    if (title) title.textContent = `${key}: ${words[code]}`;
  }
  document.querySelectorAll("[data-frame-label]").forEach((label) => { label.textContent = labels[frame]; });
  document.querySelector("[data-worst]")?.replaceChildren(...worst[frame].map(row));
}

function stop() {
  clearInterval(timer);
  timer = 0;
  play.setAttribute("aria-pressed", "false");
  play.querySelector("[data-play-word]").textContent = "Play";
}

function start() {
  play.setAttribute("aria-pressed", "true");
  play.querySelector("[data-play-word]").textContent = "Stop";
  timer = setInterval(() => {
    slider.value = Number(slider.value) >= Number(slider.max) ? 1 : Number(slider.value) + 1;
    show(Number(slider.value));
  }, STEP_MS);
}

if (slider) {
  slider.disabled = false;
  play.classList.remove("awaits-script");
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  play.addEventListener("click", () => (timer ? stop() : start()));
}
panel.querySelector("#quantity").addEventListener("change", (event) => event.target.form.requestSubmit());
