"""Does rounds of the same work on Python's queues.

Each line of the standard input asks for a round, and a line of the standard
output says how long it took. The first line says which Python this is.
"""

import asyncio
import json
import platform
import queue
import random
import sys
import threading
import time

QUEUES = {
    "asyncio.Queue": (asyncio.Queue, asyncio.PriorityQueue),
    "queue.Queue": (queue.Queue, queue.PriorityQueue),
}

STEPS = random.Random(1).choices(range(1 << 30), k=1 << 16)


def shares(workers, items):
    return [range(items * i // workers, items * (i + 1) // workers) for i in range(workers)]


def pipeline_of_threads(make, workers, capacity, items):
    q = make(capacity)
    sums = []
    barrier = threading.Barrier(2 * workers + 1)

    def produce(share):
        barrier.wait()
        for item in share:
            q.put(item)

    def consume(share):
        barrier.wait()
        total = 0
        for _ in share:
            total += q.get()
        sums.append(total)

    threads = [
        threading.Thread(target=work, args=(share,))
        for work in (produce, consume)
        for share in shares(workers, items)
    ]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start, sum(sums)


def pipeline_of_tasks(make, workers, capacity, items):
    async def run():
        q = make(capacity)

        async def produce(share):
            for item in share:
                await q.put(item)

        async def consume(share):
            total = 0
            for _ in share:
                total += await q.get()
            return total

        work = [produce(share) for share in shares(workers, items)]
        work += [consume(share) for share in shares(workers, items)]
        start = time.perf_counter()
        results = await asyncio.gather(*work)
        return time.perf_counter() - start, sum(results[workers:])

    return asyncio.run(run())


def pipeline(name, workers, capacity, items):
    run = pipeline_of_tasks if name == "asyncio.Queue" else pipeline_of_threads
    elapsed, total = run(QUEUES[name][0], workers, capacity, items)
    if total != items * (items - 1) // 2:
        raise RuntimeError("items were lost or doubled")
    return elapsed


class Priority:
    """A priority queue in which items wait, and are replaced one at a time."""

    def __init__(self, name, queued, rising):
        self.name, self.rising, self.next = name, rising, queued
        self.queue = QUEUES[name][1]()
        for i in range(queued):
            self.queue.put_nowait(i if rising else STEPS[i & 0xFFFF] + i)

    def key(self, key):
        key = self.next if self.rising else key + STEPS[self.next & 0xFFFF]
        self.next += 1
        return key

    def run(self, items):
        if self.name == "asyncio.Queue":
            return asyncio.run(self.run_in_loop(items))
        q, key = self.queue, self.key
        start = time.perf_counter()
        for _ in range(items):
            q.put(key(q.get()))
        return time.perf_counter() - start

    async def run_in_loop(self, items):
        q, key = self.queue, self.key
        start = time.perf_counter()
        for _ in range(items):
            await q.put(key(await q.get()))
        return time.perf_counter() - start


def main():
    def answer(**values):
        print(json.dumps(values), flush=True)

    answer(version=f"{platform.python_implementation()} {platform.python_version()}")
    priority = {}
    for line in sys.stdin:
        ask = json.loads(line)
        name, workload, items = ask["queue"], ask["workload"], ask["items"]
        if workload == "pipeline":
            seconds = pipeline(name, ask["workers"], ask["capacity"], items)
        else:
            of = (name, ask["queued"], ask["rising"])
            if items == 0:  # this one is done with
                priority.pop(of, None)
                seconds = 0
            else:
                if of not in priority:
                    priority[of] = Priority(*of)
                seconds = priority[of].run(items)
        answer(seconds=seconds)


main()
