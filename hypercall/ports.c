// SPDX-License-Identifier: Apache-2.0
/*
 * Channels between partitions: abi.h says what the calls do, ports.h where messages are, protocol.h how CPUs agree.
 *
 * What an address depends on is never read from memory that a guest can write, and nothing that was checked is read a second time.
 */
#include "abi.h"
#include "calls.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/x86.h"
#include "ports.h"
#include "protocol.h"

/* Of a channel; 0: sampling, from a partition of one vCPU. */
#define QUEUING 1u
#define GUARDED 2u /* its source has several vCPUs: `busy` lets one in at a time */

/* A destination and what it writes, in a line of its own. `guarded`: likewise. */
struct reader {
	uint32_t claim; /* sampling: the slot it has, or SAMPLING_CLAIMING */
	uint32_t head;  /* queuing: the slot that it gets next */
	uint32_t guarded, busy;
} __attribute__((aligned(64)));

/* The configuration's channel with all addresses ready, and what the source writes, in a line of its own. */
static struct channel {
	uint8_t *slots;
	const uint64_t *outbox;
	uint64_t refresh; /* ticks */
	uint64_t doorbells;
	uint64_t size;
	struct reader *reader, *reader_end;
	uint32_t stride;
	uint16_t source;
	uint8_t mode;
	uint32_t latest __attribute__((aligned(64))); /* sampling: the last message's slot */
	uint32_t next;                                /* the slot that is written next */
	uint32_t sent, refused, busy;
	uint32_t last; /* constant: the highest slot */
} channels[CONFIG_CHANNELS];

static struct reader readers[CONFIG_CHANNELS][CONFIG_READERS_MAX];
static struct reader *reader_of[CONFIG_CHANNELS][CONFIG_PARTITIONS]; /* 0: no destination */

static void *in_core(uint32_t memory)
{
	return (void *)(CORE_MEMORY_BASE + config.memories[memory].core_at);
}

static inline uint8_t has_many(uint32_t partition)
{
	return config.partitions[partition].vcpu_count > 1;
}

void ports_init(void)
{
	for (uint32_t i = 0; i < CONFIG_CHANNELS; i++) {
		const struct config_channel *c = &config.channels[i];
		struct reader *r = readers[i];

		for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++)
			if (c->destinations >> p & 1) {
				*r = (struct reader){ .head = 1, .guarded = has_many(p) };
				reader_of[i][p] = r++;
			}
		channels[i] = (struct channel){
			.slots = in_core(c->slots),
			.outbox = in_core(c->outbox),
			.refresh = c->refresh ? c->refresh * tsc_khz / 1000 : UINT64_MAX,
			.doorbells = c->doorbells,
			.size = c->size,
			.reader = readers[i],
			.reader_end = r,
			.stride = PORT_STRIDE(c->size),
			.source = c->source,
			.mode = (uint8_t)((c->kind == CHANNEL_QUEUING) | has_many(c->source) << 1),
			.next = 1,
			.last = c->slot_count,
		};
	}
}

/* The only copy of a message: into the next slot, in words. Up to 7 bytes behind it come along: they are the sender's, too. */
static inline void fill_slot(struct channel *ch, uint32_t number, uint64_t length)
{
	struct port_slot *slot = (struct port_slot *)(ch->slots + (uint64_t)number * ch->stride);
	const uint64_t *from = ch->outbox;
	uint64_t *to = slot->message, words = (length + 7) / 8;

	slot->tsc = rdtsc();
	slot->length = (uint32_t)length;
	ch->sent++;
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static __attribute__((noinline)) int64_t ring_all(uint64_t doorbells)
{
	for (; CONFIG_DOORBELLS && doorbells; doorbells &= doorbells - 1)
		doorbell_ring((uint32_t)__builtin_ctzll(doorbells));
	return 0;
}

/* The slot becomes the last message; look for one to fill next. There is a reader at least. */
static __attribute__((noinline)) int64_t send_sample(struct channel *ch, uint64_t length)
{
	const uint32_t slot = ch->next;
	struct reader *r;
	uint64_t used;

	fill_slot(ch, slot, length);
	sampling_publish(&ch->latest, slot);
	r = ch->reader;
	used = sampling_use(1, slot);
	do {
		uint32_t claimed = sampling_look(&r->claim);

		if (__builtin_expect(claimed == SAMPLING_CLAIMING, 0))
			claimed = sampling_give(&r->claim, slot);
		used = sampling_use(used, claimed);
	} while (++r != ch->reader_end);
	ch->next = sampling_free(used);
	return ch->doorbells ? ring_all(ch->doorbells) : 0;
}

static __attribute__((noinline)) int64_t send_message(struct channel *ch, uint64_t length)
{
	const uint32_t slot = ch->next, next = queue_next(slot, ch->last);

	if (next == __atomic_load_n(&ch->reader->head, __ATOMIC_ACQUIRE)) {
		ch->refused++;
		return BH_EAGAIN;
	}
	fill_slot(ch, slot, length);
	__atomic_store_n(&ch->next, next, __ATOMIC_RELEASE);
	return ch->doorbells ? ring_all(ch->doorbells) : 0;
}

static __attribute__((noinline)) int64_t send_guarded(struct channel *ch, uint64_t length)
{
	int64_t result;

	if (__atomic_exchange_n(&ch->busy, 1, __ATOMIC_ACQUIRE))
		return BH_EAGAIN;
	result = ch->mode & QUEUING ? send_message(ch, length) : send_sample(ch, length);
	__atomic_store_n(&ch->busy, 0, __ATOMIC_RELEASE);
	return result;
}

int64_t call_port_send(struct vcpu *vcpu)
{
	const uint64_t number = vcpu->regs[REG_RDI], length = vcpu->regs[REG_RSI];
	struct channel *ch;

	if (number >= CONFIG_CHANNELS)
		return BH_EINVAL;
	ch = &channels[number];
	if (ch->source != vcpu->partition_index || length - 1 >= ch->size)
		return BH_EINVAL;
	if (!ch->mode)
		return send_sample(ch, length);
	return ch->mode & GUARDED ? send_guarded(ch, length) : send_message(ch, length);
}

static __attribute__((noinline)) int64_t receive(struct channel *ch, struct reader *r)
{
	uint32_t slot;

	if (ch->mode & QUEUING) {
		slot = r->head;
		if (slot == __atomic_load_n(&ch->next, __ATOMIC_ACQUIRE))
			return BH_EAGAIN;
		__atomic_store_n(&r->head, queue_next(slot, ch->last), __ATOMIC_RELEASE);
		return slot;
	}
	sampling_begin(&r->claim);
	slot = sampling_give(&r->claim, __atomic_load_n(&ch->latest, __ATOMIC_SEQ_CST));
	if (!slot)
		return BH_EAGAIN;
	return slot | (rdtsc() - ((struct port_slot *)(ch->slots + (uint64_t)slot * ch->stride))->tsc <= ch->refresh ?
	                       BH_PORT_VALID :
	                       0);
}

static __attribute__((noinline)) int64_t receive_guarded(struct channel *ch, struct reader *r)
{
	int64_t result;

	if (__atomic_exchange_n(&r->busy, 1, __ATOMIC_ACQUIRE))
		return BH_EAGAIN;
	result = receive(ch, r);
	__atomic_store_n(&r->busy, 0, __ATOMIC_RELEASE);
	return result;
}

int64_t call_port_receive(struct vcpu *vcpu)
{
	const uint64_t number = vcpu->regs[REG_RDI];
	struct reader *r;

	if (number >= CONFIG_CHANNELS)
		return BH_EINVAL;
	r = reader_of[number][vcpu->partition_index];
	if (!r)
		return BH_EINVAL;
	return r->guarded ? receive_guarded(&channels[number], r) : receive(&channels[number], r);
}

int64_t call_port_status(struct vcpu *vcpu)
{
	const uint64_t number = vcpu->regs[REG_RDI];
	const struct channel *ch;
	if (number >= CONFIG_CHANNELS)
		return BH_EINVAL;
	ch = &channels[number];
	if (ch->source != vcpu->partition_index && !reader_of[number][vcpu->partition_index])
		return BH_EINVAL;
	switch (vcpu->regs[REG_RSI]) {
	case BH_PORT_WAITING:
		if (!(ch->mode & QUEUING))
			return ch->latest != 0;
		return ch->next + (ch->next < ch->reader->head ? ch->last : 0) - ch->reader->head;
	case BH_PORT_SENT:
		return ch->sent;
	case BH_PORT_REFUSED:
		return ch->refused;
	case BH_PORT_SIZE:
		return (int64_t)ch->size;
	case BH_PORT_SLOTS:
		return ch->last;
	default:
		return BH_EINVAL;
	}
}

void ports_restart(uint16_t partition)
{
	for (uint32_t i = 0; i < CONFIG_CHANNELS; i++) {
		struct channel *ch = &channels[i];
		struct reader *r = reader_of[i][partition];

		if (!(ch->mode & QUEUING) || !r)
			continue;
		__atomic_store_n(&r->head, __atomic_load_n(&ch->next, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	}
}
