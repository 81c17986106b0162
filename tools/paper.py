"Compile the paper: `python tools/paper.py` writes nbs/paper/paper.pdf, unless a figure is older than its data or a number in the text is typed."
import re
import sys
from pathlib import Path

import typst
from dvd_jepa.files import atomic_write
from figures import stale

top = Path(__file__).parent.parent
source, target = top/"nbs"/"paper"/"paper.typ", top/"nbs"/"paper"/"paper.pdf"
PRINTERS = {"num", "big", "pct", "two", "three", "four", "plus", "str", "float", "int", "calc", "round", "abs", "digits"}   # they turn values into text, and are none
LAYOUT = {"figure", "place", "block", "bibliography", "text", "table", "image", "box", "v", "h"}
RAW = {"`make figures FULL=1`"}


def compiled()->bytes:
    "The paper as a PDF, with the fonts that typst brings along; the same bytes for the same files."
    return typst.compile(source, root=top, ignore_system_fonts=True)

def typed(text)->list:
    "Numbers that are typed in a typst source: prose may hold no digit, a formula none but single ones, and no expression may stand in the text that names nothing but printers, or a name that was let be a literal."
    text = re.sub(r"(?m)^\s*//.*$", "", text)
    prose, expressions = [], []
    _prose(text, 0, None, prose, expressions)
    literals = {name for name,value in re.findall(r"#?let ([\w-]+) = ([^\n]*)", text) if _numeric(value) and not _names(value)}
    found = [code for code in expressions if not (_names(code) - literals)] + sorted(literals)
    for part in prose:
        part = re.sub(r"@[\w-]+|<[\w:-]+>", "", part)
        found += [raw for raw in re.findall(r"`[^`]*`", part) if _numeric(raw) and raw not in RAW]
        formulas = re.findall(r"\$[^$]*\$", part)
        found += [formula for formula in formulas if re.search(r"\d[\d.]+", formula) or not re.search(r"[A-Za-z]", formula)]
        found += [word for word in re.sub(r"\$[^$]*\$|`[^`]*`", " ", part).split() if _numeric(word)]
    return found

def _numeric(text): return any(letter.isnumeric() and letter not in "²³" for letter in text)
def _names(code): return set(re.findall(r"[A-Za-z][\w-]*", re.sub(r'"[^"]*"', "", code))) - PRINTERS

def _prose(text, i, end, prose, expressions):
    "Collect what is written from `i` to `end` (a bracket, or None for all), leaving out code; return where that ends."
    start = i
    while i < len(text) and text[i] != end:
        if text[i] == "\\": i += 2
        elif text[i] == "`": i = text.index("`", i+1)+1
        elif text[i] == "#":
            prose.append(text[start:i])
            start = _code(text, i+1, prose, expressions)
            if not re.match(r"(let|set|show|import)\b", text[i+1:]) and not _names(text[i+1:start]) & LAYOUT: expressions.append(text[i:start])
            i = start
        else: i += 1
    prose.append(text[start:i])
    return i

def _code(text, i, prose, expressions):
    "Pass over the expression or the statement that begins at `i`; what is written inside its brackets is prose again."
    statement = re.match(r"(let|set|show|import)\b", text[i:])
    while i < len(text):
        if text[i] in "({": i = _nested(text, i+1, {"(": ")", "{": "}"}[text[i]], prose, expressions)
        elif text[i] == "[": i = _prose(text, i+1, "]", prose, expressions)+1
        elif text[i] == '"': i = re.compile(r'"(?:\\.|[^"\\])*"').match(text, i).end()
        elif statement and text[i] != "\n" or re.match(r"[\w-]", text[i]) or (text[i] == "." and re.match(r"[a-z]", text[i+1:i+2])): i += 1
        else: break
    return i

def _nested(text, i, end, prose, expressions):
    while text[i] != end:
        if text[i] in "({": i = _nested(text, i+1, {"(": ")", "{": "}"}[text[i]], prose, expressions)
        elif text[i] == "[": i = _prose(text, i+1, "]", prose, expressions)+1
        elif text[i] == '"': i = re.compile(r'"(?:\\.|[^"\\])*"').match(text, i).end()
        else: i += 1
    return i+1


if __name__ == "__main__":
    if old := stale(): sys.exit(f"older than their data: {', '.join(old)}; run `make figures`")
    if numbers := typed(source.read_text(encoding="utf-8")): sys.exit(f"typed instead of read: {', '.join(numbers)}")
    with atomic_write(target) as tmp: tmp.write_bytes(compiled())
    print(f"wrote {target.relative_to(top)}")
