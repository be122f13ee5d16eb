"""Training from Google Cloud Storage, as a stand-in for its JSON API serves it: the same bits, through faults too."""
import http.server
import json
import os
import re
import threading
import unittest
import urllib.parse

import relay
import remote_lake
import runs

BUCKET = "lake"


class GcsHandler(http.server.BaseHTTPRequestHandler):
    """Objects of one bucket, the files below the server's `folder`: metadata, ranges of bytes, listings by folder."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, body, content_type="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def item(self, name):
        size = os.path.getsize(os.path.join(self.server.folder, name))
        return {"kind": "storage#object", "bucket": BUCKET, "name": name, "size": str(size), "generation": "1",
                "metageneration": "1", "updated": "2026-11-22T05:54:15.123Z", "timeCreated": "2026-11-22T05:54:15.123Z"}

    def listing(self, prefix, by_folder):
        names = sorted(os.path.relpath(os.path.join(folder, file), self.server.folder)
                       for folder, _, files in os.walk(self.server.folder) for file in files)
        below = [name for name in names if name.startswith(prefix)]
        items = [name for name in below if not by_folder or "/" not in name[len(prefix):]]
        folders = {prefix + name[len(prefix):].split("/")[0] + "/" for name in below if name not in items}
        return {"kind": "storage#objects", "prefixes": sorted(folders), "items": [self.item(name) for name in items]}

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qs(url.query)
        base = f"/storage/v1/b/{BUCKET}/o"
        if url.path == base:
            listing = self.listing(query.get("prefix", [""])[0], by_folder="delimiter" in query)
            self.send(200, json.dumps(listing).encode())
            return
        name = urllib.parse.unquote(url.path[len(base) + 1:])
        file = os.path.join(self.server.folder, name)
        if not url.path.startswith(base + "/") or not os.path.isfile(file):
            self.send(404, json.dumps({"error": {"code": 404, "message": "no such object"}}).encode())
        elif "alt" not in query:
            self.send(200, json.dumps(self.item(name)).encode())
        else:
            with open(file, "rb") as f:
                body = f.read()
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-")).groups()
            self.send(206, body[int(first):int(last or len(body)) + 1], "application/octet-stream")


class GcsLakeTest(remote_lake.RemoteLakeTest):
    @classmethod
    def setUpClass(cls):
        cls.space = runs.Workspace()
        cls.addClassCleanup(cls.space.__exit__)
        cls.server = http.server.ThreadingHTTPServer((relay.HOST, 0), GcsHandler)
        cls.server.folder = cls.space.root
        cls.server.daemon_threads = True
        threading.Thread(target=cls.server.serve_forever, args=(0.05,), daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        cls.local = runs.train(cls.space, "local")

    def uri(self, path, port):
        return f"gs://anonymous@{BUCKET}/{path}?scheme=http&endpoint_override={relay.HOST}:{port}"

    def test_the_bits_are_those_of_local_files(self):
        uri = self.uri("tr*/part-*.parquet", self.server.server_port)
        self.assert_same_bits(runs.train(self.space, "glob", f"data.train.uri={uri}"))

    def test_faults_that_pass_change_nothing(self):
        with relay.Relay(self.server.server_port, relay.seeded_faults(7, [500, 503, "reset"], 0.1)) as faulty:
            report = runs.train(self.space, "faulty", f"data.train.uri={self.uri('train', faulty.server_port)}")
        self.assertIn(503, faulty.faults)
        self.assert_same_bits(report)

    def test_what_is_denied_missing_or_stays_broken_ends_the_run(self):
        port = self.server.server_port
        stderr = self.failure_at_once(self.uri("none/*.parquet", port))
        self.assertRegex(stderr, rf"NotFound: .*gs://{BUCKET}/none/\*.parquet: ")
        with relay.Relay(port, lambda *_: 403) as denying:
            stderr = self.failure_at_once(self.uri("train", denying.server_port))
        self.assertRegex(stderr, rf"PermissionDenied: .*gs://{BUCKET}/train: .*GOOGLE_APPLICATION_CREDENTIALS")
        with relay.Relay(port, lambda *_: 503) as broken:
            stderr = self.failure(self.uri("train", broken.server_port), "data.retry_s=0.5")
            self.assertLess(len(broken.requests), 20)  # the client itself does not retry
        self.assertRegex(stderr, rf"Unavailable: .*gs://{BUCKET}/train: .*tried \d+ times")


if __name__ == "__main__":
    unittest.main()
