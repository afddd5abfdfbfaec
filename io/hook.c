#include "io/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TERM_MS = 1000, TURNS_MAX = 64 };
enum { RESTS, ASKED, DONE, ENDS };

/* What the hook's own thread is asked for; all but avoid under the lock. */
typedef struct starter {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool running;
  int state, output, failed;
  char *const *word;
  wb_cpu_list avoid;
} starter;

struct wb_hook {
  char *text;  /* the words, each ended by a NUL */
  char **word; /* NULL-terminated, one place more than words */
  unsigned words;
  bool has_place;
  pid_t pid; /* 0: none */
  int pidfd, output;
  wb_hook_end end;
  bool line_ended;
  starter starter;
};

extern char **environ;

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

/* Splits in place: the words are never longer than what they are made from. */
static bool split(wb_hook *hook) {
  char *from = hook->text, *to = hook->text;
  for (;;) {
    while (blank(*from)) from++;
    if (!*from) return hook->words > 0;
    hook->word[hook->words++] = to;
    char quote = 0;
    for (; *from && (quote || !blank(*from)); from++) {
      if (*from == quote && quote) quote = 0;
      else if (!quote && (*from == '\'' || *from == '"')) quote = *from;
      else if (*from == '\\' && from[1] && (!quote || (quote == '"' && (from[1] == '"' || from[1] == '\\')))) *to++ = *++from;
      else *to++ = *from;
    }
    if (quote) return false;
    bool more = *from;
    from += more;
    *to++ = 0;
    if (!more) return true;
  }
}

wb_hook *wb_hook_open(const char *command, wb_error *error) {
  wb_hook *hook = calloc(1, sizeof *hook);
  size_t bytes = strlen(command);
  if (hook) {
    hook->pidfd = hook->output = -1;
    pthread_mutex_init(&hook->starter.lock, NULL);
    pthread_cond_init(&hook->starter.changed, NULL);
    hook->text = strdup(command);
    hook->word = calloc(bytes / 2 + 3, sizeof *hook->word);
  }
  if (!hook || !hook->text || !hook->word) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "hook", "no memory");
    wb_hook_close(hook);
    return NULL;
  }
  if (!split(hook)) {
    wb_error_set(error, WB_E_CONFIG, 0, "hook", "'%s' is no command: %s", command,
                 hook->words ? "a quote is not closed" : "it is empty");
    wb_hook_close(hook);
    return NULL;
  }
  if (strchr(hook->word[0], '/') && access(hook->word[0], X_OK)) {
    wb_error_set(error, WB_E_CONFIG, errno, "hook", "cannot run %s: %s", hook->word[0], strerror(errno));
    wb_hook_close(hook);
    return NULL;
  }
  for (unsigned i = 0; i < hook->words; i++) hook->has_place |= strstr(hook->word[i], "{}") != NULL;
  return hook;
}

void wb_hook_close(wb_hook *hook) {
  if (!hook) return;
  wb_hook_kill(hook);
  wb_hook_thread_stop(hook);
  pthread_cond_destroy(&hook->starter.changed);
  pthread_mutex_destroy(&hook->starter.lock);
  free(hook->word);
  free(hook->text);
  free(hook);
}

/* A word with each {} replaced by the path. */
static char *filled(const char *word, const char *path) {
  size_t path_bytes = strlen(path), places = 0;
  for (const char *at = word; (at = strstr(at, "{}")); at += 2) places++;
  char *made = malloc(strlen(word) + places * path_bytes + 1), *to = made;
  if (!made) return NULL;
  for (const char *at; (at = strstr(word, "{}")); word = at + 2) {
    to = mempcpy(to, word, (size_t)(at - word));
    to = mempcpy(to, path, path_bytes);
  }
  strcpy(to, word);
  return made;
}

static int spawn(wb_hook *hook, char *const *word, int output) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int failed = posix_spawn_file_actions_init(&files);
  if (failed) return failed;
  failed = posix_spawnattr_init(&attributes);
  if (!failed) {
    failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (!failed) failed = posix_spawnp(&hook->pid, word[0], &files, &attributes, word, environ);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&files);
  if (failed) hook->pid = 0;
  return failed;
}

static void *starter_main(void *self) {
  wb_hook *hook = self;
  starter *s = &hook->starter;
  wb_cpu_name(pthread_self(), "wb-hook");
  wb_cpu_step_aside(&s->avoid, false);
  pthread_mutex_lock(&s->lock);
  for (;;) {
    while (s->state != ASKED && s->state != ENDS) pthread_cond_wait(&s->changed, &s->lock);
    if (s->state == ENDS) break;
    s->failed = spawn(hook, s->word, s->output);
    s->state = DONE;
    pthread_cond_broadcast(&s->changed);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

static int spawn_there(wb_hook *hook, char *const *word, int output) {
  starter *s = &hook->starter;
  pthread_mutex_lock(&s->lock);
  s->word = word;
  s->output = output;
  s->state = ASKED;
  pthread_cond_broadcast(&s->changed);
  while (s->state != DONE) pthread_cond_wait(&s->changed, &s->lock);
  s->state = RESTS;
  pthread_mutex_unlock(&s->lock);
  return s->failed;
}

int wb_hook_thread_start(wb_hook *hook, const wb_cpu_list *avoid, wb_error *error) {
  starter *s = &hook->starter;
  s->avoid = *avoid;
  s->state = RESTS;
  int failed = pthread_create(&s->thread, NULL, starter_main, hook);
  if (failed) return wb_error_set(error, WB_E_SYSTEM, failed, "hook", "cannot start a thread: %s", strerror(failed));
  s->running = true;
  return 0;
}

void wb_hook_thread_stop(wb_hook *hook) {
  starter *s = &hook->starter;
  if (!s->running) return;
  pthread_mutex_lock(&s->lock);
  s->state = ENDS;
  pthread_cond_broadcast(&s->changed);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  s->running = false;
}

int wb_hook_start(wb_hook *hook, const char *path, wb_error *error) {
  char **word = calloc(hook->words + 2, sizeof *word);
  bool good = word;
  for (unsigned i = 0; good && i < hook->words; i++) good = (word[i] = filled(hook->word[i], path));
  if (good && !hook->has_place) good = (word[hook->words] = strdup(path));
  int failed = good ? 0 : ENOMEM, pipes[2] = {-1, -1};
  if (!failed && pipe2(pipes, O_CLOEXEC)) failed = errno;
  if (!failed) {
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    failed = (hook->starter.running ? spawn_there : spawn)(hook, word, pipes[1]);
  }
  for (unsigned i = 0; word && i <= hook->words; i++) free(word[i]);
  free(word);
  if (pipes[1] >= 0) close(pipes[1]);
  if (failed) {
    if (pipes[0] >= 0) close(pipes[0]);
    return wb_error_set(error, WB_E_SYSTEM, failed, "hook", "cannot run %s: %s", hook->word[0], strerror(failed));
  }
  hook->output = pipes[0];
  hook->pidfd = pidfd_open(hook->pid, 0);
  hook->end = (wb_hook_end){0};
  hook->line_ended = false;
  return 0;
}

bool wb_hook_running(const wb_hook *hook) { return hook->pid; }

static void take_output(wb_hook *hook) {
  char text[4096];
  ssize_t got = 1;
  for (int turn = 0; turn < TURNS_MAX && hook->output >= 0 && (got = read(hook->output, text, sizeof text)) > 0; turn++)
    for (ssize_t i = 0; i < got; i++) {
      char c = text[i];
      size_t used = strlen(hook->end.line);
      if (c == '\n' || c == '\r') {
        hook->line_ended = true;
      } else if (c != ' ' || (used && !hook->line_ended)) {
        if (hook->line_ended) hook->end.line[used = 0] = 0;
        hook->line_ended = false;
        if (used + 1 < sizeof hook->end.line) {
          hook->end.line[used] = c >= ' ' && c <= '~' ? c : '?';
          hook->end.line[used + 1] = 0;
        }
      }
    }
  if (hook->output >= 0 && got <= 0 && (got == 0 || (errno != EAGAIN && errno != EINTR))) {
    close(hook->output);
    hook->output = -1;
  }
}

/* options: 0 waits. */
static bool reap(wb_hook *hook, int options) {
  int status;
  pid_t found;
  do found = waitpid(hook->pid, &status, options);
  while (found < 0 && errno == EINTR);
  if (!found) return false;
  take_output(hook);
  hook->end.status = found < 0 ? 127 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (hook->output >= 0) close(hook->output);
  if (hook->pidfd >= 0) close(hook->pidfd);
  hook->output = hook->pidfd = -1;
  hook->pid = 0;
  return true;
}

int wb_hook_poll(wb_hook *hook, wb_hook_end *end) {
  if (!hook->pid) return 0;
  take_output(hook);
  if (!reap(hook, WNOHANG)) return 0;
  *end = hook->end;
  return 1;
}

unsigned wb_hook_watch(const wb_hook *hook, struct pollfd *watch) {
  unsigned count = 0;
  if (hook->pid && hook->pidfd >= 0) watch[count++] = (struct pollfd){.fd = hook->pidfd, .events = POLLIN};
  if (hook->pid && hook->output >= 0) watch[count++] = (struct pollfd){.fd = hook->output, .events = POLLIN};
  return count;
}

void wb_hook_kill(wb_hook *hook) {
  if (!hook->pid) return;
  kill(-hook->pid, SIGTERM);
  struct pollfd ended = {.fd = hook->pidfd, .events = POLLIN};
  if (hook->pidfd < 0 || poll(&ended, 1, TERM_MS) <= 0) kill(-hook->pid, SIGKILL);
  reap(hook, 0);
}
