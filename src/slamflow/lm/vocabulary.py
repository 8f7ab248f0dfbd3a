"""The ids of language models: units come after padding and `<S>`."""

PAD = 0
BOUNDARY = 1  # <S>: both the beginning and the end of an utterance
UNITS = 2  # unit i is id i + UNITS
