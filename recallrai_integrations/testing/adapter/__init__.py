"""What an adapter has to do, whatever its framework is: see `AdapterContract`."""

from .contract import AdapterContract
from .hooks import ABILITIES, Answered, RunFailed

__all__ = ["ABILITIES", "AdapterContract", "Answered", "RunFailed"]
