"""Build the site into _docs/ from the notebooks, without Quarto and without a network: nbdev's own pages, rendered in pure Python from the
_quarto.yml and sidebar.yml that Quarto would use. `python tools/docs.py [--check]`; --check also follows every link and anchor."""
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
NUMBER = re.compile(r"(?<![\w.])(\d\d)_(\w+)\.ipynb")   # 22_losses.ipynb → losses.html, as nbdev's links expect
NEARBY = re.compile(r"\]\((?!\w+:)[^)\s]*")             # a link that leads to another page of ours
PLOTLY, MATHJAX, KATEX = (re.compile(p) for p in (r'<script[^>]*src="https://cdn\.plot\.ly/[^"]*"[^>]*></script>|<script type="module">import "https://cdn\.plot\.ly/[^<]*</script>', r'<script[^>]*src="https://cdnjs\.cloudflare\.com/[^"]*"[^>]*></script>', r"https://cdn\.jsdelivr\.net/npm/katex@[\d.]+/dist/"))

LINKED = re.compile(r"\[`([^`]+)`\]\([^)]*\)")          # a link in code is only noise
FENCED, SHOWN = re.compile(r"```python\n.*?\n```", re.S), re.compile(r"(?<=```python\n)def (\w+)\(\n(.*?)\n\)[^\n]*:(?=\n```)", re.S)
ELSEWHERE = re.compile(r'@import\s+(?:url\(["\']?https?://[^)]*\)|["\']https?://[^"\']*["\'])[^;]*;')   # a theme's fonts; the system's are as good


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
        inside = path.relative_to(proc)
        nb, up = nbformat.read(path, 4), "../"*(len(inside.parts)-1)
        within = lambda text: NEARBY.sub(lambda link: NUMBER.sub(r"\2.ipynb", link.group(0)), text.replace(f"]({home}", f"]({up}"))
        for cell in nb.cells:
            if cell.cell_type == "markdown": cell.source = within(cell.source)
            for output in cell.get("outputs", []):
                if "text/markdown" in output.get("data", {}): output["data"]["text/markdown"] = within(output["data"]["text/markdown"])
        path.unlink()
        nbformat.write(nb, path.with_name(NUMBER.sub(r"\2.ipynb", path.name)))
    for path in proc.glob("*.yml"): path.write_text(NUMBER.sub(r"\2.ipynb", path.read_text(encoding="utf-8")), encoding="utf-8")

def chapters(): return [NUMBER.fullmatch(p.name).group(2) for p in sorted((top/"nbs").glob("[0-9]*.ipynb"))]   # modules in reading order

def legible():
    "Signatures as a reader wants them: no links inside code, options of the command line with their help, the fields of a class."
    import importlib

    for path in proc.rglob("*.ipynb"):
        nb = nbformat.read(path, 4)
        module = importlib.import_module(f"dvd_jepa.{path.stem}") if path.parent == proc and path.stem in chapters() else None
        for output in (o for cell in nb.cells if cell.cell_type == "code" for o in cell.outputs if "text/markdown" in o.get("data", {})):
            text = FENCED.sub(lambda code: LINKED.sub(r"`\1`", code.group(0)), output["data"]["text/markdown"])
            output["data"]["text/markdown"] = SHOWN.sub(lambda shown: rewritten(module, shown), text) if module else text
        nbformat.write(nb, path)

def rewritten(module, shown):
    "A signature that says more than nbdev's, where it can: of a command, or of a class with fields."
    import inspect
    import typing
    thing = getattr(module, shown.group(1), None)
    if "Annotated" in shown.group(2):
        options = [(p, *typing.get_args(p.annotation)) for p in inspect.signature(thing).parameters.values()]
        lines = [f"    {p.name}:{kind.__name__ if isinstance(kind, type) else str(kind)} = {p.default!r}, # {about.help}" for p,kind,about in options]
        return "\n".join([f"def {shown.group(1)}(", *lines, "):"])
    if inspect.isclass(thing) and "*args" in shown.group(2):
        fields = re.findall(r"^    (\w+\s*:[^#\n(]*?)\s*(#.*)?$", inspect.getsource(thing), re.M)
        if fields: return "\n".join([f"class {shown.group(1)}:", *(f"    {field}  {about}".rstrip() for field,about in fields)])
        return f"class {shown.group(1)}: ..."
    return shown.group(0)

def reference():
    "One page that lists every public name, with its first sentence and its place in the book."
    import importlib
    import inspect

    from dvd_jepa._modidx import d
    lines = ["---", "title: Reference", "description: Every public name, and the chapter that tells of it", "---", ""]
    for module in chapters():
        m, rows = importlib.import_module(f"dvd_jepa.{module}"), []
        for name,(page, _) in d["syms"].get(f"dvd_jepa.{module}", {}).items():
            short = name.removeprefix(f"dvd_jepa.{module}.")
            if "." in short or short not in m.__all__: continue
            said = (inspect.getdoc(getattr(m, short)) or "").split("\n")[0]
            rows.append(f"| [`{short}`]({page.replace('.html', '.ipynb')}) | {said.replace('|', chr(92)+'|')} |")
        lines += [f"## {module}", "", m.__doc__ or "", "", *(["| name | |", "|---|---|", *rows] if rows else []), ""]
    (proc/"reference.qmd").write_text("\n".join(lines), encoding="utf-8")
    with open(proc/"sidebar.yml", "a", encoding="utf-8") as f: f.write("      - text: Reference\n        href: reference.qmd\n")

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
    "Scripts and styles that pages would fetch from elsewhere are put beside them; a page needs plotly once, and MathJax not at all."
    import plotly
    libs = site/"site_libs"
    shutil.copytree(top/"tools"/"katex", libs/"katex", dirs_exist_ok=True)
    shutil.copy(Path(plotly.__file__).parent/"package_data"/"plotly.min.js", libs/"plotly.min.js")
    for style in libs.rglob("*.css"): style.write_text(ELSEWHERE.sub("", style.read_text(encoding="utf-8")), encoding="utf-8")
    for page in site.rglob("*.html"):
        if page.parent.name == "demo": continue
        up, html = "../"*(len(page.relative_to(site).parts)-1), page.read_text(encoding="utf-8")
        used = bool(PLOTLY.search(html))
        html = KATEX.sub(f"{up}site_libs/katex/", PLOTLY.sub("", MATHJAX.sub("", html)))
        head = f'<link rel="icon" href="{up}images/icon.svg">' + (f'<script src="{up}site_libs/plotly.min.js"></script><script src="{up}figures.js" defer></script>' if used else "")
        html = html.replace("</head>", f"{head}</head>", 1)
        page.write_text(html, encoding="utf-8")

def anchored():
    "Methods that several decorators wrap are shown under their bare names: they get the anchors, too, that nbdev's links ask for."
    from dvd_jepa._modidx import d
    for symbols in d["syms"].values():
        for address,_ in symbols.values():
            name, _, anchor = address.partition("#")
            page, bare = site/name, f'id="{anchor.rpartition(".")[2]}"'
            if not page.is_file() or "." not in anchor: continue
            html = page.read_text(encoding="utf-8")
            if f'id="{anchor}"' not in html and bare in html:
                at = html.rindex("<", 0, html.index(bare))
                page.write_text(f'{html[:at]}<a id="{anchor}"></a>{html[at:]}', encoding="utf-8")

def render(folder):
    "The pages as HTML, in _docs/."
    import subprocess
    program = shutil.which("smalldocs", path=os.pathsep.join((str(Path(sys.executable).parent), sysconfig.get_path("scripts"))))
    done = subprocess.run([program, "render", str(folder)], capture_output=True, text=True)
    if done.returncode: raise RuntimeError(f"the pages could not be rendered:\n{done.stdout}{done.stderr}")
    shutil.move(folder/"_docs", site)

def build():
    shutil.rmtree(site, ignore_errors=True)
    processed()
    renamed()
    legible()
    reference()
    render(proc)
    anchored()
    demo()
    without_network()


ELSEWHERES = re.compile(r"""(?:url\(\s*["']?|@import\s+["']|\bimport\s*\(?\s*["']|\bfrom\s+["'])((?:https?:)?//[^"')\s]+)""")   # what a style or a script fetches
OURS = "/dvd-jepa/dvd-jepa/blob/main/"

class Page(HTMLParser):
    "Where a page leads, what it fetches, and which anchors it has."
    def __init__(self, html):
        super().__init__()
        self.links, self.fetched, self.anchors, self.inside = [], [], set(), None
        self.feed(html)
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.anchors |= {a[k] for k in ("id", "name") if a.get(k)}
        if tag == "a" and a.get("href"): self.links.append(a["href"])
        if tag in ("script", "img", "iframe", "source", "video", "audio") and a.get("src"): self.fetched.append(a["src"])
        self.fetched += [part.split()[0] for part in (a.get("srcset") or "").split(",") if part.strip()]
        self.fetched += ELSEWHERES.findall(a.get("style") or "")
        if tag == "link" and a.get("href") and a.get("rel") != "canonical": self.fetched.append(a["href"])
        self.inside = tag
    def handle_data(self, text):
        if self.inside in ("script", "style"): self.fetched += ELSEWHERES.findall(text)
    def handle_endtag(self, tag): self.inside = None

def broken(folder=site):
    "Links and anchors that lead nowhere, and files that would be fetched from elsewhere."
    folder = folder.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    for style in folder.rglob("*.css"):
        for address in ELSEWHERES.findall(style.read_text(encoding="utf-8")): yield f"{style.relative_to(folder)}: fetches {address}"
    for path,page in pages.items():
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https") or parts.netloc:
                if link in page.fetched: yield f"{path.relative_to(folder)}: fetches {link}"
                elif OURS in link and not (top/unquote(link.partition(OURS)[2]).partition("#")[0]).exists(): yield f"{path.relative_to(folder)}: {link} isn't in the repository"
                continue
            if parts.scheme: continue
            target = path if not parts.path else (path.parent/unquote(parts.path)).resolve()
            if not target.is_relative_to(folder): yield f"{path.relative_to(folder)}: {link} leaves the site"; continue
            if target.is_dir(): target = target/"index.html"
            if not target.exists(): yield f"{path.relative_to(folder)}: {link} leads nowhere"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors: yield f"{path.relative_to(folder)}: {link} has no such anchor"


if __name__ == "__main__":
    if "--check" not in sys.argv: build()
    wrong = list(broken())
    print("\n".join(wrong) if wrong else f"{len(list(site.rglob('*.html')))} pages in {site.name}/, every link and anchor leads somewhere")
    sys.exit(1 if wrong else 0)
