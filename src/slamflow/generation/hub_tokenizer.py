"""Tokenizers of text that lie beside a published model."""

from pathlib import Path
from typing import Any

from slamflow import pretrained

PATTERNS = (*pretrained.FILES, "merges.txt", "vocab.txt", "tokenizer.model")
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model")


def load(kind: Any, folder: Path) -> Any:
    """The tokenizer in a folder in transformers' layout.

    Args:
        kind: its class, or AutoTokenizer.

    Raises:
        ValueError: there is none, or it cannot be opened.
    """
    # without these transformers makes one that knows no word, and says nothing
    if not any((Path(folder) / name).is_file() for name in VOCABULARIES):
        raise ValueError(f"{folder}: has no tokenizer; put its tokenizer.json there")
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except pretrained.ERRORS as error:
        raise ValueError(
            f"{folder}: its tokenizer cannot be opened ({pretrained.reason(error)}); it needs"
            " tokenizer.json and tokenizer_config.json of one revision"
        ) from None
