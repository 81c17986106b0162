"Make executed notebooks repeatable: plotly's HTML gets an id from its cell in place of a random one."
import re
from pathlib import Path

import nbformat

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def settle(path):
    "Give every figure of a notebook a stable id."
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells:
        for i,output in enumerate(cell.get("outputs", [])):
            html = output.get("data", {}).get("text/html")
            if html: output.data["text/html"] = UUID.sub(f"figure-{cell.id}-{i}", html)
    nbformat.write(nb, path)


if __name__ == "__main__":
    for path in sorted((Path(__file__).parent.parent/"nbs").rglob("*.ipynb")): settle(path)
