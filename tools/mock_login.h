/* mock_login.h - who may log in to the mock exchange, and whether a login is right.
 *
 * Shape:   a file of accounts (docs/mock.md), read once; each login is checked as the exchange does, and counted by what was wrong with it. Independent of the
 *          node's io/login, but for io/tls_sign, which does the arithmetic. */
#ifndef WB_TOOLS_MOCK_LOGIN_H
#define WB_TOOLS_MOCK_LOGIN_H

#include <jansson.h>
#include <stdint.h>

#include "engine/base/error.h"

typedef struct wb_mock_login wb_mock_login;

/* wb_mock_login_open reads the accounts. ahead_s: how far the exchange's clock is ahead of this machine's. NULL with *error: WB_E_CONFIG, WB_E_MEMORY. */
wb_mock_login *wb_mock_login_open(const char *file, int64_t ahead_s, wb_error *error);
void wb_mock_login_close(wb_mock_login *login);

/* Both return NULL for a good login, else what the exchange says. utc_ns: now, by this machine's clock. wb_mock_login_fields looks at key, signature, passphrase
 * and timestamp of a subscribe message of the Exchange, wb_mock_login_jwt at the text of a token of Advanced Trade (NULL: there was none). */
const char *wb_mock_login_fields(wb_mock_login *login, const json_t *message, int64_t utc_ns);
const char *wb_mock_login_jwt(wb_mock_login *login, const char *jwt, int64_t utc_ns);

/* wb_mock_login_json makes the report's object: "accepted", and each thing that was wrong with its count. */
json_t *wb_mock_login_json(const wb_mock_login *login);

#endif
