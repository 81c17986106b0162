"""Study 28: does it get there?

    python tools/act.py        # an hour and a half on one core; what is kept isn't measured again

Five training seeds, everyone who has to be beaten, every way to search, and what it is all good
for: kept in nbs/studies/results/28_act.json. The weights of the seeds lie in runs/act."""
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from dvd_jepa.alarms import conformal_threshold
from dvd_jepa.config import flat
from dvd_jepa.core import one_thread
from dvd_jepa.files import write_json
from dvd_jepa.jepa import digest_of, load
from dvd_jepa.planning import SEARCHERS, Planner
from dvd_jepa.reach import (
    Cloner, Nearest, TruePlanner, Wanderer, arrived, fly, problems, reach_of, reach_report,
    seconds_a_plan)
from dvd_jepa.stats import wilson
from dvd_jepa.train import as_config, fit
from dvd_jepa.world import World, render, step

top = Path(__file__).parent.parent
RESULTS, RUNS = top/"nbs"/"studies"/"results"/"28_act.json", top/"runs"/"act"
N, SEEDS, GOALS = 200, 5, ("anywhere", "corner")
world = World.steerable()


def trained(seed, **changes):
    "The model of one seed, trained if it isn't there yet."
    name = "-".join(["steer", str(seed), *(f"{k}-{v}" for k,v in changes.items())])
    path = RUNS/f"{name}.safetensors"
    if not path.is_file(): fit("steer", seed=seed, **changes).save(path, measure=False)
    return load(path)


def truth():
    "What the true dynamics reach, and the frames that each problem took."
    rows = {}
    for goals in GOALS:
        asked = problems(world, N, goals)
        states = fly(world, TruePlanner(world), asked)
        rows[goals] = dict(reach_of(states, asked), when=arrived(states, asked.goal).tolist())
    return rows


def row_of(policy, goals, best):
    asked = problems(world, N, goals)
    return reach_of(fly(world, policy, asked), asked, best[goals])


def rivals(best):
    config = replace(as_config("steer"), actions=2)
    policies = {"random": Wanderer(), "behaviour cloning": Cloner(world, config),
                "nearest neighbour": Nearest(world, config)}
    return {name: {goals: row_of(policy, goals, best) for goals in GOALS}
            for name,policy in policies.items()}


def one_seed(best, **changes):
    model = trained(**changes)
    report = reach_report(model, world, N, best=best)
    rows = {goals: report[goals]["planner"] for goals in GOALS}
    return dict(rows, weights=digest_of(model), seconds_a_plan=seconds_a_plan(Planner(model)))


def one_searcher(name, best):
    planner = Planner(trained(0), searcher=name)
    return dict(row_of(planner, "anywhere", best), seconds_a_plan=seconds_a_plan(planner))


def one_horizon(horizon, best):
    planner = Planner(trained(0), horizon=horizon)
    return {goals: row_of(planner, goals, best) for goals in GOALS}


def flown(clips, obeys):
    "The same starts and pushes, but each push times `obeys` from frame 32 on."
    p, v = (clips.states[:, 0, i:i+2].numpy() for i in (0, 2))
    frames = [render(world, p)]
    for t,push in enumerate(clips.actions.numpy().swapaxes(0, 1)):
        p, v = step(world, p, v, action=push*(obeys if t >= 32 else 1))
        frames.append(render(world, p))
    return torch.from_numpy(np.stack(frames, 1))


def surprise():
    "Steering is no alarm; thrusters that disobey are."
    model, calm, test = trained(0), world.clips("calibrate", 1000), world.clips("test", 500)
    threshold = conformal_threshold(model.surprise(calm.frames, actions=calm.actions), 1e-3)
    def rings(frames, actions): return model.surprise(frames, actions=actions) > threshold

    judged = slice(model.unjudged, None)
    clean, untold = (rings(test.frames, a)[:, judged].float() for a in (test.actions, None))
    rows = dict(asked_per_1000=1., clean_frames=clean.numel(),
                measured_per_1000=1000*clean.mean().item(),
                untold_per_1000=1000*untold.mean().item())
    for name,obeys in {"dead": 0., "reversed": -1., "half": .5}.items():
        rang = rings(flown(test, obeys), test.actions)
        rows[name] = dict(episodes=len(rang))
        for k in (1, 4, 16):
            heard = int(rang[:, 33:33+k].any(1).sum())
            interval = wilson(heard, len(rang))
            rows[name] |= {f"within_{k}": heard, f"within_{k}_interval": interval}
    return rows


def main():
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    RUNS.mkdir(parents=True, exist_ok=True)

    def once(name, measure, *args, **changes):
        if name in kept: return
        print(f"measuring {name}", flush=True)
        with one_thread(): kept[name] = measure(*args, **changes)
        write_json(RESULTS, kept)

    once("config", lambda: dict(flat(as_config("steer")), episodes_judged=N, seeds=SEEDS))
    once("truth", truth)
    best = {goals: np.array(kept["truth"][goals]["when"]) for goals in GOALS}
    for seed in range(SEEDS): once(f"seed {seed}", one_seed, best, seed=seed)
    once("rivals", rivals, best)
    once("surprise", surprise)
    for horizon in (8, 24): once(f"horizon {horizon}", one_horizon, horizon, best)
    for seed in range(3):
        once(f"no inverse dynamics, seed {seed}", one_seed, best, seed=seed, inverse_weight=0.)
    for name in ("icem", "gradient"): once(f"searcher {name}", one_searcher, name, best)
    for seed in range(3): once(f"one step, seed {seed}", one_seed, best, seed=seed, rollout=1)
    for horizon in (4, 12): once(f"horizon {horizon}", one_horizon, horizon, best)
    for name in set(SEARCHERS) - {"newton"}: once(f"searcher {name}", one_searcher, name, best)


if __name__ == "__main__": main()
