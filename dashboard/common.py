"What all pages share: which weights, what was measured of them, and how long work is shown."
import atexit
import os
import re
import shutil
import tempfile
import threading
from collections import defaultdict
from pathlib import Path

import streamlit as st
import torch
from dvd_jepa.alarms import conformal_threshold
from dvd_jepa.core import wrong
from dvd_jepa.jepa import checkpoint_path, packaged
from dvd_jepa.jepa import load as load_model
from dvd_jepa.runs import metrics_beside, mismatch
from dvd_jepa.show import TEMPLATE
from dvd_jepa.surprise import yardstick
from dvd_jepa.train import home_of

RATES = [0.1, 0.5, 1, 2, 5, 10, 20, 50, 100]   # false alarms in 1,000 clean frames
here = Path(__file__).parent
demo = here.parent/"nbs"/"demo"                # the browser demo shares its drawing and its looks
ASSETS = {"drawing": demo/"stage.js", "looks": demo/"stage.css", "player": here/"player.js"}

# The player's own code is tiny: it waits until the large part has come.
WAIT = """export default args => {
    const show = () => window.dvdJepa ? window.dvdJepa(args) : setTimeout(show, 20);
    show(); }"""


# The player

@st.cache_resource(show_spinner=False, max_entries=1)
def _components(changed):
    """The player's code, and the player that waits for it.

    Streamlit sends a component's code along with every chunk, so the large part
    is a component of its own."""
    drawing, looks, play = (path.read_text(encoding="utf-8") for path in ASSETS.values())
    component = st.components.v2.component
    code = component("dvd_jepa_code", js=drawing + play)
    player = component("dvd_jepa_player", html='<div class="stage"></div>', css=looks, js=WAIT)
    return code, player

def _mounts():
    "Both components; they are registered anew when their files change."
    return _components(tuple(path.stat().st_mtime_ns for path in ASSETS.values()))

def show_code(place):
    "Call this once in each run of a page that shows something."
    with place: _mounts()[0](key="code", height=1)

def show(data, key):
    "Mount a player for `data`."
    _mounts()[1](data=data, key=key, height="content")


# What is kept for all sessions

@st.cache_resource(show_spinner=False, max_entries=16)
def load(path, changed, _measured=None): return _fitting(load_model(path))

def _fitting(model):
    """The model, if these pages are made for its size. Raises ValueError if not.

    They draw frames, calibrate on episodes of 64 frames, and share a machine."""
    home = model.home or dict(name="nothing")
    if home.get("kind") != "world":
        came = f"a model that was taught on {home['name']!r}"
        expected = "one that was taught in a World, which these pages can run"
        raise wrong("dashboard, weights", came, expected)
    for what,(value, low, high) in _sizes(model).items():
        if not low <= value <= high:
            raise wrong(f"dashboard, {what}", f"{value:,}", f"{low:,} to {high:,}")
    return model

def _sizes(model):
    "What is limited → (its value, the least, the most)."
    weights = sum(p.numel() for p in model.parameters())
    return {"frames": (home_of(model).size, 13, 64), "frames seen at once": (model.context, 1, 32),
            "latents": (model.config.latent, 8, 256), "weights": (weights, 1, 20_000_000)}

@st.cache_resource(show_spinner=False, max_entries=16)
def metrics(path, changed, measured):
    """The metrics beside the weights; empty if there are none, or if they belong to others.

    All sessions share them: don't change them."""
    return metrics_beside(path, load(path, changed))

@st.cache_resource(show_spinner=False, max_entries=16)
def others(path, changed, measured):
    "A sentence if the metrics beside the weights belong to others, else nothing."
    return mismatch(path, load(path, changed))

@st.cache_resource(show_spinner=False, max_entries=1)
def _results(): return {}, defaultdict(threading.Lock)

def worked_out(key, label, *jobs):
    """What `jobs` return, in a list: functions of a callback that takes the share done and a word.

    Done once for all sessions, with a progress bar; `key` says what the results depend on."""
    kept, locks = _results()
    with locks[key]:                 # whoever asks for the same waits for it
        if key not in kept: kept[key] = _in_turn(label, jobs)
        kept[key] = kept.pop(key)    # whatever was asked for last goes last
        for old in list(kept)[:-64]:
            kept.pop(old, None)
            locks.pop(old, None)
        return kept[key]

def _in_turn(label, jobs):
    "What the jobs return, one after the other, behind one bar."
    bar = st.progress(0., label)
    done = []
    def tell(share, word=""):
        bar.progress(min(1., (len(done)+share)/len(jobs)), f"{label} {word}")
    for job in jobs: done.append(job(tell))
    bar.empty()
    return done


def chart(place, fig, key):
    "Draw a figure as wide as its place, without the tools that would cover its title."
    fig.layout.template = TEMPLATE   # and nothing of plotly's own
    place.plotly_chart(fig, width="stretch", key=key, config=dict(displayModeBar=False))


# Which weights

def own_folder():
    "A folder for this session's own files; it is removed when the server stops."
    if "folder" not in st.session_state:
        folder = Path(tempfile.mkdtemp(prefix="dvd-jepa-"))
        st.session_state.folder = folder
        atexit.register(shutil.rmtree, folder, True)
    return st.session_state.folder

def offered():
    "Weights to choose from: name → where they are."
    wanted = os.environ.get("DVD_JEPA_MODEL")
    names = [*([wanted] if wanted else []), "rotor", *packaged()]
    return dict.fromkeys(names) | st.session_state.get("own", {})

def add_own(name, path): st.session_state.setdefault("own", {})[name] = str(path)

def choose_model(place):
    "Where the weights are, and the model; if they can't be used, a sentence, and the page ends."
    names = offered()
    before = st.session_state.get("weights")   # a choice outlives its page
    st.session_state.weights = before if before in names else next(iter(names))
    name = place.selectbox(
        "Weights", list(names), key="weights",
        help="The packaged weights by name, the run folder given to `dvd-jepa demo`, "
             "and whatever you trained or brought here.")
    try:
        where = _where(names[name] or name)
        model = load(*where)
        if said := others(*where): place.caption(plain(_afresh(said)))
        return where, model
    except (ValueError, OSError, MemoryError) as e:
        st.error(f"These weights can't be used. {e}")
        bring_own(st)
        st.stop()

def _where(source):
    "Path of the weights, their age, and the age of the metrics beside them (None: there are none)."
    path = checkpoint_path(source)
    in_run = path.name == "model.safetensors"
    beside = path.with_name("metrics.json") if in_run else path.with_suffix(".json")
    measured = beside.stat().st_mtime_ns if beside.is_file() else None
    return str(path), path.stat().st_mtime_ns, measured

def _afresh(said):
    return f"{said[0].upper()}{said[1:]}: what you see here is measured afresh."

def bring_own(place):
    "Let a person bring a checkpoint of their own."
    with place.popover("Bring your own weights", width="stretch"):
        came = st.file_uploader(
            "A model.safetensors written by this project", key="upload",
            help="It is checked before it is used, and stays on this server until that stops.")
        if came is None: return
        # file → what was said of it: nothing is read twice
        seen = st.session_state.setdefault("uploads", {})
        if came.file_id not in seen: seen[came.file_id] = _received(came)
        ok, said = seen[came.file_id]
        (st.success if ok else st.error)(said)

def _received(came):
    "Take an uploaded file in, if it is a checkpoint: did it work, and what to say."
    name = f"{Path(came.name).stem} (yours)"
    path = own_folder()/f"{came.file_id}.safetensors"
    path.write_bytes(came.getvalue())
    try: model = load(str(path), path.stat().st_mtime_ns)
    except (ValueError, OSError, MemoryError) as e:
        path.unlink()
        return False, plain(f"{came.name} can't be used. {str(e).replace(str(path), 'it')}")
    add_own(name, path)
    return True, f"Choose it under Weights as “{plain(name)}”: {describe(model)}."

def plain(text):
    "Text that Markdown shows as it is: a stranger's words are no markup."
    return re.sub(r"([\\`*_{}\[\]()#+!|<>:$~-])", r"\\\1", text)

def describe(model):
    parts = "no decoder: a pure JEPA" if model.decoder is None else f"sees {model.context} frames"
    recipe = plain(model.config.recipe)
    world = plain(home_of(model).name)
    return f"recipe {recipe}, seed {model.config.seed}, {world} world; {parts}"


# What was measured of them

def measured(where, model):
    "Make sure the yardstick is known: packaged weights bring theirs along, others take seconds."
    label = "Measuring what its errors are usually like"
    worked_out((where, "yardstick"), label, lambda tell: yardstick(model))

def calibration_scores(where, model, frames=52_000):
    "Scores of about this many clean frames that no training and no test has touched, (frames,)."
    def score(tell):
        parts = []
        blocks = max(1, round(frames/500/(64-model.unjudged)))
        for i in range(blocks):   # of 500 episodes, so that memory stays flat
            tell(i/blocks)
            clean = home_of(model).clips("calibrate", 500, 64, i).frames
            parts.append(model.surprise(clean)[:, model.unjudged:].flatten())
        return torch.cat(parts)
    key = where, "calibration", frames
    return worked_out(key, "Calibrating on clean episodes", score)[0]

def threshold(where, model, per_1000):
    "The conformal threshold for a rate of false alarms; read from the metrics where they have it."
    measured(where, model)
    rates = metrics(*where).get("rates", {}).get("perfect camera", {}).get("rates", {})
    kept = rates.get(f"{per_1000/1000:g}")
    if kept: return kept["threshold"]
    frames = 52_000 if per_1000 >= 1 else 520_000
    return conformal_threshold(calibration_scores(where, model, frames), per_1000/1000)
