"""Who receives alerts: a web server and a mail server on loopback, both real."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from journeyport.processes import free_port


@dataclass
class Web:
    """A web server that keeps what it was asked, and refuses where it is told to."""

    url: str = ""
    posted: list[str] = field(default_factory=list)
    beats: list[str] = field(default_factory=list)
    status: int = 200


@dataclass
class Post:
    """A mail server and the letters it took."""

    port: int
    letters: list[Message] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        """Take a letter; the name is aiosmtpd's."""
        self.letters.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, data):
        """Know one user."""
        assert isinstance(data, LoginPassword)
        self.signed_in.append(data.login.decode())
        return AuthResult(success=data.password == b"the password")


@pytest.fixture(scope="module")
def web_server() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if web.status == 200:
                web.posted.append(json.loads(body)["text"])
            self.answer()

        def do_GET(self):
            web.beats.append(self.path)
            self.answer()

        def answer(self):
            self.send_response(web.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield web
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def web(web_server) -> Web:
    web_server.posted.clear()
    web_server.beats.clear()
    web_server.status = 200
    return web_server


@pytest.fixture
def post() -> Iterator[Post]:
    post = Post(free_port())
    controller = Controller(post, hostname="127.0.0.1", port=post.port)
    controller.start()
    yield post
    controller.stop()


@pytest.fixture
def guarded_post(certificate) -> Iterator[Post]:
    """A mail server that takes nothing without STARTTLS and a sign-in."""
    post = Post(free_port())
    controller = Controller(
        post,
        hostname="127.0.0.1",
        port=post.port,
        authenticator=post.authenticate,
        auth_required=True,
        require_starttls=True,
        tls_context=certificate,
    )
    controller.start()
    yield post
    controller.stop()
