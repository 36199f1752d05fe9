"""What this service knows about words, written by hand and kept general.

Function words, irregular forms, numbers, and groups of words that stand for each other in questions.
"""

from __future__ import annotations

from typing import Final


def word_list(text: str) -> frozenset[str]:
    """A list of words written as running text."""
    return frozenset(text.split())


STOPWORDS: Final = word_list(
    # English
    "a an the this that these those some any each every such what which who whom whose when where why how "
    "i you he she it we they me him her us them my your his its our their mine yours hers ours theirs "
    "myself yourself himself herself itself ourselves themselves user users user's "
    "am is are was were be been being do does did done doing have has had having "
    "will would shall should can could may might must ought cannot ain isn aren wasn weren don doesn didn "
    "hasn "
    "haven hadn won wouldn shouldn couldn can't "
    "and or but nor so if then than as because while although though whether "
    "of in on at by for with about against between into through during to from up down out off over under "
    "within without upon toward towards "
    "not no very too just also only own same there here again once ever yet still even really quite "
    "let please tell know remember remind recall say said tell told ask asked mention mentioned "
    "get got getting lot lots kind sort type thing things something anything "
    # Romance and Germanic function words
    "le la les un une des du de et est ce que qui quoi ou je qual tu il elle nous vous ils elles mon ma mes "
    "ton ta tes "
    "sa ses dans sur par pas au aux avec suis es sont comment quel quelle "
    "el los las una unos unas y que es soy eres yo mi mis su sus en con por para como cual donde cuando del "
    "lo se "
    "der das ein eine einen einem einer und ist ich du er sie wir ihr mein meine meinen dein sein auf mit "
    "zu von "
    "den dem nicht wie wo wer wann bin bist sind im am "
    "il lo gli uno e sono mio di da nel che chi quando o os as um uma eu meu minha em no na "
    "het een ik jij hij zij wij mijn niet waar wie"
)

_NUMBERS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
NUMBERS: Final = {word: str(number) for number, word in enumerate(_NUMBERS)} | {
    "first": "1",
    "second": "2",
    "third": "3",
    "fourth": "4",
    "fifth": "5",
    "once": "1",
    "twice": "2",
}

_IRREGULAR_VERBS: Final = """
arise arose arisen; awake awoke awoken; beat beaten; become became; begin began begun; bend bent; bind bound;
bite bit bitten; bleed bled; blow blew blown; break broke broken; breed bred; bring brought; build built;
burn burnt; buy bought; catch caught; choose chose chosen; come came; creep crept; deal dealt; dig dug;
draw drew drawn; dream dreamt; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen;
feed fed;
feel felt; fight fought; find found; flee fled; fly flew flown; forget forgot forgotten;
forgive forgave forgiven;
freeze froze frozen; get got gotten; give gave given; go went gone; grind ground; grow grew grown;
hang hung; hear heard;
hide hid hidden; hold held; keep kept; kneel knelt; lay laid; lead led; lean leant; learn learnt; leave left;
lend lent; lie lain; light lit; lose lost; make made; mean meant; meet met; pay paid; ride rode ridden;
ring rang rung; say said; tell told; know knew known; rise rose risen; run ran; see saw seen; seek sought;
sell sold; send sent; sew sewn;
shake shook shaken;
shine shone; shoot shot; show shown; shrink shrank shrunk; sing sang sung; sink sank sunk; sit sat;
sleep slept;
slide slid; speak spoke spoken; spend spent; spin spun; stand stood; steal stole stolen; stick stuck;
sting stung;
strike struck; swear swore sworn; sweep swept; swim swam swum; swing swung; take took taken; teach taught;
tear tore torn; think thought; throw threw thrown; understand understood; wake woke woken; wear wore worn;
weave wove woven; weep wept; win won; wind wound; write wrote written; drive drove;
"""

_IRREGULAR_NOUNS: Final = """
child children; man men; woman women; person people; foot feet; tooth teeth; mouse mice; goose geese;
wife wives;
knife knives; shelf shelves; wolf wolves; half halves; mother mom mum mommy mummy mama;
father dad daddy papa; grandmother grandma granny nana; grandfather grandpa grandad granddad; child kid kids;
photo photograph photos pic pics picture pictures; television tv telly; bicycle bike bikes; gray grey;
center centre;
theater theatre; pajamas pyjamas; tire tyre; fridge refrigerator; movie film films movies;
vacation holiday holidays;
apartment flat flats; university uni; mathematics math maths; laboratory lab; examination exam exams;
advertisement ad ads advert; application app apps; automobile car cars; airplane plane aeroplane planes;
telephone phone phones; doughnut donut; okay ok; family fam; favorite fave fav; want wanna; go gonna;
"""


def _forms(table: str) -> dict[str, str]:
    groups = (group.split() for group in table.replace("\n", " ").split(";") if group.strip())
    return {form: group[0] for group in groups for form in group[1:]}


# Past forms, which say that something was, not that it is planned.
IRREGULAR_PAST: Final = frozenset(_forms(_IRREGULAR_VERBS)) | {"was", "were", "had", "did"}
IRREGULAR: Final = _forms(_IRREGULAR_VERBS) | _forms(_IRREGULAR_NOUNS)

# Each line: words that say the same in a question and in its answer.
_SAME: Final = """
live reside residence relocate move home address hometown
work job employ employer employed profession occupation career
name call named nickname
name nome nombre nom chama chamo llama llamo appelle heisse heisst namen
叫 名字 名前 名
工作 做 职业
仕事 働 職業 勤
住 家
이름 이름은 이름이
allergy allergic allergie allergisch allergique alergia alergico alergica
arbeite arbeit beruf arbeitest
travaille travail metier
trabajo trabaja profesion
trabalho profissao
spouse husband wife married marry marriage
husband partner
wife partner
boyfriend partner
girlfriend partner
birthday born birth birthdate
age old
allergy allergic
like love enjoy prefer fan
dislike hate detest loathe avoid
puppy pup dog
kitten kitty cat
car vehicle drive
buy purchase
hobby pastime interest
movie cinema
song music
university college
study major degree
trip travel journey visit
paint painting
ill illness sick disease condition
doctor physician
friend buddy pal
colleague coworker
boss manager
begin start
finish complete
scared afraid fear
happy glad joy
sad upset
present gift
picture painting
email mail
mobile phone number
nationality citizen
weight weigh
height tall
roadtrip trip
destress relax
"""

# A general word, and what it may be asked for. Members do not stand for each other.
_KINDS: Final = """
favorite: like love enjoy prefer fan adore
old: age birthday born birth
city: live move reside hometown town base
country: live move reside city born
town: live move reside hometown city
pet: dog cat puppy kitten hamster rabbit parrot horse fish turtle guinea
animal: dog cat puppy kitten hamster rabbit parrot horse fish turtle
child: son daughter baby toddler twin
parent: mother father
sibling: brother sister twin
family: mother father brother sister son daughter child husband wife parent cousin aunt uncle grandmother \
grandfather
relative: aunt uncle cousin nephew niece grandmother grandfather
relationship: single married dating engaged divorced boyfriend girlfriend breakup partner husband wife
married: husband wife wedding engaged divorced spouse
age: birthday born birth year
eat: food meal dinner lunch breakfast diet cook dish recipe restaurant snack vegetarian vegan allergic \
intolerant meat
cook: eat food meal dinner lunch dish recipe kitchen vegetarian vegan allergic intolerant meat diet
food: eat meal dinner lunch breakfast diet cook dish cuisine recipe restaurant vegetarian vegan allergic \
intolerant pizza sushi pasta
dinner: eat food cook restaurant vegetarian vegan allergic intolerant diet meal
lunch: eat food cook restaurant vegetarian vegan allergic intolerant diet meal
recipe: eat food cook vegetarian vegan allergic intolerant diet meal
restaurant: eat food cuisine vegetarian vegan allergic intolerant diet
diet: vegetarian vegan pescatarian allergic intolerant eat
drink: coffee tea beer wine juice alcohol
hobby: play guitar piano paint read hike climb swim run garden knit chess game photography dance sing draw \
cycle yoga fish collect
activity: play swim run hike camp paint dance pottery yoga class visit trip event workshop museum
sport: football soccer tennis basketball run swim gym yoga cycle climb ski surf hike
exercise: run swim gym yoga cycle hike workout
instrument: guitar piano violin drum flute clarinet saxophone cello bass
music: band concert album singer instrument guitar piano
book: read novel author library
read: book novel author
movie: watch film series show
live: house apartment city town country based stay settle
from: born hometown country city
house: home apartment live
study: school course student class learn exam university
school: study student teacher class graduate
education: study school university degree college student graduate counseling certification
work: company office position role business nurse engineer teacher developer
job: position role company business nurse engineer teacher developer
career: job work business goal
travel: fly tour abroad vacation roadtrip hotel
vacation: trip travel beach hotel
art: paint draw sketch sculpture pottery artist drawing
medical: ill sick allergic diagnosed medication asthma diabetes doctor
health: ill sick allergic diagnosed medication asthma diabetes doctor medical therapy
money: salary budget income earn pay cost save price
language: speak fluent english french german spanish portuguese italian
goal: plan want hope dream aim aspire
plan: goal want hope dream aim intend
help: support assist volunteer
religion: church faith believe christian muslim jewish hindu buddhist
accident: injury injured hurt crash
outdoors: hike camp trail mountain
camp: tent campfire hike
computer: laptop pc macbook
event: festival conference parade meeting workshop party concert wedding
award: prize medal trophy win
relax: unwind stress calm yoga run
research: look investigate explore
identity: transgender gender woman man nationality
"""

SAME: Final[tuple[tuple[str, ...], ...]] = tuple(tuple(line.split()) for line in _SAME.strip().splitlines())
KINDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = tuple(
    (head, tuple(members.split()))
    for head, members in (line.split(":") for line in _KINDS.strip().splitlines())
)

# Words that carry little of a question's meaning although they are not function words.
WEAK: Final = word_list(
    "like love go come make take give want need think feel look see use try new good great nice best old "
    "day time "
    "year week month today lot way people many much often long usual current recent"
)


# How people speak of themselves, in ten languages. As a sentence's first word it begins something of its own.
FIRST_PERSON: Final = word_list(
    "i i'm i've i'll i'd im ive my mine we we're we've our ours ich mein meine meinen meinem meiner wir "
    "unser unsere "
    "je j'ai j'aime j'habite j'adore j mon ma mes nous notre nos yo mi mis nosotros nuestro nuestra soy "
    "tengo vivo "
    "eu meu minha meus minhas nosso nossa sou tenho moro "
    "мой моя мои я мы मैं मेरा मेरी मेरे मुझे أنا اسمي لدي "
    "我 我们 我的 私 僕 俺 나는 나의 내 난 저는 제 우리"
)
# What begins a sentence that goes on with the one before.
CONNECTIVES: Final = word_list(
    "and but so or it its it's that that's this these those they they're he he's she she's his her their "
    "there which "
    "such then however actually also besides because though although not no yes und aber es das er sie "
    "mais et il elle "
    "c'est pero y es ella mas e ele ela isso 但 但是 它 他 她 でも しかし それ 하지만 그리고 लेकिन ولكن لكن"
)
# What an instruction for the assistant says that is meant to last.
LASTING: Final = word_list(
    "always never remember remind whenever forever from-now-on immer nie niemals toujours jamais siempre "
    "nunca sempre "
    "总是 永远 以后 いつも 必ず 항상 हमेशा دائما"
)
# What stands before a colon and is nobody's name.
LABELS: Final = word_list(
    "note notes ps update edit reminder fyi warning todo question answer re subject example name age "
    "city country "
    "address email phone job work occupation allergies allergy hobbies diet birthday languages likes "
    "dislikes goal "
    "goals budget status date time location from to cc hobby pets family skills education experience summary"
)
CHITCHAT: Final = word_list(
    "hi hello hey hiya yo ok okay k thanks thank thx ty you cool great nice good perfect "
    "excellent wonderful fantastic amazing lovely brilliant super morning afternoon evening night day "
    "bye goodbye see "
    "lot lots bunch later soon tomorrow yes no yeah yep nope yup lol haha hahaha please welcome wow oh "
    "ah hmm um "
    "cheers sorry got it its sounds thats that this is was fine alright right so very much the a an to "
    "there all again "
    "i ill will do makes sense understood try then too for your help helpful really appreciate have "
    "weekend one how "
    "are doing going whats up everything everyone guys well glad happy hear be take care talk im am and "
    "of course "
    "absolutely exactly true indeed interesting go ahead continue hola gracias muchas buenas tardes "
    "noches bonjour "
    "merci beaucoup salut ciao grazie danke schon hallo tschuss guten tag morgen abend buenos dias oi "
    "ola obrigado "
    "obrigada bom dia adios namaste 你好 您好 谢谢 こん にち ちは んに あり りが がと とう 안녕하세요 "
    "감사합니다 う ち "
    "नमस्ते धन्यवाद مرحبا شكرا"
)
# Function words of scripts without spaces: a text is cut at them.
UNSPACED_STOPWORDS: Final = (
    "什么|什麼|哪里|哪裡|哪儿|怎么|多少|几|谁|我们|我的|你的|我|你|他|她|的|了|吗|呢|吧|是|在|对|和|有|个|会|就|都|也|很"
    "|どこ|なに|何|だれ|誰|いつ|私の|私|僕|ですか|ますか|です|ます|でした|ました|してい|てい|でい|は|が|を|に|の|で|と|も|か|へ|よ|ね"
)
