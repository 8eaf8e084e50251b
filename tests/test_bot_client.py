"""The bot on real discord.py objects, with a simulated Discord and a scripted model server."""

import asyncio
import random

import aiohttp
import discord
import pytest
from simcord.backend.models import AllowedMentions

from bot import notices
from bot.answer import Room
from bot.client import PersonaClient
from bot.endpoint import Character, Ending, EndpointError
from bot.store import ChannelState, Store
from persona.conversation import Message


class Script:
    """A model server that says what it is told, and remembers what it was asked."""

    def __init__(self):
        self.replies = []
        self.requests = []
        self.left = 0
        self.endings = []
        self.env = None

    async def stream(self, request):
        self.requests.append(request)
        reply = self.replies.pop(0) if self.replies else "The lamp is lit."
        try:
            for piece in reply if isinstance(reply, list) else [reply]:
                if isinstance(piece, asyncio.Event):
                    await self.env.external_wait(piece.wait(), reason="the test decides")
                elif isinstance(piece, Exception):
                    raise piece
                else:
                    yield piece
            yield self.endings.pop(0) if self.endings else Ending()
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise

    @property
    def last(self):
        return self.requests[-1]


class World:
    """One guild with a channel, and Tom in it."""

    def __init__(self, env, room, voice):
        self.env, self.room, self.voice = env, room, voice
        self.guild = env.create_guild(name="Harbour")
        self.channel = self.guild.create_text_channel("cliff")
        self.tom_user = env.create_user("tom", global_name="Tom")
        self.tom = self.guild.add_member(self.tom_user)
        keeper = self.guild.create_role("keeper", permissions=discord.Permissions(manage_channels=True))
        self.keeper = self.guild.add_member(env.create_user("keeper"), roles=[keeper])
        self.me = f"<@{env.bot.user.id}>"

    async def reply_without_mention(self, message, text):
        backend = self.env.backend
        reference = {"channel_id": str(message.channel.id), "message_id": str(message.id)}
        reference = backend.normalize_message_reference(message.channel.id, reference)
        silent = AllowedMentions(replied_user=False)
        backend.create_message(message.channel.id, self.tom.id, text, reference=reference, allowed_mentions=silent)
        await self.env.settle()

    def said(self, channel=None):
        mine = self.env.bot.user.id
        return [m for m in (channel or self.channel).history() if m.author.id == mine]

    def sent(self, *methods):
        return [
            r for r in self.env.http_requests if r.method in (methods or ("POST", "PATCH")) and "/messages" in r.path
        ]

    def assert_no_pings(self):
        for request in self.sent():
            mentions = request.json["allowed_mentions"]
            assert mentions["parse"] == [] and not mentions.get("replied_user")
            assert not mentions.get("users") and not mentions.get("roles")


def make_room(tmp_path, voice):
    character = Character("ada", "Ada", "persona-nano", True)
    return Room(character, voice, Store(tmp_path / "bot.sqlite3"), edit_every_seconds=0.01)


@pytest.fixture
def simcord_bot(tmp_path):
    room = make_room(tmp_path, Script())
    yield PersonaClient(room)
    room.store.close()


@pytest.fixture
async def world(simcord_env):
    room = simcord_env.bot.room
    room.voice.env = simcord_env
    return World(simcord_env, room, room.voice)


async def test_a_mention_is_answered_below_it(world):
    question = await world.tom.send(world.channel, f"{world.me} who keeps the lamp?")
    (answer,) = world.said()
    assert answer.content == "The lamp is lit." and answer.reference.message_id == question.id
    assert world.voice.last.messages == (Message("user", "who keeps the lamp?", "Tom"),)
    assert (world.voice.last.model, world.voice.last.user_name, world.voice.last.settings) == ("ada", "Tom", {})
    assert any(r.path.endswith("/typing") for r in world.env.http_requests)


async def test_what_does_not_concern_it_is_left_alone(world):
    robot = world.guild.add_member(world.env.create_user("robot", bot=True))
    hook = world.guild.create_webhook(world.channel, "hook")
    await world.tom.send(world.channel, "Nice weather.")
    await world.tom.send(world.channel, "@everyone hello")
    await robot.send(world.channel, f"{world.me} hello")
    await hook.send(f"{world.me} hello")
    assert world.said() == [] and world.voice.requests == []


async def test_the_reply_chain_is_the_history(world):
    await world.tom.send(world.channel, f"{world.me} hello")
    await world.tom.send(world.channel, f"{world.me} another talk")
    eva = world.guild.add_member(world.env.create_user("eva", global_name="E\nva:"))
    world.voice.replies = ["It was long ago."]
    await eva.send(world.channel, "tell me of the storm", reply_to=world.said()[0])
    await world.tom.send(world.channel, "go on", reply_to=world.said()[-1])
    assert world.voice.last.messages == (
        Message("user", "hello", "Tom"),
        Message("assistant", "The lamp is lit."),
        Message("user", "tell me of the storm", "E va"),
        Message("assistant", "It was long ago."),
        Message("user", "go on", "Tom"),
    )


async def test_the_chain_is_there_after_a_restart(world, tmp_path):
    await world.tom.send(world.channel, f"{world.me} hello")
    world.voice.replies = ["word " * 700]
    await world.tom.send(world.channel, "go on", reply_to=world.said()[0])
    await world.env.restart_bot(PersonaClient(make_room(tmp_path, world.voice)))
    assert len(world.said()) == 3
    await world.tom.send(world.channel, "more", reply_to=world.said()[-1])
    reads = [r for r in world.env.http_requests if r.method == "GET" and "/messages" in r.path]
    assert [r.path.endswith("/messages") for r in reads] == [True], "one request for the whole chain"
    roles = [m.role for m in world.voice.last.messages]
    assert roles == ["user", "assistant", "user", "assistant", "assistant", "user"]
    assert "".join(m.content + " " for m in world.voice.last.messages[3:5]).split() == ["word"] * 700


async def test_a_direct_conversation_needs_no_mention_and_remembers(world):
    channel = world.tom_user.dm_channel
    await world.tom_user.send_dm("hello")
    await world.tom_user.send_dm("go on")
    assert [m.content for m in world.said(channel)] == ["The lamp is lit."] * 2
    assert world.voice.last.messages == (
        Message("user", "hello", "Tom"),
        Message("assistant", "The lamp is lit."),
        Message("user", "go on", "Tom"),
    )


async def test_withheld_messages_are_named_once_and_kept_out(world):
    """Without the content intent the message that Eva replies to has no text for the bot."""
    eva = world.guild.add_member(world.env.create_user("eva", global_name="Eva"))
    for _ in range(2):
        hidden = await world.tom.send(world.channel, "the secret is 42")
        await eva.send(world.channel, f"{world.me} what do you say?", reply_to=hidden)
        assert world.voice.last.messages == (Message("user", "what do you say?", "Eva"),)
    first, second = world.said()
    assert first.content == "The lamp is lit.\n" + notices.small(notices.GAP)
    assert second.content == "The lamp is lit."
    await eva.send(world.channel, "and now?", reply_to=first)
    assert Message("assistant", "The lamp is lit.") in world.voice.last.messages


async def test_a_reply_without_its_mention_gets_an_explanation(world):
    await world.tom.send(world.channel, f"{world.me} hello")
    await world.reply_without_mention(world.said()[0], "you cannot see this")
    assert world.said()[-1].content == notices.small(notices.WITHHELD) and len(world.voice.requests) == 1


async def test_long_answers_are_split_and_pings_are_off(world):
    world.voice.replies = ["```py\n" + "print('@everyone')\n" * 150 + "```\n<@1> @here"]
    await world.tom.send(world.channel, f"{world.me} code")
    first, second = world.said()
    assert (
        first.content.endswith("```") and second.content.startswith("```py\n") and second.content.endswith("<@1> @here")
    )
    assert second.reference.message_id == first.id


async def test_nothing_the_model_writes_can_ping(world):
    rng = random.Random(7)
    parts = [
        "@everyone",
        "@here",
        f"<@{world.tom.id}>",
        f"<@&{world.guild.default_role.id}>",
        "word ",
        "```",
        "\n",
        "@",
        "x" * 300,
    ]
    for _ in range(1000):
        world.voice.replies = ["".join(rng.choices(parts, k=rng.randint(1, 12)))]
        await world.tom.send(world.channel, world.me)
    assert len(world.sent()) >= 1000
    world.assert_no_pings()


async def test_the_answer_grows_in_one_message(world):
    gate = asyncio.Event()
    world.voice.replies = [["The ", "lamp ", gate, "is lit."]]
    await world.tom.send(world.channel, f"{world.me} hello")
    await world.env.advance_time(1)
    assert [m.content for m in world.said()] == ["The lamp"]
    gate.set()
    await world.env.settle()
    assert [m.content for m in world.said()] == ["The lamp is lit."]
    assert len(world.sent("PATCH")) == 1
    world.assert_no_pings()


async def test_a_second_question_waits_and_a_flood_is_told_so_once(world):
    gate = asyncio.Event()
    world.voice.replies = [[gate, "First."], "Second."]
    for number in range(10):
        await world.tom.send(world.channel, f"{world.me} question {number}")
    assert [m.content for m in world.said()] == [notices.small(notices.BUSY_CHANNEL)]
    gate.set()
    await world.env.settle()
    assert [m.content for m in world.said()][1:] == ["First.", "Second."] + ["The lamp is lit."] * 4
    assert [r.messages[-1].content for r in world.voice.requests] == [f"question {n}" for n in range(6)]


@pytest.mark.parametrize("started", [True, False])
async def test_a_deleted_question_ends_its_answer(world, started):
    gate = asyncio.Event()
    world.voice.replies = [["Well, ", gate, "yes."] if started else [gate, "yes."]]
    question = await world.tom.send(world.channel, f"{world.me} hello")
    await world.tom.delete(question)
    expected = ["Well,\n" + notices.small(f"({notices.DELETED})")] if started else []
    assert [m.content for m in world.said()] == expected and world.voice.left == 1


async def test_a_deleted_answer_ends_the_generation(world):
    gate = asyncio.Event()
    world.voice.replies = [["Well, ", gate, "yes ", "and ", "more."], "Next."]
    await world.tom.send(world.channel, f"{world.me} hello")
    world.env.backend.delete_message(world.channel.id, world.said()[0].id)
    gate.set()
    await world.env.settle()
    assert world.said() == []
    await world.tom.send(world.channel, f"{world.me} again")
    assert [m.content for m in world.said()] == ["Next."]


@pytest.mark.parametrize("kind", list(notices.ENGINE))
async def test_each_failure_of_the_server_has_its_words(world, kind):
    world.voice.replies = [
        [EndpointError(kind, "secret detail")],
        ["Well, ", EndpointError(kind, "secret detail")],
        "Better.",
    ]
    for _ in range(3):
        await world.tom.send(world.channel, f"{world.me} hello")
    words = notices.small(notices.ENGINE[kind])
    assert [m.content for m in world.said()] == [words, "Well,\n" + words, "Better."]


async def test_a_bug_is_seen_by_the_user_and_survived(world, caplog):
    world.voice.replies = [[ZeroDivisionError("bug")], "Better."]
    for _ in range(2):
        await world.tom.send(world.channel, f"{world.me} hello")
    assert [m.content for m in world.said()] == [notices.small(notices.FAILED), "Better."]
    assert "ZeroDivisionError" in caplog.text and "hello" not in caplog.text


async def test_an_empty_answer_is_said_so(world):
    world.voice.replies = [" \n\u200b"]
    await world.tom.send(world.channel, f"{world.me}")
    assert [m.content for m in world.said()] == [notices.small(notices.EMPTY)]
    assert world.voice.last.messages == (Message("user", "(says nothing)", "Tom"),)


async def test_cut_and_truncated_answers_say_so(world):
    world.voice.endings = [Ending("length", 4), Ending("stop", 9)]
    for _ in range(2):
        await world.tom.send(world.channel, f"{world.me} hello")
    small = notices.small
    first = "\n".join(["The lamp is lit.", small(notices.TRUNCATED), small(notices.CUT_LENGTH)])
    assert [m.content for m in world.said()] == [first, "The lamp is lit."]


async def test_a_server_that_never_ends_is_left(world):
    world.voice.replies = [["word " * 400] * 100]
    await world.tom.send(world.channel, f"{world.me} hello")
    assert world.voice.left == 1 and len(world.said()) < 12
    assert world.said()[-1].content.endswith(notices.small(notices.CUT_ENDLESS))


@pytest.mark.parametrize("status", [500, 403])
async def test_discords_refusals_do_not_end_the_bot(world, status):
    code = {403: 50013}.get(status, 0)
    world.env.inject_error("POST", "/channels/*/messages", status=status, code=code)
    await world.tom.send(world.channel, f"{world.me} hello")
    await world.tom.send(world.channel, f"{world.me} hello")
    assert world.said()[-1].content == "The lamp is lit."


class Failing:
    """A call to Discord's API that fails the first `times` times, as aiohttp does when a kept connection was closed."""

    def __init__(self, call, error, times):
        self.call, self.error, self.times = call, error, times

    def __call__(self, *args, **kwargs):
        self.times -= 1
        if self.times >= 0:
            raise self.error
        return self.call(*args, **kwargs)


DROPPED = [aiohttp.ServerDisconnectedError(), aiohttp.ClientPayloadError("incomplete")]


@pytest.mark.parametrize("call", ["send_message", "edit_message", "send_typing"])
@pytest.mark.parametrize("error", DROPPED, ids=["disconnected", "payload"])
async def test_a_dropped_connection_costs_nothing_of_an_answer(world, monkeypatch, call, error):
    failing = Failing(getattr(world.env.bot.http, call), error, 1)
    monkeypatch.setattr(world.env.bot.http, call, failing)
    gate = asyncio.Event()
    world.voice.replies = [["The ", gate, "lamp is lit."]]
    await world.tom.send(world.channel, f"{world.me} hello")
    await world.env.advance_time(10)  # typing is shown anew every eight seconds
    gate.set()
    await world.env.settle()
    assert [m.content for m in world.said()] == ["The lamp is lit."] and failing.times < 0


@pytest.mark.parametrize("error", DROPPED, ids=["disconnected", "payload"])
async def test_a_dropped_connection_leaves_a_gap_in_the_history(world, tmp_path, monkeypatch, error):
    await world.tom.send(world.channel, f"{world.me} hello")
    await world.env.restart_bot(PersonaClient(make_room(tmp_path, world.voice)))
    for call in ("logs_from", "get_message"):
        monkeypatch.setattr(world.env.bot.http, call, Failing(None, error, 9))
    await world.tom.send(world.channel, "go on", reply_to=world.said()[0])
    await world.tom_user.send_dm("hello")
    for channel in (world.channel, world.tom_user.dm_channel):
        assert world.said(channel)[-1].content == "The lamp is lit.\n" + notices.small(notices.GAP)


async def test_a_channel_that_discord_py_does_not_know_is_answered(world):
    """discord.py says of such a channel that the bot has no permission at all."""
    del world.env.bot.get_guild(world.guild.id)._channels[world.channel.id]
    await world.tom.send(world.channel, f"{world.me} hello")
    assert [m.content for m in world.said()] == ["The lamp is lit."]


async def test_missing_permissions_are_named(world, caplog):
    for lacking, words in [("send_messages", "Send Messages"), ("read_message_history", "Read Message History")]:
        channel = world.guild.create_text_channel(
            lacking, overwrites={world.guild.me: discord.PermissionOverwrite(**{lacking: False})}
        )
        for _ in range(2):
            await world.tom.send(channel, f"{world.me} hello")
        assert caplog.text.count(f"Missing permission in #{lacking} of Harbour: {words}.") == 1
        said = [m.content for m in world.said(channel)]
        assert said == ([] if lacking == "send_messages" else [notices.small(notices.NO_HISTORY)])
    assert world.voice.requests == []


async def test_settings_are_kept_and_sent(world, tmp_path):
    result = await world.keeper.slash(world.channel, "settings", temperature=0.4, top_k=7, seed=2**53 - 1)
    (deferral,) = [r.json for r in world.env.http_requests if r.path.endswith("/callback")]
    assert deferral["type"] == 5 and result.ephemeral
    assert "`temperature` 0.4 (set in this channel)" in result.response.content
    await world.env.restart_bot(PersonaClient(make_room(tmp_path, world.voice)))
    await world.tom.send(world.channel, f"{world.me} hello")
    assert world.voice.last.settings == {"temperature": 0.4, "top_k": 7, "seed": 2**53 - 1}
    shown = (await world.tom.slash(world.channel, "settings")).response.content
    assert "`top_k` 7 (set in this channel)" in shown and "`top_p` 0.95 (default)" in shown
    await world.keeper.slash(world.channel, "settings", clear=True, min_p=0.1)
    await world.tom.send(world.channel, f"{world.me} hello")
    assert world.voice.last.settings == {"min_p": 0.1}
    other = world.guild.create_text_channel("other")
    await world.tom.send(other, f"{world.me} hello")
    assert world.voice.last.settings == {}


@pytest.mark.parametrize("change", [{"temperature": 0.0}, {"clear": True}])
async def test_who_may_not_manage_a_channel_sees_its_settings_only(world, change):
    await world.keeper.slash(world.channel, "settings", temperature=0.4)
    result = await world.tom.slash(world.channel, "settings", **change)
    assert result.ephemeral and "Manage Channels" in result.response.content
    assert len(result.response.content.splitlines()) == 1
    assert world.room.store.channel(world.channel.id).settings == {"temperature": 0.4}
    shown = (await world.tom.slash(world.channel, "settings")).response.content
    assert "`temperature` 0.4 (set in this channel)" in shown
    await world.tom_user.slash("settings", temperature=0.2)
    assert world.room.store.channel(world.tom_user.dm_channel.id).settings == {"temperature": 0.2}


async def test_the_defaults_shown_are_the_characters_own(world):
    world.room.character = Character("ada", "Ada", settings={"temperature": 0.6, "max_new_tokens": 90})
    shown = (await world.tom.slash(world.channel, "settings")).response.content
    assert "`temperature` 0.6 (default)" in shown and "`max_new_tokens` 90 (default)" in shown
    assert "`top_p` 0.95 (default)" in shown, "what the server does not say is as in the program"


async def test_commands_are_registered_once(world, tmp_path):
    def registrations():
        return [r for r in world.env.http_requests if r.method == "PUT" and r.path.endswith("/commands")]

    assert len(registrations()) == 1
    await world.env.restart_bot(PersonaClient(make_room(tmp_path, world.voice)))
    assert len(registrations()) == 1
    (tmp_path / "bot.sqlite3").unlink()
    await world.env.restart_bot(PersonaClient(make_room(tmp_path, world.voice)))
    assert len(registrations()) == 2


async def test_reset_forgets_in_a_direct_conversation_and_in_a_chain(world):
    await world.tom_user.send_dm("hello")
    await world.tom.send(world.channel, f"{world.me} hello")
    seeds = {world.voice.last.seed}
    result = await world.tom_user.slash("reset")
    assert result.ephemeral and "forgotten" in result.response.content
    await world.tom.slash(world.channel, "reset")
    await world.tom_user.send_dm("who am I?")
    assert world.voice.last.messages == (Message("user", "who am I?", "Tom"),)
    await world.tom.send(world.channel, "who am I?", reply_to=world.said()[0])
    assert world.voice.last.messages == (Message("user", "who am I?", "Tom"),)
    assert world.voice.last.seed not in seeds


async def test_reset_ends_the_answer_under_way(world):
    world.voice.replies = [["Well, ", asyncio.Event(), "never."]]
    await world.tom.send(world.channel, f"{world.me} hello")
    await world.tom.slash(world.channel, "reset")
    assert [m.content for m in world.said()] == ["Well,\n" + notices.small(f"({notices.RESET})")]


async def test_who_tells_the_truth(world):
    result = await world.tom.slash(world.channel, "who")
    text = result.response.content
    assert result.ephemeral and len(text) <= 2000
    for word in ("**Ada**", "fictional", "AI", "persona-nano", "adapter", "/reset", "mention"):
        assert word in text


async def test_a_broken_command_is_answered(world):
    world.room.store.set_settings(world.channel.id, {})
    world.room.store._execute(world.room.store._channels.update().values(settings='{"temperature": 99}'))
    result = await world.tom.slash(world.channel, "settings")
    assert "temperature is 99" in result.response.content
    world.env.errors  # noqa: B018  (reading acknowledges them)


async def test_stopping_lets_answers_end_or_cuts_them_short(world):
    gate = asyncio.Event()
    world.voice.replies = [["Well, ", gate, "never."]]
    await world.tom.send(world.channel, f"{world.me} hello")
    await world.room.turns.drain(0.05, notices.RESTARTING, asyncio.Event())
    await world.env.settle()
    assert [m.content for m in world.said()] == ["Well,\n" + notices.small(f"({notices.RESTARTING})")]
    await world.tom.send(world.channel, f"{world.me} hello")
    assert len(world.voice.requests) == 1
    assert [m.content for m in world.said()][1:] == [notices.small(notices.RESTARTING)]


async def test_an_edited_question_is_known_by_its_new_text(world):
    question = await world.tom.send(world.channel, f"{world.me} hello")
    await world.tom.edit(question, f"{world.me} good evening")
    await world.tom.send(world.channel, "go on", reply_to=world.said()[0])
    assert [m.content for m in world.voice.last.messages] == ["good evening", "The lamp is lit.", "go on"]


async def test_a_deleted_message_is_forgotten(world):
    question = await world.tom.send(world.channel, f"{world.me} hello")
    await world.tom.delete(question)
    assert world.room.seen.get(question.id) is None
    assert world.room.store.channel(world.channel.id) == ChannelState()


async def test_an_unreadable_history_is_named(world):
    await world.tom_user.send_dm("hello")
    world.env.inject_error("GET", "/channels/*/messages", status=500)
    await world.tom_user.send_dm("go on")
    assert world.said(world.tom_user.dm_channel)[-1].content.endswith(notices.small(notices.GAP))
    assert world.voice.last.messages == (Message("user", "go on", "Tom"),)
