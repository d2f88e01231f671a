--- For spec/pg/value_*: the codecs alone (build/test/value.so), and the oids.

local codec = require "test.value"

local value = { pg = codec.pg, decode = codec.decode, encode = codec.encode }

value.oid = {
  bool = 16, bytea = 17, char = 18, name = 19, int8 = 20, int2 = 21, int4 = 23,
  text = 25, oid = 26, xid = 28, cid = 29, json = 114, xml = 142, cidr = 650,
  float4 = 700, float8 = 701, macaddr8 = 774, macaddr = 829, inet = 869,
  bpchar = 1042, varchar = 1043, date = 1082, time = 1083, timestamp = 1114,
  timestamptz = 1184, interval = 1186, timetz = 1266, numeric = 1700,
  void = 2278, uuid = 2950, pg_lsn = 3220, jsonb = 3802, jsonpath = 4072,
  xid8 = 5069, bit = 1560, varbit = 1562, point = 600, lseg = 601, path = 602,
  box = 603, polygon = 604, line = 628, circle = 718, int4range = 3904,
  numrange = 3906, tsrange = 3908, daterange = 3912, int4multirange = 4451,
  nummultirange = 4532, money = 790, int2vector = 22, oidvector = 30,
  ["box[]"] = 1020, ["point[]"] = 1017, ["int4range[]"] = 3905,
  ["numrange[]"] = 3907, ["varbit[]"] = 1563, ["money[]"] = 791,
  record = 2249, ["record[]"] = 2287,
  -- what spec/pg/harness/value.c defines
  mood = 90001, ["mood[]"] = 90002, pair = 90003, ["pair[]"] = 90004,
  nest = 90005, hstore = 90006, posint = 90007, vector = 90008,
  ["bool[]"] = 1000, ["bytea[]"] = 1001, ["int2[]"] = 1005,
  ["int4[]"] = 1007, ["text[]"] = 1009, ["int8[]"] = 1016,
  ["float8[]"] = 1022, ["inet[]"] = 1041, ["date[]"] = 1182,
  ["timestamptz[]"] = 1185, ["interval[]"] = 1187, ["numeric[]"] = 1231,
  ["json[]"] = 199, ["jsonb[]"] = 3807, ["uuid[]"] = 2951,
  ["varchar[]"] = 1015,
}

function value.type(name) return codec.type(value.oid[name]) end

--- Binary there and back. Also checks that the parameter went as binary.
function value.trip(name, v)
  local bytes, format = codec.encode(value.oid[name], v)
  assert(bytes, format)
  assert(format == "binary", "sent as " .. format)
  return codec.decode(value.oid[name], "binary", bytes)
end

function value.from_text(name, text)
  return codec.decode(value.oid[name], "text", text)
end

function value.from_binary(name, bytes)
  return codec.decode(value.oid[name], "binary", bytes)
end

--- The bytes and format of a parameter.
function value.put(name, v)
  local bytes, format = codec.encode(value.oid[name] or name, v)
  assert(bytes, format)
  return bytes, format
end

--- The sentence with which a parameter is refused, or nil.
function value.refusal(name, v)
  local bytes, why = codec.encode(value.oid[name] or name, v)
  if bytes then return nil end
  return why
end

--- Decode what may be garbage: the value, or nil and the fault, which must be
--- a decode fault.
function value.try(name, format, bytes)
  local ok, v = pcall(codec.decode, value.oid[name], format, bytes)
  if ok then return v end
  assert(type(v) == "table" and (v.kind == "pg" and v.code == "decode"
    or v.kind == "stale_statement"),
    "not a decode fault: " .. tostring(v))
  return nil, v
end

return value
