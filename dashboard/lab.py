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

LENGTH, LATE = 80, 4   # frames of a clip: the slowest logo has time to reach a wall; frames in which an alarm is in time
COLORS = {"broken": ALARM, "clean twin": REALITY}
MEASURES = {"AUROC at the first frame": (lambda scores, clean, limit: auroc(scores[:, 0], clean), ".3f"),
            "rings at once": (lambda scores, clean, limit: (scores[:, 0] > limit).float().mean().item(), ".0%"),
            f"rings by {LATE} frames later": (lambda scores, clean, limit: (scores[:, :LATE+1] > limit).any(1).float().mean().item(), ".0%")}


def suite_of(where, model):
    def run(tell): return violation_suite(model, on_kind=lambda kind: tell(list(VIOLATIONS).index(kind)/len(VIOLATIONS), f"({kind})"))
    return worked_out((where, "suite"), "Injecting 10 violations at 4 magnitudes into 200 held-out episodes each", run)[0]

def pick(place):
    kind = place.selectbox("Violation", list(VIOLATIONS), key="violation", format_func=lambda kind: f"{kind}: the logo {VIOLATIONS[kind].says}")
    v = VIOLATIONS[kind]
    magnitude = place.select_slider(f"Magnitude ({v.unit})", v.magnitudes, v.default, key=f"lab magnitude {kind}", format_func=lambda m: f"{m:g}")
    rate = place.select_slider("False alarms in 1,000 clean frames", RATES, 1, key="lab rate", help="Recalibrates the threshold: every number on this page follows.")
    episode = place.number_input("Episode", 0, 9999, 7, key="lab episode", help="A held-out episode to show; the numbers are over 200.")
    return kind, magnitude, rate, episode

def clip(where, model, kind, magnitude, episode, limit):
    "One episode beside its twin: what the camera sees, and how surprised the model is."
    world, k = home_of(model), model.context
    try: bad, onset = inject(world, 1, LENGTH, kind, magnitude, max(24, k), TEST_SEED+episode)
    except ValueError as e: return st.error(str(e))
    at = int(onset[0])
    scores = {"broken": model.surprise(bad.frames)[0, k:], "clean twin": model.surprise(bad.clean)[0, k:]}
    rings = [t for t in range(k, LENGTH) if scores["broken"][t-k] > limit]
    true, false = [t for t in rings if t >= at], [t for t in rings if t < at]
    left, right = st.columns([2, 3], vertical_alignment="center")
    around = slice(max(0, at-8), min(LENGTH, at+16))
    with left:
        panels = [dict(name=name, color=COLORS[name], frames=packed(f[0, around]), count=around.stop-around.start) for name,f in (("broken", bad.frames), ("clean twin", bad.clean))]
        show(dict(id=f"{where}-{kind}-{magnitude}-{episode}", panels=panels, fps=8, first=around.start, mark=at), "clips")
        verdict = f"Reality breaks at frame **{at}**; " + (f"the first alarm rings at frame **{true[0]}**{', at once' if true[0] == at else f', {true[0]-at} late'}." if true else "**no alarm**: this one gets past it.")
        st.markdown(verdict + (f" A false alarm before it, at frame {', '.join(map(str, false))}." if false else ""))
    shown = {name: s.clamp(limit/1e3, limit*1e5) for name,s in scores.items()}
    fig = curves(shown, x=range(k, LENGTH), title="Surprise at each frame of this episode", x_label="time (frames)", y_label=f"surprise ({SPACES[space_of(model)]})", colors=COLORS,
                 marks={"reality breaks": at}, levels={"threshold": limit}, log_y=True)
    chart(right, fig, "surprise")

def stretches(clean):
    "The loudest of as many clean frames in a row as a broken episode is given: what it has to be louder than."
    return clean.unfold(1, LATE+1, 1).amax(-1).flatten()

def roc(scores, clean, limit):
    "How many broken frames ring against how many clean ones, as the threshold moves; stretches of frames against stretches as long."
    levels = torch.cat([clean.flatten().quantile(1-torch.logspace(-4, 0, 60)), torch.tensor([limit])]).sort(descending=True).values
    fig = go.Figure()
    for name,of,calm,color in (("at the first frame", scores[:, 0], clean.flatten(), ALARM), (f"within {LATE+1} frames", scores[:, :LATE+1].amax(1), stretches(clean), DREAM)):
        false = [max(1e-5, (calm > level).float().mean().item()) for level in levels]
        fig.add_scatter(x=false, y=[(of > level).float().mean().item() for level in levels], name=name, mode="lines", line=dict(color=color, width=2))
        fig.add_scatter(x=[max(1e-5, (calm > limit).float().mean().item())], y=[(of > limit).float().mean().item()], mode="markers", marker=dict(color=color, size=10), showlegend=False, hovertext="at this threshold")
    fig.update_layout(title="ROC: dots mark the threshold", height=340, legend=dict(orientation="h", y=1.12, x=0),
                      xaxis_title="clean frames, or stretches, that ring (share, log scale)",
                      yaxis_title="broken episodes that ring (share)")
    return fig.update_xaxes(type="log", exponentformat="power", dtick=1).update_yaxes(range=[0, 1.03])

def latency(scores, limit):
    rings = scores > limit
    late = torch.where(rings.any(1), rings.int().argmax(1), rings.shape[1])
    names = ["at once", *map(str, range(1, rings.shape[1])), "not heard"]
    fig = go.Figure(go.Bar(x=names, y=torch.bincount(late, minlength=len(names)).numpy()/len(late), marker_color=[ALARM]*(len(names)-1)+[BASELINE]))
    fig.update_layout(title="When the first alarm comes", height=340,
                      xaxis_title="frames after reality broke", yaxis_title="episodes (share)")
    return fig.update_xaxes(type="category").update_yaxes(range=[0, 1.03])

def heat(suite, limit, measure):
    of, form = MEASURES[measure]
    values = [[of(scores, suite.clean.flatten(), limit) for scores,_ in by.values()] for by in suite.kinds.values()]
    notes = [[f"{m:g} {VIOLATIONS[kind].unit}<br><b>{value:{form}}</b>" for m,value in zip(by, row)] for (kind,by),row in zip(suite.kinds.items(), values)]
    low = .5 if measure.startswith("AUROC") else 0
    fig = go.Figure(go.Heatmap(z=values, x=["faint", "mild", "clear", "plain"], y=list(suite.kinds), text=notes, texttemplate="%{text}", zmin=low, zmax=1, colorscale=[[0, "#d93a3a"], [.5, "#f2c14e"], [1, "#2a9d6f"]], hoverinfo="skip", colorbar=dict(tickformat=".0%" if low == 0 else ".2f")))
    chance = dict(zip(MEASURES, ("", f" (a clean frame: {(suite.clean > limit).float().mean():.1%})", f" (a clean stretch as long: {(stretches(suite.clean) > limit).float().mean():.1%})")))[measure]
    title = f"{measure[0].upper()}{measure[1:]}, over 200 held-out episodes each{chance}"
    return fig.update_layout(title=title, height=620).update_yaxes(autorange="reversed")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown("**Pick a way to break reality and watch where the red line crosses the threshold; then see below what the same threshold does to all the others.**")
where, model = choose_model(right)
show_code(right)
kind, magnitude, rate, episode = pick(right)
with left:
    limit = threshold(where, model, rate)
    clip(where, model, kind, magnitude, episode, limit)
suite = suite_of(where, model)
scores, _ = suite.kinds[kind][magnitude]
measured = (suite.clean > limit).float().mean().item()*1000
one, two, three, four = st.columns(4)
one.metric("AUROC, at the first frame", f"{auroc(scores[:, 0], suite.clean.flatten()):.4f}", help="Chance that the first broken frame scores above a clean one.")
two.metric("Rings at once", f"{(scores[:, 0] > limit).float().mean():.0%}")
three.metric(f"Rings by {LATE} frames later", f"{(scores[:, :LATE+1] > limit).any(1).float().mean():.0%}")
four.metric("False alarms, measured", f"{measured:.2f} in 1,000", f"asked: {rate:g}", delta_color="off", delta_arrow="off", help=f"Over {suite.clean.numel():,} held-out clean frames. The threshold was set on others.")
one, two = st.columns(2)
chart(one, roc(scores, suite.clean, limit), "roc")
chart(two, latency(scores, limit), "latency")
measure = st.segmented_control("Table of all violations", list(MEASURES), default=list(MEASURES)[2], key="measure", required=True)
chart(st, heat(suite, limit, measure), "heat")
