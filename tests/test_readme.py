"Every number of README's tables is read from the committed metrics."
import json
import re
from pathlib import Path

import dvd_jepa
import pytest
from dvd_jepa.evaluate import PUBLISHED, headlines, packaged_metrics
from dvd_jepa.world import World

top = Path(__file__).parent.parent
readme = (top/"README.md").read_text(encoding="utf-8")
m = packaged_metrics("classic")
seeds = m["seeds"]["headlines"]


def row(start):
    line = next(line for line in readme.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def with_interval(d, k, digits):
    low, high = d[f"{k}_interval"]
    return f"{d[k]:{digits}} [{low:{digits}}, {high:{digits}}]"


def test_published_figures():
    rows = {"position read from the latent, RMSE": ("probe_position_rmse_px", ".3f"), "dream of video 7": ("forecast_mse_step1", ".4f"),
            "… 30 steps ahead": ("forecast_mse_stepK", ".5f"), "… mean of these": ("forecast_mse_mean", ".5f"),
            "teleport in video 3": ("anomaly_peak_over_baseline", ".1f"), "… index of the peak": ("anomaly_detected_at", "d")}
    for start,(key,digits) in rows.items():
        values = seeds[f"published.{key}"]["values"]
        ends = f"{min(values):{digits}}", f"{max(values):{digits}}"
        assert row(start)[1:] == [format(PUBLISHED[key], digits), format(m["published"][key], digits), ends[0] if ends[0] == ends[1] else "–".join(ends)]


def test_forecast_figures():
    f = m["forecast"]
    for name,r in {"**the dream**": f, **f["baselines"]}.items():
        horizon = "100+" if r["valid_horizon_interval"] == [100, 100] else f"{r['valid_horizon']} {r['valid_horizon_interval']}"   # nobody lies in between
        assert row(name)[2:] == [f"{r['mse'][0]:.4f}", f"{r['mse'][9]:.4f}", horizon, str(r["worse_than_mean_frame_from"] or "never")], name


def test_probe_figures():
    for name in ("JEPA latent", "PCA of the pixels", "random encoder"):
        r = m["probe"]["representations"][name]
        assert row(name)[1:] == [with_interval(r, "position_r2", ".3f"), with_interval(r, "velocity_r2", ".3f")]


def test_what_a_sceptic_asks():
    s, values = m["surprise"]["scores"]["pixels"], lambda k: sorted(seeds[f"forecast.{k}"]["values"])
    horizon, lost = values("valid_horizon"), values("worse_than_mean_frame_from")
    assert row("another training seed?")[1] == f"{horizon[2]} steps ({horizon[0]}–{horizon[4]} over 5 seeds)"
    assert row("… and the mean frame")[1] == f"step {lost[2]} ({lost[0]}–{lost[4]})"
    ends = lambda k, digits: f"{min(seeds[k]['values']):{digits}}–{max(seeds[k]['values']):{digits}}"
    assert row("… and its MSE 10 steps")[1] == ends("forecast.mse.10", ".4f")
    assert row("… and a line reads velocity")[1] == ends("probe.velocity_r2", ".3f")
    assert row("… and a kick rings")[1] == f"{ends('surprise.pixels.kick.recall_at_onset', '.0%')}, {ends('surprise.latent.kick.recall_at_onset', '.0%')}"
    assert row("… and false alarms of the")[1] == ends("surprise.pixels.measured_per_1000", ".2f")
    assert row("was the test set seen")[1] == f"{m['leakage']['share_overall']:.0%} (every one from frame {m['leakage']['all_seen_from']} on)"
    assert row("clean videos on which")[1] == with_interval(s["published_rule"], "clean_videos_that_ring", ".0%")
    assert row("false alarms of the calibrated")[1] == with_interval(s, "measured_per_1000", ".2f")


def test_surprise_figures():
    shown = ("pixels", "latent", "persistence", "nearest neighbour")
    for kind,v in m["surprise"]["kinds"].items():
        assert row(f"{kind} |")[2:] == [f"{v['scores'][s]['auroc']:.3f} · {v['scores'][s]['recall_at_onset']:.0%}" for s in shown]


def test_no_table_row_is_unchecked():
    results = readme.split("## What it can do")[1].split("**Honest limits.**")[0]
    rows = 6 + 8 + 3 + 9 + len(dvd_jepa.VIOLATIONS)
    assert len([line for line in results.splitlines() if line.startswith("| ")]) == 5 + rows, "five headers, and the rows that the tests of this file read"


def test_packaged_metrics_belong_to_the_packaged_weights():
    for name in dvd_jepa.packaged():
        config = packaged_metrics(name)["config"]
        assert json.loads(json.dumps(vars(dvd_jepa.load(name).config))) == config


def test_the_seeds_include_the_packaged_weights():
    today, kept = headlines(m), {k: v["values"][m["config"]["seed"]] for k,v in seeds.items()}
    assert today == kept, "training seed 0 of the seeds is the packaged model, and scored alike"


def test_reports_name_their_data():
    for part in ("forecast", "surprise", "collapse", "leakage"):
        assert "bootstrap" in m[part]["data"]["intervals"] and {"world", "training_seed", "seed"} <= set(m[part]["data"]), part
    assert {"fitted_on", "scored_on", "intervals"} <= set(m["probe"]["data"]) and m["seeds"]["data"]["seeds"] == [0, 1, 2, 3, 4]


def test_no_number_of_the_prose_is_typed_that_metrics_hold():
    "Outside of tables and code, README's prose names no measured decimal and no percentage."
    prose = re.sub(r"^\|.*$|^    .*$", "", re.sub(r"```.*?```", "", readme, flags=re.S), flags=re.M)
    assert "Honest limits" in prose
    assert not re.findall(r"(?<!Python ≥ )\b\d+\.\d{2,}|\d+ ?%", prose)


@pytest.mark.parametrize("world", ["classic", "varied"])
def test_packaged_baselines_have_the_parameters_of_the_world_model(world):
    from dvd_jepa.dream import baselines, parameters
    rivals, model = baselines(getattr(World, world)()), dvd_jepa.load("classic")
    for name in ("pixel predictor", "untrained encoder"):
        assert parameters(rivals[name]) == parameters(model)
        assert (rivals[name].config.steps, rivals[name].config.decoder_steps, rivals[name].config.batch) == (model.config.steps, model.config.decoder_steps, model.config.batch)


def test_packaged_weights_are_small():
    for path in (top/"dvd_jepa"/"weights").rglob("*.safetensors"): assert path.stat().st_size <= 1_500_000
