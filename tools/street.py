"""Render the two films that come with the project: a square on an ordinary day, and on another.

    python tools/street.py            # nbs/films/square.mp4, square-watch.mp4 and square-watch.json

People walk along and across a square in perspective, with shadows, seen by a camera with noise
that stands still. In the second film a cyclist, a runner and a cart pass, and somebody lies down.
Nothing in them is filmed: all of it is drawn below, from a seed."""
import json
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

HEIGHT, WIDTH, FPS = 96, 128, 10
FOCAL, EYE, HORIZON = 120., 5., 4.       # px, m above the ground, px
NEAR, FAR, SIDE = 7., 42., 9.            # m in front of the camera, m to either side
NOISE = 1.6                              # grey levels, std

y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


class Mover(NamedTuple):
    "Who moves: from `place` (m to the right, m in front), at `pace` (m/s), from a frame on."
    kind:str
    place:np.ndarray
    pace:np.ndarray
    start:int
    colour:np.ndarray
    tall:float
    step:float           # where in a stride it begins


def on_screen(place):
    "Ground (right, front) in m → column, row and px a metre."
    scale = FOCAL/place[1]
    return WIDTH/2 + scale*place[0], HORIZON + scale*EYE, scale


def blob(picture, column, row, wide, high, colour, soft=.35, strength=1.):
    "A soft-edged ellipse."
    off = np.hypot((x-column)/max(wide, .3), (y-row)/max(high, .3))
    edge = soft + .4/max(wide, .5)
    cover = strength*np.clip((1-off)/edge + .5, 0, 1)[..., None]
    picture += cover*(colour-picture)


def person(picture, mover, place, seconds, lying=False):
    column, row, m = on_screen(place)
    tall, swing = mover.tall*m, np.sin(2*np.pi*(1.8*seconds+mover.step))
    if lying: return blob(picture, column, row-.12*m, .5*tall, .13*m, mover.colour)
    for side in (-1, 1):
        foot = column + side*swing*.16*m
        blob(picture, (foot+column)/2, row-.22*tall, .09*m, .25*tall, mover.colour*.45)
    blob(picture, column, row-.62*tall, .2*m, .24*tall, mover.colour)
    blob(picture, column, row-.92*tall, .1*m, .09*tall, np.array([205., 170, 140]))


def cyclist(picture, mover, place, seconds):
    column, row, m = on_screen(place)
    for side in (-.5, .5):
        blob(picture, column+side*m, row-.33*m, .33*m, .33*m, np.array([40., 40, 44]))
        blob(picture, column+side*m, row-.33*m, .2*m, .22*m, np.array([128., 126, 120]))
    person(picture, mover, place + np.array([0, -.01]), 0)


def cart(picture, mover, place, seconds):
    column, row, m = on_screen(place)
    blob(picture, column, row-.75*m, 1.1*m, .7*m, np.array([225., 225, 215]), .15)
    blob(picture, column, row-1.6*m, .9*m, .16*m, np.array([190., 60, 50]), .2)
    for side in (-.7, .7):
        blob(picture, column+side*m, row-.18*m, .2*m, .2*m, np.array([30., 30, 30]))


DRAWN = dict(walker=person, runner=person, cyclist=cyclist, cart=cart,
             faller=lambda picture, mover, place, seconds:
                 person(picture, mover, place, seconds, lying=seconds > 3))


def background(rng):
    "Pavement, lawn, a hedge and joints that run to the horizon."
    depth = FOCAL*EYE/np.maximum(y-HORIZON, .5)
    right = (x-WIDTH/2)*depth/FOCAL
    stone, lawn = np.array([150., 146, 138]), np.array([84., 108, 70])
    picture = np.where((np.abs(right) < SIDE)[..., None], stone, lawn)
    for lines in (right, depth):
        near = np.abs(lines/3 - np.round(lines/3)) < .035
        picture = np.where((near & (np.abs(right) < SIDE))[..., None], picture*.9, picture)
    picture = np.where((y < HORIZON+10)[..., None], np.array([58., 74, 52]), picture)
    return picture + rng.normal(0, 5, (HEIGHT, WIDTH, 1))


def position(mover, frame):
    seconds = (frame-mover.start)/FPS
    if mover.kind == "faller": seconds = min(seconds, 3)
    return mover.place + mover.pace*seconds


def is_there(place): return NEAR-1 < place[1] < FAR+4 and abs(place[0]) < SIDE+5


def walker(rng, frame, kind="walker", pace=None):
    "Someone who comes in from one of the four sides."
    along, back = rng.rand() < .6, rng.rand() < .5
    pace = rng.uniform(1.1, 1.6) if pace is None else pace
    drift = rng.normal(0, .08)
    if along:
        place = np.array([rng.uniform(-SIDE+1, SIDE-1), FAR if back else NEAR-.5])
        way = np.array([drift, -1. if back else 1.])
    else:
        depth = rng.uniform(NEAR+2, FAR-8)
        place = np.array([SIDE+4 if back else -SIDE-4, depth])
        way = np.array([-1. if back else 1., drift])
    colour = rng.uniform(30, 215, 3)
    return Mover(kind, place, pace*way, frame, colour, rng.uniform(1.55, 1.9), rng.rand())


def render(frames, seed, happens=()):
    "Frames (T, H, W, 3) in bytes; `happens` says at which frame whom to send in."
    rng = np.random.RandomState(seed)
    ground, movers = background(np.random.RandomState(0)), []   # the same square on every day
    for frame in range(-300, frames):
        movers = [m for m in movers if is_there(position(m, frame))]
        if rng.rand() < .04 and len(movers) < 9: movers.append(walker(rng, frame))
        movers += [made(rng, frame) for at,made in happens if at == frame]
        if frame < 0: continue

        picture = ground.copy()
        for m in movers:                                         # shadows lie below everybody
            column, row, scale = on_screen(position(m, frame))
            wide = (1.2 if m.kind == "cart" else .45)*scale
            blob(picture, column+.8*wide, row, wide*1.5, .12*scale+.3, picture*.62, .8, .8)
        for m in sorted(movers, key=lambda m: -position(m, frame)[1]):
            DRAWN[m.kind](picture, m, position(m, frame), (frame-m.start)/FPS)
        picture = picture + rng.normal(0, NOISE, (HEIGHT, WIDTH, 1))
        yield np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def write(path, pictures, crf):
    with av.open(str(path), "w") as container:
        options = dict(crf=str(crf), preset="veryslow")
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.thread_count = 1          # so that the bytes are the same on any machine
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sent(kind, pace, place, way):
    "Someone to be sent in: from a place (m to the right, m in front) in a direction."
    def made(rng, frame):
        m = walker(rng, frame, kind, pace)
        return m._replace(place=np.array(place, float), pace=pace*np.array(way, float))
    return made


HAPPENS = [(60, sent("cyclist", 5., (-2, FAR), (.12, -1))),
           (170, sent("runner", 4., (SIDE+4, 16), (-1, 0))),
           (280, sent("cart", 2.6, (3, NEAR-.5), (-.05, 1))),
           (430, sent("faller", 1.3, (-5, 10), (.8, .35)))]


def main():
    folder = Path(__file__).parent.parent/"nbs"/"films"
    folder.mkdir(exist_ok=True)
    write(folder/"square.mp4", render(7200, seed=1), 29)
    write(folder/"square-watch.mp4", render(540, seed=2, happens=HAPPENS), 29)
    told = {made(np.random.RandomState(0), at).kind: at for at,made in HAPPENS}
    (folder/"square-watch.json").write_text(json.dumps(told, indent=1) + "\n")
    for path in sorted(folder.glob("*.mp4")):
        print(f"{path.name}: {path.stat().st_size/1e3:.0f} kB")


if __name__ == "__main__": main()
