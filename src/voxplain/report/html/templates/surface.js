"use strict";
// The cortex, turned and coloured on a plain canvas: each triangle is filled with its depth kept.
class CortexView {
  static VIEWS = {
    "left, lateral": [-90, 0, [0]],
    "left, medial": [90, 0, [0]],
    "right, lateral": [90, 0, [1]],
    "right, medial": [-90, 0, [1]],
    "both, from above": [0, 90, [0, 1]],
    "both, from below": [0, -90, [0, 1]],
    "both, from the front": [180, 0, [0, 1]],
    "both, from behind": [0, 0, [0, 1]],
  };
  static SURFACES = ["inflated", "pial"];
  static APART = 46;
  static DEPTHS = [0.1, 0.3, 0.5, 0.7, 0.9];
  static KEYS = { ArrowLeft: [-15, 0], ArrowRight: [15, 0], ArrowUp: [0, 15], ArrowDown: [0, -15] };

  constructor(viewer) {
    this.viewer = viewer;
    this.canvas = viewer.part("cortex");
    this.pen = this.canvas.getContext("2d");
    for (const [name, all] of [["surface", CortexView.SURFACES], ["view", Object.keys(CortexView.VIEWS)]]) {
      viewer.part(name).replaceChildren(...all.map((one) => new Option(one, one)));
    }
  }

  // Coordinates come in tenths of a mm, all x first; faces as differences from the one before.
  async load(told, numbers, inflate) {
    const [pial, inward, inflated, steps] = await Promise.all(
      ["pial", "inward", "inflated", "faces"].map((name) => numbers(told[name])));
    this.count = pial.length / 3;
    this.half = this.count / 2;
    const places = (a, b) => Float32Array.from(a, (x, i) => (x + (b ? b[i] : 0)) / 10);
    this.pial = places(pial);
    this.white = places(pial, inward);
    this.places = { pial: this.pial, inflated: places(inflated) };
    this.sulcus = await inflate(told.sulcus);
    const faces = steps.length / 3;
    this.faces = new Uint16Array(steps.length);
    for (let c = 0; c < 3; c++) for (let f = 0, at = 0; f < faces; f++) this.faces[3 * f + c] = at += steps[c * faces + f];
    this.normals = Object.fromEntries(CortexView.SURFACES.map((name) => [name, this.normalsOf(this.places[name])]));
    this.colours = new Uint8Array(3 * this.count);
    this.listen();
    this.shown = this.viewer.map;
    this.values = this.read();
    this.face();
    this.see();
  }

  // Begin where the map is strongest.
  face() {
    const sizes = this.values.map(Math.abs), best = sizes.indexOf(sizes.reduce((a, b) => Math.max(a, b), 0));
    const right = best >= this.half, outward = this.normals.inflated[best] > 0 === right;
    this.viewer.part("view").value = `${right ? "right" : "left"}, ${outward ? "lateral" : "medial"}`;
  }

  listen() {
    const { canvas, viewer } = this;
    let from = null, moved = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      [from, moved] = [[event.clientX, event.clientY], 0];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from || !event.buttons) return;
      const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
      moved += Math.abs(dx) + Math.abs(dy);
      from = [event.clientX, event.clientY];
      if (moved > 4) this.turn(-0.6 * dx, 0.6 * dy);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (from && moved <= 4) this.pick(event);
      from = null;
    });
    canvas.addEventListener("keydown", (event) => {
      const step = CortexView.KEYS[event.key];
      if (!step && event.key !== "Home") return;
      event.preventDefault();
      if (step) this.turn(...step);
      else this.see();
    });
    for (const name of ["surface", "view"]) viewer.part(name).addEventListener("change", () => this.see());
  }

  see() {
    [this.yaw, this.pitch, this.sides] = CortexView.VIEWS[this.viewer.part("view").value];
    this.name = this.viewer.part("surface").value;
    this.draw();
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.max(-90, Math.min(90, this.pitch + pitch));
    this.draw();
  }

  normalsOf(places) {
    const n = this.count, out = new Float32Array(3 * n), faces = this.faces;
    for (const side of [0, 1]) {
      for (let f = 0; f < faces.length; f += 3) {
        const [a, b, c] = [0, 1, 2].map((k) => faces[f + k] + side * this.half);
        const u = [0, 1, 2].map((k) => places[k * n + b] - places[k * n + a]);
        const v = [0, 1, 2].map((k) => places[k * n + c] - places[k * n + a]);
        for (let k = 0; k < 3; k++) {
          const [i, j] = [(k + 1) % 3, (k + 2) % 3], value = u[i] * v[j] - u[j] * v[i];
          for (const corner of [a, b, c]) out[k * n + corner] += value;
        }
      }
    }
    for (let i = 0; i < n; i++) {
      const size = Math.hypot(out[i], out[n + i], out[2 * n + i]) || 1;
      for (let k = 0; k < 3; k++) out[k * n + i] /= size;
    }
    return out;
  }

  // A map at each vertex: linear between voxels, averaged over the depth of the cortex.
  read() {
    const { shape, stride, values16, map } = this.viewer, n = this.count;
    const inverse = this.viewer.fromMm, out = new Float32Array(n);
    for (const depth of CortexView.DEPTHS) {
      for (let v = 0; v < n; v++) {
        const mm = [0, 1, 2].map((k) => (1 - depth) * this.pial[k * n + v] + depth * this.white[k * n + v]);
        const at = inverse.map((row) => row[0] * mm[0] + row[1] * mm[1] + row[2] * mm[2] + row[3]);
        const low = at.map(Math.floor);
        for (let corner = 0; corner < 8; corner++) {
          let weight = map.step, index = 0;
          for (let k = 0; k < 3; k++) {
            const up = (corner >> k) & 1, place = low[k] + up;
            if (place < 0 || place >= shape[k]) weight = 0;
            else weight *= up ? at[k] - low[k] : 1 - at[k] + low[k];
            index += place * stride[k];
          }
          if (weight) out[v] += weight * values16[index];
        }
      }
    }
    return out.map((value) => value / CortexView.DEPTHS.length);
  }

  paint() {
    const viewer = this.viewer;
    if (this.shown !== viewer.map) [this.shown, this.values] = [viewer.map, this.read()];
    for (let v = 0; v < this.count; v++) {
      const value = this.values[v], grey = this.sulcus[v] ? 148 : 200;
      const shown = value !== 0 && (viewer.signed ? Math.abs(value) : value) >= viewer.limit;
      const part = shown ? viewer.alpha : 0, k = shown ? viewer.colour(value) : 0;
      for (let c = 0; c < 3; c++) this.colours[3 * v + c] = part * viewer.ramp[k + c] + (1 - part) * grey;
    }
    this.draw();
  }

  // Screen axes in mm: right, up, and towards who looks.
  axes() {
    const [a, e] = [this.yaw, this.pitch].map((x) => (x * Math.PI) / 180);
    const near = [Math.sin(a), -Math.cos(a), 0], z = [0, 0, 1];
    return [
      [Math.cos(a), Math.sin(a), 0],
      z.map((x, k) => Math.cos(e) * x - Math.sin(e) * near[k]),
      z.map((x, k) => Math.cos(e) * near[k] + Math.sin(e) * x),
    ];
  }

  project(width, height) {
    const n = this.count, places = this.places[this.name], normals = this.normals[this.name];
    const [right, up, near] = this.axes(), both = this.sides.length > 1;
    const low = [1e9, 1e9, 1e9], high = [-1e9, -1e9, -1e9];
    const aside = (side) => (both && this.name === "inflated" ? (2 * side - 1) * CortexView.APART : 0);
    for (const side of this.sides) {
      for (let v = side * this.half; v < (side + 1) * this.half; v++) {
        for (let k = 0; k < 3; k++) {
          const x = places[k * n + v] + (k ? 0 : aside(side));
          low[k] = Math.min(low[k], x);
          high[k] = Math.max(high[k], x);
        }
      }
    }
    const middle = low.map((x, k) => (x + high[k]) / 2);
    // As large as it can be without being cut off at any turn.
    const reach = Math.max(Math.hypot(high[0] - low[0], high[1] - low[1]), high[2] - low[2]);
    const scale = (0.98 * Math.min(width, 1.1 * height)) / reach;
    const x = new Float32Array(n), y = new Float32Array(n), depth = new Float32Array(n), light = new Float32Array(n);
    for (const side of this.sides) {
      for (let v = side * this.half; v < (side + 1) * this.half; v++) {
        const p = [places[v] + aside(side) - middle[0], places[n + v] - middle[1], places[2 * n + v] - middle[2]];
        const along = (axis) => axis[0] * p[0] + axis[1] * p[1] + axis[2] * p[2];
        x[v] = width / 2 + scale * along(right);
        y[v] = height / 2 - scale * along(up);
        depth[v] = along(near);
        const facing = near[0] * normals[v] + near[1] * normals[n + v] + near[2] * normals[2 * n + v];
        light[v] = 0.62 + 0.38 * Math.max(0, facing);
      }
    }
    return { x, y, depth, light };
  }

  draw() {
    if (!this.values || !this.name) return;
    const zoom = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.max(2, Math.min(640, Math.round(this.canvas.clientWidth * zoom))), height = Math.round(width / 1.2);
    const { x, y, depth, light } = this.project(width, height);
    const image = new ImageData(width, height), pixels = image.data;
    const nearest = new Float32Array(width * height).fill(-1e9), { faces, colours } = this;
    this.owner = new Int32Array(width * height).fill(-1);
    for (const side of this.sides) {
      for (let f = 0; f < faces.length; f += 3) {
        const a = faces[f] + side * this.half, b = faces[f + 1] + side * this.half, c = faces[f + 2] + side * this.half;
        const area = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a]);
        if (area >= 0) continue;
        const left = Math.max(0, Math.floor(Math.min(x[a], x[b], x[c]))), end = Math.min(width - 1, Math.ceil(Math.max(x[a], x[b], x[c])));
        const top = Math.max(0, Math.floor(Math.min(y[a], y[b], y[c]))), below = Math.min(height - 1, Math.ceil(Math.max(y[a], y[b], y[c])));
        for (let row = top; row <= below; row++) {
          for (let column = left; column <= end; column++) {
            const wb = ((column - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (row - y[a])) / area;
            const wc = ((x[b] - x[a]) * (row - y[a]) - (column - x[a]) * (y[b] - y[a])) / area, wa = 1 - wb - wc;
            // A hair beyond its edges, so that no gap shines through.
            if (wa < -0.01 || wb < -0.01 || wc < -0.01) continue;
            const i = row * width + column, z = wa * depth[a] + wb * depth[b] + wc * depth[c];
            if (z <= nearest[i]) continue;
            nearest[i] = z;
            this.owner[i] = wa >= wb && wa >= wc ? a : wb >= wc ? b : c;
            const l = wa * light[a] + wb * light[b] + wc * light[c];
            for (let k = 0; k < 3; k++) pixels[4 * i + k] = l * (wa * colours[3 * a + k] + wb * colours[3 * b + k] + wc * colours[3 * c + k]);
            pixels[4 * i + 3] = 255;
          }
        }
      }
    }
    [this.canvas.width, this.canvas.height] = [width, height];
    this.pen.putImageData(image, 0, 0);
    this.cross(x, y, depth, nearest, width);
    this.letters(width, zoom);
    this.say();
  }

  // The vertex nearest to the viewer's cross, ringed where it is seen.
  cross(x, y, depth, nearest, width) {
    const mm = this.viewer.mm(), n = this.count, limit = Math.max(6, ...this.viewer.size);
    let best = limit * limit, at = -1;
    for (const side of this.sides) {
      for (let v = side * this.half; v < (side + 1) * this.half; v++) {
        let away = 0;
        for (let k = 0; k < 3; k++) away += ((this.pial[k * n + v] + this.white[k * n + v]) / 2 - mm[k]) ** 2;
        if (away < best) [best, at] = [away, v];
      }
    }
    if (at < 0 || nearest[Math.round(y[at]) * width + Math.round(x[at])] > depth[at] + 2) return;
    for (const [stroke, thick] of [["#000000", 4], ["#ffffff", 1.8]]) {
      this.pen.strokeStyle = stroke;
      this.pen.lineWidth = thick;
      this.pen.beginPath();
      this.pen.arc(x[at], y[at], 7, 0, 2 * Math.PI);
      this.pen.stroke();
    }
  }

  letters(width, zoom) {
    const [right] = this.axes(), k = Math.abs(right[0]) >= Math.abs(right[1]) ? 0 : 1;
    const ends = [["L", "R"], ["P", "A"]][k], [first, last] = right[k] > 0 ? ends : [ends[1], ends[0]];
    const pen = this.pen;
    pen.font = `600 ${13 * zoom}px system-ui, sans-serif`;
    pen.fillStyle = "#1d2430";
    pen.textAlign = "left";
    pen.fillText(first, 5 * zoom, 16 * zoom);
    pen.textAlign = "right";
    pen.fillText(last, width - 5 * zoom, 16 * zoom);
  }

  pick(event) {
    const box = this.canvas.getBoundingClientRect(), { width, height } = this.canvas;
    const column = Math.floor(((event.clientX - box.left) / box.width) * width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * height);
    const vertex = this.owner[row * width + column];
    if (vertex >= 0) this.viewer.goTo(this.middle(vertex));
  }

  middle(vertex) {
    return [0, 1, 2].map((k) => (this.pial[k * this.count + vertex] + this.white[k * this.count + vertex]) / 2);
  }

  say() {
    const viewer = this.viewer;
    let best = -1, at = 0;
    for (const side of this.sides) {
      for (let v = side * this.half; v < (side + 1) * this.half; v++) {
        if (Math.abs(this.values[v]) > best) [best, at] = [Math.abs(this.values[v]), v];
      }
    }
    const mm = this.middle(at), words = viewer.wordsAt(mm, this.values[at]);
    const view = `${this.name} surface, ${viewer.part("view").value}`;
    viewer.part("cortex-top").textContent = `Strongest on the cortex that is shown, averaged over its depth: ${words}`;
    this.canvas.setAttribute("aria-label", `${view}; strongest: ${words}. Arrow keys turn it, Home turns it back`);
  }
}
