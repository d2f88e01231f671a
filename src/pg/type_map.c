/*
** type_map.c -- see type_map.h.
*/
#include "pg/type_map.h"

#include <errno.h>
#include <string.h>

#include <lauxlib.h>

#include "pg/type.h"

#define DEEP 64 /* types within types; the server has no circles */

typedef struct type_entry {
  pg_oid oid, of;
  unsigned generation; /* of the map when it was said */
  unsigned built;      /* ... and when `type` was found right */
  char kind, delim;
  char *name, *key;
  int nfields;
  pg_field *fields; /* their names are behind them */
  const pg_type *type;
  const pg_type *plain; /* the same without the codec */
  const codec *codec;
} type_entry;

typedef struct made_type {
  struct made_type *next;
  pg_type type;
  pg_more more;
  pg_field fields[]; /* then the names */
} made_type;

/* Where the spaces are, by the address of their map; it holds none of them. */
static const char spaces_key;

void type_map_init(type_map *m) {
  memset(m, 0, sizeof *m);
  m->generation = 1;
  m->more.map = m;
  m->record = *pg_type_of(2249);
  m->record.more = &m->more;
  m->records = *pg_type_of(2287);
  m->records.of = &m->record;
}

static void free_entry(type_entry *e) {
  base_free(e->name);
  base_free(e->key);
  base_free(e->fields);
  base_free(e);
}

void type_map_fini(type_map *m) {
  size_t i;

  for (i = 0; i < m->n; i++) free_entry(m->entries[i]);
  base_free(m->entries);
  for (made_type *t; (t = m->made) != NULL;) {
    m->made = t->next;
    base_free(t);
  }
  for (codec *c; (c = m->codecs) != NULL;) {
    m->codecs = c->next;
    base_free(c);
  }
  m->entries = NULL;
  m->n = m->cap = 0;
}

void type_map_open(lua_State *L, type_map *m) {
  lua_newtable(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &spaces_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &spaces_key);
  }
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, m);
  lua_pop(L, 1);
}

void type_map_push_space(lua_State *L, const type_map *m) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &spaces_key);
  lua_rawgetp(L, -1, m);
  lua_remove(L, -2);
}

void type_map_stale(type_map *m) {
  if (++m->generation == 0) m->generation = 1;
}

/* Entries. */

static size_t place_of(const type_map *m, pg_oid oid) {
  size_t low = 0, high = m->n;

  while (low < high) {
    size_t mid = (low + high) / 2;
    if (m->entries[mid]->oid < oid) low = mid + 1;
    else high = mid;
  }
  return low;
}

static type_entry *entry_of(const type_map *m, pg_oid oid) {
  size_t at = m->n > 0 ? place_of(m, oid) : 0;
  return at < m->n && m->entries[at]->oid == oid ? m->entries[at] : NULL;
}

static char *copy_string(const char *s) {
  size_t n = strlen(s) + 1;
  char *p = base_alloc(n);

  if (p != NULL) memcpy(p, s, n);
  return p;
}

/* Fields and, behind them, their names; into `to`, which has the room. */
static void copy_fields(pg_field *to, const pg_field *from, int n) {
  char *names = (char *)(to + n);
  int i;

  for (i = 0; i < n; i++) {
    size_t len = strlen(from[i].name) + 1;
    memcpy(names, from[i].name, len);
    to[i] = from[i];
    to[i].name = names;
    names += len;
  }
}

static size_t fields_size(const pg_field *fields, int n) {
  size_t size = (size_t)n * sizeof *fields;
  int i;

  for (i = 0; i < n; i++) size += strlen(fields[i].name) + 1;
  return size;
}

static type_entry *new_entry(type_map *m, pg_oid oid) {
  size_t at = place_of(m, oid);
  type_entry *e;

  if (m->n == m->cap) {
    size_t cap = m->cap ? 2 * m->cap : 16;
    type_entry **all = base_realloc(m->entries, cap * sizeof *all);
    if (all == NULL) return NULL;
    m->entries = all;
    m->cap = cap;
  }
  if ((e = base_alloc(sizeof *e)) == NULL) return NULL;
  e->oid = oid;
  memmove(m->entries + at + 1, m->entries + at,
          (m->n - at) * sizeof *m->entries);
  m->entries[at] = e;
  m->n++;
  return e;
}

int type_map_put(type_map *m, const type_def *d) {
  type_entry *e = entry_of(m, d->oid);
  char *name = copy_string(d->name), *key = copy_string(d->key);
  pg_field *fields = base_alloc(fields_size(d->fields, d->nfields) + 1);

  if (e == NULL && name != NULL && key != NULL && fields != NULL)
    e = new_entry(m, d->oid);
  if (e == NULL || name == NULL || key == NULL || fields == NULL) {
    base_free(name);
    base_free(key);
    base_free(fields);
    return -ENOMEM;
  }
  base_free(e->name);
  base_free(e->key);
  base_free(e->fields);
  copy_fields(fields, d->fields, d->nfields);
  e->name = name;
  e->key = key;
  e->fields = fields;
  e->nfields = d->nfields;
  e->of = d->of;
  e->kind = d->kind;
  e->delim = d->delim;
  e->generation = m->generation;
  e->built = 0;
  return 0;
}

/* Making types. */

/* Types of extensions that are worth knowing, by name. */
static const struct {
  const char *name;
  pg_type type;
} extensions[] = {
#define EXTENSION(name, codec, to_text, flat)                                 \
  {name, {0, 0, name, codec##_from_binary, codec##_from_text,                 \
          codec##_to_binary, to_text, flat, 0, NULL, NULL}}
  EXTENSION("citext", text, NULL, 0),
  EXTENSION("hstore", hstore, hstore_to_text, PG_FLAT),
  EXTENSION("ltree", jsonpath, NULL, 0), /* a version, then the text */
  EXTENSION("lquery", jsonpath, NULL, 0),
  EXTENSION("ltxtquery", jsonpath, NULL, 0),
  EXTENSION("vector", floats, floats_to_text, PG_FLAT),
#undef EXTENSION
};

/* What has no codec here: text, as the server writes and reads it. */
static void make_words(pg_type *t) {
  t->from_binary = NULL;
  t->from_text = text_from_text;
  t->to_binary = NULL;
  t->to_text = NULL;
}

static void make_base(pg_type *t, const char *name) {
  size_t i;

  make_words(t);
  for (i = 0; i < countof(extensions); i++)
    if (strcmp(extensions[i].name, name) == 0) *t = extensions[i].type;
}

#define CODEC_OF(t, codec)                                                    \
  ((t)->from_binary = codec##_from_binary,                                    \
   (t)->from_text = codec##_from_text, (t)->to_binary = codec##_to_binary)

/* A container has a binary form if what is in it has. */
static void limit(pg_type *t, const pg_type *part) {
  if (part->from_binary == NULL) t->from_binary = NULL;
  if (part->to_binary == NULL) t->to_binary = NULL;
}

static void make(pg_type *t, pg_more *more, const type_entry *e,
                 const pg_type *of) {
  int i;

  switch (e->kind) {
  case KIND_BUILT_IN: *t = *pg_type_of(e->oid); break;
  case KIND_DOMAIN:
    *t = *of;
    if (of->from_text == array_from_text) t->flat = PG_ALL_FLAT;
    break;
  case KIND_ENUM: CODEC_OF(t, text); break;
  case KIND_ARRAY:
    CODEC_OF(t, array);
    t->to_text = array_to_text;
    break;
  case KIND_RANGE:
    CODEC_OF(t, range);
    t->to_text = range_to_text;
    break;
  case KIND_MULTIRANGE:
    CODEC_OF(t, multirange);
    t->to_text = multirange_to_text;
    t->flat = PG_FLAT;
    break;
  case KIND_COMPOSITE:
    CODEC_OF(t, composite);
    t->to_text = composite_to_text;
    t->flat = PG_FLAT;
    for (i = 0; i < more->nfields; i++) limit(t, more->fields[i].type);
    break;
  case KIND_BASE: make_base(t, strchr(e->key, '.') + 1); break;
  default: make_words(t);
  }
  t->oid = e->oid;
  if (e->kind != KIND_BUILT_IN) t->name = e->name;
  if (of != NULL && e->kind != KIND_DOMAIN) {
    t->element = of->oid;
    t->of = of;
    limit(t, of);
  }
  if (e->delim != ',') t->delim = e->delim;
  if (t->more == NULL) t->more = more;
}

static int same_fields(const pg_field *a, const pg_field *b, int n) {
  int i;

  for (i = 0; i < n; i++)
    if (a[i].oid != b[i].oid || a[i].type != b[i].type ||
        strcmp(a[i].name, b[i].name) != 0)
      return 0;
  return 1;
}

/* Is the type that was made before the one that would be made now? */
static int still_right(const type_entry *e, const pg_type *t,
                       const pg_type *of) {
  const pg_type *was = e->plain;

  if (was == NULL || was->of != t->of || was->element != t->element ||
      was->from_binary != t->from_binary || was->from_text != t->from_text ||
      was->to_binary != t->to_binary || was->delim != t->delim ||
      strcmp(was->name, t->name) != 0)
    return 0;
  if (e->kind == KIND_DOMAIN && of->more != NULL && was->more != of->more)
    return 0;
  return e->kind != KIND_COMPOSITE ||
         (was->more->nfields == e->nfields &&
          same_fields(was->more->fields, e->fields, e->nfields));
}

static const codec *codec_for(const type_map *m, const char *key) {
  const codec *c;

  for (c = m->codecs; c != NULL; c = c->next)
    if (strcmp(c->key, key) == 0) return c;
  return NULL;
}

static made_type *new_type(type_map *m, const type_entry *e) {
  size_t room = fields_size(e->fields, e->nfields), len = strlen(e->name) + 1;
  made_type *t = base_alloc(sizeof *t + room + len);
  char *name;

  if (t == NULL) return NULL;
  copy_fields(t->fields, e->fields, e->nfields);
  name = (char *)t->fields + room;
  memcpy(name, e->name, len);
  t->type.name = name;
  t->more.map = m;
  t->more.nfields = e->nfields;
  t->more.fields = t->fields;
  t->next = m->made;
  m->made = t;
  return t;
}

static int finish(type_map *m, type_entry *e, const pg_type *of) {
  const codec *c = codec_for(m, e->key);
  const char *name;
  made_type *t, *base = NULL;
  pg_more probe = {m, e->nfields, e->fields, NULL, NULL};
  pg_type plain;

  memset(&plain, 0, sizeof plain);
  make(&plain, &probe, e, of);
  if (e->codec != c || !still_right(e, &plain, of)) {
    if ((t = new_type(m, e)) == NULL) return -ENOMEM;
    if (c != NULL && (base = new_type(m, e)) == NULL) return -ENOMEM;
    name = t->type.name;
    make(&t->type, &t->more, e, of);
    if (e->kind != KIND_BUILT_IN) t->type.name = name;
    if (c != NULL) {
      base->type = t->type;
      if (base->type.more == &t->more) base->type.more = &base->more;
      t->type.more = &t->more;
      t->more.codec = c;
      t->more.base = &base->type;
      codec_apply(&t->type, &base->type, c);
    }
    e->type = &t->type;
    e->plain = c != NULL ? &base->type : &t->type;
    e->codec = c;
  }
  e->built = m->generation;
  return 1;
}

static int find(type_map *m, pg_oid oid, const pg_type **type, buf *missing,
                int depth) {
  type_entry *e = entry_of(m, oid);
  const pg_type *of = NULL;
  int i, rc, all = 1;

  if (e == NULL && oid == m->record.oid) return *type = &m->record, 1;
  if (e == NULL && oid == m->records.oid) return *type = &m->records, 1;
  if (e == NULL && (*type = pg_type_of(oid)) != NULL) return 1;
  if (e == NULL ||
      (e->generation != m->generation && pg_type_of(oid) == NULL)) {
    if (missing != NULL) buf_printf(missing, "%u,", oid);
    return 0;
  }
  if (e->built != m->generation) {
    if (depth > DEEP) e->kind = KIND_ABSENT;
    if (e->of != 0 && e->kind != KIND_ABSENT) {
      rc = find(m, e->of, &of, missing, depth + 1);
      if (rc != 1) return rc;
    }
    for (i = 0; i < e->nfields; i++) {
      rc = find(m, e->fields[i].oid, &e->fields[i].type, missing, depth + 1);
      if (rc < 0) return rc;
      all &= rc;
    }
    if (!all) return 0;
    if ((rc = finish(m, e, of)) < 0) return rc;
  }
  *type = e->type;
  return 1;
}

int type_map_find(type_map *m, pg_oid oid, const pg_type **type, buf *missing) {
  return find(m, oid, type, missing, 0);
}

const pg_type *type_map_known(type_map *m, pg_oid oid) {
  const pg_type *type = NULL;
  return find(m, oid, &type, NULL, 0) == 1 ? type : NULL;
}

int type_map_codec(type_map *m, const char *key, int form, int decodes,
                   int encodes) {
  size_t len = strlen(key) + 1;
  codec *c = base_alloc(sizeof *c + len);

  if (c == NULL) return -ENOMEM;
  memcpy(c->key, key, len);
  c->number = ++m->ncodecs;
  c->form = (unsigned char)form;
  c->decodes = (unsigned char)decodes;
  c->encodes = (unsigned char)encodes;
  c->next = m->codecs; /* found before an earlier one */
  m->codecs = c;
  type_map_stale(m);
  return c->number;
}
