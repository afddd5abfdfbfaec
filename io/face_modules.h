/* face_modules.h - the modules of the HTTP face, each in a file of its own: io/face_<name>.c. */
#ifndef WB_IO_FACE_MODULES_H
#define WB_IO_FACE_MODULES_H

#include "io/face_route.h"

extern const wb_face_module wb_face_health;    /* /healthz, /readyz, /api/v1/status */
extern const wb_face_module wb_face_metrics;   /* /metrics */
extern const wb_face_module wb_face_products;  /* /api/v1/products, and the same at the exchange's own paths */
extern const wb_face_module wb_face_publish;   /* WebSocket at / and /ws */
extern const wb_face_module wb_face_events;    /* /api/v1/events */
extern const wb_face_module wb_face_dashboard; /* the dashboard at /, its files at /dashboard/ */

#endif
