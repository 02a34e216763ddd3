// SPDX-License-Identifier: Apache-2.0
/*
 * The devices of a Linux partition. Compiled by iasl; tools/mkconfig/acpi.c adds the other tables.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "BULKHD", "BULKHEAD", 1)
{
    // Power off: type 5 into the sleep control register; the other elements have no meaning when hardware-reduced.
    Name (\_S5, Package () { 5, 0, 0, 0 })

    Scope (\_SB)
    {
        // The console. Without an I/O APIC it has no interrupt: the driver then polls.
        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_STA, 0x0F)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 1, 8)
#ifdef HAVE_IOAPIC
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 4 }
#endif
            })
        }
    }
}
