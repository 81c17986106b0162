"Horizon: how far ahead a dream stays true, and whom it beats."
import json
from pathlib import Path

import streamlit as st
import torch
from common import chart, choose_model, metrics, show, show_code, worked_out
from dvd_jepa.dream import positions_at
from dvd_jepa.horizons import (forecast_report, horizon_report, horizon_text, skill_figure,
                               steps_text)
from dvd_jepa.runs import packaged_metrics
from dvd_jepa.show import DREAM, REALITY, curves
from dvd_jepa.train import home_of
from theatre import packed

PUBLISHED = "published recipe"
study = Path(__file__).parent.parent/"nbs"/"studies"/"results"/"21_published.json"


def reports_of(where, model):
    "The forecast report, the far horizon and the headlines over seeds that lie beside the weights; measured now if none does."
    kept = metrics(*where)
    if kept.get("forecast"):
        return kept["forecast"], kept["horizon"][home_of(model).name], kept.get("seeds")
    far = lambda tell: horizon_report(model)
    near = lambda tell: (tell(.2, "and of everybody else"), forecast_report(model))[1]
    far, near = worked_out((where, "horizon"), "Measuring the dreams of 500 held-out episodes", far, near)
    return near, far, None

def published(world):
    "What the published recipe does on a world, as a forecast report without rivals; None if nobody has measured it."
    if world == "classic": return packaged_metrics("classic")["forecast"]
    return json.loads(study.read_text(encoding="utf-8"))["report"] if world == "varied" and study.is_file() else None

def headline(model, near, far, seeds):
    last, lost = far["at"][-1], far["worse_than_mean_frame_from"]
    further = [name for name,r in near["baselines"].items() if r["valid_horizon"] > near["valid_horizon"]]
    one, two, three = st.columns(3)
    one.metric("Valid (skill ≥ 0.5) for", f"{horizon_text(far, last)} steps", help="The last step before the skill first falls below one half, over held-out episodes, with its 95 % interval. A plus: still valid at the last step that was looked at.")
    two.metric("Worse than the mean frame", f"from step {lost:,}" if lost else "never", help=f"The first step from which the average training frame is the better prophet; looked at as far as step {last:,}.")
    over = seeds and seeds["headlines"].get(f"horizon.{home_of(model).name}.valid_horizon")
    if over: three.metric(f"Over {len(over['values'])} training seeds", f"{steps_text(round(over['median']), last)} steps", help=f"Median; the worst seed {steps_text(over['min'], last)}, the best {steps_text(over['max'], last)}.")
    if further: st.caption(f"Further than the dream, within {near['data']['steps']} steps: {', '.join(further)}.")

def near_figure(near):
    theirs = published(near["data"]["world"])
    report, colors = dict(near, baselines=dict(near["baselines"])), {PUBLISHED: "#c2185b"}
    if theirs and near["training"].get("recipe") != "classic": report["baselines"][PUBLISHED] = theirs
    return skill_figure(report, f"The first {near['data']['steps']} steps, on {near['data']['episodes']} held-out {near['data']['world']} episodes", colors=colors)

def far_figure(far):
    fig = curves({"dream": far["skill"]}, x=far["at"], title=f"… and as far as step {far['at'][-1]:,}", x_label="steps ahead (frames, log scale)", y_label="skill (1 is perfect)",
                 bands={"dream": far["skill_interval"]}, levels={"valid": .5, "as good as the mean frame": 0})
    return fig.update_xaxes(type="log", dtick=1).update_yaxes(range=[-1.5, 1.05])

@torch.no_grad()
def moments(model, episode, steps, around=12):
    "Reality and dream from a step on, for a few frames: (T, H, W) each, and how far off the first one is, px."
    world, k = home_of(model), list(range(steps, steps+around))
    clip = world.clips("test", 1, model.context, episode)
    real = torch.from_numpy(world.render(positions_at(world, clip.states[:, -1], k)))[0]
    return real, model.decode(model.predictor.roll(model.encode(clip.frames)[0], torch.tensor(k)))

def along(where, model, near, far):
    st.subheader("Walk along the dream")
    one, two = st.columns([3, 1])
    stops = [k for k in far["at"] if k <= 20 or k % 10 == 0 or k > 100]
    steps = one.select_slider("Steps ahead", stops, min(100, stops[-1]), key="steps", format_func=lambda k: f"{k:,}", help="Drag, or use the arrow keys.")
    episode = two.number_input("Episode", 0, 9999, 7, key="episode", help="A held-out episode; another number is another start.")
    real, dreamed = worked_out((where, "moments", episode, steps), "Dreaming", lambda tell: moments(model, episode, steps))[0]
    mse = (dreamed[0]-real[0]).square().mean().item()
    left, right = st.columns([1, 1], vertical_alignment="center")
    with left:
        panels = [dict(name=f"Reality, from step {steps:,} on", color=REALITY, frames=packed(real), count=len(real)), dict(name="The dream of it", color=DREAM, frames=packed(dreamed), count=len(dreamed))]
        show(dict(id=f"{where}-{episode}-{steps}", panels=panels, fps=8, first=steps, unit="step"), "walk")
    right.metric(f"Skill at step {steps:,}, over {far['data']['episodes']} episodes", f"{far['skill'][far['at'].index(steps)]:.3f}", help="1 is perfect, 0 as good as the mean training frame.")
    right.metric("Mean square error of this one frame", f"{mse:.5f}", help=f"A black frame would have {real[0].square().mean():.4f}.")
    right.caption(f"It saw {model.context} frames, and nothing since.")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown("**Look where each line falls below one half: up to there we call a dream valid; at zero the average frame would do as well; bands are 95 % intervals over episodes.**")
where, model = choose_model(right)
show_code(right)
if model.decoder is None: left.info("These weights have no decoder, so their dreams can't be compared with frames. The page Inside says what they know.")
else:
    near, far, seeds = reports_of(where, model)
    with left: headline(model, near, far, seeds)
    first, second = st.columns([3, 2])
    chart(first, near_figure(near), "near")
    chart(second, far_figure(far), "far")
    along(where, model, near, far)
