"The dashboard's pages import each other by name, as Streamlit lets them; and one headless Chromium serves all tests that look."
import os
import shutil
import sys
from pathlib import Path

import pytest
from dvd_jepa.cli import main

sys.path[:0] = [str(Path(__file__).parent.parent/folder) for folder in ("dashboard", "tools")]
chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


# What takes longest begins first, so that no worker is left alone with it at the end.
LONGEST_FIRST = "test_cli", "test_docs", "test_readme", "test_browser", "test_dashboard", "test_stops"


def pytest_collection_modifyitems(items):
    def turn(item): return LONGEST_FIRST.index(item.path.stem) if item.path.stem in LONGEST_FIRST else len(LONGEST_FIRST)
    items.sort(key=turn)


@pytest.fixture(scope="session")
def browser():
    if chromium is None:
        if os.environ.get("DVD_JEPA_BROWSER") == "required": raise RuntimeError("found no Chromium, and DVD_JEPA_BROWSER says that it is required")
        pytest.skip("needs Chromium (Debian's package chromium)")
    from playwright.sync_api import sync_playwright
    (Path(__file__).parent.parent/".screenshots").mkdir(exist_ok=True)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"])
        yield browser
        browser.close()

@pytest.fixture
def look(browser):
    "Open a tab of a width and a scheme; errors of its console, and whatever it would fetch from elsewhere, are errors of the test."
    opened, errors = [], []
    def open_tab(width=1440, scheme="light", **how):
        context = browser.new_context(viewport=dict(width=width, height=900), color_scheme=scheme, **how)
        tab = context.new_page()
        opened.append(context)
        tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        tab.on("pageerror", lambda e: errors.append(str(e)))
        tab.on("request", lambda r: errors.append(f"fetches {r.url}") if not r.url.startswith(("http://localhost", "data:", "blob:")) else None)
        return tab
    yield open_tab
    for context in opened: context.close()
    assert not errors, errors

@pytest.fixture
def tab(look): return look()

@pytest.fixture
def fails(capsys):
    "A call that must end in exit code 2 with one line that says so (in this process: many calls, no waiting for imports)."
    def check(*args, says):
        with pytest.raises(SystemExit) as end: main([str(a) for a in args])
        err = capsys.readouterr().err
        assert end.value.code == 2 and says in err, err
        assert len([line for line in err.splitlines() if line.strip()]) == 1 and err.startswith("error: ")
    return check
