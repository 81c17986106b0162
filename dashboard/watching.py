"On watch: it learns an ordinary day from a film or a camera, and tells what isn't ordinary."
import base64
import json
import os
import shutil
import time
from datetime import datetime
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st
from common import chart, own_folder, plain
from dvd_jepa.camera import FAULTS, redacted
from dvd_jepa.recipes import CAPACITIES
from dvd_jepa.show import ALARM, REALITY
from jobs import PATIENCE, Job, begin

state = st.session_state
films = Path(__file__).parent.parent/"nbs"/"films"
SQUARE, OWN, CAMERA = "A square", "A film of yours", "A camera"
RATES = [0.1, 1, 2, 5, 10, 20, 50, 100]   # false alarms in 1,000 frames
KINDS = ["mp4", "mkv", "avi", "mov", "webm", "ts", "gif"]
ADDRESSES = "rtsp://", "rtsps://", "http://", "https://", "/dev/video"
SHOWN = 6                                 # films of events on the page, the newest first


# What is wanted

def knobs(place):
    "What it learns from, what it watches, and how; as `watcher.py` wants it, and what is missing."
    learns = place.selectbox("It learns from", offered(), key="learns", help=(
        "An ordinary day, in which nothing happens that should ring. A square: a film that comes "
        "with the project, people who walk. A camera: what it shows in the next minutes."))
    train, missing = None, None
    if learns == SQUARE: train = films/"square.mp4"
    if learns == OWN: train, missing = uploaded(place, "An ordinary day", "ordinary")
    record = 120
    if learns == CAMERA: record = 60*place.number_input(
        "Minutes to film it first", 1, 120, 5, key="minutes")
    choices = [CAMERA] if learns == CAMERA else offered()
    usual = dict.fromkeys(choices, 0) | ({OWN: 1} if learns == OWN else {})
    watches = place.selectbox("It watches", choices, usual[learns], key=f"watches {learns}")
    source = films/"square-watch.mp4"
    if watches == OWN: source, none = uploaded(place, "Another day", "other")
    if watches == CAMERA: source, none = address(place)
    if watches != SQUARE: missing = missing or none
    how = details(place)
    return dict(train=train and str(train), source=str(source), record=record, **how), missing

def offered():
    """What a visitor may choose: cameras, and whatever the server can reach, are for who sits at
    the server, or if DVD_JEPA_CAMERAS is set, for all."""
    at_home = st.context.ip_address is None or os.environ.get("DVD_JEPA_CAMERAS")
    return [SQUARE, OWN, CAMERA] if at_home else [SQUARE, OWN]

def uploaded(place, label, key):
    "Where an uploaded film lies, and what to say where there is none. One is kept of each kind."
    came = place.file_uploader(label, KINDS, key=key)
    if came is None: return None, "Choose a film first."
    suffix = Path(came.name).suffix.lower()
    if suffix[1:] not in KINDS: return None, f"Choose a film: {', '.join(KINDS)}."
    path = own_folder()/f"{key}-{came.file_id}{suffix}"
    if path.exists(): return path, None
    for old in own_folder().glob(f"{key}-*"): old.unlink()
    path.write_bytes(came.getvalue())
    return path, None

def address(place):
    "Of a camera, and what to say where there is none. A visitor may not read the server's files."
    said = place.text_input("Its address", key="address", placeholder="rtsp://10.0.0.7/live",
                            help="rtsp://…, http://… or /dev/video0 of the server.")
    if not said: return None, "Name a camera first."
    if said.startswith(ADDRESSES): return said, None
    return None, f"Received {redacted(said)}, expected rtsp://…, http://… or /dev/video0."

def details(place):
    with place.expander("A few knobs"):
        recipe = st.selectbox("Recipe", ["motion", "video"], key="watch recipe", help=(
            "motion looks at what moves and how fast: the first thing to try. "
            "video looks at everything that changes, and takes longer."))
        capacity = st.select_slider("Capacity", list(CAPACITIES), "small", key="capacity", help=(
            "small is the quickest; large sees more, and takes many minutes."))
        rate = st.select_slider("False alarms in 1,000 calm frames", RATES, 5, key="watch rate")
    return dict(recipe=recipe, capacity=capacity, false_alarms=rate/1000)

def start(asked):
    "Begin a watch if there is room for one; if not, the page will say why."
    old = state.get("guard")
    try: state.guard = begin(lambda: Job("watcher.py", asked, "ended"))
    except ValueError as e: state.guard_trouble = str(e)
    else:
        if old: shutil.rmtree(old.folder, ignore_errors=True)


# What it shows

def view():
    "The bar while it learns; then the picture and the score, as they are now."
    job = state.guard
    steps = job.look()
    if job.alive: learning(steps[-1] if steps else dict(phase="starting", steps=0))
    picture(job)
    if not job.alive and state.get("guard_settled") != job.folder:
        state.guard_settled = job.folder
        st.rerun()   # the buttons know it, too

def learning(phase):
    "A bar, or where nobody knows how long it takes, how long it has taken."
    if phase["phase"] == "watching": return
    what, of = phase["phase"].capitalize(), phase["steps"]
    if of: st.progress(min(1., phase["step"]/of), f"{what}: {phase['step']:,} of {of:,}")
    else:
        passed = f" ({time.time()-phase['at']:.0f} s)" if "at" in phase else ""
        st.progress(0., f"{what}{passed} …")

def picture(job):
    if not (job.folder/"view.json").exists(): return
    now = json.loads((job.folder/"view.json").read_text(encoding="utf-8"))
    says = [f":red-badge[{kind}: {FAULTS[kind]}]" for kind in now["faults"]]
    calm = ":green-badge[on watch]" if job.alive else ":gray-badge[over]"
    st.markdown(" ".join(says) or calm)
    if (job.folder/"view.jpg").exists():
        packed = base64.b64encode((job.folder/"view.jpg").read_bytes()).decode()
        st.html(f'<img src="data:image/jpeg;base64,{packed}" alt="What the camera sees; what is '
                'strange is red" style="width:100%;max-width:640px;border-radius:8px">')
    scores(now)

def scores(now):
    "The latest scores beside the threshold."
    frames = [t for t,_ in now["scores"]]
    if not frames: return
    heights = [None if score is None else max(score/now["threshold"], 1e-2)
               for _,score in now["scores"]]
    fig = go.Figure()
    fig.add_scatter(x=frames, y=heights, mode="lines", name="score", line=dict(color=REALITY))
    fig.add_hline(1, line=dict(color=ALARM, dash="dash"), annotation_text="it rings above this")
    fig.update_layout(title="How strange it is", height=230, margin=dict(t=40, b=40),
                      showlegend=False)
    fig.update_xaxes(title="frame")
    fig.update_yaxes(title="times the threshold", type="log", range=[-2, 1.3],
                     tickvals=[.01, .1, 1, 10])
    chart(st, fig, "scores")

def events():
    "What has happened, the newest first, with its film."
    job = state.guard
    path, found = job.folder/"events.jsonl", {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            found[event["id"]] = event
    if not found:
        if (job.folder/"view.json").exists(): st.caption("Nothing has happened yet.")
        return
    st.markdown(f"**{len(found)} event{'s' if len(found) > 1 else ''}**")
    places = st.columns(3)
    for i,event in enumerate(list(found.values())[::-1][:SHOWN]): tell(places[i % 3], job, event)

def tell(place, job, event):
    when = datetime.fromisoformat(event["began"].replace("Z", "+00:00")).astimezone()
    goes_on = "" if event["state"] == "end" else ", goes on"
    peak = f", {event['peak']:.1f} × the threshold" if event["peak"] else ""
    place.markdown(f"**{event['kind']}** at {when:%H:%M:%S}  \n"
                   f"{event['lasted']:.1f} s{peak}{goes_on}")
    clip = event["clip"] and Path(event["clip"])
    if clip and clip.exists(): place.video(str(clip))
    elif clip: place.caption("Its film is being made.")


left, right = st.columns([2.2, 1], gap="medium")
left.markdown("**It learns an ordinary day, and rings when something is out of the ordinary. "
              "Nobody labels anything, and nobody shows it an intruder.**")
asked, missing = knobs(right)
job = state.get("guard")
busy = job is not None and job.alive
one, two = right.columns(2)
one.button("Start", key="guard start", icon=":material/play_arrow:", type="primary",
           width="stretch", disabled=busy or missing is not None, on_click=start, args=(asked,))
two.button("Stop", key="guard stop", icon=":material/stop:", width="stretch", disabled=not busy,
           on_click=job.stop if job else None)
if missing and not busy: right.caption(plain(missing))
if state.get("guard_trouble"): right.error(state.pop("guard_trouble"))
if job and job.trouble: right.error(plain(redacted(job.trouble)))
right.caption(f"A watch ends {PATIENCE//60} minutes after its page was left. For weeks, and many "
              "cameras, there is `dvd-jepa watch`.")
with left:
    if job:
        st.fragment(view, run_every=.7 if job.alive else None)()
        st.fragment(events, run_every=2. if job.alive else None)()
    else:
        st.info("Press Start: it looks at a film of people who walk across a square for about a "
                "minute, learns what is ordinary, and then watches another day, on which not "
                "everybody walks.")
