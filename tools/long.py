"""How much memory a long film takes: to decode, to learn from, to watch. For chapter 06.

    python tools/long.py                # two gigabytes of frames: a quarter of an hour

The film is the square's, again and again, until its frames in the cache fill two gigabytes. What
is counted is memory of the process's own, which no file stands behind, ten times a second."""
import argparse
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import av
from dvd_jepa.film import read
from dvd_jepa.files import write_json
from dvd_jepa.monitor import Monitor
from dvd_jepa.train import fit
from dvd_jepa.video import Footage
from dvd_jepa.watching import watch, watchable

top = Path(__file__).parent.parent
RESULTS = top/"nbs"/"studies"/"results"/"06_long.json"
SQUARE = top/"nbs"/"films"/"square.mp4"
SIZE = 80, 120
FRAMES = 2*10**9//(SIZE[0]*SIZE[1]) + 1


def write_long(path, frames):
    pictures = read(SQUARE, grey=True).numpy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=dict(preset="ultrafast"))
        stream.height, stream.width = pictures.shape[1:]
        stream.pix_fmt = "yuv420p"
        for t in range(frames):
            picture = pictures[t % len(pictures)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())


def own_memory():
    "Gigabytes of this process that no file stands behind."
    line = next(x for x in open("/proc/self/status") if x.startswith("RssAnon"))
    return int(line.split()[1])/2**20


@contextmanager
def observed(found, name):
    done, peak, start = threading.Event(), [own_memory()], time.perf_counter()
    def look():
        while not done.wait(.1): peak[0] = max(peak[0], own_memory())
    thread = threading.Thread(target=look)
    thread.start()
    try: yield
    finally:
        done.set()
        thread.join()
        found[name] = dict(gigabytes=peak[0], seconds=time.perf_counter()-start)
        print(name, found[name], flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=FRAMES)
    asked, found = parser.parse_args(), {}
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder)/"long.mp4"
        write_long(film, asked.frames)
        view = dict(size=SIZE, grey=True, cache=folder)
        with observed(found, "a tenth of it, all four"):
            short = Path(folder)/"short.mp4"
            write_long(short, asked.frames//10)
            model = fit("motion", Footage(short, **view), capacity="small", steps=100)
            watch(Monitor(model.measure(), 1e-3).calibrate(), watchable(model, short), 25.)
        with observed(found, "decoded"): footage = Footage(film, **view)
        with observed(found, "trained on"):
            model = fit("motion", footage, capacity="small", steps=100)
        with observed(found, "calibrated"): watcher = Monitor(model.measure(), 1e-3).calibrate()
        with observed(found, "watched"):
            seen = watch(watcher, watchable(model, film), 25., lines=Path(folder)/"alarms.jsonl")
        kept = sum(x.nbytes for x in footage.reel.clips)
    write_json(RESULTS, dict(frames=asked.frames, size=list(SIZE), cached_gigabytes=kept/1e9,
                             watched=len(seen), phases=found))


if __name__ == "__main__": main()
