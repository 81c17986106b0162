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
nbs = Path(__file__).parent.parent/"nbs"
study = nbs/"studies"/"results"/"21_published.json"


def reports_of(where, model):
    """The forecast report, the far horizon, and the headlines over seeds (None: nobody has any).

    They are read from beside the weights, and measured now if nothing is there."""
    kept = metrics(*where)
    if kept.get("forecast"):
        return kept["forecast"], kept["horizon"][home_of(model).name], kept.get("seeds")
    def near(tell):
        tell(.2, "and of everyone else")
        return forecast_report(model)
    label = "Measuring the dreams of 500 held-out episodes"
    far, near = worked_out((where, "horizon"), label, lambda tell: horizon_report(model), near)
    return near, far, None

def published(world):
    "The published recipe's forecast report on a world, without rivals; None if nobody has it."
    if world == "classic": return packaged_metrics("classic")["forecast"]
    if world != "varied" or not study.is_file(): return None
    return json.loads(study.read_text(encoding="utf-8"))["report"]


def headline(model, near, far, seeds):
    "The three numbers above the charts, and who gets further than the dream."
    one, two, three = st.columns(3)
    last = far["at"][-1]
    one.metric(
        "Valid (skill ≥ 0.5) for", f"{horizon_text(far, last)} steps",
        help="The last step before the skill first falls below one half, over held-out episodes, "
             "with its 95 % interval. A plus: still valid at the last step that was looked at.")
    lost = far["worse_than_mean_frame_from"]
    two.metric(
        "Worse than the mean frame", f"from step {lost:,}" if lost else "never",
        help="The first step from which the average training frame is the better prophet; "
             f"looked at as far as step {last:,}.")
    if seeds: over_seeds(three, model, seeds, last)

    rivals = near["baselines"].items()
    further = [name for name,r in rivals if r["valid_horizon"] > near["valid_horizon"]]
    steps = near["data"]["steps"]
    if further: st.caption(f"Further than the dream, within {steps} steps: {', '.join(further)}.")

def over_seeds(place, model, seeds, last):
    over = seeds["headlines"].get(f"horizon.{home_of(model).name}.valid_horizon")
    if not over: return
    worst = steps_text(over["min"], last)
    best = steps_text(over["max"], last)
    place.metric(
        f"Over {len(over['values'])} training seeds",
        f"{steps_text(round(over['median']), last)} steps",
        help=f"Median; the worst seed {worst}, the best {best}.")


def near_figure(near):
    data = near["data"]
    theirs = published(data["world"])
    report = dict(near, baselines=dict(near["baselines"]))
    if theirs and near["training"].get("recipe") != "classic":
        report["baselines"][PUBLISHED] = theirs
    title = f"The first {data['steps']} steps, {data['episodes']} episodes"
    return skill_figure(report, title, colors={PUBLISHED: "#8c4a00"})

def far_figure(far):
    fig = curves(
        {"dream": far["skill"]}, x=far["at"],
        title=f"… and as far as step {far['at'][-1]:,}",
        x_label="steps ahead (frames, log scale)", y_label="skill (1 is perfect)",
        bands={"dream": far["skill_interval"]},
        levels={"valid": .5, "as good as the mean frame": 0})
    return fig.update_xaxes(type="log", dtick=1).update_yaxes(range=[-1.5, 1.05])


@torch.no_grad()
def moments(model, episode, steps, around=12):
    "Reality and dream from a step on, for a few frames: (T, H, W) each."
    world = home_of(model)
    k = list(range(steps, steps+around))
    clip = world.clips("test", 1, model.context, episode)
    real = torch.from_numpy(world.render(positions_at(world, clip.states[:, -1], k)))[0]
    z = model.encode(clip.frames)[0]
    return real, model.decode(model.predictor.roll(z, torch.tensor(k)))

def along(where, model, far):
    "The walk: choose a step, and see the two side by side from there."
    st.subheader("Walk along the dream")
    one, two = st.columns([3, 1])
    stops = [k for k in far["at"] if k <= 20 or k % 10 == 0 or k > 100]
    steps = one.select_slider(
        "Steps ahead", stops, min(100, stops[-1]), key="steps",
        format_func=lambda k: f"{k:,}", help="Drag, or use the arrow keys.")
    episode = two.number_input(
        "Episode", 0, 9999, 7, key="episode",
        help="A held-out episode; another number is another start.")
    key = where, "moments", episode, steps
    seen = worked_out(key, "Dreaming", lambda tell: moments(model, episode, steps))
    real, dreamed = seen[0]

    left, right = st.columns([1, 1], vertical_alignment="center")
    with left: screens(f"{where}-{episode}-{steps}", steps, real, dreamed)
    skill = far["skill"][far["at"].index(steps)]
    right.metric(
        f"Skill at step {steps:,}, over {far['data']['episodes']} episodes", f"{skill:.3f}",
        help="1 is perfect, 0 as good as the mean training frame.")
    right.metric(
        "Mean square error of this one frame",
        f"{(dreamed[0]-real[0]).square().mean().item():.5f}",
        help=f"A black frame would have {real[0].square().mean():.4f}.")
    right.caption(f"It saw {model.context} frames, and nothing since.")

def screens(name, steps, real, dreamed):
    ours = dict(name=f"Reality, from step {steps:,} on", color=REALITY)
    its = dict(name="The dream of it", color=DREAM)
    panels = [ours | dict(frames=packed(real), count=len(real)),
              its | dict(frames=packed(dreamed), count=len(dreamed))]
    show(dict(id=name, panels=panels, fps=8, first=steps, unit="step"), "walk")


left, right = st.columns([2.9, 1], gap="medium")
left.markdown(
    "**Look where each line falls below one half: up to there we call a dream valid. "
    "At zero, the average frame would do as well. Bands are 95 % intervals over episodes.**")
where, model = choose_model(right)
show_code(right)
if model.decoder is None:
    left.info("These weights have no decoder, so their dreams can't be compared with frames. "
              "The page Inside shows what they know.")
else:
    near, far, seeds = reports_of(where, model)
    with left: headline(model, near, far, seeds)
    first, second = st.columns([3, 2])
    chart(first, near_figure(near), "near")
    chart(second, far_figure(far), "far")
    along(where, model, far)
