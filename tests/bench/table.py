#!/usr/bin/env python3
"""table.py RESULTS README.md: from the JSON that run.sh wrote to the table between the markers in
README.md, and RESULTS/all.json, everything in one file. Standard library only."""
import datetime
import json
import os
import pathlib
import re
import sys

BEGIN, END = "<!-- measured: written by tests/bench/run.sh -->", "<!-- /measured -->"
# Flower 1.x with PyTorch on a machine of this kind: (CPU seconds a round, memory in MiB).
FLOWER = {"1k": (0.0124, 64), "1M": (0.161, 520), "10M": (2.24, 4198)}


def load(folder, name):
    file = folder / name
    return json.loads(file.read_text()) if file.exists() and file.stat().st_size else {}


def medians(result):
    return {entry["run_name"]: entry for entry in result.get("benchmarks", [])
            if entry.get("aggregate_name") == "median"}


def find(entries, prefix):
    for name, entry in entries.items():
        if name == prefix or name.startswith(prefix + "/"):
            return entry
    raise KeyError(prefix)


def rate(entries, prefix, key="bytes_per_second"):
    return find(entries, prefix)[key]


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", info)
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {"cpu": model.group(1) if model else "unknown processor", "cores": os.cpu_count(),
            "memory_gib": round(int(memory.group(1)) / 2**20),
            "date": datetime.date.today().isoformat(), "load_average": os.getloadavg()[0]}


def row(what, figure, reference, ratio, target=""):
    return f"| {what} | {figure} | {reference} | {ratio} | {target} |"


def training_rows(data):
    entries, rows = data["training"], []
    task = rate(entries, "training/task", "items_per_second")
    pure = rate(entries, "training/pure", "items_per_second")
    rows.append(row("local training, CNN of 421,642 parameters, images per CPU-second", f"{task:.0f}",
                    f"the same loop in plain LibTorch: {pure:.0f}", f"{task / pure:.2f}", "≥ 0.99"))
    torch = [run for run in data["pytorch"] if "images_per_cpu_second" in run]
    if torch:
        blas = "OpenBLAS" if torch[0].get("openblas") else "another BLAS"
        other = sum(run["images_per_cpu_second"] for run in torch) / len(torch)
        rows.append(row("… against PyTorch", f"{task:.0f}",
                        f"PyTorch {torch[0]['version']}, {blas}: {other:.0f}", f"{task / other:.2f}", "≥ 1"))
    else:
        rows.append(row("… against PyTorch", f"{task:.0f}", "skipped: python3-torch is not installed",
                        "-"))
    return rows


def operation_rows(data):
    entries, rows = data["operations"], []
    for size in ("1M", "10M"):
        mean, read = rate(entries, f"mean/{size}"), rate(entries, f"memory/read/{size}")
        rows.append(row(f"exact mean of 10 updates of {size} integers, one core", f"{mean / 1e9:.1f} GB/s",
                        f"reading them: {read / 1e9:.1f} GB/s", f"{mean / read:.2f}", "≥ 6 GB/s"))
    for size in ("1M", "10M"):
        sweep, floor = rate(entries, f"update/{size}"), rate(entries, f"update/ceiling/{size}")
        rows.append(row(f"one sweep over a sealed update of {size} on the disk, one core",
                        f"{sweep / 1e9:.2f} GB/s", f"its decryption: {floor / 1e9:.2f} GB/s",
                        f"{sweep / floor:.2f}"))
    noise = rate(entries, "noise/laplace", "items_per_second")
    rows.append(row("discrete Laplace noise, one core", f"{noise / 1e6:.0f} M samples/s",
                    "design: 30 M", f"{noise / 30e6:.2f}", "≥ 1"))
    return rows


def bulk_rows(data):
    entries = data["bulk"]
    moved, limit = rate(entries, "bulk/transfer"), rate(entries, "bulk/ceiling")
    cpu, cpu_limit = (find(entries, name)["cpu_time"] for name in ("bulk/transfer", "bulk/ceiling"))
    return [row("bulk transfer, loopback, disk to disk", f"{moved * 8 / 1e9:.2f} Gbit/s",
                f"its encryption and hashing on two cores: {limit * 8 / 1e9:.2f} Gbit/s",
                f"{moved / limit:.2f}", "≥ 0.75"),
            row("… CPU of both ends per GB", f"{cpu / 192 * 1000 / 1.048576 / 1000:.2f} s",
                f"{cpu_limit / 192 * 1000 / 1.048576 / 1000:.2f} s", f"{cpu / cpu_limit:.2f}")]


def process_rows(data):
    results, rows = data["processes"], []
    for size, run in results.get("rounds", {}).items():
        if not isinstance(run, dict):
            continue
        cpu, memory = FLOWER[size]
        rows.append(row(f"coordinator's CPU a round, 10 workers, {run['parameters']:,} parameters",
                        f"{run['cpu_seconds_per_round']:.3f} s", f"Flower: {cpu} s",
                        f"{run['cpu_seconds_per_round'] / cpu:.2f}", "< 1"))
        rows.append(row("… its peak memory", f"{run['peak_memory_mib']:.0f} MiB", f"Flower: {memory} MiB",
                        f"{run['peak_memory_mib'] / memory:.2f}", "< 1"))
    if "seconds" in (start := results.get("cold_start", {})):
        rows.append(row("coordinator and 10 workers, started to the first finished round",
                        f"{start['seconds']:.2f} s", f"starting 10 trainers: {start['floor_seconds']:.2f} s",
                        f"{start['ratio']:.2f}", "≤ 1.5"))
        rows.append(row("… CPU of all processes", f"{start['cpu_seconds']:.2f} s",
                        f"{start['floor_cpu_seconds']:.2f} s", f"{start['cpu_ratio']:.2f}"))
    if "share" in (share := results.get("share", {})):
        rows.append(row(f"CPU of coordinator and workers in rounds of {share['workers']} × "
                        f"{share['examples_per_worker']} images",
                        f"{share['not_trainer_cpu_seconds'] / share['rounds']:.3f} s a round",
                        f"all: {(share['not_trainer_cpu_seconds'] + share['trainer_cpu_seconds']) / share['rounds']:.2f} s",
                        f"{100 * share['share']:.1f} %", "≤ 1 %"))
    if "seconds" in (idle := results.get("idle", {})):
        rows.append(row("idle coordinator with 10 workers: CPU", f"{100 * idle['coordinator_cpu_share']:.2f} %",
                        "-", "-", "< 1 %"))
        rows.append(row("… resident memory (a worker's)", f"{idle['coordinator_rss_mib']:.0f} MiB "
                        f"({idle['worker_rss_mib']:.0f} MiB)", "-", "-", "< 50 MB"))
        rows.append(row("… TCP traffic", f"{idle['coordinator_bytes_per_second'] / 1000:.2f} kB/s", "-",
                        "-", "< 1 MB/s"))
    return rows


def table(data):
    where = data["machine"]
    loads = data["load_averages"]
    lines = [f"{where['cpu']}, {where['cores']} cores, {where['memory_gib']} GiB of memory, {where['date']}, load "
             f"average {min(loads):.1f} to {max(loads):.1f} meanwhile. Medians; a figure and its reference were taken in "
             "turns, Flower's on another day on such a machine.", "",
             "| what | figure | reference | ratio | target |", "|---|---|---|---|---|"]
    for part in (training_rows, operation_rows, bulk_rows, process_rows):
        try:
            lines += part(data)
        except KeyError as missing:
            print(f"table.py: {part.__name__}: no {missing} among the results", file=sys.stderr)
    return "\n".join(lines)


def main():
    folder, readme = map(pathlib.Path, sys.argv[1:3])
    data = {name: medians(load(folder, f"{name}.json")) for name in ("training", "operations", "bulk")}
    data["pytorch"] = [load(folder, f"pytorch_{when}.json") for when in ("before", "after")]
    data["processes"] = load(folder, "processes.json")
    data["machine"] = machine()
    contexts = [load(folder, f"{name}.json").get("context", {}) for name in ("training", "operations", "bulk")]
    data["load_averages"] = [context["load_avg"][0] for context in contexts if context.get("load_avg")] + [
        result["load_average"] for result in data["processes"].values()] + [data["machine"]["load_average"]]
    (folder / "all.json").write_text(json.dumps(data, indent=1) + "\n")
    text = readme.read_text()
    if BEGIN not in text or END not in text:
        sys.exit(f"table.py: {readme} has no line {BEGIN}")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    readme.write_text(f"{head}{BEGIN}\n{table(data)}\n{END}{tail}")
    print(table(data))


main()
