"The dashboard's one page: dream, latent, horizon and anomaly, from packaged weights or a run folder."
import os

import dvd_jepa
import streamlit as st
from dvd_jepa.core import TEST_SEED
from dvd_jepa.evaluate import forecast_report, horizon_report, horizon_text, metrics_beside, skill_figure, steps_text
from dvd_jepa.models import checkpoint_path
from dvd_jepa.show import ALARM, REALITY, curves, filmstrip, player
from dvd_jepa.surprise import SPACES, calibration_frames, conformal_threshold, space_of

COLORS = {"broken": ALARM, "clean twin": REALITY}
LENGTH = 80   # frames of a broken episode: the slowest logo has time to reach a wall
st.set_page_config("DVD-JEPA", page_icon="📀", layout="wide")


@st.cache_resource(show_spinner="loading weights")
def load(path, changed): return dvd_jepa.load(path)

@st.cache_data(show_spinner="dreaming 500 held-out episodes, and asking everybody else")
def horizon(path, changed):
    "The forecast report, the far horizon and the headlines over seeds that lie beside the weights; measured now if none does."
    model = load(path, changed)
    kept = metrics_beside(path, model)
    return kept.get("forecast") or forecast_report(model), (kept.get("horizon") or {}).get(model.world.name) or horizon_report(model), kept.get("seeds")

@st.cache_data(show_spinner="calibrating on clean episodes")
def threshold(path, changed, per_thousand):
    model = load(path, changed)
    return conformal_threshold(model.surprise(calibration_frames(model.world, false_alarms=per_thousand/1000)), per_thousand/1000)

@st.cache_data(show_spinner=False)
def broken(path, changed, kind, magnitude, seed): return dvd_jepa.inject(load(path, changed).world, 1, LENGTH, kind, magnitude, seed=TEST_SEED+seed)


def choose_model():
    "Weights from the sidebar; an error in plain words if they can't be used."
    wanted = os.environ.get("DVD_JEPA_MODEL")
    names = list(dict.fromkeys([*([wanted] if wanted else []), "rotor", *dvd_jepa.packaged()]))
    source = st.sidebar.selectbox("Weights", names, help="Packaged weights, or the run folder that `dvd-jepa demo` was given.")
    try:
        path = checkpoint_path(source)
        where = str(path), path.stat().st_mtime_ns
        return where, load(*where)
    except (ValueError, OSError) as e:
        st.error(str(e))
        st.stop()


def dream_section(where, model):
    st.header("Dream")
    st.write(f"The model sees {model.context} frames, closes its eyes and goes on in {model.config.latent} numbers. "
             "**Press play, and watch how long the dream stays beside reality.**")
    left, middle, right = st.columns(3)
    seed = left.number_input("Episode", 0, 9999, 7, key="episode", help="A held-out episode, here and below; another number is another start.")
    steps = middle.slider("Frames to dream", 10, 100, 42)
    draw = right.toggle("Decoder", model.decoder is not None, disabled=model.decoder is None, help="Off: the pure JEPA. It understands, and won't draw.")
    frames, _ = dvd_jepa.simulate(model.world, 1, model.context+steps, TEST_SEED+seed)
    z = model.dream(frames[:, :model.context], steps)
    dreamed = model.decode(z)[0] if draw else None
    st.plotly_chart(player(frames[0, model.context:], dreamed, z[0], first=model.context), width="stretch", key="player")


def horizon_section(where, model):
    st.header("Horizon")
    if model.decoder is None: return st.info("These weights have no decoder, so their dreams can't be compared with frames.")
    report, far, seeds = horizon(*where)
    lost, last = far["worse_than_mean_frame_from"], far["at"][-1]
    further = [name for name,r in report["baselines"].items() if r["valid_horizon"] > report["valid_horizon"]]
    st.write(f"On {report['data']['episodes']} held-out episodes the dream is valid (skill ≥ 0.5) for **{horizon_text(far, last)} steps**"
             + (f", and from step **{lost:,}** on the average frame is the better prophet." if lost else ".")
             + (f" Further than the dream, within {report['data']['steps']} steps: {', '.join(further)}." if further else "")
             + " **Look where each line falls below one half; bands are 95 % intervals over episodes.**")
    if seeds and (over := seeds["headlines"].get(f"horizon.{model.world.name}.valid_horizon")):
        st.caption(f"Trained with {len(over['values'])} seeds, the recipe's dreams were valid for {steps_text(round(over['median']), last)} steps (worst {steps_text(over['min'], last)}, best {steps_text(over['max'], last)}).")
    st.plotly_chart(skill_figure(report, f"The first {report['data']['steps']} steps beside everybody else, on held-out {report['data']['world']} episodes"), width="stretch", key="horizon")


def anomaly_section(where, model):
    st.header("Anomaly")
    st.write("Break reality, and see whether the bell rings. **The dotted line is where it broke; a score above the dashed line is an alarm.**")
    left, middle, right = st.columns(3)
    kind = left.selectbox("Violation", list(dvd_jepa.VIOLATIONS), key="violation")
    v = dvd_jepa.VIOLATIONS[kind]
    left.caption(f"The logo {v.says}.")
    whole, (_, most) = v.holds, v.limits(model.world)
    magnitude = middle.number_input(f"Magnitude ({v.unit})", *((1, min(40, most), int(v.default)) if whole else (5.0 if v.unit == "°" else 0.01, float(most), float(v.default))),
                                    step=1 if whole else 5.0 if v.unit == "°" else 0.05, key=f"magnitude {kind}")
    rate = right.select_slider("False alarms in 1,000 clean frames", [0.5, 1, 2, 5, 10, 50], value=1)
    try: bad, onset = broken(*where, kind, magnitude, st.session_state["episode"])
    except ValueError as e: return st.error(str(e))
    at, limit, k = int(onset[0]), threshold(*where, rate), model.context
    scores = {"broken": model.surprise(bad.frames)[0, k:], "clean twin": model.surprise(bad.clean)[0, k:]}
    rings = [t for t in range(k, LENGTH) if scores["broken"][t-k] > limit]
    false, true = [t for t in rings if t < at], [t for t in rings if t >= at]
    verdict = f"The first alarm after it rings at frame **{true[0]}**." if true else "**No alarm**: this one gets past it."
    if false: verdict += f" Before it there was a false alarm at frame {', '.join(map(str, false))}."
    st.write(f"Reality breaks at frame **{at}**. {verdict}")
    fig = curves(scores, x=range(k, LENGTH), title="Surprise at each frame", x_label="time (frames)", y_label=f"surprise ({SPACES[space_of(model)]})", colors=COLORS,
                 marks={"reality breaks": at}, levels={"threshold": limit}, log_y=True)
    st.plotly_chart(fig, width="stretch", key="surprise")
    around = slice(max(0, at-4), min(LENGTH, at+8))
    seen = {"broken": bad.frames[0, around], "clean twin": bad.clean[0, around]}
    strip = filmstrip(seen, times=range(around.start, around.stop), colors=COLORS, title="What the camera saw")
    st.plotly_chart(strip, width="stretch", key="strip")


st.title("DVD-JEPA")
st.caption("The smallest honest JEPA world model: it predicts the representation of the future, not its pixels.")
where, model = choose_model()
st.sidebar.caption(f"{model.config.recipe} recipe, seed {model.config.seed}, {model.world.name} world")
dream_section(where, model)
horizon_section(where, model)
anomaly_section(where, model)
