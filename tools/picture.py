"Film the dashboard's Live page for README: it watches, reality breaks, it rings. Needs Chromium."
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
WIDTH, HEIGHT, SHOTS, STRUCK = 1440, 900, 30, 8


def film(address):
    "Screenshots of the Live page; reality breaks at shot `STRUCK`."
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"])
        tab, shots = browser.new_page(viewport=dict(width=WIDTH, height=HEIGHT)), []
        tab.goto(address)
        tab.wait_for_selector(".stage[data-shown]", timeout=60_000)
        time.sleep(7)
        for i in range(SHOTS):
            if i == STRUCK: tab.get_by_role("button", name="Inject").click()
            shots.append(Image.open(io.BytesIO(tab.screenshot())).convert("RGB"))
            time.sleep(.12)
        browser.close()
    return shots


if __name__ == "__main__":
    with socket.socket() as s:
        s.bind(("localhost", 0))
        port = s.getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.headless=true", f"--server.port={port}"], cwd=top, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        time.sleep(5)
        try: shots = film(f"http://localhost:{port}")
        finally: server.terminate()
    small = [shot.resize((WIDTH*2//3, HEIGHT*2//3), Image.Resampling.LANCZOS) for shot in shots]
    sample = Image.new("RGB", (small[0].width, 2*small[0].height))   # of two frames, and large patches of colours that are small in them
    for i,shot in enumerate((small[0], small[STRUCK+4])): sample.paste(shot, (0, i*shot.height))
    for i,color in enumerate((ALARM, DREAM, REALITY, "#eda0a0")): sample.paste(color, (100*i, 0, 100*i+100, 100))
    palette = sample.quantize(128)
    frames = [shot.quantize(palette=palette, dither=Image.Dither.NONE) for shot in small]
    with atomic_write(top/"nbs"/"images"/"live.gif") as path: frames[0].save(path, save_all=True, append_images=frames[1:], duration=200, loop=0, optimize=True)
