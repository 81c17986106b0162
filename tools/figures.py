"""Draw the paper's figures from committed results and packaged weights, and note their sources.

`python tools/figures.py [--measure]`; --measure first measures the packaged weights again (three
minutes) and refuses to draw if that isn't what their committed metrics say."""
import hashlib
import inspect
import json
import sys
from pathlib import Path

import dvd_jepa
import matplotlib
import numpy as np
import torch
from dvd_jepa.core import TEST_SEED, one_thread
from dvd_jepa.dream import positions_at
from dvd_jepa.evaluate import evaluate, headlines
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

INK, FAINT, EDGE = "#2a2d33", "#5b6068", "#d6dae0"
GREY, PURPLE, GREEN, TEAL, RED = "#8a8f98", "#8e5bd0", "#2a9d6f", "#4aa3a2", "#b0405a"
matplotlib.rcParams.update({
    "font.family": "DejaVu Sans", "font.size": 8, "text.color": INK,
    "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.titlesize": 8, "axes.titleweight": "bold", "legend.frameon": False,
    "legend.fontsize": 7, "svg.hashsalt": "dvd-jepa", "svg.fonttype": "path"})
SMALL = dict(fontsize=7, fontweight="normal")   # a title in passing

# The figures of the original's paper; those of its repository are PUBLISHED.
PRINTED = dict(probe_position_rmse_px=.81, forecast_mse_step1=.0006, forecast_mse_stepK=.036,
               anomaly_peak_over_baseline=55)
NAMES = "classic", "rotor", "varied"
METRICS = {name: f"dvd_jepa/weights/{name}.json" for name in NAMES}
WEIGHTS = {name: f"dvd_jepa/weights/{name}.safetensors" for name in NAMES}
GRID = "nbs/studies/results/20_collapse.json"
PUBLISHED_ON_VARIED = "nbs/studies/results/21_published.json"
PERIODS = "nbs/paper/figures/periods.json"


def read(path): return json.loads((top/path).read_text(encoding="utf-8"))

def black(color): return LinearSegmentedColormap.from_list(color, ["#14161a", color])


# The idea

def idea():
    "Two encoders, a predictor, one loss; and what the predictor is worth when left alone."
    fig = Figure(figsize=(7.1, 3.0), layout="constrained")
    above, below = fig.subfigures(2, 1, height_ratios=[1.15, 1])
    idea_scheme(above.add_axes((0, 0, 1, 1)))
    idea_film(below)
    return fig

def idea_scheme(ax):
    "How the parts hang together."
    ax.set(xlim=(0, 100), ylim=(0, 30))
    ax.axis("off")
    ax.text(7, 23.5, "frames now", ha="center", va="center")
    ax.text(7, 6.5, "frames next", ha="center", va="center")
    idea_box(ax, 17, 20, 15, "encoder", REALITY)
    idea_box(ax, 43, 20, 15, "predictor", DREAM)
    idea_box(ax, 17, 3, 15, "target encoder", GREY)
    ax.text(37.5, 26.3, "$z$", ha="center")
    ax.text(64, 26.3, r"$\hat z$", ha="center")
    ax.text(52, 8, r"$z_{+}$", ha="center")
    idea_arrow(ax, (12.5, 23.5), (16.5, 23.5))
    idea_arrow(ax, (32.5, 23.5), (42.5, 23.5))
    idea_arrow(ax, (58.5, 23.5), (76, 17))
    idea_arrow(ax, (12.5, 6.5), (16.5, 6.5))
    idea_arrow(ax, (32.5, 6.5), (76, 13))
    idea_arrow(ax, (24.5, 19.3), (24.5, 10.8), linestyle=":")
    ax.text(26, 15, "slow copy,\nno gradient", fontsize=7, va="center", color=FAINT)
    idea_box(ax, 76.5, 11.5, 19, r"$\|\hat z - z_{+}\|^2$ + spread of $z$", ALARM)

def idea_box(ax, x, y, w, text, color):
    style = "round,pad=.3,rounding_size=1"
    ax.add_patch(FancyBboxPatch((x, y), w, 7, boxstyle=style, fc=color+"22", ec=color, lw=1.1))
    ax.text(x+w/2, y+3.5, text, ha="center", va="center", fontsize=8)

def idea_arrow(ax, a, b, **how):
    look = dict(arrowstyle="-|>", mutation_scale=8, color=INK, lw=.9)
    ax.add_patch(FancyArrowPatch(a, b, **look, **how))

def idea_film(below):
    "Two frames seen; then reality above what is dreamed, further and further ahead."
    steps = [1, 10, 100, 1000, 10_000, 100_000]
    frames, real, dreamed = idea_dreams(steps)
    axes = below.subplots(2, len(steps)+2)
    bright = dict(vmin=0, vmax=1)
    for i in range(2): axes[0, i].imshow(frames[i], cmap=black(REALITY), **bright)
    for i in range(2): axes[1, i].axis("off")
    for i,k in enumerate(steps):
        axes[0, i+2].imshow(real[i], cmap=black(REALITY), **bright)
        axes[1, i+2].imshow(dreamed[i], cmap=black(DREAM), **bright)
        axes[0, i+2].set_title(f"{k:,} ahead", **SMALL)
    for ax in axes[0, :2]: ax.set_title("seen", **SMALL)
    beside = axes[1, 1]
    beside.text(.95, .5, "dreamed,\nthen drawn", transform=beside.transAxes,
                ha="right", va="center", fontsize=7.5, color="#b06f00")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        for side in ax.spines.values(): side.set_visible(False)

def idea_dreams(steps):
    "Frames of a held-out episode; reality so many steps later, and the rotor's dream of it."
    with one_thread():
        model = dvd_jepa.load("rotor")
        world = home_of(model)
        frames, states = simulate(world, 1, model.context, TEST_SEED+7)
        z = model.encode(frames)[:, -1]
        real = world.render(positions_at(world, states[:, -1], steps))[0]
        dreamed = [model.decode(model.predict(z, k))[0].numpy() for k in steps]
    return frames[0], real, dreamed


# The horizon

def horizon():
    "Skill against steps ahead, on both worlds."
    fig = Figure(figsize=(7.1, 2.7), layout="constrained")
    left, right = fig.subplots(1, 2, sharey=True)
    horizon_classic(left)
    horizon_varied(right)
    titles = "Classic: held-out episodes repeat training ones", "Varied: nothing repeats"
    for ax,title in zip((left, right), titles):
        ax.axhline(.5, color=GREY, lw=.8, ls=":")
        ax.axhline(0, color=GREY, lw=.8)
        ax.set(xscale="log", ylim=(-1.1, 1.08), xlabel="steps ahead (frames)", title=title)
    left.set_ylabel("skill (1 perfect, 0 mean frame)")
    named = {}
    for ax in (left, right):
        for line,text in zip(*ax.get_legend_handles_labels()): named[text] = line
    fig.legend(named.values(), named.keys(), loc="outside lower center", ncols=6)
    return fig

def horizon_classic(ax):
    classic, rotor = read(METRICS["classic"]), read(METRICS["rotor"])
    horizon_line(ax, rotor["horizon"]["classic"], DREAM, "rotor (right: speed-aware)")
    horizon_line(ax, classic["horizon"]["classic"], RED, "the published recipe")
    horizon_rivals(ax, classic)

def horizon_varied(ax):
    varied = read(METRICS["varied"])
    horizon_line(ax, varied["horizon"]["varied"], DREAM, "rotor (right: speed-aware)")
    horizon_line(ax, varied["horizon"]["fast"], TEAL, "speed-aware, unseen speeds")
    horizon_line(ax, read(PUBLISHED_ON_VARIED)["report"], RED, "the published recipe")
    horizon_rivals(ax, varied)

def horizon_rivals(ax, m):
    rivals = m["forecast"]["baselines"]
    horizon_line(ax, rivals["nearest neighbour"], GREEN, "lookup table", ls="--")
    horizon_line(ax, rivals["pixel predictor"], PURPLE, "pixel predictor")

def horizon_line(ax, report, color, name, **how):
    "A line in its band; a report that doesn't say at which steps has the first hundred."
    x = report.get("at", range(1, 101))
    ax.plot(x, report["skill"], color=color, label=name, lw=1.4, **how)
    ax.fill_between(x, *report["skill_interval"], color=color, alpha=.2, lw=0)


# The collapse

def collapse():
    "Latents over training for six ways, and where all runs end."
    runs = read(GRID)["runs"]
    fig = Figure(figsize=(7.1, 3.5), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1.25, 1])
    collapse_portraits(left, runs)
    collapse_ends(right.subplots(), runs)
    return fig

def collapse_portraits(left, runs):
    "The latents of a few observations at four steps, coloured by where the logo is, across."
    shown = ["none", "var", "ema", "ema+var", "vicreg", "sigreg"]
    axes = left.subplots(len(shown), 4)
    across = simulate(dvd_jepa.World.classic(), 120, 2, TEST_SEED)[1][:, 1, 1].numpy()
    for row,how in zip(axes, shown):
        looks = runs[f"{how}, classic, 0"]["pictures"]
        for ax,look in zip(row, [looks[i] for i in (0, 2, 3, 4)]):
            collapse_portrait(ax, np.array(look["at"])/100, across)
            if how == shown[0]: ax.set_title(f"step {look['step']:,}", **SMALL)
        row[0].set_ylabel(how, rotation=0, ha="right", va="center",
                          family="DejaVu Sans Mono", fontsize=7)

def collapse_portrait(ax, at, across):
    wide = max(1, 1.08*np.abs(at).max())
    ax.scatter(at[:, 0], at[:, 1], c=across, cmap="viridis", s=2.2, linewidths=0,
               rasterized=False)
    ax.set(xlim=(-wide, wide), ylim=(-wide, wide), xticks=[], yticks=[])
    for side in ax.spines.values(): side.set(visible=True, color=EDGE)

def collapse_ends(ax, runs):
    "Where each run ends: its std and its effective rank."
    marks = dict(free="x", stopgrad="^", ema="o")
    colors = dict(none=GREY, var=PURPLE, vicreg=DREAM, sigreg=TEAL)
    ends = {name: run for name,run in runs.items() if "far" not in name}
    for run in ends.values():
        c = dvd_jepa.Config(**run["config"])
        ax.scatter(max(run["std"], 2e-4), run["rank"], marker=marks[c.goal], s=16,
                   c=colors[c.spread], alpha=.75, linewidths=.8 if c.goal == "free" else 0)
    for term,color in colors.items():
        ax.scatter([], [], marker="s", c=color, s=16, label=f"term: {term}")
    for goal,mark in marks.items():
        ax.scatter([], [], marker=mark, c=INK, s=16, label=f"goal: {goal}")
    ax.set(xscale="log", xlabel="mean latent std", ylabel="effective rank of 32",
           title=f"Where {len(ends)} runs end", ylim=(0, 33))
    ax.legend(loc="center left", bbox_to_anchor=(.06, .42))


# The periods

def periods():
    "What the rotor's frequencies found."
    found = read(PERIODS)
    fig = Figure(figsize=(3.4, 1.9), layout="constrained")
    ax = fig.subplots()
    for k in range(1, 7): ax.axvline(found["world"]/k, color=GREY, lw=.7, ls=":")
    at, size = np.array(found["periods"]), np.array(found["sizes"])
    beside = [sum(abs(at[:i]-p) < .5) for i,p in enumerate(at)]
    ax.scatter(at, beside, s=14*size, color=DREAM, linewidths=0)
    ax.set(xscale="log", xlabel="period of a pair of latents (frames)", ylabel="pairs",
           yticks=[], xlim=(5, 45), ylim=(-1, max(beside)+1))
    ax.set_xticks([6, 7.2, 9, 12, 18, 36], ["36/6", "/5", "/4", "/3", "/2", "36"])
    ax.minorticks_off()
    return fig


# The surprise

def surprise():
    "Asked against measured rates, and what is heard of each violation as it grows fainter."
    fig = Figure(figsize=(7.1, 2.5), layout="constrained")
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.5])
    surprise_rates(left, {name: read(path) for name,path in METRICS.items()})
    surprise_heard(right, read(METRICS["varied"])["sensitivity"])
    return fig

def surprise_rates(ax, metrics):
    "Measured rates of false alarms as shares of what was asked."
    cameras = {name: m["rates"]["perfect camera"] for name,m in metrics.items()}
    for (name,camera),color,aside in zip(cameras.items(), (RED, DREAM, REALITY), (.9, 1, 1.1)):
        rates = camera["rates"]
        x = np.array([float(asked) for asked in rates])
        y = np.array([rate["measured"] for rate in rates.values()])
        ends = np.array([rate["measured_interval"] for rate in rates.values()])
        ax.errorbar(x*aside, y/x, yerr=np.abs(ends.T-y)/x, color=color, label=name,
                    marker="o", ms=3.5, lw=0, elinewidth=1, capsize=2)
    ax.axhline(1, color=GREY, lw=.8, ls=":")
    frames = min(camera["data"]["frames"] for camera in cameras.values())
    millions = frames//10**6 if frames >= 10**6 else frames/1e6
    ax.set(xscale="log", ylim=(.5, 1.5), xlabel="asked share of clean frames",
           ylabel="measured / asked", title=f"Alarms in {millions:g} million clean frames")
    ax.legend(loc="lower left", ncols=3, columnspacing=1, handletextpad=.3)

def surprise_heard(ax, report):
    "A table: share of broken episodes heard by the next frame, faint violations on top."
    kinds = report["kinds"]
    table = np.array([[v["recall_by"][1] for v in of.values()] for of in kinds.values()]).T
    orange = LinearSegmentedColormap.from_list("heard", ["#ffffff", DREAM])
    ax.imshow(table, cmap=orange, vmin=0, vmax=1, aspect="auto")
    for (j, i), value in np.ndenumerate(table):
        percent = f"{value:.0%}".rstrip("%")
        ax.text(i, j, percent, ha="center", va="center", fontsize=6.5)
    ax.set_xticks(range(len(kinds)), kinds, rotation=35, ha="right")
    ax.set_yticks(range(4), ["faintest", "", "", "plainest"])
    asked = f"{report['data']['asked_per_1000']:g} in 1,000 asked"
    ax.set_title(f"varied: % heard by the next frame, {asked}", fontsize=7.5)
    for side in ax.spines.values(): side.set_visible(False)


# What they are drawn from

DRAWN_FROM = dict(
    idea=[WEIGHTS["rotor"]], horizon=[*METRICS.values(), PUBLISHED_ON_VARIED], collapse=[GRID],
    periods=[PERIODS], surprise=[*METRICS.values()])


def found_periods():
    "The periods of the packaged rotor's pairs, how large these are, and the world's own period."
    with one_thread(), torch.no_grad():
        model = dvd_jepa.load("rotor")
        z = model.encode(training_sample(home_of(model), model.config)[0])
        size = z.unflatten(-1, (-1, 2)).square().sum(-1).mean((0, 1)).sqrt()
        period = 2*torch.pi/model.predictor.frequencies.double().abs()
        order = period.argsort()
        world = world_period(home_of(model))
    harmonics = [round(world/p) for p in period.tolist()]
    off = [abs(world/n-p) for n,p in zip(harmonics, period.tolist())]
    return dict(
        of=digest([WEIGHTS["rotor"]]), world=world,
        periods=[round(p, 6) for p in period[order].tolist()],
        sizes=[round(s, 4) for s in size[order].tolist()],
        harmonics=sorted(set(harmonics)), off=round(max(off), 6))

def world_period(world):
    "Frames after which a logo that is let run is where it was."
    path = simulate(world, 1, 300, TEST_SEED)[1][0, 200:]
    return next(k for k in range(2, 100) if (path[k:]-path[:-k]).abs().max() < 1e-3)

def digest(paths): return short_hash(b"".join((top/path).read_bytes() for path in paths))

def short_hash(data): return hashlib.sha256(data).hexdigest()[:16]

def code_of(name):
    "Source of a figure's function and of its helpers, whose names begin with the figure's."
    parts = [part for key,part in globals().items() if key == name or key.startswith(f"{name}_")]
    return "".join(inspect.getsource(part) for part in parts)

def expected():
    "For each figure: digests of its data, of the code that draws it, and of itself."
    return {name: dict(data=digest(paths), code=short_hash(code_of(name).encode()),
                       figure=digest([f"nbs/paper/figures/{name}.svg"]))
            for name,paths in DRAWN_FROM.items()}

def stale():
    "Figures that were touched, or not drawn from the data and by the code as they are now."
    noted, now = read("nbs/paper/figures/drawn.json"), expected()
    old = {name for name in now if noted.get(name) != now[name]}
    if read(PERIODS)["of"] != digest([WEIGHTS["rotor"]]): old.add("periods")
    return [name for name in now if name in old]


# Whether the packaged weights still measure the same

def room(name, kept):
    "How far a headline may be from the committed one, measured on another processor."
    part, *_, what = name.split(".")
    # Two of 500: a score beside the threshold may fall on either side.
    if what == "recall_at_onset": return .0045
    # Three of 31,000 frames.
    if what == "measured_per_1000": return .1
    if part == "corner": return 1 if what == "median_error" else .01
    lost = kept.get(f"{name.partition('.mse.')[0]}.worse_than_mean_frame_from")
    # A lost dream amplifies rounding.
    if ".mse." in name and lost and int(what) >= lost: return .01*kept[name]
    return 1e-4*abs(kept[name])

def differ(came, kept):
    "Names of the headlines that are not what is committed."
    def off(name, value):
        if None in (came[name], value): return came[name] is not value
        return abs(came[name]-value) > room(name, kept)
    return [name for name,value in kept.items() if off(name, value)]

def measure():
    "Measure the packaged weights again; SystemExit if that isn't what is committed."
    for name,path in METRICS.items():
        with one_thread():
            came = headlines(evaluate(dvd_jepa.load(name)))
            kept = headlines(read(path))
        wrong = [f"{k} is {came[k]}, {path} says {kept[k]}" for k in differ(came, kept)]
        if wrong: sys.exit(f"{name}: {', '.join(wrong)}")
        print(f"{name}: {len(kept)} headlines are what {path} says")


if __name__ == "__main__":
    if "--measure" in sys.argv: measure()
    write_json(drawn/"periods.json", found_periods())
    write_json(drawn/"claimed.json", dict(repository=PUBLISHED, paper=PRINTED))
    for name in DRAWN_FROM:
        fig = globals()[name]()
        with atomic_write(drawn/f"{name}.svg") as tmp: fig.savefig(tmp, metadata=dict(Date=None))
    write_json(drawn/"drawn.json", expected())
    print(f"drew {', '.join(DRAWN_FROM)} into {drawn.relative_to(top)}/")
