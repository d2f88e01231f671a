/*
** oom.c -- runs a Lua scenario again and again while memory runs out: from
** the first allocation on, from the second on, and so forth, until it gets
** through. Nothing may crash, hang or stay allocated.
**
** Two allocators are made to fail, Lua's and neap's own (base_alloc), and
** each sweep is done twice: a process for each point, and all points in one
** process, which shows what one Lua state leaves behind for the next.
**
**   oom [SCENARIO ...]         sweep all, or these
**   oom SCENARIO POINT [own]   one point of it, in this process
*/
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "check.h"

enum { HANG_S = 120, POINTS_MAX = 100000 };

/* As exit codes of a child they stand apart from those of a sanitizer. */
enum result { THROUGH, ABSORBED, RAISED, BROKEN };
enum { CODE = 100 };

typedef struct module {
  const char *path; /* below the build, for dlopen */
  void *handle;
  long before; /* blocks that an earlier run has left, told then */
  unsigned long (*fail_from)(unsigned long n);
  long (*live)(void);
} module;

/* What one run is about. */
typedef struct trial {
  const char *scenario;
  int own;            /* neap's allocator fails, not Lua's */
  unsigned long from; /* the first allocation to be refused */
  unsigned long left; /* Lua's countdown, as base.c has it */
  unsigned long refused;
  long live;
  char error[200];
} trial;

static module modules[] = {{.path = "neap/core.so"}, {.path = "neap/pg/core.so"}};
static const char *build;

static void *lua_memory(void *ud, void *p, size_t old, size_t size) {
  trial *t = ud;

  if (size == 0) {
    if (p != NULL) t->live--;
    free(p);
    return NULL;
  }
  if (t->left == 1 && (p == NULL || size > old)) { /* shrinking always works */
    t->refused++;
    return NULL;
  }
  if (t->left > 1) t->left--;
  if (p == NULL) t->live++;
  return realloc(p, size);
}

/* arm(): the scenario has loaded what it needs; from here it counts. */
static int l_arm(lua_State *L) {
  trial *t = lua_touserdata(L, lua_upvalueindex(1));

  if (t->own)
    for (size_t i = 0; i < countof(modules); i++) modules[i].fail_from(t->from);
  else
    t->left = t->from;
  return 0;
}

static int l_scenario(lua_State *L) {
  trial *t = lua_touserdata(L, 1);

  luaL_openlibs(L);
  lua_pushlightuserdata(L, t);
  lua_pushcclosure(L, l_arm, 1);
  lua_setglobal(L, "arm");
  if (luaL_loadfile(L, t->scenario) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

/* The message of an error; no allocation may fail any more. */
static void note_error(lua_State *L, trial *t) {
  const char *text = luaL_tolstring(L, -1, NULL);
  snprintf(t->error, sizeof t->error, "%s", text);
}

static int l_note(lua_State *L) {
  trial *t = lua_touserdata(L, 2);
  lua_settop(L, 1);
  note_error(L, t);
  return 0;
}

/* How lack of memory may look from above: said so, or a connection that could
** not go on was given up. */
static int honest(const trial *t) {
  return strstr(t->error, "memory") != NULL ||
         strstr(t->error, "connection_lost") != NULL;
}

static enum result run_once(trial *t) {
  lua_State *L = lua_newstate(lua_memory, t);
  int status;

  if (L == NULL) return BROKEN;
  lua_pushcfunction(L, l_scenario);
  lua_pushlightuserdata(L, t);
  alarm(HANG_S);
  status = lua_pcall(L, 1, 0, 0);
  t->left = 0; /* memory is back, to look at what happened */
  for (size_t i = 0; i < countof(modules); i++)
    if (modules[i].fail_from(0) == 1) t->refused++;
  if (status != LUA_OK) {
    lua_pushcfunction(L, l_note);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, t);
    lua_pcall(L, 2, 0, 0);
  }
  lua_close(L);
  alarm(0);
  if (t->live != 0) {
    printf("# %s from %lu: %ld of Lua's blocks are left\n", t->scenario,
           t->from, t->live);
    return BROKEN;
  }
  for (size_t i = 0; i < countof(modules); i++)
    if (modules[i].live() != modules[i].before) {
      printf("# %s from %lu: %ld blocks of %s are left\n", t->scenario,
             t->from, modules[i].live() - modules[i].before, modules[i].path);
      modules[i].before = modules[i].live();
      return BROKEN;
    }
  if (status == LUA_OK) return t->refused ? ABSORBED : THROUGH;
  if (t->refused == 0 || !honest(t)) {
    printf("# %s from %lu: raised: %s\n", t->scenario, t->from, t->error);
    return BROKEN;
  }
  return RAISED;
}

static enum result run_forked(trial *t) {
  int status;
  pid_t pid;

  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    enum result r = run_once(t);
    fflush(stdout);
    _exit(CODE + (int)r);
  }
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return BROKEN;
  if (WIFEXITED(status) && WEXITSTATUS(status) >= CODE &&
      WEXITSTATUS(status) <= CODE + (int)BROKEN)
    return (enum result)(WEXITSTATUS(status) - CODE);
  printf("# %s from %lu: ended by %s %d\n", t->scenario, t->from,
         WIFSIGNALED(status) ? "signal" : "status",
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return BROKEN;
}

static long number(const char *name) {
  const char *text = getenv(name);
  return text ? strtol(text, NULL, 10) : 1;
}

/* Which points: all, or only some when they, or a checker, make us slow. */
static unsigned long stride(void) {
  long slow = number("NEAP_SLOWDOWN"), n = number("NEAP_OOM_STRIDE");
  if (slow > 1) n *= slow + 3;
  return n > 1 ? (unsigned long)n : 1;
}

static struct {
  const char *scenario;
  int own, forked;
  unsigned long counts[BROKEN + 1];
} sweep;

static void run_sweep(void) {
  unsigned long step = stride();

  memset(sweep.counts, 0, sizeof sweep.counts);
  for (unsigned long n = 1; n < POINTS_MAX; n += step) {
    trial t = {.scenario = sweep.scenario, .own = sweep.own, .from = n};
    enum result r = sweep.forked ? run_forked(&t) : run_once(&t);
    sweep.counts[r]++;
    if (r == THROUGH) return;
    if (r == BROKEN && !CHECK(sweep.counts[BROKEN] < 5)) return; /* enough */
    CHECK(r != BROKEN);
  }
  CHECK(!"the scenario never got through");
}

static int load_modules(void) {
  char path[4096];

  for (size_t i = 0; i < countof(modules); i++) {
    module *m = &modules[i];
    snprintf(path, sizeof path, "%s/%s", build, m->path);
    /* Stays loaded: statics, if there were any, outlive a Lua state. */
    m->handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (m->handle == NULL) {
      printf("# %s\n", dlerror());
      return 0;
    }
    *(void **)&m->fail_from = dlsym(m->handle, "base_fail_from");
    *(void **)&m->live = dlsym(m->handle, "base_live");
    if (m->fail_from == NULL || m->live == NULL) {
      printf("# %s is not a hostile build\n", path);
      return 0;
    }
  }
  return 1;
}

static void found_modules(void) { CHECK(load_modules()); }

/* What a run without memory says on stderr ("could not be reported") is right
** there and noise here: it is kept, and shown where a sweep has failed. */
static FILE *hush(int *loud) {
  FILE *said = tmpfile();

  fflush(stderr);
  *loud = dup(STDERR_FILENO);
  if (said == NULL || *loud < 0 || dup2(fileno(said), STDERR_FILENO) < 0) {
    fprintf(stderr, "oom: cannot set stderr aside: %s\n", strerror(errno));
    exit(EXIT_FAILURE);
  }
  return said;
}

static void unhush(FILE *said, int loud, int show) {
  char line[1024];

  fflush(stderr);
  dup2(loud, STDERR_FILENO);
  close(loud);
  rewind(said);
  while (show && fgets(line, sizeof line, said) != NULL) fputs(line, stderr);
  fclose(said);
}

static void sweep_scenario(const char *scenario) {
  char sentence[300];
  FILE *said;
  int loud;

  sweep.scenario = scenario;
  /* Forking first, before a run of ours starts libuv's threads. */
  for (sweep.forked = 1; sweep.forked >= 0; sweep.forked--)
    for (sweep.own = 0; sweep.own < 2; sweep.own++) {
      /* The sentence is printed after the run: the counts are known then. */
      check_.bad = 0;
      said = hush(&loud);
      run_sweep();
      unhush(said, loud, check_.bad);
      snprintf(sentence, sizeof sentence,
               "oom: %s, %s memory, %s: %lu raised, %lu absorbed, %lu broken",
               strrchr(scenario, '/') ? strrchr(scenario, '/') + 1 : scenario,
               sweep.own ? "own" : "Lua's",
               sweep.forked ? "a process each" : "one process",
               sweep.counts[RAISED], sweep.counts[ABSORBED],
               sweep.counts[BROKEN]);
      check_case(sentence);
    }
}

int main(int argc, char **argv) {
  static const char *const usual[] = {
      "test/c/oom_load.lua", "test/c/oom_tasks.lua", "test/c/oom_scopes.lua",
      "test/c/oom_sync.lua", "test/c/oom_events.lua", "test/c/oom_values.lua",
      "test/c/oom_threads.lua", "test/c/oom_giveup.lua",
      "test/c/oom_service.lua", "test/c/oom_seeing.lua",
      "test/c/oom_flow.lua",
      "test/c/oom_emitter.lua"};
  static char place[4096], cpath[4200];
  char *end;

  /* BUILD/test/c/oom finds the modules in BUILD. */
  snprintf(place, sizeof place, "%s", argv[0]);
  for (int i = 0; i < 3; i++)
    if ((end = strrchr(place, '/')) != NULL) *end = '\0';
  build = place;
  snprintf(cpath, sizeof cpath, "%s/?.so;;", build);
  setenv("LUA_CPATH", cpath, 1);
  setenv("LUA_PATH", "lua/?.lua;lua/?/init.lua;;", 0); /* from the root */
  RUN(found_modules, "oom: the modules are built for it");
  if (check_.failed) return check_end();
  if (argc > 2 && strtoul(argv[2], NULL, 10) > 0) { /* one point, to look at */
    trial t = {.scenario = argv[1], .own = argc > 3};
    t.from = strtoul(argv[2], NULL, 10);
    CHECK(run_once(&t) != BROKEN);
    printf("# refused %lu, error: %s\n", t.refused, t.error);
    check_case("oom: one point");
  } else if (argc > 1)
    for (int i = 1; i < argc; i++) sweep_scenario(argv[i]);
  else
    for (size_t i = 0; i < countof(usual); i++) sweep_scenario(usual[i]);
  return check_end();
}
