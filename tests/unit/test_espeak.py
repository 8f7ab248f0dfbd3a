"""espeak-ng itself: voices, phonemes, independence of what was spoken before."""

import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from slamflow.synthesis import espeak_server, phonemes
from slamflow.synthesis.espeak import SILENCE, Espeak, Spoken

TEXT = (
    "hello little water the a bottle happily mountain kitten was were forgotten butter squirrel "
    "strawberry idea fire our read of and to for all wolf help queen's zoo"
)
WORDS = TEXT.split()


@pytest.fixture(scope="module")
def engine() -> Iterator[Espeak]:
    with Espeak() as espeak:
        yield espeak


def phones(spoken: Spoken) -> list[str]:
    return [label for label, _ in spoken.phones if label != SILENCE]


@pytest.mark.parametrize(
    ("voice", "identifier"),
    [
        ("en-us", "gmw/en-US"),
        ("en-us+f3", "gmw/en-US+f3"),
        ("en-gb", "gmw/en"),
        ("gmw/en", "gmw/en"),
        ("en-gb-scotland", "gmw/en-GB-scotland"),
    ],
)
def test_names_of_voices(engine: Espeak, voice: str, identifier: str) -> None:
    assert engine.resolve(voice) == identifier


@pytest.mark.parametrize(
    ("voice", "said", "nearest"),
    [
        ("en-uss", "unknown voice `en-uss`", "en-us"),
        ("mb/mb-us1", "unknown voice", ""),
        ("en-us+m33", "unknown variant `m33` of voice `en-us\\+m33`", "m3"),
        ("en-us+", "unknown variant ``", ""),
    ],
)
def test_unknown_voices_are_errors(engine: Espeak, voice: str, said: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"{said}.*{nearest}"):
        engine.resolve(voice)
    assert engine.resolve("en-us") == "gmw/en-US"


def test_rates_that_would_be_clipped_are_errors(engine: Espeak) -> None:
    with pytest.raises(ValueError, match="rate 500 is not in 80–450"):
        engine.speak("Hello.", "en-us", 500, 50)


@pytest.mark.parametrize("voice", ["en-us", "en-us+f3"])  # f3 has breath, which is noise
def test_nothing_before_an_utterance_changes_it(engine: Espeak, voice: str) -> None:
    first = engine.speak("Once there was a dog.", voice, 180, 50).samples
    engine.speak("Something else, in another voice!", "en-gb+f2", 120, 90)
    engine.phonemise("and phonemes", "en-gb-scotland")
    again = engine.speak("Once there was a dog.", voice, 180, 50).samples
    time.sleep(1.1)  # espeak-ng's own seed is the second in which it starts
    with Espeak() as other:
        fresh = other.speak("Once there was a dog.", voice, 180, 50).samples
    assert np.array_equal(first, again) and np.array_equal(first, fresh)
    assert np.abs(first).max() > 1000


def test_many_voices_in_turn_sound_as_they_do_alone() -> None:
    variants = [f"en-us+m{number}" for number in range(1, 9)]
    variants += [f"en-gb+f{number}" for number in range(1, 5)]
    accents = ("en-us", "en-gb", "en-gb-scotland", "es", "it", "pl", "sv", "fi", "tr", "hu")
    listed = [*accents, *variants, *(f"{accent}+f2" for accent in accents), "de", "de+m1"]
    assert len(listed) > espeak_server.KEEPERS
    with Espeak() as engine:
        heard = {voice: engine.speak("Papa, la luna.", voice, 180, 50).samples for voice in listed}
        for voice in listed[:3]:
            again = engine.speak("Papa, la luna.", voice, 180, 50).samples
            assert np.array_equal(heard[voice], again), voice


def test_a_killed_voice_is_an_error_not_a_wait() -> None:
    with Espeak() as other:
        other.resolve("en-us")
        process = other._process.pid
        with open(f"/proc/{process}/task/{process}/children") as stream:
            children = [int(child) for child in stream.read().split()]
        for child in children:
            os.kill(child, signal.SIGKILL)
        with pytest.raises(OSError, match="espeak-ng's process ended"):
            other.speak("Hello.", "en-us", 180, 50)


def test_voice_rate_and_pitch_are_heard(engine: Espeak) -> None:
    def speak(voice: str, rate: int, pitch: int) -> Spoken:
        return engine.speak("Once there was a dog.", voice, rate, pitch)

    plain = speak("en-us", 180, 50)
    assert len(speak("en-us", 120, 50).samples) > 1.3 * len(plain.samples)
    for other in (speak("en-us", 180, 80), speak("en-us+f3", 180, 50)):
        assert not np.array_equal(plain.samples[:5000], other.samples[:5000])
    assert phones(speak("en-gb-scotland", 180, 50)) != phones(plain)


def test_a_failed_request_does_not_stop_the_next(engine: Espeak) -> None:
    assert phones(engine.speak("", "en-us", 180, 50)) == []
    assert phones(engine.speak("Hello.", "en-us", 180, 50)) == ["h", "@", "l", "oU"]


@pytest.mark.parametrize("voice", ["en-us", "en-gb", "en-us+f3"])
def test_mnemonics_sound_as_the_word(engine: Espeak, voice: str) -> None:
    for word, mnemonics in zip(WORDS, phonemes.phonemise(WORDS, voice), strict=True):
        spelt = phonemes.spell([mnemonics])
        by_word = engine.speak(word, voice, 180, 50)
        by_phonemes = engine.speak(spelt, voice, 180, 50, phonemes=True)
        assert phones(by_word) == phones(by_phonemes), (word, spelt)


def test_phonemes_do_not_depend_on_the_list() -> None:
    forwards = phonemes.phonemise(WORDS, "en-us")
    assert forwards == phonemes.phonemise(WORDS[::-1], "en-us")[::-1]
    assert forwards[0] == ["h", "@", "l", "'oU"]
    assert phonemes.spell([["h", "'aI"], ["D", "'E"]]) == "[[h|'aI D|'E]]"


def test_brackets_are_phonemes_only_on_demand(engine: Espeak) -> None:
    spelt = phonemes.spell(phonemes.phonemise(["hello"], "en-us"))
    assert len(phones(engine.speak(spelt, "en-us", 180, 50))) > 4


@pytest.mark.slow
def test_every_voice_and_variant_says_the_same_alone_and_amid_others(engine: Espeak) -> None:
    voices, _ = engine._ask({"do": "voices"})
    every = [identifier for identifier, *_ in voices["voices"]]
    every += [f"en-us+{variant}" for variant in sorted(voices["variants"])]
    assert len(every) > 200
    heard, mute = {}, set()
    for voice in every:
        try:
            engine.resolve(voice)
        except ValueError as error:
            assert str(error).endswith("has no dictionary of it"), error
            mute.add(voice)
            continue
        heard[voice] = engine.speak("One 2 three.", voice, 175, 50)
        assert np.abs(heard[voice].samples).max() > 500, voice
    assert mute <= {"gmq/fo", "trk/kaa", "art/xex"}
    for voice, amid in reversed(heard.items()):
        alone = engine.speak("One 2 three.", voice, 175, 50)
        assert np.array_equal(alone.samples, amid.samples), voice
        assert (alone.words, alone.phones) == (amid.words, amid.phones)
    for voice in list(heard)[::10]:
        with Espeak() as other:
            fresh = other.speak("One 2 three.", voice, 175, 50)
        assert np.array_equal(fresh.samples, heard[voice].samples), voice
