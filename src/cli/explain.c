#include "cli/cli.h"
int sg_command_explain(int argc, char **argv){ (void)argc;(void)argv; return 1; }
