/* folder.h - folders made and brought to disk for good. Both wait for the disk and return 0 or a negative errno. Threads: any. */
#ifndef WB_IO_FOLDER_H
#define WB_IO_FOLDER_H

#include <stdbool.h>

/* wb_folder_sync syncs the entries of a folder. */
int wb_folder_sync(const char *path);

/* wb_folder_make makes path and its parents, where they are missing; sync: the parent of each one made is synced. path is written to on the way and is
 * afterwards as before. */
int wb_folder_make(char *path, bool sync);

#endif
