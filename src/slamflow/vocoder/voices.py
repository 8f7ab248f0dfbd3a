"""In whose voice a vocoder speaks."""

from collections.abc import Sequence
from typing import Any

import torch


def spoken(config: Any, speaker: str | None) -> str | None:
    """The voice in which a vocoder with `config` speaks what `speaker` has said.

    One of many voices speaks in the speaker's own, if it has learnt it. None: no single one.
    """
    learnt = getattr(config, "voices", None) or ()
    return speaker if speaker in learnt else config.voice


def told(vocoder: Any, speakers: Sequence[str | None] | None) -> tuple[torch.Tensor, ...]:
    """What a vocoder is told besides units: of many voices, the place of each speaker's, [n]."""
    learnt = getattr(vocoder.config, "voices", None)
    if speakers is None or not learnt:
        return ()
    places = [learnt.index(spoken(vocoder.config, speaker)) for speaker in speakers]
    return (torch.tensor(places, device=vocoder.device),)
