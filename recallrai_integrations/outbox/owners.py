"""Who delivers a conversation, and whether that process still lives."""

from __future__ import annotations

import os
import platform
import time
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

__all__ = ["LEASE_SECONDS", "Owner", "boot", "is_alive", "new_owner"]

LEASE_SECONDS = 600.0
"""How long a claim holds without a sign of life, where its process cannot be asked: on another machine or in
another container (ours; longer than a request with all its retries takes)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One open outbox of one process.

    Args:
        token: random.
        machine: within which process ids mean something: this machine, or this container.
        boot: this start of the machine.
        pid: the process.
        started: when it started, in seconds since the epoch; process ids are used again.
    """

    token: str
    machine: str
    boot: str
    pid: int
    started: float


def new_owner() -> Owner:
    """An owner for an outbox opened by this process."""
    return Owner(uuid.uuid4().hex, _machine(), boot(), os.getpid(), psutil.Process().create_time())


def is_alive(owner: Owner, *, lease_until: float) -> bool:
    """Whether an owner may still be delivering.

    On this machine the process itself is looked at, so that the claim of a killed one is free at once. In
    any case a claim ends with its lease: a process that is stopped or stuck does not block a thread forever.

    Args:
        owner: of a claim.
        lease_until: when its lease ends, in seconds since the epoch.
    """
    if time.time() > lease_until or owner.boot != boot():
        return False
    if owner.machine != _machine():
        return True
    try:
        return abs(psutil.Process(owner.pid).create_time() - owner.started) < 1.0
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


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
