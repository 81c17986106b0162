"""A camera that speaks RTSP, on this machine: for trying out a watch where no camera is at hand.

    python tools/rtsp.py nbs/films/square-watch.mp4 --port 8554      # rtsp://127.0.0.1:8554/live

It plays a film over and over, at its pace, as H.264 over TCP (RFC 2326, 3550 and 6184). For
tests, a script may be played in place of a film. It is no server for the world outside: it
listens on 127.0.0.1 alone, and knows the few words that a player says."""
import argparse
import base64
import socketserver
import struct
import threading
import time
from fractions import Fraction

import av
import numpy as np
from dvd_jepa.film import read

MOST = 1400   # bytes in a packet


class Rtsp(socketserver.ThreadingTCPServer):
    """Plays `script()`: pictures in bytes, (H, W) or (H, W, 3), or their `nals`; pauses in
    seconds; None to hang up."""
    allow_reuse_address, daemon_threads = True, True

    def __init__(self, script, fps=25, port=0, password=None):
        self.script, self.fps, self.gone, self.password = script, fps, False, password
        super().__init__(("127.0.0.1", port), Talk)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self): return self.server_address[1]

    @property
    def address(self):
        who = f"{self.password}@" if self.password else ""
        return f"rtsp://{who}127.0.0.1:{self.port}/live"

    def handle_error(self, *_): pass   # a player has hung up

    def __enter__(self): return self

    def __exit__(self, *_):
        self.gone = True
        self.shutdown()
        self.server_close()


class Talk(socketserver.StreamRequestHandler):
    "One player: it asks what there is, sets up a track, and wants to see it."
    def handle(self):
        while (line := self.rfile.readline().decode().split()):
            method, url, asked = line[0], line[1], self.headers()
            if not self.allowed(asked):
                self.answer(asked, "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"')
            elif method == "DESCRIBE":
                about = f"Content-Base: {url}/", "Content-Type: application/sdp"
                self.answer(asked, "200 OK", *about, body=SDP)
            elif method == "SETUP":
                how = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
                self.answer(asked, "200 OK", how, "Session: 1")
            elif method == "OPTIONS":
                self.answer(asked, "200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            elif method == "PLAY":
                self.answer(asked, "200 OK", "Session: 1", "RTP-Info: url=live/track")
                return self.play()
            else: return self.answer(asked, "200 OK")

    def headers(self):
        "What a request says of itself."
        said = {}
        while (line := self.rfile.readline().decode().strip()):
            name, _, value = line.partition(":")
            said[name.lower()] = value.strip()
        return said

    def allowed(self, asked):
        wanted = self.server.password
        if wanted is None: return True
        return asked.get("authorization") == "Basic " + base64.b64encode(wanted.encode()).decode()

    def answer(self, asked, status, *headers, body=""):
        head = [f"RTSP/1.0 {status}", f"CSeq: {asked.get('cseq', 0)}", *headers]
        if body: head.append(f"Content-Length: {len(body)}")
        self.wfile.write(("\r\n".join(head) + "\r\n\r\n" + body).encode())

    def play(self):
        beat, due, self.count, encoder = 1/self.server.fps, time.monotonic(), 0, None
        start = due
        for what in self.server.script():
            if what is None or self.server.gone: return
            if isinstance(what, float):
                due += what
                continue
            due = max(due+beat, time.monotonic()-1)
            self.wait(due)
            if not isinstance(what, list):
                if encoder is None or (encoder.height, encoder.width) != what.shape[:2]:
                    encoder = encoder_for(what.shape[:2], self.server.fps)
                what = nals(encoder, what)
            ticks = round(90_000*(due-start))
            for nal in what: self.send(nal, ticks)

    def wait(self, due):
        while not self.server.gone and (left := due-time.monotonic()) > 0: time.sleep(min(left, .1))

    def send(self, nal, ticks):
        "One unit of H.264, in pieces if it is long (RFC 6184, FU-A)."
        if len(nal) <= MOST: return self.packet(nal, ticks, True)
        kind, rest = nal[0], nal[1:]
        for at in range(0, len(rest), MOST):
            first, last = at == 0, at+MOST >= len(rest)
            head = bytes([kind & 0xE0 | 28, first << 7 | last << 6 | kind & 0x1F])
            self.packet(head + rest[at:at+MOST], ticks, last)

    def packet(self, payload, ticks, last):
        "RTP (RFC 3550), within the connection (RFC 2326, 10.12)."
        numbers = self.count & 0xFFFF, ticks & 0xFFFFFFFF, 1
        head = struct.pack(">BBHII", 0x80, 96 | last << 7, *numbers)
        self.count += 1
        self.wfile.write(struct.pack(">BBH", 0x24, 0, len(head)+len(payload)) + head + payload)


SDP = """v=0\r
o=- 1 1 IN IP4 127.0.0.1\r
s=camera\r
t=0 0\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1\r
a=control:track\r
"""


def encoder_for(size, fps):
    "H.264 without delay, with a picture that stands alone once a second."
    made = av.CodecContext.create("libx264", "w")
    made.height, made.width, made.pix_fmt = *size, "yuv420p"
    made.framerate, made.time_base = Fraction(fps).limit_denominator(1000), Fraction(1, 90_000)
    made.options = dict(preset="ultrafast", tune="zerolatency", crf="18", g=str(round(fps)))
    made.thread_count = 1
    return made


def nals(encoder, picture):
    "The units that a picture is packed into, without their start codes."
    grey = picture.ndim == 2
    frame = av.VideoFrame.from_ndarray(picture, format="gray" if grey else "rgb24")
    packed = b"".join(bytes(packet) for packet in encoder.encode(frame))
    units = packed.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [unit for unit in units if unit]


def film(path, times=None):
    "The pictures of a film, over and over; or so many times, and then it hangs up."
    pictures = read(path)
    shown = np.ascontiguousarray(pictures.movedim(1, -1) if pictures.ndim == 4 else pictures)
    count = 0
    while times is None or count < times:
        yield from shown
        count += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Play a film as a camera would, over RTSP.")
    parser.add_argument("film")
    parser.add_argument("--port", type=int, default=8554)
    parser.add_argument("--fps", type=float, default=10.)
    wanted = parser.parse_args()
    with Rtsp(lambda: film(wanted.film), wanted.fps, wanted.port) as server:
        print(f"{wanted.film} plays on {server.address}; Ctrl-C ends it", flush=True)
        try: threading.Event().wait()
        except KeyboardInterrupt: pass
