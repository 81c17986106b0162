"Surprise lab: every violation, how loud it is, and what an alarm costs."
import plotly.graph_objects as go
import streamlit as st
import torch
from common import RATES, chart, choose_model, show, show_code, threshold, worked_out
from dvd_jepa.breaks import VIOLATIONS, inject
from dvd_jepa.core import TEST_SEED
from dvd_jepa.show import ALARM, BASELINE, DREAM, REALITY, curves
from dvd_jepa.stats import auroc
from dvd_jepa.surprise import SPACES, space_of
from dvd_jepa.train import home_of
from dvd_jepa.verdicts import violation_suite
from theatre import packed

LENGTH = 80   # frames of a clip: the slowest logo has time to reach a wall
LATE = 4      # frames in which an alarm is in time
COLORS = {"broken": ALARM, "clean twin": REALITY}
HEAT = [[0, "#d93a3a"], [.5, "#f2c14e"], [1, "#2a9d6f"]]


# Three ways to say how well a violation is heard: of its scores (episodes, frames), clean
# scores, and the threshold.

def separation(scores, clean, limit): return auroc(scores[:, 0], clean)

def at_once(scores, clean, limit): return share(scores[:, 0] > limit)

def in_time(scores, clean, limit): return share((scores[:, :LATE+1] > limit).any(1))

def share(true): return true.float().mean().item()

MEASURES = {"AUROC at the first frame": (separation, ".3f"),
            "rings at once": (at_once, ".0%"),
            f"rings by {LATE} frames later": (in_time, ".0%")}


def suite_of(where, model):
    "Scores of all violations, measured once."
    kinds = list(VIOLATIONS)
    def run(tell):
        heard = lambda kind: tell(kinds.index(kind)/len(kinds), f"({kind})")
        return violation_suite(model, on_kind=heard)
    label = "Injecting 10 violations at 4 magnitudes into 200 held-out episodes each"
    return worked_out((where, "suite"), label, run)[0]

def pick(place):
    "The controls: which violation, how much of it, at what rate, in which episode."
    kind = place.selectbox("Violation", list(VIOLATIONS), key="violation",
                           format_func=lambda kind: f"{kind}: the logo {VIOLATIONS[kind].says}")
    v = VIOLATIONS[kind]
    magnitude = place.select_slider(
        f"Magnitude ({v.unit})", v.magnitudes, v.default, key=f"lab magnitude {kind}",
        format_func=lambda m: f"{m:g}")
    rate = place.select_slider(
        "False alarms in 1,000 clean frames", RATES, 1, key="lab rate",
        help="Recalibrates the threshold: every number on this page follows.")
    episode = place.number_input(
        "Episode", 0, 9999, 7, key="lab episode",
        help="A held-out episode to show; the numbers are over 200.")
    return kind, magnitude, rate, episode


def clip(where, model, kind, magnitude, episode, limit):
    "One episode beside its twin: what the camera sees, and how surprised the model is."
    k = model.unjudged
    start, seed = max(24, k), TEST_SEED+episode
    try: bad, onset = inject(home_of(model), 1, LENGTH, kind, magnitude, start, seed)
    except ValueError as e: return st.error(str(e))
    at = int(onset[0])
    twins = {"broken": bad.frames, "clean twin": bad.clean}
    scores = {name: model.surprise(frames)[0, k:] for name,frames in twins.items()}
    rings = [t for t in range(k, LENGTH) if scores["broken"][t-k] > limit]

    left, right = st.columns([2, 3], vertical_alignment="center")
    with left:
        screens(f"{where}-{kind}-{magnitude}-{episode}", twins, at)
        st.markdown(verdict(rings, at))
    chart(right, surprise(model, scores, at, limit), "surprise")

def screens(name, twins, at):
    "The frames around the break, of both twins."
    around = slice(max(0, at-8), min(LENGTH, at+16))
    count = around.stop-around.start
    panels = [dict(name=which, color=COLORS[which], frames=packed(frames[0, around]), count=count)
              for which,frames in twins.items()]
    show(dict(id=name, panels=panels, fps=8, first=around.start, mark=at), "clips")

def verdict(rings, at):
    "What the alarms of an episode come to, in words."
    true = [t for t in rings if t >= at]
    false = [t for t in rings if t < at]
    if true:
        late = true[0]-at
        when = f"{late} frame{'s'*(late != 1)} late" if late else "at once"
        heard = f"the first alarm rings at frame **{true[0]}**, {when}."
    else: heard = "**no alarm**: this one gets past it."
    said = f"Reality breaks at frame **{at}**; {heard}"
    if false: said += f" A false alarm before it, at frame {', '.join(map(str, false))}."
    return said

def surprise(model, scores, at, limit):
    shown = {name: s.clamp(limit/1e3, limit*1e5) for name,s in scores.items()}
    return curves(
        shown, x=range(model.context, LENGTH), title="Surprise at each frame of this episode",
        x_label="time (frames)", y_label=f"surprise ({SPACES[space_of(model)]})",
        colors=COLORS, marks={"reality breaks": at}, levels={"threshold": limit}, log_y=True)


def stretches(clean):
    "The loudest of each LATE+1 clean frames in a row: what a broken stretch must be louder than."
    return clean.unfold(1, LATE+1, 1).amax(-1).flatten()

def roc(scores, clean, limit):
    "Broken frames that ring against clean ones as the threshold moves; the same for stretches."
    loud = clean.flatten().quantile(1-torch.logspace(-4, 0, 60))
    levels = torch.cat([loud, torch.tensor([limit])]).sort(descending=True).values
    fig = go.Figure()
    trade(fig, "at the first frame", scores[:, 0], clean.flatten(), levels, limit, ALARM)
    within = scores[:, :LATE+1].amax(1)
    trade(fig, f"within {LATE+1} frames", within, stretches(clean), levels, limit, DREAM)
    fig.update_layout(
        title="ROC: dots mark the threshold", height=340,
        legend=dict(orientation="h", y=1.12, x=0),
        xaxis_title="clean frames, or stretches, that ring (share, log scale)",
        yaxis_title="broken episodes that ring (share)")
    fig.update_xaxes(type="log", exponentformat="power", dtick=1)
    return fig.update_yaxes(range=[0, 1.03])

def trade(fig, name, broken, calm, levels, limit, color):
    "One line of the ROC, and a dot on it at the threshold."
    false = lambda level: max(1e-5, share(calm > level))
    true = lambda level: share(broken > level)
    fig.add_scatter(
        x=[false(level) for level in levels], y=[true(level) for level in levels],
        name=name, mode="lines", line=dict(color=color, width=2))
    fig.add_scatter(
        x=[false(limit)], y=[true(limit)], mode="markers", marker=dict(color=color, size=10),
        showlegend=False, hovertext="at this threshold")

def latency(scores, limit):
    "After how many frames the first alarm comes, as shares of all episodes."
    rings = scores > limit
    length = rings.shape[1]
    late = torch.where(rings.any(1), rings.int().argmax(1), length)
    names = ["at once", *map(str, range(1, length)), "not heard"]
    shares = torch.bincount(late, minlength=len(names)).numpy()/len(late)
    colors = [ALARM]*length+[BASELINE]
    fig = go.Figure(go.Bar(x=names, y=shares, marker_color=colors))
    fig.update_layout(
        title="When the first alarm comes", height=340,
        xaxis_title="frames after reality broke", yaxis_title="episodes (share)")
    return fig.update_xaxes(type="category").update_yaxes(range=[0, 1.03])


def heat(suite, limit, measure):
    "One measure of every violation at every magnitude."
    of, form = MEASURES[measure]
    clean = suite.clean.flatten()
    values, notes = [], []
    for kind,by in suite.kinds.items():
        row = [of(scores, clean, limit) for scores,_ in by.values()]
        unit = VIOLATIONS[kind].unit
        values.append(row)
        notes.append([f"{m:g} {unit}<br><b>{value:{form}}</b>" for m,value in zip(by, row)])
    low = .5 if of is separation else 0
    bar = dict(tickformat=".0%" if low == 0 else ".2f")
    fig = go.Figure(go.Heatmap(
        z=values, x=["faint", "mild", "clear", "plain"], y=list(suite.kinds), text=notes,
        texttemplate="%{text}", zmin=low, zmax=1, colorscale=HEAT, hoverinfo="skip",
        colorbar=bar))
    by_chance = chance(suite.clean, limit, of)
    title = f"{measure[0].upper()}{measure[1:]}, 200 episodes each{by_chance}"
    return fig.update_layout(title=title, height=620).update_yaxes(autorange="reversed")

def chance(clean, limit, of):
    "What a measure of alarms would be without a violation, in words."
    if of is at_once: return f" (a clean frame: {share(clean > limit):.1%})"
    if of is not in_time: return ""
    return f" (a clean stretch as long: {share(stretches(clean) > limit):.1%})"

def headline(scores, clean, limit, rate):
    "The four numbers above the charts."
    one, two, three, four = st.columns(4)
    flat = clean.flatten()
    one.metric("AUROC, at the first frame", f"{separation(scores, flat, limit):.4f}",
               help="Chance that the first broken frame scores above a clean one.")
    two.metric("Rings at once", f"{at_once(scores, flat, limit):.0%}")
    three.metric(f"Rings by {LATE} frames later", f"{in_time(scores, flat, limit):.0%}")
    four.metric(
        "False alarms, measured", f"{share(clean > limit)*1000:.2f} in 1,000",
        f"asked: {rate:g}", delta_color="off", delta_arrow="off",
        help=f"Over {clean.numel():,} held-out clean frames. The threshold was set on others.")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown(
    "**Pick a way to break reality and watch where the red line crosses the threshold. "
    "Then see below what the same threshold does to all the others.**")
where, model = choose_model(right)
show_code(right)
kind, magnitude, rate, episode = pick(right)
with left:
    limit = threshold(where, model, rate)
    clip(where, model, kind, magnitude, episode, limit)
suite = suite_of(where, model)
scores, _ = suite.kinds[kind][magnitude]
headline(scores, suite.clean, limit, rate)
one, two = st.columns(2)
chart(one, roc(scores, suite.clean, limit), "roc")
chart(two, latency(scores, limit), "latency")
measure = st.segmented_control("Table of all violations", list(MEASURES),
                               default=list(MEASURES)[2], key="measure", required=True)
chart(st, heat(suite, limit, measure), "heat")
