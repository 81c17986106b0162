"Live: reality and dream side by side, and a bell that can be trusted."
import secrets
import time

import streamlit as st
from common import RATES, bring_own, choose_model, describe, show, show_code, threshold
from dvd_jepa.breaks import VIOLATIONS
from theatre import KEPT, Theatre

CHUNK = .4   # seconds between two chunks of frames
SPEEDS = [2, 5, 10, 15, 30, 60]
AHEAD = [10, 30, 100, 300, 1_000, 10_000, 100_000]
state = st.session_state


def theatre_of(where, model, limit):
    "This session's logo and watcher; a new one for other weights."
    if state.get("watched") != where:
        state.watched = where
        begin(model, limit, seed=7)
    state.theatre.promise(limit)
    return state.theatre

def begin(model, limit, seed):
    state.theatre = Theatre(model, limit, seed)
    state.clock = None


# What the buttons do

def new_world():
    now = state.theatre
    begin(now.model, now.monitor.threshold, secrets.randbelow(2**31))

def pause(): state.paused = not state.get("paused", False)

def strike():
    magnitude = state[f"magnitude {state.kind}"]
    try: at = state.theatre.strike(state.kind, magnitude)
    except ValueError as e: state.notice = f":material/error: {e}"
    else: state.notice = f"It will show at frame {at:,}."

def rush(): state.rushing = state.far

def rush_now(place):
    "Dream ahead, behind a bar: a hundred thousand frames of reality take a while."
    label = "Letting reality run ahead"
    n = state.pop("rushing")
    bar = place.progress(0., label)
    try: state.theatre.rush(n, lambda share: bar.progress(share, label))
    except ValueError as e: state.notice = f":material/error: {e}"
    bar.empty()

def wake():
    state.theatre.far = None
    state.clock = None


# The controls

def controls(place, model):
    paused = state.get("paused", False)
    far = bool(state.theatre.far)
    one, two = place.columns(2)
    one.button(
        "Play" if paused else "Pause", key="pause", on_click=pause, width="stretch",
        icon=":material/play_arrow:" if paused else ":material/pause:", disabled=far)
    two.button(
        "New world", key="new", on_click=new_world, width="stretch",
        icon=":material/casino:", help="Another logo, from another place.")
    place.select_slider("Frames per second", SPEEDS, 30, key="fps")
    switches(place, model)
    place.select_slider(
        "False alarms in 1,000 clean frames", RATES[:-3], 1, key="rate",
        help="The threshold is calibrated on clean episodes for this rate.")
    with place.container(border=True): breaking(disabled=paused or far)
    with place.container(border=True): dreaming(model, far)

def switches(place, model):
    one, two = place.columns(2)
    draws = model.decoder is not None
    one.toggle(
        "Decoder", draws, key="decoder" if draws else "no decoder", disabled=not draws,
        help="Off: the pure JEPA. It understands, but it won't draw.")
    two.toggle("Eyes open", True, key="eyes",
               help="Shut: it goes on dreaming from the last thing it saw.")

def breaking(disabled):
    kind = st.selectbox("Break reality", list(VIOLATIONS), key="kind",
                        format_func=lambda kind: f"{kind}: it {VIOLATIONS[kind].says}")
    v = VIOLATIONS[kind]
    one, two = st.columns([3, 2], vertical_alignment="bottom")
    one.select_slider(f"How much ({v.unit})", v.magnitudes, v.default, key=f"magnitude {kind}")
    two.button("Inject", key="inject", on_click=strike, type="primary", width="stretch",
               disabled=disabled)

def dreaming(model, far):
    one, two = st.columns([3, 2], vertical_alignment="bottom")
    within = [n for n in AHEAD if n <= model.predictor.reach]
    one.selectbox("Dream ahead (frames)", within, 2, key="far", format_func=lambda n: f"{n:,}")
    if far: two.button("Wake up", key="wake", on_click=wake, type="primary", width="stretch")
    else:
        two.button("Dream", key="rush", on_click=rush, width="stretch",
                   help="Reality is frozen while the latent rolls on; then both are compared.")


# The stage

def due(fps):
    "Frames that are missing to keep the player going; more at first, so that it has some in hand."
    now = time.monotonic()
    before = state.get("clock")
    state.clock = now
    if before is None: return round(1.1*fps)
    return max(1, min(round(fps*(now-before)), 2*fps))

def telling(theatre, fps):
    "How many frames to tell of: each twice, since a browser may skip a message."
    twice = int(2.2*max(1, CHUNK*fps))+4
    new = theatre.frame-state.get("sent", 0)
    state.sent = theatre.frame
    return min(KEPT, max(twice, new)) if new >= 0 else KEPT

def stage():
    "One chunk: what has become due since the last one, and everything the player needs to know."
    theatre, look = state.theatre, state.look
    if look["playing"]: theatre.advance(due(look["fps"]), look["eyes"])
    else: state.clock = None
    asked = {k: look[k] for k in ("fps", "playing", "draw", "promise")}
    show(theatre.message(telling(theatre, look["fps"]), **asked), "stage")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown(
    "**Watch the two screens: the dream is what the model expects before the next frame comes. "
    "Break reality, and see whether it is surprised.**")
where, model = choose_model(right)
show_code(right)
theatre_of(where, model, threshold(where, model, state.get("rate", 1)))
if "rushing" in state: rush_now(left)
controls(right, model)
state.theatre.promise(threshold(where, model, state.rate))

playing = not state.get("paused", False) and not state.theatre.far
alarms = f"{state.rate:g} false alarm{'s'*(state.rate != 1)}"
state.look = dict(
    fps=state.fps, eyes=state.eyes, draw=model.decoder is not None and state.decoder,
    playing=playing, promise=f"the threshold, for {alarms} in 1,000 clean frames")
if state.get("notice"): right.caption(state.pop("notice"))
bring_own(right)
right.caption(describe(model))
with left: st.fragment(stage, run_every=CHUNK if playing else None)()
