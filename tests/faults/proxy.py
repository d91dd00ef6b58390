"""A proxy before an MLflow server that can be slow, refuse, fail, or lose what was answered."""

import re
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

Mood = Literal["fine", "slow", "failing", "deaf", "refusing"]
SLOW = 0.3  # seconds before every answer
DEAF = 3.0  # longer than any caller waits in these tests


class Proxy:
    """Listens on loopback from `with` to its end; `mood` may change at any time.

    'failing' answers every request with 500, 'refusing' with a gateway's 403. 'deaf' hands it on,
    and answers too late: it has taken effect. It may also stand in `http_proxy`: every host is then
    the MLflow server.
    """

    def __init__(self, port: int) -> None:
        self.mood: Mood = "fine"
        self.failed = 0
        self.asked = 0
        self.lost: tuple[str, ...] = ()  # ends of paths to which it is deaf in any mood
        handler = type("Handler", (_Handler,), {"proxy": self, "port": port})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    port: int

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the caller did not wait
            self.close_connection = True

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mood, path = self.proxy.mood, re.sub("^http://[^/]*", "", self.path)
        self.proxy.asked += 1
        if mood == "failing":
            self.proxy.failed += 1
            self.send_error(500)
            return
        if mood == "refusing":
            self.proxy.failed += 1
            self._answer(403, "application/json", b'{"detail": "Forbidden"}')
            return
        time.sleep(SLOW if mood == "slow" else 0.0)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        with closing(HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request(self.command, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        if mood == "deaf" or self.path.endswith(self.proxy.lost):
            self.proxy.failed += 1
            time.sleep(DEAF)
        kind = answer.headers.get("Content-Type", "application/json")
        self._answer(answer.status, kind, content)

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - so it calls them

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass
