"""The day everything fails: writers and the service are killed, one request in five goes wrong.

`make chaos` prints the figures and fails when a message is lost, doubled, out of order or misplaced, when a
turn got no answer, or when one waited longer than its deadline. Everything runs in real processes on the
loopback interface: `service` is the local service, `writer` an application with an outbox file, `run` kills
them, `checking` reads back what the service holds, with nothing but the SDK.
"""
