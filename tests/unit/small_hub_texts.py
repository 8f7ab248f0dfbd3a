"""A small tokenizer and text models with random weights, in the layout of the hub."""

from pathlib import Path

import small_texts
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TRAINED_ON = ["the old dog ran to the river", "lily found a red ball and went home"]


def byte_level(special: list[str]) -> Tokenizer:
    """A byte-level BPE of a few merges, with special tokens behind its entries."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TRAINED_ON, trainer)
    made.add_special_tokens(special)
    return made


def save(folder: Path, kind: str, begins: bool) -> Path:
    """A model of `small_texts` with a tokenizer whose texts begin with <bos>, or do not."""
    small_texts.save(folder, kind)
    made = byte_level(["<bos>", "<eos>"])
    if begins:
        made.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", made.token_to_id("<bos>"))]
        )
    PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<bos>", eos_token="<eos>"
    ).save_pretrained(folder)
    return folder
