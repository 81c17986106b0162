"Rules of the house: one-way imports, one training loop, and a package that its notebooks can rebuild."
import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

top = Path(__file__).parent.parent
notebooks = sorted((top/"nbs").glob("[0-9][0-9]_*.ipynb"))
order = [nb.stem[3:] for nb in notebooks]


def imported(module):
    "Names of our modules that a module imports when it is imported (not when run as a program)."
    tree = ast.parse((top/"dvd_jepa"/f"{module}.py").read_text(encoding="utf-8"))
    body = [node for node in tree.body if not (isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))]
    return {name for node in body for n in ast.walk(node) for name in ours(n)}


def ours(node):
    "Modules of ours that one statement imports, however it is spelt."
    if isinstance(node, ast.Import): return {a.name.split(".")[1] for a in node.names if a.name.startswith("dvd_jepa.")}
    if not isinstance(node, ast.ImportFrom) or not (node.level or (node.module or "").split(".")[0] == "dvd_jepa"): return set()
    module = (node.module or "").removeprefix("dvd_jepa").strip(".")
    return {module.split(".")[0]} if module else {a.name for a in node.names}


@pytest.mark.parametrize("statement", ["import dvd_jepa.cli", "from dvd_jepa import cli", "from . import cli", "from .cli import app", "from dvd_jepa.cli import app"])
def test_the_import_reader_sees_every_spelling(statement): assert ours(ast.parse(statement).body[0]) == {"cli"}


def test_every_chapter_exports_a_module():
    assert order == ["core", "show", "world", "observe", "models", "losses", "train", "dream", "probe", "surprise", "evaluate", "export", "cli"]
    assert {p.stem for p in (top/"dvd_jepa").glob("*.py")} == {*order, "__init__", "_modidx"}


@pytest.mark.parametrize("module", order)
def test_imports_point_back(module):
    later = set(order[order.index(module):])
    assert not imported(module) & later, f"{module} may import lower-numbered chapters only"


def test_there_is_one_training_loop():
    loops = [p.name for p in (top/"dvd_jepa").glob("*.py") if ".backward()" in p.read_text(encoding="utf-8")]
    assert loops == ["train.py"]
    assert (top/"dvd_jepa"/"train.py").read_text(encoding="utf-8").count(".backward()") == 1


def test_no_pickle_is_ever_loaded():
    for path in [*(top/"dvd_jepa").glob("*.py"), *(top/"dashboard").glob("*.py")]:
        assert not re.search(r"torch\.load|pickle\.|allow_pickle=True", path.read_text(encoding="utf-8")), path.name


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    "The project with its package exported anew from the notebooks, the generated files deleted first."
    copy = tmp_path_factory.mktemp("rebuilt")
    shutil.copy(top/"settings.ini", copy)
    shutil.copy(top/"pyproject.toml", copy)
    shutil.copytree(top/"nbs", copy/"nbs")
    shutil.copytree(top/"dvd_jepa"/"weights", copy/"dvd_jepa"/"weights")
    subprocess.run([sys.executable, "-c", "from nbdev.doclinks import nbdev_export; nbdev_export()"], cwd=copy, check=True)
    return copy


def test_the_package_is_what_the_notebooks_say(rebuilt):
    files = {p.name for p in (rebuilt/"dvd_jepa").glob("*.py")}
    assert files == {p.name for p in (top/"dvd_jepa").glob("*.py")}
    for name in files: assert (rebuilt/"dvd_jepa"/name).read_text(encoding="utf-8") == (top/"dvd_jepa"/name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("path", sorted((top/"nbs").rglob("[!.]*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_is_a_chapter(path):
    nb = nbformat.read(path, as_version=4)
    first = nb.cells[0]
    assert first.cell_type == "markdown" and re.fullmatch(r"# [^\n]+\n> [^\n]+", first.source), "the first cell holds title and subtitle, nothing else"
    assert path.stat().st_size < 400_000, "too heavy to read on the web"
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error"]
    for cell in code:
        statements = [line for line in cell.source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        imports = [line for line in statements if re.match(r"(import|from) ", line)]
        assert not imports or len(imports) == len(statements), f"imports and code share a cell:\n{cell.source}"
    assert not re.search(r"^from \S+ import \*", "\n".join(c.source for c in code), re.M)


def test_readme_is_what_index_says():
    subprocess.run([sys.executable, top/"tools"/"readme.py", "--check"], check=True)
