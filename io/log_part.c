#include "io/log_part.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* A record number of a run. Chunks of different lines lie either way round, so only numbers have an order. */
typedef struct place {
  unsigned run;
  uint64_t number;
} place;

/* What the head of a segment's index says. */
typedef struct summary {
  bool indexed, empty;
  unsigned run;
  uint64_t last_number;
  int64_t first_utc_ns, last_utc_ns;
} summary;

struct wb_log_part {
  wb_log_window window;
  summary *segment;
  size_t segments;
  place *start, least; /* of each product, the log's beginning if none was found; the first of them */
  bool *found;
  int *number; /* of each product, in the index at hand */
  uint64_t read_bytes;
};

static bool before(place a, place b) { return a.run < b.run || (a.run == b.run && a.number < b.number); }

static int load(wb_log_part *part, const wb_log_segment *segment, bool head_only, wb_log_index *index, wb_error *error) {
  int result = wb_log_index_load(segment, head_only, index, error);
  if (!result) part->read_bytes += index->file_bytes;
  return result;
}

static uint32_t products(const wb_log_part *part) { return part->window.products ? part->window.products->count : 0; }

static void find_numbers(wb_log_part *part, const wb_index *index) {
  for (uint32_t i = 0; i < products(part); i++) part->number[i] = wb_index_product(index, &part->window.products->product[i]);
}

/* No record in front of this place is of the window. */
static place find_limit(wb_log_part *part, wb_log_reader *reader) {
  place limit = {UINT_MAX, UINT64_MAX};
  for (size_t i = 0; i < part->segments; i++) {
    const summary *about = &part->segment[i];
    const wb_log_segment *segment = wb_log_reader_segment(reader, i);
    wb_log_index loaded;
    wb_error error;
    place first = {segment->run, segment->first_number};
    if (!before(first, limit)) break;
    if (about->indexed && (about->empty || about->last_utc_ns < part->window.from_utc_ns)) continue;
    if (!about->indexed || load(part, segment, false, &loaded, &error)) return first;
    for (uint32_t k = 0; k < loaded.index.head.stretch_count; k++) {
      wb_index_stretch s = wb_index_stretch_at(&loaded.index, k);
      place at = {segment->run, s.first_number};
      if (s.first_number <= s.last_number && s.last_utc_ns >= part->window.from_utc_ns && before(at, limit)) limit = at;
    }
    wb_log_index_drop(&loaded);
  }
  return limit;
}

/* Each product's start: a stretch with a snapshot, as late as there is one in front of the window. */
static void find_starts(wb_log_part *part, wb_log_reader *reader) {
  place limit = find_limit(part, reader);
  uint32_t left = products(part);
  for (size_t at = part->segments; at-- > 0 && left;) {
    const wb_log_segment *segment = wb_log_reader_segment(reader, at);
    wb_log_index loaded;
    wb_error error;
    if (!part->segment[at].indexed || !before((place){segment->run, segment->first_number}, limit)) continue;
    if (load(part, segment, false, &loaded, &error)) continue;
    find_numbers(part, &loaded.index);
    for (uint32_t i = 0; i < products(part); i++) {
      int number = part->number[i];
      if (part->found[i] || number < 0 || !wb_index_has_snapshot(&loaded.index, (uint32_t)number)) continue;
      for (uint32_t k = loaded.index.head.stretch_count; k-- > 0 && !part->found[i];) {
        wb_index_stretch s = wb_index_stretch_at(&loaded.index, k);
        part->found[i] = wb_index_stretch_has(&loaded.index, k, (uint32_t)number, true) &&
                         before((place){segment->run, s.last_number}, limit);
        if (part->found[i]) part->start[i] = (place){segment->run, s.first_number};
      }
      left -= part->found[i];
    }
    wb_log_index_drop(&loaded);
  }
  part->least = products(part) ? part->start[0] : (place){0};
  for (uint32_t i = 1; i < products(part); i++)
    if (before(part->start[i], part->least)) part->least = part->start[i];
}

wb_log_part *wb_log_part_open(const wb_log_window *window, wb_log_reader *reader,
                              void (*complain)(wb_log_reader *reader, const wb_log_segment *segment, const wb_error *why)) {
  wb_log_part *part = calloc(1, sizeof *part);
  if (!part) return NULL;
  part->window = *window;
  const wb_log_segment *segment;
  while ((segment = wb_log_reader_segment(reader, part->segments)) && segment->readable) part->segments++;
  part->segment = calloc(part->segments + 1, sizeof *part->segment);
  part->start = calloc(products(part) + 1, sizeof *part->start);
  part->found = calloc(products(part) + 1, sizeof *part->found);
  part->number = calloc(products(part) + 1, sizeof *part->number);
  if (!part->segment || !part->start || !part->found || !part->number) {
    wb_log_part_close(part);
    return NULL;
  }
  for (size_t i = 0; i < part->segments; i++) {
    wb_log_index loaded;
    wb_error why = {0};
    segment = wb_log_reader_segment(reader, i);
    if (load(part, segment, true, &loaded, &why)) {
      if (why.os_errno != ENOENT) complain(reader, segment, &why);
      continue;
    }
    const wb_index_head *head = &loaded.index.head;
    part->segment[i] = (summary){.indexed = head->flags & WB_INDEX_WHOLE,
                                 .run = segment->run,
                                 .empty = head->first_number > head->last_number,
                                 .last_number = head->last_number,
                                 .first_utc_ns = head->first_utc_ns,
                                 .last_utc_ns = head->last_utc_ns};
    wb_log_index_drop(&loaded);
  }
  find_starts(part, reader);
  return part;
}

void wb_log_part_close(wb_log_part *part) {
  if (!part) return;
  free(part->segment);
  free(part->start);
  free(part->found);
  free(part->number);
  free(part);
}

uint64_t wb_log_part_read_bytes(const wb_log_part *part) { return part->read_bytes; }

bool wb_log_part_passes(const wb_log_part *part, size_t segment, uint64_t *passed_end) {
  const summary *s = &part->segment[segment];
  *passed_end = s->empty ? 0 : s->last_number + 1;
  if (!s->indexed || s->empty) return s->indexed;
  if (part->window.products) return before((place){s->run, s->last_number}, part->least);
  return s->last_utc_ns < part->window.from_utc_ns || s->first_utc_ns >= part->window.to_utc_ns;
}

static bool wanted(const wb_log_part *part, const wb_index *index, uint32_t stretch, unsigned run, const wb_index_stretch *s) {
  if (!part) return true;
  int64_t from = part->window.from_utc_ns, to = part->window.to_utc_ns;
  if (s->first_number > s->last_number) return false;
  if (!part->window.products) return s->last_utc_ns >= from && s->first_utc_ns < to;
  place last = {run, s->last_number};
  bool straddles = (s->first_utc_ns < from && s->last_utc_ns >= from) || (s->first_utc_ns < to && s->last_utc_ns >= to);
  if (straddles || ((s->flags & WB_INDEX_ALL) && !before(last, part->least))) return true;
  for (uint32_t i = 0; i < products(part); i++)
    if (part->number[i] >= 0 && !before(last, part->start[i]) &&
        wb_index_stretch_has(index, stretch, (uint32_t)part->number[i], false))
      return true;
  return false;
}

int wb_log_part_way(wb_log_part *part, const wb_log_segment *segment, wb_log_way *way) {
  wb_error error;
  *way = (wb_log_way){.from_number = UINT64_MAX, .to_number = UINT64_MAX};
  int result = wb_log_index_load(segment, false, &way->loaded, &error);
  if (result) return result;
  const wb_index *own = &way->loaded.index;
  way->step = malloc((own->head.stretch_count + 1) * sizeof *way->step);
  if (!way->step) {
    wb_log_way_close(way);
    return WB_E_MEMORY;
  }
  if (part) find_numbers(part, own);
  uint64_t passed_end = 0, passed_lowest = UINT64_MAX;
  for (uint32_t i = 0; i < own->head.stretch_count; i++) {
    wb_index_stretch s = wb_index_stretch_at(own, i);
    if (wanted(part, own, i, segment->run, &s)) {
      way->step[way->step_count++] = (wb_log_step){i, s.first_number, passed_end, passed_lowest};
      passed_end = 0;
      passed_lowest = UINT64_MAX;
    } else if (s.first_number <= s.last_number) {
      if (s.first_utc_ns >= part->window.from_utc_ns && s.first_number < way->from_number) way->from_number = s.first_number;
      if (s.first_utc_ns >= part->window.to_utc_ns && s.first_number < way->to_number) way->to_number = s.first_number;
      if (passed_end <= s.last_number) passed_end = s.last_number + 1;
      if (s.first_number < passed_lowest) passed_lowest = s.first_number;
    }
  }
  way->step[way->step_count] = (wb_log_step){own->head.stretch_count, UINT64_MAX, passed_end, passed_lowest};
  for (uint32_t i = way->step_count; i-- > 0;) {
    wb_log_step *step = &way->step[i];
    if (step[1].lowest_number < step->lowest_number) step->lowest_number = step[1].lowest_number;
    if (step[1].passed_lowest < step->passed_lowest) step->passed_lowest = step[1].passed_lowest;
  }
  return 0;
}

void wb_log_way_close(wb_log_way *way) {
  wb_log_index_drop(&way->loaded);
  free(way->step);
  *way = (wb_log_way){0};
}
