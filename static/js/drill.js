// The failure drill: a click on what fails asks for the page at that address and puts what is different into the page
// that is there, so that focus stays and bars move. Links and forms lead to the same states without this script.

import { mark } from "./diagram.js";

const root = document.querySelector("[data-drill]");
let turn = 0;

/** Give a part of the page the attributes and texts of its counterpart in a page that was asked for. */
function follow(here, there) {
  for (const { name, value } of there.attributes) if (here.getAttribute(name) !== value) here.setAttribute(name, value);
  for (const name of here.getAttributeNames()) if (!there.hasAttribute(name)) here.removeAttribute(name);
  const mine = [...here.childNodes], theirs = [...there.childNodes];
  if (mine.length !== theirs.length || mine.some((node, i) => node.nodeName !== theirs[i].nodeName)) here.replaceChildren(...theirs);
  else mine.forEach((node, i) => (node.nodeType === Node.ELEMENT_NODE ? follow(node, theirs[i]) : copyText(node, theirs[i])));
}

function copyText(here, there) {
  if (here.nodeValue !== there.nodeValue) here.nodeValue = there.nodeValue;
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
    const response = await fetch(location.pathname + query, { headers: { Accept: "text/html" } });
    const asked = new DOMParser().parseFromString(await response.text(), "text/html"), fresh = asked.querySelector("[data-drill]");
    if (mine !== turn) return;
    if (!fresh) throw new Error(asked.querySelector(".errors p")?.textContent ?? `the server answered ${response.status}; reload the page`);
    swap(fresh.querySelector("[data-result]").innerHTML);
    const drawings = fresh.querySelectorAll("[data-hall], svg.schematic");
    root.querySelectorAll("[data-hall], svg.schematic").forEach((drawing, i) => follow(drawing, drawings[i]));
    for (const name of ["summary", "hour-label", "hour-text"]) {
      root.querySelector(`[data-${name}]`).textContent = fresh.querySelector(`[data-${name}]`).textContent;
    }
    root.querySelector("[data-when] [name=out]").value = fresh.querySelector("[data-when] [name=out]").value;
    if (push) history.pushState(null, "", fresh.dataset.address);
  } catch (error) {
    if (mine === turn) root.querySelector("[data-summary]").textContent = `Not solved: ${error.message}`;
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
