"The dashboard's logic: every control, and errors in plain words. (How it looks is checked by eye, in a browser.)"
from pathlib import Path

import pytest
import streamlit as st
from dvd_jepa import VIOLATIONS
from dvd_jepa.core import Config
from dvd_jepa.evaluate import packaged_metrics
from dvd_jepa.train import fit
from streamlit.testing.v1 import AppTest

page = str(Path(__file__).parent.parent/"dashboard"/"app.py")


def opened(monkeypatch, model=None):
    if model: monkeypatch.setenv("DVD_JEPA_MODEL", str(model))
    else: monkeypatch.delenv("DVD_JEPA_MODEL", raising=False)
    return AppTest.from_file(page, default_timeout=120).run()


def says(at): return " ".join(m.value for m in at.markdown)


def test_it_opens_on_the_packaged_weights(monkeypatch):
    at = opened(monkeypatch)
    assert not at.exception and not at.error
    assert [h.value for h in at.header] == ["Dream", "Horizon", "Anomaly"]
    assert len(at.get("plotly_chart")) == 4
    assert at.sidebar.selectbox[0].value == "rotor" and "valid (skill ≥ 0.5) for **100,000+ steps**" in says(at)
    assert "Further than the dream" not in says(at) and "better prophet" not in says(at)
    assert "Trained with 5 seeds" in " ".join(c.value for c in at.caption)


@pytest.mark.parametrize("name", ["classic", "varied"])
def test_the_other_packaged_weights(monkeypatch, name):
    at = opened(monkeypatch)
    at.sidebar.selectbox[0].select(name).run()
    h = packaged_metrics(name)["horizon"][name]
    low, high = h["valid_horizon_interval"]
    assert not at.exception and not at.error
    assert f"for **{h['valid_horizon']:,} [{low:,}, {high:,}] steps**, and from step **{h['worse_than_mean_frame_from']:,}**" in says(at)
    assert ("Further than the dream, within 100 steps: constant velocity, nearest neighbour, pixel predictor." in says(at)) == (name == "classic")


def test_the_horizon_of_packaged_weights_is_read_from_their_metrics(monkeypatch):
    st.cache_data.clear()   # of what another test has asked
    def never(*_, **__): raise AssertionError("it lies beside the weights")
    for report in ("forecast_report", "horizon_report"): monkeypatch.setattr(f"dvd_jepa.evaluate.{report}", never)
    assert not opened(monkeypatch).exception


def test_weights_without_metrics_are_measured(monkeypatch, tmp_path):
    fit(Config(recipe="small", episodes=40, steps=30, decoder_steps=30, probe_steps=20)).save(tmp_path/"model.safetensors")
    at = opened(monkeypatch, tmp_path)
    assert not at.exception and "On 500 held-out episodes" in says(at)
    assert "Trained with" not in " ".join(c.value for c in at.caption)


def test_each_violation_can_be_injected(monkeypatch):
    at = opened(monkeypatch)
    for kind in VIOLATIONS:
        at.selectbox(key="violation").select(kind).run()
        assert not at.exception and not at.error, kind
        assert "Reality breaks at frame" in says(at)


def test_a_loud_violation_rings_and_a_whisper_does_not(monkeypatch):
    at = opened(monkeypatch)
    at.selectbox(key="violation").select("vanish").run()
    assert "first alarm after it rings" in says(at)
    at.number_input(key="magnitude vanish").set_value(0.01).run()
    assert "No alarm" in says(at)


def test_an_impossible_magnitude_is_explained(monkeypatch):
    at = opened(monkeypatch)
    at.selectbox(key="violation").select("kick").run()
    at.number_input(key="magnitude kick").set_value(1.).run()   # the same speed as before
    assert not at.exception
    assert "nothing changes" in at.error[0].value


def test_the_decoder_can_be_switched_off(monkeypatch):
    at = opened(monkeypatch)
    at.toggle[0].set_value(False).run()
    assert not at.exception
    assert "won't draw" in at.get("plotly_chart")[0].proto.spec


def test_a_pure_jepa_opens_too(monkeypatch, tmp_path):
    fit(Config(recipe="pure", episodes=40, steps=30, decoder_steps=0, probe_steps=20)).save(tmp_path/"model.safetensors")
    at = opened(monkeypatch, tmp_path)
    assert not at.exception and not at.error
    assert "no decoder" in at.info[0].value


@pytest.mark.parametrize("content", [None, b"not weights"], ids=["missing", "foreign"])
def test_unusable_weights_get_a_sentence(monkeypatch, tmp_path, content):
    path = tmp_path/"model.safetensors"
    if content: path.write_bytes(content)
    at = opened(monkeypatch, path)
    assert not at.exception
    assert "checkpoint" in at.error[0].value
