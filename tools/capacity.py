"""What each recipe for films costs at each capacity, for chapter 22.

    python tools/capacity.py            # nine settings, each in a process of its own, ten minutes

Steps cost alike from the first to the last, so a hundred are timed and the rest is multiplied. What
comes before and after them is timed whole, and so are the frames of a monitor."""
import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from dvd_jepa.files import write_json
from dvd_jepa.horizons import forecast_report
from dvd_jepa.monitor import Monitor
from dvd_jepa.recipes import CAPACITIES, shorter_side, with_dial
from dvd_jepa.train import fit
from dvd_jepa.video import Footage
from dvd_jepa.world import World, simulate

top = Path(__file__).parent.parent
RESULTS = top/"nbs"/"studies"/"results"/"24_capacity.json"
FILM = top/"nbs"/"films"/"square.mp4"
STEPS, ASPECT = 100, 4/3


def seconds_of(looks, config):
    "Seconds of a training, from those of its first steps."
    total = 0
    for phase,steps in (("jepa", config.steps), ("decoder", config.decoder_steps)):
        mine = [when for name,step,when in looks if name == phase and step in (STEPS//2, STEPS)]
        if len(mine) == 2: total += (mine[1]-mine[0])/(STEPS-STEPS//2)*(steps-STEPS)
    return total


def measure(recipe, capacity):
    config, side = with_dial(recipe, capacity), shorter_side(recipe, capacity)
    size = side, round(side*ASPECT)
    short = dict(steps=STEPS, decoder_steps=STEPS if config.decoder_steps else 0)
    looks, start = [], time.perf_counter()
    def on_step(s): looks.append((s.phase, s.step, time.perf_counter()))
    footage = Footage(FILM, size=size, grey=recipe != "clip", progress=False)
    model = fit(config, footage, on_step=on_step, **short)
    watcher = Monitor(model, 1e-2).calibrate()
    took = time.perf_counter()-start
    frames = footage.clips("test", 1).frames[0]
    start = time.perf_counter()
    for frame in frames: watcher.update(frame)
    pace = len(frames)/(time.perf_counter()-start)
    return dict(config=asdict(config), height=size[0], width=size[1],
                minutes=(took+seconds_of(looks, config))/60, frames_per_second=pace,
                gigabytes=peak_memory())


def peak_memory():
    "The most that this process has held, in gigabytes (rusage would count its parent's, too)."
    line = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    return int(line.split()[1])/2**20


def dreams(n=100, steps=60):
    "How long `clip` dreams of a logo on a screen of 48×48 px, and its rivals; by skill above 0.5."
    world = World("screen", size=48, sigma=4., margin=3., slowest=1., fastest=3.,
                  reflection="mirror", start=(6., 40.))
    frames, _ = simulate(world, 140, 100, seed=0)
    footage = Footage(frames, name="a logo on a screen", shares=(.6, .1, .3))
    model = fit("clip", footage)
    report = forecast_report(model, footage, n=n, steps=steps)
    told = {"clip": report} | report["baselines"]
    return dict(steps=steps, episodes=report["data"]["episodes"],
                valid={name: r["valid_horizon"] for name,r in told.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2)
    asked = parser.parse_args()
    if asked.one: return print(json.dumps(measure(*asked.one)))

    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else dict(settings={})
    if "dreams" not in kept: write_json(RESULTS, kept | dict(dreams=dreams()))
    kept = json.loads(RESULTS.read_text())
    for recipe in ("motion", "video", "clip"):
        for capacity in CAPACITIES:
            name = f"{recipe}, {capacity}"
            if name in kept["settings"]: continue
            command = [sys.executable, __file__, "--one", recipe, capacity]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            kept["settings"][name] = json.loads(said.splitlines()[-1])
            write_json(RESULTS, kept)
            told = {k: v for k,v in kept["settings"][name].items() if k != "config"}
            print(name, told, flush=True)


if __name__ == "__main__": main()
