"""Questions of a study, as a pydantic model."""

from typing import Self

from pydantic import model_validator

from slamflow.config.fields import Block, Name, Names, reference, setting
from slamflow.config.schema_files import Text


class Question(Block):
    """A question that models answer which differ in one thing: results/study/{name}.tsv.

    Its models meet its benchmarks as if `evaluate` said so.
    """

    about: Text = setting(is_about="the question in words, for the page")
    arms: dict[Name, Names] = reference(
        "models",
        is_about="what is compared: of each arm its models, alike but for their seeds; one with"
        " `seeds` stands for all of them",
    )
    baseline: Name = setting(is_about="the arm that the others are compared with")
    benchmarks: Names = reference("benchmarks", is_about="what they are asked")

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if self.baseline not in self.arms:
            raise ValueError(f"baseline: {self.baseline} is none of its arms")
        if len(self.arms) < 2:
            raise ValueError("arms: a question has two or more")
        return self
