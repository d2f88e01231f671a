/*
** catalog.c -- see catalog.h.
*/
#include "pg/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char catalog_prelude[] = "select set_config('jit', 'off', true)";

/* One row for each attribute of a composite, one row for any other type, and
** one for an oid that is no type. Multiranges are younger than some servers:
** hence the way round by jsonb. */
const char catalog_head[] =
  "select w.oid, pg_catalog.format_type(t.oid, null), n.nspname, t.typname,"
  " case when e.oid is not null then 'a' else t.typtype end,"
  " coalesce(e.oid, nullif(t.typbasetype, 0), r.rngsubtype,"
  "  (select x.rngtypid from pg_catalog.pg_range x where t.typtype = 'm' and"
  "   (pg_catalog.to_jsonb(x) ->> 'rngmultitypid')::pg_catalog.oid = t.oid)),"
  " t.typdelim, a.attname, a.atttypid"
  " from (select distinct pg_catalog.unnest('{";

const char catalog_tail[] =
  "}'::pg_catalog.oid[]) as oid) w"
  " left join pg_catalog.pg_type t on t.oid = w.oid"
  " left join pg_catalog.pg_namespace n on n.oid = t.typnamespace"
  " left join pg_catalog.pg_type e on e.oid = t.typelem and e.typarray = t.oid"
  " left join pg_catalog.pg_range r on r.rngtypid = t.oid"
  " left join pg_catalog.pg_attribute a on t.typtype = 'c' and"
  " a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped"
  " order by w.oid, a.attnum";

enum { OID, NAME, SCHEMA, PLAIN_NAME, KIND, OF, DELIM, ATTRIBUTE, ITS_TYPE };

static pg_oid oid_at(const PGresult *r, int row, int col) {
  return (pg_oid)strtoul(PQgetvalue(r, row, col), NULL, 10);
}

static char kind_at(const PGresult *r, int row) {
  char kind = *PQgetvalue(r, row, KIND);
  return kind && strchr("abcdemr", kind) ? kind : (char)KIND_ABSENT;
}

/* "schema.name" */
static int write_key(buf *out, const PGresult *r, int row) {
  buf_reset(out);
  buf_string(out, PQgetvalue(r, row, SCHEMA));
  buf_byte(out, '.');
  buf_append(out, PQgetvalue(r, row, PLAIN_NAME),
             strlen(PQgetvalue(r, row, PLAIN_NAME)) + 1);
  return !out->failed;
}

int catalog_learn(type_map *m, const PGresult *r) {
  int row, next, n = PQntuples(r), rc = 0;
  buf key = {0};

  for (row = 0; row < n && rc == 0; row = next) {
    pg_field *fields;
    type_def d;
    next = row + 1;
    while (next < n && oid_at(r, next, OID) == oid_at(r, row, OID)) next++;
    memset(&d, 0, sizeof d);
    d.oid = oid_at(r, row, OID);
    d.of = oid_at(r, row, OF);
    d.kind = kind_at(r, row);
    d.delim = *PQgetvalue(r, row, DELIM) ? *PQgetvalue(r, row, DELIM) : ',';
    d.name = PQgetvalue(r, row, NAME);
    /* A part that is missing: a range of a type that was just dropped. */
    if (strchr("admr", d.kind) && d.of == 0) d.kind = KIND_ABSENT;
    fields = base_alloc((size_t)(next - row) * sizeof *fields);
    if (fields == NULL || !write_key(&key, r, row)) rc = -ENOMEM;
    for (; rc == 0 && row < next; row++) {
      if (PQgetisnull(r, row, ATTRIBUTE)) continue;
      fields[d.nfields].name = PQgetvalue(r, row, ATTRIBUTE);
      fields[d.nfields].type = NULL;
      fields[d.nfields++].oid = oid_at(r, row, ITS_TYPE);
    }
    d.fields = fields;
    d.key = key.data;
    if (rc == 0) rc = type_map_put(m, &d);
    base_free(fields);
  }
  buf_fini(&key);
  return rc;
}
