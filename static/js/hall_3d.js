// The halls as Plotly meshes: colours from the page's tokens, texts spread over the corners of each box, places to look
// from. Where WebGL is missing the plan, which the page carries for readers without scripts, takes its place.

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const CORNERS = 8;
let camera = null; // kept when the colouring changes

function hasWebGl() {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}

function themed(trace) {
  const { token: name, texts } = trace.meta, own = { ...trace };
  if (name) own.color = token(name);
  if (texts.length) own.hovertext = texts.flatMap((text) => Array(CORNERS).fill(text));
  if (trace.type === "scatter3d") {
    own.line = { ...trace.line, color: token(name) };
    own.textfont = { color: token(name), size: 16 };
    delete own.color;
  }
  own.hoverlabel = { bgcolor: token("panel"), bordercolor: token("line-strong"), font: { color: token("ink"), family: token("font") } };
  return own;
}

// A narrow window sees less to either side: stand further back, except among the racks.
function placed(scene, name, element) {
  const { eye, center, up } = scene.meta.cameras[name];
  const back = name === "aisle" ? 1 : Math.max(1, (0.95 * element.clientHeight) / element.clientWidth);
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
  frame.hidden = false;
  try {
    // Plotly would draw twice the pixels of the screen in each direction, which only a strong graphics card does smoothly.
    const config = { responsive: true, displaylogo: false, plotGlPixelRatio: Math.min(window.devicePixelRatio, 2), modeBarButtons: [["resetCameraDefault3d", "toImage"]] };
    await window.Plotly.react(canvas, figure.data.map(themed), layoutOf(figure.layout, canvas), config);
  } catch {
    return fallBack(); // a context was promised and not given
  }
  canvas.dataset.drawn = "true";
  canvas.on("plotly_relayout", (change) => { if (change["scene.camera"]) camera = change["scene.camera"]; });
  for (const button of frame.querySelectorAll("[data-view]")) {
    button.onclick = () => {
      camera = placed(figure.layout.scene, button.dataset.view, canvas);
      window.Plotly.relayout(canvas, { "scene.camera": camera });
    };
  }
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

document.addEventListener("htmx:afterSettle", (event) => { if (event.detail.target?.id === "plan") draw(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
