"""Training from S3: the bits are those of local files; faults of the store that pass change nothing, others end it."""
import contextlib
import glob
import logging
import os
import time
import unittest
import urllib.request
import warnings

warnings.filterwarnings("ignore")
import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

import relay
import remote_lake
import runs

SEED = 20261122
BUCKET = "lake"
FILTER = "data.train.filter=dt >= 2026-11-01"

@contextlib.contextmanager
def endpoint(url, **env):
    """The tools' environment, and nothing of the caller's own."""
    env = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
           "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
           "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", **env}
    before = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    for key in before:
        del os.environ[key]
    os.environ.update(env)
    try:
        yield
    finally:
        for key in env:
            os.environ.pop(key, None)
        os.environ.update(before)


class S3LakeTest(remote_lake.RemoteLakeTest):
    @classmethod
    def setUpClass(cls):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        cls.server = ThreadedMotoServer(ip_address=relay.HOST, port=0, verbose=False)
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        _, cls.port = cls.server.get_host_and_port()
        cls.url = f"http://{relay.HOST}:{cls.port}"
        with endpoint(cls.url):
            cls.client = boto3.client("s3", region_name="us-east-1", config=Config(retries={"max_attempts": 1}))
            cls.client.create_bucket(Bucket=BUCKET)
        cls.space = runs.Workspace()
        cls.addClassCleanup(cls.space.__exit__)
        # The same on disk and in the store: two partitions, names that are no data, and a partition that the filter
        # leaves out.
        for day, file in enumerate(sorted(glob.glob(cls.space.train + "/*.parquet")), start=1):
            with open(file, "rb") as f:
                cls.put(f"logs/dt=2026-11-0{day}/part-0.parquet", f.read())
        cls.put("logs/dt=2026-10-31/part-0.parquet", b"not to be read")
        cls.put("logs/dt=2026-11-01/_SUCCESS", b"")
        cls.put("logs/dt=2026-11-01/.part-0.parquet.crc", b"crc")
        cls.local = cls.train("local", cls.space.path("logs"))

    @classmethod
    def put(cls, key, body):
        cls.client.put_object(Bucket=BUCKET, Key=key, Body=body)
        path = cls.space.path(key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(body)

    @classmethod
    def train(cls, output, uri, *overrides):
        return runs.train(cls.space, output, f"data.train.uri={uri}", FILTER, *overrides, workers=2)

    def test_the_bits_are_those_of_local_files(self):
        with endpoint(self.url):
            self.assert_same_bits(self.train("folder", f"s3://{BUCKET}/logs"))
            self.assert_same_bits(self.train("glob", f"s3://{BUCKET}/logs/dt=2026-1*/part-*.parquet"))

    def test_endpoint_and_credentials_may_stand_in_the_uri_and_are_shown_nowhere(self):
        uri = f"s3://some-key:some-secret@{BUCKET}/logs?scheme=http&endpoint_override={relay.HOST}:{self.port}"
        with endpoint("http://127.0.0.1:1"):
            self.assert_same_bits(self.train("uri", uri.replace("&", "&region=eu-west-1&")))
            stderr = self.failure_at_once(uri.replace("/logs", "/none"))
        self.assertNotIn("some-secret", stderr)
        self.assertIn(f"s3://{BUCKET}/none:", stderr)

    def test_faults_that_pass_change_nothing(self):
        faults = [500, 503, "reset", 0.3]
        with relay.Relay(self.port, relay.seeded_faults(SEED, faults, 0.25)) as faulty, endpoint(faulty.url):
            report = self.train("faulty", f"s3://{BUCKET}/logs")
        for fault in faults:
            self.assertIn(fault, faulty.faults, f"seed {SEED}")
        self.assert_same_bits(report)

    def test_a_store_that_stays_broken_ends_the_run_in_time(self):
        with relay.Relay(self.port, lambda *_: 503) as broken, endpoint(broken.url):
            stderr = self.failure(f"s3://{BUCKET}/logs", "data.retry_s=1.5")
        self.assertRegex(stderr, r"Unavailable: .*s3://lake/logs: .*tried \d+ times; data.retry_s gives it 1.5 s")
        self.assertRegex(stderr, r"W\d+ .*s3://lake/logs: .*try 1; again in 0\.\d+ s")
        self.assertLess(len(broken.requests), 20)  # the SDK itself does not retry

    def test_what_is_denied_ends_the_run_at_once(self):
        key = f"s3://{BUCKET}/logs/dt=2026-11-01/part-0.parquet"
        def deny_files(_method, path):
            return 403 if "part-0" in path else None
        with relay.Relay(self.port, deny_files) as denying, endpoint(denying.url):
            stderr = self.failure_at_once(f"s3://{BUCKET}/logs", FILTER, workers=2)
        self.assertRegex(stderr, rf"PermissionDenied: .*{key}: .*ACCESS_DENIED.*AWS_ACCESS_KEY_ID")

    def test_what_is_missing_ends_the_run_at_once(self):
        with endpoint(self.url):
            for uri in (f"s3://{BUCKET}/gone/a.parquet", "s3://no-such-bucket/a.parquet"):
                self.assertRegex(self.failure_at_once(uri, workers=2), rf"NotFound: .*{uri}: ")
            stderr = self.failure_at_once("s3://no-such-bucket/logs/*.parquet")
        self.assertRegex(stderr, r"NotFound: .*s3://no-such-bucket/logs/\*.parquet: ")

    def test_wrong_credentials_end_the_run_at_once(self):
        self.authorize("0")
        try:
            with endpoint(self.url, AWS_ACCESS_KEY_ID="AKIAWRONG"):
                stderr = self.failure_at_once(f"s3://{BUCKET}/logs")
        finally:
            self.authorize("inf")
        self.assertRegex(stderr, rf"PermissionDenied: .*s3://{BUCKET}/logs: .*AWS_ACCESS_KEY_ID")

    def authorize(self, after):
        """Lets the server check credentials after so many requests, a number as text."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", data=after.encode(), method="POST",
                                         headers={"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=10).close()

    def test_an_object_that_changes_is_noticed(self):
        key = "changing/part-0.parquet"
        with open(self.space.path("logs/dt=2026-11-01/part-0.parquet"), "rb") as f:
            body = f.read()
        self.put(key, body)
        reads = []

        def write_again(method, path):
            if method == "GET" and key in path:
                reads.append(path)
                if len(reads) == 3:
                    time.sleep(1.1)  # S3 counts in seconds
                    self.client.put_object(Bucket=BUCKET, Key=key, Body=body)
        with relay.Relay(self.port, write_again) as meddling, endpoint(meddling.url):
            stderr = self.failure(f"s3://{BUCKET}/{key}", "data.streams=1")
        self.assertRegex(stderr, rf"DataLoss: .*s3://{BUCKET}/{key}: the file was changed while it was read")


if __name__ == "__main__":
    unittest.main()
