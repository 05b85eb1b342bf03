#!/usr/bin/env python3
"""Runs the benchmarks: coir beside its peers, one line per row as it is measured, and all of them into a file.

bench.py --build DIR --out FILE [--only NAME]... [--quick]

docs/benchmarks.md says what each row measures and how. A goal that is missed is a result. A row that cannot be measured
is an error: the others are measured all the same, and the exit status is 1.
"""
import argparse
import collections
import functools
import json
import os
import pathlib
import resource
import select
import signal
import statistics
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parent.parent

# What a row's measurement found. `notes` are for people: lines below the row.
Result = collections.namedtuple("Result", "coir peer peer_value notes", defaults=([],))
Row = collections.namedtuple("Row", "name unit better goal measure")


class NotMeasured(Exception):
    pass


def output_of(*command):
    """What the command writes; its complaint, if it fails."""
    command = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise NotMeasured(f"{command[0]}: {error.strerror}") from None
    try:
        output, complaints = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{command[0]} did not end") from None
    finally:
        if process.poll() is None:  # not kill(): it has servers of its own to stop
            process.terminate()
            process.communicate()
    if process.returncode != 0:
        complaint = complaints.strip().splitlines() or ["no message"]
        raise NotMeasured(f"{complaint[-1]} (exit status {process.returncode})")
    return output


def medians(program, benchmarks):
    """Nanoseconds per item, by name, of the benchmarks of a Google Benchmark program that match a regular expression: all
    in one process, their repetitions in random order."""
    repetitions, seconds = (9, 0.04) if options.quick else (21, 0.1)
    # Processor time: unlike the wall clock it stops while another process has the core. These loops never sleep.
    report = json.loads(output_of(
        options.build / "bench" / program, f"--benchmark_filter={benchmarks}", "--benchmark_format=json",
        f"--benchmark_repetitions={repetitions}", f"--benchmark_min_time={seconds}",
        "--benchmark_enable_random_interleaving=true"))
    samples = collections.defaultdict(list)
    for run in report["benchmarks"]:
        if run.get("error_occurred"):
            raise NotMeasured(f"{run['name']}: {run['error_message']}")
        if run["run_type"] == "iteration":
            samples[run["run_name"]].append(1e9 / run["items_per_second"])
    return {name: statistics.median(values) for name, values in samples.items()}


def microbenchmark(program):
    """A row of such a program: all its variants NAME/... Where the peer comes in several, the fastest counts."""
    def measure(name):
        found = {run.partition("/")[2]: value for run, value in medians(program, f"^{name}/").items()}
        if "coir" not in found or len(found) < 2:
            raise NotMeasured(f"{program} has no {name}, or no peer for it")
        coir = found.pop("coir")
        peer = min(found, key=found.get)
        others = [f"{value:.1f} ns by {variant}" for variant, value in found.items() if variant != peer]
        return Result(coir, peer, found[peer], others)
    return measure


def yield_growth(_):
    """Our own yield among a thousand fibers, with our own among two as the peer."""
    found = medians("yield_bench", "^yield_(2|1000)/coir$")
    return Result(found["yield_1000/coir"], "coir, 2 fibers", found["yield_2/coir"])


def middle_pair(peer, output):
    """From lines `coir peer`, measured in turn: the pair with the median ratio. Between the two halves of a pair the
    machine has had no time to change its speed. Lines that begin with # are notes."""
    lines = output.splitlines()
    pairs = [tuple(map(float, line.split())) for line in lines if not line.startswith("#")]
    coir, peer_value = sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]
    return Result(coir, peer, peer_value, [line.lstrip("# ") for line in lines if line.startswith("#")])


class Turns:
    """A process that measures one side of a row, in turns: it is told a number of operations, and answers what one took."""

    def __init__(self, *command):
        self.command = [str(word) for word in command]
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, text=True, bufsize=1)
        except OSError as error:
            raise NotMeasured(f"{self.command[0]}: {error.strerror}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def take(self, operations):
        try:
            self.process.stdin.write(f"{operations}\n")
            answer = self.process.stdout.readline() if select.select([self.process.stdout], [], [], 300)[0] else ""
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.kill()
            complaint = self.process.stderr.read().strip().splitlines() or [f"{' '.join(self.command)} gives no answer"]
            raise NotMeasured(complaint[-1])
        return float(answer)


def take_turns(ours, peer, peer_name, pairs, operations):
    """Two sides in turn, A B B A, so that whatever the first of a pair has of being the first, both have. `operations`:
    how many in one turn of ours, of the peer; what is None is chosen so that a turn takes long enough."""
    seconds = 0.03 if options.quick else 0.1
    lines = []
    with Turns(*ours) as a, Turns(*peer) as b:
        counts = [count or round(seconds * 1e9 / side.take(5000)) for side, count in zip((a, b), operations)]
        for side, count in zip((a, b), counts):
            side.take(count)  # warm-up
        for i in range(pairs):
            sides = [(a, counts[0]), (b, counts[1])]
            values = {side: side.take(count) for side, count in (sides if i % 2 == 0 else reversed(sides))}
            lines.append(f"{values[a]} {values[b]}")
    return middle_pair(peer_name, "\n".join(lines))


def sync_side(row, library):
    return [options.build / "bench" / "sync_bench", row, library]


def go_side(row):
    """Builds it first, which is quick when there is nothing to do. No modules but its own: nothing is fetched."""
    program = options.build / "bench" / "go_sync"
    environment = os.environ | {"GOCACHE": str(options.build / "go-cache"), "GOFLAGS": "-mod=mod", "GOPROXY": "off"}
    try:
        built = subprocess.run(["go", "build", "-o", program, "."], cwd=root / "bench" / "peers" / "go_sync",
                               env=environment, capture_output=True, text=True)
    except OSError:
        raise NotMeasured("go is not installed") from None
    if built.returncode != 0:
        raise NotMeasured(f"go build: {(built.stderr.strip() or 'no message').splitlines()[-1]}")
    return ["env", "GOMAXPROCS=1", program, row]  # one thread runs Go code at a time, as in a loop


peer_names = {"boost": "Boost.Fiber", "go": "Go, GOMAXPROCS=1", "std": "the C++ library"}


def sync(row, peer, pairs=15, operations=(None, None)):
    """`pairs` is for the long form; the quick one takes fewer."""
    def measure(_):
        return take_turns(sync_side(row, "coir"), go_side(row) if peer == "go" else sync_side(row, peer),
                          peer_names[peer], 9 if options.quick and pairs > 9 else pairs, operations)
    return measure


def skynet(peer, leaves):
    def measure(name):
        # The first turn touches gigabytes, which takes longer than all others.
        part = 10 if options.quick else 1
        return sync("skynet", peer, 5, (1_000_000 // part, leaves // part))(name)
    return measure


def sleep_arm_cancel(_):
    usual, earliest, duration = map(float, output_of(
        options.build / "bench" / "deadline_bench", 40 if options.quick else 150, 500).split())
    return Result(usual, None, None, [f"{earliest:.1f} ns when it is the earliest of all",
                                      f"{duration:.1f} ns when it is made from a duration, which reads the clock"])


def echo(figure, ours, peer, connections, peer_name):
    def measure(_):
        pairs, seconds = (9, 0.2) if options.quick else (15, 0.5)
        return middle_pair(peer_name, output_of(options.build / "bench" / "echo_bench", figure, ours, peer, connections,
                                                pairs, seconds))
    return measure


def echo_cpu(connections):
    return echo("cpu", "coir", "libev", connections, "raw libev callbacks")


def echo_syscalls(_):
    program = options.build / "bench" / "echo_syscalls"
    runs = [tuple(map(float, output_of(program, 100, 0.3 if options.quick else 1).split())) for _ in range(5)]
    calls, registrations = sorted(runs)[len(runs) // 2]
    return Result(calls, "one read and one write", 2, [f"epoll_ctl: {registrations / calls:.4%} of the calls"])


def udp_echo(_):
    """Per second of processor time, which the load of other processes on the core does not change."""
    pairs, seconds = (9, 0.2) if options.quick else (15, 0.5)
    return middle_pair("raw libev with recvmmsg", output_of(
        options.build / "bench" / "udp_bench", "rate", 128, pairs, seconds))


def tls_bulk(_):
    """Per second of the server's processor time, as above: by the clock the client often is the limit."""
    program = options.build / "bench" / "tls_bulk"
    if not program.exists():
        raise NotMeasured("coir was built without OpenSSL")
    pairs, seconds = (9, 0.2) if options.quick else (15, 0.5)

    def with_writes_of(size):
        return middle_pair("blocking OpenSSL, as s_server", output_of(program, size, pairs, seconds))

    result, larger = with_writes_of(16 * 1024), with_writes_of(64 * 1024)
    return result._replace(notes=result.notes + [
        f"{larger.coir / larger.peer_value:.2f} when each write is of 64 KiB: {larger.coir:.0f} MB/s"])


def http(peer, connections, peer_name):
    def measure(_):
        pairs, seconds = (5, 0.5) if options.quick else (15, 1)
        return middle_pair(peer_name, output_of(
            sys.executable, root / "bench" / "http_rps.py", "--build", options.build, "--peer", peer,
            "--connections", connections, "--pairs", pairs, "--seconds", seconds))
    return measure


def http_nginx(connections):
    return http("nginx", connections, "nginx, one worker")


def http_go(connections):
    return http("go", connections, "Go net/http, GOMAXPROCS=1")


def park_memory(_):
    program = options.build / "bench" / "park_memory"
    coir = statistics.median(int(output_of(program, 100_000)) for _ in range(5))
    return Result(coir, "one page", 4096)


def figures(program):
    """What a program prints as lines `name value`; empty if it has not been built."""
    program = options.build / "bench" / program
    if not program.exists():
        return {}
    return {name: int(value) for name, value in map(str.split, output_of(program, 1_000_000).splitlines())}


@functools.cache
def millions():
    """The medians of three runs: four rows come from each. The peers run once: they have no part in the goals.

    One run before is for nobody: the memory that a virtual machine touches for the first time its host has yet to find.
    """
    figures("million_fibers")
    runs = [figures("million_fibers") for _ in range(1 if options.quick else 3)]
    return ({name: statistics.median(run[name] for run in runs) for name in runs[0]},
            figures("million_goroutines"), figures("million_fibers_boost"))


def million_fibers(figure, unit):
    """A row of a million fibers alive at once. The goals are absolute, so the peers are notes."""
    def measure(_):
        coir, go, boost = millions()
        notes = [f"{go[figure] / unit:.3g} with goroutines" if go else "Go is not installed",
                 f"{boost[figure] / unit:.3g} with guarded stacks of Boost.Fiber, of which there can be {boost['alive']:,}"]
        if figure == "bytes":
            notes.append(f"{coir['left_bytes'] / 2**20:.1f} MiB of all of it left three seconds after their end")
        return Result(coir[figure] / unit, None, None, notes)
    return measure


def resolver(_):
    """The median of five runs, each in a process of its own: nothing is left in a cache."""
    runs = sorted(float(output_of(options.build / "bench" / "resolver_bench")) for _ in range(3 if options.quick else 5))
    return Result(statistics.median(runs), None, None, [f"{runs[0]:.0f} ms to {runs[-1]:.0f} ms"])


def file_ticker(_):
    """99th percentile of a 1 ms ticker's delays; the middle of several turns, all three variants in each."""
    def run(variant, **environment):
        program = options.build / "bench" / "file_bench"
        command = ["env", *(f"{key}={value}" for key, value in environment.items()), program]
        return [float(value) for value in output_of(*command, "ticker", variant, 300 if options.quick else 1000).split()]

    turns = [(run("files", COIR_FILES=""), run("files", COIR_FILES="threads"), run("blocking"))
             for _ in range(3 if options.quick else 5)]
    ring, threads, blocking = ([statistics.median(values) for values in zip(*side)] for side in zip(*turns))
    notes = [f"{name}: {p99:.0f} us, at worst {worst:.0f} us, with {syncs:.0f} fsync meanwhile"
             for name, (p99, worst, syncs) in (("as chosen", ring), ("threads", threads), ("blocking", blocking))]
    return Result(ring[0], "fsync in the fiber", blocking[0], notes)


def file_read(_):
    program = options.build / "bench" / "file_bench"
    return take_turns([program, "read", "files"], [program, "read", "plain"], "pread", 15, (None, None))


def wake_ups_and_cpu(process):
    """Voluntary context switches and processor time in ns, of all threads."""
    switches = cpu = 0
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        switches += int(status["voluntary_ctxt_switches"])
        cpu += int((task / "schedstat").read_text().split()[0])
    return switches, cpu


def idle_cpu(_):
    """Five processes side by side, since they are to do nothing. The worst one counts: the goal is a zero."""
    program = options.build / "bench" / "idle_cpu"
    processes = []
    try:
        for _ in range(5):
            processes.append(subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for process in processes:
            if process.stdout.readline() != "parked\n":
                raise NotMeasured("idle_cpu did not start")
        time.sleep(0.5)
        before = [wake_ups_and_cpu(process) for process in processes]
        start = time.monotonic()
        time.sleep(3)
        seconds = time.monotonic() - start
        after = [wake_ups_and_cpu(process) for process in processes]
        for process in processes:
            process.communicate(timeout=10)
            if process.returncode != 0:
                raise NotMeasured(f"idle_cpu ended with status {process.returncode}")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(f"idle_cpu: {error}") from None
    finally:
        for process in processes:
            process.kill()
    wake_ups = max(new[0] - old[0] for old, new in zip(before, after))
    cpu = max(new[1] - old[1] for old, new in zip(before, after))
    return Result(wake_ups / seconds, None, None, [f"{cpu / 1e6:.3f} ms of processor time in {seconds:.1f} s"])


rows = [
    Row("switch_fp_equal", "ns", "lower", 0.70, microbenchmark("switch_bench")),
    Row("switch_fp_differs", "ns", "lower", 0.05, microbenchmark("switch_bench")),
    Row("switch_floor", "ns", "lower", 3.0, microbenchmark("floor_bench")),
    Row("generator_step", "ns", "lower", 0.60, microbenchmark("generator_bench")),
    Row("generator_step_differs", "ns", "lower", 0.60, microbenchmark("generator_bench")),
    Row("yield_2", "ns", "lower", 0.10, microbenchmark("yield_bench")),
    Row("yield_100", "ns", "lower", 0.18, microbenchmark("yield_bench")),
    Row("yield_1000", "ns", "lower", 0.20, microbenchmark("yield_bench")),
    Row("yield_10000", "ns", "lower", 0.15, microbenchmark("yield_bench")),
    Row("yield_growth", "ns", "lower", 1.3, yield_growth),
    Row("spawn_join", "ns", "lower", 0.10, microbenchmark("spawn_bench")),
    Row("mutex_uncontended", "ns", "lower", 0.45, sync("mutex_uncontended", "boost")),
    Row("mutex_uncontended_std", "ns", "lower", 1.05, sync("mutex_uncontended", "std")),
    Row("mutex_handoff", "ns", "lower", 0.20, sync("mutex_handoff", "boost")),
    Row("channel_unbuffered", "ns", "lower", 0.12, sync("channel_unbuffered", "boost")),
    Row("channel_unbuffered_go", "ns", "lower", 0.15, sync("channel_unbuffered", "go")),
    Row("channel_buffered_64", "ns", "lower", 0.5, sync("channel_buffered_64", "boost")),
    Row("condition_ping_pong", "ns", "lower", 0.15, sync("condition_ping_pong", "boost")),
    Row("select_8", "ns", "lower", 0.5, sync("select_8", "go")),
    Row("sleep_arm_cancel", "ns", "lower", 40, sleep_arm_cancel),
    Row("cross_thread_wake", "ns", "lower", 0.8, sync("cross_thread_wake", "std")),
    Row("cross_thread_wake_rare", "ns", "lower", 1.1, sync("cross_thread_wake_rare", "std")),
    Row("skynet", "ns/leaf", "lower", 0.5, skynet("go", 1_000_000)),
    Row("skynet_boost", "ns/leaf", "lower", 0.1, skynet("boost", 100_000)),
    Row("echo_cpu_1", "us/request", "lower", 1.00, echo_cpu(1)),
    Row("echo_cpu_100", "us/request", "lower", 1.00, echo_cpu(100)),
    Row("echo_cpu_1000", "us/request", "lower", 1.00, echo_cpu(1000)),
    Row("echo_cpu_10000", "us/request", "lower", 1.05, echo_cpu(10_000)),
    Row("echo_p99_1000", "us", "lower", 1.10, echo("p99", "coir", "libev", 1000, "raw libev callbacks")),
    Row("echo_deadline", "us/request", "lower", 1.02,
        echo("cpu", "coir_with_deadlines", "coir", 100, "coir without deadlines")),
    Row("echo_syscalls", "calls/request", "lower", 1.025, echo_syscalls),
    Row("udp_echo", "datagrams/s", "higher", 0.95, udp_echo),
    Row("tls_bulk", "MB/s", "higher", 0.95, tls_bulk),
    Row("http_rps_100", "requests/s", "higher", 1.2, http_nginx(100)),
    Row("http_rps_1000", "requests/s", "higher", 1.3, http_nginx(1000)),
    Row("http_rps_go_100", "requests/s", "higher", 1.3, http_go(100)),
    Row("http_rps_go_1000", "requests/s", "higher", 1.8, http_go(1000)),
    Row("resolver_10000", "ms", "lower", 1000, resolver),
    Row("park_memory", "bytes/fiber", "lower", 1.15, park_memory),
    Row("million_fibers", "bytes/fiber", "lower", 4608, million_fibers("bytes", 1)),
    Row("million_fibers_spawn", "us/fiber", "lower", 4, million_fibers("spawn_ns", 1000)),
    Row("million_fibers_wake", "us/fiber", "lower", 0.3, million_fibers("wake_ns", 1000)),
    Row("million_fibers_end", "us/fiber", "lower", 1, million_fibers("end_ns", 1000)),
    Row("file_ticker_delay", "us", "lower", 0.5, file_ticker),
    Row("file_read_4k", "ns", "lower", 1.5, file_read),
    Row("idle_cpu", "wake-ups/s", "lower", 0, idle_cpu),
]


def is_met(row, value):
    return value <= row.goal if row.better == "lower" else value >= row.goal


def shown(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 or value == 0 else f"{value:.3g}"


def print_line(name, coir, peer_value, peer, unit, ratio, goal, verdict):
    line = f"{name:<23}{coir:>9}{peer_value:>9}  {unit:<12}{ratio:>6}{goal:>8}  {verdict:<7} {peer}"
    print(line.rstrip(), flush=True)


def print_result(row, result, ratio):
    met = is_met(row, result.coir if ratio is None else ratio)
    print_line(row.name, shown(result.coir), shown(result.peer_value), f"against {result.peer}" if result.peer else "",
               row.unit, "-" if ratio is None else f"{ratio:.3f}",
               f"{'<=' if row.better == 'lower' else '>='} {row.goal:g}", "met" if met else "missed")
    for note in result.notes:
        print(f"{'':23}{note}", flush=True)


def rounded(value):
    return None if value is None else float(f"{value:.6g}")


def measure_all(chosen):
    """Prints the table; returns it as objects, and the names of the rows that it lacks."""
    results, failed = [], []
    print_line("", "coir", "peer", "", "unit", "ratio", "goal", "")
    for row in chosen:
        try:
            result = row.measure(row.name)
        except NotMeasured as error:
            print(f"{row.name:<23}NOT MEASURED: {error}", flush=True)
            failed.append(row.name)
            continue
        ratio = None if result.peer_value is None else result.coir / result.peer_value
        print_result(row, result, ratio)
        results.append({"name": row.name, "unit": row.unit, "coir": rounded(result.coir), "peer": result.peer,
                        "peer_value": rounded(result.peer_value), "ratio": rounded(ratio), "goal": row.goal,
                        "better": row.better})
    return results, failed


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--build", required=True, type=pathlib.Path, help="directory of an optimised build")
parser.add_argument("--out", required=True, type=pathlib.Path, help="where the results go, as JSON")
parser.add_argument("--only", action="append", metavar="NAME", choices=[row.name for row in rows],
                    help=f"measure this row; may be given again: {', '.join(row.name for row in rows)}")
parser.add_argument("--quick", action="store_true", help="shorter measurements: all of them in about 2 minutes")
options = parser.parse_args()
options.build = options.build.resolve()

# So that `finally` ends what has been started, then too.
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: sys.exit(128 + number))
# A thousand connections and their servers need more than the usual 1024 descriptors.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

busy = os.getloadavg()[0]
if busy > 0.5:
    print(f"note: the load average is {busy:.1f}; while something else runs, only the ratios mean anything")
results, failed = measure_all([row for row in rows if not options.only or row.name in options.only])
options.out.parent.mkdir(parents=True, exist_ok=True)
options.out.write_text(json.dumps(results, indent=2) + "\n")
print(f"results: {options.out}")
if failed:
    sys.exit(f"bench: not measured: {', '.join(failed)}")
