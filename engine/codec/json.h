/* json.h - a strict scanner of JSON text (RFC 8259) that finds values where they lie and copies nothing.
 *
 * Strict:  the whole grammar and no more: no comma too many, no comment, no byte order mark, no control character in a string,
 *          no leading zero. Escapes of a lone surrogate are grammar and pass; they equal nothing that is asked for. UTF-8 is a
 *          question of its own (wb_json_utf8), because the two faults have two names.
 * Depth:   WB_JSON_DEPTH_MAX arrays and objects within one another; no recursion.
 * Memory:  the caller's text, at most 2^32-1 bytes; nothing is read past its end.
 * Threads: pure. */
#ifndef WB_CODEC_JSON_H
#define WB_CODEC_JSON_H

#include <stdbool.h>
#include <stdint.h>

/* Six is the deepest seen on this feed (status). 64 is one word of nesting bits. */
#define WB_JSON_DEPTH_MAX 64

/* A cursor. at: next byte to look at; after an error, the byte where the trouble was seen. */
typedef struct wb_json {
  const uint8_t *text;
  uint32_t bytes, at;
} wb_json;

/* One value: text[at] is its first byte, which tells its kind: { [ " t f n, or a number. at is 0 where there is none (a member
 * of an object never begins at byte 0). */
typedef struct wb_json_value {
  uint32_t at, end;
} wb_json_value;

/* wb_json_blank moves over white space. */
void wb_json_blank(wb_json *json);

/* wb_json_skip moves over one whole value of any kind and the white space before it; depth is how many arrays and objects
 * enclose it. Returns 0 or WB_E_SYNTAX. O(bytes). */
int wb_json_skip(wb_json *json, unsigned depth, wb_json_value *value);

/* wb_json_members moves over one object (white space before it allowed) and finds the members that names[0..count) ask for,
 * count <= 32. value[i] is zero where names[i] is missing; bit i of *twice says that it came more than once (value[i] is then
 * the last one). value and *twice hold what was found so far when the object turns out broken. Returns 0 or WB_E_SYNTAX. */
int wb_json_members(wb_json *json, unsigned depth, const char *const *names, unsigned count, wb_json_value *value,
                    uint32_t *twice);

/* wb_json_element gives the next element of an array already known to be well formed. Begin with json->at one past its '['.
 * Returns false, json->at one past the ']', when there is none left. */
bool wb_json_element(wb_json *json, wb_json_value *value);

/* wb_json_string decodes a string already known to be well formed, text[at] its opening quote, into to[0..size); not
 * NUL-terminated. Returns the length, or size + 1 when it is longer than size. */
uint32_t wb_json_string(const wb_json *json, uint32_t at, char *to, uint32_t size);

/* wb_json_utf8 returns the offset of the first byte that begins no valid UTF-8 sequence (RFC 3629), or bytes. */
uint32_t wb_json_utf8(const uint8_t *text, uint32_t bytes);

#endif
