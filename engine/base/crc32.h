/* crc32.h - CRC-32 (IEEE 802.3, that of zip and PNG; check value of "123456789" is 0xcbf43926), by which some venues vouch for their books. Carry-less
 * multiplication where there is one (PCLMULQDQ), a table otherwise and for what is left over. For the log there is crc32c.h. Threads: pure. */
#ifndef WB_BASE_CRC32_H
#define WB_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* wb_crc32 continues crc (0 to begin) over bytes[0..count). wb_crc32(wb_crc32(0, a), b) is the CRC of a followed by b. 30 ns for 300 bytes;
 * by the table 2 ns a byte. */
uint32_t wb_crc32(uint32_t crc, const void *bytes, size_t count);

#endif
