#include <string.h>

#include "engine/ring/atomic.h"
#include "engine/stages/book_stage.h"

static void whole_now(const wb_book_stage *stage, wb_book_whole *whole) {
  const wb_book_product *product = &stage->product[whole->product];
  wb_view_read(product->view, &whole->view);
  for (unsigned side = 0; side < 2; side++)
    whole->count[side] = wb_book_levels(product->book, (wb_side)side, whole->level + (size_t)side * whole->room, whole->room);
}

void wb_book_stage_capture_now(wb_book_stage *stage) {
  uint32_t depth = stage->config.depth;
  if (stage->whole) {
    whole_now(stage, stage->whole);
    return;
  }
  if (stage->config.level3) wb_level3_capture(stage->config.level3);
  if (stage->config.tape)
    memcpy(stage->config.tape + stage->config.products->capacity, stage->config.tape,
           stage->product_count * sizeof *stage->config.tape);
  for (uint32_t i = 0; i < stage->product_count; i++) {
    wb_view_read(stage->product[i].view, &stage->capture_view[i]);
    for (unsigned side = 0; side < 2; side++)
      stage->capture_count[2 * i + side] =
          wb_book_levels(stage->product[i].book, (wb_side)side, stage->capture + ((size_t)2 * i + side) * depth, depth);
  }
}

void wb_book_stage_capture_ask(wb_book_stage *stage) {
  wb_store_release(&stage->capture_asked, stage->capture_asked + 1); /* B2 */
}

bool wb_book_stage_capture_ready(const wb_book_stage *stage) {
  return wb_load_acquire(&stage->capture_done) == stage->capture_asked; /* B2 */
}
