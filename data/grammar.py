"""The few English words and endings that retelling a sentence in another person needs."""

import re


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as prose, so that it can be read."""
    return frozenset(text.split())


VERBS = word_set(
    """
    add admire agree aim allow answer appear argue arrive ask avoid bake bathe beat become beg begin believe
    belong bend blow boil borrow bow bring brush build burn buy call care carry catch change chase check choose
    clean climb close collect come cook cost count cover creep cross cry cut dance dig dislike do draw dream
    dress drink drive drop dry eat end enjoy explain fall fear feed feel fetch fight fill find finish fish fix
    fly fold follow forget forgive gather get give go greet grow guard guess guide hang happen hate have heal
    hear help hide hold hope hug hum hunt hurry insist invent invite join joke jump keep kick kiss kneel knit
    knock know laugh lay lead lean learn leave lend let lie lift light like listen live lock long look lose love
    make mark marry mean meet mend mind miss move name need nod note notice obey offer open order owe own paint
    pass pat pay pick plan plant play plead point polish pour praise pray prefer pretend promise protect prove
    pull push put read reach refuse remember repair repeat reply rest return ride ring rise roll row rub rule
    run sail save say scold search see seek seem sell send serve set sew shake share shave shout show shut sigh
    sing sit sleep smell smile smoke snore sort speak spell spend stand stare start stay steal steer step stop
    study sweep swear swim take talk taste teach tease tell tend thank think throw tie tire touch train travel
    treat trim trust try turn understand use visit wait wake walk want warm warn wash watch wave wear weigh
    whisper whistle win wind wipe wish wonder work worry wrap write
    """
)
"""Common verbs in their plain form."""

DITRANSITIVE = word_set(
    """
    ask bring call give help hand lend let make offer owe pay promise sell send show teach tell write brought
    gave lent made paid sold sent taught told wrote
    """
)
"""Verbs after which a name and a noun may stand: in "gives Ada lessons" the name is an object."""

NEVER_NOUNS = word_set(
    """
    ask become begin believe bring buy carry come eat enjoy find forget get give go hate hear keep know lend let
    lose make prefer put remember say see sell send sing sit speak take teach tell think understand write
    """
)
"""Verbs whose third person is never read as a plural noun, unlike "works" or "walks"."""

PASTS = word_set(
    """
    ate became began bent bit blew bought broke brought built burnt came caught chose crept cut did drank drew drove
    dug fed fell felt fled flew forgot forgave fought found froze gave got grew had heard held hid hit hung hurt kept
    knelt knew laid lay leapt learnt led left lent let lit lost made meant met paid put ran rang read rode rose said
    sang sank sat saw sent sewed shook shot shut slept slid sold sought spent spoke stole stood struck swam swept
    swore swung taught thought threw told took tore understood went wept were woke won wore wound wrote
    """
)
"""Irregular past tenses, which are the same in every person."""

MODALS = word_set(
    "can can't cannot could couldn't may might must mustn't shall should shouldn't will won't would wouldn't didn't"
)

TIMES = word_set(
    """
    spring summer autumn winter january february march april may june july august september october november
    december monday tuesday wednesday thursday friday saturday sunday dawn morning noon afternoon evening dusk night
    midnight day week month year time
    """
)
TIME_OPENERS = word_set("at on in by before after since until every each one that this last next first")
"""Before a time they make a phrase that a clause may begin with: "every summer", "at dusk", "on Fridays"."""

PARTICLES = word_set("about along around by down in inside off on out outside over past through under up")
"""Prepositions that may end a clause, as in "when fog comes in"."""

ADVERBS = word_set(
    """
    alone almost already also always even ever first hardly just mostly never now often once only quite rarely
    really secretly seldom silently simply sometimes soon still then too truly usually nowadays perhaps again
    """
)
PREPOSITIONS = word_set(
    """
    about above across against along among around at behind below beneath beside between beyond by down for from
    in inside into near of off on onto out outside over past round than through to toward towards under up upon
    with within without
    """
)
DETERMINERS = word_set(
    """
    a all an another any both each every four half her his it its many me more most my no nobody nothing one our
    some somebody something that the their them these this those three twenty two us what whatever you your
    """
)
ARTICLES = word_set("a an the this that these those it them us you")
QUANTITIES = word_set("all any both each every many more most much nobody nothing somebody something")
COORDINATORS = frozenset({"and", "but", "or", "then"})
SUBORDINATORS = word_set(
    """
    because if so that though although unless until what when where whether while which who whom whose why how
    as
    """
)
CLAUSE_OPENERS = (
    COORDINATORS | SUBORDINATORS | {"after", "before", "since", "than", "says", "said", "thinks", "thought", "knows"}
)
"""Words directly before the subject of a clause."""

TO_BE = {"is": "am", "isn't": "am not", "was": "was", "wasn't": "wasn't"}
TO_BE_YOU = {"is": "are", "isn't": "aren't", "was": "were", "wasn't": "weren't"}
AUXILIARIES = {"has": "have", "hasn't": "haven't", "does": "do", "doesn't": "don't"}


def plain_form(verb: str) -> str:
    """The plain form of a verb in the third person: "carries" -> "carry", "washes" -> "wash", "keeps" -> "keep"."""
    if verb in AUXILIARIES:
        return AUXILIARIES[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if re.search(r"(?:ss|sh|ch|x|zz|o)es$", verb) and verb != "aches":
        return verb[:-2]
    return verb[:-1]


def ends_like_third_person(word: str) -> bool:
    """Whether a word may be a verb in the third person by its ending alone."""
    return len(word) > 2 and word.endswith("s") and not word.endswith(("ss", "us", "'s")) and word not in NOT_VERBS


NOT_VERBS = (
    DETERMINERS
    | PREPOSITIONS
    | ADVERBS
    | SUBORDINATORS
    | {"yes", "is", "was", "his", "hers", "ours", "perhaps", "besides"}
)


def may_be_verb(word: str) -> bool:
    """Whether a word has the form of a verb whose subject is one person: "keeps", "was", "can", "went", "rowed"."""
    word = word.lower()
    known = word in TO_BE or word in AUXILIARIES or word in MODALS or word in PASTS
    return known or is_regular_past(word) or ends_like_third_person(word)


def is_regular_past(word: str) -> bool:
    """Whether a word ends as regular past tenses do, which "tired" does too."""
    return word.endswith("ed") and len(word) > 4


_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Sr|Jr|Prof|Capt|[A-Z])\.$")
_BORDER = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]?[A-Z0-9])")


def sentences(text: str) -> list[str]:
    """The sentences of prose, one paragraph after another; "Mr." and initials end none."""
    found: list[str] = []
    for paragraph in text.splitlines():
        pending = ""
        position = 0
        for border in [*_BORDER.finditer(paragraph), None]:
            end = border.end() if border else len(paragraph)
            pending += paragraph[position:end]
            position = end
            if pending.strip() and not _ABBREVIATION.search(pending.strip()):
                found.append(pending.strip())
                pending = ""
        if pending.strip():
            found.append(pending.strip())
    return found
