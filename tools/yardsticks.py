"Measure the yardsticks that come with the package: for each of its weights, and the world models among its baselines, what their errors are usually like."
from pathlib import Path

from dvd_jepa.jepa import load, packaged
from dvd_jepa.surprise import save_yardstick

folder = Path(__file__).parent.parent/"dvd_jepa"/"weights"/"yardsticks"


def measure(source, name):
    "Measure a model's yardstick afresh, whatever came with it."
    model, path = load(source), folder/f"{name}.safetensors"
    path.unlink(missing_ok=True)
    model.kept.pop("yardstick", None)
    save_yardstick(model, path)


if __name__ == "__main__":
    for name in packaged(): measure(name, name)
    for path in sorted((folder.parent/"baselines").glob("untrained-*.safetensors")): measure(path, path.stem)
