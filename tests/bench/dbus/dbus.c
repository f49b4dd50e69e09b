// SPDX-License-Identifier: GPL-2.0-only
/*
 * dbus - a method call and its reply by way of dbus-broker
 *
 *   dbus [DBUS-BROKER]
 *
 * Starts a broker of its own, with a policy that allows everything, and prints
 * round trips of an array of bytes in the form of ../bench.h, in two ways:
 *
 *   dbus-bare  one send() and one recv() a message, which is made once; only its
 *              serial numbers change. What a client of this bus cannot do without
 *   dbus-sd    libsystemd's: sd_bus_call() here, a method of a vtable there
 *
 * Client, server and broker are three processes on one CPU. It needs libsystemd
 * and is therefore not among "make tests"; "make bench" builds it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include "../bench.h"

#define MOST 65536
#define ROOM (MOST + 1024)

static const char *broker = "dbus-broker";
static struct sockaddr_un listener = { .sun_family = AF_UNIX };
static socklen_t listener_size;
static char payload[MOST];

/* sd-bus says a negative errno. */
static int check(int r, const char *what)
{
	if (r < 0) {
		errno = -r;
		bench_fail(what);
	}
	return r;
}

/*
 * The broker knows neither where to listen nor whom to admit until its
 * controller has told it, on a socket that it is given.
 */
#define BATCH "(bta(btbs)a(btssssuutt)a(btssssuutt))"
#define POLICY "(a(u" BATCH ")a(buu" BATCH ")a(ss)bs)"
#define ONE ((uint64_t)1)
/* one rule: allow, priority, any name, path, interface, member, and fds */
#define ANY 1, true, ONE, "", "", "", "", 0, 0, (uint64_t)0, UINT64_MAX

static void start_broker(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char number[12];
	int pair[2], fd;
	sd_bus *bus;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	listener_size = sizeof(listener);
	/* no name: the kernel picks one */
	if (fd < 0 || bind(fd, (struct sockaddr *)&listener,
			   offsetof(struct sockaddr_un, sun_path)) ||
	    listen(fd, 16) || getsockname(fd, (struct sockaddr *)&listener,
					  &listener_size) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       pair))
		bench_fail("socket");
	switch (fork()) {
	case -1:
		bench_fail("fork");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fcntl(pair[1], F_SETFD, 0);
		snprintf(number, sizeof(number), "%d", pair[1]);
		execlp(broker, broker, "--controller", number, "--machine-id",
		       "00112233445566778899aabbccddeeff", NULL);
		bench_fail(broker);
	}
	close(pair[1]);
	check(sd_bus_new(&bus), "sd_bus_new");
	check(sd_bus_set_fd(bus, pair[0], pair[0]), "sd_bus_set_fd");
	check(sd_bus_start(bus), "sd_bus_start");
	if (sd_bus_call_method(bus, NULL, "/org/bus1/DBus/Broker",
			       "org.bus1.DBus.Broker", "AddListener", &error,
			       NULL, "ohv", "/org/bus1/DBus/Listener/0", fd,
			       POLICY, 1, (uint32_t)-1, true, ONE, 1, true, ONE,
			       true, "", ANY, ANY, 0, 0, false, "") < 0) {
		fprintf(stderr, "dbus: %s refuses the policy: %s: %s\n", broker,
			error.name, error.message);
		exit(1);
	}
	/* the broker ends when this end of its controller's socket does */
}

/* A message in the making, or as received. */
struct message {
	size_t n; /* bytes */
	size_t have; /* with what came after it */
	uint32_t reply_serial;
	const char *sender;
	size_t n_body;
	union {
		char bytes[ROOM];
		struct {
			char endian, type, flags, version;
			uint32_t n_body;
			uint32_t serial;
			uint32_t n_fields;
			char fields[];
		} head;
	};
};

enum { CALL = 1, RETURN, ERROR };
enum { PATH = 1, MEMBER = 3, REPLY_SERIAL = 5, DESTINATION, SENDER, SIGNATURE };

static size_t align(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

static void begin(struct message *m, char type)
{
	memset(m->bytes, 0, 512);
	m->head.endian = 'l';
	m->head.type = type;
	m->head.version = 1;
	m->head.serial = 1;
	m->n = sizeof(m->head);
}

/* @type: 's' and 'o' have a length of 32 bits, 'g' of 8; 'u' is a number. */
static void add_field(struct message *m, char code, char type, const char *text)
{
	char *p;

	m->n = align(m->n, 8);
	p = m->bytes + m->n;
	p[0] = code;
	p[1] = 1;
	p[2] = type;
	p += 4;
	if (type == 'u') {
		p += 4;
	} else if (type == 'g') {
		*p++ = strlen(text);
		p = stpcpy(p, text) + 1;
	} else {
		*(uint32_t *)p = strlen(text);
		p = stpcpy(p + 4, text) + 1;
	}
	m->n = p - m->bytes;
}

/* The body is an array of @n bytes; without @data there is none. */
static void finish(struct message *m, const void *data, uint32_t n)
{
	m->head.n_fields = m->n - sizeof(m->head);
	m->n = align(m->n, 8);
	if (!data)
		return;
	m->head.n_body = sizeof(n) + n;
	memcpy(m->bytes + m->n, &n, sizeof(n));
	memcpy(m->bytes + m->n + sizeof(n), data, n);
	m->n += m->head.n_body;
}

static void put(int fd, const struct message *m)
{
	if (send(fd, m->bytes, m->n, 0) != (ssize_t)m->n)
		bench_fail("send");
}

/* The next one, into the same room. */
static void get(int fd, struct message *m)
{
	size_t off, need;
	ssize_t r;
	char type;

	m->have -= m->n;
	if (m->have)
		memmove(m->bytes, m->bytes + m->n, m->have);
	for (;;) {
		need = sizeof(m->head);
		if (m->have >= need) {
			off = need + (size_t)m->head.n_fields;
			need = align(off, 8) + m->head.n_body;
		}
		if (need > sizeof(m->bytes)) {
			errno = EMSGSIZE;
			bench_fail("recv");
		}
		if (m->have >= need)
			break;
		r = recv(fd, m->bytes + m->have, sizeof(m->bytes) - m->have, 0);
		if (r <= 0)
			bench_fail("recv");
		m->have += r;
	}
	m->n = need;
	m->n_body = m->head.n_body;
	for (off = sizeof(m->head);
	     off < sizeof(m->head) + m->head.n_fields; off = align(off, 8)) {
		uint32_t value = *(uint32_t *)(m->bytes + off + 4);

		type = m->bytes[off + 2];
		if (m->bytes[off] == REPLY_SERIAL)
			m->reply_serial = value;
		if (m->bytes[off] == SENDER)
			m->sender = m->bytes + off + 8;
		if (type == 'g')
			off += 6 + m->bytes[off + 4];
		else
			off += type == 'u' ? 8 : 9 + value;
	}
	if (m->head.type == ERROR) {
		fprintf(stderr, "dbus: an error from the broker: %.*s\n",
			(int)(m->n - off), m->bytes + off);
		exit(1);
	}
}

struct bare {
	int fd;
	char name[32];
	struct message out, in;
};

static void bare_connect(struct bare *b)
{
	static const char auth[] = "\0AUTH EXTERNAL\r\nDATA\r\n";
	size_t have = 0;
	char line[128];
	ssize_t r;

	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->fd < 0 ||
	    connect(b->fd, (struct sockaddr *)&listener, listener_size) ||
	    send(b->fd, auth, sizeof(auth) - 1, 0) != sizeof(auth) - 1)
		bench_fail("connect");
	/* DATA, then OK with the identity of the bus */
	do {
		r = recv(b->fd, line + have, sizeof(line) - 1 - have, 0);
		if (r <= 0)
			bench_fail("the broker's welcome");
		have += r;
		line[have] = 0;
	} while (!strstr(line, "OK ") || line[have - 1] != '\n');
	if (send(b->fd, "BEGIN\r\n", 7, 0) != 7)
		bench_fail("send");
	begin(&b->out, CALL);
	add_field(&b->out, PATH, 'o', "/org/freedesktop/DBus");
	add_field(&b->out, DESTINATION, 's', "org.freedesktop.DBus");
	add_field(&b->out, MEMBER, 's', "Hello");
	finish(&b->out, NULL, 0);
	put(b->fd, &b->out);
	b->in.n = b->in.have = 0;
	get(b->fd, &b->in);
	/* the reply is a string, the name on the bus */
	snprintf(b->name, sizeof(b->name), "%s",
		 b->in.bytes + b->in.n - b->in.n_body + 4);
	/* and a signal says the same */
	get(b->fd, &b->in);
}

static void bare_serve(struct bare *b, size_t n)
{
	char client[32] = "";

	for (;;) {
		get(b->fd, &b->in);
		/* as good as always the client of the last time */
		if (strcmp(client, b->in.sender)) {
			snprintf(client, sizeof(client), "%s", b->in.sender);
			begin(&b->out, RETURN);
			add_field(&b->out, REPLY_SERIAL, 'u', NULL);
			add_field(&b->out, DESTINATION, 's', client);
			add_field(&b->out, SIGNATURE, 'g', "ay");
			finish(&b->out, payload, n);
		}
		b->out.head.serial++;
		*(uint32_t *)(b->out.head.fields + 4) = b->in.head.serial;
		put(b->fd, &b->out);
	}
}

static void bare_run(void *arg, long rounds)
{
	struct bare *b = arg;

	while (rounds--) {
		b->out.head.serial++;
		put(b->fd, &b->out);
		get(b->fd, &b->in);
		if (b->in.reply_serial != b->out.head.serial ||
		    b->in.n_body != b->out.head.n_body)
			bench_fail("not the reply");
	}
}

static void bare(size_t n)
{
	static struct bare here, there;
	double value, spread;
	pid_t pid;

	bare_connect(&here);
	bare_connect(&there);
	begin(&here.out, CALL);
	add_field(&here.out, PATH, 'o', "/");
	add_field(&here.out, MEMBER, 's', "Call");
	add_field(&here.out, DESTINATION, 's', there.name);
	add_field(&here.out, SIGNATURE, 'g', "ay");
	finish(&here.out, payload, n);
	pid = fork();
	if (pid < 0)
		bench_fail("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		bare_serve(&there, n);
	}
	value = bench_measure(bare_run, &here, BENCH_RUN_NS, &spread);
	bench_print("roundtrip", "dbus-bare", n, value, spread);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(here.fd);
	close(there.fd);
}

struct sd {
	sd_bus *bus;
	const char *server;
	size_t n;
};

static sd_bus *sd_connect(const char **name)
{
	char address[128];
	sd_bus *bus;

	snprintf(address, sizeof(address), "unix:abstract=%.*s",
		 (int)(listener_size - offsetof(struct sockaddr_un, sun_path) -
		       1), listener.sun_path + 1);
	check(sd_bus_new(&bus), "sd_bus_new");
	check(sd_bus_set_address(bus, address), address);
	check(sd_bus_set_bus_client(bus, true), "sd_bus_set_bus_client");
	check(sd_bus_start(bus), "sd_bus_start");
	check(sd_bus_get_unique_name(bus, name), "sd_bus_get_unique_name");
	return bus;
}

static int sd_method(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	sd_bus_message *reply;
	const void *data;
	size_t n;

	(void)arg, (void)error;
	check(sd_bus_message_read_array(m, 'y', &data, &n), "a call");
	check(sd_bus_message_new_method_return(m, &reply), "a reply");
	check(sd_bus_message_append_array(reply, 'y', payload, n), "a reply");
	check(sd_bus_send(NULL, reply, NULL), "sd_bus_send");
	sd_bus_message_unref(reply);
	return 1;
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Call", "ay", "ay", sd_method,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END
};

static void sd_serve(int ready)
{
	const char *name;
	sd_bus *bus = sd_connect(&name);
	int r;

	check(sd_bus_add_object_vtable(bus, NULL, "/", "org.example.Call",
				       vtable, NULL), "a vtable");
	if (write(ready, name, strlen(name)) < 0)
		bench_fail("write");
	for (;;) {
		r = check(sd_bus_process(bus, NULL), "sd_bus_process");
		if (!r)
			check(sd_bus_wait(bus, -1), "sd_bus_wait");
	}
}

static void sd_run(void *arg, long rounds)
{
	sd_bus_message *m, *reply;
	struct sd *sd = arg;
	const void *data;
	size_t n;

	while (rounds--) {
		check(sd_bus_message_new_method_call(sd->bus, &m, sd->server,
						     "/", "org.example.Call",
						     "Call"), "a call");
		check(sd_bus_message_append_array(m, 'y', payload, sd->n),
		      "a call");
		check(sd_bus_call(sd->bus, m, -1, NULL, &reply), "sd_bus_call");
		check(sd_bus_message_read_array(reply, 'y', &data, &n),
		      "a reply");
		if (n != sd->n)
			bench_fail("not the reply");
		sd_bus_message_unref(reply);
		sd_bus_message_unref(m);
	}
}

static void sd(size_t n)
{
	struct sd sd = { .n = n };
	char server[32] = "";
	double value, spread;
	const char *name;
	int ready[2];
	pid_t pid;

	if (pipe(ready))
		bench_fail("pipe");
	/* a bus connection does not survive fork() */
	pid = fork();
	if (pid < 0)
		bench_fail("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sd_serve(ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], server, sizeof(server) - 1) <= 0)
		bench_fail("the server");
	close(ready[0]);
	sd.bus = sd_connect(&name);
	sd.server = server;
	value = bench_measure(sd_run, &sd, BENCH_RUN_NS, &spread);
	bench_print("roundtrip", "dbus-sd", n, value, spread);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	sd_bus_flush_close_unref(sd.bus);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 8, 4096, MOST };
	unsigned int i;

	if (argc > 2) {
		fputs("usage: dbus [DBUS-BROKER]\n", stderr);
		return 2;
	}
	if (argc == 2)
		broker = argv[1];
	bench_settle();
	memset(payload, 'x', sizeof(payload));
	start_broker();
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		bare(sizes[i]);
		sd(sizes[i]);
	}
	return 0;
}
