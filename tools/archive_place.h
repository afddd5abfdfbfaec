/* archive_place.h - where `wirebook archive` keeps what it makes: OUT/TABLE/product=ID/date=DAY/SEGMENT-part-NNNNN.parquet, and how far it is.
 *
 * Once:    a unit is made aside, its files are moved under their names, which depend on the unit alone, their folders synced, and then the cursor is replaced. Who is
 *          cut off in between makes the same files again.
 * One:     OUT is locked while it is open. What an earlier one left unfinished is taken away.
 * Threads: one. Waits for the disk. */
#ifndef WB_TOOLS_ARCHIVE_PLACE_H
#define WB_TOOLS_ARCHIVE_PLACE_H

#include "io/table.h"
#include "tools/archive_log.h"

typedef struct wb_archive_place {
  char *out, *home, *work; /* OUT, OUT/.archive, and where units are made below it */
  int lock;
} wb_archive_place;

/* wb_archive_place_open makes the folders. Returns 0, WB_E_STATE where another one has it open, WB_E_SYSTEM, WB_E_MEMORY; close in any case. */
int wb_archive_place_open(wb_archive_place *place, const char *out, wb_error *error);
void wb_archive_place_close(wb_archive_place *place);

/* wb_archive_cursor_read reads the cursor of that name; there is false where there is none. options: what it was made with; another one: WB_E_CONFIG, and WB_E_DAMAGED
 * where it is no cursor; WB_E_MEMORY. Close it in any case. write replaces it, synced: it is there then. */
int wb_archive_cursor_read(const wb_archive_place *place, const char *name, const char *options, wb_archive_cursor *cursor,
                           wb_error *error);
int wb_archive_cursor_write(const wb_archive_place *place, const char *name, const char *options, wb_archive_cursor *cursor,
                            wb_error *error);

/* wb_archive_place_publish moves the files that were made of a table to their places, synced; unit: what their names begin with. */
int wb_archive_place_publish(const wb_archive_place *place, wb_table_id table, const char *unit, wb_error *error);

#endif
