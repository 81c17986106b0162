"The dashboard's page On watch: what it may be asked, and the process that learns and watches for it."
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dvd_jepa.annotate import film_writer
from dvd_jepa.film import read
from rtsp import Rtsp
from streamlit.testing.v1 import AppTest

dashboard = Path(__file__).parent.parent/"dashboard"


def film(path, frames, backwards_at=None):
    "Two boxes that walk to the right; from some frame on they run to the left."
    place, noise = 0., np.random.RandomState(frames)
    with film_writer(path, 25) as add:
        for t in range(frames):
            place += -5 if backwards_at and t >= backwards_at else 1
            picture = noise.randint(100, 106, (64, 96)).astype(np.uint8)
            for y,x in ((10, 0), (40, 50)): picture[y:y+14, (np.arange(8)+int(place)+x) % 96] = 230
            add(picture)
    return str(path)


def job(tmp_path, **asked):
    "What became of a job: its folder, and the exit code of its process."
    usual = dict(recipe="motion", capacity="small", false_alarms=.01, record=1, changes=dict(steps=60))
    (tmp_path/"job.json").write_text(json.dumps(usual | asked))
    return tmp_path, subprocess.run([sys.executable, dashboard/"watcher.py", tmp_path], timeout=300).returncode


def test_it_learns_an_ordinary_day_and_tells_of_another(tmp_path):
    ordinary, other = film(tmp_path/"ordinary.mp4", 1500), film(tmp_path/"other.mp4", 150, backwards_at=100)
    folder, code = job(tmp_path, train=ordinary, source=other)
    assert code == 0 and (folder/"ended").exists(), (folder/"error.txt").read_text()
    steps = [json.loads(line) for line in (folder/"progress.jsonl").read_text().splitlines()]
    assert steps[-1]["phase"] == "watching" and any(step["phase"] == "learning (jepa)" and step["step"] == step["steps"] for step in steps)
    view = json.loads((folder/"view.json").read_text())
    judged = [score for _,score in view["scores"] if score is not None]
    assert len(judged) > 100 and view["threshold"] > 0 and not view["faults"]
    assert read(folder/"view.jpg").shape[-2:] == (64*7, 96*7), "the picture, seven times as large"
    events = [json.loads(line) for line in (folder/"events.jsonl").read_text().splitlines()]
    strange = [event for event in events if event["kind"] == "strange"]
    assert [event["state"] for event in strange][-1] == "end" and len(read(strange[0]["clip"])) > 50


def test_what_can_not_be_learned_from_is_said(tmp_path):
    (tmp_path/"letter.mp4").write_text("no film")
    folder, code = job(tmp_path, train=str(tmp_path/"letter.mp4"), source="rtsp://nobody/live")
    assert code == 1 and "letter.mp4" in (folder/"error.txt").read_text()


def test_it_films_a_camera_first(tmp_path):
    "… that hangs up in between."
    import watcher
    moving = [np.roll(np.tile(np.arange(96, dtype=np.uint8), (64, 1)), t, 1) for t in range(400)]
    going, told = iter([*moving[:20], None, *moving[20:]]), []
    with Rtsp(lambda: going, 25) as camera:
        path = watcher.recorded(camera.address, 6, tmp_path/"ordinary.mp4", lambda *said: told.append(said))
    assert 40 < len(read(path)) < 200 and told[-1][:2] == ("recording", 5)


def test_a_watch_that_nobody_looks_at_ends(tmp_path):
    import watcher
    assert not watcher.forgotten(tmp_path)
    (tmp_path/"looked").touch()
    assert not watcher.forgotten(tmp_path)
    os.utime(tmp_path/"looked", (0, 0))
    assert watcher.forgotten(tmp_path)
    folder, code = job(tmp_path, train=film(tmp_path/"a.mp4", 60), source="rtsp://nobody/live")
    assert code == 1 and "nobody looked" in (folder/"error.txt").read_text()


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(dashboard))
    return AppTest.from_file(str(dashboard/"watching.py"), default_timeout=60)


def test_nothing_starts_before_all_is_said(page, monkeypatch):
    monkeypatch.setenv("DVD_JEPA_CAMERAS", "1")
    page.run()
    start = lambda: page.button(key="guard start")
    assert not page.exception and not start().disabled, "the film of a square is at hand"
    page.selectbox(key="learns").select("A camera").run()
    assert start().disabled and "Name a camera first" in page.caption[0].value
    page.text_input(key="address").set_value("/etc/passwd").run()
    assert start().disabled and "expected rtsp" in page.caption[0].value, "no visitor reads the server's files"
    page.text_input(key="address").set_value("rtsp://me:secret@10.0.0.7/live").run()
    assert not start().disabled and not page.exception
    page.selectbox(key="learns").select("A film of yours").run()
    assert start().disabled and "Choose a film first" in page.caption[0].value


def test_a_stranger_is_offered_no_camera(page, monkeypatch):
    monkeypatch.delenv("DVD_JEPA_CAMERAS", raising=False)
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.ip_address", "203.0.113.7")
    assert page.run().selectbox(key="learns").options == ["A square", "A film of yours"]
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.ip_address", None)
    assert "A camera" in page.run().selectbox(key="learns").options
