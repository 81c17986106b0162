"Train the baselines that come with the package: a pixel predictor and an untrained encoder for each world that is trained on."
from pathlib import Path

from dvd_jepa.dream import baselines, save_pixels
from dvd_jepa.world import World

folder = Path(__file__).parent.parent/"dvd_jepa"/"weights"/"baselines"

if __name__ == "__main__":
    for world in (World.classic(), World.varied()):
        trained = baselines(world, trained="fit")
        save_pixels(trained["pixel predictor"], folder/f"pixel-{world.name}.safetensors")
        trained["untrained encoder"].save(folder/f"untrained-{world.name}.safetensors")
