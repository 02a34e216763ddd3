// SPDX-License-Identifier: Apache-2.0
/*
 * The devices of a Linux partition. Compiled by iasl, with HAVE_IOAPIC and HAVE_PCI for partitions that have these
 * (tools/mkconfig/mkconfig.mk); tools/mkconfig/acpi.c adds the other tables.
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

#ifdef HAVE_PCI
        // The bus of the partition's PCI functions. Behind it is the core (vmx/pciview.h), or a companion. The memory windows are
        // those that tools/mkconfig/pci.c lets BARs be in; no memory of a partition's own lies there.
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_BBN, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0x0000, 0x0000, 0, 0x0001)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0000, 0x0CF7, 0, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0D00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x800000000, 0xFFFFFFFFF, 0, 0x800000000)
            })
#ifdef HAVE_IOAPIC
            // INTA of device n is pin 15 + n (config/config.h, DEVICE_PIN); there are no links to be set.
            Name (_PRT, Package ()
            {
                Package () { 0x0001FFFF, 0, 0, 16 },
                Package () { 0x0002FFFF, 0, 0, 17 },
                Package () { 0x0003FFFF, 0, 0, 18 },
                Package () { 0x0004FFFF, 0, 0, 19 },
                Package () { 0x0005FFFF, 0, 0, 20 },
                Package () { 0x0006FFFF, 0, 0, 21 },
                Package () { 0x0007FFFF, 0, 0, 22 },
                Package () { 0x0008FFFF, 0, 0, 23 }
            })
#endif
        }
#endif
    }
}
