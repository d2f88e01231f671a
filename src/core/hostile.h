/*
** hostile.h -- what hostile builds do to the core beside failing allocations:
** they collect garbage wherever it may be collected, and delay wakes. Only
** with a seed in the environment, NEAP_HOSTILE_SEED; the same seed does the
** same. In other builds there is nothing of it.
*/
#ifndef core_hostile_h
#define core_hostile_h

#include "core/rt.h"

#ifdef NEAP_HOSTILE
void hostile_begin(rt *r); /* a run begins */
void hostile_collect(lua_State *L, rt *r); /* where an allocation may be */
#else
#define hostile_begin(r) ((void)(r))
#define hostile_collect(L, r) ((void)(L), (void)(r))
#endif

#endif
