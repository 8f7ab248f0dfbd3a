"""What the training loop asks of a mel vocoder's training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from slamflow.tokeniser import codebook as codebook_file
from slamflow.training import artefacts, order
from slamflow.training.device import send
from slamflow.training.rank import Place
from slamflow.vocoder import durations, mel, mel_data, origins, spectra
from slamflow.vocoder.data import padded

MICRO_FRAMES = {"cpu": 2000, "cuda": 50_000}  # of a micro-batch, unless the machine says otherwise
USE = """\
from pathlib import Path

import numpy as np
import soundfile

from slamflow.vocoder import vocoding

codebook = Path("results/tokenisers/{tokeniser}/kmeans.safetensors")  # or another of its features
vocoder = vocoding.load(Path("results/vocoders/{name}"), codebook)
[wave] = vocoding.vocode(vocoder, [np.array([3, 1, 4])])  # units without repeats
soundfile.write("speech.wav", wave, vocoder.config.sampling_rate)"""


class UnitsToMels:
    """Mean absolute error of log-mels, and squared error of durations; see `loop.Task`.

    Its measures are means over frames of units:
    - `loss`: `mel` + `duration_weight` × `duration`;
    - `mel`: |difference| of log-mels (nats);
    - `duration`: (difference of ln(count + 1))², summed over units.
    """

    measures = ("loss", "mel", "duration")

    def __init__(
        self,
        config: Mapping[str, Any],
        codebook: Path,
        data: Path,
        folder: Path,
        place: Place,
    ) -> None:
        training, shape = config["training"], config["architecture"]
        self.config, self.folder, self.device = config, folder, place.device
        self.origin, self.ranks = place.origin, place.ranks
        self.seed, self.tokeniser = int(training.get("seed", 0)), codebook.parent.name
        centroids, origin = codebook_file.read(codebook)
        hop = origins.hop(origin)
        self.data, self.ratio = mel_data.Data.open(data), hop // spectra.STEP
        held_out = round(float(config.get("held_out", 0.0)) * len(self.data))
        self.examples = len(self.data) - held_out
        if not self.examples:
            raise ValueError("held_out: leaves no utterance to train on; lower it")
        self.weight_of_durations = float(training.get("duration_weight", 1.0))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.model = mel.UnitMel(
                mel.MelConfig(
                    features=origins.features(origin),
                    hop=hop,
                    voice=config.get("voice"),
                    sampling_rate=spectra.SAMPLING_RATE,
                    **{key: int(shape[key]) for key in ("size", "layers", "mel_layers", "kernel")},
                )
            )
        self.model.learn(torch.from_numpy(centroids), first=True)
        with torch.no_grad():  # so that it begins with the voice's mean
            some = self.data.mels[: 1 << 16].astype(np.float32)
            self.model.project.bias.copy_(torch.from_numpy(some.mean(0)))
        lengths = self.data.lengths
        mean = lengths[: self.examples].mean() * hop / spectra.SAMPLING_RATE
        self.batch = max(1, round(float(training["batch_seconds"]) / mean))
        self.step_tokens = round(self.batch * lengths[: self.examples].mean())
        most = MICRO_FRAMES["cpu" if place.device == "cpu" else "cuda"] / lengths.max()
        self.micro_batch = place.micro_batch(max(1, int(most)), self.batch)

    def micro_batches(self, step: int) -> Sequence[np.ndarray]:
        """Numbers of utterances, those of like length together."""
        index = self._batch(step)
        index = index[np.argsort(self.data.lengths[index], kind="stable")]
        return order.parts(index, self.micro_batch, self.ranks)

    def weight(self, step: int) -> float:
        """The frames of a step."""
        return float(self.data.lengths[self._batch(step)].sum())

    def forward(self, model: torch.nn.Module, micro_batch: np.ndarray) -> dict[str, torch.Tensor]:
        """Sums over frames of `measures`."""
        taken = [self.data.utterance(int(index), self.ratio) for index in micro_batch]
        arrays: list[list[np.ndarray]] = [
            [units for units, _, _ in taken],
            [counts for _, counts, _ in taken],
            [np.repeat(units, counts) for units, counts, _ in taken],
            [mels for *_, mels in taken],
        ]
        units, counts, frames, wanted = (send(padded(each), self.device) for each in arrays)
        sizes = send(np.array([len(units) for units, _, _ in taken]), self.device)
        lengths = send(self.data.lengths[micro_batch], self.device)
        made, lasting = model(frames, lengths, units, sizes)
        off = (made.float() - wanted).abs().mean(2, keepdim=True)
        far = (off * durations.mask(lengths * self.ratio, off.shape[1])).sum() / self.ratio
        wrong = (lasting.float() - counts.float().log1p()).square()
        late = (wrong * durations.mask(sizes, wrong.shape[1])[:, :, 0]).sum()
        return {"loss": far + self.weight_of_durations * late, "mel": far, "duration": late}

    def name(self, micro_batch: np.ndarray) -> str:
        """Numbers of utterances, in the order drawn."""
        return f"utterances {' '.join(map(str, micro_batch))}"

    @torch.inference_mode()
    def validate(self, module: torch.nn.Module) -> dict[str, float]:
        """The held-out utterances' loss and its parts, a frame."""
        index = np.arange(self.examples, len(self.data))
        if not len(index):
            return {}
        parts = order.parts(index, self.micro_batch, 1)
        sums = [self.forward(module, part) for part in parts]
        frames = float(self.data.lengths[index].sum())
        return {name: sum(float(each[name]) for each in sums) / frames for name in self.measures}

    def export(self, module: torch.nn.Module, log: pa.Table) -> None:
        """Write the vocoder with its loss on held-out utterances."""
        facts: dict[str, Any] = {
            "parameters": sum(p.numel() for p in module.parameters()),
            "utterances": self.examples,
            "seconds of speech": float(self.data.firsts[self.examples] * self.ratio)
            * spectra.STEP
            / spectra.SAMPLING_RATE,
        }
        held_out = len(self.data) - self.examples
        for name, value in self.validate(module).items():
            facts[f"{name} on {held_out} held-out utterances"] = value
        about = artefacts.About(
            text="A light vocoder of one voice that Slamflow trained: log-mels by convolutions, and"
            " Griffin-Lim. It takes units, numbers without repeats, of any codebook of the features"
            " that it was trained with, and gives speech.",
            use=USE.format(name=self.folder.name, tokeniser=self.tokeniser),
            tags=("vocoder",),
        )
        card = artefacts.card("Mel vocoder", facts, self.config, log, "loss", self.origin, about)
        artefacts.write(module, self.folder, log, card)

    def _batch(self, step: int) -> np.ndarray:
        return order.batch(step, self.batch, self.examples, self.seed)
