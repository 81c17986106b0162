"The command line as a shell sees it: files, exit codes, one-line errors."
import json
import socket
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from dvd_jepa import cli
from dvd_jepa.cli import main
from dvd_jepa.breaks import inject
from dvd_jepa.config import Config
from dvd_jepa.jepa import digest_of, load
from dvd_jepa.runs import metrics_beside, packaged_metrics
from dvd_jepa.train import fit
from dvd_jepa.world import World, video
from PIL import Image
from shell import FEW, QUICK, SMALL, dvd_jepa, start


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")/"quick"
    code, out, err = dvd_jepa("train", *QUICK, "--out", folder)
    assert code == 0, err
    return folder


def test_train_fills_the_run_folder(run):
    assert sorted(p.name for p in run.iterdir() if p.name != ".lock") == ["dream.gif", "metrics.json", "model.safetensors", "surprise.png"]
    metrics = json.loads((run/"metrics.json").read_text())
    assert {"config", "versions", "seconds", "published", "forecast", "probe", "surprise", "collapse"} <= set(metrics)
    assert metrics["weights"] == digest_of(load(run)), "the numbers say whose they are"
    assert metrics["seconds"]["train"] > 0 and metrics["config"]["steps"] == 20 and metrics["config"]["anti_collapse"] == "ema+sigreg"
    assert Image.open(run/"dream.gif").n_frames == 42
    assert Image.open(run/"surprise.png").size[0] > 600


def test_two_runs_with_one_seed_are_the_same_bytes(run, tmp_path):
    assert dvd_jepa(*QUICK, "--out", tmp_path/"again", module="dvd_jepa.train")[0] == 0
    for name in ("model.safetensors", "dream.gif", "surprise.png"): assert (tmp_path/"again"/name).read_bytes() == (run/name).read_bytes(), name
    old, new = (json.loads((f/"metrics.json").read_text()) for f in (run, tmp_path/"again"))
    assert {k: v for k,v in old.items() if k != "seconds"} == {k: v for k,v in new.items() if k != "seconds"}


def test_evaluate_recomputes_metrics(run):
    before = json.loads((run/"metrics.json").read_text())
    seeds = dict(data=dict(seeds=[0, 1], world="classic"), headlines={})
    (run/"metrics.json").write_text(json.dumps(before | dict(seeds=seeds)))
    assert dvd_jepa("evaluate", run, *FEW)[0] == 0
    after = json.loads((run/"metrics.json").read_text())
    for part in ("config", "published", "forecast", "horizon", "corner", "probe", "surprise", "collapse", "leakage"): assert after[part] == before[part]
    assert after["seeds"] == seeds, "measuring again doesn't throw the seeds away"
    assert after["seconds"]["train"] == before["seconds"]["train"]


@pytest.mark.parametrize("content", ["half a fi", "[1, 2]", '{"seconds": 3}'])
def test_metrics_that_make_no_sense_are_nobodys(small, content):
    (small/"metrics.json").write_text(content)
    assert metrics_beside(small/"model.safetensors", load(small)) == {}
    (small/"metrics.json").unlink()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    "A run folder whose recipe trains in a second."
    folder = tmp_path_factory.mktemp("small")
    fit(SMALL).save(folder/"model.safetensors")
    return folder


def test_evaluate_over_seeds(small):
    code, out, err = dvd_jepa("evaluate", small, "--seeds", 2, "--workers", 2, *FEW)
    assert code == 0 and "seed 0" in err and "seed 1" in err, err
    assert "2 training seeds" in out
    metrics = json.loads((small/"metrics.json").read_text())
    assert metrics["seeds"]["data"]["seeds"] == [0, 1]
    assert metrics["seeds"]["headlines"]["probe.position_r2"]["values"][0] == metrics["probe"]["representations"]["JEPA latent"]["position_r2"], "side by side, alone: the same bits"


def test_compare(small, tmp_path):
    code, out, err = dvd_jepa("compare", "classic", small, "--plot", tmp_path/"skill.png", columns=80)
    assert code == 0, err
    f = packaged_metrics("classic")["forecast"]
    for r in (f, *f["baselines"].values()): assert f"{r['mse'][0]:.4f}" in out and f"{r['parameters']:,}" in out, "no number is cut, even at 80 columns"
    assert "…" not in out, "nor a word"
    for name in ("classic", "nearest neighbour", "pixel predictor", "untrained encoder", "constant velocity"): assert name in out
    assert Image.open(tmp_path/"skill.png").size[0] > 600


def test_dream_and_export(small, tmp_path):
    assert dvd_jepa("dream", small, "--steps", 5, "--out", tmp_path)[0] == 0
    assert Image.open(tmp_path/"dream.gif").n_frames == 5
    assert dvd_jepa("export", small, "--out", tmp_path/"web")[0] == 0
    assert json.loads((tmp_path/"web"/"weights.json").read_text())["activation"] == "gelu-erf"


def test_pure_draws_without_a_decoder():
    code, out, err = dvd_jepa("pure", "--steps", "20")
    assert code == 0, err
    pictures = [block for block in out.split("\n\n") if block.lstrip().startswith("frame ")]
    assert len(pictures) == 8 and all("o" in p.split("\n", 1)[1] or "@" in p for p in pictures), "reality is in every picture"
    numbers = out.split("a picture:")[1].split("Read by a line")[0].split()
    assert len(numbers) == 32 and all(np.isfinite(float(n)) for n in numbers)


def test_monitor_answers_with_its_exit_code(tmp_path):
    clean, broken = tmp_path/"clean.npy", tmp_path/"broken.npy"
    np.save(clean, video(World.classic(), seed=7)[0].numpy())
    bad, onset = inject(World.classic(), 1, 64, "teleport", seed=5)
    np.save(broken, bad.frames[0].numpy())
    assert dvd_jepa("monitor", clean)[0] == 0
    code, out, _ = dvd_jepa("monitor", broken, "--plot", tmp_path/"plot.png")
    assert code == 1 and str(int(onset[0])) in out
    assert Image.open(tmp_path/"plot.png").size[0] > 600


def test_monitor_asks_whether_it_knows_such_pictures(tmp_path):
    np.save(tmp_path/"street.npy", np.random.RandomState(0).rand(20, 16, 16).astype(np.float32))
    code, _, err = dvd_jepa("monitor", tmp_path/"street.npy")
    assert code == 1 and "was the model trained on pictures like these?" in " ".join(err.split())


def test_monitor_keeps_the_asked_rate(tmp_path):
    threshold = lambda rate: float(dvd_jepa("monitor", "--false-alarms", rate)[1].split("threshold ")[1].split()[0])
    assert threshold(0.01) < threshold(0.001)


def test_help_teaches():
    code, out, _ = dvd_jepa("--help")
    assert code == 0
    for command in ("train", "dream", "monitor", "evaluate", "compare", "export", "pure", "demo"): assert command in out


def test_wrong_calls_get_one_line(tmp_path, fails):
    fails("train", "--recipe", "clasic", says="received 'clasic', expected one of")
    fails("train", "--world", "flat", says="received 'flat', expected one of")
    fails("train", "--anti-collapse", "hope", says="Config.anti_collapse: received 'hope', expected one of none, var")
    fails("train", "--seed", "-1", says="Config.seed: received -1")
    fails("train", "--world", "fast", says="never trained on")
    fails("monitor", tmp_path/"video.npy", "--inject", "kick", says="one or the other")
    fails("monitor", "--plot", tmp_path/"plot", says="expected a path that ends in .png")
    fails("monitor", "", says="received '', expected the name")
    fails("monitor", tmp_path/"video.npy", "--clean", tmp_path/"calm.npy", "--noise", ".1", says="--clean together with --noise")
    fails("monitor", tmp_path/"video.npy", "--clean", tmp_path/"video.npy", says="other footage to calibrate on")
    assert not list(tmp_path.iterdir()), "a refused call leaves nothing behind"
    (tmp_path/"file").write_text("in the way")
    fails("train", "--out", tmp_path/"file"/"run", says="expected a folder that can be written")
    fails("monitor", "--inject", "explode", says="received 'explode', expected one of")
    fails("compare", "classic", "classic", says="expected different ones")
    fails("compare", "classic", "--world", "flat", says="received 'flat', expected one of")
    fails("monitor", "--false-alarms", "2", says="expected a rate in (0, 1)")


def test_wrong_checkpoints_are_named(tmp_path, small, fails):
    fails("dream", tmp_path/"missing.safetensors", says="expected packaged weights")
    whole = (small/"model.safetensors").read_bytes()
    (tmp_path/"short.safetensors").write_bytes(whole[:5000])
    fails("dream", tmp_path/"short.safetensors", says="truncated")
    (tmp_path/"flipped.safetensors").write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    fails("evaluate", tmp_path/"flipped.safetensors", says="damaged")
    torch.save({"w": torch.ones(2)}, tmp_path/"pickle.pt")
    fails("export", tmp_path/"pickle.pt", "--out", tmp_path/"web", says="expected a dvd-jepa/2 checkpoint")


@pytest.mark.parametrize("content, says", [
    (np.zeros((10, 8, 8)), "received frames of 8×8, expected 16×16, as the model was trained"),
    (np.zeros((10, 256)), "expected (T, H, W)"),
    (np.full((10, 16, 16), np.nan), "received NaN"),
    (np.full((10, 16, 16), 7.), "received values from 7 to 7, expected bytes, or floats in [0, 1]"),
    (np.zeros((10, 16, 16), np.int16), "dtype int16, expected bytes, or floats"),
    (np.zeros((2, 16, 16)), "expected at least 3"),
    (np.full((10, 16, 16), "a"), "dtype <U1, expected bytes, or floats"),
    (np.zeros((10, 16, 16), complex), "dtype complex128, expected bytes, or floats"),
], ids=["size", "shape", "nan", "range", "bytes", "short", "text", "complex"])
def test_wrong_videos_are_named(tmp_path, content, says, fails):
    np.save(tmp_path/"video.npy", content)
    fails("monitor", tmp_path/"video.npy", says=says)


def test_a_folder_of_pictures_is_a_video(tmp_path, fails):
    folder = tmp_path/"pictures"
    folder.mkdir()
    fails("monitor", folder, says="a folder without films or pictures")
    for t,frame in enumerate(video(World.classic(), seed=7)[0].numpy()): Image.fromarray((65535*frame).astype(np.uint16)).save(folder/f"frame-{t}.png")
    assert dvd_jepa("monitor", folder)[0] == 0   # 16 bits are enough for a perfect camera
    Image.new("L", (8, 8)).save(folder/"frame-3.png")
    fails("monitor", folder, says="expected one size and depth throughout")
    (folder/"frame-3.png").write_text("hello")
    fails("monitor", folder, says="can't be read as a picture")


def test_a_violation_can_be_made_fainter():
    told = lambda *args: dvd_jepa("monitor", "--inject", "fade", *args)
    code, out, _ = told()
    assert code == 1 and "(0.1 share per frame)" in " ".join(out.split())
    code, out, _ = told("--magnitude", "0.001")
    assert code == 0 and "missed: the break at frame 24 was not heard" in " ".join(out.split())
    assert dvd_jepa("monitor", "--magnitude", "2")[0] == 2


def test_not_a_video(tmp_path, fails):
    (tmp_path/"video.npy").write_text("hello")
    fails("monitor", tmp_path/"video.npy", says="a file that isn't a plain .npy array")
    (tmp_path/"zip.npy").write_bytes(b"PK\x03\x04 and then nothing")
    fails("monitor", tmp_path/"zip.npy", says="a file that isn't a plain .npy array")
    fails("monitor", tmp_path/"missing.npy", says="nothing at")


def test_an_error_is_one_line_in_a_real_shell_too(tmp_path):
    code, _, err = dvd_jepa("dream", tmp_path/"missing.safetensors")
    assert code == 2 and "Traceback" not in err and err.count("\n") == 1


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_demo_trains_where_there_are_no_weights(tmp_path, monkeypatch):
    trained, opened = [], []
    monkeypatch.setattr(cli, "train", lambda folder: (trained.append(folder), fit(Config(episodes=20, steps=5, decoder_steps=5, probe_steps=5)).save(folder/"model.safetensors")))
    monkeypatch.setattr(subprocess, "call", lambda command, env: opened.append((command, env["DVD_JEPA_MODEL"])) or 0)
    for _ in range(2):
        with pytest.raises(SystemExit): main(["demo", "--run", str(tmp_path/"run"), "--headless"])
    assert trained == [tmp_path/"run"], "once, not twice"
    assert len(opened) == 2 and "streamlit" in opened[0][0] and opened[0][1] == str(tmp_path/"run")


def test_demo_opens_the_dashboard(small):
    port = free_port()
    process = start("demo", "--run", small, "--headless", "--port", port, cwd=Path(__file__).parent.parent)
    try:
        for _ in range(300):
            time.sleep(.1)
            try:
                page = urlopen(f"http://127.0.0.1:{port}", timeout=5).read()
                break
            except OSError: assert process.poll() is None, process.communicate()
        assert b"streamlit" in page.lower()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_numbers_of_other_weights_are_named(small, tmp_path):
    "The weights of one run beside the metrics of another, as two runs in one folder or a kill between two files leave them."
    (tmp_path/"model.safetensors").write_bytes((small/"model.safetensors").read_bytes())
    (tmp_path/"metrics.json").write_text(json.dumps(packaged_metrics("classic")))
    assert metrics_beside(tmp_path/"model.safetensors", load(tmp_path)) == {}
    code, out, err = dvd_jepa("evaluate", tmp_path, *FEW)
    assert code == 0 and "are those of other weights" in " ".join(err.split()), err


def test_several_clips_are_no_cuts(tmp_path):
    "Two calm clips, one after the other, would be a jump if they were taken for one."
    clips = World.classic().clips("calibrate", 40, 64).frames.numpy()
    for name,part in (("a", clips[0]), ("b", clips[1]), ("test", clips[2])): np.save(tmp_path/f"{name}.npy", part)
    asked = "monitor", tmp_path/"test.npy", "--false-alarms", .05
    both = dvd_jepa(*asked, "--clean", tmp_path/"a.npy", "--clean", tmp_path/"b.npy")
    np.save(tmp_path/"ab.npy", np.concatenate([clips[0], clips[1]]))
    cut = dvd_jepa(*asked, "--clean", tmp_path/"ab.npy")
    level = lambda said: float(said[1].split("threshold ")[1].split()[0])
    assert both[0] in (0, 1) and level(both) < level(cut)


