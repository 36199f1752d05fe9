"""Five facts and five direct questions in each of ten languages: each question finds its fact first."""

from __future__ import annotations

import pytest

ASKED = {
    "English": {
        "I live in Lisbon.": "Where do I live?",
        "My dog is called Rex.": "What is my dog called?",
        "I work as a nurse.": "What is my job?",
        "I am allergic to peanuts.": "What am I allergic to?",
        "My sister Clara is a doctor.": "What does my sister do?",
    },
    "German": {
        "Ich wohne in Hamburg.": "Wo wohne ich?",
        "Mein Hund heißt Bello.": "Wie heißt mein Hund?",
        "Ich arbeite als Lehrer.": "Als was arbeite ich?",
        "Ich bin allergisch gegen Nüsse.": "Wogegen bin ich allergisch?",
        "Meine Schwester ist Ärztin.": "Was ist meine Schwester von Beruf?",
    },
    "French": {
        "J'habite à Lyon.": "Où est-ce que j'habite ?",
        "Mon chien s'appelle Félix.": "Comment s'appelle mon chien ?",
        "Je travaille comme infirmier.": "Quel est mon travail ?",
        "Je suis allergique aux arachides.": "À quoi suis-je allergique ?",
        "Ma sœur est médecin.": "Que fait ma sœur ?",
    },
    "Spanish": {
        "Vivo en Sevilla.": "¿Dónde vivo?",
        "Mi perro se llama Pancho.": "¿Cómo se llama mi perro?",
        "Trabajo como enfermera.": "¿En qué trabajo?",
        "Soy alérgica a los mariscos.": "¿A qué soy alérgica?",
        "Mi hermana es médica.": "¿Qué hace mi hermana?",
    },
    "Portuguese": {
        "Moro no Porto.": "Onde moro?",
        "O meu cão chama-se Tufo.": "Como se chama o meu cão?",
        "Trabalho como enfermeiro.": "Qual é o meu trabalho?",
        "Sou alérgico a camarão.": "A que sou alérgico?",
        "A minha irmã é médica.": "O que faz a minha irmã?",
    },
    "Chinese": {
        "我住在上海。": "我住在哪里？",
        "我的狗叫豆豆。": "我的狗叫什么？",
        "我的工作是护士。": "我的工作是什么？",
        "我对花生过敏。": "我对什么过敏？",
        "我妹妹是医生。": "我妹妹做什么？",
    },
    "Japanese": {
        "私は大阪に住んでいます。": "私はどこに住んでいますか？",
        "犬の名前はポチです。": "犬の名前は何ですか？",
        "私は看護師として働いています。": "私の仕事は何ですか？",
        "私はえびアレルギーです。": "私は何のアレルギーですか？",
        "妹は医者です。": "妹は何をしていますか？",
    },
    "Korean": {
        "저는 부산에 살아요.": "저는 어디에 살아요?",
        "우리 강아지 이름은 콩이예요.": "우리 강아지 이름은 뭐예요?",
        "저는 간호사로 일해요.": "저는 무슨 일을 해요?",
        "저는 땅콩 알레르기가 있어요.": "저는 무슨 알레르기가 있어요?",
        "제 여동생은 의사예요.": "제 여동생은 뭐 해요?",
    },
    "Hindi": {
        "मैं दिल्ली में रहता हूँ।": "मैं कहाँ रहता हूँ?",
        "मेरे कुत्ते का नाम शेरू है।": "मेरे कुत्ते का नाम क्या है?",
        "मैं नर्स का काम करता हूँ।": "मैं क्या काम करता हूँ?",
        "मुझे मूँगफली से एलर्जी है।": "मुझे किससे एलर्जी है?",
        "मेरी बहन डॉक्टर है।": "मेरी बहन क्या करती है?",
    },
    "Arabic": {
        "أنا أسكن في القاهرة.": "أين أسكن؟",
        "اسم قطتي لولو.": "ما اسم قطتي؟",
        "أنا أعمل ممرضا.": "ماذا أعمل؟",
        "لدي حساسية من الفول السوداني.": "من ماذا لدي حساسية؟",
        "أختي طبيبة.": "ماذا تعمل أختي؟",
    },
}

MISSED = ("저는 간호사로 일해요.",)


@pytest.mark.parametrize(
    ("language", "fact"), [(language, fact) for language, facts in ASKED.items() for fact in facts]
)
def test_a_direct_question_finds_its_fact_first(request, user, language, fact):
    if fact in MISSED:
        request.applymarker(pytest.mark.xfail(reason="no word of it is in the question in the same form"))
    for one in ASKED[language]:
        user.tell(one)
    assert user.recalled(ASKED[language][fact])[:1] == [fact]
