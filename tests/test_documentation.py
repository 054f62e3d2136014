"""The Python code that users read in README.md and docs/ runs as it stands there.

All ``python`` blocks of a page run as one script, in order, in an empty folder. A block right
after the comment ``<!-- no-test: reason -->`` does not run, and one after
``<!-- needs: module -->`` only where the module is installed.
"""

import importlib
import importlib.util
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,})(?P<language>\{?[\w-]*\}?)(?P<rest>.*)")
_COMMENT = re.compile(r"\s*<!--\s*no-test\b(?::\s*(?P<reason>.*?))?\s*-->\s*")
_NEEDS = re.compile(r"\s*<!--\s*needs:\s*(?P<module>\w+)\s*-->\s*")


def script_of(text):
    """Give the text with everything but its Python blocks blanked, so that line numbers stay.

    Returns
    -------
    tuple of (str, int)
        The script, and how many blocks it holds.
    """
    script, blocks = [], 0
    fence = None
    run = skip = False
    for number, line in enumerate(text.splitlines(), start=1):
        script.append("")
        if fence is not None:
            if line.strip() == fence["fence"]:
                fence, run = None, False
            elif run:
                script[-1] = line.removeprefix(fence["indent"])
        elif (comment := _COMMENT.fullmatch(line)) is not None:
            if not comment["reason"]:
                raise ValueError(
                    f"line {number}: write <!-- no-test: reason -->. Received: {line.strip()}"
                )
            skip = True
        elif (needs := _NEEDS.fullmatch(line)) is not None:
            skip = importlib.util.find_spec(needs["module"]) is None
        elif (fence := _FENCE.fullmatch(line)) is not None:
            run = fence["language"] == "python" and not skip
            blocks += run
            skip = False
        elif line.strip():
            skip = False
    if fence is not None:
        raise ValueError("a code block is not closed")
    return "\n".join(script) + "\n", blocks


def _pages():
    """Give README.md, whatever it holds, and each page of docs/ that has a block to run."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return [README, *(page for page in pages if script_of(page.read_text(encoding="utf-8"))[1])]


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras' own, with NumPy 2
@pytest.mark.filterwarnings("ignore:(currentThread|getName)")  # KerasTuner's
@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_code_runs(page, tmp_path, monkeypatch):
    script, blocks = script_of(page.read_text(encoding="utf-8"))
    assert blocks > 0, f"{page.name} has no Python code block to run"
    # A file of its own, since autograph reads the source of the functions that it traces.
    path = tmp_path / f"{page.stem}.py"
    path.write_text(script, encoding="utf-8")
    working_folder = tmp_path / "working_folder"
    working_folder.mkdir()
    monkeypatch.chdir(working_folder)
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize("package", ["metalearning", "tasks", "evaluation"])
def test_every_public_name_is_in_the_reference(package):
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = {line.strip().rpartition(".")[2] for line in text.splitlines()}
    public = set(importlib.import_module(f"deepchem_meta.{package}").__all__)
    assert not public - listed - {"inner_optimizers"}


def _anchors(path):
    """Give what Sphinx and GitHub make of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_to_files_of_the_repository_lead_there(name):
    """Sphinx checks those between its own pages."""
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    for link in links:
        if not link.startswith(("https:", "mailto:")):
            target, _, anchor = link.partition("#")
            path = ROOT / (target or name)
            assert path.exists(), link
            assert not anchor or anchor in _anchors(path), link


def test_script_keeps_order_and_line_numbers():
    text = """\
```python
a = 1
```
- in a list
  ```python
  if a:
      b = 2
  ```
```bash
rm x
```
````
```python
c = 4
```
````
"""
    script, blocks = script_of(text)
    assert blocks == 2
    assert {i: s for i, s in enumerate(script.splitlines(), start=1) if s} == {
        2: "a = 1",
        6: "if a:",
        7: "    b = 2",
    }


def test_comment_skips_the_next_block_only():
    block = "```python\na = 1\n```\n"
    comment = "<!-- no-test: needs DeepChem -->\n"
    assert script_of(comment + block + block)[1] == 1
    assert script_of(comment + "\n" + block)[1] == 0
    assert script_of(comment + "Some text.\n" + block)[1] == 1


def test_a_block_that_needs_a_module():
    block = "```python\na = 1\n```\n"
    assert script_of("<!-- needs: json -->\n" + block)[1] == 1
    assert script_of("<!-- needs: no_such_module -->\n" + block)[1] == 0


def test_comment_needs_a_reason():
    with pytest.raises(ValueError, match="no-test: reason"):
        script_of("<!-- no-test -->\n```python\n```\n")


def test_unclosed_block_is_an_error():
    with pytest.raises(ValueError, match="not closed"):
        script_of("```python\na = 1\n")
