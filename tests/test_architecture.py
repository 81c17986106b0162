"Rules of the house: one-way imports, one training loop, and a package that its notebooks can rebuild."
import ast
import importlib
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
    assert order == ["core", "files", "stats", "show", "config", "arrays", "film", "reel", "video", "world", "breaks", "gym", "observe", "motion", "parts", "swap", "jepa", "losses", "objectives", "recipes", "train", "dream", "rivals",
                     "probe", "surprise", "alarms", "engine", "monitor", "camera", "events", "post", "planning", "horizons", "verdicts", "compare", "reach", "evaluate", "runs", "annotate", "export", "sinks", "terminal", "watching", "acting", "attend", "cameras", "cli"]
    assert {p.stem for p in (top/"dvd_jepa").glob("*.py")} == {*order, "__init__", "_modidx"}


@pytest.mark.parametrize("module", order)
def test_imports_point_back(module):
    later = set(order[order.index(module):])
    assert not imported(module) & later, f"{module} may import lower-numbered chapters only"


def test_nothing_imports_the_command_line_the_dashboard_or_a_study():
    for module in order:
        assert "cli" not in imported(module), module
        assert not re.search(r"^\s*(from|import) (dashboard|studies)", (top/"dvd_jepa"/f"{module}.py").read_text(encoding="utf-8"), re.M), module


def test_no_circle_even_through_what_is_imported_late():
    "Imports inside of functions and names that have moved count here, but for two kinds of doors: `moved`, through which a module is only asked for what it once was, and `jepa._LATER`, which has a test of its own."
    asked = {module: imported(module) for module in order}
    def reached(module, seen=()):
        for name in asked[module]: seen = reached(name, (*seen, name)) if name not in seen else seen
        return seen
    for module in order: assert module not in reached(module), f"{module} needs itself"


def test_a_method_from_a_later_room_is_found_there():
    "A world model is given `dream` or `surprise` by the room that tells of it; `jepa._LATER` says which, and nothing else."
    from dvd_jepa.jepa import _LATER
    text = {module: (top/"dvd_jepa"/f"{module}.py").read_text(encoding="utf-8") for module in order}
    given = {name: module for module in order if module != "jepa" for name in re.findall(r"def (\w+)\(self:WorldModel", text[module])}
    assert _LATER == given and all(order.index(module) > order.index("jepa") for module in given.values())


WORLDLY = {"arrays", "film", "reel", "video", "world", "breaks"}

@pytest.mark.parametrize("module", [m for nb,m in zip(notebooks, order) if "14" < nb.stem[:2] < "60"])
def test_no_room_between_observe_and_the_judges_knows_a_world(module):
    "One door stays: `train.home_of`, which names the world that a recipe lives in when nobody hands `fit` a source."
    known = imported(module) & WORLDLY
    if module != "train": assert not known, f"{module} imports {known}"
    else: assert known == {"world"} and uses(module, {"WORLDS", "World"}) == {"home_of"}


def uses(module, names):
    "Functions (or other top-level statements) of a module in which one of these names stands, import statements aside."
    tree = ast.parse((top/"dvd_jepa"/f"{module}.py").read_text(encoding="utf-8"))
    holds = lambda node: any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(node))
    return {getattr(node, "name", ast.unparse(node)) for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom)) and holds(node)}


def test_rooms_are_small_and_few_of_them_are_tied():
    lines = {m: len((top/"dvd_jepa"/f"{m}.py").read_text(encoding="utf-8").splitlines()) for m in order}
    assert max(lines.values()) <= 420, lines
    tied = sum(len(imported(m) & set(order)) for m in order)
    assert tied <= len(order)*(len(order)-1)/4, f"{tied} of {len(order)*(len(order)-1)//2} pairs"


def test_every_statistic_stands_once():
    "Singular values, eigenvalues and least squares are asked for in `stats`, and where a chapter says what else they are for."
    for pattern, rooms in {r"linalg\.(solve|lstsq)": {"stats"}, r"linalg\.svd": {"stats"}, r"special\.entr": {"stats"}, r"multinomial|percentile": {"stats"}, r"searchsorted": {"stats"}}.items():
        found = {m for m in order if re.search(pattern, (top/"dvd_jepa"/f"{m}.py").read_text(encoding="utf-8"))}
        assert found == rooms, f"{pattern}: {found}"


@pytest.mark.parametrize("old, names", {
    "world": "World WORLDS VIOLATIONS Violation Injected Reality inject simulate render step video camera", "surprise": "SPACES Monitor Reading yardstick Yardstick surprises robust_threshold conformal_threshold calibration_frames auroc beyond keep_yardstick save_yardstick load_yardstick",
    "losses": "prediction_loss latent_std effective_rank variance_loss covariance_loss epps_pulley sigreg_loss trust reach_at contrastive_loss jepa_loss CollapseMeter CollapseReading diagnose",
    "dream": "Forecaster Constant Persistence centroids ConstantVelocity NearestNeighbour PixelPredictor fit_pixels parameters save_pixels load_pixels training_sample baselines forecast_error config_of skill valid_horizon resamples interval INTERVALS positions_at at_corner true_corner next_corner",
    "probe": "LinearProbe ridge rmse r2 pca features kept_of probe_report ascii_dream",
    "evaluate": "PUBLISHED published_report steps_interval steps_text horizon_text forecast_report skill_figure horizon_report corner_report surprise_report surprise_table Suite violation_suite sensitivity_report sensitivity_table rates_report collapse_report leakage_report leakage_of evaluate headlines seeds_report Comparison compare write_dream write_surprise write_run packaged_metrics metrics_beside",
}.items())
def test_what_0_1_offered_is_where_it_was(old, names):
    module = importlib.import_module(f"dvd_jepa.{old}")
    for name in names.split(): assert getattr(module, name, None) is not None, f"dvd_jepa.{old}.{name}"


def test_the_top_level_names_stay():
    import dvd_jepa
    for name in "Config WorldModel load packaged VIOLATIONS World inject simulate Monitor Reading RECIPES fit dream evaluate probe".split(): assert getattr(dvd_jepa, name) is not None


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
        statements = ast.parse(cell.source).body
        imports = [node for node in statements if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert not imports or len(imports) == len(statements), f"imports and code share a cell:\n{cell.source}"
    assert not re.search(r"^from \S+ import \*", "\n".join(c.source for c in code), re.M)


def test_readme_is_what_index_says():
    subprocess.run([sys.executable, top/"tools"/"readme.py", "--check"], check=True)
