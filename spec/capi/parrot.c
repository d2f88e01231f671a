/*
** parrot.c -- streams, as a stranger's module would use them: a server that
** says back what it hears, and a client. docs/capi.md shows the middle of it.
*/
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "neap.h"

NEAP_MODULE;

#define TALK "parrot.talk"
#define ROOM 4096 /* at least so much for each read */

#define outer(p, type, member)                                                \
  ((type *)(void *)((char *)(p)-offsetof(type, member)))

typedef struct talk {
  neap_body body; /* first */
  neap_co co;
  struct sockaddr_un address;
  neap_stream *door, *line; /* a server has both */
  char *data;
  size_t len, size;
} talk;

static void fini_talk(neap_body *body) {
  talk *t = outer(body, talk, body);

  neap_->stream_close(t->line);
  neap_->stream_close(t->door);
  free(t->data);
}

/* Await some more of what the other side says; 0 at its end. */
static int hear(talk *t) {
  if (t->size - t->len < ROOM) {
    char *data = realloc(t->data, 2 * t->size + ROOM);
    if (data == NULL) return NEAP_ENOMEM;
    t->data = data;
    t->size = 2 * t->size + ROOM;
  }
  return neap_->stream_read(&t->co, t->line, t->data + t->len,
                            t->size - t->len);
}

static int co_repeat(neap_co *co) {
  talk *t = outer(co, talk, co);
  const struct sockaddr *address = (const void *)&t->address;
  int rc;

  CO_BEGIN(co);
  t->door = neap_->stream_listen(co->loop, address, sizeof t->address, &rc);
  if (t->door == NULL) CO_RETURN(co, rc);
  CO_AWAIT(co, neap_->stream_accept(co, t->door, &t->line));
  if (co->rc < 0) CO_RETURN(co, co->rc);
  do {
    CO_AWAIT(co, hear(t));
    if (co->rc < 0) CO_RETURN(co, co->rc);
    t->len += (size_t)co->rc;
  } while (co->rc > 0);
  CO_AWAIT(co, neap_->stream_write(co, t->line, t->data, t->len));
  CO_END(co, co->rc);
}

static int co_ask(neap_co *co) {
  talk *t = outer(co, talk, co);

  CO_BEGIN(co);
  CO_AWAIT(co, neap_->stream_connect(co, &t->line, (const void *)&t->address,
                                     sizeof t->address));
  if (co->rc < 0) CO_RETURN(co, co->rc);
  CO_AWAIT(co, neap_->stream_write(co, t->line, t->data, t->len));
  if (co->rc < 0) CO_RETURN(co, co->rc);
  neap_->stream_shutdown(t->line);
  t->len = 0;
  do {
    CO_AWAIT(co, hear(t));
    if (co->rc < 0) CO_RETURN(co, co->rc);
    t->len += (size_t)co->rc;
  } while (co->rc > 0);
  CO_END(co, 0);
}

static void on_end(neap_co *co) {
  talk *t = outer(co, talk, co);

  neap_->stream_close(t->line);
  neap_->stream_close(t->door);
  t->line = t->door = NULL;
  neap_->body_unpin(&t->body);
}

static int l_box__gc(lua_State *L) {
  talk **box = lua_touserdata(L, 1), *t = *box;

  *box = NULL;
  if (t != NULL) neap_->body_unpin(&t->body);
  return 0;
}

static int k_talk(lua_State *L, int rc, lua_KContext ctx) {
  talk *t = outer((neap_co *)ctx, talk, co);

  if (rc < 0)
    return neap_raise(L, "io", neap_->error_name(rc), neap_->error_text(rc));
  lua_pushlstring(L, t->data, t->len);
  return 1;
}

/* A path at 1, and a text at 2 or nothing. The box is the first value of the
** call: it keeps the body while the call waits. */
static int begin(lua_State *L, const char *what, int (*step)(neap_co *)) {
  size_t len, n = 0;
  const char *path = luaL_checklstring(L, 1, &len);
  const char *text = luaL_optlstring(L, 2, "", &n);
  talk **box, *t;

  luaL_argcheck(L, len < sizeof t->address.sun_path, 1, "a shorter path");
  neap_enter(L, what);
  box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, TALK);
  *box = t = neap_->body_new(sizeof *t, fini_talk);
  if (t == NULL || (t->data = malloc(n + 1)) == NULL)
    return luaL_error(L, "not enough memory");
  memcpy(t->data, text, n);
  t->len = n;
  t->size = n + 1;
  t->address.sun_family = AF_UNIX;
  memcpy(t->address.sun_path, path, len);
  neap_->body_pin(&t->body);
  neap_->co_init(neap_->loop(L), &t->co, step, what);
  t->co.done = on_end;
  return neap_co_await(L, &t->co, k_talk);
}

/* parrot.repeat_once(path): waits; what the first visitor said, and heard. */
static int l_repeat(lua_State *L) {
  return begin(L, "parrot.repeat_once", co_repeat);
}

/* parrot.ask(path, text): waits; the answer. */
static int l_ask(lua_State *L) { return begin(L, "parrot.ask", co_ask); }

/* parrot.open(fd): what stream_open says of it, or nothing. */
static int l_open(lua_State *L) {
  int rc;
  neap_stream *s = neap_->stream_open(neap_->loop(L),
                                      (int)luaL_checkinteger(L, 1), &rc);

  if (s == NULL) return lua_pushstring(L, neap_->error_name(rc)), 1;
  neap_->stream_close(s);
  return 0;
}

/* ---- Two that want one line, and one that closes it ---------------------- */

typedef struct quarrel {
  neap_body body;
  neap_co co, other;
  neap_stream *line, *far;
  int rc[2];
  char byte;
} quarrel;

static int co_wait(neap_co *co) {
  quarrel *q = outer(co, quarrel, other);

  CO_BEGIN(co);
  CO_AWAIT(co, neap_->stream_read(co, q->line, &q->byte, 1));
  q->rc[0] = co->rc;
  CO_END(co, 0);
}

static int co_quarrel(neap_co *co) {
  quarrel *q = outer(co, quarrel, co);

  CO_BEGIN(co);
  neap_->co_init(co->loop, &q->other, co_wait, "other");
  neap_->co_start(&q->other);
  CO_AWAIT(co, neap_co_sleep(co, 1000000)); /* it waits now */
  CO_AWAIT(co, neap_->stream_read(co, q->line, &q->byte, 1));
  q->rc[1] = co->rc;
  neap_->stream_close(q->line);
  q->line = NULL;
  CO_AWAIT(co, neap_co_sleep(co, 1000000)); /* it has heard of it */
  CO_END(co, 0);
}

static void on_quarrel_end(neap_co *co) {
  quarrel *q = outer(co, quarrel, co);

  neap_->stream_close(q->line);
  neap_->stream_close(q->far);
  q->line = q->far = NULL;
  neap_->body_unpin(&q->body);
}

static void fini_quarrel(neap_body *body) {
  quarrel *q = outer(body, quarrel, body);

  neap_->stream_close(q->line);
  neap_->stream_close(q->far);
}

static int k_quarrel(lua_State *L, int rc, lua_KContext ctx) {
  quarrel *q = outer((neap_co *)ctx, quarrel, co);

  (void)rc;
  lua_pushboolean(L, q->rc[0] == NEAP_ECLOSED);
  lua_pushboolean(L, q->rc[1] == -EBUSY);
  return 2;
}

/* parrot.quarrel(): waits; whether the one that read heard of the close, and
** whether the other one was refused. */
static int l_quarrel(lua_State *L) {
  quarrel **box, *q;
  int fd[2], rc;

  neap_enter(L, "parrot.quarrel");
  box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, TALK);
  *box = q = neap_->body_new(sizeof *q, fini_quarrel);
  if (q == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
    return luaL_error(L, "no sockets");
  q->line = neap_->stream_open(neap_->loop(L), fd[0], &rc);
  q->far = neap_->stream_open(neap_->loop(L), fd[1], &rc);
  neap_->body_pin(&q->body);
  neap_->co_init(neap_->loop(L), &q->co, co_quarrel, "parrot.quarrel");
  q->co.done = on_quarrel_end;
  return neap_co_await(L, &q->co, k_quarrel);
}

NEAP_EXPORT int luaopen_parrot(lua_State *L);

int luaopen_parrot(lua_State *L) {
  static const luaL_Reg functions[] = {{"repeat_once", l_repeat},
                                       {"ask", l_ask},
                                       {"open", l_open},
                                       {"quarrel", l_quarrel},
                                       {NULL, NULL}};

  neap_import(L);
  luaL_newmetatable(L, TALK);
  lua_pushcfunction(L, l_box__gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
