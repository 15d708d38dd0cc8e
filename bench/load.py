"""Many clients of one model host, in a process of their own: waits for a line on stdin, then prints what they saw.

python bench/load.py ADDRESS NONCE CLIENTS REQUESTS IMAGE…
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rcl_cli.errors import ServiceError
from rcl_cli.inference.client import HostConnection


def main() -> None:
    address, nonce, clients, requests = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    images = [Path(path).read_bytes() for path in sys.argv[5:]]
    latencies: list[float] = []
    refused: list[str] = []

    def work(number: int) -> None:
        with HostConnection(address, nonce) as host:
            for index in range(number, requests, clients):
                began = time.perf_counter()
                try:
                    host.detect(images[index % len(images)], None, None)
                except ServiceError as error:
                    refused.append(error.code)
                else:
                    latencies.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"began": began, "ended": time.time(), "latencies_s": latencies, "refused": refused}), flush=True)


if __name__ == "__main__":
    main()
