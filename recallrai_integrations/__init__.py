"""Long-term memory by RecallrAI for LangChain, LangGraph, LlamaIndex and agent frameworks, or without one.

```python
from recallrai_integrations import connect

with connect(local=":memory:") as connection:  # connect() for the hosted service
    conversation = connection.conversation(user_id="ada", thread_id="thread-1")
    conversation.record(("user", "I moved to Lisbon. What should I visit first?"))
    print(conversation.recall().text)  # for the system prompt of this request
    conversation.record(("assistant", "Start with Alfama."))
    conversation.finish()
```

The adapters are in one package for each framework, such as `recallrai_integrations.langchain`, and the
embedded service in `recallrai_integrations.local`. Importing this package imports no framework and has no
side effects.
"""

from ._version import __version__
from .connecting import connect
from .connection import Connection
from .conversation import Conversation
from .errors import (
    ConfigurationError,
    ConnectionClosedError,
    CredentialsError,
    DeadlockError,
    ForgetIncompleteError,
    InvalidInputError,
    LocalServiceError,
    MissingDependencyError,
    MissingIdentityError,
    NotFoundError,
    OutboxError,
    OutboxFullError,
    RecallrAIIntegrationError,
    RedactionError,
    RequestRejectedError,
    ServiceError,
    ServiceUnavailableError,
)
from .hooks import Event, Redaction
from .messages import Message
from .models import (
    ConflictingMemory,
    Forgotten,
    Imported,
    Memory,
    MemoryVersion,
    MergeConflict,
    Question,
    SessionInfo,
    UserInfo,
)
from .options import ContextOptions, DeliveryOptions, MemoryOptions, RecallOptions
from .recall import Recall
from .user import UserMemory

__all__ = [
    "ConfigurationError",
    "ConflictingMemory",
    "Connection",
    "ConnectionClosedError",
    "ContextOptions",
    "Conversation",
    "CredentialsError",
    "DeadlockError",
    "DeliveryOptions",
    "Event",
    "ForgetIncompleteError",
    "Forgotten",
    "Imported",
    "InvalidInputError",
    "LocalServiceError",
    "Memory",
    "MemoryOptions",
    "MemoryVersion",
    "MergeConflict",
    "Message",
    "MissingDependencyError",
    "MissingIdentityError",
    "NotFoundError",
    "OutboxError",
    "OutboxFullError",
    "Question",
    "Recall",
    "RecallOptions",
    "RecallrAIIntegrationError",
    "Redaction",
    "RedactionError",
    "RequestRejectedError",
    "ServiceError",
    "ServiceUnavailableError",
    "SessionInfo",
    "UserInfo",
    "UserMemory",
    "__version__",
    "connect",
]
