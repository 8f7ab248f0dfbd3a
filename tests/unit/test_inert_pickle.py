"""Nothing in a pickle is run, looked up or imported, and what is damaged is refused in one line."""

import contextlib
import copyreg
import gzip
import os
import pickle
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from small_codebooks import OLD, Evil, fitted, refused

from slamflow.tokeniser import codebook_joblib


class EvilState(Evil):
    """The same, when it gets its state."""

    def __reduce__(self) -> Any:
        return dict, (), self.command, None, None, _run


def _run(_: Any, command: str) -> None:
    os.system(command)


def _infected(command: str) -> bytes:
    """A pickle of a true KMeans with one more attribute."""
    model = fitted()
    model.verbose = Evil(command)
    return pickle.dumps(model, 2)


def _in_pieces(command: str) -> bytes:
    """`posix.system` of texts that the memo holds, behind an allowed name."""
    texts = b"\x80\x04\x8c\x06system\x94\x8c\x05posix\x94\x8c\x05numpy\x8c\x05dtype\x93\x94"
    name = f"X{chr(len(command))}\0\0\0{command}".encode("latin-1")
    return texts + b"h\x01h\x00\x93" + name + b"\x85R."


HOSTILE: dict[str, tuple[Callable[[str], bytes], str]] = {
    **{
        f"REDUCE, protocol {number}": (
            lambda command, number=number: pickle.dumps(Evil(command), number),
            "asks for posix.system;",
        )
        for number in range(6)
    },
    "INST": (
        lambda command: f"(S'{command}'\nios\nsystem\n.".encode(), "asks for the pickle's INST",
    ),
    "OBJ": (lambda command: f"(cos\nsystem\nS'{command}'\no.".encode(), "asks for os.system;"),
    "another OBJ": (
        lambda command: b"(cnumpy\ndtype\nS'f4'\no.",
        "asks for the pickle's OBJ",
    ),
    "a setter of state": (lambda command: pickle.dumps(EvilState(command)), "asks for "),
    "an attribute of a KMeans": (_infected, "asks for posix.system;"),
    "names by the memo": (_in_pieces, "asks for posix.system;"),
    "a name with dots": (
        lambda command: b"\x80\x04\x8c\x05numpy\x8c\x0fos.system\0\0\0\0\0\0\x93.",
        "asks for numpy.os.system??????;",
    ),
    "lines in a name": (lambda command: b"\x80\x04\x8c\x03o\ns\x8c\x01x\x93.", "asks for o?s.x;"),
    "__setstate__ by BUILD": (
        lambda command: b"cnumpy\ndtype\n(S'f4'\ntR}S'__setstate__'\ncos\nsystem\nsbS'x'\nb.",
        "asks for os.system;",
    ),
    "state of a name": (lambda command: b"cnumpy\nndarray\n}b.", "damaged"),
    "a call of what is no name": (lambda command: b"S'os.system'\n(S'x'\ntR.", "damaged"),
    "NEWOBJ_EX": (
        lambda command: b"\x80\x04cnumpy\ndtype\n)}\x92.", "asks for the pickle's NEWOBJ_EX",
    ),
    "an id that persists": (lambda command: b"Pos.system\n.", "asks for the pickle's PERSID"),
    "another such id": (lambda command: b"\x80\x02N\x51.", "asks for the pickle's BINPERSID"),
    "a buffer": (lambda command: b"\x80\x05\x97.", "asks for the pickle's NEXT_BUFFER"),
    "a key without end": (lambda command: b"}" + b"(" * 9 + b"t" * 9 + b"Ns.", "damaged"),
    "a text without end": (lambda command: b"\x80\x04\x8d" + b"\xff" * 7 + b"\x0f.", ""),
    "bytes without end": (lambda command: b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f.", ""),
    "a number without end": (lambda command: b"L" + b"9" * 10_000 + b"L\n.", ""),
    "nothing": (lambda command: b"", ""),
    "no pickle": (lambda command: command.encode(), ""),
    "no KMeans": (lambda command: pickle.dumps({"cluster_centers_": 1}), "holds no KMeans"),
    "one that is not fitted": (
        lambda command: pickle.dumps(MiniBatchKMeans(3)), "without centroids; fit it first",
    ),
}  # fmt: skip
RUN = ("REDUCE", "INST", "OBJ", "a setter", "an attribute", "names by")


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_run(tmp_path: Path, name: str) -> None:
    make, message = HOSTILE[name]
    marker = tmp_path / "run"
    hostile = make(f"touch {marker}")
    for number, packed in enumerate((bytes, zlib.compress, gzip.compress)):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(packed(hostile))
        assert message in refused(path)
        assert not marker.exists()
    if name.startswith(RUN):  # and what loads pickles would run it
        with contextlib.suppress(Exception):
            pickle.loads(hostile)
        assert marker.exists()


@pytest.fixture
def extension() -> Iterator[None]:
    copyreg.add_extension("posix", "system", 0x7F)
    yield
    copyreg.remove_extension("posix", "system", 0x7F)


def test_registered_extensions_are_not_used(tmp_path: Path, extension: None) -> None:
    marker = tmp_path / "run"
    hostile = pickle.dumps(Evil(f"touch {marker}"), 2)
    assert b"system" not in hostile
    (tmp_path / "k.bin").write_bytes(hostile)
    assert "asks for the pickle's EXT1" in refused(tmp_path / "k.bin")
    assert not marker.exists()
    pickle.loads(hostile)
    assert marker.exists()


def test_arrays_of_objects_and_of_impossible_sizes(tmp_path: Path) -> None:
    marker, path, model = tmp_path / "run", tmp_path / "k.bin", fitted()
    model.cluster_centers_ = np.array([[Evil(f"touch {marker}")]], dtype=object)
    joblib.dump(model, path)
    assert "holds arrays of other things than numbers" in refused(path)
    assert not marker.exists()
    assert OLD.count(b"K\x04K\x03") == 1  # the shape of the centroids
    sizes = [number.to_bytes(4, "little", signed=True) for number in (1 << 30, 1 << 20, -1)]
    for size in (*(b"J" + size for size in sizes), b"\x8a\x08" + b"\x7f" * 8, b"N"):
        path.write_bytes(OLD.replace(b"K\x04K\x03", size + b"K\x03"))
        assert "damaged" in refused(path)


NESTED = {"deep": b"\x85" * 100_000, "wide": b"q\x01h\x01\x86" * 100}


@pytest.mark.parametrize("name", NESTED)
def test_nothing_nested_is_written_out(tmp_path: Path, name: str) -> None:
    """A type of numbers whose text would be without end."""
    shape = b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(U\x05shapeK\x04K\x03\x86"
    dtype = b"U\x05dtypecnumpy\ndtype\n)" + NESTED[name] + b"\x85Rub."
    (tmp_path / "k.bin").write_bytes(shape + dtype)
    assert "arrays of other things than numbers" in refused(tmp_path / "k.bin")


def test_no_more_is_unpacked_than_a_codebook_can_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codebook_joblib, "LARGEST", 1 << 16)
    (tmp_path / "k.bin").write_bytes(zlib.compress(bytes(1 << 17)))
    assert "when unpacked" in refused(tmp_path / "k.bin")
    (tmp_path / "k.bin").write_bytes(bytes(1 << 17))
    assert "larger than" in refused(tmp_path / "k.bin")


def test_damaged_files(tmp_path: Path) -> None:
    """Every beginning of a file is refused; other bytes in it give other numbers, or a refusal."""
    path, drawn = tmp_path / "k.bin", np.random.default_rng(1)
    for packed in (OLD, gzip.compress(OLD)):
        for size in range(0, len(packed) - 8, 31):
            path.write_bytes(packed[:size])
            refused(path)
    for _ in range(500):
        changed = bytearray(OLD)
        for place in drawn.integers(len(OLD), size=2):
            changed[place] = drawn.integers(256)
        path.write_bytes(changed)
        with contextlib.suppress(ValueError):
            assert codebook_joblib.read(path).dtype == np.float32
