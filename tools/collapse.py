"""The grid of study 20: every way to keep latents from collapsing.

On two worlds, over five training seeds. Runs that are done are kept; a stop loses those that
were going."""
import argparse
import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
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
# Of the published recipe's 256, 2,500 and 2,000.
BUDGET = dict(batch=128, steps=1200, decoder_steps=600, probe_steps=0)
SEEDS = range(5)
EPISODES, STEPS = 300, 60                  # held-out episodes, and how far they are dreamed
LOOKS, SEEN = (0, 50, 150, 400, 1200), 120 # steps at which so many observations are drawn
ASKED = dict(episodes=EPISODES, steps=STEPS, seed=TEST_SEED, seen=SEEN, looks=list(LOOKS))
STATES = "y", "x", "vy", "vx", "|vy|", "|vx|"

# Asked up to 96 frames ahead, of a predictor that never changes most of the latents: a model
# without a position can answer that well. One change at a time: the term, and the contrast of
# the recipe varied.
_far = replace(
    RECIPES["varied"], recipe="collapse study, far", contrast_weight=0., variance_weight=1.,
    targets=1, episodes=400, length=224, lags=96, reach=50., batch=128, steps=1500,
    decoder_steps=600, probe_steps=0)
FAR = {"far, ema+var": _far,
       "far, ema+vicreg": replace(_far, anti_collapse="ema+vicreg"),
       "far, ema+var, contrast": replace(_far, contrast_weight=1.)}


def jobs():
    """Name → (config, world).

    The grid, one change at a time; then the runs that std and rank call healthy."""
    base = replace(Config(), recipe="collapse study", **BUDGET)
    grid = {f"{how}, {world}, {seed}": (replace(base, anti_collapse=how, seed=seed), world)
            for seed in SEEDS for world in ("classic", "varied") for how in ANTI_COLLAPSE}
    far = {f"{how}, varied, {seed}": (replace(config, seed=seed), "varied")
           for seed in SEEDS for how,config in FAR.items()}
    return grid | far


class Looks:
    "Where the latents of the same few observations lie as training goes on, on two main axes."
    def __init__(self, model):
        self.model = model
        self.pictures = []
        k = model.context
        frames, self.states = simulate(home_of(model), SEEN, k, TEST_SEED)
        self.frames = frames[:, :k]
        self.take(0)

    def take(self, step):
        z = self.model.encode(self.frames)[:, 0].double()
        z = z - z.mean(0)
        at = z @ torch.linalg.svd(z, full_matrices=False).Vh[:2].T
        self.pictures.append(dict(step=step, std=short(z.std(0).mean()),
                                  at=at.mul(100).round().int().tolist()))

    def __call__(self, step):
        if step.phase == "jepa" and step.step in LOOKS: self.take(step.step)


def short(x): return float(f"{float(x):.4g}")

def as_kept(config): return json.loads(json.dumps(flat(config)))   # JSON knows lists only

def with_speeds(states): return torch.cat([states, states[..., 2:].abs()], -1).flatten(0, 1)


def one(config, world):
    "Train one model and ask held-out episodes what became of its latents."
    start = time.perf_counter()
    model, looks, history, said = watched(config, world)
    trained = time.perf_counter()-start
    frames, states = simulate(WORLDS[world], EPISODES, config.context+STEPS, TEST_SEED)
    meter = CollapseMeter(memory=10**9)
    meter.update(model.encode(frames))
    now = meter.read()
    dream = horizon_report(model, n=EPISODES, looks=range(1, STEPS+1))
    r2 = read_by_a_line(model, config, world, frames, states)
    # The last step's encoder; if the goal is not a slow copy, it is the same one.
    model.target.load_state_dict(model.online.state_dict())
    drawn = config.seed == 0 and config.context == 2
    return dict(
        config=as_kept(config), world=world, asked=ASKED, seconds=short(trained), said=said,
        std=short(now.std.mean()), rank=short(now.rank), isotropy=short(now.isotropy),
        r2=r2, r2_online=read_by_a_line(model, config, world, frames, states),
        mse_1=dream["mse"][0], valid_horizon=dream["valid_horizon"],
        history=history, pictures=looks.pictures if drawn else None)

def watched(config, world):
    "A model trained, with its looks, its std and rank by step, and the meter's last word."
    looks, history, said = [], [], []
    def on_model(model): looks.append(Looks(model))
    def on_step(step):
        looks[0](step)
        if step.phase != "jepa": return
        history.append([step.step, short(step.std), short(step.rank)])
        said.append(step.diagnosis)
    model = fit(config, WORLDS[world], on_model=on_model, on_step=on_step)
    return model, looks[0], history, said[-1]

def read_by_a_line(model, config, world, frames, states):
    "What a line, fitted on training episodes, reads of each state that varies, R²."
    first = config.context-1
    known, truth = training_sample(WORLDS[world], config)
    line = ridge(model.encode(known).flatten(0, 1), with_speeds(truth[:, first:]), 1e-6)
    y = with_speeds(states[:, first:])
    errors = (line(model.encode(frames).flatten(0, 1))-y).square().mean(0)
    variances = y.var(0, correction=0)
    told = zip(STATES, errors, variances)
    return {name: short(1-error/variance) for name,error,variance in told if variance > 1e-6}


def meter_cost():
    """Share of a training's time that the meter takes, the median of three rounds.

    In each it is fed and read twelve times as often, too; what that adds is divided by
    eleven."""
    seconds(1)
    rounds = [(seconds(1), seconds(12)) for _ in range(3)]
    return short(sorted((often-once)/11/once for once,often in rounds)[1])

def seconds(times, steps=300):
    "How long a training takes whose meter is fed and read `times` times as often."
    class Often(CollapseMeter):
        def update(self, z, labels=None):
            for _ in range(times): super().update(z, labels)
        def read(self): return [super(Often, self).read() for _ in range(times)][-1]
    plain = train_module.CollapseMeter
    train_module.CollapseMeter = Often
    start = time.perf_counter()
    try: fit("classic", steps=steps, decoder_steps=0, probe_steps=0, on_step=lambda step: None)
    finally: train_module.CollapseMeter = plain
    return time.perf_counter()-start


def write_lines(about, runs):
    "One run a line, so that a change of one can be seen."
    compact = dict(separators=(",", ":"))
    lines = [f"{json.dumps(name)}: {json.dumps(run, **compact)}" for name,run in runs.items()]
    text = json.dumps(about)[:-1] + ', "runs": {\n' + ",\n".join(lines) + "\n}}\n"
    with atomic_write(KEPT) as tmp: tmp.write_text(text, encoding="utf-8")

def same(run, config, world):
    "Is this kept run what is wanted?"
    return (run["config"], run["world"], run.get("asked")) == (as_kept(config), world, ASKED)


def main(workers, again=False):
    "Run what is not kept yet, and keep each result at once."
    kept = {}
    if KEPT.is_file() and not again: kept = json.loads(KEPT.read_text(encoding="utf-8"))
    wanted = jobs()
    runs = kept.get("runs", {})
    done = {name: run for name,run in runs.items() if name in wanted and same(run, *wanted[name])}
    cost = kept.get("meter_cost") or meter_cost()
    before = len(done)
    earlier = kept.get("data", {}).get("seconds", 0) if done else 0
    start = time.perf_counter()
    def keep():
        took = round(earlier + time.perf_counter()-start)
        data = dict(ASKED, seeds=list(SEEDS), workers=workers, seconds=took)
        in_order = {name: done[name] for name in wanted if name in done}
        write_lines(dict(data=data, meter_cost=cost), in_order)

    left = {name: job for name,job in wanted.items() if name not in done}
    with closing(finished(left, workers)) as results:
        for name,result in results:
            done[name] = result
            keep()
            took = time.perf_counter()-start
            so_far = f"{len(done)} of {len(wanted)}  {took:4.0f} s"
            print(f"{so_far}  {name}: {result['said']}", flush=True)
    if len(done) > before: keep()
    took = time.perf_counter()-start
    print(f"{len(done)-before} runs in {took:.0f} s; kept in {KEPT}")

def finished(jobs, workers):
    "Names and results of jobs, each as soon as it is done; a stop cancels those that wait."
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        going = {pool.submit(one, *job): name for name,job in jobs.items()}
        try:
            for future in as_completed(going): yield going[future], future.result()
        finally: pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1),
                        help="processes that train side by side")
    parser.add_argument("--again", action="store_true", help="forget what is kept")
    main(**vars(parser.parse_args()))
