"""Trains one model in a process of its own, so that browser sessions don't disturb each other.

`python trainer.py FOLDER`, where FOLDER holds job.json."""
import json
import os
import sys
from pathlib import Path

import torch
from dvd_jepa.rivals import training_sample
from dvd_jepa.stats import ridge
from dvd_jepa.train import fit, home_of
from dvd_jepa.world import WORLDS, simulate

# Seed of the episodes that are looked at while it trains; no training, calibration or test
# draws from it.
SEEN = 3_000_000
STEPS = 30


class Look:
    "How far off are the dreams of the model as it is now, read by a line?"
    def __init__(self, model):
        self.model = model
        world, k = home_of(model), model.context
        frames, states = training_sample(world, model.config)
        self.frames = frames[:60]
        self.states = states[:60, k-1:]
        self.new, states = simulate(world, 100, k+STEPS, SEEN)
        self.truth = states[:, k:, :2]

    @torch.no_grad()
    def __call__(self):
        z = self.model.encode(self.frames)
        read = ridge(z.flatten(0, 1), self.states.flatten(0, 1)[:, :2], 1e-6)
        told = read(self.model.dream(self.new[:, :self.model.context], STEPS))
        off = (told-self.truth).norm(dim=-1).mean(0)
        return dict(off={str(k): round(off[k-1].item(), 4) for k in (1, 10, STEPS)},
                    dreamed=told[0].clamp(-3, 20).tolist(), true=self.truth[0].tolist())


def run(folder):
    "Train what job.json asks for; progress.jsonl tells how it goes, a line a report."
    job = json.loads((folder/"job.json").read_text(encoding="utf-8"))
    log = open(folder/"progress.jsonl", "a", encoding="utf-8", buffering=1)
    looks = []
    def on_model(model): looks.append(Look(model))
    def on_step(step):
        line = step._asdict() | (looks[0]() if step.phase == "jepa" else {})
        log.write(json.dumps(line) + "\n")
    world = WORLDS[job["world"]]
    model = fit(job["recipe"], world, job["seed"], on_step, on_model, **job["changes"])
    model.save(folder/"model.safetensors")


if __name__ == "__main__":
    if hasattr(os, "nice"): os.nice(10)   # whoever watches a page goes first
    folder = Path(sys.argv[1])
    try: run(folder)
    except (ValueError, ArithmeticError, OSError) as e:
        (folder/"error.txt").write_text(str(e), encoding="utf-8")
        sys.exit(1)
