"""A process for each contestant, so that none shares threads, memory or caches with another."""

import contextlib
import math
import multiprocessing
import os
import time
import traceback

from peers import CONTESTANTS
from workloads import WORKLOADS


class Unavailable(Exception):
    """The contestant cannot run here (a missing package, a thing that it cannot do)."""


class Failed(Unavailable):
    """The contestant raised an exception, or its process died."""


class Worker:
    """A contestant on a workload in a process of its own.

    Parameters
    ----------
    contestant, workload : str
        Keys of `CONTESTANTS` and `WORKLOADS`.
    """

    def __init__(self, contestant, workload):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, contestant, workload)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, method, *arguments):
        """Call a method of the `Session` in the process and return what it returns."""
        # A process that could not import its framework has answered already, and is gone.
        with contextlib.suppress(BrokenPipeError):
            self._connection.send((method, arguments))
        try:
            error, result = self._connection.recv()
        except EOFError:
            self._process.join()
            raise Failed(f"the process ended with code {self._process.exitcode}") from None
        if error is not None:
            raise error(result)
        return result

    def close(self):
        self._connection.close()
        self._process.join()


class Group:
    """The workers of one workload. One that fails is reported and leaves.

    Parameters
    ----------
    names : list of str
        Keys of `CONTESTANTS`.
    workload : str
        A key of `WORKLOADS`.

    Attributes
    ----------
    failures : int
        How many left because of an exception.
    """

    def __init__(self, names, workload):
        self.failures = 0
        self._workers = {name: Worker(name, workload) for name in names}
        self.ask("wait_until_loaded")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for worker in self._workers.values():
            worker.close()

    def ask(self, method, *arguments, each=None):
        """Ask the workers, one after the other.

        Parameters
        ----------
        method : str
            A method of `Session`.
        *arguments
            Its arguments.
        each : dict, optional
            Whom to ask, and a last argument for each.

        Returns
        -------
        dict
            The answers by contestant.
        """
        answers = {}
        for name in list(self._workers if each is None else each):
            if name not in self._workers:
                continue
            last = () if each is None else (each[name],)
            try:
                answers[name] = self._workers[name].ask(method, *arguments, *last)
            except Unavailable as error:
                failed = isinstance(error, Failed)
                self.failures += failed
                word = "failed" if failed else "skipped"
                print(f"{CONTESTANTS[name].label}: {word}: {error}", flush=True)
                self._workers.pop(name).close()
        return answers


class Session:
    """What a worker's process can be asked to do."""

    def __init__(self, contestant, workload):
        self._make = CONTESTANTS[contestant]
        self._workload = WORKLOADS[workload]
        with silenced_stderr():
            self._make.load()
        self._memory_before = memory()[0]

    def wait_until_loaded(self):
        """Return once the process answers."""

    def start(self):
        """Build the contestant and take a meta-step; return the seconds."""
        start = time.perf_counter()
        self._contestant = self._make(self._workload)
        self._contestant.run(1)
        return time.perf_counter() - start

    def calibrate(self, seconds):
        """Warm up; return (seconds of warming up, meta-steps that last `seconds`)."""
        start, steps = time.perf_counter(), 1
        taken = self.time(1)
        while taken < seconds / 2:
            steps = math.ceil(steps * seconds / taken)
            self.time(steps)  # compiles
            taken = self.time(steps) * steps
        return time.perf_counter() - start, max(1, round(steps * seconds / taken))

    def time(self, steps):
        """Return the seconds a meta-step."""
        start = time.perf_counter()
        done = self._contestant.run(steps)
        return (time.perf_counter() - start) / done

    def memory(self):
        """Return (megabytes now, most megabytes so far, megabytes before building)."""
        return (*memory(), self._memory_before)

    def meta_gradient(self):
        """Return the first meta-step's gradients of a fresh contestant."""
        return self._make(self._workload).meta_gradient()

    def prepare_calls(self):
        """Prepare the single calls and return their names."""
        self._calls = self._contestant.calls()
        return list(self._calls)

    def time_call(self, name, seconds):
        """Repeat a single call for about `seconds`; return the seconds a call."""
        call, count = self._calls[name], 0
        start = time.perf_counter()
        while (taken := time.perf_counter() - start) < seconds or not count:
            call()
            count += 1
        return taken / count


def memory():
    """Return this process's (resident, peak resident) megabytes, NaN where Linux does not tell."""
    try:
        with open("/proc/self/status") as file:
            fields = dict(line.split(":", 1) for line in file)
    except FileNotFoundError:
        return float("nan"), float("nan")
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


@contextlib.contextmanager
def silenced_stderr():
    """Drop what native code writes while it is loaded: TensorFlow's log heeds no setting then."""
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _serve(connection, contestant, workload):
    try:
        session = Session(contestant, workload)
    except ImportError as error:
        connection.send((Unavailable, str(error)))
        return
    except Exception:
        connection.send((Failed, traceback.format_exc()))
        return
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = None, getattr(session, method)(*arguments)
        except NotImplementedError as error:
            answer = Unavailable, str(error)
        except Exception:
            answer = Failed, traceback.format_exc()
        connection.send(answer)
