/*
** alone.c -- preloaded after a sanitizer's runtime: takes LD_PRELOAD out of
** the environment, so that the children of this process do not inherit it;
** and keeps modules in memory, so that a leak that is found when Lua has
** closed them can still be told by name and line.
*/
#include <stdlib.h>

__attribute__((constructor)) static void leave_alone(void) {
  unsetenv("LD_PRELOAD");
}

int dlclose(void *handle);

__attribute__((visibility("default"))) int dlclose(void *handle) {
  (void)handle;
  return 0;
}
