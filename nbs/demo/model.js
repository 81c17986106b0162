// The world, the networks and the monitor in plain JavaScript: what chapters 11, 12, 20, 30, 40 and 42 do
// in Python, agreeing with them to 1e-5 (see chapter 71).

// erf to the last digits of a double, as exact GELU needs it: a Taylor series where it converges fast, a continued fraction beyond.
export function erf(x) {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 2.5) {
    let term = z, sum = z;
    for (let n = 1; Math.abs(term) > 1e-17*Math.abs(sum) && n < 100; n++) { term *= -z*z/n; sum += term/(2*n + 1); }
    return Math.sign(x)*sum*2/Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 40; n > 0; n--) fraction = n/2/(z + fraction);
  return Math.sign(x)*(1 - Math.exp(-z*z)/Math.sqrt(Math.PI)/(z + fraction));
}

// Exact GELU from a table: linear between 2¹⁴ points in [-8, 8] is off by less than 1e-7, and a hundred times as fast.
const STEPS = 1 << 14, GELU = Float64Array.from({length: STEPS + 1}, (_, i) => { const x = 16*i/STEPS - 8; return x*(1 + erf(x*Math.SQRT1_2))/2; });
export function gelu(x) {
  if (x >= 8) return x;
  if (x <= -8) return 0;
  const at = (x + 8)*STEPS/16, i = Math.floor(at);
  return GELU[i] + (at - i)*(GELU[i + 1] - GELU[i]);
}

const half = bits => { const e = bits >> 10 & 31, m = bits & 1023, s = bits >> 15 ? -1 : 1; return s*(e ? 2**(e - 15)*(1 + m/1024) : 2**-14*m/1024); };
const HALVES = Float32Array.from({length: 1 << 16}, (_, bits) => half(bits));

// Weights are float16, all low bytes before all high ones (so that gzip finds more to squeeze), gzipped. Returns Float32Array.
export async function unpack(gzipped) {
  const stream = new Blob([gzipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = new Uint8Array(await new Response(stream).arrayBuffer()), n = data.length/2;
  return Float32Array.from({length: n}, (_, i) => HALVES[data[i] | data[n + i] << 8]);
}

// weight (out × in, row by row), bias (out); GELU between layers, none after the last.
function through(layers, x) {
  layers.forEach(({weight, bias, n_in, n_out}, depth) => {
    const y = new Float32Array(n_out), last = depth === layers.length - 1;
    for (let o = 0; o < n_out; o++) {
      let sum = bias[o];
      for (let i = 0, at = o*n_in; i < n_in; i++) sum += weight[at + i]*x[i];
      y[o] = last ? sum : gelu(sum);
    }
    x = y;
  });
  return x;
}

export class Model {
  constructor(about, numbers) {
    const {violations, places, rotor, threshold} = about, {context, latent: dim} = about.config;
    const world = {...about.world, violations};
    Object.assign(this, {about, world, violations, places, rotor, threshold, context, dim});
    const cut = ([start, length]) => numbers.subarray(start, start + length);
    this.networks = Object.fromEntries(Object.entries(about.networks).map(([name, layers]) => [name, layers.map(l => ({...l, weight: cut(l.weight), bias: cut(l.bias)}))]));
    const y = about.yardstick;
    this.yardstick = {...y, axes: y.axes && cut(y.axes), mix: cut(y.mix), shift: cut(y.shift)};
  }
  // frames: the last `context` ones, each Float32Array(size²)
  encode(frames) {
    const size = frames[0].length, seen = new Float32Array(this.places.length*size);
    this.places.forEach((place, i) => seen.set(frames[place], i*size));
    return through(this.networks.encoder, seen);
  }
  // k frames ahead; one evaluation for a rotor, however large k is
  predict(z, k = 1) {
    if (!this.rotor) { for (let i = 0; i < k; i++) z = through(this.networks.predictor, z); return z; }
    const turned = Float32Array.from(z), turning = this.rotor.turning;
    const paces = this.rotor.frequencies || Array.from(through(this.networks.frequency, z.subarray(turning)), p => p/10);
    for (let i = 0; i < turning/2; i++) {
      const c = Math.fround(Math.cos(k*paces[i])), s = Math.fround(Math.sin(k*paces[i])), a = z[2*i], b = z[2*i + 1];
      turned[2*i] = a*c - b*s; turned[2*i + 1] = a*s + b*c;
    }
    return turned;
  }
  decode(z) { return through(this.networks.decoder, z).map(x => 1/(1 + Math.exp(-x))); }
  // how far off was that, in units of what is usual at such a moment?
  surprise(expected, came, frame) {
    const y = this.yardstick;
    let off = 0;
    for (let i = 0; i < this.dim; i++) off += (expected[i] - came[i])**2;
    let ratio = off/this.dim/y.latent;
    if (y.axes) {
      const residual = this.decode(expected).map((p, i) => p - frame[i]), n = residual.length, axes = y.axes.length/n;
      let rest = residual.reduce((sum, r) => sum + r*r, 0);
      for (let a = 0; a < axes; a++) { let along = 0; for (let i = 0; i < n; i++) along += y.axes[a*n + i]*residual[i]; rest -= along*along; }
      ratio = (ratio + Math.max(0, rest)/y.beyond)/2;
    }
    const z = Float32Array.from(expected, (v, i) => (v - y.mean[i])/y.std[i]), mixtures = y.shift.length;
    let level = y.level.bias, spread = y.spread.bias;
    for (let f = 0; f < mixtures; f++) {
      let sum = y.shift[f];
      for (let i = 0; i < this.dim; i++) sum += z[i]*y.mix[i*mixtures + f];
      const g = gelu(sum);
      level += g*y.level.weight[f]; spread += g*y.spread.weight[f];
    }
    for (let i = 0; i < this.dim; i++) { level += z[i]*y.level.weight[mixtures + i]; spread += z[i]*y.spread.weight[mixtures + i]; }
    level = Math.min(Math.max(level, y.ends[0]), y.ends[1]);
    spread = Math.min(Math.max(spread/y.typical, .4), 2.5);
    return Math.exp(Math.min((Math.log(Math.max(ratio, 1e-12)) - level)/spread, 80));
  }
}

// Alarms of one stream: as `Monitor` in chapter 42.
export class Monitor {
  constructor(model, patience = 30) { Object.assign(this, {model, patience, threshold: model.threshold}); this.reset(); }
  reset() { Object.assign(this, {frames: [], expected: null, seen: 0, rings: 0, calm: 0, lost: false}); }
  skip() { Object.assign(this, {seen: 0, rings: 0, calm: 0}); }
  update(frame) {
    const {model} = this;
    this.frames.push(frame);
    if (this.frames.length > model.context) this.frames.shift();
    this.seen++;
    while (this.frames.length < model.context) this.frames.unshift(new Float32Array(frame.length));
    const z = model.encode(this.frames), judged = this.seen > model.context, foreseen = this.expected;
    const score = judged ? model.surprise(foreseen, z, frame) : null, high = judged && score > this.threshold;
    if (judged) this.calm = high ? 0 : this.calm + 1;
    const quiet = this.calm >= model.context;
    this.rings = quiet ? 0 : this.rings + (high ? 1 : 0);
    this.lost = (this.lost || this.rings > this.patience) && !quiet;
    this.expected = model.predict(z);
    return {score, alarm: high && !this.lost, lost: this.lost, z, foreseen: judged ? foreseen : null};
  }
}

// ---- the world ----

export function render(world, [y, x], size = 1) {
  const n = world.size, two = 2*(world.sigma*size)**2, frame = new Float32Array(n*n);
  for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) frame[r*n + c] = Math.exp(-((r - y)**2 + (c - x)**2)/two);
  return frame;
}

const f = Math.fround, lo = w => w.margin, hi = w => w.size - 1 - w.margin;

export function step(world, {p, v}, out = 0) {
  const low = f(lo(world) - out), high = f(hi(world) + out), q = [0, 0], u = [0, 0];
  for (const i of [0, 1]) {
    q[i] = f(p[i] + v[i]); u[i] = v[i];
    const under = q[i] < low, over = q[i] > high;
    if (under || over) u[i] = -v[i];
    if (world.reflection === "clip") q[i] = Math.min(Math.max(q[i], low), high);
    else if (under) q[i] = f(2*low - q[i]);
    else if (over) q[i] = f(2*high - q[i]);
  }
  return {p: q, v: u};
}

export const atCorner = (world, p, tolerance = .6) => p.every(x => x <= lo(world) + tolerance || x >= hi(world) - tolerance);

const MENDED = 64;   // frames after which whatever was broken is mended

// One logo that bounces for ever, and can be broken in the ways of `world.violations`: as in chapter 12.
export class Reality {
  constructor(world, random = Math.random) {
    const draw = () => world.start[0] + random()*(world.start[1] - world.start[0]), sign = () => random() < .5 ? -1 : 1;
    const speed = () => world.slowest + random()*(world.fastest - world.slowest);
    Object.assign(this, {world, random, state: {p: [f(draw()), f(draw())], v: [f(sign()*speed()), f(sign()*speed())]}, broken: null, wanted: null});
    this.pace = this.state.v.map(Math.abs);
    this.before = this.state.v;   // the velocity of the last move
  }
  get brokenFor() { return this.wanted ? MENDED : this.broken ? Math.max(0, this.lasts() - this.broken.age) : 0; }   // frames until it is mended
  lasts() { return Math.max(MENDED, this.broken.kind === "freeze" ? this.broken.magnitude : 0); }
  // the same reality, to look into its future
  copy() { return Object.assign(Object.create(Reality.prototype), this, {wanted: null, broken: this.broken && {...this.broken}}); }
  strike(kind, magnitude) { this.wanted = {kind, magnitude}; }
  // the next frame, and what has just broken, if anything has
  next() {
    const struck = this.move();
    return {frame: this.painted(this.broken, this.broken ? this.broken.age : 0), struck, corner: atCorner(this.world, this.state.p)};
  }
  move() {
    const {world} = this, same = v => v.every((x, i) => x === this.state.v[i]);
    const midAir = () => { const a = step(world, this.state), b = step(world, a); return same(this.before) && same(a.v) && same(b.v); };
    let struck = null;
    if (this.wanted && (!world.violations[this.wanted.kind].midAir || midAir())) {
      this.begin(this.wanted); struck = this.wanted.kind; this.wanted = null;
    }
    if (this.broken && this.broken.age >= this.lasts()) this.mend();
    const how = this.broken, age = how ? ++how.age : 0;
    this.before = this.state.v;
    if (!(how && how.kind === "freeze" && age <= how.magnitude)) this.state = step(world, this.state, how && how.kind === "tunnel" ? how.magnitude : 0);
    return struck;
  }
  begin({kind, magnitude: m}) {
    this.mend();
    this.broken = {kind, magnitude: m, age: 0};
    const {p, v} = this.state, {world} = this;
    if (kind === "teleport") {
      const angle = this.random()*Math.PI/2, away = [Math.sin(angle), Math.cos(angle)];
      this.state = {p: p.map((x, i) => f(x + m*away[i]*(x > (lo(world) + hi(world))/2 ? -1 : 1))), v};
    }
    if (kind === "reverse" || kind === "kick") this.state = {p, v: v.map(x => f(x*(kind === "kick" ? m : -m)))};
    if (kind === "swerve") { const a = m*Math.PI/180*(this.random() < .5 ? -1 : 1), c = Math.cos(a), s = Math.sin(a); this.state = {p, v: [f(c*v[0] - s*v[1]), f(s*v[0] + c*v[1])]}; }
    if (kind === "ghost") {   // the farthest of eight, as in chapter 12
      const far = other => Math.hypot(...other.state.p.map((x, i) => x - p[i]));
      this.broken.other = Array.from({length: 8}, () => new Reality(world, this.random)).reduce((a, b) => far(b) > far(a) ? b : a);
    }
  }
  mend() {
    const {world} = this;
    this.broken = null;
    this.state = {p: this.state.p.map(x => Math.min(Math.max(x, lo(world)), hi(world))), v: this.state.v.map((x, i) => x < 0 ? -this.pace[i] : this.pace[i])};
  }
  painted(how, age) {
    const frame = render(this.world, this.state.p, how?.kind === "grow" ? 1 + how.magnitude*age : 1);
    if (how?.kind === "vanish") return frame.map(x => x*(1 - how.magnitude));
    if (how?.kind === "fade") return frame.map(x => x*Math.max(0, 1 - how.magnitude*age));
    if (how?.kind === "ghost") { const other = how.other.next().frame; return frame.map((x, i) => Math.max(x, how.magnitude*other[i])); }
    return frame;
  }
}

// Where the brightness is, on average, corrected for the part of the logo beyond the edge (chapter 30).
export function centroid(world, frame) {
  const n = world.size, sums = [0, 0]; let mass = 0;
  for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) { const x = frame[r*n + c]; mass += x; sums[0] += x*r; sums[1] += x*c; }
  return sums.map(s => unbias(world, s/Math.max(mass, 1e-9)));
}

const tables = new Map();
function unbias(world, found) {
  const key = `${world.size} ${world.sigma}`;
  if (!tables.has(key)) {
    const n = world.size, count = 8*n*16, places = Array.from({length: count}, (_, i) => -4 + i*(n + 7)/(count - 1));
    tables.set(key, [places, places.map(t => { let sum = 0, mass = 0; for (let g = 0; g < n; g++) { const x = Math.exp(-((g - t)**2)/(2*world.sigma**2)); sum += x*g; mass += x; } return sum/mass; })]);
  }
  const [places, seen] = tables.get(key);
  if (found <= seen[0]) return places[0];
  let low = 0, high = seen.length - 1;
  if (found >= seen[high]) return places[high];
  while (high - low > 1) { const middle = low + high >> 1; if (seen[middle] <= found) low = middle; else high = middle; }
  return places[low] + (found - seen[low])/(seen[high] - seen[low])*(places[high] - places[low]);
}

// Frames to the next corner, as the world will have it (null: none within).
export function trueCorner(reality, within) {
  const twin = reality.copy();
  for (let k = 1; k <= within; k++) { twin.move(); if (atCorner(twin.world, twin.state.p)) return k; }
  return null;
}
