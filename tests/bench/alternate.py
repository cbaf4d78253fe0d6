"""Two ways to do one thing, measured in turns in one run.

A measurement is a ratio: absolute times say more about the machine and its
neighbours than about the code.
"""
import dataclasses
import json
import os
import statistics
import subprocess


class Server:
    """A benchmark program that measures once for every line it is given;
    `variables` are added to its environment."""

    def __init__(self, *command, **variables):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **variables})
        line = self.process.stdout.readline().strip()
        if line != "ready":
            raise RuntimeError(f"{command[0]} did not get ready: {line!r}")

    def ask(self, line=""):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the benchmark ended at {line!r}, exit {self.process.wait()}")
        return json.loads(answer)

    def rate(self, line):
        answer = self.ask(line)
        return answer["tokens"] / answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclasses.dataclass
class Spread:
    """Values of repeated measurements."""

    values: list

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def low(self):
        return min(self.values)

    @property
    def high(self):
        return max(self.values)

    def __str__(self):
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def alternate(rounds, ways):
    """Calls each of `ways` (name -> function) in turn, `rounds` times over.
    Returns name -> Spread. The order turns round with every repetition, so
    that none always runs on a warmer machine."""
    values = {name: [] for name in ways}
    for number in range(rounds):
        names = list(ways)
        for name in names if number % 2 == 0 else reversed(names):
            values[name].append(ways[name]())
    return {name: Spread(found) for name, found in values.items()}


def ratio(above, below):
    """The spread of above / below, repetition by repetition."""
    return Spread([a / b for a, b in zip(above.values, below.values)])
