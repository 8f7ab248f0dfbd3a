"""What made a result: digests of code and config, versions, the commit.

Standard library only, and quick: the Snakefile asks for the digest of every script each time it
is parsed, on every node of a cluster.
"""

import ast
import functools
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

# Modules that cannot change the content of an artefact; neither they nor what only they import
# is in a digest.
NEUTRAL = frozenset(
    f"slamflow.{name}"
    for name in (
        "commandline devices disks files lease logs orphans runstate seals weights"
        " training.launcher training.stopping"
    ).split()
)

LIBRARIES = (
    "slamflow",
    "torch",
    "torchaudio",
    "transformers",
    "deepspeed",
    "snakemake",
    "pyarrow",
    "pandas",
    "numpy",
    "scipy",
    "soundfile",
    "espeakng-loader",
    "silero-vad",
    "pocketsphinx",
    "nltk",
    "pytorch-optimizer",
    "sentence-splitter",
    "tokenizers",
    "pydantic",
)


def canonical_json(content: Any) -> str:
    """JSON in one spelling: sorted keys, no spaces, no NaN or infinities."""
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(text: str) -> str:
    """Hexadecimal SHA-256 of a text as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def versions(names: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Versions of Python and of those of the named distributions that are installed."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit(root: Path) -> str | None:
    """The commit checked out in `root`, with `-dirty` if tracked files differ from it.

    None when `root` is not itself the top of a repository, or git is not installed.
    """
    root = Path(root)
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run([*command, "--exclude=*"], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def code_digest(script: Path, engines: Sequence[str], root: Path) -> str:
    """Digest of the code that can change what a script makes.

    Comments, docstrings, formatting and times do not count: the digest is over `ast.unparse` of
    each file that `reached_code` lists.

    Args:
        script: the script that Snakemake starts.
        engines: dotted names of modules that the script imports by name at run time.
        root: the checkout; first-party modules lie in its `src/`, or beside the script.

    Raises:
        ValueError: a file cannot be parsed, or a first-party module does not exist.
    """
    files = reached_code(script, engines, root)
    return digest(canonical_json([[name, _parsed(path)[0]] for name, path in files.items()]))


def reached_code(script: Path, engines: Sequence[str], root: Path) -> dict[str, Path]:
    """Module name -> file of all that `code_digest` reads, sorted; the script is `__main__`.

    Imports are followed statically, those inside functions too; `from a.b import c` reaches
    `a.b.c` if that is a module. Empty modules and NEUTRAL ones are left out.
    """
    script = Path(script)
    folders = (Path(root) / "src", script.parent)
    reached = {"__main__": script}
    seen = set(NEUTRAL)
    wanted = _imported_by("__main__", script, folders)
    wanted += [_wanted(name, "engines", folders) for name in engines]
    while wanted:
        name, path = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        if _parsed(path)[0]:
            reached[name] = path
        wanted += _imported_by(name, path, folders)
    return dict(sorted(reached.items()))


def _imported_by(name: str, path: Path, folders: Sequence[Path]) -> list[tuple[str, Path]]:
    """First-party modules that the file `path` of module `name` imports, and its packages."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    parent = name.rpartition(".")[0]
    found = [_wanted(parent, path, folders)] if parent else []
    for level, module, members in _parsed(path)[1]:
        if level:
            base = package.split(".")[: package.count(".") + 2 - level]
            module = ".".join(base + ([module] if module else []))
        if not any(_file(module.partition(".")[0], folder) for folder in folders):
            continue  # not ours
        found.append(_wanted(module, path, folders))
        for member in members:
            inner = f"{module}.{member}"
            found += [(inner, file) for folder in folders if (file := _file(inner, folder))]
    return found


def _wanted(module: str, importer: object, folders: Sequence[Path]) -> tuple[str, Path]:
    for folder in folders:
        if file := _file(module, folder):
            return module, file
    raise ValueError(f"{importer}: imports {module}, which is not in {folders[0]}")


def _file(module: str, folder: Path) -> Path | None:
    base = str(folder) + "/" + module.replace(".", "/")
    for candidate in (base + ".py", base + "/__init__.py"):
        if os.path.isfile(candidate):
            return Path(candidate)
    return None


def _parsed(path: Path) -> tuple[str, tuple[tuple[int, str, tuple[str, ...]], ...]]:
    """Normalised code of a file, and its imports as (level, module, members)."""
    try:
        return _parse(Path(path).read_bytes())
    except SyntaxError as error:
        raise ValueError(f"{path}:{error.lineno}: {error.msg}") from None


@functools.cache  # by content: an edit is seen, and each file is parsed once
def _parse(source: bytes) -> tuple[str, tuple[tuple[int, str, tuple[str, ...]], ...]]:
    tree = ast.parse(source)
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # it grows
        match node:
            case ast.Name() | ast.Constant():
                continue  # most nodes are, and nothing is in them
            case ast.Import():
                imports += [(0, alias.name, ()) for alias in node.names]
            case ast.ImportFrom():
                members = tuple(alias.name for alias in node.names)
                imports.append((node.level, node.module or "", members))
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if ast.get_docstring(node, clean=False) is not None:
                    del node.body[0]
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                value[:] = [
                    _plain(each) if isinstance(each, _FORMATTED) else each for each in value
                ]
                nodes += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, _FORMATTED):
                setattr(node, name, plain := _plain(value))
                nodes.append(plain)
            elif isinstance(value, ast.AST):
                nodes.append(value)
    return ast.unparse(tree), tuple(imports)


_FORMATTED = (ast.JoinedStr, ast.FormattedValue)


def _plain(node: Any) -> ast.Tuple:
    """An f-string as a tuple, because its spelling differs between versions of Python."""
    if isinstance(node, ast.JoinedStr):
        parts = [ast.Constant("f"), *node.values]
    else:
        form = node.format_spec or ast.Constant(None)
        parts = [node.value, ast.Constant(node.conversion), form]
    return ast.Tuple(parts, ast.Load())
