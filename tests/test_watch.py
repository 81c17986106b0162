"A watch on real parts: some of the faults of study 27 once more, and what the study keeps of all of them."
import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")
pytest.importorskip("paho.mqtt")
top = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("faults", top/"tools"/"faults.py")
faults = importlib.util.module_from_spec(spec)
spec.loader.exec_module(faults)
BY_NAME = {name: (expected, run) for name,_,expected,run in faults.FAULTS}


@pytest.mark.parametrize("name", ["killed", "receiver_fails", "receiver_hangs", "receiver_raves", "pipe_cut"])
def test_a_fault_ends_as_it_was_written_down_before(name):
    expected, run = BY_NAME[name]
    assert run() == expected


def test_the_study_keeps_every_fault_and_each_was_as_expected():
    kept = json.loads(faults.RESULTS.read_text())["faults"]
    assert [(one["fault"], one["expected"]) for one in kept] == [(what, expected) for _,what,expected,_ in faults.FAULTS]
    assert len(kept) >= 25 and all(one["as_expected"] and one["seen"] == one["expected"] for one in kept)
