"""Train the baselines that come with the package.

For each world that is trained on: a pixel predictor and an untrained encoder,
with the sizes and the budget of that world's recipe."""
from pathlib import Path

from dvd_jepa.rivals import baselines, save_pixels
from dvd_jepa.train import RECIPES, home_of

folder = Path(__file__).parent.parent/"dvd_jepa"/"weights"/"baselines"

if __name__ == "__main__":
    for recipe in ("classic", "varied"):
        world = home_of(recipe)
        trained = baselines(world, RECIPES[recipe], trained="fit")
        save_pixels(trained["pixel predictor"], folder/f"pixel-{world.name}.safetensors")
        trained["untrained encoder"].save(folder/f"untrained-{world.name}.safetensors")
