"The dashboard's logic: the theatre, every page, every control, and errors in plain words. (What a person sees is in test_browser.py.)"
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dvd_jepa.breaks import VIOLATIONS, Reality
from dvd_jepa.config import ANTI_COLLAPSE, Config
from dvd_jepa.jepa import load, packaged
from dvd_jepa.runs import packaged_metrics
from dvd_jepa.show import ALARM, DREAM, REALITY
from dvd_jepa.train import RECIPES, fit, home_of
from dvd_jepa.world import World, simulate
from streamlit.testing.v1 import AppTest
from theatre import MENDED, Theatre

dashboard = Path(__file__).parent.parent/"dashboard"
tiny = Config(recipe="small", episodes=40, steps=30, decoder_steps=30, probe_steps=20)


def opened(monkeypatch, page="app", model=None, **state):
    if model: monkeypatch.setenv("DVD_JEPA_MODEL", str(model))
    else: monkeypatch.delenv("DVD_JEPA_MODEL", raising=False)
    at = AppTest.from_file(str(dashboard/f"{page}.py"), default_timeout=120)
    for name,value in state.items(): at.session_state[name] = value
    return at.run()

def fine(at):
    assert not at.exception and not at.error, [e.value for e in [*at.exception, *at.error]]
    return at

def says(at): return " ".join(x.value for x in [*at.markdown, *at.caption])
def metric(at, label): return next(m.value for m in at.metric if label in m.label)
def figure(at, key): return next(c for c in at.get("plotly_chart") if f"-{key}" in c.proto.id).proto.spec
def players(at): return [c for c in at.get("bidi_component") if c.proto.component_name == "dvd_jepa_player"]

@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small")/"model.safetensors"
    fit(tiny).save(path)
    return path


# The theatre: what happens on the Live page, without a page

@pytest.mark.parametrize("name", packaged())
def test_the_theatre_shows_reality_and_what_was_expected(name):
    model, free = load(name), Reality(home_of(load(name)), 3)
    theatre = Theatre(model, threshold=1e9, seed=3)
    free.next(model.context)
    for n in (1, 7, 12): theatre.advance(n)
    frames, _ = free.next(20)
    moments, reality, dream, _, seen = zip(*theatre.tape)
    assert [m["t"] for m in moments] == list(range(1, 21))
    reality, dream = (torch.frombuffer(bytearray(b"".join(part)), dtype=torch.uint8).reshape(frames.shape)/255 for part in (reality, dream))
    torch.testing.assert_close(reality, frames, atol=.501/255, rtol=0)   # half a level, and rounding
    assert (dream-frames).square().mean() < .004       # a black frame would have .03
    scores = [m["score"] for m in moments if m["score"] is not None]
    assert len(scores) >= 19 and np.median(scores) < 3              # times the usual

def test_each_violation_rings_in_the_theatre_and_is_mended():
    for kind in VIOLATIONS:
        theatre = Theatre(load("varied"), packaged_metrics("varied")["rates"]["perfect camera"]["rates"]["0.001"]["threshold"], seed=2)
        theatre.advance(20)
        at = theatre.strike(kind)
        theatre.advance(at+6-theatre.frame)
        assert any(m["alarm"] for m,*_ in theatre.tape if m["t"] >= at), kind
        assert [m["t"] for m,*_ in theatre.tape if m["struck"] == kind] == [at]
        with pytest.raises(ValueError, match="one at a time"): theatre.strike(kind)
        with pytest.raises(ValueError, match="no test of the dream"): theatre.rush(10)
        theatre.advance(at+MENDED+60-theatre.frame)
        assert sum(m["struck"] == "mended" for m,*_ in theatre.tape) == 1
        last = list(theatre.tape)[-20:]
        assert sum(m["alarm"] for m,*_ in last) <= 1 and not any(m["lost"] for m,*_ in last), kind

def test_eyes_shut_it_dreams_on_unjudged_and_wakes_up():
    theatre = Theatre(load("rotor"), 1e9, seed=3)
    theatre.advance(10)
    theatre.advance(30, eyes_open=False)
    theatre.advance(30, eyes_open=False)
    asleep = [m for m,*_ in list(theatre.tape)[10:]]
    assert [m["shut"] for m in asleep] == list(range(1, 61)) and all(m["score"] is None for m in asleep)
    assert max(m["off"] for m in asleep) < 1.5                       # px: this dream doesn't drift
    theatre.advance(10)
    awake = [m for m,*_ in list(theatre.tape)[70:]]
    assert all(m["shut"] == 0 for m in awake) and awake[-1]["score"] is not None

@pytest.mark.parametrize("name, n, far", [("rotor", 100_000, 1.), ("classic", 1000, np.inf)])
def test_rushing_ahead_freezes_reality_and_then_compares(name, n, far):
    theatre = Theatre(load(name), 1e9, seed=3)
    theatre.advance(10)
    theatre.rush(n)
    assert theatre.far["steps"][-1] == n and theatre.far["off"] < far and f"{n:,} frames ahead" in theatre.far["says"]
    assert theatre.frame == 10                                       # reality has waited
    theatre.advance(5, eyes_open=False)
    theatre.rush(n)
    assert theatre.far["off"] < far                                  # asleep it rushes on from what it dreams

def test_the_corner_countdown_counts_down_to_the_corner():
    theatre = Theatre(load("varied"), 1e9, seed=1)
    for _ in range(30): theatre.advance(10)
    moments = [m for m,*_ in theatre.tape]
    hits = [m["t"] for m in moments if m["corner"]]
    assert hits and all(m["truly"] == hits[0]-m["t"] for m in moments if m["t"] <= hits[0])
    assert all(m["told"] is not None and m["told"] >= 0 for m in moments)
    for _ in range(30): theatre.advance(10, eyes_open=False)         # asleep it isn't asked again: what it has foretold comes, and then it says nothing
    asleep = [m for m,*_ in theatre.tape]
    assert all(m["told"] is None or m["told"] >= 0 for m in asleep) and all(m["truly"] is None or m["truly"] >= 0 for m in asleep)

def test_a_pure_jepa_plays_too():
    theatre = Theatre(fit(Config(recipe="pure", episodes=40, steps=30, decoder_steps=0, probe_steps=20)), 1e9)
    theatre.advance(10)
    theatre.rush(10)
    message = theatre.message(10, 30, True, False, "")
    assert message["dream"] is None and message["ahead"]["dream"] is None and "told" not in message["moments"][0]


def test_the_stage_has_the_book_s_colours():
    script = (dashboard.parent/"nbs"/"demo"/"stage.js").read_text()
    for name,color in dict(REALITY=REALITY, DREAM=DREAM, ALARM=ALARM).items(): assert f'{name} = "{color}"' in script


# Live

@pytest.mark.parametrize("name", packaged())
def test_live_opens_on_packaged_weights(monkeypatch, name):
    at = fine(opened(monkeypatch, weights=name))
    assert at.selectbox(key="weights").value == name and len(players(at)) == 1
    assert at.session_state.theatre.monitor.threshold == packaged_metrics(name)["rates"]["perfect camera"]["rates"]["0.001"]["threshold"]
    assert at.session_state.theatre.frame > 0

def test_pause_stops_the_world_and_a_new_world_begins_at_its_beginning(monkeypatch):
    at = opened(monkeypatch)
    at.button(key="pause").click().run()
    stopped = at.session_state.theatre.frame
    fine(at.run())
    assert at.session_state.theatre.frame == stopped and at.button(key="inject").disabled
    at.button(key="pause").click().run()
    assert at.session_state.theatre.frame > stopped
    before = at.session_state.theatre.epoch
    at.button(key="new").click().run()
    assert at.session_state.theatre.epoch > before

def test_every_violation_and_magnitude_can_be_injected(monkeypatch):
    at = opened(monkeypatch)
    for kind,v in VIOLATIONS.items():
        at.selectbox(key="kind").select(kind).run()
        for magnitude in v.magnitudes:
            at.select_slider(key=f"magnitude {kind}").set_value(magnitude).run()
            at.button(key="inject").click().run()
            assert kind in at.session_state.theatre.marks.values() and "It will show at frame" in says(fine(at)), (kind, magnitude)
            at.session_state.theatre.advance(at.session_state.theatre.reality.broken_for+1)

def test_a_second_violation_waits_its_turn(monkeypatch):
    at = opened(monkeypatch)
    at.button(key="inject").click().run()
    at.button(key="inject").click().run()
    assert "one at a time" in says(fine(at))
    at.button(key="rush").click().run()
    assert "Reality is broken" in says(fine(at)) and at.session_state.theatre.far is None

def test_the_rate_moves_the_threshold(monkeypatch):
    at = opened(monkeypatch)
    levels = []
    for rate in (0.1, 1, 10):
        at.select_slider(key="rate").set_value(rate).run()
        levels.append(at.session_state.theatre.monitor.threshold)
    fine(at)
    assert levels == sorted(levels, reverse=True) and len(set(levels)) == 3

def test_the_speed_is_what_is_asked_for(monkeypatch):
    at = opened(monkeypatch)
    at.select_slider(key="fps").set_value(60).run()
    before = at.session_state.theatre.frame
    time.sleep(1)
    fine(at.run())
    assert 60 <= at.session_state.theatre.frame-before <= 120 and at.session_state.look["fps"] == 60

def test_decoder_and_eyes(monkeypatch):
    at = opened(monkeypatch)
    at.toggle(key="decoder").set_value(False).run()
    at.toggle(key="eyes").set_value(False).run()
    time.sleep(.1)
    fine(at.run())
    assert json.loads(players(at)[0].proto.json)["dream"] is None
    assert at.session_state.theatre.closed and at.session_state.theatre.tape[-1][0]["shut"] > 0

def test_dream_ahead_and_wake_up(monkeypatch):
    at = opened(monkeypatch)
    at.selectbox(key="far").select(100_000).run()
    at.button(key="rush").click().run()
    fine(at)
    frozen = at.session_state.theatre.frame
    fine(at.run())
    assert at.session_state.theatre.far["n"] == 100_000 and at.session_state.theatre.frame == frozen
    at.button(key="wake").click().run()
    assert at.session_state.theatre.far is None and at.session_state.theatre.frame > frozen

def test_other_weights_end_a_dream_and_keep_no_foreign_switch(monkeypatch, tmp_path):
    fit(Config(recipe="pure", episodes=40, steps=30, decoder_steps=0, probe_steps=20)).save(tmp_path/"model.safetensors")
    at = opened(monkeypatch, model=tmp_path)
    at.button(key="rush").click().run()
    at.selectbox(key="weights").select("rotor").run()
    assert fine(at).toggle(key="decoder").value and not at.button(key="inject").disabled and at.button(key="rush")

@pytest.mark.parametrize("page", ["horizon", "lab", "inside"])
def test_nothing_is_worked_out_twice(monkeypatch, small, page):
    at = fine(opened(monkeypatch, page, small))
    def never(*_, **__): raise AssertionError("it was known already")
    for name in ("horizons.forecast_report", "horizons.horizon_report", "verdicts.violation_suite",
                 "probe.probe_report", "compare.collapse_report", "surprise._measured", "rivals.baselines"):
        monkeypatch.setattr(f"dvd_jepa.{name}", never)
    if page == "horizon": at.number_input(key="episode").set_value(9)
    if page == "lab": at.select_slider(key="lab rate").set_value(10)
    if page == "inside": at.number_input(key="inside episode").set_value(9)
    fine(at.run())

@pytest.mark.parametrize("change, says", [(dict(world=World(size=80)), "frames: received 80, expected 13 to 64"), (dict(context=40, length=64), "frames seen at once: received 40")])
def test_weights_that_the_pages_are_not_made_for_get_a_sentence(monkeypatch, tmp_path, change, says):
    fit(replace(tiny, **{k: v for k,v in change.items() if k != "world"}, steps=2, decoder_steps=2, probe_steps=2, episodes=4), change.get("world")).save(tmp_path/"model.safetensors", measure=False)
    at = opened(monkeypatch, "app", tmp_path)
    assert not at.exception and says in at.error[0].value

def test_weights_that_were_taught_on_footage_get_a_sentence(monkeypatch, tmp_path):
    clips = simulate(World.classic(), 10, 20)[0]
    fit(replace(tiny, steps=2, decoder_steps=2), clips).save(tmp_path/"model.safetensors")
    at = opened(monkeypatch, "app", tmp_path)
    assert not at.exception
    assert "taught on 'footage', expected one that was taught in a World" in at.error[0].value

@pytest.mark.parametrize("page", ["horizon", "lab", "inside"])
def test_metrics_of_other_weights_are_named_and_not_shown(monkeypatch, tmp_path, small, page):
    shutil.copy(small, tmp_path/"model.safetensors")
    (tmp_path/"metrics.json").write_text(json.dumps(packaged_metrics("rotor")))
    at = fine(opened(monkeypatch, page, tmp_path))
    assert "are those of other weights" in says(at)
    if page == "horizon": assert metric(at, "Valid") != "100,000+ steps"
    assert "other weights" not in says(opened(monkeypatch, page, small))

def test_a_dead_encoder_gets_a_sentence(monkeypatch, tmp_path):
    model = fit(tiny)
    with torch.no_grad(): [p.zero_() for p in model.target.parameters()]
    model.save(tmp_path/"model.safetensors")
    for page in ("app", "inside"): assert not opened(monkeypatch, page, tmp_path).exception, page

@pytest.mark.parametrize("page", ["app", "horizon", "lab", "inside"])
@pytest.mark.parametrize("content", [None, b"not weights"], ids=["missing", "foreign"])
def test_unusable_weights_get_a_sentence(monkeypatch, tmp_path, page, content):
    path = tmp_path/"model.safetensors"
    if content: path.write_bytes(content)
    at = opened(monkeypatch, page, path)
    assert not at.exception and "These weights can't be used. checkpoint" in at.error[0].value


@pytest.mark.parametrize("page", ["app", "horizon", "lab", "inside"])
def test_a_pure_jepa_has_every_page(monkeypatch, tmp_path, page):
    fit(Config(recipe="pure", episodes=40, steps=30, decoder_steps=0, probe_steps=20)).save(tmp_path/"model.safetensors")
    at = fine(opened(monkeypatch, page, tmp_path))
    if page == "app": assert at.toggle(key="no decoder").disabled and not at.toggle(key="no decoder").value
    if page == "horizon": assert "no decoder" in at.info[0].value


# Horizon

def test_horizon_tells_what_lies_beside_the_weights(monkeypatch):
    def never(*_, **__): raise AssertionError("it lies beside the weights")
    for report in ("forecast_report", "horizon_report"):
        monkeypatch.setattr(f"dvd_jepa.horizons.{report}", never)
    at = fine(opened(monkeypatch, "horizon"))
    assert metric(at, "Valid") == "100,000+ steps" and metric(at, "Worse than") == "never" and "5 training seeds" in " ".join(m.label for m in at.metric)
    assert "Further than the dream" not in says(at)
    near = figure(at, "near")
    for name in ("published recipe", "constant velocity", "nearest neighbour", "pixel predictor", "untrained encoder", "persistence", "mean frame", "black frame"): assert f'"{name}"' in near, name

@pytest.mark.parametrize("name", ["classic", "varied"])
def test_horizon_of_the_other_weights(monkeypatch, name):
    at, h = fine(opened(monkeypatch, "horizon", weights=name)), packaged_metrics(name)["horizon"][name]
    low, high = h["valid_horizon_interval"]
    assert metric(at, "Valid") == f"{h['valid_horizon']:,} [{low:,}, {high:,}] steps" and metric(at, "Worse than") == f"from step {h['worse_than_mean_frame_from']:,}"
    assert ("Further than the dream, within 100 steps: constant velocity, nearest neighbour, pixel predictor." in says(at)) == (name == "classic")

def test_the_walk_goes_to_the_hundred_thousandth_step(monkeypatch):
    at = opened(monkeypatch, "horizon")
    at.select_slider(key="steps").set_value(100_000).run()
    assert float(metric(fine(at), "Skill at step 100,000")) > .8 and len(players(at)) == 1

def test_weights_without_metrics_are_measured(monkeypatch, small):
    at = fine(opened(monkeypatch, "horizon", small))
    assert "steps" in metric(at, "Valid") and "training seeds" not in " ".join(m.label for m in at.metric)


# Surprise lab

def test_the_lab_agrees_with_the_packaged_report(monkeypatch):
    at, known = fine(opened(monkeypatch, "lab")), packaged_metrics("rotor")
    for kind in ("tunnel", "fade"):
        at.selectbox(key="violation").select(kind).run()
        must = known["sensitivity"]["kinds"][kind][f"{VIOLATIONS[kind].default:g}"]["auroc"]
        assert abs(float(metric(at, "AUROC")) - must) < 1e-4
    assert abs(float(metric(at, "False alarms").split()[0])-1) < 1

def test_every_violation_is_shown_in_the_lab(monkeypatch):
    at = opened(monkeypatch, "lab")
    for kind in VIOLATIONS:
        at.selectbox(key="violation").select(kind).run()
        assert "Reality breaks at frame" in says(fine(at)), kind

def test_a_loud_violation_rings_and_a_whisper_does_not(monkeypatch):
    at = opened(monkeypatch, "lab")
    at.selectbox(key="violation").select("vanish").run()
    assert "at once" in says(at) and metric(at, "Rings at once") == "100%"
    at.selectbox(key="violation").select("fade").run()
    at.select_slider(key="lab magnitude fade").set_value(.02).run()
    assert "at once" not in says(fine(at)) and int(metric(at, "Rings at once").rstrip("%")) < 5
    at.selectbox(key="violation").select("tunnel").run()
    at.select_slider(key="lab magnitude tunnel").set_value(.25).run()
    assert "at once" not in says(fine(at))

def test_more_false_alarms_hear_more(monkeypatch):
    at = opened(monkeypatch, "lab")
    at.selectbox(key="violation").select("tunnel").run()
    heard, false = [], []
    for rate in (1, 10, 100):
        at.select_slider(key="lab rate").set_value(rate).run()
        heard.append(int(metric(fine(at), "Rings at once").rstrip("%")))
        false.append(float(metric(at, "False alarms").split()[0]))
    assert heard == sorted(heard) and heard[0] < heard[-1]
    for asked,measured in zip((1, 10, 100), false): assert asked/2 < measured < 2*asked

def test_the_heat_map_has_every_violation(monkeypatch):
    at = opened(monkeypatch, "lab")
    for measure in ("AUROC at the first frame", "rings at once"):
        at.segmented_control(key="measure").set_value(measure).run()
        spec = figure(fine(at), "heat")
        assert measure[1:] in spec and all(f'"{kind}"' in spec for kind in VIOLATIONS)


# Inside

@pytest.mark.parametrize("name", packaged())
def test_inside(monkeypatch, name):
    at, m = fine(opened(monkeypatch, "inside", weights=name)), packaged_metrics(name)
    assert metric(at, "Position") == f"R² {m['probe']['representations']['JEPA latent']['position_r2']:.3f}" and metric(at, "Effective rank").startswith(f"{m['collapse']['effective_rank']:.1f} of")
    assert len(players(at)) == 1 and len(at.get("plotly_chart")) == (3 if name in ("classic", "steer") else 4), "only a rotor has periods to show"

def test_another_episode_is_another_clock(monkeypatch):
    at = opened(monkeypatch, "inside", weights="varied")
    one = figure(at, "periods")
    at.number_input(key="inside episode").set_value(8).run()
    assert figure(fine(at), "periods") != one

def test_the_rotor_has_found_the_lattice(monkeypatch):
    assert "36.0 frames and overtones" in figure(fine(opened(monkeypatch, "inside")), "periods")

def test_inside_of_weights_without_metrics(monkeypatch, small): assert "R²" in metric(fine(opened(monkeypatch, "inside", small)), "Position")


# Train

def trained(at, seconds=240):
    "Wait for the training of a page."
    end = time.monotonic()+seconds
    while at.session_state.job.alive and time.monotonic() < end:
        time.sleep(.3)
        at.run()
    return at.run()

def knob(at, name, value): next(x for x in [*at.number_input, *at.slider] if x.key == name).set_value(value)

@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "untrained"])
def test_every_way_against_collapse_can_be_chosen(monkeypatch, recipe):
    at = opened(monkeypatch, "training")
    at.selectbox(key="recipe").select(recipe).run()
    for how in ANTI_COLLAPSE: fine(at.selectbox(key=f"how {recipe}").select(how).run())

def test_a_training_is_watched_and_taken_along(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    at = opened(monkeypatch, "training")
    at.selectbox(key="recipe").select("pure").run()
    knob(at, "steps pure", 120)
    at.selectbox(key="how pure").select("sigreg").run()
    assert {s.key for s in at.slider} == {"sigreg pure"}, "weights that nothing reads aren't offered"
    at.selectbox(key="how pure").select("none").run()
    assert not at.slider
    at.button(key="start").click().run()
    assert at.session_state.job.alive and at.button(key="start").disabled
    fine(trained(at))
    job = at.session_state.job
    assert job.config.anti_collapse == "none" and any("red-badge[complete collapse]" in m.value for m in at.markdown), "it says what became of the latents"
    assert [s["step"] for s in job.steps if s["phase"] == "jepa"] == [50, 100, 120] and all(np.isfinite(list(s["off"].values())).all() for s in job.steps if s["phase"] == "jepa")
    assert [c.proto.id.split("-")[-1] for c in at.get("plotly_chart")] == ["loss", "off", "std", "rank", "trail"]
    at.text_input(key="name").set_value("../mine").run()
    assert "received '../mine', expected 1 to 64 letters" in at.error[0].value and not (tmp_path/"runs").exists()
    at.text_input(key="name").set_value("mine").run()
    at.button(key="save").click().run()
    assert load(tmp_path/"runs"/"mine").config.steps == 120 and "Saved to" in at.success[0].value
    at.button(key="save").click().run()
    assert "exists already" in at.error[0].value

def test_a_training_can_be_stopped_and_sessions_do_not_disturb_each_other(monkeypatch):
    one, two = opened(monkeypatch, "training"), opened(monkeypatch, "training")
    for at,steps in ((one, 50_000), (two, 100)):
        at.selectbox(key="recipe").select("pure").run()
        knob(at, "steps pure", steps)
        at.run()
        at.button(key="start").click().run()
    three = opened(monkeypatch, "training")
    three.button(key="start").click().run()
    assert "already" in three.error[0].value                              # two at a time
    fine(trained(two))
    one.run()
    assert one.session_state.job.alive and one.session_state.job.folder != two.session_state.job.folder
    one.button(key="stop").click().run()
    fine(trained(one))
    assert "nothing was kept" in one.info[0].value and not one.session_state.job.done
    alone = fit("pure", seed=0, steps=100)
    again = load(two.session_state.job.folder/"model.safetensors")
    assert all(torch.equal(a, b) for a,b in zip(alone.target.parameters(), again.target.parameters()))   # to the bit, whoever trains beside it

def test_a_training_that_fails_says_why(monkeypatch, tmp_path):
    (tmp_path/"job.json").write_text(json.dumps(dict(recipe="rotor", world="varied", seed=0, changes={})))   # the page doesn't offer it
    worker = subprocess.run([sys.executable, dashboard/"trainer.py", tmp_path])
    said = (tmp_path/"error.txt").read_text()
    assert worker.returncode == 1 and "world: received 'varied', where speeds differ" in said
    job = SimpleNamespace(alive=False, done=False, stopped=False, trouble=said, folder=tmp_path, look=list, stop=None)
    at = opened(monkeypatch, "training", job=job)
    assert not at.exception and at.error[0].value == said
