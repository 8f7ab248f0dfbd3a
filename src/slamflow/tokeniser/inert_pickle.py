"""What a pickle says, followed by hand: nothing that it names is looked up, called or imported.

Loading a pickle runs what it says. Here names are compared with a fixed list and stay names, calls
of them become records, and steps that are not needed for plain objects are refused.
"""

import io
import pickletools
import zlib
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING"
    " BINBYTES SHORT_BINBYTES BINBYTES8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_MARK = object()
STEPS = frozenset(
    "PROTO FRAME MARK EMPTY_LIST EMPTY_DICT LIST TUPLE DICT TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS"
    " SETITEM SETITEMS PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL"
    " REDUCE NEWOBJ BUILD".split()
).union(_VALUES, _CONSTANTS)


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


class Reading:
    """What is made of the objects of a pickle: of each call, of its state, and of outer ids.

    Each method may raise ValueError; by default calls stay records and there are no outer ids.
    """

    def called(self, made: Made) -> Any:
        """What stands for a call; its state, if any, comes later."""
        return made

    def built(self, target: Any, state: Any) -> Any:
        """What stands for a `target` that has just got its state."""
        made: Made = of_kind(target, Made)
        made.state = state
        return made

    def outer(self, identity: Any) -> Any:
        """What stands for an object that lies outside the pickle."""
        raise ValueError("asks for the pickle's BINPERSID")


def follow(
    stream: io.BytesIO, names: Container[str], reading: Reading, steps: Container[str] = STEPS
) -> Any:
    """What a pickle describes: plain values, `Named`, and what `reading` makes of the rest.

    Args:
        stream: the pickle; what is read of it inside `reading` is no part of the pickle.
        names: those that may occur, as `module.name`.
        steps: those that may be taken.

    Raises:
        ValueError: the pickle is damaged, or asks for anything else.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return stack.pop()
            if opcode.name not in steps:
                raise ValueError(f"asks for the pickle's {opcode.name}")
            if opcode.name in ("GLOBAL", "STACK_GLOBAL"):
                stack.append(_named(stack, argument, names))
            elif opcode.name in ("REDUCE", "NEWOBJ"):
                arguments, called = of_kind(stack.pop(), tuple), of_kind(stack.pop(), Named)
                stack.append(reading.called(Made(called.name, arguments)))
            elif opcode.name == "BUILD":
                state, target = stack.pop(), stack.pop()
                stack.append(reading.built(target, state))
            elif opcode.name == "BINPERSID":
                stack.append(reading.outer(stack.pop()))
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
    else:
        raise AssertionError(name)  # of STEPS, and none of `follow`'s


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
