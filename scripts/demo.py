#!/usr/bin/env python3
"""The main job, shown: examples/http_server serves files to curl and to wrk, one fiber for each connection.

demo.py --build DIR [--seconds N]. Prints what it checks, one live line while there is load, and a table at the end.
Exit status 0 only if everything worked.
"""
import argparse
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

project = pathlib.Path(__file__).resolve().parent.parent
failures = []


def check(good, what, detail=""):
    """One line for each check; a failed one also decides the exit status."""
    print(f"  {'ok    ' if good else 'FAILED'}  {what}{f': {detail}' if detail and not good else ''}", flush=True)
    if not good:
        failures.append(what)
    return good


class LiveLine:
    """One line that is written over and over on a terminal; elsewhere a plain line about once a second."""

    def __init__(self):
        self.rewrites = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.last = 0.0

    def show(self, text):
        now = time.monotonic()
        if self.rewrites:
            width = shutil.get_terminal_size().columns - 1
            print("\r" + text[:width].ljust(width), end="", flush=True)
        elif now - self.last >= 1:
            self.last = now
            print(text, flush=True)

    def end(self):
        if self.rewrites:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="", flush=True)


class Server:
    """The process under demonstration, and what can be seen of it from outside."""

    def __init__(self, program, root):
        self.process = subprocess.Popen([program, "--root", root, "--port", "0", "--status-path", "/-/status"],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.match(r"listening on http://[\d.]+:(\d+)/", line)
        if not match:
            raise RuntimeError("the server did not start")
        self.port = int(match[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.inquiries = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def status(self):
        """The server's own counts. The connection that asks is one of its connections: not counted here."""
        self.inquiries.request("GET", "/-/status")
        counts = json.loads(self.inquiries.getresponse().read())
        return counts["connections"] - 1, counts["requests"]

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)


def make_root(folder):
    """The project's documents and a file of 1 KiB."""
    root = pathlib.Path(folder) / "root"
    shutil.copytree(project / "docs", root / "docs")
    for link in [path for path in root.rglob("*") if path.is_symlink()]:
        link.unlink()
    (root / "1k.bin").write_bytes(os.urandom(1024))
    return root


def curl(*arguments):
    return subprocess.run(["curl", "--silent", "--show-error", "--max-time", "10", *map(str, arguments)],
                          capture_output=True, text=True)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "nothing received"


def check_downloads(server, root, folder):
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    got = pathlib.Path(folder) / "got"
    arguments = ["--create-dirs"]
    for name in files:
        arguments += ["--output", got / name, f"{server.url}/{name}"]
    curl(*arguments)
    wrong = [str(name) for name in files if digest(got / name) != digest(root / name)]
    size = sum((root / name).stat().st_size for name in files)
    check(files and not wrong, f"curl: {len(files)} files, {size:,} bytes, same SHA-256", ", ".join(wrong))


def check_answers(server):
    for what, expected, *arguments in (
            ("GET of a file that is not there", "404", f"{server.url}/no/such/file"),
            ("DELETE", "405", "--request", "DELETE", f"{server.url}/1k.bin"),
            ("GET /../etc/passwd", "400", "--path-as-is", f"{server.url}/../etc/passwd"),
            ("GET /%2e%2e/etc/passwd", "400", "--path-as-is", f"{server.url}/%2e%2e/etc/passwd"),
            ("64 KiB of header", "431", "--header", "X: " + "y" * 65536, f"{server.url}/1k.bin"),
            ("HEAD", "200", "--head", f"{server.url}/1k.bin")):
        got = curl("--output", "/dev/null", "--write-out", "%{http_code}", *arguments)
        check(got.stdout == expected, f"curl: {what}: {expected}", got.stdout + got.stderr.strip())


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def load(server, connections, seconds, base, line):
    """Runs wrk, shows the line meanwhile, and returns a row of the table, or None."""
    threads = min(connections, max(1, (os.cpu_count() or 2) // 2))
    wrk = subprocess.Popen(["wrk", f"--threads={threads}", f"--connections={connections}", f"--duration={seconds}s",
                            "--latency", f"{server.url}/1k.bin"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    each = []
    last_time, last_requests = time.monotonic(), server.status()[1]
    try:
        while wrk.poll() is None:
            time.sleep(0.2)
            now = time.monotonic()
            count, requests = server.status()
            resident = server.resident_bytes() - base
            rate = (requests - last_requests) / (now - last_time)
            last_time, last_requests = now, requests
            if count >= connections:
                each.append(resident / count)
            memory = f"{each[-1] / 1024:.1f}" if each else "-"
            if count > 0:
                line.show(f"  {count:5,} connections = {count:5,} fibers  {rate:7,.0f} requests/s  "
                          f"{memory:>3} KiB RSS/connection")
    finally:
        if wrk.poll() is None:
            wrk.kill()
        output = wrk.communicate()[0]
        line.end()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    percentiles = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s))$", output, re.MULTILINE))
    trouble = re.search(r"(Socket errors:.*|Non-2xx.*)", output)
    good = wrk.returncode == 0 and rate and len(percentiles) == 2 and not trouble and each
    check(good, f"wrk: {connections} connections, every answer complete and 200",
          trouble[1] if trouble else output.strip().replace("\n", " | "))
    if not good:
        return None
    return (connections, float(rate[1]), milliseconds(percentiles["50"]), milliseconds(percentiles["99"]),
            statistics.median(each) / 1024)


def switch_costs(build, folder):
    """Rows measured by the benchmark suite."""
    names = {"switch_fp_equal": ("a switch", "Boost.Context"),
             "switch_fp_differs": ("a switch, other side has rounded a number", "Boost.Context"),
             "yield_2": ("a yield, 2 fibers", "Boost.Fiber"),
             "yield_1000": ("a yield, 1,000 fibers", "Boost.Fiber")}
    out = pathlib.Path(folder) / "bench.json"
    command = [sys.executable, project / "scripts" / "bench.py", "--build", build, "--quick", "--out", out]
    for name in names:
        command += ["--only", name]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    rows = {row["name"]: row for row in json.loads(out.read_text())} if out.exists() else {}
    missing = [name for name in names if name not in rows]
    check(not missing, "benchmarks of switch and yield ran",
          f"no {', '.join(missing)}; {(ran.stderr or ran.stdout)[-300:].strip()}")
    return [(*names[name], rows[name]) for name in names if name in rows]


def print_tables(rows, costs):
    print(f"\n{'connections':>12} {'requests/s':>12} {'p50, ms':>10} {'p99, ms':>10} {'RSS per connection':>20}")
    for connections, rate, p50, p99, kib in rows:
        print(f"{connections:12,} {rate:12,.0f} {p50:10.2f} {p99:10.2f} {kib:16.1f} KiB")
    if costs:
        print(f"\n{'nanoseconds for':>47} {'coir':>8} {'peer':>8}")
        for what, peer, row in costs:
            print(f"{what:>47} {row['coir']:8.1f} {row['peer_value']:8.1f}  {peer}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", required=True, type=pathlib.Path, help="build directory")
    arguments.add_argument("--seconds", type=int, default=4,
                           help="of load with each number of connections (default: 4)")
    options = arguments.parse_args()

    # wrk needs a descriptor for each connection, and inherits this. The server raises its limit itself.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < 1100:
        sys.exit(f"demo: a process may have {hard} descriptors (ulimit -Hn), 1,000 connections need 1,100")
    missing = [name for name in ("curl", "wrk") if not shutil.which(name)]
    program = options.build / "examples" / "http_server"
    if not program.exists():
        missing.append(str(program))
    if missing:
        sys.exit(f"demo: there is no {', '.join(missing)} (./run demo installs and builds what is needed)")

    rows = []
    with tempfile.TemporaryDirectory(prefix="coir-demo-") as folder, contextlib.ExitStack() as at_end:
        root = make_root(folder)
        server = Server(program, root)
        at_end.callback(lambda: server.process.poll() is None and server.process.kill())
        print(f"http_server, process {server.process.pid}, on {server.url}/", flush=True)
        check_downloads(server, root, folder)
        check_answers(server)
        base = server.resident_bytes()
        line = LiveLine()
        for connections in 10, 100, 1000:
            if row := load(server, connections, options.seconds, base, line):
                rows.append(row)
        check(server.stop() == 0, "SIGTERM: the server exits with status 0")
        costs = switch_costs(options.build, folder)
    print_tables(rows, costs)
    if failures:
        print(f"\n{len(failures)} checks failed:", *failures, sep="\n  ")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ndemo: interrupted")
