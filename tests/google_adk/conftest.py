"""What the tests of the Google ADK adapter share."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():  # older releases warn of their own parts when they are imported
    warnings.simplefilter("ignore", DeprecationWarning)
    from google.adk.agents import LlmAgent, LoopAgent, ParallelAgent, SequentialAgent  # noqa: F401
