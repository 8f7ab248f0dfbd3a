"""Words and phones of what espeak-ng spoke, in seconds."""

import bisect
import re
from typing import TYPE_CHECKING

from slamflow.synthesis.voices import SILENCE, Label

if TYPE_CHECKING:
    from slamflow.synthesis.espeak import Spoken

# The engine reports an l that ends a syllable when it is over: "all" is 48 ms longer than "awe".
LATE = 0.05  # s, but at most half of the interval that holds it


def phones(spoken: "Spoken", duration: float) -> list[Label]:
    """Phones and silences in seconds that cover the utterance without gaps.

    A word's first phone begins with the word (the engine reports it after its closure). Silences
    in a row are one.
    """
    total = len(spoken.samples)
    names = [label for label, _ in spoken.phones]
    starts = [start for _, start in spoken.phones]
    for _, start in spoken.words:
        index = bisect.bisect_left(starts, start)
        while index < len(names) and names[index] == SILENCE and starts[index] == start:
            index += 1
        if index < len(names) and names[index] != SILENCE:
            starts[index] = start
    longest = round(LATE * spoken.sampling_rate)
    for index in range(1, len(starts)):
        end = starts[index + 1] if index + 1 < len(starts) else total
        if names[index] != SILENCE and starts[index] == end:
            starts[index] -= min(longest, (end - starts[index - 1]) // 2)
    merged: list[Label] = []
    ends = [*starts, total]
    for label, start, end in zip([SILENCE, *names], [0, *starts], ends, strict=True):
        if end <= start:
            continue
        if merged and label == SILENCE == merged[-1]["label"]:
            merged[-1]["end"] = end / spoken.sampling_rate
        else:
            begin, stop = start / spoken.sampling_rate, end / spoken.sampling_rate
            merged.append({"label": label, "start": begin, "end": stop})
    merged[-1]["end"] = duration
    return merged


def words(spoken: "Spoken", said: str, text: str, duration: float) -> list[Label]:
    """Words in seconds: the tokens between blanks, without punctuation around them.

    A word ends where the next one or a silence begins. Tokens that the engine speaks as one
    ("in the") are one word. What was spoken by phonemes is labelled with the words of the text if
    those are as many.
    """
    tokens = list(re.finditer(r"\S+", said))
    labels = [match.group().strip("[]") for match in tokens]
    if said != text and len(text.split()) == len(tokens):
        labels = text.split()
    firsts = [match.start() for match in tokens]
    total = len(spoken.samples)
    silences = [start for label, start in spoken.phones if label == SILENCE]
    silences.append(total)
    found: list[Label] = []
    indices: list[int] = []
    for number, (position, start) in enumerate(spoken.words):
        index = max(0, bisect.bisect_right(firsts, position) - 1)
        following = spoken.words[number + 1][1] if number + 1 < len(spoken.words) else total
        end = min(following, silences[min(bisect.bisect_right(silences, start), len(silences) - 1)])
        if indices and index <= indices[-1]:
            found[-1]["end"] = max(end, found[-1]["end"])
        else:
            found.append({"label": "", "start": start, "end": end})
            indices.append(index)
    for word, index, after in zip(found, indices, [*indices[1:], len(tokens)], strict=True):
        parts = [_bare(label) for label in labels[index:after]]
        word["label"] = " ".join(part for part in parts if part)
        word["start"] = word["start"] / spoken.sampling_rate
        word["end"] = min(word["end"] / spoken.sampling_rate, duration)
    return [word for word in found if word["end"] > word["start"]]


def _bare(token: str) -> str:
    return re.sub(r"^[^\w]+|[^\w]+$", "", token)
