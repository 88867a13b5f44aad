"""A receiver of webhooks, with the standard library. Where Flagstream is not installed, copy schemas/signature.py beside it.

    WEBHOOK_SECRET=… python receiver.py 8080
"""

import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from schemas.signature import MAX_BODY_BYTES, SignatureError, verify

SEEN_MAX = 100_000
seen: OrderedDict[str, None] = OrderedDict()


def act(flag: dict) -> None:
    """What your service does about it. Keep the id together with what you did, where that outlives this process."""
    print(flag["decision"], flag["entity"], flag["id"], flush=True)


class Receiver(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            return self.answer(413)
        body = self.rfile.read(length)
        try:
            flag_id = verify(body, self.headers, secrets=[os.environ["WEBHOOK_SECRET"]], now_s=time.time())
        except SignatureError as error:
            print(f"rejected: {error}", file=sys.stderr, flush=True)
            return self.answer(401)
        if flag_id not in seen:
            act(json.loads(body))
            seen[flag_id] = None
            if len(seen) > SEEN_MAX:
                seen.popitem(last=False)
        return self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print(f"ready {server.server_port}", flush=True)
server.serve_forever()
