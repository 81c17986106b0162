"""Two million frames through one watch, a day of a camera: does memory grow, does it slow down?

    python tools/soak.py [--frames 2000000]     # a quarter of an hour; for study 27

The packaged `rotor` watches the logo by a clock that runs as fast as it can, writes its state once
a minute of that clock, and each ten minutes the logo jumps."""
import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from dvd_jepa.attend import Attendant
from dvd_jepa.camera import Shot
from dvd_jepa.files import write_json
from dvd_jepa.jepa import load
from dvd_jepa.monitor import Monitor
from dvd_jepa.sinks import Lines, as_dict
from dvd_jepa.world import World, simulate

RESULTS = Path(__file__).parent.parent/"nbs"/"studies"/"results"/"27_soak.json"
FPS, EPISODE, LOOKS = 25, 15_000, 20


def own_memory():
    "Megabytes of this process."
    line = next(x for x in open("/proc/self/status") if x.startswith("VmRSS"))
    return int(line.split()[1])/2**10


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2_000_000)
    asked = parser.parse_args()
    monitor = Monitor(load("rotor"), 1e-3).calibrate()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        attendant = Attendant(monitor, lambda frame: frame, [Lines(folder/"events.jsonl")],
                              state=folder/"watch.safetensors", note=print, as_dict=as_dict)
        attendant.add("desk").health.since["dead"] = 0.
        attendant.pause = 60.   # a second of this clock is a hundredth of one
        looks, times, started, t = [], [], 0, 0
        while t < asked.frames:
            frames, _ = simulate(World.classic(), 1, EPISODE, seed=2_000_000 + t)
            for frame in frames[0]:
                clock, before = t/FPS, time.perf_counter()
                shot = Shot((255*frame.numpy()).astype(np.uint8), clock, time.monotonic(), False)
                attendant.posts["desk"].look = lambda picture: frame
                told = attendant.see("desk", shot, 1e9 + clock, clock)
                started += sum(e.state == "start" for e in told)
                times.append(time.perf_counter()-before)
                t += 1
                if t % (asked.frames//LOOKS) == 0:
                    delay = np.quantile(times, [.5, .99])*1e3
                    looks.append(dict(frames=t, megabytes=own_memory(), milliseconds=delay[0],
                                      milliseconds_99=delay[1]))
                    times.clear()
                    print(looks[-1], flush=True)
    post = attendant.posts["desk"]
    write_json(RESULTS, dict(frames=t, seconds_of_film=t/FPS, events=started, judged=post.judged,
                             jumps=t//EPISODE-1, looks=looks))


if __name__ == "__main__": main()
