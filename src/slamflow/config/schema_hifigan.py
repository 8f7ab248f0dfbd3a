"""What a Code-HiFi-GAN and its training are described by, as pydantic models.

Defaults are the published ones; see `vocoder.hifigan` and `vocoder.adversarial`.
"""

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from slamflow.config.fields import Block, Part, Positive, setting
from slamflow.config.schema_training import Optimisation

Sizes = Annotated[list[Positive], Field(min_length=1)]


class HifiganArchitecture(Block):
    """The generator's shape, and the width of the discriminators."""

    channels: Positive = setting(
        512, is_about="of the first layer; each of `upsample_rates` halves them"
    )
    embedding: Positive = setting(128, is_about="size of the embeddings of units and voices")
    upsample_rates: Sizes = setting(
        [5, 4, 4, 2, 2, 2],
        is_about="of each upsampling; their product is the samples a frame of the tokeniser"
        " (25 Hz: 640)",
    )
    kernels: Sizes = setting([3, 7, 11], is_about="of the blocks after each upsampling; odd")
    dilations: Sizes = setting([1, 3, 5], is_about="of the convolutions in each block")
    discriminator_channels: int = setting(
        32, ge=4, multiple_of=4, is_about="of the discriminators' first layers; a multiple of 4"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        halvings = len(self.upsample_rates)
        if self.channels % 2**halvings:
            raise ValueError(
                f"channels {self.channels} cannot be halved {halvings} times, once for each of"
                " upsample_rates"
            )
        if even := [kernel for kernel in self.kernels if kernel % 2 == 0]:
            raise ValueError(f"kernels: {even[0]} is even; each must be odd")
        return self

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return math.prod(self.upsample_rates)


class HifiganTraining(Optimisation):
    """Adversarial training on segments."""

    learning_rate: float = setting(2e-4, gt=0, is_about="the schedule's peak")
    betas: tuple[Part, Part] = setting((0.8, 0.99), is_about="AdamW's decay rates")
    weight_decay: float = setting(0.01, ge=0, is_about="AdamW's decoupled weight decay")
    clip: float = setting(0.0, ge=0, le=0, is_about="0: gradients are not clipped")
    segment_seconds: float = setting(0.56, gt=0, is_about="length of a training segment (s)")
    batch_seconds: float = setting(8.96, gt=0, is_about="audio in a step, over all ranks (s)")
    validation_steps: int = setting(
        0, ge=0, is_about="steps between two looks at held-out utterances; 0: only at the end"
    )
