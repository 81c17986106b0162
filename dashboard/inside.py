"Inside: what the latent knows, how it turns, and whether it is alive."
import numpy as np
import plotly.graph_objects as go
import streamlit as st
import torch
from common import chart, choose_model, metrics, show, show_code, worked_out
from dvd_jepa.compare import collapse_report
from dvd_jepa.parts import RotorPredictor
from dvd_jepa.probe import probe_report
from dvd_jepa.rivals import training_sample
from dvd_jepa.show import DREAM, REALITY
from dvd_jepa.stats import pca, ridge
from dvd_jepa.train import home_of
from plotly.subplots import make_subplots
from theatre import packed

LENGTH, SHOWN = 240, 120   # frames of the episode that is looked into, and of it those in a picture
TICKS = [3, 4, 6, 9, 12, 18, 24, 36, 48, 72, 100, 150]
TURNING = ("Each pair of latents over one episode, the loudest first "
           "(what only turns, moves on a circle)")


@torch.no_grad()
def looked_into(model, episode):
    "Frames and states of a held-out episode, its latents, and what a line reads from them."
    world = home_of(model)
    first = model.context-1
    frames, states = training_sample(world, model.config)
    read = ridge(model.encode(frames).flatten(0, 1), states[:, first:].flatten(0, 1))
    clip = world.clips("test", 1, LENGTH+first, episode)
    z = model.encode(clip.frames)[0]
    return clip.frames[0, first:], clip.states[0, first:], z, read(z)

def reports_of(where, model):
    "The probe's report and that on collapse; measured now if they don't lie beside the weights."
    kept = metrics(*where)
    if kept.get("probe"): return kept["probe"], kept["collapse"]
    return worked_out(
        (where, "inside"), "Measuring what the latent knows",
        lambda tell: probe_report(model), lambda tell: collapse_report(model))


def overlay(where, episode, frames, states, told):
    "Reality, with a cross where a line reads the logo to be."
    off = (told[:, :2]-states[:, :2]).norm(dim=1)
    cross = [[round(float(x), 3) for x in place] for place in told[:SHOWN, :2]]
    name = "Reality; the cross is read from the latent"
    panel = dict(name=name, color=REALITY, frames=packed(frames[:SHOWN]), count=SHOWN, cross=cross)
    show(dict(id=f"{where}-{episode}", panels=[panel], fps=12, first=0), "overlay")
    st.caption(f"On average {off.mean():.2f} px off in this episode.")

def traces(states, told):
    names = "y (px)", "x (px)", "velocity, y (px/frame)", "velocity, x (px/frame)"
    fig = make_subplots(2, 2, subplot_titles=names, vertical_spacing=.16)
    lines = ("true", states, REALITY, 4), ("read from the latent", told, DREAM, 1.5)
    for i in range(4):
        for name,y,color,width in lines:
            fig.add_scatter(
                y=y[:SHOWN, i].numpy(), name=name, mode="lines", legendgroup=name,
                line=dict(color=color, width=width), showlegend=i == 0, row=i//2+1, col=i%2+1)
    fig.update_xaxes(title="time (frames)", row=2)
    title = "The truth, and what a line reads"
    return fig.update_layout(title=title, height=420, legend=dict(orientation="h", y=-.16))


def turning_pairs(model, z):
    "The latents that a rotor turns, two by two, (T, pairs, 2)."
    return z[:, :model.predictor.turning].unflatten(1, (-1, 2))

def pairs_of(model, z):
    "Pairs of latents (T, pairs, 2), a name for each, and which to show."
    if not isinstance(model.predictor, RotorPredictor):
        names = [f"PC {2*i+1}, {2*i+2}" for i in range(4)]
        return pca(z, 8)(z).flip(1).unflatten(1, (-1, 2)), names, range(4)
    pairs = turning_pairs(model, z)
    names = [f"{2*i}, {2*i+1}" for i in range(pairs.shape[1])]
    loudest = pairs.var(0).sum(1).argsort(descending=True)[:16].tolist()
    return pairs, names, loudest

def portraits(model, z):
    "Pairs of latents against each other; if the model has no pairs, its principal components."
    pairs, names, loud = pairs_of(model, z)
    columns = 4 if len(loud) <= 4 else 8
    rows = -(-len(loud)//columns)
    fig = make_subplots(
        rows, columns, subplot_titles=[names[i] for i in loud],
        horizontal_spacing=.015, vertical_spacing=.12)
    time = dict(color=np.arange(len(z)), colorscale=[[0, REALITY], [1, DREAM]])
    for place,i in enumerate(loud):
        fig.add_scatter(
            x=pairs[:, i, 0].numpy().round(3), y=pairs[:, i, 1].numpy().round(3),
            mode="lines+markers", line=dict(width=1, color="rgba(232,147,12,.35)"),
            marker=dict(size=4, **time), hovertemplate="frame %{pointNumber}<extra></extra>",
            showlegend=False, row=place//columns+1, col=place%columns+1)
    limit = pairs.abs().max().item()*1.05
    axis = dict(range=[-limit, limit], showticklabels=False)
    fig.update_xaxes(**axis).update_yaxes(**axis)
    rotor = isinstance(model.predictor, RotorPredictor)
    title = TURNING if rotor else "The latent's principal components over one episode"
    return fig.update_layout(title=title, height=160+170*rows)


def true_periods(world, states):
    """Frames after which each axis of an episode repeats itself.

    Seen if clipping has put the axis on a lattice, else worked out from its speed."""
    late = states[60:, :2]
    exact = 2*(world.hi-world.lo)/states[0, 2:].abs()
    seen = (repeats_after(late[:, axis]) for axis in (0, 1))
    return [float(k or p) for k,p in zip(seen, exact)]

def repeats_after(path):
    back = (k for k in range(2, 120) if (path[k:]-path[:-k]).abs().max() < 1e-3)
    return next(back, None)

@torch.no_grad()
def periods(model, z, states):
    "Each pair's period against how much it is used, and the world's own periods."
    paces = model.predictor.frequency(z[:1])[0].abs().numpy()
    found = 2*np.pi/np.maximum(paces, 1e-4)
    loud = turning_pairs(model, z).var(0).sum(1).numpy()
    share = loud/loud.sum()
    fig = go.Figure()
    for axis,period,dash in zip("yx", true_periods(home_of(model), states), ("dot", "dash")):
        overtones(fig, axis, period, dash, 1.15*share.max())
    stems(fig, found, share)
    fig.update_layout(
        title="Periods found, and the world's own", height=420,
        xaxis_title="period (frames, log scale)", yaxis_title="share of the turning variance",
        legend=dict(orientation="h", y=-.3, x=0))
    return fig.update_xaxes(type="log", range=[np.log10(3), np.log10(150)], tickvals=TICKS)

def overtones(fig, axis, period, dash, height):
    "A line at an axis's true period, and fainter ones at its overtones."
    for n in range(1, 7):
        line = dict(color=REALITY, dash=dash, width=2 if n == 1 else 1)
        fig.add_scatter(
            x=[period/n]*2, y=[0, height], mode="lines", line=line, legendgroup=axis,
            name=f"world, {axis}: {period:.1f} frames and overtones", showlegend=n == 1,
            hovertemplate=f"{axis}: {period:.1f}/{n} frames<extra></extra>")

def stems(fig, x, y):
    "A dot for each pair, on a stem."
    gap = np.full_like(x, np.nan)
    feet = np.stack([x, x, gap], 1).ravel()
    tops = np.stack([0*y, y, gap], 1).ravel()
    fig.add_scatter(
        x=feet, y=tops, mode="lines", line=dict(color=DREAM, width=3),
        showlegend=False, hoverinfo="skip")
    fig.add_scatter(
        x=x, y=y, mode="markers", marker=dict(size=10, color=DREAM),
        name="found, one a pair", hovertemplate="%{x:.2f} frames<extra></extra>")


def meters(collapse):
    titles = "std of each latent dimension", "spectrum (shares, sorted)"
    fig = make_subplots(1, 2, subplot_titles=titles)
    fig.add_bar(y=collapse["std_by_dimension"], marker_color=DREAM, row=1, col=1)
    fig.add_bar(y=collapse["spectrum"], marker_color=DREAM, row=1, col=2)
    fig.update_xaxes(title="latent dimension", col=1)
    fig.update_xaxes(title="direction, the loudest first", col=2)
    title = "Is it alive? Spread and spectrum"
    return fig.update_layout(title=title, height=320, showlegend=False)

def headline(probe, collapse):
    "The four numbers above the charts."
    latent = probe["representations"]["JEPA latent"]
    pixels = probe["representations"]["PCA of the pixels"]
    one, two, three, four = st.columns(4)
    one.metric("Position, read by a line", f"R² {latent['position_r2']:.3f}",
               help="Over 500 held-out episodes; 1 is perfect.")
    two.metric("Velocity", f"R² {latent['velocity_r2']:.3f}",
               help=f"PCA of the pixels at the same size: {pixels['velocity_r2']:.3f}.")
    three.metric(
        "Effective rank", f"{collapse['effective_rank']:.1f} of {collapse['dimensions']}",
        help="Exp of the entropy of the normalised singular values; "
             "1 would be a collapse to a line.")
    four.metric("Mean std", f"{collapse['std']:.2f}", help="0 would be a collapse to a point.")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown(
    "**Nobody told the latent where the logo is. Look how well a straight line reads it "
    "all the same, and whether pairs of latents turn like the hands of a clock.**")
where, model = choose_model(right)
show_code(right)
episode = right.number_input("Episode", 0, 9999, 7, key="inside episode",
                             help="A held-out episode; another number is another start.")
looked = worked_out((where, "episode", episode), "Reading the latent",
                    lambda tell: looked_into(model, episode))
frames, states, z, told = looked[0]
probe, collapse = reports_of(where, model)
with right: overlay(where, episode, frames, states, told)
with left:
    headline(probe, collapse)
    chart(st, traces(states, told), "traces")
chart(st, portraits(model, z), "portraits")
if isinstance(model.predictor, RotorPredictor):
    chart(st, periods(model, z, states), "periods")
else:
    st.caption("This predictor is a network: it has no periods of its own. "
               "Choose the weights rotor or varied to see some.")
chart(st, meters(collapse), "meters")
