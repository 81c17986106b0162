"Measure the yardsticks that come with the package: for each of its weights, and the world models among its baselines, what their errors are usually like."
from pathlib import Path

import dvd_jepa
from dvd_jepa.surprise import save_yardstick

folder = Path(__file__).parent.parent/"dvd_jepa"/"weights"/"yardsticks"

if __name__ == "__main__":
    for name in dvd_jepa.packaged():
        (folder/f"{name}.safetensors").unlink(missing_ok=True)   # or it would only be copied
        save_yardstick(dvd_jepa.load(name), folder/f"{name}.safetensors")
    for baseline in sorted(folder.with_name("baselines").glob("untrained-*.safetensors")):
        (folder/baseline.name).unlink(missing_ok=True)
        save_yardstick(dvd_jepa.load(baseline), folder/baseline.name)
