"""The driver's rows, on asyncpg and uvloop.

Usage: pg_asyncpg.py ROW DSN [MILLISECONDS [TASKS or WORKLOAD] or ROWS]
"""

import asyncio
import gc
import sys
import time

import asyncpg
import uvloop

KEYS = 100000  # pgbench's scale 1
SELECT = "select abalance from pgbench_accounts where aid = $1"
BATCH = 100
WARM_UP = 0.3

COLUMNS = ["a", "b", "c", "d", "e", "f", "g"]
RECORD = (10, 11, 10, "TESTTESTTEST", 10.333, 12341234, "123412341234")


class Meter:
    """What a stretch of work has taken."""

    def start(self):
        gc.collect()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self, ops):
        cpu = time.process_time() - self.cpu
        wall = time.perf_counter() - self.wall
        print(f"ops {ops}\nwall {wall:.9f}\ncpu {cpu:.9f}")


async def for_a_while(seconds, works):
    """Run each work in its own task until the time is up."""
    rounds, stop = 0, time.perf_counter() + seconds

    async def loop(i, work):
        nonlocal rounds
        key = i * 7919

        def next_key():
            nonlocal key
            key = (key * 1103515245 + 12345) & 0x7FFFFFFF
            return 1 + key % KEYS

        while time.perf_counter() < stop:
            await work(next_key)
            rounds += 1

    await asyncio.gather(*(loop(i, w) for i, w in enumerate(works, 1)))
    return rounds


async def closed_loop(dsn, milliseconds, begin, ops_a_round=1, tasks=10):
    """Ten connections; `begin` makes the work of one of them, or of all."""
    pool = await asyncpg.create_pool(dsn, min_size=10, max_size=10)
    async with pool:
        if tasks == 10:  # a connection for each task, held throughout
            lent = [await pool.acquire() for _ in range(10)]
            works = [begin(connection) for connection in lent]
        else:
            lent, works = [], [begin(pool)] * tasks
        await for_a_while(WARM_UP, works)
        meter = Meter()
        meter.start()
        rounds = await for_a_while(milliseconds / 1000, works)
        meter.stop(rounds * ops_a_round)
        for connection in lent:
            await pool.release(connection)


async def select(dsn, milliseconds, tasks):
    def begin(db):
        return lambda next_key: db.fetchrow(SELECT, next_key())

    await closed_loop(dsn, milliseconds, begin, tasks=tasks)


async def many(dsn, milliseconds):
    def begin(db):
        def work(next_key):
            keys = [(next_key(),) for _ in range(BATCH)]
            return db.executemany(SELECT, keys)

        return work

    await closed_loop(dsn, milliseconds, begin, BATCH)


async def magic(dsn, milliseconds, which):
    """One of the seven workloads of MagicStack's own comparison."""
    types = (
        "select typname, typnamespace, typowner, typlen, typbyval, "
        "typcategory, typispreferred, typisdefined, typdelim, typrelid, "
        "typelem, typarray from pg_type where typtypmod = $1 "
        "and typisdefined = $2"
    )
    series = "SELECT i FROM generate_series(1, $1) AS i"
    insert = (
        "INSERT INTO bench_test (a, b, c, d, e, f, g) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)"
    )
    begin = {
        1: lambda db: lambda _: db.fetch(types, -1, True),
        2: lambda db: lambda _: db.fetch(series, 1000),
        3: lambda db: lambda _: db.fetch("SELECT * FROM bench_bytes"),
        4: lambda db: lambda _: db.fetch("SELECT * FROM bench_arrays"),
        5: lambda db: lambda _: db.copy_records_to_table(
            "bench_test", columns=COLUMNS, records=records
        ),
        6: lambda db: lambda _: db.executemany(insert, records),
        7: lambda db: lambda _: db.fetch("SELECT 1+1"),
    }
    records = [RECORD] * (10000 if which == 5 else 1000)
    await closed_loop(dsn, milliseconds, begin[which])


async def rows(dsn, n):
    db = await asyncpg.connect(dsn)
    sql = "select id, name, half, at from bench_rows limit $1"
    await db.fetch(sql, 10)
    meter = Meter()
    meter.start()
    got = await db.fetch(sql, n)
    meter.stop(n)
    assert len(got) == n
    await db.close()


async def copy_in(dsn, n):
    db = await asyncpg.connect(dsn)
    columns = ["id", "name", "half"]
    records = [(i, f"row {i}", i * 0.5) for i in range(1, n + 1)]
    await db.copy_records_to_table(
        "bench_copy", columns=columns, records=records[:1]
    )
    meter = Meter()
    meter.start()
    await db.copy_records_to_table(
        "bench_copy", columns=columns, records=records
    )
    meter.stop(n)
    await db.close()


async def copy_out(dsn, n):
    db = await asyncpg.connect(dsn)
    size = 0

    async def take(chunk):
        nonlocal size
        size += len(chunk)

    meter = Meter()
    meter.start()
    await db.copy_from_query(
        f"select * from bench_rows limit {n}", output=take
    )
    meter.stop(n)
    assert size > n
    await db.close()


async def workflow(dsn):
    pool = await asyncpg.create_pool(dsn, min_size=3, max_size=3)

    def step(seconds):
        return pool.execute("select pg_sleep($1)", seconds)

    async def order():
        await asyncio.gather(step(0.05), step(0.05), step(0.03))
        await step(0.08)

    async with pool:
        await order()
        meter = Meter()
        meter.start()
        await order()
        meter.stop(1)


uvloop.install()
ROWS = {
    f.__name__: f
    for f in (select, many, magic, rows, copy_in, copy_out, workflow)
}
asyncio.run(ROWS[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:])))
