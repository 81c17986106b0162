"""How many people can watch at once?

`python tools/sessions.py [20] [seconds]` starts a server, opens sessions on the Live page as a
browser would, without drawing, and says how long they wait. The waiting includes everything but
a browser's own work."""
import asyncio
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

top = Path(__file__).parent.parent


class Session:
    "One browser tab: asks for chunks when it is told to, and clicks something now and then."
    def __init__(self, address):
        self.address = address
        self.chunks = []      # seconds that each chunk took
        self.clicks = []      # seconds that each run of the whole page took
        self.bytes = 0
        self.fragment = ""
        self.interval = .4

    async def live(self, seconds):
        request = HTTPRequest(self.address)
        self.socket = await websocket_connect(request, subprotocols=["streamlit"])
        self.answered = asyncio.Event()
        listener = asyncio.create_task(self.listen())
        end = time.monotonic()+seconds
        click = 0
        while (now := time.monotonic()) < end:
            if now >= click:
                await self.ask("", self.clicks)
                click = now+3
            else: await self.ask(self.fragment, self.chunks)
            await asyncio.sleep(max(0, now+self.interval-time.monotonic()))
        listener.cancel()

    async def ask(self, fragment, times):
        message = BackMsg()
        message.rerun_script.query_string = ""
        if fragment: message.rerun_script.fragment_id = fragment
        self.answered.clear()
        sent = time.monotonic()
        await self.socket.write_message(message.SerializeToString(), binary=True)
        await asyncio.wait_for(self.answered.wait(), 30)
        times.append(time.monotonic()-sent)

    async def listen(self):
        while (message := await self.socket.read_message()) is not None:
            self.bytes += len(message)
            forward = ForwardMsg.FromString(message)
            if forward.HasField("auto_rerun"):
                self.fragment = forward.auto_rerun.fragment_id
                self.interval = forward.auto_rerun.interval
            if forward.HasField("script_finished"): self.answered.set()
        raise ConnectionError("the server has closed a session")


async def crowd(address, n, seconds):
    sessions = [Session(address) for _ in range(n)]
    await asyncio.gather(*(s.live(seconds) for s in sessions))
    return sessions


def measure(n, seconds, port):
    "Print how long `n` sessions at once wait, and what they get."
    sessions = asyncio.run(crowd(f"ws://localhost:{port}/_stcore/stream", n, seconds))
    chunks = np.concatenate([s.chunks[2:] for s in sessions])
    clicks = np.concatenate([s.clicks[2:] for s in sessions])
    rate = len(chunks)/n/seconds
    kb = np.mean([s.bytes for s in sessions])/seconds/1000
    print(f"{n:>3} sessions: {rate:.2f} chunks/s each (2.5 are asked for), answered in "
          f"{in_ms(chunks)}; a click in {in_ms(clicks)}; {kb:.0f} kB/s each")

def in_ms(times):
    return f"{np.median(times)*1000:.0f} ms (95 %: {np.quantile(times, .95)*1000:.0f})"


def awake(port):
    "Wait until the server answers; 20 seconds at most."
    for _ in range(100):
        try: return urllib.request.urlopen(f"http://localhost:{port}/_stcore/health")
        except OSError: time.sleep(.2)


if __name__ == "__main__":
    given = sys.argv[1:]
    n, seconds = map(int, [*given, *["20", "20"][len(given):]])
    with socket.socket() as s:
        s.bind(("localhost", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py",
               "--server.headless=true", f"--server.port={port}"]
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with subprocess.Popen(command, cwd=top, **quiet) as server:
        awake(port)
        try:
            for many in (1, n): measure(many, seconds, port)
        finally: server.terminate()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime+used.ru_stime
    print(f"the server took {processor:.0f} s of a processor and {used.ru_maxrss/1e6:.2f} GB")
