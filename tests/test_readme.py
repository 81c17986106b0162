"Every number of README's tables is read from the committed metrics."
import json
from pathlib import Path

import dvd_jepa
from dvd_jepa.evaluate import PUBLISHED, packaged_metrics

top = Path(__file__).parent.parent
readme = (top/"README.md").read_text(encoding="utf-8")


def row(start):
    line = next(line for line in readme.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_published_figures():
    ours = packaged_metrics("classic")["published"]
    rows = {"position read from the latent, RMSE": ("probe_position_rmse_px", ".3f"), "dream of video 7": ("forecast_mse_step1", ".4f"),
            "… 30 steps ahead": ("forecast_mse_stepK", ".5f"), "… mean of these": ("forecast_mse_mean", ".5f"),
            "teleport in video 3": ("anomaly_peak_over_baseline", ".1f"), "… index of the peak": ("anomaly_detected_at", "d")}
    for start,(key,digits) in rows.items(): assert row(start)[1:] == [format(PUBLISHED[key], digits), format(ours[key], digits)]


def test_no_table_row_is_unchecked():
    results = readme.split("## What it can do")[1].split("**Honest limits.**")[0]
    assert len([line for line in results.splitlines() if line.startswith("| ")]) == 3 + 6 + 6 + len(dvd_jepa.VIOLATIONS), "three headers, and the rows that the tests of this file read"


def test_held_out_figures():
    m = packaged_metrics("classic")
    assert row("the dream is valid")[1] == f"{m['forecast']['valid_horizon']} steps"
    assert row("the average frame forecasts better")[1] == f"step {m['forecast']['worse_than_mean_frame_from']}"
    probes = m["probe"]["representations"]
    for what in ("position", "velocity"):
        assert row(f"{what} read from the latent, R²")[1] == f"{probes['JEPA latent'][what+'_r2']:.3f} ({probes['PCA of the pixels'][what+'_r2']:.3f})"
    pixels = m["surprise"]["pixels"]
    assert row("clean videos on which")[1] == f"{pixels['published_rule']['clean_videos_that_ring']:.0%}"
    assert row("false alarms of the calibrated")[1] == f"{pixels['measured_per_1000']:.2f}"
    for kind,v in m["surprise"]["kinds"].items():
        assert row(f"{kind} |")[2:] == [text for s in ("pixels", "latent") for text in (f"{v[s]['auroc']:.3f}", f"{v[s]['recall_at_onset']:.0%}")]


def test_packaged_metrics_belong_to_the_packaged_weights():
    for name in dvd_jepa.packaged():
        config = packaged_metrics(name)["config"]
        assert json.loads(json.dumps(vars(dvd_jepa.load(name).config))) == config


def test_packaged_weights_are_small():
    for path in (top/"dvd_jepa"/"weights").glob("*.safetensors"): assert path.stat().st_size <= 1_500_000
