// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

#define REX_W 8u
#define REX_R 4u

struct stream {
	const uint8_t *bytes;
	uint32_t at, end; /* at > end: read beyond what is there */
};

static uint8_t next(struct stream *s)
{
	if (s->at < s->end)
		return s->bytes[s->at++];
	s->at = s->end + 1;
	return 0;
}

static uint64_t number(struct stream *s, uint32_t size)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < size; i++)
		n |= (uint64_t)next(s) << 8 * i;
	return n;
}

/* Prefixes, up to the opcode, which is returned. Segment overrides change nothing here. LOCK and REP do not go with MOV. */
static uint8_t prefixes(struct stream *s, enum decode_mode mode, uint8_t *rex, uint8_t *operand, uint8_t *address)
{
	*rex = *operand = *address = 0;
	for (uint32_t i = 0; i < DECODE_MAX; i++) {
		const uint8_t byte = next(s);

		if (mode == DECODE_64 && (byte & 0xf0) == 0x40) {
			*rex = byte;
			continue;
		}
		if (byte == 0x66)
			*operand = 1;
		else if (byte == 0x67)
			*address = 1;
		else if (byte != 0x26 && byte != 0x2e && byte != 0x36 && byte != 0x3e && byte != 0x64 && byte != 0x65)
			return byte;
		*rex = 0; /* one that does not stand right before the opcode is ignored (Vol. 2A, 2.2.1) */
	}
	return 0;
}

/* ModRM for an operand in memory, with all that belongs to the address. Returns its reg field, or -1 for a register operand. */
static int memory_operand(struct stream *s, uint32_t address_size)
{
	const uint8_t modrm = next(s), mod = modrm >> 6, rm = modrm & 7;
	uint32_t displacement = mod == 1 ? 1 : mod == 2 ? (address_size == 2 ? 2 : 4) : 0;

	if (mod == 3)
		return -1;
	if (address_size == 2) {
		if (mod == 0 && rm == 6)
			displacement = 2;
	} else if (rm == 4) {
		if ((next(s) & 7) == 5 && mod == 0)
			displacement = 4;
	} else if (mod == 0 && rm == 5) {
		displacement = 4;
	}
	number(s, displacement);
	return modrm >> 3 & 7;
}

/* The register of a ModRM operand of `size` bytes. Without REX, byte registers 4 to 7 are AH to BH. */
static void set_register(struct decoded *d, int number, uint32_t size, uint8_t rex)
{
	const int high = size == 1 && !rex && number >= 4;

	d->reg = (uint8_t)(high ? number - 4 : number + (rex & REX_R ? 8 : 0));
	d->shift = high ? 8 : 0;
}

/* MOVZX and MOVSX: opcodes behind 0Fh. Returns 0 if it is another one. */
static int extending(struct stream *s, struct decoded *d, uint32_t address_size, uint32_t operand_size, uint8_t rex)
{
	const uint8_t opcode = next(s);
	int reg;

	if (opcode != 0xb6 && opcode != 0xb7 && opcode != 0xbe && opcode != 0xbf)
		return 0;
	reg = memory_operand(s, address_size);
	d->size = opcode & 1 ? 2 : 1;
	d->to = (uint8_t)operand_size;
	d->sign = opcode >= 0xbe;
	set_register(d, reg, operand_size, rex);
	return reg >= 0;
}

static int plain(struct stream *s, struct decoded *d, uint8_t opcode, uint32_t address_size, uint8_t rex)
{
	const uint32_t immediate_size = d->size == 8 ? 4 : d->size;
	int reg;

	switch (opcode) {
	case 0x88:
	case 0x89:
	case 0x8a:
	case 0x8b:
		reg = memory_operand(s, address_size);
		d->write = opcode < 0x8a;
		set_register(d, reg, d->size, rex);
		return reg >= 0;
	case 0xa0: /* the accumulator, and an address of its own */
	case 0xa1:
	case 0xa2:
	case 0xa3:
		number(s, address_size);
		d->write = opcode >= 0xa2;
		return 1;
	case 0xc6:
	case 0xc7:
		reg = memory_operand(s, address_size);
		d->write = 1;
		d->reg = DECODE_IMMEDIATE;
		d->immediate = number(s, immediate_size);
		d->immediate = (uint64_t)(immediate_size == 1 ? (int8_t)d->immediate :
		                          immediate_size == 2 ? (int16_t)d->immediate :
		                                                (int32_t)d->immediate);
		return reg == 0;
	default:
		return 0;
	}
}

int decode(const uint8_t *bytes, uint32_t available, enum decode_mode mode, struct decoded *d)
{
	struct stream s = { bytes, 0, available < DECODE_MAX ? available : DECODE_MAX };
	uint8_t rex, operand, address;
	const uint8_t opcode = prefixes(&s, mode, &rex, &operand, &address);
	const uint32_t operand_size = rex & REX_W ? 8 : (mode == DECODE_16) == operand ? 4 : 2;
	const uint32_t address_size = mode == DECODE_64 ? (address ? 4 : 8) : (mode == DECODE_16) == address ? 4 : 2;

	*d = (struct decoded){ .size = opcode & 1 ? (uint8_t)operand_size : 1 };
	d->to = d->size;
	if (!(opcode == 0x0f ? extending(&s, d, address_size, operand_size, rex) :
	                       plain(&s, d, opcode, address_size, rex)))
		return 0;
	d->length = (uint8_t)s.at;
	return s.at <= s.end;
}

static uint64_t mask(uint32_t size)
{
	return ~0ull >> (64 - 8 * size);
}

uint64_t decode_source(const struct decoded *d, uint64_t reg)
{
	return (d->reg == DECODE_IMMEDIATE ? d->immediate : reg >> d->shift) & mask(d->size);
}

/* A 32-bit result clears the upper half of the register, narrower ones leave the rest alone (SDM Vol. 1, 3.4.1.1). */
uint64_t decode_result(const struct decoded *d, uint64_t reg, uint64_t value)
{
	const uint64_t keep = d->to >= 4 ? 0 : ~(mask(d->to) << d->shift);

	value &= mask(d->size);
	if (d->sign && value >> (8 * d->size - 1))
		value |= ~mask(d->size);
	return (reg & keep) | (value & mask(d->to)) << d->shift;
}
