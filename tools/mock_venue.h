/* mock_venue.h - a log that a node has stored, in place of the markets: its messages come again, at their pace, to whoever subscribes.
 *
 * What:    a node replays the log on the server's thread and keeps the books. What it takes of a product goes on to the product's subscribers as it was
 *          recorded; who joins gets the book as it is first. What it does not take (copies of redundant lines, updates of a book that is known to be
 *          wrong, answers to the recording node's own requests) goes to nobody; the snapshot that mends a book goes to all.
 * Pace:    the log's clock goes while somebody is subscribed, `speed` times as fast as it was recorded; 0: the fastest subscriber sets the pace.
 * End:     all are closed with 1000, and so is who comes later, after the last book; `hold`: the books stand still; `loop`: the log begins anew with the
 *          next who subscribes.
 * Damage:  is left out and told; books that it may concern are nobody's until their next snapshot.
 * Limits:  logs of books of levels, in the Exchange dialect.
 * Threads: one. */
#ifndef WB_TOOLS_MOCK_VENUE_H
#define WB_TOOLS_MOCK_VENUE_H

#include "tools/mock_server.h"

/* wb_mock_venue_open opens options.recording, makes its products (or those of the options, if given) and goes on to where it is to begin: reading up to there may
 * take a while. Returns 0 or a negative error; server->venue is to be closed in any case. */
int wb_mock_venue_open(wb_mock_server *server, wb_error *error);
void wb_mock_venue_close(wb_mock_venue *venue);

/* wb_mock_venue_play sends what is due and returns when it is to be called again (0: at once, UINT64_MAX: when there is room, or somebody
 * subscribes). */
uint64_t wb_mock_venue_play(wb_mock_server *server, uint64_t now_ns);

/* wb_mock_venue_snapshot sends a product's book, as the last message of the log left it; nothing where it had none yet, or is known to be wrong: its snapshot comes in
 * time. wb_mock_venue_greet sends the last trade and the last ticker, as far as
 * they are known, to who has just asked for these channels (bits of wants). */
void wb_mock_venue_snapshot(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client);
void wb_mock_venue_greet(wb_mock_client *client, uint32_t product, uint16_t channels);

/* wb_mock_venue_trouble returns what was wrong with the log, NULL if nothing has been met. */
const wb_error *wb_mock_venue_trouble(const wb_mock_venue *venue);

#endif
