// Runs the demo's networks, world and monitor on golden vectors, and prints the largest differences as JSON: node golden.mjs MODEL.mjs FOLDER
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";
const [modulePath, folder] = process.argv.slice(2);
const parts = await import(pathToFileURL(modulePath).href), {Model, unpack} = parts;
const json = name => JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
const golden = json("golden.json"), model = new Model(json("weights.json"), await unpack(readFileSync(`${folder}/weights.bin`)));
console.log(JSON.stringify(compare(model, golden, parts)));

export function compare(model, golden, {Monitor, Reality, centroid, render, step, trueCorner}) {
  const must = Object.fromEntries(Object.entries(golden.vectors).map(([name, v]) => {
    const all = new Float32Array(Uint8Array.from(atob(v.data), c => c.charCodeAt(0)).buffer), rows = v.shape[0], width = all.length/rows;
    return [name, Array.from({length: rows}, (_, i) => all.subarray(i*width, (i + 1)*width))];
  }));
  const largest = rows => Math.max(...rows.flatMap(row => Array.from(row, Math.abs))), off = {};
  const far = (name, came, expected) => { const unit = largest(expected); off[name] = Math.max(...came.flatMap((row, i) => Array.from(row, (x, j) => Math.abs(x - expected[i][j])/unit))); };
  const k = model.context, z = must.latents.map((_, i) => model.encode(must.frames.slice(i, i + k)));
  far("latents", z, must.latents);
  far("predicted", z.map(x => model.predict(x)), must.predicted);
  if (must.decoded) far("decoded", must.decoded.map((_, i) => model.decode(model.predict(z[10*i]))), must.decoded);
  if (must.far) far("far", must.far.map((_, i) => model.predict(z[50*i], 1_000_000)), must.far);
  far("ahead", must.ahead.map((_, i) => model.predict(z[50*i], 7)), must.ahead);
  if (must.centroids) far("centroids", must.decoded.map(frame => centroid(model.world, frame)), must.centroids);
  let gone = {p: [...must.tunnel[0].subarray(0, 2)], v: [...must.tunnel[0].subarray(2)]};
  far("tunnel", must.tunnel.map((_, i) => { if (i) gone = step(model.world, gone, golden.behind); return [...gone.p, ...gone.v]; }), must.tunnel);
  far("clean", must.clean.map((_, i) => render(model.world, must.states[20*i])), must.clean);
  let state = {p: [...must.states[0].subarray(0, 2)], v: [...must.states[0].subarray(2)]};
  const path = must.states.map((_, i) => { if (i) state = step(model.world, state); return [...state.p, ...state.v]; });
  far("states", path, must.states);
  const monitor = new Monitor(model), readings = must.frames.map(frame => monitor.update(frame));
  const scores = readings.map((r, t) => r.score === null ? NaN : r.score);
  off.unjudged = Number(scores.some((s, t) => Number.isNaN(s) !== Number.isNaN(must.surprise[t][0])));
  const judged = scores.flatMap((s, t) => Number.isNaN(s) ? [] : [[Math.log(s), Math.log(must.surprise[t][0])]]);
  off.surprise = Math.max(...judged.map(([s, m]) => Math.abs(s - m)/Math.max(1, m)));   // a score of millions is a power
  const near = Math.min(...judged.map(([s]) => Math.abs(s - Math.log(model.threshold))));
  const ringing = name => readings.flatMap((r, t) => r[name] ? [t] : []);
  const corners = must.starts.map(s => trueCorner(Object.assign(new Reality(model.world), {state: {p: [...s.subarray(0, 2)], v: [...s.subarray(2)]}}), 300));
  return {off, corners: JSON.stringify(corners) === JSON.stringify(golden.corners), struck: breaks(model, Reality), alarms: String(ringing("alarm").map(Number)) === String(golden.alarms), lost: String(ringing("lost")) === String(golden.lost), count: golden.alarms.length, near, threshold: model.threshold};
}

// Each violation in many realities: does it strike in time and show, and do those in mid-air keep away from walls? Returns what went wrong.
function breaks(model, Reality) {
  const wrong = [], same = (a, b) => a.every((x, i) => x === b[i]);
  const all = Object.entries(model.violations).flatMap(([kind, v]) => v.magnitudes.map(m => [kind, m, v.midAir]));
  for (const [kind, magnitude, midAir] of all) for (let trial = 0; trial < 40; trial++) {
    const reality = new Reality(model.world), path = [];
    for (let t = 0; t < 5 + trial; t++) { path.push(reality.state.v); reality.next(); }
    const twin = reality.copy(), states = [path.at(-1), reality.state.v];
    reality.strike(kind, magnitude);
    let struck = -1, showed = false;
    for (let t = 0; t < 80; t++) {
      const before = twin.state.v, came = reality.next(), clean = twin.next();
      if (came.struck) struck = t;
      if (came.struck && midAir && !same(states.at(-2), states.at(-1))) wrong.push(`${kind} struck right after a wall`);
      states.push(twin.state.v);
      showed ||= came.frame.some((x, i) => x !== clean.frame[i]);
    }
    if (struck < 0 || !showed) wrong.push(`${kind} ${magnitude}: ${struck < 0 ? "never struck" : "never showed"}`);
  }
  return wrong;
}
