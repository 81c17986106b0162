"What all pages share: which weights, what was measured of them, and how long work is shown."
import atexit
import os
import shutil
import tempfile
from pathlib import Path

import dvd_jepa
import streamlit as st
import torch
from dvd_jepa.evaluate import metrics_beside
from dvd_jepa.models import checkpoint_path
from dvd_jepa.surprise import calibration_frames, conformal_threshold, yardstick

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
def load(path, changed): return dvd_jepa.load(path)

@st.cache_resource(show_spinner=False, max_entries=16)
def metrics(path, changed):
    "What lies beside the weights; empty if nothing does, or if it is of others. All sessions share it: nobody changes it."
    return metrics_beside(path, load(path, changed))

@st.cache_resource(show_spinner=False, max_entries=1)
def _results(): return {}

def worked_out(key, label, *jobs):
    """What `jobs` return, in a list: functions of a callback that takes the share done and a word.
    Done once for all sessions, with a progress bar; `key` says what the results depend on."""
    kept = _results()
    done = kept.pop(key, None)
    if done is None:
        bar, done = st.progress(0., label), []
        for i,job in enumerate(jobs): done.append(job(lambda share, word="": bar.progress(min(1., (i+share)/len(jobs)), f"{label} {word}")))
        bar.empty()
    kept[key] = done                                        # whatever was asked for last goes last
    if len(kept) > 64: kept.pop(next(iter(kept)), None)
    return done


def chart(place, fig, key):
    "Draw a figure as wide as its place, in the page's theme, without the tools that would cover its title."
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
    names = [*([wanted] if wanted else []), "rotor", *dvd_jepa.packaged()]
    return dict.fromkeys(names) | st.session_state.get("own", {})

def add_own(name, path): st.session_state.setdefault("own", {})[name] = str(path)

def choose_model(place):
    "The weights' name, path and age, and the model itself; where they can't be used, a sentence, and the page ends."
    names = offered()
    st.session_state.weights = st.session_state.get("weights") if st.session_state.get("weights") in names else next(iter(names))   # a choice outlives its page
    name = place.selectbox("Weights", list(names), key="weights", help="Packaged weights by name, the run folder that `dvd-jepa demo` was given, and what you trained or brought here.")
    try:
        path = checkpoint_path(names[name] or name)
        where = str(path), path.stat().st_mtime_ns
        return where, load(*where)
    except (ValueError, OSError, MemoryError) as e:
        st.error(f"These weights can't be used. {e}")
        bring_own(st)
        st.stop()

def bring_own(place):
    "Let a person bring a checkpoint of their own."
    with place.popover("Bring your own weights", width="stretch"):
        came = st.file_uploader("A model.safetensors that this project has written", key="upload", help="Checked before it is used; it stays on this server until it stops.")
        if came is None: return
        name = f"{Path(came.name).stem} (yours)"
        if st.session_state.get("uploaded") == (came.file_id, name): return
        path = own_folder()/f"{came.file_id}.safetensors"
        path.write_bytes(came.getvalue())
        try: model = dvd_jepa.load(path)
        except (ValueError, OSError, MemoryError) as e: return st.error(f"{came.name} can't be used: it is truncated, damaged or from elsewhere. Expected: a checkpoint written by `WorldModel.save`, `dvd-jepa train` or the Train page." + (" It holds a predictor of your own, which only Python can load." if "predictor of class" in str(e) else ""))
        st.session_state.uploaded = came.file_id, name
        add_own(name, path)
        st.success(f"{model.config.recipe}, seed {model.config.seed}, {model.world.name} world: choose it under Weights as “{name}”.")


def measured(where, model):
    "See to it that the model's usual errors are known; the packaged weights bring them along, others take seconds."
    worked_out((where, "yardstick"), "Measuring what its errors are usually like", lambda tell: yardstick(model))

def calibration_scores(where, model, frames=52_000):
    "Scores of so many clean frames that neither training nor a test has touched, (frames,)."
    def score(tell):
        clean, parts = calibration_frames(model.world, -(-frames//max(1, 64-model.context))), []
        for i,part in enumerate(clean.split(100)):
            tell(i*100/len(clean))
            parts.append(model.surprise(part)[:, model.context:].flatten())
        return torch.cat(parts)
    return worked_out((where, "calibration", frames), "Calibrating on clean episodes", score)[0]

def threshold(where, model, per_1000):
    "The conformal threshold for so many false alarms in 1,000 clean frames; measured before, where it was."
    measured(where, model)
    kept = metrics(*where).get("rates", {}).get("perfect camera", {}).get("rates", {}).get(f"{per_1000/1000:g}")
    return kept["threshold"] if kept else conformal_threshold(calibration_scores(where, model, 52_000 if per_1000 >= 1 else 520_000), per_1000/1000)

def describe(model):
    parts = "no decoder: a pure JEPA" if model.decoder is None else f"sees {model.context} frames"
    return f"recipe {model.config.recipe}, seed {model.config.seed}, {model.world.name} world; {parts}"
