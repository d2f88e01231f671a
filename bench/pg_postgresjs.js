// The driver's rows, on postgres.js and Node.
//
// Usage: pg_postgresjs.js select URI MILLISECONDS TASKS
//        pg_postgresjs.js --version

"use strict";

const postgres = require("postgres");

const KEYS = 100000; // pgbench's scale 1
const WARM_UP = 300; // milliseconds

// The library knows no `postgresql:///base?host=/directory`.
function connect(uri) {
  const url = new URL(uri.replace(/^postgres(ql)?:\/\/\//, "http://none/"));
  const q = url.searchParams;
  const host = q.get("host") || url.hostname;
  return postgres({
    host: host === "none" ? undefined : host,
    port: Number(q.get("port") || url.port || 5432),
    database: decodeURIComponent(url.pathname.slice(1)) || undefined,
    username: q.get("user") || url.username || undefined,
    password: q.get("password") || url.password || undefined,
    max: 10,
  });
}

// Run `work` in `tasks` loops until the time is up; resolves to the rounds.
async function forAWhile(milliseconds, tasks, work) {
  const stop = performance.now() + milliseconds;
  let rounds = 0;
  async function loop(i) {
    let key = i * 7919;
    while (performance.now() < stop) {
      key = (Math.imul(key, 1103515245) + 12345) & 0x7fffffff;
      await work(1 + (key % KEYS));
      rounds += 1;
    }
  }
  const loops = [];
  for (let i = 1; i <= tasks; i++) loops.push(loop(i));
  await Promise.all(loops);
  return rounds;
}

async function select(uri, milliseconds, tasks) {
  const sql = connect(uri);
  const work = (key) =>
    sql`select abalance from pgbench_accounts where aid = ${key}`;
  await forAWhile(WARM_UP, tasks, work);
  const cpu = process.cpuUsage();
  const wall = performance.now();
  const ops = await forAWhile(milliseconds, tasks, work);
  const took = (performance.now() - wall) / 1000;
  const used = process.cpuUsage(cpu);
  await sql.end();
  console.log(`ops ${ops}\nwall ${took}\ncpu ${(used.user + used.system) / 1e6}`);
}

const [row, uri, ...numbers] = process.argv.slice(2);
if (row === "--version") {
  const main = require.resolve("postgres"); // .../postgres/cjs/src/index.js
  const at = main.lastIndexOf("/postgres/") + "/postgres/".length;
  const file = `${main.slice(0, at)}package.json`;
  const { version } = JSON.parse(require("fs").readFileSync(file));
  console.log(`${version}, Node ${process.version}`);
} else if (row === "select") {
  select(uri, ...numbers.map(Number));
} else {
  console.error(`pg_postgresjs.js: no row '${row}'`);
  process.exit(2);
}
