"use strict";
(() => {
  const PLANES = [
    { name: "sagittal", axis: 0, across: 1, up: 2, ends: ["P", "A"] },
    { name: "coronal", axis: 1, across: 0, up: 2, ends: ["L", "R"] },
    { name: "axial", axis: 2, across: 0, up: 1, ends: ["L", "R"] },
  ];
  const COLOURS = {
    "blue–red": {
      signed: ["#08308f", "#1a5fe0", "#6fb1ff", "#dfe6ee", "#ff9a6b", "#e0301e", "#a00d16"],
      plain: ["#5a0f6e", "#a3195b", "#e0402f", "#f98b0c", "#fde24a"],
    },
    "purple–orange": {
      signed: ["#4b1a86", "#7a63b8", "#b9b1dc", "#eeeeee", "#f7bd7a", "#d9761a", "#8a4205"],
      plain: ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"],
    },
    "blue–yellow": {
      signed: ["#00224e", "#2f5fae", "#8fb3de", "#e8e8e8", "#e6cf6a", "#b8950a", "#6e5700"],
      plain: ["#00224e", "#434e6c", "#7d7c78", "#bcae6c", "#fee838"],
    },
  };
  const FIELDS = ["subject", "method", "target", "statistic"];
  const viewers = new Map();

  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const ramp = (stops) => {
    const ends = stops.map(rgb), out = new Uint8Array(768);
    for (let i = 0; i < 256; i++) {
      const at = (i / 255) * (ends.length - 1), k = Math.min(Math.floor(at), ends.length - 2);
      for (let c = 0; c < 3; c++) out[3 * i + c] = ends[k][c] + (at - k) * (ends[k + 1][c] - ends[k][c]);
    }
    return out;
  };
  const inflate = async (text) => {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const numbers = async (text) => {
    const bytes = await inflate(text), half = bytes.length / 2, out = new Int16Array(half);
    for (let i = 0; i < half; i++) out[i] = bytes[i] | (bytes[half + i] << 8);
    return out;
  };
  const minus = (text) => text.replace(/-/g, "−");
  const raised = (power) => power.replace("+", "").replace("-", "⁻").replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
  const short = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e-3 && size < 1e4) return minus(String(Number(value.toPrecision(3))));
    const [digits, power] = value.toExponential(2).split("e");
    return `${minus(digits)}×10${raised(power)}`;
  };

  const inverted = (a) => {
    const minor = (r, c) => {
      const [i, j] = [(r + 1) % 3, (r + 2) % 3], [k, l] = [(c + 1) % 3, (c + 2) % 3];
      return a[i][k] * a[j][l] - a[i][l] * a[j][k];
    };
    const det = a[0][0] * minor(0, 0) + a[0][1] * minor(0, 1) + a[0][2] * minor(0, 2);
    return [0, 1, 2].map((r) => {
      const row = [0, 1, 2].map((c) => minor(c, r) / det);
      return [...row, -(row[0] * a[0][3] + row[1] * a[1][3] + row[2] * a[2][3])];
    });
  };

  class Viewer {
    constructor(root) {
      this.root = root;
      this.data = JSON.parse(document.getElementById(root.dataset.from).textContent);
      const [X, Y, Z] = this.data.shape;
      this.shape = [X, Y, Z];
      this.stride = [1, X, X * Y];
      const a = this.data.affine;
      this.size = [0, 1, 2].map((c) => Math.hypot(a[0][c], a[1][c], a[2][c]));
      this.fromMm = inverted(a);
      this.cache = new Map();
      this.part = (name) => root.querySelector(`[data-part="${name}"]`);
      this.canvases = PLANES.map((plane) => this.part(plane.name));
      this.away = null;
      this.fill();
      this.listen();
      this.turn = 0;
      this.ready = this.start();
    }

    async start() {
      try {
        this.labels = this.data.atlas ? await numbers(this.data.atlas.data) : null;
        this.truth = this.data.truth ? await inflate(this.data.truth) : null;
        await this.show(this.data.maps[0], true);
        if (this.data.cortex) {
          const cortex = new CortexView(this);
          await cortex.load(this.data.cortex, numbers, inflate);
          this.cortex = cortex;
          cortex.paint();
        }
      } catch (error) {
        this.say(`The maps cannot be shown: ${error.message}. The figures below show them.`);
      }
    }

    values(field) {
      const known = this.data.maps.map((one) => one[field]);
      const more = field === "subject" ? Object.keys(this.data.elsewhere) : [];
      return [...new Set([...known, ...more])];
    }

    fill() {
      for (const field of FIELDS) {
        const select = this.part(field), all = this.values(field), kept = select.value;
        select.replaceChildren(...all.map((name) => new Option(name, name)));
        if (all.includes(kept)) select.value = kept;
        select.closest("label").hidden = all.length < 2;
      }
      const colours = this.part("colours");
      if (!colours.options.length) colours.replaceChildren(...Object.keys(COLOURS).map((n) => new Option(n, n)));
      this.part("truth").closest("label").hidden = !this.data.truth;
      this.part("regions").closest("label").hidden = !this.data.atlas;
      this.part("cortex-panel").hidden = !this.data.cortex;
    }

    listen() {
      for (const field of FIELDS) this.part(field).addEventListener("change", () => this.choose(field));
      for (const name of ["opacity", "threshold"]) this.part(name).addEventListener("input", () => this.draw());
      for (const name of ["colours", "truth", "regions"]) this.part(name).addEventListener("change", () => this.draw());
      this.part("peak").addEventListener("click", () => this.toPeak());
      PLANES.forEach((plane, n) => {
        const canvas = this.canvases[n], slider = this.part(`at-${plane.axis}`);
        slider.max = this.shape[plane.axis] - 1;
        slider.addEventListener("input", () => {
          this.at[plane.axis] = Number(slider.value);
          this.draw();
        });
        const point = (event) => {
          const box = canvas.getBoundingClientRect();
          const place = (part, whole, count) => Math.max(0, Math.min(count - 1, Math.floor((part / whole) * count)));
          this.at[plane.across] = place(event.clientX - box.left, box.width, this.shape[plane.across]);
          const up = this.shape[plane.up];
          this.at[plane.up] = up - 1 - place(event.clientY - box.top, box.height, up);
          this.draw();
        };
        canvas.addEventListener("pointerdown", (event) => {
          canvas.setPointerCapture(event.pointerId);
          point(event);
        });
        canvas.addEventListener("pointermove", (event) => event.buttons && point(event));
        canvas.addEventListener("keydown", (event) => {
          const moves = {
            ArrowLeft: [plane.across, -1], ArrowRight: [plane.across, 1],
            ArrowUp: [plane.up, 1], ArrowDown: [plane.up, -1],
            PageUp: [plane.axis, 1], PageDown: [plane.axis, -1],
          };
          const move = moves[event.key];
          if (!move) return;
          event.preventDefault();
          const [axis, step] = move;
          this.at[axis] = Math.max(0, Math.min(this.shape[axis] - 1, this.at[axis] + step));
          this.draw();
        });
      });
      new ResizeObserver(() => this.draw()).observe(this.root);
    }

    choose(changed) {
      const wanted = Object.fromEntries(FIELDS.map((f) => [f, this.part(f).value]));
      const file = this.data.elsewhere[wanted.subject];
      if (file && !this.data.maps.some((one) => one.subject === wanted.subject)) return this.fetch(wanted.subject, file);
      const weight = { subject: 4, statistic: 1, method: 3, target: 2, [changed]: 16 };
      const plain = (method) => method.replace(/ \(target .*\)$/, "");
      const kin = (one) => (plain(one.method) === plain(wanted.method) ? 1.5 : 0);
      const score = (one) => FIELDS.reduce((sum, f) => sum + (one[f] === wanted[f] ? weight[f] : 0), kin(one));
      const best = this.data.maps.reduce((a, b) => (score(b) > score(a) ? b : a));
      // A scan has one map a method and class, whatever statistic of the mean was shown before.
      const missed = FIELDS.filter((f) => best[f] !== wanted[f] && !(f === "statistic" && changed === "subject"));
      const fields = { target: "class" };
      const note = missed.length ? `There is no such map; shown is that of ${missed.map((f) => `${fields[f] || f} ${best[f]}`).join(", ")}. ` : "";
      return this.show(best, false, note);
    }

    fetch(subject, file) {
      this.away = subject;
      const script = document.createElement("script");
      script.src = file;
      script.onerror = () => {
        this.say(`The maps of ${subject} are not beside this page (${file}).`);
        for (const field of FIELDS) this.part(field).value = this.map[field];
      };
      script.onload = () => this.choose("subject");
      document.head.append(script);
    }

    take(more) {
      this.data.maps.push(...more.maps);
      Object.assign(this.data.anatomy, more.anatomy);
      this.fill();
      if (this.away) this.part("subject").value = this.away;
    }

    async once(key, make) {
      if (!this.cache.has(key)) {
        if (this.cache.size > 12) this.cache.delete(this.cache.keys().next().value);
        this.cache.set(key, await make());
      }
      return this.cache.get(key);
    }

    async show(map, first = false, note = "") {
      const who = map.subject in this.data.anatomy ? map.subject : this.data.mean;
      // Of two that are asked for one after the other, the last is shown, whichever comes first.
      const turn = ++this.turn;
      const values = await this.once(map.data, () => numbers(map.data));
      const grey = await this.once(this.data.anatomy[who], () => inflate(this.data.anatomy[who]));
      if (turn !== this.turn) return;
      [this.values16, this.grey] = [values, grey];
      const same = this.map && (this.map.statistic === map.statistic || this.map.subject !== map.subject);
      const other = !same || this.map.p !== map.p;
      this.map = map;
      this.note = note;
      for (const field of FIELDS) this.part(field).value = map[field];
      if (other) this.part("threshold").value = map.p ? Math.min(99, (100 * 1.30103) / map.top) : 25;
      if (first) this.toPeak();
      else this.draw();
    }

    toPeak() {
      let best = 0, at = 0;
      this.values16.forEach((value, i) => {
        if (Math.abs(value) > best) [best, at] = [Math.abs(value), i];
      });
      const [X, Y] = this.shape;
      this.at = [at % X, Math.floor(at / X) % Y, Math.floor(at / (X * Y))];
      this.draw();
    }

    index() {
      return this.at[0] + this.stride[1] * this.at[1] + this.stride[2] * this.at[2];
    }

    mm() {
      const a = this.data.affine;
      return [0, 1, 2].map((r) => a[r][0] * this.at[0] + a[r][1] * this.at[1] + a[r][2] * this.at[2] + a[r][3]);
    }

    // The voxel of a place, none outside the box.
    voxel(mm) {
      const at = this.fromMm.map((row) => Math.round(row[0] * mm[0] + row[1] * mm[1] + row[2] * mm[2] + row[3]));
      return at.every((x, k) => x >= 0 && x < this.shape[k]) ? at : null;
    }

    goTo(mm) {
      const at = this.voxel(mm);
      if (!at) return;
      this.at = at;
      this.draw();
    }

    wordsAt(mm, value) {
      const [x, y, z] = mm.map((one) => minus(String(Math.round(one)))), at = this.voxel(mm);
      const place = `x ${x}, y ${y}, z ${z} mm`, i = at ? at[0] + this.stride[1] * at[1] + this.stride[2] * at[2] : -1;
      if (!this.grey[i]) return `${place}: outside the head`;
      const region = this.labels ? this.data.atlas.names[this.labels[i]].replace(/_/g, " ") || "outside regions" : "";
      const said = this.map.p ? `p = ${this.text(value)}` : `${this.text(value)} ${this.map.unit}`;
      return `${place}: ${said}${region ? `; ${region}` : ""}`;
    }

    text(value) {
      return this.map.p ? short(Math.pow(10, -value)) : short(value);
    }

    say(text) {
      this.part("readout").textContent = text;
    }

    draw() {
      if (!this.map || !this.at) return;
      const look = COLOURS[this.part("colours").value];
      this.signed = this.map.signed;
      this.ramp = ramp(this.signed ? look.signed : look.plain);
      this.limit = (Number(this.part("threshold").value) / 100) * this.map.top;
      this.alpha = Number(this.part("opacity").value) / 100;
      PLANES.forEach((plane, n) => this.cut(plane, this.canvases[n]));
      if (this.cortex) this.cortex.paint();
      this.bar();
      const i = this.index(), mm = this.mm().map((x) => minus(String(Math.round(x))));
      this.say(`${this.note || ""}${this.wordsAt(this.mm(), this.values16[i] * this.map.step)}`);
      PLANES.forEach((plane) => {
        const slider = this.part(`at-${plane.axis}`);
        slider.value = this.at[plane.axis];
        slider.setAttribute("aria-valuetext", `${mm[plane.axis]} mm`);
      });
      const bound = this.map.p ? "p at most " : "|value| from ";
      this.part("limit").textContent = bound + this.text(this.limit);
      this.part("seen").textContent = `${Math.round(100 * this.alpha)} %`;
      const title = `${this.map.method}, ${this.map.target}, ${this.map.statistic}, ${this.map.subject}`;
      this.canvases.forEach((canvas, n) => canvas.setAttribute("aria-label", `${PLANES[n].name} cut of ${title}; arrow keys move the cross, page up and down the cut`));
    }

    colour(value) {
      const scaled = Math.max(-1, Math.min(1, value / this.map.top));
      return 3 * Math.round(255 * (this.signed ? (scaled + 1) / 2 : Math.max(scaled, 0)));
    }

    cut(plane, canvas) {
      const { axis, across, up } = plane, w = this.shape[across], h = this.shape[up];
      const base = this.at[axis] * this.stride[axis], image = new ImageData(w, h), pixels = image.data;
      const step = this.map.step, { ramp: colours, limit, alpha } = this;
      for (let row = 0; row < h; row++) {
        for (let column = 0; column < w; column++) {
          const i = base + column * this.stride[across] + (h - 1 - row) * this.stride[up];
          const value = this.values16[i] * step, at = 4 * (row * w + column), grey = this.grey[i];
          if (!grey) continue;
          const shown = value !== 0 && (this.signed ? Math.abs(value) : value) >= limit;
          const part = shown ? alpha : 0, k = shown ? this.colour(value) : 0, under = 30 + 0.84 * grey;
          for (let c = 0; c < 3; c++) pixels[at + c] = part * colours[k + c] + (1 - part) * under;
          pixels[at + 3] = 255;
        }
      }
      const wide = w * this.size[across], high = h * this.size[up];
      canvas.style.aspectRatio = `${wide} / ${high}`;
      const scale = Math.min(window.devicePixelRatio || 1, 2);
      const width = Math.max(1, Math.round(canvas.clientWidth * scale));
      const height = Math.max(1, Math.round((width * high) / wide));
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      const small = new OffscreenCanvas(w, h), pen = canvas.getContext("2d");
      small.getContext("2d").putImageData(image, 0, 0);
      pen.clearRect(0, 0, width, height);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(small, 0, 0, width, height);
      const kx = width / w, ky = height / h;
      if (this.labels && this.part("regions").checked) this.outline(pen, plane, base, kx, ky, this.labels, "#ffffff", 0.8 * scale);
      if (this.truth && this.part("truth").checked) this.outline(pen, plane, base, kx, ky, this.truth, "#00e08a", 1.8 * scale);
      this.marks(pen, plane, width, height, kx, ky, scale);
    }

    outline(pen, plane, base, kx, ky, labels, colour, thick) {
      const { across, up } = plane, w = this.shape[across], h = this.shape[up];
      const label = (c, r) => labels[base + c * this.stride[across] + (h - 1 - r) * this.stride[up]];
      const path = new Path2D();
      for (let r = 0; r < h; r++) {
        for (let c = 0; c < w; c++) {
          const own = label(c, r);
          if (c + 1 < w && label(c + 1, r) !== own) {
            path.moveTo((c + 1) * kx, r * ky);
            path.lineTo((c + 1) * kx, (r + 1) * ky);
          }
          if (r + 1 < h && label(c, r + 1) !== own) {
            path.moveTo(c * kx, (r + 1) * ky);
            path.lineTo((c + 1) * kx, (r + 1) * ky);
          }
        }
      }
      for (const [stroke, width] of [["#10221a", thick + 1.6], [colour, thick]]) {
        pen.strokeStyle = stroke;
        pen.lineWidth = width;
        pen.stroke(path);
      }
    }

    marks(pen, plane, width, height, kx, ky, scale) {
      const x = (this.at[plane.across] + 0.5) * kx, y = (this.shape[plane.up] - this.at[plane.up] - 0.5) * ky;
      const free = 7 * scale;
      for (const [stroke, thick] of [["#000000", 2.4], ["#ffffff", 1]]) {
        pen.strokeStyle = stroke;
        pen.lineWidth = thick * scale * 0.8;
        pen.beginPath();
        for (const [a, b, c, d] of [[0, y, x - free, y], [x + free, y, width, y], [x, 0, x, y - free], [x, y + free, x, height]]) {
          pen.moveTo(a, b);
          pen.lineTo(c, d);
        }
        pen.stroke();
      }
      pen.font = `600 ${13 * scale}px system-ui, sans-serif`;
      pen.lineWidth = 3 * scale;
      pen.strokeStyle = "#ffffff";
      pen.fillStyle = "#1d2430";
      for (const [text, place, align] of [[plane.ends[0], 5 * scale, "left"], [plane.ends[1], width - 5 * scale, "right"]]) {
        pen.textAlign = align;
        pen.strokeText(text, place, 16 * scale);
        pen.fillText(text, place, 16 * scale);
      }
    }

    bar() {
      const canvas = this.part("bar"), pen = canvas.getContext("2d"), width = 256;
      [canvas.width, canvas.height] = [width, 1];
      const image = new ImageData(width, 1), low = this.signed ? -this.map.top : 0;
      for (let i = 0; i < width; i++) {
        const value = low + ((this.map.top - low) * i) / (width - 1), k = this.colour(value);
        const part = (this.signed ? Math.abs(value) : value) >= this.limit ? this.alpha : 0;
        for (let c = 0; c < 3; c++) image.data[4 * i + c] = part * this.ramp[k + c] + (1 - part) * 158;
        image.data[4 * i + 3] = 255;
      }
      pen.putImageData(image, 0, 0);
      const middle = this.signed ? "0" : "";
      const ends = this.map.p ? ["1", "", this.text(this.map.top)] : [short(low), middle, short(this.map.top)];
      ["low", "middle", "high"].forEach((name, n) => (this.part(name).textContent = ends[n]));
      this.part("unit").textContent = this.map.p ? "p" : this.map.unit;
    }
  }

  window.voxplainMaps = (more) => viewers.forEach((one) => one.away && one.take(more));
  const begin = () => {
    document.querySelectorAll(".maps").forEach((root) => {
      const wake = new IntersectionObserver((seen) => {
        if (!seen.some((one) => one.isIntersecting) || viewers.has(root)) return;
        wake.disconnect();
        viewers.set(root, new Viewer(root));
      }, { rootMargin: "400px" });
      wake.observe(root);
    });
    document.querySelectorAll("button[data-shows]").forEach((button) => {
      button.addEventListener("click", () => {
        const root = document.querySelector(".maps");
        if (!viewers.has(root)) viewers.set(root, new Viewer(root));
        const viewer = viewers.get(root), select = viewer.part("subject");
        viewer.ready.then(() => {
          select.value = button.dataset.shows;
          viewer.choose("subject");
        });
        root.scrollIntoView({ block: "start" });
        select.focus({ preventScroll: true });
      });
    });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
