#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/config.h"
#include "io/rest.h"
#include "tools/commands.h"

static const wb_option options[] = {
    {"listen", WB_OPTION_TEXT, "WIREBOOK_LISTEN", NULL, NULL, "ADDR:PORT", "where the node listens, as its --listen", false,
     false},
    {"listen-token-file", WB_OPTION_TEXT, "WIREBOOK_LISTEN_TOKEN_FILE", NULL, NULL, "FILE",
     "token of the node (or WIREBOOK_LISTEN_TOKEN)", false, false},
    {"tls", WB_OPTION_SWITCH, NULL, "false", NULL, NULL, "it listens with TLS; its certificate is not looked at", false, false},
    {"ready", WB_OPTION_SWITCH, NULL, "false", NULL, NULL, "whether all books are live, not only whether the node is alive",
     false, false},
    {"timeout", WB_OPTION_NUMBER, NULL, "2", NULL, "SECONDS", "an answer that takes longer is none", false, false},
};
enum { OPTIONS = sizeof options / sizeof *options, TOKEN_BYTES = 512 };

static int wrong(const wb_error *error) {
  fprintf(stderr, "wirebook health: %s\n", error->detail);
  return error->code == WB_E_CONFIG ? 2 : 1;
}

/* A node that listens everywhere listens on loopback, too. */
static int url_of(const wb_config *config, char *url, size_t size, wb_error *error) {
  const char *listen = wb_config_text(config, "listen"), *port = listen ? strrchr(listen, ':') : NULL;
  if (!port || port == listen || !port[1])
    return wb_error_set(error, WB_E_CONFIG, 0, "listen", "--listen ADDR:PORT says where the node listens");
  int host_bytes = (int)(port - listen);
  const char *host = listen;
  if (strncmp(listen, "0.0.0.0:", 8) == 0) host = "127.0.0.1", host_bytes = 9;
  if (strncmp(listen, "[::]:", 5) == 0) host = "[::1]", host_bytes = 5;
  int bytes = snprintf(url, size, "http%s://%.*s%s/%s", wb_config_switch(config, "tls") ? "s" : "", host_bytes, host, port,
                       wb_config_switch(config, "ready") ? "readyz" : "healthz");
  return bytes < (int)size ? 0 : wb_error_set(error, WB_E_CONFIG, 0, "listen", "--listen is too long");
}

/* NULL: none is known. */
static int token_of(const wb_config *config, char token[TOKEN_BYTES + 2], const char **known, wb_error *error) {
  const char *path = wb_config_text(config, "listen-token-file");
  *known = getenv("WIREBOOK_LISTEN_TOKEN");
  if (path) {
    FILE *file = fopen(path, "re");
    *known = file ? fgets(token, TOKEN_BYTES + 2, file) : NULL;
    if (file) fclose(file);
    if (!*known) return wb_error_set(error, WB_E_CONFIG, 0, "token", "there is no token in %s", path);
    token[strcspn(token, "\r\n")] = 0;
  }
  for (const char *at = *known; at && *at; at++)
    if (*at < '!' || *at > '~' || at - *known >= TOKEN_BYTES)
      return wb_error_set(error, WB_E_CONFIG, 0, "token", "a token is visible ASCII, %d characters at most", TOKEN_BYTES);
  return 0;
}

static int ask(const wb_config *config, wb_error *error) {
  char url[300], text[TOKEN_BYTES + 2];
  const char *token;
  if (url_of(config, url, sizeof url, error) != 0 || token_of(config, text, &token, error) != 0) return wrong(error);
  wb_rest_config rest = {.insecure = true,
                         .timeout_ns = (uint64_t)(wb_config_number(config, "timeout") * 1e9),
                         .max_bytes = 1 << 20,
                         .user_agent = "wirebook/" WB_VERSION,
                         .token = token};
  wb_rest_answer answer;
  if (wb_rest_get(&rest, url, &answer, error) != 0) return wrong(error);
  puts((const char *)answer.body);
  int code = answer.status == 200 ? 0 : 1;
  if (code) fprintf(stderr, "wirebook health: answered with %u\n", answer.status);
  wb_rest_free(&answer);
  return code;
}

int wb_cmd_health(int argc, char **argv) {
  wb_error error;
  wb_config *config = wb_config_load(options, OPTIONS, argc, argv, &error);
  if (!config) return wrong(&error);
  int code = 0;
  unsigned operands;
  char *const *operand = wb_config_operands(config, &operands);
  if (wb_config_help(config)) {
    puts("usage: wirebook health [OPTIONS]\n\nAsks the node that listens on this machine whether it is alive, and prints its "
         "answer.\n"
         "Exit code: 0 it is; 1 it is not, or does not answer; 2 wrong usage.\n");
    wb_config_usage(options, OPTIONS);
  } else if (operands) {
    fprintf(stderr, "wirebook health: '%s' is no option; --help lists all\n", operand[0]);
    code = 2;
  } else if (wb_config_check(config)) {
    wb_config_print(config);
  } else {
    code = ask(config, &error);
  }
  wb_config_free(config);
  return code;
}
