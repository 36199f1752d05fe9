"""Faults on demand: what a client meets, and what has happened on the server when it does."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest

from recallrai_integrations import errors
from recallrai_integrations.local import Fault, Faults, LocalRecallrAI
from recallrai_integrations.local.faults import FileFaults


@pytest.fixture(params=["sync", "async"])
def post(request, shared):
    """Posts JSON in the colour of this run; faults are gone afterwards."""
    headers = {"X-Recallr-Api-Key": shared.api_key, "X-Recallr-Project-Id": shared.project_id}
    options = {"headers": headers, "trust_env": False, "timeout": 0.5}

    async def send(path, body=None):
        path = shared.base_url + path
        if request.param == "sync":
            return await asyncio.to_thread(httpx.post, path, json=body or {}, **options)
        async with httpx.AsyncClient(**options) as client:
            return await client.post(path, json=body or {})

    yield send
    shared.faults.clear()


@pytest.fixture
async def thread(http, user_id):
    """A session, with a function that tells what is stored in it."""
    http.post("/api/v1/users", json={"custom_user_id": user_id})
    made = http.post(f"/api/v1/users/{user_id}/sessions", json={}).json()["session"]["session_id"]
    path = f"/api/v1/users/{user_id}/sessions/{made}"

    def stored():
        return [m["content"] for m in http.get(f"{path}/messages").json()["messages"]]

    return f"{path}/add-message", stored


HELLO = {"message": "hello", "role": "user"}


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ({"status": 503}, (503, b'{"detail": "Fault on demand: 503"}')),
        ({"status": 502, "body": "<html>Bad gateway</html>"}, (502, b"<html>Bad gateway</html>")),
        ({"status": 503, "body": ""}, (503, b"")),
        ({"status": 200, "body": None}, (200, b"{}")),
        ({"status": 200, "body": [1]}, (200, b"[1]")),
        ({"status": 204}, (204, b"")),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_answer_on_demand_is_given_before_or_after_the_write(
    post, shared, thread, *, fault, answer, when
):
    path, stored = thread
    shared.faults.add(path="*/add-message", times=1, when=when, **fault)
    given = await post(path, HELLO)
    assert (given.status_code, given.content) == answer
    assert stored() == (["hello"] if when == "after" else [])
    assert (await post(path, HELLO)).status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("end", "error"), [({"drop": True}, httpx.RemoteProtocolError), ({"hang": True}, httpx.ReadTimeout)]
)
async def test_a_connection_is_dropped_or_left_hanging_before_or_after_the_write(
    post, shared, thread, *, when, end, error
):
    path, stored = thread
    shared.faults.add(method="POST", times=1, when=when, **end)
    with pytest.raises(error):
        await post(path, HELLO)
    assert stored() == (["hello"] if when == "after" else [])


async def test_a_rate_limit_says_when_to_come_back(post, shared, thread):
    shared.faults.add(status=429, retry_after=1.5, headers={"X-Other": "yes"})
    answer = await post(thread[0], HELLO)
    assert (answer.headers["retry-after"], answer.headers["x-other"]) == ("1.5", "yes")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_delay_alone_changes_nothing_but_the_time(post, shared, thread, when):
    path, stored = thread
    shared.faults.add(delay=0.2, when=when)
    started = time.monotonic()
    assert (await post(path, HELLO)).json() == {"detail": "Message added successfully"}
    assert time.monotonic() - started >= 0.2
    shared.faults.clear()
    assert stored() == ["hello"]


def test_rules_choose_by_method_path_turn_and_number():
    faults = Faults(
        Fault(method="post", path="*/context", status=500, nth=2), Fault(path="/a*", status=501, times=1)
    )
    assert faults.strike("GET", "/x/context") is None
    struck = [faults.strike("POST", "/x/context") for _ in range(3)]
    assert [f and f.status for f in struck] == [None, 500, None]
    assert [f and f.status for f in (faults.strike("GET", "/a/b"), faults.strike("GET", "/a/b"))] == [
        501,
        None,
    ]


def test_the_same_seed_throws_the_same_dice():
    def fates(seed):
        faults = Faults(Fault(status=500, probability=0.5), seed=seed)
        return [faults.strike("GET", "/") is not None for _ in range(50)]

    assert fates(1) == fates(1) != fates(2)
    assert 10 < sum(fates(1)) < 40


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"status": 500, "drop": True},
        {"status": 99},
        {"status": 500, "probability": 2},
        {"status": 500, "when": "soon"},
        {"delay": -1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule):
    with pytest.raises(errors.ConfigurationError):
        Fault(**rule)


@pytest.mark.parametrize("outcome", ["failed", "insufficient_balance"])
async def test_a_session_ends_as_prescribed_and_can_be_processed_again(
    http, shared, user_id, outcome, thread
):
    path, _ = thread
    session = path.rpartition("/")[0]
    http.post(path, json={"message": "I live in Lisbon.", "role": "user"})
    shared.faults.outcomes(outcome)

    def processed():
        http.post(f"{session}/process")
        while (status := http.get(session).json()["session"]["status"]) == "processing":
            pass
        return status

    assert processed() == outcome
    refused = http.post(path, json=HELLO)
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        f"Cannot add message to session with status {outcome}",
    )
    assert http.get(f"{session}/messages").json()["total"] == 1
    assert processed() == "processed"
    assert http.get(f"/api/v1/users/{user_id}/memories").json()["total"] == 1


def test_a_file_of_faults_is_the_switch_for_a_service_elsewhere(tmp_path):
    file = tmp_path / "faults.json"
    faults = FileFaults(str(file))
    assert faults.strike("GET", "/") is None
    file.write_text(json.dumps({"rules": [{"status": 503}]}))
    assert faults.strike("GET", "/").status == 503
    file.write_text('{"rules": [{"status": 5')
    assert faults.strike("GET", "/").status == 503
    file.write_text(json.dumps({"seed": 3, "rules": []}))
    assert faults.strike("GET", "/") is None
    file.write_text("no faults")
    with pytest.raises(errors.ConfigurationError, match=r"faults\.json"):
        FileFaults(str(file))


def test_the_request_log_tells_what_came_and_how_it_ended():
    with LocalRecallrAI(faults=Faults(Fault(drop=True, path="/gone", times=1))) as server:
        httpx.get(f"{server.base_url}/health?a=b", trust_env=False)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{server.base_url}/gone", trust_env=False)
        httpx.get(f"{server.base_url}/api/v1/users", trust_env=False)
        told = {(r.method, r.path, r.query, r.status) for r in server.requests}
        assert told == {
            ("GET", "/health", "a=b", 200),
            ("GET", "/gone", "", None),
            ("GET", "/api/v1/users", "", 422),
        }
        server.faults = Faults(Fault(status=500))
        assert httpx.get(f"{server.base_url}/health", trust_env=False).status_code == 500


@pytest.mark.parametrize("end", [{"status": 502}, {"drop": True}, {"hang": True}])
async def test_a_late_effect_comes_when_the_client_has_gone(post, shared, thread, end):
    path, stored = thread
    shared.faults.add(when="late", delay=0.7, times=1, **end)
    if "status" in end:
        assert (await post(path, HELLO)).status_code == 502
    else:
        with pytest.raises(httpx.TransportError):
            await post(path, HELLO)
    assert (await post(path, {"message": "what follows", "role": "user"})).status_code == 200
    ends = time.monotonic() + 20
    while len(stored()) < 2 and time.monotonic() < ends:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)
    assert stored() == ["what follows", "hello"]


async def test_a_stale_answer_is_the_first_one_that_the_rule_struck(post, shared, thread):
    path, stored = thread
    shared.faults.add(stale=True, method="GET", path="*/messages")
    assert stored() == []
    assert (await post(path, HELLO)).status_code == 200
    assert stored() == []
    shared.faults.clear()
    assert stored() == ["hello"]


def test_a_late_fault_says_what_the_client_gets():
    with pytest.raises(errors.ConfigurationError, match="late"):
        Fault(when="late", delay=1.0)
