"The published site: it builds without a network, every link leads somewhere, every page draws its figures; and the demo's JavaScript says what Python says."
import json
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dvd_jepa
import pytest
from dvd_jepa.breaks import VIOLATIONS
from dvd_jepa.export import export_web

top = Path(__file__).parent.parent
sys.path.insert(0, str(top/"tools"))
pytest.importorskip("smalldocs", reason="the site is built with Python 3.11 or newer")
site = top/"_docs"


@pytest.fixture(scope="module")
def pages():
    "The site, built anew unless nothing has changed since (the tests in a browser follow those without)."
    sources = [top/"settings.ini", *(p for folder in ("nbs", "dvd_jepa", "tools") for p in (top/folder).rglob("*") if "__pycache__" not in p.parts and p.name != "nbdev.yml")]   # folders, too: they tell of what was removed
    if (site/"index.html").is_file() and (site/"index.html").stat().st_mtime > max(p.stat().st_mtime for p in sources): return sorted(site.rglob("*.html"))
    done = subprocess.run([sys.executable, "tools/docs.py"], cwd=top, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout+done.stderr
    return sorted(site.rglob("*.html"))

@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    return {name: export_web(dvd_jepa.load(name), tmp_path_factory.mktemp(name)) for name in ("classic", "rotor", "varied")}

@pytest.fixture(scope="module")
def address(pages):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_): pass
    server = ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()


def test_every_link_and_anchor_leads_somewhere(pages):
    import docs
    assert list(docs.broken()) == []
    names = {p.relative_to(site).as_posix() for p in pages}
    notebooks = [p for p in (top/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts]
    beside = {"reference.html", "demo/index.html"}
    assert {"index.html", "tour.html", "studies/horizon.html", *beside} <= names
    assert {f"{chapter}.html" for chapter in docs.chapters()} <= names
    assert len(names) == len(notebooks) + len(beside), "a page for each notebook"

def test_the_link_check_can_fail(tmp_path):
    import docs
    (tmp_path/"site").mkdir()
    (tmp_path/"outside.html").write_text("")
    (tmp_path/"site"/"ok.html").write_text('<p id="there"></p><a href="ok.html#there">fine</a><a href="https://elsewhere.org">fine</a>')
    wrong = ['<a href="b.html">', '<a href="#here">', '<a href="ok.html#here">', '<a href="../outside.html">', '<a href="/etc/hostname">', '<script src="https://elsewhere.org/x.js"></script>', '<script src="//elsewhere.org/x.js"></script>',
             '<script type="module">import "https://elsewhere.org/x.js"</script>', '<img srcset="//elsewhere.org/x.png 2x">', '<p style="background: url(https://elsewhere.org/x.png)">', '<style>@import "https://elsewhere.org/x.css";</style>',
             '<a href="https://github.com/dvd-jepa/dvd-jepa/blob/main/nbs/losses.ipynb">']
    for i,html in enumerate(wrong): (tmp_path/"site"/f"{i}.html").write_text(html)
    (tmp_path/"site"/"x.css").write_text("@font-face { src: url('https://elsewhere.org/x.woff2') }")
    (tmp_path/"link").symlink_to(tmp_path/"site")
    for folder in ("site", "link"):
        found = [line.split(":")[0] for line in docs.broken(tmp_path/folder)]
        assert sorted(found) == sorted(["x.css", *(f"{i}.html" for i in range(len(wrong)))])

def text_of(page): return unescape(re.sub(r"<[^>]+>", "", (site/f"{page}.html").read_text(encoding="utf-8")))

def test_pages_show_signatures_docments_and_sources(pages):
    html = (site/"alarms.html").read_text(encoding="utf-8")
    assert 'id="conformal_threshold"' in html and "dvd_jepa/alarms.py#L" in html
    assert "Asked share of clean frames that may ring" in html
    assert text_of("alarms").count("def conformal_threshold(") == 1, "its code, and no signature beside it"
    assert "def _teleport(" in text_of("breaks"), "what a reader of the book sees, a reader of the site sees"
    assert not [p.name for p in pages if "Exported source" in p.read_text(encoding="utf-8")]
    assert 'id="monitor.update"' in (site/"monitor.html").read_text(encoding="utf-8")
    reference = (site/"reference.html").read_text(encoding="utf-8")
    assert all(f">{name}<" in reference for name in ("World", "Monitor", "fit", "violation_suite"))

def test_the_demo_needs_nobody():
    page = "".join((top/"nbs"/"demo"/name).read_text(encoding="utf-8") for name in ("index.html", "demo.js", "model.js", "stage.js", "demo.css", "stage.css"))
    assert "import(" not in page and all(tag not in page for tag in ('src="http', 'url(http', '@import'))

def test_the_demo_is_below_a_megabyte(pages): assert sum(p.stat().st_size for p in (site/"demo").rglob("*") if p.is_file()) <= 1_000_000

def test_the_demo_is_told_of_every_violation_and_keeps_no_list_of_its_own(vectors):
    told = json.loads((vectors["classic"]/"weights.json").read_text(encoding="utf-8"))["violations"]
    for kind,v in VIOLATIONS.items():
        must = dict(says=v.says, unit=v.unit, default=v.default, magnitudes=list(v.magnitudes), midAir=v.mid_air)
        assert told[kind] == must, kind
    assert list(told) == list(VIOLATIONS)
    demo = top/"nbs"/"demo"
    scripts = "".join((demo/name).read_text(encoding="utf-8") for name in ("demo.js", "model.js"))
    assert "says:" not in scripts and "magnitudes:" not in scripts
    assert "kind].midAir" in scripts and scripts.count("reverse") == 1, "model.js knows how, and no more"


def agrees(told):
    """The demo's numbers against the golden vectors: latents, predictions and frames to 1e-5 of the largest,
    scores to 1e-4 of themselves (of their exponents, where they are huge), alarms exactly."""
    assert told["near"] > 5e-4, "a score so near to the threshold makes its alarm a matter of rounding"
    assert told["alarms"] and told["lost"] and told["corners"] and told["count"] > 50 and told["struck"] == [], told
    scores = told["off"].pop("surprise")
    assert scores < 1e-4 and max(told["off"].values()) < 1e-5, told

@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
@pytest.mark.parametrize("name", ["classic", "rotor", "varied"])
def test_javascript_equals_python_in_node(vectors, tmp_path, name):
    shutil.copy(top/"nbs"/"demo"/"model.js", tmp_path/"model.mjs")
    done = subprocess.run(["node", top/"tests"/"golden.mjs", tmp_path/"model.mjs", vectors[name]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    agrees(json.loads(done.stdout))

@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
@pytest.mark.parametrize("right, wrong", [("return GELU[i] + (at - i)*(GELU[i + 1] - GELU[i]);", "return x/2*(1 + Math.tanh(Math.sqrt(2/Math.PI)*(x + .044715*x**3)));"), ("this.lost = (this.lost || this.rings > this.patience) && !quiet;", "this.lost = false;"),
                                          ("f(lo(world) - out), high = f(hi(world) + out)", "f(lo(world)), high = f(hi(world))"), ("same(this.before) && same(a.v)", "same(a.v)")])
def test_the_golden_vectors_catch_what_is_wrong(vectors, tmp_path, right, wrong):
    script = (top/"nbs"/"demo"/"model.js").read_text(encoding="utf-8")
    assert right in script
    (tmp_path/"model.mjs").write_text(script.replace(right, wrong), encoding="utf-8")
    done = subprocess.run(["node", top/"tests"/"golden.mjs", tmp_path/"model.mjs", vectors["classic"]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with pytest.raises(AssertionError): agrees(json.loads(done.stdout))


def figures_of(page):
    "How many plotly figures the notebook of a page shows its readers."
    found = [p for p in (top/"nbs").rglob("*.ipynb") if p.parent.name in (page.parent.name, "nbs") and p.stem.lstrip("0123456789_") == page.stem and (p.parent.name == "studies") == (page.parent.name == "studies")]
    cells = [cell for p in found for cell in json.loads(p.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code" and "#| hide" not in "".join(cell["source"])]
    return sum("application/vnd.plotly.v1+json" in output.get("data", {}) for cell in cells for output in cell["outputs"])

@pytest.mark.browser
class TestInTheBrowser:
    "What a visitor sees."

    @pytest.mark.parametrize("name", ["classic", "rotor"])
    def test_javascript_equals_python_in_chromium(self, address, vectors, tab, name):
        shutil.copytree(vectors[name], site/f"golden-{name}", dirs_exist_ok=True)
        shutil.copy(top/"tests"/"golden.mjs", site/f"golden-{name}"/"golden.mjs")
        try:
            tab.goto(f"{address}/demo/index.html")
            told = tab.evaluate("""async () => {
                const model = await import('../demo/model.js'), source = await (await fetch('../golden-NAME/golden.mjs')).text();
                const compare = (await import(URL.createObjectURL(new Blob([source.slice(source.indexOf('export function compare'))], {type: 'text/javascript'})))).compare;
                const [about, golden] = await Promise.all(['weights.json', 'golden.json'].map(async name => (await fetch('../golden-NAME/' + name)).json()));
                return compare(new model.Model(about, await model.unpack(await (await fetch('../golden-NAME/weights.bin')).arrayBuffer())), golden, model); }""".replace("golden-NAME", f"golden-{name}"))
        finally: shutil.rmtree(site/f"golden-{name}")
        agrees(told)

    def test_every_page_loads_and_draws_its_figures(self, address, pages, tab):
        for page in pages:
            tab.goto(f"{address}/{page.relative_to(site).as_posix()}")
            tab.wait_for_function("[...document.querySelectorAll('.plotly-graph-div')].every(d => d.querySelector('svg.main-svg'))", timeout=15_000)
            assert tab.locator(".plotly-graph-div").count() == figures_of(page), page.name
            if page.name == "losses.html": tab.locator(".katex").nth(3).wait_for(state="attached", timeout=5_000)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [1440, 390])
    def test_pages_fit_desktop_and_phone(self, address, look, width, scheme):
        tab = look(width, scheme)
        for name in ("index", "tour", "dream", "reference", "studies/horizon", "demo/index"):
            tab.goto(f"{address}/{name}.html")
            tab.wait_for_timeout(300)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
            if name == "demo/index": assert tab.locator("#stage figcaption").evaluate_all("all => all.every(e => e.scrollWidth <= e.clientWidth + 1)")   # nothing is cut off
            (top/".screenshots").mkdir(exist_ok=True)
            tab.screenshot(path=top/".screenshots"/f"site-{name.replace('/', '-')}-{width}-{scheme}.png")

    @pytest.mark.parametrize("width", [1440, 390])
    def test_a_hundred_characters_of_code_fit_a_desktop_and_scroll_on_a_phone(self, address, look, width):
        tab = look(width, "light")
        tab.goto(f"{address}/train.html")
        wide = tab.evaluate("""() => {
            const code = document.querySelector('main pre code'), box = code.closest('pre');
            code.textContent = 'x'.repeat(100);
            return [code.getClientRects().length, box.scrollWidth > box.clientWidth, document.documentElement.scrollWidth]; }""")
        assert wide == [1, width < 1440, width], "one line; sideways only within its box, and only on a phone"

    def test_search_finds(self, address, tab):
        tab.goto(f"{address}/index.html")
        tab.get_by_placeholder("Search").fill("conformal")
        tab.locator(".smalldocs-search-results a").first.wait_for(timeout=5_000)

    @pytest.mark.timed
    def test_the_demo_plays_rings_and_jumps_a_million_frames(self, address, tab):
        tab.goto(f"{address}/demo/index.html")
        shown = lambda: int(tab.locator("#stage").get_attribute("data-shown") or 0)
        tab.wait_for_selector("#stage[data-shown]")
        tab.evaluate("document.getElementById('speed').value = 5; document.getElementById('speed').oninput()")
        tab.wait_for_timeout(1500)
        first = shown()
        tab.wait_for_timeout(3000)
        assert (shown()-first)/3 >= 55                                       # of 60
        tab.keyboard.press("i")
        tab.wait_for_selector("#stage[data-struck=teleport] .alarm:not([hidden])", timeout=5_000)
        tab.select_option("#ahead", "1000000")
        tab.click("#dream")
        assert "no test of the dream" in tab.locator("#stage .status").inner_text()   # reality is broken
        tab.wait_for_timeout(1500)                                           # and then it is mended
        tab.click("#dream")
        tab.wait_for_function("document.querySelector('#stage .status').textContent.includes('1,000,000 frames ahead the dream is')", timeout=15_000)
        tab.click("#dream")
        for kind in VIOLATIONS:
            tab.select_option("#kind", kind)
            tab.click("#inject")
            tab.wait_for_selector(f"#stage[data-struck={kind}]", timeout=5_000)
        tab.uncheck("#decoder")
        tab.wait_for_selector("#stage .blank:not([hidden])")
        tab.select_option("#magnitude", index=0)
        chosen = [tab.locator(name).input_value() for name in ("#kind", "#magnitude")]
        tab.select_option("#weights", "classic")
        tab.wait_for_timeout(1500)
        assert [tab.locator(name).input_value() for name in ("#kind", "#magnitude")] == chosen
        before = shown()
        tab.locator("h1").click()                                            # a key is a control's own while it has the focus
        tab.keyboard.press("Space")
        tab.wait_for_timeout(300)
        still = shown()
        tab.wait_for_timeout(500)
        assert shown() == still and before > 0

    def test_the_demo_holds_still_where_less_motion_is_asked_for(self, address, look):
        tab = look(1440, "light", reduced_motion="reduce")
        tab.goto(f"{address}/demo/index.html")
        tab.wait_for_selector("#stage[data-shown]")
        tab.wait_for_timeout(800)
        assert tab.locator("#stage").get_attribute("data-shown") == "1" and "less motion" in tab.locator("#stage .status").inner_text()
