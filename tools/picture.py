"""Film the dashboard's Live page for README: it watches, reality breaks, it rings.

Needs Chromium."""
import io
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from dvd_jepa.files import atomic_write
from dvd_jepa.show import ALARM, DREAM, REALITY
from PIL import Image
from playwright.sync_api import sync_playwright

top = Path(__file__).parent.parent
WIDTH, HEIGHT = 1440, 900
SHOTS, STRUCK = 30, 8   # screenshots, and the one at which reality breaks
FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"]


def film(address):
    "Screenshots of the Live page; reality breaks at shot `STRUCK`."
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        tab = browser.new_page(viewport=dict(width=WIDTH, height=HEIGHT))
        tab.goto(address)
        tab.wait_for_selector(".stage[data-shown]", timeout=60_000)
        time.sleep(7)
        shots = []
        for i in range(SHOTS):
            if i == STRUCK: tab.get_by_role("button", name="Inject").click()
            shots.append(Image.open(io.BytesIO(tab.screenshot())).convert("RGB"))
            time.sleep(.12)
        browser.close()
    return shots


def filmed():
    "The same, of a server of its own."
    with socket.socket() as s:
        s.bind(("localhost", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py",
               "--server.headless=true", f"--server.port={port}"]
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with subprocess.Popen(command, cwd=top, **quiet) as server:
        time.sleep(5)
        try: return film(f"http://localhost:{port}")
        finally: server.terminate()


def palette_of(shots):
    "128 colours: of two frames, and of large patches of colours that are small in them."
    width, height = shots[0].size
    sample = Image.new("RGB", (width, 2*height))
    for i,shot in enumerate((shots[0], shots[STRUCK+4])): sample.paste(shot, (0, i*height))
    for i,color in enumerate((ALARM, DREAM, REALITY, "#eda0a0")):
        sample.paste(color, (100*i, 0, 100*i+100, 100))
    return sample.quantize(128)


if __name__ == "__main__":
    size = WIDTH*2//3, HEIGHT*2//3
    small = [shot.resize(size, Image.Resampling.LANCZOS) for shot in filmed()]
    palette = palette_of(small)
    first, *rest = [shot.quantize(palette=palette, dither=Image.Dither.NONE) for shot in small]
    with atomic_write(top/"nbs"/"images"/"live.gif") as path:
        first.save(path, save_all=True, append_images=rest, duration=200, loop=0, optimize=True)
