#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/node_run.h"
#include "io/report.h"

static wb_products products;
static wb_error error;

static const char *recording(void) {
  static char path[64];
  strcpy(path, "/tmp/wb-node-XXXXXX");
  int fd = mkstemp(path);
  FILE *file = fdopen(fd, "w");
  fputs("{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"101\",\"2\"]],\"bids\":[[\"100\",\"1\"]]}\n", file);
  for (int i = 0; i < 1000; i++)
    fprintf(file, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100\",\"%d\"]],\"time\":\"\"}\n",
            i + 1);
  fclose(file);
  return path;
}

static wb_node_config config(char **path) {
  static _Alignas(64) char memory[4096];
  cr_assert_leq(wb_products_bytes(4), sizeof memory);
  wb_products_init(&products, memory, 4);
  wb_products_add(&products, "BTC-USD", 7);
  return (wb_node_config){.codec = wb_codec_find("coinbase-exchange"),
                          .products = &products,
                          .channels = wb_codec_find("coinbase-exchange")->channels,
                          .path = path,
                          .message_bytes_max = 1 << 20};
}

static void check_end(wb_node *node) {
  wb_view_data view;
  wb_view_read(wb_node_view(node, 0), &view);
  cr_assert_eq(view.updates, 1000u);
  cr_assert_eq(view.best_bid_size, UINT64_C(1000) * 100000000);
  wb_node_status status;
  wb_node_status_get(node, &status);
  cr_assert_eq(status.messages, 1001u);
  const wb_level *level;
  const uint32_t *count;
  const wb_view_data *views;
  cr_assert(wb_node_capture(node, &level, &count, &views));
  cr_assert_eq(count[0], 1u);
  cr_assert_eq(level[0].size, view.best_bid_size);
  cr_assert_eq(views[0].updates, 1000u);
}

Test(node, all_stages_can_be_polled_from_the_callers_own_thread) {
  char *path[] = {(char *)recording(), NULL};
  wb_node_config settings = config(path);
  wb_node *node = wb_node_open(&settings, &error);
  cr_assert_not_null(node, "%s", error.detail);
  long turns = 0;
  while (!wb_node_ended(node, &error)) {
    cr_assert_geq(wb_node_poll(node), 0);
    cr_assert_lt(++turns, 1000000);
  }
  cr_assert_eq(error.code, 0);
  check_end(node);
  cr_assert_eq(wb_node_finish(node, &error), 0);
  check_end(node);
  wb_node_close(node);
  unlink(path[0]);
}

static unsigned files(const char *dir, const char *ending) {
  char command[256];
  snprintf(command, sizeof command, "find %s -name '*%s' | wc -l", dir, ending);
  FILE *shown = popen(command, "r");
  unsigned count = 0;
  cr_assert_eq(fscanf(shown, "%u", &count), 1);
  pclose(shown);
  return count;
}

Test(node, the_segments_of_a_polled_node_are_archived_step_by_step) {
  char *path[] = {(char *)recording(), NULL}, dir[] = "/tmp/wb-node-XXXXXX";
  cr_assert(mkdtemp(dir));
  wb_node_config settings = config(path);
  settings.data_dir = dir;
  settings.rotate_bytes = 65536;
  settings.archive.level = 1;
  wb_node *node = wb_node_open(&settings, &error);
  cr_assert_not_null(node, "%s", error.detail);
  wb_node_status status;
  do {
    cr_assert_geq(wb_node_poll(node), 0);
    cr_assert_geq(wb_node_archive(node), 0);
    wb_node_status_get(node, &status);
  } while (!wb_node_ended(node, &error) || status.stored_frames < 1001);
  cr_assert_eq(wb_node_finish(node, &error), 0);
  cr_assert_geq(files(dir, ".wbseg.zst"), 2u);
  cr_assert_eq(files(dir, ".wbseg"), 0u, "what was sealed at the end, too");
  wb_node_status_get(node, &status);
  cr_assert(status.archive.compressed == files(dir, ".wbseg.zst") && status.archive.waiting == 0);
  wb_node_close(node);

  node = wb_node_open(&settings, &error);
  cr_assert_eq(wb_node_start(node, &error), 0);
  cr_assert_eq(wb_node_archive(node), WB_E_STATE);
  wb_node_close(node);
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", dir);
  cr_assert_eq(system(command), 0);
  unlink(path[0]);
}

Test(node, both_layouts_on_threads_of_their_own_come_to_the_same_end) {
  char *path[] = {(char *)recording(), NULL};
  for (int layout = WB_LAYOUT_FUSED; layout <= WB_LAYOUT_PIPELINED; layout++) {
    wb_node_config settings = config(path);
    settings.layout = (wb_layout)layout;
    settings.wait = WB_NODE_WAIT_YIELD;
    wb_node *node = wb_node_open(&settings, &error);
    cr_assert_not_null(node, "%s", error.detail);
    cr_assert_eq(wb_node_start(node, &error), 0, "%s", error.detail);
    while (!wb_node_ended(node, &error)) sched_yield();
    cr_assert_eq(wb_node_finish(node, &error), 0);
    check_end(node);
    wb_node_close(node);
  }
  unlink(path[0]);
}

Test(node, the_pipelined_layout_cannot_be_polled) {
  char *path[] = {(char *)recording(), NULL};
  wb_node_config settings = config(path);
  settings.layout = WB_LAYOUT_PIPELINED;
  wb_node *node = wb_node_open(&settings, &error);
  cr_assert_not_null(node);
  cr_assert_eq(wb_node_poll(node), WB_E_STATE);
  wb_node_close(node);
  unlink(path[0]);
}

Test(node, what_cannot_be_opened_is_told_and_everything_is_released) {
  char *missing[] = {"/nonexistent/recording", NULL};
  wb_node_config settings = config(missing);
  cr_assert_null(wb_node_open(&settings, &error));
  cr_assert_not_null(strstr(error.detail, "/nonexistent/recording"));
  char *path[] = {(char *)recording(), NULL};
  settings = config(path);
  settings.journal_bytes = 65536;
  cr_assert_null(wb_node_open(&settings, &error));
  cr_assert_eq(error.code, WB_E_LIMIT);
  settings = config(path);
  settings.cpu_count = 1;
  settings.layout = WB_LAYOUT_PIPELINED;
  cr_assert_null(wb_node_open(&settings, &error));
  cr_assert_eq(error.code, WB_E_CONFIG);
  settings = config(path);
  settings.line_count = 1;
  settings.url[0] = "http://127.0.0.1/";
  cr_assert_null(wb_node_open(&settings, &error));
  cr_assert_eq(error.code, WB_E_CONFIG);
  unlink(path[0]);
}

static void average(uint64_t bid, uint64_t ask, uint64_t held, unsigned decimals, unsigned __int128 sum, const char *mid,
                    const char *mean) {
  wb_view_data view = {.best_bid = bid,
                       .best_ask = ask,
                       .best_bid_size = 1,
                       .best_ask_size = 1,
                       .mid_held = held,
                       .mid2_sum_low = (uint64_t)sum,
                       .mid2_sum_high = (uint64_t)(sum >> 64),
                       .price_decimals = (uint8_t)decimals};
  char text[WB_DECIMAL_TEXT_BYTES];
  wb_report_mid(&view, text);
  cr_assert_str_eq(text, mid);
  wb_report_mid_average(&view, text);
  cr_assert_str_eq(text, mean);
}

Test(report, mids_are_exact_and_averages_without_end_are_rounded_half_even_to_ten_places) {
  average(4983253, 3058998, 1, 2, 8042251, "40211.255", "40211.255");
  average(1, 2, 3, 0, 10, "1.5", "1.6666666667");
  average(1, 2, 3, 2, 1000, "0.015", "1.6666666667");
  average(1, 2, 8, 8, 1, "0.000000015", "0.000000000625");
  average(2, 2, 10, 0, 40, "2", "2");
  average(1, 1, 3, 12, 1, "0.000000000001", "0"); /* a sixth of the last place */
  average(WB_QUANTITY_MAX, WB_QUANTITY_MAX, 1024, 18, (unsigned __int128)WB_QUANTITY_MAX * 2048, "4.611686018427387903",
          "4.611686018427387903");
}

Test(node, connections_that_do_not_divide_the_lines_are_refused) {
  wb_node_config settings = config(NULL);
  settings.line_count = 3;
  settings.connections = 2;
  for (unsigned i = 0; i < 3; i++) settings.url[i] = "ws://127.0.0.1:1/";
  cr_assert_null(wb_node_open(&settings, &error));
  cr_assert_eq(error.code, WB_E_INVALID);
}

Test(node, a_replay_takes_no_products) {
  char *path[] = {(char *)recording(), NULL};
  wb_node_config settings = config(path);
  settings.product_room = 3;
  wb_node *node = wb_node_open(&settings, &error);
  cr_assert_not_null(node, "%s", error.detail);
  cr_assert_eq(wb_node_product_add(node, "ETH-USD", 7, &products.product[0]), WB_E_STATE);
  cr_assert_eq(wb_node_product_remove(node, "BTC-USD", 7), WB_E_STATE);
  wb_node_close(node);
  unlink(path[0]);
}

Test(node, products_come_as_long_as_there_is_room_and_go_to_the_connection_with_the_fewest) {
  wb_node_config settings = config(NULL);
  settings.line_count = settings.connections = 2;
  settings.product_room = 2;
  for (unsigned i = 0; i < 2; i++) settings.url[i] = "ws://127.0.0.1:1/";
  wb_log *log = wb_log_open("/dev/null", WB_LOG_INFO, false, &error);
  settings.log = log;
  wb_node *node = wb_node_open(&settings, &error);
  cr_assert_not_null(node, "%s", error.detail);
  cr_assert_eq(products.capacity, 3u);
  const wb_product like = {.price_decimals = 2, .size_decimals = 9, .part = 77};
  cr_assert_eq(wb_node_product_add(node, "eth-usd", 7, &like), WB_E_SYNTAX);
  cr_assert_eq(wb_node_product_add(node, "", 0, &like), WB_E_LIMIT);
  cr_assert_eq(wb_node_product_remove(node, "ETH-USD", 7), WB_E_INVALID);
  cr_assert_eq(wb_node_product_add(node, "BTC-USD", 7, &like), 0);
  cr_assert_eq(wb_node_product_add(node, "ETH-USD", 7, &like), 1);
  cr_assert_eq(wb_node_product_add(node, "LTC-USD", 7, &like), 1);
  cr_assert_eq(wb_node_product_add(node, "SOL-USD", 7, &like), WB_E_FULL);
  cr_assert(products.product[1].part == 1 && products.product[2].part == 0);
  cr_assert(products.product[1].price_decimals == 2 && products.product[1].size_decimals == 9);
  cr_assert_eq(wb_node_product_remove(node, "ETH-USD", 7), 1);
  cr_assert_eq(wb_node_product_remove(node, "ETH-USD", 7), 0);
  cr_assert_eq(wb_node_product_add(node, "SOL-USD", 7, &like), WB_E_FULL, "an index is never given to another");
  cr_assert_eq(wb_node_product_add(node, "ETH-USD", 7, &like), 1);
  wb_node_status status;
  wb_node_status_get(node, &status);
  cr_assert(status.line[0].products == 2 && status.line[1].products == 1);
  cr_assert_str_eq(status.line[0].name, "A1");
  cr_assert_str_eq(status.line[1].name, "A2");
  wb_node_close(node);
  wb_log_close(log);
}
