"""Draw the paper's figures from committed results and packaged weights, and note what each was drawn from: `python tools/figures.py [--measure]`.
--measure first measures the packaged weights again (three minutes) and refuses to draw if that isn't what their committed metrics say."""
import hashlib
import inspect
import json
import sys
from pathlib import Path

import dvd_jepa
import matplotlib
import numpy as np
import torch
from dvd_jepa.evaluate import evaluate, headlines
from dvd_jepa.core import TEST_SEED, one_thread
from dvd_jepa.dream import positions_at
from dvd_jepa.files import atomic_write, write_json
from dvd_jepa.horizons import PUBLISHED
from dvd_jepa.rivals import training_sample
from dvd_jepa.show import ALARM, DREAM, REALITY
from dvd_jepa.train import home_of
from dvd_jepa.world import simulate
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

top = Path(__file__).parent.parent
drawn = top/"nbs"/"paper"/"figures"
matplotlib.rcParams.update({"font.family": "DejaVu Sans", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#8a8f98", "axes.labelcolor": "#2a2d33", "text.color": "#2a2d33",
                            "xtick.color": "#2a2d33", "ytick.color": "#2a2d33", "axes.titlesize": 8, "axes.titleweight": "bold", "legend.frameon": False, "legend.fontsize": 7, "svg.hashsalt": "dvd-jepa", "svg.fonttype": "path"})
GREY, PURPLE, GREEN, TEAL, RED = "#8a8f98", "#8e5bd0", "#2a9d6f", "#4aa3a2", "#b0405a"
black = lambda color: LinearSegmentedColormap.from_list(color, ["#14161a", color])

PRINTED = dict(probe_position_rmse_px=.81, forecast_mse_step1=.0006, forecast_mse_stepK=.036, anomaly_peak_over_baseline=55)   # the figures of the original's paper; those of its repository are PUBLISHED
METRICS = {name: f"dvd_jepa/weights/{name}.json" for name in ("classic", "rotor", "varied")}
WEIGHTS = {name: f"dvd_jepa/weights/{name}.safetensors" for name in ("classic", "rotor", "varied")}
GRID, PUBLISHED_ON_VARIED = "nbs/studies/results/20_collapse.json", "nbs/studies/results/21_published.json"
def read(path): return json.loads((top/path).read_text(encoding="utf-8"))


def idea():
    "The idea: two encoders, a predictor, one loss; and what the predictor is worth when it is left alone."
    fig = Figure(figsize=(7.1, 3.0), layout="constrained")
    above, below = fig.subfigures(2, 1, height_ratios=[1.15, 1])
    ax = above.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 100), ylim=(0, 30))
    ax.axis("off")
    def box(x, y, w, text, color):
        ax.add_patch(FancyBboxPatch((x, y), w, 7, boxstyle="round,pad=.3,rounding_size=1", fc=color+"22", ec=color, lw=1.1))
        ax.text(x+w/2, y+3.5, text, ha="center", va="center", fontsize=8)
    def arrow(a, b, **how): ax.add_patch(FancyArrowPatch(a, b, arrowstyle="-|>", mutation_scale=8, color="#2a2d33", lw=.9, **how))
    for y,text in ((20, "frames now"), (3, "frames next")): ax.text(7, y+3.5, text, ha="center", va="center")
    box(17, 20, 15, "encoder", REALITY); box(43, 20, 15, "predictor", DREAM); box(17, 3, 15, "target encoder", GREY)
    ax.text(37.5, 26.3, "$z$", ha="center"); ax.text(64, 26.3, r"$\hat z$", ha="center"); ax.text(52, 8, r"$z_{+}$", ha="center")
    arrow((12.5, 23.5), (16.5, 23.5)); arrow((32.5, 23.5), (42.5, 23.5)); arrow((58.5, 23.5), (76, 17)); arrow((12.5, 6.5), (16.5, 6.5)); arrow((32.5, 6.5), (76, 13))
    arrow((24.5, 19.3), (24.5, 10.8), linestyle=":")
    ax.text(26, 15, "slow copy,\nno gradient", fontsize=7, va="center", color="#5b6068")
    box(76.5, 11.5, 19, r"$\|\hat z - z_{+}\|^2$ + spread of $z$", ALARM)
    with one_thread():
        model, steps = dvd_jepa.load("rotor"), [1, 10, 100, 1000, 10_000, 100_000]
        world = home_of(model)
        frames, states = simulate(world, 1, model.context, TEST_SEED+7)
        z = model.encode(frames)[:, -1]
        real = world.render(positions_at(world, states[:, -1], steps))[0]
        dreamed = [model.decode(model.predict(z, k))[0].numpy() for k in steps]
    axes = below.subplots(2, len(steps)+2)
    for row,first in zip(axes, (frames[0], None)):
        for i in range(2):
            row[i].axis("off") if first is None else row[i].imshow(first[i], cmap=black(REALITY), vmin=0, vmax=1)
    for i,k in enumerate(steps):
        axes[0, i+2].imshow(real[i], cmap=black(REALITY), vmin=0, vmax=1)
        axes[1, i+2].imshow(dreamed[i], cmap=black(DREAM), vmin=0, vmax=1)
        axes[0, i+2].set_title(f"{k:,} ahead", fontsize=7, fontweight="normal")
    axes[0, 0].set_title("seen", fontsize=7, fontweight="normal"); axes[0, 1].set_title("seen", fontsize=7, fontweight="normal")
    axes[1, 1].text(.95, .5, "dreamed,\nthen drawn", transform=axes[1, 1].transAxes, ha="right", va="center", fontsize=7.5, color="#b06f00")
    for ax in axes.flat: ax.set(xticks=[], yticks=[]); [side.set_visible(False) for side in ax.spines.values()]
    return fig

def horizon():
    "Skill against steps ahead, on both worlds."
    classic, rotor, varied, there = read(METRICS["classic"]), read(METRICS["rotor"]), read(METRICS["varied"]), read(PUBLISHED_ON_VARIED)["report"]
    fig = Figure(figsize=(7.1, 2.7), layout="constrained")
    left, right = fig.subplots(1, 2, sharey=True)
    def line(ax, x, r, color, name, **how):
        ax.plot(x, r["skill"], color=color, label=name, lw=1.4, **how)
        ax.fill_between(x, *r["skill_interval"], color=color, alpha=.2, lw=0)
    h = rotor["horizon"]["classic"]; line(left, h["at"], h, DREAM, "rotor (right: speed-aware)")
    h = classic["horizon"]["classic"]; line(left, h["at"], h, RED, "the published recipe")
    b = classic["forecast"]["baselines"]; hundred = range(1, 101)
    line(left, hundred, b["nearest neighbour"], GREEN, "lookup table", ls="--"); line(left, hundred, b["pixel predictor"], PURPLE, "pixel predictor")
    h = varied["horizon"]["varied"]; line(right, h["at"], h, DREAM, "rotor (right: speed-aware)")
    h = varied["horizon"]["fast"]; line(right, h["at"], h, TEAL, "speed-aware, unseen speeds")
    line(right, hundred, there, RED, "the published recipe")
    b = varied["forecast"]["baselines"]; line(right, hundred, b["nearest neighbour"], GREEN, "lookup table", ls="--"); line(right, hundred, b["pixel predictor"], PURPLE, "pixel predictor")
    for ax,title in ((left, "Classic: held-out episodes repeat training ones"), (right, "Varied: nothing repeats")):
        ax.axhline(.5, color=GREY, lw=.8, ls=":"); ax.axhline(0, color=GREY, lw=.8)
        ax.set(xscale="log", ylim=(-1.1, 1.08), xlabel="steps ahead (frames)", title=title)
    left.set_ylabel("skill (1 perfect, 0 mean frame)")
    named = {text: line for ax in (left, right) for line,text in zip(*ax.get_legend_handles_labels())}
    fig.legend(named.values(), named.keys(), loc="outside lower center", ncols=6)
    return fig

def collapse():
    "Latents over training for six ways, and where all runs end."
    runs = read(GRID)["runs"]
    fig = Figure(figsize=(7.1, 3.5), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1.25, 1])
    shown = ["none", "var", "ema", "ema+var", "vicreg", "sigreg"]
    axes, across = left.subplots(len(shown), 4), simulate(dvd_jepa.World.classic(), 120, 2, TEST_SEED)[1][:, 1, 1].numpy()
    for row,how in zip(axes, shown):
        looks = runs[f"{how}, classic, 0"]["pictures"]
        for ax,look in zip(row, [looks[i] for i in (0, 2, 3, 4)]):
            at = np.array(look["at"])/100
            wide = max(1, 1.08*np.abs(at).max())
            ax.scatter(at[:, 0], at[:, 1], c=across, cmap="viridis", s=2.2, linewidths=0, rasterized=False)
            ax.set(xlim=(-wide, wide), ylim=(-wide, wide), xticks=[], yticks=[])
            for side in ax.spines.values(): side.set(visible=True, color="#d6dae0")
            if how == shown[0]: ax.set_title(f"step {look['step']:,}", fontsize=7, fontweight="normal")
        row[0].set_ylabel(how, rotation=0, ha="right", va="center", family="DejaVu Sans Mono", fontsize=7)
    ax = right.subplots()
    marks, colors = dict(free="x", stopgrad="^", ema="o"), dict(none=GREY, var=PURPLE, vicreg=DREAM, sigreg=TEAL)
    for name,r in runs.items():
        c = dvd_jepa.Config(**r["config"])
        if "far" not in name: ax.scatter(max(r["std"], 2e-4), r["rank"], marker=marks[c.goal], s=16, c=colors[c.spread], alpha=.75, linewidths=.8 if c.goal == "free" else 0)
    for term,color in colors.items(): ax.scatter([], [], marker="s", c=color, s=16, label=f"term: {term}")
    for goal,mark in marks.items(): ax.scatter([], [], marker=mark, c="#2a2d33", s=16, label=f"goal: {goal}")
    ax.set(xscale="log", xlabel="mean latent std", ylabel="effective rank of 32", title=f"Where {sum('far' not in name for name in runs)} runs end", ylim=(0, 33))
    ax.legend(loc="center left", bbox_to_anchor=(.06, .42))
    return fig

def periods():
    "What the rotor's frequencies found."
    found = read("nbs/paper/figures/periods.json")
    fig = Figure(figsize=(3.4, 1.9), layout="constrained")
    ax = fig.subplots()
    for k in range(1, 7): ax.axvline(found["world"]/k, color=GREY, lw=.7, ls=":")
    at, size = np.array(found["periods"]), np.array(found["sizes"])
    beside = [sum(abs(at[:i]-p) < .5) for i,p in enumerate(at)]
    ax.scatter(at, beside, s=14*size, color=DREAM, linewidths=0)
    ax.set(xscale="log", xlabel="period of a pair of latents (frames)", ylabel="pairs", yticks=[], xlim=(5, 45), ylim=(-1, max(beside)+1))
    ax.set_xticks([6, 7.2, 9, 12, 18, 36], ["36/6", "/5", "/4", "/3", "/2", "36"]); ax.minorticks_off()
    return fig

def surprise():
    "Asked against measured rates, and what is heard of each violation as it grows fainter."
    ms = {name: read(path) for name,path in METRICS.items()}
    fig = Figure(figsize=(7.1, 2.5), layout="constrained")
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.5])
    for (name,m),color,aside in zip(ms.items(), (RED, DREAM, REALITY), (.9, 1, 1.1)):
        rates = m["rates"]["perfect camera"]["rates"]
        x, y = np.array([float(k) for k in rates]), np.array([r["measured"] for r in rates.values()])
        ends = np.array([r["measured_interval"] for r in rates.values()])
        left.errorbar(x*aside, y/x, yerr=np.abs(ends.T-y)/x, color=color, marker="o", ms=3.5, lw=0, elinewidth=1, capsize=2, label=name)
    left.axhline(1, color=GREY, lw=.8, ls=":")
    frames = min(m["rates"]["perfect camera"]["data"]["frames"] for m in ms.values())
    left.set(xscale="log", ylim=(.5, 1.5), xlabel="asked share of clean frames", ylabel="measured / asked", title=f"Alarms in {frames//10**6 if frames >= 10**6 else frames/1e6:g} million clean frames")
    left.legend(loc="lower left", ncols=3, columnspacing=1, handletextpad=.3)
    kinds = ms["varied"]["sensitivity"]["kinds"]
    table = np.array([[v["recall_by"][1] for v in of.values()] for of in kinds.values()]).T
    right.imshow(table, cmap=LinearSegmentedColormap.from_list("heard", ["#ffffff", DREAM]), vmin=0, vmax=1, aspect="auto")
    for (j, i), value in np.ndenumerate(table): right.text(i, j, f"{value:.0%}".rstrip("%"), ha="center", va="center", fontsize=6.5)
    right.set_xticks(range(len(kinds)), kinds, rotation=35, ha="right"); right.set_yticks(range(4), ["faintest", "", "", "plainest"])
    right.set_title(f"varied: % heard by the next frame, {ms['varied']['sensitivity']['data']['asked_per_1000']:g} in 1,000 asked", fontsize=7.5)
    for side in right.spines.values(): side.set_visible(False)
    return fig

DRAWN_FROM = dict(idea=[WEIGHTS["rotor"]], horizon=[*METRICS.values(), PUBLISHED_ON_VARIED], collapse=[GRID], periods=["nbs/paper/figures/periods.json"], surprise=[*METRICS.values()])


def found_periods():
    "The periods of the packaged rotor's pairs, and how large these are; the world's own period from a logo that is let run."
    with one_thread(), torch.no_grad():
        model = dvd_jepa.load("rotor")
        z = model.encode(training_sample(home_of(model), model.config)[0])
        size = z.unflatten(-1, (-1, 2)).square().sum(-1).mean((0, 1)).sqrt()
        period = 2*torch.pi/model.predictor.frequencies.double().abs()
        order = period.argsort()
        path = simulate(home_of(model), 1, 300, TEST_SEED)[1][0, 200:]
        world = next(k for k in range(2, 100) if (path[k:]-path[:-k]).abs().max() < 1e-3)
    return dict(of=digest([WEIGHTS["rotor"]]), world=world, periods=[round(p, 6) for p in period[order].tolist()], sizes=[round(s, 4) for s in size[order].tolist()],
                                          harmonics=sorted({round(world/p) for p in period.tolist()}), off=round(max(abs(world/round(world/p)-p) for p in period.tolist()), 6))

def digest(paths): return hashlib.sha256(b"".join((top/path).read_bytes() for path in paths)).hexdigest()[:16]
def expected(): return {name: dict(data=digest(paths), code=hashlib.sha256(inspect.getsource(globals()[name]).encode()).hexdigest()[:16], figure=digest([f"nbs/paper/figures/{name}.svg"])) for name,paths in DRAWN_FROM.items()}
def stale():
    "Names of the figures that were not drawn from the data and by the code as they are now, or were touched since."
    noted, now = read("nbs/paper/figures/drawn.json"), expected()
    periods = read("nbs/paper/figures/periods.json")["of"] != digest([WEIGHTS["rotor"]])
    return [name for name in now if noted.get(name) != now[name] or (name == "periods" and periods)]

def room(name, kept):
    "How far a headline may be from the committed one, measured on another processor."
    part, *_, what = name.split(".")
    if what == "recall_at_onset": return .0045        # two of 500: a score beside the threshold may fall on either side
    if what == "measured_per_1000": return .1         # three of 31,000 frames
    if part == "corner": return 1 if what == "median_error" else .01
    lost = kept.get(f"{name.partition('.mse.')[0]}.worse_than_mean_frame_from")
    if ".mse." in name and lost and int(what) >= lost: return .01*kept[name]   # a lost dream amplifies rounding
    return 1e-4*abs(kept[name])

def differ(came, kept):
    "Names of the headlines that are not what is committed."
    off = lambda k, v: came[k] is not v if None in (came[k], v) else abs(came[k]-v) > room(k, kept)
    return [k for k,v in kept.items() if off(k, v)]

def measure():
    "Measure the packaged weights again; SystemExit where that isn't what is committed."
    for name,path in METRICS.items():
        with one_thread(): came, kept = headlines(evaluate(dvd_jepa.load(name))), headlines(read(path))
        wrong = differ(came, kept)
        if wrong: sys.exit(f"{name}: {', '.join(f'{k} is {came[k]}, {path} says {kept[k]}' for k in wrong)}")
        print(f"{name}: {len(kept)} headlines are what {path} says")

if __name__ == "__main__":
    if "--measure" in sys.argv: measure()
    write_json(drawn/"periods.json", found_periods())
    write_json(drawn/"claimed.json", dict(repository=PUBLISHED, paper=PRINTED))
    for name in DRAWN_FROM:
        with atomic_write(drawn/f"{name}.svg") as tmp: globals()[name]().savefig(tmp, metadata=dict(Date=None))
    write_json(drawn/"drawn.json", expected())
    print(f"drew {', '.join(DRAWN_FROM)} into {drawn.relative_to(top)}/")
