//go:build ignore

// The floor: how little a load generator on one thread can cost. It reads every
// answer and sends one request for each; what an answer says is not looked at
// beyond its length, which the first one gave.
//
//   floor epoll|io_uring PORT CONNECTIONS SECONDS
//   floor paced PORT CONNECTIONS SECONDS RATE
//   floor even PORT CONNECTIONS SECONDS RATE [SLOT]
//
// even is the floor of an open loop: it sleeps until each request is due, sends
// it, and takes what has arrived meanwhile; with a slot in ns it sends at the
// multiples of that.
//
// paced is a stand-in for wrk2 where that cannot be installed. It does the system
// calls that wrk2 does, but parses no answer: each connection has its share of the
// rate and a turn of its own; when it has its answer it asks to be told that it
// can write; if its turn has not come by then it withdraws that, sets a timer of
// whole milliseconds and asks again when that fires; latency counts from the turn.
// It prints p50, p90, p95 and p99 in ns.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX = 1024, READ = 64 << 10 };

static const char request[] = "GET /0 HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: floor\r\n\r\n";
static const size_t request_size = sizeof request - 1;
static char buffer[READ];
static int fds[MAX], connections;
static size_t answer_size, left[MAX]; // what of the answer is still to come
static int64_t deadline;

static void die(const char *what) {
	perror(what);
	exit(1);
}

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// first asks once in blocking fashion, to learn how long an answer is.
static void first(int fd) {
	if (send(fd, request, request_size, 0) != (ssize_t)request_size)
		die("send");
	size_t got = 0;
	char *end = NULL, *length = NULL;
	while (!end) {
		ssize_t n = recv(fd, buffer + got, READ - got, 0);
		if (n <= 0)
			die("recv");
		got += n;
		end = memmem(buffer, got, "\r\n\r\n", 4);
	}
	if (!(length = strstr(buffer, "Content-Length: "))) {
		fprintf(stderr, "floor: no Content-Length\n");
		exit(1);
	}
	answer_size = end + 4 - buffer + atoll(length + 16);
	for (; got < answer_size; got += recv(fd, buffer, READ, 0))
		;
}

static void connect_all(int port) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (int i = 0; i < connections; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
			die("connect");
		fds[i] = fd;
	}
	first(fds[0]);
}

// arrived books n bytes and reports whether the answer of connection i is whole.
static int arrived(int i, size_t n) {
	if (n > left[i]) {
		fprintf(stderr, "floor: more bytes than asked for\n");
		exit(1);
	}
	return (left[i] -= n) == 0;
}

static void ask(int i) {
	left[i] = answer_size;
	if (send(fds[i], request, request_size, MSG_DONTWAIT) != (ssize_t)request_size)
		die("send");
}

static void epoll(void) {
	int ep = epoll_create1(0);
	struct epoll_event events[MAX];
	for (int i = 0; i < connections; i++) {
		// Edge-triggered: the kernel need not look again at a socket that was read empty.
		struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = i};
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev);
		ask(i);
	}
	for (uint32_t round = 0; round % 256 || now() < deadline; round++) {
		int n = epoll_wait(ep, events, MAX, 100);
		for (int e = 0; e < n; e++) {
			int i = events[e].data.u32;
			for (;;) {
				ssize_t got = recv(fds[i], buffer, READ, MSG_DONTWAIT);
				if (got < 0 && errno == EAGAIN)
					break;
				if (got <= 0)
					die("recv");
				if (arrived(i, got)) {
					ask(i);
					break;
				}
				if (got < READ)
					break;
			}
		}
	}
}

// ring is io_uring by hand.
static struct {
	int fd;
	_Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
	uint32_t sq_mask, cq_mask, tail, pending;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
} ring;

static struct io_uring_sqe *submission(uint8_t opcode, int file, uint64_t data) {
	struct io_uring_sqe *s = &ring.sqes[ring.tail++ & ring.sq_mask];
	ring.pending++;
	*s = (struct io_uring_sqe){.opcode = opcode, .fd = file, .flags = IOSQE_FIXED_FILE, .user_data = data};
	return s;
}

static void open_ring(void) {
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
		.cq_entries = 4 * MAX,
	};
	if ((ring.fd = syscall(SYS_io_uring_setup, 2 * MAX, &p)) < 0)
		die("io_uring_setup");
	size_t sq_size = p.sq_off.array + p.sq_entries * sizeof(uint32_t), cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *rings = mmap(NULL, sq_size > cq_size ? sq_size : cq_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
	ring.sqes = mmap(NULL, p.sq_entries * sizeof *ring.sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
	if (rings == MAP_FAILED || ring.sqes == MAP_FAILED)
		die("mmap");
	ring.sq_tail = (void *)(rings + p.sq_off.tail);
	ring.cq_head = (void *)(rings + p.cq_off.head);
	ring.cq_tail = (void *)(rings + p.cq_off.tail);
	ring.sq_mask = *(uint32_t *)(rings + p.sq_off.ring_mask);
	ring.cq_mask = *(uint32_t *)(rings + p.cq_off.ring_mask);
	ring.cqes = (void *)(rings + p.cq_off.cqes);
	uint32_t *array = (void *)(rings + p.sq_off.array);
	for (uint32_t i = 0; i < p.sq_entries; i++)
		array[i] = i;
	if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, fds, connections) < 0)
		die("register files");
}

enum { SENT = 1U << 31, PIECES = 256, PIECE = 16 << 10, CHUNK = 16 };

// pieces are the buffers that the kernel takes for what arrives.
static struct io_uring_buf_ring *pieces;
static char (*piece)[PIECE];
static uint16_t pieces_tail;

static void give_back(int id) {
	struct io_uring_buf *b = &pieces->bufs[pieces_tail++ % PIECES];
	b->addr = (uintptr_t)piece[id], b->len = PIECE, b->bid = id;
	atomic_store_explicit((_Atomic uint16_t *)&pieces->tail, pieces_tail, memory_order_release);
}

static void give_all(void) {
	pieces = mmap(NULL, PIECES * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	piece = mmap(NULL, PIECES * PIECE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)pieces, .ring_entries = PIECES};
	if (pieces == MAP_FAILED || piece == MAP_FAILED || syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0)
		die("register buffers");
	for (int i = 0; i < PIECES; i++)
		give_back(i);
}

// submit_receive lasts until the kernel runs out of pieces.
static void submit_receive(int i) {
	struct io_uring_sqe *s = submission(IORING_OP_RECV, i, i);
	s->ioprio = IORING_RECV_MULTISHOT | IORING_RECVSEND_POLL_FIRST;
	s->flags |= IOSQE_BUFFER_SELECT;
}

static void submit_ask(int i) {
	left[i] = answer_size;
	struct io_uring_sqe *s = submission(IORING_OP_SEND, i, SENT | i);
	s->addr = (uintptr_t)request;
	s->len = request_size;
	s->msg_flags = MSG_WAITALL;         // a short send is an error,
	s->flags |= IOSQE_CQE_SKIP_SUCCESS; // and only errors are told
}

static void enter(int wait_for) {
	atomic_store_explicit(ring.sq_tail, ring.tail, memory_order_release);
	int n = syscall(SYS_io_uring_enter, ring.fd, ring.pending, wait_for, wait_for ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
	if (n < 0 && errno != EINTR)
		die("io_uring_enter");
	ring.pending -= n > 0 ? n : 0;
}

static void io_uring(void) {
	open_ring();
	give_all();
	for (int i = 0; i < connections; i++) {
		submit_receive(i);
		submit_ask(i);
	}
	for (uint32_t round = 0; round % 256 || now() < deadline; round++) {
		enter(1);
		uint32_t head = *ring.cq_head, tail = atomic_load_explicit(ring.cq_tail, memory_order_acquire);
		for (; head != tail; head++) {
			struct io_uring_cqe *c = &ring.cqes[head & ring.cq_mask];
			int i = c->user_data & ~SENT;
			if (c->flags & IORING_CQE_F_BUFFER)
				give_back(c->flags >> IORING_CQE_BUFFER_SHIFT);
			if (!(c->flags & IORING_CQE_F_MORE))
				submit_receive(i);
			if (c->res == -ENOBUFS)
				continue;
			if (c->res <= 0 || c->user_data & SENT) {
				errno = -c->res;
				die("io_uring");
			}
			if (arrived(i, c->res))
				submit_ask(i);
			if (ring.pending >= CHUNK)
				enter(0); // the server need not wait for the rest of this batch
		}
		atomic_store_explicit(ring.cq_head, head, memory_order_release);
	}
}

// histogram counts with 11 bits of precision, as HDR histograms do: octave by
// octave, each in 1024 steps.
static uint32_t histogram[55 << 10];

static void record(uint64_t ns) {
	int shift = ns < 2048 ? 0 : 53 - __builtin_clzll(ns);
	histogram[(shift << 10) + (ns >> shift)]++;
}

static uint64_t quantile(double q) {
	uint64_t total = 0, sum = 0, i;
	for (i = 0; i < 55 << 10; i++)
		total += histogram[i];
	for (i = 0; i + 1 < 55 << 10 && (sum += histogram[i]) < q * total; i++)
		;
	int shift = i < 2048 ? 0 : (i >> 10) - 1;
	return (i - ((uint64_t)shift << 10)) << shift;
}

static void interest(int ep, int i, uint32_t events) {
	struct epoll_event ev = {.events = events, .data.u32 = i};
	epoll_ctl(ep, EPOLL_CTL_MOD, fds[i], &ev);
}

static void paced(double rate) {
	enum { MS = 1000000, STAGGER = 5 * MS }; // between the starts of two connections
	enum { WRITING, WAITING, READING } state[MAX] = {WRITING};
	int64_t begin = now(), due[MAX], tick[MAX]; // ns; the ms in which the timer fires
	uint64_t turn[MAX] = {0};
	struct epoll_event events[MAX];
	int ep = epoll_create1(0);
	for (int i = 0; i < connections; i++) {
		struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.u32 = i};
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev);
		due[i] = begin + (int64_t)i * STAGGER;
	}
	for (int64_t t = begin; t < deadline;) {
		int64_t next = deadline / MS;
		for (int i = 0; i < connections; i++) {
			if (state[i] != WAITING)
				continue;
			if (tick[i] <= t / MS) {
				interest(ep, i, EPOLLIN | EPOLLOUT);
				state[i] = WRITING;
			} else if (tick[i] < next) {
				next = tick[i];
			}
		}
		int n = epoll_wait(ep, events, MAX, next > t / MS ? next - t / MS : 0);
		t = now();
		for (int e = 0; e < n; e++) {
			int i = events[e].data.u32;
			if (events[e].events & EPOLLOUT && state[i] == WRITING) {
				state[i] = due[i] > now() ? WAITING : READING;
				if (state[i] == READING)
					ask(i);
				else
					tick[i] = t / MS + (due[i] - t + MS - 1) / MS;
				interest(ep, i, EPOLLIN);
			} else if (events[e].events & EPOLLIN) {
				ssize_t got = recv(fds[i], buffer, READ, MSG_DONTWAIT);
				if (got <= 0)
					die("recv");
				if (!arrived(i, got))
					continue;
				record(now() - due[i]);
				due[i] = begin + (int64_t)i * STAGGER + (int64_t)(++turn[i] * 1e9 * connections / rate);
				interest(ep, i, EPOLLIN | EPOLLOUT);
				state[i] = WRITING;
			}
		}
	}
	printf("{\"p50\":%lu,\"p90\":%lu,\"p95\":%lu,\"p99\":%lu}\n", quantile(0.50), quantile(0.90), quantile(0.95), quantile(0.99));
}

// even sends on time: one sleep, one send and one receive for each request.
static void even(double rate, int64_t slot) {
	int first = 0, flying = 0; // the oldest unanswered connection, and how many there are
	int64_t begin = now();
	prctl(PR_SET_TIMERSLACK, 1);
	for (uint64_t k = 0;; k++) {
		int64_t due = begin + (int64_t)(k * 1e9 / rate);
		if (slot > 0)
			due -= (due - begin) % slot;
		if (due > deadline)
			return;
		if (due > now()) {
			struct timespec at = {due / 1000000000, due % 1000000000};
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		}
		while (flying > 0) {
			ssize_t got = recv(fds[first], buffer, READ, flying == connections ? 0 : MSG_DONTWAIT);
			if (got < 0 && errno == EAGAIN)
				break;
			if (got <= 0)
				die("recv");
			if (arrived(first, got)) {
				first = (first + 1) % connections;
				flying--;
			}
		}
		ask((first + flying++) % connections);
	}
}

int main(int argc, char **argv) {
	if (argc < 5 || (connections = atoi(argv[3])) < 1 || connections > MAX) {
		fprintf(stderr, "usage: floor epoll|io_uring|paced|even PORT CONNECTIONS SECONDS [RATE [SLOT]]\n");
		return 2;
	}
	connect_all(atoi(argv[2]));
	deadline = now() + (int64_t)(atof(argv[4]) * 1e9);
	if (strcmp(argv[1], "epoll") == 0)
		epoll();
	else if (strcmp(argv[1], "io_uring") == 0)
		io_uring();
	else if (strcmp(argv[1], "paced") == 0 && argc == 6)
		paced(atof(argv[5]));
	else if (strcmp(argv[1], "even") == 0 && argc >= 6)
		even(atof(argv[5]), argc > 6 ? atoll(argv[6]) : 0);
	else
		return 2;
	return 0;
}
