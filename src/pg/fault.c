/*
** fault.c -- see fault.h. Nothing a user passed as a parameter gets into a
** message of ours; what the server says in its own is its business.
*/
#include "pg/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set(lua_State *L, const char *key, const char *value) {
  if (value == NULL || *value == '\0') return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_true(lua_State *L, const char *key) {
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, key);
}

static void set_int(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

/* ORDER PG_FIELDS: as API.md names them. */
static const struct {
  int field;
  const char *key;
} fields[] = {
  {PG_DIAG_MESSAGE_DETAIL, "detail"},     {PG_DIAG_MESSAGE_HINT, "hint"},
  {PG_DIAG_CONTEXT, "where"},             {PG_DIAG_SCHEMA_NAME, "schema"},
  {PG_DIAG_TABLE_NAME, "table"},          {PG_DIAG_COLUMN_NAME, "column"},
  {PG_DIAG_DATATYPE_NAME, "datatype"},    {PG_DIAG_CONSTRAINT_NAME, "constraint"},
  {PG_DIAG_INTERNAL_QUERY, "internal_query"},
};

/* The whole transaction was undone, and running it again may succeed. */
static int is_transient(const char *code) {
  return strcmp(code, "40001") == 0 || strcmp(code, "40P01") == 0;
}

void fault_push_result(lua_State *L, const PGresult *r, const char *sql) {
  const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
  const char *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
  const char *kind = "pg";
  size_t i;

  if (code != NULL && strcmp(code, "25P02") == 0) kind = "transaction_aborted";
  if (text == NULL) text = PQresultErrorMessage(r);
  if (text == NULL || *text == '\0')
    text = PQresultStatus(r) == PGRES_PIPELINE_ABORTED
               ? "not executed: an earlier statement of the batch failed"
               : "the server reported an error without a text";
  neap_->fault_push(L, kind, code, text);
  set(L, "severity", severity);
  for (i = 0; i < countof(fields); i++)
    set(L, fields[i].key, PQresultErrorField(r, fields[i].field));
  if (position != NULL)
    set_int(L, "position", (lua_Integer)strtoll(position, NULL, 10));
  set(L, "sql", sql);
  if (code != NULL && is_transient(code)) set_true(L, "safe_to_retry");
}

void fault_push_connect(lua_State *L, const conn_error *e) {
  neap_->fault_push(L, e->kind[0] ? e->kind : "io",
                    e->code[0] ? e->code : NULL,
                    e->text[0] ? e->text : "could not connect");
  if (strcmp(e->kind, "pg") != 0 || strcmp(e->code, "57P03") == 0 ||
      strcmp(e->code, "53300") == 0)
    set_true(L, "safe_to_retry"); /* nothing was sent */
}

void fault_push_lost(lua_State *L, const conn_error *e, int sent) {
  lua_pushfstring(L, "the connection to the server was lost: %s", e->text);
  neap_->fault_push(L, "connection_lost", e->code[0] ? e->code : NULL,
                    lua_tostring(L, -1));
  lua_remove(L, -2);
  lua_pushboolean(L, sent);
  lua_setfield(L, -2, "sent");
  if (!sent) set_true(L, "safe_to_retry");
}

static int length_of(const list *l) {
  int n = 0;

  LIST_EACH(x, (list *)l) n++;
  return n;
}

void fault_push_pool_timeout(lua_State *L, const pool *p, int64_t limit_ns) {
  int idle = length_of(&p->idle), open = p->size - p->dialling;
  int leased = length_of(&p->leased);
  char text[640], within[48] = "is free";
  int n;

  if (limit_ns > 1)
    snprintf(within, sizeof within, "within %g s", (double)limit_ns / 1e9);
  n = snprintf(text, sizeof text,
               "no connection %s: %d of at most %d open, %d of them "
               "held, %d idle, %d connecting; %u waiting",
               within, open, p->cfg.max + p->cfg.overflow, leased, idle,
               p->dialling, p->nqueue + p->nclaims + p->nfollow);
  if (p->connect_error.kind[0] && p->dial_failures > 0)
    snprintf(text + n, sizeof text - (size_t)n, "; last connect error: %s",
             p->connect_error.text);
  neap_->fault_push(L, "pool_timeout", NULL, text);
  set_int(L, "size", open);
  set_int(L, "idle", idle);
  set_int(L, "in_use", open - idle);
  set_int(L, "connecting", p->dialling);
  set_int(L, "waiting", (lua_Integer)(p->nqueue + p->nclaims + p->nfollow));
  set_true(L, "safe_to_retry");
  if (p->connect_error.kind[0] && p->dial_failures > 0) {
    fault_push_connect(L, &p->connect_error);
    lua_setfield(L, -2, "cause");
  }
}

static void push_overloaded(lua_State *L, const pool *p) {
  unsigned waiting = p->nqueue + p->nclaims + p->nfollow;
  char text[400];

  snprintf(text, sizeof text,
           "the pool does not keep up, %u wait for one of %d connections: "
           "connections are held for long (work inside of a transaction that "
           "could be outside), statements are slower than usual, connections "
           "are not given back, or there is more to do than %d can", waiting,
           p->cfg.max + p->cfg.overflow, p->cfg.max + p->cfg.overflow);
  neap_->fault_push(L, "pool_overloaded", NULL, text);
  set_int(L, "waiting", (lua_Integer)waiting);
  set_true(L, "safe_to_retry");
}

static void push_closed(lua_State *L) {
  neap_->fault_push(L, "pool_closed", NULL, "the pool is closed");
}

/* Nothing of q can have had an effect. */
static int is_unsent(const query *q) {
  return q->phase == PHASE_DESCRIBE || q->sent_at == 0;
}

static void push_timeout(lua_State *L, const query *q) {
  neap_->fault_push(L, "query_timeout", NULL,
                    "the statement took longer than its timeout");
  if (is_unsent(q)) set_true(L, "safe_to_retry");
}

static void push_memory(lua_State *L) {
  neap_->fault_push(L, "io", "ENOMEM", "not enough memory");
}

static void push_unknown(lua_State *L, const conn_error *e) {
  neap_->fault_push(L, "commit_unknown", NULL,
                    "the connection broke while COMMIT was under way: the "
                    "transaction may have been committed or not");
  fault_push_lost(L, e, 1);
  lua_setfield(L, -2, "cause");
}

void fault_push_rc(lua_State *L, const query *q, int rc) {
  static const conn_error nothing = {"io", "", "it was closed"};
  const conn_error *e = q->conn ? &q->conn->error : &nothing;
  const char *sql = q->stmt ? q->stmt->sql : NULL;
  int in_commit = (q->flags & QF_COMMIT) && !is_unsent(q);

  if (in_commit && (rc == RC_LOST || rc == RC_CLOSED)) {
    push_unknown(L, e);
    return;
  }
  switch (rc) {
  case RC_STALE:
    neap_->fault_push(L, "stale_statement", NULL,
                      "the plan of a prepared statement is out of date and it "
                      "cannot be repeated inside of a transaction; run the "
                      "transaction again");
    set_true(L, "safe_to_retry");
    if (q->res != NULL) {
      fault_push_result(L, q->res, sql);
      lua_setfield(L, -2, "cause");
    }
    break;
  case RC_LOST:
    fault_push_lost(L, e, !is_unsent(q));
    break;
  case RC_TIMEOUT:
    push_timeout(L, q);
    break;
  case RC_POOL_TIMEOUT:
    fault_push_pool_timeout(L, q->pool, q->acquire_by - q->begun);
    break;
  case RC_OVERLOADED:
    push_overloaded(L, q->pool);
    break;
  case RC_CLOSED:
    push_closed(L);
    break;
  case RC_CONNECT:
    fault_push_connect(L, &q->pool->connect_error);
    break;
  case RC_COPY:
    neap_->fault_push(L, "invalid", NULL,
                      "COPY from stdin or to stdout cannot be run as a query; "
                      "use copy_in or copy_out");
    break;
  default:
    push_memory(L);
  }
  set(L, "sql", sql);
}

void fault_push_claim(lua_State *L, const lease *l, int rc) {
  switch (rc) {
  case RC_POOL_TIMEOUT:
    fault_push_pool_timeout(L, l->pool, l->limit_ns);
    break;
  case RC_OVERLOADED:
    push_overloaded(L, l->pool);
    break;
  case RC_CLOSED:
    push_closed(L);
    break;
  case RC_CONNECT:
    fault_push_connect(L, &l->pool->connect_error);
    break;
  default:
    push_memory(L);
  }
}
