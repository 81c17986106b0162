"Films as people have them: cut off, turned, uneven, transparent, damaged, or no films at all. Each is refused in one line, or read right, with a word where it isn't whole."
import io
import json
import os
import pickle
import struct
import warnings
from fractions import Fraction

import av
import h5py
import numpy as np
import pytest
import torch
from dvd_jepa.film import as_view, clips_in, frames_of, read
from dvd_jepa.reel import kept
from dvd_jepa.video import Clips, Footage
from PIL import Image

H, W = 48, 64
START, STEP, SIDE = 4, 2, 16   # the square: where its left edge is at first, how far it moves, how large it is
A_FILM = "expected a whole film, such as .mp4, .mkv, .avi or .webm"
A_NAME = "expected the name of a file or of a folder, or a list of them"
A_PIXEL = "expected bytes, or floats in [0, 1]"
DIMS = "expected (T, H, W), (T, H, W, 3), or clips of them, none of it 0"
OPAQUE = "received a picture with transparent pixels, expected opaque ones, on the background that they shall have"


def square(frames=20, size=(H, W)):
    "A bright square that moves to the right, (T, H, W, 3) in bytes; grey, so that every codec keeps it."
    pictures = np.full((frames, *size, 3), 40, np.uint8)
    for t,picture in enumerate(pictures): picture[16:16+SIDE, START+STEP*t:START+STEP*t+SIDE] = 220
    return pictures

def where(frames):
    "Where the square is in each frame, px from the left: frames that are lost, doubled or in disorder show here."
    grey = np.asarray(frames, np.float32).reshape(len(frames), -1, *frames.shape[-2:]).mean(1)
    bright = grey > (grey.min() + grey.max())/2
    return (bright*np.arange(grey.shape[-1])).sum((1, 2))/bright.sum((1, 2)) - SIDE/2 + .5

def moves_on(frames, times=None): np.testing.assert_allclose(where(frames), START + STEP*np.arange(len(frames)) if times is None else START + STEP*np.asarray(times), atol=.3)

def film(path, pictures=None, codec="libx264", pix="yuv420p", times=None, sound=0, title=None, **options):
    "A film by PyAV; `times` in ms; `sound` in s; `options` of the container, such as movflags."
    pictures = square() if pictures is None else pictures
    with av.open(str(path), "w", options=options) as container:
        if title: container.metadata["title"] = title
        stream = container.add_stream(codec, rate=25, options=dict(crf="5") if codec == "libx264" else {})
        stream.height, stream.width, stream.pix_fmt, stream.thread_count = *pictures.shape[1:3], pix, 1
        audio = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        if times: stream.codec_context.time_base = Fraction(1, 1000)
        container.start_encoding()
        for t,picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format=("rgb24", "rgba")[picture.shape[-1] == 4])
            if times: frame.pts, frame.time_base = times[t], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        if len(pictures): container.mux(stream.encode(None))
        for i in range(int(sound*16000/1024)): container.mux(audio.encode(silence(i)))
        if audio: container.mux(audio.encode(None))
    return path

def silence(i):
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 16000, i*1024, Fraction(1, 16000)
    return frame

def sound_only(path):
    with av.open(str(path), "w") as container:
        audio = container.add_stream("pcm_s16le" if path.suffix == ".wav" else "aac", rate=16000, layout="mono")
        for i in range(16): container.mux(audio.encode(silence(i)))
        container.mux(audio.encode(None))
    return path

def file(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path

def torn(path, share, **how):
    "The first part of a film's bytes; beside it the whole film."
    whole = film(path.with_name(f"whole{path.suffix}"), square(40, (H, 128)), **how).read_bytes()
    return file(path, whole[:int(share*len(whole))])

def joined(path, *sizes):
    "Films one after another in one file, as cameras and recorders write them."
    return file(path, b"".join(film(path.with_name(f"part{i}{path.suffix}"), square(20, size)).read_bytes() for i,size in enumerate(sizes)))

def npy(path, x):
    np.save(path, x)
    return path

def npz(path):
    np.savez(path, x=square())
    return path

def h5(path, **sets):
    "An HDF5 file of data sets; None makes a group."
    with h5py.File(path, "w") as out:
        for name,x in sets.items(): out.create_group(name) if x is None else out.create_dataset(name, data=x)
    return path

def damaged_h5(path):
    with h5py.File(path, "w") as out:
        out.create_dataset("pixels", data=np.random.RandomState(0).randint(0, 255, (20, H, W), np.uint8), compression="gzip")
        out["ep_len"] = [20]
    content = bytearray(path.read_bytes())
    content[len(content)//2:len(content)//2+200] = bytes(200)
    return file(path, bytes(content))

def folder(path, **pictures):
    "A folder of pictures by name; bytes are written as they are."
    path.mkdir()
    for name,x in pictures.items():
        if isinstance(x, bytes): file(path/f"{name}.png", x)
        else: (x if isinstance(x, Image.Image) else Image.fromarray(x)).save(path/f"{name}.png")
    return path

def animation(path, durations, **how):
    first, *rest = [Image.fromarray(picture) for picture in square(len(durations))]
    first.save(path, save_all=True, append_images=rest, duration=durations, **how)
    return path

def with_alpha(alpha, frames=20):
    pictures = np.concatenate([square(frames), np.full((frames, H, W, 1), 255, np.uint8)], -1)
    pictures[:, :8, :8, 3] = alpha
    return pictures

def png_bytes():
    out = io.BytesIO()
    Image.fromarray(square(1)[0]).save(out, "PNG")
    return out.getvalue()

class Program:
    "Unpickled, it makes a folder."
    def __init__(self, path): self.path = str(path)
    def __reduce__(self): return os.mkdir, (self.path,)


def pickled(path): return npy(path, np.array([Program(path.with_name("unpickled"))], object))
def renamed_pickle(path): return file(path, pickle.dumps(Program(path.with_name("unpickled"))))

GREY = square()[..., 0]
ACTIONS = np.arange(40, dtype=np.float32).reshape(20, 2)
def pixels(*shape, fill=0, dtype=np.uint8): return np.full(shape, fill, dtype)
def one_nan(): return np.where(np.arange(9*64).reshape(9, 8, 8) == 300, np.nan, .5)


REFUSED = [   # what it is called, how it is made in an empty folder, what is wished for, and what the error says
    # no film
    *[(f"{kind}{suffix}", lambda d, kind=kind, suffix=suffix, content=content: file(d/f"{kind}{suffix}", content), {}, A_FILM)
      for suffix in (".mp4", ".avi", ".mkv", ".webm", ".mov", ".ts") for kind,content in dict(text="no film\n"*99, empty=b"", noise=np.random.RandomState(0).bytes(4000)).items()],
    ("a text", lambda d: file(d/"letter.txt", "no film"), {}, A_FILM),
    ("a text, called a picture", lambda d: file(d/"letter.gif", "no film"), {}, "received a file that can't be read as a picture, expected a whole one"),
    ("sound in a .wav", lambda d: sound_only(d/"a.wav"), {}, "a.wav: received audio only, expected a film with pictures"),
    ("sound in an .m4a", lambda d: sound_only(d/"a.m4a"), {}, "a.m4a: received audio only, expected a film with pictures"),
    ("an .mp4 without its index", lambda d: torn(d/"a.mp4", .9), {}, A_FILM),
    ("an .mp4 without frames", lambda d: film(d/"a.mp4", square(0)), {}, "a.mp4: received a file with nothing in it, expected a film with pictures"),
    ("an .avi without frames", lambda d: film(d/"a.avi", square(0), "mpeg4"), {}, "a.avi: received no frames, expected at least one"),
    ("an .mkv of which only the head is left", lambda d: torn(d/"a.mkv", .3), {}, "received no frames, expected at least one"),
    # films that can't be used
    ("a film that changes its size", lambda d: joined(d/"a.ts", (H, W), (32, 48)), {}, "received pictures of 48×64 px and of 32×48 px, expected one size and depth throughout"),
    ("a film that changes its size, at another pace and size", lambda d: joined(d/"a.ts", (H, W), (32, 48)), dict(fps=5, size=(8, 8)), "received pictures of 48×64 px and of 32×48 px"),
    ("a transparent .mov of QuickTime's", lambda d: film(d/"a.mov", with_alpha(0), "qtrle", "argb"), {}, OPAQUE),
    ("a transparent .mov of PNGs, in grey", lambda d: film(d/"a.mov", with_alpha(9), "png", "rgba"), dict(grey=True), OPAQUE),
    ("a transparent .webm", lambda d: film(d/"a.webm", with_alpha(0), "libvpx-vp9", "yuva420p"), {}, OPAQUE),
    ("a film without a clock, at a pace", lambda d: film(d/"a.h264"), dict(fps=5), "fps: received 5 for a.h264, expected None: its files don't say when they were taken"),
    # pictures
    ("an empty folder", lambda d: d, {}, "received a folder without films or pictures, expected some of .mp4"),
    ("a folder of letters", lambda d: file(d/"a.txt", "no film").parent, {}, "received a folder without films or pictures, expected some of .mp4"),
    ("a folder in which one picture is a text", lambda d: folder(d/"a", a=square(1)[0], b=b"no film"), {}, "b.png: received a file that can't be read as a picture, expected a whole one"),
    ("a folder in which one picture is cut off", lambda d: folder(d/"a", a=square(1)[0], b=png_bytes()[:-40]), {}, "b.png: received a file that can't be read as a picture, expected a whole one"),
    ("a folder in which one picture is a bad .ppm", lambda d: file(folder(d/"a", a=square(1)[0])/"b.ppm", b"P6 6x 48 255 abc").parent, {}, "b.ppm: received a file that can't be read as a picture"),
    ("pictures of different sizes", lambda d: folder(d/"a", a=square(1)[0], b=square(1, (32, 40))[0]), dict(size=(8, 8)), "received pictures of 48×64 px and of 32×40 px, expected one size"),
    ("pictures of 8 and of 16 bits", lambda d: folder(d/"a", a=GREY[0], b=pixels(H, W, dtype=np.uint16)), {}, "received pictures of 48×64 px and of 48×64 px of 16 bits or more"),
    ("a transparent .png", lambda d: folder(d/"a", a=square(1)[0], b=with_alpha(0, 1)[0]), {}, OPAQUE),
    ("a .tiff of floats beyond white", lambda d: (Image.fromarray(pixels(9, 9, fill=2.5, dtype=np.float32)).save(d/"a.tiff"), d/"a.tiff")[1], {}, f"received values from 2.5 to 2.5, {A_PIXEL}"),
    ("pictures at a pace", lambda d: folder(d/"a", a=square(1)[0]), dict(fps=25), "fps: received 25 for a, expected None: its files don't say when they were taken"),
    # arrays
    ("an .npz", lambda d: npz(d/"a.npz"), {}, "received an archive (.npz), expected one array, .npy"),
    ("an .npz, called .npy", lambda d: npz(d/"a.npz").rename(d/"a.npy"), {}, "received an archive (.npz), expected one array, .npy"),
    ("an .npy of objects", lambda d: pickled(d/"a.npy"), {}, "received a file that isn't a plain .npy array, expected numbers"),
    ("a pickle, called .npy", lambda d: renamed_pickle(d/"a.npy"), {}, "received a file that isn't a plain .npy array, expected numbers"),
    ("an .npy that is cut off", lambda d: file(d/"a.npy", npy(d/"b.npy", GREY).read_bytes()[:-9]), {}, "received a file that isn't a plain .npy array, expected numbers"),
    ("an .npy with half a head", lambda d: file(d/"a.npy", npy(d/"b.npy", GREY).read_bytes().replace(b"'shape'", b"('shape")), {}, "received a file that isn't a plain .npy array, expected numbers"),
    ("an .npz that is cut off", lambda d: file(d/"a.npz", npz(d/"b.npz").read_bytes()[:99]), {}, "received a file that isn't a plain .npy array, expected numbers"),
    ("an array of two dimensions", lambda d: npy(d/"a.npy", pixels(8, 8)), {}, f"received shape (8, 8), {DIMS}"),
    ("an array of six", lambda d: npy(d/"a.npy", pixels(1, 1, 1, 1, 1, 1)), {}, f"received shape (1, 1, 1, 1, 1, 1), {DIMS}"),
    ("an empty array", lambda d: npy(d/"a.npy", pixels(0, 8, 8)), {}, f"received shape (0, 8, 8), {DIMS}"),
    ("an array of empty pictures", lambda d: npy(d/"a.npy", pixels(5, 0, 8)), {}, f"received shape (5, 0, 8), {DIMS}"),
    ("an array with transparency", lambda d: npy(d/"a.npy", pixels(5, 8, 8, 4)), {}, "received shape (5, 8, 8, 4), expected 1 or 3 colours, first or last (without transparency)"),
    ("whole numbers", lambda d: npy(d/"a.npy", pixels(5, 8, 8, dtype=int)), {}, f"received dtype int64, {A_PIXEL}"),
    ("truths", lambda d: npy(d/"a.npy", pixels(5, 8, 8, dtype=bool)), {}, f"received dtype bool, {A_PIXEL}"),
    ("texts", lambda d: npy(d/"a.npy", np.full((5, 8, 8), "a")), {}, f"received dtype <U1, {A_PIXEL}"),
    ("one NaN", lambda d: npy(d/"a.npy", one_nan()), {}, f"received NaN, {A_PIXEL}"),
    ("floats over 1", lambda d: npy(d/"a.npy", pixels(5, 8, 8, fill=1.5, dtype=float)), {}, f"received values from 1.5 to 1.5, {A_PIXEL}"),
    ("coloured floats below 0", lambda d: npy(d/"a.npy", pixels(5, 8, 8, 3, fill=-.1, dtype=float)), {}, f"received values from -0.1 to -0.1, {A_PIXEL}"),
    # HDF5
    ("HDF5 without pixels", lambda d: h5(d/"a.h5", ep_len=[20]), {}, "received no pixels in it, expected pixels, ep_len and, if you like, action and ep_offset"),
    ("HDF5 without ep_len", lambda d: h5(d/"a.h5", pixels=GREY), {}, "received no ep_len in it, expected pixels, ep_len"),
    ("HDF5 with a group for pixels", lambda d: h5(d/"a.h5", pixels=None, ep_len=[20]), {}, "received no pixels in it, expected pixels, ep_len"),
    ("HDF5 with transparency", lambda d: h5(d/"a.h5", pixels=pixels(5, 4, 8, 8), ep_len=[5]), {}, "received shape (1, 4, 8, 8), expected 1 or 3 colours"),
    ("HDF5 of whole numbers", lambda d: h5(d/"a.h5", pixels=pixels(5, 8, 8, fill=1, dtype=int), ep_len=[5]), {}, f"received dtype int64, {A_PIXEL}"),
    ("HDF5 of vectors", lambda d: h5(d/"a.h5", pixels=pixels(5, 8), ep_len=[5]), {}, f"received shape (5, 8), {DIMS}"),
    *[(f"HDF5 with {kind}", lambda d, sets=sets: h5(d/"a.h5", pixels=GREY, **sets), {}, "received episodes (ep_len, ep_offset) that are none, or aren't in it, expected whole numbers, within its 20 pictures")
      for kind,sets in {"no episode": dict(ep_len=np.zeros(0, int)), "an episode that is too long": dict(ep_len=[10, 11]), "an empty episode": dict(ep_len=[0, 20]), "a negative episode": dict(ep_len=[25, -5]), "halves of an episode": dict(ep_len=[9.5, 10.5]),
                        "names for lengths": dict(ep_len=np.array([b"ten"])), "an episode that begins too late": dict(ep_len=[10, 10], ep_offset=[0, 11]), "one that begins too early": dict(ep_len=[10], ep_offset=[-1]), "offsets for some": dict(ep_len=[10, 10], ep_offset=[0])}.items()],
    ("HDF5 that is cut off", lambda d: file(d/"a.h5", h5(d/"b.h5", pixels=GREY, ep_len=[20]).read_bytes()[:5000]), {}, "received a file that isn't HDF5, or damaged"),
    ("HDF5 whose head is damaged", lambda d: file(d/"a.h5", (x := h5(d/"b.h5", pixels=GREY, ep_len=[20]).read_bytes())[:96] + bytes(40) + x[136:]), {}, "received a file that isn't HDF5, or damaged"),
    ("HDF5 whose pixels are damaged", lambda d: damaged_h5(d/"a.h5"), {}, "received a file that isn't HDF5, or damaged"),
    ("a text, called HDF5", lambda d: file(d/"a.h5", "no film"), {}, "received a file that isn't HDF5, or damaged"),
    # names
    ("no name", lambda d: "", {}, f"film: received '', {A_NAME}"),
    ("None", lambda d: None, {}, f"film: received None, {A_NAME}"),
    ("a number", lambda d: 5, {}, f"film: received 5, {A_NAME}"),
    ("a name in bytes", lambda d: b"a.mp4", {}, f"film: received b'a.mp4', {A_NAME}"),
    ("an empty list", lambda d: [], {}, "film: received an empty list, expected at least one name"),
    ("a list of an empty list", lambda d: [[]], {}, "film: received an empty list, expected at least one name"),
    ("a list of arrays", lambda d: [GREY], {}, A_NAME),
    ("a path that leads nowhere", lambda d: d/"a.mp4", {}, "film: nothing at "),
    ("a path that is too long", lambda d: "a"*5000, {}, "film: nothing at "),
    ("a path with a zero in it", lambda d: "a\0b", {}, "film: nothing at "),
    # wishes
    *[(f"{name}={wish!r}", lambda d: npy(d/"a.npy", GREY), {name: wish}, says) for name,wish,says in [
        ("size", 0, "size, the shorter side in px: received 0, expected a whole number"), ("size", (8, 8, 3), "size: received (8, 8, 3), expected (H, W) in px"), ("size", (0, 8), "size (H, W): received 0, expected a whole number of at least 1"), ("size", "8x8", "size: received '8x8', expected (H, W) in px"),
        ("crop", (0, 0, H+1, 8), f"crop: received one of 49×8 at 0, 0, expected one inside the {H}×{W} px of a.npy"), ("crop", (-1, 0, 8, 8), "crop (top, left, height, width): received -1, expected a whole number of at least 0"), ("crop", (0, 0, 8), "crop: received (0, 0, 8), expected (top, left, height, width) in px"),
        ("fps", 0, "fps: received 0, expected a number in [0.001, 1000]"), ("fps", -5, "fps: received -5, expected a number in [0.001, 1000]"), ("fps", float("nan"), "fps: received nan, expected a number in [0.001, 1000]"), ("fps", "5", "fps: received '5', expected a number in [0.001, 1000]"),
        ("fps", 5, "fps: received 5 for a.npy, expected None"), ("every", 0, "every: received 0, expected a whole number of at least 1"), ("every", 1.5, "every: received 1.5, expected a whole number of at least 1"), ("grey", "yes", "grey: received 'yes', expected True or False")]],
]

def refuses(door, says):
    "A plain error, none of a library's own, in one line that says what came and what was expected."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")   # of a film that breaks off before its first frame
        with pytest.raises((ValueError, FileNotFoundError)) as e: door()
    message = str(e.value)
    assert type(e.value) in (ValueError, FileNotFoundError) and says in message and "\n" not in message, repr(e.value)
    assert isinstance(e.value, FileNotFoundError) or ("received" in message and "expected" in message), message

@pytest.mark.parametrize("make, wishes, says", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_it_is_refused_in_one_line_and_nothing_is_half_written(tmp_path, make, wishes, says):
    (tmp_path/"in").mkdir()
    source, cache = make(tmp_path/"in"), tmp_path/"cache"
    refuses(lambda: read(source, **wishes), says)
    refuses(lambda: Footage(source, cache=cache, **wishes), says)
    assert not cache.exists() or not list(cache.iterdir())
    assert not (tmp_path/"in"/"unpickled").exists()


def mixed_folder(path):
    "Optimizers write a grey picture of a film as grey, and a camera writes how it was held."
    return folder(path, **{f"{t}": (Image.fromarray(picture).convert("L") if t % 2 == 0 else picture) for t,picture in enumerate(square())})

def exif(path):
    held, how = Image.fromarray(np.rot90(square(1)[0])), Image.Exif()
    how[0x112] = 6   # to be turned clockwise
    held.save(path, exif=how, quality=95)
    return path

BREAKS = "it breaks off after"
UNEVEN = [0, 40, 80, 120, 320, 360, 400, 600]

READ = [   # what it is called, how it is made, what is wished for, what it says, and where the square is in each frame
    ("an .mkv that breaks off", lambda d: torn(d/"a.mkv", .7), {}, BREAKS, None),
    ("a .webm that breaks off", lambda d: torn(d/"a.webm", .7, codec="libvpx-vp9"), {}, BREAKS, None),
    ("an .avi that breaks off", lambda d: torn(d/"a.avi", .85, codec="mpeg4"), {}, BREAKS, None),
    ("an .mp4 that breaks off after its index", lambda d: torn(d/"a.mp4", .8, movflags="faststart"), {}, BREAKS, None),
    ("an uneven .mp4", lambda d: film(d/"a.mp4", square(8), times=UNEVEN), {}, "a.mp4: frames are 40 to 200 ms apart; fps= makes them even", range(8)),
    ("an uneven .mkv", lambda d: film(d/"a.mkv", square(8), times=UNEVEN), {}, "a.mkv: frames are 40 to 200 ms apart; fps= makes them even", range(8)),
    ("an uneven .mp4, made even", lambda d: film(d/"a.mp4", square(8), times=UNEVEN), dict(fps=25), None, [0, 1, 2, 3, 3, 3, 3, 3, 4, 5, 6, 6, 6, 6, 6, 7]),
    ("an uneven .mkv, made even and thinned out", lambda d: film(d/"a.mkv", square(8), times=UNEVEN), dict(fps=np.float32(25), every=4), None, [0, 3, 4, 6]),
    ("a film with sound that is longer", lambda d: film(d/"a.mp4", sound=3), {}, None, range(20)),
    ("a film in .mkv with sound that is longer", lambda d: film(d/"a.mkv", sound=3), {}, None, range(20)),
    ("an .avi that doesn't say in which order", lambda d: film(d/"a.avi"), {}, None, range(20)),
    ("an .avi that doesn't say in which order, at half its pace", lambda d: film(d/"a.avi"), dict(fps=12.5), None, range(0, 20, 2)),
    ("two films in one", lambda d: joined(d/"a.ts", (H, W), (H, W)), {}, None, [*range(20)]*2),
    ("two films in one, at their pace", lambda d: joined(d/"a.ts", (H, W), (H, W)), dict(fps=25), None, [*range(20)]*2),
    ("a film without a clock", lambda d: film(d/"a.h264"), {}, None, range(20)),
    ("one frame", lambda d: film(d/"a.mp4", square(1)), {}, None, [0]),
    ("one picture", lambda d: folder(d/"a", a=square(1)[0]), {}, None, [0]),
    ("an opaque .mov with alpha", lambda d: film(d/"a.mov", with_alpha(255), "qtrle", "argb"), {}, None, range(20)),
    ("an opaque .webm with alpha", lambda d: film(d/"a.webm", with_alpha(255), "libvpx-vp9", "yuva420p"), {}, None, range(20)),
    ("opaque pictures with alpha", lambda d: folder(d/"a", a=square(2)[0], b=with_alpha(255, 2)[1]), {}, None, [0, 1]),
    ("a film of 16 bits", lambda d: film(d/"a.mov", codec="png", pix="rgb48be"), {}, None, range(20)),
    ("a film of 10 bits, in grey", lambda d: film(d/"a.mkv", pix="yuv420p10le"), dict(grey=True), None, range(20)),
    ("grey pictures among coloured ones", lambda d: mixed_folder(d/"a"), {}, None, range(20)),
    ("grey pictures among coloured ones, in grey", lambda d: mixed_folder(d/"a"), dict(grey=True), None, range(20)),
    ("a photograph of a camera that was held sideways", lambda d: exif(d/"a.jpg"), {}, None, [0]),
    ("a .gif that holds some frames for longer", lambda d: animation(d/"a.gif", [40, 80, 120, 40]), {}, None, [0, 1, 1, 2, 2, 2, 3]),
    ("a .webp that holds some frames for longer", lambda d: animation(d/"a.webp", [40, 80, 120, 40], lossless=True), {}, None, [0, 1, 1, 2, 2, 2, 3]),
    ("a .webp at thirty a second", lambda d: animation(d/"a.webp", [33, 34, 33, 33, 34, 33], lossless=True), {}, None, range(6)),
    ("a .gif at thirty a second", lambda d: animation(d/"a.gif", [30, 40, 30, 30, 40, 30]), {}, None, range(6)),
    ("a .png that moves, at half its pace", lambda d: animation(d/"a.png", [40]*8), dict(fps=12.5), None, [0, 2, 4, 6]),
    ("a title in Latin 1", lambda d: file(d/"a.avi", film(d/"b.avi", codec="mpeg4", title="Cafe--Noir").read_bytes().replace(b"Cafe-", b"Caf\xe9-")), {}, None, range(20)),
    ("a folder with a folder that is called like a film", lambda d: ((d/"b.mp4").mkdir(), npy(d/"a.npy", GREY), d)[-1], {}, None, range(20)),
    ("a folder of folders of HDF5", lambda d: ((d/"day").mkdir(), h5(d/"day"/"a.h5", pixels=GREY, ep_len=[20]), d)[-1], {}, None, range(20)),
    ("floats of 8 bytes, the other way round", lambda d: npy(d/"a.npy", (GREY/255).astype(">f8")), {}, None, range(20)),
    ("long doubles", lambda d: npy(d/"a.npy", (GREY/255).astype(np.longdouble)), {}, None, range(20)),
    ("HDF5 of which only some is told of", lambda d: h5(d/"a.h5", pixels=GREY, ep_len=[5], ep_offset=[10]), {}, None, range(10, 15)),
]

@pytest.mark.parametrize("make, wishes, says, times", [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_it_is_read_right_at_hand_and_in_the_cache_and_a_word_is_said_where_it_is_not_whole(tmp_path, make, wishes, says, times):
    (tmp_path/"in").mkdir()
    source = make(tmp_path/"in")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        frames = read(source, **wishes)
    told = [str(w.message) for w in said]
    assert not told if says is None else any(says in text for text in told), told
    assert all("\n" not in text for text in told)
    if times is None: assert 5 < len(frames) < 36, f"{len(frames)} of 40 frames"
    if times is None: return moves_on(frames[:5])   # where it breaks off, frames that others lean on are lost
    moves_on(frames, times)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")   # said above
        [clip], view = clips_in(source), as_view(**wishes)
        found, digest = kept(clip, view, tmp_path/"cache")
    frames = frames if frames.dtype == torch.uint8 else (255*frames).round().byte()
    assert (torch.tensor(found[...]).reshape(frames.shape) == frames).all(), "the cache holds the same"
    assert kept(clip, view, tmp_path/"cache", on_frame=pytest.fail)[1] == digest, "the second time it is looked up"


def test_pictures_of_sixteen_bits_keep_their_depth_at_hand_and_eight_of_them_in_the_cache(tmp_path):
    fine = np.linspace(0, 65535, H*W).reshape(H, W).astype(np.uint16)
    source = folder(tmp_path/"a", a=fine, b=fine)
    frames = read(source)
    assert frames.dtype == torch.float32 and (frames[0] - torch.from_numpy(fine/65535.)).abs().max() < 1e-6
    found, _ = kept(clips_in(source)[0], folder=tmp_path/"cache")
    assert found.dtype == np.uint8 and (found[1, 0] == np.rint(fine/65535*255)).all()
    assert read(source, size=(4, 4), crop=(0, 0, 8, 8)).shape == (2, 4, 4)


CORNERS = dict(right=(0, 1, -1, 0, "top right"), down=(-1, 0, 0, -1, "bottom right"), left=(0, -1, 1, 0, "bottom left"), mirrored=(-1, 0, 0, 1, "top right"), upended=(1, 0, 0, -1, "bottom left"), transposed=(0, 1, 1, 0, "top left"))

@pytest.mark.parametrize("how", CORNERS)
def test_a_film_of_a_phone_stands_upright(tmp_path, how):
    "Its matrix is written over the one in the track's header: a spot that the sensor saw at the top left is where a player shows it."
    *numbers, corner = CORNERS[how]
    def matrix(a, b, c, d): return struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    pictures = np.full((5, H, W, 3), 40, np.uint8)
    pictures[:, :12, :12], pictures[:, :12, 12:24] = 240, 140   # a bright spot, and beside it, along the sensor's rows, a dim one
    content = film(tmp_path/"a.mp4", pictures).read_bytes()
    at = content.index(matrix(1, 0, 0, 1), content.index(b"tkhd"))
    frames = read(file(tmp_path/"b.mp4", content[:at] + matrix(*numbers) + content[at+36:]))
    assert frames.shape[-2:] == ((W, H) if numbers[0] == 0 else (H, W))
    seen, sideways = frames[2].float().mean(0), numbers[0] == 0
    if corner.startswith("bottom"): seen = seen.flip(0)
    if corner.endswith("right"): seen = seen.flip(1)
    if sideways: seen = seen.T
    spots = [seen[2:10, x:x+8].mean().item() for x in (2, 14, 30)]
    np.testing.assert_allclose(spots, [240, 140, 40], atol=12)
    assert seen[14:22, 2:10].mean() < 52


def test_a_file_named_by_the_time_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if os.name != "nt": moves_on(read(film(tmp_path/"12:30.mp4").name))


def write(path, kind):
    "The moving square in a format of its own."
    if kind == "folder": return folder(path/"pictures", **{f"{t}": picture for t,picture in enumerate(square())})
    if kind == "gif": return animation(path/"a.gif", [40]*20)
    if kind == "npy": return npy(path/"a.npy", square())
    if kind == "floats": return npy(path/"floats.npy", square().transpose(0, 3, 1, 2)/255)
    if kind == "hdf5": return h5(path/"a.h5", pixels=square(), ep_len=[20])
    if kind == "hdf5, colours first": return h5(path/"first.h5", pixels=square().transpose(0, 3, 1, 2), ep_len=[20])
    return film(path/f"a.{kind}", codec=dict(webm="libvpx-vp9", wmv="msmpeg4v3", mpg="mpeg2video", flv="flv").get(kind, "libx264"))

GOOD = "mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "ts", "folder", "gif", "npy", "floats", "hdf5", "hdf5, colours first"

def test_one_film_in_all_formats_gives_the_same_frames(tmp_path, recwarn):
    wanted = torch.from_numpy(square()).permute(0, 3, 1, 2)
    for kind in GOOD:
        source = write(tmp_path, kind)
        frames = read(source)
        assert frames.shape == wanted.shape and frames.dtype == torch.uint8, kind
        assert (frames.float() - wanted).abs().mean() < (4 if kind in GOOD[:8] else .01), kind
        moves_on(frames)
        assert not recwarn.list, f"{kind}: {recwarn.list[0].message}"
        small = read(source, size=(12, 16), grey=True, every=3, crop=(8, 0, 32, 64))
        assert small.shape == (7, 12, 16), kind
        if kind in ("folder", "npy", "floats", "hdf5", "hdf5, colours first"): continue   # no clock
        moves_on(read(source, fps=12.5), range(0, 20, 2))


def test_actions_of_hdf5_lie_beside_the_frames_that_they_lead_from(tmp_path):
    pictures = square()
    pictures[:, 0, 0, 0] = np.arange(20)   # a frame's number
    done = np.arange(40, dtype=np.float32).reshape(20, 2)
    done[[4, 9, 14, 19]] = np.nan          # the last of an episode leads nowhere
    source = Footage(h5(tmp_path/"a.h5", pixels=pictures, action=done, ep_len=[5]*4, ep_offset=[0, 5, 10, 15]), cache=tmp_path/"cache", length=4)
    assert source.actions == 2
    for part in ("train", "calibrate", "test"):
        clips = source.clips(part)
        n, T = clips.frames.shape[:2]
        assert clips.actions.shape == (n, T-1, 2) == (n, 3, 2)
        number = (255*clips.frames[:, :, 0, 0, 0]).round()
        assert (clips.actions[..., 0] == 2*number[:, :-1]).all()


def episodes(d, action): return h5(d/"a.h5", pixels=GREY, ep_len=[5]*4, action=action)
def footage_of(frames, T=6, **more): return Clips(np.random.RandomState(0).rand(frames, T, 8, 8).astype(np.float32), **more)
def nan_action(): return np.where(np.arange(20)[:, None] == 2, np.nan, ACTIONS)
def two_files(d, *actions):
    for i,action in enumerate(actions): h5(d/f"{i}.h5", pixels=GREY, ep_len=[5]*4, action=action)
    return d
def two_sizes(d):
    npy(d/"0.npy", GREY)
    return npy(d/"1.npy", GREY[:, ::2, ::2]).parent
def two_tones(d):
    npy(d/"0.npy", GREY)
    return npy(d/"1.npy", square()).parent

FOOTAGE = [   # what it is called, how its source is made, what else is said, and what the error says
    ("one clip, too short to be cut in three", lambda d: npy(d/"a.npy", GREY), {}, "received a film of 20 frames, expected more than 130, to be cut in three with gaps of 64; or 4 clips"),
    ("one clip of an array, too short to be cut in three", lambda d: footage_of(1).frames, {}, "received a film of 6 frames, expected more than 130"),
    ("one film in three, none of which is long enough", lambda d: npy(d/"a.npy", GREY), dict(gap=0, length=15), "received no clip of 15 frames to train, expected some in each part"),
    ("clips shorter than length", lambda d: footage_of(9).frames, dict(length=7), "received no clip of 7 frames to train, expected some in each part; shorter ones (length=) or more footage"),
    ("clips of one frame", lambda d: footage_of(9, 1).frames, {}, "length: received 1, expected a whole number of at least 2"),
    ("clips of different sizes", two_sizes, {}, "received clips of 2 sizes (0.npy: 1×48×64, 1.npy: 1×24×32), expected one; size=(H, W) and grey=True make it so"),
    ("clips in grey and in colour", two_tones, {}, "received clips of 2 sizes (0.npy: 1×48×64, 1.npy: 3×48×64), expected one; size=(H, W) and grey=True make it so"),
    ("a view of an array", lambda d: footage_of(9).frames, dict(size=(4, 4), fps=5), "size, fps: received an array, expected films"),
    ("an array of pictures, of no clips", lambda d: GREY, {}, "received shape (20, 48, 64), expected (n, T, H, W)"),
    ("shares for two parts", lambda d: footage_of(9).frames, dict(shares=(.5, .5)), "shares: received (0.5, 0.5), expected one for each of train, calibrate, test, ≥ 0, that sum to 1"),
    ("shares of one film that are too large", lambda d: footage_of(1, 60).frames, dict(shares=(.6, .6, .6), gap=0), "shares: received (0.6, 0.6, 0.6), expected one for each of train"),
    ("a share of nothing", lambda d: footage_of(9).frames, dict(shares=(.5, .5, 0)), "received no clip of 6 frames to test, expected some in each part"),
    ("a seed that is none", lambda d: footage_of(9).frames, dict(seed="a"), "seed: received 'a', expected a whole number of at least 0"),
    ("a negative gap", lambda d: footage_of(9).frames, dict(gap=-1), "gap: received -1, expected a whole number of at least 0"),
    ("a film named twice", lambda d: [npy(d/"a.npy", GREY), d], {}, "footage: received a.npy twice, expected each film in one part: a test of what was trained on tests nothing"),
    ("a film in two parts", lambda d: dict(train=d, calibrate=npy(d/"a.npy", GREY), test=npy(d/"b.npy", GREY)), {}, "footage: received a.npy, b.npy twice, expected each film in one part"),
    ("films for two parts", lambda d: dict(train=npy(d/"a.npy", GREY), test=npy(d/"b.npy", GREY)), {}, "footage: received parts train, test, expected train, calibrate, test: each with its films"),
    ("actions for too few frames of clips", lambda d: footage_of(9, actions=np.zeros((9, 4, 2))), {}, "actions: received shape (9, 4, 2), expected (9, 5, A), beside the frames"),
    ("states without a dimension", lambda d: footage_of(9, states=np.zeros((9, 6))), {}, "states: received shape (9, 6), expected (9, 6, S), beside the frames"),
    ("actions without a dimension", lambda d: episodes(d, ACTIONS[:, 0]), {}, "received shape (20,) of float32, expected numbers of shape (20, A)"),
    ("actions for some frames", lambda d: episodes(d, ACTIONS[:-1]), {}, "received shape (19, 2) of float32, expected numbers of shape (20, A)"),
    ("actions for more frames than there are", lambda d: episodes(d, np.zeros((21, 2))), {}, "received shape (21, 2) of float64, expected numbers of shape (20, A)"),
    ("actions in words", lambda d: episodes(d, np.full((20, 2), b"left")), {}, "received shape (20, 2) of |S4, expected numbers of shape (20, A)"),
    ("a group of actions", lambda d: episodes(d, None), {}, "received a group, expected numbers of shape (20, A)"),
    ("an action that is NaN in mid-episode", lambda d: episodes(d, nan_action()), {}, "received NaN or infinite values, expected finite ones but at an episode's last frame"),
    ("unequal numbers of actions", lambda d: two_files(d, ACTIONS, np.zeros((20, 3))), {}, "actions of 1.h5: received shape (5, 3), expected (5, 2)"),
    ("actions beside a thinned-out film", lambda d: episodes(d, ACTIONS), dict(every=2), "every, fps: received a thinned-out film, expected every frame"),
]

@pytest.mark.parametrize("make, more, says", [case[1:] for case in FOOTAGE], ids=[case[0] for case in FOOTAGE])
def test_footage_is_refused_in_one_line(tmp_path, make, more, says):
    (tmp_path/"in").mkdir()
    source = make(tmp_path/"in")
    more = more if isinstance(source, (np.ndarray, Clips)) else dict(cache=tmp_path/"cache", **more)
    refuses(lambda: Footage(source, **more), says)


def test_footage_of_clips_keeps_their_actions():
    clips = footage_of(10, actions=np.arange(100, dtype=np.float32).reshape(10, 5, 2))
    found, given = Footage(clips).clips("train"), {frame.tobytes(): action for frame,action in zip(clips.frames[:, 0], clips.actions)}
    assert Footage(clips).actions == 2 and found.actions.shape == (6, 5, 2)
    for frames,actions in zip(found.frames.numpy(), found.actions.numpy()): assert (given[frames[0].tobytes()] == actions).all()


@pytest.mark.parametrize("frames", range(9, 30))
def test_the_three_stretches_of_a_film_lie_inside_of_it(tmp_path, frames):
    "Rounded one by one, they may be a frame too long together, which is then the next film's."
    source = Footage(np.random.RandomState(0).rand(2, frames+2, 4, 4).astype(np.float32), gap=1, length=2)
    spans = sorted((start, start+2, part) for part in source.rows for start in source.moments(part).tolist())
    assert all(start//(frames+2) == (end-1)//(frames+2) for start,end,_ in spans) and spans[-1][1] <= 2*(frames+2)
    assert all(b[0]-a[1] >= (a[2] != b[2] and a[0]//(frames+2) == b[0]//(frames+2)) for a,b in zip(spans, spans[1:])), "a gap where the part changes"


def test_short_clips_are_left_out_with_a_word(tmp_path):
    for i,frames in enumerate([20, 20, 20, 20, 20, 6]): npy(tmp_path/f"{i}.npy", GREY[:frames])
    with pytest.warns(UserWarning, match="1 of 6 stretches are shorter than 10 frames and left out; length= changes that"): Footage(tmp_path, cache=tmp_path/"cache", length=10, shares=(.5, .25, .25))


def test_wishes_that_are_none_are_none():
    assert Footage(footage_of(9).frames, size=None, fps=None).shape == (1, 8, 8)


def test_a_list_in_a_list_is_a_list_and_here_has_a_name(tmp_path, monkeypatch):
    names = [npy(tmp_path/f"{i}.npy", GREY) for i in range(5)]
    assert Footage([names[:2], names[2:]], cache=tmp_path/"cache").extent("train") == (3, 20)
    monkeypatch.chdir(tmp_path)
    assert Footage(".", cache=tmp_path/"cache").name == tmp_path.name


# the cache

@pytest.fixture
def clip(tmp_path):
    [clip] = clips_in(npy(tmp_path/"a.npy", GREY))
    return clip

def test_a_film_that_changes_is_decoded_anew(tmp_path, clip):
    before, digest = kept(clip, folder=tmp_path/"cache")
    before = before.copy()
    npy(clip.path, GREY[::-1])
    os.utime(clip.path, ns=(0, 0))   # of the same size, and older
    after, other = kept(clip, folder=tmp_path/"cache")
    assert other != digest and (after[::-1] == before).all()


@pytest.mark.parametrize("name, content", [(".bytes", "cut short"), (".bytes", ""), (".bytes", None), (".json", None), (".json", "{broken"), (".json", "{}"), (".json", "[]"), (".json", "null"), (".json", '{"shape": 3}'), (".json", b"\xff\xfe")])
def test_a_damaged_cache_is_made_anew(tmp_path, clip, name, content):
    found, digest = kept(clip, folder=tmp_path/"cache")
    found = found.copy()
    [path] = (tmp_path/"cache").glob(f"*{name}")
    if content is None: path.unlink()
    else: file(path, content)
    again, same = kept(clip, folder=tmp_path/"cache")
    assert same == digest and (again == found).all()
    assert len(list((tmp_path/"cache").iterdir())) == 2 and json.loads(next((tmp_path/"cache").glob("*.json")).read_text())["digest"] == digest


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_cache_that_cannot_be_written_is_named(tmp_path, clip, below):
    cache = file(tmp_path/"cache", "no folder")/below
    refuses(lambda: kept(clip, folder=cache), f"cache: received {str(cache)!r}, expected a folder that can be written")
    refuses(lambda: Footage(clip.path, gap=0, cache=cache), "expected a folder that can be written")


def test_a_film_and_its_views_share_no_place(tmp_path):
    "A name with dots in it is cut at none of them."
    paths = [npy(tmp_path/f"cam.{i}.npy", square()[i:]) for i in range(2)]
    clips = [clip for path in paths for clip in clips_in(path)]
    wanted = [kept(clip, view, tmp_path/"cache")[0].shape for clip in clips for view in (as_view(), as_view(grey=True), as_view(size=(8, 8)))]
    assert wanted == [(T, *size) for T in (20, 19) for size in ((3, H, W), (1, H, W), (3, 8, 8))]
    assert len(list((tmp_path/"cache").iterdir())) == 12


def test_a_film_that_goes_bad_leaves_no_description_of_what_it_was(tmp_path, clip):
    kept(clip, folder=tmp_path/"cache")
    file(clip.path, "no film")
    refuses(lambda: kept(clip, folder=tmp_path/"cache"), "a file that isn't a plain .npy array")
    assert not list((tmp_path/"cache").glob("*.json")) and not [path for path in (tmp_path/"cache").iterdir() if path.name.startswith(".")]


def test_a_film_is_read_one_frame_at_a_time(tmp_path):
    "The first frame comes before a fault behind it is seen: nothing is gathered first."
    bad = np.full((9, 8, 8), .5)
    bad[5] = 2
    frames = frames_of(clips_in(npy(tmp_path/"a.npy", bad))[0])
    assert [next(frames).shape for _ in range(5)] == [(1, 8, 8)]*5
    refuses(lambda: next(frames), "received values from 2 to 2")


@pytest.mark.parametrize("name", ["a.npy", "a.h5", "a.png", "a.gif", "a.webp", "a.ppm", "a.mkv", "a.mp4"])
@pytest.mark.filterwarnings("ignore")
def test_whatever_bytes_are_wrong_the_error_is_ours(tmp_path, name):
    kind, d = name[2:], tmp_path
    if kind in ("npy", "h5"): path = npy(d/name, GREY[:5, :8, :8]) if kind == "npy" else h5(d/name, pixels=GREY[:5, :8, :8], ep_len=[5], action=ACTIONS[:5])
    elif kind in ("gif", "webp"): path = animation(d/name, [40]*3)
    elif kind in ("png", "ppm"): path = (Image.fromarray(square(1)[0]).save(d/name), d/name)[1]
    else: path = film(d/name, square(6))
    whole, draws = path.read_bytes(), np.random.RandomState(0)
    for _ in range(40):
        content = bytearray(whole)
        for at in draws.randint(0, min(len(whole), 300), 4): content[at] = draws.randint(256)
        if draws.rand() < .2: content = content[:draws.randint(len(content))]
        try: read(file(path, bytes(content)))
        except ValueError as e: assert type(e) is ValueError and "received" in str(e) and "\n" not in str(e), repr(e)
