"""A hundred things that people say, in ten languages, and what is kept of each.

`KEPT` is kept as it was said. `WITHIN` is somebody else's text: whatever is kept of it stands behind the request
that it came with. `NOTHING` tells nothing.
"""

from __future__ import annotations

import pytest

KEPT = (
    # plain facts, corrections, denials, sarcasm, hypotheticals, third persons
    "I moved from Berlin to Lisbon.",
    "Tom and I are getting married in June.",
    "Anna and I broke up.",
    "I almost bought a Tesla.",
    "I thought I was allergic to cats, but I am not.",
    "Maria thinks I am vegan, but I am not.",
    "If I won the lottery, I would buy a boat.",
    "Oh great, I just love being woken up at five.",
    "My brother's boss lives in Madrid.",
    "No, I meant Tuesday, not Thursday.",
    "I'm not vegetarian anymore.",
    "My sister says that I snore.",
    'My mother always said "never lend money to friends".',
    "I have two brothers, Ben and Karl.",
    "Write a poem about my dog Rex, who is 3.",
    "What should I cook tonight? I am lactose intolerant.",
    "Please call me Sam.",
    "Always answer in bullet points.",
    "I play bass in a band called Night Bus.",
    "We sold the Golf and bought bikes.",
    # German
    "Ich wohne seit März in Hamburg.",
    "Meine Schwester heißt Clara und ist Ärztin.",
    "Ich bin kein Vegetarier mehr.",
    "Früher habe ich geraucht, jetzt nicht mehr.",
    "Wenn ich reich wäre, würde ich segeln.",
    "Mein Hund heißt Bello.",
    "Ich bin allergisch gegen Nüsse.",
    "Am Freitag fahre ich nach Wien.",
    # French
    "J'habite à Lyon depuis deux ans.",
    "Je suis allergique aux arachides.",
    "Mon frère travaille chez Airbus.",
    "Je ne fume plus.",
    "Si j'étais riche, je vivrais à Nice.",
    "Ma fille s'appelle Zoé.",
    "Paul et moi, on se marie en juin.",
    "J'ai vendu ma voiture hier.",
    # Spanish
    "Vivo en Sevilla con mi abuela.",
    "Soy alérgica a los mariscos.",
    "Mi hermano trabaja en un banco.",
    "Ya no como carne.",
    "Mi perro se llama Pancho.",
    "Si tuviera dinero, viajaría a Japón.",
    "Marta y yo nos casamos en mayo.",
    "Mi cumpleaños es el 4 de julio.",
    # Portuguese
    "Moro no Porto há três anos.",
    "Sou alérgico a camarão.",
    "A minha irmã mora em Braga.",
    "Já não trabalho na Galp.",
    "O meu gato chama-se Tufo.",
    "Se eu pudesse, mudava de emprego.",
    "O Rui e eu vamos casar em agosto.",
    "O meu aniversário é em dezembro.",
    # Chinese
    "我住在上海。",
    "我对花生过敏。",
    "我妹妹是医生。",
    "我已经不抽烟了。",
    "我的狗叫豆豆。",
    "如果我有钱，我会去冰岛。",
    "我和小王六月结婚。",
    # Japanese
    "私は大阪に住んでいます。",
    "私はえびアレルギーです。",
    "妹は医者です。",
    "私はもうタバコを吸いません。",
    "犬の名前はポチです。",
    "お金があれば、北海道に行きたいです。",
    "先月転職しました。",
    # Korean
    "저는 부산에 살아요.",
    "저는 땅콩 알레르기가 있어요.",
    "제 여동생은 의사예요.",
    "저는 이제 담배를 안 피워요.",
    "우리 강아지 이름은 콩이예요.",
    "돈이 많다면 여행을 갈 거예요.",
    # Hindi
    "मैं दिल्ली में रहता हूँ।",
    "मुझे मूँगफली से एलर्जी है।",
    "मेरी बहन डॉक्टर है।",
    "मैं अब मांस नहीं खाता।",
    "मेरे कुत्ते का नाम शेरू है।",
    # Arabic
    "أنا أسكن في القاهرة.",
    "لدي حساسية من الفول السوداني.",
    "أختي طبيبة.",
    "لم أعد آكل اللحم.",
    "اسم قطتي لولو.",
)
WITHIN = (
    ("Translate this mail: Hello, I am Pedro and I live in Lima. I have three children.", "Lima"),
    ("Proofread this: I am a nurse with ten years of experience in Leeds.", "Leeds"),
    ("Polish my colleague's CV:\nI speak Danish. I worked at Maersk.", "Maersk"),
    ("Summarize this review: I bought this vacuum for my mother in Ohio and hated it.", "Ohio"),
    ("What do these lyrics mean: I was born in a crossfire hurricane.", "hurricane"),
    ("Reply to this email:\nHi, my name is Olga and my flight is on Monday.", "Olga"),
    ("Imagine you are a pirate: I have lost my ship near Tortuga.", "Tortuga"),
    ("Why does this fail?\n```\nname = 'Alice'\nprint(nam)\n```", "Alice"),
    ("Übersetze das ins Englische: Ich heiße Jonas und wohne in Bonn.", "Bonn"),
    ("Traduis en anglais : Je m'appelle Luc et j'habite à Nantes.", "Nantes"),
    ("Traduce al inglés: Me llamo Rosa y vivo en Quito.", "Quito"),
    ("Traduza para inglês: Chamo-me Ana e moro em Faro.", "Faro"),
    ("翻译成英文：我叫李雷，我住在北京。", "北京"),
    ("英語に翻訳して：私は東京に住んでいます。", "東京"),
    ("영어로 번역해 줘: 저는 서울에 살아요.", "서울"),
    ("अंग्रेज़ी में अनुवाद करो: मैं मुंबई में रहता हूँ।", "मुंबई"),
    ("ترجم إلى الإنجليزية: أنا أسكن في دبي.", "دبي"),
)
NOTHING = ("Hi there!", "Thanks a lot!", "ok", "Danke!", "谢谢", "What time is it?", "ありがとう")


@pytest.mark.parametrize("said", KEPT)
def test_what_was_said_is_kept_as_it_was_said(user, said):
    user.tell(said)
    assert user.known() == {said}


@pytest.mark.parametrize(("said", "theirs"), WITHIN)
def test_the_text_of_others_stands_behind_the_request_that_it_came_with(user, said, theirs):
    user.tell(said)
    request = said[:8]
    assert theirs in said
    assert all(request in content for content in user.known())


@pytest.mark.parametrize("said", NOTHING)
def test_what_tells_nothing_is_not_kept(user, said):
    user.tell(said)
    assert user.known() == set()
