#include "io/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock as the kernel has it (include/uapi/linux/landlock.h); the headers of a distribution know less than its kernels. */
enum { LANDLOCK_CREATE = 444, LANDLOCK_ADD = 445, LANDLOCK_RESTRICT = 446, ASK_ABI = 1, RULE_PATH = 1, RULE_PORT = 2 };
enum {
  FS_EXECUTE = 1 << 0,
  FS_WRITE_FILE = 1 << 1,
  FS_READ_FILE = 1 << 2,
  FS_READ_DIR = 1 << 3,
  FS_REMOVE_DIR = 1 << 4,
  FS_REMOVE_FILE = 1 << 5,
  FS_MAKE_DIR = 1 << 7,
  FS_MAKE_REG = 1 << 8,
  FS_REFER = 1 << 13,   /* ABI 2 */
  FS_TRUNCATE = 1 << 14 /* ABI 3 */
};
enum { FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE };
enum { NET_BIND_TCP = 1, NET_CONNECT_TCP = 2, SCOPE_ABSTRACT_UNIX = 1, SCOPE_SIGNAL = 2 };
/* Rights that each ABI adds: all up to making symbolic links, REFER, TRUNCATE, none, ioctl on devices. */
static const uint64_t FS_KNOWN[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};

typedef struct ruleset_attr {
  uint64_t handled_fs, handled_net, scoped;
} ruleset_attr;
typedef struct __attribute__((packed)) path_attr {
  uint64_t allowed;
  int32_t fd;
} path_attr;
typedef struct port_attr {
  uint64_t allowed, port;
} port_attr;

enum { INTERPRETERS_MAX = 4, PORT_DNS = 53 };

struct wb_confine {
  wb_confine_mode mode;
  bool has_command;
  unsigned rule_count, port_count;
  wb_confine_rule rule[WB_CONFINE_RULES_MAX];
  uint16_t port[WB_CONFINE_PORTS_MAX];
  wb_confine_status status;
};

const char *wb_confine_mode_name(wb_confine_mode mode) {
  static const char *const names[] = {"off", "try", "on"};
  return (unsigned)mode <= WB_CONFINE_ON ? names[mode] : "?";
}

const char *wb_confine_calls_name(wb_confine_calls calls) {
  static const char *const names[] = {"all", "logged", "listed", "denied"};
  return (unsigned)calls <= WB_CALLS_DENIED ? names[calls] : "?";
}

int wb_confine_landlock_abi(void) {
  long abi = syscall(LANDLOCK_CREATE, NULL, 0, ASK_ABI);
  return abi > 0 ? (int)abi : 0;
}

/* ------------------------------------------------------------------------------------------------ rules */

static int allow_path(wb_confine *c, unsigned may, const char *path, bool needed, wb_error *error) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) {
    if (!needed) return 0;
    return wb_error_set(error, WB_E_CONFIG, errno, "confine", "cannot confine to %.150s: %s", path, strerror(errno));
  }
  if (c->rule_count == WB_CONFINE_RULES_MAX) {
    close(fd);
    return wb_error_set(error, WB_E_LIMIT, 0, "confine", "more than %d paths to confine to", WB_CONFINE_RULES_MAX);
  }
  wb_confine_rule *rule = &c->rule[c->rule_count++];
  *rule = (wb_confine_rule){.may = may, .fd = fd};
  char whole[PATH_MAX];
  snprintf(rule->path, sizeof rule->path, "%.255s", realpath(path, whole) ? whole : path);
  return 0;
}

static int allow_port(wb_confine *c, unsigned port, wb_error *error) {
  for (unsigned i = 0; i < c->port_count; i++)
    if (c->port[i] == port) return 0;
  if (c->port_count == WB_CONFINE_PORTS_MAX)
    return wb_error_set(error, WB_E_LIMIT, 0, "confine", "more than %d ports to confine to", WB_CONFINE_PORTS_MAX);
  c->port[c->port_count++] = (uint16_t)port;
  return 0;
}

static int allow_parent(wb_confine *c, unsigned may, const char *path, bool needed, wb_error *error) {
  const char *slash = strrchr(path, '/');
  char parent[PATH_MAX];
  snprintf(parent, sizeof parent, "%.*s", !slash ? 1 : slash == path ? 1 : (int)(slash - path), slash ? path : ".");
  return allow_path(c, may, parent, needed, error);
}

static int allow_text(wb_confine *c, const char *text, wb_error *error) {
  static const struct {
    const char *name;
    unsigned may;
  } kinds[] = {{"read:", WB_CONFINE_READ}, {"write:", WB_CONFINE_WRITE}, {"exec:", WB_CONFINE_EXEC}};
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t bytes = strlen(kinds[i].name);
    if (strncmp(text, kinds[i].name, bytes) == 0 && text[bytes]) return allow_path(c, kinds[i].may, text + bytes, true, error);
  }
  if (strncmp(text, "port:", 5) == 0 && text[5] >= '1' && text[5] <= '9') {
    char *end;
    unsigned long port = strtoul(text + 5, &end, 10);
    if (!*end && port <= 65535) return allow_port(c, (unsigned)port, error);
  }
  return wb_error_set(error, WB_E_CONFIG, 0, "confine", "'%.100s' is not read:PATH, write:PATH, exec:PATH or port:N", text);
}

/* Makes a folder and those above it, durably. */
static int make_folder(const char *path, wb_error *error) {
  char name[PATH_MAX];
  if (snprintf(name, sizeof name, "%s", path) >= (int)sizeof name)
    return wb_error_set(error, WB_E_LIMIT, ENAMETOOLONG, "confine", "%.100s...: too long", path);
  for (char *at = name + 1;; at++) {
    if (*at != '/' && *at) continue;
    char was = *at;
    *at = 0;
    if (mkdir(name, 0755) == 0) {
      char *slash = strrchr(name, '/');
      if (slash) *slash = 0;
      int above = open(!slash ? "." : slash == name ? "/" : name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (slash) *slash = '/';
      if (above >= 0) {
        fsync(above);
        close(above);
      }
    } else if (errno != EEXIST && access(name, F_OK) != 0) {
      return wb_error_set(error, WB_E_SYSTEM, errno, "confine", "cannot make %.150s: %s", name, strerror(errno));
    }
    *at = was;
    if (!was) return 0;
  }
}

/* ------------------------------------------------------------------------------------------------ the command */

/* The first word, by the rules of io/hook.h. */
static void first_word(const char *from, char *word, size_t size) {
  size_t used = 0;
  char quote = 0;
  while (*from == ' ' || *from == '\t' || *from == '\n') from++;
  for (; *from && (quote || !(*from == ' ' || *from == '\t' || *from == '\n')) && used + 1 < size; from++) {
    if (*from == quote && quote) quote = 0;
    else if (!quote && (*from == '\'' || *from == '"')) quote = *from;
    else if (*from == '\\' && from[1] && (!quote || (quote == '"' && (from[1] == '"' || from[1] == '\\'))))
      word[used++] = *++from;
    else word[used++] = *from;
  }
  word[used] = 0;
}

static bool runnable(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISREG(about.st_mode) && access(path, X_OK) == 0;
}

/* As execvp looks for it. */
static bool find_program(const char *name, char path[PATH_MAX]) {
  if (!*name) return false;
  if (strchr(name, '/')) return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && runnable(path);
  const char *place = getenv("PATH");
  if (!place) place = "/bin:/usr/bin";
  for (;; place++) {
    int bytes = (int)strcspn(place, ":");
    if (snprintf(path, PATH_MAX, "%.*s%s%s", bytes, place, bytes ? "/" : "", name) < PATH_MAX && runnable(path)) return true;
    place += bytes;
    if (!*place) return false;
  }
}

/* Reads what the kernel would start a program by: the loader an ELF file names, or the words behind "#!". */
static bool interpreter(const char *path, char name[PATH_MAX], char rest[PATH_MAX]) {
  char head[PATH_MAX] = "";
  *name = *rest = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got = pread(fd, head, sizeof head - 1, 0);
  if (got > 2 && memcmp(head, "#!", 2) == 0) {
    head[strcspn(head, "\n")] = 0;
    const char *at = head + 2 + strspn(head + 2, " \t");
    size_t bytes = strcspn(at, " \t");
    snprintf(name, PATH_MAX, "%.*s", (int)bytes, at);
    snprintf(rest, PATH_MAX, "%s", at + bytes + strspn(at + bytes, " \t"));
  } else if (got >= (ssize_t)sizeof(Elf64_Ehdr) && memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] == ELFCLASS64) {
    Elf64_Ehdr file;
    memcpy(&file, head, sizeof file);
    for (unsigned i = 0; i < file.e_phnum && file.e_phentsize >= sizeof(Elf64_Phdr); i++) {
      Elf64_Phdr part;
      off_t at = (off_t)file.e_phoff + (off_t)i * file.e_phentsize;
      if (pread(fd, &part, sizeof part, at) != sizeof part) break;
      if (part.p_type != PT_INTERP || part.p_filesz < 2 || part.p_filesz > PATH_MAX) continue;
      if (pread(fd, name, part.p_filesz, (off_t)part.p_offset) != (ssize_t)part.p_filesz) *name = 0;
      name[part.p_filesz - 1] = 0;
      break;
    }
  }
  close(fd);
  return *name;
}

static int allow_program(wb_confine *c, const char *name, int depth, wb_error *error) {
  char path[PATH_MAX], next[PATH_MAX], rest[PATH_MAX];
  if (!find_program(name, path))
    return wb_error_set(error, WB_E_CONFIG, ENOENT, "confine", "there is no program '%.150s' to run", name);
  int result = allow_path(c, WB_CONFINE_EXEC, path, true, error);
  if (result != 0 || depth == INTERPRETERS_MAX || !interpreter(path, next, rest)) return result;
  result = allow_program(c, next, depth + 1, error);
  /* "#!/usr/bin/env python3" runs python3, too. */
  const char *slash = strrchr(next, '/');
  if (result == 0 && *rest && strcmp(slash ? slash + 1 : next, "env") == 0) {
    const char *word = rest;
    while (*word == '-') word += strcspn(word, " \t"), word += strspn(word, " \t");
    first_word(word, path, sizeof path);
    result = *path ? allow_program(c, path, depth + 1, error) : 0;
  }
  return result;
}

/* ------------------------------------------------------------------------------------------------ life */

static int make_rules(wb_confine *c, const wb_confine_config *config, wb_error *error) {
  static const char *const readable[] = {"/etc", "/usr", "/lib", "/lib64"};
  int result = 0;
  if (config->data_dir) {
    result = make_folder(config->data_dir, error);
    if (result == 0) result = allow_path(c, WB_CONFINE_WRITE, config->data_dir, true, error);
  }
  if (result == 0 && config->report_file && strcmp(config->report_file, "-") != 0)
    result = allow_parent(c, WB_CONFINE_WRITE, config->report_file, true, error);
  const char *given = getenv("SSL_CERT_FILE"), *ca_file = config->ca_file ? config->ca_file : given && *given ? given : NULL;
  if (result == 0 && ca_file) result = allow_path(c, WB_CONFINE_READ, ca_file, false, error);
  for (unsigned i = 0; result == 0 && i < sizeof readable / sizeof *readable; i++)
    result = allow_path(c, WB_CONFINE_READ, readable[i], false, error);
  /* The folder and not the file: who renews the file renames a new one over it. */
  char resolver[PATH_MAX];
  if (result == 0 && realpath("/etc/resolv.conf", resolver) && strncmp(resolver, "/etc/", 5) != 0)
    result = allow_parent(c, WB_CONFINE_READ, resolver, false, error);
  if (result == 0) result = allow_path(c, WB_CONFINE_WRITE, "/dev/null", false, error);
  if (result == 0) result = allow_path(c, WB_CONFINE_READ, "/dev/urandom", false, error);
  if (result == 0 && config->command) {
    char word[PATH_MAX];
    first_word(config->command, word, sizeof word);
    result = allow_program(c, word, 1, error);
  }
  for (unsigned i = 0; result == 0 && i < config->port_count; i++) result = allow_port(c, config->port[i], error);
  if (result == 0) result = allow_port(c, PORT_DNS, error);
  for (char *const *text = config->allow; result == 0 && text && *text; text++) result = allow_text(c, *text, error);
  return result;
}

static void drop_rules(wb_confine *c) {
  for (unsigned i = 0; i < c->rule_count; i++)
    if (c->rule[i].fd >= 0) {
      close(c->rule[i].fd);
      c->rule[i].fd = -1;
    }
}

wb_confine *wb_confine_open(const wb_confine_config *config, wb_error *error) {
  if (config->mode == WB_CONFINE_ON && !wb_confine_landlock_abi()) {
    wb_error_set(
        error, WB_E_UNSUPPORTED, errno, "confine",
        "the kernel has no Landlock: kernel parameter lsm=landlock,..., a container runtime that allows it, or mode try");
    return NULL;
  }
  if (config->mode == WB_CONFINE_ON && !wb_confine_calls_there()) {
    wb_error_set(error, WB_E_UNSUPPORTED, 0, "confine", "%s: or mode try",
                 wb_confine_calls_built() ? "the kernel takes no system call filter"
                                          : "the program was built without libseccomp");
    return NULL;
  }
  wb_confine *c = calloc(1, sizeof *c);
  if (!c) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "confine", "no memory");
    return NULL;
  }
  c->mode = c->status.mode = config->mode;
  c->has_command = config->command;
  if (c->mode != WB_CONFINE_OFF && make_rules(c, config, error) != 0) {
    wb_confine_close(c);
    return NULL;
  }
  return c;
}

void wb_confine_close(wb_confine *c) {
  if (!c) return;
  drop_rules(c);
  free(c);
}

static uint64_t rights_of(const wb_confine_rule *rule, uint64_t handled) {
  uint64_t rights = FS_READ_FILE | FS_READ_DIR;
  struct stat about;
  if (rule->may & WB_CONFINE_WRITE)
    rights |= FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_REFER;
  if (rule->may & WB_CONFINE_EXEC) rights |= FS_EXECUTE;
  if (fstat(rule->fd, &about) == 0 && !S_ISDIR(about.st_mode)) rights &= FS_OF_FILES;
  return rights & handled;
}

static int lacks(wb_confine *c, const char *what, int os_errno, wb_error *error) {
  if (c->mode == WB_CONFINE_ON)
    return wb_error_set(error, WB_E_SYSTEM, os_errno, "confine", "%s: %s", what, strerror(os_errno));
  size_t used = strlen(c->status.lacking);
  snprintf(c->status.lacking + used, sizeof c->status.lacking - used, "%s%s: %s", used ? "; " : "", what, strerror(os_errno));
  return 0;
}

int wb_confine_enter(wb_confine *c, wb_error *error) {
  if (c->mode == WB_CONFINE_OFF) return 0;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return lacks(c, "no_new_privs", errno, error);
  int abi = wb_confine_landlock_abi(), known = sizeof FS_KNOWN / sizeof *FS_KNOWN - 1;
  if (!abi) return lacks(c, "Landlock", errno, error);
  ruleset_attr set = {.handled_fs = FS_KNOWN[abi < known ? abi : known]};
  if (abi >= 4) set.handled_net = NET_BIND_TCP | NET_CONNECT_TCP;
  if (abi >= 6) set.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
  int rules = (int)syscall(LANDLOCK_CREATE, &set, sizeof set, 0);
  if (rules < 0) return lacks(c, "Landlock", errno, error);
  bool good = true;
  for (unsigned i = 0; good && i < c->rule_count; i++) {
    path_attr path = {.allowed = rights_of(&c->rule[i], set.handled_fs), .fd = c->rule[i].fd};
    good = syscall(LANDLOCK_ADD, rules, RULE_PATH, &path, 0) == 0;
  }
  for (unsigned i = 0; good && set.handled_net && i < c->port_count; i++) {
    port_attr port = {.allowed = NET_CONNECT_TCP, .port = c->port[i]};
    good = syscall(LANDLOCK_ADD, rules, RULE_PORT, &port, 0) == 0;
  }
  good = good && syscall(LANDLOCK_RESTRICT, rules, 0) == 0;
  int os_errno = errno;
  close(rules);
  if (!good) return lacks(c, "Landlock", os_errno, error);
  drop_rules(c);
  c->status.landlock_abi = abi;
  c->status.ports_held = set.handled_net;
  return 0;
}

int wb_confine_seal(wb_confine *c, wb_error *error) {
  if (c->mode == WB_CONFINE_OFF) return 0;
  wb_confine_calls calls = c->has_command ? WB_CALLS_DENIED : c->mode == WB_CONFINE_ON ? WB_CALLS_LISTED : WB_CALLS_LOGGED;
  wb_error why = {0};
  if (wb_confine_calls_load(calls, &why) != 0) return lacks(c, "system call filter", why.os_errno, error);
  c->status.calls = calls;
  return 0;
}

/* ------------------------------------------------------------------------------------------------ what it shows */

void wb_confine_status_read(const wb_confine *c, wb_confine_status *status) { *status = c->status; }

const wb_confine_rule *wb_confine_rules(const wb_confine *c, unsigned *count) {
  *count = c->rule_count;
  return c->rule;
}

const uint16_t *wb_confine_ports(const wb_confine *c, unsigned *count) {
  *count = c->port_count;
  return c->port;
}

const char *wb_confine_describe(const wb_confine *c, char *text, size_t size) {
  static const char *const calls[] = {"all", "not listed: logged by the kernel", "not listed: end the process",
                                      "all but those that administer a kernel"};
  size_t n = (size_t)snprintf(text, size, "confinement %s", wb_confine_mode_name(c->mode));
  if (c->mode == WB_CONFINE_OFF) return text;
  const wb_confine_status *s = &c->status;
  if (s->landlock_abi) {
    n += (size_t)snprintf(text + n, n < size ? size - n : 0, ": Landlock ABI %d, writes to", s->landlock_abi);
    for (unsigned i = 0; i < c->rule_count && n < size; i++)
      if (c->rule[i].may & WB_CONFINE_WRITE) n += (size_t)snprintf(text + n, size - n, " %s", c->rule[i].path);
    if (n < size) n += (size_t)snprintf(text + n, size - n, s->ports_held ? ", TCP to ports" : ", TCP to any port");
    for (unsigned i = 0; s->ports_held && i < c->port_count && n < size; i++)
      n += (size_t)snprintf(text + n, size - n, " %u", c->port[i]);
  } else {
    n += (size_t)snprintf(text + n, n < size ? size - n : 0, ": no Landlock");
  }
  if (n < size) n += (size_t)snprintf(text + n, size - n, "; system calls %s", calls[s->calls]);
  if (*s->lacking && n < size) snprintf(text + n, size - n, "; lacking %s", s->lacking);
  return text;
}
