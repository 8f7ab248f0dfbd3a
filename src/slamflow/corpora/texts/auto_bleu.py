"""How much a text repeats itself."""

from collections import Counter
from itertools import pairwise

from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktSentenceTokenizer

_SENTENCES = PunktSentenceTokenizer()
_WORDS = NLTKWordTokenizer()


def auto_bleu(text: str) -> float:
    """Bigram auto-BLEU: the share of a text's bigrams that occur more than once in it.

    Bigrams are of NLTK's words and cross the ends of sentences; 0 for less than two words. The
    measure is that of Lakhotia et al. (2021), "On generative spoken language modeling from raw
    audio". `nltk.word_tokenize` parts sentences with a model that has to be downloaded and knows
    abbreviations. Here the same splitter does so without it: the only difference is that the point
    of an abbreviation such as `Mr.` is a word of its own.
    """
    words = [word for sentence in _SENTENCES.tokenize(text) for word in _WORDS.tokenize(sentence)]
    counts = Counter(pairwise(words))
    repeated = sum(count for count in counts.values() if count > 1)
    return repeated / counts.total() if counts else 0.0
