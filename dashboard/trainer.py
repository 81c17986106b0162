"Trains one model in a process of its own, so that browser sessions don't disturb each other: `python trainer.py FOLDER`, which holds job.json."
import json
import os
import sys
from pathlib import Path

import torch
from dvd_jepa.rivals import training_sample
from dvd_jepa.stats import ridge
from dvd_jepa.train import fit, home_of
from dvd_jepa.world import WORLDS, simulate

SEEN, STEPS = 3_000_000, 30   # seed of the episodes that are looked at while it trains; no training, calibration or test draws from it


class Look:
    "How far off are the dreams of the model as it is now, read by a line?"
    def __init__(self, model):
        self.model, world, k = model, home_of(model), model.context
        self.frames, self.states = training_sample(world, model.config)
        self.frames, self.states = self.frames[:60], self.states[:60, k-1:]
        self.new, states = simulate(world, 100, k+STEPS, SEEN)
        self.truth = states[:, k:, :2]

    @torch.no_grad()
    def __call__(self):
        z, k = self.model.encode(self.frames), self.model.context
        read = ridge(z.flatten(0, 1), self.states.flatten(0, 1)[:, :2], 1e-6)
        told = read(self.model.dream(self.new[:, :k], STEPS))
        off = (told-self.truth).norm(dim=-1).mean(0)
        return dict(off={str(k): round(off[k-1].item(), 4) for k in (1, 10, STEPS)}, dreamed=told[0].clamp(-3, 20).tolist(), true=self.truth[0].tolist())


def run(folder):
    job, log = json.loads((folder/"job.json").read_text(encoding="utf-8")), open(folder/"progress.jsonl", "a", encoding="utf-8", buffering=1)
    looks = []
    def on_step(s):
        line = s._asdict() | (looks[0]() if s.phase == "jepa" else {})
        log.write(json.dumps(line) + "\n")
    model = fit(job["recipe"], WORLDS[job["world"]], job["seed"], on_step, lambda model: looks.append(Look(model)), **job["changes"])
    model.save(folder/"model.safetensors")


if __name__ == "__main__":
    if hasattr(os, "nice"): os.nice(10)   # whoever watches a page goes first
    folder = Path(sys.argv[1])
    try: run(folder)
    except (ValueError, ArithmeticError, OSError) as e:
        (folder/"error.txt").write_text(str(e), encoding="utf-8")
        sys.exit(1)
