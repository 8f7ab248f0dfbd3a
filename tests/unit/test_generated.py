"""Generated corpora: apart from each other, balanced, of the promised size, the same each time."""

import itertools
import math
import random
import re
from collections import Counter
from functools import cache

import pyarrow as pa
import pytest

from slamflow.corpora.generated import (
    known_words,
    lexical,
    preferences,
    pseudo_words,
    scenes,
    shares,
    stories,
    story_cloze,
    syntactic,
    templates,
    themes,
    topic_cloze,
    words,
)
from slamflow.corpora.generated.phenomena import PHENOMENA
from slamflow.synthesis import phonemes
from slamflow.synthesis.espeak import Espeak
from slamflow.tables import text as text_table

COUNTS = {"stories": 1500, "topic_cloze": 320, "story_cloze": 320, "syntactic": 360}
MODULES = {
    "stories": stories,
    "topic_cloze": topic_cloze,
    "story_cloze": story_cloze,
    "syntactic": syntactic,
    "preferences": preferences,
    "lexical": lexical,
}
CLOZE = ("topic_cloze", "story_cloze")
ITEMS = (*CLOZE, "syntactic")


@cache
def made(content: str, count: int | None = None, seed: int = 1) -> pa.Table:
    count = count or COUNTS.get(content, 320)
    source = {"kind": "generated", "content": content, "count": count, "seed": seed}
    heard = None
    if content == "lexical":
        source |= {"minimum_heard": 5, "accents": ["en-us", "en-gb"]}
        heard = made("stories", 2500)
    return MODULES[content].generate(source, heard)


def texts(table: pa.Table) -> list[str]:
    return table["text"].to_pylist()


def pairs(content: str) -> list[tuple[str, str]]:
    """(right, wrong) of each item."""
    rows = made(content).to_pylist()
    assert [row["role"] for row in rows] == ["positive", "negative"] * (len(rows) // 2)
    assert all(a["item"] == b["item"] for a, b in zip(rows[::2], rows[1::2], strict=True))
    return [(a["text"], b["text"]) for a, b in zip(rows[::2], rows[1::2], strict=True)]


def sentences(content: str) -> set[str]:
    return {sentence for text in texts(made(content)) for sentence in shares.split(text)}


def tokens(text: str) -> list[str]:
    return re.findall("[a-z]+", text.lower())


def preferred(scores: list[tuple[float, float]]) -> float:
    """Share of items whose right member has the higher score; ties count half."""
    return sum(0.5 if math.isclose(a, b) else float(a > b) for a, b in scores) / len(scores)


@pytest.mark.parametrize("content", [*COUNTS, "preferences", "lexical"])
def test_tables_fit_their_schema_and_are_made_the_same_again(content: str) -> None:
    table = made(content)
    assert table.schema == text_table.SCHEMA
    roles = {"stories": 1, "preferences": 3}.get(content, 2)
    assert table.num_rows == roles * COUNTS.get(content, 320)
    assert len(set(table["id"].to_pylist())) == table.num_rows
    assert len(set(table["item"].to_pylist())) * roles == table.num_rows
    different = {tuple(texts(table)[i : i + roles]) for i in range(0, table.num_rows, roles)}
    assert len(different) * roles == table.num_rows
    if content != "lexical":
        again = MODULES[content].generate({"content": content, "count": 40, "seed": 7}, None)
        assert again.equals(made(content, 40, 7))
        assert not again.equals(made(content, 40, 8))


@pytest.mark.parametrize("content", [*ITEMS, "preferences"])
def test_nothing_evaluated_is_trained_on(content: str) -> None:
    trained = sentences("stories")
    assert not sentences(content) & trained
    if content in ITEMS:
        assert not sentences(content) & sentences("preferences")
    assert not set(texts(made("stories", 40, 9))) & set(texts(made(content)))


def test_sentences_have_shares() -> None:
    assert {shares.share(it) for it in sentences("stories")} == {"training"}
    for content in CLOZE:
        assert {shares.share(it) for it in sentences(content)} == {"evaluation"}
    for right, _ in pairs("syntactic"):
        assert shares.share(right) == "evaluation"


def test_shares_split_direct_speech_with_its_sentence() -> None:
    text = 'Lily is here. She asks, "Where is my towel?" But the wave stops her!'
    assert len(shares.split(text)) == 3


def test_stories_are_short_and_rich_in_words() -> None:
    lengths = [len(tokens(text)) for text in texts(made("stories", 2500))]
    assert 28 <= sum(lengths) / len(lengths) <= 36 and max(lengths) <= 45
    counts = Counter(word for text in texts(made("stories", 2500)) for word in tokens(text))
    assert 600 <= len(counts) <= 750
    assert sum(counts[word] >= 5 for word in counts if len(word) >= 5) >= 400
    assert {len(shares.split(text)) for text in texts(made("stories"))} == {5}


def test_stories_agree_with_their_character() -> None:
    girls, boys = set(words.GIRLS), set(words.BOYS)
    for text in texts(made("stories")):
        found = set(re.findall("[A-Za-z]+", text))
        named = found & (girls | boys)
        assert len(named) == 1
        wrong = {"he", "him", "himself"} if named <= girls else {"she", "her", "herself"}
        assert not wrong & {word.lower() for word in found}
        assert not re.search(r"\ban? an?\b|\ba [aeio]|\[|\{|  ", text)


def test_stories_end_as_their_outcome_says() -> None:
    gloomy = set(words.GLOOMILY)
    for text in texts(made("stories")):
        *_, outcome, ending = shares.split(text)
        bad = "never" in outcome or outcome.startswith("Sadly")
        assert bad == bool(gloomy & set(tokens(ending)))


def test_no_word_belongs_to_two_themes() -> None:
    kinds = "places objects looks animals projects activities helpers troubles".split()
    listed = [word for theme in themes.THEMES for kind in kinds for word in getattr(theme, kind)]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("base", "forms"),
    [
        ("study", ("studies", "studied", "studying")),
        ("skip", ("skips", "skipped", "skipping")),
        ("dance", ("dances", "danced", "dancing")),
        ("wash", ("washes", "washed", "washing")),
        ("tumble", ("tumbles", "tumbled", "tumbling")),
        ("swim", ("swims", "swam", "swimming")),
        ("play", ("plays", "played", "playing")),
    ],
)
def test_verbs_are_inflected(base: str, forms: tuple[str, str, str]) -> None:
    assert (words.s_form(base), words.past(base), words.ing(base)) == forms


def test_nouns_adjectives_and_articles() -> None:
    nouns = ["scarf", "thief", "cherry", "compass", "witch", "monkey"]
    plurals = ["scarves", "thieves", "cherries", "compasses", "witches", "monkeys"]
    assert [words.s_form(noun) for noun in nouns] == plurals
    assert words.comparative("brave") == "braver" and words.superlative("fast") == "fastest"
    assert words.tidy("a unicorn met a acorn") == "A unicorn met an acorn"
    assert words.inflect("be", "past", plural=True) == "were"


def test_every_verb_of_the_templates_has_a_past() -> None:
    """No regular past of an irregular verb: what the rules make is an English word."""
    doubtful = {"breaked", "builded", "comed", "falled", "finded", "getted", "gived", "goed"}
    doubtful |= {"heared", "hided", "holded", "keeped", "leaved", "losed", "sayed", "seed"}
    doubtful |= {"sitted", "sleeped", "standed", "taked", "telled", "throwed", "waked", "winned"}
    heard = {
        word
        for content in ("stories", "preferences")
        for text in texts(made(content))
        for word in tokens(text)
    }
    assert not heard & doubtful


@pytest.mark.parametrize("content", CLOZE)
def test_endings_are_right_as_often_as_wrong(content: str) -> None:
    rights, wrongs = Counter[str](), Counter[str]()
    for right, wrong in pairs(content):
        *context, ending = shares.split(right)
        *same, other = shares.split(wrong)
        assert context == same and ending != other and len(context) == 4
        rights[ending] += 1
        wrongs[other] += 1
    assert rights == wrongs


def test_topic_cloze_changes_the_theme_and_nothing_that_is_heard_at_once() -> None:
    kinds = ("places", "objects", "animals", "projects", "helpers")
    homes = {
        form: theme.name
        for theme in themes.THEMES
        for kind in kinds
        for word in getattr(theme, kind)
        for form in (word, words.s_form(word))
    }
    for right, wrong in pairs("topic_cloze"):
        *context, ending = shares.split(right)
        other = shares.split(wrong)[-1]
        here = {homes[word] for word in tokens(" ".join(context)) if word in homes}
        own = [homes[word] for word in tokens(ending) if word in homes]
        strange = [homes[word] for word in tokens(other) if word in homes]
        assert len(here) == 1 and len(own) >= 2 and set(own) == here
        assert len(strange) >= 2 and not here & set(strange)
        assert tokens(ending)[0] == tokens(other)[0]  # she or he
        assert abs(len(ending) - len(other)) <= topic_cloze.SLACK


def test_story_cloze_contradicts_the_outcome() -> None:
    for right, wrong in pairs("story_cloze"):
        outcome = shares.split(right)[-2]
        bad = "never" in outcome or outcome.startswith("Sadly")
        assert bad == bool(set(words.GLOOMILY) & set(tokens(shares.split(right)[-1])))
        assert bad != bool(set(words.GLOOMILY) & set(tokens(shares.split(wrong)[-1])))


def test_minimal_pairs_are_even_over_phenomena_and_differ_in_one_place() -> None:
    table = made("syntactic")
    groups = Counter(table["group"].to_pylist())
    assert set(groups) == set(PHENOMENA) and len(PHENOMENA) >= 6
    assert max(groups.values()) - min(groups.values()) <= 4
    rights = [right for right, _ in pairs("syntactic")]
    assert len(set(rights)) == len(rights)
    assert not set(rights) & {wrong for _, wrong in pairs("syntactic")}
    assert all(4 <= len(tokens(right)) <= 9 for right in rights)


@pytest.mark.parametrize("content", ITEMS)
def test_length_and_word_frequency_do_not_tell(content: str) -> None:
    counts = Counter(word for text in texts(made("stories")) for word in tokens(text))
    total = counts.total()

    def unigram(text: str) -> float:
        found = tokens(text)
        return sum(math.log((counts[word] + 1) / total) for word in found) / len(found)

    both = pairs(content)
    for score in (len, unigram, lambda text: len(tokens(text))):
        assert 0.45 <= preferred([(score(a), score(b)) for a, b in both]) <= 0.55
        if content == "syntactic":
            groups = made(content)["group"].to_pylist()[::2]
            for name in PHENOMENA:
                own = [pair for pair, group in zip(both, groups, strict=True) if group == name]
                share = preferred([(score(a), score(b)) for a, b in own])
                assert 0.4 <= share <= 0.6, (name, score)


def test_preferences_follow_their_prompt_once_and_contradict_it_once() -> None:
    rows = made("preferences").to_pylist()
    assert [row["role"] for row in rows[:3]] == ["prompt", "chosen", "rejected"]
    chosen = Counter(row["text"] for row in rows if row["role"] == "chosen")
    rejected = Counter(row["text"] for row in rows if row["role"] == "rejected")
    assert chosen == rejected
    assert {row["group"] for row in rows} == {"order", "object"}


def test_preferences_use_templates_of_their_own() -> None:
    """Not even the skeleton of a preference's sentence is one of a story's or a benchmark's."""
    named = set(words.GIRLS + words.BOYS)
    filled = {word for theme in themes.THEMES for word in theme.places + theme.objects}
    filled |= {word for theme in themes.THEMES for word in theme.animals + theme.helpers}

    def skeleton(sentence: str) -> str:
        found = re.findall("[A-Za-z]+", sentence)
        return " ".join("_" if word in named | filled else word.lower() for word in found)

    others = {
        skeleton(sentence) for content in ("stories", *ITEMS) for sentence in sentences(content)
    }
    assert not {skeleton(text) for text in texts(made("preferences"))} & others


def spoken(row: dict[str, str]) -> pseudo_words.Phones:
    return tuple(row["phonemes"].removeprefix("[[").removesuffix("]]").split("|"))


def test_lexical_pairs_are_heard_words_and_legal_pseudo_words() -> None:
    rows = made("lexical").to_pylist()
    counts = lexical.count_words(made("stories", 2500))
    listed = sorted(counts)
    pronounced = [tuple(it) for it in phonemes.phonemise(listed, "en-us")]
    heard = Counter(dict(zip(pronounced, (counts[word] for word in listed), strict=True)))
    bigrams = {pair for word in heard for pair in pseudo_words.bigrams(word)}
    known = {known_words.sound(word) for word in pronounced}
    british = known_words.sounds([*listed, "friendly", "stories", "cooking", "table"], ["en-gb"])
    for right, wrong in zip(rows[::2], rows[1::2], strict=True):
        word, pseudo = spoken(right), spoken(wrong)
        low, _, high = right["group"].partition("-")
        assert counts[right["text"]] >= max(5, int(low.rstrip("+")))
        assert not high or counts[right["text"]] <= int(high)
        assert word in heard and pseudo not in heard
        assert len(word) == len(pseudo) >= 4
        assert [pseudo_words.kind(it) for it in word] == [pseudo_words.kind(it) for it in pseudo]
        assert 1 <= sum(a != b for a, b in zip(word, pseudo, strict=True)) <= 3
        assert bigrams.issuperset(pseudo_words.bigrams(pseudo))
        assert known_words.sound(pseudo) not in known | british
    assert len({row["text"] for row in rows}) == len(rows)
    language = pseudo_words.Language(heard)
    both = [(spoken(a), spoken(b)) for a, b in zip(rows[::2], rows[1::2], strict=True)]
    for score in (language.unigram, language.bigram):
        assert 0.45 <= preferred([(score(a), score(b)) for a, b in both]) <= 0.55
    with Espeak() as espeak:
        lengths = [[-phonemes.duration(it, "en-us", espeak) for it in pair] for pair in both]
    assert 0.45 <= preferred([(a, b) for a, b in lengths]) <= 0.55


def test_dictionary_of_the_synthesiser_is_read() -> None:
    listed = known_words.dictionary_words()
    assert len(listed) > 4000 and {"abdomen", "opossum", "only"} <= set(listed)
    forms = known_words.with_forms(["cook", "story"])
    assert {"cooking", "cooks", "stories", "cooked", "cooker"} <= set(forms)


def test_errors_say_what_to_do() -> None:
    for content in (*ITEMS, "preferences"):
        with pytest.raises(ValueError, match=r"make it even, for instance 8"):
            MODULES[content].generate({"content": content, "count": 7, "seed": 1}, None)
    with pytest.raises(ValueError, match="at least 1"):
        stories.generate({"content": "stories", "count": 0, "seed": 1})
    with pytest.raises(ValueError, match="lower the count to"):
        syntactic.generate({"content": "syntactic", "count": 20000, "seed": 1})
    source = {"content": "lexical", "count": 5000, "seed": 1, "minimum_heard": 5}
    with pytest.raises(ValueError, match="heard_in is missing"):
        lexical.generate(source | {"accents": ["en-us"]}, None)
    with pytest.raises(ValueError, match="lower the count"):
        lexical.generate(source | {"accents": ["en-us"]}, made("stories", 40, 7))


def test_templates_fill_in_every_scene() -> None:
    rng = random.Random(1)
    arcs = [line for arc in templates.ARCS.values() for lines in arc.values() for line in lines]
    timed = itertools.chain(*templates.TIMES.values())
    for template in (*templates.OPENINGS, *timed, *templates.OBSTACLES, *arcs):
        for theme in themes.THEMES:
            scene = scenes.draw(rng, theme=theme)
            slots = scenes.slots(scene, rng) | {"who": "she"}
            assert re.fullmatch(
                r"[A-Z][A-Za-z ,\"]+[.?!]\"?", scenes.render(template, slots, scene.tense)
            )
