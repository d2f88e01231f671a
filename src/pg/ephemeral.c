/*
** ephemeral.c -- see ephemeral.h. Between us and the server stands a shell: it
** makes the cluster, starts postgres and holds a named pipe open for reading
** whose only writer we are. When we close it, or die in whatever way, the
** shell reads the end of it, stops postgres at once and removes everything.
*/
#include "pg/ephemeral.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "neap.h"

#define SERVER "neap.pg.server"
#define ARGS_MAX 64

typedef struct server {
  neap_body body;
  node link; /* the module's list */
  neap_loop *loop;
  neap_process process;
  neap_wait wait; /* who waits for its end */
  neap_timer timer;
  int pipe, running;
  char dir[64], data[80], log[80];
} server;

/* $1 directory, $2 where initdb and postgres are, the rest: for postgres. A
** failure leaves a mark and waits to be told, so that the log can be read. */
static const char script[] =
  /* Opened both ways first: for reading alone it would wait for a writer, and
  ** we may be gone already. */
  "d=$1 b=$2; shift 2; exec 4<>\"$d/alive\" 3<\"$d/alive\" 4>&-\n"
  "trap : INT HUP TERM\n"
  "if \"$b/initdb\" -D \"$d/data\" -A trust -U postgres -E UTF8 --locale=C "
  "--no-sync --no-instructions --wal-segsize=1 >>\"$d/log\" 2>&1; then\n"
  "  \"$b/postgres\" -D \"$d/data\" \"$@\" 3<&- >>\"$d/log\" 2>&1 &\n"
  "  pg=$!\n"
  "  ( read -r _ <&3\n" /* it ignores the signal until it has come up */
  "    while kill -QUIT $pg 2>/dev/null; do sleep 0.05; done ) & w=$!\n"
  "  while kill -0 $pg 2>/dev/null; do wait $pg; done\n"
  "  if kill $w 2>/dev/null; then : >\"$d/failed\"; read -r _ <&3; fi\n"
  "else\n"
  "  : >\"$d/failed\"; read -r _ <&3\n"
  "fi\n"
  "cd /; rm -rf \"$d\"\n";

static int io_fault(lua_State *L, int err, const char *what) {
  lua_pushfstring(L, "pg.ephemeral: %s: %s", what, neap_->error_text(-err));
  return neap_raise(L, "io", neap_->error_name(-err), lua_tostring(L, -1));
}

/* Where the server programs are. */

static int has_programs(const char *dir) {
  char path[512];

  snprintf(path, sizeof path, "%s/initdb", dir);
  if (access(path, X_OK) != 0) return 0;
  snprintf(path, sizeof path, "%s/postgres", dir);
  return access(path, X_OK) == 0;
}

/* Debian keeps versions side by side: the newest. */
static int find_versioned(char *out, size_t size) {
  DIR *d = opendir("/usr/lib/postgresql");
  struct dirent *e;
  double best = 0;
  char path[320];

  if (d == NULL) return 0;
  while ((e = readdir(d)) != NULL) {
    double v = strtod(e->d_name, NULL);
    snprintf(path, sizeof path, "/usr/lib/postgresql/%s/bin", e->d_name);
    if (v > best && has_programs(path)) {
      best = v;
      snprintf(out, size, "%s", path);
    }
  }
  closedir(d);
  return best > 0;
}

static int find_in_path(char *out, size_t size) {
  const char *p = getenv("PATH"), *end;

  for (; p != NULL && *p != '\0'; p = *end ? end + 1 : end) {
    end = strchr(p, ':');
    if (end == NULL) end = p + strlen(p);
    snprintf(out, size, "%.*s", (int)(end - p), p);
    if (has_programs(out)) return 1;
  }
  return 0;
}

static void find_programs(lua_State *L, const char *given, char *out,
                          size_t size) {
  if (given != NULL) {
    snprintf(out, size, "%s", given);
    if (has_programs(out)) return;
    lua_pushfstring(L, "pg.ephemeral: there is no initdb and postgres in %s",
                    given);
    neap_raise(L, "io", "ENOENT", lua_tostring(L, -1));
  }
  if (find_in_path(out, size) || find_versioned(out, size)) return;
  neap_raise(L, "io", "ENOENT",
             "pg.ephemeral: initdb and postgres were not found; install the "
             "PostgreSQL server, or name their directory in the option 'bin'");
}

/* Whose the server is: PostgreSQL refuses to run as root. */
static void find_user(lua_State *L, const char *name, long *uid, long *gid) {
  struct passwd *pw = NULL;

  *uid = *gid = -1;
  if (geteuid() != 0) return;
  if (name != NULL)
    pw = getpwnam(name);
  else if ((pw = getpwnam("postgres")) == NULL)
    pw = getpwnam("nobody");
  if (pw == NULL || pw->pw_uid == 0) {
    lua_pushfstring(L, "pg.ephemeral: as root the server needs another user "
                    "to run as, and '%s' is none", name ? name : "nobody");
    neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
  }
  *uid = (long)pw->pw_uid;
  *gid = (long)pw->pw_gid;
}

/* The directory and the pipe; 0 or an errno, then nothing is left. */
static int make_dir(server *s, long uid, long gid) {
  char path[80];
  int err;

  snprintf(s->dir, sizeof s->dir, "/tmp/neap-XXXXXX"); /* sockets need it short */
  if (mkdtemp(s->dir) == NULL) return errno;
  snprintf(path, sizeof path, "%s/alive", s->dir);
  snprintf(s->data, sizeof s->data, "%s/data", s->dir);
  snprintf(s->log, sizeof s->log, "%s/log", s->dir);
  if (mkfifo(path, 0600) != 0) {
    err = errno;
    goto remove_dir;
  }
  if (uid >= 0 && (chown(path, (uid_t)uid, (gid_t)gid) != 0 ||
                   chown(s->dir, (uid_t)uid, (gid_t)gid) != 0)) {
    err = errno;
    goto remove_pipe;
  }
  /* Both ways: opening it for writing alone would wait for the reader. */
  s->pipe = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (s->pipe >= 0) return 0;
  err = errno;

remove_pipe:
  unlink(path);
remove_dir:
  rmdir(s->dir);
  return err;
}

static void close_pipe(server *s) {
  if (s->pipe >= 0) close(s->pipe);
  s->pipe = -1;
}

static void server_fini(neap_body *b) {
  close_pipe(container_of(b, server, body));
}

static void on_exited(neap_process *p, int64_t status, int signal) {
  server *s = container_of(p, server, process);

  (void)status;
  (void)signal;
  s->running = 0;
  node_remove(&s->link);
  neap_wake(&s->wait, 0);
  neap_->body_unpin(&s->body);
}

static server *check(lua_State *L) {
  server **box = luaL_checkudata(L, 1, SERVER);

  luaL_argcheck(L, *box != NULL, 1, "the server was stopped");
  return *box;
}

/* The arguments of the shell, from opts.args (strings). */
static int spawn(lua_State *L, server *s, const char *bin, int with_setsid) {
  char *args[ARGS_MAX];
  int n = 0, i, extra = 0;

  if (with_setsid) args[n++] = (char *)"setsid"; /* Ctrl-C is for us, not for it */
  args[n++] = (char *)"sh";
  args[n++] = (char *)"-c";
  args[n++] = (char *)script;
  args[n++] = (char *)"neap-pg";
  args[n++] = s->dir;
  args[n++] = (char *)bin;
  if (lua_getfield(L, 1, "args") == LUA_TTABLE) extra = (int)lua_rawlen(L, -1);
  for (i = 1; i <= extra && n < ARGS_MAX - 1; i++) {
    lua_rawgeti(L, -1, i); /* the table keeps the string */
    args[n++] = (char *)lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  args[n] = NULL;
  s->process.file = args[0];
  s->process.args = args;
  s->process.cwd = s->dir;
  s->process.exited = on_exited;
  return neap_->process_start(s->loop, &s->process);
}

/* start{bin=, user=, args={...}} -> server; postgres gets the args and where
** to put its socket. Does not wait. */
static int l_start(lua_State *L) {
  list *servers = lua_touserdata(L, lua_upvalueindex(1));
  server **box, *s;
  char bin[320];
  const char *user;
  int err;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "bin");
  find_programs(L, lua_tostring(L, 2), bin, sizeof bin);
  lua_getfield(L, 1, "user");
  user = lua_tostring(L, 3);
  box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, SERVER);
  s = neap_->body_new(sizeof *s, server_fini);
  if (s == NULL) return luaL_error(L, "not enough memory");
  *box = s;
  s->pipe = -1;
  s->loop = neap_->loop(L);
  find_user(L, user, &s->process.uid, &s->process.gid);
  if ((err = make_dir(s, s->process.uid, s->process.gid)) != 0)
    return io_fault(L, err, "no directory could be made in /tmp");
  lua_getfield(L, 1, "args");
  if (lua_istable(L, -1)) {
    lua_pushliteral(L, "-k");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pushstring(L, s->dir);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  lua_pop(L, 1);
  err = spawn(L, s, bin, 1);
  if (err == -ENOENT) err = spawn(L, s, bin, 0);
  s->process.args = NULL;
  if (err < 0) {
    char path[80];
    close_pipe(s);
    snprintf(path, sizeof path, "%s/alive", s->dir);
    unlink(path);
    rmdir(s->dir);
    return io_fault(L, -err, "no shell could be started");
  }
  s->running = 1;
  list_append(servers, &s->link);
  neap_->body_pin(&s->body);
  return 1;
}

static int l_server_dir(lua_State *L) {
  lua_pushstring(L, check(L)->dir);
  return 1;
}

/* server:failed() -> the end of its log, or nil while all is well */
static int l_server_failed(lua_State *L) {
  server *s = check(L);
  char path[80], text[1024];
  size_t n = 0;
  FILE *f;

  snprintf(path, sizeof path, "%s/failed", s->dir);
  if (s->running && access(path, F_OK) != 0) return 0;
  if ((f = fopen(s->log, "r")) != NULL) {
    if (fseek(f, -(long)sizeof text, SEEK_END) != 0) rewind(f);
    n = fread(text, 1, sizeof text, f);
    fclose(f);
  }
  lua_pushlstring(L, text, n);
  return 1;
}

static void on_stop_time(neap_timer *t) {
  neap_wake(&container_of(t, server, timer)->wait, NEAP_ETIMEDOUT);
}

static const neap_op op_stop = {"server:stop", NULL};

static int k_stop(lua_State *L, int rc, lua_KContext ctx) {
  server *s = container_of((neap_wait *)ctx, server, wait);

  neap_->timer_stop(s->loop, &s->timer);
  lua_pushboolean(L, rc == 0);
  return 1;
}

/* server:stop([seconds]) -> is it gone? Tells the shell and waits for its end,
** where a task can wait, also in a task that is cancelled. */
static int l_server_stop(lua_State *L) {
  server *s = check(L);
  lua_Number limit = luaL_optnumber(L, 2, 10);

  close_pipe(s);
  if (!s->running || !lua_isyieldable(L) || !neap_->in_task(L) ||
      s->wait.who != NULL) {
    lua_pushboolean(L, !s->running);
    return 1;
  }
  s->wait.op = &op_stop;
  s->timer.fire = on_stop_time;
  s->timer.flags = NEAP_COUNTED;
  neap_->timer_start(s->loop, &s->timer,
                     neap_->now(s->loop) + (int64_t)(limit * 1e9));
  s->wait.flags = NEAP_COUNTED;
  return neap_park(L, &s->wait, k_stop);
}

static int l_server__gc(lua_State *L) {
  server **box = lua_touserdata(L, 1), *s = *box;

  *box = NULL;
  if (s == NULL) return 0;
  close_pipe(s);
  neap_->body_unpin(&s->body);
  return 0;
}

void ephemeral_fini(list *servers) {
  for (node *n; (n = list_shift(servers)) != NULL;) {
    server *s = container_of(n, server, link);
    neap_->timer_stop(s->loop, &s->timer);
    close_pipe(s);
    neap_->body_unpin(&s->body); /* the process's pin: it is not waited for */
  }
}

void ephemeral_open(lua_State *L, int module, list *servers) {
  static const luaL_Reg methods[] = {{"dir", l_server_dir},
                                     {"failed", l_server_failed},
                                     {"stop", l_server_stop},
                                     {NULL, NULL}};

  luaL_newmetatable(L, SERVER);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_server__gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushlightuserdata(L, servers);
  lua_pushcclosure(L, l_start, 1);
  lua_setfield(L, module, "start_server");
}
