"""Impossible values of the config are found before any job starts, each in one line."""

import importlib
import json
import shutil
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml

from slamflow.config.load import load
from slamflow.config.plan import Plan
from slamflow.config.schema_texts import GeneratedSource

ROOT = Path(__file__).parents[2]
LAYERS = json.loads((ROOT / "resources/hubert-pocket/config.json").read_text())["num_hidden_layers"]
TEXT = "tokenisers: {text: {features: bpe, corpora: [stories], bpe: %s}}"
UNKNOWN = "the text of librispeech is not known, which text makes units of"
CONTENTS = set(typing.get_args(GeneratedSource.model_fields["content"].annotation))


def error(text: str, recipe: str = "pocket", root: Path = ROOT) -> str:
    overrides: dict[str, Any] = {"recipe": recipe, **yaml.safe_load(text)}
    with pytest.raises(ValueError, match=r".") as caught:
        load(root, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # corpora and voices
        ("corpora: {topic-cloze: {source: {count: 9}}}", "corpora.topic-cloze.source: items of"
         " content: topic_cloze come in mirrored pairs, and count 9 is odd"),
        ("corpora: {lexical: {source: {heard_in: librispeech}}}",
         "corpora.lexical.source.heard_in: the words of librispeech are not known"),
        ("corpora: {lexical: {source: {accents: []}}}",
         "corpora.lexical.source.accents: is empty"),
        ("corpora: {preferences: {pairs: {length: 100, prompt: 128}}}",
         "corpora.preferences.pairs: prompt 128 must be shorter than length 100"),
        ("corpora: {tinystories: {source: {minimum_words: 61}}}",
         "corpora.tinystories.source: minimum_words 61 is above maximum_words 60"),
        ("corpora: {tinystories: {source: {file: ''}}}",
         "corpora.tinystories.source.file: '' is no pattern of files below a folder:"
         " Unacceptable pattern: ''"),
        ("corpora: {librispeech: {source: {minimum: 20}}}",
         "corpora.librispeech.source: minimum 20 is not below maximum 20"),
        ("corpora: {librispeech: {source: {speaker: '(1'}}}",
         "corpora.librispeech.source.speaker: (1 is no regular expression:"
         " missing ), unterminated subpattern at position 0"),
        ("corpora: {librispeech: {source: {speaker: '[0-9]+'}}}",
         "corpora.librispeech.source.speaker: [0-9]+ has no group:"
         " put ( ) round what names the speaker"),
        ("corpora: {librispeech: {source: {pattern: ''}}}", "corpora.librispeech.source.pattern:"
         " '' is no pattern of files below a folder: Unacceptable pattern: ''"),
        ("corpora: {librispeech: {source: {folder: /data}}}", "corpora.librispeech.source.folder:"
         " /data is absolute: it should be relative to `data_root`"),
        ("corpora: {stories: {speech: {shards: 10001}}}", "corpora.stories.speech.shards:"
         " Input should be less than or equal to 10000, not 10001"),
        ("corpora: {stories: {speech: {sampling_rate: 16}}}", "corpora.stories.speech.sampling_rate"
         ": Input should be greater than or equal to 8000, not 16"),
        ("synthesisers: {espeak: {rates: [300, 100]}}",
         "synthesisers.espeak.rates: the lower end 300 is above the upper end 100"),
        ("synthesisers: {espeak: {rates: [100, 451]}}",
         "synthesisers.espeak.rates.1: Input should be less than or equal to 450, not 451"),
        ("synthesisers: {espeak: {rates: [79, 100]}}",
         "synthesisers.espeak.rates.0: Input should be greater than or equal to 80, not 79"),
        ("synthesisers: {espeak: {pitches: [50, 100]}}",
         "synthesisers.espeak.pitches.1: Input should be less than or equal to 99, not 100"),
        ("synthesisers: {espeak: {voices: []}}",
         "synthesisers.espeak.voices: is empty"),
        ("corpora: {lexical: {source: {accents: [fr-fr]}}}", "corpora.lexical.source.accents:"
         " lacks en-us, in which espeak speaks"),
        # units
        ("huberts: {real: {corpora: []}}", "huberts.real.corpora: is empty"),
        ("huberts: {real: {corpora: [stories, stories]}}",
         "huberts.real.corpora: has stories twice"),
        ("huberts: {real: {training: {architecture: {heads: 5}}}}",
         "huberts.real.training.architecture: hidden_size 192 is no multiple of heads 5"),
        ("huberts: {real: {training: {architecture: {position_groups: 5}}}}",
         "huberts.real.training.architecture: hidden_size 192 is no multiple of position_groups 5"),
        ("huberts: {real: {training: {architecture: {conv_stride: [4, 4, 2, 2, 2, 2, 2]}}}}",
         "huberts.real.training.architecture: conv_stride makes frames of 512 samples,"
         " which must be a multiple of 160, as those of MFCC, which the targets are made of"),
        ("huberts: {real: {training: {architecture: {conv_dim: []}}}}",
         "huberts.real.training.architecture.conv_dim: is empty"),
        ("huberts: {real: {targets: null}}", "huberts.real: needs one of `path`, `model` and"
         " `download`, or else `corpora`, `targets` and `training` together"),
        ("huberts: {real: {path: resources/hubert-pocket}}", "huberts.real: needs one of `path`,"
         " `model` and `download`, or else `corpora`, `targets` and `training` together"),
        ("huberts: {pocket: {initial: real}}",
         "huberts.pocket: `initial` is for one that is trained here"),
        ("huberts: {real: {initial: pocket}}",
         "huberts.real.initial: pocket is not trained here"),
        ("huberts: {real: {targets: phones}}", "huberts.real.targets: phones are true phones,"
         " which a HuBERT is to find by itself"),
        ("huberts: {real: {targets: real}}", "huberts.real: is built from itself:"
         " huberts.real → tokenisers.real → huberts.real"),
        ("huberts: {real: {targets: m}}\n"
         "tokenisers: {m: {like: real-mfcc, kmeans: {frame_rate: 50}}}", "huberts.real.targets:"
         " m has 50 frames a second, real has 25: set its kmeans.frame_rate"),
        ("huberts: {h: {like: real, targets: real, training: {architecture:"
         " {conv_stride: [5, 4, 2, 2, 2, 2, 1]}}}}", "huberts.h.targets:"
         " real has 25 frames a second, h has 50: set a conv_stride"),
        ("huberts: {h: {like: real, initial: real, training: {architecture:"
         " {heads: 2, layers: 2, dropout: 0.1, final_size: 8}}}}",
         "huberts.h.initial: real has another architecture: layers, heads"),
        ("tokenisers: {real-mfcc: {units: {precision: float16}}}",
         "tokenisers.real-mfcc: MFCC are made in float32, not in float16"),
        ("tokenisers: {real-mfcc: {quality: {least_gain: 0}}}",
         "tokenisers.real-mfcc: MFCC have no `least_gain`: it is what units have over MFCC"),
        ("corpora: {librispeech: {alignment: null}}\n"
         "tokenisers: {x: {like: real, quality: {corpora: [librispeech], least_gain: 0.1}}}",
         "tokenisers.x.quality.least_gain: cannot be judged: the phones of librispeech are not"
         " known; give one an `alignment` that finds phones, or measure other speech"),
        ("tokenisers: {hubert: {kmeans: {file: k.bin}}}",
         "tokenisers.hubert.kmeans: needs either `frames` or `file`"),
        ("tokenisers: {hubert: {corpora: null}}", "tokenisers.hubert: needs `corpora`"),
        ("tokenisers: {phones: {units: {precision: bfloat16}}}", "tokenisers.phones: true phones"
         " have no precision"),
        ("huberts: {real: {training: {optimiser: adamw}}}",
         "huberts.real.training: muon_factor 2.5 has no effect with optimiser: adamw"),
        ("tokenisers: {hubert: {kmeans: {clusters: 65535}}}", "tokenisers.hubert.kmeans.clusters:"
         " Input should be less than or equal to 65534, not 65535"),
        ("tokenisers: {hubert: {kmeans: {frames: 300}}}",
         "tokenisers.hubert.kmeans: frames 300 are too few for clusters 500"),
        ("tokenisers: {hubert: {kmeans: {layer: 99}}}",
         f"tokenisers.hubert.kmeans.layer: is 99, and pocket has {LAYERS} layers"),
        ("tokenisers: {hubert-pocket: {kmeans: {layer: 99}}}",
         "tokenisers.hubert-pocket.kmeans.layer: is 99, and hubert-pocket has 4 layers"),
        ("tokenisers: {hubert: {corpora: []}}",
         "tokenisers.hubert.corpora: is empty"),
        ("tokenisers: {hubert: {corpora: [stories, stories]}}",
         "tokenisers.hubert.corpora: has stories twice"),
        ("tokenisers: {phones: {corpora: [stories, librispeech]}}",
         "tokenisers.phones.corpora: the phones of librispeech are not known"),
        # text
        (TEXT % "{vocabulary: 257}", "tokenisers.text.bpe.vocabulary: Input should be greater than"
         " or equal to 258, not 257"),
        (TEXT % "{vocabulary: 65535}", "tokenisers.text.bpe.vocabulary: Input should be less than"
         " or equal to 65534, not 65535"),
        (TEXT % "null", "tokenisers.text: features: bpe needs a `bpe` block, the others have none"),
        ("tokenisers: {phones: {bpe: {vocabulary: 300}}}",
         "tokenisers.phones: features: bpe needs a `bpe` block, the others have none"),
        (TEXT % "{vocabulary: 300}, hubert: real",
         "tokenisers.text: features: bpe with hubert: real"),
        (TEXT % "{vocabulary: 300}, kmeans: {clusters: 50, frames: 500}", "tokenisers.text:"
         " hubert and mfcc need a `kmeans` block, phones and bpe have none"),
        (TEXT % "{vocabulary: 300}, quality: {}",
         "tokenisers.text: texts need no `quality` block"),
        (TEXT % "{vocabulary: 300}, units: {precision: bfloat16}",
         "tokenisers.text: texts have no precision"),
        (TEXT % "{vocabulary: 300}" + "\nhuberts: {real: {targets: text}}",
         "huberts.real.targets: text is text, which has no frames"),
        ("tokenisers: {text: {features: bpe, corpora: [librispeech], bpe: {vocabulary: 300}}}",
         f"tokenisers.text.corpora: {UNKNOWN}"),
        (TEXT % "{vocabulary: 300}" + "\nmixtures: {read: {like: stories, tokeniser: text,"
         " corpora: [stories, librispeech]}}", f"mixtures.read.corpora: {UNKNOWN}"),
        # language models
        ("mixtures: {stories: {corpora: []}}",
         "mixtures.stories.corpora: is empty"),
        ("mixtures: {stories: {corpora: [stories, stories]}}",
         "mixtures.stories.corpora: has stories twice"),
        ("corpora: {tinystories: {alignment: {engine: sphinx}}}", "corpora.tinystories.alignment:"
         " is not needed: its voice knows words and phones"),
        ("corpora: {librispeech: {source: {segments: libri_light}}}",
         "corpora.librispeech.source.segments: libri_light is neither vad nor libri-light nor a"
         " file .csv, .tsv, .parquet"),
        ("synthesisers: {flite: {engine: command, command: [flite]}}", "synthesisers.flite:"
         " `command` needs {wav}, and {text} or {text_file}"),
        ("synthesisers: {flite: {engine: command, command: [flite, '{voice}', '{text}', '{wav}']}}",
         "synthesisers.flite: `command` has a {voice}, and there are no `voices`"),
        ("synthesisers: {flite: {engine: command, command: flite}}",
         "synthesisers.flite.command: should be a list, not text"),
        ("synthesisers: {mms: {engine: vits}}", "synthesisers.mms: needs either `model` or"
         " `download`"),
        ("downloads: {x: {kind: archive, archives: [{url: 'http://a/b', checksum: 'md5:1'}]}}",
         "downloads.x.archives.0.checksum: md5:1 is neither sha256: and 64 hexadecimal digits nor"
         " md5: and 32"),
        ("tokenisers: {mfcc: {like: hubert}}", "tokenisers.mfcc: is the name of what units are"
         " compared with in eval.tsv; give it another one"),
        ("mixtures: {stories: {corpora: [lexical]}}",
         "mixtures.stories.corpora: lexical holds pairs, no documents"),
        ("mixtures: {stories: {packing: {held_out: 1.0}}}",
         "mixtures.stories.packing.held_out: Input should be less than 1, not 1.0"),
        ("models: {slm: {init: {hidden_size: 9, heads: 3}}}", "models.slm.init: hidden_size 9 /"
         " heads 3 must be even: rotary positions turn pairs of numbers"),
        ("models: {slm: {init: {kv_heads: 2}}}",
         "models.slm.init: heads 3 is no multiple of kv_heads 2"),
        ("models: {slm: {training: {betas: [0.9, 1]}}}",
         "models.slm.training.betas.1: Input should be less than 1, not 1"),
        ("models: {slm: {training: {betas: [-0.1, 0.9]}}}",
         "models.slm.training.betas.0: Input should be greater than or equal to 0, not -0.1"),
        ("models: {slm: {training: {warmup: 1}}}",
         "models.slm.training.warmup: Input should be less than 1, not 1"),
        ("models: {slm: {training: {optimiser: adamw, muon_factor: 2}}}",
         "models.slm.training: muon_factor 2 has no effect with optimiser: adamw"),
        ("models: {bigram: {order: 3}}",
         "models.bigram.order: Input should be less than or equal to 2, not 3"),
        # evaluation
        ("evaluate: []", "evaluate: is empty: list rows of models and benchmarks"),
        ("evaluate: null", "evaluate: is empty: list rows of models and benchmarks"),
        ("evaluate: [{models: [], benchmarks: [lexical]}]",
         "evaluate.0.models: is empty"),
        ("evaluate: [{models: [slm], benchmarks: []}]",
         "evaluate.0.benchmarks: is empty"),
    ],
)  # fmt: skip
def test_an_impossible_value_is_one_line(text: str, line: str) -> None:
    """`real` has all that the other recipes have, but for crumb's."""
    assert error(text, "real") == f"command line: {line}"


def test_a_model_of_text_is_asked_what_has_text() -> None:
    text = (
        f"{TEXT % '{vocabulary: 300}'}\n"
        "corpora: {parts: {source: {kind: salmon, folder: salmon}}}\n"
        "benchmarks: {parts: {corpus: parts}}\n"
        "mixtures: {read: {like: stories, tokeniser: text}}\n"
        "models: {reader: {like: slm, mixture: read}, aligned: {like: slm-dpo, base: reader},"
        " counted: {kind: ngram, mixture: read, order: 2}}\n"
        "evaluate: [{models: [reader, aligned, counted], benchmarks: [lexical]},"
        " {models: [slm%s], benchmarks: [lexical, parts]}]\n"
    )
    load(ROOT, {"recipe": "real", **yaml.safe_load(text % "")})
    for reader in ("reader", "aligned", "counted"):
        problem = "evaluate.1.benchmarks: the text of parts is not known, which text makes units of"
        assert error(text % f", {reader}", "real") == f"command line: {problem}"


def test_a_pseudo_word_may_be_a_word_in_no_accent_that_is_spoken() -> None:
    assert error("synthesisers: {espeak: {voices: [en-us, fr-fr+f1]}}") == (
        "recipes/pocket.yaml: corpora.lexical.source.accents: lacks fr-fr, in which espeak speaks"
    )


@pytest.mark.parametrize("content", sorted(CONTENTS - {"lexical"}))
def test_an_odd_count_is_refused_where_the_generator_refuses_it(content: str) -> None:
    generator = importlib.import_module(f"slamflow.corpora.generated.{content}")
    name = content.replace("_", "-")
    text = f"corpora: {{{name}: {{source: {{count: 1}}}}}}"
    try:
        generator.generate({"content": content, "count": 1, "seed": 0})
    except ValueError:
        assert "count 1 is odd" in error(text)
    else:
        load(ROOT, {"recipe": "pocket", **yaml.safe_load(text)})


def test_a_hubert_that_is_not_there(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "config.yaml").touch()

    def problem() -> str:
        shown = error("huberts: {pocket: {path: mine}}", root=tmp_path)
        return shown.removeprefix("command line: huberts.pocket.path: ")

    assert problem() == "there is no folder mine: mend the path, or put the HuBERT there"
    folder = tmp_path / "mine"
    folder.mkdir()
    assert problem() == "mine lacks config.json: copy the whole HuBERT there"
    config = folder / "config.json"
    config.touch()
    assert problem() == "mine lacks model.safetensors: copy the whole HuBERT there"
    (folder / "model.safetensors").touch()
    for content in ("", "[]", "{}"):
        config.write_text(content)
        assert problem() == "mine/config.json is none of a HuBERT: it has no num_hidden_layers"
    config.write_text('{"num_hidden_layers": 0}')
    shown = error("huberts: {pocket: {path: mine}}", root=tmp_path)
    assert shown.endswith("tokenisers.hubert.kmeans.layer: is 2, and pocket has 0 layers")


def test_values_at_the_bounds() -> None:
    text = """
    corpora:
      preferences: {pairs: {length: 129, prompt: 128}}
      lexical: {source: {count: 3}}
      stories: {speech: {shards: 10000}}
    synthesisers: {espeak: {rates: [80, 450], pitches: [0, 99]}}
    tokenisers: {hubert: {kmeans: {clusters: 65534, frames: 65534, layer: %s}}}
    models:
      slm: {init: {hidden_size: 6, heads: 3}, training: {betas: [0, 0.99], warmup: 0}}
      bigram: {order: '1'}
      topline: {training: {optimiser: muon, muon_factor: 2}}
    """
    config = load(ROOT, {"recipe": "pocket", **yaml.safe_load(text % LAYERS)})
    assert config.models["bigram"].order == 1


@pytest.mark.parametrize(
    ("measured", "alignment"),
    [("[librispeech, stories]", "null"), ("[librispeech]", "{engine: sphinx_phones}")],
)
def test_a_gate_needs_phones_of_some_speech(measured: str, alignment: str) -> None:
    text = f"""
    corpora: {{librispeech: {{alignment: {alignment}}}}}
    tokenisers: {{x: {{like: real, quality: {{corpora: {measured}, least_gain: 0.1}}}}}}
    """
    config = load(ROOT, {"recipe": "real", **yaml.safe_load(text)})
    assert Plan(config, ROOT).gate("x") == ["results/tokenisers/x/quality.json"]


def test_alignments_need_texts() -> None:
    aligned = "corpora: {librispeech: {alignment: {engine: sphinx}}}"
    assert error(aligned, "real") == (
        "command line: corpora.librispeech.alignment: needs texts: name `source.transcripts`, or a"
        " list of segments with text, or take `engine: sphinx_phones`, which needs none"
    )


def test_phones_are_heard_without_texts() -> None:
    heard = {"corpora": {"librispeech": {"alignment": {"engine": "sphinx_phones"}}}}
    config = load(ROOT, {"recipe": "real", **heard})
    found = Plan(config, ROOT).phone_alignments(["tinystories", "librispeech"])
    assert found == ["results/alignments/librispeech/0000.parquet"]
    spoken = "corpora: {tinystories: {alignment: {engine: sphinx_phones}}}"
    assert "is not needed: its voice knows words and phones" in error(spoken, "real")
    scored = "corpora: {librispeech: {alignment: {engine: sphinx_phones, least_score: -3}}}"
    assert "corpora.librispeech.alignment" in error(scored, "real")
