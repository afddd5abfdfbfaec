#include "io/face_modules.h"

/* A WebSocket comes before a page of the same path. */
const wb_face_module *const wb_face_modules[] = {
    &wb_face_publish, &wb_face_health, &wb_face_metrics, &wb_face_products, &wb_face_events, &wb_face_dashboard, NULL,
};
