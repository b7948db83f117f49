"""Spans, read by OpenTelemetry's own definition of its protocol: a field that it does not know is an error."""

import base64
import contextlib
import http.server
import json
import site
import threading
from pathlib import Path

from stand import ROOT, run, until

KEPT = ROOT / "target/monitoring"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Takes what is posted to it."""

    def __init__(self, stand, password):
        self.password = password
        run(Path(__file__).with_name("install"))
        site.addsitedir(str(next(KEPT.glob("venv/lib/python3*/site-packages"))))
        self.bodies, collector = [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.bodies.append((self.path, self.headers["content-type"], self.headers["x-key"], body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stand.callback(server.shutdown)
        headers = stand.folder / "headers"
        headers.write_text("x-key=a%20b")
        headers.chmod(0o600)
        self.section = f"""
[tracing]
endpoint = "http://127.0.0.1:{server.server_port}"
headers_file = "{headers}"
service_name = "shop-proxy"
interval = "10ms"
sample_ratio = 1.0
"""


def in_base64(value):
    """The two kinds of bytes in the protocol, which OTLP writes in hexadecimal digits and protobuf does not."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("traceId", "spanId", "parentSpanId"):
                value[key] = base64.b64encode(bytes.fromhex(inner)).decode()
            else:
                in_base64(inner)
    elif isinstance(value, list):
        for inner in value:
            in_base64(inner)
    return value


def spans(collector):
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    for path, kind, key, body in list(collector.bodies):
        assert (path, kind, key) == ("/v1/traces", "application/json", "a b"), (path, kind, key)
        request = json_format.ParseDict(in_base64(json.loads(body)), ExportTraceServiceRequest())
        for of in request.resource_spans:
            assert of.resource.attributes[0].value.string_value == "shop-proxy"
            for scope in of.scope_spans:
                yield from scope.spans


def what_is_sent_is_what_the_protocol_defines(proxy, collector):
    comment = f"/*traceparent='00-{TRACE}-{PARENT}-01',tracestate='a%3Db'*/"
    for statement in (f"SELECT 'hidden', n FROM t {comment}", "BEGIN; INSERT INTO t VALUES (1); COMMIT"):
        proxy.psql("-c", statement, password=collector.password)
    with contextlib.suppress(AssertionError):
        proxy.psql("-c", "SELECT 1 FROM missing_here", password=collector.password)

    def all_there():
        found = list(spans(collector))
        under = [span for span in found if span.trace_id.hex() == TRACE]
        failed = [span for span in found if span.status.code == span.status.STATUS_CODE_ERROR]
        whole = [span for span in found if span.name.startswith("BEGIN; INSERT t")]
        return under and failed and whole and (under[0], failed[0])

    under, failed = until("three spans", all_there)
    assert (under.parent_span_id.hex(), under.trace_state) == (PARENT, "a=b")
    assert under.kind == under.SPAN_KIND_CLIENT and under.flags & 0x301 == 0x301
    told = {attribute.key: attribute.value for attribute in under.attributes}
    assert told["db.query.text"].string_value == "SELECT ?, n FROM t", told
    assert told["server.port"].int_value > 0 and told["tidegate.wait"].double_value >= 0
    assert under.end_time_unix_nano >= under.start_time_unix_nano > 1_700_000_000_000_000_000
    assert failed.status.message == "42P01"
    assert not any(b"hidden" in body for *_, body in collector.bodies)


def test(tests, proxy, collector):
    tests.test(what_is_sent_is_what_the_protocol_defines, proxy, collector)
