"""Measure the yardsticks that come with the package: what a model's errors are usually like.

Each of the packaged weights has one, and so have the world models among its baselines."""
from pathlib import Path

from dvd_jepa.jepa import load, packaged
from dvd_jepa.surprise import save_yardstick

folder = Path(__file__).parent.parent/"dvd_jepa"/"weights"/"yardsticks"


def measure(source, name):
    "Measure a model's yardstick afresh, whatever came with it."
    model = load(source)
    path = folder/f"{name}.safetensors"
    path.unlink(missing_ok=True)
    model.kept.pop("yardstick", None)
    save_yardstick(model, path)


if __name__ == "__main__":
    for name in packaged(): measure(name, name)
    untrained = (folder.parent/"baselines").glob("untrained-*.safetensors")
    for path in sorted(untrained): measure(path, path.stem)
