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

LENGTH = 240   # frames of the episode that is looked into


@torch.no_grad()
def looked_into(model, episode):
    "A held-out episode: its frames and states at each observation, its latents, and what a line reads from them."
    world, first = home_of(model), model.context-1
    frames, states = training_sample(world, model.config)
    read = ridge(model.encode(frames).flatten(0, 1), states[:, first:].flatten(0, 1))
    clip = world.clips("test", 1, LENGTH+first, episode)
    z = model.encode(clip.frames)[0]
    return clip.frames[0, first:], clip.states[0, first:], z, read(z)

def reports_of(where, model):
    kept = metrics(*where)
    if kept.get("probe"): return kept["probe"], kept["collapse"]
    return worked_out((where, "inside"), "Measuring what the latent knows", lambda tell: probe_report(model), lambda tell: collapse_report(model))

def overlay(where, episode, frames, states, told):
    off = (told[:, :2]-states[:, :2]).norm(dim=1)
    panels = [dict(name="Reality; the cross is read from the latent", color=REALITY, frames=packed(frames[:120]), count=120, cross=[[round(float(x), 3) for x in p] for p in told[:120, :2]])]
    show(dict(id=f"{where}-{episode}", panels=panels, fps=12, first=0), "overlay")
    st.caption(f"On average {off.mean():.2f} px off in this episode.")

def traces(states, told):
    fig = make_subplots(2, 2, subplot_titles=("y (px)", "x (px)", "velocity, y (px/frame)", "velocity, x (px/frame)"), vertical_spacing=.16)
    for i in range(4):
        at = dict(row=i//2+1, col=i%2+1)
        for name,y,color,width in (("true", states, REALITY, 4), ("read from the latent", told, DREAM, 1.5)):
            fig.add_scatter(y=y[:120, i].numpy(), name=name, mode="lines", line=dict(color=color, width=width), legendgroup=name, showlegend=i == 0, **at)
    fig.update_xaxes(title="time (frames)", row=2)
    title = "Position and velocity: the truth, and what a straight line reads"
    return fig.update_layout(title=title, height=420, legend=dict(orientation="h", y=-.16))

def portraits(model, z):
    "Pairs of latents against each other; where the model has no pairs, its principal components."
    rotor = isinstance(model.predictor, RotorPredictor)
    pairs = z[:, :model.predictor.turning].unflatten(1, (-1, 2)) if rotor else pca(z, 8)(z).flip(1).unflatten(1, (-1, 2))
    names = [f"{2*i}, {2*i+1}" for i in range(pairs.shape[1])] if rotor else [f"PC {2*i+1}, {2*i+2}" for i in range(4)]
    loud = pairs.var(0).sum(1).argsort(descending=True)[:16].tolist() if rotor else range(4)
    columns = 4 if len(loud) <= 4 else 8
    fig = make_subplots(-(-len(loud)//columns), columns, subplot_titles=[names[i] for i in loud], horizontal_spacing=.015, vertical_spacing=.12)
    limit = pairs.abs().max().item()*1.05
    for place,i in enumerate(loud):
        fig.add_scatter(x=pairs[:, i, 0].numpy().round(3), y=pairs[:, i, 1].numpy().round(3), mode="lines+markers", line=dict(width=1, color="rgba(232,147,12,.35)"),
                        marker=dict(size=4, color=np.arange(len(z)), colorscale=[[0, REALITY], [1, DREAM]]), hovertemplate="frame %{pointNumber}<extra></extra>", showlegend=False, row=place//columns+1, col=place%columns+1)
    fig.update_xaxes(range=[-limit, limit], showticklabels=False).update_yaxes(range=[-limit, limit], showticklabels=False)
    title = "Each pair of latents over one episode, the loudest first (what only turns, moves on a circle)" if rotor else "The latent's principal components over one episode"
    return fig.update_layout(title=title, height=160+170*-(-len(loud)//columns))

def true_periods(world, states):
    "Frames after which each axis of an episode repeats itself: seen where clipping has put it on a lattice, else from its speed."
    late, exact = states[60:, :2], 2*(world.hi-world.lo)/states[0, 2:].abs()
    repeats = [next((k for k in range(2, 120) if (late[k:, axis]-late[:-k, axis]).abs().max() < 1e-3), None) for axis in (0, 1)]
    return [float(k or p) for k,p in zip(repeats, exact)]

@torch.no_grad()
def periods(model, z, states):
    "Period of each pair against how much it is used, and the true periods of this episode's two axes with their overtones."
    paces, share = model.predictor.frequency(z[:1])[0].abs().numpy(), z[:, :model.predictor.turning].unflatten(1, (-1, 2)).var(0).sum(1).numpy()
    found, most = 2*np.pi/np.maximum(paces, 1e-4), share.max()/share.sum()
    fig, true = go.Figure(), true_periods(home_of(model), states)
    for axis,period,dash in zip("yx", true, ("dot", "dash")):
        for n in range(1, 7): fig.add_scatter(x=[period/n]*2, y=[0, 1.15*most], mode="lines", line=dict(color=REALITY, dash=dash, width=2 if n == 1 else 1), name=f"world, {axis}: {period:.1f} frames and overtones", legendgroup=axis, showlegend=n == 1, hovertemplate=f"{axis}: {period:.1f}/{n} frames<extra></extra>")
    stems = np.stack([found, found, np.full_like(found, np.nan)], 1).ravel(), np.stack([0*share, share/share.sum(), np.full_like(share, np.nan)], 1).ravel()
    fig.add_scatter(x=stems[0], y=stems[1], mode="lines", line=dict(color=DREAM, width=3), showlegend=False, hoverinfo="skip")
    fig.add_scatter(x=found, y=share/share.sum(), mode="markers", marker=dict(size=10, color=DREAM), name="found, one a pair", hovertemplate="%{x:.2f} frames<extra></extra>")
    fig.update_layout(title="The periods it has found, and those of the world", height=400,
                      xaxis_title="period (frames, log scale)", yaxis_title="share of the turning variance",
                      legend=dict(orientation="h", y=1.1, x=0))
    return fig.update_xaxes(type="log", range=[np.log10(3), np.log10(150)], tickvals=[3, 4, 6, 9, 12, 18, 24, 36, 48, 72, 100, 150])

def meters(collapse):
    fig = make_subplots(1, 2, subplot_titles=("std of each latent dimension", "spectrum (shares, sorted)"))
    fig.add_bar(y=collapse["std_by_dimension"], marker_color=DREAM, row=1, col=1).add_bar(y=collapse["spectrum"], marker_color=DREAM, row=1, col=2)
    fig.update_xaxes(title="latent dimension", col=1).update_xaxes(title="direction, the loudest first", col=2)
    title = "Is it alive? A collapsed latent has std 0, or all in one direction"
    return fig.update_layout(title=title, height=320, showlegend=False)


left, right = st.columns([2.9, 1], gap="medium")
left.markdown("**Nobody told the latent where the logo is. Look how well a straight line reads it all the same, and whether pairs of latents turn like the hands of a clock.**")
where, model = choose_model(right)
show_code(right)
episode = right.number_input("Episode", 0, 9999, 7, key="inside episode", help="A held-out episode; another number is another start.")
frames, states, z, told = worked_out((where, "episode", episode), "Reading the latent", lambda tell: looked_into(model, episode))[0]
probe, collapse = reports_of(where, model)
latent = probe["representations"]["JEPA latent"]
with right: overlay(where, episode, frames, states, told)
with left:
    one, two, three, four = st.columns(4)
    one.metric("Position, read by a line", f"R² {latent['position_r2']:.3f}", help="Over 500 held-out episodes; 1 is perfect.")
    two.metric("Velocity", f"R² {latent['velocity_r2']:.3f}", help=f"PCA of the pixels at the same size: {probe['representations']['PCA of the pixels']['velocity_r2']:.3f}.")
    three.metric("Effective rank", f"{collapse['effective_rank']:.1f} of {collapse['dimensions']}", help="Exp of the entropy of the normalised singular values; 1 would be a collapse to a line.")
    four.metric("Mean std", f"{collapse['std']:.2f}", help="0 would be a collapse to a point.")
    chart(st, traces(states, told), "traces")
chart(st, portraits(model, z), "portraits")
if isinstance(model.predictor, RotorPredictor): chart(st, periods(model, z, states), "periods")
else: st.caption("This predictor is a network: it has no periods of its own. The weights rotor and varied have.")
chart(st, meters(collapse), "meters")
