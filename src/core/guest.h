/*
** guest.h -- a foreign event loop inside ours, known by its descriptor and a
** Lua function that turns it once (neap.luv).
*/
#ifndef core_guest_h
#define core_guest_h

#include "core/rt.h"

/* Called by run.c between draining and polling, never by libuv: the guest's
** callbacks are Lua. Turns the guest if it may have something to do. */
void guest_turn(lua_State *L, rt *r);
/* At the end of a run: a last turn, whatever there is, for handles that are
** closing (luv frees them with its state, closed or not). */
void guest_last_turn(lua_State *L, rt *r);
/* The run is over: the guest is not watched any more. */
void guest_stop(rt *r);

void guest_open(lua_State *L, rt *r);
/* After the loop has ended. */
void guest_fini(rt *r);

#endif
