"""The corpora of `pocket`: balanced, of the promised size, in English, the same each time."""

import itertools
import math
import random
import re
from collections import Counter

import pytest
from pocket_corpora import PLANS, block, generate, pairs, preferred, sentences, table, texts

from slamflow.corpora.generated import (
    scenes,
    shares,
    templates,
    themes,
    topic_cloze,
    words,
)
from slamflow.corpora.generated.phenomena import PHENOMENA
from slamflow.tables import text as text_table

CLOZE = ("topic-cloze", "story-cloze")
ITEMS = (*CLOZE, "syntactic")
ROLES = {"stories": 1, "preferences": 3}  # rows an item, where they are not two


def tokens(text: str) -> list[str]:
    return re.findall("[a-z]+", text.lower())


@pytest.mark.parametrize("corpus", sorted(PLANS["pocket"].config.corpora))
def test_tables_fit_their_schema_and_hold_what_was_ordered(corpus: str) -> None:
    made = table(corpus)
    roles = ROLES.get(corpus, 2)
    count = block("generate_text", corpus)["count"]
    assert made.schema == text_table.SCHEMA and made.num_rows == roles * count
    assert len(set(made["id"].to_pylist())) == made.num_rows
    assert len(set(made["item"].to_pylist())) == count
    rows = texts(corpus)
    assert len({tuple(rows[i : i + roles]) for i in range(0, len(rows), roles)}) == count
    assert count >= 300


@pytest.mark.parametrize("corpus", ["stories", *ITEMS, "preferences"])
def test_tables_are_made_the_same_again(corpus: str) -> None:
    source = block("generate_text", corpus) | {"count": 40, "seed": 7}
    made = generate(source)
    assert made.equals(generate(source)) and not made.equals(generate(source | {"seed": 8}))


def test_stories_are_short_and_rich_in_words() -> None:
    lengths = [len(tokens(text)) for text in texts("stories")]
    assert 28 <= sum(lengths) / len(lengths) <= 38 and max(lengths) <= 45
    counts = Counter(word for text in texts("stories") for word in tokens(text))
    assert 600 <= len(counts) <= 750
    assert sum(counts[word] >= 5 for word in counts if len(word) >= 5) >= 400
    assert {len(shares.split(text)) for text in texts("stories")} == {5}


def test_stories_agree_with_their_character() -> None:
    girls, boys = set(words.GIRLS), set(words.BOYS)
    for text in texts("stories"):
        found = set(re.findall("[A-Za-z]+", text))
        named = found & (girls | boys)
        assert len(named) == 1
        wrong = {"he", "him", "himself"} if named <= girls else {"she", "her", "herself"}
        assert not wrong & {word.lower() for word in found}
        assert not re.search(r"\ban? an?\b|\ba [aeio]|\[|\{|  ", text)


def test_stories_end_as_their_outcome_says() -> None:
    gloomy = set(words.GLOOMILY)
    for text in texts("stories"):
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
        for corpus in ("stories", "preferences")
        for text in texts(corpus)
        for word in tokens(text)
    }
    assert not heard & doubtful


@pytest.mark.parametrize("corpus", CLOZE)
def test_endings_are_right_as_often_as_wrong(corpus: str) -> None:
    rights, wrongs = Counter[str](), Counter[str]()
    for right, wrong in pairs(corpus):
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
    for right, wrong in pairs("topic-cloze"):
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
    for right, wrong in pairs("story-cloze"):
        outcome = shares.split(right)[-2]
        bad = "never" in outcome or outcome.startswith("Sadly")
        assert bad == bool(set(words.GLOOMILY) & set(tokens(shares.split(right)[-1])))
        assert bad != bool(set(words.GLOOMILY) & set(tokens(shares.split(wrong)[-1])))


def test_minimal_pairs_are_even_over_phenomena_and_differ_in_one_place() -> None:
    groups = Counter(table("syntactic")["group"].to_pylist())
    assert set(groups) == set(PHENOMENA) and len(PHENOMENA) >= 6
    assert max(groups.values()) - min(groups.values()) <= 4
    rights = [right for right, _ in pairs("syntactic")]
    assert len(set(rights)) == len(rights)
    assert not set(rights) & {wrong for _, wrong in pairs("syntactic")}
    assert all(4 <= len(tokens(right)) <= 9 for right in rights)


@pytest.mark.parametrize("corpus", ITEMS)
def test_length_and_word_frequency_do_not_tell(corpus: str) -> None:
    counts = Counter(word for text in texts("stories") for word in tokens(text))
    total = counts.total()

    def unigram(text: str) -> float:
        found = tokens(text)
        return sum(math.log((counts[word] + 1) / total) for word in found) / len(found)

    both = pairs(corpus)
    for score in (len, unigram, lambda text: len(tokens(text))):
        assert 0.45 <= preferred([(score(a), score(b)) for a, b in both]) <= 0.55
        if corpus == "syntactic":
            groups = table(corpus)["group"].to_pylist()[::2]
            for name in PHENOMENA:
                own = [pair for pair, group in zip(both, groups, strict=True) if group == name]
                share = preferred([(score(a), score(b)) for a, b in own])
                assert 0.4 <= share <= 0.6, (name, score)


def test_preferences_follow_their_prompt_once_and_contradict_it_once() -> None:
    rows = table("preferences").to_pylist()
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
        skeleton(sentence) for corpus in ("stories", *ITEMS) for sentence in sentences(corpus)
    }
    assert not {skeleton(text) for text in texts("preferences")} & others


def test_errors_say_what_to_do() -> None:
    for corpus in (*ITEMS, "preferences"):
        with pytest.raises(ValueError, match=r"make it even, for instance 8"):
            generate(block("generate_text", corpus) | {"count": 7})
    with pytest.raises(ValueError, match="at least 1"):
        generate(block("generate_text", "stories") | {"count": 0})
    with pytest.raises(ValueError, match="lower the count to"):
        generate(block("generate_text", "syntactic") | {"count": 20000})


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
