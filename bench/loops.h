/*
 * The loops that are measured inside a world, and what they share.
 *
 * Each loop prints one JSON object on one line of standard output, so that the start of the world that it
 * runs in is no part of the number. They wait without a deadline of their own: bench/timer, which starts
 * them, has one for the whole.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC. Cannot fail on Linux. */
uint64_t loop_now(void);

/*
 * Parses `text` as a decimal number from 1 to `limit`. Returns it, or ends the program with status 2 and a
 * message that names `what`: these are programs of one purpose, called by a harness.
 */
uint64_t loop_number(const char *text, uint64_t limit, const char *what);

/* One operation that is measured. Returns 0 or a negative errno value, which ends the measurement. */
typedef int (*loop_operation)(void *argument);

/* Called before each batch, outside of the time measured; may be NULL. Returns 0 or a negative errno value.
 */
typedef int (*loop_prepare)(void *argument);

/*
 * Does `count` operations (1 to LOOP_COUNT_MAX) in at most LOOP_BATCHES batches of equal size (a remainder is
 * dropped), then prints the line for `name`: operations done, batches, the smallest, median and largest time
 * of one operation over the batches in ns, and the CPU time in ns of this process and the children it waited
 * for. Returns 0 or a negative errno value, of which nothing is printed.
 */
int loop_measure(const char *name, uint64_t count, loop_operation operation, loop_prepare prepare, void *argument);

enum { LOOP_BATCHES = 20 };
#define LOOP_COUNT_MAX UINT64_C(1000000000)

/*
 * The subcommands of loops_net.c. `arguments` are what follows the subcommand's name, as many as its row in
 * loops.c says. Each returns 0 or a negative errno value.
 */
int loop_connect_server(char **arguments); /* ADDRESS PORT: accepts and closes until its standard input ends */
int loop_connect_client(char **arguments); /* COUNT ADDRESS PORT: socket, connect, close */
int loop_connect_pair(char **arguments);   /* COUNT: a server of its own on 127.0.0.1, and the client */
