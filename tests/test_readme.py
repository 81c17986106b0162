"Every number of README's table, and of the page of results, is read from the committed metrics."
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import dvd_jepa
import pytest
from dvd_jepa.evaluate import headlines
from dvd_jepa.config import flat
from dvd_jepa.core import seeded
from dvd_jepa.film import read
from dvd_jepa.horizons import PUBLISHED
from dvd_jepa.jepa import digest_of
from dvd_jepa.runs import packaged_metrics
from dvd_jepa.train import home_of
import on_watch
from readme import page

top = Path(__file__).parent.parent
readme, results = (top/"README.md").read_text(encoding="utf-8"), page("results")
classic, rotor, varied = (packaged_metrics(name) for name in ("classic", "rotor", "varied"))
seeds = {m["config"]["recipe"]: m["seeds"]["headlines"] for m in (classic, rotor, varied)}


def row(start, text=results):
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def with_interval(d, k, digits):
    low, high = d[f"{k}_interval"]
    return f"{d[k]:{digits}} [{low:{digits}}, {high:{digits}}]"


def ends(recipe, k, digits):
    values = seeds[recipe][k]["values"]
    low, high = format(min(values), digits), format(max(values), digits)
    return low if low == high else f"{low}–{high}"


def test_dream_figures():
    rows = {"**rotor**": (rotor, "classic"), "**varied**": (varied, "varied"), "… at speeds never": (varied, "fast"), "the published recipe |": (classic, "classic")}
    for start,(m,world) in rows.items():
        h, last = m["horizon"][world], m["horizon"][world]["at"][-1]
        worst = min(seeds[m["config"]["recipe"]][f"horizon.{world}.valid_horizon"]["values"])
        plus = lambda k: f"{k:,}{'+' if k == last else ''}"
        low, high = h["valid_horizon_interval"]
        valid = plus(h["valid_horizon"]) if low == last else f"{plus(h['valid_horizon'])} [{plus(low)}, {plus(high)}]"
        assert row(start)[2:] == [valid, plus(worst), f"{h['mse'][9]:.4f}", f"{h['mse'][-1]:.4f} ({last:,})"], start


def test_published_figures():
    rows = {"position read from the latent, RMSE": ("probe_position_rmse_px", ".3f"), "dream of video 7": ("forecast_mse_step1", ".4f"),
            "… 30 steps ahead": ("forecast_mse_stepK", ".5f"), "… mean of these": ("forecast_mse_mean", ".5f"),
            "teleport in video 3": ("anomaly_peak_over_baseline", ".1f"), "… index of the peak": ("anomaly_detected_at", "d")}
    for start,(key,digits) in rows.items():
        ours = [cell for name,m in (("classic", classic), ("rotor", rotor)) for cell in (format(m["published"][key], digits), ends(name, f"published.{key}", digits))]
        assert row(start)[1:] == [format(PUBLISHED[key], digits), *ours]


def test_forecast_figures():
    f = varied["forecast"]
    for name,r in {"**the dream**": f, **f["baselines"]}.items():
        low, high = r["valid_horizon_interval"]
        horizon = "100+" if low == high == 100 else f"{r['valid_horizon']} [{low}, {high}]"   # nobody lies in between
        assert row(name)[2:] == [*(f"{r['mse'][k-1]:.4f}" for k in (1, 10, 100)), horizon, str(r["worse_than_mean_frame_from"] or "not in these")], name


def test_probe_figures():
    for name in ("JEPA latent", "PCA of the pixels", "random encoder"):
        r = rotor["probe"]["representations"][name]
        assert row(name)[1:] == [with_interval(r, "position_r2", ".3f"), with_interval(r, "velocity_r2", ".3f")]


def test_what_a_sceptic_asks():
    s, corner, values = rotor["surprise"]["scores"]["pixels"], rotor["corner"], lambda recipe, k: seeds[recipe][k]["values"]
    growth = [far/near for far,near in zip(values("rotor", "horizon.classic.mse.100000"), values("rotor", "horizon.classic.mse.10"))]
    assert row("another training seed? rotor")[1] == f"{min(growth):.2f}–{max(growth):.2f} (5 seeds)"
    assert row("… varied is valid for")[1] == f"{ends('varied', 'horizon.varied.valid_horizon', 'd')} steps (5 seeds)"
    assert row("… the published recipe is valid")[1] == f"{ends('classic', 'horizon.classic.valid_horizon', 'd')} steps (5 seeds)"
    assert row("… a line reads velocity")[1] == ends("rotor", "probe.velocity_r2", ".3f")
    assert row("was the test set seen")[1] == f"{rotor['leakage']['share_overall']:.0%} on classic (every one from frame {rotor['leakage']['all_seen_from']} on), {varied['leakage']['share_overall']:.0%} on varied"
    over = ", ".join(ends("rotor", f"corner.{k}", ".0%") for k in ("foreseen", "same_frame"))
    assert row("the corner oracle")[1] == f"{with_interval(corner, 'foreseen', '.0%')}, {with_interval(corner, 'same_frame', '.0%')} (over 5 seeds: {over})"
    assert row("… corners announced that")[1] == with_interval(corner, "false", ".0%")
    assert row("… on varied, where the next corner")[1] == ", ".join(with_interval(varied["corner"], k, ".0%") for k in ("foreseen", "same_frame", "false"))
    assert row("clean videos on which")[1] == with_interval(s["published_rule"], "clean_videos_that_ring", ".0%")
    for name,m in (("varied", varied), ("rotor", rotor)):
        for seen,text in (("perfect camera", name), ("noise and drift", f"{name}, through a camera with noise and drift")):
            rates = m["rates"][seen]["rates"]
            assert list(rates) == ["0.01", "0.001", "0.0001"]
            assert row(f"false alarms in 10,000 clean frames, where 100, 10 and 1 were asked: {text} |")[1] == ", ".join(f"{10_000*r['measured']:.3g}" for r in rates.values())
            assert m["rates"][seen]["data"]["frames"] >= 1_000_000 and all(.5 <= r["measured"]/float(asked) <= 2 for asked,r in rates.items())
    spread, corners = seeds["varied"]["surprise.relative.measured_per_1000"]["values"], varied["rates"]["perfect camera"]["rates"]["0.001"]
    assert row("… over 5 seeds of varied")[1] == f"{10*min(spread):.1f}–{10*max(spread):.1f}"
    assert row("… varied, asked 10")[1] == f"{10_000*corners['corners']:.1f}, {10_000*corners['others']:.1f}"


def test_the_promises_of_the_first_paragraphs():
    assert all(k == 100_000 for k in seeds["rotor"]["horizon.classic.valid_horizon"]["values"]) and "16 numbers in all" in readme
    assert min(seeds["varied"]["horizon.varied.valid_horizon"]["values"]) > 500 and "for more than 500" in readme
    assert classic["horizon"]["classic"]["valid_horizon"] == 6 and "dreams well for six frames" in readme
    ahead = [name for name,rival in varied["forecast"]["baselines"].items() if rival["lead_interval"][0] <= 0]
    assert ahead == ["constant velocity"] and varied["forecast"]["data"]["steps"] == 100 and "only a tracker that was told the physics forecasts better over a hundred steps" in readme
    assert min(rotor["forecast"]["baselines"]["nearest neighbour"]["skill"]) > .95 and "a lookup table is almost perfect too" in readme


def test_surprise_figures():
    for kind,v in varied["surprise"]["kinds"].items():
        others = {name: v["scores"][name]["auroc"] for name in varied["surprise"]["rivals"] if name != "constant velocity"}
        best = max(others, key=others.get)
        told = [f"{v['scores'][s]['auroc']:.3f} · {v['scores'][s]['recall_by'][1]:.0%}" for s in ("relative", "latent", "pixels", "constant velocity", best)]
        assert row(f"{kind} |")[1:] == [f"{v['magnitude']:g} {v['unit']}", *told[:4], f"{told[4]} ({best})"]


@pytest.mark.parametrize("m", [rotor, varied], ids=lambda m: m["config"]["recipe"])
def test_every_kind_is_heard(m):
    for kind,v in m["surprise"]["kinds"].items():
        own, late = v["scores"]["relative"], {"tunnel": 4, "kick": 4, "swerve": 4, "grow": 4, "fade": 4}.get(kind, 1)
        assert own["auroc"] >= .99 and own["recall_by"][late] >= .95, kind
    assert set(m["sensitivity"]["kinds"]) == set(dvd_jepa.VIOLATIONS) and all(len(of) == 4 for of in m["sensitivity"]["kinds"].values())


def test_the_one_table_of_readme():
    for start,m in {"**rotor**": rotor, "**varied**": varied, "the published recipe": classic}.items():
        world, cells = next(iter(m["horizon"])), row(start, readme)
        far = row({"**rotor**": "**rotor**", "**varied**": "**varied**", "the published recipe": "the published recipe |"}[start])
        assert cells[2] == f"{far[2]}; {far[3]}" and world == m["world"]["name"], start
        assert cells[3] == f"{m['probe']['representations']['JEPA latent']['velocity_r2']:.3f}"
        assert cells[4] == f"{min(v['scores']['relative']['auroc'] for v in m['surprise']['kinds'].values()):.3f}"
        assert cells[5] == f"{10_000*m['rates']['perfect camera']['rates']['0.001']['measured']:.1f}"


def test_no_table_row_is_unchecked():
    rows = 4 + 6 + 8 + 3 + 15 + len(dvd_jepa.VIOLATIONS)
    count = lambda text: len([line for line in text.splitlines() if line.startswith("| ")])
    assert count(results) == 6 + rows, "six headers, and the rows that the tests of this file read"
    assert count(readme) == 1 + 3, "one table"


def test_packaged_metrics_belong_to_the_packaged_weights():
    for name in dvd_jepa.packaged():
        kept, model = packaged_metrics(name), dvd_jepa.load(name)
        assert json.loads(json.dumps(flat(model.config))) == kept["config"] and kept["weights"] == digest_of(model)


@pytest.mark.parametrize("m", [classic, rotor, varied], ids=lambda m: m["config"]["recipe"])
def test_the_seeds_include_the_packaged_weights(m):
    today, kept = headlines(m), {k: v["values"][m["config"]["seed"]] for k,v in m["seeds"]["headlines"].items()}
    assert today == kept, "training seed 0 of the seeds is the packaged model, and scored alike"


@pytest.mark.parametrize("m", [classic, rotor, varied], ids=lambda m: m["config"]["recipe"])
def test_reports_name_their_data(m):
    for part in (m["forecast"], *m["horizon"].values(), m["surprise"], m["collapse"], m["leakage"]):
        assert "bootstrap" in part["data"]["intervals"] and {"world", "training_seed", "seed"} <= set(part["data"])
    assert {"fitted_on", "scored_on", "intervals"} <= set(m["probe"]["data"]) and m["seeds"]["data"]["seeds"] == [0, 1, 2, 3, 4]


def test_no_number_of_the_prose_is_typed_that_metrics_hold():
    "Outside of tables and code, the prose names no measured decimal and no percentage but an interval's."
    text = re.sub(r"```.*?```", "", readme + results, flags=re.S)
    prose = re.sub(r"^\|.*$|^    .*$", "", text, flags=re.M).replace("95 % intervals", "")
    assert "Honest limits" in prose
    assert not re.findall(r"(?<!Python ≥ )\b\d+\.\d{2,}|\d+ ?%", prose)


@pytest.mark.parametrize("recipe", ["classic", "varied"])
def test_packaged_baselines_have_the_sizes_and_the_budget_of_the_world_model(recipe):
    from dvd_jepa.rivals import baselines, parameters
    model = dvd_jepa.load(recipe)
    rivals = baselines(home_of(model))
    for name in ("pixel predictor", "untrained encoder"):
        assert parameters(rivals[name]) == pytest.approx(parameters(model), rel=.003)   # a rotor's network is a little smaller than one that steps
        assert (rivals[name].config.steps, rivals[name].config.decoder_steps, rivals[name].config.batch) == (model.config.steps, model.config.decoder_steps, model.config.batch)


def test_the_encoders_are_no_larger_than_the_published_one_apart_from_its_input_layer():
    inner = lambda model: sum(p.numel() for p in list(model.target.parameters())[2:])
    for name in ("rotor", "varied"):
        model = dvd_jepa.load(name)
        assert inner(model) <= inner(dvd_jepa.load("classic")) and model.context <= 8 and model.config.latent == 32
        assert sum(p.numel() for p in model.predictor.parameters()) <= 4192


def test_packaged_weights_are_small():
    for path in (top/"dvd_jepa"/"weights").rglob("*.safetensors"): assert path.stat().st_size <= 1_500_000


def test_your_own_clips_go_as_readme_says(capsys):
    "The block is run as it stands there: a 32×48 array in colour through fit, Monitor and compare."
    block = next(code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if "clips = torch.zeros" in code)
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    scope = {}
    with seeded(0): exec(block, scope)
    said = capsys.readouterr().out
    assert scope["model"].shape == (3, 32, 48) and scope["model"].source.extent("test") == (8, 40)
    test, bell = scope["model"].source.clips("test").frames, scope["monitor"]
    rings = [reading.alarm for clip in test for reading in [bell.reset().update(clip[0]), *map(bell.update, clip[1:])]]
    assert sum(rings) <= .05*len(rings), "and clean clips that it wasn't trained on ring about as often as was asked"
    alarms = [word.strip() == "True" for word in said.split("]")[0].strip(" [").split(",")]
    assert alarms == [2 <= t < 32 for t in range(40)], "it rings at the first frame that it can judge, and is lost after thirty alarms"
    assert "mine" in said and re.search(r"nearest neighbour[^\n]* -0\.\d\d \[", said), "and a lookup table remembers this bar better"


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    lost = [link for link in links if not link.startswith("https://") and not (top/link.split("#")[0]).is_file()]
    assert len(links) > 20 and not lost, lost
    for name in re.findall(r"github/dvd-jepa/dvd-jepa/blob/main/(\S+?)\)", readme): assert (top/name).is_file(), name


def test_your_own_video_goes_as_readme_says(tmp_path):
    "Both commands as they stand there: an annotated film, and a line for each alarm; all three who are faster than walkers are heard."
    block = next(code for code in re.findall(r"```bash\n(.*?)```", readme, re.S) if "dvd-jepa monitor" in code)
    commands = [line.replace("nbs/films", str(top/"nbs"/"films")).split()[1:] for line in block.splitlines()]
    codes = [subprocess.run([sys.executable, "-c", "from dvd_jepa.cli import main; main()", *command], cwd=tmp_path, env=dict(os.environ, DVD_JEPA_CACHE=str(tmp_path/"cache"))).returncode for command in commands]
    assert codes == [0, 1], "trained; and it rings"
    film, lines = read(tmp_path/"alarms.mp4"), [json.loads(line) for line in (tmp_path/"alarms.jsonl").read_text().splitlines()]
    sent = json.loads((top/"nbs"/"films"/"square-watch.json").read_text())
    rings = [line["frame"] for line in lines]
    assert len(film) == 540 and all(any(sent[who] <= t < sent[who]+80 for t in rings) for who in ("cyclist", "runner", "cart")), rings
    assert sum(t < sent["cyclist"] for t in rings) <= 1, "nobody rang before anything happened"
    assert sum(sent["faller"]+20 < t for t in rings) <= 3, "who lies there doesn't ring"
    rates = json.loads((tmp_path/"runs"/"square"/"metrics.json").read_text())["surprise"]
    assert rates["asked_per_1000"] <= 1.01 and rates["scores"]["relative"]["measured_per_1000"] <= 5

    # and `make watch` with the model that the first command trained, in a hurry: a camera over RTSP that dies and comes back
    ended = lambda events: any((event["kind"], event["state"]) == ("dead", "end") for event in events)
    events, numbers, code = on_watch.story(tmp_path/"runs"/"square", tmp_path/"watch", on_watch.free_port(), times=(14, 17, 70), enough=ended)
    told, strange = [(event["kind"], event["state"]) for event in events], [event for event in events if event["kind"] == "strange"]
    assert "make watch" in readme and code == 1 and strange and ("dead", "start") in told and ("dead", "end") in told, told
    assert read(strange[0]["clip"]).shape[0] > 30 and numbers['dvd_jepa_events_total{camera="square",kind="strange"}'] >= 1


def test_the_logo_flies_into_the_corner_as_readme_says(tmp_path):
    "The command as it stands there: exit code 0 says that it came to rest, and the film shows it."
    block = next(code for code in re.findall(r"```bash\n(.*?)```", readme, re.S) if "dvd-jepa plan" in code)
    code = subprocess.run([sys.executable, "-c", "from dvd_jepa.cli import main; main()", *block.split()[1:]], cwd=tmp_path).returncode
    film = read(tmp_path/"corner.gif", grey=True)
    assert code == 0 and 16 <= len(film) <= 68 and film.shape[1:] == read(top/"nbs"/"images"/"corner.gif", grey=True).shape[1:]
