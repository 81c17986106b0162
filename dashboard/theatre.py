"A logo that runs for ever, and a model that watches it, dreams on with its eyes shut, or rushes ahead: the Live page's state, without Streamlit."
import base64
import itertools
from collections import deque

import numpy as np
import torch
from dvd_jepa.breaks import Reality
from dvd_jepa.dream import at_corner, centroids, next_corner, positions_at
from dvd_jepa.monitor import Monitor
from dvd_jepa.train import home_of

WITHIN = 1000   # frames that the corner oracle looks ahead
MENDED = 64     # frames after which a broken reality is mended
KEPT = 120      # frames on the tape: each is sent twice, since a browser may skip a message
_epochs = itertools.count(1)


def _grey(frames): return np.rint(np.clip(np.asarray(frames), 0, 1)*255).astype(np.uint8)   # a decoder's output may stray by rounding

def _whole(z): return np.clip(np.rint(np.asarray(z)*1000), -32768, 32767).astype("<i2")

def _text(data): return base64.b64encode(data).decode()

def packed(frames):
    "Grey levels in [0, 1] as base64 of bytes."
    return _text(_grey(frames).tobytes())


class Theatre:
    "What happens on the Live page, for one session."
    def __init__(self,
        model,
        threshold:float, # Calibrated, in the unit of the model's default score
        seed:int=0,      # Which logo
    ):
        self.model, self.world, self.frame, self.epoch = model, home_of(model), 0, next(_epochs)
        self.reality, self.monitor = Reality(self.world, seed), Monitor(model)
        self.promise(threshold)
        self.tape, self.closed, self.marks, self.far = deque(maxlen=KEPT), None, {}, None   # marks: frame → what happens there
        self.told = self.truly = self.checked = None
        self.recent, _ = self.reality.next(model.context)
        for frame in self.recent: self.monitor.update(frame)

    def promise(self, threshold):
        "From now on it rings above this."
        if threshold != self.monitor.threshold: self.monitor._promise(threshold)

    @torch.no_grad()
    def advance(self,
        n:int,               # Frames
        eyes_open:bool=True, # Shut: it goes on from its latent, and nothing is judged
    ):
        "Let reality run for `n` frames; what the model makes of them goes on the tape."
        frames, states = self.reality.next(n)
        seen, self.frame = torch.cat([self.recent, frames]), self.frame+n
        self.recent, z = seen[-self.model.context:], self.model.encode(seen[None])[0]            # z (n + 1, D)
        expected = self._awake(z) if eyes_open else self._asleep(z, n)
        readings = [self.monitor.update(frame) for frame in frames] if eyes_open else [None]*n
        drawn = None if self.model.decoder is None else self.model.decoder(expected)
        off = [None]*n if eyes_open else self._off(drawn, expected, states)
        corners, before = at_corner(self.world, states[:, :2].numpy()), (self.told, self.truly)
        self._look_for_corners()
        reality, dream, dreamed, seen = _grey(frames), None if drawn is None else _grey(drawn), _whole(expected), _whole(z)
        for i,(t,reading) in enumerate(zip(range(self.frame-n+1, self.frame+1), readings)):
            moment = dict(t=t, corner=bool(corners[i]), struck=self.marks.get(t),
                          shut=0 if eyes_open else self.closed[2]-n+i+1, off=off[i], **_judged(reading), **self._countdown(t, before))
            self.tape.append((moment, reality[i].tobytes(), b"" if dream is None else dream[i].tobytes(), dreamed[i].tobytes(), seen[i+1].tobytes()))   # bytes, so that nobody has to collect them

    def _awake(self, z):
        if self.closed: self.monitor.skip()       # it hasn't looked: its streak of frames is broken
        self.closed = None
        return self.model.predictor.roll(z[:-1], 1)

    def _asleep(self, z, n):
        "The dream's next latents (n, D), from the last one seen and the last one dreamed."
        start, last, done = self.closed or (z[0], z[0], 0)
        path = self._onward(start, last, done, torch.arange(1, n+1))
        self.closed = start, path[-1], done+n
        return path

    def _onward(self, start, last, done, k):
        "Latents (K, D) `k` frames (K,) after the last one dreamed, `done` frames after the start."
        return self.model.predictor.onward(start[None], last[None], done, k)

    def _off(self, drawn, z, states):
        "How far the dreamed logo is from the true one, px; by the probe where nothing is drawn."
        if drawn is None and self.model.probe is None: return [None]*len(states)
        places = centroids(self.world, drawn) if drawn is not None else self.model.position(z).numpy()
        return [float(f"{x:.3g}") for x in np.linalg.norm(places-states[:, :2].numpy(), axis=1)]

    def _look_for_corners(self):
        "Ask the oracle and the world anew where their last answer is used up, or where reality has broken since."
        broken = self.marks and self.frame <= max(self.marks)+self.model.context
        if not broken and self.checked is not None and self.frame < self.checked: return
        hits = np.flatnonzero(at_corner(self.world, self.reality.peek(WITHIN)[:, :2].numpy()))
        self.truly = self._hit(hits[:1]+1)
        if not self.closed and self.model.decoder is not None: self.told = self._hit(next_corner(self.model, self.recent[None], WITHIN))
        self.checked = min(x for x in (self.truly, self.told, self.frame+WITHIN//2) if x is not None and x > self.frame)

    def _hit(self, frames): return self.frame+int(frames[0]) if len(frames) and frames[0] else None

    def _countdown(self, t, before):
        "Frames to the next corner, as the dream and the world say; None where there is none in sight."
        left = lambda *answers: next((at-t for at in answers if at is not None and at >= t), None)
        told, truly = (left(*pair) for pair in zip(before, (self.told, self.truly)))
        return dict(truly=truly) if self.model.decoder is None else dict(told=told, truly=truly)

    def strike(self, kind, magnitude=None):
        "Break reality as soon as its kind allows; ValueError as from `Reality.strike`, and nothing happens. Returns the frame."
        at = self.frame + self.reality.strike(kind, magnitude, MENDED)
        self.marks = {at: kind, self.frame+self.reality.broken_for+1: "mended"}
        return at

    @torch.no_grad()
    def rush(self,
        n:int,                  # Frames ahead
        tell=lambda share: None # Called with the share that is done
    ):
        "Freeze reality and dream `n` frames ahead; kept in `far`, with what reality will show then. ValueError while it is broken."
        if self.reality.broken_for: raise ValueError(f"Reality is broken: what it would show is no test of the dream. It will be mended in {self.reality.broken_for} frames.")
        shown = sorted({*range(1, min(n, 60)+1), *range(max(1, n-29), n+1)})
        z = self.model.encode(self.recent[None])[0, -1]
        path = self._onward(*(self.closed or (z, z, 0)), torch.tensor(shown))
        tell(0.)
        place = positions_at(self.world, self.reality.state[None], [n], lambda k: tell(k/n))
        real = torch.from_numpy(self.world.render(place))[0, 0]
        drawn = None if self.model.decoder is None else self.model.decoder(path)
        off = self._off(drawn, path, torch.from_numpy(np.repeat(place[0], len(shown), 0)))[-1]
        says = f"{n:,} frames ahead the dream is {off:.2f} px off." if off is not None else f"{n:,} frames ahead, in {len(z)} numbers that nobody can draw or read."
        if drawn is not None: says += f" Mean square error {(drawn[-1]-real).square().mean():.4f}; a black frame would have {real.square().mean():.4f}."
        self.far = dict(id=f"{self.epoch}-{self.frame}-{n}", n=n, steps=shown, says=says, off=off, frozen=packed(self.recent[-1]), final=packed(real),
                        dream=None if drawn is None else packed(drawn), z=_text(_whole(path).tobytes()), **{"from": self.frame})

    def message(self, frames, fps, playing, draw, promise):
        "What the page's player needs of the last frames on the tape."
        tape = list(self.tape)[-frames:]
        moments, reality, dream, z, seen = zip(*tape) if tape else ((),)*5
        reality, dream, z, seen = (_text(b"".join(part)) for part in (reality, dream if draw else (), z, seen))
        return dict(epoch=self.epoch, area=self.world.size**2, dim=self.model.config.latent, fps=fps,
                    playing=playing, draw=draw, threshold=self.monitor.threshold, promise=promise,
                    moments=list(moments), reality=reality, dream=dream or None, z=z, seen=seen, ahead=self.far)


def _judged(reading):
    if reading is None: return dict(score=None, alarm=False, lost=False)
    return dict(score=float(f"{reading.score:.4g}") if np.isfinite(reading.score) else None, alarm=reading.alarm, lost=reading.lost)
