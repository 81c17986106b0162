"""A watch on this machine, from end to end: `make watch`.

A camera plays a film over RTSP. `dvd-jepa watch` looks at it, writes events and films of them,
and answers Prometheus. After fifteen seconds the camera is killed, and five seconds later it is
back. What was told is printed as it comes; the last lines count it."""
import argparse
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

top = Path(__file__).parent.parent
films = top/"nbs"/"films"
CLI = sys.executable, "-c", "from dvd_jepa.cli import main; main()"
KILLED, BACK, OVER = 15, 20, 42   # seconds
SEEN = 'dvd_jepa_frames_total{camera="square"}'


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def camera(port):
    command = [sys.executable, top/"tools"/"rtsp.py", films/"square-watch.mp4", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()   # it plays
    return process


def told(path, after=0):
    "The events so far, but for the first few."
    if not path.exists(): return []
    return [json.loads(line) for line in path.read_text().splitlines()][after:]


def metrics(port):
    "What Prometheus would read: a name and its labels → a number. Nothing while nobody answers."
    address = f"http://127.0.0.1:{port}/metrics"
    try: text = urllib.request.urlopen(address, timeout=1).read().decode()
    except OSError: return {}
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("dvd_jepa")]
    return {name: float(value) for name,_,value in lines}


def watcher(address, model, out, port):
    files = "--events", out/"events.jsonl", "--clips", out/"clips"
    how = "--model", model, "--metrics", port, "--patience", 3, "--state", out/"state.safetensors"
    return subprocess.Popen(list(map(str, [*CLI, "watch", f"square={address}", *how, *files])))


def said(event):
    about = f"{event['state']:>6}  {event['kind']:<8} {event['id']:<6}"
    return f"{about} peak {event['peak']:5.1f}  {event['clip'] or ''}".rstrip()


def story(model, out, port=9105, times=(KILLED, BACK, OVER), enough=lambda events: False):
    "Live through it; returns the events, the last metrics, and the exit code of the watch."
    out.mkdir(parents=True, exist_ok=True)
    events, at, (killed, back, over) = out/"events.jsonl", free_port(), times
    old, count, numbers, passed, start = len(told(events)), 0, {}, 0., None
    deadline = time.monotonic() + 120
    server, watch = camera(at), watcher(f"rtsp://127.0.0.1:{at}/live", model, out, port)
    try:
        while watch.poll() is None and passed < over:
            time.sleep(.2)
            numbers = metrics(port) or numbers
            if start is None and numbers.get(SEEN): start = time.monotonic()
            if start is None and time.monotonic() > deadline: break   # nothing was ever judged
            passed = 0. if start is None else time.monotonic()-start
            for event in told(events, old+count):
                print(f"{passed:5.1f} s  {said(event)}", flush=True)
                count += 1
            if enough(told(events, old)): break
            if server and killed <= passed < back:
                print(f"{passed:5.1f} s  (the camera is killed)", flush=True)
                server.kill()
                server.wait()
                server = None
            if not server and passed >= back:
                print(f"{passed:5.1f} s  (the camera is back)", flush=True)
                server = camera(at)
    finally:
        watch.send_signal(signal.SIGTERM)
        code = watch.wait(30)
        if server: server.kill()
    return told(events, old), numbers, code


def train(model):
    film = films/"square.mp4"
    wanted = "--recipe", "motion", "--source", film, "--grey", "--out", model
    subprocess.run([*CLI, "train", *wanted], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("runs/square"))
    parser.add_argument("--out", type=Path, default=Path("runs/watch"))
    wanted = parser.parse_args()
    if not (wanted.model/"model.safetensors").exists(): train(wanted.model)
    happened, numbers, code = story(wanted.model, wanted.out)
    starts = [event["kind"] for event in happened if event["state"] == "start"]
    counts = f"strange: {starts.count('strange')}, dead: {starts.count('dead')}"
    print(f"\nevents: {counts}; events.jsonl and clips/ lie in {wanted.out}/")
    print("/metrics said at the end:")
    for name,value in sorted(numbers.items()): print(f"  {name} {value:g}")
    if code == 2 or not numbers: sys.exit("the watch failed: see what it says above")
