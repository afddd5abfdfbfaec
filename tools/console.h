/* console.h - the live view of a node in a terminal, or plain lines where there is none. Cold, control thread. */
#ifndef WB_TOOLS_CONSOLE_H
#define WB_TOOLS_CONSOLE_H

#include "io/node_run.h"

typedef struct wb_console wb_console;

/* live: redraw in place (stdout is a terminal); otherwise a line a product at each interval. */
wb_console *wb_console_open(wb_node *node, bool live);

/* wb_console_draw shows what is there now. */
void wb_console_draw(wb_console *console);

/* wb_console_above writes a line of text above the view. */
void wb_console_above(wb_console *console, const char *text);

/* wb_console_summary writes the end of a run: what was received, stored, rejected, latencies, books. */
void wb_console_summary(wb_console *console);
void wb_console_close(wb_console *console);

/* wb_console_head and wb_console_row print the table of products, a line each without its end, to stdout; live: with colours. */
void wb_console_head(bool live);
void wb_console_row(bool live, const char *id, const wb_view_data *view, double rate, bool with_reason);

#endif
