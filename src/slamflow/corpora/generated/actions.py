"""What comes next: a sentence and the next action, from templates that no benchmark uses.

Each entry is (first prompt, its next action, second prompt, its next action). The wrong next
action for one prompt is the right one of the other. In `ORDERS` both prompts belong to one chain of
actions, and the wrong action is one that must have come before or can only come later. In
`OBJECTS` the wrong action needs another kind of thing than the one at hand.
"""

Chain = tuple[str, str, str, str]

ORDERS: tuple[Chain, ...] = (
    (
        "{name} [stand] before the locked {place}.",
        "now {he} [open] the {place} with a {look} key.",
        "{name} [step] out of the open {place}.",
        "now {he} [lock] the {place} with a {look} key.",
    ),
    (
        "{name} [see] mud on the {look} {thing}.",
        "so {he} [wash] the {thing} near the {kind} {animal}.",
        "{name} [wash] the {look} {thing} in hot water.",
        "so {he} [dry] the {thing} near the {kind} {animal}.",
    ),
    (
        "{name} [sit] tired beside the {kind} {animal}.",
        "soon {he} [sleep] beside the {look} {thing}.",
        "{name} [wake] rested beside the {kind} {animal}.",
        "soon {he} [jump] up and [lift] the {look} {thing}.",
    ),
    (
        "{name} [hold] the {look} {thing} in one hand.",
        "then {he} [drop] the {thing} beside the {helper}.",
        "{name} [notice] the {look} {thing} on the ground.",
        "then {he} [pick] up the {thing} beside the {helper}.",
    ),
    (
        "{name} [knock] at the door of the {helper}.",
        "then the {helper} [greet] {him} and [bring] a {look} {thing}.",
        "{name} [finish] a long visit to the {helper}.",
        "then the {helper} [kiss] {him} and [keep] the {look} {thing}.",
    ),
)

OBJECTS: tuple[Chain, ...] = (
    (
        "{name} [pack] a {look} {thing} for the {helper}.",
        "then {he} [tie] a string around the {look} {thing}.",
        "{name} [meet] a {kind} {animal} with the {helper}.",
        "then {he} [stroke] the soft ears of the {kind} {animal}.",
    ),
    (
        "{name} [arrive] at the {place} with the {helper}.",
        "then they [walk/s] around the {place} in the sun.",
        "{name} [buy] a {look} {thing} for the {helper}.",
        "then {he} [wrap] the {look} {thing} in paper.",
    ),
    (
        "{name} [notice] a {kind} {animal} before breakfast.",
        "so {he} [whistle] until the {animal} [answer] {him}.",
        "{name} [paint] a {look} {thing} before breakfast.",
        "so {he} [wait] until the {thing} [be] dry.",
    ),
)
