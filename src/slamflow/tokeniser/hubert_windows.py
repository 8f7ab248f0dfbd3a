"""Where the windows over an utterance lie that is too long for attention to all of it."""

from collections.abc import Iterator


def windows(frames: int, size: int, overlap: int) -> Iterator[tuple[int, int, int, int]]:
    """Windows over `frames`: first frame and end, and first frame and end of what is kept of it.

    All have `size` frames. What is kept has `overlap` frames at least on both sides, but at the
    ends of the utterance; together it is every frame once.
    """
    assert 0 < 2 * overlap < size < frames
    kept = 0
    start = 0
    while kept < frames:
        stop = start + size
        end = frames if stop == frames else stop - overlap
        yield start, stop, kept, end
        kept = end
        start = min(kept - overlap, frames - size)
