"""The worlds that stories play in: each theme has its own places, things, animals and troubles.

No word belongs to two themes, so a story's theme can be heard from any of its theme words. Words
are chosen to be longer than three phones where plain English allows it. Nouns have regular
plurals; irregular verbs are listed in `words.IRREGULAR`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Words of one theme; every entry is the singular or the base form."""

    name: str
    places: tuple[str, ...]  # "at the …"
    objects: tuple[str, ...]  # can be lost, carried, shown and given
    looks: tuple[str, ...]  # adjectives of objects
    animals: tuple[str, ...]
    projects: tuple[str, ...]  # can be built, and break
    activities: tuple[str, ...]  # verbs without an object
    helpers: tuple[str, ...]  # "the …"
    troubles: tuple[str, ...]  # "the … stopped her"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _theme(name: str, **words: str) -> Theme:
    return Theme(name, **{kind: _words(text) for kind, text in words.items()})


THEMES = (
    _theme(
        "beach",
        places="beach harbour lighthouse",
        objects="bucket pebble seashell towel paddle bottle",
        looks="salty sandy sunny",
        animals="dolphin seagull lobster",
        projects="sandcastle raft",
        activities="swim splash",
        helpers="sailor captain",
        troubles="storm wave",
    ),
    _theme(
        "farm",
        places="farmyard barn meadow",
        objects="basket carrot turnip saddle ladder pumpkin",
        looks="muddy dusty sturdy",
        animals="chicken donkey piglet",
        projects="scarecrow fence",
        activities="gallop whistle",
        helpers="farmer shepherd",
        troubles="fox bull",
    ),
    _theme(
        "kitchen",
        places="kitchen pantry bakery",
        objects="spoon biscuit muffin saucepan apron teapot",
        looks="tasty sticky sugary",
        animals="kitten hamster parrot",
        projects="pancake pudding",
        activities="nibble taste",
        helpers="baker waiter",
        troubles="blaze puddle",
    ),
    _theme(
        "forest",
        places="forest cabin valley",
        objects="acorn mushroom lantern compass feather pinecone",
        looks="mossy leafy golden",
        animals="squirrel rabbit hedgehog",
        projects="campfire treehouse",
        activities="climb wander",
        helpers="ranger woodcutter",
        troubles="wolf thunderstorm",
    ),
    _theme(
        "school",
        places="school classroom playground",
        objects="pencil crayon notebook ruler satchel marble",
        looks="wooden tidy pointed",
        animals="gerbil tortoise canary",
        projects="poster puppet",
        activities="study scribble",
        helpers="teacher pupil",
        troubles="bully crowd",
    ),
    _theme(
        "garden",
        places="garden greenhouse orchard",
        objects="flowerpot shovel sunflower tulip wheelbarrow cherry",
        looks="fragrant purple flowery",
        animals="butterfly sparrow beetle",
        projects="birdhouse pergola",
        activities="skip relax",
        helpers="gardener neighbour",
        troubles="wasp whirlwind",
    ),
    _theme(
        "circus",
        places="circus stage tent",
        objects="trumpet balloon ticket costume drum ribbon",
        looks="striped sparkling magic",
        animals="elephant tiger monkey",
        projects="trampoline pyramid",
        activities="juggle tumble",
        helpers="clown acrobat",
        troubles="lion flame",
    ),
    _theme(
        "mountain",
        places="mountain glacier summit",
        objects="mitten helmet sledge snowball rucksack scarf",
        looks="frozen frosty woollen",
        animals="penguin eagle husky",
        projects="snowman igloo",
        activities="skate shiver",
        helpers="explorer climber",
        troubles="avalanche blizzard",
    ),
    _theme(
        "market",
        places="market village fountain",
        objects="melon lemon carpet wallet lollipop coin",
        looks="expensive splendid cheap",
        animals="pigeon poodle peacock",
        projects="banner necklace",
        activities="bargain stroll",
        helpers="merchant policeman",
        troubles="thief lorry",
    ),
    _theme(
        "bedroom",
        places="bedroom attic nursery",
        objects="pillow slipper candle teddy cushion curtain",
        looks="fluffy silky cosy",
        animals="puppy spider goldfinch",
        projects="quilt rocket",
        activities="whisper dream",
        helpers="grandmother brother",
        troubles="shadow monster",
    ),
    _theme(
        "castle",
        places="castle tower dungeon",
        objects="crown goblet jewel diamond shield crystal",
        looks="royal silver ancient",
        animals="dragon unicorn falcon",
        projects="throne catapult",
        activities="march practise",
        helpers="wizard princess",
        troubles="giant witch",
    ),
    _theme(
        "jungle",
        places="jungle temple volcano",
        objects="coconut banana bracelet hatchet mango treasure",
        looks="tropical hidden spotted",
        animals="crocodile gorilla panther",
        projects="shelter hammock",
        activities="swing explore",
        helpers="pirate scientist",
        troubles="snake earthquake",
    ),
)
