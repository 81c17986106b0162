"""Measure the recipes for a street on UCSD Ped1, beside rivals, for study 24.

    python tools/ped1.py [FOLDER] [--seeds 5]    # FOLDER: ../shared/ped1 if not given

Trained on clips 1 to 26, calibrated on 27 to 34, tested on the labelled clips; a threshold never
sees a test clip. What is in the file already isn't measured again; delete it to start anew."""
import argparse
import json
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from dvd_jepa.alarms import conformal_threshold
from dvd_jepa.core import seeded
from dvd_jepa.files import write_json
from dvd_jepa.monitor import Monitor
from dvd_jepa.motion import PRESENT, SHARE, MotionEncoder, flow, gathered
from dvd_jepa.observe import nearest, observed, stack
from dvd_jepa.parts import MapDecoder, make_encoder
from dvd_jepa.recipes import RECIPES
from dvd_jepa.stats import auroc, first_axes
from dvd_jepa.train import fit, train
from dvd_jepa.video import Footage
from torch import nn

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


def by_frames(calm, rate):
    "The conformal quantile of all frames, as `Monitor.calibrate` takes it."
    return conformal_threshold(torch.from_numpy(calm).flatten(), rate)


def by_worst_clip(calm, rate):
    "The highest of the quantiles that each clip alone would give."
    return max(np.nanquantile(clip, 1-rate) for clip in calm)


def by_blocks(calm, rate, block=20):
    "The quantile of the maxima of two seconds, which hardly resemble each other."
    blocks = calm[:, calm.shape[1] % block:].reshape(-1, block)
    most = np.nanmax(blocks, 1)
    return np.quantile(most, max(0., 1 - rate*block), method="higher")


def by_tail(calm, rate, share=.05):
    "A generalised Pareto tail over the highest twentieth (Pickands 1975), by its moments."
    s = np.sort(calm[~np.isnan(calm)])
    above = s[int(len(s)*(1-share)):]
    low = above[0]
    mean, var = (above-low).mean(), (above-low).var()
    shape, scale = .5*(1 - mean**2/var), .5*mean*(mean**2/var + 1)
    return low + scale/shape*((rate/share)**-shape - 1)


WAYS = dict(frames=by_frames, worst_clip=by_worst_clip, blocks=by_blocks, tail=by_tail)


def promises(folder, folds=4):
    "How ways to set a threshold keep their promise, over all 34 clean clips in a rotation."
    films = sorted((folder/"train").glob("*.mp4"))
    rang, judged = {}, 0
    for fold in range(folds):
        held = films[fold::folds]
        parts = dict(train=[f for f in films if f not in held], calibrate=held,
                     test=sorted((folder/"test").glob("*.mp4"))[:1])
        source = Footage(parts, name="ped1", size=SIZE, grey=True)
        model = fit("motion", source, seed=0)
        calm = np.asarray(model.surprise(source.clips("calibrate").frames), np.float64)
        for i,mine in enumerate(calm):
            others = np.delete(calm, i, 0)
            judged += int((~np.isnan(mine)).sum())
            for way,level in WAYS.items():
                for rate in RATES:
                    key = f"{way}, {rate:g}"
                    rang[key] = rang.get(key, 0) + int((mine > level(others, rate)).sum())
    return dict(frames=judged, clips=len(films), alarms=rang)


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


def flow_gaussian(source):
    "Velocities at each place, held against those of their row on clean clips."
    places = velocities(source)
    told, present = (torch.cat(x) for x in zip(*map(places, source.clips("train").frames)))
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


def velocities(source, span=2):
    "A function of one clip (T, H, W): velocity of each place (T-span, h, w, 3), and is it there?"
    clean = source.clips("train").frames
    usual = clean[:, ::10].flatten(0, 1).median(0).values
    def places(clip):
        there = (clip[span:]-usual).abs() > PRESENT
        found = gathered(flow(clip[:-span], clip[span:]), there)
        return (found[:, :3]/span).movedim(1, -1), found[:, 3] > SHARE
    return places


def flow_neighbour(source, most=3000):
    "Velocities at each place, held against the nearest one of their row on clean clips."
    places = velocities(source)
    told, present = (torch.cat(x) for x in zip(*map(places, source.clips("train").frames)))
    rows, unit = [], told[present].std(0)
    for row in range(told.shape[1]):
        near = slice(max(0, row-1), row+2)
        x = told[:, near][present[:, near]]/unit
        rows.append(x[:: max(1, len(x)//most)])
    def strange(clip):
        x, there = places(clip)
        far = [torch.cdist(x[:, row]/unit, table).amin(-1) for row,table in enumerate(rows)]
        return (torch.stack(far, 1)*there).flatten(1).topk(20).values.mean(1)
    def score(frames):
        return early(torch.stack([strange(clip) for clip in frames]).numpy(), frames.shape[1])
    return score


def movers(clip, moved, usual, bins=8):
    "Of each thing that moves: how fast in each direction, (things, bins), px; one list a frame."
    import cv2
    found = []
    for frame,(right, down) in zip(clip, moved.numpy()):
        mask = ((frame-usual).abs() > PRESENT).byte().numpy()
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
        speed, way = np.hypot(right, down), np.arctan2(down, right)
        at = ((way+np.pi)/(2*np.pi)*bins).astype(int) % bins
        big = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= 20]
        each = [[speed[(labels == i) & (at == b)].sum() for b in range(bins)] for i in big]
        areas = np.array([stats[i, cv2.CC_STAT_AREA] for i in big])[:, None]
        found.append(torch.tensor(np.array(each)/areas if big else np.zeros((0, bins))).float())
    return found


def ai_vad_velocity(source, span=2, most=20_000):
    "The velocity branch of AI-VAD, with boxes from the background and Farneback's flow."
    clean = source.clips("train").frames
    usual = clean[:, ::10].flatten(0, 1).median(0).values
    def things(clip): return movers(clip[span:], flow(clip[:-span], clip[span:]), usual)
    table = torch.cat([one for clip in clean for one in things(clip)])
    table = table[:: max(1, len(table)//most)]
    def strangest(x): return torch.cdist(x, table).amin(1).max().item() if len(x) else 0.
    def score(frames):
        scores = [[strangest(one) for one in things(clip)] for clip in frames]
        return early(np.array(scores), frames.shape[1])
    return score


def nearest_pixels(source, span=2):
    "How far two frames are from the nearest two of the clean clips."
    def pairs(frames): return torch.cat([frames[:, :-span], frames[:, span:]], -1).flatten(2)
    table = pairs(source.clips("train").frames).flatten(0, 1)
    def score(frames):
        found = [nearest(table, one)[1] for one in pairs(frames)]
        return early(torch.stack(found).numpy(), frames.shape[1])
    return score


def pixels_by_network(source, ahead):
    "Draw the newest frame, or one that is still to come, with as much as `video` has."
    c = RECIPES["video"]
    obs, _ = observed(source, replace(c, episodes=source.extent("train")[0],
                                      length=source.extent("train")[1]))
    with seeded(0):
        encoder = make_encoder(c, source.shape)
        # as large as the predictor of `video`
        decoder = MapDecoder(encoder.latent_shape, (64, 48), source.shape[1:])
    def drawn(x): return decoder(encoder(x))
    def loss_fn(progress):
        rows = torch.randint(0, len(obs)-ahead*obs.n, (c.batch,))
        wanted = obs.newest(rows + ahead*obs.n).unflatten(1, source.shape[1:])
        return (drawn(obs[rows])-wanted).square().mean(), {}, None
    with seeded(0):
        encoder.settle(obs[torch.arange(0, len(obs), len(obs)//500)])
        train([*encoder.parameters(), *decoder.parameters()], loss_fn, c.steps, c.lr, "pixels",
              schedule=c.schedule)
    @torch.no_grad()
    def score(frames):
        seen = stack(frames, c.context)
        seen = seen[:, :seen.shape[1]-ahead]
        came = frames[:, c.context-1+ahead:]
        off = [(drawn(s)-f).square().mean((1, 2)) for s,f in zip(seen, came)]
        return early(torch.stack(off).numpy(), frames.shape[1])
    return score


class Velocities(MotionEncoder):
    "The velocities themselves, and nothing learned of them."
    def __init__(self, config, shape):
        super().__init__(config, shape)
        self.net, self.straight = nn.Identity(), Nothing()


class Nothing(nn.Module):
    def forward(self, x): return 0.


def velocity_predictor(source):
    "What `motion` does, but for the latents: velocities are predicted as they are."
    c = replace(RECIPES["motion"], latent=4, anti_collapse="stopgrad", recipe="velocities")
    model = fit(c, source, encoder=partial(Velocities, shape=source.shape))
    return model.surprise


RIVALS = {"frame difference": frame_difference, "background, PCA": background_pca,
          "velocity, a Gaussian for each row": flow_gaussian,
          "velocity, nearest neighbour in each row": flow_neighbour,
          "velocity, predicted as it is": velocity_predictor,
          "AI-VAD's velocity branch, by nearest neighbour": ai_vad_velocity,
          "pixels, nearest neighbour": nearest_pixels,
          "pixels, autoencoder": partial(pixels_by_network, ahead=0),
          "pixels, predictor": partial(pixels_by_network, ahead=RECIPES["video"].ahead)}


class Patches(nn.Module):
    "A small ViT in place of convolutions: squares of 8×8 px that attend to each other."
    def __init__(self, config, shape, width=64, size=8):
        super().__init__()
        self.shape, self.size = (config.context, *shape), size
        self.grid = shape[1]//size, shape[2]//size
        self.latent_shape = config.latent, *self.grid
        self.register_buffer("usual", torch.zeros(shape))
        self.register_buffer("unit", torch.ones(()))
        self.enter = nn.Linear(config.context*shape[0]*size**2, width)
        self.place = nn.Parameter(.02*torch.randn(self.grid[0]*self.grid[1], width))
        layer = nn.TransformerEncoderLayer(width, 4, 2*width, 0., nn.functional.gelu,
                                           batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.leave = nn.Linear(width, config.latent)

    def settle(self, obs):
        x = obs.reshape(-1, *self.shape[1:])
        self.usual.copy_(x.median(0).values)
        self.unit.copy_((x-self.usual).square().mean().sqrt().clamp_min(1e-3))

    def forward(self, obs):
        x = (obs.reshape(-1, *self.shape) - self.usual)/self.unit
        x = nn.functional.unfold(x.flatten(1, 2), self.size, stride=self.size).mT
        x = self.leave(self.blocks(self.enter(x) + self.place))
        return x.mT.reshape(*obs.shape[:-1], *self.latent_shape)


def trained(recipe, seed, source, truth, events, encoder=None):
    "A recipe with one seed: its verdict, its seconds, and frames a second in a stream."
    start = time.perf_counter()
    model = fit(recipe, source, seed=seed, encoder=encoder)
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
    if "promises" not in kept:
        kept["promises"] = promises(asked.folder)
        write_json(RESULTS, kept)
        print(kept["promises"], flush=True)
    patches = kept.setdefault("patches", dict(config=asdict(RECIPES["video"]), seeds={}))
    for seed in range(3):
        if str(seed) in patches["seeds"]: continue
        own = partial(Patches, shape=source.shape)
        found = trained("video", seed, source, truth, events, own)
        patches["seeds"][str(seed)] = found
        write_json(RESULTS, kept)
        print("patches", seed, found["auroc"], found["train_seconds"], flush=True)
    for seed in range(asked.seeds):
        for recipe in ("motion", "video"):
            mine = kept.setdefault("recipes", {}).setdefault(
                recipe, dict(config=asdict(RECIPES[recipe]), seeds={}))
            if str(seed) in mine["seeds"]: continue
            mine["seeds"][str(seed)] = trained(recipe, seed, source, truth, events)
            write_json(RESULTS, kept)
            print(recipe, seed, mine["seeds"][str(seed)]["auroc"], flush=True)


if __name__ == "__main__": main()
