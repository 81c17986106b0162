// Plays what Python sends in chunks: queues frames by their number, shows them at an even pace, and forgets what it has shown.
// (The drawing is nbs/demo/stage.js, which is put before this file.)

const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const latents = (text, dim) => { const all = new Int16Array(bytes(text).buffer); return Array.from({length: all.length/dim}, (_, i) => Array.from(all.subarray(i*dim, (i + 1)*dim), v => v/1000)); };
const pictures = (text, area) => { const all = bytes(text); return Array.from({length: all.length/area}, (_, i) => all.subarray(i*area, (i + 1)*area)); };

class Player {
  constructor(root) { Object.assign(this, {root, stage: new Stage(root), queue: new Map(), epoch: null, next: null, credit: 0, last: performance.now()}); }

  feed(data) {
    if (data.epoch !== this.epoch) { this.queue.clear(); this.stage.clear(); this.next = null; this.epoch = data.epoch; }
    const reality = pictures(data.reality, data.area), dream = data.dream && pictures(data.dream, data.area), z = latents(data.z, data.dim), seen = latents(data.seen, data.dim);
    data.moments.forEach((m, i) => {
      if (this.next === null || m.t >= this.next) this.queue.set(m.t, {...m, reality: reality[i], dream: dream && dream[i], z: z[i], seen: m.shut ? null : seen[i]});
    });
    if (this.next === null && data.moments.length) this.next = data.moments[0].t;
    if (data.playing === false && this.data?.playing) this.hasten = true;   // nobody waits for what lies in the queue
    const redraw = this.data && this.data.draw !== data.draw;
    this.data = data;
    const unit = `times the usual, log scale · dashed: ${data.promise}`;
    this.stage.caption("unit", unit);
    if (!data.ahead) { this.ahead = null; this.stage.caption("reality", "Reality"); }
    else if (data.ahead.id !== this.ahead?.id) this.ahead = {...data.ahead, pictures: data.ahead.dream && pictures(data.ahead.dream, data.area), z: latents(data.ahead.z, data.dim), at: -1};
    if (redraw && this.ahead) { this.ahead.told = false; this.dreamAhead(0); }
    else if (redraw && this.current) this.paint(this.current);
  }

  tick(now) {
    const seconds = Math.min(.25, (now - this.last)/1000);
    this.last = now;
    if (!this.data) return;
    if (this.ahead) return this.dreamAhead(seconds);
    if (!this.data.playing && !this.hasten) return;
    const newest = Math.max(...this.queue.keys()), wanted = .7*this.data.fps;
    if (newest - this.next > 3*this.data.fps) {              // a page that was hidden has missed what came: it goes on where things are now
      this.next = Math.round(newest - wanted);
      for (const t of this.queue.keys()) if (t < this.next) this.queue.delete(t);
    }
    const waiting = [...this.queue.keys()].filter(t => t >= this.next).length;
    this.credit = Math.min(4, this.credit + seconds*this.data.fps*(1 + .25*Math.max(-1, Math.min(1, (waiting - wanted)/wanted))));
    if (this.hasten) { this.hasten = false; this.queue.clear(); return; }
    while (this.credit >= 1) {
      this.credit -= 1;
      if (!this.queue.has(this.next)) { const later = [...this.queue.keys()].filter(t => t > this.next); if (later.length) this.next = Math.min(...later); else { this.credit = 0; return; } }
      const moment = this.queue.get(this.next);
      this.queue.delete(this.next);
      this.next = moment.t + 1;
      this.current = moment;
      this.paint(moment, true);
    }
  }

  paint(m, live = false) {
    const shown = this.data.draw ? m : {...m, dream: null};
    this.stage.caption("dream", dreamCaption(m, shown.dream));
    this.stage.caption("latent", `Latent · ${m.z.length} numbers`);
    if (live) this.stage.show(shown, this.data.threshold); else this.stage.screens(shown.reality, shown.dream);
    if (live) this.stage.tell(m);
  }

  dreamAhead(seconds) {
    const a = this.ahead, before = Math.floor(a.at);
    a.at = Math.min(a.steps.length - 1, a.at + seconds*Math.max(12, a.steps.length/4));   // four seconds, or faster
    if (Math.floor(a.at) === before && a.told) return;   // told: the end was shown
    const i = Math.max(0, Math.floor(a.at)), done = i === a.steps.length - 1, draw = this.data.draw && a.pictures;
    this.stage.caption("reality", done ? `Reality · frame ${(a.from + a.n).toLocaleString("en")}` : `Reality · frozen at frame ${a.from.toLocaleString("en")}`);
    this.stage.caption("dream", `Dream · ${a.steps[i].toLocaleString("en")} ahead`);
    this.stage.screens(bytes(done ? a.final : a.frozen), draw ? a.pictures[i] : null);
    this.stage.latent(a.z[i], null);
    a.told = done;
    this.stage.root.dataset.ahead = a.steps[i];
    this.stage.say(done ? a.says : `Reality stands still; the dream goes on, step ${a.steps[i].toLocaleString("en")} of ${a.n.toLocaleString("en")}.`);
  }
}

class Looper {
  constructor(root) { this.root = root; this.last = performance.now(); }
  feed(data) {
    if (data.id === this.id) return;
    this.id = data.id;
    this.clips = new Clips(this.root, data.panels.map(p => ({...p, frames: bytes(p.frames)})), data);
  }
  tick(now) { this.clips?.tick(Math.min(.25, (now - this.last)/1000)); this.last = now; }
}

window.dvdJepa = ({parentElement, data}) => {
  const root = parentElement.querySelector(".stage");
  if (!root.player) {
    root.player = data.panels ? new Looper(root) : new Player(root);
    const loop = now => { if (!root.isConnected) { root.player = null; return; } root.player.tick(now); requestAnimationFrame(loop); };
    requestAnimationFrame(loop);
  }
  root.player.feed(data);
};

export default () => {};
