"""Build the site into _docs/ from the notebooks, without Quarto and without a network.

nbdev's own pages are rendered in pure Python, from the _quarto.yml and sidebar.yml that Quarto
would use. `python tools/docs.py` also follows every link and anchor; with --check it does only
that."""
import os
import re
import shutil
import sys
import sysconfig
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat

top = Path(__file__).parent.parent
proc, site = top/"_proc", top/"_docs"
OURS = "/dvd-jepa/dvd-jepa/blob/main/"

# 22_losses.ipynb → losses.html, as nbdev's links expect
NUMBER = re.compile(r"(?<![\w.])(\d\d)_(\w+)\.ipynb")
# A link that leads to another page of ours
NEARBY = re.compile(r"\]\((?!\w+:)[^)\s]*")
# A link in code is only noise
LINKED = re.compile(r"\[`([^`]+)`\]\([^)]*\)")
FENCED = re.compile(r"```python\n.*?\n```", re.S)
SHOWN = re.compile(r"(?<=```python\n)def (\w+)\(\n(.*?)\n\)[^\n]*:(?=\n```)", re.S)
# What nbdev puts before code that is exported and shown
FOLDED = '#| code-fold: show\n#| code-summary: "Exported source"\n'
DOCUMENTED = re.compile(r"show_doc\(([\w.]+)\)")
HEADING = re.compile(r"^(#+) .*$", re.M)
SIGNATURE = re.compile(r"\A---\n+|\n```python\n.*", re.S)
# What a page would fetch from elsewhere
PLOTLY = re.compile(r'<script[^>]*src="https://cdn\.plot\.ly/[^"]*"[^>]*></script>'
                    r'|<script type="module">import "https://cdn\.plot\.ly/[^<]*</script>')
MATHJAX = re.compile(r'<script[^>]*src="https://cdnjs\.cloudflare\.com/[^"]*"[^>]*></script>')
KATEX = re.compile(r"https://cdn\.jsdelivr\.net/npm/katex@[\d.]+/dist/")
# A theme's fonts; the system's are as good
ELSEWHERE = re.compile(r'@import\s+(?:url\(["\']?https?://[^)]*\)'
                       r'|["\']https?://[^"\']*["\'])[^;]*;')
# What a style or a script fetches
ELSEWHERES = re.compile(r"""(?:url\(\s*["']?|@import\s+["']|\bimport\s*\(?\s*["']"""
                        r"""|\bfrom\s+["'])((?:https?:)?//[^"')\s]+)""")


def read(path): return path.read_text(encoding="utf-8")

def write(path, text): path.write_text(text, encoding="utf-8")

def without_number(text): return NUMBER.sub(r"\2.ipynb", text)

def markdowns(nb):
    "Data of the outputs that are Markdown."
    found = [output.get("data", {}) for cell in nb["cells"] for output in cell.get("outputs", [])]
    return [data for data in found if "text/markdown" in data]


# The pages, before they are rendered

def processed():
    "nbdev's pages in _proc/: links to names, docments as tables, hidden cells gone."
    import nbdev.quarto
    import nbdev.serve
    shutil.rmtree(proc, ignore_errors=True)
    nbdev.quarto.refresh_quarto_yml()
    nbdev.quarto.nbdev_sidebar.__wrapped__()
    nbdev.serve.proc_nbs()

def renamed():
    "Pages lose their numbers, and links to our own address become links within the site."
    from nbdev.config import get_config
    home = get_config().doc_host.rstrip("/")+get_config().doc_baseurl.rstrip("/")+"/"
    for path in sorted(proc.rglob("*.ipynb")):
        up = "../"*(len(path.relative_to(proc).parts)-1)
        def within(text, up=up):
            text = text.replace(f"]({home}", f"]({up}")
            return NEARBY.sub(lambda link: without_number(link.group(0)), text)
        nb = nbformat.read(path, 4)
        for cell in nb.cells:
            if cell.cell_type == "markdown": cell.source = within(cell.source)
        for data in markdowns(nb): data["text/markdown"] = within(data["text/markdown"])
        path.unlink()
        nbformat.write(nb, path.with_name(without_number(path.name)))
    for path in proc.glob("*.yml"): write(path, without_number(read(path)))

def chapters():
    "Modules in reading order."
    notebooks = sorted((top/"nbs").glob("[0-9]*.ipynb"))
    return [NUMBER.fullmatch(path.name).group(2) for path in notebooks]

def legible():
    """Signatures as a reader wants them.

    No links inside code, and options of the command line with their help."""
    import importlib
    for path in proc.rglob("*.ipynb"):
        is_chapter = path.parent == proc and path.stem in chapters()
        module = importlib.import_module(f"dvd_jepa.{path.stem}") if is_chapter else None
        def shown(found, module=module): return rewritten(module, found)
        nb = nbformat.read(path, 4)
        for data in markdowns(nb):
            text = FENCED.sub(without_links, data["text/markdown"])
            data["text/markdown"] = SHOWN.sub(shown, text) if module else text
        nbformat.write(nb, path)

def in_full():
    """Definitions as the book has them: a heading to link to, and then the code itself.

    nbdev shows the signature, and the code below it once more, folded; so the signature goes.
    Commands keep it, since the shell shows theirs, and their code is folded."""
    for path in proc.rglob("*.ipynb"):
        nb = nbformat.read(path, 4)
        nb.cells = list(told(nb.cells))
        nbformat.write(nb, path)

def told(cells):
    "Cells in order, headings before the code that they speak of, and nothing twice."
    documented = [cell for cell in cells if DOCUMENTED.search(cell.source)]
    codes = [cell.source for cell in cells if cell.source.startswith(FOLDED)]
    moved = [cell for cell in documented if any(speaks_of(cell, code) for code in codes)]
    for cell in cells:
        if any(cell is other for other in moved): continue
        if cell.source.startswith(FOLDED):
            code = cell.source.removeprefix(FOLDED)
            command = "Annotated[" in code
            for about in moved:
                if speaks_of(about, code): yield about if command else heading(about)
            cell.source = f"#| code-fold: true\n{code}" if command else code
        yield cell

def speaks_of(cell, code):
    "Does a cell document something that this code defines?"
    *of, name = DOCUMENTED.search(cell.source).group(1).split(".")
    method = rf"def {name}\(\s*self:{of[-1]}\b" if of else rf"(?:def|class) {name}\b"
    return bool(re.search(rf"^{method}", code, re.M))

def heading(cell):
    "A documented name without the signature, which the code below has."
    name = DOCUMENTED.search(cell.source).group(1)
    for data in markdowns({"cells": [cell]}):
        text = SIGNATURE.sub("", data["text/markdown"])
        data["text/markdown"] = HEADING.sub(rf"\g<1> {name}", text)
    return cell

def without_links(code): return LINKED.sub(r"`\1`", code.group(0))

def rewritten(module, shown):
    "A signature that says more than nbdev's: of a command, its options with their help."
    name, parameters = shown.groups()
    return command(name, getattr(module, name)) if "Annotated" in parameters else shown.group(0)

def command(name, thing):
    "A command with its options: type, default and help."
    import inspect
    import typing
    lines = []
    for p in inspect.signature(thing).parameters.values():
        kind, about = typing.get_args(p.annotation)
        of = kind.__name__ if isinstance(kind, type) else str(kind)
        lines.append(f"    {p.name}:{of} = {p.default!r}, # {about.help}")
    return "\n".join([f"def {name}(", *lines, "):"])

def reference():
    "One page that lists every public name, with its first sentence and its place in the book."
    import importlib
    lines = ["---", "title: Reference",
             "description: Every public name, and the chapter that tells of it", "---", ""]
    for name in chapters():
        module = importlib.import_module(f"dvd_jepa.{name}")
        rows = names_of(module)
        table = ["| name | |", "|---|---|", *rows] if rows else []
        lines += [f"## {name}", "", module.__doc__ or "", "", *table, ""]
    write(proc/"reference.qmd", "\n".join(lines))
    with open(proc/"sidebar.yml", "a", encoding="utf-8") as f:
        f.write("      - text: Reference\n        href: reference.qmd\n")

def names_of(module):
    "A module's public names, a row each."
    import inspect

    from dvd_jepa._modidx import d
    rows = []
    for name,(page, _) in d["syms"].get(module.__name__, {}).items():
        short = name.removeprefix(f"{module.__name__}.")
        if "." in short or short not in module.__all__: continue
        said = (inspect.getdoc(getattr(module, short)) or "").split("\n")[0]
        said = said.replace("|", r"\|")
        rows.append(f"| [`{short}`]({page.replace('.html', '.ipynb')}) | {said} |")
    return rows


# The pages, and what stands beside them

def render(folder):
    "The pages as HTML, in _docs/. Raises RuntimeError if they can't be rendered."
    import subprocess
    places = str(Path(sys.executable).parent), sysconfig.get_path("scripts")
    program = shutil.which("smalldocs", path=os.pathsep.join(places))
    done = subprocess.run([program, "render", str(folder)], capture_output=True, text=True)
    if done.returncode:
        said = done.stdout + done.stderr
        raise RuntimeError(f"the pages could not be rendered:\n{said}")
    shutil.move(folder/"_docs", site)

def anchored():
    """Give methods the anchors that nbdev's links ask for.

    Those that several decorators wrap are shown under their bare names."""
    from dvd_jepa._modidx import d
    for symbols in d["syms"].values():
        for address,_ in symbols.values():
            name, _, anchor = address.partition("#")
            page = site/name
            if page.is_file() and "." in anchor: add_anchor(page, anchor)

def add_anchor(page, anchor):
    html = read(page)
    bare = f'id="{anchor.rpartition(".")[2]}"'
    if f'id="{anchor}"' in html or bare not in html: return
    at = html.rindex("<", 0, html.index(bare))
    write(page, f'{html[:at]}<a id="{anchor}"></a>{html[at:]}')

def demo():
    "The browser demo's weights, beside its page."
    import dvd_jepa
    from dvd_jepa.export import browser_weights, rounded
    from dvd_jepa.files import write_json
    folder = site/"demo"/"weights"
    for name in ("classic", "rotor"):
        about, numbers = browser_weights(rounded(dvd_jepa.load(name)))
        write_json(folder/f"{name}.json", about)
        (folder/f"{name}.bin").write_bytes(numbers)

def without_network():
    """Put what pages would fetch from elsewhere beside them.

    A page needs plotly once, and MathJax not at all."""
    import plotly
    libs = site/"site_libs"
    shutil.copytree(top/"tools"/"katex", libs/"katex", dirs_exist_ok=True)
    package = Path(plotly.__file__).parent/"package_data"
    shutil.copy(package/"plotly.min.js", libs/"plotly.min.js")
    for style in libs.rglob("*.css"): write(style, ELSEWHERE.sub("", read(style)))
    for page in site.rglob("*.html"):
        up = "../"*(len(page.relative_to(site).parts)-1)
        if page.parent.name != "demo": write(page, at_home(read(page), up))

def at_home(html, up):
    "A page that fetches nothing from elsewhere; `up` leads to the top of the site."
    head = f'<link rel="icon" href="{up}images/icon.svg">'
    if PLOTLY.search(html):
        head += (f'<script src="{up}site_libs/plotly.min.js"></script>'
                 f'<script src="{up}figures.js" defer></script>')
    html = PLOTLY.sub("", MATHJAX.sub("", html))
    html = KATEX.sub(f"{up}site_libs/katex/", html)
    return html.replace("</head>", f"{head}</head>", 1)

def build():
    shutil.rmtree(site, ignore_errors=True)
    processed()
    renamed()
    in_full()
    legible()
    reference()
    render(proc)
    anchored()
    demo()
    without_network()


# The check

class Page(HTMLParser):
    "Where a page leads, what it fetches, and which anchors it has."
    MEDIA = "script", "img", "iframe", "source", "video", "audio"

    def __init__(self, html):
        super().__init__()
        self.links = []
        self.fetched = []
        self.anchors = set()
        self.inside = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.anchors |= {a[k] for k in ("id", "name") if a.get(k)}
        if tag == "a" and a.get("href"): self.links.append(a["href"])
        if tag in self.MEDIA and a.get("src"): self.fetched.append(a["src"])
        sources = (a.get("srcset") or "").split(",")
        self.fetched += [source.split()[0] for source in sources if source.strip()]
        self.fetched += ELSEWHERES.findall(a.get("style") or "")
        beside = tag == "link" and a.get("rel") != "canonical"
        if beside and a.get("href"): self.fetched.append(a["href"])
        self.inside = tag

    def handle_data(self, text):
        if self.inside in ("script", "style"): self.fetched += ELSEWHERES.findall(text)

    def handle_endtag(self, tag): self.inside = None

def broken(folder=site):
    "Links and anchors that lead nowhere, and files that would be fetched from elsewhere."
    folder = folder.resolve()
    pages = {path: Page(read(path)) for path in sorted(folder.rglob("*.html"))}
    for style in folder.rglob("*.css"):
        for address in ELSEWHERES.findall(read(style)):
            yield f"{style.relative_to(folder)}: fetches {address}"
    for path,page in pages.items():
        for link in [*page.links, *page.fetched]:
            wrong = trouble(link, path, pages, folder)
            if wrong: yield f"{path.relative_to(folder)}: {wrong}"

def trouble(link, path, pages, folder):
    "What is wrong with a link of a page, or None."
    parts = urlsplit(link)
    if parts.scheme in ("http", "https") or parts.netloc:
        return f"fetches {link}" if link in pages[path].fetched else lost(link)
    if parts.scheme: return None
    target = (path.parent/unquote(parts.path)).resolve() if parts.path else path
    if not target.is_relative_to(folder): return f"{link} leaves the site"
    if target.is_dir(): target = target/"index.html"
    if not target.exists(): return f"{link} leads nowhere"
    anchor = unquote(parts.fragment)
    if not anchor or target not in pages or anchor in pages[target].anchors: return None
    return f"{link} has no such anchor"

def lost(link):
    "What is wrong with a link to elsewhere, or None: ours must lead to a file."
    if OURS not in link: return None
    inside = unquote(link.partition(OURS)[2]).partition("#")[0]
    return None if (top/inside).exists() else f"{link} isn't in the repository"


if __name__ == "__main__":
    if "--check" not in sys.argv: build()
    if wrong := list(broken()):
        print("\n".join(wrong))
        sys.exit(1)
    count = len(list(site.rglob("*.html")))
    print(f"{count} pages in {site.name}/, every link and anchor leads somewhere")
