"""Who delivers a conversation, and whether that process still lives."""

from __future__ import annotations

import os
import platform
import time
import uuid
from dataclasses import dataclass
from functools import cache
from math import inf
from pathlib import Path

import psutil

__all__ = ["LEASE_SECONDS", "Owner", "boot", "is_alive", "new_owner"]

LEASE_SECONDS = 600.0
"""How long a claim holds without a sign of life, where its process cannot be asked: in another container
(ours; longer than a request with all its retries takes)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One open outbox of one process.

    Args:
        token: random.
        machine: within which process ids mean something: this machine, or this container.
        boot: this start of the machine.
        pid: the process.
        started: when it started: process ids are used again. The unit is the platform's; no change of the
            wall clock moves it.
    """

    token: str
    machine: str
    boot: str
    pid: int
    started: float


def new_owner() -> Owner:
    """An owner for an outbox opened by this process."""
    pid = os.getpid()
    return Owner(uuid.uuid4().hex, _machine(), boot(), pid, _started(pid))


def is_alive(owner: Owner, *, lease_until: float) -> bool:
    """Whether an owner may still be delivering.

    On one machine the process decides, and no clock: the claim of a killed one is free at once, that of a
    living one stays. Only in another container, whose processes cannot be looked at, a claim ends with its
    lease.

    Args:
        owner: of a claim.
        lease_until: when its lease ends, by the monotonic clock; minus infinity when it gave its claims up.
    """
    if owner.boot != boot() or lease_until == -inf:
        return False
    if owner.machine != _machine():
        return time.monotonic() <= lease_until
    try:
        return _started(owner.pid) == owner.started
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _started(pid: int) -> float:
    """When a process started.

    psutil's `create_time` adds the start of the machine, which moves with the wall clock on Linux: what the
    kernel counts is read there.
    """
    if psutil.LINUX:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            raise psutil.NoSuchProcess(pid) from None
        return float(stat.rpartition(")")[2].split()[19])
    return psutil.Process(pid).create_time()


@cache
def boot() -> str:
    """This start of the machine; everything that ran before it is dead."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # elsewhere than on Linux
        return f"{psutil.boot_time():.0f}"


@cache
def _machine() -> str:
    try:
        return f"{platform.node()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # elsewhere than on Linux
        return platform.node()
