"""Speech into pieces of bounded length, cut at pauses."""

from collections.abc import Iterable

import numpy as np

from slamflow.corpora.recorded.decoding import FRAME

LONG = 2.0  # s; a silence of more ends a piece
MARGIN = 0.5  # s of silence that a piece keeps at either end, at most
SMOOTH = 5  # frames over which the probability of speech is averaged

Span = tuple[float, float]  # start and end in s


def speech(probabilities: np.ndarray, duration: float) -> list[Span]:
    """Where somebody speaks, by silero-vad's own rules and thresholds.

    Args:
        probabilities: [frames], of speech in each FRAME.
    """
    from silero_vad.utils_vad import get_speech_timestamps_from_probs

    rate = 16_000
    spans = get_speech_timestamps_from_probs(
        probabilities.tolist(), rate, audio_length_samples=int(duration * rate)
    )
    return [(span["start"] / rate, span["end"] / rate) for span in spans]


def pieces(
    spans: Iterable[Span], duration: float, maximum: float, probabilities: np.ndarray | None
) -> list[Span]:
    """Consecutive speech joined into pieces of at most `maximum` s, cut in the middle of pauses.

    A silence of more than LONG ends a piece. Of the silence at a cut each piece keeps at most
    MARGIN; the rest is in no piece. Speech longer than `maximum` without a pause is cut where it
    is least likely that somebody speaks, between half and all of `maximum`.

    Args:
        spans: of speech, in any order; what lies outside the file is left out.
        duration: of the file (s).
        probabilities: [frames], of speech in each FRAME; None if no span is longer than `maximum`.
    """
    parts = [p for s in merged(spans, duration) for p in _split(s, maximum, probabilities)]
    starts, ends = np.array(parts, dtype=np.float64).reshape(-1, 2).T
    spare = np.maximum(0.0, maximum - (ends - starts)) / 2
    pauses = starts[1:] - ends[:-1]
    before = np.minimum(spare, np.minimum(MARGIN, np.append(starts[:1], pauses / 2)))
    after = np.minimum(spare, np.minimum(MARGIN, np.append(pauses / 2, duration - ends[-1:])))
    starts, ends = starts - before, ends + after
    joined: list[Span] = []
    first = 0
    for last in range(len(parts)):
        final = last + 1 == len(parts)
        if final or pauses[last] > LONG or ends[last + 1] - starts[first] > maximum:
            joined.append((float(starts[first]), float(ends[last])))
            first = last + 1
    return joined


def merged(spans: Iterable[Span], duration: float) -> list[Span]:
    """Spans within 0 and `duration` in order, those that overlap joined."""
    found: list[Span] = []
    for start, end in sorted((max(0.0, start), min(duration, end)) for start, end in spans):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        elif start < end:
            found.append((start, end))
    return found


def _split(span: Span, maximum: float, probabilities: np.ndarray | None) -> list[Span]:
    start, end = span
    found = []
    while end - start > maximum:
        assert probabilities is not None
        # A quarter of the maximum is left at least, so that no scrap remains.
        low, high = start + maximum / 2, min(start + maximum, end - maximum / 4)
        first, last = int(np.ceil(low / FRAME - 0.5)), int(np.floor(high / FRAME - 0.5))
        near = probabilities[max(0, first - SMOOTH // 2) : last + 1 + SMOOTH // 2]
        smooth = np.convolve(near, np.ones(SMOOTH) / SMOOTH, mode="valid")
        cut = high
        if last > first >= SMOOTH and len(near) >= SMOOTH:
            cut = min(high, max(low, (first + int(smooth.argmin()) + 0.5) * FRAME))
        found.append((start, cut))
        start = cut
    return [*found, (start, end)]
