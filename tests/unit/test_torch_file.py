"""Tensors of torch.save's files, and that nothing in such a file is run."""

import contextlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from small_codebooks import Evil

from slamflow.vocoder import torch_file


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def with_pickle(path: Path, data: bytes) -> Path:
    """The file with another pickle in it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, data if name.endswith("data.pkl") else content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(ValueError, match="not a file of tensors") as failure:
        torch_file.read(path)
    message = str(failure.value)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < 400
    return message


def test_reads_what_torch_reads(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    layer = torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 5))
    content = {
        "generator": layer.state_dict(),
        "views": [whole, whole[1], whole.mT, whole[:, 1:, ::2], whole.expand(1, 2, 3, 4)],
        "types": {
            str(kind): torch.tensor([1, 2, -3]).to(kind)
            for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32)
        },
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5),
        "steps": 1 << 40,
        "rate": 0.1,
        "plain": (None, True, "text", (1, -2, 300, 70_000)),
    }
    path = saved(content, tmp_path / "c.pt")
    found, expected = torch_file.read(path), torch.load(path, weights_only=True)
    assert found.keys() == content.keys()
    assert found.pop("plain") == expected.pop("plain")
    assert found["generator"].keys() == expected["generator"].keys()
    expected["generator"] = dict(expected["generator"])
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


HOSTILE = {
    **{
        f"REDUCE, protocol {n}": (lambda command, n=n: pickle.dumps(Evil(command), n), "asks for ")
        for n in range(6)
    },
    "INST": (lambda command: f"(S'{command}'\nios\nsystem\n.".encode(), "asks for the pickle's"),
    "OBJ": (lambda command: f"(cos\nsystem\nS'{command}'\no.".encode(), "asks for os.system"),
    "arguments of what is allowed": (
        lambda command: b"ccollections\nOrderedDict\n(cos\nsystem\ntR.", "asks for os.system",
    ),
    "a storage of no type": (
        lambda command: b"(X\x07\0\0\0storageccollections\nOrderedDict\nX\1\0\0\0"
        b"0X\3\0\0\0cpuK\x03tQ.",
        "a storage of no known type",
    ),
    "another id that persists": (lambda command: b"(X\1\0\0\0atQ.", "is none"),
    "a file that is not there": (
        lambda command: b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\5\0\0\0../.."
        b"X\3\0\0\0cpuK\x03tQ.",
        "it has no data/../..",
    ),
    "no pickle": (lambda command: command.encode(), ""),
    "an end too early": (lambda command: b"\x80\x02}", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_run(tmp_path: Path, name: str) -> None:
    make, message = HOSTILE[name]
    marker = tmp_path / "run"
    hostile = make(f"touch {marker}")
    path = with_pickle(saved({"generator": {}}, tmp_path / "h.pt"), hostile)
    assert message in refused(path)
    assert not marker.exists()
    if name.startswith(("REDUCE", "INST", "OBJ")):  # and torch itself would run it
        with contextlib.suppress(Exception):
            torch.load(path, weights_only=False)
        assert marker.exists()


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (4,), (1,)), (1, (3,), (1,)), (0, (2,), (3,)), (0, (9,), (0,)), (-1, (1,), (1,)),
     (0, (1 << 62,), (1,)), (0, (2,), (-1,)), (0, (2,), (1, 1))],
)  # fmt: skip
def test_tensors_larger_than_their_storage(
    tmp_path: Path, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    path = saved({"generator": torch.zeros(3)}, tmp_path / "t.pt")
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\x03tQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n("
    # each without its PROTO and STOP
    parts = b"".join(pickle.dumps(each, 2)[2:-1] for each in (offset, size, stride))
    with_pickle(path, b"\x80\x02}X\1\0\0\0t" + call + storage + parts + b"tRs.")
    assert "damaged" in refused(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = saved({"generator": {"w": torch.zeros(300)}}, tmp_path / "c.pt")
    data = path.read_bytes()
    for size in range(0, len(data), 97):
        path.write_bytes(data[:size])
        refused(path)
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    assert "is no zip, as torch has written since 1.6" in refused(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c/data.pkl", bytes(1 << 20))
    assert "is compressed, which torch does not do" in refused(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        torch_file.read(tmp_path / "none.pt")
