/*
** l_trace.h -- telling echo and trace of a statement that is over.
*/
#ifndef pg_l_trace_h
#define pg_l_trace_h

#include "pg/handle.h"

/* q is over; fault: stack index of what is raised, or 0. The handle is at 1.
** Raises only for lack of memory. */
void trace_tell(lua_State *L, const query *q, int fault);

static inline int trace_is_on(const query *q) {
  return unlikely(q->asked_at != 0); /* it was on when q was made */
}

int l_pool_trace(lua_State *L);

#endif
