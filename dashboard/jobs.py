"What takes long runs in a process of its own, and says in a file how it goes."
import atexit
import json
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import streamlit as st
from common import own_folder

here = Path(__file__).parent
MOST = 2         # at a time on this server
PATIENCE = 300   # seconds without a look before it is given up, as in `watcher.py`


@st.cache_resource(show_spinner=False)
def workplace():
    "Jobs of all sessions, and a lock for whoever starts one; none outlives the server."
    jobs = []
    atexit.register(lambda: [job.process.terminate() for job in jobs])
    return jobs, threading.Lock()


class Job:
    "`python SCRIPT FOLDER`; what is asked lies in job.json, how it goes in progress.jsonl."
    def __init__(self,
        script,  # Beside this file
        asked,   # Plain numbers and texts
        done,    # A file that is there once it has worked
    ):
        self.folder = own_folder()/f"run-{secrets.token_hex(4)}"
        self.read, self.steps = 0, []   # bytes of its progress, and what they said
        self.wanted, self.looked = True, time.monotonic()
        self.folder.mkdir()
        self.goal = self.folder/done
        (self.folder/"job.json").write_text(json.dumps(asked), encoding="utf-8")
        for name in ("progress.jsonl", "looked"): (self.folder/name).touch()
        self.process = subprocess.Popen(
            [sys.executable, here/script, self.folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def look(self):
        "Read what has been written since the last look."
        self.looked = time.monotonic()
        (self.folder/"looked").touch()   # for a job that has no end of its own
        with open(self.folder/"progress.jsonl", encoding="utf-8") as f:
            f.seek(self.read)
            for line in iter(f.readline, ""):
                if not line.endswith("\n"): break   # half a line: the rest comes later
                self.steps.append(json.loads(line))
                self.read = f.tell()
        return self.steps

    @property
    def alive(self): return self.process.poll() is None
    @property
    def done(self): return not self.alive and self.goal.is_file()
    @property
    def stopped(self): return not self.alive and not self.done and not self.wanted
    @property
    def trouble(self):
        if self.alive or self.done or self.stopped: return None
        said = self.folder/"error.txt"
        if said.is_file(): return said.read_text(encoding="utf-8")
        return f"it ended with code {self.process.returncode}"

    def stop(self):
        self.wanted = False
        self.process.terminate()


def begin(make):
    """What `make` returns, a Job, if there is room for one. Raises ValueError if not.

    One whose page was left counts no more."""
    jobs, lock = workplace()
    with lock:
        for job in jobs:
            if job.alive and time.monotonic()-job.looked > PATIENCE: job.stop()
        jobs[:] = [job for job in jobs if job.alive and job.wanted]
        if len(jobs) >= MOST:
            raise ValueError(f"{MOST} jobs are running on this server already; "
                             "try again when one is done.")
        jobs.append(make())
        return jobs[-1]
