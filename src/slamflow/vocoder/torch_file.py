"""Tensors in a file of `torch.save`, without running what is in it.

Since torch 1.6 such a file is a zip of a pickle, in which each tensor is a description, and of the
bytes of their storages. As in `inert_pickle`, names are compared with a fixed list and stay names.
"""

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import torch

from slamflow.tokeniser.inert_pickle import Made, Named, Reading, follow, of_kind, printable

LARGEST = 1 << 31  # bytes of a file
TYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
}
ORDERED, TENSOR = "collections.OrderedDict", "torch._utils._rebuild_tensor_v2"
NAMES = TYPES.keys() | {ORDERED, TENSOR}
# what torch writes, and no other steps
STEPS = frozenset(
    "PROTO FRAME BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE NONE NEWTRUE NEWFALSE MARK"
    " EMPTY_TUPLE EMPTY_DICT EMPTY_LIST BINPUT LONG_BINPUT BINGET LONG_BINGET TUPLE TUPLE1 TUPLE2"
    " TUPLE3 APPEND APPENDS SETITEM SETITEMS GLOBAL BINPERSID REDUCE BUILD".split()
)


def read(path: Path) -> dict[str, Any]:
    """What `torch.save` wrote of a dictionary: plain values, dictionaries, lists and tensors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, is damaged, or asks for anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST >> 20} MiB")
        with zipfile.ZipFile(path) as archive:
            found = _Reader(archive).read()
        return dict(of_kind(found, dict))
    except zipfile.BadZipFile:
        reason = "is no zip, as torch has written since 1.6; open it there and save it anew"
    except (ValueError, KeyError, IndexError, OverflowError, RuntimeError, EOFError) as error:
        reason = printable(str(error).partition("\n")[0]) or type(error).__name__
    raise ValueError(f"{path}: {reason}; not a file of tensors that can be read")


class _Reader(Reading):
    """A file that is open; its members are stored as they are, so none is larger than the file."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("holds no data.pkl")
        self.folder = pickles[0].removesuffix("data.pkl")
        self.storages: dict[str, torch.Tensor] = {}

    def read(self) -> Any:
        """What its pickle describes."""
        ordered = f"{self.folder}byteorder" in self.archive.namelist()  # since torch 2.1
        if ordered and self._member("byteorder") != b"little":
            raise ValueError("was written on a machine of another byte order")
        return follow(io.BytesIO(self._member("data.pkl")), NAMES, self, STEPS)

    def called(self, made: Made) -> Any:
        return _called(made.name, made.arguments)

    def built(self, target: Any, state: Any) -> Any:
        """Versions of modules, as an attribute of a dictionary: they are left out."""
        return of_kind(target, dict)

    def outer(self, identity: Any) -> torch.Tensor:
        return self._storage(of_kind(identity, tuple))

    def _storage(self, described: tuple[Any, ...]) -> torch.Tensor:
        """The numbers [n] of ("storage", type, key, device, n)."""
        if len(described) != 5 or described[0] != "storage":
            raise ValueError("damaged (what should be a storage is none)")
        dtype = TYPES.get(of_kind(described[1], Named).name)
        key, size = of_kind(described[2], str), of_kind(described[4], int)
        if dtype is None:
            raise ValueError("damaged (a storage of no known type)")
        if key not in self.storages:
            data = bytearray(self._member(f"data/{key}"))
            if len(data) != size * dtype.itemsize:
                raise ValueError(f"damaged (storage {printable(key)} has another size)")
            empty = torch.empty(0, dtype=dtype)
            self.storages[key] = torch.frombuffer(data, dtype=dtype) if data else empty
        return self.storages[key]

    def _member(self, name: str) -> bytes:
        try:
            described = self.archive.getinfo(self.folder + name)
        except KeyError:
            raise ValueError(f"damaged (it has no {name})") from None
        if described.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its {name} is compressed, which torch does not do")
        try:
            return self.archive.read(described)
        except zipfile.BadZipFile as error:
            raise ValueError(f"damaged ({error})") from None


def _called(name: str, arguments: tuple[Any, ...]) -> Any:
    """What a call would make."""
    if name == ORDERED and not arguments:
        return {}
    if name != TENSOR or len(arguments) < 4:
        raise ValueError(f"asks for a call of {name}")
    storage, offset, size, stride = arguments[:4]
    of_kind(storage, torch.Tensor)
    whole = [of_kind(n, int) for n in (offset, *of_kind(size, tuple), *of_kind(stride, tuple))]
    if min(whole) < 0 or len(size) != len(stride) or math.prod(size) > len(storage):
        raise ValueError("damaged (a tensor of an impossible shape)")
    if not math.prod(size):
        return storage[:0].reshape(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if last >= len(storage):
        raise ValueError("damaged (a tensor is longer than its storage)")
    return storage.as_strided(size, stride, offset).contiguous()
