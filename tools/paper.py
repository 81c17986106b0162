"Compile the paper: `python tools/paper.py` writes nbs/paper/paper.pdf, unless a figure is older than its data or a number in the text is typed."
import re
import sys
from pathlib import Path

import typst
from dvd_jepa.core import atomic_write
from figures import stale

top = Path(__file__).parent.parent
source, target = top/"nbs"/"paper"/"paper.typ", top/"nbs"/"paper"/"paper.pdf"
PRINTERS = r"\b(?:num|big|pct|two|three|four|plus|str)\(\s*-?\.?\d[\d.]*\s*[,)]"   # what turns a value into text must not be handed a literal


def compiled()->bytes:
    "The paper as a PDF, with the fonts that typst brings along; the same bytes for the same files."
    return typst.compile(source, root=top, ignore_system_fonts=True)

def typed(text)->list:
    "Numbers that are typed in the prose of a typst source: whatever isn't code may hold no digit, a formula none but single ones, and code may not print a literal."
    text = re.sub(r"(?m)^\s*//.*$", "", text)
    found, prose = [m.group(0) for m in re.finditer(PRINTERS, text)], []
    _prose(text, 0, None, prose)
    for part in prose:
        part = re.sub(r"@[\w-]+|<[\w:-]+>|`[^`]*`", "", part)
        formulas = re.findall(r"\$[^$]*\$", part)
        found += [number for formula in formulas for number in re.findall(r"\d[\d.]+", formula)]
        found += re.findall(r"\S*\d\S*", re.sub(r"\$[^$]*\$", "", part))
    return found

def _prose(text, i, end, prose):
    "Collect what is written from `i` to `end` (a bracket, or None for all), leaving out code; return where that ends."
    start = i
    while i < len(text) and text[i] != end:
        if text[i] == "\\": i += 2
        elif text[i] == "`": i = text.index("`", i+1)+1
        elif text[i] == "#":
            prose.append(text[start:i])
            i = start = _code(text, i+1, prose)
        else: i += 1
    prose.append(text[start:i])
    return i

def _code(text, i, prose):
    "Pass over the expression or the statement that begins at `i`; what is written inside its brackets is prose again."
    statement = re.match(r"(let|set|show|import)\b", text[i:])
    while i < len(text):
        if text[i] in "({": i = _nested(text, i+1, {"(": ")", "{": "}"}[text[i]], prose)
        elif text[i] == "[": i = _prose(text, i+1, "]", prose)+1
        elif text[i] == '"': i = re.compile(r'"(?:\\.|[^"\\])*"').match(text, i).end()
        elif statement and text[i] != "\n" or re.match(r"[\w-]", text[i]) or (text[i] == "." and re.match(r"[a-z]", text[i+1:i+2])): i += 1
        else: break
    return i

def _nested(text, i, end, prose):
    while text[i] != end:
        if text[i] in "({": i = _nested(text, i+1, {"(": ")", "{": "}"}[text[i]], prose)
        elif text[i] == "[": i = _prose(text, i+1, "]", prose)+1
        elif text[i] == '"': i = re.compile(r'"(?:\\.|[^"\\])*"').match(text, i).end()
        else: i += 1
    return i+1


if __name__ == "__main__":
    if old := stale(): sys.exit(f"older than their data: {', '.join(old)}; run `make figures`")
    if numbers := typed(source.read_text(encoding="utf-8")): sys.exit(f"typed instead of read: {', '.join(numbers)}")
    with atomic_write(target) as tmp: tmp.write_bytes(compiled())
    print(f"wrote {target.relative_to(top)}")
