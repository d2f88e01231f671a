/*
** select.h -- one task that waits at several places at once: exactly one of
** them gives.
*/
#ifndef core_select_h
#define core_select_h

#include "core/rt.h"

/*
** One place. Its wait stands in the list of whatever is waited for, like that
** of a task; `who` is the choice instead of a task.
*/
typedef struct branch branch;

/* What a class offers to select: on_get, on_put, on_wait, on_done. The handle
** at `idx` of L holds the object. All of them plain C but for `ready`. */
typedef struct branch_kind {
  const char *name;
  /* Take it now if that needs no wait: pushes the results, returns how many,
  ** or -1. May raise. */
  int (*ready)(lua_State *L, void *object, int obj_idx, int item_idx);
  /* Stand in line, leave the line. */
  void (*enter)(void *object, neap_wait *w);
  void (*leave)(void *object, neap_wait *w);
  /* Woken with rc, the values handed over on top: push what is returned. */
  int (*result)(lua_State *L, void *object, int obj_idx, int rc, int nvalues);
} branch_kind;

/* Push a branch of the object at obj_idx, with an item (0: none). */
int select_push_branch(lua_State *L, rt *r, const branch_kind *kind,
                       int obj_idx, int item_idx);

extern const neap_op op_select;
/* For dump.c: push {{op=, object=}, ...} of a task that waits in select. */
void select_push_places(lua_State *L, const task *t);

/* For park.c. */
task *choice_task(neap_wait *w);
int choice_item(neap_wait *w);
/* w gives: the others leave their lines. The wait of the task itself. */
neap_wait *choice_made(neap_wait *w);

void select_open(lua_State *L, rt *r);

#endif
