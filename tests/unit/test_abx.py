"""ABX: the distance by hand, the triples by their definition, the error where it is known."""

import itertools

import numpy as np
import pytest
import torch

from slamflow.tokeniser import abx, quality_warping

CENTRES = (np.arange(200) + 0.5) / 50  # s


def spoken(text: str, length: float = 0.06) -> list[dict]:
    """Phones of equal length."""
    return [
        {"label": label, "start": place * length, "end": (place + 1) * length}
        for place, label in enumerate(text.split())
    ]


def cheapest(matrix: np.ndarray) -> set[float]:
    """Means along all paths of the least sum, by trying every path."""
    height, width = matrix.shape
    found = []

    def walk(row: int, column: int, total: float, steps: int) -> None:
        total, steps = total + matrix[row, column], steps + 1
        if (row, column) == (height - 1, width - 1):
            found.append((total, total / steps))
        for down, right in ((0, 1), (1, 0), (1, 1)):
            if row + down < height and column + right < width:
                walk(row + down, column + right, total, steps)

    walk(0, 0, 0.0, 0)
    return {mean for total, mean in found if total == pytest.approx(min(found)[0], abs=1e-12)}


def test_warping_finds_the_best_of_all_paths() -> None:
    rng = np.random.default_rng(0)
    sizes = list(itertools.product(range(1, 6), (1, 3, 5)))
    padded = torch.full((len(sizes), 5, 5), -7.0, dtype=torch.float64)
    matrices = [rng.random(size) for size in sizes]
    for place, matrix in enumerate(matrices):
        padded[place, : matrix.shape[0], : matrix.shape[1]] = torch.from_numpy(matrix)
    rows, columns = torch.tensor(sizes).T
    found = quality_warping.warp(padded, rows, columns)
    for mean, matrix in zip(found.tolist(), matrices, strict=True):
        assert mean == pytest.approx(next(iter(cheapest(matrix))))


def test_warping_of_units_takes_a_path_of_least_sum() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        matrix = rng.integers(2, size=(3, 5)) / 2
        found = quality_warping.warp(
            torch.from_numpy(matrix)[None], torch.tensor([3]), torch.tensor([5])
        )
        assert min(abs(found.item() - mean) for mean in cheapest(matrix)) < 1e-12


def test_triphones_have_known_phones_without_silence_or_gaps() -> None:
    found = abx.tokens(3, "s", spoken("k a t s _ k V t ?! k"), CENTRES)
    assert len(found) == 3  # k-a-t, a-t-s, k-V-t
    first, _, last = found
    assert first.context == last.context and first.centre != last.centre
    assert (first.first, first.stop, first.utterance) == (0, 9, 3)
    assert np.all(
        (CENTRES[last.first : last.stop] >= 0.3) & (CENTRES[last.first : last.stop] < 0.48)
    )
    apart = spoken("k a t")
    apart[2] = {"label": "t", "start": 0.2, "end": 0.3}
    assert not abx.tokens(0, "s", apart, CENTRES)
    assert not abx.tokens(0, "s", spoken("k a t", 0.5), CENTRES), "longer than LONGEST"
    assert not abx.tokens(0, "s", spoken("k a t", 4.0 / 3), CENTRES[:0]), "no frames"


def corpus(speakers: int, seed: int = 0) -> list[abx.Token]:
    rng = np.random.default_rng(seed)
    found = []
    for utterance in range(40):
        vowels = rng.choice(["a", "V", "i:", "u:"], size=15)
        text = " ".join(f"k {vowel} t _" for vowel in vowels)
        found += abx.tokens(utterance, f"s{utterance % speakers}", spoken(text), CENTRES)
    return found


@pytest.mark.parametrize("kind", abx.KINDS)
def test_triples_are_as_defined(kind: str) -> None:
    found = corpus(5)
    drawn = abx.draw(found, kind, 1)
    assert len(drawn.tokens) == len(drawn.contrasts) == 6 * abx.TRIPLES
    for (a, b, x), contrast in zip(drawn.tokens.tolist(), drawn.contrasts.tolist(), strict=True):
        assert a != x
        assert found[a].context == found[b].context == found[x].context
        assert found[a].centre == found[x].centre != found[b].centre
        assert found[a].speaker == found[b].speaker
        assert (found[a].speaker == found[x].speaker) == (kind == "within")
        of = {*drawn.tokens[drawn.contrasts == contrast].ravel().tolist()}
        assert len({found[place].centre for place in of}) == 2
    again, other = abx.draw(found, kind, 1), abx.draw(found, kind, 2)
    assert np.array_equal(drawn.tokens, again.tokens)
    assert not np.array_equal(drawn.tokens, other.tokens)


def test_one_speaker_and_one_utterance_of_each() -> None:
    alone = corpus(1)
    assert len(abx.draw(alone, "across", 1).tokens) == 0
    single = [t for t in alone if t.centre == alone[0].centre][:1] + [
        t for t in alone if t.centre != alone[0].centre
    ][:1]
    assert len(abx.draw(single, "within", 1).tokens) == 0
    nothing = abx.error({}, abx.draw(single, "within", 1), 1)
    assert nothing == {"error": None, "interval": None, "contrasts": 0, "triples": 0}


def test_error_of_features_that_tell_all_some_and_nothing() -> None:
    found = corpus(5)
    rng = np.random.default_rng(0)
    drawn = abx.draw(found, "across", 1)
    direction = {centre: rng.standard_normal(8) for centre in {token.centre for token in found}}

    def frames(token: abx.Token, scale: float) -> torch.Tensor:
        noise = rng.standard_normal((token.stop - token.first, 8))
        return torch.from_numpy(direction[token.centre] + scale * noise).float()

    errors = [
        abx.error({place: frames(token, scale) for place, token in enumerate(found)}, drawn, 1)
        for scale in (0.01, 3.0, 1000.0)
    ]
    clear, vague, noise = (each["error"] for each in errors)
    assert clear == 0 < vague < noise
    assert noise == pytest.approx(0.5, abs=0.06)
    low, high = errors[1]["interval"]
    assert low < vague < high


@pytest.mark.parametrize("kind", abx.KINDS)
def test_what_is_drawn_is_near_the_mean_of_all_triples(kind: str) -> None:
    found = corpus(3)[::9]
    rng = np.random.default_rng(0)
    frames = {}
    for place, token in enumerate(found):
        size = token.stop - token.first
        units = np.where(rng.random(size) < 0.4, token.centre, rng.integers(9, size=size))
        frames[place] = torch.from_numpy(units)
    cells: dict[tuple, list[float]] = {}
    triples = itertools.permutations(range(len(found)), 3)
    asked = [(a, b, x) for a, b, x in triples if is_asked(*(found[it] for it in (a, b, x)), kind)]
    pairs = np.array(asked)
    to_a = quality_warping.distances(frames, pairs[:, [0, 2]])
    to_b = quality_warping.distances(frames, pairs[:, [1, 2]])
    for (a, b, _), wrong in zip(asked, (to_a > to_b) + (to_a == to_b) / 2, strict=True):
        one, other = found[a], found[b]
        cells.setdefault((one.speaker, one.centre, other.centre), []).append(wrong)
    contrasts: dict[frozenset, list[float]] = {}
    for (_, *centres), wrongs in cells.items():
        contrasts.setdefault(frozenset(centres), []).append(float(np.mean(wrongs)))
    exact = np.mean([np.mean(means) for means in contrasts.values()])
    drawn = [abx.error(frames, abx.draw(found, kind, seed), 1)["error"] for seed in range(5)]
    assert 0.05 < exact < 0.45
    assert np.mean(drawn) == pytest.approx(exact, abs=0.03)


def is_asked(a: abx.Token, b: abx.Token, x: abx.Token, kind: str) -> bool:
    same = a.context == b.context == x.context and a.centre == x.centre != b.centre
    return same and a.speaker == b.speaker and (a.speaker == x.speaker) == (kind == "within")


def test_one_contrast_has_no_interval() -> None:
    all_tokens = corpus(5)
    two = sorted({token.centre for token in all_tokens})[:2]
    found = [token for token in all_tokens if token.centre in two]
    drawn = abx.draw(found, "within", 1)
    frames = {place: torch.arange(token.stop - token.first) for place, token in enumerate(found)}
    result = abx.error(frames, drawn, 1)
    assert result["contrasts"] == 1 and result["error"] is not None and result["interval"] is None


def test_error_of_units() -> None:
    found = corpus(5)
    drawn = abx.draw(found, "within", 1)
    lengths = [token.stop - token.first for token in found]
    same = {place: torch.full((length,), 4) for place, length in enumerate(lengths)}
    assert abx.error(same, drawn, 1)["error"] == 0.5, "a tie is half an error"
    true = {place: torch.full((n,), found[place].centre) for place, n in enumerate(lengths)}
    assert abx.error(true, drawn, 1)["error"] == 0
