// SPDX-License-Identifier: Apache-2.0
/*
 * Channels under what no single caller does (tests/system/crowd.yaml). "pair" has two vCPUs that send and receive on the same channels at once, each writing
 * all over the outbox while the other's message is copied; then one of them sends whole messages, and "judge", who receives them, resets the partition again and
 * again. "user" and "plain" call from user mode, where only the first may.
 *
 *   RESULT crowd received=<n> lost=<n> odd=<n> mixed=<n> changed=<n> orders=<n> astray=<n>
 *   RESULT restarts lives=<n> messages=<n> broken=<n> order=<n> stuck=<n>
 *   RESULT user|plain sent=<n> refused=<n> eperm=<n> other=<n>
 */
#include "hostile/note.h"
#include "ports.h"

#define WORDS 64u
#define MESSAGES 1000u
#define LIVES 12u
#define PAGE 4096u

struct box {
	uint64_t phase, lives, taken; /* taken: orders, in the second phase */
	struct {
		uint64_t sent, got, odd, done;
	} vcpu[2];
};
static volatile struct box *box;
static const struct kit_port *queue, *sample, *orders;

/* ---- pair ---- */

static void crowd(unsigned vcpu)
{
	volatile uint64_t *words = kit_port_outbox(queue);
	uint64_t sent = 0, got = 0, odd = 0;

	for (uint64_t n = vcpu; box->phase == 0; n += 2) {
		int64_t result;

		for (unsigned i = 0; i < (vcpu ? 8 : 1) * WORDS; i++) /* the second one writes more than it sends */
			words[i % WORDS] = n;
		result = kit_port_send_outbox(queue, WORDS * 8);
		sent += result == 0;
		odd += result != 0 && result != BH_EAGAIN;
		result = kit_port_send_outbox(sample, WORDS * 8);
		odd += result != 0 && result != BH_EAGAIN;
		result = hypercall1(BH_PORT_RECEIVE, orders->number);
		got += result > 0;
		odd += result < 0 && result != BH_EAGAIN;
		odd += kit_port_status(queue, BH_PORT_SLOTS) <= 0;
	}
	box->vcpu[vcpu].sent = sent;
	box->vcpu[vcpu].got = got;
	box->vcpu[vcpu].odd = odd;
	box->vcpu[vcpu].done = 1;
}

static uint64_t content(uint64_t life, uint64_t number, uint64_t word)
{
	return (life << 32 ^ number << 8 ^ word) * 0x9e3779b97f4a7c15;
}

static void send_whole(void)
{
	volatile uint64_t *words = kit_port_outbox(queue);
	const uint64_t life = box->lives;

	for (uint64_t number = 1;; number++) {
		words[0] = life;
		words[1] = number;
		for (unsigned i = 2; i < WORDS; i++)
			words[i] = content(life, number, i);
		while (kit_port_send_outbox(queue, WORDS * 8) != 0)
			pause();
	}
}

static void second(void)
{
	if (box->lives == 1)
		crowd(1);
	for (;;) {
		box->taken += kit_port_receive(orders, 0) != 0;
		kit_port_send_outbox(sample, WORDS * 8);
		kit_port_status(queue, BH_PORT_WAITING);
	}
}

static void pair(void)
{
	box->lives++;
	kit_start_second(1, second);
	if (box->lives == 1)
		crowd(0);
	while (box->phase < 2)
		pause();
	send_whole();
}

/* ---- judge ---- */

static struct {
	uint64_t received, odd, mixed, changed, ordered, life, number, messages, broken, order, stuck;
} found;

/* Look at a message twice. */
static void look(const struct port_slot *slot)
{
	uint64_t copy[WORDS];
	bool mixed = false;

	memcpy(copy, slot->message, sizeof copy);
	for (unsigned i = 1; i < WORDS; i++)
		mixed |= copy[i] != copy[0];
	found.mixed += mixed;
	found.odd += slot->length != sizeof copy;
	for (uint64_t start = rdtsc(); rdtsc() - start < 500;)
		pause();
	found.changed += memcmp(copy, slot->message, sizeof copy) != 0;
}

static void send_order(void)
{
	const uint64_t order = found.ordered;
	const int64_t result = kit_port_send(orders, &order, sizeof order);

	found.ordered += result == 0;
	found.odd += result != 0 && result != BH_EAGAIN;
}

static void judge_crowd(void)
{
	const struct port_slot *slot;
	uint64_t lost, astray;

	while (found.received < MESSAGES) {
		if ((slot = kit_port_receive(queue, 0)))
			look(slot), found.received++;
		if ((slot = kit_port_receive(sample, 0)))
			look(slot);
		send_order();
	}
	box->phase = 1;
	while (!box->vcpu[0].done || !box->vcpu[1].done)
		pause();
	while (kit_port_receive(queue, 0))
		found.received++;
	lost = box->vcpu[0].sent + box->vcpu[1].sent - found.received;
	astray = found.ordered - box->vcpu[0].got - box->vcpu[1].got -
	         (uint64_t)kit_port_status(orders, BH_PORT_WAITING);
	found.odd += box->vcpu[0].odd + box->vcpu[1].odd + !box->vcpu[0].sent + !box->vcpu[1].sent;
	kit_printf("RESULT crowd received=%lu lost=%lu odd=%lu mixed=%lu changed=%lu orders=%lu astray=%lu\n",
	           found.received, lost, found.odd, found.mixed, found.changed, found.ordered, astray);
}

/* The next whole message, or not for half a second. */
static bool judge_message(void)
{
	const uint64_t end = rdtsc() + 500 * kit_tsc_khz();
	const struct port_slot *slot;
	const uint64_t *words;

	while (!(slot = kit_port_receive(queue, 0)))
		if (rdtsc() > end)
			return false;
	words = (const uint64_t *)slot->message;
	found.messages++;
	found.broken += slot->length != WORDS * 8;
	for (unsigned i = 2; i < WORDS; i++)
		found.broken += words[i] != content(words[0], words[1], i);
	found.order += words[0] == found.life ? words[1] != found.number + 1 : words[0] < found.life || words[1] != 1;
	found.life = words[0];
	found.number = words[1];
	return true;
}

/* Resets come whatever the partition is at: writing a message, sending it, receiving. */
static void judge_restarts(unsigned pair_number)
{
	uint64_t taken = 0;

	box->phase = 2;
	for (unsigned life = 1; life <= LIVES && !found.stuck; life++) {
		for (unsigned i = 0; i < 8 + life * 5 % 7; i++) {
			found.stuck += !judge_message();
			send_order();
		}
		found.stuck += found.life != life;
		for (uint64_t end = rdtsc() + 500 * kit_tsc_khz(); box->taken == taken && rdtsc() < end;)
			send_order();
		found.stuck += box->taken == taken; /* it receives in this life, too */
		taken = box->taken;
		for (uint64_t start = rdtsc(); rdtsc() - start < life * 37;)
			pause();
		if (life < LIVES)
			found.odd += hypercall1(BH_PARTITION_RESET, pair_number) != 0;
		for (uint64_t end = rdtsc() + 500 * kit_tsc_khz(); life < LIVES && found.life == life && rdtsc() < end;)
			judge_message(); /* what had been sent before */
	}
	kit_printf("RESULT restarts lives=%lu messages=%lu broken=%lu order=%lu stuck=%lu\n", found.life,
	           found.messages, found.broken, found.order, found.stuck);
}

/* ---- user and plain ---- */

static uint8_t user_page[PAGE] __attribute__((aligned(4096)));

struct user_call {
	uint64_t number, a, b;
	int64_t result;
};

/* Makes the calls that stand behind it until a number is -1; then HLT, which is #GP there. Position independent. */
extern const uint8_t user_code[], user_calls[], user_end[];
__asm__(".pushsection .text\n"
        "user_code: lea user_calls(%rip), %rbx\n"
        "1: mov (%rbx), %rax\n"
        "	mov 8(%rbx), %rdi\n"
        "	mov 16(%rbx), %rsi\n"
        "	cmp $-1, %rax\n"
        "	je 2f\n"
        "	vmcall\n"
        "	mov %rax, 24(%rbx)\n"
        "	add $32, %rbx\n"
        "	jmp 1b\n"
        "2: hlt\n"
        "	.balign 8\n"
        "user_calls:\n"
        "user_end:\n"
        ".popsection");

static void enter_user(void *linear)
{
	__asm__ volatile("push %0; push %1; push $2; push %2; push %3; iretq"
	                 :
	                 : "r"((uint64_t)KIT_USER_DATA), "r"((uint64_t)linear + PAGE), "r"((uint64_t)KIT_USER_CODE),
	                   "r"(linear)
	                 : "memory");
}

/* Its own channel with all sides of its arguments, those of others, and calls of which it has none. */
static void from_user(const struct kit_info *info)
{
	const struct kit_port *own = kit_port(info, info->name[0] == 'u' ? "by-user" : "by-plain");
	struct user_call *calls = (struct user_call *)(user_page + (user_calls - user_code));
	const uint64_t n = own->number;
	const struct user_call list[] = {
		{ BH_PORT_SEND, n, 8, 0 },          { BH_PORT_SEND, n, 16, 0 },
		{ BH_PORT_SEND, n, 17, 0 },         { BH_PORT_SEND, n, 0, 0 },
		{ BH_PORT_SEND, n, UINT64_MAX, 0 }, { BH_PORT_SEND, n ^ 1, 8, 0 },
		{ BH_PORT_SEND, UINT64_MAX, 8, 0 }, { BH_PORT_STATUS, n, BH_PORT_SENT, 0 },
		{ BH_PORT_STATUS, n, 9, 0 },        { BH_PORT_RECEIVE, n, 0, 0 },
		{ BH_PARTITION_RESET, 0, 0, 0 },    { UINT64_MAX, 0, 0, 0 },
	};
	uint64_t sent = 0, refused = 0, eperm = 0, other = 0;

	memcpy(user_page, user_code, (size_t)(user_end - user_code));
	memcpy(calls, list, sizeof list);
	*(volatile uint64_t *)kit_port_outbox(own) = (uint8_t)info->name[0];
	kit_try(enter_user, kit_window((uint64_t)user_page, true));
	for (const struct user_call *c = calls; c->number != UINT64_MAX; c++) {
		sent += c->number == BH_PORT_SEND && c->result == 0;
		refused += c->result == BH_EINVAL || c->result == BH_ENOCALL;
		eperm += c->result == BH_EPERM;
		other += c->result > 0 || c->result < BH_EAGAIN;
	}
	kit_printf("RESULT %s sent=%lu refused=%lu eperm=%lu other=%lu\n", info->name, sent, refused, eperm, other);
}

int main(const struct kit_info *info)
{
	queue = kit_port(info, "queue");
	sample = kit_port(info, "sample");
	orders = kit_port(info, "orders");
	box = info->map_count ? (volatile struct box *)info->map[0].gpa : 0;
	if (kit_name_is(info->name, "pair"))
		pair();
	if (!kit_name_is(info->name, "judge")) {
		from_user(info);
		return 0;
	}
	judge_crowd();
	judge_restarts(1);
	for (unsigned i = 0; i < 2; i++) {
		const struct kit_port *p = kit_port(info, i ? "by-plain" : "by-user");
		uint64_t count = 0, right = 0;

		for (const struct port_slot *slot; (slot = kit_port_receive(p, 0)); count++)
			right += slot->message[0] == (i ? 'p' : 'u');
		kit_printf("RESULT from %s=%lu right=%lu\n", i ? "plain" : "user", count, right);
	}
	return 0;
}
