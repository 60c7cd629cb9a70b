"""How a network is executed: device, number format, memory layout. One callable out."""
