"""Preferences from SWAG or HellaSwag, as in SpokenSwag: the right ending against a wrong one."""

import contextlib
import hashlib
import random
import re
from collections.abc import Generator, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from slamflow.corpora.generated.rows import Row
from slamflow.corpora.texts import inputs, outputs
from slamflow.corpora.texts.auto_bleu import auto_bleu
from slamflow.tables.gathered import Gathered

ENDINGS = tuple(f"ending{number}" for number in range(4))
COLUMNS = ("sent1", "sent2", "gold-source", *ENDINGS, "label")
KEYS = ("ctx_a", "ctx_b", "endings", "label")
ROLES = ("prompt", "chosen", "rejected")


class Item(NamedTuple):
    """A context, the beginning of what follows, and its endings with the right one's number."""

    prompt: str
    begun: str
    endings: list[str]
    right: int
    group: str


def read(
    config: Mapping[str, Any],
    sources: pa.Table,
    data_root: Path,
    rejected: Gathered,
    heard: pa.Table | None = None,
) -> Iterator[list[Row]]:
    """Three rows an item: prompt, chosen and rejected, as SpokenSwag makes them of SWAG.

    The prompt is the first sentence; chosen and rejected are the beginning of the second with the
    right and with a wrong ending. Only items with a real ending (`gold-source` is `gold`) count.
    The group is HellaSwag's activity, and empty for SWAG.

    Args:
        config: `folder`, `format` (`swag`: CSV; `hellaswag`: JSON lines), `count` (the first so
            many items, null: all; what follows is not looked at), `minimum_words` and
            `maximum_words` of each of the three texts, `members` for zips, and
            `rejected`: `random` (any wrong ending) or `nearest_length` (the one nearest to the
            right one in characters), drawn among several by `seed` and the row alone;
            `maximum_auto_bleu`: prompt and chosen together repeat no larger share of their
            bigrams, null for no limit. Equality is kept, as in the paper; its code drops it.
        rejected: of the rejected schema, gets every row that is left out.

    Yields:
        The rows of each item.

    Raises:
        ValueError: a file cannot be read (see `inputs.parts`), or a column is missing.
    """
    with contextlib.closing(_fitting(config, sources, data_root, rejected)) as fitting:
        yield from islice(fitting, config.get("count"))


def _fitting(
    config: Mapping[str, Any], sources: pa.Table, data_root: Path, rejected: Gathered
) -> Generator[list[Row], None, None]:
    seen: set[bytes] = set()
    hellaswag = config["format"] == "hellaswag"
    for part in inputs.parts(config, sources, data_root):
        records = inputs.json_lines(part) if hellaswag else inputs.csv_rows(part, COLUMNS)
        for number, record in records:
            name = f"{part.prefix}-{number:06d}"
            item = _item(record, hellaswag)
            texts = item if isinstance(item, str) else _texts(item, name, config)
            if not isinstance(texts, str):
                key = hashlib.blake2b("\n".join(texts[:2]).encode(), digest_size=8).digest()
                texts = "duplicate text" if key in seen else texts
                seen.add(key)
            if isinstance(texts, str):
                outputs.reject(rejected, name, part.source, texts)
                continue
            assert isinstance(item, Item)
            yield [
                (f"{name}-{role}", name, role, item.group, text, None)
                for role, text in zip(ROLES, texts, strict=True)
            ]


def _item(record: dict[str, Any] | str, hellaswag: bool) -> Item | str:
    """An item with its blanks mended, or the reason why the record is none."""
    if isinstance(record, str):
        return record
    if hellaswag:
        if missing := [key for key in KEYS if record.get(key) is None and key != "ctx_b"]:
            return f"no {missing[0]}"
        endings, group = record["endings"], record.get("activity_label")
        prompt, begun = record["ctx_a"], record.get("ctx_b") or ""
    else:
        if record["gold-source"] != "gold":
            return "not gold"
        endings, group = [record[key] for key in ENDINGS], ""
        prompt, begun = record["sent1"], record["sent2"]
    if not isinstance(endings, list) or not all(
        isinstance(text, str) for text in (prompt, begun, *endings)
    ):
        return "no text"
    label = str(record["label"]).strip()
    if not re.fullmatch("[0-9]", label) or int(label) >= len(endings):
        return "no label"
    tidied = [_tidied(text, hellaswag) for text in (prompt, begun, *endings)]
    group = outputs.shown(group) if isinstance(group, str) else ""
    return Item(tidied[0], tidied[1], tidied[2:], int(label), group)


def _tidied(text: str, hellaswag: bool) -> str:
    if hellaswag:  # WikiHow's marks: [header] How to … [title] … [step] …
        text = re.sub(r"^\s*\[title\]|\[(?:header|step|substeps)\]", " ", text)
        text = re.sub(r"\.?\s*\[title\]", ".", text)
    return outputs.tidy(text)


def _texts(item: Item, name: str, config: Mapping[str, Any]) -> list[str] | str:
    """Prompt, chosen and rejected, or the reason why they do not suit."""
    right = item.endings[item.right]
    wrong = [ending for ending in item.endings if ending.strip() and ending != right]
    if not wrong:
        return "no wrong ending"
    if config["rejected"] == "nearest_length":
        nearest = min(abs(len(ending) - len(right)) for ending in wrong)
        wrong = [ending for ending in wrong if abs(len(ending) - len(right)) == nearest]
    drawn = random.Random(f"swag {config['seed']} {name}").choice(wrong)
    answers = [f"{item.begun} {ending}".strip() for ending in (right, drawn)]
    texts = [item.prompt, *answers]
    for role, text in zip(ROLES, (item.prompt, right, drawn), strict=True):
        if not text:
            return f"no text ({role})"
    for text in texts:
        if reason := outputs.flaw(text, config):
            return reason
    limit = config.get("maximum_auto_bleu")
    if limit is not None and (found := auto_bleu(f"{texts[0]} {texts[1]}")) > limit:
        return f"repetitive (auto-BLEU {found:.2f})"
    return texts
