/*
** alone.c -- preloaded after a sanitizer's runtime: takes LD_PRELOAD out of
** the environment, so that the children of this process do not inherit it.
*/
#include <stdlib.h>

__attribute__((constructor)) static void leave_alone(void) {
  unsetenv("LD_PRELOAD");
}
