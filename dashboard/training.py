"Train: choose a recipe, watch it learn, take it along."
import atexit
import json
import re
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from common import add_own, chart, own_folder
from dvd_jepa.config import ANTI_COLLAPSE
from dvd_jepa.core import TEST_SEED
from dvd_jepa.jepa import load
from dvd_jepa.show import DREAM, REALITY, curves
from dvd_jepa.train import RECIPES, as_config, home_of
from dvd_jepa.world import WORLDS

state, here = st.session_state, Path(__file__).parent
MOST, PATIENCE = 2, 300   # trainings at a time on this server; seconds


@st.cache_resource(show_spinner=False)
def workplace():
    "Trainings of all sessions, and a lock for whoever starts one; none of them outlives the server."
    jobs = []
    atexit.register(lambda: [job.process.terminate() for job in jobs])
    return jobs, threading.Lock()

class Job:
    "One training, in a process of its own. It is given up when nobody has looked at it for `PATIENCE` seconds."
    def __init__(self, recipe, world, seed, changes):
        self.config, self.world = as_config(recipe, seed=seed, **changes), WORLDS[world]
        self.title, self.recipe = f"{recipe}, seed {seed}, {world}", recipe
        self.folder = own_folder()/f"run-{secrets.token_hex(4)}"
        self.read, self.steps, self.wanted, self.looked = 0, [], True, time.monotonic()
        self.folder.mkdir()
        (self.folder/"job.json").write_text(json.dumps(dict(recipe=recipe, world=world, seed=seed, changes=changes)), encoding="utf-8")
        (self.folder/"progress.jsonl").touch()
        self.process = subprocess.Popen([sys.executable, here/"trainer.py", self.folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def look(self):
        "Read what has been written since the last look."
        self.looked = time.monotonic()
        with open(self.folder/"progress.jsonl", encoding="utf-8") as f:
            f.seek(self.read)
            for line in iter(f.readline, ""):
                if not line.endswith("\n"): break   # half a line: the rest comes later
                self.steps.append(json.loads(line))
                self.read = f.tell()
        return self.steps

    @property
    def alive(self): return self.process.poll() is None
    @property
    def done(self): return not self.alive and (self.folder/"model.safetensors").is_file()
    @property
    def stopped(self): return not self.alive and not self.done and not self.wanted
    @property
    def trouble(self):
        if self.alive or self.done or self.stopped: return None
        said = self.folder/"error.txt"
        return said.read_text(encoding="utf-8") if said.is_file() else f"the training ended with code {self.process.returncode}"

    def stop(self):
        self.wanted = False
        self.process.terminate()


def start(recipe, world, seed, changes):
    "Begin a training, if there is room for one; what keeps it from it is told."
    jobs, lock = workplace()
    with lock:
        for job in jobs:
            if job.alive and time.monotonic()-job.looked > PATIENCE: job.stop()   # its page was left
        jobs[:] = [job for job in jobs if job.alive and job.wanted]
        if len(jobs) >= MOST: state.trouble = f"{MOST} trainings are running on this server already; try again when one is done."
        else:
            try: state.job = Job(recipe, world, seed, changes)
            except ValueError as e: state.trouble = str(e)
            else: jobs.append(state.job)

def knobs(place):
    recipe = place.selectbox("Recipe", [name for name in RECIPES if name != "untrained"], key="recipe", help="rotor: a predictor that can only turn. classic: the published one. pure: no decoder. multistep: classic, asked to look further. watch: rotor, through a flawed camera. varied takes minutes.")
    c = RECIPES[recipe]
    worlds = ["varied"] if c.invariants else ["classic"] if c.refine else ["classic", "varied"]
    world = place.selectbox("World", worlds, worlds.index(home_of(recipe).name), key=f"world {recipe}", help="A rotor with fixed frequencies lives where all logos have one speed; one that reads how fast, where they haven't.")
    seed = place.number_input("Seed", 0, TEST_SEED-1, 0, key="seed", help="The same seed gives the same bits.")
    with place.expander("A few knobs"):
        steps = st.number_input("Steps", 50, 50_000, c.steps, 250, key=f"steps {recipe}", help="Optimizer steps of the JEPA.")
        lr = st.number_input("Step size", 1e-5, 1e-1, c.lr, 1e-3, format="%.1e", key=f"lr {recipe}", help="Adam's; the largest one of a schedule.")
        how = st.selectbox("Against collapse", ANTI_COLLAPSE, ANTI_COLLAPSE.index(c.anti_collapse), key=f"how {recipe}", help="ema: a slow copy of the encoder is the goal (BYOL). stopgrad: the encoder itself, without gradient (SimSiam). var, vicreg, sigreg: a term that spreads the latents. Try none.")
        wanted = dict(steps=steps, lr=lr, anti_collapse=how)
        wanted |= weights(as_config(c, anti_collapse=how), recipe)   # whatever another way reads is forgotten
    return recipe, world, seed, {k: v for k,v in wanted.items() if v != getattr(c, k)}


def weights(c, recipe):
    "Sliders for what this way against collapse listens to."
    asked = {}
    if c.goal == "ema": asked["tau"] = st.slider("The target keeps this share of itself", 0., 1., c.tau, .01, key=f"tau {recipe}", help="0: the target is the online encoder. 1: it never learns.")
    if c.spread in ("var", "vicreg"): asked["variance_weight"] = st.slider("Weight of the variance hinge", 0., 4., c.variance_weight, .5, key=f"variance {recipe}")
    if c.spread == "vicreg": asked["covariance_weight"] = st.slider("Weight of the covariance penalty", 0., 1., c.covariance_weight, .02, key=f"covariance {recipe}")
    if c.spread == "sigreg": asked["sigreg_weight"] = st.slider("Weight of the Gaussianity test", 0., 1., c.sigreg_weight, .01, key=f"sigreg {recipe}")
    return asked

def curve(place, key, title, lines, x, y_label, log=False, levels=None):
    fig = curves(lines, x=x, title=title, x_label="step", y_label=y_label, levels=levels, log_y=log, height=260)
    chart(place, fig.update_layout(margin=dict(t=46, b=40), legend=dict(orientation="h", y=1.18, x=.4)), key)

def watch():
    "What the training says of itself, drawn anew every second."
    job = state.job
    steps = job.look()
    if steps:
        last = steps[-1]
        st.progress(last["step"]/last["steps"], f"{job.title}: {last['phase']}, step {last['step']:,} of {last['steps']:,}")
    elif job.alive: st.progress(0., f"{job.title}: drawing its episodes")
    jepa = [s for s in steps if s["phase"] == "jepa"]
    if jepa:
        words = jepa[-1]["diagnosis"]
        st.markdown(f"Its latents: :{'green' if words == 'healthy' else 'red' if 'collapse' in words else 'orange'}-badge[{words}]")
        x, (one, two) = [s["step"] for s in jepa], st.columns(2)
        curve(one, "loss", "Loss: it may rise while the dream improves", {"loss": [s["loss"] for s in jepa], "prediction": [max(s["parts"]["prediction"], 1e-6) for s in jepa]}, x, "loss (log scale)", log=True)
        curve(two, "off", "How far its dreams are off", {f"{k} ahead": [s["off"][k] for s in jepa] for k in jepa[0]["off"]}, x, "px, read by a line (log scale)", log=True)
        one, two, three = st.columns(3)
        curve(one, "std", "Latent std", {"std": [s["std"] for s in jepa]}, x, "std")
        curve(two, "rank", "Effective rank", {"rank": [s["rank"] for s in jepa]}, x, f"of {job.config.latent}")
        with three: trail(job, jepa[-1])
    if not job.alive and state.get("settled") != job.folder:
        state.settled = job.folder
        st.rerun()   # the buttons know it, too

def trail(job, look):
    dreamed, true = np.array(look["dreamed"]), np.array(look["true"])
    fig = go.Figure()
    for name,path,color in (("reality", true, REALITY), ("dream", dreamed, DREAM)):
        fig.add_scatter(x=path[:, 1], y=path[:, 0], name=name, mode="lines+markers", line=dict(color=color, width=1.5), marker=dict(size=5))
    size = job.world.size
    fig.update_layout(title=f"{len(true)} frames ahead", height=260, margin=dict(t=46, b=20, l=20, r=10),
                      legend=dict(orientation="h", y=1.18, x=.4))
    chart(st, fig.update_xaxes(range=[-.5, size-.5], showticklabels=False).update_yaxes(range=[size-.5, -.5], showticklabels=False, scaleanchor="x"), "trail")

def take_along(place, job):
    "What can be done with a model that is trained."
    if state.get("named") != job.folder: state.named, state.name = job.folder, f"{job.recipe}-{secrets.token_hex(2)}"
    name = place.text_input("Name", key="name", help="1 to 64 letters, digits, - and _.")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name or ""): return place.error(f"Name: received {name!r}, expected 1 to 64 letters, digits, - and _.")
    one, two = place.columns(2)
    if one.button("Load into Live", type="primary", width="stretch", key="take"):
        add_own(f"{name} (trained here)", job.folder/"model.safetensors")
        state.weights = f"{name} (trained here)"
        st.switch_page("live.py")
    if two.button("Save", width="stretch", key="save", help="To runs/NAME on this server, for the command line."): save(place, job, name)
    place.download_button("Download", (job.folder/"model.safetensors").read_bytes(), f"{name}.safetensors", width="stretch", key="download")

def save(place, job, name):
    folder = Path("runs")/name
    if folder.exists(): return place.error(f"{folder} exists already: choose another name.")
    try: load(job.folder/"model.safetensors").save(folder/"model.safetensors")
    except OSError as e: place.error(f"{folder} can't be written: {e.strerror}")
    else: place.success(f"Saved to {folder}. `dvd-jepa evaluate {folder}` measures it.")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown("**Start, and watch the dream's error fall while the effective rank stays up: a falling loss alone proves nothing.**")
chosen, job = knobs(right), state.get("job")
one, two = right.columns(2)
busy = job is not None and job.alive
one.button("Start", icon=":material/play_arrow:", type="primary", width="stretch", key="start", disabled=busy, on_click=start, args=chosen)
two.button("Stop", icon=":material/stop:", width="stretch", key="stop", disabled=not busy, on_click=job.stop if job else None)
if state.get("trouble"): right.error(state.pop("trouble"))
job = state.get("job")
if job and job.trouble: right.error(job.trouble)
if job and job.stopped: right.info("Stopped; nothing was kept.")
if job and job.done: take_along(right, job)
with left:
    if job is None: st.info("Nothing has been trained in this session yet. The recipe rotor takes about half a minute.")
    else: st.fragment(watch, run_every=1. if job.alive else None)()
