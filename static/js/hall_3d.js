// The halls as Plotly meshes: colours from the page's tokens, texts spread over the corners of each box, places to look
// from. Where WebGL is missing the plan, which the page carries for readers without scripts, takes its place.

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const CORNERS = 8, TRIANGLES = 12; // of a box, as twin/floor/hall_3d.py makes them
const EDGES = [[0, 1], [1, 3], [3, 2], [2, 0], [4, 5], [5, 7], [7, 6], [6, 4], [0, 4], [1, 5], [2, 6], [3, 7]];
const ABOVE_M = 0.2; // of a sign over its rack
let camera = null; // kept when the colouring changes
let shown = null; // what is drawn: canvas, figure, traces

function hasWebGl() {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}

function themed(trace) {
  const { token: name, texts } = trace.meta, own = { ...trace };
  if (name) own.color = token(name);
  if (trace.meta.colours) own.facecolor = trace.meta.colours.flatMap((colour) => Array(TRIANGLES).fill(colour || token(name)));
  if (texts.length) own.hovertext = texts.flatMap((text) => Array(CORNERS).fill(text));
  if (trace.type === "scatter3d") {
    own.line = { ...trace.line, color: token(name) };
    own.textfont = { color: token(name), size: 16 };
    delete own.color;
  }
  own.hoverlabel = { bgcolor: token("panel"), bordercolor: token("line-strong"), font: { color: token("ink"), family: token("font") } };
  return own;
}

const floats = ({ bdata }) => new Float32Array(Uint8Array.from(atob(bdata), (letter) => letter.charCodeAt(0)).buffer);

// Edges and a "!" at racks above a limit and a sign over throttled ones: colour alone says neither.
function marks(racks) {
  if (!racks) return [];
  const { over, throttled } = racks.meta, [x, y, z] = ["x", "y", "z"].map((axis) => floats(racks[axis]));
  const corners = over.flatMap((i) => EDGES.flatMap(([a, b]) => [CORNERS * i + a, CORNERS * i + b, -1]));
  const at = (axis) => corners.map((corner) => (corner < 0 ? null : axis[corner]));
  const plain = { type: "scatter3d", hoverinfo: "skip", meta: { token: "bad", texts: [] } };
  const signs = (name, text, own) => ({
    ...plain, name, mode: "text", text,
    x: own.map((i) => (x[CORNERS * i] + x[CORNERS * i + 7]) / 2), y: own.map((i) => (y[CORNERS * i] + y[CORNERS * i + 7]) / 2),
    z: own.map((i) => z[CORNERS * i + 7] + ABOVE_M),
  });
  const edges = { ...plain, name: "Above limit", mode: "lines", x: at(x), y: at(y), z: at(z), line: { width: 4 } };
  return [edges, signs("Above limit", "!", over), signs("Throttled", "▼", throttled)];
}

const isRacks = (trace) => Boolean(trace.meta.colours);

// A narrow window sees less to either side: stand further back, except among the racks.
function placed(scene, name, element) {
  const { eye, center, up } = scene.meta.cameras[name];
  const back = name === "aisle" ? 1 : Math.max(1, (1.2 * element.clientHeight) / element.clientWidth);
  const away = (axis) => center[axis] + (eye[axis] - center[axis]) * back;
  return { eye: { x: away("x"), y: away("y"), z: away("z") }, center, up };
}

function layoutOf(given, element) {
  const narrow = element.clientWidth < 600;
  const scene = { ...given.scene, camera: camera ?? placed(given.scene, "corner", element), dragmode: "turntable" };
  scene.annotations = scene.annotations.map((note) => ({ ...note, font: { color: token("ink-2"), size: narrow ? 10 : 13, family: token("font") } }));
  delete scene.meta;
  return { scene, showlegend: false, margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)", uirevision: "camera" };
}

async function draw() {
  const source = document.getElementById("hall-figure"), frame = document.querySelector("[data-hall-3d]");
  if (!source || !frame) return;
  if (!window.Plotly || !hasWebGl()) return fallBack();
  const figure = JSON.parse(source.textContent), canvas = frame.querySelector("[data-canvas]");
  try {
    // Plotly would draw twice the pixels of the screen in each direction, which only a strong graphics card does smoothly.
    const config = { responsive: true, displaylogo: false, plotGlPixelRatio: Math.min(window.devicePixelRatio, 2), modeBarButtons: [["resetCameraDefault3d", "toImage"]] };
    const traces = [...figure.data, ...marks(figure.data.find(isRacks))].map(themed);
    await window.Plotly.react(canvas, traces, layoutOf(figure.layout, canvas), config);
    shown = { canvas, figure, traces, config };
  } catch {
    return fallBack(); // a context was promised and not given
  }
  canvas.dataset.drawn = "true";
  canvas.on("plotly_relayout", (change) => { if (change["scene.camera"]) camera = change["scene.camera"]; });
  for (const button of frame.querySelectorAll("[data-view]")) {
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- drawn anew, the old handler has to go
    button.onclick = () => {
      camera = placed(figure.layout.scene, button.dataset.view, canvas);
      window.Plotly.relayout(canvas, { "scene.camera": camera });
    };
  }
}

// Another hour: the racks and their marks in other colours, all else as it stands.
async function recolour({ colours, texts, over, throttled, label }) {
  if (!shown?.canvas.isConnected) return;
  const { canvas, figure, traces, config } = shown, at = figure.data.findIndex(isRacks), racks = figure.data[at];
  const named = racks.meta.texts.map((text, i) => `${text.split("<br>")[0]}<br>${label}: ${texts[i]}`);
  figure.data[at] = { ...racks, meta: { ...racks.meta, colours, texts: named, over, throttled } };
  const changed = [figure.data[at], ...marks(figure.data[at])].map(themed);
  shown.traces = traces.map((trace, i) => (i === at ? changed[0] : i >= figure.data.length ? changed[i - figure.data.length + 1] : trace));
  await window.Plotly.react(canvas, shown.traces, layoutOf(figure.layout, canvas), config);
}

function fallBack() {
  const place = document.querySelector("[data-fallback]"), plain = place?.querySelector("noscript");
  document.querySelector("[data-hall-3d]").hidden = true;
  if (!plain) return;
  const said = document.createElement("p");
  said.className = "body small";
  said.textContent = "This browser cannot draw in three dimensions (no WebGL); here is the plan.";
  const parsed = new DOMParser().parseFromString(plain.textContent, "text/html");
  place.replaceChildren(said, ...parsed.body.childNodes);
}

document.addEventListener("recoloured", (event) => recolour(event.detail));
document.addEventListener("htmx:afterSettle", (event) => { if (event.detail.target?.id === "plan") draw(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
