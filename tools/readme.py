"""Write README.md from nbs/index.ipynb.

Hidden cells are dropped, results stand in place, and links are relative to the top folder."""
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

top = Path(__file__).parent.parent


def visible(cell):
    "The cell as a reader of README sees it, or None."
    if cell.cell_type != "code": return cell
    lines = cell.source.splitlines()
    marked = [line for line in lines if line.startswith("#|")]
    directives = {line.removeprefix("#|").replace(" ", "") for line in marked}
    if directives & {"hide", "export"}: return None
    if "echo:false" in directives:
        shown = [output.data["text/markdown"] for output in cell.outputs]
        return nbformat.v4.new_markdown_cell("\n".join(shown))
    cell.source = "\n".join(line for line in lines if line not in marked)
    return cell


def page(
    name, # Of a notebook in nbs/, without its ending
):
    "A page as Markdown: what a reader sees of it, with links as they are in the notebook."
    nb = nbformat.read(top/"nbs"/f"{name}.ipynb", as_version=4)
    nb.metadata["language_info"] = {"name": "python"}
    nb.cells = [cell for cell in map(visible, nb.cells) if cell]
    text, _ = MarkdownExporter().from_notebook_node(nb)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def readme():
    "README's text."
    text = re.sub(r"\]\((images/|studies/|paper/|\w+\.ipynb)", r"](nbs/\1", page("index"))
    return "<!-- Written from nbs/index.ipynb by `make readme`; change it there. -->\n\n" + text


if __name__ == "__main__":
    path = top/"README.md"
    if "--check" in sys.argv:
        same = path.read_text(encoding="utf-8") == readme()
        sys.exit(0 if same else "README.md is not what nbs/index.ipynb says: run `make readme`")
    path.write_text(readme(), encoding="utf-8")
