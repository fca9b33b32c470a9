"""The docs: commands can be typed as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "benchmarks" / "README.md"]
SAID = re.compile(r"type\s+`\.venv/bin/python\s+manage\.py`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_name_the_interpreter(page):
    text = page.read_text()
    code = "\n".join(text.split("```")[1::2])  # what stands between two fences
    bare = [line for line in code.splitlines() if re.search(r"(?<!\.venv/bin/python )manage\.py", line)]
    assert bare == []
    if "docs" in page.parts and "decisions" not in page.parts and "`manage.py " in text:
        assert SAID.search(text), "say once how a command of manage.py is typed"
