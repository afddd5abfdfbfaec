/* report.h - the report of a node (JSON), its form promised in docs/operations.md. Cold, control thread. */
#ifndef WB_IO_REPORT_H
#define WB_IO_REPORT_H

#include "engine/base/decimal.h"
#include "io/node_run.h"

/* wb_report_write takes a capture of the node and writes the report to a file, complete or not at all (a temporary name, then a
 * rename; "-" is stdout). Returns 0 or a negative error with *error. */
int wb_report_write(wb_node *node, const char *path, wb_error *error);

/* wb_report_build takes a capture and gives the report as an object of jansson's; NULL with *error. wb_report_latency: that of a histogram. */
struct json_t *wb_report_build(wb_node *node, wb_error *error);
struct json_t *wb_report_latency(const wb_hist *hist);

/* wb_report_mid and wb_report_mid_average print a view's mid and mid average as exact decimals (an average whose decimal
 * expansion has no end is rounded half-even to 10 places, or to the product's own if those are more). "" where there is none.
 * text: WB_DECIMAL_TEXT_BYTES. */
void wb_report_mid(const wb_view_data *view, char *text);
void wb_report_mid_average(const wb_view_data *view, char *text);

#endif
