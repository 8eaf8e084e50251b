"""What is hidden as personal, and what stays although it has digits."""

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.filters import placeholder, sift
from data.personal import hide_in_row, hide_personal
from persona.conversation import Conversation, Message

FOUND = {
    "e-mail": ["jo.brown+news@mail.example.co.uk", "JO@example.org", "josé@exämple.de"],
    "phone": [
        "+44 20 7946 0018",
        "+1 (415) 555-0132",
        "+4917112345678",
        "0049 171 1234567",
        "(415) 555-0132",
        "415-555-0132",
        "415.555.0132",
        "020 7946 0018",
        "(0161) 496 0000",
        "07700 900123",
        "07700900123",
        "030/1234567",
        "0171 - 12345678",
    ],
    "IP address": ["192.168.10.24", "203.0.113.7", "2001:db8::ff00:42:8329", "2001:db8:0:0:1:0:0:1"],
    "link": [
        "http://tom:hunter2@host.example/x",
        "https://tom@host.example",
        "https://a.example/?q=1&access_token=abc",
        "https://a.example/cb#token=abc",
        "https://discord.com/api/webhooks/123456789012345678/abc-DEF",
    ],
    "key": [
        "sk-abcdefghijklmnopqrstuvwx",
        "sk-proj-" + "aB3_" * 8,
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1" * 20,
        "hf_" + "aB" * 17,
        "AKIAABCDEFGHIJKLMNOP",
        "AIza" + "a1_-x" * 7,
        "xoxb-123456789012-abcdef",
        "M" + "Ab1" * 8 + ".G7x2Qz." + "k3_" * 9,
        "eyJhbGciOiJI.eyJzdWIiOiIx.abc_-1",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIabc and no end",
    ],
    "card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"],
    "account": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO93 8601 1117 947"],
    "Discord": [
        "<@123456789012345678>",
        "<@!123456789012345678>",
        "<@&123456789012345678>",
        "<#123456789012345678>",
        "123456789012345678",
        "discord.gg/abcd",
        "https://discord.com/invite/AbCd",
    ],
}


@pytest.mark.parametrize(("kind", "secret"), [(kind, secret) for kind, all_ in FOUND.items() for secret in all_])
def test_what_is_personal_is_replaced_and_counted(kind, secret):
    text, counts = hide_personal(f"Take {secret} and go.")
    assert counts == {kind: 1}
    assert text.startswith("Take [") and (text.endswith("] and go.") or "no end" in secret)


@pytest.mark.parametrize(
    "text",
    [
        "I was born on 2024-01-15, or 15.01.2024, or 01/15/2024, at 12:30:45.",
        "It cost 1,200 or 1.200.000 or 10 000 000 000 crowns in 1914-1918.",
        "From 0600-1800 we kept watch, 100-2000 yards off, 555-0132 times.",
        "The book is ISBN 978-3-16-148410-0, or 9783161484100.",
        "Version 1.2.3.4 runs on 127.0.0.1, paragraph 4.1.2.3, with std::vector and 12:30:45:10.",
        "He lives at 221B Baker Street, London.",
        "It is on https://a.example/tokens/page?page=2&q=secret, they say.",
        "I have 1000000000 coins and +1000 xp, twice 12345678901234.",
        "4111 1111 1111 1112 fails its check, and so does DE88 3704 0044 0532 0130 00.",
        "At @tom's, meet me @ 5. Discord and harmony. My sk-ills. 0000000000000000!",
        "[e-mail] [phone number] [id]",
    ],
)
def test_what_is_only_a_number_stays(text):
    assert hide_personal(text) == (text, Counter())


def test_what_follows_stays():
    assert hide_personal("Pay BE71 0961 2345 6769 WAS it?")[0] == "Pay [bank account] WAS it?"
    assert hide_personal("See https://a.example/?token=x, please.")[0] == "See [link], please."
    assert hide_personal("ha <:grin:123456789012345678> ha") == ("ha :grin: ha", {"Discord": 1})


def test_addresses_are_hidden_where_that_is_asked_for():
    text = "I live at 12 Oak Tree Lane, before that Hauptstraße 5a. In 1850 Ada walked this Way."
    assert hide_personal(text)[0] == text
    hidden, counts = hide_personal(text, addresses=True)
    assert hidden == "I live at [street], before that [street]. In 1850 Ada walked this Way." and counts == {
        "address": 2
    }


def test_a_row_is_hidden_in_every_message_and_name():
    row = Conversation(
        (Message("user", "Write to jo@example.org", "+49 171 1234567"), Message("assistant", "To jo@example.org?")),
        "Ada",
    )
    hidden, counts = hide_in_row(row)
    assert hidden.messages == (
        Message("user", "Write to [e-mail]", "[phone number]"),
        Message("assistant", "To [e-mail]?"),
    )
    assert counts == {"e-mail": 2, "phone": 1}
    plain = Conversation((Message("user", "Hello?", "Tom"), Message("assistant", "Yes.")), "Ada")
    assert hide_in_row(plain) == (plain, Counter())


def test_no_replacement_looks_like_a_blank_to_the_filters():
    secrets = [secret for all_ in FOUND.values() for secret in all_ if "\n" not in secret]
    for secret in secrets:
        said = Message("assistant", hide_personal(f"It is {secret}, I think.")[0])
        row = Conversation((Message("user", "What is it?"), said), "Ada")
        assert placeholder(row) is None and sift([row])[0]


PIECES = st.sampled_from(
    [secret for all_ in FOUND.values() for secret in all_]
    + [" ", ".", "-", "0", "1", "+", "@", "(", "A", "://", "a", ":"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_whatever_the_text_a_change_is_counted(text):
    hidden, counts = hide_personal(text, addresses=True)
    assert (hidden == text) == (not counts)


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "a",
        "a@",
        "a.",
        "0 ",
        "+1 ",
        "A1 ",
        "DE12",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        "::",
        "1-",
        "http://",
        "(0",
    ]
    + ["12 Oak ", "sk-", "M", "1.", "discord.gg/", "<@1", "&a-", "é-", "http://a?"],
)
def test_one_endless_line_takes_no_longer_than_its_length(piece):
    began = time.process_time()
    hide_personal((piece * 100_000)[:100_000] + " 1", addresses=True)
    assert time.process_time() - began < 3
