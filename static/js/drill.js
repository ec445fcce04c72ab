// The failure drill: a click on what fails asks the server for that address's state and puts it into the drawings that
// are there, so that focus stays and bars move. Links and forms lead to the same states without this script.

import { mark, show } from "./diagram.js";

const root = document.querySelector("[data-drill]");
let turn = 0;

function relink(links) {
  for (const [key, [href, label, squares]] of Object.entries(links)) {
    const node = root.querySelector(`[data-node="${key}"]`);
    const [own, ...units] = node?.querySelectorAll("a") ?? [];
    if (!own) continue;
    own.setAttribute("href", href);
    own.setAttribute("aria-label", label);
    units.forEach((unit, i) => { unit.setAttribute("href", squares[i][0]); unit.setAttribute("aria-label", squares[i][1]); });
  }
}

function showHalls(halls) {
  root.querySelectorAll("[data-hall]").forEach((hall, i) => {
    const { states, text, parts } = halls[i];
    hall.querySelector("[data-hall-text]").textContent = text;
    hall.querySelectorAll("[data-racks] rect").forEach((rack, k) => rack.setAttribute("class", `rack ${states[k]}`));
    hall.querySelectorAll("a.part").forEach((part, k) => {
      const [out, href, label] = parts[k];
      part.classList.toggle("out", out);
      part.setAttribute("href", href);
      part.setAttribute("aria-label", label);
    });
  });
}

/** Put new HTML in place and keep the focus on the control of the same id. */
function swap(html) {
  const result = root.querySelector("[data-result]"), focused = result.contains(document.activeElement) ? document.activeElement.id : "";
  result.innerHTML = html;
  window.htmx?.process(result);
  if (focused) (document.getElementById(focused) ?? result.querySelector("a, button"))?.focus();
}

async function go(query, { push = true } = {}) {
  const mine = ++turn;
  root.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(root.dataset.shown + query);
    const body = await response.json();
    if (mine !== turn) return;
    if (!response.ok) { root.querySelector("[data-said]").textContent = body.message; return; }
    swap(body.html);
    show(root, body.nodes);
    relink(body.links);
    showHalls(body.halls);
    root.querySelector("[data-said]").textContent = body.said;
    root.querySelector("[data-hour-label]").textContent = body.hour.label;
    root.querySelector("[data-hour-text]").textContent = body.hour.text;
    root.querySelector("[data-when] [name=out]").value = body.out;
    if (push) history.pushState(null, "", body.address);
  } catch (error) {
    if (mine === turn) root.querySelector("[data-said]").textContent = `Not solved: ${error.message}`;
  } finally {
    if (mine === turn) root.removeAttribute("aria-busy");
  }
}

const queryAt = (link) => new URL(link.getAttribute("href"), location).search; // links in drawings have no .search
const queryOf = (form, submitter) => `?${new URLSearchParams([...new FormData(form, submitter)].filter(([, value]) => value !== ""))}`;

if (root) {
  const when = root.querySelector("[data-when]"), slider = when.querySelector("[type=range]"), design = when.querySelector("[data-design]");
  const asked = (hour) => {
    mark(design, hour === "design");
    const data = new FormData(when);
    data.set("hour", hour);
    return `?${new URLSearchParams(data)}`;
  };

  root.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-fail], [data-design]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(link === design ? asked("design") : queryAt(link));
  });
  root.addEventListener("keydown", (event) => {
    const link = event.key === " " && event.target.closest("svg a[data-fail]");
    if (link) { event.preventDefault(); go(queryAt(link)); }
  });
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    go(event.target === when ? asked(slider.value) : queryOf(event.target, event.submitter));
  });
  slider.addEventListener("change", () => go(asked(slider.value)));
  when.querySelector("select[name=scenario]")?.addEventListener("change", () => {
    go(asked(design.hasAttribute("aria-current") ? "design" : slider.value));
  });
  window.addEventListener("popstate", () => go(location.search, { push: false }));
}
