// Pan and zoom. While the view moves, the drawing is one picture that the compositor shifts and scales (a CSS transform of
// the svg element: nothing is drawn anew); when it rests, the drawing is drawn sharp at its place (a transform of one <g>).

const REST_MS = 140;
const KEPT_PX = 90;
const MARGIN = 0.5; // of the stage, drawn beyond each side, so that a pan meets no blank edge

export class Camera {
  constructor(stage, svg, world, onRest) {
    Object.assign(this, { stage, svg, world, onRest });
    this.scale = 30; // px per metre
    this.x = this.y = 0; // of the floor's upper left corner, px from the stage's
    this.drawn = { scale: 30, x: 0, y: 0 };
    this.timer = null;
    this.frame = 0;
  }

  measure() {
    const { width, height } = this.stage.getBoundingClientRect();
    this.width = width;
    this.height = height;
    this.marginX = Math.round(width * MARGIN);
    this.marginY = Math.round(height * MARGIN);
    this.svg.setAttribute("width", width + 2 * this.marginX);
    this.svg.setAttribute("height", height + 2 * this.marginY);
    this.svg.style.left = `${-this.marginX}px`;
    this.svg.style.top = `${-this.marginY}px`;
    this.settle();
  }

  fit(hall, box = null) {
    this.hall = hall;
    this.depth = hall.depth_m;
    const shown = box ?? { x0: 0, y0: 0, x1: hall.width_m, y1: hall.depth_m };
    const pad = box ? 3 : 1;
    const wide = shown.x1 - shown.x0 + 2 * pad, deep = shown.y1 - shown.y0 + 2 * pad;
    this.scale = Math.min(this.width / wide, this.height / deep, 160);
    this.x = this.width / 2 - ((shown.x0 + shown.x1) / 2) * this.scale;
    this.y = this.height / 2 - (this.depth - (shown.y0 + shown.y1) / 2) * this.scale;
    this.settle();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.move();
  }

  zoom(factor, [px, py] = [this.width / 2, this.height / 2]) {
    const scale = Math.min(Math.max(this.scale * factor, 2), 400);
    this.x = px - ((px - this.x) * scale) / this.scale;
    this.y = py - ((py - this.y) * scale) / this.scale;
    this.scale = scale;
    this.move();
  }

  // Some of the hall stays in sight, so that nobody gets lost on empty ground.
  keep() {
    const { width, height, scale, hall } = this;
    if (!hall) return;
    this.x = Math.min(Math.max(this.x, KEPT_PX - hall.width_m * scale), width - KEPT_PX);
    this.y = Math.min(Math.max(this.y, KEPT_PX - hall.depth_m * scale), height - KEPT_PX);
  }

  move() {
    this.keep();
    if (!this.frame) this.frame = requestAnimationFrame(() => this.shift());
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settle(), REST_MS);
  }

  shift() {
    this.frame = 0;
    const ratio = this.scale / this.drawn.scale;
    const dx = this.x + this.marginX - (this.drawn.x + this.marginX) * ratio;
    const dy = this.y + this.marginY - (this.drawn.y + this.marginY) * ratio;
    this.svg.style.transform = `translate(${dx}px, ${dy}px) scale(${ratio})`;
    // Shown once it has left the picture that is drawn, the picture must be drawn anew.
    if (Math.abs(this.x - this.drawn.x) > this.marginX || Math.abs(this.y - this.drawn.y) > this.marginY || ratio < 0.5) this.settle();
  }

  settle() {
    clearTimeout(this.timer);
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.drawn = { scale: this.scale, x: this.x, y: this.y };
    this.svg.style.transform = "none";
    this.world.setAttribute("transform", `translate(${this.x + this.marginX} ${this.y + this.marginY}) scale(${this.scale})`);
    this.onRest?.();
  }

  // Floor coordinates [m] of a pointer event, and back to px of the stage.
  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [(event.clientX - box.left - this.x) / this.scale, this.depth - (event.clientY - box.top - this.y) / this.scale];
  }

  view() {
    return { x0: -this.x / this.scale, x1: (this.width - this.x) / this.scale,
      y0: this.depth - (this.height - this.y) / this.scale, y1: this.depth + this.y / this.scale };
  }

  centre() {
    const view = this.view();
    return [(view.x0 + view.x1) / 2, (view.y0 + view.y1) / 2];
  }
}
