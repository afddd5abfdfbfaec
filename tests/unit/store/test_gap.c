#include "engine/store/gap.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static wb_gap some(void) {
  wb_gap gap = {.first = 7, .last = 9, .frames = 3, .bytes = 1234, .from_utc_ns = 1000, .to_utc_ns = 2000, .line_count = 2};
  gap.line[0].frames = 2;
  gap.line[0].bytes = 1200;
  gap.line[1].frames = 1;
  gap.line[1].bytes = 34;
  return gap;
}

static bool read_text(const char *text, uint64_t number, wb_gap *gap) {
  wb_frame frame = {.kind = WB_FRAME_GAP, .number = number, .bytes = (uint32_t)strlen(text)};
  return wb_gap_read(&frame, (const uint8_t *)text, gap);
}

Test(gap, is_printed_as_its_header_says) {
  char text[WB_GAP_TEXT_BYTES];
  wb_gap gap = some();
  size_t bytes = wb_gap_print(&gap, text);
  cr_expect_str_eq(text, "{\"event\":\"gap\",\"reason\":\"storage behind\",\"first\":7,\"last\":9,\"frames\":3,\"bytes\":1234,"
                         "\"from\":1000,\"to\":2000,\"lines\":[[2,1200],[1,34]]}");
  cr_expect_eq(bytes, strlen(text));
}

Test(gap, the_largest_numbers_of_all_lines_fit) {
  char text[WB_GAP_TEXT_BYTES];
  wb_gap gap = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, -1, -1, .line_count = WB_GAP_LINES_MAX};
  memset(gap.line, 0xff, sizeof gap.line);
  size_t bytes = wb_gap_print(&gap, text);
  cr_expect_lt(bytes, sizeof text);
  cr_expect_str_eq(text + bytes - 3, "]]}");
}

Test(gap, what_was_printed_is_read_back_but_for_the_lines) {
  char text[WB_GAP_TEXT_BYTES];
  wb_gap gap = some(), back;
  wb_gap_print(&gap, text);
  cr_assert(read_text(text, 7, &back));
  cr_expect(back.first == 7 && back.last == 9 && back.frames == 3 && back.bytes == 1234);
  cr_expect(back.from_utc_ns == 1000 && back.to_utc_ns == 2000 && back.line_count == 0);
}

Test(gap, cut_at_any_byte_before_its_last_number_it_is_refused) {
  char text[WB_GAP_TEXT_BYTES];
  wb_gap gap = some(), back;
  wb_gap_print(&gap, text);
  size_t needed = (size_t)(strstr(text, "\"to\":") - text) + 5;
  for (size_t bytes = 0; bytes <= needed; bytes++) {
    char *copy = strndup(text, bytes);
    cr_expect(!read_text(copy, 7, &back), "%zu bytes", bytes);
    free(copy);
  }
}

Test(gap, what_contradicts_itself_is_refused) {
  static const char *const texts[] = {
      "",
      "{\"event\":\"gap\"}",
      "{\"event\":\"gap\",\"reason\":\"else\",\"first\":7,\"last\":9,\"frames\":3,\"bytes\":1,\"from\":1,\"to\":2}",
      "{\"event\":\"gap\",\"reason\":\"storage behind\",\"first\":7,\"last\":6,\"frames\":0,\"bytes\":1,\"from\":1,\"to\":2}",
      "{\"event\":\"gap\",\"reason\":\"storage behind\",\"first\":7,\"last\":9,\"frames\":2,\"bytes\":1,\"from\":1,\"to\":2}",
      "{\"event\":\"gap\",\"reason\":\"storage behind\",\"first\":8,\"last\":9,\"frames\":2,\"bytes\":1,\"from\":1,\"to\":2}",
      "{\"event\":\"gap\",\"reason\":\"storage behind\",\"first\":7,\"last\":,\"frames\":3,\"bytes\":1,\"from\":1,\"to\":2}",
      "{\"event\":\"gap\",\"reason\":\"storage behind\",\"first\":7,\"last\":-9,\"frames\":3,\"bytes\":1,\"from\":1,\"to\":2}",
      "{\"event\":\"gap\",\"reason\":\"storage behind\",\"first\":7,\"last\":99999999999999999999,\"frames\":3,\"bytes\":1,"
      "\"from\":1,\"to\":2}"};
  wb_gap gap;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) cr_expect(!read_text(texts[i], 7, &gap), "%s", texts[i]);
}

Test(gap, another_kind_of_record_is_none) {
  char text[WB_GAP_TEXT_BYTES];
  wb_gap gap = some();
  wb_frame frame = {.kind = WB_FRAME_TEXT, .number = 7, .bytes = (uint32_t)wb_gap_print(&gap, text)};
  cr_expect(!wb_gap_read(&frame, (const uint8_t *)text, &gap));
}
