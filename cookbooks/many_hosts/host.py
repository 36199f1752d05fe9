"""One process of the example: `web` records what users say; `worker` only delivers what others left."""

import os
import sys
import threading

from recallrai_integrations import DeliveryOptions, connect


def main(role: str) -> None:
    delivery = DeliveryOptions(outbox=os.environ["OUTBOX"], mode="background")
    with connect(
        timeout=10, delivery=delivery
    ) as connection:  # credentials from RECALLRAI_API_KEY and _PROJECT_ID
        if role == "web":
            for number in range(int(os.environ.get("TURNS", "20"))):
                thread = connection.conversation(f"user-{number % 3}", f"thread-{number % 3}")
                thread.record(("user", f"{os.getpid()} says {number}"))
            print("recorded", flush=True)
        connection.flush()  # from its first use on it also delivers what dead processes left
        if role == "worker":
            threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
