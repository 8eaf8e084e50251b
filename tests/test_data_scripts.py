"""Scripts, screenplays, TEI, e-books and pages are read as their authors meant them; a hostile one is refused in time."""

import io
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.readers import tei
from data.readers.epub import looks_like_epub, read_epub
from data.readers.fountain import looks_like_fountain, read_fountain
from data.readers.markup import looks_like_html, read_html
from data.readers.pages import read_pages
from data.readers.script import looks_like_script, read_script
from data.readers.tei import MAX_DEPTH, looks_like_tei, parse_xml, read_tei
from data.source import CHARACTER, USER, Scene, Source, Utterance
from data.speakers import count_speakers, find_speaker, find_speakers, speaker_table
from persona.errors import PersonaError
from persona.formats.folder import parse_scenes

TINY = Path(__file__).parents[2] / "shared" / "fixtures" / "scripts" / "tinyshakespeare.txt"

PLAY = """The Project Gutenberg eBook of The Clock
*** START OF THE PROJECT GUTENBERG EBOOK THE CLOCK ***
THE PERSONS

TOM. A boy of fifteen.
MIRA. A clockmaker.

FIRST ACT

SCENE

A shop full of clocks. It rains.

[TOM is asleep. MIRA enters.]

MIRA. Are you awake, Tom? I have told you twice that the shop is
not an inn. Christmas comes.

TOM. [Starting up.] I was counting the clocks, madam.

MRS. HALE.  One must count them _somewhere_.

[Exit TOM.]

MIRA. (_To herself._) He never counts.

The clocks strike all at once. A stranger stands in the rain.

You hear that?

SECOND ACT

Scene II. The same.

TOM [who has come back] Nothing is missing.

MIRA [putting down the lamp and
looking at him for a while]. Nothing?

TOM.
The clocks were mine to wind,
The hours yours to keep.

CURTAIN.

*** END OF THE PROJECT GUTENBERG EBOOK THE CLOCK ***
LICENSE. You may copy.
"""


def turns(source):
    return [[(u.speaker, u.text) for u in scene.utterances] for scene in source.scenes]


def scenes_of(*labels):
    return [Scene(tuple(Utterance(label, "two words") for label in labels))]


# --- scripts


@pytest.mark.skipif(not TINY.exists(), reason="the shared fixtures are not here")
def test_a_script_with_names_alone_is_read_as_the_folder_format_reads_it():
    text = TINY.read_text(encoding="utf-8")
    source = read_script(text, TINY.name)
    assert turns(source) == [list(scene.turns) for scene in parse_scenes(text, "")]
    assert looks_like_script(text) and not looks_like_fountain(text)
    lines = text.split("\n")
    for utterance in source.scenes[0].utterances:
        assert lines[int(utterance.place.removeprefix("line ")) - 1] == f"{utterance.speaker}:"


def test_a_printed_play_gives_speeches_without_what_nobody_says():
    source = read_script(PLAY, "clock.txt")
    assert looks_like_script(PLAY)
    assert [scene.title for scene in source.scenes] == ["FIRST ACT SCENE", "SECOND ACT Scene II. The same."]
    assert turns(source) == [
        [
            ("MIRA", "Are you awake, Tom? I have told you twice that the shop is not an inn. Christmas comes."),
            ("TOM", "[Starting up.] I was counting the clocks, madam."),
            ("MRS. HALE", "One must count them somewhere."),
            ("MIRA", "(To herself.) He never counts.\nYou hear that?"),
        ],
        [
            ("TOM", "[who has come back] Nothing is missing."),
            ("MIRA", "[putting down the lamp and looking at him for a while] Nothing?"),
            ("TOM", "The clocks were mine to wind,\nThe hours yours to keep."),
        ],
    ]
    assert source.scenes[0].utterances[0].place == "line 16"
    assert source.notes == ["1 paragraphs that nobody is named to say were taken for stage directions."]


def test_names_in_small_letters_are_labels_where_they_return():
    text = """
Nora. Hide it well, Ellen.

Porter. Here you are, madam.

Nora (busy with the parcels). Thank you. No, keep the change. And come
again.

Mrs. Lind (in a quiet and
timid voice). How do you do?

Nora. Yes. I do.

Well. I must say that it is late.

_Mrs. Lind_. Good night.
"""
    assert turns(read_script(text, "x")) == [
        [
            ("Nora", "Hide it well, Ellen."),
            ("Porter", "Here you are, madam."),
            ("Nora", "(busy with the parcels) Thank you. No, keep the change. And come again."),
            ("Mrs. Lind", "(in a quiet and timid voice) How do you do?"),
            ("Nora", "Yes. I do.\nWell. I must say that it is late."),
            ("Mrs. Lind", "Good night."),
        ]
    ]


def test_labels_indented_alike_need_no_blank_lines_and_short_ones_keep_their_full_stop():
    text = "  Bar. Who goes\nGood. Then go.\n  King. A clock\n  Bar. Not so\nExeunt.\n  Barn. Yes\n  Barnaby. I\n  King. Go\n"
    (scene,) = turns(read_script(text, "x"))
    assert [who for who, _ in scene] == ["Bar.", "King", "Bar.", "Barn.", "Barnaby", "King"]
    assert scene[0][1] == "Who goes\nGood. Then go." and scene[2][1] == "Not so"


def test_headings_and_directions_between_labels_with_colons_are_no_speech():
    text = (
        "ACT I\n\nTOM: Yes.\nAnd no.\n\n[He goes.]\n\nADA: Stay.\n\nSCENE II. A street.\n\nEnter TOM.\n\nTOM: I stay.\n"
    )
    source = read_script(text, "x")
    assert turns(source) == [[("TOM", "Yes.\nAnd no."), ("ADA", "Stay.")], [("TOM", "I stay.")]]
    assert [scene.title for scene in source.scenes] == ["ACT I", "SCENE II. A street. "[:-1]]
    assert source.scenes[1].utterances[0].place == "line 14"


CHATS = {
    "12/06/2023, 10:22 - Messages are encrypted.\n12/06/2023, 10:22 - Tom: Hello\nare you there?\n"
    "12/06/2023, 10:23 - Ada: <Media omitted>\n12/06/2023, 10:23 - Ada: Yes: I am\n12/06/2023, 13:00 - Tom: And now?\n": [
        [("Tom", "Hello\nare you there?"), ("Ada", "Yes: I am")],
        [("Tom", "And now?")],
    ],
    "[12.06.23, 10:22:33] Tom: Hello\n\u200e[12.06.23, 10:23:33] Ada: \u200eimage omitted\n"
    "[12.06.23, 10:24:33] Ada: Hi\n[12.06.23, 10:25:33] Tom: Bye\n": [
        [("Tom", "Hello"), ("Ada", "Hi"), ("Tom", "Bye")]
    ],
    "6/13/23, 1:22\u202fPM - Tom: a\n6/13/23, 2:22 PM - Ada: b\n6/14/23, 2:22 AM - Tom: c\n": [
        [("Tom", "a"), ("Ada", "b")],
        [("Tom", "c")],
    ],
    "[23:50] <Tom> hi\n[23:59] <@Ada> ho\n[00:01] * Tom waves\n[00:02] Bob has joined\n[05:02] <Tom> morning\n": [
        [("Tom", "hi"), ("Ada", "ho"), ("Tom", "*waves*")],
        [("Tom", "morning")],
    ],
    "<Tom> hi\n<+Ada> hello\n* Tom waves\n<Tom> ok\n": [
        [("Tom", "hi"), ("Ada", "hello"), ("Tom", "*waves*"), ("Tom", "ok")]
    ],
    "Tom - hi\nAda - hello - you\nTom - bye\n": [[("Tom", "hi"), ("Ada", "hello - you"), ("Tom", "bye")]],
}


@pytest.mark.parametrize(("text", "expected"), CHATS.items())
def test_chats_are_read_and_rest_for_two_hours_between_scenes(text, expected):
    assert looks_like_script(text)
    assert turns(read_script(text, "chat.txt")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Mira lived in Ford. She said: no.\n\nYes. It rained.\n\nYes. It rained again, as it does. Well. So.\n" * 5,
        "Race: elf\nAge: 30\nHome: Ford\nWork: clocks\n",
        "CHAPTER I. A CLOCK\n\nIt stood still.\n\nCHAPTER II. A LAMP\n\nIt burned.\n\nTHE END.\n",
        "Paris - a city\nRome - a city\nFord - a town\n",
        "",
    ],
)
def test_prose_lists_and_chapters_are_no_script(text):
    assert not looks_like_script(text) and not looks_like_fountain(text)


def test_a_text_without_speakers_is_refused():
    with pytest.raises(PersonaError, match="has a speaker"):
        read_script("Nothing is said here.", "x.txt")


# --- Fountain

FOUNTAIN = r"""Title:
    _**The Clock**_
Copyright: free

INT. CLOCK SHOP - NIGHT #1#

Mira bends over a watch. [[a note
over two lines]]

MIRA (V.O.)
It stopped *again*. \*
(beat)
At noon.

/* cut
BOB
No
*/
@McAvoy
Hello?
{blanks}
Still here.

TOM (CONT'D) ^
(quietly)
Yes.

CUT TO:

.A HIGH PLACE

= What happens here.

MIRA (on the radio)
Good.

> THE END <
""".replace("{blanks}", "  ")


def test_a_screenplay_gives_dialogue_with_its_parentheticals():
    source = read_fountain(FOUNTAIN, "clock.fountain")
    assert looks_like_fountain(FOUNTAIN)
    assert [scene.title for scene in source.scenes] == ["INT. CLOCK SHOP - NIGHT", "A HIGH PLACE"]
    assert turns(source) == [
        [("MIRA", "It stopped again. * (beat) At noon."), ("McAvoy", "Hello?\nStill here."), ("TOM", "(quietly) Yes.")],
        [("MIRA", "Good.")],
    ]
    assert [u.place for u in source.scenes[0].utterances] == ["line 10", "line 19", "line 24"]
    assert source.licence == "free" and source.notes == ["The screenplay is called 'The Clock'."]
    with pytest.raises(PersonaError, match="Nobody speaks"):
        read_fountain("INT. ROOM\n\nNobody.\n", "x")


def test_a_play_with_bare_names_in_capitals_is_a_screenplay_too():
    play = "MIRA\nYes.\n\nTOM\nNo.\n\nShe turns.\n\nMIRA\nYes.\n\nTOM\n(low)\nNo.\n"
    assert looks_like_fountain(play)
    assert not looks_like_fountain(play.replace("MIRA", "MIRA.").replace("TOM", "TOM."))


# --- TEI

TEI = """<?xml version="1.0" encoding="UTF-8"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="en"><teiHeader><fileDesc><availability><licence>CC0</licence>
</availability></fileDesc><profileDesc><particDesc><listPerson>
<person xml:id="mira"><persName>Mira Hale</persName></person>
<personGrp xml:id="crowd"><name>People, Others</name></personGrp>
</listPerson></particDesc></profileDesc></teiHeader>
<text><front><castList><castItem><role xml:id="boy">Tom</role>, a boy</castItem></castList></front><body>
<div type="act"><head>ACT I</head><div type="scene"><head>SCENE 1</head><stage>Enter Mira.</stage>
<sp who="#mira #boy"><speaker>MI.</speaker><l>The clock <choice><orig>hath</orig><reg>has</reg></choice> stopped,</l>
<l>and no one <stage>aside</stage> knows.</l></sp>
<sp who="#boy"><speaker>BOY.</speaker><p>No
one <note>1</note>does.</p></sp></div>
<div type="scene"><head>SCENE 2</head><sp who="#crowd"><speaker>ALL.</speaker><p>Hail!</p></sp>
<sp who="#crowd"><speaker>A.</speaker><ab>Hail <hi>her</hi>!</ab></sp>
<sp who="#boy"><stage>Bows.</stage></sp><sp><p>Who?</p></sp>
</div></div></body></text></TEI>"""


def test_a_tei_play_names_its_speakers_by_the_cast():
    source = read_tei(TEI.encode(), "clock.xml")
    assert looks_like_tei(TEI)
    assert [scene.title for scene in source.scenes] == ["ACT I SCENE 1", "ACT I SCENE 2"]
    assert turns(source) == [
        [("Mira Hale", "The clock has stopped,\nand no one (aside) knows."), ("Tom", "No one does.")],
        [("ALL", "Hail!"), ("ALL", "Hail her!")],
    ]
    assert source.scenes[0].utterances[0].place == "line 9"
    assert [(q.place, q.reason) for q in source.quarantined] == [
        ("line 15", "a speech without words"),
        ("line 15", "a speech without a speaker"),
    ]
    assert (source.language, source.licence) == ("en", "CC0")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DOCTYPE"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "DOCTYPE"),
        (b"<a>" * (MAX_DEPTH + 1), "nested"),
        (b"<a>" + b"<b/>" * 1_000 + b"</a>", "elements"),
        (b"<a>&b;</a>", "not XML"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "XML"),
        (b"<TEI><p>Prose.</p></TEI>", "Nobody speaks"),
        (b"", "not XML"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_hostile_xml_is_refused(data, what, monkeypatch):
    monkeypatch.setattr(tei, "MAX_ELEMENTS", 1_000)
    with pytest.raises(PersonaError, match=what):
        read_tei(data, "x.xml")


# --- EPUB

CONTAINER = '<container><rootfiles><rootfile full-path="O/book.opf"/></rootfiles></container>'
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
<dc:title>The Clock</dc:title><dc:creator>A. Author</dc:creator><dc:language>en</dc:language></metadata><manifest>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="c" href="cover.xhtml" media-type="application/xhtml+xml"/>
<item id="2" href="two.xhtml" media-type="application/xhtml+xml"/>
<item id="1" href="part%201/one.xhtml" media-type="application/xhtml+xml"/>
<item id="x" href="gone.xhtml" media-type="application/xhtml+xml"/>
</manifest><spine><itemref idref="c"/><itemref idref="n"/><itemref idref="1"/><itemref idref="2"/><itemref idref="x"/>
</spine></package>"""


def epub(changed=None, method=zipfile.ZIP_DEFLATED):
    files = {
        "META-INF/container.xml": CONTAINER,
        "O/book.opf": PACKAGE,
        "O/nav.xhtml": "<nav>Contents</nav><p>Contents</p>",
        "O/cover.xhtml": "<p>Cover</p>",
        "O/part 1/one.xhtml": "<?xml version='1.0'?><html><head><title/></head><body><h2>One</h2><p>“Hé,” she said.</p>"
        "<p>He<br/>went.</p></body></html>",
        "O/two.xhtml": "<p>Two.</p>",
    } | (changed or {})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def encryption(algorithm):
    return f'<encryption><EncryptedData><EncryptionMethod Algorithm="{algorithm}"/></EncryptedData></encryption>'


def test_an_epub_gives_its_chapters_in_reading_order():
    book = read_epub(epub(), "clock.epub")
    assert looks_like_epub(epub()) and not looks_like_epub(b"PK\3\4 nothing")
    assert book.text == "One\n\n“Hé,” she said.\n\nHe\nwent.\n\nTwo."
    assert book.notes == ("The chapter 'O/gone.xhtml' is missing in the book.",)


def test_an_epub_with_disguised_fonts_is_read_and_a_locked_one_is_not():
    fonts = encryption("http://www.idpf.org/2008/embedding")
    assert read_epub(epub({"META-INF/encryption.xml": fonts}), "x").text
    with pytest.raises(PersonaError, match="copy protection"):
        read_epub(epub({"META-INF/encryption.xml": encryption("http://www.w3.org/2001/04/xmlenc#aes256-cbc")}), "x")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (epub({"O/two.xhtml": "<p>" + "a" * 5_000_000}), "inflates"),
        (epub({f"O/{number}": "" for number in range(5_001)}), "more than 5,000"),
        (epub(method=zipfile.ZIP_LZMA), "packed"),
        (epub({"META-INF/container.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a/>'}), "DOCTYPE"),
        (epub({"META-INF/container.xml": "<a/>"}), "listed"),
        (epub({"O/book.opf": "<package/>"}), "no text"),
        (epub()[:-40], "cut off"),
        (b"", "no ZIP"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_epubs_are_refused(data, what):
    with pytest.raises(PersonaError, match=what):
        read_epub(data, "x.epub")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_epub_with_two_files_of_one_name_is_refused():
    buffer = io.BytesIO(epub())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("O/two.xhtml", "<p>Other.</p>")
    with pytest.raises(PersonaError, match="two files named"):
        read_epub(buffer.getvalue(), "x.epub")


# --- HTML and pages


def test_html_becomes_paragraphs_headings_lists_and_tables():
    page = """<!DOCTYPE html><html><head><title>x</title><style>p{}</style></head><body><nav><a>Home</a></nav>
    <h1>Mira<br/>the Clockmaker</h1><p>She said &ldquo;no&rdquo; &amp; <i>left</i>.<br>Then came
    back<sup class="reference">[1]</sup>.<!-- > --></p><ul><li>one</li><li><p>two</p></li></ul>
    <table><tr><th>Age</th><td>30</td></tr><tr><th>Job</th><td>clocks</td></tr></table><script>if (a<b) "</p>"</script>
    <table><tr><td epub:type="z3998:persona">Tom</td><td>Hello.</td></tr></table>&#99999999999999999999; a < b</body>"""
    assert looks_like_html(page)
    assert read_html(page).split("\n\n") == [
        "# Mira the Clockmaker",
        "She said “no” & left.\nThen came back.",
        "- one\n- two",
        "| Age | 30 |\n| Job | clocks |",
        "Tom: Hello.",
        "� a < b",
    ]
    assert not looks_like_html("# Mira\n\n<div>She</div>")


def test_a_page_gives_an_entry_for_each_heading_and_its_dialogue():
    page = """---
title: "The Town"
---
Ford is small. ![map](map.png)
#place #north

# Mira the [[Clock|Clockmaker]]
She lives in [Ford](http://x.y/a_(b)) with *two* cats[^1] and `one` dog.
She is old.

%% secret %%
- likes rain
- [x] hates __snow__
  a lot!

| Place | Size | Age |
|---|---|---|
| Ford | small | old |

**Age**: 30
**Race**: human

> [!quote] Heard
> Tom: Hi, {{user}}. *waves*
> Ada: [Hello](x).
> Tom: Bye.

#### Deep
The deep.

The Clock
=========
It is big.

Tom: Yes.
Ada: No.

## Empty
"""
    source = read_pages(page, "town.md")
    assert [(entry.title, entry.text.split("\n")) for entry in source.lore] == [
        ("The Town", ["Ford is small."]),
        (
            "Mira the Clockmaker",
            """She lives in Ford with two cats and one dog. She is old.

likes rain.
hates snow a lot!

Ford: Size: small; Age: old.

Age: 30.
Race: human.

Heard

Deep

The deep.""".split("\n"),
        ),
        ("The Clock", ["It is big."]),
    ]
    assert [scene.title for scene in source.scenes] == ["Mira the Clockmaker", "The Clock"]
    assert turns(source)[0] == [("Tom", "Hi, {{user}}. *waves*"), ("Ada", "Hello."), ("Tom", "Bye.")]
    assert [u.place for u in source.scenes[0].utterances] == ["line 24", "line 25", "line 26"]
    assert [u.place for u in source.scenes[1].utterances] == ["line 35", "line 36"]


def test_a_wiki_page_keeps_words_and_simple_facts():
    page = """{{Infobox character
|name = Mira
|age = 30
|allies = Tom, Ada
|born = {{date|1}} in [[Ford]]<br>at night
}}
'''Mira''' is a [[clock|clockmaker]] of [[Ford]].<ref name="a">x</ref><ref name="b" />
[[File:a.png|thumb|The [[Town]] hall]]
== History ==
* She was ''born'' in [http://x.y Ford].
{| class=x
| a
|}
Tom: Is it true, {{user}}?
Mira: It is.
Tom: Well!
[[Category:People]]
"""
    source = read_pages(page, "Mira_Hale.txt")
    assert [(entry.title, entry.text) for entry in source.lore] == [
        ("Mira Hale", "Mira Hale's age is 30. Mira Hale's allies are Tom, Ada.\n\nMira is a clockmaker of Ford."),
        ("History", "She was born in Ford."),
    ]
    assert turns(source) == [[("Tom", "Is it true, {{user}}?"), ("Mira", "It is."), ("Tom", "Well!")]]
    assert source.scenes[0].utterances[0].place == "under 'History'"
    assert len(source.notes) == 2


def test_a_page_without_headings_is_cut_and_named_after_its_file():
    source = read_pages("\n\n".join(["A fact about Ford. " * 30] * 5), "old-town.txt")
    assert [entry.title for entry in source.lore] == ["old town", "old town (2)", "old town (3)"]
    assert all(len(entry.text) <= 1_250 for entry in source.lore)
    with pytest.raises(PersonaError, match="no words"):
        read_pages("# \n\n---\n", "x.md")


# --- speakers


@pytest.mark.parametrize(
    ("labels", "people"),
    [
        ("HAMLET.|Hamlet|hamlet|Ham.|Ofelia", ["HAMLET. Ham. Hamlet hamlet", "Ofelia"]),
        ("Ham.|Hamlet|Hamish", ["Ham.", "Hamish", "Hamlet"]),
        ("Serv.|Servant|Lord.|Lords", ["Lord.", "Lords", "Servant Serv."]),
        ("Mr. Holmes|Watson|Holmes|Watson|Sherlock Holmes|Dr. Watson", ["Holmes Mr. Holmes Sherlock Holmes", "Watson Dr. Watson"]),
        ("Holmes|Sherlock Holmes|Mycroft Holmes", ["Holmes", "Mycroft Holmes", "Sherlock Holmes"]),
        ("Mr. Bennet|X|Mrs. Bennet|X|Elizabeth Bennet|Bennet", ["X", "Bennet", "Elizabeth Bennet", "Mr. Bennet", "Mrs. Bennet"]),
        ("Mrs. Bennet|Jane Bennet|Mrs. Bennet", ["Mrs. Bennet", "Jane Bennet"]),
        ("Elizabeth|X|Elizabeth Bennet", ["Elizabeth Elizabeth Bennet", "X"]),
        ("Capulet|X|Lady Capulet", ["Capulet", "Lady Capulet", "X"]),
        ("King Edward|X|Prince Edward|X|Edward|X|Prince", ["X", "Edward", "King Edward", "Prince", "Prince Edward"]),
        ("First Citizen|X|Citizen", ["Citizen", "First Citizen", "X"]),
    ],
)  # fmt: skip
def test_labels_of_one_person_are_counted_together(labels, people):
    names = {label: label for label in labels.split("|")}
    expected = sorted(people)
    found = count_speakers(scenes_of(*labels.split("|")))
    assert sum(speaker.lines for speaker in found) == labels.count("|") + 1
    assert sorted(" ".join(sorted(s.aliases)) for s in found) == sorted(
        " ".join(sorted(p)) for p in split(expected, names)
    )


def split(people, names):
    """The labels in each "label label" of `people`, longest first."""
    for person in people:
        labels = []
        while person:
            label = max((name for name in names if f"{person} ".startswith(f"{name} ")), key=len)
            labels.append(label)
            person = person[len(label) :].strip()
        yield labels


def test_speakers_come_by_lines_with_words_and_without_roles():
    scene = Scene(
        (Utterance("ADA", "one two"), Utterance(CHARACTER, "x"), Utterance("Tom", "one"), Utterance("Ada", "a b c"))
    )
    ada, tom = count_speakers([scene])
    assert (ada.name, ada.lines, ada.words, ada.aliases) == ("ADA", 2, 5, ("ADA", "Ada"))
    assert speaker_table([ada, tom], 1) == "lines  words  who\n    2      5  ADA (Ada)\nand 1 more"
    assert {s.name for s in count_speakers(scenes_of(CHARACTER, USER))} == {CHARACTER, USER}
    assert "\x1b" not in speaker_table(count_speakers(scenes_of("A\x1b[2J")), 5)


def test_a_name_finds_its_speaker():
    speakers = count_speakers(
        scenes_of("Holmes", "X", "Sherlock Holmes", "X", "Dr. Watson", "John Clay", "John Openshaw")
    )
    holmes = speakers[0] if speakers[0].name == "Holmes" else speakers[1]
    for asked in ("Holmes", "holmes", "SHERLOCK HOLMES", "sherlock", "Mr. Holmes", "Mr Sherlock Holmes"):
        assert find_speaker(asked, speakers) == holmes
    assert find_speakers("sherlock holmes, watson", speakers) == (
        "Sherlock Holmes",
        frozenset({"Holmes", "Sherlock Holmes", "Dr. Watson"}),
    )
    assert find_speakers("clay", speakers) == ("John Clay", frozenset({"John Clay"}))
    assert (
        find_speakers("MACBETH, BANQUO", count_speakers(scenes_of("MACBETH, BANQUO", "MACBETH")))[0]
        == "MACBETH, BANQUO"
    )
    with pytest.raises(PersonaError, match=r"may be John Clay \(1\), John Openshaw \(1\)"):
        find_speaker("john", speakers)
    with pytest.raises(PersonaError, match=r"The nearest: Dr\. Watson") as error:
        find_speaker("Dr. Whatson", speakers)
    assert error.value.fix == '--as "Dr. Watson"' and "Holmes (2)" in str(error.value)
    for asked in ("", ",", "Moriarty"):
        with pytest.raises(PersonaError, match="Nobody called"):
            find_speakers(asked, speakers)
    with pytest.raises(PersonaError, match="Nobody speaks"):
        find_speaker("Tom", [])


# --- any input gives a value or a PersonaError, in time


def texts(marks):
    pieces = [piece.replace("~", "\n").replace("!", "|") + blank for piece in marks.split("|") for blank in ("", " ")]
    own = st.sampled_from([*pieces, "Tom", "ADA", "a b", " ", "\n", "\n\n", ".", "\u2028", "\r", "é"])
    return st.lists(own | st.text(max_size=3), max_size=25).map("".join)


SCRIPT = "ADA.|Tom.|TOM:|ACT I~|[|]|(|)|_|[12:01]|31/02/2023, 25:61 -|<Tom>| - |* Tom|Enter|<!--|---~|#"
SCREENPLAY = "INT. X~~|Title: x~|@|^|(|)|[[|]]|/*|*/|*|_|TO:|>|#|=|~ADA~|  ~|Title:|: "
PAGE = (
    "# |== a ==~|---~|title: x~|[[|]]|![|](|{{|}}|{{Infobox!a=|!|'''|*|_|`|> |- |%%|Tom: x~|<p>|<html>|&#x|<ref|{!|!-!~"
)
WEB = '<|>|</|<p>|<!--|<![CDATA[|"|\'|&|&#9999999999999;|<td>|<h1>|<li>|<script>|<nav>|<br/>|<a class="toc">|='
TEXTS = {read_script: SCRIPT, read_fountain: SCREENPLAY, read_pages: PAGE, read_html: WEB}
"""The marks of each format, `|` between them; `~` is a line end and `!` a bar."""


@pytest.mark.parametrize("read", TEXTS, ids=lambda read: read.__name__)
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_any_text_is_read_or_refused(read, data):
    text = data.draw(texts(TEXTS[read]))
    looks_like_script(text), looks_like_fountain(text), looks_like_tei(text), looks_like_html(text)
    if read is read_html:
        assert isinstance(read_html(text), str)
        return
    try:
        source = read(text, "x.txt")
    except PersonaError:
        return
    assert isinstance(source, Source) and (source.scenes or source.lore)
    assert all(u.speaker and u.text.strip() and u.place for scene in source.scenes for u in scene.utterances)
    speakers = count_speakers(source.scenes)
    assert sum(s.lines for s in speakers) == len([u for scene in source.scenes for u in scene.utterances]) or any(
        u.speaker.casefold() in (CHARACTER, USER) for scene in source.scenes for u in scene.utterances
    )
    for speaker in speakers:
        assert find_speakers(speaker.aliases[0], speakers)[1] == frozenset(speaker.aliases)


@given(st.binary(max_size=80) | st.tuples(st.integers(0, len(TEI)), st.binary(max_size=4)))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_a_tei_play_or_refused(data):
    if isinstance(data, tuple):
        place, piece = data
        data = TEI.encode()[:place] + piece + TEI.encode()[place + len(piece) :]
    with suppress(PersonaError):
        assert read_tei(data, "x.xml").scenes


EPUB = epub()


@given(st.binary(max_size=80) | st.tuples(st.integers(0, len(EPUB)), st.binary(max_size=4)))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_a_book_or_refused(data):
    if isinstance(data, tuple):
        place, piece = data
        data = EPUB[:place] + piece + EPUB[place + len(piece) :]
    looks_like_epub(data)
    with suppress(PersonaError):
        assert read_epub(data, "x.epub").text


LINES = {
    read_script: ["NAME [", "(", "_a ", "'a", "Mr. ", "a, b, ", "12:01 ", "[", "Tom: "],
    read_fountain: ["*a ", "[[", "/*", "A (", "\\*", "(a)"],
    read_pages: ["![", "[a](", "*a ", "`", "{{", "[[a|", "# ", "'' ", "| "],
    read_html: ["<a ", "<!--", "<a b='", "<a \"' ", "&#9", "<![CDATA[", "</a ", '<a class="'],
}


@pytest.mark.parametrize(("read", "mark"), [(read, mark) for read, marks in LINES.items() for mark in marks])
def test_a_line_of_half_a_megabyte_is_read_in_time(read, mark):
    line = mark * (500_000 // len(mark))
    start = time.process_time()
    with suppress(PersonaError):
        read_html(line) if read is read_html else read(line, "x")
    looks_like_script(line), looks_like_fountain(line), looks_like_html(line), looks_like_tei(line)
    assert time.process_time() - start < 5


def test_xml_of_a_megabyte_is_read_in_time():
    start = time.process_time()
    assert parse_xml(b"<a>" + b"<b c='d'>e</b>" * 60_000 + b"</a>", "x").tag == "a"
    assert time.process_time() - start < 5
