"""What an older preloader does at each read, written anew from its description.

A key has a count of its reads and the time of the last one; its score is the count times 0.9 for
each hour since then, worked out anew at each read. Above the most keys that may be tracked, the one
with the lowest stored score is dropped, with what is related to it. To find the keys to preload,
all scores are worked out anew and sorted, under the lock that each read takes.

Reads commands from standard input, a line each, and answers with nanoseconds of processor time for
one operation:

    known COUNT    reads of 500 keys, which is below the limit
    new COUNT      reads of keys that were never read before, at the limit
    top COUNT      questions for the keys to preload, of a million
"""

import asyncio
import random
import sys
import time
from dataclasses import dataclass, field

DECAY_PER_HOUR = 0.9
THRESHOLD = 0.5
TRACKED_MAX = 1000


@dataclass
class Pattern:
    key: str
    count: int = 0
    last: float = 0.0
    score: float = 0.0
    related: list = field(default_factory=list)

    def rescore(self, now):
        hours = (now - self.last) / 3600
        self.score = self.count * DECAY_PER_HOUR**hours


class Preloader:
    def __init__(self, tracked_max=TRACKED_MAX):
        self.tracked_max = tracked_max
        self.patterns = {}
        self.associations = {}
        self.reads = 0
        self.lock = asyncio.Lock()

    async def record(self, key, related=None):
        async with self.lock:
            self.reads += 1
            now = time.time()
            pattern = self.patterns.get(key)
            if pattern is None:
                pattern = self.patterns[key] = Pattern(key)
            pattern.count += 1
            pattern.last = now
            pattern.rescore(now)
            if related:
                self.associations.setdefault(key, set()).update(related)
                pattern.related = list(self.associations[key])
            if len(self.patterns) > self.tracked_max:
                lowest = min(self.patterns.values(), key=lambda pattern: pattern.score)
                del self.patterns[lowest.key]
                self.associations.pop(lowest.key, None)

    async def to_preload(self, limit=100):
        async with self.lock:
            now = time.time()
            for pattern in self.patterns.values():
                pattern.rescore(now)
            best = sorted(self.patterns.values(), key=lambda pattern: pattern.score, reverse=True)
            return [pattern.key for pattern in best[:limit] if pattern.score >= THRESHOLD]


async def timed(count, work):
    began = time.thread_time_ns()
    await work
    return (time.thread_time_ns() - began) / count


async def read(preloader, keys):
    for key in keys:
        await preloader.record(key)


async def ask(preloader, count):
    for _ in range(count):
        await preloader.to_preload()


def millions():
    """Reads of a million keys: each once, then as many again of which some keys have far more."""
    for nth in range(1_000_000):
        yield f"user:profile:{nth:08}"
    chance = random.Random(7)
    for _ in range(1_000_000):
        yield f"user:profile:{int(1_000_000 * chance.random() ** 4):08}"


async def main():
    known, full, million = Preloader(), Preloader(), Preloader(1 << 30)
    names = [f"user:profile:{nth:08}" for nth in range(500)]
    newest = 0
    for line in sys.stdin:
        what, count = line.split()
        count = int(count)
        if what == "known":
            keys = [names[nth % len(names)] for nth in range(count)]
            cost = await timed(count, read(known, keys))
        elif what == "new":
            begin = len(full.patterns)
            keys = [f"user:profile:{newest + nth:08}" for nth in range(TRACKED_MAX - begin + count)]
            newest += len(keys)
            await read(full, keys[:-count])
            cost = await timed(count, read(full, keys[-count:]))
        else:
            if not million.patterns:
                await read(million, millions())
            cost = await timed(count, ask(million, count))
        print(cost, flush=True)


asyncio.run(main())
