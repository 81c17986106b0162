"What is shipped: a wheel that holds all it needs, and one version everywhere."
import configparser
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import dvd_jepa
import pytest
import yaml

top = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    "What a package is built from, in a folder of its own."
    copy = tmp_path_factory.mktemp("source")/"dvd-jepa"
    files = subprocess.run(["git", "ls-files", "dvd_jepa", "setup.py", "settings.ini", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"], cwd=top, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        (copy/name).parent.mkdir(parents=True, exist_ok=True)
        (copy/name).write_bytes((top/name).read_bytes())
    return copy

@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))

def test_the_wheel_works_away_from_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path/"installed")
    says = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path/'installed')!r}); import dvd_jepa, dvd_jepa.rivals as r; print(dvd_jepa.__file__, *(dvd_jepa.load(name).config.recipe for name in dvd_jepa.packaged()), len(r.baselines(dvd_jepa.World.varied())))"],
                          cwd=tmp_path, capture_output=True, text=True)
    assert says.returncode == 0, says.stderr
    assert says.stdout.split()[0].startswith(str(tmp_path)) and says.stdout.split()[1:] == ["classic", "rotor", "steer", "varied", "7"]

def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0].split("-")[0] for n in names} == {"dvd_jepa"}
    assert any(n.endswith("yardsticks/rotor.safetensors") for n in names)

def test_the_source_archive_can_be_built_from(source, tmp_path):
    subprocess.run([sys.executable, "setup.py", "-q", "sdist", "-d", tmp_path], cwd=source, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as tar:
        names = {name.split("/", 1)[-1] for name in tar.getnames()}
        tar.extractall(tmp_path/"unpacked", filter="data")
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, next((tmp_path/"unpacked").iterdir())], capture_output=True, text=True)
    assert done.returncode == 0 and len(list(tmp_path.glob("*.whl"))) == 1, done.stderr
    assert {"setup.py", "settings.ini", "README.md", "dvd_jepa/surprise.py", "dvd_jepa/weights/rotor.safetensors"} <= names

def test_a_package_index_can_show_the_readme(wheel):
    with zipfile.ZipFile(wheel) as z: meta = z.read(next(n for n in z.namelist() if n.endswith("METADATA"))).decode()
    assert "](nbs/" not in meta and "](https://raw.githubusercontent.com/" in meta and "/blob/main/nbs/tour.ipynb)" in meta

def test_one_version_everywhere():
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(top/"settings.ini")
    version = settings["DEFAULT"]["version"]
    assert dvd_jepa.__version__ == version == yaml.safe_load((top/"CITATION.cff").read_text())["version"]
    assert f"## {version}" in (top/"CHANGELOG.md").read_text(encoding="utf-8")

def test_a_notebook_in_colab_fetches_and_finds_the_project(source, tmp_path):
    "What the hidden cell of each notebook does there, with this checkout in the place of the clone: an install that a kernel that is already running can import."
    cells = ["".join(c["source"]) for p in sorted((top/"nbs").rglob("*.ipynb")) for c in json.loads(p.read_text(encoding="utf-8"))["cells"] if "google.colab" in "".join(c["source"])]
    assert len(cells) == len(list((top/"nbs").rglob("*.ipynb"))) and {c.replace("nbs/studies", "nbs") for c in cells} == {cells[0].replace("nbs/studies", "nbs")}
    assert "pip install -q /content/dvd-jepa" in cells[0] and "-e" not in cells[0].split("pip install")[1]
    says = subprocess.run([sys.executable, "-S", "-c", f"""
import subprocess, sys
sys.path[:] = [p for p in sys.path if "site-packages" not in p] + [{str(tmp_path)!r}]       # a kernel that knows nothing of the project, and a place that it looks into
subprocess.run([{sys.executable!r}, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", {str(tmp_path)!r}, {str(source)!r}], check=True)
import importlib.util
print(importlib.util.find_spec("dvd_jepa").origin)"""], capture_output=True, text=True, cwd=tmp_path)
    assert says.returncode == 0 and says.stdout.strip() == str(tmp_path/"dvd_jepa"/"__init__.py"), says.stderr
