"""A small results/ folder as a workflow leaves it: speech, a HuBERT, its units and a model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import speech_tables
import torch
from small_huberts import save
from small_models import qwen2

from slamflow import files
from slamflow.lm import cards
from slamflow.tables import speech as speech_table
from slamflow.tables import training as training_table
from slamflow.tokeniser import codebook, kmeans
from slamflow.training import artefacts
from slamflow.vocoder import mel, origins, spectra

CLUSTERS, LAYER = 25, 2
ONE = {"threads": 1, "device": "cpu"}


@dataclass(frozen=True)
class Results:
    """Where its things are."""

    root: Path
    model: Path
    tokeniser: Path
    hubert: Path
    vocoder: Path


def make(root: Path) -> Results:
    """results/ below `root`: models/tiny, tokenisers/units, huberts/small and vocoders/mel."""
    results = root / "results"
    hubert = save(results / "huberts" / "small")
    speech = root / "speech.parquet"
    files.write_table(speech_tables.table(12), speech, speech_table.SCHEMA)
    config = {"features": "hubert", "layer": LAYER, "clusters": CLUSTERS, "frames": 800, "seed": 1}
    tokeniser = results / "tokenisers" / "units"
    kmeans.fit(config, hubert, [speech], tokeniser / "kmeans.safetensors", ONE)
    model = qwen2(CLUSTERS + 2, 0.3)
    model.config.units = CLUSTERS
    folder = results / "models" / "tiny"
    log = training_table.schema(("loss",)).empty_table()
    about = cards.about(model.config, folder, "Drawn at random.")
    card = artefacts.card("Language model of units", {}, {"a": 1}, log, "loss", {}, about)
    artefacts.write(model, folder, log, card)
    vocoder = results / "vocoders" / "mel"
    _, origin = codebook.read(tokeniser / "kmeans.safetensors")
    shape = {"size": 16, "layers": 1, "mel_layers": 1, "kernel": 3}
    features, hop = origins.features(origin), origins.hop(origin)
    torch.manual_seed(0)
    heard = {"sampling_rate": spectra.SAMPLING_RATE, "voice": "s0"}
    settings = mel.MelConfig(features=features, hop=hop, **heard, **shape)
    mel.UnitMel(settings).save_pretrained(vocoder)
    return Results(results, folder, tokeniser, hubert, vocoder)


def wave(path: Path, seed: int, rate: int = speech_tables.RATE, channels: int = 1) -> Path:
    """An audio file of vowels by its suffix; of several channels, each is somewhat louder."""
    rng = np.random.default_rng(seed)
    spoken, _ = speech_tables.speak([str(n) for n in rng.choice([*"aiuo"], size=8)], 110.0, rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    gains = np.linspace(0.5, 1, channels)
    soundfile.write(path, spoken[:, None] * gains, rate)
    return path
