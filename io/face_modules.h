/* face_modules.h - the modules of the HTTP face, each in a file of its own: io/face_<name>.c. */
#ifndef WB_IO_FACE_MODULES_H
#define WB_IO_FACE_MODULES_H

#include "io/face_route.h"

extern const wb_face_module wb_face_dashboard; /* /, /dashboard/...: io/dashboard.h */
extern const wb_face_module wb_face_health; /* /healthz, /readyz, /api/v1/status */

#endif
