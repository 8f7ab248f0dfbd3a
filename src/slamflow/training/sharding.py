"""The optimiser's state where ZeRO has cut the parameters into pieces, one a rank.

ZeRO 1 and 2 lay the parameters of a group one behind the other and give each rank an equal piece
of them. Checkpoints hold the state by parameter, as without ZeRO, so that another number of ranks
can go on from them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

STEP = "step"  # of Adam: one number for all elements


def gathered(zero: Any) -> dict[int, dict[str, torch.Tensor]]:
    """The whole state, on the CPU; all ranks call this together, after an update.

    Args:
        zero: DeepSpeed's optimiser of ZeRO 1 or 2.
    """
    found: dict[int, dict[str, torch.Tensor]] = {}
    for index, (parameter, piece) in enumerate(_parameters(zero)):
        found[index] = {}
        for name, value in zero.optimizer.state[piece].items():
            if name == STEP:
                found[index][name] = value.clone().cpu()
                continue
            whole = torch.zeros_like(parameter, requires_grad=False)
            for part, here in _place(parameter, whole, value):
                part.copy_(here)
            torch.distributed.all_reduce(whole)  # exact: all ranks but one have zeros
            found[index][name] = whole.cpu()
    return found


def spread(zero: Any, state: Mapping[int, Mapping[str, torch.Tensor]]) -> None:
    """Load what `gathered` has returned, before the first update; each rank takes its pieces."""
    for index, (parameter, piece) in enumerate(_parameters(zero)):
        own = zero.optimizer.state[piece]
        for name, value in state[index].items():
            if name == STEP:
                own[name] = value.to(piece.device)
                continue
            flat = own.setdefault(name, torch.zeros_like(piece, requires_grad=False))
            for part, here in _place(parameter, value, flat):
                here.copy_(part)
    zero.refresh_fp32_params()


def clip(zero: Any, limit: float) -> torch.Tensor:
    """Scale the gradients to a norm of at most `limit`; returns their norm before, on the device.

    The norm is over the pieces of all ranks, which call this together.
    """
    own = [piece for pieces in zero.averaged_gradients.values() for piece in pieces]
    square = torch.nn.utils.get_total_norm(own, foreach=True).square()
    torch.distributed.all_reduce(square)
    norm = square.sqrt()
    torch._foreach_mul_(own, (limit / (norm + 1e-6)).clamp(max=1.0))
    return norm


def _place(
    parameter: Any, whole: torch.Tensor, piece: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What this rank has of `parameter`: the part of the whole, and its place in the piece.

    DeepSpeed's own functions for this find the state of the first group only.
    """
    if place := parameter._hp_mapping:  # none if all of it lies with other ranks
        part, here = place.lp_fragment_address, place.hp_fragment_address
        yield (
            whole.view(-1).narrow(0, part.start, part.numel),
            piece.narrow(0, here.start, here.numel),
        )


def _parameters(zero: Any) -> Iterator[tuple[Any, torch.Tensor]]:
    """Each parameter, and this rank's piece of its group."""
    for group, piece in zip(zero.bit16_groups, zero.single_partition_of_fp32_groups, strict=True):
        for parameter in group:
            yield parameter, piece
