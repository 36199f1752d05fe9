"""What the tests of the Google ADK adapter share."""

from __future__ import annotations

import warnings

from google.adk import agents

with warnings.catch_warnings():  # older releases warn of their own parts when they are imported
    warnings.simplefilter("ignore", DeprecationWarning)
    for name in agents.__all__:
        getattr(agents, name)
