"""The core's rows, on asyncio with uvloop. Usage: core_uvloop.py ROW N [M]"""

import asyncio
import gc
import resource
import sys
import time

import uvloop


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Meter:
    def __init__(self):
        gc.collect()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self, ops, **more):
        cpu = time.process_time() - self.cpu
        wall = time.perf_counter() - self.wall
        print(f"ops {ops}\nwall {wall:.9f}\ncpu {cpu:.9f}")
        for key, value in more.items():
            print(f"{key} {value}")


async def switch(n, tasks):
    per = n // tasks

    async def body(sleep=asyncio.sleep):
        for _ in range(per):
            await sleep(0)

    started = [asyncio.create_task(body()) for _ in range(tasks)]
    meter = Meter()
    for task in started:
        await task
    meter.stop(per * tasks)


async def spawn(n):
    async def body(x):
        return x

    create = asyncio.create_task
    meter = Meter()
    for i in range(n):
        await create(body(i))
    meter.stop(n)


async def sleepers(n):
    base = resident()
    meter = Meter()
    started = [
        asyncio.create_task(asyncio.sleep(0.5 + i * 7919 % 1000 / 1000))
        for i in range(1, n + 1)
    ]
    for task in started:
        await task
    meter.stop(n, bytes=peak() - base)


async def parked(n):
    event = asyncio.Event()

    async def body():
        await event.wait()

    gc.collect()
    base = resident()
    meter = Meter()
    started = [asyncio.create_task(body()) for _ in range(n)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    meter.stop(n, bytes=resident() - base)
    event.set()
    for task in started:
        await task


uvloop.install()
ROWS = {f.__name__: f for f in (switch, spawn, sleepers, parked)}
asyncio.run(ROWS[sys.argv[1]](*map(int, sys.argv[2:])))
