/*
** stmt.c -- see stmt.h.
*/
#include "pg/stmt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

stmt *stmt_new(const char *sql, size_t len) {
  stmt *s = base_alloc(sizeof *s + len + 1);

  if (s == NULL) return NULL;
  memcpy(s->sql, sql, len);
  s->len = len;
  s->refs = 1;
  list_init(&s->followers);
  sql_scan(sql, len, &s->info);
  return s;
}

void stmt_ref(stmt *s) { s->refs++; }

void stmt_unref(stmt *s) {
  if (s == NULL || --s->refs > 0) return;
  base_free(s->params);
  base_free(s->takes);
  base_free(s->cols);
  base_free(s->names);
  base_free(s->on);
  base_free(s);
}

static char *join_names(const PGresult *r) {
  size_t size = 1, n;
  int i;
  char *all, *p;

  for (i = 0; i < PQnfields(r); i++) size += strlen(PQfname(r, i)) + 1;
  if ((p = all = base_alloc(size)) == NULL) return NULL;
  for (i = 0; i < PQnfields(r); i++, p += n) {
    n = strlen(PQfname(r, i)) + 1;
    memcpy(p, PQfname(r, i), n);
  }
  return all;
}

int stmt_learn(stmt *s, const PGresult *r) {
  int i, np = PQnparams(r), nc = PQnfields(r);
  pg_oid *params = base_alloc((size_t)(np + 1) * sizeof *params);
  const pg_type **takes = base_alloc((size_t)(np + 1) * sizeof *takes);
  column *cols = base_alloc((size_t)(nc + 1) * sizeof *cols);
  char *names = join_names(r);

  if (params == NULL || takes == NULL || cols == NULL || names == NULL) {
    base_free(params);
    base_free(takes);
    base_free(cols);
    base_free(names);
    return -ENOMEM;
  }
  base_free(s->params);
  base_free(s->takes);
  base_free(s->cols);
  base_free(s->names);
  s->params = params;
  s->takes = takes;
  s->cols = cols;
  s->names = names;
  s->nparams = np;
  s->ncols = nc;
  for (i = 0; i < np; i++) params[i] = PQparamtype(r, i);
  for (i = 0; i < nc; i++) cols[i].oid = PQftype(r, i);
  s->described = 1;
  s->typed = 0;
  return 0;
}

int stmt_resolve(stmt *s, type_map *m, buf *missing) {
  int i, rc, all = 1, binary = 1, records = 0;

  s->typed = 0;
  for (i = 0; i < s->nparams; i++) {
    if ((rc = type_map_find(m, s->params[i], &s->takes[i], missing)) < 0)
      return rc;
    all &= rc;
  }
  for (i = 0; i < s->ncols; i++) {
    column *c = &s->cols[i];
    if ((rc = type_map_find(m, c->oid, &c->type, missing)) < 0) return rc;
    all &= rc;
    if (rc == 0) continue;
    /* Binary only if every column can be read that way, for a statement has
    ** one format for all. */
    if (c->type->from_binary == NULL) binary = 0;
    records |= type_has_records(c->type);
  }
  if (!all) return 0;
  for (i = 0; i < s->ncols; i++) {
    column *c = &s->cols[i];
    c->decode = binary ? c->type->from_binary : c->type->from_text;
  }
  s->binary = (unsigned char)binary;
  s->records = (unsigned char)records;
  s->typed = m->generation;
  return 1;
}

static void *copy_of(const void *data, size_t size) {
  void *p = base_alloc(size + 1);

  if (p != NULL) memcpy(p, data, size);
  return p;
}

stmt *stmt_alias(const stmt *s, const char *sql, size_t len) {
  stmt *a = stmt_new(sql, len);
  const char *end = s->names;
  int i;

  if (a == NULL) return NULL;
  for (i = 0; i < s->ncols; i++) end += strlen(end) + 1;
  a->params = copy_of(s->params, (size_t)s->nparams * sizeof *s->params);
  a->takes = copy_of(s->takes, (size_t)s->nparams * sizeof *s->takes);
  a->cols = copy_of(s->cols, (size_t)s->ncols * sizeof *s->cols);
  a->names = copy_of(s->names, (size_t)(end - s->names));
  if (a->params == NULL || a->takes == NULL || a->cols == NULL ||
      a->names == NULL) {
    stmt_unref(a);
    return NULL;
  }
  a->nparams = s->nparams;
  a->ncols = s->ncols;
  a->binary = s->binary;
  a->typed = s->typed;
  a->records = s->records;
  a->described = 1;
  a->info.flags = SQL_PLANNED; /* its session is the driver's business */
  return a;
}

int stmt_differs(const stmt *s, const PGresult *r) {
  const char *name = s->names;
  int i, n = PQnfields(r);

  if (!s->described || n != s->ncols) return 1;
  for (i = 0; i < n; i++) {
    if (PQftype(r, i) != s->cols[i].oid || strcmp(name, PQfname(r, i)) != 0)
      return 1;
    name += strlen(name) + 1;
  }
  return 0;
}

void stmt_forget(stmt *s) {
  s->described = 0;
  s->generation++;
}

void stmt_took(stmt *s, int64_t ns) {
  if (ns < 1) ns = 1;
  s->ewma = s->ewma == 0 ? ns : s->ewma + (ns - s->ewma) / 8;
  if (s->ewma < 1) s->ewma = 1;
}

prepared *stmt_on(const stmt *s, int slot) {
  return slot < s->slots ? s->on[slot] : NULL;
}

prepared *stmt_enter(stmt *s, int slot, const char *prefix, unsigned serial) {
  prepared *p;

  if (slot >= s->slots) {
    int n = slot + 8, i;
    prepared **on = base_realloc(s->on, (size_t)n * sizeof *on);
    if (on == NULL) return NULL;
    for (i = s->slots; i < n; i++) on[i] = NULL;
    s->on = on;
    s->slots = n;
  }
  if ((p = base_alloc(sizeof *p)) == NULL) return NULL;
  p->of = s;
  p->generation = s->generation;
  snprintf(p->name, sizeof p->name, "neap_%s_%x", prefix, serial);
  stmt_ref(s);
  s->on[slot] = p;
  return p;
}

void stmt_leave(prepared *p, int slot) {
  stmt *s = p->of;

  node_remove(&p->link);
  if (slot < s->slots && s->on[slot] == p) s->on[slot] = NULL;
  base_free(p);
  stmt_unref(s);
}
