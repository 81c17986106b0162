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
    assert row("position read from the latent, RMSE")[1:] == [f"{PUBLISHED['probe_position_rmse_px']:.3f}", f"{ours['probe_position_rmse_px']:.3f}"]
    assert row("… 30 steps ahead")[1:] == [f"{PUBLISHED['forecast_mse_stepK']:.5f}", f"{ours['forecast_mse_stepK']:.5f}"]
    assert row("teleport in video 3")[2] == f"{ours['anomaly_peak_over_baseline']:.1f}"


def test_held_out_figures():
    m = packaged_metrics("classic")
    assert row("the dream is valid")[1] == f"{m['forecast']['valid_horizon']} steps"
    assert row("the average frame forecasts better")[1] == f"step {m['forecast']['worse_than_mean_frame_from']}"
    assert row("velocity read")[1] == f"{m['probe']['JEPA latent']['velocity_r2']:.3f} ({m['probe']['PCA of the pixels']['velocity_r2']:.3f})"
    for kind,v in m["surprise"]["kinds"].items(): assert row(f"{kind} |")[2:] == [f"{v['auroc']:.3f}", f"{v['auroc_latent']:.3f}", f"{v['recall_at_onset']:.0%}"]


def test_packaged_metrics_belong_to_the_packaged_weights():
    for name in dvd_jepa.packaged():
        config = packaged_metrics(name)["config"]
        assert json.loads(json.dumps(vars(dvd_jepa.load(name).config))) == config


def test_packaged_weights_are_small():
    for path in (top/"dvd_jepa"/"weights").glob("*.safetensors"): assert path.stat().st_size <= 1_500_000
