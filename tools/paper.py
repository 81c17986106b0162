"""Compile the paper: `python tools/paper.py` writes nbs/paper/paper.pdf.

It refuses if a figure is older than its data, or a number in the text is typed."""
import re
import sys
from pathlib import Path

import typst
from dvd_jepa.files import atomic_write
from figures import stale

top = Path(__file__).parent.parent
source = top/"nbs"/"paper"/"paper.typ"
target = top/"nbs"/"paper"/"paper.pdf"
# They turn values into text, and are none themselves.
PRINTERS = {"num", "big", "pct", "two", "three", "four", "plus", "str", "float", "int", "calc",
            "round", "abs", "digits"}
LAYOUT = {"figure", "place", "block", "bibliography", "text", "table", "image", "box", "v", "h"}
RAW = {"`make figures FULL=1`"}
STATEMENT = re.compile(r"(let|set|show|import)\b")
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
CLOSING = {"(": ")", "{": "}"}


def compiled()->bytes:
    "The paper as a PDF, with typst's own fonts; the same bytes for the same files."
    return typst.compile(source, root=top, ignore_system_fonts=True)

def typed(text)->list:
    """Numbers that are typed in a typst source.

    Prose may hold no digit, and a formula none but single ones. An expression in the text must
    name a value, not only printers or a name that was let be a literal."""
    text = re.sub(r"(?m)^\s*//.*$", "", text)
    prose, expressions = [], []
    _prose(text, 0, None, prose, expressions)
    lets = re.findall(r"#?let ([\w-]+) = ([^\n]*)", text)
    literals = {name for name,value in lets if _numeric(value) and not _names(value)}
    found = [code for code in expressions if not (_names(code) - literals)] + sorted(literals)
    for part in prose: found += _typed_in(part)
    return found

def _typed_in(part):
    "Numbers that are typed in a stretch of prose: in raw text, in formulas, in words."
    part = re.sub(r"@[\w-]+|<[\w:-]+>", "", part)
    raw = [said for said in re.findall(r"`[^`]*`", part) if _numeric(said) and said not in RAW]
    formulas = [said for said in re.findall(r"\$[^$]*\$", part)
                if re.search(r"\d[\d.]+", said) or not re.search(r"[A-Za-z]", said)]
    words = re.sub(r"\$[^$]*\$|`[^`]*`", " ", part).split()
    return raw + formulas + [word for word in words if _numeric(word)]

def _numeric(text): return any(letter.isnumeric() and letter not in "²³" for letter in text)

def _names(code):
    without_strings = re.sub(r'"[^"]*"', "", code)
    return set(re.findall(r"[A-Za-z][\w-]*", without_strings)) - PRINTERS


def _prose(text, i, end, prose, expressions):
    """Collect what is written from `i` to `end`, leaving out code; return where that ends.

    `end` is a bracket, or None for all of the text."""
    start = i
    while i < len(text) and text[i] != end:
        if text[i] == "\\": i += 2
        elif text[i] == "`": i = text.index("`", i+1)+1
        elif text[i] == "#":
            prose.append(text[start:i])
            start = _code(text, i+1, prose, expressions)
            code = text[i+1:start]
            is_layout = _names(code) & LAYOUT
            if not STATEMENT.match(code) and not is_layout: expressions.append(text[i:start])
            i = start
        else: i += 1
    prose.append(text[start:i])
    return i

def _code(text, i, prose, expressions):
    "Pass over the code that begins at `i`; what is written inside its brackets is prose again."
    statement = STATEMENT.match(text, i)
    while i < len(text):
        after = _enclosed(text, i, prose, expressions)
        if after is not None: i = after
        elif statement and text[i] != "\n" or _in_expression(text, i): i += 1
        else: break
    return i

def _in_expression(text, i):
    "Does the letter at `i` belong to a name, or to a method's?"
    if re.match(r"[\w-]", text[i]): return True
    return text[i] == "." and bool(re.match(r"[a-z]", text[i+1:i+2]))

def _nested(text, i, end, prose, expressions):
    while text[i] != end:
        after = _enclosed(text, i, prose, expressions)
        i = i+1 if after is None else after
    return i+1

def _enclosed(text, i, prose, expressions):
    "Where the bracket or the string that begins at `i` ends; None if none begins there."
    if text[i] in CLOSING: return _nested(text, i+1, CLOSING[text[i]], prose, expressions)
    if text[i] == "[": return _prose(text, i+1, "]", prose, expressions)+1
    return STRING.match(text, i).end() if text[i] == '"' else None


if __name__ == "__main__":
    if old := stale():
        sys.exit(f"older than their data: {', '.join(old)}; run `make figures`")
    if numbers := typed(source.read_text(encoding="utf-8")):
        sys.exit(f"typed instead of read: {', '.join(numbers)}")
    with atomic_write(target) as tmp: tmp.write_bytes(compiled())
    print(f"wrote {target.relative_to(top)}")
