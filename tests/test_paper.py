"The paper: it compiles to the same bytes, its numbers are read and not typed, its figures are as new as their data, and what it says in words holds."
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvd_jepa.evaluate import headlines
from dvd_jepa.horizons import PUBLISHED
from dvd_jepa.runs import packaged_metrics

top = Path(__file__).parent.parent
sys.path.insert(0, str(top/"tools"))
if "DVD_JEPA_BROWSER" not in os.environ: pytest.importorskip("typst")   # the whole test run has it
import figures
import paper

text = paper.source.read_text(encoding="utf-8")


def test_it_compiles_to_the_same_bytes_as_the_committed_pdf():
    other = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(top/'tools')!r}); import paper; sys.stdout.buffer.write(paper.compiled())"], capture_output=True, check=True).stdout
    assert paper.compiled() == other == paper.target.read_bytes(), "run `make paper`"

def test_no_number_is_typed(): assert paper.typed(text) == []

@pytest.mark.parametrize("wrong", ["valid for 6 steps", "1.2%", "½", "#6", "#(12.3)", "#{6}", '#"6 steps"', "`6`", "$6$ steps", "$17.3$", "#big(1000)", "#big(5 + 1)", "#num(.99)", "#num(1 * 6)", "#num(digits: 0, 610)", '#num(float("6.1"))', "#calc.round(6.2)"])
def test_a_typed_number_is_found(wrong):
    assert len(paper.typed(text + f"\n{wrong}\n")) == len(paper.typed(text + f"\n#figure(caption: [{wrong}], table([x]))\n")) == 1

def test_a_literal_behind_a_name_is_found(): assert paper.typed(text + "\n#let n = 6\n#big(n) steps\n") == ["#big(n)", "n"]

def test_figures_are_as_new_as_their_data(): assert figures.stale() == []

@pytest.fixture
def copied(tmp_path, monkeypatch):
    "The files that figures are drawn from, where they can be changed."
    for path in {path for paths in figures.DRAWN_FROM.values() for path in paths} | {p.relative_to(top).as_posix() for p in figures.drawn.iterdir()}:
        (tmp_path/path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(top/path, tmp_path/path)
    monkeypatch.setattr(figures, "top", tmp_path)
    assert figures.stale() == []
    return tmp_path

def test_a_figure_that_is_older_than_its_data_is_found(copied):
    path = copied/figures.METRICS["varied"]
    path.write_text(path.read_text(encoding="utf-8").replace('"valid_horizon": 610', '"valid_horizon": 611'), encoding="utf-8")
    assert figures.stale() == ["horizon", "surprise"]

def test_weights_that_changed_and_a_figure_that_was_touched_are_found(copied):
    (copied/figures.WEIGHTS["rotor"]).write_bytes(b"others")
    with open(copied/"nbs/paper/figures/collapse.svg", "a", encoding="utf-8") as f: f.write("<!-- retouched -->")
    assert figures.stale() == ["idea", "collapse", "periods"]

def test_periods_are_those_of_the_packaged_rotor():
    kept, now = json.loads((figures.drawn/"periods.json").read_text(encoding="utf-8")), figures.found_periods()
    assert (kept["of"], kept["world"], kept["harmonics"]) == (now["of"], now["world"], now["harmonics"])
    assert max(abs(a-b) for a,b in zip(kept["periods"], now["periods"])) < 1e-5

def test_measuring_again_allows_for_another_processor_and_for_nothing_else():
    kept = headlines(packaged_metrics("classic"))
    assert figures.differ(kept, kept) == []
    kick, alarms = "surprise.latent.kick.recall_at_onset", "surprise.pixels.measured_per_1000"
    rounding = {"corner.false": 1/390, kick: -1/500, alarms: 2/31, "horizon.classic.mse.1000": .0002,
                "forecast.mse.1": 1e-8, "probe.position_r2": 1e-5}
    for name,by in rounding.items(): assert not figures.differ(kept | {name: kept[name]+by}, kept), name
    changes = {"corner.false": .02, kick: -.006, alarms: .2, "horizon.classic.mse.1000": .002,
               "forecast.mse.1": 1e-6, "forecast.valid_horizon": 1, "probe.position_r2": 2e-4}
    for name,by in changes.items(): assert figures.differ(kept | {name: kept[name]+by}, kept) == [name]
    assert figures.differ(kept | {"corner.false": None}, kept) == ["corner.false"]

def test_what_it_says_in_words():
    classic, rotor, varied = (packaged_metrics(name) for name in ("classic", "rotor", "varied"))
    runs = json.loads((top/figures.GRID).read_text(encoding="utf-8"))["runs"]
    ways = {name.rsplit(", ", 2)[0] for name in runs if not name.startswith("far")}
    collapsed = {how for how in ways if any("collapse" in r["said"] for name,r in runs.items() if name.startswith(f"{how}, "))}
    assert collapsed == {"none", "var"}, "four parts are sufficient, each alone; the hinge alone is not"
    assert len({r["config"]["seed"] for r in runs.values()}) == 5 and len(classic["seeds"]["data"]["seeds"]) == 5
    assert classic["forecast"]["baselines"]["nearest neighbour"]["valid_horizon"] == classic["forecast"]["data"]["steps"], "the lookup table stays valid for all steps"
    assert min(rotor["seeds"]["headlines"]["horizon.classic.valid_horizon"]["values"]) == rotor["horizon"]["classic"]["data"]["steps"], "in each of five training seeds"
    learned = [r["valid_horizon"] for name,r in varied["forecast"]["baselines"].items() if name != "constant velocity"]
    assert max(learned) < varied["forecast"]["valid_horizon"], "the speed-aware rotor outlasts everybody who learned"
    pca, latent = (varied["probe"]["representations"][name] for name in ("PCA of the pixels", "JEPA latent"))
    assert pca["position_r2"] > latent["position_r2"] and pca["velocity_r2"] > .5
    kinds = varied["surprise"]["kinds"]
    assert min(kinds, key=lambda kind: kinds[kind]["scores"]["relative"]["auroc"]) == "tunnel", "the hardest being a logo that ignores a wall"
    assert kinds["tunnel"]["scores"]["pixel predictor"]["auroc"] > kinds["tunnel"]["scores"]["relative"]["auroc"]
    assert all(v["scores"]["constant velocity"]["auroc"] > .999 for v in kinds.values()), "a tracker that was told the physics hears everything"
    for kind in ("teleport", "vanish"): assert kinds[kind]["scores"]["persistence"]["auroc"] > .999, "told by persistence as well"
    assert all(v["scores"]["pixel predictor"]["auroc"] >= v["scores"]["relative"]["auroc"]-1e-4 for v in kinds.values()), "the pixel predictor tells all ten kinds at least as well"
    ratios = [r["measured"]/float(asked) for m in (classic, rotor, varied) for asked,r in m["rates"]["perfect camera"]["rates"].items()]
    assert 2/3 < min(ratios) and max(ratios) < 4/3, "within a third of the asked rate"
    far = {how: [r for name,r in runs.items() if name.startswith(f"far, {how}, varied")] for how in ("ema+var", "ema+vicreg", "ema+var, contrast")}
    assert all(min(r["r2"]["y"], r["r2"]["x"]) > .5 for r in far["ema+var, contrast"]) and sum(min(r["r2"]["y"], r["r2"]["x"]) < .5 for r in far["ema+var"]) == 3
    scale = lambda how: [r["said"].count("drift") for name,r in runs.items() if name.startswith(f"{how}, ")]
    assert sum(scale("ema+var")) == 0 < sum(scale("ema")), "with the hinge the scale settles, without it it is still growing"
    seeds = {key: classic["seeds"]["headlines"][f"published.{key}"]["values"] for key in ("probe_position_rmse_px", "forecast_mse_mean")}
    assert all(min(values) == values[0] for values in seeds.values()), "the published seed is the luckiest of our five on these"
    corner = json.loads((top/"nbs/studies/results/21_corners.json").read_text(encoding="utf-8"))["rotor, 100000"]
    assert corner["foreseen"] == 1 and corner["false"] == 0, "foresees all of them and announces none that does not come"
    assert json.loads((top/"nbs/paper/figures/claimed.json").read_text(encoding="utf-8")) == dict(repository=PUBLISHED, paper=figures.PRINTED)
