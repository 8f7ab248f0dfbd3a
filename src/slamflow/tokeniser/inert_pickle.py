"""What a pickle says, followed by hand: nothing that it names is looked up, called or imported.

Loading a pickle runs what it says. Here names are compared with a fixed list and stay names, calls
of them become records, and steps that are not needed for plain objects are refused.
"""

import io
import pickletools
import zlib
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING"
    " BINBYTES SHORT_BINBYTES BINBYTES8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_MARK = object()


@dataclass(frozen=True, eq=False)
class Named:
    """A name with its module; what it names is not looked up."""

    name: str


@dataclass(eq=False)
class Made:
    """What a call of a name would have made."""

    name: str
    arguments: Any
    state: Any = None


Build = Callable[[Made], Any]


def follow(stream: io.BytesIO, names: Container[str], build: Build) -> Any:
    """What a pickle describes: plain values, `Named`, `Made`, and what `build` makes of those.

    Args:
        stream: the pickle; what is read of it inside `build` is no part of the pickle.
        names: those that may occur, as `module.name`.
        build: is given each object that has just got its state; what it returns takes its place.

    Raises:
        ValueError: the pickle is damaged, or asks for anything else.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return stack.pop()
            if opcode.name in ("GLOBAL", "STACK_GLOBAL"):
                stack.append(_named(stack, argument, names))
            elif opcode.name == "BUILD":
                state = stack.pop()
                made = of_kind(stack.pop(), Made)
                made.state = state
                stack.append(build(made))
            else:
                _step(opcode.name, argument, stack, memo)
    except (IndexError, KeyError, OverflowError):
        raise ValueError("damaged (its steps contradict each other)") from None
    raise ValueError("damaged (it ends early)")


def unpacked(path: Path, largest: int) -> bytes:
    """The bytes of a file that may be compressed by zlib or gzip, `largest` at most.

    Raises:
        ValueError: it is larger, damaged or compressed in another way.
    """
    if path.stat().st_size > largest:
        raise ValueError(f"larger than {largest >> 20} MiB")
    data = path.read_bytes()
    if data.startswith((b"\x78", b"\x1f\x8b")):
        unpacking = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
        try:
            data = unpacking.decompress(data, largest + 1)
        except zlib.error as error:
            raise ValueError(f"damaged ({error})") from None
        if len(data) > largest:
            raise ValueError(f"larger than {largest >> 20} MiB when unpacked")
        if not unpacking.eof:
            raise ValueError("damaged (it ends early)")
    elif data.startswith((b"BZ", b"\xfd7zXZ", b"\x5d\x00", b"\x04\x22\x4d\x18", b"ZF")):
        raise ValueError("compressed in a way that is not read; save it anew with compress=0")
    return data


def class_of(made: Made) -> str:
    """The class of an object, which pickles of protocol 0 and 1 make in a roundabout way."""
    if made.name.endswith("._reconstructor") and made.arguments:
        return str(of_kind(made.arguments[0], Named).name)
    return made.name


def printable(text: str) -> str:
    """The beginning of a text that others chose, fit for a message."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def of_kind(value: Any, kind: type) -> Any:
    """The value, if it is one of these.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, kind):
        raise ValueError(f"damaged (a {type(value).__name__} in place of a {kind.__name__})")
    return value


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if name in ("PROTO", "FRAME"):
        return
    if name in _VALUES:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name == "MARK":
        stack.append(_MARK)
    elif name in ("EMPTY_LIST", "EMPTY_DICT"):
        stack.append([] if name == "EMPTY_LIST" else {})
    elif name in ("LIST", "TUPLE"):
        items = _since_mark(stack)
        stack.append(items if name == "LIST" else tuple(items))
    elif name == "DICT":
        items = _since_mark(stack)
        stack.append({})
        _set(stack, items)
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        items = [stack.pop() for _ in range(int(name[-1]))]
        stack.append(tuple(items[::-1]))
    elif name in ("APPEND", "APPENDS"):
        items = [stack.pop()] if name == "APPEND" else _since_mark(stack)
        of_kind(stack[-1], list).extend(items)
    elif name in ("SETITEM", "SETITEMS"):
        _set(stack, [stack.pop(), stack.pop()][::-1] if name == "SETITEM" else _since_mark(stack))
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name in ("REDUCE", "NEWOBJ"):
        arguments, called = of_kind(stack.pop(), tuple), of_kind(stack.pop(), Named)
        stack.append(Made(called.name, arguments))
    else:
        raise ValueError(f"asks for the pickle's {name}")


def _named(stack: list[Any], argument: Any, names: Container[str]) -> Named:
    if argument is None:  # of STACK_GLOBAL
        last, module = of_kind(stack.pop(), str), of_kind(stack.pop(), str)
        name = f"{module}.{last}"
    else:
        name = argument.replace(" ", ".", 1)
    if name not in names:
        raise ValueError(f"asks for {printable(name)}")
    return Named(name)


def _since_mark(stack: list[Any]) -> list[Any]:
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _set(stack: list[Any], items: list[Any]) -> None:
    target = of_kind(stack[-1], dict)
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[of_kind(key, str)] = value  # other keys could be made to hash without end
