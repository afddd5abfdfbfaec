/* commands.h - the commands of the program, one a file. argv[0] is the command's name; each returns the process's exit code:
 * 0 done, 1 the work failed, 2 wrong usage or configuration. */
#ifndef WB_TOOLS_COMMANDS_H
#define WB_TOOLS_COMMANDS_H

int wb_cmd_run(int argc, char **argv);
int wb_cmd_mock(int argc, char **argv);
int wb_cmd_replay(int argc, char **argv);
int wb_cmd_export(int argc, char **argv);
int wb_cmd_archive(int argc, char **argv);
int wb_cmd_inspect(int argc, char **argv);
int wb_cmd_top(int argc, char **argv);
int wb_cmd_ctl(int argc, char **argv);
int wb_cmd_health(int argc, char **argv);
int wb_cmd_doctor(int argc, char **argv);

#endif
