"""Where somebody speaks: silero-vad, whose weights lie in its package.

The package's own model takes frame after frame through Python. Here all frames of a block go
through the same layers at once, and only its LSTM steps from frame to frame.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

RATE = 16_000  # Hz
FRAME = 512  # samples that have one probability
STEP = 125  # frames; torch keeps what it compiles for each length, so that there must be few
CONTEXT = 64  # samples of the frame before, and of its own end mirrored, that a frame sees
WINDOW, HOP = 256, 128  # of the short-time Fourier transform, samples
WEIGHTS = "data/silero_vad.jit"  # the package's safetensors are of another training
CONVOLUTIONS = [f"encoder.{index}.reparam_conv" for index in range(4)]
STRIDES = (1, 2, 2, 1)


class Detector:
    """Probabilities of speech, block after block of one stream."""

    rate = RATE

    def __init__(self, threads: int = 1) -> None:
        """Load the weights; `threads` is what torch may use in this process from now on."""
        torch.set_num_threads(threads)
        spec = importlib.util.find_spec("silero_vad")
        assert spec is not None and spec.origin is not None
        model = torch.jit.load(Path(spec.origin).parent / WEIGHTS, map_location="cpu")
        weights = model._model.state_dict()
        self._fourier = weights["stft.forward_basis_buffer"]
        self._convolutions = [
            (weights[f"{part}.weight"], weights[f"{part}.bias"], stride)
            for part, stride in zip(CONVOLUTIONS, STRIDES, strict=True)
        ]
        self._memory = nn.LSTM(128, 128)
        self._memory.load_state_dict(
            {
                f"{kind}_{part}_l0": weights[f"decoder.rnn.{kind}_{part}"]
                for kind in ("weight", "bias")
                for part in ("ih", "hh")
            }
        )
        last = "decoder.decoder.2"
        self._last = weights[f"{last}.weight"][0, :, 0], weights[f"{last}.bias"]
        self.reset()

    def reset(self) -> None:
        """Begin another stream."""
        self._context = torch.zeros(CONTEXT)
        self._state: tuple[torch.Tensor, torch.Tensor] | None = None

    @torch.inference_mode()
    def hear(self, samples: np.ndarray) -> np.ndarray:
        """The probability of speech in each frame of the next block of a stream.

        Args:
            samples: float32 [n] at RATE, within [-1, 1]. Only the last block of a stream may be
                no multiple of STEP frames; it is filled up with zeros.

        Returns:
            float32 [ceil(n / FRAME)].
        """
        if len(samples) == 0:
            return np.zeros(0, np.float32)
        heard = -(-len(samples) // FRAME)
        new = functional.pad(torch.from_numpy(samples), (0, -len(samples) % (STEP * FRAME)))
        whole = torch.cat([self._context, new])
        self._context = whole[-CONTEXT:].clone()
        frames = whole.unfold(0, CONTEXT + FRAME, FRAME)
        values = functional.pad(frames, (0, CONTEXT), mode="reflect").unsqueeze(1)
        real, imaginary = functional.conv1d(values, self._fourier, stride=HOP).chunk(2, dim=1)
        values = (real.square() + imaginary.square()).sqrt()
        for weight, bias, stride in self._convolutions:
            values = functional.conv1d(values, weight, bias, stride, padding=1).relu()
        values, self._state = self._memory(values.permute(0, 2, 1), self._state)
        weight, bias = self._last
        return torch.sigmoid(values[:, 0].relu() @ weight + bias).numpy()[:heard]
