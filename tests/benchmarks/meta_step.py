"""Time meta-steps of deepchem_meta beside the same meta-steps written in other ways, on the CPU.

    python tests/benchmarks/meta_step.py                        # everything
    python tests/benchmarks/meta_step.py --workload sine1 calls --rounds 3 --seconds 1
    python tests/benchmarks/meta_step.py --check                # do all compute one meta-gradient?
    python tests/benchmarks/meta_step.py --steps 100000         # does memory stay flat?

The package must be installed (`pip install -e .`), and so must the peers that are to take part.
Each contestant has a process of its own; within a workload they take turns, a run of about
`--seconds` each, for `--rounds` rounds. What cannot be imported is skipped, with a line saying so.
"""

import argparse
import os
import platform
import statistics
import sys
from importlib import metadata

import numpy as np
from peers import CONTESTANTS
from workers import Group
from workloads import WORKLOADS

# The section of single calls, chosen like a workload; it runs on the first sine learner.
CALLS, CALLS_WORKLOAD = "calls", "sine1"
CALLERS = ("ours", "plain", "deepchem")
TOLERANCE = 1e-4

NOTES = """
- ms: a meta-step, median of the rounds and their range; times ours: that median over ours.
- first: seconds for building and the first meta-step, compiling included, imports not (one run).
- warm-up: seconds from there to the timed runs, in which longer calls compile (one run).
- MB: the most memory the process held above what it held after its imports.
- sampling: whether drawing the tasks is in the time. Those that draw beforehand hold the batches
  of as many meta-steps as a scan has.
- deepchem_meta, the plain loop and DeepChem end each run with a checkpoint, as `fit` does.
- single calls: the plain loop does as DeepChem does. `restore` reads a checkpoint, gradient steps
  are eager, `fit` writes a checkpoint; for `adapt` they restore and take gradient steps."""


def main():
    args = parse_arguments()
    # Read by the frameworks when the workers import them.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(describe_machine(), flush=True)
    failures = 0
    for workload in args.workload:
        if args.check:
            failures += check(args.contestants, workload)
        elif args.steps:
            failures += watch_memory(workload, args.steps)
        elif workload == CALLS:
            failures += time_calls(args)
        else:
            failures += time_workload(args, workload)
    if not args.check and not args.steps:
        print(NOTES)
    return 1 if failures else 0


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--workload", nargs="+", choices=[*WORKLOADS, CALLS], help="what to run; all by default"
    )
    parser.add_argument(
        "--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="NAME",
        help=f"of {', '.join(CONTESTANTS)}; all by default",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=2.0, help="a run's length (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default 5)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare meta-gradients, time nothing")
    mode.add_argument(
        "--steps", type=int, metavar="N", help="print the memory over N meta-steps, time nothing"
    )
    args = parser.parse_args()
    if args.workload is None:
        args.workload = [CALLS_WORKLOAD] if args.steps else [*WORKLOADS, CALLS]
    if args.check or args.steps:
        args.workload = [name for name in args.workload if name != CALLS]
    return args


def describe_machine():
    """Return a line on the machine and the packages."""
    found = {package.metadata["Name"].lower() for package in metadata.distributions()}
    names = [n for n in ("tensorflow", "keras", "jax", "torch", "deepchem", "numpy") if n in found]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def contestants_for(names, workload):
    """Leave out unrolled tasks where there is no convolution: only there do they help."""
    return [name for name in names if name != "jax-unrolled" or workload == "omniglot"]


def time_workload(args, workload):
    """Print the table of one workload; return how many contestants failed."""
    print(f"\n## {workload}: {WORKLOADS[workload].settings}\n", flush=True)
    with Group(contestants_for(args.contestants, workload), workload) as group:
        first = group.ask("start")
        warmed = group.ask("calibrate", args.seconds)
        steps = {name: steps for name, (_, steps) in warmed.items()}
        times = take_turns(args.rounds, lambda: group.ask("time", each=steps))
        memory = group.ask("memory")
    rows = [("", "sampling", "ms (range)", "steps/s", "times ours", "first", "warm-up", "MB")]
    ours = statistics.median(times["ours"]) if "ours" in times else None
    for name, (_, peak, before) in memory.items():
        median = statistics.median(times[name])
        rows.append(
            (
                CONTESTANTS[name].label,
                CONTESTANTS[name].sampling,
                describe_times(times[name]),
                f"{1 / median:.1f}",
                f"{median / ours:.2f}" if ours else "-",
                f"{first[name]:.2f}",
                f"{warmed[name][0]:.1f}",
                f"{peak - before:.0f}",
            )
        )
    print_table(rows)
    print(f"\nA scan runs {WORKLOADS[workload].block} meta-steps.", flush=True)
    return group.failures


def time_calls(args):
    """Print the table of single calls; return how many contestants failed."""
    print(f"\n## Single calls: {WORKLOADS[CALLS_WORKLOAD].settings}\n", flush=True)
    names = [name for name in CALLERS if name in args.contestants]
    rows = [("ms (range)", *(CONTESTANTS[name].label for name in names))]
    with Group(names, CALLS_WORKLOAD) as group:
        group.ask("start")
        calls = group.ask("prepare_calls")
        for call in dict.fromkeys(call for known in calls.values() for call in known):
            seconds = {name: args.seconds / 4 for name in names if call in calls.get(name, ())}
            group.ask("time_call", call, each=seconds)  # compiles
            times = take_turns(
                args.rounds, lambda c=call, s=seconds: group.ask("time_call", c, each=s)
            )
            rows.append((call, *(describe_times(times.get(name)) for name in names)))
    print_table(rows)
    return group.failures


def take_turns(rounds, ask_all):
    """Return the answers of all rounds by contestant, of those that answered in each."""
    answers = [ask_all() for _ in range(rounds)]
    return {name: [answer[name] for answer in answers] for name in answers[-1]}


def check(names, workload):
    """Compare meta-gradients with the plain loop's; return how many differ or failed."""
    print(f"\n## {workload}: {WORKLOADS[workload].settings}\n", flush=True)
    wrong = 0
    names = dict.fromkeys(["plain", *contestants_for(names, workload)])
    with Group(names, workload) as group:
        gradients = group.ask("meta_gradient")
    expected = gradients.pop("plain", None)
    if expected is None:
        print("The plain loop, to compare with, did not run.", flush=True)
        return group.failures + 1
    for name, found in gradients.items():
        pairs = zip(found, expected, strict=True)
        # np.max keeps NaN, which the comparison then takes for wrong.
        error = np.max([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs])
        verdict = "agrees" if error <= TOLERANCE else "DIFFERS"
        wrong += verdict == "DIFFERS"
        print(f"{CONTESTANTS[name].label}: {verdict} with the plain loop, {error:.1e}", flush=True)
    return wrong + group.failures


def watch_memory(workload, steps):
    """Print our memory before, amid and after `steps` meta-steps; return how many failed."""
    print(f"\n## Memory: {WORKLOADS[workload].settings}\n", flush=True)
    with Group(["ours"], workload) as group:
        group.ask("start")
        group.ask("time", 1000)
        for done in (0, steps // 2, steps):
            if done:
                group.ask("time", steps // 2)
            for now, _, _ in group.ask("memory").values():
                print(f"after {done} meta-steps: {now:.1f} MB", flush=True)
    return group.failures


def describe_times(runs):
    """Return median and range in ms."""
    if not runs:
        return "-"
    times = (statistics.median(runs), min(runs), max(runs))
    middle, low, high = (f"{1e3 * t:.{3 if t < 0.1 else 4}g}" for t in times)
    return f"{middle} ({low} to {high})"


def print_table(rows):
    """Print rows, the first of them the head, as a Markdown table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
