"""What the configs of all training loops have in common, as pydantic models."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator

from slamflow.config.fields import Block, Part, Positive, Seed, Share, machine, setting


def _switch(value: object) -> object:
    """YAML reads `on` and `off` as booleans."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


Compile = Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)]


class Budget(Block):
    """How long a training is: one of these."""

    steps: int | None = setting(None, ge=0, is_about="optimiser steps; 0 keeps the initial weights")
    tokens: Positive | None = setting(
        None, is_about="tokens (HuBERT: frames) of all steps together"
    )
    hours: float | None = setting(
        None,
        gt=0,
        is_about="wall time with start and export: the loop measures its speed and sets the steps",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.steps, self.tokens, self.hours)) != 1:
            raise ValueError("needs one of `steps`, `tokens` and `hours`")
        return self


class Optimisation(Block):
    """What every training loop has: budget, optimiser and schedule."""

    budget: Budget = setting(is_about="how long it is trained")
    optimiser: Literal["adamw", "muon", "ademamix"] = setting(
        "adamw", is_about="muon: for the matrices of the transformer's layers, AdamW for the rest"
    )
    learning_rate: float = setting(gt=0, is_about="the schedule's peak")
    muon_factor: float = setting(
        1.0, gt=0, is_about="muon: learning rate of its matrices, as a multiple of the others'"
    )
    betas: tuple[Part, Part] = setting((0.9, 0.999), is_about="AdamW's decay rates")
    slow_beta: Part = setting(0.9999, is_about="ademamix: decay rate of its slow average, at last")
    slow_weight: float = setting(
        5.0, ge=0, is_about="ademamix: weight of its slow average, at last (the paper's α)"
    )
    eps: float = setting(1e-8, gt=0, is_about="AdamW's epsilon")
    weight_decay: float = setting(0.0, ge=0, is_about="AdamW's decoupled weight decay")
    schedule: Literal["cosine", "linear", "inverse_sqrt", "wsd"] = setting(
        "cosine",
        is_about="cosine, linear: down to `floor`; inverse_sqrt: × √(warm-up / step); wsd: level,"
        " then linearly down to `floor`",
    )
    warmup: Part = setting(0.01, is_about="share of the steps that warm up linearly")
    decay: Share = setting(0.2, gt=0, is_about="wsd: share of the steps, the last, that decay")
    floor: Share = setting(0.05, is_about="least rate, as a share of the peak")
    clip: float = setting(0.5, gt=0, is_about="largest norm of the gradient")
    precision: Literal["float32", "bfloat16"] = setting(
        "float32",
        is_about="bfloat16: autocast over float32 weights, where the processor is made for it",
    )
    zero: int = setting(
        0, ge=0, le=2, is_about="what ranks share: 1 the optimiser's state, 2 gradients, too (ZeRO)"
    )
    seed: Seed = setting(0, is_about="order of the data, masks")
    ranks: Positive | None = machine(None, is_about="processes; default: one a GPU, or one")
    nodes: Positive | None = machine(
        None, is_about="of Slurm, that `ranks` are spread over evenly; default: one"
    )
    micro_batch: Positive | None = machine(
        None, is_about="documents, rows or crops in memory at once; default: chosen by the stage"
    )
    compile: Compile = machine(
        "auto", is_about="torch.compile; auto: on a GPU, where there is a C++ compiler"
    )
    tensorboard: bool = machine(
        False, is_about="also write the log for TensorBoard, below the stage's state folder"
    )
    checkpoint_minutes: float = machine(
        2.0, gt=0, is_about="time between checkpoints (min); more where they would take over 2 %"
    )
    checkpoint_steps: Positive | None = machine(None, is_about="or: steps between checkpoints")

    @model_validator(mode="after")
    def _effective(self) -> Self:
        """Settings of another optimiser or schedule would change nothing without a word."""
        of = {
            "muon_factor": self.optimiser == "muon",
            "slow_beta": self.optimiser == "ademamix",
            "slow_weight": self.optimiser == "ademamix",
            "decay": self.schedule == "wsd",
        }
        for name, used in of.items():
            value = getattr(self, name)
            if not used and value != type(self).model_fields[name].default:
                other = "schedule" if name == "decay" else "optimiser"
                raise ValueError(
                    f"{name} {value:g} has no effect with {other}: {getattr(self, other)}"
                )
        return self

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.nodes and self.nodes > 1 and (self.ranks or 1) % self.nodes:
            raise ValueError(
                f"ranks {self.ranks or 1} cannot be spread over {self.nodes} nodes evenly: set"
                f" `ranks` to a multiple of {self.nodes}"
            )
        return self

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.optimiser == "muon" and self.zero:
            raise ValueError(
                f"optimiser: muon needs zero: 0, not {self.zero}, which cuts matrices into pieces"
            )
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise ValueError(
                f"warmup {self.warmup:g} and decay {self.decay:g} are more than all steps"
            )
        if self.optimiser == "ademamix" and not 0 < self.betas[0] <= self.slow_beta:
            raise ValueError(
                f"ademamix needs 0 < betas {self.betas[0]:g} ≤ slow_beta {self.slow_beta:g}"
            )
        return self
