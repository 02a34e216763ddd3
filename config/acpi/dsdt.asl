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
        // The console. No interrupt: the driver then polls, and there is no interrupt controller to ask.
        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_STA, 0x0F)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 1, 8)
            })
        }
    }
}
