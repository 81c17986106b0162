"Measure the yardsticks that come with the package: for each of its weights, what their errors are usually like."
from pathlib import Path

import dvd_jepa
from dvd_jepa.surprise import save_yardstick

folder = Path(__file__).parent.parent/"dvd_jepa"/"weights"/"yardsticks"

if __name__ == "__main__":
    for name in dvd_jepa.packaged():
        (folder/f"{name}.safetensors").unlink(missing_ok=True)   # or it would only be copied
        save_yardstick(dvd_jepa.load(name), folder/f"{name}.safetensors")
