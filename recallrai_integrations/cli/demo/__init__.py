"""`recallrai-integrations demo`: what is told on day one is remembered on day two, in another process.

`story` holds what is said and what must be remembered, the modules of the frameworks hold the agents, and
`command` runs the two days and checks the second one.
"""

from .command import demo_command

__all__ = ["demo_command"]
