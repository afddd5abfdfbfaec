/* frame_kind.h - names of the kinds of raw records, as people and exported tables read them. */
#ifndef WB_IO_FRAME_KIND_H
#define WB_IO_FRAME_KIND_H

#include "engine/event.h"

/* By wb_frame_kind; NULL where there is no such kind. 0, "other", stands for those. */
enum { WB_FRAME_KINDS = 32 };
extern const char *const wb_frame_kind_names[WB_FRAME_KINDS];

static inline unsigned wb_frame_kind_known(unsigned kind) {
  return kind < WB_FRAME_KINDS && wb_frame_kind_names[kind] ? kind : 0;
}

#endif
