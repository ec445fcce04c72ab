// Draws every element with data-chart="<id of its json_script>". Colours and fonts are read from the page's tokens, so
// that light and dark need no second set of figures. Redraws after htmx swaps and when the colour scheme changes.

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const category = (number) => token(`--cat-${((number - 1) % 8) + 1}`);
const faint = (colour, opacity = 0.35) => {
  const n = parseInt(colour.slice(1), 16);
  return `rgba(${n >> 16},${(n >> 8) & 255},${n & 255},${opacity})`;
};

function themed(trace) {
  const own = structuredClone(trace);
  if (own.colour) {
    const colour = category(own.colour);
    own.line = { width: 1.5, ...own.line, color: colour };
    own.marker = { ...own.marker, color: own.marker?.color ?? colour };
    if (own.stackgroup) own.fillcolor = colour;
    if (own.fill === "toself") own.fillcolor = faint(colour, 0.2);
    delete own.colour;
  }
  if (own.node) own.node.color = own.node.colours.map(category);
  if (own.link) own.link.color = own.link.colours.map((n) => faint(category(n)));
  if (own.type === "heatmap") own.colorbar = { ...own.colorbar, outlinewidth: 0, tickfont: { color: token("--ink-2") } };
  if (own.type === "waterfall") {
    own.increasing = { marker: { color: token("--bad") } };
    own.decreasing = { marker: { color: token("--good") } };
    own.totals = { marker: { color: token("--cat-1") } };
    own.connector = { line: { color: token("--line-strong"), width: 1 } };
  }
  return own;
}

function axis(given) {
  return { gridcolor: token("--chart-grid"), linecolor: token("--line-strong"), zerolinecolor: token("--line-strong"),
    ticks: "outside", tickcolor: token("--line-strong"), ticklen: 4, automargin: true, ...given,
    title: { font: { size: 12, color: token("--ink-2") }, standoff: 8, ...given?.title } };
}

function layoutOf(given) {
  const own = {
    margin: { l: 56, r: 16, t: 16, b: 44 }, showlegend: false, dragmode: "zoom", ...given,
    font: { family: token("--font"), size: 12, color: token("--ink-2") }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { font: { family: token("--font"), color: token("--ink") }, bgcolor: token("--panel"), bordercolor: token("--line-strong") },
  };
  if (own.shapes) own.shapes = own.shapes.map((shape) => ({ ...shape, line: { color: token("--ink-2"), width: 1, dash: "dash" } }));
  for (const key of Object.keys(own)) if (/^[xy]axis/.test(key)) own[key] = axis(own[key]);
  return own;
}

// On a phone: names without their energy in the Sankey (the table has it), room for the legend above the axes.
function narrow(traces, layout) {
  layout.font = { ...layout.font, size: 10 };
  for (const trace of traces) if (trace.node) trace.node.label = trace.node.label.map((text) => text.split("  ")[0]);
  if (layout.showlegend) layout.height += 16 * traces.length;
}

const config = { responsive: true, displaylogo: false,
  modeBarButtons: [["zoom2d", "resetScale2d", "toImage"]] };

export function draw(element) {
  const source = document.getElementById(element.dataset.chart);
  if (!source || !window.Plotly) return;
  const figure = JSON.parse(source.textContent);
  const sankey = figure.data.some((trace) => trace.type === "sankey");
  const traces = figure.data.map(themed), layout = layoutOf(figure.layout);
  if (element.clientWidth < 600) narrow(traces, layout);
  if (!element.dataset.drawn) element.replaceChildren(); // what kept its room
  window.Plotly.react(element, traces, layout,
    sankey ? { ...config, modeBarButtons: [["toImage"]] } : config);
  element.dataset.drawn = "true";
}

let library;
function fetched() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: document.getElementById("plotly.js-style-global").dataset.library, onload: resolve, onerror: reject });
    document.head.append(script);
  });
  return library;
}

// A chart is drawn once it comes into view; the library, which weighs more than all pages, is fetched for the first one.
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    fetched().then(() => draw(target));
  }
});

export function drawAll(root = document) {
  const all = [...root.querySelectorAll("[data-chart]")];
  if (root.matches?.("[data-chart]")) all.push(root);
  for (const element of all) {
    if (element.dataset.drawn) draw(element);
    else seen.observe(element);
  }
}

document.addEventListener("htmx:afterSettle", (event) => drawAll(event.detail.elt));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
addEventListener("beforeprint", () => document.querySelectorAll("[data-chart]:not([data-drawn])").forEach(draw));
drawAll();
