// The demo page: one logo, one model, one monitor, and the controls. The networks are model.js, the pictures stage.js.
import {Model, Monitor, Reality, atCorner, centroid, render, trueCorner, unpack} from "./model.js";
import {Stage, dreamCaption, words} from "./stage.js";

const SPEEDS = [2, 5, 10, 15, 30, 60], WITHIN = 1000, LOOKS = 10;   // frames a second; frames that the oracle looks ahead, and so many of them in one frame's time
const AHEAD = [10, 30, 100, 1_000, 10_000, 100_000, 1_000_000];
const $ = id => document.getElementById(id), count = n => n.toLocaleString("en");
const grey = frame => Uint8Array.from(frame, x => Math.round(255*Math.min(1, Math.max(0, x))));

async function load(name) {
  const get = async file => { const answer = await fetch(`weights/${name}.${file}`); if (!answer.ok) throw new Error(`weights/${name}.${file}: ${answer.status}`); return answer; };
  const [about, numbers] = await Promise.all([get("json").then(a => a.json()), get("bin").then(a => a.arrayBuffer())]);
  return new Model(about, await unpack(numbers));
}

// When will the dream hit a corner? Asked a few frames at a time, so that nobody waits.
class Oracle {
  constructor(model, z, now) { Object.assign(this, {model, start: z, z, k: 0, now, found: undefined}); }
  look() {
    for (let i = 0; i < LOOKS && this.found === undefined; i++) {
      this.k++;
      this.z = this.model.rotor ? this.model.predict(this.start, this.k) : this.model.predict(this.z);
      if (atCorner(this.model.world, centroid(this.model.world, this.model.decode(this.z)))) this.found = this.now + this.k;
      else if (this.k >= WITHIN) this.found = null;
    }
  }
}

class Show {
  constructor(stage, model, random) {
    Object.assign(this, {stage, model, monitor: new Monitor(model), reality: new Reality(model.world, random), t: 0, closed: null, far: null});
    stage.clear();
    stage.caption("reality", "Reality");
    for (let i = 0; i < model.context + 1; i++) this.last = this.monitor.update(this.now = this.reality.next().frame);
    this.ask();
  }
  ask() {
    const left = trueCorner(this.reality, WITHIN);
    Object.assign(this, {oracle: new Oracle(this.model, this.last.z, this.t), truly: left === null ? null : this.t + left, asked: this.t});
  }
  // one frame
  next() {
    const {model} = this, open = $("eyes").checked, {frame, struck, corner} = this.reality.next();
    this.now = frame;
    this.t++;
    if (!open && !this.closed) this.closed = {start: this.last.z, z: this.last.z, count: 0};
    if (!open) this.waking = false;
    else if (this.closed && !this.waking) { this.monitor.skip(); this.waking = true; }
    const look = open ? this.monitor.update(frame) : null, awake = look !== null && look.score !== null;   // it dreams on until it has seen enough to expect anything
    const seen = awake ? look : null, dreamed = awake ? seen.foreseen : this.asleep();
    if (awake) { this.last = seen; this.closed = null; this.waking = false; }
    if (struck) this.struckAt = this.t;
    this.oracle.look();
    const broken = this.struckAt !== undefined && this.t <= this.struckAt + 70 && this.t % 10 === 0, used = x => x !== null && x !== undefined && x < this.t;
    if (awake && (broken || used(this.truly) || used(this.oracle.found) || this.t > this.asked + WITHIN/2)) this.ask();
    const draw = $("decoder").checked, picture = draw || !awake ? model.decode(dreamed) : null, left = x => x === null || x === undefined ? x : x < this.t ? null : x - this.t;
    this.moment = {t: this.t, reality: grey(frame), dream: draw ? grey(picture) : null, z: Array.from(dreamed), seen: awake ? Array.from(seen.z) : null, score: awake ? seen.score : null,
                   alarm: awake && seen.alarm, lost: awake && seen.lost, struck, corner, told: left(this.oracle.found), truly: left(this.truly),
                   shut: awake ? 0 : this.closed.count, off: awake ? null : this.off(picture, this.reality.state.p)};
    this.stage.caption("dream", dreamCaption(this.moment, draw));
    this.stage.show(this.moment, model.threshold);
    this.stage.tell(this.moment);
  }
  asleep() {
    const c = this.closed, {model} = this;
    c.count++;
    c.z = model.rotor ? model.predict(c.start, c.count) : model.predict(c.z);
    return c.z;
  }
  off(picture, p) { const at = centroid(this.model.world, picture); return Math.hypot(at[0] - p[0], at[1] - p[1]); }
  // reality stands still, the latent rolls on, then both are compared
  rush(n) {
    const steps = [...new Set([...Array.from({length: Math.min(n, 60)}, (_, i) => i + 1), ...Array.from({length: Math.min(n, 30)}, (_, i) => n - Math.min(n, 30) + 1 + i)])].sort((a, b) => a - b);
    const {rotor} = this.model, from = this.closed ? rotor ? this.closed.start : this.closed.z : this.last.z, past = this.closed && rotor ? this.closed.count : 0;   // what it dreams of now
    let z = from, k = 0;
    const path = steps.map(s => { z = rotor ? this.model.predict(from, past + s) : this.model.predict(z, s - k); k = s; return z; }), twin = this.reality.copy();
    for (let i = 0; i < n; i++) twin.move();
    this.far = {n, steps, path, at: calm ? steps.length - 2 : -1, frozen: grey(this.now), real: render(this.model.world, twin.state.p), p: twin.state.p};
  }
  rushOn(seconds) {
    const f = this.far, before = Math.floor(f.at);
    f.at = Math.min(f.steps.length - 1, f.at + seconds*Math.max(12, f.steps.length/4));
    if (Math.floor(f.at) === before) return;
    this.drawFar();
  }
  drawFar() {
    const f = this.far, i = Math.max(0, Math.floor(f.at)), done = i === f.steps.length - 1, picture = this.model.decode(f.path[i]);
    this.stage.caption("reality", done ? `Reality · frame ${count(this.t + f.n)}` : `Reality · frozen at frame ${count(this.t)}`);
    this.stage.caption("dream", `Dream · ${count(f.steps[i])} ahead`);
    this.stage.screens(done ? grey(f.real) : f.frozen, $("decoder").checked ? grey(picture) : null);
    this.stage.latent(Array.from(f.path[i]), null);
    const mse = x => x.reduce((sum, v, j) => sum + (v - f.real[j])**2, 0)/x.length;
    this.stage.say(done ? `${count(f.n)} frames ahead the dream is ${this.off(picture, f.p).toFixed(2)} px off. Mean square error ${mse(picture).toFixed(4)}; a black frame would have ${mse(f.real.map(() => 0)).toFixed(4)}.`
                        : `Reality stands still; the dream goes on, step ${count(f.steps[i])} of ${count(f.n)}.`);
    this.stage.root.dataset.ahead = f.steps[i];
  }
  wake() { this.far = null; this.stage.say(""); this.redraw(); }
  // the moment as it was, under the switches as they are now
  redraw() {
    const m = this.moment, drawn = $("decoder").checked;
    this.stage.caption("reality", "Reality");
    this.stage.caption("dream", dreamCaption(m, drawn));
    this.stage.screens(m.reality, drawn ? grey(this.model.decode(Float32Array.from(m.z))) : null);
    this.stage.latent(m.z, m.seen);
  }
}

const stage = new Stage($("stage")), models = {}, calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
let show = null, playing = !calm, last = performance.now(), credit = 0;

async function start() {
  const name = $("weights").value;
  try { models[name] ??= await load(name); }
  catch (error) {
    stage.say(`The weights ${name} can't be loaded (${error.message}). Is the page served, and not opened as a file?`);
    if (show) $("weights").value = Object.keys(models).find(other => models[other] === show.model);
    return;
  }
  if ($("weights").value !== name) return;   // another choice was made while these came
  show = new Show(stage, models[name]);
  offer(models[name].violations);
  const most = models[name].rotor ? AHEAD.length : 4;
  $("ahead").replaceChildren(...AHEAD.slice(0, most).map(n => new Option(count(n), n, n === 100, n === 100)));
  stage.caption("unit", `times the usual, log scale · dashed: the threshold, for ${1000*models[name].about.false_alarms} false alarm in 1,000 clean frames`);
  stage.caption("latent", `Latent · ${models[name].dim} numbers`);
  show.next();
  if (!playing) stage.say(calm ? "Paused, as your system asks for less motion. Press Play to watch." : "Paused.");
  buttons();
}

// the ways in which this world can break; what was chosen stays chosen
function offer(violations) {
  const kind = $("kind").value, magnitude = $("magnitude").value;
  const choices = Object.keys(violations).map(k => new Option(k, k, k === kind, k === kind));
  $("kind").replaceChildren(...choices);
  tell();
  const same = [...$("magnitude").options].find(option => option.value === magnitude);
  if ($("kind").value === kind && same) same.selected = true;
}

function tell() {
  const kind = $("kind").value, v = show.model.violations[kind], usual = m => m === v.default;
  $("says").textContent = `The logo: it ${v.says}.`;
  $("inject").textContent = `Inject ${kind}`;
  const choices = v.magnitudes.map(m => new Option(`${m} ${v.unit}`, m, usual(m), usual(m)));
  $("magnitude").replaceChildren(...choices);
}

function buttons() {
  $("play").textContent = playing ? "Pause" : "Play";
  $("dream").textContent = show?.far ? "Wake up" : "Dream";
  $("inject").disabled = Boolean(show?.far);
  $("inject").textContent = `Inject ${$("kind").value}`;
  $("play").disabled = Boolean(show?.far);
  $("speed-says").textContent = SPEEDS[$("speed").value];
}

function tick(now) {
  const seconds = Math.min(.25, (now - last)/1000);
  last = now;
  if (show?.far) show.rushOn(seconds);
  else if (show && playing) {
    credit = Math.min(4, credit + seconds*SPEEDS[$("speed").value]);
    for (; credit >= 1; credit--) show.next();
  }
  requestAnimationFrame(tick);
}

const doings = {
  play: () => { playing = !playing; stage.say(""); },
  new: () => { show = new Show(stage, show.model); show.next(); },
  inject: () => {
    show.reality.strike($("kind").value, Number($("magnitude").value));
    if (playing) return;
    show.next();
    stage.say(show.reality.wanted ? "It waits for a moment in mid-air. Press Play." : `One frame on. ${words(show.moment)} Press Play to see the rest.`);
  },
  dream: () => {
    if (show.far) show.wake();
    else if (show.reality.brokenFor) stage.say(`Reality is broken: what it would show is no test of the dream. It will be mended in ${show.reality.brokenFor} frames.`);
    else show.rush(Number($("ahead").value));
  },
};
for (const [id, doing] of Object.entries(doings)) $(id).onclick = () => { if (show) { doing(); buttons(); } };
$("weights").onchange = start;
$("speed").oninput = buttons;
$("decoder").onchange = () => { if (show?.far) show.drawFar(); else if (!playing && show?.moment) show.redraw(); };
$("eyes").onchange = () => { if (!playing && !show?.far) stage.say(`From the next frame on its eyes are ${$("eyes").checked ? "open" : "shut"}. Press Play.`); };
$("kind").onchange = tell;
addEventListener("keydown", event => {
  if (!$("keys").checked || event.repeat || event.target.closest("select") || event.metaKey || event.ctrlKey || event.altKey) return;   // in a list, letters choose
  const id = {" ": "play", n: "new", i: "inject", d: "decoder", e: "eyes"}[event.key.toLowerCase()];
  if (!id || (event.key === " " && event.target.closest("button, [type=checkbox]"))) return;
  event.preventDefault();
  $(id).click();
});
requestAnimationFrame(tick);
start();
