/* dashboard.h - the files of the dashboard (io/dashboard/) as they lie in the program, put there by io/dashboard/embed.cmake.
 *
 * Served by: io/face_dashboard.c, "index.html" at "/" and all others below "/dashboard/". */
#ifndef WB_IO_DASHBOARD_H
#define WB_IO_DASHBOARD_H

#include <stddef.h>

typedef struct wb_asset {
  const char *path; /* below io/dashboard: "app.js", "vendor/NOTICE" */
  const char *type; /* Content-Type */
  const char *hash; /* of the bytes, 32 hexadecimal digits */
  const unsigned char *plain;
  size_t plain_bytes;
  const unsigned char *gzip; /* the same, deflated */
  size_t gzip_bytes;
} wb_asset;

/* Ends with a path of NULL. */
extern const wb_asset wb_dashboard_assets[];

#endif
