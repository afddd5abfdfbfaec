#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/row_pipe.h"
#include "tools/parquet/partitions.h"

enum { BUFFER_BYTES = 1 << 20 };

static void usage(FILE *to) {
  fputs("usage: wirebook-parquet --out DIR --inputs NAME [--decimals N] [--memory SIZE]\n\n"
        "Takes rows from `wirebook export --format parquet`, which starts it, and writes them below DIR as Parquet. Not meant "
        "to be run by hand.\n",
        to);
}

/* Who wrote the rows went before their end, and says why, if it can. */
static int cut_short(wb_error *error) { return wb_error_set(error, WB_E_CLOSED, 0, "parquet", "the rows were cut short"); }

/* All rows of the stream. */
static int take_rows(wb_partitions *partitions, FILE *from, wb_error *error) {
  uint8_t *row = NULL;
  uint32_t room = 0, bytes;
  int result = 0;
  while (result == 0) {
    if (fread(&bytes, sizeof bytes, 1, from) != 1) result = cut_short(error);
    else if (bytes == WB_ROW_PIPE_END) break;
    else if (bytes > WB_ROW_PIPE_BYTES_MAX) result = wb_error_set(error, WB_E_DAMAGED, 0, "parquet", "a row that is none");
    if (result == 0 && bytes > room) {
      uint8_t *grown = realloc(row, bytes);
      if (!grown) result = wb_error_set(error, WB_E_MEMORY, ENOMEM, "parquet", "no memory for a row of %u bytes", bytes);
      else row = grown, room = bytes;
    }
    if (result == 0 && bytes && fread(row, bytes, 1, from) != 1) result = cut_short(error);
    if (result == 0) result = wb_partitions_put(partitions, row, bytes, error);
  }
  free(row);
  return result == 0 ? wb_partitions_end(partitions, error) : result;
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"out", required_argument, NULL, 'o'},      {"inputs", required_argument, NULL, 'i'},
                                          {"decimals", required_argument, NULL, 'd'}, {"memory", required_argument, NULL, 'm'},
                                          {"help", no_argument, NULL, 'h'},           {0}};
  const char *out = NULL, *inputs = NULL, *memory = "512MB";
  unsigned long decimals = 9;
  for (int option; (option = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
    switch (option) {
    case 'o': out = optarg; break;
    case 'i': inputs = optarg; break;
    case 'd': decimals = strtoul(optarg, NULL, 10); break;
    case 'm': memory = optarg; break;
    case 'h': usage(stdout); return 0;
    default: usage(stderr); return 2;
    }
  }
  if (!out || !inputs || decimals > WB_PARQUET_DECIMALS_MAX || optind < argc) {
    usage(stderr);
    return 2;
  }
  signal(SIGXFSZ, SIG_IGN);
  static char buffer[BUFFER_BYTES];
  setvbuf(stdin, buffer, _IOFBF, sizeof buffer);
  wb_error error;
  uint8_t head[WB_ROW_PIPE_HEAD_BYTES];
  if (fread(head, sizeof head, 1, stdin) != 1) return 1;
  int table = wb_row_pipe_table(head);
  if (table < 0) {
    fputs("wirebook-parquet: these are no rows\n", stderr);
    return 1;
  }
  wb_partitions *partitions = wb_partitions_open((wb_table_id)table, out, inputs, (unsigned)decimals, memory, &error);
  int result = partitions ? take_rows(partitions, stdin, &error) : error.code;
  if (result != 0 && result != WB_E_CLOSED) fprintf(stderr, "wirebook-parquet: %s\n", error.detail);
  wb_partitions_close(partitions);
  return result == 0 ? 0 : 1;
}
