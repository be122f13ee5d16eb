"""Training from web servers: ranges, redirects and faults on the way; servers and answers that are of no use."""
import glob
import http.server
import os
import re
import shutil
import threading
import unittest

import relay
import remote_lake
import runs


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of a folder in ranges, with the server's `etag`. /moved/X redirects to /X, /circle to itself."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/moved/") or path == "/circle":
            self.send_response(302)
            self.send_header("Location", path.replace("/moved/", "/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        file = self.translate_path(path)
        if not os.path.isfile(file):
            self.send_error(404)
            return
        with open(file, "rb") as f:
            body = f.read()
        first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups()
        first, last = int(first), min(int(last), len(body) - 1)
        if first >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("ETag", f'"{self.server.etag}"')
        self.end_headers()
        self.wfile.write(body[first:last + 1])


class WholeHandler(http.server.SimpleHTTPRequestHandler):
    """Python's own, which takes no notice of ranges."""

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    etag = "first"

    def __init__(self, folder, handler):
        super().__init__((relay.HOST, 0), lambda *args: handler(*args, directory=folder))
        self.url = f"http://{relay.HOST}:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Clients may go in the middle of an answer."""


class HttpLakeTest(remote_lake.RemoteLakeTest):
    @classmethod
    def setUpClass(cls):
        cls.space = runs.Workspace()
        cls.addClassCleanup(cls.space.__exit__)
        day = os.path.join(cls.space.train, "dt=2026-11-01")
        os.makedirs(day)
        for file in glob.glob(cls.space.train + "/*.parquet"):
            shutil.move(file, day)
        open(os.path.join(cls.space.train, "empty.csv"), "w").close()
        cls.files = [f"dt=2026-11-01/part-{i}.parquet" for i in range(2)]
        cls.server = Server(cls.space.train, RangeHandler).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.local = runs.train(cls.space, "local", f"data.train.uri={day}")

    def train(self, output, base, *overrides, suffix=""):
        uris = ",".join(f"{base}/{file}{suffix}" for file in self.files)
        return runs.train(self.space, output, f"data.train.uri={uris}", *overrides)

    def test_the_bits_are_those_of_local_files(self):
        # The folder on the url's path is a partition as any other; signatures are left out of what is shown.
        report = self.train("ranges", self.server.url + "/moved", "data.train.filter=dt = 2026-11-01",
                            suffix="?token=secret")
        self.assert_same_bits(report)
        with open(glob.glob(self.space.path("ranges/checkpoints/*/MANIFEST"))[0], "rb") as f:
            position = f.read().split(b"position {")[1]
        self.assertNotIn(b"secret", position)

    def test_faults_that_pass_change_nothing(self):
        faults = [500, 503, "reset", 0.3]
        with relay.Relay(self.server.server_port, relay.seeded_faults(7, faults, 0.25)) as faulty:
            report = self.train("faulty", faulty.url)
        self.assertIn("reset", faulty.faults)
        self.assert_same_bits(report)

    def test_what_is_denied_or_missing_ends_the_run_at_once(self):
        stderr = self.failure_at_once(self.server.url + "/none.parquet")
        self.assertRegex(stderr, rf"NotFound: .*{self.server.url}/none.parquet: HTTP status 404")
        with relay.Relay(self.server.server_port, lambda *_: 403) as denying:
            stderr = self.failure_at_once(f"{denying.url}/{self.files[0]}")
            self.assertRegex(stderr, rf"PermissionDenied: .*{denying.url}/{self.files[0]}: HTTP status 403")

    def test_what_cannot_be_read_is_refused(self):
        self.assertRegex(self.failure(self.server.url + "/circle"), "InvalidArgument: .*/circle: .*redirect")
        stderr = self.failure(self.server.url + "/empty.csv")
        self.assertRegex(stderr, "InvalidArgument: .*/empty.csv: the file is empty")
        for uri in (self.server.url + "/dt=*/part-0.parquet", self.server.url + "/dt=2026-11-01/"):
            self.assertRegex(self.failure(uri), "Unimplemented: .*name each file")
        with Server(self.space.train, WholeHandler) as whole:
            stderr = self.failure(f"{whole.url}/{self.files[0]}")
        self.assertRegex(stderr, r"Unimplemented: .*part-0.parquet: expected HTTP 206, .*does not serve ranges")

    def test_a_server_that_is_gone_ends_the_run_in_time(self):
        with Server(self.space.train, RangeHandler) as server:
            url = server.url
        stderr = self.failure(f"{url}/{self.files[0]}", "data.retry_s=0.5")
        self.assertRegex(stderr, r"Unavailable: .*part-0.parquet: .*tried \d+ times; data.retry_s gives it 0.5 s")

    def test_a_file_that_changes_is_noticed(self):
        reads = []

        def change(_method, _path):
            reads.append(1)
            if len(reads) == 4:
                self.server.etag = "second"
        with relay.Relay(self.server.server_port, change) as meddling:
            stderr = self.failure(f"{meddling.url}/{self.files[0]}", "data.streams=1")
        self.server.etag = "first"
        self.assertRegex(stderr, "DataLoss: .*part-0.parquet: the file was changed while it was read.*ETag")


if __name__ == "__main__":
    unittest.main()
