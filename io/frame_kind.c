#include "io/frame_kind.h"

const char *const wb_frame_kind_names[WB_FRAME_KINDS] = {
    [0] = "other",
    [WB_FRAME_TEXT] = "text",
    [WB_FRAME_BINARY] = "binary",
    [WB_FRAME_PING] = "ping",
    [WB_FRAME_PONG] = "pong",
    [WB_FRAME_CLOSE] = "close",
    [WB_FRAME_HTTP] = "http",
    [WB_FRAME_PARTIAL] = "partial",
    [WB_FRAME_OVERSIZE] = "oversize",
    [WB_FRAME_VIOLATION] = "violation",
    [WB_FRAME_ANSWER] = "answer",
    [WB_FRAME_CONNECT] = "connect",
    [WB_FRAME_DISCONNECT] = "disconnect",
    [WB_FRAME_SENT] = "sent",
    [WB_FRAME_RESYNC] = "resync",
    [WB_FRAME_GAP] = "gap",
    [WB_FRAME_STALL] = "stall",
    [WB_FRAME_END] = "end",
    [WB_FRAME_PRODUCTS] = "products",
};
