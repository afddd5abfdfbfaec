/* sim.h - the simulator: a whole node on one thread, everything around it made from one number. See docs/simulator.md.
 *
 * The node's own code runs unchanged: source, framing, journals, codec, books, recovery, sink, log reader. What it asks of the world is
 * answered here: io_uring and sockets (sim_wire.c), the resolver, random bytes and clocks (sim_wire.c), files (sim_disk.c), and the peer
 * (sim_exchange.c). sim_model.c says what has to come of it; sim_engine.c puts a node together; sim.c is the run and its command line. */
#ifndef WB_TESTS_SIM_SIM_H
#define WB_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/event.h"
#include "engine/stages/parse_stage.h"
#include "engine/stages/spill_stage.h"

enum {
  SIM_LINES_MAX = 2,
  SIM_PRODUCTS_MAX = 6,
  SIM_LEVELS_MAX = 4096,
  SIM_CHANGES_MAX = 32,
  SIM_BATCH_MAX = 4,
  SIM_MS = 1000000
};
#define SIM_S UINT64_C(1000000000)
#define SIM_DIR "/sim"

/* ---- faults: name in the summary, one in how many chances when a seed has it, whether a seed may have it */
#define SIM_FAULT_LIST(X)                                                                                                      \
  X(LOSS, "messages lost", 60)                                                                                                 \
  X(DUPLICATE, "messages sent twice", 50)                                                                                      \
  X(REORDER, "messages out of order", 60)                                                                                      \
  X(MALFORMED, "malformed messages", 60)                                                                                       \
  X(BINARY, "binary messages", 150)                                                                                            \
  X(CROSSED, "crossed books", 150)                                                                                             \
  X(NO_SNAPSHOT, "snapshots withheld", 8)                                                                                      \
  X(EARLY, "updates before the snapshot", 4)                                                                                   \
  X(REFUSED_PRODUCT, "subscriptions refused", 12)                                                                              \
  X(FRAGMENTED, "messages in fragments", 10)                                                                                   \
  X(CLOSE, "closes by the peer", 200)                                                                                          \
  X(VIOLATION, "protocol violations", 200)                                                                                     \
  X(OVERSIZE, "oversized messages", 250)                                                                                       \
  X(CONNECT_REFUSED, "connects refused", 4)                                                                                    \
  X(CONNECT_SILENT, "connects never answered", 8)                                                                              \
  X(RESOLVE, "names not resolved", 6)                                                                                          \
  X(UPGRADE, "upgrades refused or broken", 5)                                                                                  \
  X(RESET, "connections reset", 200)                                                                                           \
  X(HANG_UP, "connections cut without a close", 250)                                                                           \
  X(DELAY, "deliveries delayed", 15)                                                                                           \
  X(STALL, "silences of more than 10 s", 300)                                                                                  \
  X(SHORT_RECEIVE, "receives cut short", 3)                                                                                    \
  X(SHORT_SEND, "sends cut short", 3)                                                                                          \
  X(SEND_ERROR, "sends failed", 30)                                                                                            \
  X(SLOW_PARSER, "halts of parser and books", 300)                                                                             \
  X(SLOW_FLUSHER, "halts of the flusher", 300)                                                                                 \
  X(DISK_HALT, "halts of the disk beyond the spill", 300)                                                                      \
  X(PAUSE, "halts of the process", 500)                                                                                        \
  X(CLOCK_STEP, "steps of the wall clock", 300)                                                                                \
  X(SHORT_WRITE, "writes cut short", 4)                                                                                        \
  X(WRITE_ERROR, "writes failed", 20)                                                                                          \
  X(SYNC_ERROR, "syncs failed", 10)                                                                                            \
  X(OPEN_ERROR, "files not opened", 4)                                                                                         \
  X(SLOW_DISK, "disk operations delayed", 5)                                                                                   \
  X(NO_DIRECT, "direct writes refused", 6)                                                                                     \
  X(TORN, "writes torn or lost in a crash", 2)                                                                                 \
  X(KILLED, "processes killed", 1)                                                                                             \
  X(CRASHED, "machines crashed", 1)

typedef enum {
#define X(name, text, one_in) SIM_##name,
  SIM_FAULT_LIST(X)
#undef X
      SIM_FAULT_COUNT
} sim_fault_kind;

/* Bugs planted on purpose; each must be found. */
#define SIM_CANARY_LIST(X)                                                                                                     \
  X(NONE, "none")                                                                                                              \
  X(DELTA, "delta")           /* one change of an update is not applied */                                                     \
  X(RECORD, "record")         /* the flusher passes over one record */                                                         \
  X(DISCONNECT, "disconnect") /* the books are not told that the line is down */                                               \
  X(REJECT, "reject")         /* a malformed message leaves its book as it was */                                              \
  X(SYNC, "sync")             /* a sync says done without having been */                                                       \
  X(COMMAND, "command")       /* what the books ask of the line is never done */                                               \
  X(STORM, "storm")           /* a resynchronisation is asked for at every turn */                                             \
  X(WITNESS, "witness")       /* the books do not listen to tickers */                                                         \
  X(BYTE, "byte")             /* one byte of the journal changes after it was received */                                      \
  X(REPLAY, "replay")         /* one change of an update is not applied when the log is decoded again */                       \
  X(GAP, "gap")               /* a gap record leaves out the last record that was dropped */                                   \
  X(ARBITER, "arbiter")       /* every line counts as being in step with the book */
typedef enum {
#define X(name, text) SIM_CANARY_##name,
  SIM_CANARY_LIST(X)
#undef X
      SIM_CANARY_COUNT
} sim_canary;

/* ---- a book in the exchange's own units, plain sorted arrays, best first */
typedef struct sim_level {
  uint64_t price, size;
} sim_level;
typedef struct sim_book {
  uint32_t count[2];
  sim_level level[2][SIM_LEVELS_MAX];
} sim_book;
void sim_book_set(sim_book *book, unsigned side, uint64_t price, uint64_t size);
void sim_book_copy(sim_book *to, const sim_book *from);
uint64_t sim_book_hash(const sim_book *book);
bool sim_book_crossed(const sim_book *book);

/* ---- one thing that the peer said on a connection */
typedef enum {
  SIM_SAYS_NOTHING = 0, /* nothing for a book */
  SIM_SAYS_UPDATE,
  SIM_SAYS_SNAPSHOT,
  SIM_SAYS_LIST,      /* products that are not listed are not sent any more */
  SIM_SAYS_BROKEN,    /* the product named cannot be trusted any more */
  SIM_SAYS_BROKEN_ANY /* nor, perhaps, can any other */
} sim_says;

typedef struct sim_item {
  uint8_t kind;                    /* wb_frame_kind */
  uint8_t says;                    /* sim_says */
  uint8_t product;                 /* UINT8_MAX: all */
  uint8_t listed;                  /* LIST: a bit a product */
  bool nested, fragmented, counts; /* counts: the node must count it as rejected */
  bool
      tainted; /* the exchange lost, doubled or swapped a message of the product since its snapshot: only a witness can see that */
  bool disturbed;    /* the same, on this connection: a witness may say so */
  uint64_t truth;    /* hash of the exchange's book after it */
  uint64_t version;  /* of that book: how many updates it has had */
  size_t start, end; /* in the connection's stream */
  const uint8_t *bytes;
  uint32_t count, delta_count;
  const wb_delta *delta;
} sim_item;

/* ---- one TCP connection */
typedef struct sim_arrival {
  uint64_t at_ns;
  size_t end;
} sim_arrival;

typedef struct sim_conn {
  bool connected, closed; /* by the node */
  uint8_t line;
  uint16_t connection; /* the line's number for it */
  uint8_t *down, *up;  /* to the node, from it */
  size_t down_bytes, down_room, up_bytes, up_room;
  size_t given, given_counted; /* handed to the node; of that before it gave the connection up */
  sim_arrival *arrival;
  size_t arrivals, arrivals_room, arrived; /* arrived: index of the first that is not there yet */
  size_t cut_at;                           /* byte of the stream where it ends; SIZE_MAX: not yet */
  bool cut_reset;                          /* by a reset, or as if the peer had hung up */
  bool up_dead;
  uint64_t silent_until_ns;

  /* the exchange's side */
  bool upgraded, ended;
  size_t up_read;
  void *ws;
  struct {
    bool on, wanted;
    bool tainted, disturbed;
    uint64_t snapshot_ns;
    wb_delta *batch; /* of updates that are still to be sent as one; room for SIM_CHANGES_MAX times SIM_BATCH_MAX */
    uint32_t batched, batch_count;
    uint64_t batch_ns; /* time of the last of them */
  } sub[SIM_PRODUCTS_MAX];
  bool heartbeats; /* it subscribed to something */
  uint64_t beat_ns;
  sim_item *item;
  size_t items, items_room;
  struct {
    bool full;
    sim_item item;
  } held;

  /* the model's side */
  size_t item_next, covered;
  bool http_seen;
} sim_conn;

/* ---- the world of one seed */
typedef struct sim_config {
  unsigned products, lives, lines;
  bool alike;        /* a number is written in one way, so that both lines get the same bytes */
  bool batches;      /* the last line gets several updates in one message */
  uint32_t messages; /* of the exchange, over all lives */
  uint64_t interval_ns, latency_ns;
  uint32_t journal_bytes, turn_bytes, spill_bytes, frame_count, message_bytes_max, level_count_max, window_ticks;
  uint64_t crossed_ns, rotate_bytes;
  unsigned sync; /* wb_sync */
  uint64_t sync_ns, linger_ns;
  uint32_t chunk_bytes, direct_bytes;
  unsigned writes, drive; /* sim_drive */
  bool spins;
} sim_config;

typedef enum { SIM_DRIVE_INLINE = 0, SIM_DRIVE_RING, SIM_DRIVE_STEPS } sim_drive;

typedef struct sim_world {
  uint64_t seed, random;
  sim_config config;
  uint64_t now_ns;
  int64_t utc_offset_ns;
  bool faults_on, quiet;            /* quiet: the exchange's books do not move */
  uint32_t one_in[SIM_FAULT_COUNT]; /* 0: this seed has none */
  sim_canary canary;
  bool planted;
  bool verbose;
  uint64_t turn;
  unsigned life;

  sim_conn **conn; /* of this life, in order of connecting */
  size_t conns, conns_room;
  unsigned connects, line_connects[SIM_LINES_MAX];
  uint64_t messages_sent;
  bool lost_log; /* the node said that it lost a record */

  /* over all seeds */
  uint64_t fault[SIM_FAULT_COUNT], messages, records, gaps, lives, turns, checks, hash;
  uint64_t simulated_ns;
} sim_world;
extern sim_world sim;

uint64_t sim_draw(uint64_t below); /* 0..below-1 */
bool sim_chance(uint32_t one_in);
bool sim_fault(sim_fault_kind kind);           /* whether it happens now; counted */
sim_conn *sim_conn_of(unsigned line);          /* the last that it made; NULL: none */
void sim_mix(const void *bytes, size_t count); /* into the hash of the run */
void *sim_alloc(size_t bytes);                 /* zeroed, until the seed ends */
void *sim_grow(void *array, size_t used, size_t *room, size_t element);
void sim_fail(const char *property, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
void sim_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- sim_wire.c: what the node does to the world */
void sim_wire_reset(void);
void sim_wire_write(sim_conn *conn, const void *bytes, size_t count); /* the peer's */
void sim_wire_cut(sim_conn *conn, size_t at, bool reset);

/* ---- sim_disk.c */
void sim_disk_reset(void);
void sim_disk_alive(bool alive);   /* dead: nothing done to it has an effect any more */
void sim_disk_crash(bool machine); /* what is left of the files */
void sim_disk_durable(void (*each)(void *self, const uint8_t *bytes, size_t count), void *self); /* what syncs promised */
void sim_disk_store(const char *folder); /* files as they are now, to real ones */
int sim_disk_writev(int fd, const void *parts, unsigned count, uint64_t offset);
uint64_t sim_disk_sync_begin(int fd); /* what was written so far */
int sim_disk_sync_end(int fd, uint64_t begun);
bool sim_disk_is(int fd);

/* ---- sim_exchange.c */
void sim_exchange_reset(void);
void sim_exchange_pump(void);
void sim_exchange_heal(void);
const char *sim_product_id(unsigned product);
const sim_book *sim_truth(unsigned product);
uint64_t sim_truth_at(unsigned product, uint64_t version); /* its hash */
unsigned sim_price_decimals(unsigned product);
unsigned sim_size_decimals(unsigned product);

/* ---- sim_engine.c: the node's stages in memory. live: with books that command the line. */
typedef struct sim_engine {
  wb_products products;
  wb_host host;
  wb_frames ring[SIM_LINES_MAX + 1]; /* the lines', then the notes */
  wb_frames spilled[SIM_LINES_MAX + 1];
  wb_spill_stage spill; /* with spill_bytes */
  wb_ring commands, messages;
  wb_parse_stage parse;
  wb_book_stage book;
  wb_witness_config witness;
  wb_book_product *product;
  wb_arbiter arbiter;
  wb_view *views;
  wb_pool pool;
  void *arena;
  size_t arena_bytes;
} sim_engine;
sim_engine *sim_engine_open(bool live);
void sim_engine_close(sim_engine *engine);
/* sim_engine_step lets the parser and the books work. Returns the number up to which all frames have reached the books. */
uint64_t sim_engine_step(sim_engine *engine, void (*between)(sim_engine *engine, uint64_t number));
bool sim_engine_all_live(const sim_engine *engine);
/* What a line has of a product; with one line, the product's own state. */
const wb_recover *sim_engine_recover(const sim_engine *engine, unsigned product, unsigned line);

/* ---- sim_model.c: what has to come of the frames of one life */
typedef struct sim_record {
  wb_frame frame;
  const uint8_t *bytes;
  unsigned ring; /* of the engine */
} sim_record;
typedef struct sim_print {
  uint64_t number; /* all frames below have reached the books */
  uint64_t stage, product[SIM_PRODUCTS_MAX], counts[SIM_PRODUCTS_MAX], content[SIM_PRODUCTS_MAX];
  bool live[SIM_PRODUCTS_MAX];
} sim_print;
/* A record of the spill rings: its number, and up to which number it speaks for those that were dropped. */
typedef struct sim_spilled {
  uint64_t number, last;
} sim_spilled;
typedef struct sim_life {
  sim_record *record;
  size_t records, records_room;
  sim_print *print;
  size_t prints, prints_room;
  sim_spilled *spilled[SIM_LINES_MAX + 1];
  size_t spills[SIM_LINES_MAX + 1], spills_room[SIM_LINES_MAX + 1];
  uint64_t diverged[SIM_PRODUCTS_MAX]; /* from this number on a replay counts otherwise (a timer decided); UINT64_MAX: never */
  bool clean;
} sim_life;
extern sim_life sim_lives[];

void sim_model_reset(sim_engine *engine, sim_life *life);
void sim_model_collect(void);                        /* takes every published frame into the life's records */
void sim_model_check(uint64_t number, bool settled); /* all frames below number have reached the books */
void sim_model_equal_truth(void);                    /* everything delivered, nothing under way: books are the exchange's */
sim_print sim_print_of(const sim_engine *engine, uint64_t number);

#endif
