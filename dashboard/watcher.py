"""Learns what is ordinary from a film and watches a camera, in a process of its own.

`python watcher.py FOLDER`, where FOLDER holds job.json. It writes progress.jsonl, and while it
watches view.jpg (the picture with its heat), view.json (the latest scores), events.jsonl and
clips/."""
import io
import json
import math
import os
import signal
import sys
import time
from collections import deque
from pathlib import Path

import torch
from dvd_jepa.annotate import film_writer, heated
from dvd_jepa.attend import Attendant
from dvd_jepa.camera import Broken, Camera, is_live
from dvd_jepa.cameras import looker, pace_wanted
from dvd_jepa.files import atomic_write, write_json
from dvd_jepa.monitor import Monitor
from dvd_jepa.recipes import as_config, shorter_side
from dvd_jepa.sinks import Lines, as_dict
from dvd_jepa.train import fit
from dvd_jepa.video import Footage
from PIL import Image

EVERY = .3    # seconds from one view to the next
KEPT = 600    # scores in a view
FULL = 5.     # heat that is shown in full
LEFT = 300    # seconds without a look from the page before it ends
ROOM = 200e6  # bytes of films


def recorded(address, seconds, path, tell):
    "Film a camera; it may hang up in between. Raises Broken if nothing comes for half a minute."
    start = last = time.monotonic()
    with film_writer(path, 25) as add, Camera(address, patience=10.) as camera:
        while (passed := time.monotonic()-start) < seconds:
            shot = camera.fetch(.5)
            if shot is not None: add(shot.picture)
            if shot is not None: last = time.monotonic()
            if time.monotonic()-last > 30: raise Broken(camera.reason or "no picture comes")
            tell("recording", int(passed), seconds)
    return path


def learned(job, folder, tell):
    "A monitor of what is ordinary in a film."
    film = job["train"]
    if film is None: film = recorded(job["source"], job["record"], folder/"ordinary.mp4", tell)
    recipe, capacity = job["recipe"], job["capacity"]
    tell("reading the film, and how fast everything in it moves", 0, 0)
    footage = Footage(str(film), size=shorter_side(recipe, capacity), grey=True)
    config = as_config(recipe, capacity=capacity, decoder_steps=0, **job.get("changes", {}))
    last = [0.]
    def on_step(step):
        if time.monotonic()-last[0] < .5 and step.step < step.steps: return
        last[0] = time.monotonic()
        tell(f"learning ({step.phase})", step.step, step.steps)
    model = fit(config, footage, 0, on_step)
    tell("setting the threshold", 0, 0)
    monitor = Monitor(model, job["false_alarms"]).calibrate()
    model.save(folder/"model.safetensors")
    return monitor


def forgotten(folder):
    "Has nobody looked for long? Whoever tries the job without a page leaves no such file."
    looked = folder/"looked"
    return looked.exists() and time.time()-looked.stat().st_mtime > LEFT

class View:
    "What the page shows of the watch."
    def __init__(self, folder, monitor):
        self.folder, self.monitor, self.stop = folder, monitor, lambda: None
        self.scores, self.written, self.reading = deque(maxlen=KEPT), 0., None

    def see(self, post, shot):
        "Called after each look: a verdict there may be, and a picture."
        new, self.reading = post.reading is not self.reading, post.reading
        score = post.reading.score if new else float("nan")
        if new: self.scores.append((post.judged, None if math.isnan(score) else round(score, 4)))
        if time.monotonic()-self.written < EVERY: return
        self.written = time.monotonic()
        if forgotten(self.folder): self.stop()
        if new: self.draw(torch.from_numpy(shot.picture/255).float())
        self.tell([kind for kind in post.events.open if kind != "strange"])

    def draw(self, frame):   # (H, W), in [0, 1]
        scale = max(1, round(640/frame.shape[-1]))
        picture = heated(frame, self.reading.heat, FULL, scale)
        packed = io.BytesIO()
        Image.fromarray(picture).save(packed, "JPEG", quality=85)
        with atomic_write(self.folder/"view.jpg") as path: path.write_bytes(packed.getvalue())

    def tell(self, faults):
        threshold = self.monitor.threshold
        about = dict(scores=list(self.scores), threshold=threshold, faults=faults)
        write_json(self.folder/"view.json", about)


def watch(job, folder, monitor):
    "Until the source ends, or somebody stops it. A film plays at its own pace."
    model, source = monitor.model, job["source"]
    view = View(folder, monitor)
    attendant = Attendant(
        monitor, looker(model), [Lines(folder/"events.jsonl")], clips=folder/"clips",
        as_dict=as_dict, fps=pace_wanted(model), note=lambda said: None, on_seen=view.see)
    def stop(*_): attendant.stopping = True
    signal.signal(signal.SIGTERM, stop)
    view.stop = stop
    keep = max(8, 3*(model.unjudged+1))
    attendant.add("camera", 5., limit=ROOM)
    with Camera(source, True, 5., keep, realtime=not is_live(source)) as camera:
        attendant.attend({"camera": camera})
    view.tell([])


def run(folder):
    job = json.loads((folder/"job.json").read_text(encoding="utf-8"))
    log = open(folder/"progress.jsonl", "a", encoding="utf-8", buffering=1)
    def tell(phase, step, steps):
        if forgotten(folder): raise Broken("nobody looked for some minutes, so it ended")
        log.write(json.dumps(dict(phase=phase, step=step, steps=steps, at=time.time())) + "\n")
    monitor = learned(job, folder, tell)
    tell("watching", 1, 1)
    watch(job, folder, monitor)
    (folder/"ended").touch()


if __name__ == "__main__":
    if hasattr(os, "nice"): os.nice(10)   # whoever watches a page goes first
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    try: run(folder)
    except (ValueError, ArithmeticError, OSError, ImportError) as e:
        (folder/"error.txt").write_text(str(e), encoding="utf-8")
        sys.exit(1)
