"""Personal data in dialogue -> plain words in brackets, counted by kind: what leaves no trace cannot be learned.

Rules find what has a shape or a checksum. A name or a secret told in words has none: it stays, and so does "221B Baker
Street" unless addresses are asked for, because novels live on them.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from persona.conversation import Conversation

_WORTH_A_LOOK = re.compile(r"[@0-9]|://|-----BEGIN|discord|sk-|xox|glpat|pypi|AKIA|ASIA|AIza|eyJ|[a-z]_", re.IGNORECASE)

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
)
_KEY = re.compile(
    r"(?<![\w-])(?:sk-[A-Za-z0-9_-]{20,200}|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255}"
    r"|hf_[A-Za-z0-9]{30,60}|glpat-[\w-]{20,60}|npm_[A-Za-z0-9]{36}|pypi-[\w-]{50,255}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|AIza[\w-]{35}|xox[abeprs]-[A-Za-z0-9-]{10,200}|[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}"
    r"|eyJ[\w-]{8,4000}\.[\w-]{8,4000}(?:\.[\w-]{0,4000})?)(?![\w-])"
)
_URL = re.compile(r"\b(?:https?|ftp|wss?)://[^\s<>\"'()\[\]]{1,4000}(?<![.,;:!?])", re.IGNORECASE)
_SECRET_IN_URL = re.compile(
    r"://[^/?#\s]*@|/api/webhooks/"
    r"|[?&#;](?:[\w.-]{0,40}[_.-])?(?:token|key|apikey|secret|password|passwd|pwd|auth|sig|signature|session|code|jwt)=",
    re.IGNORECASE,
)
_INVITE = re.compile(r"(?:https?://)?(?:www\.)?\bdiscord(?:\.gg|(?:app)?\.com/invite)/[\w-]{1,100}", re.IGNORECASE)
_MENTION = re.compile(r"<(?:@[!&]?|#)[0-9]{15,21}>")
_EMOJI = re.compile(r"<a?(:\w{2,32}:)[0-9]{15,21}>")
_ID = re.compile(r"(?<![\w.,+-])[0-9]{17,20}(?![\w-]|[.,][0-9])")
_E_MAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?!\w)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w.,+-])[2-6][0-9]{3}(?:[ -]?[0-9]){9,15}(?![\w-]|[.,][0-9])")
_IP4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])")
_IP6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_PHONE = re.compile(
    r"(?<![\w.,+/-])(?:"
    r"(?:\+|(?<![0-9] )00)[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9](?:[ ./-]?[0-9]){6,11}"  # +44 20 7946 0018
    r"|(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}"  # (415) 555-0132
    r"|(?<![0-9] )\(?0[1-9][0-9]{1,3}\)?[ -][0-9]{3,4}[ -]?[0-9]{3,4}"  # 020 7946 0018
    r"|(?<![0-9] )0[1-9][0-9]{1,4} ?[ /-] ?[0-9]{5,8}"  # 030/1234567
    r"|0(?:7[0-9]|15|16|17)[0-9]{8,9}"  # 07700900123, 01711234567
    r")(?![\w-]|[.,/][0-9])"
)
_STREET = re.compile(
    r"(?<![\w.,-])[0-9]{1,5}[A-Za-z]?,? (?:[^\W\d_a-z][\w'’.-]{0,30} ){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln"
    r"|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Square|Sq|Place|Pl|Terrace|Crescent|Close|Highway|Hwy)\b"
    r"|(?<!\w)[^\W\d_a-z][\w-]{1,40}(?:straße|strasse|str\.|weg|platz|allee|gasse) [0-9]{1,4}[a-z]?(?!\w)"
)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is looked for, what it is counted as, what is written in its place, and a test that what was found passes."""

    pattern: re.Pattern[str]
    kind: str
    words: str
    passes: Callable[[str], str] = str
    """The part of what was found that is replaced, from its beginning; "" for none."""


def hide_personal(text: str, *, addresses: bool = False) -> tuple[str, Counter[str]]:
    """(text with plain words in place of personal data, how often each kind was found).

    Found are e-mail addresses, phone numbers as they are written internationally and in the US, the UK and Germany, IP
    addresses, links that carry a password or a token, keys, credit cards (Luhn), IBANs (checksum), and Discord's ids,
    mentions and invites; with `addresses` also streets with a number, which are personal in a chat and are not in a novel.
    """
    counts: Counter[str] = Counter()
    if not _WORTH_A_LOOK.search(text):
        return text, counts
    for rule in (*_RULES, _ADDRESS) if addresses else _RULES:
        text = rule.pattern.sub(partial(_replaced, rule=rule, counts=counts), text)
    return text, counts


def hide_in_row(row: Conversation, *, addresses: bool = False) -> tuple[Conversation, Counter[str]]:
    """The row without personal data in its messages and in the names of those who speak, and what was found by kind."""
    counts: Counter[str] = Counter()
    messages = []
    for message in row.messages:
        content, found = hide_personal(message.content, addresses=addresses)
        name, named = hide_personal(message.name or "", addresses=addresses)
        counts += found + named
        messages.append(replace(message, content=content, name=name or None) if found or named else message)
    return (replace(row, messages=tuple(messages)) if counts else row), counts


def _replaced(found: re.Match[str], rule: _Rule, counts: Counter[str]) -> str:
    part = rule.passes(found[0])
    if not part:
        return found[0]
    counts[rule.kind] += 1
    return found.expand(rule.words) + found[0][len(part) :]


def _carries_a_secret(url: str) -> str:
    return url if _SECRET_IN_URL.search(url) else ""


def _luhn(number: str) -> str:
    """Between 13 and 16 digits, or 19 in groups: longer ones in one piece are ids."""
    digits = [int(d) for d in number if d.isdigit()]
    if len(digits) > 16 and number.isdigit():
        return ""
    doubled = sum(sum(divmod(2 * d, 10)) for d in digits[-2::-2]) + sum(digits[-1::-2])
    return number if doubled % 10 == 0 and len(set(digits)) > 1 else ""


def _iban(text: str) -> str:
    """The longest beginning, cut at blanks, whose checksum is right."""
    while text:
        code = text.replace(" ", "")
        if 15 <= len(code) <= 34 and int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1:
            return text
        text = text.rpartition(" ")[0]
    return ""


def _ip(text: str) -> str:
    """An address of some machine; four single digits are the number of a version or a paragraph."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return "" if address.is_loopback or address.is_unspecified or len(text) < 8 else text


def _phone(text: str) -> str:
    """Between 9 and 15 digits."""
    return text if 9 <= sum(map(str.isdigit, text)) <= 15 else ""


_RULES = (
    _Rule(_PRIVATE_KEY, "key", "[secret key]"),
    _Rule(_INVITE, "Discord", "[invite]"),
    _Rule(_URL, "link", "[link]", _carries_a_secret),
    _Rule(_KEY, "key", "[secret key]"),
    _Rule(_E_MAIL, "e-mail", "[e-mail]"),
    _Rule(_EMOJI, "Discord", r"\1"),
    _Rule(_MENTION, "Discord", "[somebody]"),
    _Rule(_IBAN, "account", "[bank account]", _iban),
    _Rule(_CARD, "card", "[card number]", _luhn),
    _Rule(_ID, "Discord", "[id]"),
    _Rule(_IP4, "IP address", "[IP address]", _ip),
    _Rule(_IP6, "IP address", "[IP address]", _ip),
    _Rule(_PHONE, "phone", "[phone number]", _phone),
)
_ADDRESS = _Rule(_STREET, "address", "[street]")
