"""Which script and which language a text is in, guessed by Unicode names and by short words of our own lists."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from data.grammar import word_set

FEWEST_WORDS = 12
"""Below these the short words of a text say nothing: names, exclamations and a borrowed phrase look like any language."""

_SAMPLE_TEXTS, _SAMPLE_CHARACTERS = 500, 500
_SURE_SHARE, _SURE_MARGIN = 0.15, 1.25

_SCRIPTS = {"HIRAGANA": "Han", "KATAKANA": "Han", "HALFWIDTH": "Han", "CJK": "Han", "FULLWIDTH": "Latin"}
_FANCY = ("MATHEMATICAL", "MODIFIER", "SUPERSCRIPT", "SUBSCRIPT", "FEMININE", "MASCULINE", "DOUBLE-STRUCK")
_BY_SCRIPT = {"Greek": "el", "Hebrew": "he", "Thai": "th", "Hangul": "ko", "Devanagari": "hi", "Arabic": "ar"}
_LETTERS_OF = {
    "Arabic": (("ur", "ٹڈڑے"), ("fa", "پچژگ")),
    "Cyrillic": (("uk", "іїєґ"), ("sr", "јђћџљњ"), ("bg", "ъ")),
    "Han": (("ja", "のはをがにでとたしいるなっー"),),
}
"""Letters by which a language of a script is told from the commonest one."""

_SHORT_WORDS = {
    "en": word_set(
        """
        i a the and of to in is it you that was he she for on are with as at be his her they we this have from or had by
        not but what all were when your can said there an which their if will would who them been has more him could did
        my than its then do me us our some any am about know just how don't i'm it's that's i've i'll didn't think like
        get got out up so no very one really love good go going into off over only too because
        """
    ),
    "de": word_set(
        """
        der die das und ist ich nicht ein eine einen einem zu den dem mit sich auf für auch es du sie er wir ihr aber
        wie was war hat habe wenn noch nur von im bei mir mich dich dir kann sind wird doch schon oder dass als so mein
        """
    ),
    "fr": word_set(
        """
        le la les de des du un une et est je tu il elle nous vous ils que qui ne pas pour dans ce cette avec sur mais
        plus mon ma mes ton son sa ses au aux se c'est j'ai était être fait comme tout bien où si dit très
        """
    ),
    "es": word_set(
        """
        el la los las de del un una y es yo tú que en no por para con se su sus lo le me mi te pero más como está
        estoy muy ya cuando todo hay fue ser qué sí porque también eres son nada bien usted
        """
    ),
    "it": word_set(
        """
        il lo la gli le di del della un una e è io tu che non per con si mi ti ma come più sono ho hai ha nel nella
        anche cosa questo questa perché molto dove quando tutto suo sua bene era ci da al alla
        """
    ),
    "pt": word_set(
        """
        o os a as de do da dos das um uma e é eu tu você que não por para com se meu minha seu sua mas mais como está
        estou muito já quando tudo foi ser sim porque também são nada bem ele ela no na em ao isso
        """
    ),
    "nl": word_set(
        """
        de het een en is ik jij je hij zij ze wij we niet van dat die te op in met voor zijn haar maar ook aan er nog
        wat als naar hem heb heeft hebben kan was waren dan om bij mijn jou geen wel deze dit goed
        """
    ),
    "sv": word_set(
        """
        och att det är jag du han hon vi inte en ett på som för med till av den de har om men var sig mig dig så kan
        ska vad när hade bara från eller mycket här där min din detta också
        """
    ),
    "da": word_set(
        """
        og at det er jeg du han hun vi ikke en et på som for med til af den de har om men var sig mig dig så kan skal
        hvad når havde bare fra eller meget her der min din nu noget også blev efter
        """
    ),
    "no": word_set(
        """
        og at det er jeg du han hun vi ikke en et på som for med til av den de har om men var seg meg deg så kan skal
        hva når hadde bare fra eller mye her der min din nå noe også ble etter
        """
    ),
    "pl": word_set(
        """
        i w na się nie że to jest z do ja ty on ona my co jak ale tak po za od dla czy jestem był była są mnie mi ci
        tylko już może jeszcze gdy kiedy bardzo tego ten ta te przez przy
        """
    ),
    "fi": word_set(
        """
        ja on ei se että hän minä sinä oli en mutta niin kun kuin myös ovat olen mitä joka tämä vain nyt minun sinun
        hänen jos tai ole olet me te he siitä mikä hyvin kaikki sitten vielä
        """
    ),
}


def script_of(text: str) -> str:
    """The script of most letters: "Latin", "Cyrillic", "Greek", "Thai" ..., "" where there are none.

    Chinese characters and kana are one, "Han". Only the first letters of a long text are looked at.
    """
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else ""
    counts = Counter(map(_script, filter(str.isalpha, text[:_SAMPLE_CHARACTERS])))
    return counts.most_common(1)[0][0] if counts else ""


def language_of(texts: Sequence[str]) -> str:
    """The language that the texts are written in, as an ISO 639-1 code; "" when unsure.

    Languages in Latin letters are told by their short words, of which it takes `FEWEST_WORDS`; the others by script. Of
    many texts some are looked at, from all over.
    """
    step = -(-len(texts) // _SAMPLE_TEXTS) or 1
    sample = " ".join(text[:_SAMPLE_CHARACTERS] for text in texts[::step]) if len(texts) != 1 else texts[0]
    scripts = Counter(script for text in texts[::step] if (script := script_of(text)))
    script = scripts.most_common(1)[0][0] if scripts else ""
    if script != "Latin":
        return _by_letters(script, sample)
    words = _words(sample)
    (best, most), (_, second) = _hits(words).most_common(2)
    sure = len(words) >= FEWEST_WORDS and most >= _SURE_SHARE * len(words)
    # Danish and Norwegian share nearly all of their words.
    margin = 1 if best in ("da", "no") else _SURE_MARGIN
    return best if sure and most > margin * second else ""


def _by_letters(script: str, text: str) -> str:
    """The language of a script other than Latin, "" where many are written in it and none is known."""
    counts = Counter(text)
    letters = sum(map(str.isalpha, text))
    for language, telling in _LETTERS_OF.get(script, ()):
        if sum(counts[letter] for letter in telling) > 0.01 * letters:
            return language
    return {"Cyrillic": "ru", "Han": "zh", **_BY_SCRIPT}.get(script, "")


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text.lower().replace("’", "'"))


def _hits(words: Sequence[str]) -> Counter[str]:
    counts = Counter(words)
    return Counter({code: sum(counts[word] for word in counts.keys() & short) for code, short in _SHORT_WORDS.items()})


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "").split(" ")[0]
    return _SCRIPTS.get(name) or ("Latin" if name in _FANCY else name.capitalize())
