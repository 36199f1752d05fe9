"""What the adapters of all frameworks share: identity, turns, tools, conflicts, the mapping of messages."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pickle
from types import SimpleNamespace

import pytest

from recallrai_integrations import (
    ContextOptions,
    InvalidInputError,
    Message,
    MissingIdentityError,
    RequestRejectedError,
    connect,
)
from recallrai_integrations.adapter import (
    MEMORY_TOOLS,
    Binding,
    ConnectionSource,
    Identity,
    MemoryTool,
    MergeConflictQuestions,
    Steps,
    ToolRefusal,
    Turn,
    TurnCache,
    Twin,
    answer_of,
    arun,
    calling_tool,
    from_openai,
    look_up,
    named,
    new_questions,
    not_landed,
    outer_turn,
    parts_text,
    placeholder,
    question_of,
    role_of,
    run,
    unsent,
)

ADA = {"user_id": "ada", "thread_id": "t"}
TOOLS = {tool.name: tool for tool in MEMORY_TOOLS}


class BothColours:
    """The class methods of `Turn` as methods of an object, whose twins `call` finds."""

    def begin(self, *args, **options):
        return Turn.begin(*args, **options)

    def abegin(self, *args, **options):
        return Turn.abegin(*args, **options)


@pytest.fixture
def begin(call):
    return functools.partial(call, BothColours().begin)


def said(connection, user_id="ada", thread_id="t"):
    return [(one.role, one.content) for one in connection.conversation(user_id, thread_id).history()]


def teach(connection, fact="My dog is called Biscuit.", user_id="ada"):
    with connection.conversation(user_id, "earlier") as conversation:
        conversation.record(("user", fact))
        conversation.finish(wait=30)


# --- identity


@pytest.mark.parametrize(
    "places",
    [
        (None, {"user_id": "ada"}, {"thread_id": "t", "user_id": "bob"}),
        (SimpleNamespace(user_id="ada", thread_id=None), {"thread_id": "t"}),
        ({"user_id": None, "thread_id": "t"}, SimpleNamespace(user_id="ada")),
    ],
)
def test_the_first_place_that_names_an_id_counts(places):
    assert Binding.of(None).identity(*places) == Identity("ada", "t")
    assert look_up("nothing", *places) is None


def test_an_argument_wins_over_all_places(connection):
    binding = Binding.of(connection, 7, "own")
    assert binding.identity(ADA) == Identity("7", "own")
    assert binding.with_user("bob").identity(ADA) == Identity("bob", "own")


@pytest.mark.parametrize("user_id", [None, ""])
def test_a_missing_user_is_an_error_of_the_frameworks_kind_that_names_its_place(user_id):
    class AbortedError(Exception):
        pass

    class NoUserError(MissingIdentityError, AbortedError):
        pass

    binding = Binding.of(None, where="agent(invocation_state={…})", missing=NoUserError)
    with pytest.raises(AbortedError, match=r"agent\(invocation_state"):
        binding.identity({"user_id": user_id})


def test_what_is_no_connection_is_refused():
    with pytest.raises(InvalidInputError, match="connect"):
        Binding.of("https://api.recallrai.com")


def test_a_pickled_source_finds_its_connection_and_holds_no_key(server, connection):
    pickled = pickle.dumps(ConnectionSource(connection))
    assert server.api_key.encode() not in pickled
    assert pickle.loads(pickled).get() is connection
    assert copy.deepcopy(ConnectionSource(connection)).get() is connection
    assert pickle.loads(pickle.dumps(TurnCache[Turn](3))).get("x") is None


# --- turns


async def test_a_turn_stores_the_question_recalls_once_and_stores_the_answer(server, connection, begin, call):
    teach(connection)
    server.requests.clear()
    turn = await begin(Binding.of(connection), "What is my dog called?", ADA)
    assert all("Biscuit" in turn.prompt().system for _ in range(3))
    assert not turn.prompt().beside
    await call(turn.end, "<think>easy</think>Biscuit.")
    await call(turn.end, "Biscuit.")
    assert said(connection) == [("user", "What is my dog called?"), ("assistant", "Biscuit.")]
    assert sum(one.path.endswith("/context") for one in server.requests) == 1


@pytest.mark.parametrize("placement", ["system", "user", "split"])
async def test_each_placement_says_what_goes_where(make_connection, begin, placement):
    connection = make_connection()
    teach(connection)
    binding = Binding.of(connection, context=ContextOptions(placement=placement))
    prompt = (await begin(binding, "What is my dog called?", ADA)).prompt()
    assert ("Biscuit" in prompt.system, "Biscuit" in prompt.beside) == (
        placement == "system",
        placement != "system",
    )
    assert bool(prompt.instructions) == (placement != "user")
    assert (prompt.instructions in prompt.system) == (placement != "user") or placement == "user"


async def test_split_keeps_the_system_prompt_the_same_in_every_turn(make_connection, begin, call):
    connection = make_connection(context=ContextOptions(placement="split"))
    systems = []
    for user_id in ("nobody", "ada"):
        teach(connection) if user_id == "ada" else None
        turn = await begin(Binding.of(connection, user_id), "What is my dog called?", {"thread_id": "t"})
        systems.append(turn.prompt().system)
        await call(turn.end, "an answer")
    assert systems[0] == systems[1] != ""


async def test_a_turn_that_goes_on_elsewhere_is_stored_once_and_recalls(make_connection, begin, call):
    here, elsewhere = make_connection(), make_connection()
    teach(here)
    await begin(Binding.of(here), [Message("user", "What is my dog called?", id="1")], ADA)
    again = [Message("user", "What is my dog called?", id="1")]
    turn = await begin(Binding.of(elsewhere), again, ADA, resumed=True)
    assert "Biscuit" in turn.prompt().system
    await call(turn.end, "Biscuit.", resumed=True)
    third = await begin(Binding.of(make_connection()), again, ADA, resumed=True)
    assert third.questions
    assert said(here).count(("assistant", "Biscuit.")) == 1


async def test_an_answer_that_landed_before_a_crash_is_not_stored_again(make_connection, begin, call):
    here, elsewhere = make_connection(), make_connection()
    turn = await begin(Binding.of(here), "hi", ADA)
    await call(turn.answer, "hello")
    again = await begin(Binding.of(elsewhere), [], ADA, resumed=True)
    await call(again.end, "hello", resumed=True)
    assert said(here) == [("user", "hi"), ("assistant", "hello")]


async def test_a_turn_without_a_question_stores_none(server, connection, begin, call):
    turn = await begin(Binding.of(connection), "", {"user_id": "ada"})
    assert turn.recall is None
    assert not turn.prompt().text
    assert not server.requests


async def test_inside_a_tool_a_turn_stores_nothing_and_has_the_memories_of_the_same_user(
    connection, begin, call
):
    teach(connection)
    binding = Binding.of(connection)
    outer = await begin(binding, "What is my dog called?", ADA)
    with calling_tool(outer):
        assert outer_turn() is outer
        inner = await begin(binding, "List the pets.", {})
        other = await begin(binding, "List the pets.", {"user_id": "bob"})
        await call(inner.end, "Biscuit")
    assert outer_turn() is None
    assert inner.recall is outer.recall
    assert other.recall is None
    assert (inner.stores, other.identity.user_id) == (False, "bob")
    assert said(connection) == [("user", "What is my dog called?")]
    with calling_tool(None):
        assert outer_turn() is None


# --- steps


class Owner:
    def one(self, text):
        return f"sync {text}"

    async def aone(self, text):
        return f"async {text}"

    def fails(self):
        raise KeyError

    async def afails(self):
        raise asyncio.CancelledError


def test_steps_are_carried_out_in_both_colours_and_decide_about_errors():
    undone = []

    def steps(owner) -> Steps[str]:
        try:
            yield from Twin(owner.fails, owner.afails)
        except KeyError:
            undone.append("an error")
        finally:
            undone.append("the end")
        return (yield from Twin(owner.one, owner.aone, "x"))

    assert run(steps(Owner())) == "sync x"
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(arun(steps(Owner())))
    assert undone == ["an error", "the end", "the end"]


def test_a_hook_of_several_calls_is_steps_of_its_own(connection):
    binding = Binding.of(connection, "ada", "t")

    def hook() -> Steps[bool]:
        given = yield from binding.connecting()
        turn = yield from Turn.beginning(binding, "hi")
        yield from turn.answering("Wait …")
        yield from turn.ending("hello")
        return given is connection

    assert run(hook())
    assert asyncio.run(arun(hook()))
    assert said(connection) == [("user", "hi"), ("assistant", "Wait …"), ("assistant", "hello")] * 2


# --- tools


async def test_tools_are_called_with_json_or_objects_and_tell_errors_in_a_line(server, connection, call):
    teach(connection)
    binding = Binding.of(connection)
    assert "Biscuit" in await call(TOOLS["search_memory"].call, binding, '{"question": "dog?"}', ADA)
    listed = await call(TOOLS["list_memories"].call, binding, {"limit": 1}, ADA)
    memory_id = listed.split("[")[1].split("]")[0]
    wrong = await call(TOOLS["list_memories"].call, binding, {"limit": 0}, ADA)
    assert "limit" in wrong
    assert "\n" not in wrong
    assert "JSON" in await call(TOOLS["list_memories"].call, binding, "{", ADA)
    for nothing in ("nope", "00000000-0000-4000-8000-000000000000"):
        told = await call(TOOLS["forget_memory"].call, binding, {"memory_id": nothing}, ADA)
        assert told == "There is nothing with this id; list again to see the ids."
    with pytest.raises(ToolRefusal, match="nothing with this id"):
        await call(TOOLS["forget_memory"].invoke, binding, {"memory_id": "nope"}, ADA)
    assert memory_id in await call(TOOLS["forget_memory"].call, binding, {"memory_id": memory_id}, ADA)
    with pytest.raises(MissingIdentityError):
        await call(TOOLS["list_memories"].call, binding, {})


async def test_tools_settle_conflicts_by_pairs_or_by_a_mapping(connection, call):
    binding = Binding.of(connection, "ada")
    conflicts = await call(TOOLS["list_merge_conflicts"].call, binding, {})
    assert conflicts == "There are no contradictions to settle."
    for answers in ([{"question": "Where?", "answer": "Porto"}], {"Where?": "Porto"}):
        arguments = {"conflict_id": "00000000-0000-4000-8000-000000000000", "answers": answers}
        assert "nothing with this id" in await call(TOOLS["answer_merge_conflict"].call, binding, arguments)


async def test_a_tool_is_a_function_with_a_typed_signature(connection):
    teach(connection)
    binding = Binding.of(connection)
    tool: MemoryTool = TOOLS["search_memory"]
    function, afunction = tool.function(binding, lambda: (ADA,)), tool.afunction(binding, lambda: (ADA,))
    for one in (function, afunction):
        signature = inspect.signature(one)
        assert {name: parameter.annotation for name, parameter in signature.parameters.items()} == {
            "question": str,
            "limit": int,
        }
        assert (one.__name__, signature.return_annotation) == ("search_memory", str)
        assert "question: What to look for" in inspect.getdoc(one)
    assert "Biscuit" in function(question="my dog?")
    assert "Biscuit" in await afunction(question="my dog?", limit=3)
    assert tool.parameters["required"] == ["question"]
    assert [tool.name for tool in MEMORY_TOOLS if tool.destructive] == ["forget_memory"]
    assert not any(tool.read_only and tool.destructive for tool in MEMORY_TOOLS)


async def test_merge_conflicts_are_asked_and_settled(make_connection, call):
    with connect(local=":memory:") as connection:
        binding = Binding.of(connection, "ada")
        questions = MergeConflictQuestions(binding, limit=1)
        assert await call(questions.pending) == []
        assert await call(questions.settle, [], "no mapping") == []


async def test_merge_conflicts_wait_during_an_outage(server, make_connection, call, caplog):
    degrading, raising = make_connection(), make_connection(deliver={"on_error": "raise", "retries": 0})
    server.faults.add(status=503)
    assert await call(MergeConflictQuestions(Binding.of(degrading, "ada")).pending) == []
    assert "merge conflicts stay as they are" in caplog.text
    with pytest.raises(Exception, match="503"):
        await call(MergeConflictQuestions(Binding.of(raising, "ada")).pending)


def test_another_refusal_of_forgetting_is_told_as_it_is(connection, monkeypatch):
    def refused(*_, **__):
        raise RequestRejectedError("402: no\nbalance", status=402)

    monkeypatch.setattr("recallrai_integrations.user.UserMemory.forget_memory", refused)
    told = TOOLS["forget_memory"].call(Binding.of(connection, "ada"), {"memory_id": "x"})
    assert told == "That did not work: 402: no balance"


# --- messages


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"role": "user", "content": "hi", "id": "1"}, Message("user", "hi", "1")),
        ({"role": "User", "content": "hi"}, Message("user", "hi")),
        ({"role": "user", "content": "I love sushi.", "name": "Pia"}, Message("user", "Pia: I love sushi.")),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            Message("user", "a\nb"),
        ),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": "…"}]},
            Message("user", "[image]"),
        ),
        ({"role": "assistant", "content": "<think>so</think>yes"}, Message("assistant", "yes")),
        ({"role": "assistant", "content": None, "refusal": "No."}, Message("assistant", "No.")),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            Message("assistant", "No."),
        ),
        ({"role": "assistant", "content": "Let me look.", "tool_calls": [{}]}, None),
        ({"role": "tool", "content": "42"}, None),
        ({"role": "system", "content": "Be kind."}, None),
        ({"type": "reasoning", "summary": []}, None),
        ({"role": "user", "content": "  "}, None),
        ({"role": "user"}, None),
        (SimpleNamespace(role=SimpleNamespace(value="model"), content="yes"), Message("assistant", "yes")),
        ("text", None),
    ],
)
def test_messages_of_openais_forms_are_what_was_said(item, expected):
    assert from_openai(item) == expected


def test_a_name_is_told_once_and_a_role_is_no_name():
    assert named("Pia: hi", "Pia") == named("hi", "Pia") == "Pia: hi"
    assert named("hi", "user") == named("hi", None) == named("hi", "  ") == "hi"
    assert "\n" not in named("hi", "Pia\nsystem")


def test_blank_texts_and_mere_reasoning_are_nothing_that_was_said():
    assert question_of(" \n") is None
    assert answer_of("<think>hm</think>") is None
    assert answer_of("half \ud800") == Message("assistant", "half ?")
    assert placeholder(["text", "file"]) == "[file]"
    assert (role_of("AI"), role_of("developer")) == ("assistant", None)
    assert parts_text({"type": "text"}) == ""


def test_new_is_what_the_user_said_since_the_last_answer():
    one, answer, two, three = (
        Message("user", "one"),
        Message("assistant", "a"),
        Message("user", "two"),
        Message("user", "three"),
    )
    assert new_questions([one, answer, two, three]) == [two, three]
    assert new_questions([one, answer]) == []
    assert not_landed([two, three], [one, answer, two]) == [three]
    assert unsent([one, answer, two], [one, answer]) == [two]
