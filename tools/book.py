"""Make executed notebooks repeatable.

Plotly's HTML gets an id from its cell in place of a random one, and what was printed in pieces
becomes one text."""
import re
from pathlib import Path

import nbformat

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def joined(outputs):
    "Outputs in which consecutive texts of one stream are one: how they were cut is chance."
    whole = []
    for output in outputs:
        last = whole[-1] if whole else {}
        same = output.get("name") and last.get("name") == output["name"]
        if same: last["text"] += output["text"]
        else: whole.append(output)
    return whole


def settle(path):
    "Give every figure of a notebook a stable id, and every text one piece."
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells:
        if "outputs" in cell: cell.outputs = joined(cell.outputs)
        for i,output in enumerate(cell.get("outputs", [])):
            html = output.get("data", {}).get("text/html")
            if html: output.data["text/html"] = UUID.sub(f"figure-{cell.id}-{i}", html)
    nbformat.write(nb, path)


if __name__ == "__main__":
    notebooks = Path(__file__).parent.parent/"nbs"
    for path in sorted(notebooks.rglob("*.ipynb")): settle(path)
