"""Small molecules for tests: alcohols and amines on chains and rings."""

CORES = [
    *("CC", "CCC", "CCCC", "CC(C)C", "CCCCC", "CC(C)(C)C", "C1CCCC1", "C1CCCCC1"),
    *("c1ccccc1", "c1ccncc1", "c1ccsc1", "C=CC", "CCOCC", "CCSCC", "CC(C)CC", "CCCCCC"),
]
ALCOHOLS = [f"O{core}" for core in CORES]
AMINES = [f"N{core}" for core in CORES]
ACIDS = [f"OC(=O){core}" for core in CORES]


def write(path, header, rows):
    """Write a CSV file."""
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
