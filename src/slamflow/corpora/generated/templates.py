"""The sentences of a story, as templates.

`{slot}` is filled from the story's scene or drawn anew for each sentence (see `scenes`), `[verb]`
takes the story's tense in the third person singular, `[verb/s]` in the plural. A plural noun slot
ends in `s`. `{who}` is the name where the opening has not told it, else a pronoun.
The thing, project and animal that the story is about keep one adjective: `{shape}`, `{mood}`.
"""

# Openings of stories in either tense.
OPENINGS = (
    "{name} [{reflex}] {himself} at the {place}.",
    "{name} [{reflex}] {himself} near the {place}.",
    "{name} [can] {act} at the {place}.",
    "{name} [can] {act} near the {place}.",
    "{name} [be] {acting} at the {place}.",
    "{name} [be] {acting} near the {place}.",
    "{name} [can] {act} with the {helper}.",
    "{name} [be] {acting} with the {helper}.",
    "{name} always [{act}] with the {helper}.",
    "{name} always [{act}] at the {place}.",
    "{name} always [{act}] near the {place}.",
    "{name} [have] one {look} {thing}.",
    "{name} [have] two {look} {things}.",
    "this {look} {thing} [belong] to {name}.",
    "these {look} {things} [belong/s] to {name}.",
    "the {kind} {creature} [follow] {name}.",
    "the {kind} {creatures} [follow/s] {name}.",
    "there [be] one {kind} {creature} at the {place}.",
    "there [be/s] two {kind} {creatures} at the {place}.",
    "the {thing} near the {place} [be] {look}.",
    "the {things} near the {place} [be/s] {look}.",
    "there [be] one {thing} near {name}.",
    "there [be/s] two {things} near {name}.",
    "the {creature} [be] {comparative} than the {animal}.",
    "the {creature} [be] the {superlative} of all.",
    "{name} [be] {comparative} than the {creature}.",
    "{name} [be] the {superlative} of all.",
)
# Openings in a time of their own, by the tense of the story that they open.
TIMES = {
    "past": (
        "yesterday {name} {acted} at the {place}.",
        "last week {name} {acted} at the {place}.",
    ),
    "present": (
        "tomorrow {name} will {act} at the {place}.",
        "next week {name} will {act} at the {place}.",
    ),
}
TIMED = 0.25  # share of stories that open with a time

# What a story can be about: its goal, its outcomes and its endings, good and bad.
ARCS = {
    "seek": {
        "goal": (
            "{who} [look] for the {shape} {object}.",
            "{who} [want] to find the {object}.",
            "{who} [be] looking for the {object}.",
            '{who} [ask], "Where is my {object}?"',
        ),
        "good": (
            "at last {he} [find] the {shape} {object}.",
            "luckily the {helper} [find] the {object}.",
        ),
        "bad": (
            "{he} never [find] the {shape} {object}.",
            "sadly the {helper} [lose] the {object}.",
        ),
        "happy": (
            "{he} {gladly} [show] the {helper} and the {animal} the {shape} {object}.",
            "{he} {gladly} [show] the {animal} at the {place} the {shape} {object}.",
        ),
        "unhappy": (
            "{he} {gloomily} [leave] the {place} and the {animal} without the {object}.",
            "{he} {gloomily} [tell] the {helper} at the {place} about the lost {object}.",
        ),
    },
    "build": {
        "goal": (
            "{who} [want] to build a {project}.",
            "{who} [be] building a {shape} {project}.",
            '{who} [say], "We can build a {project}."',
        ),
        "good": (
            "at last {he} [finish] the {shape} {project}.",
            "luckily the {helper} [mend] the {project}.",
        ),
        "bad": (
            "{he} never [finish] the {shape} {project}.",
            "sadly the {helper} [break] the {project}.",
        ),
        "happy": (
            "{he} {gladly} [show] the {helper} and the {animal} the {shape} {project}.",
            "{he} {gladly} [show] the {animal} at the {place} the {shape} {project}.",
        ),
        "unhappy": (
            "{he} {gloomily} [leave] the {place} and the {animal} without a {project}.",
            "{he} {gloomily} [tell] the {helper} at the {place} about the broken {project}.",
        ),
    },
    "befriend": {
        "goal": (
            "{who} [want] to feed the {mood} {animal}.",
            "{who} [be] waiting for the {mood} {animal}.",
            '{who} [say], "I like this {animal}."',
        ),
        "good": (
            "at last the {mood} {animal} [follow] {him}.",
            "luckily the {mood} {animal} [come] to {him}.",
        ),
        "bad": (
            "the {mood} {animal} never [follow] {him}.",
            "sadly the {mood} {animal} [escape] from {him}.",
        ),
        "happy": (
            "{he} {gladly} [give] the {animal} at the {place} two {look} {things}.",
            "{he} {gladly} [{act}] with the {animal} and the {helper} at the {place}.",
        ),
        "unhappy": (
            "{he} {gloomily} [leave] the {place} and the {helper} without the {animal}.",
            "{he} {gloomily} [tell] the {helper} at the {place} about the lost {animal}.",
        ),
    },
    "race": {
        "goal": (
            "{who} [want] to race the {helper}.",
            "{who} [be] racing the {helper}.",
            '{who} [say], "I am {racing} than the {helper}."',
        ),
        "good": (
            "at last {he} [be] {racing} than the {helper}.",
            "luckily the {helper} [fall] over the {things}.",
        ),
        "bad": (
            "{he} [be] never {racing} than the {helper}.",
            "sadly {he} [fall] over the {look} {things}.",
        ),
        "happy": (
            "{he} {gladly} [win] a {look} {thing} from the {helper} at the {place}.",
            "{he} {gladly} [win] against the {helper} and the {animal} at the {place}.",
        ),
        "unhappy": (
            "{he} {gloomily} [lose] a {look} {thing} to the {helper} at the {place}.",
            "{he} {gloomily} [lose] against the {helper} and the {animal} at the {place}.",
        ),
    },
}

OBSTACLES = (
    "but the {terror} {trouble} [stop] {him}.",
    "but the {trouble} [frighten] the {creature}.",
    "but the {trouble} [frighten] the {creatures}.",
    "but there [be] a {terror} {trouble}.",
    "but {he} [can] not pass the {terror} {trouble}.",
    "but {he} [hide] {himself} from the {trouble}.",
    "but {he} [hear] a {terror} {trouble}.",
    'the {helper} [say], "This {trouble} is {terror}!"',
    'the {helper} [say], "These {troubles} are {terror}!"',
)
