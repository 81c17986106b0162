"The book as a page: how long its lines, cells and paragraphs are, and that each chapter ends as a reader expects."
import json
import re
from pathlib import Path

import pytest

top = Path(__file__).parent.parent
pages = sorted((top/"nbs").rglob("*.ipynb"))
chapters = [path for path in pages if path.name[:2].isdigit() and path.parent.name == "nbs"]
scripts = sorted(path for folder in ("dvd_jepa", "dashboard", "tools") for path in (top/folder).glob("*.py") if path.name != "_modidx.py")


def cells(path, kind="code"):
    "Sources of the cells of one kind."
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def lines(source): return [line for line in source.splitlines() if line.strip() and not line.startswith("#|")]


def exported(path):
    "What a chapter exports, its imports aside."
    found = [lines(source) for source in cells(path) if source.startswith("#| export")]
    return [cell for cell in found if not all(line.startswith(("import ", "from ", " ", ")")) for line in cell)]


def share(values, part): return sorted(values)[int(part*(len(values)-1))]


@pytest.mark.parametrize("path", pages, ids=lambda path: path.stem)
def test_no_line_of_a_cell_is_longer_than_a_hundred_characters(path):
    assert not [line for source in cells(path) for line in source.splitlines() if len(line) > 100]


@pytest.mark.parametrize("path", scripts, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_line_of_a_module_or_a_script_is_longer_either(path):
    "Two aside, which nbdev writes: what a module is about, and the list of its names."
    source = path.read_text(encoding="utf-8")
    if path.parent.name == "dvd_jepa": source = re.sub(r'^""".*?"""|^__all__ = \[.*?\]', "", source, flags=re.S|re.M)
    assert not [line for line in source.splitlines() if len(line) > 100]


def test_exported_lines_and_cells_are_short():
    "Anchors: fastcore's cells have 6 lines at the median and 17 at nine in ten; nine in ten of nanoGPT's lines end at 88."
    sizes = [len(cell) for path in chapters for cell in exported(path)]
    widths = [len(line) for path in chapters for cell in exported(path) for line in cell]
    assert share(widths, .9) <= 88, f"nine in ten lines end at {share(widths, .9)}"
    assert share(sizes, .5) <= 10 and share(sizes, .9) <= 20, (share(sizes, .5), share(sizes, .9))
    assert max(sizes) <= 30, max(sizes)


@pytest.mark.parametrize("path", pages, ids=lambda path: path.stem)
def test_no_paragraph_is_longer_than_120_words(path):
    texts = [re.sub(r"```.*?```", "", source, flags=re.S) for source in cells(path, "markdown")]
    prose = [part for source in texts for part in re.split(r"\n\s*\n|\n(?=[-*|] |\d+\. )", source)]
    assert not [part[:60] for part in prose if len(part.split()) > 120]


@pytest.mark.parametrize("path", chapters, ids=lambda path: path.stem)
def test_a_chapter_ends_with_refusals_and_exercises(path):
    heads = [line for source in cells(path, "markdown") for line in source.splitlines() if line.startswith("## ")]
    assert heads[-2:] == ["## Refusals", "## Try it"], heads
    folded = [source for source in cells(path) if "#| code-fold: true" in source]
    assert len(folded) >= 2, "answers to the exercises"


@pytest.mark.parametrize("path", chapters, ids=lambda path: path.stem)
def test_wrong_calls_are_shown_among_the_refusals(path):
    "Two may stand in the lesson, where being refused is what it tells of (a damaged file, a folder in use)."
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in found]
    start = next(i for i,source in enumerate(sources) if source.startswith("## Refusals"))
    early = [source for source in sources[:start] if re.search(r"^\s*test_fail\(", source, re.M)]
    assert len(early) <= 2, [source[:80] for source in early]


def prose(source):
    "The words of a text; code, formulas, tables and the addresses of links aside."
    text = re.sub(r"```.*?```|\$\$.*?\$\$", "", source, flags=re.S)
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("|", "[![")))
    return re.findall(r"[^\W\d_][\w’'-]*", re.sub(r"\]\([^)]*\)", "]", text))


def test_the_book_is_read_in_an_afternoon():
    "600 words of prose to a chapter, on average: 16,000 in its first 27."
    count = sum(len(prose(source)) for path in chapters for source in cells(path, "markdown"))
    assert count <= 600*len(chapters), count


@pytest.mark.parametrize("path", pages, ids=lambda path: path.stem)
def test_a_figure_is_the_one_that_the_code_beside_it_draws(path):
    "As far as its title tells: code that was changed and not executed again shows here."
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        drawn = [output["data"] for output in cell.get("outputs", []) if "application/vnd.plotly.v1+json" in output.get("data", {})]
        for title in re.findall(r'\btitle ?= ?"([^"\\]+)"[,)\n]', "".join(cell["source"])):
            assert not drawn or any(title in json.dumps(data["application/vnd.plotly.v1+json"], ensure_ascii=False) for data in drawn), title
