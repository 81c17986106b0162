"Train: choose a recipe, watch it learn, take it along."
import re
import secrets
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from common import add_own, chart
from dvd_jepa.config import ANTI_COLLAPSE
from dvd_jepa.core import TEST_SEED
from dvd_jepa.jepa import load
from dvd_jepa.show import DREAM, REALITY, curves
from dvd_jepa.train import RECIPES, as_config, home_of
from dvd_jepa.world import WORLDS
from jobs import Job, begin

state = st.session_state
NAMES = "1 to 64 letters, digits, - and _"
ABOVE = dict(orientation="h", y=1.18, x=.4)   # where a small chart has its legend


# A training

class Training(Job):
    "One training."
    def __init__(self, recipe, world, seed, changes):
        self.config = as_config(recipe, seed=seed, **changes)
        self.world = WORLDS[world]
        self.recipe = recipe
        self.title = f"{recipe}, seed {seed}, {world}"
        asked = dict(recipe=recipe, world=world, seed=seed, changes=changes)
        super().__init__("trainer.py", asked, "model.safetensors")

def start(*wanted):
    "Begin a training if there is room for one; if not, the page will say why."
    try: state.job = begin(lambda: Training(*wanted))
    except ValueError as e: state.trouble = str(e)


# The controls

def knobs(place):
    "What to train: recipe, world, seed, and what differs from the recipe."
    recipe = place.selectbox(
        "Recipe", [name for name in RECIPES if name != "untrained"], key="recipe",
        help="rotor: a predictor that can only turn. classic: the published one. "
             "pure: no decoder. multistep: classic, asked to look further. "
             "watch: rotor, through a flawed camera. steer is told what thrusters do. "
             "varied and steer take minutes.")
    c = RECIPES[recipe]
    worlds = worlds_for(c)
    world = place.selectbox(
        "World", worlds, worlds.index(home_of(recipe).name), key=f"world {recipe}",
        help="A rotor with fixed frequencies needs a world where all logos have one speed; "
             "one that reads the speed needs a world where they differ.")
    seed = place.number_input("Seed", 0, TEST_SEED-1, 0, key="seed",
                              help="The same seed gives the same bits.")
    with place.expander("A few knobs"): wanted = changes(c, recipe)
    return recipe, world, seed, {k: v for k,v in wanted.items() if v != getattr(c, k)}

def worlds_for(c):
    if c.rollout: return ["steerable"]
    if c.invariants: return ["varied"]
    return ["classic"] if c.refine else ["classic", "varied"]

def changes(c, recipe):
    "Steps, step size, and the way against collapse with its weights."
    steps = st.number_input("Steps", 50, 50_000, c.steps, 250, key=f"steps {recipe}",
                            help="Optimizer steps of the JEPA.")
    lr = st.number_input("Step size", 1e-5, 1e-1, c.lr, 1e-3, format="%.1e",
                         key=f"lr {recipe}", help="Adam's; the largest one of a schedule.")
    how = st.selectbox(
        "Against collapse", ANTI_COLLAPSE, ANTI_COLLAPSE.index(c.anti_collapse),
        key=f"how {recipe}",
        help="ema: a slow copy of the encoder is the goal (BYOL). "
             "stopgrad: the encoder itself, without gradient (SimSiam). "
             "var, vicreg, sigreg: a term that spreads the latents. Try none.")
    wanted = dict(steps=steps, lr=lr, anti_collapse=how)
    return wanted | weights(as_config(c, anti_collapse=how), recipe)   # no other way's weights

def weights(c, recipe):
    "Sliders for what this way against collapse listens to."
    asked = {}
    if c.goal == "ema":
        asked["tau"] = st.slider(
            "The target keeps this share of itself", 0., 1., c.tau, .01, key=f"tau {recipe}",
            help="0: the target is the online encoder. 1: it never learns.")
    if c.spread in ("var", "vicreg"):
        asked["variance_weight"] = st.slider("Weight of the variance hinge", 0., 4.,
                                             c.variance_weight, .5, key=f"variance {recipe}")
    if c.spread == "vicreg":
        asked["covariance_weight"] = st.slider("Weight of the covariance penalty", 0., 1.,
                                               c.covariance_weight, .02,
                                               key=f"covariance {recipe}")
    if c.spread == "sigreg":
        asked["sigreg_weight"] = st.slider("Weight of the Gaussianity test", 0., 1.,
                                           c.sigreg_weight, .01, key=f"sigreg {recipe}")
    return asked


# What it says of itself

def watch():
    "What the training says of itself, drawn anew every second."
    job = state.job
    steps = job.look()
    progress(job, steps)
    jepa = [step for step in steps if step["phase"] == "jepa"]
    if jepa: charts(job, jepa)
    if not job.alive and state.get("settled") != job.folder:
        state.settled = job.folder
        st.rerun()   # the buttons know it, too

def progress(job, steps):
    if not steps:
        if job.alive: st.progress(0., f"{job.title}: drawing its episodes")
        return
    last = steps[-1]
    where = f"{last['phase']}, step {last['step']:,} of {last['steps']:,}"
    st.progress(last["step"]/last["steps"], f"{job.title}: {where}")

def charts(job, jepa):
    "How the latents are, the loss beside what it should be read with, and where a dream goes."
    words = jepa[-1]["diagnosis"]
    color = "green" if words == "healthy" else "red" if "collapse" in words else "orange"
    st.markdown(f"Its latents: :{color}-badge[{words}]")
    x = [step["step"] for step in jepa]
    def line(key): return [step[key] for step in jepa]
    predicted = [max(step["parts"]["prediction"], 1e-6) for step in jepa]
    off = {f"{k} ahead": [look[k] for look in line("off")] for k in jepa[0]["off"]}

    one, two = st.columns(2)
    curve(one, "loss", "Loss: it may rise while the dream improves",
          {"loss": line("loss"), "prediction": predicted}, x, "loss (log scale)", log=True)
    curve(two, "off", "How far its dreams are off", off, x,
          "px, read by a line (log scale)", log=True)
    one, two, three = st.columns(3)
    curve(one, "std", "Latent std", {"std": line("std")}, x, "std")
    curve(two, "rank", "Effective rank", {"rank": line("rank")}, x, f"of {job.config.latent}")
    with three: trail(job, jepa[-1])

def curve(place, key, title, lines, x, y_label, log=False):
    fig = curves(lines, x=x, title=title, x_label="step", y_label=y_label, log_y=log, height=260)
    chart(place, fig.update_layout(margin=dict(t=46, b=40), legend=ABOVE), key)

def trail(job, look):
    "Where the logo of one episode goes, and where it is dreamed to go."
    dreamed, true = np.array(look["dreamed"]), np.array(look["true"])
    fig = go.Figure()
    for name,path,color in (("reality", true, REALITY), ("dream", dreamed, DREAM)):
        fig.add_scatter(x=path[:, 1], y=path[:, 0], name=name, mode="lines+markers",
                        line=dict(color=color, width=1.5), marker=dict(size=5))
    fig.update_layout(title=f"{len(true)} frames ahead", height=260,
                      margin=dict(t=46, b=20, l=20, r=10), legend=ABOVE)
    size = job.world.size
    fig.update_xaxes(range=[-.5, size-.5], showticklabels=False)
    fig.update_yaxes(range=[size-.5, -.5], showticklabels=False, scaleanchor="x")
    chart(st, fig, "trail")


# What becomes of it

def take_along(place, job):
    "What can be done with a model that is trained."
    if state.get("named") != job.folder:
        state.named = job.folder
        state.name = f"{job.recipe}-{secrets.token_hex(2)}"
    name = place.text_input("Name", key="name", help=f"{NAMES}.")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name or ""):
        return place.error(f"Name: received {name!r}, expected {NAMES}.")
    path = job.folder/"model.safetensors"
    one, two = place.columns(2)
    if one.button("Load into Live", type="primary", width="stretch", key="take"):
        state.weights = f"{name} (trained here)"
        add_own(state.weights, path)
        st.switch_page("live.py")
    if two.button("Save", width="stretch", key="save",
                  help="To runs/NAME on this server, for the command line."):
        save(place, job, name)
    place.download_button("Download", path.read_bytes(), f"{name}.safetensors",
                          width="stretch", key="download")

def save(place, job, name):
    folder = Path("runs")/name
    if folder.exists(): return place.error(f"{folder} exists already: choose another name.")
    try: load(job.folder/"model.safetensors").save(folder/"model.safetensors")
    except OSError as e: place.error(f"{folder} can't be written: {e.strerror}")
    else: place.success(f"Saved to {folder}. `dvd-jepa evaluate {folder}` measures it.")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown(
    "**Start, and watch the dream's error fall while the effective rank stays up: "
    "a falling loss alone proves nothing.**")
chosen = knobs(right)
job = state.get("job")
busy = job is not None and job.alive
one, two = right.columns(2)
one.button(
    "Start", key="start", icon=":material/play_arrow:", type="primary", width="stretch",
    disabled=busy, on_click=start, args=chosen)
two.button(
    "Stop", key="stop", icon=":material/stop:", width="stretch",
    disabled=not busy, on_click=job.stop if job else None)
if state.get("trouble"): right.error(state.pop("trouble"))
if job and job.trouble: right.error(job.trouble)
if job and job.stopped: right.info("Stopped; nothing was kept.")
if job and job.done: take_along(right, job)
with left:
    if job: st.fragment(watch, run_every=1. if job.alive else None)()
    else:
        st.info("Nothing has been trained in this session yet. "
                "The recipe rotor takes about half a minute.")
