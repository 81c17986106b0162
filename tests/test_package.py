"What is shipped: a wheel that holds all it needs, and one version everywhere."
import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import dvd_jepa
import pytest
import yaml

top = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder, copy = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source")/"dvd-jepa"
    files = subprocess.run(["git", "ls-files", "dvd_jepa", "setup.py", "settings.ini", "pyproject.toml", "README.md", "LICENSE"], cwd=top, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        (copy/name).parent.mkdir(parents=True, exist_ok=True)
        (copy/name).write_bytes((top/name).read_bytes())
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))

def test_the_wheel_works_away_from_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path/"installed")
    says = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path/'installed')!r}); import dvd_jepa; print(dvd_jepa.__file__, *(dvd_jepa.load(name).config.recipe for name in dvd_jepa.packaged()), len(dvd_jepa.evaluate.baselines(dvd_jepa.World.varied())))"],
                          cwd=tmp_path, capture_output=True, text=True)
    assert says.returncode == 0, says.stderr
    assert says.stdout.split()[0].startswith(str(tmp_path)) and says.stdout.split()[1:] == ["classic", "rotor", "varied", "7"]

def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0].split("-")[0] for n in names} == {"dvd_jepa"}
    assert any(n.endswith("yardsticks/rotor.safetensors") for n in names)

def test_one_version_everywhere():
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(top/"settings.ini")
    version = settings["DEFAULT"]["version"]
    assert dvd_jepa.__version__ == version == yaml.safe_load((top/"CITATION.cff").read_text())["version"]
    assert f"## {version}" in (top/"CHANGELOG.md").read_text(encoding="utf-8")
