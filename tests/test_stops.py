"What is left after a kill, and who waits for whom: the command line, interrupted."
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from dvd_jepa.files import locked
from dvd_jepa.jepa import digest_of, load
from dvd_jepa.train import fit
from shell import FEW, QUICK, SMALL, dvd_jepa, start


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_a_stopped_evaluation_leaves_no_process_behind(tmp_path):
    fit(replace(SMALL, steps=200)).save(tmp_path/"model.safetensors")
    process = start("evaluate", tmp_path, "--seeds", 4, "--workers", 2, *FEW, start_new_session=True)
    deadline = time.time() + 120
    while time.time() < deadline and not (tmp_path/"seeds").exists(): time.sleep(.2)   # a first seed is done, others are under way
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    for _ in range(100):
        try: os.killpg(process.pid, 0)
        except ProcessLookupError: return
        time.sleep(.1)
    raise AssertionError("a process trains on")


@pytest.mark.skipif(os.name == "nt", reason="signals work otherwise on Windows")
@pytest.mark.parametrize("blow", ["SIGTERM", "SIGKILL"])   # by name: Windows has no SIGKILL
@pytest.mark.parametrize("moment", ["training", "writing"])
def test_a_killed_training_leaves_no_half_written_file(tmp_path, blow, moment):
    folder = tmp_path/"run"
    process = start("train", "--recipe", "pure", "--steps", 100, *FEW, "--out", folder)
    deadline = time.time() + 120
    while time.time() < deadline and not (folder.exists() if moment == "training" else (folder/"model.safetensors").exists()): time.sleep(.01)
    process.send_signal(getattr(signal, blow))
    process.communicate(timeout=60)
    assert process.returncode != 0, "it was killed, not done"
    if (folder/"metrics.json").exists(): assert json.loads((folder/"metrics.json").read_text())["weights"] == digest_of(load(folder)), "what is known so far is known of these weights"
    if moment == "writing": assert dvd_jepa("dream", folder, "--out", tmp_path)[0] == 0, "the weights are whole"
    if blow == "SIGTERM": assert not [p.name for p in folder.iterdir() if p.name.startswith(".") and p.name != ".lock"]
    with locked(folder): assert not [p.name for p in folder.iterdir() if p.name.startswith(".") and p.name != ".lock"], "the next run sweeps up"


def test_a_folder_is_filled_by_one_run_at_a_time(tmp_path, fails):
    with locked(tmp_path/"run"): fails("train", *QUICK, "--out", tmp_path/"run", says="expected a folder that no other run is filling")


@pytest.mark.skipif(os.name == "nt", reason="signals work otherwise on Windows")
def test_who_stops_the_verdict_keeps_the_rest(tmp_path):
    process = start("train", *QUICK, "--out", tmp_path/"run")
    deadline = time.time() + 120
    while time.time() < deadline and not (tmp_path/"run"/"surprise.png").exists(): time.sleep(.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "stopped before the verdict" in " ".join(err.split()), err
    assert {"dream.gif", "metrics.json", "model.safetensors", "surprise.png"} <= {p.name for p in (tmp_path/"run").iterdir()}
    assert json.loads((tmp_path/"run"/"metrics.json").read_text())["published"]["forecast_mse_step1"] > 0, "with the published figures"
    (tmp_path/"run"/"surprise.png").unlink()   # as if it had been stopped a moment earlier
    assert dvd_jepa("evaluate", tmp_path/"run", *FEW)[0] == 0
    made_up_for = json.loads((tmp_path/"run"/"metrics.json").read_text())
    assert (tmp_path/"run"/"surprise.png").exists() and made_up_for["seconds"]["train"] > 0 and made_up_for["collapse"]


@pytest.mark.timed
def test_help_waits_for_nobody():
    "Seconds of processor time, as ratios to importing PyTorch, all in one run: the smallest of three."
    def took(code): return min(float(subprocess.run([sys.executable, "-c", f"import time; start = time.process_time(); {code}; print(time.process_time()-start, file=sys.stderr)" .replace("import time;", "import sys, time;")], capture_output=True, text=True).stderr.split()[-1]) for _ in range(3))
    torch_alone = took("import torch")
    assert took("import dvd_jepa; dvd_jepa.load") < 1.3*torch_alone
    assert took("from typer.testing import CliRunner; from dvd_jepa.cli import app; CliRunner().invoke(app, ['--help'])") < .6*torch_alone
