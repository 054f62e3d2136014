"""What is shipped, and what importing it costs a user."""

import ast
import re
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

import deepchem_meta

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "deepchem_meta"
OPTIONAL = ("matplotlib", "pandas", "rdkit", "sklearn")


def _python(*arguments, cwd):
    finished = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the package as for a wheel, outside the work tree."""
    folder = tmp_path_factory.mktemp("built")
    _python(
        *("setup.py", "--quiet"),
        *("egg_info", "--egg-base", str(folder)),
        *("build_py", "--build-lib", str(folder / "lib")),
        cwd=ROOT,
    )
    return folder


def test_every_module_and_the_type_marker_are_shipped(built):
    expected = {
        path.relative_to(ROOT) for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts
    }
    data = ("py.typed", "pretrained/fs_mol.npz", "pretrained/fs_mol.md")
    expected.update(Path("deepchem_meta", name) for name in data)
    shipped = {path.relative_to(built / "lib") for path in (built / "lib").rglob("*.*")}
    assert shipped == expected


def test_a_module_that_is_gone_is_not_built_again(tmp_path):
    stale = tmp_path / "lib" / "deepchem_meta" / "gone.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    _python(
        *("setup.py", "--quiet", "egg_info", "--egg-base", str(tmp_path)),
        *("build", "--build-base", str(tmp_path), "--build-lib", str(tmp_path / "lib")),
        cwd=ROOT,
    )
    assert not stale.exists() and (stale.parent / "__init__.py").exists()


def test_metadata(built):
    distribution = Distribution.at(built / "deepchem_meta.egg-info")
    assert distribution.metadata["Name"].replace("-", "_") == "deepchem_meta"
    assert distribution.version == deepchem_meta.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {deepchem_meta.__version__}\n" in citation
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {deepchem_meta.__version__} " in changes
    extras = set(distribution.metadata.get_all("Provides-Extra"))
    assert {"molecules", "plot", "test"} <= extras
    required = [line for line in distribution.requires if "extra ==" not in line]
    assert sorted(required) == ["numpy>=1.26", "tensorflow>=2.16"]


# Keras itself tries scikit-learn and matplotlib, so what counts is who asks. Refusing the import
# shows as well that the package works where the extras are not installed.
_IMPORT_WITHOUT_EXTRAS = """
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    asked = []

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {optional!r}:
            frame = sys._getframe(1)
            while frame.f_code.co_filename.startswith("<frozen importlib"):
                frame = frame.f_back
            self.asked.append((frame.f_globals.get("__name__", ""), name))
            raise ImportError(name + " is taken for not installed")

sys.meta_path.insert(0, Refuse())
import deepchem_meta
print([pair for pair in Refuse.asked if pair[0].partition(".")[0] == "deepchem_meta"])
"""


def test_import_needs_no_optional_package():
    script = _IMPORT_WITHOUT_EXTRAS.format(optional=OPTIONAL)
    assert _python("-c", script, cwd=ROOT).strip() == "[]"


def test_public_names():
    assert {"__version__", "metalearning", "models"} <= set(deepchem_meta.__all__)
    for name in deepchem_meta.__all__:
        assert hasattr(deepchem_meta, name), name


def _forbidden(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "bare except"
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print":
            yield node.lineno, "print"


def test_forbidden_statements_are_found():
    code = "assert x\ntry:\n    print(x)\nexcept:\n    pass\n"
    assert sorted(_forbidden(ast.parse(code))) == [(1, "assert"), (3, "print"), (4, "bare except")]


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_assert_print_or_bare_except(path):
    assert list(_forbidden(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_the_engine_knows_nothing_of_what_stands_on_it():
    for path in (ROOT / "deepchem_meta" / "engine").glob("*.py"):
        found = re.findall(r"^\s*(?:from|import) deepchem_meta\.(\w+)", path.read_text(), re.M)
        assert set(found) <= {"_checks", "engine"}, path.name


# Of named tuples, of Keras (which has no public names for these) and of DeepChem's optimizers; and
# the two parts of one class, AssayTasks.
OTHERS_PRIVATE = {
    *("_asdict", "_replace"),
    *("_flatten_layers", "_inbound_nodes", "_keras_history", "_maybe_init_progbar"),
    *("_reset_progbar", "_accumulators", "_get_variable_index", "_momentums", "_velocities"),
    *("_create_keras_schedule", "_create_tf_optimizer", "_create_tf_tensor"),
    *("_configure", "_start"),
}


def _private_names_of_others(source):
    """Return the attributes with an underscore that a file uses and does not define."""
    used, defined = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.Attribute):
            (defined if isinstance(node.ctx, ast.Store) else used).add(node.attr)
    return {n for n in used - defined if n.startswith("_") and not n.startswith("__")}


def test_private_names_of_others_are_found():
    assert _private_names_of_others("class A:\n  def f(self, b):\n    return b._x") == {"_x"}
    own = "class A:\n  def __init__(self):\n    self._x = 1\n  def f(self):\n    return self._x"
    assert _private_names_of_others(own) == set()


def test_no_file_uses_a_private_name_of_another():
    """So every algorithm of the package is written in names that a user's own can use."""
    for path in PACKAGE.rglob("*.py"):
        found = _private_names_of_others(path.read_text(encoding="utf-8"))
        assert found <= OTHERS_PRIVATE, path.name
