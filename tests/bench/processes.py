#!/usr/bin/env python3
"""processes.py BIN OUT.json [MEASUREMENT...]: what needs real processes. Every federation is one
coordinator and its workers on loopback in a temporary folder, the shipped programs over their real
protocol. Without names all measurements are taken. Standard library only; figures are medians or
differences of /proc counters."""
import contextlib
import json
import os
import pathlib
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")
DEADLINE = 300
WORKERS = 10

JOB = """name = "bench"
[model]
{model}
seed = 1
[data]
preset = "{preset}"
[training]
learning_rate = 0.05
{training}
[federation]
rounds = {rounds}
max_participants = {workers}
min_updates = {workers}
enrol_deadline = "5m"
commit_deadline = "5m"
reveal_deadline = "5m"
committee_deadline = "5m"
[aggregation]
rule = "mean"
aggregators = 1
[privacy]
unit = "{unit}"
mechanism = "none"
"""


def cpu_seconds(pid):
    """Of the process and of its children that were waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def memory_mib(pid, what):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text).group(1)) / 1024


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.003)
    raise TimeoutError(f"{what}: not within {DEADLINE} s")


class Federation:
    """Ends its processes and removes its folder on the way out."""

    def __init__(self, bin_folder, workers=WORKERS):
        self.bin, self.workers = pathlib.Path(bin_folder), workers
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.home = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(
            prefix="fedmesh-bench-", ignore_cleanup_errors=True)))
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("FEDMESH_")}
        self.environment["HOME"] = str(self.home)
        self.coordinator_home = self.home / "coordinator"
        self.run("init", "--network", "bench", "--home", self.coordinator_home)
        self.processes = []
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.stack.close()

    def run(self, *arguments):
        done = subprocess.run([self.bin / "fedmesh", *map(str, arguments)], env=self.environment,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"fedmesh {arguments[0]}: {done.stderr}")
        return done.stdout

    def launch(self, program, *arguments):
        log = open(self.home / f"log-{len(self.processes)}", "w")
        process = subprocess.Popen([self.bin / program, *map(str, arguments)], stdout=log,
                                   stderr=subprocess.STDOUT, env=self.environment)
        self.processes.append(process)
        return process

    def start(self, data, trainer="fedmesh-trainer"):
        endpoint_file = self.home / "endpoint"
        self.coordinator = self.launch("fedmesh-coordinator", "--home", self.coordinator_home,
                                       "--listen", "127.0.0.1:0", "--endpoint-file", endpoint_file)
        wait_for(lambda: endpoint_file.exists() and endpoint_file.read_text().endswith("\n"),
                 "the coordinator listens")
        self.endpoint = endpoint_file.read_text().strip()
        return [self.launch("fedmesh-worker", "--join", self.endpoint, "--data",
                            data.format(i=i, n=self.workers), "--home", self.home / f"worker-{i}",
                            "--network", self.coordinator_home / "genesis.fm", "--device", "cpu",
                            "--trainer", self.bin / trainer) for i in range(self.workers)]

    def make_keys(self):
        """Workers make their keys when they first start: once, before anything is timed."""
        participants = []
        for i in range(self.workers):
            home = self.home / f"worker-{i}"
            process = subprocess.Popen([self.bin / "fedmesh-worker", "--join", "127.0.0.1:1",
                                        "--data", "clinics:silo=0,silos=5,seed=1", "--home", home],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env=self.environment)
            shown = wait_for(lambda: self.key_of(home), "a worker makes its key")
            process.kill()
            process.wait()
            key = re.search(r"public key\s+(\w+)", shown).group(1)
            participants += ["--participant", f"{key}:worker:worker-{i}"]
        for file in self.coordinator_home.iterdir():
            file.unlink()
        self.run("init", "--network", "bench", "--home", self.coordinator_home, *participants)

    def key_of(self, home):
        with contextlib.suppress(RuntimeError):  # not there, or not all of it
            return self.run("key", "show", home / "node.key")

    def submit(self, **values):
        job = self.home / "bench.toml"
        minibatches = "momentum = 0.9\nbatch_size = 32" if values["unit"] == "worker" else ""
        job.write_text(JOB.format(workers=self.workers, training=minibatches, **values))
        self.run("job", "submit", job, "--coordinator", self.endpoint,
                 "--key", self.coordinator_home / "owner.key")

    def events(self, kind):
        log = self.coordinator_home / "events.jsonl"
        if not log.exists():
            return 0
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        return log.read_text().count(f'"event":"{kind}"')

    def wait_events(self, kind, count):
        wait_for(lambda: self.events(kind) >= count, f"{count} of {kind}")


def rounds(bin_folder):
    """CPU of the coordinator per round and its peak memory, ten workers whose updates are ready."""
    sizes = [("1k", [80], 40), ("1M", [1000, 987], 4), ("10M", [3150, 3150], 2)]
    out = {}
    for name, hidden, count in sizes:
        with Federation(bin_folder) as federation:
            federation.make_keys()
            federation.start("clinics:silo={i},silos={n},seed=1", "fedmesh_bench_trainer")
            federation.wait_events("peer.connected", WORKERS)
            federation.submit(model=f'architecture = "mlp"\nhidden = {hidden}', preset="clinics",
                              rounds=count + 1, unit="worker")
            pid = federation.coordinator.pid
            federation.wait_events("round.finished", 1)
            start, begin = cpu_seconds(pid), time.monotonic()
            federation.wait_events("round.finished", count + 1)
            sizes_of = [11, *hidden, 1]
            out[name] = {
                "parameters": sum(a * b + b for a, b in zip(sizes_of, sizes_of[1:])),
                "rounds": count,
                "cpu_seconds_per_round": (cpu_seconds(pid) - start) / count,
                "seconds_per_round": (time.monotonic() - begin) / count,
                "peak_memory_mib": memory_mib(pid, "VmHWM"),
            }
    return out


def wait_ready(process):
    """Until the trainer's first frame, by which it says that it is ready."""
    length = struct.unpack("<I", process.stdout.read(4))[0]
    process.stdout.read(length)


def trainers_floor(bin_folder):
    begin = time.monotonic()
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    trainers = [subprocess.Popen([pathlib.Path(bin_folder) / "fedmesh-trainer"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
                for _ in range(WORKERS)]
    for trainer in trainers:
        wait_ready(trainer)
    seconds = time.monotonic() - begin
    cpu = sum(cpu_seconds(trainer.pid) for trainer in trainers)
    for trainer in trainers:
        trainer.stdin.close()
        trainer.wait()
    return seconds, cpu


def first_round(bin_folder):
    with Federation(bin_folder) as federation:
        federation.make_keys()
        begin = time.monotonic()
        workers = federation.start("clinics:silo={i},silos={n},seed=1")
        federation.submit(model='architecture = "logistic"', preset="clinics", rounds=1,
                          unit="record")
        federation.wait_events("round.finished", 1)
        seconds = time.monotonic() - begin
        cpu = cpu_seconds(federation.coordinator.pid)
        for worker in workers:
            cpu += cpu_seconds(worker.pid) + sum(cpu_seconds(pid) for pid in children(worker.pid))
        return seconds, cpu


def cold_start(bin_folder):
    """Alternating, so that both see the same load."""
    floors, starts = [], []
    for _ in range(3):
        floors.append(trainers_floor(bin_folder))
        starts.append(first_round(bin_folder))
    median = lambda values, i: statistics.median(value[i] for value in values)
    return {"seconds": median(starts, 0), "cpu_seconds": median(starts, 1),
            "floor_seconds": median(floors, 0), "floor_cpu_seconds": median(floors, 1),
            "ratio": statistics.median(s[0] / f[0] for s, f in zip(starts, floors)),
            "cpu_ratio": statistics.median(s[1] / f[1] for s, f in zip(starts, floors))}


def share(bin_folder):
    """CPU of coordinator and workers in rounds of real local work, beside that of the trainers."""
    workers, rows, count = 4, 4000, 2
    with Federation(bin_folder, workers) as federation:
        federation.make_keys()
        started = federation.start("digits:rows=%d,seed=3,part={i},parts={n}" % (workers * rows))
        federation.submit(model='architecture = "cnn"', preset="digits", rounds=count + 1,
                          unit="worker")

        def counters():
            others = [federation.coordinator.pid] + [worker.pid for worker in started]
            trainers = [pid for worker in started for pid in children(worker.pid)]
            return [sum(map(cpu_seconds, pids)) for pids in (others, trainers)]

        federation.wait_events("round.finished", 1)
        before = counters()
        federation.wait_events("round.finished", count + 1)
        others, trainers = [after - b for after, b in zip(counters(), before)]
    return {"workers": workers, "examples_per_worker": rows, "rounds": count,
            "not_trainer_cpu_seconds": others, "trainer_cpu_seconds": trainers,
            "share": others / (others + trainers)}


def socket_bytes(pid):
    """Sent and received by the process's TCP connections, from the kernel's own counts."""
    text = subprocess.run(["ss", "-tinpH"], capture_output=True, text=True, check=True).stdout
    sent = received = 0
    mine = False
    for line in text.splitlines():
        if not line.startswith((" ", "\t")):
            mine = f"pid={pid}," in line
        if mine:
            sent += sum(map(int, re.findall(r"bytes_sent:(\d+)", line)))
            received += sum(map(int, re.findall(r"bytes_received:(\d+)", line)))
    return sent + received


def idle(bin_folder):
    seconds = 20
    with Federation(bin_folder) as federation:
        federation.make_keys()
        workers = federation.start("clinics:silo={i},silos={n},seed=1")
        federation.wait_events("peer.connected", WORKERS)
        time.sleep(3)
        pid = federation.coordinator.pid
        cpu, worker_cpu = cpu_seconds(pid), cpu_seconds(workers[0].pid)
        traffic = socket_bytes(pid)
        time.sleep(seconds)
        return {"workers": WORKERS, "seconds": seconds,
                "coordinator_cpu_share": (cpu_seconds(pid) - cpu) / seconds,
                "worker_cpu_share": (cpu_seconds(workers[0].pid) - worker_cpu) / seconds,
                "coordinator_rss_mib": memory_mib(pid, "VmRSS"),
                "worker_rss_mib": memory_mib(workers[0].pid, "VmRSS"),
                "coordinator_bytes_per_second": (socket_bytes(pid) - traffic) / seconds}


MEASUREMENTS = {"rounds": rounds, "cold_start": cold_start, "share": share, "idle": idle}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes end with this one
    bin_folder, out, *names = sys.argv[1:]
    results = {}
    for name in names or MEASUREMENTS:
        begin = time.monotonic()
        try:
            results[name] = MEASUREMENTS[name](bin_folder)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            results[name] = {"failed": str(error)}
        results[name]["load_average"] = os.getloadavg()[0]
        print(f"{name}: {time.monotonic() - begin:.0f} s {json.dumps(results[name])}", flush=True)
    pathlib.Path(out).write_text(json.dumps(results, indent=1) + "\n")
    return 1 if any("failed" in result for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
