--- TLS, with certificates made here: what is verified, what is refused, and
--- that everything else works on an encrypted connection.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local PORT <const> = 25437

local function sh(script, ...)
  local command = script:format(...)
  assert(os.execute(("set -e\n(%s\n) >/dev/null 2>&1"):format(command)),
    command)
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

-- An authority, one that nobody trusts, a server for the name localhost, and a
-- client that is called certain.
local CERTIFICATES <const> = [[
cd %s
for ca in ca other; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -days 2 -subj "/CN=neap $ca" -keyout $ca.key -out $ca.crt
done
sign() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -subj "/CN=$2" -keyout $1.key -out $1.csr
  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
    -days 2 -out $1.crt -extfile $3
}
echo 'subjectAltName=DNS:localhost' > san
echo 'basicConstraints=CA:FALSE' > plain
sign server localhost san
sign client certain plain
chmod 600 *.key
cp server.crt server.key ca.crt %s/data/
chown --reference=%s/data %s/data/server.key %s/data/server.crt %s/data/ca.crt]]

describe("TLS", function()
  local mine, dir

  --- A connection string: options over the usual ones.
  local function dsn(opts)
    local all = {
      host = "localhost", port = PORT, user = "lock", dbname = "postgres",
      password = "s3cret", sslmode = "verify-full", sslrootcert = dir .. "/ca.crt",
    }
    for k, v in pairs(opts or {}) do all[k] = v or nil end
    return all
  end

  local function body(fn)
    return function() return run.now({ clock = "real", timeout = 60 }, fn) end
  end

  local function refused(kind, code, text, opts)
    local err = raises(kind, pg.connect, dsn(opts), { max = 1 })
    assert.are.equal(code, err.code)
    assert.matches(text, err.message)
    assert.is_nil(tostring(err):find("s3cret", 1, true))
    assert.is_nil(err.message:find "\n")
    return err
  end

  lazy_setup(function()
    neap.run(function()
      mine = pg.ephemeral { port = PORT }
      dir = os.tmpname()
      sh("rm -f %s; mkdir -m 700 %s", dir, dir)
      local d = mine.dir
      sh(CERTIFICATES, dir, d, d, d, d, d)
      write(d .. "/data/pg_hba.conf", "local all postgres trust\n"
        .. "hostssl all certain all cert\n"
        .. "host all all all scram-sha-256\n")
      local admin <close> = pg.connect(mine.dsn, { max = 1 })
      admin:exec "create role lock login password 's3cret'"
      admin:exec "create role certain login"
      admin:exec "alter system set ssl_ca_file = 'ca.crt'"
      admin:exec "alter system set ssl = on"
      admin:value "select pg_reload_conf()"
      server.eventually("the server speaks TLS", function()
        local ok, db = neap.pcall(pg.connect, dsn())
        if ok then db:close() end
        return ok
      end)
    end)
  end)

  lazy_teardown(function()
    neap.run(function() mine:stop() end)
    sh("rm -r %s", dir)
  end)

  it("is verified against an authority and the name", body(function()
    local db <close> = pg.connect(dsn())
    assert.is_true(db:value
      "select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    assert.are.equal("lock", db:value "select current_user")
  end))

  it("of an unknown authority is refused, when asked to look", body(function()
    local other = { sslrootcert = dir .. "/other.crt" }
    refused("io", "TLS", "certificate verify failed", other)
    other.sslmode = "verify-ca"
    refused("io", "TLS", "certificate verify failed", other)
    local db <close> = pg.connect(dsn { sslmode = "require", sslrootcert = false })
    assert.are.equal(1, db:value "select 1")
  end))

  it("of another name is refused by verify-full only", body(function()
    refused("io", "TLS", "127%.0%.0%.1", { host = "127.0.0.1" })
    local db <close> = pg.connect(
      dsn { host = "127.0.0.1", sslmode = "verify-ca" })
    assert.are.equal(1, db:value "select 1")
  end))

  it("whose authority's file is not there is refused", body(function()
    refused("io", "TLS", "root certificate file",
      { sslrootcert = "/nowhere/ca.crt" })
  end))

  it("knows a client by its certificate", body(function()
    local client = { user = "certain", password = false,
      sslcert = dir .. "/client.crt", sslkey = dir .. "/client.key" }
    local db <close> = pg.connect(dsn(client))
    assert.are.equal("certain", db:value "select current_user")
    refused("pg", "28000", "certificate",
      { user = "certain", sslcert = "/nowhere", sslkey = "/nowhere" })
    client.sslkey = dir .. "/server.key" -- not of this certificate
    refused("io", "TLS", "key values mismatch", client)
  end))

  it("binds the password exchange to itself", body(function()
    local bound = { channel_binding = "require" }
    local db <close> = pg.connect(dsn(bound))
    assert.are.equal(1, db:value "select 1")
    bound.sslmode = "disable"
    refused("io", "TLS", "channel binding", bound)
  end))

  it("does not hide a wrong password", body(function()
    local err = raises("pg", pg.connect, dsn { password = "wr0ng" })
    assert.are.equal("28P01", err.code)
    assert.is_nil(tostring(err):find("wr0ng", 1, true))
  end))

  it("carries long results, long parameters and many at once", body(function()
    local db <close> = pg.connect(dsn(), { max = 2 })
    local list = {}
    for i = 1, 60 do list[i] = i end
    neap.map(list, function(i)
      local text = ("%d "):format(i):rep(20000 * (i % 5))
      assert.are.equal(text .. text, db:value("select $1::text || $1", text))
      assert.are.equal(i * 100,
        db:query("select generate_series(1, $1)", i * 100).n)
    end)
    server.whole(db)
  end))

  it("is no hindrance to a cancel", body(function()
    local db <close> = pg.connect(dsn(), { max = 2 })
    raises("query_timeout", db.query_opts, db, { timeout = 0.05 },
      "select pg_sleep(60)")
    server.whole(db)
    assert.are.equal(1, db:stats().cancels)
    assert.are.equal(0, db:stats().lost)
  end))

  it("finds passwords in a file", body(function()
    write(dir .. "/pass", ("localhost:%d:*:lock:s3cret\n"):format(PORT))
    sh("chmod 600 %s/pass", dir)
    local db <close> = pg.connect(
      dsn { password = false, passfile = dir .. "/pass" })
    assert.are.equal("lock", db:value "select current_user")
  end))
end)
