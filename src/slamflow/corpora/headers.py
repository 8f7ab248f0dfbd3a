"""Headers of audio files."""

LONGEST = 2**48  # frames; more is libsndfile's way to say that the header does not know
