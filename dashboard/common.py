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
ASSETS = {"drawing": here.parent/"nbs"/"demo"/"stage.js", "looks": here.parent/"nbs"/"demo"/"stage.css", "player": here/"player.js"}   # the first two are the browser demo's, too


@st.cache_resource(show_spinner=False, max_entries=1)
def _components(changed):
    "The player's code, and the player that waits for it: Streamlit sends a component's code along with every chunk, so the large part is one of its own."
    drawing, looks, play = (path.read_text(encoding="utf-8") for path in ASSETS.values())
    code = st.components.v2.component("dvd_jepa_code", js=drawing + play)
    player = st.components.v2.component("dvd_jepa_player", html='<div class="stage"></div>', css=looks, js="""export default args => {
        const show = () => window.dvdJepa ? window.dvdJepa(args) : setTimeout(show, 20);
        show(); }""")
    return code, player

def _mounts(): return _components(tuple(path.stat().st_mtime_ns for path in ASSETS.values()))   # registered anew when the files change

def show_code(place):
    "To be called once in each run of a page that shows something."
    with place: _mounts()[0](key="code", height=1)

def show(data, key):
    "Mount a player for `data`."
    _mounts()[1](data=data, key=key, height="content")

@st.cache_resource(show_spinner=False, max_entries=16)
def load(path, changed, _measured=None): return _fitting(load_model(path))

def _fitting(model):
    "The model, if these pages are made for one of its size: they draw frames, calibrate on episodes of 64 frames, and share a machine."
    home = model.home or dict(name="nothing")
    if home.get("kind") != "world":
        came, expected = f"a model that was taught on {home['name']!r}", "one that was taught in a World"
        raise wrong("dashboard, weights", came, f"{expected}, which these pages let run")
    sizes = {"frames": (home_of(model).size, 13, 64), "frames seen at once": (model.context, 1, 32),
             "latents": (model.config.latent, 8, 256),
             "weights": (sum(p.numel() for p in model.parameters()), 1, 20_000_000)}
    for what,(value, low, high) in sizes.items():
        if not low <= value <= high:
            raise wrong(f"dashboard, {what}", f"{value:,}", f"{low:,} to {high:,}")
    return model

@st.cache_resource(show_spinner=False, max_entries=16)
def metrics(path, changed, measured):
    "What lies beside the weights; empty if nothing does, or if it is of others. All sessions share it: nobody changes it."
    return metrics_beside(path, load(path, changed))

@st.cache_resource(show_spinner=False, max_entries=16)
def others(path, changed, measured):
    "A sentence where what lies beside the weights is of others, else nothing."
    return mismatch(path, load(path, changed))

@st.cache_resource(show_spinner=False, max_entries=1)
def _results(): return {}, defaultdict(threading.Lock)

def worked_out(key, label, *jobs):
    """What `jobs` return, in a list: functions of a callback that takes the share done and a word.
    Done once for all sessions, with a progress bar; `key` says what the results depend on."""
    kept, locks = _results()
    with locks[key]:                                        # whoever asks for the same waits for it
        if key not in kept:
            bar, done = st.progress(0., label), []
            for i,job in enumerate(jobs): done.append(job(lambda share, word="": bar.progress(min(1., (i+share)/len(jobs)), f"{label} {word}")))
            bar.empty()
            kept[key] = done
        kept[key] = kept.pop(key)                           # whatever was asked for last goes last
        for old in list(kept)[:-64]: kept.pop(old, None), locks.pop(old, None)
        return kept[key]


def chart(place, fig, key):
    "Draw a figure as wide as its place, in the page's theme, without the tools that would cover its title."
    fig.layout.template = TEMPLATE   # and nothing else of plotly's own
    place.plotly_chart(fig, width="stretch", key=key, config=dict(displayModeBar=False))


def own_folder():
    "A folder for this session's own files; it is removed when the server stops."
    if "folder" not in st.session_state:
        st.session_state.folder = folder = Path(tempfile.mkdtemp(prefix="dvd-jepa-"))
        atexit.register(shutil.rmtree, folder, True)
    return st.session_state.folder

def offered():
    "Weights to choose from: name → where they are."
    wanted = os.environ.get("DVD_JEPA_MODEL")
    names = [*([wanted] if wanted else []), "rotor", *packaged()]
    return dict.fromkeys(names) | st.session_state.get("own", {})

def add_own(name, path): st.session_state.setdefault("own", {})[name] = str(path)

def choose_model(place):
    "The weights' name, path and age, and the model itself; where they can't be used, a sentence, and the page ends."
    names = offered()
    st.session_state.weights = st.session_state.get("weights") if st.session_state.get("weights") in names else next(iter(names))   # a choice outlives its page
    name = place.selectbox("Weights", list(names), key="weights", help="Packaged weights by name, the run folder that `dvd-jepa demo` was given, and what you trained or brought here.")
    try:
        path = checkpoint_path(names[name] or name)
        beside = path.with_name("metrics.json") if path.name == "model.safetensors" else path.with_suffix(".json")
        where = str(path), path.stat().st_mtime_ns, beside.stat().st_mtime_ns if beside.is_file() else None
        model = load(*where)
        if said := others(*where):
            said = f"{said[0].upper()}{said[1:]}: what is shown here is measured afresh."
            place.caption(plain(said))
        return where, model
    except (ValueError, OSError, MemoryError) as e:
        st.error(f"These weights can't be used. {e}")
        bring_own(st)
        st.stop()

def bring_own(place):
    "Let a person bring a checkpoint of their own."
    with place.popover("Bring your own weights", width="stretch"):
        came = st.file_uploader("A model.safetensors that this project has written", key="upload", help="Checked before it is used; it stays on this server until it stops.")
        if came is None: return
        seen = st.session_state.setdefault("uploads", {})   # file → what was said of it: nothing is read twice
        if came.file_id not in seen: seen[came.file_id] = _received(came)
        ok, said = seen[came.file_id]
        (st.success if ok else st.error)(said)

def _received(came):
    "Take an uploaded file in, if it is a checkpoint: did it work, and what to say."
    name, path = f"{Path(came.name).stem} (yours)", own_folder()/f"{came.file_id}.safetensors"
    path.write_bytes(came.getvalue())
    try: model = load(str(path), path.stat().st_mtime_ns)
    except (ValueError, OSError, MemoryError) as e:
        path.unlink()
        return False, plain(f"{came.name} can't be used. {str(e).replace(str(path), 'it')}")
    add_own(name, path)
    return True, f"Choose it under Weights as “{plain(name)}”: {describe(model)}."

def plain(text): return re.sub(r"([\\`*_{}\[\]()#+!|<>:$~-])", r"\\\1", text)   # a stranger's words are no Markdown


def measured(where, model):
    "See to it that the model's usual errors are known; the packaged weights bring them along, others take seconds."
    worked_out((where, "yardstick"), "Measuring what its errors are usually like", lambda tell: yardstick(model))

def calibration_scores(where, model, frames=52_000):
    "Scores of so many clean frames that neither training nor a test has touched, (frames,)."
    def score(tell):
        parts, blocks = [], max(1, round(frames/500/(64-model.context)))
        for i in range(blocks):                              # of 500 episodes, so that memory stays flat
            tell(i/blocks)
            clean = home_of(model).clips("calibrate", 500, 64, i).frames
            parts.append(model.surprise(clean)[:, model.context:].flatten())
        return torch.cat(parts)
    return worked_out((where, "calibration", frames), "Calibrating on clean episodes", score)[0]

def threshold(where, model, per_1000):
    "The conformal threshold for so many false alarms in 1,000 clean frames; measured before, where it was."
    measured(where, model)
    kept = metrics(*where).get("rates", {}).get("perfect camera", {}).get("rates", {}).get(f"{per_1000/1000:g}")
    return kept["threshold"] if kept else conformal_threshold(calibration_scores(where, model, 52_000 if per_1000 >= 1 else 520_000), per_1000/1000)

def describe(model):
    parts = "no decoder: a pure JEPA" if model.decoder is None else f"sees {model.context} frames"
    recipe, world = plain(model.config.recipe), plain(home_of(model).name)
    return f"recipe {recipe}, seed {model.config.seed}, {world} world; {parts}"
