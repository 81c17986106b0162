"""The Live page's state, without Streamlit.

A logo that runs for ever, and a model that watches it, dreams on with its eyes shut,
or rushes ahead."""
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


# Frames and latents as text

def _grey(frames):
    "Grey levels as bytes; clipped, since a decoder's output may stray by rounding."
    return np.rint(np.clip(np.asarray(frames), 0, 1)*255).astype(np.uint8)

def _whole(z):
    "Latents in thousandths, as 16 bits."
    return np.clip(np.rint(np.asarray(z)*1000), -32768, 32767).astype("<i2")

def _text(data): return base64.b64encode(data).decode()

def _rows(values): return [row.tobytes() for row in values]

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
        self.model = model
        self.world = home_of(model)
        self.frame = 0
        self.epoch = next(_epochs)
        self.reality = Reality(self.world, seed)
        self.monitor = Monitor(model)
        self.promise(threshold)
        self.tape = deque(maxlen=KEPT)
        self.closed = None   # with eyes shut: the first latent, the last one, frames since
        self.marks = {}      # frame → what happens there
        self.far = None      # what `rush` has found
        self.told = self.truly = self.checked = None
        self.recent, _ = self.reality.next(model.context)
        for frame in self.recent: self.monitor.update(frame)

    def promise(self, threshold):
        "From now on it rings above this."
        if threshold != self.monitor.threshold: self.monitor.threshold = threshold

    @torch.no_grad()
    def advance(self,
        n:int,               # Frames
        eyes_open:bool=True, # Shut: it goes on from its latent, and nothing is judged
    ):
        "Let reality run for `n` frames; what the model makes of them goes on the tape."
        frames, states = self.reality.next(n)
        seen = torch.cat([self.recent, frames])
        self.frame += n
        self.recent = seen[-self.model.context:]
        z = self.model.encode(seen[None])[0]                              # (n + 1, D)
        expected = self._awake(z) if eyes_open else self._asleep(z, n)    # (n, D)
        drawn = self._drawn(expected)
        judged = self._judge(frames) if eyes_open else self._dreamt(drawn, expected, states)
        moments = self._moments(states, judged)
        dream = [b""]*n if drawn is None else _rows(_grey(drawn))
        latents = _rows(_whole(expected)), _rows(_whole(z)[1:])
        self.tape.extend(zip(moments, _rows(_grey(frames)), dream, *latents))

    def _drawn(self, z): return None if self.model.decoder is None else self.model.decoder(z)

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

    def _judge(self, frames):
        "For each frame seen: what the bell makes of it."
        return [dict(shut=0, off=None, **_read(self.monitor.update(frame))) for frame in frames]

    def _dreamt(self, drawn, z, states):
        "For each frame dreamed: for how long the eyes have been shut, and how far it is off."
        before = self.closed[2]-len(states)
        off = self._off(drawn, z, states)
        return [dict(shut=before+i, off=px, **_read(None)) for i,px in enumerate(off, 1)]

    def _moments(self, states, judged):
        "What the player needs to know of each of the last frames."
        corners = at_corner(self.world, states[:, :2].numpy())
        before = self.told, self.truly
        self._look_for_corners()
        first = self.frame-len(states)+1
        return [dict(t=t, corner=bool(corner), struck=self.marks.get(t), **of,
                     **self._countdown(t, before))
                for t,(corner,of) in enumerate(zip(corners, judged), first)]

    def _off(self, drawn, z, states):
        "How far the dreamed logo is from the true one, px; by the probe where nothing is drawn."
        if drawn is not None: places = centroids(self.world, drawn)
        elif self.model.probe is not None: places = self.model.position(z).numpy()
        else: return [None]*len(states)
        off = np.linalg.norm(places-states[:, :2].numpy(), axis=1)
        return [float(f"{px:.3g}") for px in off]

    # The corner countdown

    def _look_for_corners(self):
        "Ask the oracle and the world anew if their answer is used up, or reality has broken since."
        broken = self.marks and self.frame <= max(self.marks)+self.model.context
        if not broken and self.checked is not None and self.frame < self.checked: return
        path = self.reality.peek(WITHIN)[:, :2].numpy()
        hits = np.flatnonzero(at_corner(self.world, path))
        self.truly = self._hit(hits[:1]+1)
        if not self.closed and self.model.decoder is not None:
            self.told = self._hit(next_corner(self.model, self.recent[None], WITHIN))
        soon = self.truly, self.told, self.frame+WITHIN//2
        self.checked = min(at for at in soon if at is not None and at > self.frame)

    def _hit(self, frames):
        return self.frame+int(frames[0]) if len(frames) and frames[0] else None

    def _countdown(self, t, before):
        "Frames to the next corner, as the dream and the world say; None if none is in sight."
        told, truly = before
        left = dict(told=_left(t, told, self.told), truly=_left(t, truly, self.truly))
        if self.model.decoder is None: del left["told"]
        return left

    # What the visitor does

    def strike(self, kind, magnitude=None):
        """Break reality as soon as its kind allows, and return the frame.

        Raises ValueError as `Reality.strike` does, and then nothing happens."""
        at = self.frame + self.reality.strike(kind, magnitude, MENDED)
        self.marks = {at: kind, self.frame+self.reality.broken_for+1: "mended"}
        return at

    @torch.no_grad()
    def rush(self,
        n:int,                  # Frames ahead
        tell=lambda share: None # Called with the share that is done
    ):
        """Freeze reality and dream `n` frames ahead; `far` keeps that, and what reality will show.

        Raises ValueError while reality is broken."""
        if left := self.reality.broken_for:
            raise ValueError("Reality is broken: what it would show is no test of the dream. "
                             f"It will be mended in {left} frames.")
        shown = sorted({*range(1, min(n, 60)+1), *range(max(1, n-29), n+1)})
        z = self.model.encode(self.recent[None])[0, -1]
        path = self._onward(*(self.closed or (z, z, 0)), torch.tensor(shown))
        tell(0.)
        place = positions_at(self.world, self.reality.state[None], [n], lambda k: tell(k/n))
        real = torch.from_numpy(self.world.render(place))[0, 0]
        drawn = self._drawn(path)
        there = torch.from_numpy(np.repeat(place[0], len(shown), 0))
        off = self._off(drawn, path, there)[-1]
        self.far = dict(
            id=f"{self.epoch}-{self.frame}-{n}", n=n, steps=shown, off=off,
            says=_said(n, off, len(z), None if drawn is None else drawn[-1], real),
            frozen=packed(self.recent[-1]), final=packed(real),
            dream=None if drawn is None else packed(drawn), z=_text(_whole(path).tobytes()),
            **{"from": self.frame})

    def message(self, frames, fps, playing, draw, promise):
        "What the page's player needs of the last frames on the tape."
        tape = list(self.tape)[-frames:]
        moments, reality, dream, z, seen = zip(*tape) if tape else ((),)*5
        parts = reality, dream if draw else (), z, seen
        reality, dream, z, seen = (_text(b"".join(part)) for part in parts)
        return dict(
            epoch=self.epoch, area=self.world.size**2, dim=self.model.config.latent, fps=fps,
            playing=playing, draw=draw, threshold=self.monitor.threshold, promise=promise,
            moments=list(moments), reality=reality, dream=dream or None, z=z, seen=seen,
            ahead=self.far)


def _read(reading):
    "What the player is told of a reading; of none if the eyes were shut."
    if reading is None: return dict(score=None, alarm=False, lost=False)
    score = float(f"{reading.score:.4g}") if np.isfinite(reading.score) else None
    return dict(score=score, alarm=reading.alarm, lost=reading.lost)

def _left(t, *answers):
    "Frames from `t` to the first of these that is not over; None if all are."
    return next((at-t for at in answers if at is not None and at >= t), None)

def _said(n, off, numbers, drawn, real):
    "How good the dream is, in words."
    if off is None:
        said = f"{n:,} frames ahead, in {numbers} numbers that nobody can draw or read."
    else: said = f"{n:,} frames ahead the dream is {off:.2f} px off."
    if drawn is None: return said
    mse = (drawn-real).square().mean()
    black = real.square().mean()
    return f"{said} Mean square error {mse:.4f}; a black frame would have {black:.4f}."
