"""What becomes of a watch when its camera, its disk, its network or its process fails.

    python tools/faults.py        # some fifty faults on this machine, ten minutes; for study 27
    python tools/faults.py NAME…  # some of them, and nothing is written

A server plays a camera over HTTP (MJPEG), another over RTSP, and they do what cameras do. One
fault wants GStreamer's RTSP server (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi and its
plugins), two want mosquitto. Waits are short: a camera
counts as dead after a second and a half, and as frozen after two."""
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import torch
from dvd_jepa.attend import Attendant
from dvd_jepa.camera import Camera
from dvd_jepa.cameras import looker
from dvd_jepa.config import Config
from dvd_jepa.files import write_json
from dvd_jepa.jepa import load
from dvd_jepa.monitor import Monitor
from dvd_jepa.sinks import Lines, Metrics, Mqtt, Webhook, as_dict
from dvd_jepa.train import fit
from dvd_jepa.video import Footage
from PIL import Image
from rtsp import Rtsp

top = Path(__file__).parent.parent
RESULTS = top/"nbs"/"studies"/"results"/"27_faults.json"
FPS, PATIENCE, FROZEN = 25, 1.5, 2.


def shot(t, size=(24, 32), seed=0):
    "A dot that runs to the right, as a camera's JPEG has it; bytes, (H, W)."
    y, x = np.mgrid[:size[0], :size[1]]
    dot = 220*np.exp(-((y-size[0]//2)**2 + (x-t % size[1])**2)/8)
    noise = np.random.RandomState(1000*seed + t).randint(0, 16, size)
    return np.asarray(Image.open(io.BytesIO(packed((dot + noise).astype(np.uint8)))))


def packed(picture):
    "As a JPEG."
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=95)
    return file.getvalue()


@cache
def trained():
    "A small map model of the dot, and a file that holds it."
    small = Config("dots", context=3, ahead=3, lags=3, encoder="map", predictor="map", latent=8,
                   encoder_hidden=(8, 8), predictor_hidden=(16,), anti_collapse="ema+vicreg",
                   steps=300, batch=32, decoder_steps=0, probe_steps=0)
    day = torch.from_numpy(np.stack([shot(t) for t in range(6000)]))
    model = fit(small, Footage(day.reshape(100, 60, 24, 32)))
    path = Path(tempfile.mkdtemp())/"dots.safetensors"
    model.save(path)
    return load(path), path


class Server(ThreadingHTTPServer):
    "A camera. `script` gives pictures in bytes, pauses in seconds, or None to hang up."
    allow_reuse_address, daemon_threads = True, True

    def __init__(self, script, port=0, status=200, kind="multipart/x-mixed-replace;boundary=b"):
        self.script, self.status, self.kind, self.gone, self.quiet = script, status, kind, False, 0.
        super().__init__(("127.0.0.1", port), Play)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_): pass

    def __enter__(self): return self
    def __exit__(self, *_):
        self.gone = True
        self.shutdown()
        self.server_close()

    @property
    def address(self): return f"http://me:secret@127.0.0.1:{self.server_port}/live"


class Play(BaseHTTPRequestHandler):
    def log_message(self, *_): pass

    def do_GET(self):
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        self.end_headers()
        for what in self.server.script():
            if what is None or self.server.gone: return self.connection.close()
            if isinstance(what, float): self.server.quiet = time.monotonic() + what
            while time.monotonic() < self.server.quiet: time.sleep(.02)   # whoever calls
            if isinstance(what, bytes):
                head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(what)}\r\n\r\n"
                self.wfile.write(head.encode() + what + b"\r\n")
                time.sleep(1/FPS)


def lively(start, count, step=1, **how):
    return [packed(shot(t, **how)) for t in range(start, start+count*step, step)]


def noise(low, high, count):
    draws = np.random.RandomState(0)
    return [packed(draws.randint(low, high, (24, 32)).astype(np.uint8)) for _ in range(count)]


def still(picture, count): return [packed(picture)]*count


class Watch:
    "A watch in this process, for some seconds; what it told, and what it noted."
    def __init__(self, folder=None, sinks=(), metrics=None, **how):
        self.told, self.notes = [], []
        model, _ = trained()
        monitor = Monitor(model, 1e-3).calibrate()
        state = None if folder is None else Path(folder)/"watch.safetensors"
        self.attendant = Attendant(monitor, looker(model), [self.told.append, *sinks], state=state,
                                   note=self.notes.append, metrics=metrics, as_dict=as_dict,
                                   calm=1., **how)

    def run(self, address, seconds, longest=.3, **how):
        return self.run_all({"desk": address}, seconds, longest, **how)

    def run_all(self, addresses, seconds, longest=.3, **how):
        a, add = self.attendant, self.attendant.add
        a.add = lambda name, patience: add(name, patience, FROZEN)
        with ExitStack() as entered:
            cameras = {name: entered.enter_context(
                Camera(address, True, PATIENCE, 24, (1, 24, 32), longest, **how))
                for name,address in addresses.items()}
            a.attend(cameras, seconds)
        self.camera = cameras["desk"]
        return self

    @property
    def post(self): return self.attendant.posts["desk"]

    def kinds(self):
        return [f"{e['kind']} {e['state']}" for e in self.told if e["state"] != "update"]


FAULTS = []


def fault(expected):
    "A scenario: a function that returns what was seen; its docstring says what goes wrong."
    def keep(run):
        FAULTS.append((run.__name__, run.__doc__, expected, run))
        return run
    return keep


GOES_ON = [packed(shot(t, seed=9)) for t in range(600)]


def told(script, seconds=7., **how):
    "What a watch tells of a camera that follows a script and then goes on as ever."
    going = iter([*script, *GOES_ON])   # who calls again sees what comes next
    with Server(lambda: going) as server: watch = Watch(**how).run(server.address, seconds)
    assert "secret" not in json.dumps([watch.told, watch.notes])
    return watch


@fault([])
def nothing():
    "Nothing goes wrong"
    watch = told([])
    assert watch.post.judged > 100, "it has judged what it saw"
    return watch.kinds()


@fault([])
def beside_a_dead_one():
    "Another camera is dead, a third slow; this one is judged as ever"
    steady = iter(lively(0, 600))
    slow = iter([x for one in lively(0, 100) for x in (one, .2)])
    with Server(lambda: steady) as server, Server(lambda: slow) as third:
        watch = Watch()
        cameras = {"desk": server.address, "dead": "http://127.0.0.1:1/live", "slow": third.address}
        watch.run_all(cameras, 7)
    assert watch.post.judged > 100
    assert [e["kind"] for e in watch.told if e["camera"] == "dead"][:1] == ["dead"]
    return [e["kind"] for e in watch.told if e["camera"] == "desk"]


@fault([])
def thinned():
    "Twelve pictures a second for a model of ten"
    script = iter([x for one in lively(0, 150, step=2) for x in (one, .04)])
    with Server(lambda: script) as server: watch = Watch(fps=10.).run(server.address, 7)
    assert watch.post.judged > 20
    return [k for k in watch.kinds() if not k.startswith("strange")]


@fault(["unjudged start", "unjudged end"])
def night_mode():
    "From twenty-five pictures a second to two, for good: until it knows the new pace, it says so"
    script = iter([*lively(0, 50), *[x for one in lively(50, 50) for x in (one, .46)]])
    with Server(lambda: script) as server: watch = Watch().run(server.address, 16)
    before = watch.post.judged
    assert before > 45
    return [k for k in watch.kinds() if k.startswith(("dead", "unjudged"))]


@fault(["frozen start", "frozen end"])
def frozen():
    "No picture is new"
    return told(lively(0, 25) + still(shot(25), 80), 8).kinds()


@fault(["dark start", "dark end"])
def black():
    "The picture is black"
    found = told(lively(0, 25) + noise(0, 9, 75), 8).kinds()
    return [k for k in found if not k.startswith("strange")]


@fault(["bright start", "bright end"])
def white():
    "The picture is blown out"
    found = told(lively(0, 25) + noise(247, 256, 75), 8).kinds()
    return [k for k in found if not k.startswith("strange")]


@fault([])
def blink():
    "Black for half a second: no fault (that it is strange is another matter)"
    found = told(lively(0, 50) + still(np.zeros((24, 32), np.uint8), 12)).kinds()
    return [k for k in found if not k.startswith("strange")]


@fault(["dead start", "dead end"])
def silent():
    "The connection stays, and no picture comes"
    return told(lively(0, 25) + [3.5], 8).kinds()


@fault([])
def hiccup():
    "No picture for a second"
    return told(lively(0, 25) + [1.]).kinds()


@fault([])
def hangs_up_at_once():
    "The camera hangs up after each second and takes the next call"
    def script():
        yield from lively(0, 25)
        yield None
    with Server(script) as server: watch = Watch().run(server.address, 7)
    assert watch.camera.breaks >= 2
    return watch.kinds()


@fault(["dead start"])
def nobody():
    "Nobody is there"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    return Watch().run(f"http://127.0.0.1:{port}/live", 4).kinds()


@fault(["dead start", "dead end"])
def late():
    "Nobody is there at first; the camera comes later"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    watch = Watch()
    thread = threading.Thread(target=watch.run, args=(f"http://127.0.0.1:{port}/live", 8))
    thread.start()
    time.sleep(3)
    with Server(lambda: lively(0, 500), port): thread.join()
    return watch.kinds()


@fault(["dead start", "dead end"])
def restarted():
    "The server is restarted, and is away for three seconds"
    with Server(lambda: lively(0, 500)) as first:
        watch = Watch()
        thread = threading.Thread(target=watch.run, args=(first.address, 10))
        thread.start()
        time.sleep(2)
        port = first.server_port
    time.sleep(3)
    with Server(lambda: lively(0, 500), port): thread.join()
    return watch.kinds()


def refused_with(status):
    with Server(lambda: [], status=status) as server: watch = Watch().run(server.address, 4)
    assert watch.camera.breaks >= 1 and not any("secret" in n for n in watch.notes)
    return watch.kinds()


@fault(["dead start"])
def not_found():
    "It answers 404"
    return refused_with(404)


@fault(["dead start"])
def out_of_order():
    "It answers 500"
    return refused_with(500)


@fault(["dead start"])
def locked_out():
    "It answers 401: another password"
    return refused_with(401)


@fault(["dead start"])
def a_page():
    "A page of text in place of pictures"
    with Server(lambda: [b"<html>log in</html>"]*50, kind="text/html") as server:
        return Watch().run(server.address, 4).kinds()


@fault([])
def garbage():
    "Bytes that are no picture, between pictures"
    junk = np.random.RandomState(0).bytes(3000)
    found = told(lively(0, 40) + [junk]*3, 7).kinds()
    return [k for k in found if not k.startswith("strange")]


@fault([])
def cut_short():
    "Pictures that break off half way"
    whole = lively(40, 5)
    found = told(lively(0, 40) + [one[:len(one)//2] for one in whole], 7).kinds()
    return [k for k in found if not k.startswith("strange")]


@fault(["unfit start", "unfit end"])
def resized():
    "Another resolution in mid-stream, and back"
    found = told(lively(0, 40) + lively(0, 50, size=(48, 64)), 8).kinds()
    return [k for k in found if not k.startswith("strange")]


@fault(["strange start", "strange end"])
def strange():
    "Something strange: the dot runs backwards for a second"
    script = lively(0, 50) + [packed(shot(1000-t)) for t in range(25)]
    return told(script, 7).kinds()[:2]


@fault("moved start")
def moved():
    "The camera is turned away for good"
    script = [packed(255-shot(t)//2) for t in range(2000)]
    watch = told(script, 9, moved=4.)
    return next((k for k in watch.kinds() if k.startswith("moved")), None)


@fault("some in a row are judged, the rest counted")
def too_fast():
    "Pictures come faster than they can be judged"
    with Server(lambda: lively(0, 150)) as server:
        watch = Watch()
        look = watch.attendant.look
        def slow(picture):
            time.sleep(.15)
            return look(picture)
        watch.attendant.look = slow
        watch.run(server.address, 5, longest=60)
    camera, waiting = watch.camera, len(watch.camera._waiting)
    seen, judged = camera.came - camera.dropped - waiting, watch.post.judged
    # it keeps 24, of which some eight are seen before all go: three of them have their past
    fine = camera.dropped > 20 and seen/5 < judged < seen
    return "some in a row are judged, the rest counted" if fine else [camera.came, seen, judged]


@fault([])
def thin():
    "A slow camera: five pictures a second where there were twenty-five"
    script = [x for one in lively(0, 20) for x in (one, .16)]
    found = told(script, 6).kinds()
    return [k for k in found if not k.startswith("strange")]


# The same over RTSP, where pictures are H.264

def seen_by_rtsp(script, seconds=9., fps=FPS, **how):
    "What a watch tells of an RTSP camera, but for what is strange."
    going = iter([*script, *(shot(t, seed=9) for t in range(600))])
    with Rtsp(lambda: going, fps, password="me:secret") as server:
        watch = Watch(**how).run(server.address, seconds)
    assert "secret" not in json.dumps([watch.told, watch.notes])
    assert watch.post.judged > 30
    return [k for k in watch.kinds() if not k.startswith("strange")]


def moving(first, count, **how): return [shot(t, **how) for t in range(first, first+count)]


@fault([])
def rtsp_nothing():
    "RTSP: nothing goes wrong"
    return seen_by_rtsp([])


@fault(["frozen start", "frozen end"])
def rtsp_frozen():
    "RTSP: no picture is new (H.264 draws it anew once a second, a little differently at first)"
    return seen_by_rtsp(moving(0, 40) + [shot(40)]*200, 14)


@fault(["dark start", "dark end"])
def rtsp_black():
    "RTSP: the picture is black"
    dark = [np.random.RandomState(t).randint(0, 9, (24, 32)).astype(np.uint8) for t in range(75)]
    return seen_by_rtsp(moving(0, 40) + dark)


@fault(["unfit start", "unfit end"])
def rtsp_resized():
    "RTSP: another resolution in mid-stream, and back"
    return seen_by_rtsp(moving(0, 40) + moving(0, 50, size=(48, 64)))


@fault(["dead start", "dead end"])
def rtsp_silent():
    "RTSP: the connection stays, and no picture comes"
    return seen_by_rtsp(moving(0, 40) + [4.], 12)


@fault([])
def rtsp_throttled():
    "RTSP: a network that lets through five pictures a second where there were twenty-five"
    return seen_by_rtsp([x for one in moving(0, 25) for x in (one, .16)])


@fault(["dead start", "dead end"])
def rtsp_restarted():
    "RTSP: the server is killed, and is back after three seconds"
    with Rtsp(lambda: moving(0, 500), FPS) as first:
        watch = Watch()
        thread = threading.Thread(target=watch.run, args=(first.address, 12))
        thread.start()
        time.sleep(3)
        port = first.port
    time.sleep(3)
    with Rtsp(lambda: moving(0, 500), FPS, port): thread.join()
    return [k for k in watch.kinds() if not k.startswith("strange")]


@fault(["dead start"])
def rtsp_locked_out():
    "RTSP: another password"
    with Rtsp(lambda: moving(0, 500), FPS, password="me:another") as server:
        watch = Watch().run(server.address.replace("another", "secret"), 5)
    assert watch.notes and "secret" not in json.dumps([watch.told, watch.notes])
    return watch.kinds()


GSTREAMER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer, GLib
Gst.init(None)
server = GstRtspServer.RTSPServer(service=sys.argv[1], address="127.0.0.1")
factory = GstRtspServer.RTSPMediaFactory()
source = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=32,height=24,framerate=25/1"
factory.set_launch(f"( {source} ! x264enc tune=zerolatency ! rtph264pay name=pay0 )")
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
GLib.MainLoop().run()
"""


@fault(["dead start", "dead end"])
def gstreamer_restarted():
    "RTSP by GStreamer: its server is killed, and is back after three seconds"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    def serve():
        command = ["/usr/bin/python3", "-c", GSTREAMER, str(port)]   # Debian's, which has its parts
        return subprocess.Popen(command, stderr=-3)
    server = serve()
    time.sleep(2)
    watch = Watch()
    thread = threading.Thread(target=watch.run, args=(f"rtsp://127.0.0.1:{port}/live", 14))
    thread.start()
    time.sleep(4)
    server.kill()
    server.wait()
    before = watch.post.judged
    time.sleep(3)
    server = serve()
    thread.join()
    server.kill()
    assert before > 20 and watch.post.judged > before + 20
    return [k for k in watch.kinds() if not k.startswith("strange")]


@fault(["dead start", "dead end"])
def recorder_pauses():
    "A file that grows: its recorder pauses for four seconds, then begins a new file"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)/"camera.ts"
        def record(first, seconds):
            "At its pace, as MPEG-TS."
            with av.open(str(path), "w", format="mpegts", options=dict(flush_packets="1")) as film:
                stream = film.add_stream("libx264", rate=FPS, options=dict(tune="zerolatency"))
                stream.height, stream.width, stream.pix_fmt = 24, 32, "yuv420p"
                for t in range(first, first+round(FPS*seconds)):
                    picture = av.VideoFrame.from_ndarray(shot(t), format="gray")
                    film.mux(stream.encode(picture))
                    time.sleep(1/FPS)
        def recorder():
            record(0, 4)
            time.sleep(4)
            path.unlink()   # it begins a new one
            record(0, 5)
        thread = threading.Thread(target=recorder)
        thread.start()
        wait_for(path.exists)
        watch = Watch().run(path, 15, follow=True)
        thread.join()
    assert watch.post.judged > 120
    return [k for k in watch.kinds() if not k.startswith("strange")][:2]


def shell(*args, **how):
    command = [sys.executable, "-c", "from dvd_jepa.cli import main; main()", *map(str, args)]
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, **how)


def lines_in(path): return [json.loads(line) for line in path.read_text().splitlines()]


@contextmanager
def by_command(folder, script, *args):
    "`dvd-jepa watch` on a camera that follows a script."
    going = iter([*script, *GOES_ON])
    with Server(lambda: going) as server:
        how = dict(model=trained()[1], patience=PATIENCE, state=folder/"watch.safetensors",
                   events=folder/"events.jsonl")
        words = [word for name,value in how.items() for word in (f"--{name}", value)]
        yield lambda *more: shell("watch", f"desk={server.address}", *words, *args, *more)


def wait_for(ready, seconds=40.):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if ready(): return True
        time.sleep(.1)
    return False


@fault("the same event ends, and ids go on")
def killed():
    "kill -9 in the middle of an event, and a new start"
    with tempfile.TemporaryDirectory() as name:
        folder, backwards = Path(name), [packed(255-shot(t)//2) for t in range(250)]
        events = folder/"events.jsonl"
        with by_command(folder, lively(0, 50) + backwards) as start:
            process = start()
            wait_for(lambda: events.exists() and events.stat().st_size)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = start("--seconds", 12)
            process.wait()
        found = lines_in(events)
    first, starts = found[0], [e["id"] for e in found if e["state"] == "start"]
    ended = any(e["id"] == first["id"] and e["state"] == "end" for e in found)
    fine = ended and len(set(starts)) == len(starts)
    return "the same event ends, and ids go on" if fine else [(e["id"], e["state"]) for e in found]


@fault("exit 0 or 1, and the state is kept")
def told_to_stop():
    "SIGTERM"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with by_command(folder, []) as start:
            process = start()
            wait_for((folder/"watch.safetensors").exists)
            time.sleep(1)
            process.terminate()
            code = process.wait(20)
        kept = (folder/"watch.safetensors").exists()
    return "exit 0 or 1, and the state is kept" if code in (0, 1) and kept else code


@fault("exit 2, and the file is named")
def state_damaged():
    "The state file is cut in half"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder/"watch.safetensors").write_bytes(b"half a fi")
        with by_command(folder, []) as start:
            process = start("--seconds", 3)
            _, said = process.communicate(timeout=60)
    fine = process.returncode == 2 and b"watch.safetensors" in said
    return "exit 2, and the file is named" if fine else said.decode()


@fault("begins anew, and says so")
def other_model():
    "The state belongs to another model, or to another kind of score"
    with tempfile.TemporaryDirectory() as name:
        with Server(lambda: lively(0, 500)) as server:
            Watch(name).run(server.address, 1)
            watch = Watch(name)   # the first has let go of the state
            watch.attendant.monitor = Monitor(trained()[0], 1e-3, "latent")
            watch.attendant.monitor.threshold = 5.
            watch.run(server.address, 1)
    fine = any("begins anew" in note for note in watch.notes)
    return "begins anew, and says so" if fine else watch.notes


class Receiver(ThreadingHTTPServer):
    "A webhook's receiver; it answers as `answers` says, then 200."
    daemon_threads = True
    def __init__(self, answers=(), port=0):
        self.answers, self.taken = list(answers), []
        super().__init__(("127.0.0.1", port), Take)
        threading.Thread(target=self.serve_forever, daemon=True).start()
    def handle_error(self, *_): pass
    def __enter__(self): return self
    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Take(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if answer == "hang": return time.sleep(2)
        if answer == "rave": return self.wfile.write(b"\x00\x01 no HTTP\r\n\r\n")
        if answer == 200: self.server.taken.append(body["id"])
        self.send_response(answer)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/")
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_GET(self):   # whoever follows comes here
        self.server.taken.append("elsewhere")
        self.send_response(200)
        self.end_headers()


def delivered(answers, count=4):
    with tempfile.TemporaryDirectory() as folder, Receiver(answers) as receiver:
        hook = Webhook(f"http://127.0.0.1:{receiver.server_port}/", folder, patience=.7, longest=.2)
        for i in range(count): hook(dict(id=str(i), state="start"))
        hook.close(20)
        return receiver.taken


IN_ORDER = ["0", "1", "2", "3"]


@fault(IN_ORDER)
def receiver_fails():
    "The webhook's receiver answers 500, 503, 500"
    return delivered([500, 503, 500])


@fault(IN_ORDER)
def receiver_hangs():
    "It takes the call and says nothing"
    return delivered(["hang", "hang"])


@fault(IN_ORDER)
def receiver_raves():
    "It answers with bytes that are no HTTP"
    return delivered(["rave", "rave"])


@fault(IN_ORDER)
def receiver_elsewhere():
    "It sends us elsewhere (we don't go)"
    return delivered([302, 307])


@fault(IN_ORDER)
def receiver_down():
    "It is down, and comes back on the same port"
    with tempfile.TemporaryDirectory() as folder:
        with Receiver() as receiver: port = receiver.server_port
        hook = Webhook(f"http://127.0.0.1:{port}/", folder, patience=.7, longest=.2)
        for i in range(4): hook(dict(id=str(i), state="start"))
        time.sleep(1)
        with Receiver(port=port) as receiver:
            hook.close(20)
            return receiver.taken


@fault(IN_ORDER)
def spool_inherited():
    "The process dies while events wait; the next one posts them"
    with tempfile.TemporaryDirectory() as folder, Receiver() as receiver:
        dying = Webhook("http://127.0.0.1:1/", folder, longest=.1)
        for i in range(4): dying(dict(id=str(i), state="start"))
        dying.close(0)
        heir = Webhook(f"http://127.0.0.1:{receiver.server_port}/", folder, longest=.2)
        heir.close(20)
        return receiver.taken


@fault("noted, and the watch goes on")
def sink_fails():
    "Whoever is told of an event fails in a way nobody thought of"
    def bad(event): raise RuntimeError("no")
    watch = told(lively(0, 50) + [packed(255-shot(t)//2) for t in range(50)], 6, sinks=[bad])
    fine = any("RuntimeError" in note for note in watch.notes) and watch.post.judged > 80
    return "noted, and the watch goes on" if fine else watch.notes


@fault("noted, and the watch goes on")
def disk_refuses():
    "The events' file can't be written any more"
    with tempfile.TemporaryDirectory() as name:
        lines = Lines(Path(name)/"events.jsonl")
        lines.path = Path(name)   # a folder: what a lost disk answers like
        script = lively(0, 50) + [packed(255-shot(t)//2) for t in range(50)]
        watch = told(script, 6, sinks=[lines])
    fine = any("Lines" in note for note in watch.notes) and watch.told
    return "noted, and the watch goes on" if fine else watch.notes


@fault("exit 2, and the port is named")
def port_taken():
    "The port for /metrics is taken"
    with Server(lambda: []) as server, tempfile.TemporaryDirectory() as name:
        with by_command(Path(name), []) as start:
            process = start("--metrics", server.server_port, "--seconds", 3)
            _, said = process.communicate(timeout=60)
        fine = process.returncode == 2 and str(server.server_port).encode() in said
    return "exit 2, and the port is named" if fine else said.decode()


@fault("503 while it is dead, then 200")
def health_asked():
    "/healthz while the camera is dead, and after"
    import urllib.error
    import urllib.request
    def ask():
        try: return urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").status
        except urllib.error.HTTPError as e: return e.code
    metrics = Metrics(0)
    port, going = metrics.server.server_port, iter([*lively(0, 25), 3.5, *GOES_ON])
    with Server(lambda: going) as server:
        watch = Watch(metrics=metrics)
        thread = threading.Thread(target=watch.run, args=(server.address, 9))
        thread.start()
        time.sleep(4)
        seen = [ask()]
        thread.join()
    seen.append(ask())
    metrics.close()
    return "503 while it is dead, then 200" if seen == [503, 200] else seen


@fault(IN_ORDER)
def broker_late():
    "The MQTT broker comes up after the events"
    from shutil import which
    if not (mosquitto := which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")): return None
    from paho.mqtt import subscribe
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    sink = Mqtt(f"mqtt://127.0.0.1:{port}/home")
    for i in range(4): sink(dict(id=str(i), camera="desk", kind="strange"))
    broker = subprocess.Popen([mosquitto, "-p", str(port)], stdout=-3, stderr=-3)
    try:
        came, done = [], threading.Event()
        def take(client, data, message):
            came.append(json.loads(message.payload)["id"])
            if len(came) == 4: client.disconnect()
        time.sleep(.3)
        thread = threading.Thread(daemon=True, target=lambda: (subscribe.callback(
            take, "home/#", hostname="127.0.0.1", port=port, qos=1), done.set()))
        thread.start()
        done.wait(20)
        return came
    finally:
        sink.close()
        broker.terminate()


@fault(IN_ORDER)
def broker_restarted():
    "The MQTT broker is killed between two events, and is back after two seconds"
    from shutil import which
    if not (mosquitto := which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")): return None
    from paho.mqtt.client import CallbackAPIVersion, Client
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    def serve():
        made = subprocess.Popen([mosquitto, "-p", str(port)], stdout=-3, stderr=-3)
        time.sleep(.5)
        return made
    came, broker = [], serve()
    sink = Mqtt(f"mqtt://127.0.0.1:{port}/home")
    listener = Client(CallbackAPIVersion.VERSION2)
    listener.reconnect_delay_set(.1, .5)
    listener.on_connect = lambda client, *_: client.subscribe("home/#", qos=1)
    listener.on_message = lambda client, data, m: came.append(json.loads(m.payload)["id"])
    listener.connect("127.0.0.1", port)
    listener.loop_start()
    time.sleep(.5)
    def tell(*ids):
        for i in ids: sink(dict(id=str(i), camera="desk", kind="strange"))
    try:
        tell(0, 1)
        wait_for(lambda: len(came) == 2, 10)
        broker.kill()
        broker.wait()
        tell(2)
        time.sleep(2)
        broker = serve()
        wait_for(listener.is_connected, 10)
        time.sleep(1)
        tell(3)
        wait_for(lambda: len(came) >= 4, 20)
        return sorted(came)
    finally:
        listener.loop_stop()
        sink.close()
        broker.terminate()


@fault("it says how much is missing")
def pipe_cut():
    "Raw pictures on stdin that break off in the middle of one"
    with tempfile.TemporaryDirectory() as name:
        process = shell("watch", "-", "--model", trained()[1], "--events", Path(name)/"e.jsonl",
                        stdin=subprocess.PIPE)
        day = b"".join(shot(t).tobytes() for t in range(60)) + b"half"
        _, said = process.communicate(day, timeout=60)
    fine = b"received 4 bytes, expected 768" in said and process.returncode in (0, 1)
    return "it says how much is missing" if fine else said.decode()


def main(*names):
    trained()
    found = []
    for name,what,expected,run in FAULTS:
        if names and name not in names: continue
        start = time.perf_counter()
        try: seen = run()
        except Exception as e: seen = repr(e)
        found.append(dict(fault=what, expected=expected, seen=seen, as_expected=seen == expected,
                          seconds=round(time.perf_counter()-start, 1)))
        print(*("  ", name) if seen == expected else ("!!", name, seen), flush=True)
        kept = dict(patience=PATIENCE, frozen=FROZEN, faults=found)
        if not names: write_json(RESULTS, kept)


if __name__ == "__main__": main(*sys.argv[1:])
