"""Words of every theme, and the inflection of English verbs, nouns, adjectives and articles."""

import re


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIRLS = _list("Lily Hannah Molly Sophie Alice Rosie Nancy Martha Emily Jasmine")
BOYS = _list("Oliver Peter Simon Daniel Henry Jacob Martin Oscar Robert Thomas")

# slot: (girl, boy)
PRONOUNS = {
    "he": ("she", "he"),
    "him": ("her", "him"),
    "his": ("her", "his"),
    "himself": ("herself", "himself"),
}

KINDS = _list("little gentle clever hungry sleepy friendly")  # of animals
COLOURS = _list("yellow orange heavy pretty")  # of objects, beside the theme's looks
TERRORS = _list("wicked terrible enormous dreadful horrible")  # of troubles
GLADLY = _list("happily proudly cheerfully gladly merrily")
GLOOMILY = _list("sadly angrily gloomily miserably bitterly")
COMPARED = _list("strong fast small loud brave quiet")
RACING = _list("faster stronger quicker")  # who wins a race
REFLEXIVE = _list("enjoy wash dress hide warm")  # "… herself"
GOINGS = _list("play dance travel wait")  # activities of every theme

# base: (third person singular, past, -ing); only where the rules below fail
IRREGULAR = {
    "be": ("is", "was", "being"),
    "have": ("has", "had", "having"),
    "can": ("can", "could", "can"),
    "bring": ("brings", "brought", "bringing"),
    "buy": ("buys", "bought", "buying"),
    "break": ("breaks", "broke", "breaking"),
    "build": ("builds", "built", "building"),
    "come": ("comes", "came", "coming"),
    "fall": ("falls", "fell", "falling"),
    "find": ("finds", "found", "finding"),
    "get": ("gets", "got", "getting"),
    "give": ("gives", "gave", "giving"),
    "go": ("goes", "went", "going"),
    "hear": ("hears", "heard", "hearing"),
    "hide": ("hides", "hid", "hiding"),
    "hold": ("holds", "held", "holding"),
    "keep": ("keeps", "kept", "keeping"),
    "leave": ("leaves", "left", "leaving"),
    "lose": ("loses", "lost", "losing"),
    "meet": ("meets", "met", "meeting"),
    "say": ("says", "said", "saying"),
    "see": ("sees", "saw", "seeing"),
    "sit": ("sits", "sat", "sitting"),
    "sleep": ("sleeps", "slept", "sleeping"),
    "stand": ("stands", "stood", "standing"),
    "swim": ("swims", "swam", "swimming"),
    "swing": ("swings", "swung", "swinging"),
    "take": ("takes", "took", "taking"),
    "tell": ("tells", "told", "telling"),
    "throw": ("throws", "threw", "throwing"),
    "wake": ("wakes", "woke", "waking"),
    "win": ("wins", "won", "winning"),
}
_VES = ("scarf", "thief", "wolf")
_DOUBLED = {
    "hug": "hugg",
    "drop": "dropp",
    "skip": "skipp",
    "step": "stepp",
    "stop": "stopp",
    "travel": "travell",
    "wrap": "wrapp",
}
_SAID_WITH_Y = ("unicorn",)  # begin with a vowel's letter, not with a vowel


def s_form(word: str) -> str:
    """Plural of a noun or third person singular of a verb."""
    if word in IRREGULAR:
        return IRREGULAR[word][0]
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    if re.search(r"(s|x|z|ch|sh|go)$", word):
        return word + "es"
    if word in _VES:
        return word.rstrip("f") + "ves"
    return word + "s"


def past(verb: str) -> str:
    """Simple past, third person singular where it matters (`was`)."""
    if verb in IRREGULAR:
        return IRREGULAR[verb][1]
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return _DOUBLED.get(verb, verb) + "ed"


def ing(verb: str) -> str:
    """Present participle."""
    if verb in IRREGULAR:
        return IRREGULAR[verb][2]
    if verb.endswith("e"):
        return verb[:-1] + "ing"
    return _DOUBLED.get(verb, verb) + "ing"


def inflect(verb: str, tense: str, plural: bool = False) -> str:
    """Third person form of `verb` in `tense`, which is `past` or `present`."""
    if tense == "past":
        return "were" if plural and verb == "be" else past(verb)
    if plural:
        return "are" if verb == "be" else verb
    return s_form(verb)


def comparative(adjective: str) -> str:
    """strong → stronger."""
    return adjective.removesuffix("e") + "er"


def superlative(adjective: str) -> str:
    """strong → strongest."""
    return adjective.removesuffix("e") + "est"


def tidy(sentence: str) -> str:
    """Choose between `a` and `an`, and begin with a capital letter."""
    avoided = "|".join(_SAID_WITH_Y)
    sentence = re.sub(rf"\b([Aa]) (?!{avoided})(?=[aeiou])", r"\1n ", sentence)
    return sentence[0].upper() + sentence[1:]
