"""What this service knows about words, written by hand and kept general.

Function words, irregular forms, numbers, and groups of words that stand for each other in questions.
"""

from __future__ import annotations

from typing import Final

STOPWORDS: Final = frozenset(
    # English
    "a an the this that these those some any each every such what which who whom whose when where why how "
    "i you he she it we they me him her us them my your his its our their mine yours hers ours theirs "
    "myself yourself himself herself itself ourselves themselves user users user's "
    "am is are was were be been being do does did done doing have has had having "
    "will would shall should can could may might must ought cannot ain isn aren wasn weren don doesn didn hasn "
    "haven hadn won wouldn shouldn couldn can't "
    "and or but nor so if then than as because while although though whether "
    "of in on at by for with about against between into through during to from up down out off over under "
    "within without upon toward towards "
    "not no very too just also only own same there here again once ever yet still even really quite "
    "let please tell know remember say said tell told ask asked mention mentioned "
    "get got getting lot lots kind sort type thing things something anything "
    # Romance and Germanic function words
    "le la les un une des du de et est ce que qui quoi ou je tu il elle nous vous ils elles mon ma mes ton ta tes "
    "sa ses dans sur par pas ne au aux avec suis es sont comment quel quelle "
    "el los las una unos unas y que es soy eres yo mi mis su sus en con por para como cual donde cuando del lo se "
    "der das ein eine einen einem einer und ist ich du er sie wir ihr mein meine meinen dein sein auf mit zu von "
    "den dem nicht wie wo wer wann bin bist sind im am "
    "il lo gli uno e sono mio di da nel che chi quando o os as um uma eu meu minha em no na "
    "het een ik jij hij zij wij mijn niet waar wie".split()
)

NUMBERS: Final = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "once": "1", "twice": "2"}

_IRREGULAR_VERBS: Final = """
arise arose arisen; awake awoke awoken; beat beaten; become became; begin began begun; bend bent; bind bound;
bite bit bitten; bleed bled; blow blew blown; break broke broken; breed bred; bring brought; build built;
burn burnt; buy bought; catch caught; choose chose chosen; come came; creep crept; deal dealt; dig dug;
draw drew drawn; dream dreamt; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed fed;
feel felt; fight fought; find found; flee fled; fly flew flown; forget forgot forgotten; forgive forgave forgiven;
freeze froze frozen; give gave given; go went gone; grind ground; grow grew grown; hang hung; hear heard;
hide hid hidden; hold held; keep kept; kneel knelt; lay laid; lead led; lean leant; learn learnt; leave left;
lend lent; lie lain; light lit; lose lost; make made; mean meant; meet met; pay paid; ride rode ridden;
ring rang rung; rise rose risen; run ran; see saw seen; seek sought; sell sold; send sent; sew sewn; shake shook shaken;
shine shone; shoot shot; show shown; shrink shrank shrunk; sing sang sung; sink sank sunk; sit sat; sleep slept;
slide slid; speak spoke spoken; spend spent; spin spun; stand stood; steal stole stolen; stick stuck; sting stung;
strike struck; swear swore sworn; sweep swept; swim swam swum; swing swung; take took taken; teach taught;
tear tore torn; think thought; throw threw thrown; understand understood; wake woke woken; wear wore worn;
weave wove woven; weep wept; win won; wind wound; write wrote written; drive drove;
"""

_IRREGULAR_NOUNS: Final = """
child children; man men; woman women; person people; foot feet; tooth teeth; mouse mice; goose geese; wife wives;
life lives; knife knives; leaf leaves; shelf shelves; wolf wolves; half halves; mother mom mum mommy mummy mama;
father dad daddy papa; grandmother grandma granny nana; grandfather grandpa grandad granddad; child kid kids;
photo photograph photos pic pics picture pictures; television tv telly; bicycle bike bikes; gray grey; center centre;
theater theatre; pajamas pyjamas; tire tyre; fridge refrigerator; movie film films movies; vacation holiday holidays;
apartment flat flats; university uni; mathematics math maths; laboratory lab; examination exam exams;
advertisement ad ads advert; application app apps; automobile car cars; airplane plane aeroplane planes;
telephone phone phones; doughnut donut; okay ok; family fam; favorite fave fav; want wanna; go gonna;
"""


def _forms(table: str) -> dict[str, str]:
    groups = (group.split() for group in table.replace("\n", " ").split(";") if group.strip())
    return {form: group[0] for group in groups for form in group[1:]}


# Forms that are past and need no ending in the third person ("I went" to "User went").
IRREGULAR_PAST: Final = frozenset(_forms(_IRREGULAR_VERBS))
IRREGULAR: Final = _forms(_IRREGULAR_VERBS) | _forms(_IRREGULAR_NOUNS)

# Each line: words that answer for each other. A question with one of them looks for the others too.
_RELATED_WORDS: Final = """
live reside residence relocate move home house apartment address city town country based stay settle
work job employ employer employed profession occupation career position role company living
name call named nickname
pet dog cat puppy kitten hamster rabbit parrot horse fish turtle animal
dog puppy pup
cat kitten kitty
spouse husband wife partner married marry marriage wedding
relationship single married dating engaged divorced boyfriend girlfriend breakup partner
child son daughter baby toddler
parent mother father
sibling brother sister twin
relative aunt uncle cousin nephew niece grandmother grandfather
birthday born birth birthdate
age old year
like love enjoy favorite prefer fan adore passion fond
dislike hate detest loathe avoid
allergy allergic intolerant intolerance
eat food meal dinner lunch breakfast diet cook dish cuisine recipe restaurant snack vegetarian vegan allergic
drink coffee tea beer wine juice
car drive vehicle truck van
buy purchase shop order
hobby pastime interest activity leisure enjoy fun
relax destress unwind stress calm
music song band concert album singer instrument musician
instrument guitar piano violin drum flute clarinet saxophone cello
book read novel author reading story
movie show series watch cinema
sport football soccer tennis basketball running swimming gym yoga cycling
exercise workout gym run fitness train
study school university degree college course major graduate student education class learn
travel trip visit vacation journey tour abroad roadtrip fly
art paint draw sketch sculpture pottery artist
ill illness sick disease condition diagnosis diagnosed disorder health medical
doctor physician dentist therapist hospital clinic medication medicine
money salary budget income earn pay cost price save
language speak fluent
goal plan want hope dream aim intend aspire
friend buddy mate pal
colleague coworker boss manager team
religion church faith believe
accident injury injured hurt crash
start begin launch open found
end finish stop quit complete
help support assist volunteer
kind gentle caring
happy joy glad excited thrilled
sad upset depressed grief
scared afraid fear phobia
big large huge
computer laptop pc macbook
gift present
hike trail mountain outdoors
camp tent campfire outdoors
picture painting
research look investigate explore
identity transgender gender woman man
email mail address
phone number mobile
colour color hue
weight weigh kilo pound
height tall
nationality citizen country origin
event festival conference parade meeting workshop
award prize medal trophy win
"""

RELATED: Final[tuple[tuple[str, ...], ...]] = tuple(
    tuple(line.split()) for line in _RELATED_WORDS.strip().splitlines()
)

# Words that carry little of a question's meaning although they are not function words.
WEAK: Final = frozenset(
    "like love go come make take give want need think feel look see use try new good great nice best old day time "
    "year week month today lot way people many much often long usual current recent".split()
)
