"""How many people can watch at once? Opens sessions on the Live page as a browser would, without drawing, and says how long they wait.
`python tools/sessions.py [20] [seconds]` starts a server of its own; the waiting includes everything but a browser's own work."""
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
    "One browser tab: asks for chunks when it is told to, and once in a while clicks something that runs the whole page."
    def __init__(self, address): self.address, self.chunks, self.clicks, self.bytes, self.fragment, self.interval = address, [], [], 0, "", .4

    async def live(self, seconds):
        self.socket, self.answered = await websocket_connect(HTTPRequest(self.address), subprotocols=["streamlit"]), asyncio.Event()
        listener = asyncio.create_task(self.listen())
        end, click = time.monotonic()+seconds, 0
        while (now := time.monotonic()) < end:
            if now >= click: await self.ask("", self.clicks); click = now+3
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
            if forward.HasField("auto_rerun"): self.fragment, self.interval = forward.auto_rerun.fragment_id, forward.auto_rerun.interval
            if forward.HasField("script_finished"): self.answered.set()
        raise ConnectionError("the server has closed a session")


async def crowd(address, n, seconds):
    sessions = [Session(address) for _ in range(n)]
    await asyncio.gather(*(s.live(seconds) for s in sessions))
    return sessions


def measure(n, seconds, port):
    "Waiting times of `n` sessions at once, s; and what they get."
    sessions = asyncio.run(crowd(f"ws://localhost:{port}/_stcore/stream", n, seconds))
    chunks, clicks = (np.concatenate([getattr(s, name)[2:] for s in sessions]) for name in ("chunks", "clicks"))
    kb = np.mean([s.bytes for s in sessions])/seconds/1000
    print(f"{n:>3} sessions: {len(chunks)/n/seconds:.2f} chunks/s each (2.5 are asked for), answered in {np.median(chunks)*1000:.0f} ms (95 %: {np.quantile(chunks, .95)*1000:.0f}); "
          f"a click in {np.median(clicks)*1000:.0f} ms (95 %: {np.quantile(clicks, .95)*1000:.0f}); {kb:.0f} kB/s each")


if __name__ == "__main__":
    n, seconds = (int(x) for x in (*sys.argv[1:], *("20", "20")[len(sys.argv)-1:]))
    with socket.socket() as s:
        s.bind(("localhost", 0))
        port = s.getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.headless=true", f"--server.port={port}"], cwd=top, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        for _ in range(100):
            try: urllib.request.urlopen(f"http://localhost:{port}/_stcore/health"); break
            except OSError: time.sleep(.2)
        try:
            for many in (1, n): measure(many, seconds, port)
        finally: server.terminate()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"the server took {(used.ru_utime+used.ru_stime):.0f} s of a processor and {used.ru_maxrss/1e6:.2f} GB")
