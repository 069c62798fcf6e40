"""The rehearsal: the real stack, real data as live traffic, and faults injected on purpose."""
