// What the dashboard and the browser demo draw: screens, latent bars and a strip of surprise. Arrays in, pictures out; no framework.

export const REALITY = "#2f7fd9", DREAM = "#e8930c", ALARM = "#d93a3a";   // as in the book

const SCREEN = [20, 22, 26];   // a screen that shows nothing
const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// One frame, bytes 0 to 255 (size × size), in one colour. The canvas has as many pixels as the frame; CSS enlarges it.
export function drawFrame(canvas, grey, color) {
  const size = Math.round(Math.sqrt(grey.length)), tint = rgb(color);
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext("2d"), image = context.createImageData(size, size);
  for (let i = 0; i < grey.length; i++) {
    for (let c = 0; c < 3; c++) image.data[4*i + c] = SCREEN[c] + (tint[c] - SCREEN[c])*grey[i]/255;
    image.data[4*i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// A canvas as large as it is shown, in the page's own ink.
function sheet(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width*ratio) || canvas.height !== Math.round(height*ratio)) {
    canvas.width = Math.round(width*ratio); canvas.height = Math.round(height*ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return {context, width, height, ink: getComputedStyle(canvas).color};
}

// The numbers of the dream's latent as bars, and what reality was encoded to as ticks across them.
export function drawBars(canvas, dreamed, seen, limit) {
  const {context, width, height, ink} = sheet(canvas), step = width/dreamed.length, middle = height/2;
  const y = value => middle - Math.max(-1, Math.min(1, value/limit))*(middle - 3);
  context.globalAlpha = .35; context.fillStyle = ink; context.fillRect(0, middle, width, 1); context.globalAlpha = 1;
  context.fillStyle = DREAM;
  dreamed.forEach((value, i) => context.fillRect(i*step + step*.15, Math.min(middle, y(value)), step*.7, Math.max(1, Math.abs(y(value) - middle))));
  if (!seen) return;
  context.fillStyle = REALITY;
  seen.forEach((value, i) => context.fillRect(i*step, y(value) - 1.5, step, 3));
}

// What happens, in a sentence. shut: frames since its eyes were shut; off: how far the dream is off, px, or null
export function words(m) {
  const count = n => n.toLocaleString("en");
  if (m.shut) return m.off === null ? `Eyes shut for ${count(m.shut)} frames.` : `Eyes shut for ${count(m.shut)} frames: the dream is ${m.off.toFixed(2)} px off.`;
  if (m.lost) return "It has rung for long enough: lost, and silent until it understands again.";
  if (m.alarm) return `Alarm at frame ${count(m.t)}: ${m.score >= 1e4 ? "more than ten thousand" : m.score.toFixed(m.score < 10 ? 1 : 0)} times the usual surprise.`;
  return "";
}
export const dreamCaption = (m, drawn) => m.shut ? `Dream · eyes shut for ${m.shut.toLocaleString("en")} frames` : drawn ? "Dream · what it expects" : "Dream · not drawn";

// Surprise over the last frames on a log scale, with the threshold, alarms, and moments at which reality broke.
export function drawSurprise(canvas, history, threshold, length = 240) {
  const {context, width, height, ink} = sheet(canvas), low = Math.log10(threshold) - 2.5, high = Math.log10(threshold) + 4.5, left = 44, bottom = 18;
  const x = i => left + (width - left)*(length - history.length + i + .5)/length;
  const y = value => (height - bottom)*(1 - Math.max(0, Math.min(1, (Math.log10(Math.max(value, 1e-9)) - low)/(high - low)))) + 2;
  context.fillStyle = ink; context.strokeStyle = ink; context.textBaseline = "middle";
  for (let power = Math.ceil(low); power < high - .3; power += 2) {
    context.globalAlpha = .6; context.textAlign = "right";
    context.fillText(power < 3 ? String(10**power) : `${10**(power - 3)}k`, left - 8, y(10**power));
    context.globalAlpha = .12; context.fillRect(left, y(10**power), width - left, 1);
  }
  context.globalAlpha = .6; context.textAlign = "right"; context.fillText(`the last ${length} frames`, width, height - 6); context.globalAlpha = 1;
  history.forEach((h, i) => {
    if (h.alarm) { context.fillStyle = ALARM; context.globalAlpha = .3; context.fillRect(x(i) - 1, 0, (width - left)/length + 1, height - bottom); context.globalAlpha = 1; }
    if (h.struck) { context.fillStyle = ink; context.fillRect(x(i), 0, 1.5, height - bottom); context.textAlign = i > history.length - 40 ? "right" : "left"; context.fillText(` ${h.struck} `, x(i), 10); }
  });
  context.setLineDash([6, 4]); context.strokeStyle = ALARM; context.lineWidth = 1.5;
  context.beginPath(); context.moveTo(left, y(threshold)); context.lineTo(width, y(threshold)); context.stroke(); context.setLineDash([]);
  context.strokeStyle = DREAM; context.lineWidth = 2; context.beginPath();
  let drawing = false;
  history.forEach((h, i) => { if (h.score === null) drawing = false; else if (drawing) context.lineTo(x(i), y(h.score)); else { context.moveTo(x(i), y(h.score)); drawing = true; } });
  context.stroke();
}

const HTML = `
  <div class="screens">
    <figure class="screen reality"><figcaption>Reality</figcaption><canvas role="img" aria-label="Reality: what the camera sees"></canvas></figure>
    <figure class="screen dream"><figcaption>Dream</figcaption><canvas role="img" aria-label="Dream: what the model expects"></canvas><p class="blank" hidden>No decoder, no picture:<br>it understands, and won't draw.</p></figure>
    <figure class="latent"><figcaption>Latent</figcaption><canvas role="img" aria-label="Latent: the dream's numbers as bars, reality's as ticks"></canvas><p class="legend"><i class="d"></i>dream <i class="r"></i>reality, encoded</p><p class="corner"></p></figure>
  </div>
  <figure class="surprise"><figcaption>Surprise <span class="unit"></span><b class="alarm" hidden>alarm</b></figcaption><canvas role="img" aria-label="Surprise at each of the last frames, with the threshold above which it rings"></canvas></figure>
  <p class="status"></p>
  <p class="aloud" role="status" aria-live="polite"></p>
  <canvas class="confetti" aria-hidden="true" hidden></canvas>`;

// The whole stage. Whoever has frames calls show(moment):
//   t frame number · reality, dream bytes (dream null: it won't draw) · z, seen latents (seen null: eyes shut)
//   score number or null · alarm, lost booleans · struck name or null · corner boolean · told, truly frames to the next corner (null: none near; undefined: not asked)
export class Stage {
  constructor(root) {
    root.innerHTML = HTML;
    const at = selector => root.querySelector(selector);
    Object.assign(this, {root, reality: at(".reality canvas"), dream: at(".dream canvas"), blank: at(".blank"), bars: at(".latent canvas"), strip: at(".surprise canvas"),
      captions: {reality: at(".reality figcaption"), dream: at(".dream figcaption"), latent: at(".latent figcaption"), unit: at(".unit")},
      bell: at(".alarm"), cornerText: at(".corner"), status: at(".status"), voice: at(".aloud"), spoke: -Infinity, confetti: at(".confetti")});
    this.clear();
  }
  clear() { this.history = []; this.limit = 1; this.cornered = this.rang = this.cheered = this.news = -Infinity; this.shown = 0; this.say(""); this.bell.hidden = true; }
  // Shown at once; told to a screen reader when something new begins, and then every five seconds at most.
  say(text) {
    if (this.status.textContent !== text) this.status.textContent = text;
    const now = performance.now(), begins = text.slice(0, 9);
    if (text === this.voice.textContent || (begins === this.voice.textContent.slice(0, 9) && now - this.spoke < 5000)) return;
    this.voice.textContent = text;
    this.spoke = now;
  }
  // What a moment calls for; an alarm or a corner stays to be read for a while.
  tell(m) {
    // of one alarm after another, the first is the news
    if (m.alarm && this.status.textContent.startsWith("Alarm") && m.t - this.news < 60) return;
    if (m.alarm) this.news = m.t;
    const text = words(m), stale = !m.shut && this.status.textContent.startsWith("Eyes shut");
    if (text || stale || performance.now() - Math.max(this.rang, this.cheered) > 4000) this.say(text);
  }
  caption(where, text) { if (this.captions[where].textContent !== text) this.captions[where].textContent = text; }

  screens(reality, dream) {
    drawFrame(this.reality, reality, REALITY);
    this.blank.hidden = Boolean(dream);
    this.dream.style.visibility = dream ? "visible" : "hidden";
    if (dream) drawFrame(this.dream, dream, DREAM);
    else if (this.dream.width) this.dream.width = this.dream.width;   // nothing is left of the last picture
  }
  latent(z, seen) {
    this.limit = Math.max(this.limit*.999, ...z.map(Math.abs), ...(seen || []).map(Math.abs));
    drawBars(this.bars, z, seen, this.limit*1.05);
  }
  show(m, threshold) {
    this.screens(m.reality, m.dream);
    this.latent(m.z, m.seen);
    this.history.push(m);
    if (this.history.length > 240) this.history.shift();
    drawSurprise(this.strip, this.history, threshold);
    if (m.alarm) this.rang = performance.now();
    const ringing = performance.now() - this.rang < 1500;   // an alarm of one frame is too short to be seen
    this.bell.hidden = !ringing;
    this.root.classList.toggle("ringing", ringing);
    this.corner(m);
    this.shown++;
    this.root.dataset.shown = this.shown;
    this.root.dataset.frame = m.t;
    if (m.struck) this.root.dataset.struck = m.struck;
  }
  corner(m) {
    const says = frames => frames === null ? "none near" : frames <= 0 ? "now" : `${frames} frame${frames === 1 ? "" : "s"}`;
    const text = m.truly === undefined ? "" : `Next corner · ${m.told === undefined ? "" : `dream: ${says(m.told)} · `}truth: ${says(m.truly)}`;
    if (this.cornerText.textContent !== text) this.cornerText.textContent = text;
    if (m.corner && !(m.t - this.cornered < 240)) this.celebrate();   // some logos hit one every second
    if (m.corner) this.cornered = m.t;
  }
  celebrate() {
    this.root.dataset.corners = 1 + Number(this.root.dataset.corners || 0);
    this.cheered = performance.now();
    if (this.cheered - this.rang > 4000) this.say("It hit the corner!");
    this.root.classList.add("cornered"); setTimeout(() => this.root.classList.remove("cornered"), 1600);
    if (!still()) burst(this.confetti);
  }
}

function burst(canvas) {
  canvas.hidden = false;
  const {width, height} = sheet(canvas), colors = [REALITY, DREAM, ALARM, "#2a9d6f", "#8e5bd0"], started = performance.now();
  const pieces = Array.from({length: 90}, (_, i) => ({x: width*(.2 + .4*Math.random()), y: height*.35, vx: 260*(Math.random() - .5), vy: -260*Math.random() - 60, color: colors[i % 5], spin: 6*Math.random()}));
  const fall = now => {
    const s = (now - started)/1000, {context} = sheet(canvas);
    if (s > 1.6 || !canvas.isConnected) { canvas.hidden = true; return; }
    context.globalAlpha = Math.min(1, 2*(1.6 - s));
    for (const p of pieces) { context.fillStyle = p.color; context.fillRect(p.x + p.vx*s, p.y + p.vy*s + 300*s*s, 7, 7*Math.abs(Math.cos(p.spin*s*3)) + 1); }
    requestAnimationFrame(fall);
  };
  requestAnimationFrame(fall);
}

// A few short videos side by side, in a loop that can be stopped. panels: [{name, color, frames (n × size² bytes), cross: [[y, x], …] in px or null}]
export class Clips {
  constructor(root, panels, {fps = 12, first = 0, mark = null, unit = "frame"} = {}) {
    Object.assign(this, {root, panels, fps, first, mark, unit, t: 0, waited: 0, playing: !still()});
    root.innerHTML = `<div class="screens clips">${panels.map(() => `<figure class="screen"><figcaption></figcaption><canvas role="img"></canvas></figure>`).join("")}</div><p class="bar"><button type="button"></button><span class="status"></span></p>`;
    const button = root.querySelector("button"), named = () => { button.textContent = this.playing ? "Pause" : "Play"; };
    button.onclick = () => { this.playing = !this.playing; named(); };
    named();
    this.figures = [...root.querySelectorAll("figure")];
    this.figures.forEach((figure, i) => {
      figure.querySelector("figcaption").textContent = panels[i].name;
      figure.querySelector("canvas").setAttribute("aria-label", panels[i].name);
      figure.style.setProperty("--frame", panels[i].color);
    });
    this.draw();
  }
  get length() { return this.panels[0].count; }
  draw() {
    this.panels.forEach((panel, i) => {
      const canvas = this.figures[i].querySelector("canvas"), area = panel.frames.length/panel.count;
      drawFrame(canvas, panel.frames.subarray(this.t*area, (this.t + 1)*area), panel.color);
      if (panel.cross) cross(canvas, ...panel.cross[this.t]);
    });
    const now = this.first + this.t;
    this.root.querySelector(".status").textContent = `${this.unit} ${now.toLocaleString("en")}` + (this.mark !== null && now >= this.mark ? " · broken" : "");
    this.root.dataset.shown = 1 + Number(this.root.dataset.shown || 0);
  }
  tick(seconds) {
    if (!this.playing) return;
    this.waited += seconds*this.fps;
    if (this.waited < 1) return;
    this.waited %= 1;
    this.t = (this.t + 1) % this.length;
    this.draw();
  }
}

// A cross on a frame's own pixels would be coarse: enlarge the canvas first.
function cross(canvas, y, x) {
  const size = canvas.width, scale = 12, copy = document.createElement("canvas"), context = canvas.getContext("2d");
  copy.width = copy.height = size; copy.getContext("2d").drawImage(canvas, 0, 0);
  canvas.width = canvas.height = size*scale;
  context.imageSmoothingEnabled = false;
  context.drawImage(copy, 0, 0, size*scale, size*scale);
  context.strokeStyle = DREAM; context.lineWidth = 3; context.beginPath();
  const px = (x + .5)*scale, py = (y + .5)*scale, arm = 1.2*scale;
  context.moveTo(px - arm, py); context.lineTo(px + arm, py); context.moveTo(px, py - arm); context.lineTo(px, py + arm); context.stroke();
}
