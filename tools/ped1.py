"""Measure the recipes for a street on UCSD Ped1, beside rivals, for study 24.

    python tools/ped1.py [FOLDER] [--seeds 5]    # FOLDER: ../shared/ped1 if not given

Trained on clips 1 to 26, calibrated on 27 to 34, tested on the labelled clips; a threshold never
sees a test clip. What is in the file already isn't measured again; delete it to start anew."""
import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from dvd_jepa.alarms import conformal_threshold
from dvd_jepa.files import write_json
from dvd_jepa.monitor import Monitor
from dvd_jepa.motion import PRESENT, SHARE, flow, gathered
from dvd_jepa.stats import auroc, first_axes
from dvd_jepa.train import RECIPES, fit
from dvd_jepa.video import Footage

top = Path(__file__).parent.parent
RESULTS = top/"nbs"/"studies"/"results"/"24_street.json"
SIZE, FPS, SMOOTH = (80, 120), 10, 15     # px, frames a second, frames
RATES = 1e-2, 1e-3


def footage(folder):
    films = {part: sorted((folder/part).glob("*.mp4")) for part in ("train", "test")}
    parts = dict(train=films["train"][:26], calibrate=films["train"][26:], test=films["test"])
    return Footage(parts, name="ped1", size=SIZE, grey=True)


def labels(folder, clips, frames):
    "Is something abnormal? (clips, frames), bool; and the events, as (clip, first, last)."
    told = json.loads((folder/"test"/"labels.json").read_text())
    truth, events = np.zeros((clips, frames), bool), []
    for i,(_, ranges) in enumerate(sorted(told.items())):
        for first,last in ranges:
            truth[i, first:last] = True
            events.append((i, first, last))
    return truth, events


def filled(scores):
    "Frames before the first score count as the calmest of their clip."
    least = np.nanmin(scores, 1, keepdims=True)
    return np.where(np.isnan(scores), least, scores)


def smoothed(scores):
    "The mean of the last frames: causal."
    total = np.pad(scores, ((0, 0), (SMOOTH, 0)), mode="edge").cumsum(1)
    return (total[:, SMOOTH:] - total[:, :-SMOOTH])/SMOOTH


def area(scores, truth):
    scores, truth = torch.from_numpy(scores.ravel()), truth.ravel()
    return auroc(scores[truth], scores[~truth])


def discrimination(scores, truth):
    scores = filled(scores)
    mixed = [i for i,t in enumerate(truth) if 0 < t.sum() < len(t)]
    low, high = scores.min(1, keepdims=True), scores.max(1, keepdims=True)
    return dict(raw=area(scores, truth), smoothed=area(smoothed(scores), truth),
                macro=float(np.mean([area(scores[i], truth[i]) for i in mixed])),
                left_out_of_macro=len(truth)-len(mixed),
                normalised_by_test_clip=area((scores-low)/(high-low), truth))


def false_alarms(calm):
    "Each calibration clip is judged by a threshold from the others; per 1,000 frames."
    found = {}
    for rate in RATES:
        rang = judged = 0
        for i in range(len(calm)):
            others = torch.from_numpy(np.delete(calm, i, 0)).flatten()
            level = conformal_threshold(others, rate)
            mine = calm[i][~np.isnan(calm[i])]
            rang, judged = rang + int((mine > level).sum()), judged + len(mine)
        found[f"{rate:g}"] = dict(measured_per_1000=1000*rang/judged, frames=judged)
    return found


def heard(scores, calm, truth, events):
    "At each rate: events with an alarm, how late the first one comes, and alarms on clean frames."
    found = {}
    for rate in RATES:
        rings = scores > conformal_threshold(torch.from_numpy(calm).flatten(), rate)
        late = [np.flatnonzero(rings[i, a:b]) for i,a,b in events]
        delays = [int(at[0])/FPS for at in late if len(at)]
        clean = ~truth & ~np.isnan(scores)
        found[f"{rate:g}"] = dict(
            events=len(events), heard=len(delays),
            median_delay_seconds=float(np.median(delays)) if delays else None,
            clean_test_frames_per_1000=1000*float(rings[clean].mean()))
    return found


def verdict(score, source, truth, events):
    "All measures of a function that scores clips (n, T, H, W) → (n, T)."
    scores, calm = (np.asarray(score(source.clips(part).frames), np.float64)
                    for part in ("test", "calibrate"))
    return dict(auroc=discrimination(scores, truth), false_alarms=false_alarms(calm),
                alarms=heard(scores, calm, truth, events))


def early(scores, T):
    "Scores of a clip's last frames, with NaN before them."
    missing = T - scores.shape[1]
    return np.pad(scores, ((0, 0), (missing, 0)), constant_values=np.nan)


def frame_difference(source):
    def score(frames):
        return early((frames[:, 1:]-frames[:, :-1]).square().mean((2, 3)).numpy(), frames.shape[1])
    return score


def background_pca(source, axes=64):
    "What is left of a frame outside of the principal axes of clean frames."
    table = source.clips("train").frames[:, ::5].flatten(0, 1).flatten(1)
    mean = table.mean(0)
    found = first_axes(table, axes)
    def score(frames):
        off = frames.flatten(2) - mean
        return (off.square().sum(-1) - (off @ found).square().sum(-1)).numpy()
    return score


def flow_gaussian(source, span=2):
    "Velocities at each place, held against those of their row on clean clips."
    clean = source.clips("train").frames
    usual = clean[:, ::10].flatten(0, 1).median(0).values
    def places(clip):
        there = (clip[span:]-usual).abs() > PRESENT
        found = gathered(flow(clip[:-span], clip[span:]), there)
        return (found[:, :3]/span).movedim(1, -1), found[:, 3] > SHARE
    told, present = (torch.cat(x) for x in zip(*map(places, clean)))
    rows = []
    for row in range(told.shape[1]):
        near = slice(max(0, row-1), row+2)
        x = told[:, near][present[:, near]].double()
        rows.append((x.mean(0), torch.linalg.inv(torch.cov(x.T) + 1e-6*torch.eye(3))))
    def strange(clip):
        x, there = places(clip)
        off = [x[:, row].double()-mean for row,(mean, _) in enumerate(rows)]
        far = [((o @ p)*o).sum(-1) for o,(_, p) in zip(off, rows)]
        return (torch.stack(far, 1)*there).mean((1, 2))
    def score(frames):
        return early(torch.stack([strange(clip) for clip in frames]).numpy(), frames.shape[1])
    return score


RIVALS = {"frame difference": frame_difference, "background, PCA": background_pca,
          "velocity, a Gaussian for each row": flow_gaussian}


def trained(recipe, seed, source, truth, events):
    "A recipe with one seed: its verdict, its seconds, and frames a second in a stream."
    start = time.perf_counter()
    model = fit(recipe, source, seed=seed)
    seconds = time.perf_counter() - start
    found = verdict(model.surprise, source, truth, events)
    watcher, clip = Monitor(model, 1e-2).calibrate(), source.clips("test", 1).frames[0]
    start = time.perf_counter()
    for frame in clip: watcher.update(frame)
    pace = len(clip)/(time.perf_counter()-start)
    return found | dict(train_seconds=seconds, frames_per_second=pace)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=top.parent/"shared"/"ped1")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    if not (asked.folder/"train").is_dir():
        raise SystemExit(f"ped1: no films at {asked.folder}; see study 24 for where they come from")
    torch.set_num_threads(1)

    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    source = footage(asked.folder)
    truth, events = labels(asked.folder, *source.extent("test"))
    kept["data"] = dict(source.about(), test_clips=len(truth), abnormal=float(truth.mean()),
                        events=len(events), smoothed_over_frames=SMOOTH)
    for name,make in RIVALS.items():
        if name in kept.get("rivals", {}): continue
        kept.setdefault("rivals", {})[name] = verdict(make(source), source, truth, events)
        write_json(RESULTS, kept)
        print(name, kept["rivals"][name]["auroc"], flush=True)
    for seed in range(asked.seeds):
        for recipe in ("motion", "video"):
            mine = kept.setdefault("recipes", {}).setdefault(
                recipe, dict(config=asdict(RECIPES[recipe]), seeds={}))
            if str(seed) in mine["seeds"]: continue
            mine["seeds"][str(seed)] = trained(recipe, seed, source, truth, events)
            write_json(RESULTS, kept)
            print(recipe, seed, mine["seeds"][str(seed)]["auroc"], flush=True)


if __name__ == "__main__": main()
