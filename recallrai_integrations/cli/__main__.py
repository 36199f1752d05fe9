"""`python -m recallrai_integrations.cli`."""

from . import main

main()
