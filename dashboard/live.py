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
        state.watched, state.theatre, state.clock = where, Theatre(model, limit, seed=7), None
    state.theatre.promise(limit)
    return state.theatre

def new_world(): state.theatre, state.clock = Theatre(state.theatre.model, state.theatre.monitor.threshold, secrets.randbelow(2**31)), None

def pause(): state.paused = not state.get("paused", False)

def strike():
    kind = state.kind
    try: state.notice = f"It will show at frame {state.theatre.strike(kind, state[f'magnitude {kind}']):,}."
    except ValueError as e: state.notice = f":material/error: {e}"

def rush(): state.rushing = state.far

def rush_now(place):
    "Dream ahead, behind a bar: a hundred thousand frames of reality take a while."
    n, bar = state.pop("rushing"), place.progress(0., "Letting reality run ahead")
    try: state.theatre.rush(n, lambda share: bar.progress(share, "Letting reality run ahead"))
    except ValueError as e: state.notice = f":material/error: {e}"
    bar.empty()

def wake(): state.theatre.far, state.clock = None, None

def due(fps):
    "Frames that are missing to keep the player going; more at first, so that it has some in hand."
    now, before = time.monotonic(), state.get("clock")
    state.clock = now
    return round(1.1*fps) if before is None else max(1, min(round(fps*(now-before)), 2*fps))


def controls(place, model):
    paused, far = state.get("paused", False), state.theatre.far
    one, two = place.columns(2)
    one.button("Play" if paused else "Pause", icon=":material/play_arrow:" if paused else ":material/pause:", on_click=pause, width="stretch", key="pause", disabled=bool(far))
    two.button("New world", icon=":material/casino:", on_click=new_world, width="stretch", key="new", help="Another logo, from another place.")
    place.select_slider("Frames per second", SPEEDS, 30, key="fps")
    one, two = place.columns(2)
    one.toggle("Decoder", model.decoder is not None, disabled=model.decoder is None, key="decoder" if model.decoder is not None else "no decoder", help="Off: the pure JEPA. It understands, and won't draw.")
    two.toggle("Eyes open", True, key="eyes", help="Shut: it goes on dreaming from the last thing it saw.")
    place.select_slider("False alarms in 1,000 clean frames", RATES[:-3], 1, key="rate", help="The threshold is calibrated on clean episodes for this rate.")
    with place.container(border=True):
        kind = st.selectbox("Break reality", list(VIOLATIONS), key="kind", format_func=lambda kind: f"{kind}: it {VIOLATIONS[kind].says}")
        v = VIOLATIONS[kind]
        one, two = st.columns([3, 2], vertical_alignment="bottom")
        one.select_slider(f"How much ({v.unit})", v.magnitudes, v.default, key=f"magnitude {kind}")
        two.button("Inject", on_click=strike, type="primary", width="stretch", key="inject", disabled=paused or bool(far))
    with place.container(border=True):
        one, two = st.columns([3, 2], vertical_alignment="bottom")
        within = [n for n in AHEAD if n <= model.predictor.reach]
        one.selectbox("Dream ahead (frames)", within, 2, key="far", format_func=lambda n: f"{n:,}")
        if far: two.button("Wake up", on_click=wake, type="primary", width="stretch", key="wake")
        else: two.button("Dream", on_click=rush, width="stretch", key="rush", help="Reality is frozen while the latent rolls on; then both are compared.")


def stage():
    "One chunk: what has become due since the last one, and everything the player needs to know."
    theatre, look = state.theatre, state.look
    if look["playing"]: theatre.advance(due(look["fps"]), look["eyes"])
    else: state.clock = None
    twice, new = int(2.2*max(1, CHUNK*look["fps"]))+4, theatre.frame-state.get("sent", 0)   # a browser may skip a message: the next one tells it again
    state.sent = theatre.frame
    show(theatre.message(min(KEPT, max(twice, new)) if new >= 0 else KEPT, **{k: look[k] for k in ("fps", "playing", "draw", "promise")}), "stage")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown("**Watch the two screens: the dream is what the model expects before the next frame comes. Break reality, and see whether it is surprised.**")
where, model = choose_model(right)
show_code(right)
theatre_of(where, model, threshold(where, model, state.get("rate", 1)))
if "rushing" in state: rush_now(left)
controls(right, model)
state.theatre.promise(threshold(where, model, state.rate))
playing = not state.get("paused", False) and not state.theatre.far
state.look = dict(fps=state.fps, eyes=state.eyes, draw=model.decoder is not None and state.decoder, playing=playing, promise=f"the threshold, for {state.rate:g} false alarm{'s'*(state.rate != 1)} in 1,000 clean frames")
if state.get("notice"): right.caption(state.pop("notice"))
bring_own(right)
right.caption(describe(model))
with left: st.fragment(stage, run_every=CHUNK if playing else None)()
