/* crc32c.h - CRC-32C (Castagnoli, RFC 3720 B.4; check value of "123456789" is 0xe3069283). Hardware instruction where there is
 * one (three interleaved streams on SSE4.2), table otherwise. Threads: pure. */
#ifndef WB_BASE_CRC32C_H
#define WB_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* wb_crc32c continues crc (0 to begin) over bytes[0..count). wb_crc32c(wb_crc32c(0, a), b) is the CRC of a followed by b. */
uint32_t wb_crc32c(uint32_t crc, const void *bytes, size_t count);

#endif
