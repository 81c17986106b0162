"The command line in a process of its own, and what makes it quick."
import os
import subprocess
import sys

from dvd_jepa.config import Config

FEW = ["--held-out", "60"]                                          # a verdict in seconds
SMALL = Config(recipe="small", episodes=60, length=30, steps=20, decoder_steps=20, probe_steps=20)
QUICK = ["--steps", "20", "--decoder-steps", "200", "--anti-collapse", "ema+sigreg", *FEW]


def start(*args, cwd=None, module=None, columns=120, **how):
    run = ["-m", module] if module else ["-c", "from dvd_jepa.cli import main; main()"]
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen([sys.executable, *run, *map(str, args)], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", **how)


def dvd_jepa(*args, **kwargs):
    process = start(*args, **kwargs)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err
