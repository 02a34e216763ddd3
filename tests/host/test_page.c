// SPDX-License-Identifier: Apache-2.0
/* Who else is in a page (vtd/page.c), on a made-up machine: BARs of both widths, ports, ROMs, functions of one device, bridges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vtd/pci.h"

#define OURS 0x0018u
#define PAGE 0xfebf1000u

static struct function {
	uint16_t source;
	uint32_t word[16];
} functions[8];
static unsigned function_count;
static uint32_t reads;

uint32_t pci_read(void *context, uint16_t segment, uint16_t source, uint32_t offset)
{
	(void)context;
	assert_true(segment == 0 && offset < 64 && offset % 4 == 0);
	reads++;
	for (unsigned i = 0; i < function_count; i++)
		if (functions[i].source == source)
			return functions[i].word[offset / 4];
	return UINT32_MAX;
}

static uint32_t *add(uint16_t source, uint32_t header)
{
	struct function *f = &functions[function_count++];

	*f = (struct function){ source, { 0x12348086, 0, 0, header << 16 } };
	return f->word;
}

static uint32_t *machine(void)
{
	uint32_t *ours;

	function_count = 0;
	ours = add(OURS, 0);
	ours[5] = PAGE;
	ours[4] = 0xfebf0000;
	return ours;
}

static void test_alone(void **state)
{
	uint32_t *other;

	(void)state;
	machine();
	assert_true(pci_page_is_own(OURS, 1, PAGE));
	assert_true(reads < 0x10000);                 /* functions of devices that are not there are not asked for */
	assert_false(pci_page_is_own(OURS, 0, PAGE)); /* that is another BAR */
	other = add(0x0020, 0);
	other[4] = PAGE - 0x1000;
	other[5] = PAGE + 0x1000;
	other[6] = PAGE | 1; /* ports */
	other[7] = 4 | (PAGE + 0x2000);
	other[8] = PAGE; /* the upper half of the one before */
	assert_true(pci_page_is_own(OURS, 1, PAGE));
}

static void test_not_alone(void **state)
{
	(void)state;
	for (unsigned i = 4; i < 10; i++) {
		machine();
		add(0x0100, 0)[i] = PAGE + 0xff0;
		assert_false(pci_page_is_own(OURS, 1, PAGE));
	}
	machine();
	add(0x0100, 0)[12] = PAGE + 0x800 + 1; /* ROM, switched on */
	assert_false(pci_page_is_own(OURS, 1, PAGE));
	machine();
	add(0xff00, 1)[5] = PAGE; /* a bridge */
	assert_false(pci_page_is_own(OURS, 1, PAGE));
	machine();
	add(0xff00, 1)[6] = PAGE; /* its bus numbers */
	assert_true(pci_page_is_own(OURS, 1, PAGE));
	machine();
	add(0x0100, 0x80);
	add(0x0107, 0)[4] = PAGE; /* the last function of a device */
	assert_false(pci_page_is_own(OURS, 1, PAGE));
	machine()[9] = PAGE + 0x100; /* another BAR of our own function, which nobody listed */
	assert_false(pci_page_is_own(OURS, 1, PAGE));
	machine();
	functions[0].word[5] = 4;
	functions[0].word[6] = 0x20; /* above 4 GiB */
	assert_true(pci_page_is_own(OURS, 1, 0x2000000000));
	uint32_t *other = add(0x0028, 0);
	other[4] = 0x104;
	other[5] = 0x20;
	assert_false(pci_page_is_own(OURS, 1, 0x2000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_alone), cmocka_unit_test(test_not_alone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
