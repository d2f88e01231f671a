"""The driver's rows, on asyncpg and uvloop.

Usage: pg_asyncpg.py ROW DSN MILLISECONDS [TASKS]
"""

import asyncio
import gc
import sys
import time

import asyncpg
import uvloop

KEYS = 100000  # pgbench's scale 1
SELECT = "select abalance from pgbench_accounts where aid = $1"
WARM_UP = 0.3


async def for_a_while(seconds, works):
    """Run each work in its own task until the time is up."""
    rounds, stop = 0, time.perf_counter() + seconds

    async def loop(i, work):
        nonlocal rounds
        key = i * 7919
        while time.perf_counter() < stop:
            key = (key * 1103515245 + 12345) & 0x7FFFFFFF
            await work(SELECT, 1 + key % KEYS)
            rounds += 1

    await asyncio.gather(*(loop(i, w) for i, w in enumerate(works, 1)))
    return rounds


async def select(dsn, milliseconds, tasks):
    pool = await asyncpg.create_pool(dsn, min_size=10, max_size=10)
    async with pool:
        if tasks == 10:  # a connection for each task, held throughout
            lent = [await pool.acquire() for _ in range(10)]
            works = [c.fetchrow for c in lent]
        else:
            lent, works = [], [pool.fetchrow] * tasks
        await for_a_while(WARM_UP, works)
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        ops = await for_a_while(milliseconds / 1000, works)
        cpu = time.process_time() - cpu
        wall = time.perf_counter() - wall
        for connection in lent:
            await pool.release(connection)
    print(f"ops {ops}\nwall {wall:.9f}\ncpu {cpu:.9f}")


async def workflow(dsn):
    pool = await asyncpg.create_pool(dsn, min_size=3, max_size=3)

    def step(seconds):
        return pool.execute("select pg_sleep($1)", seconds)

    async def order():
        await asyncio.gather(step(0.05), step(0.05), step(0.03))
        await step(0.08)

    async with pool:
        await order()
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        await order()
        cpu = time.process_time() - cpu
        wall = time.perf_counter() - wall
    print(f"ops 1\nwall {wall:.9f}\ncpu {cpu:.9f}")


uvloop.install()
ROWS = {f.__name__: f for f in (select, workflow)}
asyncio.run(ROWS[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:])))
