"""How many cameras does a core watch?

    python tools/rates.py        # two minutes on an idle machine; for study 27

A thousand logos, judged by one monitor on one core. Then sixteen cameras of 80×120 px at fifteen
frames a second over RTSP, watched by one process with the recipe `video`; one of them dies on the
way. The cameras play in a process of their own, on the same two cores."""
import json
import multiprocessing as mp
import os
import platform
import resource
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rtsp
import torch
from dvd_jepa.attend import Attendant
from dvd_jepa.camera import Camera
from dvd_jepa.cameras import looker
from dvd_jepa.files import write_json
from dvd_jepa.jepa import load
from dvd_jepa.monitor import Monitor
from dvd_jepa.train import fit, home_of
from dvd_jepa.video import Footage
from dvd_jepa.world import simulate

top = Path(__file__).parent.parent
RESULTS = top/"nbs"/"studies"/"results"/"27_rates.json"
STREAMS, CAMERAS, FPS, SIZE, SECONDS, DIES = 1000, 16, 15, (80, 120), 60, 20


def logos(name, frames=200):
    "Frames a second that each of many streams may send, on one core."
    model = load(name)
    monitor = Monitor(model)
    monitor.threshold = 50.
    clips = simulate(home_of(model), STREAMS, 60, seed=5)[0]
    for t in range(30): monitor.update(clips[:, t])
    rates = []
    for part in range(5):
        start = time.perf_counter()
        for t in range(frames//5): monitor.update(clips[:, t % 60])
        rates.append(frames/5/(time.perf_counter()-start))
    return dict(model=name, streams=STREAMS, frames_per_second=sorted(rates)[2], all=rates)


def play(ports, seconds):
    "Cameras: a film of a square each, from another place on; the last one dies."
    film = list(rtsp.film(top/"nbs"/"films"/"square-watch.mp4", 1))
    film = [np.ascontiguousarray(picture[:SIZE[0], :SIZE[1]]) for picture in film]
    encoder = rtsp.encoder_for(SIZE, FPS)   # packed once, so that playing costs next to nothing
    film = [rtsp.nals(encoder, picture) for picture in film]
    def script(i):
        def run():
            for t in range(FPS*seconds):
                if i == CAMERAS-1 and t == FPS*DIES: yield float(seconds)   # and nothing more
                yield film[(t + FPS*2*i) % len(film)]   # where a whole picture begins
        return run
    with ExitStack() as servers:
        made = [servers.enter_context(rtsp.Rtsp(script(i), FPS)) for i in range(CAMERAS)]
        ports.put([server.port for server in made])
        time.sleep(seconds)


def cameras():
    film = Footage(str(top/"nbs"/"films"/"square.mp4"), size=SIZE, grey=True, progress=False)
    model = fit("video", film, steps=20, decoder_steps=0)   # how fast it is doesn't depend on that
    monitor, look = Monitor(model, .01).calibrate(), looker(model)
    ports = mp.get_context("spawn").Queue()
    server = mp.get_context("spawn").Process(target=play, args=(ports, SECONDS+30), daemon=True)
    server.start()
    delays, seen = {}, {}
    def on_seen(post, shot):
        seen[post.name] = post.judged
        if shot is not None: delays.setdefault(post.name, []).append(time.monotonic()-shot.came)
    told, last = [], f"camera{CAMERAS-1}"
    watch = Attendant(monitor, look, [told.append], on_seen=on_seen, note=lambda said: None)
    with ExitStack() as entered:
        made = {f"camera{i}": entered.enter_context(
            Camera(f"rtsp://127.0.0.1:{port}/live", True, 5., 3*(model.unjudged+1)))
            for i,port in enumerate(ports.get())}
        before, start = cpu(), time.monotonic()
        watch.attend(made, SECONDS)
        passed, used = time.monotonic()-start, cpu()-before
    server.terminate()
    living = [name for name in made if name != last]
    waits = torch.tensor([delay for name in living for delay in delays[name]])
    rates = [made[name].came/passed for name in living]
    deaths = [e for e in told if (e["camera"], e["kind"], e["state"]) == (last, "dead", "start")]
    return dict(
        cameras=CAMERAS, size=SIZE, asked_fps=FPS, seconds=passed, least_fps=min(rates),
        least_judged=min(seen[name] for name in living), cores_used=used/passed,
        dropped=sum(made[name].dropped for name in living),
        delay={f"{q:g}": waits.quantile(q).item() for q in (.5, .99)}, longest=waits.max().item(),
        deaths=len(deaths))


def cpu():
    of = resource.getrusage(resource.RUSAGE_SELF)
    return of.ru_utime + of.ru_stime


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = dict(
        machine=dict(cores=os.cpu_count(), processor=platform.processor() or platform.machine()),
        logos=[logos(name) for name in ("classic", "rotor", "varied")], cameras=cameras())
    write_json(RESULTS, found)
    print(json.dumps(found, indent=1))
