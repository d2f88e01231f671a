/*
** l_listen.c -- see l_listen.h.
*/
#include "pg/l_listen.h"

#include "pg/fault.h"
#include "pg/notes.h"

static const char what[] = "db:listen";

static int abort_note(neap_wait *w) {
  (void)w; /* what comes is kept for the next one who asks */
  return 0;
}

static const neap_op op_note = {what, abort_note};

static int push(lua_State *L, lease *l) {
  note *n = list_empty(&l->notes)
              ? NULL : container_of(list_first(&l->notes), note, link);

  luaL_checkstack(L, 4, what);
  lua_pushstring(L, n->is->relname);
  lua_pushstring(L, n->is->extra);
  lua_pushinteger(L, n->is->be_pid);
  notes_free(notes_shift(l)); /* nothing raises from here on */
  return neap_finish(L, 3);
}

static int k_note(lua_State *L, int rc, lua_KContext ctx) {
  lease *l = container_of((neap_wait *)ctx, lease, note_wait);

  if (!list_empty(&l->notes)) return push(L, l);
  if (rc == 0) return neap_park(L, &l->note_wait, k_note);
  fault_push_lost(L, &l->error, 0);
  return neap_->fault_raise(L);
}

/* conn:_note() -> channel, payload, pid; waits for the next one. It must have
** been called once before LISTEN, with true: then it only begins to keep. */
static int l_conn_note(lua_State *L) {
  handle *h = handle_check(L);
  lease *l = h->lease;

  neap_enter(L, what);
  if (lua_toboolean(L, 2)) {
    handle_open(L, what);
    l->listening = 1;
    return 0;
  }
  if (!list_empty(&l->notes)) return push(L, l);
  handle_open(L, what);
  l->note_wait.op = &op_note;
  l->note_wait.flags = NEAP_COUNTED;
  return neap_park(L, &l->note_wait, k_note);
}

const luaL_Reg listen_methods[] = {{"_note", l_conn_note}, {NULL, NULL}};
