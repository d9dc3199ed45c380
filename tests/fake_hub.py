"Enough of the protocol of the Hugging Face Hub to write files to one repository and to read them, in memory and on this machine only."
import base64, contextlib, http.server, json, re, threading, urllib.parse
from collections.abc import Iterator

COMMIT = "0" * 40


def entry(path: str, kind: str, size: int = 0) -> dict: return {"type": kind, "path": path, "oid": COMMIT, "size": size}


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: pass

    def answer(self, content: object, code: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items(): self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path, files = urllib.parse.unquote(self.path.split("?")[0]), self.server.files
        if m := re.fullmatch(r"/api/models/group/repository/tree/main/?(.*)", path):
            top = m[1] + "/" if m[1] else ""
            inside = [f for f in files if f.startswith(top)]
            folders = {top + f[len(top):].split("/")[0] for f in inside if "/" in f[len(top):]}
            if inside or not top: return self.answer([entry(d, "directory") for d in folders] + [entry(f, "file", len(files[f])) for f in inside if "/" not in f[len(top):]])
        if (m := re.fullmatch(r"/group/repository/resolve/main/(.*)", path)) and m[1] in files:
            begin, end = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", f"bytes=0-{len(files[m[1]])}")).groups()
            return self.answer(files[m[1]][int(begin) : int(end) + 1], 206 if "Range" in self.headers else 200)
        if path == "/api/models/group/repository": return self.answer({"id": "group/repository", "sha": COMMIT, "siblings": []})
        self.answer({"error": "not found"}, 404, X_Error_Code="EntryNotFound")

    def do_POST(self) -> None:
        body, files = self.rfile.read(int(self.headers["Content-Length"])), self.server.files
        if "/preupload/" in self.path: # every file is sent within the commit
            return self.answer({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]]})
        if "/paths-info/" in self.path:
            return self.answer([entry(p, "file", len(files[p])) for p in urllib.parse.parse_qs(body.decode())["paths"] if p in files])
        sent = [line["value"] for line in map(json.loads, body.splitlines()) if line["key"] == "file"]
        files.update({f["path"]: base64.b64decode(f["content"]) for f in sent})
        self.answer({"commitUrl": f"http://{self.headers['Host']}/group/repository/commit/{COMMIT}", "commitOid": COMMIT, "success": True})


@contextlib.contextmanager
def serve() -> Iterator[str]:
    "Address of a hub that ends with the block."
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.files = {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
