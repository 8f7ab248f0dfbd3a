"""What the training loop asks of the training of a Code-HiFi-GAN."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from slamflow.tokeniser import convolutions
from slamflow.training import artefacts, order
from slamflow.training.device import send
from slamflow.training.rank import Place
from slamflow.vocoder import adversarial, hifigan, hifigan_data, hifigan_settings
from slamflow.vocoder.data import padded

MICRO_SECONDS = {"cpu": 4.0, "cuda": 40.0}  # of a micro-batch, unless the machine says otherwise
VALIDATED = 256  # segments of held-out utterances, at most
USE = """\
from pathlib import Path

import numpy as np
import soundfile

from slamflow.vocoder import vocoding

vocoder = vocoding.load(Path("results/vocoders/{name}"))
[wave] = vocoding.vocode(vocoder, [np.array([3, 1, 4])])  # units without repeats
soundfile.write("speech.wav", wave, vocoder.config.sampling_rate)"""
Segments = list[tuple[int, int]]  # number of an utterance, and the first frame of a segment in it


class UnitsToWaves:
    """Adversarial training on segments; see `loop.Task`.

    Discriminators and generator are updated at the same time, each by its own loss: the
    generator's is judged by the discriminators as they were before the step. As published, they
    take turns. With one update there is one optimiser, one checkpoint and one backward pass, so
    that a training that was killed goes on as if it had not been, on any number of ranks.

    Gradients are not clipped, as published: a common norm would let one part's size decide over
    the step of the other.

    A segment counts as many times as it has frames; measures are means over segments:
    - `loss`: the sum of the others, `feature` × 2 and `mel` × 45;
    - `mel`: |difference| of log-mels (nats);
    - `feature`: |difference| of what the discriminators' layers find;
    - `adversarial`: the generator's;
    - `discriminator`: the discriminators';
    - `duration`: (difference of ln(count + 1))² of the units of the segment's whole utterance.

    `loss` may rise while the speech gets better, since the discriminators learn, too.
    """

    measures = ("loss", "mel", "feature", "adversarial", "discriminator", "duration")
    watched = "mel"

    def __init__(
        self,
        config: Mapping[str, Any],
        units: int,
        hop: int,
        tokeniser: str,
        data: Path,
        folder: Path,
        place: Place,
    ) -> None:
        training, shape = config["training"], config["architecture"]
        if training.get("clip"):
            raise ValueError("training.clip: is not for adversarial training; leave it out")
        self.config, self.folder, self.device = config, folder, place.device
        self.origin, self.ranks = place.origin, place.ranks
        self.seed = int(training.get("seed", 0))
        self.data = hifigan_data.Data.open(data)
        seconds = float(training.get("segment_seconds", 0.56))
        self.frames = max(1, round(seconds * convolutions.SAMPLING_RATE / hop))
        self.seconds = self.frames * hop / convolutions.SAMPLING_RATE
        lengths = self.data.lengths
        self.utterances = len(lengths) - round(float(config.get("held_out", 0.0)) * len(lengths))
        # each utterance as often as it has room for segments, which then lie anywhere in it
        self.owners = np.repeat(np.arange(len(lengths)), lengths // self.frames)
        self.examples = int(np.searchsorted(self.owners, self.utterances))
        if not self.examples:
            raise ValueError(
                f"training.segment_seconds: no utterance to train on lasts {self.seconds:g} s;"
                " lower it, or held_out"
            )
        described = hifigan_settings.describe(config, units, hop, tokeniser, self.data.speakers)
        self.names: list[str] = described["voices"] or []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            generator = hifigan.CodeHifigan(hifigan.HifiganConfig(**described))
            self.model = adversarial.Adversarial(generator, int(shape["discriminator_channels"]))
        self.batch = max(1, round(float(training["batch_seconds"]) / self.seconds))
        self.step_tokens = self.batch * self.frames
        most = MICRO_SECONDS["cpu" if place.device == "cpu" else "cuda"] / self.seconds
        self.micro_batch = place.micro_batch(max(1, int(most)), self.batch)

    def micro_batches(self, step: int) -> Sequence[Segments]:
        """The segments of a step."""
        taken = self.owners[order.batch(step, self.batch, self.examples, self.seed)]
        room = self.data.lengths[taken] - self.frames
        firsts = np.random.default_rng([self.seed, step]).integers(room + 1)
        return order.parts(self._segments(taken, firsts), self.micro_batch, self.ranks)

    def weight(self, step: int) -> float:
        """The frames of a step."""
        return float(self.step_tokens)

    def forward(self, model: torch.nn.Module, micro_batch: Segments) -> dict[str, torch.Tensor]:
        """Sums over frames of `measures`."""
        means = model(*self._inputs(micro_batch))
        return {name: means[name] * (len(micro_batch) * self.frames) for name in self.measures}

    def name(self, micro_batch: Segments) -> str:
        """Numbers of utterances, in the order drawn."""
        return f"utterances {' '.join(str(index) for index, _ in micro_batch)}"

    @torch.inference_mode()
    def validate(self, module: torch.nn.Module) -> dict[str, float]:
        """`mel` and `duration` of segments of the held-out utterances."""
        held_out = np.unique(self.owners[self.examples :])[:VALIDATED]
        if not len(held_out):
            return {}
        middles = (self.data.lengths[held_out] - self.frames) // 2
        parts = order.parts(self._segments(held_out, middles), self.micro_batch, 1)
        sums = [self.forward(module, part) for part in parts]
        frames = len(held_out) * self.frames
        return {
            name: sum(float(each[name]) for each in sums) / frames for name in ("mel", "duration")
        }

    def export(self, module: torch.nn.Module, log: pa.Table) -> None:
        """Write the generator, as a released one that is converted, with its loss."""
        trained: Any = module
        generator = adversarial.without_norm(trained.generator)
        discriminators = sum(p.numel() for p in trained.discriminators.parameters())
        heard = int(self.data.firsts[self.utterances]) * generator.config.hop
        facts: dict[str, Any] = {
            "parameters": sum(p.numel() for p in generator.parameters()),
            "parameters of the discriminators, which are not kept": discriminators,
            "utterances": self.utterances,
            "voices": max(1, len(self.names)),
            "seconds of speech": heard / convolutions.SAMPLING_RATE,
        }
        for name, value in self.validate(module).items():
            facts[f"{name}, segments of held-out utterances"] = value
        about = artefacts.About(
            text="A Code-HiFi-GAN with a duration predictor that Slamflow trained. It takes units"
            " of one tokeniser, numbers without repeats, and gives speech.",
            use=USE.format(name=self.folder.name),
            tags=("vocoder",),
        )
        card = artefacts.card("Code-HiFi-GAN", facts, self.config, log, "mel", self.origin, about)
        artefacts.write(generator, self.folder, log, card)

    def _segments(self, utterances: np.ndarray, firsts: np.ndarray) -> Segments:
        return list(zip(utterances.tolist(), firsts.tolist(), strict=True))

    def _inputs(self, segments: Segments) -> list[torch.Tensor]:
        """What `Adversarial.forward` takes, on the device."""
        cut = [self.data.segment(index, first, self.frames) for index, first in segments]
        said = [self.data.said(index) for index, _ in segments]
        speakers = [str(self.data.speakers[index]) for index, _ in segments]
        arrays = [
            np.stack([units for units, _ in cut]),
            np.stack([wave for _, wave in cut]),
            padded([units for units, _ in said]),
            padded([counts for _, counts in said]),
            np.array([len(units) for units, _ in said]),
            np.array([self.names.index(name) if self.names else 0 for name in speakers]),
        ]
        return [send(array, self.device) for array in arrays]
