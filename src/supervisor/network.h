/*
 * The network of a world: what the files net_*.c share.
 *
 * A world's sockets are made by itself, in its own network namespace, which has a loopback and no way out. A
 * call that gives a socket an address, or data to an address, is done here on a copy of the caller's socket,
 * with a copy of the address. An address outside that the policy allows swaps a socket of the host's network
 * in under the caller's descriptor.
 *
 * What the adversary controls: which socket a descriptor number means, at every moment (siblings may dup2
 * over it); the memory of addresses, data and lengths; the state of a socket whose description it shares with
 * us (its O_NONBLOCK flag, a connection in progress); sockets passed to it; timing, and its own death. What
 * it does not: the network namespace of a socket, which the kernel tells of our own copy (SO_NETNS_COOKIE),
 * and our copies of address and data. So:
 *
 *   - a number is turned into a socket once (pidfd_getfd), and all that follows is about that copy;
 *   - one of the world's own network reaches nothing but that network, whatever kind of socket it is: what else is asked of it
 * (domain, type, protocol) decides what the caller is told, and which socket would have to be swapped in;
 *   - an address is read once, parsed, decided, and what is used is written anew from the parsed form;
 *   - a socket that lies neither in the world's network nor in the host's is refused, whatever it is;
 *   - the supervisor has the id that owns the world's user namespace, and so the kernel grants it every
 * capability over the world's own network: it may bind any port there (they are the world's own), and nothing
 * else that it does here asks for one;
 *   - no answer is ever "go on" (the kernel would read number and address again);
 *   - whatever may block is tried without blocking and tried again by the loop; a guard (guard.h) interrupts a
 * call that blocks since a sibling cleared O_NONBLOCK in between; the table of what waits is bounded, and at its
 * end the answer is an error;
 *   - a swap puts a socket where the caller asked for it or, if a sibling was quicker, over that sibling's
 * descriptor: either way the world gets just the one socket that was decided.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "network/dnsserver.h"
#include "network/hostaddrs.h"
#include "network/namerules.h"
#include "policy/decide_address.h"
#include "policy/words.h"
#include "supervisor/supervisor.h"

enum {
	SG_NET_WAITS_MAX = 512,       /* calls that wait for a peer */
	SG_NET_PORTS_MAX = 256,       /* ports of the host that the world was given */
	SG_NET_ADDRESS_MAX = 128,     /* bytes of a socket address (sockaddr_storage) */
	SG_NET_NAMES = 16384,         /* entries of the name cache */
	SG_NET_DATAGRAM_MAX = 262144, /* bytes of one message that is carried */
	SG_NET_SPACE_MAX = 32,        /* the link of a namespace */
	SG_NET_KEPT_MAX = 8,          /* cuts that keep something */
};

/* How a socket that leads outside came to be. */
enum sg_net_origin {
	SG_NET_ORIGIN_CONNECTED, /* to the address */
	SG_NET_ORIGIN_BOUND,     /* to the address, where the host's processes reach it */
	SG_NET_ORIGIN_ACCEPTED,  /* from the address */
	SG_NET_ORIGIN_OPEN,      /* a datagram socket that sent there, and may receive from anywhere */
	SG_NET_ORIGIN_PASSED,    /* by a process of the host; no address */
};

/* One row of the registry. */
struct sg_net_outside {
	uint64_t serial; /* in the epoll instance */
	uint64_t cookie; /* SO_COOKIE: whichever copy it is */
	enum sg_net_origin origin;
	bool alive; /* as of the last refresh */
	bool ended; /* by a cut */
	struct sg_address address;
};

/* A call that could not be finished at once. `proceed` is called by the loop until it has answered. */
struct sg_net_wait {
	bool used;
	bool outside; /* its peer is outside: a cut ends it */
	struct sg_request request;
	int fd; /* watched by epoll, or -1: tried again after a while; borrowed from `data` */
	uint32_t events;
	int64_t retry_ms;    /* when to try again (fd -1) */
	int64_t look_ms;     /* when to look whether the caller is still there, and has no signal to see to */
	int64_t deadline_ms; /* SO_SNDTIMEO or SO_RCVTIMEO; INT64_MAX: none */
	int deadline_error;  /* what the call answers then (positive errno value) */
	unsigned int step_ms, look_step_ms;
	/* Returns 0 when the request was answered, or 1 to wait on. `interrupted`: end with this error
	 * (positive), or 0. */
	int (*proceed)(struct sg_request *request, void *data, int interrupted);
	void (*release)(void *data);
	void *data;
};

/* A port of the host on which this world has a socket. */
struct sg_net_port {
	uint64_t serial; /* in the registry; 0: free */
	uint16_t port;
	uint8_t protocol;
};

struct sg_network {
	struct sg_supervisor *supervisor;
	/* Policy. */
	struct sg_address_rules rules;
	struct sg_hostaddrs *host;
	struct sg_namecache *names;
	struct sg_hosts *hosts;
	struct sg_resolvconf configuration;
	struct sg_namerules namerules;
	struct sg_dnsserver *server;
	/* Namespaces. */
	uint64_t host_cookie, world_cookie;
	char space[SG_NET_SPACE_MAX];          /* how /proc names the world's PID namespace */
	int network_namespace, user_namespace; /* the world's, to make sockets in */
	int diagnosis;                         /* netlink of the world's network: which unix sockets it has */
	int epoll;                             /* the resolver, the host's addresses, and the waits */
	int registry; /* an epoll instance that knows every outside socket, and keeps none open */
	uint64_t serial;
	struct sg_net_outside *outside; /* what the registry's sockets are, by serial number */
	size_t outside_count, outside_room;
	/* The cut (net_cut.c). */
	bool cut;                                    /* made: what is not kept is refused */
	struct sg_addressset *kept[SG_NET_KEPT_MAX]; /* an address in all of them is kept; none: nothing is */
	size_t kept_count;
	struct sg_net_port ports[SG_NET_PORTS_MAX];
	size_t port_next;
	uint8_t quiet_ports[UINT16_MAX / 8 + 1]; /* of the own loopback, one bit each (net_nobody.c) */
	size_t told_ports;
	struct sg_net_wait waits[SG_NET_WAITS_MAX];
	size_t wait_count;
};

/* A socket of the caller. */
struct sg_net_socket {
	int fd;     /* our copy; owned */
	int number; /* the caller's descriptor */
	pid_t tid;  /* the caller */
	int proc;   /* borrowed: the /proc that shows it */
	int domain, type, protocol;
	bool outside; /* lies in the host's network; else in the world's */
	bool nonblocking;
	uint8_t kind; /* one SG_PROTOCOL_ bit; 0: of another kind */
};

#define SG_NET_SOCKET_INIT ((struct sg_net_socket){.fd = -1})

/*
 * Closes a copy of a socket that the world has or had, without waiting for what it still has to send (net_close.c). `holder`: the
 * caller's socket, whose number may be this one's too, or NULL. Not while the guard watches a call. Returns -1.
 */
int sg_net_close(const struct sg_net_socket *holder, int fd);

/* For SG_CLEANUP: one that the caller was just given keeps its option; one of which nothing is known does not. */
void sg_net_close_given(const int *fd);
void sg_net_close_foreign(const int *fd);

/* Closes our copy of the socket. */
void sg_net_socket_done(struct sg_net_socket *socket);
#define SG_AUTO_NET_SOCKET SG_CLEANUP(sg_net_socket_done)

/* --- net_nobody.c --- */

/* The world binds that address in its own network: that nobody listens there is no news from now on. */
void sg_net_quiet(struct sg_network *network, const struct sg_address *address);

/*
 * What became of a connection to the world's own loopback by socket `fd` (ours or our copy), `status` being 0 or the negative
 * errno value: where nobody listens, it is told and recorded, once for a port. Does not answer the request and leaves the
 * socket's error where it is.
 */
void sg_net_note_nobody(struct sg_request *request, int fd, int status, const struct sg_address *address);

/* --- net_policy.c --- */

/*
 * Compiles the address rules and reads this host's addresses, names and servers. Called before the supervisor
 * leaves the host's mount tree. Returns 0 or a negative errno value with context.
 */
int sg_net_policy_prepare(struct sg_network *network, struct sg_error *error);

/*
 * Decides about a peer (CONNECT, SEND) or a local address (BIND); not about unix paths. `decision` gets rule
 * and reason; for REFUSED the error.
 */
enum sg_net_where sg_net_decide(struct sg_network *network, const struct sg_address *address, enum sg_address_use use,
				struct sg_decision *decision);

/*
 * True if a datagram socket may be connected to `address` only to ask for its own address there, though
 * `decision` refused it: no rule denies it, and another protocol, or port, is allowed with that peer. Where a rule
 * denies that other one, *decision says so then.
 */
bool sg_net_may_ask_route(struct sg_network *network, const struct sg_address *address, struct sg_decision *decision);

/* An outside socket that was granted could not be made (`error`, -errno): where the reason is known, it is told. */
void sg_net_explain(struct sg_request *request, const struct sg_net_socket *socket, int error,
		    const struct sg_address *address);

/* Records what was decided about `address`, as used. Returns 0, or below 0: then nothing may be granted. */
int sg_net_report(struct sg_request *request, const struct sg_decision *decision, const struct sg_address *address);

/* Records a refusal and answers it. */
void sg_net_refuse(struct sg_request *request, const struct sg_decision *decision, const struct sg_address *address);

/* --- net_socket.c --- */

/*
 * Takes a copy of the caller's descriptor `number`, and finds out just in whose network it lies (`outside`): all that security
 * needs of a socket of the world's own. Finds the call pending: what was read of its caller before may be believed then. Returns 0 or
 * a negative errno value: -EBADF, -ENOTSOCK, -EINTR for a call that has ended, or -EACCES for a socket of a third network.
 */
int sg_net_socket_pin(struct sg_request *request, int number, struct sg_net_socket *ret);

/* Finds out the rest of a pinned socket. Returns 0 or a negative errno value. */
int sg_net_socket_know(struct sg_net_socket *socket);

/* Both. */
int sg_net_socket_take(struct sg_request *request, int number, struct sg_net_socket *ret);

/* Makes a socket of the host's network that is like `socket` (kind, options), non-blocking. Returns it or
 * -errno. */
int sg_net_make_outside(const struct sg_net_socket *socket);

/*
 * Puts `fd` (one of ours, made here as sg_net_make_ does; stays ours) in the place of the caller's descriptor, blocking or
 * not as the caller's was.
 * Nothing is answered. Returns 0 or a negative errno value; then the caller has what it had.
 */
int sg_net_put(struct sg_request *request, const struct sg_net_socket *socket, int fd);

/* The same for a socket of the host's network, which is noted in the registry first. */
int sg_net_swap(struct sg_request *request, const struct sg_net_socket *socket, int fd, enum sg_net_origin origin,
		const struct sg_address *address);

/* The caller's SO_RCVTIMEO or SO_SNDTIMEO (`option`) as a moment: INT64_MAX if there is none. */
int64_t sg_net_deadline(const struct sg_net_socket *socket, int option);

/* CLOCK_MONOTONIC in milliseconds: the clock of all deadlines here. */
int64_t sg_net_now(void);

/* Sets on `to`, a fresh socket of the same kind, the options that `from` has and that stay with a socket. */
void sg_net_carry_options(const struct sg_net_socket *from, int to);

/* What connect(2) says of a stream that has, awaits or takes connections: -EISCONN, -EALREADY; else 0. */
int sg_net_is_busy(const struct sg_net_socket *socket);

/* --- net_inside.c --- */

/* Finds the world's namespaces by `probe`, a socket of its network. Returns 0 or a negative errno value. */
int sg_net_find_namespaces(struct sg_network *network, int probe);

/* Makes a socket of the world's own network that is like `socket` (kind, options), non-blocking. Blocks for
 * the life of a child that makes some system calls. Returns it or a negative errno value. */
int sg_net_make_inside(const struct sg_network *network, const struct sg_net_socket *like);

/* --- net_registry.c --- */

/* The number of a socket, whichever copy of it `fd` is (SO_COOKIE, Linux 4.12). 0: not known. */
uint64_t sg_net_cookie(int fd);

/* Notes a socket that leads outside in the registry. Returns its serial number, or 0 (it must not be given
 * then). */
uint64_t sg_net_register(struct sg_network *network, int fd, enum sg_net_origin origin,
			 const struct sg_address *address);

/* Notes a unix socket of the world's that has, or gets, to do with the host at `address`. Returns 0 or a
 * negative errno value: it must not. */
int sg_net_note_unix(struct sg_network *network, int fd, const struct sg_address *address);

/* What the registry says of the socket with that cookie, or NULL. Valid until the next register or refresh.
 */
struct sg_net_outside *sg_net_find_outside(const struct sg_network *network, uint64_t cookie);

/* The socket has another peer than it had; nothing if it is not in the registry. */
void sg_net_note_address(const struct sg_network *network, uint64_t cookie, const struct sg_address *address);

/* Takes out of the table what has ended. Returns 0, or a negative errno value: nothing is known then. */
int sg_net_registry_refresh(struct sg_network *network);

/* True while any process, or any queue, holds the socket of that serial number. */
bool sg_net_is_alive(const struct sg_network *network, uint64_t serial);

/* --- net_cut.c --- */

/* What the refused are told after a cut. */
#define SG_NET_CUT_REASON SG_WORDS_NETWORK_CUT

/* True if the address may still be used: no cut was made, or every one kept it. */
bool sg_net_is_kept(const struct sg_network *network, const struct sg_address *address);

/* --- net_watch.c --- */

enum { SG_NET_WATCHES_MAX = 4 };

/* An epoll instance of the caller that watches one socket. */
struct sg_net_watch {
	int instance;    /* our copy; owned */
	uint32_t events; /* as the caller asked */
	uint64_t data;
};

struct sg_net_watches {
	size_t count;
	struct sg_net_watch watch[SG_NET_WATCHES_MAX];
};

/* Finds the instances of the caller that watch `socket` under its number; none for a socket that blocks. */
void sg_net_find_watches(const struct sg_request *request, const struct sg_net_socket *socket,
			 struct sg_net_watches *ret);

/* After the swap: has them watch `fd` under that number instead, and forgets them. */
void sg_net_move_watches(const struct sg_net_socket *socket, int fd, struct sg_net_watches *watches);

/* --- net_wait.c --- */

/*
 * Keeps a request until it can be answered. `data` is taken over in every case; when the table is full the
 * request is answered EAGAIN. `wait` has fd, events, deadline, proceed, release and data filled in.
 */
void sg_net_wait_add(struct sg_request *request, const struct sg_net_wait *wait);

/* Ends the calls that wait for something outside, and lets the others go on under the new generation. */
void sg_net_wait_cut(struct sg_network *network);

/* Adds the resolver and the list of host addresses to the epoll instance. Returns 0 or -errno. */
int sg_network_watch(struct sg_network *network);

/* --- handlers --- */
void sg_net_connect(struct sg_request *request);
void sg_net_bind(struct sg_request *request);
void sg_net_listen(struct sg_request *request);
void sg_net_accept(struct sg_request *request);
void sg_net_send(struct sg_request *request);          /* sendto */
void sg_net_send_message(struct sg_request *request);  /* sendmsg */
void sg_net_send_messages(struct sg_request *request); /* sendmmsg */

/*
 * Copies a socket address of the caller. Not to be believed before the call was found pending after that: by sg_net_socket_pin, or by
 * sg_caller_valid. Returns 0 or a negative errno value.
 */
int sg_net_read_address(struct sg_request *request, uint64_t pointer, uint64_t length, unsigned char *bytes);

/*
 * True if a netlink address is the kernel's, which is where a message goes without an address too. It is sent
 * without one then: with an address the kernel would look at our capabilities instead of those that the
 * socket was made with (netlink_sendmsg, NETLINK_SKB_DST).
 */
bool sg_net_is_kernel(const unsigned char *bytes, size_t size);

/* --- net_unix.c --- */

/* A unix socket that was pinned and decided. */
struct sg_net_peer {
	struct sg_resolved object; /* path; fd -1: an abstract name */
	struct sockaddr_storage address;
	socklen_t length;
	enum sg_net_where where;
	bool host; /* it is one of the host's, by whatever network it is reached */
};
/* Closes what the peer holds. */
void sg_net_peer_done(struct sg_net_peer *peer);

/*
 * Pins and decides the peer `address` (AF_UNIX) of `socket`. Returns 0 and fills *ret, whose address is to be
 * used as it is (through our own descriptor of the pinned object); a negative errno value to answer; or 1: it
 * was refused and answered.
 */
int sg_net_find_peer(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address,
		     struct sg_net_peer *ret);

/*
 * net_absent.c: the path is not there for the caller (-ENOENT). Where that is because no rule allows a socket in a part of the
 * host that the world does not see, the refusal is recorded and told. Answers nothing.
 */
void sg_net_report_absent(struct sg_request *request, const char *path);

/* A unix socket of the world's network that has a name on a file system. */
struct sg_net_bound {
	uint32_t socket; /* its own inode, as fstat(2) has it */
	uint32_t inode;  /* low bits of the name's */
	dev_t device;
	bool accepted; /* it was made by a connection to that name, in the network of who connected */
};

/* Visits them all: those that are bound, and those that such a listener accepted. Returns 0 or a negative
 * errno value: not all were visited. */
int sg_net_each_bound(const struct sg_network *network, void (*visit)(void *data, const struct sg_net_bound *bound),
		      void *data);

/* bind to a unix path. Answers. */
void sg_net_bind_path(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address);

/* --- net_names.c --- */
int sg_net_names_start(struct sg_network *network, struct sg_error *error);
