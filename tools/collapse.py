"The grid of study 20: every way to keep latents from collapsing, on two worlds, over five training seeds. Runs that are done are kept; a stop loses those that were going."
import argparse
import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")   # each process trains on one thread

import dvd_jepa.train as train_module
import torch
from dvd_jepa.config import ANTI_COLLAPSE, Config, flat
from dvd_jepa.core import TEST_SEED
from dvd_jepa.files import atomic_write
from dvd_jepa.horizons import horizon_report
from dvd_jepa.losses import CollapseMeter
from dvd_jepa.rivals import training_sample
from dvd_jepa.stats import ridge
from dvd_jepa.train import RECIPES, fit, home_of
from dvd_jepa.world import WORLDS, simulate

KEPT = Path(__file__).parent.parent/"nbs"/"studies"/"results"/"20_collapse.json"
BUDGET = dict(batch=128, steps=1200, decoder_steps=600, probe_steps=0)                  # of the published recipe's 256, 2,500 and 2,000
SEEDS, STEPS, EPISODES, LOOKS, SEEN = range(5), 60, 300, (0, 50, 150, 400, 1200), 120   # LOOKS: steps at which SEEN observations are drawn

# Asked up to 96 frames ahead, of a predictor that never changes most of the latents: a question that a model without a position can answer well.
# One change at a time: the term, and the contrast of the recipe varied.
_far = replace(RECIPES["varied"], recipe="collapse study, far", contrast_weight=0., variance_weight=1., targets=1, episodes=400, length=224, lags=96, reach=50., batch=128, steps=1500, decoder_steps=600, probe_steps=0)
FAR = {"far, ema+var": _far, "far, ema+vicreg": replace(_far, anti_collapse="ema+vicreg"), "far, ema+var, contrast": replace(_far, contrast_weight=1.)}
ASKED = dict(episodes=EPISODES, steps=STEPS, seed=TEST_SEED, seen=SEEN, looks=list(LOOKS))


def jobs():
    "Name → (config, world): the grid, one change at a time; then the runs that std and rank call healthy."
    base, worlds = replace(Config(), recipe="collapse study", **BUDGET), ("classic", "varied")
    grid = {f"{how}, {world}, {seed}": (replace(base, anti_collapse=how, seed=seed), world) for seed in SEEDS for world in worlds for how in ANTI_COLLAPSE}
    return grid | {f"{how}, varied, {seed}": (replace(config, seed=seed), "varied") for seed in SEEDS for how,config in FAR.items()}


class Looks:
    "Where the latents of the same few observations lie as training goes on, on their two main axes."
    def __init__(self, model):
        self.model, self.pictures, k = model, [], model.context
        frames, self.states = simulate(home_of(model), SEEN, k, TEST_SEED)
        self.frames = frames[:, :k]
        self.take(0)

    def take(self, step):
        z = self.model.encode(self.frames)[:, 0].double()
        z = z - z.mean(0)
        self.pictures.append(dict(step=step, std=short(z.std(0).mean()), at=(z @ torch.linalg.svd(z, full_matrices=False).Vh[:2].T).mul(100).round().int().tolist()))

    def __call__(self, step):
        if step.phase == "jepa" and step.step in LOOKS: self.take(step.step)


def short(x): return float(f"{float(x):.4g}")
def as_kept(config): return json.loads(json.dumps(flat(config)))   # JSON knows lists only

def one(config, world):
    "Train one model and ask held-out episodes what became of its latents."
    start, looks, history, k = time.perf_counter(), [], [], config.context
    def on_step(step):
        looks[0](step)
        if step.phase == "jepa": history.append([step.step, short(step.std), short(step.rank)]); looks[0].said = step.diagnosis
    model = fit(config, WORLDS[world], on_model=lambda model: looks.append(Looks(model)), on_step=on_step)
    trained, meter = time.perf_counter()-start, CollapseMeter(memory=10**9)
    known, truth = training_sample(WORLDS[world], config)
    frames, states = simulate(WORLDS[world], EPISODES, k+STEPS, TEST_SEED)
    z, y = model.encode(frames), with_speeds(states[:, k-1:])
    meter.update(z)
    now, dream = meter.read(), horizon_report(model, n=EPISODES, looks=range(1, STEPS+1))
    def read():
        "What a line reads of each state that varies, R²."
        line = ridge(model.encode(known).flatten(0, 1), with_speeds(truth[:, k-1:]), 1e-6)
        errors, variances = (line(model.encode(frames).flatten(0, 1))-y).square().mean(0), y.var(0, correction=0)
        return {name: short(1-e/v) for name,e,v in zip(STATES, errors, variances) if v > 1e-6}
    r2 = read()
    model.target.load_state_dict(model.online.state_dict())   # the last step's encoder; where the goal is not a slow copy, it is the same one
    return dict(config=as_kept(config), world=world, asked=ASKED, seconds=short(trained), said=looks[0].said, std=short(now.std.mean()), rank=short(now.rank), isotropy=short(now.isotropy),
                r2=r2, r2_online=read(), mse_1=dream["mse"][0], valid_horizon=dream["valid_horizon"], history=history, pictures=looks[0].pictures if config.seed == 0 and k == 2 else None)

STATES = "y", "x", "vy", "vx", "|vy|", "|vx|"
def with_speeds(states): return torch.cat([states, states[..., 2:].abs()], -1).flatten(0, 1)


def meter_cost(steps=300):
    "Share of a training's time that the meter takes, in one run: it is fed and read twelve times as often, and what that adds is divided by eleven."
    def seconds(times):
        class Often(CollapseMeter):
            def update(self, z, labels=None):
                for _ in range(times): super().update(z, labels)
            def read(self): return [super(Often, self).read() for _ in range(times)][-1]
        plain, train_module.CollapseMeter, start = train_module.CollapseMeter, Often, time.perf_counter()
        try: fit("classic", steps=steps, decoder_steps=0, probe_steps=0, on_step=lambda step: None)
        finally: train_module.CollapseMeter = plain
        return time.perf_counter()-start
    seconds(1)
    rounds = [(seconds(1), seconds(12)) for _ in range(3)]
    return short(sorted((often-once)/11/once for once,often in rounds)[1])


def write_lines(about, runs):
    "One run a line, so that a change of one can be seen."
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(run, separators=(',', ':'))}" for name,run in runs.items())
    with atomic_write(KEPT) as tmp: tmp.write_text(json.dumps(about)[:-1] + ', "runs": {\n' + lines + "\n}}\n", encoding="utf-8")


def same(run, config, world):
    "Is this kept run what is wanted?"
    return (run["config"], run["world"], run.get("asked")) == (as_kept(config), world, ASKED)

def main(workers, again=False):
    "Run what is not kept yet, and keep each result at once."
    kept = {} if again or not KEPT.is_file() else json.loads(KEPT.read_text(encoding="utf-8"))
    wanted = jobs()
    runs = kept.get("runs", {})
    done = {name: r for name,r in runs.items() if name in wanted and same(r, *wanted[name])}
    cost = kept.get("meter_cost") or meter_cost()
    start, before, earlier = time.perf_counter(), len(done), kept.get("data", {}).get("seconds", 0) if kept and kept.get("runs") else 0
    def keep(): write_lines(dict(data=dict(ASKED, seeds=list(SEEDS), workers=workers, seconds=round(earlier*(before > 0) + time.perf_counter()-start)), meter_cost=cost), {name: done[name] for name in wanted if name in done})
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        going = {pool.submit(one, *job): name for name,job in wanted.items() if name not in done}
        try:
            for future in as_completed(going):
                done[going[future]] = future.result()
                keep()
                print(f"{len(done)} of {len(wanted)}  {time.perf_counter()-start:4.0f} s  {going[future]}: {done[going[future]]['said']}", flush=True)
        finally: pool.shutdown(cancel_futures=True)
    if len(done) > before: keep()
    print(f"{len(done)-before} runs in {time.perf_counter()-start:.0f} s; kept in {KEPT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes that train side by side")
    parser.add_argument("--again", action="store_true", help="forget what is kept")
    main(**vars(parser.parse_args()))
