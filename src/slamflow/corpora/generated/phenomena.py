"""The grammar that minimal pairs test, as mirrored pairs of templates like those of stories.

`<right~wrong>` marks the place where the right sentence and its mistake differ. What is right in
the first template of a pair is the mistake in the second; slots within the mark are filled alike
in both, so that how common their words are weighs on both sides. `[verb]` and `[verb/s]` stand in
the pair's tense; where that is None, pairs in either tense are made. `{name}` is the character of
the scene and `{other}` one of the other gender.
"""

Frame = tuple[str | None, str, str]  # tense, template, its mirror

PHENOMENA: dict[str, tuple[Frame, ...]] = {
    "agreement": (
        (
            "present",
            "the {kind} {creature} <[follow]~[follow/s]> {name}.",
            "the {kind} {creatures} <[follow/s]~[follow]> {name}.",
        ),
        (
            None,
            "the {thing} near the {place} <[be]~[be/s]> {look}.",
            "the {things} near the {place} <[be/s]~[be]> {look}.",
        ),
    ),
    "existential": (
        (
            None,
            "there <[be]~[be/s]> one {kind} {creature} at the {place}.",
            "there <[be/s]~[be]> two {kind} {creatures} at the {place}.",
        ),
        (
            None,
            "there <[be]~[be/s]> one {thing} near {name}.",
            "there <[be/s]~[be]> two {things} near {name}.",
        ),
    ),
    "determiner": (
        (
            "past",
            "this {look} <{thing}~{things}> [belong] to {name}.",
            "these {look} <{things}~{thing}> [belong] to {name}.",
        ),
        (
            None,
            "{name} [have] one {look} <{thing}~{things}>.",
            "{name} [have] two {look} <{things}~{thing}>.",
        ),
    ),
    "reflexive": (
        (
            None,
            "{name} [{reflex}] <{himself}~{herself}> at the {place}.",
            "{other} [{reflex}] <{herself}~{himself}> at the {place}.",
        ),
        (
            None,
            "{name} [{reflex}] <{himself}~{herself}> near the {place}.",
            "{other} [{reflex}] <{herself}~{himself}> near the {place}.",
        ),
    ),
    "pronoun_case": (
        (
            None,
            "at last <{he}~{him}> [finish] the {look} {project}.",
            "at last the {kind} {animal} [follow] <{him}~{he}>.",
        ),
        (
            None,
            "but <{he}~{him}> [hear] a {terror} {trouble}.",
            "but the {terror} {trouble} [stop] <{him}~{he}>.",
        ),
    ),
    "verb_form": (
        (
            None,
            "{name} [can] <{act}~{acting}> at the {place}.",
            "{name} [be] <{acting}~{act}> at the {place}.",
        ),
        (
            None,
            "{name} [can] <{act}~{acting}> near the {place}.",
            "{name} [be] <{acting}~{act}> near the {place}.",
        ),
    ),
    "time": (
        (
            None,
            "yesterday {name} <{acted} at the {place}~will {act} at the {place}>.",
            "tomorrow {name} <will {act} at the {place}~{acted} at the {place}>.",
        ),
        (
            None,
            "last week {name} <{acted} at the {place}~will {act} at the {place}>.",
            "next week {name} <will {act} at the {place}~{acted} at the {place}>.",
        ),
    ),
    "adjective_order": (
        (
            None,
            "{name} [have] one <{look} {thing}~{thing} {look}>.",
            "the <{thing} near the {place} [be] {look}~{look} near the {place} [be] {thing}>.",
        ),
        (
            None,
            "{name} [have] two <{look} {things}~{things} {look}>.",
            "the <{things} near the {place} [be/s] {look}~"
            "{look} near the {place} [be/s] {things}>.",
        ),
    ),
    "comparison": (
        (
            None,
            "the {creature} [be] <{comparative}~{superlative}> than the {animal}.",
            "the {creature} [be] the <{superlative}~{comparative}> of all.",
        ),
        (
            None,
            "{name} [be] <{comparative}~{superlative}> than the {creature}.",
            "{name} [be] the <{superlative}~{comparative}> of all.",
        ),
    ),
}
