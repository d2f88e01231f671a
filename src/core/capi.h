/*
** capi.h -- the table that neap.h declares, for those who look it up.
*/
#ifndef core_capi_h
#define core_capi_h

#include "core/rt.h"

/* The C coroutine that t awaits, or NULL. */
const neap_co *capi_awaited(const task *t);

void capi_open(lua_State *L, rt *r);

#endif
