"""What the configs of all training loops have in common, as a pydantic model."""

from typing import Literal, Self

from pydantic import model_validator

from slamflow.config.fields import Block, Part, Positive, Seed, Share, machine, setting


class Optimisation(Block):
    """What every training loop has: steps, optimiser and schedule."""

    steps: int = setting(ge=0, is_about="optimiser steps; 0 keeps the initial weights")
    optimiser: Literal["adamw", "muon"] = setting(
        "adamw", is_about="muon: for the matrices of the transformer's layers, AdamW for the rest"
    )
    learning_rate: float = setting(gt=0, is_about="the schedule's peak")
    muon_factor: float = setting(
        1.0, gt=0, is_about="muon: learning rate of its matrices, as a multiple of the others'"
    )
    betas: tuple[Part, Part] = setting((0.9, 0.999), is_about="AdamW's decay rates")
    eps: float = setting(1e-8, gt=0, is_about="AdamW's epsilon")
    weight_decay: float = setting(0.0, ge=0, is_about="AdamW's decoupled weight decay")
    schedule: Literal["cosine", "linear", "inverse_sqrt"] = setting(
        "cosine",
        is_about="cosine, linear: down to `floor`; inverse_sqrt: × √(warm-up / step)",
    )
    warmup: Part = setting(0.01, is_about="share of the steps that warm up linearly")
    floor: Share = setting(0.05, is_about="least rate, as a share of the peak")
    clip: float = setting(0.5, gt=0, is_about="largest norm of the gradient")
    precision: Literal["float32", "bfloat16"] = setting(
        "float32",
        is_about="bfloat16: autocast over float32 weights, where the processor is made for it",
    )
    seed: Seed = setting(0, is_about="order of the data, masks")
    ranks: Positive | None = machine(None, is_about="processes; default: one a GPU, or one")
    micro_batch: Positive | None = machine(
        None, is_about="documents, rows or crops in memory at once; default: chosen by the stage"
    )
    checkpoint_minutes: float = machine(2.0, gt=0, is_about="time between checkpoints (min)")
    checkpoint_steps: Positive | None = machine(None, is_about="or: steps between checkpoints")

    @model_validator(mode="after")
    def _muon(self) -> Self:
        if self.optimiser != "muon" and self.muon_factor != 1:
            raise ValueError(
                f"muon_factor {self.muon_factor:g} has no effect with optimiser: {self.optimiser}"
            )
        return self
