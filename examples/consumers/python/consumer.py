"""An alert consumer with plain kafka-python, for services that do not have Flagstream installed.

    pip install kafka-python
    python consumer.py localhost:9092 payments scam threat

Prints a line for each flag that carries one of the labels (without labels: for each). It shows the three things that every
consumer needs: commit after the work is done, drop what was seen before, and survive what cannot be read.
"""

import json
import sys
from collections import OrderedDict

from kafka import KafkaConsumer

SEEN_MAX = 100_000


def act(flag: dict) -> None:
    """What your service does about it. It may be called again for the same flag after a crash."""
    label = flag["labels"][0]
    print(f"{flag['decision']:<7} {label['name']} {label['score']:.2f} {flag['entity']} {flag['id']}", flush=True)


def main() -> None:
    broker, group, *labels = sys.argv[1:]
    consumer = KafkaConsumer(
        "flags",
        bootstrap_servers=broker,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=100,
    )
    seen: OrderedDict[str, None] = OrderedDict()
    try:
        while True:
            for records in consumer.poll(timeout_ms=1_000).values():
                for record in records:
                    try:
                        flag = json.loads(record.value)
                        known = flag["version"] == 1
                    except (ValueError, KeyError, TypeError):
                        print(f"unreadable at {record.partition}@{record.offset}", file=sys.stderr)
                        continue
                    if not known or flag["id"] in seen:
                        continue
                    if not labels or any(label["name"] in labels for label in flag["labels"]):
                        act(flag)
                    seen[flag["id"]] = None
                    if len(seen) > SEEN_MAX:
                        seen.popitem(last=False)
            # Everything polled is done: a crash before this line only repeats it.
            consumer.commit()
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
