"""torch.compile for a model whose inputs have static shapes."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from typing import Any

import torch

from slamflow import logs

COMPILERS = ("g++", "clang++", "c++", "gcc", "clang")


def apply(module: torch.nn.Module, machine: Mapping[str, Any], device: str, static: bool) -> bool:
    """Have calls of `module` compiled, if so wanted; returns whether they are.

    What cannot be compiled runs as it is, and so does all where there is no C++ compiler.

    Args:
        machine: `compile`: on, off or auto (on a GPU, if inputs have static shapes).
        static: whether the task's inputs have a few static shapes only.
    """
    wanted = machine.get("compile") or "auto"
    if wanted == "off" or (wanted == "auto" and not (device.startswith("cuda") and static)):
        return False
    if not _compiler():
        logs.say("compile: there is no C++ compiler on the PATH; the model runs uncompiled")
        return False
    import torch._dynamo  # a second

    torch._dynamo.config.suppress_errors = True
    # documents of changing lengths would make a new graph each, up to a limit
    module.compile(dynamic=False if static else None)
    return True


def eager(module: torch.nn.Module) -> Any:
    """A context in which a model runs as it is, compiled or not: for inputs of other shapes."""
    if module._compiled_call_impl is None:
        return contextlib.nullcontext()  # what follows would import the compiler, a second
    return torch.compiler.set_stance("force_eager")


def _compiler() -> bool:
    names = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    return any(shutil.which(name) for name in names)
