"""A relay before an HTTP server that spoils some of its answers, for tests of remote storage."""
import http.client
import random
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"
# Headers that belong to one connection, not to the message.
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "date", "server"}


def s3_error(code):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>by the relay</Message></Error>".encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def upstream(self):
        connection = http.client.HTTPConnection(HOST, self.server.upstream_port, timeout=30)
        try:
            length = int(self.headers.get("Content-Length") or 0)
            connection.request(self.command, self.path, self.rfile.read(length), dict(self.headers))
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def answer(self, status, headers, body):
        """The head of an answer, its length that of the body unless a header says it."""
        self.send_response(status)
        headers = [(k, v) for k, v in headers if k.lower() not in HOP_HEADERS]
        if not any(k.lower() == "content-length" for k, _ in headers):
            headers.append(("Content-Length", str(len(body))))
        for key, value in headers:
            self.send_header(key, value)
        self.end_headers()

    def reset(self):
        """Ends the connection with an RST, not in order."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RD)
        self.close_connection = True

    def relay(self):
        fault = self.server.next_fault(self.command, self.path)
        if isinstance(fault, int):
            code = {403: "AccessDenied", 500: "InternalError", 503: "SlowDown"}[fault]
            body = b"" if self.command == "HEAD" else s3_error(code)
            self.answer(fault, [("Content-Type", "application/xml")], body)
            self.wfile.write(body)
            return
        status, headers, body = self.upstream()
        if fault == "reset" and not body:
            self.reset()
            return
        self.answer(status, headers, body)
        half = len(body) // 2
        self.wfile.write(body[:half])
        if fault == "reset":
            self.reset()
            return
        if fault is not None:
            self.wfile.flush()
            time.sleep(fault)
        self.wfile.write(body[half:])

    do_GET = do_HEAD = do_PUT = do_POST = relay


class Relay(ThreadingHTTPServer):
    """Relays to a port of this host while inside `with`. choose(method, path) says for each request what goes wrong:
    None, an HTTP status, "reset" (in the middle of the answer) or a pause in seconds, a float."""
    daemon_threads = True

    def __init__(self, upstream_port, choose):
        super().__init__((HOST, 0), Handler)
        self.upstream_port = upstream_port
        self.choose = choose
        self.lock = threading.Lock()
        self.faults = []  # those made so far
        self.requests = []

    @property
    def url(self):
        return f"http://{HOST}:{self.server_port}"

    def next_fault(self, method, path):
        with self.lock:
            fault = self.choose(method, path)
            self.requests.append((method, path))
            if fault is not None:
                self.faults.append(fault)
            return fault

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Clients may go in the middle of an answer."""


def seeded_faults(seed, faults, share):
    """A chooser that makes one of `faults` in that share of the requests."""
    draw = random.Random(seed)

    def choose(_method, _path):
        return draw.choice(faults) if draw.random() < share else None
    return choose
