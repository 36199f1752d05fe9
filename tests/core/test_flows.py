"""The protocols without I/O: each op a flow asks for, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from recallrai_integrations import (
    CredentialsError,
    DeliveryOptions,
    Message,
    NotFoundError,
    RequestRejectedError,
    ServiceUnavailableError,
    SessionInfo,
)
from recallrai_integrations import _flows as flows
from recallrai_integrations._flows import ops
from recallrai_integrations.models import MessagePage, Page
from recallrai_integrations.outbox import ConversationKey, MemoryOutbox

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
LOST = ServiceUnavailableError("no answer")
REFUSED = ServiceUnavailableError("no connection", may_have_taken_effect=False)
CLOSED = RequestRejectedError("processed", status=400)
Answers = Callable[[ops.ServiceOp[Any]], Any]


class Service:
    """Answers ops as a service would that has one session; `faults` are raised instead, by op name."""

    def __init__(self) -> None:
        self.sessions: list[SessionInfo] = []
        self.messages: dict[str, list[Message]] = {}
        self.users: set[str] = set()
        self.asked: list[str] = []
        self.faults: dict[str, list[Exception | None]] = {}
        self.lose_answer_of: set[str] = set()

    def __call__(self, op: ops.ServiceOp[Any]) -> Any:
        name = type(op).__name__
        self.asked.append(name)
        planned = self.faults.get(name)
        fault = planned.pop(0) if planned else None
        if fault is not None and name not in self.lose_answer_of:
            raise fault
        answer = getattr(self, name)(op)
        if fault is not None:
            raise fault
        return answer

    def _know(self, op: ops.ServiceOp[Any]) -> None:
        if op.user_id not in self.users:
            raise NotFoundError("user", status=404)

    def CreateUser(self, op: ops.CreateUser) -> None:  # noqa: N802
        self.users.add(op.user_id)

    def CreateSession(self, op: ops.CreateSession) -> SessionInfo:  # noqa: N802
        self._know(op)
        session = SessionInfo(f"s{len(self.sessions)}", op.user_id, "pending", dict(op.metadata), NOON)
        self.sessions.append(session)
        self.messages[session.session_id] = []
        return session

    def ListSessions(self, op: ops.ListSessions) -> Page:  # noqa: N802
        self._know(op)
        found = tuple(one for one in self.sessions if not op.statuses or one.status in op.statuses)
        return Page(found, len(found), has_more=False)

    def AddMessage(self, op: ops.AddMessage) -> None:  # noqa: N802
        self.messages[op.session_id].append(op.message)

    def ReadMessages(self, op: ops.ReadMessages) -> MessagePage:  # noqa: N802
        stored = self.messages[op.session_id]
        return MessagePage(tuple(stored[op.offset : op.offset + op.limit]), len(stored))

    def Process(self, op: ops.Process) -> None:  # noqa: N802
        self.sessions = [
            SessionInfo(one.session_id, one.user_id, "processed", one.metadata, one.created_at)
            if one.session_id == op.session_id
            else one
            for one in self.sessions
        ]


def run(flow: flows.Flow[Any], service: Service) -> Any:
    """Drives a flow on a service without retries, waits or locks."""
    answer: Any = None
    error: Exception | None = None
    while True:
        try:
            op = flow.send(answer) if error is None else flow.throw(error)
        except StopIteration as end:
            return end.value
        answer = error = None
        try:
            match op:
                case ops.Call():
                    answer = op.call()
                case ops.Locked():
                    answer = run(op.flow, service)
                case ops.Sleep():
                    service.asked.append("Sleep")
                case ops.Gather():
                    answer = [service(one) for one in op.ops]
                case _:
                    answer = service(op)  # type: ignore[arg-type]
        except Exception as raised:  # noqa: BLE001 - handed to the flow, as drivers do
            error = raised


def state(thread: str | None = "t1", **delivery: Any) -> flows.State:
    options = DeliveryOptions(**{"retries": 1, **delivery})
    return flows.State(ConversationKey("t1", "ada", thread), MemoryOutbox(limit=100), options)


def stored(service: Service) -> list[str]:
    return [message.content for session in service.messages.values() for message in session]


def users(*texts: str) -> list[Message]:
    return [Message("user", text) for text in texts]


def test_a_new_user_is_created_when_the_first_message_needs_a_session() -> None:
    service = Service()
    run(flows.record(state(), users("hi")), service)
    assert service.asked == ["ListSessions", "CreateUser", "CreateSession", "AddMessage"]


def test_without_a_thread_no_session_is_looked_for() -> None:
    service = Service()
    service.users.add("ada")
    run(flows.record(state(None), users("hi")), service)
    assert service.asked == ["CreateSession", "AddMessage"]


@pytest.mark.parametrize("landed", [True, False])
def test_a_message_without_an_answer_is_looked_for_before_it_is_sent_again(landed: bool) -> None:
    service, one = Service(), state()
    service.faults["AddMessage"] = [None, LOST]
    if landed:
        service.lose_answer_of.add("AddMessage")
    run(flows.record(one, users("ok", "ok", "end")), service)
    assert stored(service) == ["ok", "ok", "end"]
    assert "ReadMessages" in service.asked


def test_a_request_that_never_left_is_not_looked_for() -> None:
    service, one = Service(), state()
    service.faults["AddMessage"] = [REFUSED]
    run(flows.record(one, users("hi")), service)
    assert "ReadMessages" not in service.asked
    run(flows.flush(one), service)
    assert "ReadMessages" not in service.asked
    assert stored(service) == ["hi"]


@pytest.mark.parametrize("landed", [True, False])
def test_after_an_outage_the_backlog_goes_out_in_order_and_once(landed: bool) -> None:
    service, one = Service(), state()
    run(flows.record(one, users("before")), service)
    service.faults["AddMessage"] = [LOST, LOST, LOST]
    service.faults["ReadMessages"] = [LOST] * 2
    if landed:
        service.lose_answer_of.add("AddMessage")
    run(flows.record(one, users("first")), service)
    run(flows.record(one, users("second")), service)
    service.faults.clear()
    run(flows.record(one, users("third")), service)
    assert stored(service) == ["before", "first", "second", "third"]
    assert one.outbox.count() == 0


@pytest.mark.parametrize("landed", [True, False])
def test_a_message_given_back_is_stored_once_when_it_is_repeated_with_its_id(landed: bool) -> None:
    service, one = Service(), state(on_error="raise", retries=0)
    service.faults["AddMessage"] = [LOST]
    if landed:
        service.lose_answer_of.add("AddMessage")
    message = Message("user", "hi", id="m1")
    with pytest.raises(ServiceUnavailableError):
        run(flows.record(one, [message]), service)
    assert one.outbox.count() == 0
    run(flows.record(one, [message]), service)
    run(flows.record(one, [message]), service)
    assert stored(service) == ["hi"]


def test_a_refused_message_is_an_error_and_later_ones_still_go() -> None:
    service, one = Service(), state()
    service.faults["AddMessage"] = [None, RequestRejectedError("422", status=422)]
    with pytest.raises(RequestRejectedError):
        run(flows.record(one, users("a", "b", "c")), service)
    assert stored(service) == ["a", "c"]
    run(flows.record(one, users("d")), service)
    assert stored(service) == ["a", "c", "d"]


def test_refused_credentials_are_raised_and_nothing_is_lost() -> None:
    service, one = Service(), state()
    service.faults["ListSessions"] = [CredentialsError("401")]
    with pytest.raises(CredentialsError):
        run(flows.record(one, users("a")), service)
    run(flows.flush(one), service)
    assert stored(service) == ["a"]


def test_a_session_that_takes_no_more_is_followed_by_another() -> None:
    service, one = Service(), state()
    run(flows.record(one, users("a")), service)
    run(flows.finish(one), service)
    one.cursor.session_id = "s0"
    service.faults["AddMessage"] = [CLOSED]
    run(flows.record(one, users("b")), service)
    assert {key: [m.content for m in said] for key, said in service.messages.items()} == {
        "s0": ["a"],
        "s1": ["b"],
    }


def test_a_service_that_refuses_every_session_does_not_hold_us_forever() -> None:
    service, one = Service(), state()
    service.faults["AddMessage"] = [CLOSED] * 20
    with pytest.raises(RequestRejectedError):
        run(flows.record(one, users("a")), service)
    assert service.asked.count("AddMessage") <= 3


def test_the_wish_to_process_waits_behind_the_messages() -> None:
    service, one = Service(), state()
    run(flows.record(one, users("a")), service)
    service.faults["AddMessage"] = [REFUSED]
    run(flows.record(one, users("b")), service)
    service.faults["AddMessage"] = [REFUSED]
    assert run(flows.finish(one), service) is None
    assert service.sessions[0].status == "pending"
    run(flows.flush(one), service)
    assert stored(service) == ["a", "b"]
    assert service.sessions[0].status == "processed"


@pytest.mark.parametrize("policy", ["degrade", "raise"])
def test_a_full_outbox_refuses_by_policy(policy: str) -> None:
    service, one = Service(), state(on_error=policy)
    one.outbox._limit = 1  # type: ignore[attr-defined]
    told: list[str] = []
    one.observe = lambda _address, kind, _detail: told.append(kind)
    service.faults["ListSessions"] = [REFUSED] * 10
    if policy == "degrade":
        run(flows.record(one, users("a")), service)
        run(flows.record(one, users("b")), service)
        assert "refused" in told
        service.faults.clear()
        run(flows.flush(one), service)
        assert stored(service) == ["a"]
    else:
        with pytest.raises(Exception, match="outbox_limit=1"):
            run(flows.record(one, users("a", "b")), service)


def test_cancelled_in_the_middle_of_a_send_the_message_is_in_doubt_and_its_turn_comes() -> None:
    service, one = Service(), state()
    flow = flows.record(one, users("a"))
    op: Any = next(flow)
    answer: Any = None
    inner: list[Any] = []
    while True:  # the same as `run`, but stops when the message has just been sent
        flow_now = inner[-1] if inner else flow
        if isinstance(op, ops.Locked):
            inner.append(op.flow)
            op = next(op.flow)
            continue
        if isinstance(op, ops.AddMessage):
            service(op)
            break
        answer = op.call() if isinstance(op, ops.Call) else service_answer(service, op)
        op = flow_now.throw(answer) if isinstance(answer, Exception) else flow_now.send(answer)
    inner[-1].close()
    assert one.cursor.unconfirmed is not None
    run(flows.record(one, users("b")), service)
    assert stored(service) == ["a", "b"]


def service_answer(service: Service, op: Any) -> Any:
    try:
        return service(op)
    except NotFoundError as error:
        return error


def test_ids_of_conversations_long_past_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recallrai_integrations.outbox.memory._CONVERSATIONS_WITH_IDS", 2)
    outbox, message = MemoryOutbox(limit=100), Message("user", "hi", id="m1")
    keys = [ConversationKey(f"t{n}", "ada", f"t{n}") for n in range(3)]
    for key in (keys[0], keys[1], keys[0], keys[2]):
        outbox.put(key, [message, Message("user", "again", id=f"{outbox.count()}")])
    assert len(outbox.put(keys[0], [message])) == 0
    assert len(outbox.put(keys[1], [message])) == 1, "the one used longest ago is forgotten"
