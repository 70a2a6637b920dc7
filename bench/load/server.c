//go:build ignore

// A server for comparing load generators: one thread, epoll, HTTP/1.1 with
// keep-alive, and WebSocket. It counts what it answered in a file that others
// map, so that no generator's own figure needs to be trusted, and can log when
// each request arrived and when its answer was written.
//
//   server port=18080 ports=2 counts=FILE [option=value ...]
//
//   body=BYTES             of each answer
//   work=NS                of CPU for each request
//   delay=NS               answer that much after the arrival
//   mm1=RATE               one queue, exponential service times of mean 1/RATE
//   stall=EVERY,LENGTH     freeze for LENGTH ns every EVERY ns
//   log=FILE records=N     one record for each answer and each freeze
//   tick=NS                between two messages of a broadcast; 0 is as fast as sockets take them
//   batch=N                messages in one write of such a broadcast
//   ping=NS                between two pings on each quiet WebSocket
//
// What a WebSocket does follows from the path of its handshake: /echo sends every
// message back, /broadcast gets 64-byte messages, anything else is quiet.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PORTS = 16, EVENTS = 256, READ = 64 << 10, MESSAGE = 64, NEVER = -1 };

static struct {
	int port, ports;
	size_t body, records, batch;
	int64_t work, delay, stall_every, stall_length, tick, ping;
	double mm1;
	const char *counts, *log;
} opt = {.port = 18080, .ports = 1, .body = 64, .batch = 1};

// One cache line for each port.
struct counts {
	_Atomic uint64_t requests, connections, messages, pings, pongs, spare[3];
};

enum kind { ANSWER, FREEZE };

// Nanoseconds of CLOCK_MONOTONIC; a freeze lasts from arrival to written.
struct record {
	uint64_t id;
	int64_t arrival, written;
	uint32_t port, kind;
};

struct logfile {
	_Atomic uint64_t n;
	uint64_t spare[3];
	struct record record[];
};

enum mode { CLOSED, LISTENER, HTTP, QUIET, ECHO, BROADCAST };

struct conn {
	enum mode mode;
	int port;
	uint32_t generation; // tells a deferred answer that its connection is gone
	size_t left;         // of the answer being written
	size_t phase;        // into the broadcast's endless repetition
	char *kept;          // the begin of a request or frame whose rest is to come
	size_t nkept;
};

struct deferred {
	int64_t due, arrival;
	uint64_t id;
	int fd;
	uint32_t generation;
};

static struct counts *counts;
static struct logfile *logged;
static struct conn *conns;
static int nconns, epfd;
static char *answer, *frames;
static size_t answer_size, frames_size;
static struct deferred *queue; // first in, first out: both service models keep the order
static size_t queue_head, queue_n, queue_cap;
static int64_t last_completion;

static void die(const char *what) {
	perror(what);
	exit(1);
}

static int64_t now_ns(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t now(void) { return now_ns(CLOCK_MONOTONIC); }

static void count(_Atomic uint64_t *counter, uint64_t n) { // there is one writer
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static void note(struct record r) {
	uint64_t n = atomic_load_explicit(&logged->n, memory_order_relaxed);
	if (n < opt.records) {
		logged->record[n] = r;
		atomic_store_explicit(&logged->n, n + 1, memory_order_release);
	}
}

// exponential draws from a fixed seed (xorshift64*, Vigna 2016), so that every run has the same service times.
static double exponential(double mean) {
	static uint64_t state = 0x9e3779b97f4a7c15;
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return -mean * log1p(-(double)((state * 0x2545f4914f6cdd1d) >> 11) / (double)(1ULL << 53));
}

static void hang_up(int fd) {
	struct conn *c = &conns[fd];
	free(c->kept);
	*c = (struct conn){.generation = c->generation + 1};
	close(fd);
}

// flush writes what is left of an answer; it reports whether all is written.
static int flush(int fd) {
	struct conn *c = &conns[fd];
	while (c->left > 0) {
		ssize_t n = send(fd, answer + answer_size - c->left, c->left, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno != EAGAIN)
				hang_up(fd);
			return 0;
		}
		c->left -= n;
	}
	return 1;
}

static void respond(int fd, uint64_t id, int64_t arrival) {
	struct conn *c = &conns[fd];
	uint32_t port = c->port;
	int64_t before = logged ? now() : 0;
	c->left += answer_size;
	flush(fd);
	if (logged) // on loopback the answer arrives within the call: the middle is the best guess
		note((struct record){.id = id, .arrival = arrival, .written = before + (now() - before) / 2, .port = port});
	count(&counts[port].requests, 1);
}

static void defer(int fd, uint64_t id, int64_t arrival) {
	int64_t due = arrival + opt.delay;
	if (opt.mm1 > 0)
		due = last_completion = (arrival > last_completion ? arrival : last_completion) + (int64_t)exponential(1e9 / opt.mm1);
	if (queue_n == queue_cap) {
		size_t cap = queue_cap ? 2 * queue_cap : 1024;
		struct deferred *grown = malloc(cap * sizeof *grown);
		if (!grown)
			die("malloc");
		for (size_t i = 0; i < queue_n; i++)
			grown[i] = queue[(queue_head + i) % queue_cap];
		free(queue);
		queue = grown, queue_head = 0, queue_cap = cap;
	}
	queue[(queue_head + queue_n++) % queue_cap] =
		(struct deferred){.due = due, .arrival = arrival, .id = id, .fd = fd, .generation = conns[fd].generation};
}

static void respond_due(void) {
	while (queue_n > 0 && queue[queue_head].due <= now()) {
		struct deferred d = queue[queue_head];
		queue_head = (queue_head + 1) % queue_cap, queue_n--;
		if (conns[d.fd].generation == d.generation)
			respond(d.fd, d.id, d.arrival);
	}
}

// last_number reads K of "GET /.../K HTTP/1.1".
static uint64_t last_number(const char *request, const char *end) {
	const char *path = memchr(request, ' ', end - request);
	const char *stop = path ? memchr(path + 1, ' ', end - path - 1) : NULL;
	if (!stop)
		return 0;
	const char *p = stop;
	while (p > path && p[-1] >= '0' && p[-1] <= '9')
		p--;
	return p < stop ? strtoull(p, NULL, 10) : 0;
}

// sha1 of a message of at most 119 bytes (FIPS 180-4).
static void sha1(const char *message, size_t size, uint8_t digest[20]) {
	uint8_t block[128] = {0};
	size_t blocks = size < 56 ? 1 : 2;
	memcpy(block, message, size);
	block[size] = 0x80;
	for (int i = 0; i < 8; i++)
		block[64 * blocks - 1 - i] = (uint64_t)size * 8 >> 8 * i;
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))
	for (size_t b = 0; b < blocks; b++) {
		uint32_t w[80], s[5];
		memcpy(s, h, sizeof s);
		for (int i = 0; i < 80; i++) {
			if (i < 16) {
				uint32_t word;
				memcpy(&word, block + 64 * b + 4 * i, 4);
				w[i] = ntohl(word);
			} else {
				w[i] = ROTATE(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
			}
			uint32_t f = i < 20   ? ((s[1] & s[2]) | (~s[1] & s[3])) + 0x5a827999
			             : i < 40 ? (s[1] ^ s[2] ^ s[3]) + 0x6ed9eba1
			             : i < 60 ? ((s[1] & s[2]) | (s[1] & s[3]) | (s[2] & s[3])) + 0x8f1bbcdc
			                      : (s[1] ^ s[2] ^ s[3]) + 0xca62c1d6;
			uint32_t first = ROTATE(s[0], 5) + f + s[4] + w[i];
			s[4] = s[3], s[3] = s[2], s[2] = ROTATE(s[1], 30), s[1] = s[0], s[0] = first;
		}
		for (int i = 0; i < 5; i++)
			h[i] += s[i];
	}
#undef ROTATE
	for (int i = 0; i < 20; i++)
		digest[i] = h[i / 4] >> 8 * (3 - i % 4);
}

static void base64(const uint8_t *in, size_t size, char *out) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < size; i += 3) {
		uint32_t v = in[i] << 16 | (i + 1 < size ? in[i + 1] << 8 : 0) | (i + 2 < size ? in[i + 2] : 0);
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < size ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < size ? digits[v & 63] : '=';
	}
	*out = 0;
}

// upgrade answers a WebSocket handshake (RFC 6455, 4.2.2); it reports whether it was one.
static int upgrade(int fd, const char *request, const char *end) {
	static const char name[] = "\r\nSec-WebSocket-Key:", guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	const char *key = NULL;
	for (const char *p = request; p && !key; p = memchr(p + 1, '\r', end - p - 1))
		if (end - p > (long)sizeof name && strncasecmp(p, name, sizeof name - 1) == 0)
			key = p + sizeof name - 1;
	if (!key)
		return 0;
	while (*key == ' ')
		key++;
	char message[100], accept[32], out[200];
	uint8_t digest[20];
	size_t size = strcspn(key, " \r");
	if (size > 40)
		return 0;
	memcpy(message, key, size);
	memcpy(message + size, guid, sizeof guid - 1);
	sha1(message, size + sizeof guid - 1, digest);
	base64(digest, sizeof digest, accept);
	int n = snprintf(out, sizeof out,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
	if (send(fd, out, n, MSG_NOSIGNAL) != n)
		return 0;
	struct conn *c = &conns[fd];
	c->mode = strncmp(request, "GET /echo", 9) == 0 ? ECHO : strncmp(request, "GET /broadcast", 14) == 0 ? BROADCAST : QUIET;
	if (c->mode == BROADCAST && opt.tick == 0) { // level-triggered: every connection gets its turn
		struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.fd = fd};
		epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev);
	}
	return 1;
}

// requests takes whole requests off the bytes and gives how many bytes they were.
static size_t requests(int fd, char *bytes, size_t size, int64_t arrival) {
	char *p = bytes, *last = bytes + size, *end;
	while (conns[fd].mode == HTTP && p < last && (end = memmem(p, last - p, "\r\n\r\n", 4))) {
		if (!upgrade(fd, p, end + 4)) {
			if (opt.work > 0)
				for (int64_t until = now() + opt.work; now() < until;)
					;
			uint64_t id = logged ? last_number(p, end) : 0;
			if (opt.delay > 0 || opt.mm1 > 0)
				defer(fd, id, arrival);
			else
				respond(fd, id, arrival);
		}
		p = end + 4;
	}
	return p - bytes;
}

// messages takes whole WebSocket frames off the bytes and gives how many bytes they were.
static size_t messages(int fd, char *bytes, size_t size) {
	struct conn *c = &conns[fd];
	uint8_t *p = (uint8_t *)bytes, *last = p + size;
	while (c->mode > HTTP && last - p >= 6) {
		size_t length = p[1] & 127, header = 6;
		if (length == 126)
			length = p[2] << 8 | p[3], header = 8;
		else if (length == 127) {
			hang_up(fd); // nothing here sends so much
			break;
		}
		if ((size_t)(last - p) < header + length)
			break;
		int opcode = p[0] & 15;
		uint8_t *mask = p + header - 4, *payload = p + header;
		for (size_t i = 0; i < length; i++)
			payload[i] ^= mask[i & 3];
		if (opcode == 10)
			count(&counts[c->port].pongs, 1);
		if (opcode == 8)
			hang_up(fd);
		if (opcode == 1 || opcode == 2) {
			if (c->mode == ECHO) { // the mask's place is free: the header moves up
				memmove(p + 4, p, header - 4);
				p[5] &= 127;
				if (send(fd, p + 4, header - 4 + length, MSG_NOSIGNAL) < 0)
					hang_up(fd);
			}
			if (c->mode != CLOSED)
				count(&counts[c->port].messages, 1);
		}
		p += header + length;
	}
	return (char *)p - bytes;
}

static ssize_t receive(int fd, char *buffer, size_t size, int64_t *arrival) {
	if (!logged) {
		ssize_t n = recv(fd, buffer, size, 0);
		if (n > 0 && (opt.delay > 0 || opt.mm1 > 0))
			*arrival = now();
		return n;
	}
	char control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec iov = {buffer, size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(fd, &m, 0);
	if (n <= 0)
		return n;
	*arrival = now();
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_TIMESTAMPNS) {
		struct timespec t;
		memcpy(&t, CMSG_DATA(c), sizeof t);
		*arrival -= now_ns(CLOCK_REALTIME) - (t.tv_sec * 1000000000LL + t.tv_nsec);
	}
	return n;
}

static void readable(int fd) {
	static char buffer[2 * READ + 1]; // terminated for the number's sake
	struct conn *c = &conns[fd];
	while (c->mode != CLOSED && c->left == 0) {
		size_t kept = c->nkept;
		memcpy(buffer, c->kept, kept);
		int64_t arrival = 0;
		ssize_t n = receive(fd, buffer + kept, READ, &arrival);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			hang_up(fd);
			return;
		}
		size_t size = kept + n, used = 0;
		if (c->mode == HTTP)
			used = requests(fd, buffer, size, arrival);
		if (c->mode > HTTP)
			used += messages(fd, buffer + used, size - used);
		if (c->mode == CLOSED)
			return;
		free(c->kept);
		c->kept = NULL, c->nkept = size - used;
		if (c->nkept > READ) {
			hang_up(fd);
			return;
		}
		if (c->nkept > 0) {
			if (!(c->kept = malloc(c->nkept)))
				die("malloc");
			memcpy(c->kept, buffer + used, c->nkept);
		}
		if (n < READ)
			return; // edge-triggered: what comes next is a new edge
	}
}

static void broadcast(int fd, size_t most) {
	struct conn *c = &conns[fd];
	size_t size = most < frames_size - c->phase ? most : frames_size - c->phase;
	ssize_t n = send(fd, frames + c->phase, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN)
			hang_up(fd);
		return;
	}
	count(&counts[c->port].messages, (c->phase % (MESSAGE + 2) + n) / (MESSAGE + 2));
	c->phase = (c->phase + n) % (MESSAGE + 2);
}

static void take(int fd) {
	int client;
	while ((client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (client >= nconns) {
			close(client);
			continue;
		}
		int one = 1;
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		struct conn *c = &conns[client];
		*c = (struct conn){.mode = HTTP, .port = conns[fd].port, .generation = c->generation + 1};
		struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = client};
		epoll_ctl(epfd, EPOLL_CTL_ADD, client, &ev);
		count(&counts[c->port].connections, 1);
	}
}

static void *map(const char *file, size_t size) {
	int fd = open(file, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, size) < 0)
		die(file);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		die(file);
	close(fd);
	return p;
}

static void parse(char *arg) {
	char *value = strchr(arg, '=');
	if (!value) {
		fprintf(stderr, "server: %s is not option=value\n", arg);
		exit(2);
	}
	*value++ = 0;
#define INT(name) if (strcmp(arg, #name) == 0) { opt.name = atoll(value); return; }
	INT(port) INT(ports) INT(body) INT(work) INT(delay) INT(mm1) INT(records) INT(tick) INT(batch) INT(ping)
#undef INT
	if (strcmp(arg, "counts") == 0)
		opt.counts = value;
	else if (strcmp(arg, "log") == 0)
		opt.log = value;
	else if (strcmp(arg, "stall") == 0 && sscanf(value, "%ld,%ld", &opt.stall_every, &opt.stall_length) == 2)
		;
	else {
		fprintf(stderr, "server: unknown option %s\n", arg);
		exit(2);
	}
}

static void prepare(void) {
	char head[200];
	int n = snprintf(head, sizeof head,
		"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", opt.body);
	answer_size = n + opt.body;
	answer = malloc(answer_size);
	frames_size = (MESSAGE + 2) * (opt.batch + 1);
	frames = malloc(frames_size);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	nconns = files.rlim_cur < 1 << 20 ? files.rlim_cur : 1 << 20;
	conns = calloc(nconns, sizeof *conns);
	if (!answer || !frames || !conns)
		die("malloc");
	memcpy(answer, head, n);
	for (size_t i = 0; i < opt.body; i++)
		answer[n + i] = 'a' + i % 26;
	for (size_t i = 0; i < frames_size; i++)
		frames[i] = i % (MESSAGE + 2) == 0 ? (char)0x81 : i % (MESSAGE + 2) == 1 ? MESSAGE : 'm';
	if (opt.counts)
		counts = map(opt.counts, MAX_PORTS * sizeof *counts);
	else
		counts = calloc(MAX_PORTS, sizeof *counts);
	if (opt.log)
		logged = map(opt.log, sizeof *logged + opt.records * sizeof(struct record));
	if ((epfd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll");
	for (int i = 0; i < opt.ports && i < MAX_PORTS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(opt.port + i), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (logged)
			setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one); // accepted sockets inherit it
		if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
			die("listen");
		conns[fd] = (struct conn){.mode = LISTENER, .port = i};
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
		epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static int64_t sooner(int64_t a, int64_t b) { return a == NEVER ? b : b == NEVER ? a : a < b ? a : b; }

static void to_all(enum mode mode) {
	for (int fd = 0; fd < nconns; fd++) {
		if (conns[fd].mode != mode)
			continue;
		if (mode == BROADCAST)
			broadcast(fd, MESSAGE + 2 - conns[fd].phase);
		else if (send(fd, "\x89\0", 2, MSG_NOSIGNAL | MSG_DONTWAIT) == 2)
			count(&counts[conns[fd].port].pings, 1);
	}
}

int main(int argc, char **argv) {
	for (int i = 1; i < argc; i++)
		parse(argv[i]);
	prctl(PR_SET_TIMERSLACK, 1);
	prepare();
	printf("ready\n");
	fflush(stdout);

	int64_t begin = now();
	int64_t stall = opt.stall_every > 0 ? begin + opt.stall_every : NEVER;
	int64_t tick = opt.tick > 0 ? begin : NEVER, ping = opt.ping > 0 ? begin + opt.ping : NEVER;
	struct epoll_event events[EVENTS];
	for (;;) {
		int64_t next = sooner(sooner(stall, tick), ping);
		if (queue_n > 0)
			next = sooner(next, queue[queue_head].due);
		struct timespec patience, *forever = NULL;
		if (next != NEVER) {
			int64_t t = now(), wait = next > t ? next - t : 0;
			patience = (struct timespec){wait / 1000000000, wait % 1000000000};
		}
		int n = epoll_pwait2(epfd, events, EVENTS, next == NEVER ? forever : &patience, NULL);
		if (stall != NEVER && now() >= stall) {
			int64_t from = now(), until = stall + opt.stall_length;
			struct timespec t = {until / 1000000000, until % 1000000000};
			while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
				;
			if (logged)
				note((struct record){.arrival = from, .written = now(), .kind = FREEZE});
			stall += opt.stall_every;
		}
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			struct conn *c = &conns[fd];
			if (c->mode == LISTENER) {
				take(fd);
				continue;
			}
			if (c->left > 0 && !flush(fd))
				continue;
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				readable(fd);
			if (c->mode == BROADCAST && opt.tick == 0 && events[i].events & EPOLLOUT)
				broadcast(fd, (MESSAGE + 2) * opt.batch - c->phase);
		}
		respond_due();
		if (tick != NEVER && now() >= tick) {
			to_all(BROADCAST);
			tick += opt.tick;
		}
		if (ping != NEVER && now() >= ping) {
			to_all(QUIET);
			ping += opt.ping;
		}
	}
}
